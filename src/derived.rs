//! What the code of the derives calls and no user does. Not for use elsewhere: it changes at will.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};

use crate::codec::tree::Node;
use crate::codec::{CodecError, encode_value};
use crate::error::BoxError;
use crate::types::{Instant, InstantType};

type None = std::iter::Empty<(&'static str, &'static str)>;

/// An item without attributes, as a flattened field is given it.
#[must_use]
pub fn nothing() -> MapDeserializer<'static, None, Error> {
    MapDeserializer::new(std::iter::empty())
}

/// What serde makes of an item without attributes.
///
/// # Errors
///
/// What is missing.
pub fn from_nothing<T: DeserializeOwned>() -> Result<T, BoxError> {
    T::deserialize(nothing()).map_err(Into::into)
}

/// A number of seconds since 1970, or none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say when a record expires",
    label = "expected seconds since 1970: `i64`, `u64`, `i32`, `u32`, or an `Option` of these"
)]
pub trait Seconds {
    /// The seconds.
    fn seconds(&self) -> Option<i64>;
}

macro_rules! seconds {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Seconds for $type {
            fn seconds(&self) -> Option<i64> {
                i64::try_from(*self).ok()
            }
        }
    )*};
}

seconds!(i32, u32, i64, u64);

#[diagnostic::do_not_recommend]
impl<S: Seconds> Seconds for Option<S> {
    fn seconds(&self) -> Option<i64> {
        self.as_ref().and_then(S::seconds)
    }
}

/// When a record expires, by its field.
pub fn seconds<S: Seconds>(field: &S) -> Option<i64> {
    field.seconds()
}

/// A number that versions are counted in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` counts no versions",
    label = "expected an integer: `u64`, `i64`, `u32` or `i32`"
)]
pub trait Version: Copy {
    /// The number; what is below 0 counts as 0.
    fn number(self) -> u64;
    /// This number, at most the largest that the type holds.
    fn of(number: u64) -> Self;
}

macro_rules! versions {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Version for $type {
            fn number(self) -> u64 {
                u64::try_from(self).unwrap_or(0)
            }

            fn of(number: u64) -> Self {
                Self::try_from(number).unwrap_or(Self::MAX)
            }
        }
    )*};
}

versions!(i32, u32, i64, u64);

/// The version of a record, by its field.
pub fn version<V: Version>(field: &V) -> u64 {
    field.number()
}

/// Gives a record a version.
pub fn set_version<V: Version>(field: &mut V, version: u64) {
    *field = V::of(version);
}

/// A time that records note.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no time that a record notes",
    label = "expected seconds since 1970 (`i64`, `u64`, `i32`, `u32`), an `Instant`, or an `Option` of these",
    note = "for the types of `jiff` and `chrono` write `#[serde(with = \"memory_table::instant\")]` too"
)]
pub trait Moment: Sized {
    /// The time in this type.
    fn at(time: SystemTime) -> Self;
    /// Whether it says nothing yet.
    fn is_unset(&self) -> bool;
}

macro_rules! moments {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Moment for $type {
            fn at(time: SystemTime) -> Self {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Self::try_from(since.as_secs()).unwrap_or(Self::MAX)
            }

            fn is_unset(&self) -> bool {
                *self == 0
            }
        }
    )*};
}

moments!(i32, u32, i64, u64);

#[diagnostic::do_not_recommend]
impl<M: Moment> Moment for Option<M> {
    fn at(time: SystemTime) -> Self {
        Some(M::at(time))
    }

    fn is_unset(&self) -> bool {
        self.as_ref().is_none_or(M::is_unset)
    }
}

#[diagnostic::do_not_recommend]
impl<T: InstantType> Moment for T {
    fn at(time: SystemTime) -> Self {
        T::of_system_time(time)
    }

    fn is_unset(&self) -> bool {
        self.to_text() == T::of_system_time(SystemTime::UNIX_EPOCH).to_text()
    }
}

#[diagnostic::do_not_recommend]
impl<T: InstantType> Moment for Instant<T> {
    fn at(time: SystemTime) -> Self {
        Self(T::at(time))
    }

    fn is_unset(&self) -> bool {
        self.0.is_unset()
    }
}

/// Whether a field says no time yet.
pub fn is_unset<M: Moment>(field: &M) -> bool {
    field.is_unset()
}

/// A time as a field has it.
#[must_use]
pub fn moment<M: Moment>(time: SystemTime) -> M {
    M::at(time)
}

/// A time as it is stored.
#[derive(Debug)]
pub struct Stamp(pub(crate) Result<Node<'static>, CodecError>);

/// A time as a field of that type is stored.
#[must_use]
pub fn stamp<M: Moment + Serialize>(time: SystemTime) -> Stamp {
    Stamp(encode_value(&M::at(time)))
}

/// A type that text in quotes can be the default of.
#[diagnostic::on_unimplemented(
    message = "the default of a `{Self}` is no text",
    label = "expected an expression of type `{Self}`",
    note = "write `default = ..` with an expression of the field's type; text is taken for types that are `From<&str>`"
)]
pub trait OfText {
    /// The text in this type.
    fn of_text(text: &'static str) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: From<&'static str>> OfText for T {
    fn of_text(text: &'static str) -> Self {
        text.into()
    }
}

/// Text in quotes as the type of its field.
#[must_use]
pub fn text<T: OfText>(text: &'static str) -> T {
    T::of_text(text)
}

/// Checks a record by the rules of its fields.
///
/// # Errors
///
/// All fields that are not valid, as a `garde::Report`.
#[cfg(feature = "garde")]
pub fn validate<T: garde::Validate>(record: &T) -> Result<(), BoxError>
where
    T::Context: Default,
{
    record.validate().map_err(Into::into)
}

/// What no type is, for the error that it is not.
#[cfg(not(feature = "garde"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be validated without the feature `garde` of `memory-table`",
    label = "`#[record(validate)]` needs it",
    note = "write `memory-table = {{ version = \"..\", features = [\"garde\"] }}` in Cargo.toml"
)]
pub trait WithGarde {}

/// Checks nothing, and does not compile.
///
/// # Errors
///
/// None.
#[cfg(not(feature = "garde"))]
pub fn validate<T: WithGarde>(_record: &T) -> Result<(), BoxError> {
    Ok(())
}

//! What the code of the derives calls and no user does. Not for use elsewhere: it changes at will.

use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};

use crate::error::BoxError;

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

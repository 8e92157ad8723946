//! Which comparisons a type has, so that mistakes do not compile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::expression::Side;
use super::field::{Field, Size};
use crate::error::Error;
use crate::key::{Binary, KeyAttribute};
use crate::types::{Attributes, Instant, InstantType, Number, Set};

/// The type of an attribute that may be anything: every comparison compiles, and what DynamoDB
/// refuses is an error before a request.
#[derive(Clone, Copy, Debug)]
pub enum Any {}

/// What an attribute of type `V` can be compared with: a value of `V`, or another field of `V`.
///
/// Strings are given as `&str` too, bytes as `&[u8]`, and with [`Any`] goes whatever serde writes.
#[diagnostic::on_unimplemented(
    message = "a field of `{V}` cannot be compared with `{Self}`",
    label = "expected a `{V}` or another field of that type",
    note = "DynamoDB compares values of one type only; `.as_type::<memory_table::condition::Any>()` compares with anything"
)]
pub trait Operand<V: ?Sized> {
    /// The value or path, or why DynamoDB has no form for it.
    #[doc(hidden)]
    fn side(self) -> Side;
}

impl<V: Serialize> Operand<V> for V {
    fn side(self) -> Side {
        Side::value(&self)
    }
}

impl<V: Serialize> Operand<V> for &V {
    fn side(self) -> Side {
        Side::value(self)
    }
}

impl<T: Serialize> Operand<Any> for T {
    fn side(self) -> Side {
        Side::value(&self)
    }
}

impl<V> Operand<V> for Field<V> {
    fn side(self) -> Side {
        Side::path(&self)
    }
}

impl<V> Operand<V> for &Field<V> {
    fn side(self) -> Side {
        Side::path(self)
    }
}

impl Operand<usize> for Size {
    fn side(self) -> Side {
        Side::size(&self)
    }
}

impl<T: InstantType> Operand<Instant<T>> for T {
    fn side(self) -> Side {
        Side::value(&Instant(self))
    }
}

macro_rules! text_operands {
    ($($type:ty),*) => {$(
        impl Operand<$type> for &str {
            fn side(self) -> Side {
                Side::value(self)
            }
        }
    )*};
}

text_operands!(String, Box<str>, Arc<str>);

impl Operand<Binary> for &[u8] {
    fn side(self) -> Side {
        Side::value(&Binary::from(self))
    }
}

impl<const N: usize> Operand<Binary> for &[u8; N] {
    fn side(self) -> Side {
        Side::value(&Binary::from(self.as_slice()))
    }
}

/// A type that DynamoDB orders: stored as a string, a number or bytes.
///
/// Every [`KeyAttribute`] is one; implement it for other types of yours that serde writes as one of
/// the three.
#[diagnostic::on_unimplemented(
    message = "DynamoDB does not order `{Self}`",
    label = "only strings, numbers and bytes have an order",
    note = "`impl memory_table::condition::Ordered` for a type of yours that serde writes as one of these"
)]
pub trait Ordered {}

#[diagnostic::do_not_recommend]
impl<T: KeyAttribute> Ordered for T {}
impl Ordered for f32 {}
impl Ordered for f64 {}
impl Ordered for char {}
impl Ordered for Any {}

/// A type whose values begin with others: strings and bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no beginning",
    label = "only strings and bytes begin with something"
)]
pub trait Prefixed {
    /// The type of the beginning.
    type Prefix: ?Sized;
}

/// A type that contains others: a string its substrings, a list or set its elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` contains nothing",
    label = "only strings, bytes, lists and sets contain something"
)]
pub trait Container {
    /// The type of what it contains.
    type Element: ?Sized;
}

/// A list, whose elements have an index.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not stored as a list",
    label = "only elements of lists have an index"
)]
pub trait List {
    /// The type of the elements.
    type Element;
}

/// A type that has a size: strings, bytes, sets, lists and maps.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no size",
    label = "only strings, bytes, sets, lists and maps have a size"
)]
pub trait Sizeable {}

macro_rules! texts {
    ($($type:ty: $part:ty),*) => {$(
        impl Prefixed for $type {
            type Prefix = $part;
        }

        impl Container for $type {
            type Element = $part;
        }

        impl Sizeable for $type {}
    )*};
}

texts!(String: String, Box<str>: String, Arc<str>: String, Binary: Binary);

/// Instants are stored as text, which begins with the year.
impl<T> Prefixed for Instant<T> {
    type Prefix = String;
}

impl Prefixed for Any {
    type Prefix = Any;
}

impl Container for Any {
    type Element = Any;
}

impl List for Any {
    type Element = Any;
}

impl Sizeable for Any {}

impl<X> Container for Set<X> {
    type Element = X;
}

impl<X> Sizeable for Set<X> {}

impl Sizeable for Attributes {}

macro_rules! lists {
    ($($type:ident<X $(, $hasher:ident)?>),*) => {$(
        impl<X $(, $hasher)?> Container for $type<X $(, $hasher)?> {
            type Element = X;
        }

        impl<X $(, $hasher)?> List for $type<X $(, $hasher)?> {
            type Element = X;
        }

        impl<X $(, $hasher)?> Sizeable for $type<X $(, $hasher)?> {}
    )*};
}

// Serde writes a `BTreeSet` and a `HashSet` as a list.
lists!(Vec<X>, VecDeque<X>, BTreeSet<X>, HashSet<X, S>);

impl<X, const N: usize> Container for [X; N] {
    type Element = X;
}

impl<X, const N: usize> List for [X; N] {
    type Element = X;
}

impl<X, const N: usize> Sizeable for [X; N] {}

impl<K, X> Sizeable for BTreeMap<K, X> {}
impl<K, X, S> Sizeable for HashMap<K, X, S> {}

/// A type that is stored as a number and holds every sum, which `increment` adds to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be incremented by the service",
    label = "only integers and `Number`s can",
    note = "the service sums decimal numbers, and a float does not hold every sum: use `Number`, or `update`"
)]
pub trait Numeric {}

/// A number to be added.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number to be added",
    label = "expected an integer of at most 64 bits or a `Number`"
)]
pub trait Summand {
    /// The number, or why DynamoDB has no form for it.
    #[doc(hidden)]
    fn number(&self) -> Result<Number, Error>;
}

macro_rules! numeric {
    ($($type:ty),*) => {$(
        impl Numeric for $type {}

        impl Summand for $type {
            fn number(&self) -> Result<Number, Error> {
                Ok((*self).into())
            }
        }
    )*};
}

numeric!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Numeric for u128 {}
impl Numeric for i128 {}
impl Numeric for usize {}
impl Numeric for isize {}
impl Numeric for Number {}

impl Summand for Number {
    fn number(&self) -> Result<Number, Error> {
        Ok(self.clone())
    }
}

impl Summand for &Number {
    fn number(&self) -> Result<Number, Error> {
        Ok((*self).clone())
    }
}

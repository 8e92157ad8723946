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

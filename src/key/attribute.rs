//! The types that can be a key attribute.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{KeyKind, KeyValue};
use crate::number::Decimal;

/// A type that is stored as a string, number or bytes and can so be a partition or sort key.
///
/// Implemented for the string types, the integers, [`Number`](crate::Number), [`Binary`],
/// [`Instant`](crate::Instant) and, with the feature `uuid`, `uuid::Uuid`; a newtype of one of them
/// derives it. The form given here must be the one that serde gives the field: a record whose stored key
/// attribute differs from its key is refused when it is put.
///
/// # Example
///
/// ```
/// use memory_table::{Key, KeyAttribute, KeyRef};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(KeyAttribute, Serialize, Deserialize, Clone)]
/// struct TeamName(String);
///
/// let key = Key::new(&KeyRef::partition(&TeamName("Brazil".into())))?;
/// assert_eq!(key.to_string(), r#""Brazil""#);
/// # Ok::<(), memory_table::KeyError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a primary key",
    label = "not a key attribute",
    note = "a key attribute is a `String`, an integer, or `memory_table::Binary` for bytes",
    note = "a newtype of one of them is one with `#[derive(KeyAttribute)]`"
)]
pub trait KeyAttribute: Clone + Send + Sync + 'static {
    /// The DynamoDB type of the attribute.
    const KIND: KeyKind;

    /// The value as it is stored.
    fn to_key(&self) -> KeyValue<'_>;

    /// The value that was stored.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the stored value is of another type or does not fit.
    fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError>;
}

/// Why a value is not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    part: &'static str,
    why: Cow<'static, str>,
}

impl KeyError {
    pub(crate) fn new(part: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self { part, why: why.into() }
    }

    /// An error of a [`KeyAttribute`] implementation: the stored value does not fit the type.
    pub fn mismatch(expected: impl fmt::Display, found: &KeyValue<'_>) -> Self {
        Self::new("key attribute", format!("expected {expected}, found a {}", found.kind()))
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.part, self.why)
    }
}

impl std::error::Error for KeyError {}

/// Bytes, stored as DynamoDB's `B`; serde alone would store a `Vec<u8>` as a list of numbers.
///
/// # Example
///
/// ```
/// use memory_table::Binary;
///
/// let hash = Binary::from(vec![0xca, 0xfe]);
/// assert_eq!(hash.as_slice(), [0xca, 0xfe]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary(Vec<u8>);

impl Binary {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Binary {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Binary;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
                Ok(Binary(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Binary, E> {
                Ok(Binary(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

// An error is not to list all the types that would do, as its note says it shorter.
#[diagnostic::do_not_recommend]
impl KeyAttribute for Binary {
    const KIND: KeyKind = KeyKind::Binary;

    fn to_key(&self) -> KeyValue<'_> {
        KeyValue::Binary(Cow::Borrowed(&self.0))
    }

    fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
        match value {
            KeyValue::Binary(bytes) => Ok(Self(bytes.into_owned())),
            other => Err(KeyError::mismatch(Self::KIND, &other)),
        }
    }
}

macro_rules! string_keys {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyAttribute for $type {
            const KIND: KeyKind = KeyKind::String;

            fn to_key(&self) -> KeyValue<'_> {
                KeyValue::String(Cow::Borrowed(self))
            }

            fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
                match value {
                    KeyValue::String(text) => Ok(text.into_owned().into()),
                    other => Err(KeyError::mismatch(Self::KIND, &other)),
                }
            }
        }
    )*};
}

string_keys!(String, Box<str>, Arc<str>);

macro_rules! integer_keys {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyAttribute for $type {
            const KIND: KeyKind = KeyKind::Number;

            fn to_key(&self) -> KeyValue<'_> {
                KeyValue::Number(Cow::Owned(self.to_string()))
            }

            fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
                let KeyValue::Number(text) = &value else {
                    return Err(KeyError::mismatch(Self::KIND, &value));
                };
                let whole = Decimal::parse(text).ok().and_then(|number| number.integer_text());
                whole.and_then(|whole| whole.parse().ok()).ok_or_else(|| {
                    KeyError::new("key attribute", concat!("the number does not fit ", stringify!($type)))
                })
            }
        }
    )*};
}

integer_keys!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

/// The hyphenated lower-case text, as serde stores it.
#[cfg(feature = "uuid")]
#[diagnostic::do_not_recommend]
impl KeyAttribute for uuid::Uuid {
    const KIND: KeyKind = KeyKind::String;

    fn to_key(&self) -> KeyValue<'_> {
        KeyValue::String(Cow::Owned(self.to_string()))
    }

    fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
        match &value {
            // No other form, which would be another key.
            KeyValue::String(text) => {
                text.parse().ok().filter(|uuid: &Self| uuid.to_string() == **text).ok_or_else(
                    || KeyError::new("key attribute", "not the hyphenated text of a UUID"),
                )
            }
            other => Err(KeyError::mismatch(Self::KIND, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_in_their_type() {
        assert_eq!(String::from_key(String::from("a").to_key()).unwrap(), "a");
        assert_eq!(i128::from_key(i128::from(i64::MIN).to_key()).unwrap(), i128::from(i64::MIN));
        assert_eq!(u8::from_key(KeyValue::Number("2.50E2".into())).unwrap(), 250);
        assert_eq!(Binary::from_key(Binary::from(vec![1]).to_key()).unwrap().into_vec(), [1]);
    }

    #[test]
    fn values_of_another_type_or_size_are_errors() {
        assert_eq!(
            String::from_key(5_u8.to_key()).unwrap_err().to_string(),
            "invalid key attribute: expected string (S), found a number (N)"
        );
        assert_eq!(
            u8::from_key(256_u16.to_key()).unwrap_err().to_string(),
            "invalid key attribute: the number does not fit u8"
        );
        assert!(u8::from_key(KeyValue::Number("1.5".into())).is_err());
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn a_uuid_is_a_key_in_the_text_that_serde_stores() {
        let uuid = uuid::Uuid::from_u128(0xA1A2_A3A4_B1B2_C1C2_D1D2_D3D4_D5D6_D7D8);
        let text = "a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8";
        assert_eq!(uuid.to_key(), KeyValue::String(text.into()));
        assert_eq!(serde_json::to_value(uuid).unwrap(), text);
        assert_eq!(uuid::Uuid::from_key(uuid.to_key()).unwrap(), uuid);
        for other in [text.to_uppercase(), text.replace('-', ""), "no uuid".to_owned()] {
            let error = uuid::Uuid::from_key(KeyValue::String(other.into())).unwrap_err();
            assert_eq!(
                error.to_string(),
                "invalid key attribute: not the hyphenated text of a UUID"
            );
        }
        assert!(uuid::Uuid::from_key(KeyValue::Binary(vec![0; 16].into())).is_err());
    }
}

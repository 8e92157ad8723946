//! A number as DynamoDB has it: decimal, exact, 38 digits.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NUMBER;
use crate::codec::hidden_number;
use crate::error::{Error, ErrorKind};
use crate::key::{KeyAttribute, KeyError, KeyKind, KeyValue};
use crate::number::Decimal;

/// A decimal number of up to 38 digits, exact, stored as `N`.
///
/// For amounts of money and whatever a binary float would round. Its text goes to and from the
/// decimal types of other crates by `parse` and `to_string`. Equal by value, ordered by value.
///
/// # Example
///
/// ```
/// use memory_table::Number;
///
/// let price: Number = "19.90".parse()?;
/// assert_eq!(price, "19.9".parse()?);
/// assert_eq!(price.to_string(), "19.9");
/// assert!("1".parse::<Number>()? > price || price > Number::from(1));
/// # Ok::<(), memory_table::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(Decimal);

impl Number {
    /// The exact sum, as DynamoDB's own `ADD` makes it, or `None` if it has more than 38 digits or is
    /// out of range: never rounded.
    ///
    /// # Example
    ///
    /// ```
    /// use memory_table::Number;
    ///
    /// let tenth: Number = "0.1".parse()?;
    /// let sum = tenth.checked_add(&"0.2".parse()?);
    /// assert_eq!(sum, Some("0.3".parse()?));
    /// assert_eq!(tenth.checked_add(&"1E100".parse()?), None);
    /// # Ok::<(), memory_table::Error>(())
    /// ```
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        self.0.plus(&other.0).storable().ok().map(Self)
    }

    /// The exact difference, or `None` as for [`checked_add`](Self::checked_add).
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        self.0.plus(&other.0.clone().negated()).storable().ok().map(Self)
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::from(0)
    }
}

impl FromStr for Number {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Decimal::parse(text)
            .and_then(Decimal::storable)
            .map(Self)
            .map_err(|bad| Error::new(ErrorKind::InvalidRecord, format!("the number is {bad}")))
    }
}

macro_rules! from_integers {
    ($($type:ty),*) => {$(
        impl From<$type> for Number {
            fn from(value: $type) -> Self {
                // The text of an integer is a number.
                Self(Decimal::parse(itoa::Buffer::new().format(value)).unwrap_or_default())
            }
        }
    )*};
}

from_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NUMBER, &self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number")
            }

            fn visit_newtype_struct<D: serde::Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Number, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map_err(E::custom)
            }

            // Formats with numbers of their own, and serde's buffers.
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(value.into())
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Number, E> {
                format!("{value:e}").parse().map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
                hidden_number(map)?.parse().map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_newtype_struct(NUMBER, Visitor)
    }
}

#[diagnostic::do_not_recommend]
impl KeyAttribute for Number {
    const KIND: KeyKind = KeyKind::Number;

    fn to_key(&self) -> KeyValue<'_> {
        KeyValue::Number(Cow::Owned(self.0.to_string()))
    }

    fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
        match &value {
            KeyValue::Number(text) => {
                text.parse().map_err(|_| KeyError::new("key attribute", "not a decimal number"))
            }
            other => Err(KeyError::mismatch(Self::KIND, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_eight_digits_are_exact_and_more_are_refused() {
        let digits = "1234567890123456789012345678901234567.8";
        assert_eq!(digits.parse::<Number>().unwrap().to_string(), digits);
        assert_eq!(
            "1.23456789012345678901234567890123456789".parse::<Number>().unwrap_err().to_string(),
            "the number is more than the 38 significant digits that DynamoDB keeps"
        );
        assert!("price".parse::<Number>().is_err());
    }

    #[test]
    fn other_formats_see_its_text_and_give_it_back() {
        let number: Number = "0.10".parse().unwrap();
        let json = serde_json::to_string(&number).unwrap();
        assert_eq!(json, r#""0.1""#);
        assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number);
        assert_eq!(serde_json::from_str::<Number>("0.1").unwrap(), number);
        assert_eq!(serde_json::from_str::<Number>("-7").unwrap(), Number::from(-7));
    }
}

//! Readers for the forms in which older programs stored values, for a field each.
//!
//! Conditions, filters and updates by expressions know the new forms only. Values are written as their types
//! are. What was read in an old form is written back in it as long as
//! the value does not change, so that older programs still find it.
//!
//! # Example
//!
//! ```
//! use memory_table::aws_sdk_dynamodb::types::AttributeValue;
//! use memory_table::{Attributes, Record};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Record, Serialize, Deserialize, Clone)]
//! #[record(table = "stores")]
//! struct Store {
//!     #[record(partition_key)]
//!     id: String,
//!     #[serde(default, deserialize_with = "memory_table::old::bool")]
//!     is_open: bool,
//!     #[serde(default, deserialize_with = "memory_table::old::json")]
//!     tags: Vec<String>,
//! }
//!
//! let old = Attributes::from_iter([
//!     ("id", AttributeValue::S("STORE1".into())),
//!     ("is_open", AttributeValue::N("1".into())),
//!     ("tags", AttributeValue::S(r#"["a", "b"]"#.into())),
//! ]);
//! let store: Store = old.to_record()?;
//! assert!(store.is_open);
//! assert_eq!(store.tags, ["a", "b"]);
//! # Ok::<(), memory_table::Error>(())
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// A `bool` or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not read from an old boolean",
    label = "expected `bool` or `Option<bool>`"
)]
pub trait OldBool: Sized {
    #[doc(hidden)]
    fn of(value: Option<bool>) -> Option<Self>;
}

impl OldBool for bool {
    fn of(value: Option<bool>) -> Option<Self> {
        value
    }
}

impl OldBool for Option<bool> {
    fn of(value: Option<bool>) -> Option<Self> {
        Some(value)
    }
}

/// Reads a boolean, or a number that is 0 or 1, for a `bool` or an `Option<bool>`.
///
/// # Errors
///
/// Any other value.
pub fn bool<'de, D: Deserializer<'de>, B: OldBool>(deserializer: D) -> Result<B, D::Error> {
    let read = deserializer.deserialize_any(Truth)?;
    B::of(read).ok_or_else(|| D::Error::custom(Truth::EXPECTED))
}

/// Reads a list, a map, a struct or an enum, or its text in JSON. Not for text itself, nor for types that
/// take any value, such as `serde_json::Value`: of these nobody knows whether a text is JSON. Numbers in
/// the text are read as JSON's, with the precision of `f64` if they are no integers of 64 bits.
///
/// # Errors
///
/// What is no such value, or text that is not JSON of one. It says where, and not what stands there.
pub fn json<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ValueOrText(PhantomData))
}

struct Truth;

impl Truth {
    const EXPECTED: &'static str = "expected a boolean, or 0 or 1";

    fn of_number<E: Error>(number: Option<u64>) -> Result<Option<bool>, E> {
        match number {
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            _ => Err(E::custom(Self::EXPECTED)),
        }
    }
}

impl Visitor<'_> for Truth {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, or 0 or 1")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::of_number(Some(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::of_number(u64::try_from(value).ok())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct ValueOrText<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ValueOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a map, or its text in JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let why = match serde_json::from_str(text) {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        // The type itself may be stored as text, such as a variant.
        T::deserialize(Present(StrDeserializer::<E>::new(text))).map_err(|_| {
            // Its own words would show what stands there.
            let what = if why.is_data() { "JSON of another value" } else { "no JSON" };
            let (line, column) = (why.line(), why.column());
            E::custom(format!("the text is {what}, at line {line}, column {column}"))
        })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        T::deserialize(Present(value.into_deserializer()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        T::deserialize(Present(value.into_deserializer()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::deserialize(Present(value.into_deserializer()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        T::deserialize(Present(value.into_deserializer()))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::deserialize(serde::de::value::UnitDeserializer::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<T, A::Error> {
        T::deserialize(Present(SeqAccessDeserializer::new(elements)))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::deserialize(Present(MapAccessDeserializer::new(entries)))
    }
}

/// A value that is there, also for an `Option`.
struct Present<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Present<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

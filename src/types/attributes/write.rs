//! Attributes through serde, outwards.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::Attributes;
use crate::codec::{Carried, is_ours};
use crate::types::{NUMBER, SET};

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Written(value))))
    }
}

/// An attribute value on its way out.
struct Written<'a>(&'a AttributeValue);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            AttributeValue::S(text) => serializer.serialize_str(text),
            AttributeValue::N(text) => WrittenNumber(text).serialize(serializer),
            AttributeValue::B(bytes) => WrittenBytes(bytes).serialize(serializer),
            AttributeValue::Bool(value) => serializer.serialize_bool(*value),
            AttributeValue::Null(_) => serializer.serialize_unit(),
            AttributeValue::L(values) => serializer.collect_seq(values.iter().map(Written)),
            AttributeValue::M(map) => {
                serializer.collect_map(map.iter().map(|(name, value)| (name, Written(value))))
            }
            AttributeValue::Ss(texts) => serializer.serialize_newtype_struct(SET, texts),
            AttributeValue::Ns(texts) => serializer.serialize_newtype_struct(
                SET,
                &texts.iter().map(|text| WrittenNumber(text)).collect::<Vec<_>>(),
            ),
            AttributeValue::Bs(values) => serializer.serialize_newtype_struct(
                SET,
                &values.iter().map(WrittenBytes).collect::<Vec<_>>(),
            ),
            _ => Err(S::Error::custom("a type of attribute value that this version does not know")),
        }
    }
}

struct WrittenNumber<'a>(&'a str);

impl Serialize for WrittenNumber<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_ours::<S::Error>() {
            return serializer.serialize_newtype_struct(NUMBER, self.0);
        }
        match Carried::of(self.0) {
            Some(Carried::Signed(value)) => serializer.serialize_i64(value),
            Some(Carried::Unsigned(value)) => serializer.serialize_u64(value),
            Some(Carried::Float(value)) => serializer.serialize_f64(value),
            None => serializer.serialize_str(self.0),
        }
    }
}

struct WrittenBytes<'a>(&'a Blob);

impl Serialize for WrittenBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_ref())
    }
}

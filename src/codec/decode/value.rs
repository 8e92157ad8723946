//! Attribute values.

use std::borrow::Cow;

use serde::de::{self, Expected, IntoDeserializer, Visitor};

use super::containers::{MapReader, VariantReader, visit_elements};
use super::hidden::HiddenNumber;
use super::name::NameReader;
use super::number::{Carried, integer, nearest_float};
use crate::codec::CodecError;
use crate::codec::tree::{Fields, Node};
use crate::number::Float;
use crate::types::{ATTRIBUTES, NUMBER};

/// An attribute value, borrowed; the elements of sets are values too.
#[derive(Clone, Copy)]
pub(super) enum Value<'de> {
    S(&'de str),
    N(&'de str),
    B(&'de [u8]),
    Bool(bool),
    Null,
    L(&'de [Node<'de>]),
    M(&'de Fields<'de>),
    Ss(&'de [Cow<'de, str>]),
    Ns(&'de [Cow<'de, str>]),
    Bs(&'de [Vec<u8>]),
}

/// Where a value is, which decides how it is handed over; see [`hidden`](super::hidden).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Under a name.
    Named,
    InList,
    InSet,
    /// Anywhere within an `Attributes` that asked for it: all numbers and sets are hidden, as they
    /// are stored.
    Exact,
}

/// Reads an attribute value.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'de> {
    pub(super) value: Value<'de>,
    pub(super) place: Place,
}

impl<'de> NodeReader<'de> {
    pub(super) fn new(node: &'de Node<'de>, place: Place) -> Self {
        let value = match node {
            Node::S(text) => Value::S(text),
            Node::N(text) => Value::N(text),
            Node::B(bytes) => Value::B(bytes),
            Node::Bool(value) => Value::Bool(*value),
            Node::Null => Value::Null,
            Node::L(values) => Value::L(values),
            Node::M(fields) => Value::M(fields),
            Node::Ss(texts) => Value::Ss(texts),
            Node::Ns(texts) => Value::Ns(texts),
            Node::Bs(values) => Value::Bs(values),
        };
        Self { value, place }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::S(_) => "a string",
            Value::N(_) => "a number",
            Value::B(_) => "bytes",
            Value::Bool(_) => "a boolean",
            Value::Null => "null",
            Value::L(_) => "a list",
            Value::M(_) => "a map",
            Value::Ss(_) => "a string set",
            Value::Ns(_) => "a number set",
            Value::Bs(_) => "a binary set",
        }
    }

    pub(super) fn wrong(&self, expected: &str) -> CodecError {
        CodecError::new(format!("expected {expected}, found {}", self.kind()))
    }

    fn number(&self) -> Result<&'de str, CodecError> {
        match self.value {
            Value::N(text) => Ok(text),
            _ => Err(self.wrong("a number")),
        }
    }

    fn integer<N: std::str::FromStr>(&self, type_name: &str) -> Result<N, CodecError> {
        integer(self.number()?)
            .ok_or_else(|| CodecError::new(format!("the number does not fit {type_name}")))
    }

    fn float<F: Float>(&self) -> Result<F, CodecError> {
        nearest_float(self.number()?)
            .ok_or_else(|| CodecError::too_long(std::any::type_name::<F>()))
    }

    /// A number for which no type was asked.
    fn any_number<V: Visitor<'de>>(
        self,
        text: &'de str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        let carried = if self.place == Place::Exact { None } else { Carried::of(text) };
        match carried {
            Some(Carried::Signed(value)) => visitor.visit_i64(value),
            Some(Carried::Unsigned(value)) => visitor.visit_u64(value),
            Some(Carried::Float(value)) => visitor.visit_f64(value),
            None => de::Deserializer::deserialize_any(HiddenNumber::new(text), visitor),
        }
    }

    /// A set for which no type was asked.
    fn any_set<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match (self.place, self.value) {
            (Place::Exact, _) | (Place::InList, Value::Ns(_)) => {
                visitor.visit_newtype_struct(HiddenSet(self))
            }
            _ => de::Deserializer::deserialize_seq(self, visitor),
        }
    }

    /// A value of which the visitor's type is known, so that nothing needs to be hidden.
    fn typed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.value {
            Value::N(text) if Carried::of(text).is_none() => {
                Err(self.wrong(&(&visitor as &dyn Expected).to_string()))
            }
            Value::Ns(_) => de::Deserializer::deserialize_seq(self, visitor),
            _ => de::Deserializer::deserialize_any(self, visitor),
        }
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident: $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            visitor.$visit(self.integer::<$type>(stringify!($type))?)
        }
    )*};
}

macro_rules! typed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            self.typed(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeReader<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.value {
            Value::S(text) if self.place == Place::InSet => visitor.visit_str(text),
            Value::S(text) => visitor.visit_borrowed_str(text),
            Value::N(text) => self.any_number(text, visitor),
            Value::B(bytes) if self.place == Place::InSet => visitor.visit_bytes(bytes),
            Value::B(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Null => visitor.visit_unit(),
            Value::M(fields) => {
                let exact = self.place == Place::Exact;
                let place = if exact { Place::Exact } else { Place::Named };
                visitor.visit_map(MapReader::new(fields, place))
            }
            Value::L(_) => self.deserialize_seq(visitor),
            Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => self.any_set(visitor),
        }
    }

    integers!(deserialize_i8 visit_i8: i8, deserialize_i16 visit_i16: i16, deserialize_i32 visit_i32: i32,
        deserialize_i64 visit_i64: i64, deserialize_i128 visit_i128: i128, deserialize_u8 visit_u8: u8,
        deserialize_u16 visit_u16: u16, deserialize_u32 visit_u32: u32, deserialize_u64 visit_u64: u64,
        deserialize_u128 visit_u128: u128);

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_f32(self.float::<f32>()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_f64(self.float::<f64>()?)
    }

    typed! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_map deserialize_identifier
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.typed(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            _ => Err(self.wrong("null")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match name {
            NUMBER => visitor.visit_newtype_struct(NameReader::borrowed(self.number()?)),
            ATTRIBUTES => visitor.visit_newtype_struct(Self { place: Place::Exact, ..self }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visit_elements(self.value, self.place, visitor)
            .unwrap_or_else(|| Err(self.wrong("a list or a set")))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.value {
            Value::S(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::M(fields) => match &fields[..] {
                [(variant, node)] => {
                    let content = Self::new(node, Place::Named);
                    visitor.visit_enum(VariantReader { variant, content })
                }
                _ => Err(CodecError::new("expected a map of one entry, the variant of an enum")),
            },
            _ => Err(self.wrong("a variant: a string or a map of one entry")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }
}

/// A set in its hidden form, within the newtype.
struct HiddenSet<'de>(NodeReader<'de>);

impl<'de> de::Deserializer<'de> for HiddenSet<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.0.deserialize_seq(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

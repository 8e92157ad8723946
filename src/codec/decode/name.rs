//! Names of attributes, and other text that stands for itself.

use serde::de::{self, IntoDeserializer, Visitor};

use crate::codec::CodecError;

/// The name of an attribute; as a map's key also a number or a boolean in text.
pub(super) struct NameReader<'de> {
    text: &'de str,
    /// Whether the text is handed over as borrowed; see [`hidden`](super::hidden).
    borrowed: bool,
}

impl<'de> NameReader<'de> {
    pub(super) const fn new(text: &'de str, borrowed: bool) -> Self {
        Self { text, borrowed }
    }

    pub(super) const fn borrowed(text: &'de str) -> Self {
        Self::new(text, true)
    }
}

macro_rules! names {
    ($($method:ident $visit:ident: $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            match self.text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NameReader<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        if self.borrowed {
            visitor.visit_borrowed_str(self.text)
        } else {
            visitor.visit_str(self.text)
        }
    }

    names!(deserialize_bool visit_bool: bool, deserialize_i8 visit_i8: i8, deserialize_i16 visit_i16: i16,
        deserialize_i32 visit_i32: i32, deserialize_i64 visit_i64: i64, deserialize_i128 visit_i128: i128,
        deserialize_u8 visit_u8: u8, deserialize_u16 visit_u16: u16, deserialize_u32 visit_u32: u32,
        deserialize_u64 visit_u64: u64, deserialize_u128 visit_u128: u128);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

//! The keys of maps, which become attribute names.

use serde::ser::{self, Serialize};

use super::{refuse, refuse_lists, refuse_maps, refuse_variants};
use crate::codec::CodecError;

fn no_name<T>() -> Result<T, CodecError> {
    Err(CodecError::new("the keys of a map must be strings, integers, booleans or unit variants"))
}

macro_rules! names {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<String, CodecError> {
            Ok(value.to_string())
        }
    )*};
}

/// Turns the key of a map into an attribute name.
pub(super) struct NameSerializer;

impl ser::Serializer for NameSerializer {
    type Ok = String;
    type Error = CodecError;
    type SerializeSeq = ser::Impossible<String, CodecError>;
    type SerializeTuple = ser::Impossible<String, CodecError>;
    type SerializeTupleStruct = ser::Impossible<String, CodecError>;
    type SerializeTupleVariant = ser::Impossible<String, CodecError>;
    type SerializeMap = ser::Impossible<String, CodecError>;
    type SerializeStruct = ser::Impossible<String, CodecError>;
    type SerializeStructVariant = ser::Impossible<String, CodecError>;

    names!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_char: char,
        serialize_str: &str);

    refuse!(no_name: serialize_f32(f32), serialize_f64(f64), serialize_bytes(&[u8]), serialize_none(),
        serialize_unit(), serialize_unit_struct(&'static str));

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, CodecError> {
        Ok(variant.to_owned())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, CodecError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, CodecError> {
        value.serialize(self)
    }

    refuse_variants!(no_name);
    refuse_lists!(no_name);
    refuse_maps!(no_name);
}

//! The item itself, which has no type tag around it.

use serde::ser::{self, Serialize};

use super::containers::{MapEnd, MapWriter};
use super::writer::Writer;
use super::{refuse, refuse_lists, refuse_variants};
use crate::codec::CodecError;

fn not_a_map<T>() -> Result<T, CodecError> {
    Err(CodecError::new(
        "a record must be stored as a map of attributes: a struct, a map or a tagged enum",
    ))
}

/// Writes the item itself, which has no type tag around it.
pub(super) struct ItemSerializer<'w, 'e> {
    pub(super) writer: &'w mut Writer<'e>,
}

impl<'w, 'e> ItemSerializer<'w, 'e> {
    fn map(self) -> MapWriter<'w, 'e> {
        self.writer.out.brace(b'{');
        MapWriter::new(self.writer, MapEnd::Item)
    }
}

impl<'w, 'e> ser::Serializer for ItemSerializer<'w, 'e> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = ser::Impossible<(), CodecError>;
    type SerializeTuple = ser::Impossible<(), CodecError>;
    type SerializeTupleStruct = ser::Impossible<(), CodecError>;
    type SerializeTupleVariant = ser::Impossible<(), CodecError>;
    type SerializeMap = MapWriter<'w, 'e>;
    type SerializeStruct = MapWriter<'w, 'e>;
    type SerializeStructVariant = ser::Impossible<(), CodecError>;

    refuse!(not_a_map: serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32),
        serialize_i64(i64), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_f32(f32), serialize_f64(f64), serialize_char(char), serialize_str(&str),
        serialize_bytes(&[u8]), serialize_none(), serialize_unit(), serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str));

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'w, 'e>, CodecError> {
        Ok(self.map())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter<'w, 'e>, CodecError> {
        Ok(self.map())
    }

    refuse_variants!(not_a_map);
    refuse_lists!(not_a_map);
}

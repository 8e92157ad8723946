//! Attribute values.

use serde::ser::{self, Serialize};

use super::containers::{ListWriter, MapEnd, MapWriter};
use super::name::NameSerializer;
use super::set::SetSerializer;
use super::writer::Writer;
use crate::codec::CodecError;
use crate::number::{Float, Shortest};
use crate::types::{NUMBER, SET};

/// Writes an attribute value.
pub(super) struct ValueSerializer<'w, 'e> {
    pub(super) writer: &'w mut Writer<'e>,
}

impl<'w, 'e> ValueSerializer<'w, 'e> {
    fn list(self, in_variant: bool) -> Result<ListWriter<'w, 'e>, CodecError> {
        self.writer.enter("L", b'[')?;
        Ok(ListWriter::new(self.writer, in_variant))
    }

    fn map(self, end: MapEnd) -> Result<MapWriter<'w, 'e>, CodecError> {
        self.writer.enter("M", b'{')?;
        Ok(MapWriter::new(self.writer, end))
    }

    fn float(self, value: impl Float) -> Result<(), CodecError> {
        if !value.into().is_finite() {
            return Err(CodecError::new("NaN and infinities are no DynamoDB numbers"));
        }
        self.writer.checked_number(Shortest::new().of(value))
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<(), CodecError> {
            self.writer.integer(value);
            Ok(())
        }
    )*};
}

impl<'w, 'e> ser::Serializer for ValueSerializer<'w, 'e> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = ListWriter<'w, 'e>;
    type SerializeTuple = ListWriter<'w, 'e>;
    type SerializeTupleStruct = ListWriter<'w, 'e>;
    type SerializeTupleVariant = ListWriter<'w, 'e>;
    type SerializeMap = MapWriter<'w, 'e>;
    type SerializeStruct = MapWriter<'w, 'e>;
    type SerializeStructVariant = MapWriter<'w, 'e>;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_i128(self, value: i128) -> Result<(), CodecError> {
        self.writer.checked_number(itoa::Buffer::new().format(value))
    }

    fn serialize_u128(self, value: u128) -> Result<(), CodecError> {
        self.writer.checked_number(itoa::Buffer::new().format(value))
    }

    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.writer.size += 1;
        self.writer.out.raw(if value { br#"{"BOOL":true}"# } else { br#"{"BOOL":false}"# });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), CodecError> {
        self.float(value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), CodecError> {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), CodecError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CodecError> {
        self.writer.size += value.len();
        self.writer.text("S", value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CodecError> {
        self.writer.size += value.len();
        self.writer.text("B", &aws_smithy_types::base64::encode(value));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.writer.null();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), CodecError> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), CodecError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        match name {
            SET => value.serialize(SetSerializer { writer: self.writer }),
            NUMBER => self.writer.checked_number(&value.serialize(NameSerializer)?),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.writer.enter_variant(variant)?;
        value
            .serialize(ValueSerializer { writer: self.writer })
            .and_then(|()| self.writer.check_written())
            .map_err(|error| error.at(variant))?;
        self.writer.leave(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWriter<'w, 'e>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWriter<'w, 'e>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<ListWriter<'w, 'e>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListWriter<'w, 'e>, CodecError> {
        self.writer.enter_variant(variant)?;
        self.list(true)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'w, 'e>, CodecError> {
        self.map(MapEnd::Map)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter<'w, 'e>, CodecError> {
        self.map(MapEnd::Map)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapWriter<'w, 'e>, CodecError> {
        self.writer.enter_variant(variant)?;
        self.map(MapEnd::Variant)
    }
}

//! Maps and lists: what is between their values.

use std::collections::HashSet;

use serde::ser::{self, Serialize};

use super::name::NameSerializer;
use super::value::ValueSerializer;
use super::writer::Writer;
use crate::codec::CodecError;

/// The fields of an item, a map, a struct or a variant.
pub(super) struct MapWriter<'w, 'e> {
    writer: &'w mut Writer<'e>,
    first: bool,
    name: String,
    /// Those of a map so far; a struct's are told apart by its type.
    names: HashSet<String>,
    end: MapEnd,
}

/// What closes a map.
pub(super) enum MapEnd {
    /// The item itself.
    Item,
    /// A map within the item.
    Map,
    /// The fields of an enum's variant, a map within a map.
    Variant,
}

impl<'w, 'e> MapWriter<'w, 'e> {
    pub(super) fn new(writer: &'w mut Writer<'e>, end: MapEnd) -> Self {
        Self { writer, first: true, name: String::new(), names: HashSet::new(), end }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CodecError> {
        if matches!(self.end, MapEnd::Item) {
            return self.attribute(name, value);
        }
        let before = (self.writer.out.len(), self.writer.size, self.first);
        self.writer.separate(&mut self.first);
        self.writer.out.text(name);
        self.writer.out.raw(b":");
        self.writer.size += name.len() + 1;
        value.serialize(ValueSerializer { writer: self.writer }).map_err(|error| error.at(name))?;
        if self.writer.take_left_out() {
            self.writer.out.truncate(before.0);
            (self.writer.size, self.first) = (before.1, before.2);
        }
        Ok(())
    }

    /// An attribute of the item itself.
    fn attribute<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), CodecError> {
        let size = self.writer.size;
        let begun = self.writer.out.begin(name, &mut self.first);
        self.writer.size += name.len();
        value.serialize(ValueSerializer { writer: self.writer }).map_err(|error| error.at(name))?;
        let left_out = self.writer.take_left_out();
        if left_out {
            self.writer.size = size;
        }
        let Writer { out, places, .. } = &mut *self.writer;
        out.end(begun, left_out, &mut self.first, places);
        Ok(())
    }

    fn finish(self) {
        match self.end {
            MapEnd::Item => self.writer.out.brace(b'}'),
            MapEnd::Map => self.writer.leave(b'}'),
            MapEnd::Variant => {
                self.writer.leave(b'}');
                self.writer.leave(b'}');
            }
        }
    }
}

macro_rules! struct_writers {
    ($($which:ident),*) => {$(
        impl ser::$which for MapWriter<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), CodecError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

struct_writers!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for MapWriter<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.name = key.serialize(NameSerializer)?;
        if self.name.is_empty() {
            return Err(CodecError::new(
                "a key of a map is empty, which DynamoDB does not allow for a name",
            ));
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let name = std::mem::take(&mut self.name);
        // Of two attributes of one name the service would keep one, and nobody knows which: with
        // `flatten` it may be the key.
        if !self.names.insert(name.clone()) {
            return Err(CodecError::new("two attributes have this name").at(&name));
        }
        self.field(&name, value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.finish();
        Ok(())
    }
}

pub(super) struct ListWriter<'w, 'e> {
    writer: &'w mut Writer<'e>,
    first: bool,
    index: usize,
    in_variant: bool,
}

impl<'w, 'e> ListWriter<'w, 'e> {
    pub(super) fn new(writer: &'w mut Writer<'e>, in_variant: bool) -> Self {
        Self { writer, first: true, index: 0, in_variant }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.writer.separate(&mut self.first);
        self.writer.size += 1;
        let index = self.index;
        self.index += 1;
        value
            .serialize(ValueSerializer { writer: self.writer })
            .and_then(|()| self.writer.check_written())
            .map_err(|error| error.at_index(index))
    }

    fn finish(self) {
        self.writer.leave(b']');
        if self.in_variant {
            self.writer.leave(b'}');
        }
    }
}

macro_rules! list_writers {
    ($($which:ident :: $method:ident),*) => {$(
        impl ser::$which for ListWriter<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
                self.element(value)
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

list_writers!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

//! Maps and lists: what is between their values.

use std::collections::HashSet;

use serde::ser::{self, Serialize};

use super::name::NameSerializer;
use super::value::ValueSerializer;
use super::writer::Writer;
use crate::codec::CodecError;
use crate::codec::places::Place;
use crate::codec::tree::write_text;

/// The fields of an item, a map, a struct or a variant.
pub(super) struct MapWriter<'w> {
    writer: &'w mut Writer,
    first: bool,
    /// Bytes that an entry costs beside name and value: 1 within a map, 0 in the item itself.
    entry: usize,
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

impl<'w> MapWriter<'w> {
    pub(super) fn new(writer: &'w mut Writer, end: MapEnd) -> Self {
        let entry = usize::from(!matches!(end, MapEnd::Item));
        Self { writer, first: true, entry, name: String::new(), names: HashSet::new(), end }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CodecError> {
        let before = (self.writer.out.len(), self.writer.size, self.first);
        self.writer.separate(&mut self.first);
        let begin = self.writer.out.len();
        write_text(&mut self.writer.out, name);
        let end = self.writer.out.len();
        self.writer.out.push(b':');
        self.writer.size += name.len() + self.entry;
        value.serialize(ValueSerializer { writer: self.writer }).map_err(|error| error.at(name))?;
        if self.writer.take_left_out() {
            self.writer.out.truncate(before.0);
            (self.writer.size, self.first) = (before.1, before.2);
        } else if matches!(self.end, MapEnd::Item) {
            let value = end + 1..self.writer.out.len();
            self.writer.places.push(Place::of(begin..end, value));
        }
        Ok(())
    }

    fn finish(self) {
        match self.end {
            MapEnd::Item => self.writer.out.push(b'}'),
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
        impl ser::$which for MapWriter<'_> {
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

impl ser::SerializeMap for MapWriter<'_> {
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

pub(super) struct ListWriter<'w> {
    writer: &'w mut Writer,
    first: bool,
    index: usize,
    in_variant: bool,
}

impl<'w> ListWriter<'w> {
    pub(super) fn new(writer: &'w mut Writer, in_variant: bool) -> Self {
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
        impl ser::$which for ListWriter<'_> {
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

//! Sets and exact numbers, which pass through serde under names of ours.

use serde::ser::{self, Serialize};

use super::out::Out;
use super::value::ValueSerializer;
use super::writer::Writer;
use super::{refuse, refuse_maps, refuse_variants};
use crate::codec::CodecError;
use crate::codec::tree::{Malformed, Node, numbers, parse_value};

/// Writes a list as a set; an empty one leaves its attribute out.
pub(super) struct SetSerializer<'w, 'e> {
    pub(super) writer: &'w mut Writer<'e>,
}

/// The elements of a set, each encoded as a value of its own.
pub(super) struct SetWriter<'w, 'e> {
    writer: &'w mut Writer<'e>,
    elements: Vec<Vec<u8>>,
}

impl SetWriter<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let mut element = Writer::new(Out::small_json());
        value
            .serialize(ValueSerializer { writer: &mut element })
            .map_err(|error| error.at_index(self.elements.len()))?;
        self.elements.push(element.out.into_json());
        Ok(())
    }

    fn finish(self) -> Result<(), CodecError> {
        let unreadable = |error: Malformed| CodecError::new(error.to_string());
        let elements = self.elements.iter().map(|json| parse_value(json));
        let elements = elements.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        match set_of(elements)? {
            None => self.writer.leave_out(),
            Some(set) if occurs_twice(&set) => {
                return Err(CodecError::new("an element of the set occurs twice"));
            }
            Some(set) => self.writer.node(&set),
        }
        Ok(())
    }
}

fn occurs_twice(set: &Node<'_>) -> bool {
    fn twice<T: Ord>(mut elements: Vec<T>) -> bool {
        elements.sort_unstable();
        elements.windows(2).any(|pair| pair.first() == pair.last())
    }
    match set {
        Node::Ss(texts) => twice(texts.iter().collect()),
        Node::Ns(texts) => twice(numbers(texts)),
        Node::Bs(values) => twice(values.iter().collect()),
        _ => false,
    }
}

/// The set of elements that are all of one kind; `None` of none.
fn set_of(elements: Vec<Node<'_>>) -> Result<Option<Node<'_>>, CodecError> {
    let mut set = None;
    for (index, element) in elements.into_iter().enumerate() {
        match (&mut set, element) {
            (None, Node::S(text)) => set = Some(Node::Ss(vec![text])),
            (None, Node::N(text)) => set = Some(Node::Ns(vec![text])),
            (None, Node::B(bytes)) => set = Some(Node::Bs(vec![bytes])),
            (Some(Node::Ss(texts)), Node::S(text)) => texts.push(text),
            (Some(Node::Ns(texts)), Node::N(text)) => texts.push(text),
            (Some(Node::Bs(values)), Node::B(bytes)) => values.push(bytes),
            _ => {
                let why = "the elements of a set are all strings, all numbers or all bytes";
                return Err(CodecError::new(why).at_index(index));
            }
        }
    }
    Ok(set)
}

impl ser::SerializeSeq for SetWriter<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.finish()
    }
}

fn not_a_set<T>() -> Result<T, CodecError> {
    Err(CodecError::new("only a collection can be stored as a set"))
}

impl<'w, 'e> ser::Serializer for SetSerializer<'w, 'e> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = SetWriter<'w, 'e>;
    type SerializeTuple = ser::Impossible<(), CodecError>;
    type SerializeTupleStruct = ser::Impossible<(), CodecError>;
    type SerializeTupleVariant = ser::Impossible<(), CodecError>;
    type SerializeMap = ser::Impossible<(), CodecError>;
    type SerializeStruct = ser::Impossible<(), CodecError>;
    type SerializeStructVariant = ser::Impossible<(), CodecError>;

    refuse!(not_a_set: serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32),
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

    fn serialize_seq(self, length: Option<usize>) -> Result<SetWriter<'w, 'e>, CodecError> {
        Ok(SetWriter {
            writer: self.writer,
            elements: Vec::with_capacity(length.unwrap_or_default()),
        })
    }

    refuse_variants!(not_a_set);
    refuse_maps!(not_a_set);
}

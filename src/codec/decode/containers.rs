//! Maps, lists, sets and variants: what is within other values.

use std::borrow::Cow;
use std::slice;

use serde::de::{self, DeserializeSeed, Visitor};

use super::name::NameReader;
use super::value::{NodeReader, Place, Value};
use crate::codec::CodecError;
use crate::codec::tree::{Fields, Node};

/// The attributes of an item or a map.
pub(super) struct MapReader<'de> {
    fields: slice::Iter<'de, (Cow<'de, str>, Node<'de>)>,
    current: Option<(&'de str, &'de Node<'de>)>,
    place: Place,
}

impl<'de> MapReader<'de> {
    /// A reader of attributes, and the place where their values are.
    pub(super) fn new(fields: &'de Fields<'de>, place: Place) -> Self {
        Self { fields: fields.iter(), current: None, place }
    }
}

impl<'de> de::MapAccess<'de> for MapReader<'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CodecError> {
        self.current = self.fields.next().map(|(name, node)| (&**name, node));
        let read = |(name, node)| {
            // The name says that the list is a number set.
            let hides = self.place == Place::Named && matches!(node, &Node::Ns(_));
            seed.deserialize(NameReader::new(name, !hides))
        };
        self.current.map(read).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, CodecError> {
        let Some((name, node)) = self.current.take() else {
            return Err(CodecError::new("a value was asked for before its name"));
        };
        seed.deserialize(NodeReader::new(node, self.place)).map_err(|error| error.at(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// The values of a list or a set.
struct ListReader<I> {
    values: I,
    index: usize,
}

impl<'de, I: Iterator<Item = NodeReader<'de>>> de::SeqAccess<'de> for ListReader<I> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CodecError> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(value).map(Some).map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        self.values.size_hint().1
    }
}

/// Visits the elements of a list or a set; `None` of another value.
pub(super) fn visit_elements<'de, V: Visitor<'de>>(
    value: Value<'de>,
    place: Place,
    visitor: V,
) -> Option<Result<V::Value, CodecError>> {
    let exact = place == Place::Exact;
    let in_list = if exact { Place::Exact } else { Place::InList };
    let in_set = if exact { Place::Exact } else { Place::InSet };
    let element = |value| NodeReader { value, place: in_set };
    Some(match value {
        Value::L(nodes) => visit(nodes.iter().map(|node| NodeReader::new(node, in_list)), visitor),
        Value::Ss(texts) => visit(texts.iter().map(|text| element(Value::S(text))), visitor),
        Value::Ns(texts) => visit(texts.iter().map(|text| element(Value::N(text))), visitor),
        Value::Bs(values) => visit(values.iter().map(|bytes| element(Value::B(bytes))), visitor),
        _ => return None,
    })
}

fn visit<'de, V, I>(values: I, visitor: V) -> Result<V::Value, CodecError>
where
    V: Visitor<'de>,
    I: Iterator<Item = NodeReader<'de>>,
{
    let mut reader = ListReader { values, index: 0 };
    let value = visitor.visit_seq(&mut reader)?;
    match reader.values.next() {
        None => Ok(value),
        Some(_) => Err(CodecError::new("the list has more elements than the type")),
    }
}

/// The map of one entry that is an enum's variant with content.
pub(super) struct VariantReader<'de> {
    pub(super) variant: &'de str,
    pub(super) content: NodeReader<'de>,
}

impl<'de> de::EnumAccess<'de> for VariantReader<'de> {
    type Error = CodecError;
    type Variant = NodeReader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), CodecError> {
        Ok((seed.deserialize(NameReader::borrowed(self.variant))?, self.content))
    }
}

impl<'de> de::VariantAccess<'de> for NodeReader<'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        match self.value {
            Value::Null => Ok(()),
            _ => Err(self.wrong("a variant without content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, CodecError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CodecError> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        de::Deserializer::deserialize_map(self, visitor)
    }
}

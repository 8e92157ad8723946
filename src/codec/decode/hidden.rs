//! What serde's data model has no form for, hidden where only types of ours find it.
//!
//! Under `flatten` and in tagged enums serde reads values into a buffer of its own before it knows
//! their type, and the buffer has no numbers of 38 digits and no sets. So, where a type was not
//! asked for ([`deserialize_any`](serde::Deserializer::deserialize_any)):
//!
//! - A number that is no `i64`, `u64` or `f64` is a map with the key null within a few newtypes. Types
//!   that would have to round it refuse a newtype, also if they are within newtypes of the user's; no
//!   type reads such a map by chance.
//! - The elements of a string or binary set are handed over as not borrowed, all others as borrowed.
//! - The name of a number set is handed over as not borrowed, all others as borrowed.
//! - A number set without a name, directly within a list, is a newtype of a list.
//!
//! So any collection reads a set as before, except a number set within a list, which must be a
//! [`Set`](crate::Set) then. Whether something is borrowed means that only if the buffer was filled
//! by our codec; that is seen by the type of its errors ([`is_ours`]).

use serde::Deserializer;
use serde::de::value::UnitDeserializer;
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};

use super::name::NameReader;
use crate::codec::CodecError;

/// Whether a serializer or deserializer with errors of this type is that of our codec, or a buffer
/// of serde's in between. By name, since the types of errors are not `'static` to us.
pub(crate) fn is_ours<E>() -> bool {
    std::any::type_name::<E>() == std::any::type_name::<CodecError>()
}

/// How many newtypes hide a number: more than anyone has around a type, since each takes one away.
const LAYERS: u8 = 4;

/// A number in its hidden form.
pub(super) struct HiddenNumber<'de> {
    text: &'de str,
    /// The newtypes that are still around it.
    layers: u8,
}

impl<'de> HiddenNumber<'de> {
    pub(super) const fn new(text: &'de str) -> Self {
        Self { text, layers: LAYERS }
    }
}

impl<'de> Deserializer<'de> for HiddenNumber<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.layers.checked_sub(1) {
            Some(layers) => visitor.visit_newtype_struct(Self { layers, ..self }),
            None => visitor.visit_map(NullEntry(Some(self.text))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A map with one entry, whose key is null.
struct NullEntry<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for NullEntry<'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CodecError> {
        self.0.map(|_| seed.deserialize(UnitDeserializer::new())).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, CodecError> {
        let text = self.0.take().unwrap_or_default();
        seed.deserialize(NameReader::borrowed(text))
    }
}

/// The text of a number in its hidden form, as a visitor finds it within the newtypes.
pub(crate) fn hidden_number<'de, A: MapAccess<'de>>(mut map: A) -> Result<String, A::Error> {
    match map.next_entry::<(), String>()? {
        Some(((), text)) => Ok(text),
        None => Err(de::Error::custom("expected a number, found a map")),
    }
}

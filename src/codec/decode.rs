//! Items to records.

mod containers;
mod hidden;
mod name;
mod number;
mod refused;
mod value;

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeOwned, Visitor};

pub(crate) use self::hidden::{hidden_number, is_ours};
pub(crate) use self::number::Carried;

use self::containers::MapReader;
use self::refused::explained;
use self::value::Place;
use super::encode::{form, size_if_same};
use super::kept::Kept;
use super::places::Values;
use super::tree::{
    Fields, Node, field, fields_size, parse_item, parse_item_with_places, write_fields,
};
use super::{CodecError, same_items};
use crate::error::BoxError;
use crate::key::{Key, KeyValue};
use crate::record::Record;
use crate::types::ATTRIBUTES;
use crate::validation::invalid_fields;

/// A record as it was loaded.
pub(crate) struct Decoded<T> {
    pub(crate) key: Key,
    pub(crate) record: T,
    /// What the item has and the record's type does not know.
    pub(crate) kept: Option<Kept>,
    /// Bytes of the item, by DynamoDB's arithmetic.
    pub(crate) size: usize,
}

/// Why an item does not fit its type.
#[derive(Debug)]
pub(crate) enum Undecodable {
    /// Its form.
    Form(CodecError),
    /// The record's own `after_load` refused it.
    AfterLoad(BoxError),
}

impl Undecodable {
    /// What the user's own code said.
    pub(crate) fn into_source(self) -> Option<BoxError> {
        match self {
            Self::Form(_) => None,
            Self::AfterLoad(source) => Some(source),
        }
    }
}

impl From<CodecError> for Undecodable {
    fn from(error: CodecError) -> Self {
        Self::Form(error)
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(error) => error.fmt(f),
            Self::AfterLoad(source) => match invalid_fields(source) {
                Some(text) => f.write_str(&text),
                // Its words are the source's to say.
                None => f.write_str("its `after_load` refused it"),
            },
        }
    }
}

/// Decodes an item, keeping what its type does not know, and runs the record's `after_load`.
pub(crate) fn decode<T: Record>(json: &[u8]) -> Result<Decoded<T>, Undecodable> {
    let (mut decoded, again) = decode_form::<T>(json)?;
    let again = again.as_deref().unwrap_or(json);
    let mut is_itself = decoded.kept.as_ref().is_none_or(|kept| !kept.is_stale());
    if T::HAS_HOOKS {
        let key = record_key(&decoded.record)?;
        // After all was compared with the item: what it changes is to be written, but only with the
        // next change of the record.
        decoded.record.after_load().map_err(Undecodable::AfterLoad)?;
        check_key_stays(&key, &decoded.record)?;
        is_itself &= same_items(&form(&decoded.record)?.json, again);
    }
    if !is_itself {
        decoded.kept = Some(Kept::with_original(decoded.kept.take(), json));
    }
    Ok(decoded)
}

/// Decodes an item without the record's `after_load`: what it is made of had that.
pub(crate) fn decode_again<T: Record>(json: &[u8]) -> Result<Decoded<T>, CodecError> {
    decode_form(json).map(|(decoded, _)| decoded)
}

fn record_key<T: Record>(record: &T) -> Result<Key, CodecError> {
    Key::new(&record.key()).map_err(|error| CodecError::new(error.to_string()))
}

fn check_key_stays<T: Record>(key: &Key, record: &T) -> Result<(), CodecError> {
    let changed = record_key(record)?;
    if changed == *key {
        return Ok(());
    }
    Err(CodecError::new(format!("its `after_load` changed the key from {key} to {changed}")))
}

/// The record as it is stored, and what it encodes to, where that is another text.
fn decode_form<T: Record>(json: &[u8]) -> Result<(Decoded<T>, Option<Vec<u8>>), CodecError> {
    let parsed = parse_item_with_places(json);
    let (fields, places) = parsed.map_err(|error| CodecError::new(error.to_string()))?;
    let mut declared = Vec::new();
    let reader = ItemReader { fields: &fields, declared: &mut declared, place: Place::Named };
    let record = T::deserialize(reader).map_err(|error| explained(error, &fields))?;
    // The item's own key, which a type may read in several forms: the service knows it by one.
    let key = match key_of(&fields, T::PARTITION_KEY, T::SORT_KEY) {
        Some(key) => key,
        None => record_key(&record)?,
    };
    // However large: what is stored can be read, though saving it may be refused.
    if let Some(size) = size_if_same(&record, Values { json, places: &places })? {
        return Ok((Decoded { key, record, kept: None, size }, None));
    }
    let again = form(&record)?.json;
    let kept = Kept::of::<T>(&fields, &again, &declared)?;
    Ok((Decoded { key, record, kept, size: fields_size(&fields) }, Some(again)))
}

/// Decodes some attributes of an item.
pub(crate) fn decode_part<P: DeserializeOwned>(json: &[u8]) -> Result<P, CodecError> {
    let fields = parse_item(json).map_err(|error| CodecError::new(error.to_string()))?;
    let mut declared = Vec::new();
    let reader = ItemReader { fields: &fields, declared: &mut declared, place: Place::Named };
    P::deserialize(reader).map_err(|error| explained(error, &fields))
}

/// These attributes of an item as DynamoDB JSON; `None` if one is absent.
pub(crate) fn key_of_item(fields: &Fields<'_>, names: &[&str]) -> Option<String> {
    let key = names.iter().map(|name| Some((Cow::Borrowed(*name), field(fields, name)?.clone())));
    let mut json = Vec::new();
    write_fields(&mut json, &key.collect::<Option<Fields<'_>>>()?);
    String::from_utf8(json).ok()
}

/// The key of an item that may not fit its type, for the error that says so.
pub(crate) fn item_key(json: &[u8], partition: &str, sort: Option<&str>) -> Option<Key> {
    key_of(&parse_item(json).ok()?, partition, sort)
}

fn key_of(fields: &Fields<'_>, partition: &str, sort: Option<&str>) -> Option<Key> {
    Key::of_item(partition, sort, |name| {
        Some(match field(fields, name)? {
            Node::S(text) => KeyValue::String(Cow::Borrowed(text)),
            Node::N(text) => KeyValue::Number(Cow::Borrowed(text)),
            Node::B(bytes) => KeyValue::Binary(Cow::Borrowed(bytes)),
            _ => return None,
        })
    })
}

/// Reads the item itself and notes the attributes that its type declares.
struct ItemReader<'de, 'd> {
    fields: &'de Fields<'de>,
    declared: &'d mut Vec<&'static str>,
    place: Place,
}

impl<'de> de::Deserializer<'de> for ItemReader<'de, '_> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_map(MapReader::new(self.fields, self.place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.declared.extend_from_slice(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        if name == ATTRIBUTES {
            self.place = Place::Exact;
        }
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

//! Records to DynamoDB JSON, with the item's size counted on the way.

mod containers;
mod index_keys;
mod item;
mod name;
mod out;
mod set;
mod value;
mod writer;

use item::ItemSerializer;
use out::Out;
use serde::Serialize;
use smallvec::SmallVec;
use value::ValueSerializer;
use writer::Writer;

use super::places::Values;
use super::tree::{Node, parse_value, write_text};
use super::{CodecError, MAX_ITEM};
use crate::key::{Key, KeyValue};
use crate::record::Record;

/// An item as it is sent: the JSON object of its attributes, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedItem {
    /// DynamoDB JSON.
    pub(crate) json: Vec<u8>,
    /// Bytes by DynamoDB's arithmetic: attribute names and values, not their JSON.
    pub(crate) size: usize,
}

/// Encodes a record.
///
/// Refuses what DynamoDB would: values without a form, more than 32 levels, more than 400 KB, values
/// that cannot be the key of an index; and a record whose stored key attributes are not its key.
pub(crate) fn encode<T: Record>(record: &T, key: &Key) -> Result<EncodedItem, CodecError> {
    checked::<T>(written(record, Out::json())?, key)
}

/// The size of a record's item, which is refused as [`encode`] would.
pub(crate) fn measure<T: Record>(record: &T, key: &Key) -> Result<usize, CodecError> {
    let mut looked_at = SmallVec::<[&'static str; 8]>::new();
    looked_at.push(T::PARTITION_KEY);
    looked_at.extend(T::SORT_KEY);
    for index in T::INDEX_SPECS {
        looked_at.extend(index.partition_key().map(|key| key.name));
        looked_at.extend(index.sort_key_spec().map(|key| key.name));
    }
    checked::<T>(written(record, Out::size(&looked_at))?, key).map(|item| item.size)
}

fn checked<T: Record>(written: Writer<'_>, key: &Key) -> Result<EncodedItem, CodecError> {
    let Writer { out, size, places, .. } = written;
    if size > MAX_ITEM {
        return Err(CodecError::new(format!(
            "the item has {size} bytes, attribute names included; DynamoDB allows {MAX_ITEM}"
        )));
    }
    let item = EncodedItem { json: out.into_json(), size };
    let values = Values { json: &item.json, places: &places };
    check_key::<T>(values, key)?;
    index_keys::check(values, T::INDEX_SPECS)?;
    Ok(item)
}

/// Encodes a value that stands alone, as the codec would inside an item.
pub(crate) fn encode_value<V: Serialize + ?Sized>(value: &V) -> Result<Node<'static>, CodecError> {
    let mut writer = Writer::new(Out::small_json());
    value.serialize(ValueSerializer { writer: &mut writer })?;
    writer.check_written()?;
    let json = writer.out.into_json();
    let node = parse_value(&json).map_err(|error| CodecError::new(error.to_string()))?;
    Ok(node.into_owned())
}

/// A record's form, whatever its size and key.
pub(crate) fn form<T: Record>(record: &T) -> Result<EncodedItem, CodecError> {
    let Writer { out, size, .. } = written(record, Out::json())?;
    Ok(EncodedItem { json: out.into_json(), size })
}

/// The size of a record's item, if it has the same text as one that is stored, its attributes in any order; `None` if
/// it has another, by which it may be the same all the same.
pub(super) fn size_if_same<T: Record>(
    record: &T,
    stored: Values<'_>,
) -> Result<Option<usize>, CodecError> {
    let Writer { out, size, .. } = written(record, Out::same(stored))?;
    Ok(out.is_same().then_some(size))
}

fn written<'e, T: Record>(record: &T, out: Out<'e>) -> Result<Writer<'e>, CodecError> {
    let mut writer = Writer::new(out);
    record.serialize(ItemSerializer { writer: &mut writer })?;
    Ok(writer)
}

/// The key attributes as a JSON object.
pub(crate) fn key_json<T: Record>(key: &Key) -> Vec<u8> {
    // What is around the names and the values, of which few are escaped.
    let around = 32 + T::PARTITION_KEY.len() + T::SORT_KEY.map_or(0, str::len);
    let mut out = Vec::with_capacity(around + key.as_bytes().len());
    out.push(b'{');
    write_key_value(&mut out, T::PARTITION_KEY, &key.partition());
    if let (Some(name), Some(value)) = (T::SORT_KEY, key.sort()) {
        out.push(b',');
        write_key_value(&mut out, name, &value);
    }
    out.push(b'}');
    out
}

fn write_key_value(out: &mut Vec<u8>, name: &str, value: &KeyValue<'_>) {
    write_text(out, name);
    out.push(b':');
    write_value(out, value);
}

fn write_value(out: &mut Vec<u8>, value: &KeyValue<'_>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(value.kind().letter().as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        KeyValue::String(text) | KeyValue::Number(text) => write_text(out, text),
        KeyValue::Binary(bytes) => write_text(out, &aws_smithy_types::base64::encode(bytes)),
    }
    out.push(b'}');
}

/// A key type whose serde form is another than its key form would be written under one key and
/// looked up under another.
fn check_key<T: Record>(item: Values<'_>, key: &Key) -> Result<(), CodecError> {
    check_key_part(item, T::PARTITION_KEY, &key.partition())?;
    match (T::SORT_KEY, key.sort()) {
        (Some(name), Some(value)) => check_key_part(item, name, &value),
        _ => Ok(()),
    }
}

fn check_key_part(item: Values<'_>, name: &str, value: &KeyValue<'_>) -> Result<(), CodecError> {
    let mut expected = Vec::with_capacity(64);
    write_value(&mut expected, value);
    if item.get(name) == Some(&expected) {
        return Ok(());
    }
    // Mostly it is the same text; a number may have another one.
    let wanted = parse_value(&expected).map_err(|error| CodecError::new(error.to_string()))?;
    if item.node(name)?.is_some_and(|stored| stored.same(&wanted)) {
        return Ok(());
    }
    Err(CodecError::new(
        "serde stores this key attribute in another form than the key has; make both the same",
    )
    .at(name))
}

/// Methods of a serializer that take no such value.
macro_rules! refuse {
    ($make:ident: $($method:ident($($type:ty),*)),* $(,)?) => {$(
        fn $method(self $(, _: $type)*) -> Result<Self::Ok, Self::Error> {
            $make()
        }
    )*};
}

/// The methods of a serializer for tuples and for variants with content, all of them refused.
macro_rules! refuse_variants {
    ($make:ident) => {
        fn serialize_newtype_variant<T: serde::Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, Self::Error> {
            $make()
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Self::Error> {
            $make()
        }

        fn serialize_tuple_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleStruct, Self::Error> {
            $make()
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, Self::Error> {
            $make()
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, Self::Error> {
            $make()
        }
    };
}

/// The methods of a serializer for lists, refused.
macro_rules! refuse_lists {
    ($make:ident) => {
        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Self::Error> {
            $make()
        }
    };
}

/// The methods of a serializer for maps and structs, refused.
macro_rules! refuse_maps {
    ($make:ident) => {
        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Self::Error> {
            $make()
        }

        fn serialize_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStruct, Self::Error> {
            $make()
        }
    };
}

use {refuse, refuse_lists, refuse_maps, refuse_variants};

//! Records to DynamoDB JSON, with the item's size counted on the way.

use serde::ser::{self, Serialize};

use super::tree::{MAX_DEPTH, number_size, write_text};
use super::{CodecError, MAX_ITEM};
use crate::key::{Key, KeyValue};
use crate::number::Decimal;
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
/// Refuses what DynamoDB would: values without a form, more than 32 levels, more than 400 KB; and
/// a record whose stored key attributes are not its key.
pub(crate) fn encode<T: Record>(record: &T, key: &Key) -> Result<EncodedItem, CodecError> {
    let mut writer = Writer { out: Vec::with_capacity(256), size: 0, depth: 0 };
    record.serialize(ItemSerializer { writer: &mut writer })?;
    let item = EncodedItem { json: writer.out, size: writer.size };
    if item.size > MAX_ITEM {
        let size = item.size;
        return Err(CodecError::new(format!(
            "the item has {size} bytes, attribute names included; DynamoDB allows {MAX_ITEM}"
        )));
    }
    check_key::<T>(&item, key)?;
    Ok(item)
}

/// The key attributes as a JSON object.
pub(crate) fn key_json<T: Record>(key: &Key) -> Vec<u8> {
    let mut out = vec![b'{'];
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
    out.extend_from_slice(b":{\"");
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
fn check_key<T: Record>(item: &EncodedItem, key: &Key) -> Result<(), CodecError> {
    check_key_part(item, T::PARTITION_KEY, &key.partition())?;
    match (T::SORT_KEY, key.sort()) {
        (Some(name), Some(value)) => check_key_part(item, name, &value),
        _ => Ok(()),
    }
}

fn check_key_part(item: &EncodedItem, name: &str, value: &KeyValue<'_>) -> Result<(), CodecError> {
    let mut expected = Vec::with_capacity(64);
    write_key_value(&mut expected, name, value);
    // Keys are mostly declared first; else the item is searched.
    if item.json.get(1..=expected.len()) == Some(&expected) {
        return Ok(());
    }
    let fields =
        super::tree::parse_item(&item.json).map_err(|error| CodecError::new(error.to_string()))?;
    let json = [b"{", &*expected, b"}"].concat();
    let wanted =
        super::tree::parse_item(&json).map_err(|error| CodecError::new(error.to_string()))?;
    let same = match (super::tree::field(&fields, name), wanted.first()) {
        (Some(stored), Some((_, key))) => stored.same(key),
        _ => false,
    };
    if same {
        return Ok(());
    }
    Err(CodecError::new(
        "serde stores this key attribute in another form than the key has; make both the same",
    )
    .at(name))
}

struct Writer {
    out: Vec<u8>,
    size: usize,
    depth: usize,
}

impl Writer {
    fn tag(&mut self, tag: &str) {
        self.out.extend_from_slice(b"{\"");
        self.out.extend_from_slice(tag.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, tag: &str, text: &str) {
        self.tag(tag);
        write_text(&mut self.out, text);
        self.out.push(b'}');
    }

    fn number(&mut self, text: &str) {
        self.size += number_size(text);
        self.text("N", text);
    }

    /// Integers of up to 64 bits always fit DynamoDB's 38 digits.
    fn integer(&mut self, value: impl itoa::Integer) {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(value);
        self.number(text);
    }

    fn checked_number(&mut self, text: &str) -> Result<(), CodecError> {
        let number = Decimal::parse(text)
            .and_then(Decimal::storable)
            .map_err(|bad| CodecError::new(format!("the number is {bad}")))?;
        self.size += number.size();
        self.text("N", text);
        Ok(())
    }

    fn null(&mut self) {
        self.size += 1;
        self.out.extend_from_slice(br#"{"NULL":true}"#);
    }

    fn enter(&mut self, tag: &str, open: u8) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodecError::new("nested deeper than DynamoDB's 32 levels"));
        }
        self.size += 3;
        self.tag(tag);
        self.out.push(open);
        Ok(())
    }

    fn leave(&mut self, close: u8) {
        self.depth -= 1;
        self.out.extend_from_slice(&[close, b'}']);
    }

    /// Opens the one-entry map of an enum variant with content.
    fn enter_variant(&mut self, variant: &str) -> Result<(), CodecError> {
        self.enter("M", b'{')?;
        write_text(&mut self.out, variant);
        self.out.push(b':');
        self.size += variant.len() + 1;
        Ok(())
    }

    fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
    }
}

/// The fields of an item, a map, a struct or a variant.
struct MapWriter<'w> {
    writer: &'w mut Writer,
    first: bool,
    /// Bytes that an entry costs beside name and value: 1 within a map, 0 in the item itself.
    entry: usize,
    name: String,
    end: MapEnd,
}

enum MapEnd {
    Item,
    Map,
    Variant,
}

impl MapWriter<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CodecError> {
        self.writer.separate(&mut self.first);
        write_text(&mut self.writer.out, name);
        self.writer.out.push(b':');
        self.writer.size += name.len() + self.entry;
        value.serialize(ValueSerializer { writer: self.writer }).map_err(|error| error.at(name))
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

impl ser::SerializeStruct for MapWriter<'_> {
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

impl ser::SerializeStructVariant for MapWriter<'_> {
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

impl ser::SerializeMap for MapWriter<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.name = key.serialize(NameSerializer)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let name = std::mem::take(&mut self.name);
        self.field(&name, value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.finish();
        Ok(())
    }
}

struct ListWriter<'w> {
    writer: &'w mut Writer,
    first: bool,
    index: usize,
    in_variant: bool,
}

impl ListWriter<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.writer.separate(&mut self.first);
        self.writer.size += 1;
        let index = self.index;
        self.index += 1;
        value
            .serialize(ValueSerializer { writer: self.writer })
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

/// Writes an attribute value.
struct ValueSerializer<'w> {
    writer: &'w mut Writer,
}

impl<'w> ValueSerializer<'w> {
    fn list(self, in_variant: bool) -> Result<ListWriter<'w>, CodecError> {
        self.writer.enter("L", b'[')?;
        Ok(ListWriter { writer: self.writer, first: true, index: 0, in_variant })
    }

    fn map(self, end: MapEnd) -> Result<MapWriter<'w>, CodecError> {
        self.writer.enter("M", b'{')?;
        Ok(MapWriter { writer: self.writer, first: true, entry: 1, name: String::new(), end })
    }

    fn float(self, value: impl Into<f64>, shortest: &str) -> Result<(), CodecError> {
        let value = value.into();
        if value.is_finite() {
            self.writer.checked_number(shortest)
        } else {
            Err(CodecError::new("NaN and infinities are no DynamoDB numbers"))
        }
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

impl<'w> ser::Serializer for ValueSerializer<'w> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = ListWriter<'w>;
    type SerializeTuple = ListWriter<'w>;
    type SerializeTupleStruct = ListWriter<'w>;
    type SerializeTupleVariant = ListWriter<'w>;
    type SerializeMap = MapWriter<'w>;
    type SerializeStruct = MapWriter<'w>;
    type SerializeStructVariant = MapWriter<'w>;

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
        self.writer.out.extend_from_slice(if value {
            br#"{"BOOL":true}"#
        } else {
            br#"{"BOOL":false}"#
        });
        Ok(())
    }

    // `{:?}` is the shortest text that reads back as the same float, with an exponent where it is
    // long; it says `1.0` for whole numbers, which DynamoDB stores as `1`.
    fn serialize_f32(self, value: f32) -> Result<(), CodecError> {
        let text = format!("{value:?}");
        self.float(value, text.strip_suffix(".0").unwrap_or(&text))
    }

    fn serialize_f64(self, value: f64) -> Result<(), CodecError> {
        let text = format!("{value:?}");
        self.float(value, text.strip_suffix(".0").unwrap_or(&text))
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
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        value.serialize(self)
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
            .map_err(|error| error.at(variant))?;
        self.writer.leave(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWriter<'w>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWriter<'w>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<ListWriter<'w>, CodecError> {
        self.list(false)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListWriter<'w>, CodecError> {
        self.writer.enter_variant(variant)?;
        self.list(true)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'w>, CodecError> {
        self.map(MapEnd::Map)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter<'w>, CodecError> {
        self.map(MapEnd::Map)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapWriter<'w>, CodecError> {
        self.writer.enter_variant(variant)?;
        self.map(MapEnd::Variant)
    }
}

fn not_a_map<T>() -> Result<T, CodecError> {
    Err(CodecError::new(
        "a record must be stored as a map of attributes: a struct, a map or a tagged enum",
    ))
}

macro_rules! refuse {
    ($make:ident: $($method:ident($($type:ty),*)),* $(,)?) => {$(
        fn $method(self $(, _: $type)*) -> Result<Self::Ok, Self::Error> {
            $make()
        }
    )*};
}

/// Writes the item itself, which has no type tag around it.
struct ItemSerializer<'w> {
    writer: &'w mut Writer,
}

impl<'w> ItemSerializer<'w> {
    fn map(self) -> MapWriter<'w> {
        self.writer.out.push(b'{');
        MapWriter {
            writer: self.writer,
            first: true,
            entry: 0,
            name: String::new(),
            end: MapEnd::Item,
        }
    }
}

impl<'w> ser::Serializer for ItemSerializer<'w> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = ser::Impossible<(), CodecError>;
    type SerializeTuple = ser::Impossible<(), CodecError>;
    type SerializeTupleStruct = ser::Impossible<(), CodecError>;
    type SerializeTupleVariant = ser::Impossible<(), CodecError>;
    type SerializeMap = MapWriter<'w>;
    type SerializeStruct = MapWriter<'w>;
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

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), CodecError> {
        not_a_map()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, CodecError> {
        not_a_map()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, CodecError> {
        not_a_map()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, CodecError> {
        not_a_map()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, CodecError> {
        not_a_map()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'w>, CodecError> {
        Ok(self.map())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter<'w>, CodecError> {
        Ok(self.map())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, CodecError> {
        not_a_map()
    }
}

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
struct NameSerializer;

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

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, CodecError> {
        no_name()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, CodecError> {
        no_name()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, CodecError> {
        no_name()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, CodecError> {
        no_name()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, CodecError> {
        no_name()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, CodecError> {
        no_name()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, CodecError> {
        no_name()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, CodecError> {
        no_name()
    }
}

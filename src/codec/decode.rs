//! Items to records.

mod name;

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use self::name::{NameReader, visit_text};
use super::CodecError;
use super::encode::form;
use super::kept::Kept;
use super::tree::{Fields, Node, field, parse_item};
use crate::error::BoxError;
use crate::key::{Key, KeyValue};
use crate::number::Decimal;
use crate::record::Record;
use crate::types::NUMBER;

/// A record as it was loaded.
pub(crate) struct Decoded<T> {
    pub(crate) key: Key,
    pub(crate) record: T,
    /// What the item has and the record's type does not know.
    pub(crate) kept: Option<Kept>,
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
            // Its words are the source's to say.
            Self::AfterLoad(_) => f.write_str("its `after_load` refused it"),
        }
    }
}

/// Decodes an item, keeping what its type does not know, and runs the record's `after_load`.
pub(crate) fn decode<T: Record>(json: &[u8]) -> Result<Decoded<T>, Undecodable> {
    let mut decoded = decode_form::<T>(json)?;
    if T::HAS_HOOKS {
        // After all was compared with the item: what it changes is to be written, but only with the
        // next change of the record.
        decoded.record.after_load().map_err(Undecodable::AfterLoad)?;
        check_key_stays(&decoded)?;
    }
    Ok(decoded)
}

fn check_key_stays<T: Record>(decoded: &Decoded<T>) -> Result<(), CodecError> {
    let changed =
        Key::new(&decoded.record.key()).map_err(|error| CodecError::new(error.to_string()))?;
    if changed == decoded.key {
        return Ok(());
    }
    let key = &decoded.key;
    Err(CodecError::new(format!("its `after_load` changed the key from {key} to {changed}")))
}

fn decode_form<T: Record>(json: &[u8]) -> Result<Decoded<T>, CodecError> {
    let fields = parse_item(json).map_err(|error| CodecError::new(error.to_string()))?;
    let mut declared = Vec::new();
    let record = T::deserialize(ItemReader { fields: &fields, declared: &mut declared })?;
    let key = Key::new(&record.key()).map_err(|error| CodecError::new(error.to_string()))?;
    // However large: what is stored can be read, though saving it may be refused.
    let again = form(&record)?;
    let kept = Kept::of::<T>(&fields, &again.json, &declared)?;
    Ok(Decoded { key, record, kept })
}

/// The key of an item that may not fit its type, for the error that says so.
pub(crate) fn item_key(json: &[u8], partition: &str, sort: Option<&str>) -> Option<Key> {
    let fields = parse_item(json).ok()?;
    Key::of_item(partition, sort, |name| {
        Some(match field(&fields, name)? {
            Node::S(text) => KeyValue::String(Cow::Borrowed(text)),
            Node::N(text) => KeyValue::Number(Cow::Borrowed(text)),
            Node::B(bytes) => KeyValue::Binary(Cow::Borrowed(bytes)),
            _ => return None,
        })
    })
}

/// Reads the item itself and notes the attributes that its type declares.
struct ItemReader<'n, 'a, 'd> {
    fields: &'n Fields<'a>,
    declared: &'d mut Vec<&'static str>,
}

impl<'de: 'n, 'n> de::Deserializer<'de> for ItemReader<'n, 'de, '_> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_map(MapReader::new(self.fields))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.declared.extend_from_slice(fields);
        visitor.visit_map(MapReader::new(self.fields))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct MapReader<'n, 'a> {
    fields: std::slice::Iter<'n, (Cow<'a, str>, Node<'a>)>,
    current: Option<&'n (Cow<'a, str>, Node<'a>)>,
}

impl<'n, 'a> MapReader<'n, 'a> {
    fn new(fields: &'n Fields<'a>) -> Self {
        Self { fields: fields.iter(), current: None }
    }
}

impl<'de: 'n, 'n> de::MapAccess<'de> for MapReader<'n, 'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CodecError> {
        self.current = self.fields.next();
        self.current.map(|(name, _)| seed.deserialize(NameReader(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, CodecError> {
        let Some((name, node)) = self.current.take() else {
            return Err(CodecError::new("a value was asked for before its name"));
        };
        seed.deserialize(NodeReader(node)).map_err(|error| error.at(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// A list or a set, as values.
struct ListReader<I> {
    values: I,
    index: usize,
}

impl<'de: 'n, 'n, I: Iterator<Item = Cow<'n, Node<'de>>>> de::SeqAccess<'de> for ListReader<I> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CodecError> {
        let Some(node) = self.values.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(NodeReader(&node)).map(Some).map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        self.values.size_hint().1
    }
}

fn visit_list<'de: 'n, 'n, V, I>(values: I, visitor: V) -> Result<V::Value, CodecError>
where
    V: Visitor<'de>,
    I: Iterator<Item = Cow<'n, Node<'de>>>,
{
    let mut reader = ListReader { values, index: 0 };
    let value = visitor.visit_seq(&mut reader)?;
    match reader.values.next() {
        None => Ok(value),
        Some(_) => Err(CodecError::new("the list has more elements than the type")),
    }
}

/// Reads an attribute value.
struct NodeReader<'n, 'a>(&'n Node<'a>);

impl<'de> NodeReader<'_, 'de> {
    fn kind(&self) -> &'static str {
        match self.0 {
            Node::S(_) => "a string",
            Node::N(_) => "a number",
            Node::B(_) => "bytes",
            Node::Bool(_) => "a boolean",
            Node::Null => "null",
            Node::L(_) => "a list",
            Node::M(_) => "a map",
            Node::Ss(_) => "a string set",
            Node::Ns(_) => "a number set",
            Node::Bs(_) => "a binary set",
        }
    }

    fn wrong(&self, expected: &str) -> CodecError {
        CodecError::new(format!("expected {expected}, found {}", self.kind()))
    }

    fn integer<N: std::str::FromStr>(&self, type_name: &str) -> Result<N, CodecError> {
        let Node::N(text) = self.0 else {
            return Err(self.wrong("a number"));
        };
        if let Ok(value) = text.parse() {
            return Ok(value);
        }
        let whole = Decimal::parse(text).ok().and_then(|number| number.integer_text());
        whole
            .and_then(|whole| whole.parse().ok())
            .ok_or_else(|| CodecError::new(format!("the number does not fit {type_name}")))
    }

    /// A float, if it is the number: its shortest text must say the same value.
    fn float<F: std::str::FromStr + std::fmt::Debug>(&self) -> Result<F, CodecError> {
        let Node::N(text) = self.0 else {
            return Err(self.wrong("a number"));
        };
        let value: F = text.parse().map_err(|_| CodecError::new("not a decimal number"))?;
        let shortest = format!("{value:?}");
        // The text that the codec itself writes is the shortest already.
        let exact = shortest.strip_suffix(".0").unwrap_or(&shortest) == &**text
            || matches!((Decimal::parse(&shortest), Decimal::parse(text)), (Ok(a), Ok(b)) if a == b);
        if exact {
            return Ok(value);
        }
        let name = std::any::type_name::<F>();
        Err(CodecError::new(format!(
            "the number has more digits than {name} holds; read it into a `memory_table::Number`"
        )))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident: $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            visitor.$visit(self.integer::<$type>(stringify!($type))?)
        }
    )*};
}

impl<'de: 'n, 'n> de::Deserializer<'de> for NodeReader<'n, 'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.0 {
            Node::S(text) => visit_text(text, visitor),
            Node::N(_) => {
                if let Ok(value) = self.integer::<i64>("i64") {
                    visitor.visit_i64(value)
                } else if let Ok(value) = self.integer::<u64>("u64") {
                    visitor.visit_u64(value)
                } else {
                    visitor.visit_f64(self.float::<f64>()?)
                }
            }
            Node::B(bytes) => visitor.visit_bytes(bytes),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Null => visitor.visit_unit(),
            Node::M(fields) => visitor.visit_map(MapReader::new(fields)),
            Node::L(_) | Node::Ss(_) | Node::Ns(_) | Node::Bs(_) => self.deserialize_seq(visitor),
        }
    }

    integers!(deserialize_i8 visit_i8: i8, deserialize_i16 visit_i16: i16, deserialize_i32 visit_i32: i32,
        deserialize_i64 visit_i64: i64, deserialize_i128 visit_i128: i128, deserialize_u8 visit_u8: u8,
        deserialize_u16 visit_u16: u16, deserialize_u32 visit_u32: u32, deserialize_u64 visit_u64: u64,
        deserialize_u128 visit_u128: u128);

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_f32(self.float::<f32>()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_f64(self.float::<f64>()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            _ => Err(self.wrong("null")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match (name, self.0) {
            (NUMBER, Node::N(text)) => visitor.visit_newtype_struct(NameReader(text)),
            (NUMBER, _) => Err(self.wrong("a number")),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let owned = |node: Node<'de>| Cow::Owned(node);
        match self.0 {
            Node::L(values) => visit_list(values.iter().map(Cow::Borrowed), visitor),
            Node::Ss(texts) => visit_list(texts.iter().cloned().map(Node::S).map(owned), visitor),
            Node::Ns(texts) => visit_list(texts.iter().cloned().map(Node::N).map(owned), visitor),
            Node::Bs(values) => visit_list(values.iter().cloned().map(Node::B).map(owned), visitor),
            _ => Err(self.wrong("a list or a set")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.0 {
            Node::S(variant) => visitor.visit_enum((&**variant).into_deserializer()),
            Node::M(fields) => match &fields[..] {
                [(variant, node)] => visitor.visit_enum(VariantReader { variant, node }),
                _ => Err(CodecError::new("expected a map of one entry, the variant of an enum")),
            },
            _ => Err(self.wrong("a variant: a string or a map of one entry")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool char str string bytes byte_buf map struct identifier
    }
}

struct VariantReader<'n, 'a> {
    variant: &'n Cow<'a, str>,
    node: &'n Node<'a>,
}

impl<'de: 'n, 'n> de::EnumAccess<'de> for VariantReader<'n, 'de> {
    type Error = CodecError;
    type Variant = NodeReader<'n, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), CodecError> {
        Ok((seed.deserialize(NameReader(self.variant))?, NodeReader(self.node)))
    }
}

impl<'de: 'n, 'n> de::VariantAccess<'de> for NodeReader<'n, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        match self.0 {
            Node::Null => Ok(()),
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
        de::Deserializer::deserialize_any(self, visitor)
    }
}

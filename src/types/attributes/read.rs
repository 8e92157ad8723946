//! Attributes through serde, inwards; what our codec hides, and where, is told in its `hidden`.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Attributes;
use crate::codec::{hidden_number, is_ours};
use crate::types::ATTRIBUTES;

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ATTRIBUTES, AttributesVisitor).map(Self)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = HashMap<String, AttributeValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of attributes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        inner.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut attributes = HashMap::with_capacity(map.size_hint().unwrap_or_default().min(64));
        while let Some(name) = map.next_key::<Name>()? {
            let seed = ValueSeed { number_set: name.hides && is_ours::<A::Error>() };
            attributes.insert(name.text, map.next_value_seed(seed)?.value);
        }
        Ok(attributes)
    }
}

/// The name of an attribute, and whether our codec means by it that its value is a number set.
struct Name {
    text: String,
    hides: bool,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an attribute")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name, E> {
                Ok(Name { text: text.to_owned(), hides: false })
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name { text: text.to_owned(), hides: true })
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// A value on its way in, and whether our codec means that it is an element of a set.
struct Read {
    value: AttributeValue,
    in_set: bool,
}

impl Read {
    const fn of(value: AttributeValue) -> Self {
        Self { value, in_set: false }
    }
}

struct ValueSeed {
    number_set: bool,
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E>(self, value: $type) -> Result<Read, E> {
            Ok(Read::of(AttributeValue::N(value.to_string())))
        }
    )*};
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    numbers!(visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128);

    fn visit_bool<E>(self, value: bool) -> Result<Read, E> {
        Ok(Read::of(AttributeValue::Bool(value)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Read, E> {
        if !value.is_finite() {
            return Err(E::custom("NaN and infinities are no DynamoDB numbers"));
        }
        let text = format!("{value:?}");
        let text = text.strip_suffix(".0").unwrap_or(&text);
        Ok(Read::of(AttributeValue::N(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Read, E> {
        Ok(Read::of(AttributeValue::S(text.to_owned())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Read, E> {
        Ok(Read { value: AttributeValue::S(text.to_owned()), in_set: true })
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Read, E> {
        Ok(Read::of(AttributeValue::B(Blob::new(bytes))))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Read, E> {
        Ok(Read { value: AttributeValue::B(Blob::new(bytes)), in_set: true })
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read::of(AttributeValue::Null(true)))
    }

    fn visit_none<E>(self) -> Result<Read, E> {
        Ok(Read::of(AttributeValue::Null(true)))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Read, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Read, D::Error> {
        inner.deserialize_any(HiddenVisitor).map(Read::of)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Read, A::Error> {
        AttributesVisitor.visit_map(map).map(AttributeValue::M).map(Read::of)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Read, A::Error> {
        let elements = elements(seq)?;
        let of_set = !elements.is_empty() && elements.iter().all(|element| element.in_set);
        let values = elements.into_iter().map(|element| element.value);
        if self.number_set || (of_set && is_ours::<A::Error>()) {
            set_of(values).map(Read::of)
        } else {
            Ok(Read::of(AttributeValue::L(values.collect())))
        }
    }
}

fn elements<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<Read>, A::Error> {
    let mut elements = Vec::new();
    while let Some(element) = seq.next_element_seed(ValueSeed { number_set: false })? {
        elements.push(element);
    }
    Ok(elements)
}

/// What our codec hid in a newtype: a number, or a set.
struct HiddenVisitor;

impl<'de> Visitor<'de> for HiddenVisitor {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a set")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        inner: D,
    ) -> Result<AttributeValue, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AttributeValue, A::Error> {
        hidden_number(map).map(AttributeValue::N)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<AttributeValue, A::Error> {
        set_of(elements(seq)?.into_iter().map(|element| element.value))
    }
}

/// The set of elements, which are all of one kind.
fn set_of<E: de::Error>(
    elements: impl Iterator<Item = AttributeValue>,
) -> Result<AttributeValue, E> {
    let (mut texts, mut numbers, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for element in elements {
        match element {
            AttributeValue::S(text) => texts.push(text),
            AttributeValue::N(text) => numbers.push(text),
            AttributeValue::B(value) => bytes.push(value),
            _ => return Err(E::custom("expected an element of a set")),
        }
    }
    match (texts.is_empty(), numbers.is_empty(), bytes.is_empty()) {
        (false, true, true) => Ok(AttributeValue::Ss(texts)),
        (true, false, true) => Ok(AttributeValue::Ns(numbers)),
        (true, true, false) => Ok(AttributeValue::Bs(bytes)),
        _ => Err(E::custom("expected the elements of a set, all of one kind")),
    }
}

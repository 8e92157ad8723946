//! Random items and conditions, from few names and values so that they meet.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use memory_table::aws_sdk_dynamodb;
use memory_table::condition::Any;
use memory_table::{AttributeType, Binary, Condition, Field, Number, Set, attribute};
use serde::{Serialize, Serializer};

const NAMES: [&str; 6] = ["a", "b", "c", "size", "and", "x.y"];
const TEXTS: [&str; 9] = ["", "a", "ab", "b", "aé", "é", "\u{ffff}", "😀", "a😀b"];
const NUMBERS: [&str; 11] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "10",
    "100000000000000000000000000000000001",
    "100000000000000000000000000000000002",
    "1E-100",
    "-1E100",
];
const BYTES: [&[u8]; 5] = [b"", b"\0", b"\0\x01", b"\xff", b"a"];

pub struct Random(fastrand::Rng);

type Value = AttributeValue;

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.0.usize(..of.len())]
    }

    fn some<T: PartialEq>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut elements = Vec::new();
        for _ in 0..self.0.usize(1..4) {
            let element = make(self);
            if !elements.contains(&element) {
                elements.push(element);
            }
        }
        elements
    }

    fn text(&mut self) -> String {
        self.one(&TEXTS).to_owned()
    }

    fn number(&mut self) -> String {
        self.one(&NUMBERS).to_owned()
    }

    fn bytes(&mut self) -> Blob {
        Blob::new(self.one(&BYTES))
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.0.u32(..if depth == 0 { 11 } else { 15 }) {
            0..=2 => Value::S(self.text()),
            3..=5 => Value::N(self.number()),
            6 => Value::B(self.bytes()),
            7 => Value::Bool(self.0.bool()),
            8 => Value::Null(true),
            9 => Value::Ss(self.some(Self::text)),
            10 if self.0.bool() => Value::Ns(self.some(Self::number)),
            10 => Value::Bs(self.some(Self::bytes)),
            11 | 12 => Value::L((0..self.0.u32(..4)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::M(self.map(depth - 1)),
        }
    }

    fn map(&mut self, depth: u32) -> HashMap<String, Value> {
        let entries = self.0.usize(..4);
        (0..entries).map(|_| (self.one(&NAMES).to_owned(), self.value(depth))).collect()
    }

    pub fn items(&mut self, count: usize) -> Vec<HashMap<String, Value>> {
        let items = (0..count).map(|id| {
            let mut item: HashMap<_, _> =
                NAMES.iter().map(|name| ((*name).to_owned(), self.value(3))).collect();
            item.retain(|_, _| self.0.u32(..5) > 0);
            item.insert("id".to_owned(), Value::S(format!("item {id}")));
            item
        });
        items.collect()
    }

    fn field(&mut self) -> Field<Any> {
        let mut field = match self.0.u32(..20) {
            0 => return attribute("id"),
            _ => Field::named(self.one(&NAMES)),
        };
        while self.0.u32(..4) == 0 {
            field = if self.0.bool() {
                field.field(self.one(&NAMES))
            } else {
                field.index(self.0.usize(..3))
            };
        }
        field
    }

    /// A value as serde writes it.
    fn operand(&mut self) -> Plain {
        Plain(self.value(2))
    }

    /// A string, a number or bytes: what has an order.
    fn scalar(&mut self) -> Plain {
        Plain(match self.0.u32(..5) {
            0 | 1 => Value::S(self.text()),
            2 | 3 => Value::N(self.number()),
            _ => Value::B(self.bytes()),
        })
    }

    pub fn condition(&mut self) -> Condition {
        match self.0.u32(..8) {
            0 => self.condition() & self.condition(),
            1 => self.condition() | self.condition(),
            2 => !self.condition(),
            _ => self.comparison(),
        }
    }

    fn comparison(&mut self) -> Condition {
        let (field, other) = (self.field(), self.field());
        match self.0.u32(..17) {
            0 => field.eq(self.operand()),
            1 => field.ne(self.operand()),
            2 => field.lt(self.scalar()),
            3 => field.le(self.scalar()),
            4 => field.gt(self.scalar()),
            // Mostly refused.
            5 => field.ge(self.operand()),
            6 => field.between(self.scalar(), self.scalar()),
            7 => {
                let values: Vec<_> = (0..self.0.usize(1..6)).map(|_| self.operand()).collect();
                field.is_in(values)
            }
            8 => field.begins_with(self.scalar()),
            9 | 10 => field.contains(self.operand()),
            11 => field.exists(),
            12 => field.not_exists(),
            13 => field.attribute_type(self.type_name()),
            14 => self.size(&field, &other),
            15 => self.of_two(&field, &other),
            _ => field.size().between(self.0.usize(..2), self.0.usize(..4)),
        }
    }

    fn size(&mut self, field: &Field<Any>, other: &Field<Any>) -> Condition {
        let size = self.0.usize(..4);
        match self.0.u32(..8) {
            0 => field.size().eq(size),
            1 => field.size().ne(size),
            2 => field.size().lt(size),
            3 => field.size().ge(size),
            4 => field.size().is_in([size, size + 2]),
            5 => field.size().lt(other.size()),
            6 => field.size().ne(other.size()),
            _ => field.size().le(other.as_type::<usize>()),
        }
    }

    fn of_two(&mut self, field: &Field<Any>, other: &Field<Any>) -> Condition {
        match self.0.u32(..7) {
            0 => field.eq(other),
            1 => field.ne(other),
            2 => field.lt(other),
            3 => field.between(other, self.scalar()),
            4 => field.contains(other),
            5 => field.begins_with(other),
            _ => field.is_in([other.clone(), self.field()]),
        }
    }

    fn type_name(&mut self) -> AttributeType {
        use AttributeType as Type;
        const ALL: [Type; 10] = [
            Type::String,
            Type::Number,
            Type::Binary,
            Type::Boolean,
            Type::Null,
            Type::List,
            Type::Map,
            Type::StringSet,
            Type::NumberSet,
            Type::BinarySet,
        ];
        ALL[self.0.usize(..ALL.len())]
    }
}

/// An attribute value that serde writes as itself.
struct Plain(AttributeValue);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = |text: &String| text.parse::<Number>().expect("a number");
        let binary = |bytes: &Blob| Binary::from(bytes.as_ref());
        match &self.0 {
            Value::S(text) => text.serialize(serializer),
            Value::N(text) => number(text).serialize(serializer),
            Value::B(bytes) => binary(bytes).serialize(serializer),
            Value::Bool(value) => value.serialize(serializer),
            Value::L(values) => serializer.collect_seq(values.iter().cloned().map(Plain)),
            Value::M(map) => {
                serializer.collect_map(map.iter().map(|(name, value)| (name, Plain(value.clone()))))
            }
            Value::Ss(texts) => texts.iter().cloned().collect::<Set<_>>().serialize(serializer),
            Value::Ns(texts) => texts.iter().map(number).collect::<Set<_>>().serialize(serializer),
            Value::Bs(values) => {
                values.iter().map(binary).collect::<Set<_>>().serialize(serializer)
            }
            _ => serializer.serialize_unit(),
        }
    }
}

//! An item as a tree of attribute values, borrowing from its DynamoDB JSON where it can.
//!
//! Only what must be looked at twice becomes a tree: what is decoded, what is compared beyond its
//! bytes, and records that carry attributes their type does not know.

mod parse;

use std::borrow::Cow;

use aws_smithy_types::base64;

pub(crate) use self::parse::{parse_item, parse_item_with_places, parse_value};
pub(crate) use crate::json::Malformed;
use crate::json::{has_escapes, is_escaped};
use crate::number::{Decimal, Measure};

/// An attribute value.
#[derive(Clone, Debug)]
pub(crate) enum Node<'a> {
    S(Cow<'a, str>),
    N(Cow<'a, str>),
    B(Vec<u8>),
    Bool(bool),
    Null,
    L(Vec<Node<'a>>),
    M(Fields<'a>),
    Ss(Vec<Cow<'a, str>>),
    Ns(Vec<Cow<'a, str>>),
    Bs(Vec<Vec<u8>>),
}

/// The attributes of an item or a map, in the order in which they came.
pub(crate) type Fields<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// DynamoDB's limit of nesting; the service refuses deeper items, so nothing it returns is deeper.
pub(crate) const MAX_DEPTH: usize = 32;

pub(crate) fn field<'n, 'a>(
    fields: &'n [(Cow<'a, str>, Node<'a>)],
    name: &str,
) -> Option<&'n Node<'a>> {
    fields.iter().find(|(known, _)| known == name).map(|(_, node)| node)
}

impl Node<'_> {
    /// The bytes that the value counts in an item, by DynamoDB's own arithmetic.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(text) => number_size(text),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::L(values) => 3 + values.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(fields) => 3 + fields.len() + fields_size(fields),
            Self::Ss(texts) => texts.iter().map(|text| text.len()).sum(),
            Self::Ns(numbers) => numbers.iter().map(|number| number_size(number)).sum(),
            Self::Bs(values) => values.iter().map(Vec::len).sum(),
        }
    }

    /// The name that DynamoDB gives the type.
    pub(crate) const fn tag(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::L(_) => "L",
            Self::M(_) => "M",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// Whether two values are the same to DynamoDB: numbers by value, maps and sets in any order.
    pub(crate) fn same(&self, other: &Node<'_>) -> bool {
        match (self, other) {
            (Self::S(a), Node::S(b)) => a == b,
            (Self::N(a), Node::N(b)) => same_number(a, b),
            (Self::B(a), Node::B(b)) => a == b,
            (Self::Bool(a), Node::Bool(b)) => a == b,
            (Self::Null, Node::Null) => true,
            (Self::L(a), Node::L(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::M(a), Node::M(b)) => same_fields(a, b),
            (Self::Ss(a), Node::Ss(b)) => sorted(a) == sorted(b),
            (Self::Ns(a), Node::Ns(b)) => a.len() == b.len() && numbers(a) == numbers(b),
            (Self::Bs(a), Node::Bs(b)) => sorted(a) == sorted(b),
            _ => false,
        }
    }

    /// Writes the value as DynamoDB JSON.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::S(text) => tagged(out, "S", |out| write_text(out, text)),
            Self::N(text) => tagged(out, "N", |out| write_text(out, text)),
            Self::B(bytes) => tagged(out, "B", |out| write_text(out, &base64::encode(bytes))),
            Self::Bool(value) => {
                tagged(out, "BOOL", |out| {
                    out.extend_from_slice(if *value { b"true" } else { b"false" });
                });
            }
            Self::Null => out.extend_from_slice(br#"{"NULL":true}"#),
            Self::L(values) => {
                tagged(out, "L", |out| write_list(out, values, |out, v| v.write_json(out)));
            }
            Self::M(fields) => tagged(out, "M", |out| write_fields(out, fields)),
            Self::Ss(texts) => {
                tagged(out, "SS", |out| write_list(out, texts, |out, t| write_text(out, t)));
            }
            Self::Ns(texts) => {
                tagged(out, "NS", |out| write_list(out, texts, |out, t| write_text(out, t)));
            }
            Self::Bs(values) => tagged(out, "BS", |out| {
                write_list(out, values, |out, v| write_text(out, &base64::encode(v)));
            }),
        }
    }
}

/// Names and values, without the overhead of a nested map.
pub(crate) fn fields_size(fields: &[(Cow<'_, str>, Node<'_>)]) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// Whether two items are the same to DynamoDB.
pub(crate) fn same_fields(a: &[(Cow<'_, str>, Node<'_>)], b: &[(Cow<'_, str>, Node<'_>)]) -> bool {
    // Mostly both come in the same order; only what does not is looked for.
    let same = |at: usize, name: &str, value: &Node<'_>| match b.get(at) {
        Some((other, node)) if other == name => value.same(node),
        _ => field(b, name).is_some_and(|node| value.same(node)),
    };
    a.len() == b.len() && a.iter().enumerate().all(|(at, (name, value))| same(at, name, value))
}

/// Whether two items have the same attribute of this name, or neither has one.
pub(crate) fn same_field(a: &Fields<'_>, b: &Fields<'_>, name: &str) -> bool {
    match (field(a, name), field(b, name)) {
        (Some(a), Some(b)) => a.same(b),
        (None, None) => true,
        _ => false,
    }
}

/// Writes the attributes of an item or a map as a JSON object.
pub(crate) fn write_fields(out: &mut Vec<u8>, fields: &[(Cow<'_, str>, Node<'_>)]) {
    out.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        value.write_json(out);
    }
    out.push(b'}');
}

/// Writes a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    if !has_escapes(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(plain..index).unwrap_or_default());
        plain = index + 1;
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(control >> 4),
                    digit(control & 15),
                ]);
            }
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    out.push(b'"');
}

fn tagged(out: &mut Vec<u8>, tag: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\":");
    value(out);
    out.push(b'}');
}

fn write_list<T>(out: &mut Vec<u8>, values: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

/// The size of a number by its text; text that is no number counts as it is, the service refuses it.
pub(crate) fn number_size(text: &str) -> usize {
    Measure::of(text).map_or(text.len(), Measure::size)
}

fn same_number(a: &str, b: &str) -> bool {
    a == b || matches!((Decimal::parse(a), Decimal::parse(b)), (Ok(a), Ok(b)) if a == b)
}

/// The elements of a set in order, for comparing sets that come in any order.
fn sorted<T: Ord>(elements: &[T]) -> Vec<&T> {
    let mut sorted: Vec<&T> = elements.iter().collect();
    sorted.sort_unstable();
    sorted
}

/// The numbers of a set by value and in order; text that is no number stays apart.
pub(crate) fn numbers<'t>(texts: &'t [Cow<'_, str>]) -> Vec<Result<Decimal, &'t str>> {
    let mut numbers: Vec<_> =
        texts.iter().map(|text| Decimal::parse(text).map_err(|_| &**text)).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(json: &str) {
        let mut out = Vec::new();
        write_fields(&mut out, &parse_item(json.as_bytes()).unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), json);
    }

    #[test]
    fn every_type_is_read_and_written_back() {
        round_trip(
            r#"{"s":{"S":"a\"\\\n\u0001é"},"n":{"N":"1.5"},"b":{"B":"AP8="},"t":{"BOOL":true},"z":{"NULL":true},"l":{"L":[{"S":""},{"L":[]}]},"m":{"M":{"x":{"M":{}}}},"ss":{"SS":["a","b"]},"ns":{"NS":["1"]},"bs":{"BS":["AA=="]}}"#,
        );
    }

    #[test]
    fn sameness_is_by_value_and_free_of_order() {
        let same = |a: &str, b: &str| {
            parse_value(a.as_bytes()).unwrap().same(&parse_value(b.as_bytes()).unwrap())
        };
        assert!(same(r#"{"N":"1.0"}"#, r#"{"N":"1"}"#));
        assert!(same(r#"{"NS":["1","2"]}"#, r#"{"NS":["2.0","1"]}"#));
        assert!(same(
            r#"{"M":{"a":{"S":"x"},"b":{"BOOL":true}}}"#,
            r#"{"M":{"b":{"BOOL":true},"a":{"S":"x"}}}"#
        ));
        assert!(!same(r#"{"L":[{"N":"1"},{"N":"2"}]}"#, r#"{"L":[{"N":"2"},{"N":"1"}]}"#));
        assert!(!same(r#"{"SS":["a"]}"#, r#"{"L":[{"S":"a"}]}"#));
        assert!(!same(r#"{"S":"1"}"#, r#"{"N":"1"}"#));
        assert!(!same(r#"{"M":{"a":{"S":"x"}}}"#, r#"{"M":{"b":{"S":"x"}}}"#));
    }

    #[test]
    fn malformed_values_are_errors() {
        for json in [
            "{}",
            r#"{"S":1}"#,
            r#"{"X":"a"}"#,
            r#"{"S":"a","N":"1"}"#,
            r#"{"B":"?"}"#,
            "[]",
            r#"{"S":"a"}x"#,
        ] {
            assert!(parse_value(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn nesting_beyond_dynamodbs_is_an_error_not_a_stack_overflow() {
        let nested = |levels: usize| {
            format!(r#"{{"a":{}{{"S":"x"}}{}}}"#, r#"{"L":["#.repeat(levels), "]}".repeat(levels))
        };
        assert!(parse_item(nested(32).as_bytes()).is_ok());
        assert!(parse_item(nested(34).as_bytes()).is_err());
        assert!(parse_item(nested(10_000).as_bytes()).is_err());
    }

    #[test]
    fn sizes_follow_dynamodbs_arithmetic() {
        let size = |json: &str| fields_size(&parse_item(json.as_bytes()).unwrap());
        assert_eq!(size(r#"{"name":{"S":"é"}}"#), 4 + 2);
        assert_eq!(size(r#"{"l":{"L":[{"N":"12"},{"BOOL":true}]}}"#), 1 + 3 + (1 + 2) + (1 + 1));
        assert_eq!(size(r#"{"m":{"M":{"ab":{"NULL":true}}}}"#), 1 + 3 + (1 + 2 + 1));
        assert_eq!(size(r#"{"b":{"B":"AP8="},"s":{"NS":["1","22"]}}"#), (1 + 2) + (1 + 2 + 2));
    }
}

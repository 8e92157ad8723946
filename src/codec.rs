//! The codec: records to DynamoDB JSON and back, straight through serde.
//!
//! What crosses the seam to the database is an [`EncodedItem`]: DynamoDB JSON with its size by the
//! service's own arithmetic. An item that was read is DynamoDB JSON too; it becomes a tree of
//! borrowed values ([`tree`]) and from there the record.

mod attribute_value;
mod decode;
mod encode;
mod kept;
mod owned;
mod places;
pub(crate) mod tree;

use std::borrow::Cow;
use std::fmt;

use crate::breaks::broken;

pub(crate) use attribute_value::{item_to_json, json_to_item, same_sdk_items};
pub(crate) use decode::{
    Carried, Decoded, Undecodable, decode, decode_again, decode_part, hidden_number, is_ours,
    item_key, key_of_item,
};
pub(crate) use encode::{EncodedItem, encode, encode_value, form as form_of, key_json, measure};
pub(crate) use kept::Kept;

/// The most bytes that an item may have, names included.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
pub(crate) const MAX_ITEM: usize = 400 * 1024;

/// The bytes of an item, by DynamoDB's arithmetic; `None` if it is none.
#[cfg(any(feature = "journal", feature = "test-util"))]
pub(crate) fn item_size(json: &[u8]) -> Option<usize> {
    tree::parse_item(json).ok().map(|fields| tree::fields_size(&fields))
}

/// Whether two encoded items are the same to DynamoDB: by their bytes first, then by value, since
/// maps and sets of a type iterate in any order.
pub(crate) fn same_items(a: &[u8], b: &[u8]) -> bool {
    if broken(4) {
        return a == b;
    }
    a == b
        || matches!((tree::parse_item(a), tree::parse_item(b)),
            (Ok(a), Ok(b)) if tree::same_fields(&a, &b))
}

/// Why a record cannot be stored or an item not be read, with the path of the attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecError {
    /// From the innermost part outwards.
    path: Vec<PathPart>,
    why: Cow<'static, str>,
    uncarried: Uncarried,
}

/// Whether an error is about a value that serde's buffers cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Uncarried {
    No,
    /// No variant of an enum fits, which may be so for such a value.
    Perhaps,
    /// A type refused such a value.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPart {
    Name(String),
    Index(usize),
}

impl CodecError {
    pub(crate) fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self { path: Vec::new(), why: why.into(), uncarried: Uncarried::No }
    }

    fn too_long(type_name: &str) -> Self {
        Self::new(format!(
            "the number has more digits than {type_name} holds; read it into a `memory_table::Number`"
        ))
    }

    fn at(mut self, name: &str) -> Self {
        self.path.push(PathPart::Name(name.to_owned()));
        self
    }

    fn at_index(mut self, index: usize) -> Self {
        self.path.push(PathPart::Index(index));
        self
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_path(f, self.path.iter().rev())?;
        f.write_str(&self.why)
    }
}

/// Writes a path, given from its outermost part inwards, as the beginning of a sentence.
fn write_path<'p>(
    f: &mut fmt::Formatter<'_>,
    path: impl Iterator<Item = &'p PathPart>,
) -> fmt::Result {
    let mut empty = true;
    for part in path {
        match part {
            PathPart::Name(name) if empty => write!(f, "attribute `{name}")?,
            PathPart::Name(name) => write!(f, ".{name}")?,
            PathPart::Index(at) => write!(f, "[{at}]")?,
        }
        empty = false;
    }
    if empty { Ok(()) } else { f.write_str("`: ") }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let why = message.to_string();
        // Serde's own words, which hide the errors of the variants.
        let no_variant = why.starts_with("data did not match any variant");
        let uncarried = if no_variant { Uncarried::Perhaps } else { Uncarried::No };
        Self { uncarried, ..Self::new(why) }
    }

    // Serde's own texts show the value found; contents of records do not belong into errors.
    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let why = format!("expected {expected}, found {}", kind_of(found));
        let refused = matches!(found, serde::de::Unexpected::NewtypeStruct);
        Self {
            uncarried: if refused { Uncarried::Refused } else { Uncarried::No },
            ..Self::new(why)
        }
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("expected {expected}, found another {}", kind_of(found)))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("none of the variants {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!(
            "the attribute `{field}` is absent; write `#[serde(default)]` on the field if it may be"
        ))
    }
}

fn kind_of(found: serde::de::Unexpected<'_>) -> &'static str {
    use serde::de::Unexpected as Found;
    match found {
        Found::Bool(_) => "boolean",
        Found::Unsigned(_) | Found::Signed(_) => "integer",
        Found::Float(_) => "number with a fraction",
        Found::Char(_) | Found::Str(_) => "string",
        Found::Bytes(_) => "binary value",
        Found::Unit | Found::Option => "null",
        Found::Seq => "list",
        Found::Map | Found::StructVariant => "map",
        _ => "value of another form",
    }
}

#[cfg(test)]
mod tests;

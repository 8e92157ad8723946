//! Between DynamoDB JSON and the SDK's attribute values, until the wire path needs neither.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::CodecError;
use super::tree::{Fields, Node, parse_item, same_fields, write_fields};

/// An item as the SDK has it.
pub(crate) type SdkItem = HashMap<String, AttributeValue>;

/// The SDK's item of DynamoDB JSON.
pub(crate) fn json_to_item(json: &[u8]) -> Result<SdkItem, CodecError> {
    let fields = parse_item(json).map_err(|error| CodecError::new(error.to_string()))?;
    Ok(to_map(fields))
}

/// The DynamoDB JSON of the SDK's item.
pub(crate) fn item_to_json(item: &SdkItem) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(64 * item.len());
    write_fields(&mut out, &from_map(item)?);
    Ok(out)
}

/// Whether two items are the same to DynamoDB; `None` if one has a type of value that is not known.
pub(crate) fn same_sdk_items(a: &SdkItem, b: &SdkItem) -> Option<bool> {
    Some(same_fields(&from_map(a).ok()?, &from_map(b).ok()?))
}

fn to_map(fields: Fields<'_>) -> SdkItem {
    fields.into_iter().map(|(name, node)| (name.into_owned(), to_value(node))).collect()
}

fn to_value(node: Node<'_>) -> AttributeValue {
    let texts = |texts: Vec<Cow<'_, str>>| texts.into_iter().map(Cow::into_owned).collect();
    match node {
        Node::S(text) => AttributeValue::S(text.into_owned()),
        Node::N(text) => AttributeValue::N(text.into_owned()),
        Node::B(bytes) => AttributeValue::B(Blob::new(bytes)),
        Node::Bool(value) => AttributeValue::Bool(value),
        Node::Null => AttributeValue::Null(true),
        Node::L(values) => AttributeValue::L(values.into_iter().map(to_value).collect()),
        Node::M(fields) => AttributeValue::M(to_map(fields)),
        Node::Ss(values) => AttributeValue::Ss(texts(values)),
        Node::Ns(values) => AttributeValue::Ns(texts(values)),
        Node::Bs(values) => AttributeValue::Bs(values.into_iter().map(Blob::new).collect()),
    }
}

fn from_map(item: &SdkItem) -> Result<Fields<'_>, CodecError> {
    item.iter()
        .map(|(name, value)| {
            let node = from_value(value).map_err(|error| error.at(name))?;
            Ok((Cow::Borrowed(name.as_str()), node))
        })
        .collect()
}

fn from_value(value: &AttributeValue) -> Result<Node<'_>, CodecError> {
    let texts = |texts: &'_ [String]| texts.iter().map(|text| Cow::Owned(text.clone())).collect();
    Ok(match value {
        AttributeValue::S(text) => Node::S(Cow::Borrowed(text)),
        AttributeValue::N(text) => Node::N(Cow::Borrowed(text)),
        AttributeValue::B(bytes) => Node::B(bytes.as_ref().to_vec()),
        AttributeValue::Bool(value) => Node::Bool(*value),
        AttributeValue::Null(_) => Node::Null,
        AttributeValue::L(values) => {
            Node::L(values.iter().map(from_value).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(fields) => Node::M(from_map(fields)?),
        AttributeValue::Ss(values) => Node::Ss(texts(values)),
        AttributeValue::Ns(values) => Node::Ns(texts(values)),
        AttributeValue::Bs(values) => {
            Node::Bs(values.iter().map(|value| value.as_ref().to_vec()).collect())
        }
        _ => {
            return Err(CodecError::new(
                "a type of attribute value that this version does not know",
            ));
        }
    })
}

//! The keys of indexes, which DynamoDB checks as it does the table's own.

use super::super::CodecError;
use super::super::places::Values;
use super::super::tree::Node;
use crate::key::{KeyKind, MAX_PARTITION, MAX_SORT};
use crate::spec::{IndexSpec, KeySpec};

/// Refuses an item with an attribute that cannot be the key of its index. An absent one is fine: the
/// item is not in the index then.
pub(super) fn check(item: Values<'_>, indexes: &[IndexSpec]) -> Result<(), CodecError> {
    for index in indexes {
        let partition = index.partition_key().map(|key| (key, MAX_PARTITION));
        let sort = index.sort_key_spec().map(|key| (key, MAX_SORT));
        for (key, max) in partition.into_iter().chain(sort) {
            if let Some(node) = item.node(key.name)? {
                check_value(&node, key, max).map_err(|why| {
                    let index = index.name();
                    CodecError::new(format!("it is a key of index `{index}`: {why}")).at(key.name)
                })?;
            }
        }
    }
    Ok(())
}

fn check_value(node: &Node<'_>, key: KeySpec, max: usize) -> Result<(), String> {
    let length = match (key.kind, node) {
        (KeyKind::String, Node::S(text)) => text.len(),
        (KeyKind::Binary, Node::B(bytes)) => bytes.len(),
        (KeyKind::Number, Node::N(_)) => return Ok(()),
        (kind, Node::Null) => {
            return Err(format!(
                "it is null, but a {kind} is needed; leave it out with `skip_serializing_if`"
            ));
        }
        (kind, _) => return Err(format!("it is stored in another form than as a {kind}")),
    };
    match length {
        0 => Err("it is empty, which DynamoDB does not allow for a key".to_owned()),
        length if length > max => Err(format!("it has {length} bytes, at most {max} are allowed")),
        _ => Ok(()),
    }
}

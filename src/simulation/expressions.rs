//! What expressions of writes mean, of the forms that this crate sends: a list of parts, each of one
//! attribute.

use std::borrow::Cow;

use crate::codec::tree::{Fields, Node, field, parse_item, write_fields};
use crate::condition::Rendered;
use crate::types::Number;

/// An item, or none.
pub(super) type Item = Option<Vec<u8>>;

/// Whether the condition of a write holds.
pub(super) fn holds(expressions: &Rendered, item: &Item) -> bool {
    let condition = expressions.condition.as_deref().unwrap_or_default();
    let stored = item.as_deref().map(|json| parse_item(json).expect("an item")).unwrap_or_default();
    all_hold(condition, expressions, &stored)
}

/// Whether an item meets a condition of a query.
pub(super) fn meets(condition: &str, expressions: &Rendered, item: &[u8]) -> bool {
    all_hold(condition, expressions, &parse_item(item).expect("an item"))
}

fn all_hold(condition: &str, expressions: &Rendered, stored: &Fields<'_>) -> bool {
    let values = parse_item(&expressions.values).expect("values");
    condition.split(" AND ").filter(|part| !part.is_empty()).all(|part| {
        let inside = |function| part.strip_prefix(function)?.strip_suffix(')');
        if let Some(name) = inside("attribute_exists(") {
            return field(stored, named(expressions, name)).is_some();
        }
        if let Some(name) = inside("attribute_not_exists(") {
            return field(stored, named(expressions, name)).is_none();
        }
        let (name, value) = part.split_once('=').expect("a comparison");
        let expected = field(&values, value.trim()).expect("a value");
        field(stored, named(expressions, name.trim())).is_some_and(|node| node.same(expected))
    })
}

/// The item that an update makes of another, or of a key alone.
pub(super) fn updated(expressions: &Rendered, key: &[u8], item: &Item) -> Vec<u8> {
    let values = parse_item(&expressions.values).expect("values");
    let stored = item.as_deref().unwrap_or(key);
    let mut fields = parse_item(stored).expect("an item");
    for (clause, parts) in clauses(expressions.update.as_deref().unwrap_or_default()) {
        for part in parts.split(',') {
            let (name, value) = part.split_once(['=', ' ']).unwrap_or((part, ""));
            let name = named(expressions, name);
            let value = field(&values, value);
            let before = field(&fields, name).filter(|_| clause == "ADD").map(number_of);
            fields.retain(|(known, _)| **known != *name);
            match (clause, value) {
                ("SET", Some(value)) => fields.push((Cow::Owned(name.to_owned()), value.clone())),
                ("ADD", Some(value)) => {
                    let sum = before.unwrap_or_default().checked_add(&number_of(value));
                    let sum = Node::N(Cow::Owned(sum.expect("a sum").to_string()));
                    fields.push((Cow::Owned(name.to_owned()), sum));
                }
                ("REMOVE", None) => {}
                other => panic!("{other:?} in {:?}", expressions.update),
            }
        }
    }
    write(&fields)
}

/// `SET a,b REMOVE c` as the clauses with their parts.
fn clauses(update: &str) -> Vec<(&str, &str)> {
    let mut clauses = Vec::new();
    let mut rest = update;
    while !rest.is_empty() {
        let (clause, after) = rest.split_once(' ').expect("a clause");
        let end = [" REMOVE ", " SET ", " ADD "].iter().filter_map(|next| after.find(next)).min();
        let (parts, next) = after.split_at(end.unwrap_or(after.len()));
        clauses.push((clause, parts));
        rest = next.trim_start();
    }
    clauses
}

fn named<'r>(expressions: &'r Rendered, placeholder: &str) -> &'r str {
    let place: usize = placeholder.strip_prefix("#n").and_then(|n| n.parse().ok()).expect("a name");
    &expressions.names[place]
}

fn number_of(node: &Node<'_>) -> Number {
    match node {
        Node::N(text) => text.parse().expect("a number"),
        other => panic!("no number: {other:?}"),
    }
}

fn write(fields: &Fields<'_>) -> Vec<u8> {
    let mut json = Vec::new();
    write_fields(&mut json, fields);
    json
}

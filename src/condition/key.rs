//! Conditions on the keys of what a query asks for.

use super::Condition;
use super::expression::{Comparison, Expression, Side};
use crate::key::KeyValue;

/// What a query asks of the sort key, its values being such as a key may have.
#[derive(Clone, Debug)]
pub(crate) enum KeyComparison {
    Eq(KeyValue<'static>),
    Lt(KeyValue<'static>),
    Le(KeyValue<'static>),
    Gt(KeyValue<'static>),
    Ge(KeyValue<'static>),
    Between(KeyValue<'static>, KeyValue<'static>),
    BeginsWith(KeyValue<'static>),
}

/// The condition of a query for the items of a partition, by the names of the key attributes.
pub(crate) fn key_condition(
    (partition, value): (&'static str, &KeyValue<'static>),
    sort: Option<(&'static str, &KeyComparison)>,
) -> Condition {
    let partition = compared(partition, Comparison::Eq, value);
    match sort {
        None => partition,
        Some((name, comparison)) => partition.and(sorted(name, comparison)),
    }
}

fn sorted(name: &'static str, comparison: &KeyComparison) -> Condition {
    let path = || Side::attribute(name);
    match comparison {
        KeyComparison::Eq(value) => compared(name, Comparison::Eq, value),
        KeyComparison::Lt(value) => compared(name, Comparison::Lt, value),
        KeyComparison::Le(value) => compared(name, Comparison::Le, value),
        KeyComparison::Gt(value) => compared(name, Comparison::Gt, value),
        KeyComparison::Ge(value) => compared(name, Comparison::Ge, value),
        KeyComparison::Between(low, high) => {
            Condition::of(Expression::between(path(), Side::key(low), Side::key(high)))
        }
        KeyComparison::BeginsWith(prefix) => {
            Condition::of(Expression::begins_with(path(), Side::key(prefix)))
        }
    }
}

fn compared(name: &'static str, comparison: Comparison, value: &KeyValue<'static>) -> Condition {
    Condition::of(Expression::compare(comparison, Side::attribute(name), Side::key(value)))
}

//! Conditions on items in memory, by the rules of the service.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::expression::{Comparison, Expression, Operand};
use crate::codec::tree::{Fields, Node};
use crate::number::Decimal;

impl Expression {
    /// Whether the condition holds for an item.
    pub(super) fn holds(&self, item: &Fields<'_>) -> bool {
        match self {
            Self::Compare(comparison, left, right) => {
                comparison.holds(left.of(item).as_deref(), right.of(item).as_deref())
            }
            Self::Between(value, low, high) => {
                let value = value.of(item);
                Comparison::Ge.holds(value.as_deref(), low.of(item).as_deref())
                    && Comparison::Le.holds(value.as_deref(), high.of(item).as_deref())
            }
            Self::In(value, values) => {
                let value = value.of(item);
                let is_it = |other: &Operand| {
                    Comparison::Eq.holds(value.as_deref(), other.of(item).as_deref())
                };
                values.iter().any(is_it)
            }
            Self::Exists(path) => path.resolve(item).is_some(),
            Self::NotExists(path) => path.resolve(item).is_none(),
            Self::Type(path, expected) => {
                path.resolve(item).is_some_and(|node| node.tag() == expected.tag())
            }
            Self::BeginsWith(value, prefix) => both(item, value, prefix, begins_with),
            Self::Contains(value, element) => both(item, value, element, contains),
            Self::And(parts) => parts.iter().all(|part| part.holds(item)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(item)),
            Self::Not(inner) => !inner.holds(item),
        }
    }
}

impl Operand {
    /// The operand's value for an item; `None` if it is absent, or has no size.
    fn of<'n, 'a>(&'n self, item: &'n Fields<'a>) -> Option<Cow<'n, Node<'a>>> {
        match self {
            Self::Path(path) => path.resolve(item).map(Cow::Borrowed),
            Self::Size(path) => {
                let size = size(path.resolve(item)?)?;
                Some(Cow::Owned(Node::N(Cow::Owned(size.to_string()))))
            }
            Self::Value(value) => Some(Cow::Borrowed(value)),
        }
    }
}

impl Comparison {
    /// What is absent equals nothing, has no order, and is different from everything.
    fn holds(self, left: Option<&Node<'_>>, right: Option<&Node<'_>>) -> bool {
        let sides = left.zip(right);
        let equal = || sides.is_some_and(|(left, right)| left.same(right));
        let order = || sides.and_then(|(left, right)| order(left, right));
        match self {
            Self::Eq => equal(),
            Self::Ne => !equal(),
            Self::Lt => order().is_some_and(Ordering::is_lt),
            Self::Le => order().is_some_and(Ordering::is_le),
            Self::Gt => order().is_some_and(Ordering::is_gt),
            Self::Ge => order().is_some_and(Ordering::is_ge),
        }
    }
}

/// The order of two values; values of different types have none, and other types have none at all.
pub(super) fn order(left: &Node<'_>, right: &Node<'_>) -> Option<Ordering> {
    match (left, right) {
        // The order of `str` is that of its bytes.
        (Node::S(left), Node::S(right)) => Some(left.cmp(right)),
        (Node::B(left), Node::B(right)) => Some(left.cmp(right)),
        (Node::N(left), Node::N(right)) => {
            Some(Decimal::parse(left).ok()?.cmp(&Decimal::parse(right).ok()?))
        }
        _ => None,
    }
}

fn both(
    item: &Fields<'_>,
    left: &Operand,
    right: &Operand,
    holds: fn(&Node<'_>, &Node<'_>) -> bool,
) -> bool {
    left.of(item).zip(right.of(item)).is_some_and(|(left, right)| holds(&left, &right))
}

fn begins_with(value: &Node<'_>, prefix: &Node<'_>) -> bool {
    match (value, prefix) {
        (Node::S(value), Node::S(prefix)) => value.starts_with(&**prefix),
        (Node::B(value), Node::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

fn contains(value: &Node<'_>, element: &Node<'_>) -> bool {
    match (value, element) {
        (Node::S(value), Node::S(part)) => value.contains(&**part),
        (Node::B(value), Node::B(part)) => {
            part.is_empty() || value.windows(part.len()).any(|window| window == &**part)
        }
        (Node::Ss(texts), Node::S(text)) => texts.contains(text),
        (Node::Ns(numbers), Node::N(_)) => {
            numbers.iter().any(|number| Node::N(Cow::Borrowed(number)).same(element))
        }
        (Node::Bs(values), Node::B(bytes)) => values.contains(bytes),
        (Node::L(values), element) => values.iter().any(|value| value.same(element)),
        _ => false,
    }
}

/// The size of a value that has one.
fn size(value: &Node<'_>) -> Option<usize> {
    match value {
        // UTF-16 code units: neither bytes nor characters.
        Node::S(text) => Some(text.encode_utf16().count()),
        Node::B(bytes) => Some(bytes.len()),
        Node::L(values) => Some(values.len()),
        Node::M(fields) => Some(fields.len()),
        Node::Ss(texts) | Node::Ns(texts) => Some(texts.len()),
        Node::Bs(values) => Some(values.len()),
        Node::N(_) | Node::Bool(_) | Node::Null => None,
    }
}

//! What a condition says, checked as DynamoDB would.

use serde::Serialize;

use super::field::{AttributeType, Field, Size};
use super::invalid;
use super::path::Path;
use crate::codec::encode_value;
use crate::codec::tree::Node;
use crate::error::Error;
use crate::key::KeyValue;

/// DynamoDB's limit of the values of one `IN`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_IN: usize = 100;

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Compare(Comparison, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    Type(Path, AttributeType),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    /// At least two, none of which is an `And` itself.
    And(Vec<Expression>),
    /// At least two, none of which is an `Or` itself.
    Or(Vec<Expression>),
    /// Of anything but a `Not`.
    Not(Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Path),
    Size(Path),
    Value(Node<'static>),
}

/// A side of a comparison, or why it cannot be one.
#[derive(Debug)]
pub struct Side(Result<Operand, Error>);

impl Side {
    pub(super) fn value<V: Serialize + ?Sized>(value: &V) -> Self {
        Self(node(value).map(Operand::Value))
    }

    pub(super) fn into_operand(self) -> Result<Operand, Error> {
        self.0
    }

    pub(super) fn path<V>(field: &Field<V>) -> Self {
        Self(field.path.check().map(|()| Operand::Path(field.path.clone())))
    }

    /// An attribute whose name was checked before.
    pub(super) const fn attribute(name: &'static str) -> Self {
        Self(Ok(Operand::Path(Path::named(name))))
    }

    pub(super) fn key(value: &KeyValue<'static>) -> Self {
        Self(Ok(Operand::Value(match value.clone() {
            KeyValue::String(text) => Node::S(text),
            KeyValue::Number(text) => Node::N(text),
            KeyValue::Binary(bytes) => Node::B(bytes.into_owned()),
        })))
    }

    pub(super) fn size(size: &Size) -> Self {
        Self(size.path.check().map(|()| Operand::Size(size.path.clone())))
    }
}

/// The form of a value.
pub(super) fn node<V: Serialize + ?Sized>(value: &V) -> Result<Node<'static>, Error> {
    encode_value(value)
        .map_err(|error| invalid(format!("a value that DynamoDB has no form for: {error}")))
}

impl Comparison {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    const fn is_of_order(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
}

impl Expression {
    pub(super) fn compare(comparison: Comparison, left: Side, right: Side) -> Result<Self, Error> {
        let (left, right) = (left.0?, right.0?);
        let operator = comparison.symbol();
        if comparison.is_of_order() {
            left.check_ordered(operator)?;
            right.check_ordered(operator)?;
        }
        check_distinct(operator, &left, [&right])?;
        Ok(Self::Compare(comparison, left, right))
    }

    pub(super) fn between(value: Side, low: Side, high: Side) -> Result<Self, Error> {
        let (value, low, high) = (value.0?, low.0?, high.0?);
        for operand in [&value, &low, &high] {
            operand.check_ordered("BETWEEN")?;
        }
        check_distinct("BETWEEN", &value, [&low, &high])?;
        if let (Operand::Value(low), Operand::Value(high)) = (&low, &high) {
            match super::evaluate::order(low, high) {
                None => {
                    let (low, high) = (low.tag(), high.tag());
                    return Err(invalid(format!(
                        "the bounds of BETWEEN are of one type, not {low} and {high}"
                    )));
                }
                Some(std::cmp::Ordering::Greater) => {
                    return Err(invalid("the lower bound of BETWEEN is above the upper"));
                }
                Some(_) => {}
            }
        }
        Ok(Self::Between(value, low, high))
    }

    pub(super) fn is_in(value: Side, values: Vec<Side>) -> Result<Self, Error> {
        let value = value.0?;
        if values.is_empty() || values.len() > MAX_IN {
            let count = values.len();
            return Err(invalid(format!("IN takes 1 to {MAX_IN} values, not {count}")));
        }
        let values = values.into_iter().map(|side| side.0).collect::<Result<Vec<_>, _>>()?;
        check_distinct("IN", &value, &values)?;
        Ok(Self::In(value, values))
    }

    pub(super) fn begins_with(value: Side, prefix: Side) -> Result<Self, Error> {
        let (value, prefix) = (value.0?, prefix.0?);
        let tag = prefix.known_tag();
        if let Some(tag) = tag.filter(|tag| !matches!(*tag, "S" | "B")) {
            return Err(invalid(format!("begins_with takes strings and bytes, not {tag}")));
        }
        check_distinct("begins_with", &value, [&prefix])?;
        Ok(Self::BeginsWith(value, prefix))
    }

    pub(super) fn contains(value: Side, element: Side) -> Result<Self, Error> {
        let (value, element) = (value.0?, element.0?);
        check_distinct("contains", &value, [&element])?;
        Ok(Self::Contains(value, element))
    }

    pub(super) fn exists(path: &Path, expected: bool) -> Result<Self, Error> {
        path.check()?;
        let path = path.clone();
        Ok(if expected { Self::Exists(path) } else { Self::NotExists(path) })
    }

    pub(super) fn of_type(path: &Path, expected: AttributeType) -> Result<Self, Error> {
        path.check()?;
        Ok(Self::Type(path.clone(), expected))
    }

    /// All paths, for what can be told of them only with a table at hand.
    pub(super) fn any_path(&self, found: &mut dyn FnMut(&Path) -> bool) -> bool {
        let mut operand = |operand: &Operand| match operand {
            Operand::Path(path) | Operand::Size(path) => found(path),
            Operand::Value(_) => false,
        };
        match self {
            Self::Compare(_, a, b) | Self::BeginsWith(a, b) | Self::Contains(a, b) => {
                operand(a) || operand(b)
            }
            Self::Between(a, b, c) => operand(a) || operand(b) || operand(c),
            Self::In(value, values) => operand(value) || values.iter().any(operand),
            Self::Exists(path) | Self::NotExists(path) | Self::Type(path, _) => found(path),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.any_path(found)),
            Self::Not(inner) => inner.any_path(found),
        }
    }
}

impl Operand {
    /// The type of the operand, as far as it is known without an item.
    fn known_tag(&self) -> Option<&'static str> {
        match self {
            Self::Path(_) => None,
            Self::Size(_) => Some("N"),
            Self::Value(value) => Some(value.tag()),
        }
    }

    fn check_ordered(&self, operator: &str) -> Result<(), Error> {
        match self.known_tag().filter(|tag| !matches!(*tag, "S" | "N" | "B")) {
            None => Ok(()),
            Some(tag) => {
                Err(invalid(format!("{operator} takes strings, numbers and bytes, not {tag}")))
            }
        }
    }
}

/// DynamoDB refuses to compare a path with itself; sizes and values it compares.
fn check_distinct<'o>(
    operator: &str,
    first: &Operand,
    rest: impl IntoIterator<Item = &'o Operand>,
) -> Result<(), Error> {
    let Operand::Path(first) = first else {
        return Ok(());
    };
    let same = |operand: &Operand| matches!(operand, Operand::Path(path) if path == first);
    if rest.into_iter().any(same) {
        return Err(invalid(format!("{operator} compares `{first}` with itself")));
    }
    Ok(())
}

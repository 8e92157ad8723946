//! Conditions on items: filters of scans, and the same rules on records in memory.
//!
//! A [`Condition`] is made from the handles of fields ([`Field`], by `Player::FIELDS` or
//! [`attribute`]) and combined with [`and`](Condition::and), [`or`](Condition::or) and
//! [`not`](Condition::not), or `&`, `|` and `!`. What it means is what DynamoDB means: values are
//! equal or ordered only if they are of one type, numbers by value, strings by their bytes.

mod evaluate;
mod expression;
mod field;
mod key;
mod path;
mod render;
mod types;
mod update;
mod write;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use expression::Expression;
use path::Path;

pub use field::{AttributeType, Field, Size, attribute};
pub use types::{Any, Container, List, Numeric, Operand, Ordered, Prefixed, Sizeable, Summand};

pub(crate) use key::{KeyComparison, key_condition};
pub(crate) use render::Rendered;
pub(crate) use update::Updates;
pub(crate) use write::{Changed, Expected};

use crate::codec::tree::{Fields, parse_item};
use crate::codec::{CodecError, encode, item_to_json};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;

/// DynamoDB's limit of comparisons, functions and logical operators of one expression.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_OPERATORS: usize = 300;

/// A condition on items, for [`Scan::filter`](crate::Scan::filter) and for records in memory.
///
/// What DynamoDB would refuse (a value it has no form for, `<` with a list, bounds in the wrong
/// order, over 100 values, 300 operators or 4 KB) stays in the condition and is the error of the
/// call that uses it, before any request.
///
/// # Example
///
/// ```
/// use memory_table::{Record, attribute};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     rating: f64,
/// }
///
/// let good = Player::FIELDS.rating.gt(1500.0) & !Player::FIELDS.name.begins_with("bot-");
/// let ada = Player { name: "ada".into(), rating: 1600.0 };
/// assert!(good.matches(&ada)?);
/// assert!(!good.and(attribute("banned").exists()).matches(&ada)?);
/// # Ok::<(), memory_table::Error>(())
/// ```
#[must_use = "a condition does nothing by itself"]
#[derive(Clone, Debug)]
pub struct Condition(Result<Checked, Error>);

#[derive(Clone, Debug)]
struct Checked {
    expression: Expression,
    /// Counted as DynamoDB does. It also bounds how deep the tree is.
    operators: usize,
}

impl Condition {
    fn of(expression: Result<Expression, Error>) -> Self {
        Self(expression.map(|expression| Checked { operators: operators(&expression), expression }))
    }

    /// What cannot be asked, for a reason that is known before it is used.
    pub(crate) const fn refused(error: Error) -> Self {
        Self(Err(error))
    }

    /// Whether it is one comparison, or none because it is refused.
    pub(crate) fn is_single(&self) -> bool {
        self.0.as_ref().map_or(true, |checked| !matches!(checked.expression, Expression::And(_)))
    }

    /// Both hold.
    pub fn and(self, other: Self) -> Self {
        self.joined(other, |left, right| {
            let mut parts = Vec::new();
            for side in [left, right] {
                match side {
                    Expression::And(more) => parts.extend(more),
                    other => parts.push(other),
                }
            }
            Expression::And(parts)
        })
    }

    /// One of them holds, or both.
    pub fn or(self, other: Self) -> Self {
        self.joined(other, |left, right| {
            let mut parts = Vec::new();
            for side in [left, right] {
                match side {
                    Expression::Or(more) => parts.extend(more),
                    other => parts.push(other),
                }
            }
            Expression::Or(parts)
        })
    }

    /// It does not hold. Of a comparison with an absent attribute, which is false, that is true.
    #[expect(clippy::should_implement_trait, reason = "it is implemented; this needs no import")]
    pub fn not(self) -> Self {
        let limited = self.0.and_then(|Checked { expression, operators }| match expression {
            Expression::Not(inner) => {
                Ok(Checked { expression: *inner, operators: operators.saturating_sub(1) })
            }
            other => checked(Expression::Not(Box::new(other)), operators + 1),
        });
        Self(limited)
    }

    fn joined(self, other: Self, join: impl FnOnce(Expression, Expression) -> Expression) -> Self {
        let joined = self.0.and_then(|left| {
            let right = other.0?;
            let operators = left.operators + right.operators + 1;
            checked(join(left.expression, right.expression), operators)
        });
        Self(joined)
    }

    /// Whether a record, as it would be stored, meets the condition.
    ///
    /// Attributes that the record's type does not know are absent here, even if the table has them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidCondition`] if DynamoDB would refuse the condition;
    /// [`ErrorKind::InvalidRecord`] and [`ErrorKind::InvalidKey`] if it could not store the record.
    pub fn matches<T: Record>(&self, record: &T) -> Result<bool, Error> {
        // A refused condition is the first error, whatever the record.
        self.expression()?;
        let unstorable =
            |error: CodecError| Error::new(ErrorKind::InvalidRecord, error.to_string());
        let key = Key::new(&record.key())?;
        let item = encode(record, &key).map_err(|error| unstorable(error).on_key(&key))?;
        let fields = parse_item(&item.json)
            .map_err(|error| unstorable(CodecError::new(error.to_string())))?;
        self.evaluate(&fields)
    }

    /// Whether an item as the SDK has it meets the condition.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidCondition`] if DynamoDB would refuse the condition;
    /// [`ErrorKind::InvalidItem`] if the item has a value that this version does not know.
    pub fn matches_item(&self, item: &HashMap<String, AttributeValue>) -> Result<bool, Error> {
        self.expression()?;
        let unreadable = |error: CodecError| Error::new(ErrorKind::InvalidItem, error.to_string());
        let json = item_to_json(item).map_err(unreadable)?;
        let fields =
            parse_item(&json).map_err(|error| unreadable(CodecError::new(error.to_string())))?;
        self.evaluate(&fields)
    }

    /// Whether the condition holds for the attributes of an item.
    pub(crate) fn evaluate(&self, item: &Fields<'_>) -> Result<bool, Error> {
        Ok(self.expression()?.holds(item))
    }

    /// Refuses what no item can be asked: what is inside a key attribute.
    pub(crate) fn check_keys(&self, keys: &[&str]) -> Result<(), Error> {
        let within =
            self.path_where(|path| !path.steps().is_empty() && keys.contains(&path.root()));
        match within? {
            None => Ok(()),
            Some(path) => {
                Err(invalid(format!("`{path}` looks inside a key, which is no list or map")))
            }
        }
    }

    /// Refuses the filter of a query that names a key of what is queried.
    pub(crate) fn check_filter(&self, keys: &[&str]) -> Result<(), Error> {
        match self.path_where(|path| keys.contains(&path.root()))? {
            None => Ok(()),
            Some(path) => Err(invalid(format!(
                "the filter of a query names the key `{path}`; say it by `sort_key()`, or scan"
            ))),
        }
    }

    /// The first path for which that holds, as text.
    fn path_where(&self, wanted: impl Fn(&Path) -> bool) -> Result<Option<String>, Error> {
        let mut first = None;
        self.expression()?.any_path(&mut |path| {
            let found = wanted(path);
            if found {
                first = Some(path.to_string());
            }
            found
        });
        Ok(first)
    }

    fn expression(&self) -> Result<&Expression, Error> {
        self.0.as_ref().map(|checked| &checked.expression).map_err(Clone::clone)
    }
}

impl std::ops::BitAnd for Condition {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.and(other)
    }
}

impl std::ops::BitOr for Condition {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Condition::not(self)
    }
}

/// An error of a condition, which is found before a request.
pub(crate) fn invalid(why: impl AsRef<str>) -> Error {
    let text = format!("DynamoDB refuses such a condition: {}", why.as_ref());
    Error::new(ErrorKind::InvalidCondition, text).advise("nothing was sent")
}

fn checked(expression: Expression, operators: usize) -> Result<Checked, Error> {
    if operators > MAX_OPERATORS {
        return Err(invalid(format!("it has more than {MAX_OPERATORS} operators")));
    }
    Ok(Checked { expression, operators })
}

/// The operators of one comparison or function: each `size` counts too.
fn operators(expression: &Expression) -> usize {
    let size = |operand: &expression::Operand| {
        usize::from(matches!(operand, expression::Operand::Size(_)))
    };
    1 + match expression {
        Expression::Compare(_, a, b) => size(a) + size(b),
        Expression::Between(a, b, c) => size(a) + size(b) + size(c),
        Expression::In(value, values) => size(value) + values.iter().map(size).sum::<usize>(),
        Expression::BeginsWith(a, b) | Expression::Contains(a, b) => size(a) + size(b),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;

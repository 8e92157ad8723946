//! Conditions as DynamoDB's expressions.

use std::collections::HashMap;
use std::fmt::Write;

use super::expression::{Expression, Operand};
use super::invalid;
use super::path::{Path, Step};
use super::{Condition, MAX_OPERATORS};
use crate::codec::tree::{Node, write_text};
use crate::error::Error;

/// DynamoDB's limit of the text of an expression.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_EXPRESSION: usize = 4096;
/// DynamoDB's limit of the names and values of an expression together.
const MAX_VARIABLES: usize = 2 * 1024 * 1024;

/// The expressions of a request with what they refer to. All names and values are placeholders, so
/// no name can be a reserved word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) key_condition: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) projection: Option<String>,
    /// What an update changes.
    pub(crate) update: Option<String>,
    /// What must be so for a write to be done.
    pub(crate) condition: Option<String>,
    /// The attribute names of `#n0`, `#n1` and so on.
    pub(crate) names: Vec<String>,
    /// The JSON object of the values, by their placeholders `:v0`, `:v1` and so on.
    pub(crate) values: Vec<u8>,
}

impl Rendered {
    /// The expressions of a query or scan.
    pub(crate) fn new(
        key_condition: Option<&Condition>,
        filter: Option<&Condition>,
        projection: &[&str],
    ) -> Result<Self, Error> {
        let mut renderer = Renderer::default();
        let key_condition = key_condition.map(|key| renderer.condition(key)).transpose()?;
        let filter = filter.map(|filter| renderer.condition(filter)).transpose()?;
        let projection = (!projection.is_empty()).then(|| renderer.projection(projection));
        if projection.as_ref().is_some_and(|text| text.len() > MAX_EXPRESSION) {
            return Err(invalid("its projection names too many attributes"));
        }
        renderer.check_variables()?;
        Ok(Self { key_condition, filter, projection, ..renderer.finish() })
    }
}

/// Expressions in the making.
#[derive(Default)]
pub(super) struct Renderer {
    text: String,
    names: HashMap<String, usize>,
    /// The DynamoDB JSON of the values.
    values: HashMap<Vec<u8>, usize>,
    /// The bytes of all names and values.
    variables: usize,
}

/// The clauses of an update, of which those without parts are left out.
pub(super) struct Clauses<'r> {
    renderer: &'r mut Renderer,
    gap: &'static str,
}

impl<'r> Clauses<'r> {
    pub(super) const fn of(renderer: &'r mut Renderer) -> Self {
        Self { renderer, gap: "" }
    }

    pub(super) fn add<X>(&mut self, name: &str, parts: &[X], write: impl FnMut(&mut Renderer, &X)) {
        if parts.is_empty() {
            return;
        }
        let gap = std::mem::replace(&mut self.gap, " ");
        self.renderer.push(format_args!("{gap}{name} "));
        self.renderer.separated(parts, ",", write);
    }
}

fn in_order<T>(places: HashMap<T, usize>) -> Vec<T> {
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_unstable_by_key(|(_, place)| *place);
    places.into_iter().map(|(value, _)| value).collect()
}

impl Renderer {
    /// The names and values of all expressions.
    pub(super) fn finish(mut self) -> Rendered {
        let values = self.values();
        Rendered { names: in_order(self.names), values, ..Rendered::default() }
    }

    /// The text so far.
    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn check_variables(&self) -> Result<(), Error> {
        if self.variables > MAX_VARIABLES {
            return Err(invalid("its names and values have more than DynamoDB's 2 MB"));
        }
        Ok(())
    }

    /// Refuses what is longer than DynamoDB takes, as far as a write can be that.
    pub(super) fn check_lengths(&self, texts: [&Option<String>; 2]) -> Result<(), Error> {
        let texts = || texts.into_iter().flatten();
        // Each comparison and function counts, and each `AND` between them.
        let operators = |text: &String| text.matches(" AND ").count() * 2 + 1;
        if texts().any(|text| text.len() > MAX_EXPRESSION || operators(text) > MAX_OPERATORS) {
            return Err(invalid(
                "it concerns more attributes than an expression of DynamoDB's holds",
            ));
        }
        self.check_variables()
    }

    /// The text of a whole condition.
    pub(super) fn condition(&mut self, condition: &Condition) -> Result<String, Error> {
        self.expression(condition.expression()?);
        let text = self.take_text();
        if text.len() > MAX_EXPRESSION {
            let length = text.len();
            return Err(invalid(format!(
                "its expression has {length} bytes; DynamoDB allows {MAX_EXPRESSION}"
            )));
        }
        Ok(text)
    }

    fn projection(&mut self, attributes: &[&str]) -> String {
        self.separated(attributes, ",", |r, name| r.name(name));
        self.take_text()
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::Compare(comparison, left, right) => {
                self.operand(left);
                self.word(comparison.symbol());
                self.operand(right);
            }
            Expression::Between(value, low, high) => {
                self.operand(value);
                self.word("BETWEEN");
                self.operand(low);
                self.word("AND");
                self.operand(high);
            }
            Expression::In(value, values) => {
                self.operand(value);
                self.word("IN");
                self.call("", |r| r.separated(values, ",", Self::operand));
            }
            Expression::Exists(path) => self.call("attribute_exists", |r| r.path(path)),
            Expression::NotExists(path) => self.call("attribute_not_exists", |r| r.path(path)),
            Expression::Type(path, expected) => self.call("attribute_type", |r| {
                r.path(path);
                r.text.push(',');
                r.value(&Node::S(expected.tag().into()));
            }),
            Expression::BeginsWith(value, prefix) => self.pair("begins_with", value, prefix),
            Expression::Contains(value, element) => self.pair("contains", value, element),
            Expression::And(parts) => self.separated(parts, " AND ", Self::part),
            Expression::Or(parts) => self.separated(parts, " OR ", Self::part),
            Expression::Not(inner) => {
                self.text.push_str("NOT ");
                self.part(inner);
            }
        }
    }

    /// A part of a larger expression, in parentheses where it needs them: DynamoDB refuses
    /// redundant ones.
    fn part(&mut self, part: &Expression) {
        if matches!(part, Expression::And(_) | Expression::Or(_)) {
            self.call("", |r| r.expression(part));
        } else {
            self.expression(part);
        }
    }

    fn pair(&mut self, function: &str, first: &Operand, second: &Operand) {
        self.call(function, |r| {
            r.operand(first);
            r.text.push(',');
            r.operand(second);
        });
    }

    pub(super) fn call(&mut self, function: &str, arguments: impl FnOnce(&mut Self)) {
        self.text.push_str(function);
        self.text.push('(');
        arguments(self);
        self.text.push(')');
    }

    pub(super) fn separated<T>(
        &mut self,
        parts: &[T],
        separator: &str,
        mut write: impl FnMut(&mut Self, &T),
    ) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text.push_str(separator);
            }
            write(self, part);
        }
    }

    fn word(&mut self, word: &str) {
        self.text.push(' ');
        self.text.push_str(word);
        self.text.push(' ');
    }

    pub(super) fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Path(path) => self.path(path),
            Operand::Size(path) => self.call("size", |r| r.path(path)),
            Operand::Value(value) => self.value(value),
        }
    }

    pub(super) fn path(&mut self, path: &Path) {
        self.name(path.root());
        for step in path.steps() {
            match step {
                Step::Name(name) => {
                    self.text.push('.');
                    self.name(name);
                }
                Step::Index(index) => self.push(format_args!("[{index}]")),
            }
        }
    }

    pub(super) fn name(&mut self, name: &str) {
        let next = self.names.len();
        let place = self.names.get(name).copied().unwrap_or_else(|| {
            self.variables += name.len();
            self.names.insert(name.to_owned(), next);
            next
        });
        self.push(format_args!("#n{place}"));
    }

    pub(super) fn value(&mut self, value: &Node<'_>) {
        let mut json = Vec::new();
        value.write_json(&mut json);
        let next = self.values.len();
        let variables = &mut self.variables;
        let place = *self.values.entry(json).or_insert_with(|| {
            *variables += value.size();
            next
        });
        self.push(format_args!(":v{place}"));
    }

    pub(super) fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(text);
    }

    fn values(&mut self) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (place, json) in in_order(std::mem::take(&mut self.values)).iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_text(&mut out, &format!(":v{place}"));
            out.push(b':');
            out.extend_from_slice(json);
        }
        out.push(b'}');
        out
    }
}

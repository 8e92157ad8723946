//! What an update changes, checked as DynamoDB would, and its expression.

use serde::Serialize;

use super::expression::{Operand as Part, node};
use super::field::Field;
use super::path::{Path, Step};
use super::render::{Clauses, Rendered, Renderer};
use super::types::{List, Numeric, Operand, Summand};
use super::{Condition, invalid};
use crate::codec::tree::Node;
use crate::error::{Error, ErrorKind};
use crate::record::{Record, is_fixed};
use crate::types::Set;

/// Changes of attributes, in the four clauses of an update expression.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>
#[derive(Clone, Debug, Default)]
pub(crate) struct Updates {
    set: Vec<(Path, Value)>,
    remove: Vec<Path>,
    add: Vec<(Path, Node<'static>)>,
    delete: Vec<(Path, Node<'static>)>,
}

/// What an attribute is set to.
#[derive(Clone, Debug)]
enum Value {
    Is(Part),
    /// Where it is absent.
    IfNotExists(Part),
    /// What it is, or an empty list, with these behind it.
    Append(Node<'static>),
    /// The same with these before it.
    Prepend(Node<'static>),
}

impl Updates {
    pub(crate) fn set<V>(&mut self, field: &Field<V>, value: impl Operand<V>) -> Result<(), Error> {
        self.put(field, Value::Is(value.side().into_operand()?))
    }

    pub(crate) fn set_if_not_exists<V>(
        &mut self,
        field: &Field<V>,
        value: impl Operand<V>,
    ) -> Result<(), Error> {
        self.put(field, Value::IfNotExists(value.side().into_operand()?))
    }

    /// Adds elements to a list: at its end, or at its beginning.
    pub(crate) fn extend<V>(
        &mut self,
        field: &Field<V>,
        elements: impl IntoIterator<Item = V::Element>,
        at_the_end: bool,
    ) -> Result<(), Error>
    where
        V: List,
        V::Element: Serialize,
    {
        let elements: Vec<V::Element> = elements.into_iter().collect();
        if elements.is_empty() {
            return Ok(());
        }
        let elements = node(&elements)?;
        self.put(field, if at_the_end { Value::Append(elements) } else { Value::Prepend(elements) })
    }

    fn put<V>(&mut self, field: &Field<V>, value: Value) -> Result<(), Error> {
        self.set.push((checked(field)?, value));
        Ok(())
    }

    pub(crate) fn remove<V>(&mut self, field: &Field<V>) -> Result<(), Error> {
        self.remove.push(checked(field)?);
        Ok(())
    }

    pub(crate) fn add<V: Numeric>(
        &mut self,
        field: &Field<V>,
        by: &impl Summand,
    ) -> Result<(), Error> {
        let number = Node::N(by.number()?.to_string().into());
        self.add.push((checked(field)?, number));
        Ok(())
    }

    /// Adds elements to a set, or takes them from it.
    pub(crate) fn change_set<X: Ord + Serialize>(
        &mut self,
        field: &Field<Set<X>>,
        elements: impl IntoIterator<Item = X>,
        adds: bool,
    ) -> Result<(), Error>
    where
        Set<X>: Serialize,
    {
        let elements: Set<X> = elements.into_iter().collect();
        if elements.is_empty() {
            return Ok(());
        }
        let change = (checked(field)?, node(&elements)?);
        if adds { &mut self.add } else { &mut self.delete }.push(change);
        Ok(())
    }

    /// Sets an attribute unless it is changed otherwise.
    pub(crate) fn stamp(&mut self, name: &'static str, value: Node<'static>) {
        if self.paths().all(|path| path.root() != name) {
            self.set.push((Path::named(name), Value::Is(Part::Value(value))));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths().next().is_none()
    }

    /// Whether it comes to the same if it is done twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        let is_repeatable = |(_, value): &(Path, Value)| match value {
            Value::Is(Part::Value(_)) | Value::IfNotExists(_) => true,
            Value::Is(Part::Path(from)) => self.paths().all(|path| path.root() != from.root()),
            Value::Is(Part::Size(_)) | Value::Append(_) | Value::Prepend(_) => false,
        };
        let is_set = |(_, node): &(Path, Node<'_>)| !matches!(node, Node::N(_));
        self.set.iter().all(is_repeatable)
            && self.add.iter().all(is_set)
            // An element of a list that is removed makes place for the next.
            && !self.remove.iter().any(|path| matches!(path.steps().last(), Some(Step::Index(_))))
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let others = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        set.chain(&self.remove).chain(others)
    }

    /// Refuses what DynamoDB would: keys, and a path twice or within another one.
    pub(crate) fn check<T: Record>(&self) -> Result<(), Error> {
        let paths: Vec<&Path> = self.paths().collect();
        if let Some(path) = paths.iter().find(|path| is_fixed::<T>(path.root())) {
            let text = format!("`{path}` is the record's key or version, which no update changes");
            return Err(Error::new(ErrorKind::InvalidRecord, text).advise("nothing was sent"));
        }
        for (index, path) in paths.iter().enumerate() {
            if let Some(other) = paths.iter().skip(index + 1).find(|other| path.overlaps(other)) {
                return Err(invalid(format!("it changes `{path}` and `{other}`, which overlap")));
            }
        }
        Ok(())
    }

    /// The expressions of an update under a condition. `version`: the attribute that it raises by one.
    pub(crate) fn rendered(
        mut self,
        condition: Option<&Condition>,
        version: Option<&'static str>,
    ) -> Result<Rendered, Error> {
        self.add.extend(version.map(|name| (Path::named(name), Node::N("1".into()))));
        Rendered::of_updates(condition, &self)
    }

    pub(super) fn render(&self, renderer: &mut Renderer) {
        let mut clauses = Clauses::of(renderer);
        clauses.add("SET", &self.set, |r, (path, value)| {
            r.path(path);
            r.push(format_args!("="));
            match value {
                Value::Is(value) => r.operand(value),
                Value::IfNotExists(value) => r.if_not_exists(path, |r| r.operand(value)),
                Value::Append(more) => r.call("list_append", |r| {
                    r.list_or_empty(path);
                    r.push(format_args!(","));
                    r.value(more);
                }),
                Value::Prepend(more) => r.call("list_append", |r| {
                    r.value(more);
                    r.push(format_args!(","));
                    r.list_or_empty(path);
                }),
            }
        });
        clauses.add("REMOVE", &self.remove, Renderer::path);
        let change = |r: &mut Renderer, (path, value): &(Path, Node<'static>)| {
            r.path(path);
            r.push(format_args!(" "));
            r.value(value);
        };
        clauses.add("ADD", &self.add, change);
        clauses.add("DELETE", &self.delete, change);
    }
}

impl Renderer {
    /// What is at a path, or this where nothing is.
    fn if_not_exists(&mut self, path: &Path, default: impl FnOnce(&mut Self)) {
        self.call("if_not_exists", |r| {
            r.path(path);
            r.push(format_args!(","));
            default(r);
        });
    }

    /// A list, or an empty one where it is absent.
    fn list_or_empty(&mut self, path: &Path) {
        self.if_not_exists(path, |r| r.value(&Node::L(Vec::new())));
    }
}

fn checked<V>(field: &Field<V>) -> Result<Path, Error> {
    field.path.check()?;
    Ok(field.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute;

    fn text(updates: Updates) -> (String, String) {
        let condition = attribute("name").exists();
        let rendered = updates.rendered(Some(&condition), Some("version")).unwrap();
        assert_eq!(rendered.condition.as_deref().map(|text| text.contains("exists")), Some(true));
        (rendered.update.unwrap(), String::from_utf8(rendered.values).unwrap())
    }

    #[test]
    fn an_update_has_its_four_clauses() {
        let mut updates = Updates::default();
        updates.set(&attribute("a"), 1).unwrap();
        updates.set(&attribute("b.c[2]"), attribute("a")).unwrap();
        updates.set_if_not_exists(&attribute("d"), "new").unwrap();
        updates.extend(&Field::<Vec<u8>>::named("e"), [1], true).unwrap();
        updates.extend(&Field::<Vec<u8>>::named("f"), [2], false).unwrap();
        updates.remove(&attribute("g")).unwrap();
        updates.add(&Field::<i64>::named("h"), &-5).unwrap();
        updates.change_set(&Field::<Set<String>>::named("i"), ["x".to_owned()], true).unwrap();
        updates.change_set(&Field::<Set<String>>::named("j"), ["y".to_owned()], false).unwrap();
        let (update, values) = text(updates);
        assert_eq!(
            update,
            "SET #n0=:v0,#n1.#n2[2]=#n0,#n3=if_not_exists(#n3,:v1),\
             #n4=list_append(if_not_exists(#n4,:v2),:v3),\
             #n5=list_append(:v4,if_not_exists(#n5,:v2)) \
             REMOVE #n6 ADD #n7 :v5,#n8 :v6,#n9 :v0 DELETE #n10 :v7"
        );
        assert!(values.contains(r#":v6":{"SS":["x"]}"#), "{values}");
    }

    #[test]
    fn nothing_is_no_update() {
        let mut updates = Updates::default();
        updates.extend(&Field::<Vec<u8>>::named("e"), [], true).unwrap();
        updates.change_set(&Field::<Set<String>>::named("i"), [], true).unwrap();
        assert!(updates.is_empty());
        updates.remove(&attribute("g")).unwrap();
        assert!(!updates.is_empty());
    }

    #[test]
    fn what_comes_to_another_thing_the_second_time_is_known() {
        let is_repeatable = |change: &dyn Fn(&mut Updates)| {
            let mut updates = Updates::default();
            change(&mut updates);
            updates.is_repeatable()
        };
        let list = Field::<Vec<u8>>::named("list");
        assert!(is_repeatable(&|it| it.set(&attribute("a"), 1).unwrap()));
        assert!(is_repeatable(&|it| it.set(&attribute("a"), attribute("b")).unwrap()));
        assert!(is_repeatable(&|it| it.set_if_not_exists(&attribute("a"), 1).unwrap()));
        assert!(is_repeatable(&|it| it.remove(&attribute("a")).unwrap()));
        assert!(!is_repeatable(&|it| it.remove(&attribute("a[1]")).unwrap()));
        assert!(!is_repeatable(&|it| it.add(&Field::<u8>::named("n"), &1).unwrap()));
        assert!(!is_repeatable(&|it| it.extend(&list, [1], true).unwrap()));
        let swapped = |it: &mut Updates| {
            it.set(&attribute("a"), attribute("b")).unwrap();
            it.set(&attribute("b"), attribute("a")).unwrap();
        };
        assert!(!is_repeatable(&swapped));
    }
}

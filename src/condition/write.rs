//! The expressions of a write: what it changes, and what must be stored for that.

use super::Condition;
use super::render::{Clauses, Rendered, Renderer};
use super::update::Updates;
use crate::codec::tree::Node;
use crate::error::Error;

/// Something that must be so for a write to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'a> {
    /// The attribute is there.
    There(&'a str),
    /// The attribute is absent.
    Absent(&'a str),
    /// The attribute has this value.
    Is(&'a str, &'a Node<'a>),
}

/// What a write changes.
#[derive(Debug, Default)]
pub(crate) struct Changed<'a> {
    pub(crate) set: Vec<(&'a str, &'a Node<'a>)>,
    pub(crate) remove: Vec<&'a str>,
}

impl Changed<'_> {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(|(name, _)| *name).chain(self.remove.iter().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

impl Rendered {
    /// The expressions of a write; the error says what is more than DynamoDB takes.
    pub(crate) fn of_write(
        changed: &Changed<'_>,
        expected: &[Expected<'_>],
    ) -> Result<Self, Error> {
        let mut renderer = Renderer::default();
        let update = (!changed.is_empty()).then(|| renderer.changed(changed));
        let condition = (!expected.is_empty()).then(|| renderer.expected(expected));
        renderer.check_lengths([&update, &condition])?;
        Ok(Self { update, condition, ..renderer.finish() })
    }
}

impl Rendered {
    /// The expressions of an update under a condition.
    pub(crate) fn of_updates(
        condition: Option<&Condition>,
        updates: &Updates,
    ) -> Result<Self, Error> {
        let mut renderer = Renderer::default();
        updates.render(&mut renderer);
        let update = Some(renderer.take_text());
        let condition = condition.map(|it| renderer.condition(it)).transpose()?;
        renderer.check_lengths([&update, &None])?;
        Ok(Self { update, condition, ..renderer.finish() })
    }

    /// The expression of an update that adds numbers to attributes.
    pub(crate) fn of_sums<'s>(
        sums: impl Iterator<Item = (&'s str, String)>,
    ) -> Result<Self, Error> {
        let mut renderer = Renderer::default();
        let sums: Vec<(&str, Node<'_>)> =
            sums.map(|(name, sum)| (name, Node::N(sum.into()))).collect();
        renderer.push(format_args!("ADD "));
        renderer.separated(&sums, ",", |r, (name, sum)| {
            r.name(name);
            r.push(format_args!(" "));
            r.value(sum);
        });
        let update = Some(renderer.take_text());
        renderer.check_lengths([&update, &None])?;
        Ok(Self { update, ..renderer.finish() })
    }
}

impl Renderer {
    fn changed(&mut self, changed: &Changed<'_>) -> String {
        let mut clauses = Clauses::of(self);
        clauses.add("SET", &changed.set, |r, (name, value)| {
            r.name(name);
            r.push(format_args!("="));
            r.value(value);
        });
        clauses.add("REMOVE", &changed.remove, |r, name| r.name(name));
        self.take_text()
    }

    fn expected(&mut self, expected: &[Expected<'_>]) -> String {
        self.separated(expected, " AND ", |r, expected| match expected {
            Expected::There(name) => r.call("attribute_exists", |r| r.name(name)),
            Expected::Absent(name) => r.call("attribute_not_exists", |r| r.name(name)),
            Expected::Is(name, value) => {
                r.name(name);
                r.push(format_args!("="));
                r.value(value);
            }
        });
        self.take_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node<'_> {
        Node::S(value.into())
    }

    #[test]
    fn a_write_says_what_it_changes_and_what_it_expects() {
        let (new, old) = (text("new"), text("old"));
        let changed = Changed { set: vec![("a", &new), ("size", &new)], remove: vec!["b"] };
        let expected = [Expected::Is("a", &old), Expected::Absent("size"), Expected::There("key")];
        let rendered = Rendered::of_write(&changed, &expected).unwrap();
        assert_eq!(rendered.update.as_deref(), Some("SET #n0=:v0,#n1=:v0 REMOVE #n2"));
        assert_eq!(
            rendered.condition.as_deref(),
            Some("#n0=:v1 AND attribute_not_exists(#n1) AND attribute_exists(#n3)")
        );
        assert_eq!(rendered.names, ["a", "size", "b", "key"]);
        assert_eq!(rendered.values, br#"{":v0":{"S":"new"},":v1":{"S":"old"}}"#);
    }

    #[test]
    fn numbers_are_added_to_attributes() {
        let sums = [("a", "1".to_owned()), ("size", "-2.5".to_owned())];
        let rendered = Rendered::of_sums(sums.into_iter()).unwrap();
        assert_eq!(rendered.update.as_deref(), Some("ADD #n0 :v0,#n1 :v1"));
        assert_eq!(rendered.values, br#"{":v0":{"N":"1"},":v1":{"N":"-2.5"}}"#);
    }

    #[test]
    fn what_is_not_asked_has_no_expression() {
        let removed = Changed { set: Vec::new(), remove: vec!["b"] };
        let rendered = Rendered::of_write(&removed, &[]).unwrap();
        assert_eq!((rendered.update.as_deref(), rendered.condition), (Some("REMOVE #n0"), None));
        let there = [Expected::There("key")];
        let rendered = Rendered::of_write(&Changed::default(), &there).unwrap();
        assert_eq!((rendered.update, rendered.values), (None, b"{}".to_vec()));
    }

    #[test]
    fn more_than_an_expression_holds_is_refused() {
        let names: Vec<String> = (0..500).map(|n| format!("attribute {n}")).collect();
        let value = text("");
        let is: Vec<_> = names.iter().map(|name| Expected::Is(name, &value)).collect();
        let condition = |count| Rendered::of_write(&Changed::default(), &is[..count]);
        assert!(condition(150).is_ok());
        assert!(condition(151).is_err(), "301 operators");
        let set = names.iter().map(|name| (&**name, &value));
        let update = |count| {
            let changed = Changed { set: set.clone().take(count).collect(), remove: Vec::new() };
            Rendered::of_write(&changed, &[])
        };
        assert!(update(300).is_ok());
        assert!(update(500).is_err(), "over 4 KB");
    }
}

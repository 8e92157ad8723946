//! Paths to attributes, and to what is inside lists and maps.

use std::borrow::Cow;
use std::fmt;

use super::invalid;
use crate::codec::tree::{Fields, Node, field};
use crate::error::Error;

/// DynamoDB's limit of the levels of a path.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_LEVELS: usize = 32;
/// DynamoDB's limit of an attribute's name, in bytes.
const MAX_NAME: usize = 65_535;
/// DynamoDB's largest index of a list.
const MAX_INDEX: usize = 2_147_483_647;

/// A path, checked when it is used: a handle can then be a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    root: Cow<'static, str>,
    steps: Vec<Step>,
    /// What is wrong with the text that it was read from.
    unreadable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    /// The path of a top-level attribute, whose name is taken as it is.
    pub(super) const fn named(root: &'static str) -> Self {
        Self { root: Cow::Borrowed(root), steps: Vec::new(), unreadable: false }
    }

    /// Whether the path is this attribute, given as a constant.
    pub(super) const fn is_named(&self, name: &str) -> bool {
        let Cow::Borrowed(root) = self.root else {
            return false;
        };
        let (root, name) = (root.as_bytes(), name.as_bytes());
        let mut same = root.len() == name.len();
        let mut at = 0;
        // Slices are not compared in constants otherwise.
        while same && at < root.len() {
            same = root[at] == name[at];
            at += 1;
        }
        same
    }

    /// Reads `a.b[2].c`.
    pub(super) fn parse(text: &str) -> Self {
        let (root, steps) = parse_steps(text).map_or_else(
            || (text.to_owned(), None),
            |(root, steps)| (root.to_owned(), Some(steps)),
        );
        let unreadable = steps.is_none();
        Self { root: Cow::Owned(root), steps: steps.unwrap_or_default(), unreadable }
    }

    pub(super) fn then(&self, step: Step) -> Self {
        let mut path = self.clone();
        path.steps.push(step);
        path
    }

    /// The attribute of the item that the path starts at.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Refuses what DynamoDB would.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.unreadable {
            let text = &self.root;
            return Err(invalid(format!(
                "`{text}` is no path: write names with dots between them and indexes in brackets, \
                 `a.b[2]`"
            )));
        }
        let steps = self.steps.iter();
        let names = steps.clone().filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        if names.chain([&*self.root]).any(|name| name.is_empty() || name.len() > MAX_NAME) {
            return Err(invalid("the names of a path have 1 to 65,535 bytes"));
        }
        if self.steps.len() >= MAX_LEVELS {
            return Err(invalid(format!("the path `{self}` has more than {MAX_LEVELS} levels")));
        }
        if steps.clone().any(|step| matches!(step, Step::Index(at) if *at > MAX_INDEX)) {
            return Err(invalid(format!("an index of the path `{self}` is over {MAX_INDEX}")));
        }
        Ok(())
    }

    /// Whether one of them leads to the other, or within it.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let same = self.steps.iter().zip(&other.steps).all(|(one, other)| one == other);
        self.root == other.root && same
    }

    /// The value that the path leads to.
    pub(super) fn resolve<'n, 'a>(&self, item: &'n Fields<'a>) -> Option<&'n Node<'a>> {
        let root = field(item, &self.root)?;
        self.steps.iter().try_fold(root, |node, step| match (step, node) {
            (Step::Name(name), Node::M(fields)) => field(fields, name),
            (Step::Index(at), Node::L(values)) => values.get(*at),
            _ => None,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Name(name) => write!(f, ".{name}"),
            Step::Index(at) => write!(f, "[{at}]"),
        })
    }
}

fn parse_steps(text: &str) -> Option<(&str, Vec<Step>)> {
    let (root, mut rest) = split_name(text)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let (name, after) = split_name(name)?;
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            if !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        }
    }
    Some((root, steps))
}

/// The name at the start of a text, which is not empty.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['.', '[', ']']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty()).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_text_and_shown_as_it_was() {
        for text in ["a", "a.b[2].c", "a[0][1]", "größe.x y", "a-b.c#d"] {
            let path = Path::parse(text);
            assert!(path.check().is_ok(), "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn text_that_is_no_path_is_refused() {
        for text in ["", ".a", "a.", "a..b", "a[", "a[]", "a[x]", "a[-1]", "a]", "a[1]b", "[0]"] {
            assert!(Path::parse(text).check().is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_dynamodbs() {
        let deep = |levels: usize| Path::parse(&vec!["a"; levels].join(".")).check();
        assert!(deep(32).is_ok());
        assert!(deep(33).is_err());
        assert!(Path::parse("a[2147483647]").check().is_ok());
        assert!(Path::parse("a[2147483648]").check().is_err());
        assert!(Path::named("").check().is_err());
        assert!(Path::named("a").then(Step::Name("b".repeat(65_536))).check().is_err());
    }

    #[test]
    fn a_name_is_taken_as_it_is() {
        assert_eq!(Path::named("a.b").steps(), []);
        assert!(Path::named("a.b").check().is_ok());
    }
}

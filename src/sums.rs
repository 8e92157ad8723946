//! Sums that the service adds to attributes, and the tokens by which it does so once.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::codec::tree::{Node, parse_item, write_fields};
use crate::codec::{CodecError, key_json};
use crate::condition::{Field, Rendered, Summand};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::{Record, is_fixed};
use crate::rt::Instant;
use crate::store::{Form, Returns, Single};
use crate::types::Number;

/// For how long the service knows a token, less the time that a request may take.
const TOKEN_LIFE: Duration = Duration::from_secs(10 * 60 - 30);

/// By so much the system's clock may be set back as it is kept right.
const CLOCK_JITTER: Duration = Duration::from_secs(5);

/// Sums by attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums(Vec<(Box<str>, Number)>);

/// The sum of this attribute has more digits than DynamoDB keeps.
#[derive(Debug)]
pub(crate) struct Overflow(pub(crate) Box<str>);

impl Sums {
    pub(crate) fn one(name: &str, number: Number) -> Self {
        Self(vec![(name.into(), number)])
    }

    pub(crate) fn plus(&self, other: &Self) -> Result<Self, Overflow> {
        let mut sums = self.clone();
        for (name, number) in &other.0 {
            match sums.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => {
                    *sum = sum.checked_add(number).ok_or_else(|| Overflow(name.clone()))?;
                }
                None => sums.0.push((name.clone(), number.clone())),
            }
        }
        Ok(sums)
    }

    /// These without others, which are among them.
    pub(crate) fn minus(&self, others: &Self) -> Self {
        let zero = Number::default();
        let less = |(name, number): &(Box<str>, Number)| {
            let other = others.0.iter().find(|(other, _)| other == name);
            let left = other.and_then(|(_, other)| number.checked_sub(other));
            (name.clone(), left.unwrap_or_else(|| number.clone()))
        };
        Self(self.0.iter().map(less).filter(|(_, left)| *left != zero).collect())
    }

    /// Those of attributes of which this holds, and the others.
    pub(crate) fn partition(self, holds: impl Fn(&str) -> bool) -> (Self, Self) {
        let (these, others) = self.0.into_iter().partition(|(name, _)| holds(name));
        (Self(these), Self(others))
    }

    pub(crate) fn negated(&self) -> Self {
        let zero = Number::default();
        let negated = |number: &Number| zero.checked_sub(number).unwrap_or_default();
        Self(self.0.iter().map(|(name, number)| (name.clone(), negated(number))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Number> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, number)| number)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether nothing is changed by it.
    pub(crate) fn is_zero(&self) -> bool {
        let zero = Number::default();
        self.0.iter().all(|(_, number)| *number == zero)
    }

    /// Those that change anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Number)> {
        let zero = Number::default();
        let changes = move |(_, number): &&(Box<str>, Number)| *number != zero;
        self.0.iter().filter(changes).map(|(name, number)| (&**name, number))
    }

    /// All of them.
    #[cfg(feature = "journal")]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Number)> {
        self.0.iter().map(|(name, number)| (&**name, number))
    }

    /// The bytes that they have as attributes of an item, at most.
    pub(crate) fn size(&self) -> usize {
        const NUMBER: usize = 21;
        self.0.iter().map(|(name, _)| name.len() + NUMBER).sum()
    }

    /// An item with these added, as DynamoDB's `ADD` does it: what is absent counts as 0.
    pub(crate) fn added_to(&self, item: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut fields = parse_item(item).map_err(|why| CodecError::new(why.to_string()))?;
        for (name, number) in self.iter() {
            let at = fields.iter().position(|(known, _)| **known == *name);
            match at.and_then(|at| fields.get_mut(at)) {
                None => {
                    let node = Node::N(Cow::Owned(number.to_string()));
                    fields.push((Cow::Borrowed(name), node));
                }
                Some((_, Node::N(text))) => *text = Cow::Owned(sum(name, text, number)?),
                Some((_, other)) => {
                    let tag = other.tag();
                    return Err(CodecError::new(format!(
                        "attribute `{name}` is of type {tag}, and only a number can be incremented"
                    )));
                }
            }
        }
        let mut json = Vec::with_capacity(item.len() + 32);
        write_fields(&mut json, &fields);
        Ok(json)
    }
}

/// The number that an attribute is.
pub(crate) fn number_of(node: &Node<'_>) -> Option<Number> {
    match node {
        Node::N(text) => text.parse().ok(),
        _ => None,
    }
}

fn sum(name: &str, stored: &str, number: &Number) -> Result<String, CodecError> {
    let stored: Option<Number> = stored.parse().ok();
    let sum = stored.and_then(|stored| stored.checked_add(number));
    sum.map(|sum| sum.to_string()).ok_or_else(|| {
        CodecError::new(format!("the sum of attribute `{name}` has more than DynamoDB's 38 digits"))
    })
}

/// When something was first sent; by both clocks, as one of them may have stood still while the machine
/// slept.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    /// By this process, or when it learned of it.
    here: Instant,
    system: SystemTime,
    /// Another process sent it, of which the system's clock alone tells.
    elsewhere: bool,
}

impl Began {
    pub(crate) fn now() -> Self {
        Self { here: Instant::now(), system: SystemTime::now(), elsewhere: false }
    }

    /// By the system's clock.
    #[cfg(feature = "journal")]
    pub(crate) const fn time(&self) -> SystemTime {
        self.system
    }

    /// By another process at this time.
    #[cfg(feature = "journal")]
    pub(crate) fn elsewhere(system: SystemTime) -> Self {
        Self { here: Instant::now(), system, elsewhere: true }
    }

    /// Whether the service may have forgotten a token of then.
    pub(crate) fn is_too_old_for_a_token(&self) -> bool {
        let by_system = match self.system.elapsed() {
            Ok(elapsed) => elapsed,
            // The clock was set back: of another process nobody can tell.
            Err(back) if self.elsewhere && back.duration() > CLOCK_JITTER => TOKEN_LIFE,
            Err(_) => Duration::ZERO,
        };
        self.here.elapsed().max(by_system) >= TOKEN_LIFE
    }
}

/// Makes tokens that nobody else makes.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// Keyed by the operating system's random numbers.
    random: RandomState,
    made: AtomicU64,
}

impl Tokens {
    pub(crate) fn next(&self) -> Token {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let half = |part: u8| self.random.hash_one((number, part));
        Token { number, text: format!("{:016x}{:016x}", half(0), half(1)).into() }
    }

    /// One that another process made.
    #[cfg(feature = "journal")]
    pub(crate) fn known(&self, text: &str) -> Token {
        Token { number: self.made.fetch_add(1, Ordering::Relaxed), text: text.into() }
    }
}

/// By which the service applies increments once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    number: u64,
    pub(crate) text: Arc<str>,
}

impl Token {
    /// Its number among those of changes, of which it is none.
    pub(crate) const fn seq(&self) -> u64 {
        self.number | 1 << 63
    }
}

/// What is to be added to which attribute of a record.
pub(crate) fn summand<T: Record, V>(field: &Field<V>, by: &impl Summand) -> Result<Sums, Error> {
    let name = field.top_level()?;
    if is_fixed::<T>(name) {
        let text = format!("`{name}` is the record's key or version, which nobody increments");
        return Err(Error::new(ErrorKind::InvalidRecord, text));
    }
    Ok(Sums::one(name, by.number()?))
}

/// The request that adds sums to an item, and one to its version if it has one.
pub(crate) fn single<T: Record>(key: &Key, sums: &Sums, token: &Token) -> Result<Single, Error> {
    let version = T::VERSION.map(|name| (name, "1".to_owned()));
    let sent = sums.iter().map(|(name, number)| (name, number.to_string()));
    let expressions = Rendered::of_sums(sent.chain(version))?;
    let form = Form::Add { key: key_json::<T>(key), token: Arc::clone(&token.text) };
    let size = key.size(T::PARTITION_KEY, T::SORT_KEY) + sums.size();
    Ok(Single { form, expressions, size, returns: Returns::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(sums: &[(&str, i64)]) -> Sums {
        Sums(sums.iter().map(|(name, number)| ((*name).into(), Number::from(*number))).collect())
    }

    #[test]
    fn increments_are_summed_by_attribute() {
        let sum = sums(&[("a", 1)]).plus(&sums(&[("b", 2), ("a", 4)])).unwrap();
        assert_eq!(sum, sums(&[("a", 5), ("b", 2)]));
        assert!(sum.plus(&sum.negated()).unwrap().is_zero());
        assert!(!sum.is_zero());
        let long = Sums::one("a", "0.00000000000000000000000000000000000001".parse().unwrap());
        assert!(long.plus(&sums(&[("a", 100)])).is_err(), "it has 40 digits");
    }

    #[test]
    fn tokens_are_of_a_length_that_dynamodb_takes_and_no_two_are_equal() {
        let (one, other) = (Tokens::default(), Tokens::default());
        let made: std::collections::HashSet<Token> =
            (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(made.len(), 2000);
        assert!(made.iter().all(|token| token.text.len() <= 36));
    }

    #[test]
    fn an_item_gets_what_is_added_as_dynamodb_does_it() {
        let item = br#"{"id":{"S":"x"},"a":{"N":"1.5"}}"#;
        let added = sums(&[("a", 2), ("b", 7)]).added_to(item).unwrap();
        assert_eq!(added, br#"{"id":{"S":"x"},"a":{"N":"3.5"},"b":{"N":"7"}}"#);
        let error = sums(&[("id", 1)]).added_to(item).unwrap_err().to_string();
        assert!(error.contains("`id` is of type S"), "{error}");
    }
}

//! Increments of a record that are not in the database yet.
//!
//! What is summed up waits until it is sent. Then it is frozen under a token, by which the service
//! applies it once however often it is sent; what comes later is summed up anew behind it.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::slot::{Base, Known, Slot};
use crate::codec::CodecError;
use crate::codec::tree::{Node, parse_item, write_fields};
use crate::guard::Mode;
use crate::record::Record;
use crate::store::Outcome;
use crate::types::Number;
use crate::write::Settled;

/// For how long the service knows a token, less the time that a request may take.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(10 * 60 - 30);

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

    pub(crate) fn negated(&self) -> Self {
        let zero = Number::default();
        let negated = |number: &Number| zero.checked_sub(number).unwrap_or_default();
        Self(self.0.iter().map(|(name, number)| (name.clone(), negated(number))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
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

    /// The bytes that they have as attributes of an item, at most.
    pub(crate) fn size(&self) -> usize {
        const NUMBER: usize = 21;
        self.0.iter().map(|(name, _)| name.len() + NUMBER).sum()
    }

    /// An item with these added, as DynamoDB's `ADD` does it: what is absent counts as 0.
    pub(crate) fn added_to(&self, item: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut fields = parse_item(item).map_err(|why| CodecError::new(why.to_string()))?;
        for (name, number) in &self.0 {
            let at = fields.iter().position(|(known, _)| **known == **name);
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

fn sum(name: &str, stored: &str, number: &Number) -> Result<String, CodecError> {
    let stored: Option<Number> = stored.parse().ok();
    let sum = stored.and_then(|stored| stored.checked_add(number));
    sum.map(|sum| sum.to_string()).ok_or_else(|| {
        CodecError::new(format!("the sum of attribute `{name}` has more than DynamoDB's 38 digits"))
    })
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

/// The increments of a slot.
///
/// Invariants: `frozen` changes only when it is sent and when its outcome is known, and it is sent
/// before anything else of the slot is. While it is there, no record that is read becomes known to the
/// slot: nobody could tell whether it has them.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    pub(crate) waiting: Sums,
    /// The number of the first increment that waits.
    pub(crate) since: u64,
    pub(crate) frozen: Option<Frozen>,
}

/// Increments that were sent under a token.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) sums: Sums,
    /// The number of the first of them.
    pub(crate) since: u64,
    pub(crate) token: Token,
    /// When it was first sent; by both clocks, as one of them may have stood still while the machine
    /// slept.
    pub(crate) sent: (Instant, SystemTime),
    /// It is being sent.
    pub(crate) flying: bool,
    /// An answer is missing: it may be stored.
    pub(crate) doubt: bool,
}

impl Frozen {
    /// Whether it cannot be sent any more, since the service may have forgotten the token.
    pub(crate) fn is_expired(&self) -> bool {
        let by_wall = self.sent.1.elapsed().unwrap_or_default();
        self.doubt && self.sent.0.elapsed().max(by_wall) >= TOKEN_LIFE
    }
}

impl Deltas {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.frozen.is_none()
    }

    /// What was frozen was never applied: it waits again, in front of the rest.
    fn thaw(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            match frozen.sums.plus(&self.waiting) {
                Ok(sums) => (self.waiting, self.since) = (sums, frozen.since),
                // The sum was made in two parts before, and goes in two.
                Err(_) => self.frozen = Some(Frozen { flying: false, doubt: false, ..frozen }),
            }
        }
    }
}

/// What is stored once increments are applied, if that is known.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) item: Option<Arc<[u8]>>,
    /// It is what the record in memory says.
    pub(crate) is_shown: bool,
}

impl<T: Record> Slot<T> {
    pub(crate) fn deltas(&self) -> Option<&Deltas> {
        self.unsaved.as_ref()?.deltas.as_deref()
    }

    fn deltas_mut(&mut self) -> Option<&mut Deltas> {
        self.unsaved.as_mut()?.deltas.as_deref_mut()
    }

    /// The increments that were sent and are not known to be stored.
    pub(crate) fn frozen(&self) -> Option<&Frozen> {
        self.deltas()?.frozen.as_ref()
    }

    /// The increments that are being sent.
    pub(crate) fn flying(&self) -> Option<&Frozen> {
        self.frozen().filter(|frozen| frozen.flying)
    }

    /// Takes in how a request with increments ended; returns whether the slot is saved now.
    pub(crate) fn settle_delta(&mut self, settled: Settled, applied: Applied, table: Mode) -> bool {
        let Some(deltas) = self.deltas_mut() else { return false };
        let Some(frozen) = &mut deltas.frozen else { return false };
        frozen.flying = false;
        let doubt = frozen.doubt;
        match settled {
            Settled::Written => return self.applied(applied),
            Settled::Pending(Outcome::OutcomeUnknown) => frozen.doubt = true,
            Settled::Pending(Outcome::NotWritten) if doubt => {}
            Settled::Pending(Outcome::NotWritten) => self.not_applied(table),
            Settled::Refused(error) => {
                if !doubt {
                    self.not_applied(table);
                }
                let has_deltas = self.deltas().is_some();
                if let Some(unsaved) = self.unsaved.as_mut().filter(|_| has_deltas) {
                    unsaved.parked = Some(error);
                }
            }
        }
        false
    }

    /// What was frozen is in the database; returns whether the slot is saved now.
    pub(crate) fn applied(&mut self, applied: Applied) -> bool {
        let Some(unsaved) = &mut self.unsaved else { return false };
        let Some(deltas) = &mut unsaved.deltas else { return false };
        deltas.frozen = None;
        let (replaced, partial) = (unsaved.base.replaced, unsaved.base.partial);
        let is_known = applied.item.is_some();
        unsaved.base = Base {
            item: applied.item,
            exact: is_known,
            replaced,
            partial,
            ..Base::new(Known::Unknown, None)
        };
        if deltas.is_empty() {
            unsaved.deltas = None;
        }
        if unsaved.image || unsaved.deltas.is_some() {
            return false;
        }
        self.unsaved = None;
        if !applied.is_shown || partial || T::VERSION.is_some() {
            // Loaded anew when somebody asks for it.
            (self.now, self.kept) = (Known::Unknown, None);
        }
        true
    }

    /// What was frozen is not in the database.
    pub(crate) fn not_applied(&mut self, table: Mode) {
        let is_record = matches!(self.now, Known::Record(_));
        let Some(unsaved) = &mut self.unsaved else { return };
        let field_wise = unsaved.mode.unwrap_or(table) == Mode::FieldWise;
        let Some(deltas) = &mut unsaved.deltas else { return };
        if unsaved.image && !(field_wise && is_record) {
            // The change that came after has them, or deleted them.
            deltas.frozen = None;
        } else {
            deltas.thaw();
        }
        if deltas.is_empty() {
            unsaved.deltas = None;
        }
    }
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

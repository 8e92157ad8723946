//! Increments of a record that are not in the database yet.
//!
//! What is summed up waits until it is sent. Then it is frozen under a token, by which the service
//! applies it once however often it is sent; what comes later is summed up anew behind it.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::slot::{Base, Known, Slot};
use crate::codec::CodecError;
use crate::codec::tree::{Node, parse_item, write_fields};
use crate::record::Record;
use crate::types::Number;
use crate::write::Settled;
use crate::{Error, Outcome};

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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Number)> {
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
    pub(crate) fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let half = |part: u8| self.random.hash_one((number, part));
        format!("{:016x}{:016x}", half(0), half(1))
    }
}

/// The increments of a slot.
///
/// Invariant: `frozen` changes only when it is sent and when its outcome is known; it is sent before
/// anything else of the slot is.
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
    pub(crate) token: String,
    /// When it was first sent.
    pub(crate) sent: Instant,
    /// It is being sent.
    pub(crate) flying: bool,
    /// An answer is missing: it may be stored.
    pub(crate) doubt: bool,
    /// The record was read since it was sent: nobody knows whether with it or without.
    pub(crate) was_read: bool,
}

impl Frozen {
    /// Whether it cannot be sent any more, since the service may have forgotten the token.
    pub(crate) fn is_expired(&self) -> bool {
        self.doubt && self.sent.elapsed() >= TOKEN_LIFE
    }
}

impl Deltas {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.frozen.is_none()
    }

    /// What was frozen was never applied: it waits again, in front of the rest.
    fn thaw(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            // The sum was made in parts before; if it cannot be made at once, the first part goes first.
            match frozen.sums.plus(&self.waiting) {
                Ok(sums) => self.waiting = sums,
                Err(_) => self.frozen = Some(Frozen { flying: false, ..frozen }),
            }
        }
    }
}

impl<T: Record> Slot<T> {
    pub(crate) fn deltas(&self) -> Option<&Deltas> {
        self.unsaved.as_ref()?.deltas.as_deref()
    }

    fn deltas_mut(&mut self) -> Option<&mut Deltas> {
        self.unsaved.as_mut()?.deltas.as_deref_mut()
    }

    /// The increments that are being sent.
    pub(crate) fn flying(&self) -> Option<&Frozen> {
        self.deltas()?.frozen.as_ref().filter(|frozen| frozen.flying)
    }

    /// Takes in how a request with increments ended; returns whether the slot is saved now. `base`: the
    /// item that is stored once they are applied, if it is known.
    pub(crate) fn settle_delta(&mut self, settled: Settled, base: Option<Vec<u8>>) -> bool {
        let Some(deltas) = self.deltas_mut() else { return false };
        let Some(frozen) = &mut deltas.frozen else { return false };
        frozen.flying = false;
        match settled {
            Settled::Written => return self.applied(base),
            Settled::Pending(Outcome::OutcomeUnknown) => frozen.doubt = true,
            Settled::Pending(Outcome::NotWritten) => {
                if !frozen.doubt {
                    deltas.thaw();
                }
            }
            Settled::Refused(error) => self.refuse_delta(error),
        }
        false
    }

    fn refuse_delta(&mut self, error: Error) {
        let Some(unsaved) = &mut self.unsaved else { return };
        if let Some(deltas) = &mut unsaved.deltas
            && deltas.frozen.as_ref().is_some_and(|frozen| !frozen.doubt)
        {
            deltas.thaw();
        }
        unsaved.parked = Some(error);
    }

    /// What was frozen is in the database; returns whether the slot is saved now.
    pub(crate) fn applied(&mut self, base: Option<Vec<u8>>) -> bool {
        let Some(unsaved) = &mut self.unsaved else { return false };
        let Some(deltas) = &mut unsaved.deltas else { return false };
        let was_read = deltas.frozen.take().is_some_and(|frozen| frozen.was_read);
        // A load under way brings it or not.
        self.load = None;
        match base {
            Some(item) if !was_read => unsaved.base.item = Some(item.into()),
            _ => {
                let replaced = unsaved.base.replaced;
                let unknown = Base::new(Known::Unknown, None);
                unsaved.base = Base { exact: false, replaced, ..unknown };
            }
        }
        let unsure = was_read || self.kept.as_ref().is_some_and(|kept| kept.ends_with_a_save());
        if deltas.is_empty() {
            unsaved.deltas = None;
        }
        if unsaved.image {
            return false;
        }
        let saved = unsaved.deltas.is_none();
        if saved {
            self.unsaved = None;
        }
        if unsure || T::VERSION.is_some() {
            // Loaded anew when somebody asks for it.
            (self.now, self.kept) = (Known::Unknown, None);
        }
        saved
    }

    /// What was frozen is not in the database, as its owner says.
    pub(crate) fn not_applied(&mut self) {
        let Some(deltas) = self.deltas_mut() else { return };
        let was_read = deltas.frozen.as_ref().is_some_and(|frozen| frozen.was_read);
        deltas.thaw();
        if let Some(frozen) = &mut deltas.frozen {
            // Under a token of its own from now on.
            frozen.doubt = false;
        }
        self.load = None;
        let image = self.unsaved.as_ref().is_some_and(|unsaved| unsaved.image);
        if was_read && !image {
            (self.now, self.kept) = (Known::Unknown, None);
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
        let made: std::collections::HashSet<String> =
            (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(made.len(), 2000);
        assert!(made.iter().all(|token| token.len() <= 36));
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

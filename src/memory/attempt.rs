//! What the database has of an unsaved record, and what was sent of it without an answer.

use std::sync::Arc;

use super::fence::Expectation;
use super::slot::Known;
use super::unsaved::Flight;
use crate::codec::Kept;
use crate::guard::Mode;

/// What the database has, as last loaded, written or met.
pub(crate) struct Base<T> {
    pub(crate) known: Known<T>,
    /// What was kept beside it.
    pub(crate) kept: Option<Arc<Kept>>,
    /// The item itself, where a conflict showed it.
    pub(crate) item: Option<Arc<[u8]>>,
    /// Nothing else is stored: what equals it need not be written.
    pub(crate) exact: bool,
    /// What comes is another item: nothing of what is stored is to stay.
    pub(crate) replaced: bool,
    /// The item has, or may have, other attributes than are known: it was written in part unseen, or
    /// others changed it beside what is written.
    pub(crate) partial: bool,
    /// How many there were before it while the slot was unsaved. Here because there is space beside the flags.
    pub(crate) number: u32,
}

impl<T> Base<T> {
    pub(crate) const fn new(known: Known<T>, kept: Option<Arc<Kept>>) -> Self {
        Self { known, kept, item: None, exact: true, replaced: false, partial: false, number: 0 }
    }

    /// Whether it is known if there is an item, and which.
    pub(crate) const fn is_seen(&self) -> bool {
        self.item.is_some() || !self.known.is_unknown()
    }

    /// Whether all of an item is known, which changes are compared with.
    pub(crate) const fn is_whole(&self) -> bool {
        let is_there = self.item.is_some() || matches!(self.known, Known::Record(_));
        is_there && !self.partial && !self.replaced
    }

    /// Whether there is no item, or is to be none in between.
    pub(crate) const fn is_absent(&self) -> bool {
        self.replaced || (matches!(self.known, Known::Absent) && self.item.is_none())
    }

    /// What is stored for sure; what equals it need not be written.
    pub(crate) fn for_sure(&self) -> Known<T> {
        if self.exact && self.item.is_none() { self.known.clone() } else { Known::Unknown }
    }
}

impl<T> Clone for Base<T> {
    fn clone(&self) -> Self {
        let (known, kept, item) = (self.known.clone(), self.kept.clone(), self.item.clone());
        let Self { exact, replaced, partial, number, .. } = *self;
        Self { known, kept, item, exact, replaced, partial, number }
    }
}

/// What others stored; `None`: they deleted the item.
pub(crate) type Met = Option<Arc<[u8]>>;

/// An attempt to write a record alone.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The change that it was of.
    pub(crate) seq: u64,
    pub(crate) mode: Mode,
    /// The item as it was to be; `None`: it was to be deleted.
    pub(crate) item: Met,
    /// The attributes that it changes.
    pub(crate) changed: Arc<[Box<str>]>,
    /// What it expects, if it is guarded.
    pub(crate) expects: Option<Expectation>,
}

/// An attempt whose answer is missing.
pub(crate) enum Doubt<T> {
    Alone(Arc<Attempt>),
    /// Of the whole record, whatever was stored.
    Whole {
        seq: u64,
        sent: Known<T>,
        kept: Option<Arc<Kept>>,
    },
}

impl<T> Doubt<T> {
    pub(super) fn of(flight: Flight<T>) -> Self {
        match flight.attempt {
            Some(attempt) => Self::Alone(attempt),
            None => Self::Whole { seq: flight.seq, sent: flight.sent, kept: flight.kept },
        }
    }

    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Alone(attempt) => attempt.seq,
            Self::Whole { seq, .. } => *seq,
        }
    }
}

#[cfg(feature = "journal")]
impl<T> Doubt<T> {
    /// The same, of the change of this number.
    pub(crate) fn numbered(self, seq: u64) -> Self {
        match self {
            Self::Alone(attempt) => Self::Alone(Arc::new(Attempt { seq, ..(*attempt).clone() })),
            Self::Whole { sent, kept, .. } => Self::Whole { seq, sent, kept },
        }
    }
}

#[cfg(feature = "journal")]
impl<T> Doubts<T> {
    /// Those of another process, oldest first, and the attributes that those before change.
    pub(crate) fn restored(doubts: impl Iterator<Item = Doubt<T>>, changed: Vec<Box<str>>) -> Self {
        let latest: Vec<Doubt<T>> = doubts.collect();
        if latest.is_empty() && changed.is_empty() {
            return Self::new();
        }
        Self(Some(Box::new(Missing { latest, changed })))
    }
}

impl<T> Clone for Doubt<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Alone(attempt) => Self::Alone(Arc::clone(attempt)),
            Self::Whole { seq, sent, kept } => {
                Self::Whole { seq: *seq, sent: sent.clone(), kept: kept.clone() }
            }
        }
    }
}

/// Attempts whose answers are missing; mostly there are none.
pub(crate) struct Doubts<T>(Option<Box<Missing<T>>>);

/// The latest attempts whose answers are missing.
struct Missing<T> {
    latest: Vec<Doubt<T>>,
    /// The attributes that those before change.
    changed: Vec<Box<str>>,
}

impl<T> Doubts<T> {
    /// More changes in a row that were all sent and not answered are an outage, in which none lands.
    const MOST: usize = 32;

    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// The newest first, which says of the attributes that those before change how they are to be.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Doubt<T>> {
        self.0.iter().flat_map(|missing| missing.latest.iter().rev())
    }

    /// The attributes that those change which are not known any more.
    pub(crate) fn changed(&self) -> &[Box<str>] {
        self.0.as_ref().map_or(&[], |missing| &missing.changed)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(super) fn add(&mut self, doubt: Doubt<T>) {
        let Missing { latest, changed } = &mut **self
            .0
            .get_or_insert_with(|| Box::new(Missing { latest: Vec::new(), changed: Vec::new() }));
        latest.retain(|other| other.seq() != doubt.seq());
        if latest.len() == Self::MOST
            && let Some(at) = latest.iter().position(|doubt| matches!(doubt, Doubt::Alone(_)))
            && let Doubt::Alone(attempt) = latest.remove(at)
        {
            let new = attempt.changed.iter().filter(|name| !changed.contains(name));
            let new: Vec<Box<str>> = new.cloned().collect();
            changed.extend(new);
        }
        if latest.len() == Self::MOST {
            // All are of the whole record, and so is the newest of them.
            latest.remove(0);
        }
        latest.push(doubt);
    }
}

impl<T> Clone for Doubts<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Missing<T> {
    fn clone(&self) -> Self {
        Self { latest: self.latest.clone(), changed: self.changed.clone() }
    }
}

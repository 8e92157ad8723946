//! What the memory table holds for a key, and how a change, a flight and an answer move it on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::ThreadId;

use super::attempt::Base;
use super::load::Load;
use super::touched::{Diff, Names};
use super::turn::Turn;
use super::unsaved::{Flight, Outdated, Unsaved};
use crate::breaks::broken;
use crate::codec::Kept;
use crate::guard::Mode;
use crate::key::Key;
use crate::record::Record;
use crate::rt::oneshot;
use crate::sums::Sums;

/// What is known of a record.
#[derive(Debug)]
pub(crate) enum Known<T> {
    /// Nothing: not loaded, or its state is in doubt.
    Unknown,
    /// There is no record.
    Absent,
    Record(Arc<T>),
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Absent => Self::Absent,
            Self::Record(record) => Self::Record(Arc::clone(record)),
        }
    }
}

impl<T> Known<T> {
    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether both are the very same.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Record(one), Self::Record(other)) => Arc::ptr_eq(one, other),
            (Self::Absent, Self::Absent) | (Self::Unknown, Self::Unknown) => true,
            _ => false,
        }
    }

    pub(crate) fn record(&self) -> Option<Arc<T>> {
        match self {
            Self::Unknown | Self::Absent => None,
            Self::Record(record) => Some(Arc::clone(record)),
        }
    }
}

/// The one slot of a key.
///
/// Invariants:
/// 1. `now` is what readers see: the newest change, or what was loaded.
/// 2. The slot is unsaved exactly if `unsaved` is there, and then its key is in the shard's list of
///    unsaved keys under `unsaved.first`.
/// 3. `unsaved` goes only when the sequence number that was sent is still the newest, when the
///    change is what is stored already, or when its owner discards it.
/// 4. A load stores its result only while it is the slot's `load`; every change clears that.
/// 5. `kept` belongs to the loaded record; a delete drops it.
pub(crate) struct Slot<T: Record> {
    pub(crate) key: Key,
    pub(crate) now: Known<T>,
    pub(crate) kept: Option<Arc<Kept>>,
    /// Bytes of what is known, by DynamoDB's arithmetic.
    size: u32,
    /// The policy knows the slot. It may know others too: what it lets go is looked at again.
    pub(crate) registered: bool,
    pub(crate) load: Option<Arc<Load<T>>>,
    pub(crate) unsaved: Option<Box<Unsaved<T>>>,
    pub(crate) busy: Option<Box<Busy<T>>>,
    /// What is stored, where that is not what is known: who is changing the record began before that was
    /// learned. Only while somebody is, and nothing is unsaved.
    pub(crate) outdated: Option<Box<Outdated<T>>>,
    /// The newest scan when the record was last read by its key or written; what older ones bring
    /// may be older.
    pub(crate) since: u64,
    /// Forgotten on purpose: not to be taken for absent, nor from a scan that began before. The
    /// number of the newest scan at that time; 0 if it was not.
    pub(crate) forgotten: u64,
    /// The stored item does not fit the type: no change may replace it unseen. Never on a slot of
    /// which something is known.
    pub(crate) unreadable: bool,
}

/// A change to be published: what is to be known, and its bytes by DynamoDB's arithmetic.
pub(crate) struct Change<T> {
    pub(crate) now: Known<T>,
    pub(crate) size: usize,
    pub(crate) beside: Beside,
    /// How the record is to be written until it is saved, if not as before.
    pub(crate) mode: Option<Mode>,
    /// What it takes of the room, if not its size.
    pub(crate) room: Option<usize>,
    /// What it makes of the record, where that must be told.
    pub(crate) diff: Option<Diff<T>>,
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Self {
            now: self.now.clone(),
            size: self.size,
            beside: self.beside.clone(),
            mode: self.mode,
            room: self.room,
            diff: self.diff.clone(),
        }
    }
}

/// Increments to be published.
pub(crate) struct Incremented<T> {
    /// All that wait then.
    pub(crate) waiting: Sums,
    /// The record with them, if it is known.
    pub(crate) shown: Known<T>,
    pub(crate) size: usize,
    /// They are a change of the record itself.
    pub(crate) is_change: bool,
    /// Attributes that the record has by increments alone.
    pub(crate) added: Names,
}

impl<T> Clone for Incremented<T> {
    fn clone(&self) -> Self {
        let Self { size, is_change, .. } = *self;
        let (waiting, shown) = (self.waiting.clone(), self.shown.clone());
        Self { waiting, shown, size, is_change, added: self.added.clone() }
    }
}

/// What is kept beside a record that is put.
#[derive(Clone)]
pub(crate) enum Beside {
    /// What is kept in the slot.
    AsItIs,
    /// What the record brings along from another key.
    Moved(Option<Arc<Kept>>),
}

impl<T> Change<T> {
    /// A record of this many bytes.
    pub(crate) fn put(record: Arc<T>, size: usize) -> Self {
        Self { size, ..Self::of(Known::Record(record)) }
    }

    /// The same; where it replaces a record, it has nothing of that.
    pub(crate) fn in_place_of(self, replaces: bool) -> Self {
        let beside = if replaces { Beside::Moved(None) } else { self.beside };
        Self { beside, ..self }
    }

    /// A change that is not known yet: it needs the room of a record, and no bytes.
    pub(crate) const fn nothing() -> Self {
        Self::of(Known::Absent)
    }

    const fn of(now: Known<T>) -> Self {
        Self { now, size: 0, beside: Beside::AsItIs, mode: None, room: None, diff: None }
    }

    /// Whether the record is that of another key.
    pub(crate) const fn is_moved(&self) -> bool {
        matches!(self.beside, Beside::Moved(_))
    }

    /// The bytes that it has together with what is kept in the slot.
    pub(crate) fn size_with(&self, kept: Option<&Arc<Kept>>) -> usize {
        if let Some(room) = self.room {
            return room;
        }
        let kept = match &self.beside {
            Beside::AsItIs => kept,
            Beside::Moved(kept) => kept.as_ref(),
        };
        match self.now {
            Known::Record(_) => self.size + kept.map_or(0, |kept| kept.beside()),
            Known::Absent | Known::Unknown => self.size,
        }
    }

    /// The deletion of a key.
    pub(crate) fn delete(key: &Key) -> Self
    where
        T: Record,
    {
        let size = key.size(T::PARTITION_KEY, T::SORT_KEY);
        Self { size, ..Self::nothing() }
    }
}

/// What the journal has of a change that is not published yet.
#[cfg(feature = "journal")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// There is none, or nothing of it.
    #[default]
    Nothing,
    /// What the slot will have.
    AsItIs,
    /// What the slot would have had: something happened to it since.
    Stale,
}

/// Someone has the turn to change the record; the others wait in order.
pub(crate) struct Busy<T: Record> {
    /// The thread on which the user's function runs at the moment.
    pub(crate) running: Option<ThreadId>,
    /// Who has the turn goes on from what was known of the record.
    pub(crate) has_read: bool,
    /// What the journal has of it.
    #[cfg(feature = "journal")]
    pub(crate) foreseen: Foreseen,
    pub(crate) waiters: VecDeque<oneshot::Sender<Turn<T>>>,
}

impl<T: Record> Busy<T> {
    /// A turn that has just begun.
    pub(crate) const fn new() -> Self {
        Self {
            running: None,
            has_read: false,
            #[cfg(feature = "journal")]
            foreseen: Foreseen::Nothing,
            waiters: VecDeque::new(),
        }
    }
}

impl<T: Record> Slot<T> {
    pub(crate) const fn new(key: Key) -> Self {
        Self {
            key,
            now: Known::Unknown,
            kept: None,
            size: 0,
            registered: false,
            load: None,
            unsaved: None,
            busy: None,
            outdated: None,
            since: 0,
            forgotten: 0,
            unreadable: false,
        }
    }

    /// What holds whenever nobody has the lock, in debug builds.
    pub(crate) fn check(&self) {
        debug_assert!(!self.unreadable || self.now.is_unknown(), "known and unreadable");
        let is_free = self.busy.is_none() || self.unsaved.is_some();
        debug_assert!(self.outdated.is_none() || !is_free, "outdated for nobody");
        let Some(unsaved) = &self.unsaved else { return };
        let flown = unsaved.flight.as_ref().map_or(0, |flight| flight.seq);
        debug_assert!(unsaved.first <= unsaved.seq, "older than what made it unsaved");
        debug_assert!(flown <= unsaved.seq, "sent before it was changed");
        let deltas = unsaved.deltas.as_ref();
        debug_assert!(deltas.is_none_or(|deltas| !deltas.is_empty()), "increments of nothing");
        debug_assert!(unsaved.image || deltas.is_some(), "unsaved with nothing to save");
    }

    /// Whether the slot holds nothing that a new one would not.
    pub(crate) const fn is_vacant(&self) -> bool {
        matches!(self.now, Known::Unknown)
            && self.load.is_none()
            && self.unsaved.is_none()
            && self.busy.is_none()
            && self.outdated.is_none()
            && self.forgotten == 0
            && !self.unreadable
    }

    /// The size of the unsaved change, if there is one.
    pub(crate) fn unsaved_size(&self) -> Option<usize> {
        self.unsaved.as_ref().map(|unsaved| unsaved.size())
    }

    /// Whether nothing was ever known of it, nor is being loaded.
    pub(crate) const fn is_unheard_of(&self) -> bool {
        let is_unknown = self.now.is_unknown() && self.load.is_none();
        is_unknown && self.forgotten == 0 && !self.unreadable && self.unsaved.is_none()
    }

    /// It is absent if nothing is known of it and all that there is was loaded.
    pub(crate) fn is_absent_if(&mut self, complete: bool) {
        if complete && self.now.is_unknown() && self.forgotten == 0 && !self.unreadable {
            self.now = Known::Absent;
        }
    }

    /// Whether nobody changes, loads or saves the record.
    pub(crate) fn is_idle(&self) -> bool {
        let saved = self.unsaved.is_none() || broken(21);
        saved && self.load.is_none() && self.busy.is_none()
    }

    /// Forgets what is known and loading, and leaves this trace; returns what was known.
    pub(crate) fn forget(&mut self, trace: u64) -> (Known<T>, Option<Arc<Kept>>) {
        self.load = None;
        self.registered = false;
        self.unreadable = false;
        self.forgotten = trace;
        (std::mem::replace(&mut self.now, Known::Unknown), self.kept.take())
    }

    /// What is known is not what is stored, which this is as far as that is known: loaded when somebody asks.
    /// Who is changing the record goes on from what they know.
    pub(super) fn is_known_no_more(&mut self, stored: Option<Outdated<T>>) {
        if self.is_being_changed() && !self.now.is_unknown() {
            self.outdated = stored.map(Box::new);
        }
        if self.outdated.is_none() {
            (self.now, self.kept) = (Known::Unknown, None);
        }
    }

    /// Whether somebody changes the record as they have read it.
    pub(crate) fn is_being_changed(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.has_read)
    }

    /// Who was changing the record is done; returns whether nothing is known of it any more.
    pub(crate) fn is_let_go(&mut self) -> bool {
        if let Some(busy) = &mut self.busy {
            busy.has_read = false;
        }
        let is_outdated = self.outdated.take().is_some();
        if is_outdated {
            (self.now, self.kept) = (Known::Unknown, None);
        }
        is_outdated
    }

    /// Bytes of what is known, by DynamoDB's arithmetic.
    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// An item has 400 KB at most.
    pub(crate) fn set_size(&mut self, size: usize) {
        self.size = u32::try_from(size).unwrap_or(u32::MAX);
    }

    /// Notes that something is unsaved, in place of what was known; returns whether the slot was saved
    /// before.
    fn become_unsaved(&mut self, now: Known<T>, size: usize, seq: u64) -> bool {
        self.load = None;
        self.forgotten = 0;
        self.registered = false;
        self.set_size(size);
        let before = std::mem::replace(&mut self.now, now);
        let newly = self.unsaved.is_none();
        let outdated = self.outdated.take();
        let unsaved = self.unsaved.get_or_insert_with(|| {
            let base = Base::new(before, self.kept.clone());
            let Outdated { base, touched, .. } =
                outdated.map_or_else(|| Outdated::saved(base), |outdated| *outdated);
            Box::new(Unsaved::new(seq, base, touched))
        });
        unsaved.set_size(size);
        unsaved.parked = None;
        newly
    }

    /// Adds increments to those that wait, and shows them; returns whether the slot was saved before.
    pub(crate) fn increment(&mut self, new: Incremented<T>, seq: u64) -> bool {
        let Incremented { waiting, shown, size, is_change, added } = new;
        let newly = self.become_unsaved(shown, size, seq);
        if let Some(unsaved) = &mut self.unsaved {
            if is_change && !std::mem::replace(&mut unsaved.image, true) {
                unsaved.image_since = seq;
            }
            if unsaved.image {
                // What is sent of the record may have them, and is not what was sent before.
                unsaved.seq = seq;
            }
            if !unsaved.base.is_whole() {
                unsaved.touched.add(&added);
            }
            let deltas = unsaved.deltas.get_or_insert_default();
            if deltas.waiting.is_empty() {
                deltas.since = seq;
            }
            deltas.waiting = waiting;
        }
        newly
    }

    /// Publishes a change; returns whether the slot was saved before. `mode`: how the table's records
    /// are written.
    pub(crate) fn change(&mut self, change: Change<T>, seq: u64, table: Mode) -> bool {
        let size = change.size_with(self.kept.as_ref());
        let Change { now, beside, mode, diff, .. } = change;
        let mode = self.mode_with(mode, table);
        let diff = diff.filter(|diff| self.compared().is_some_and(|now| diff.is_of(now)));
        let newly = self.become_unsaved(now, size, seq);
        let Some(unsaved) = &mut self.unsaved else { return newly };
        unsaved.seq = seq;
        if !std::mem::replace(&mut unsaved.image, true) {
            unsaved.image_since = seq;
        }
        unsaved.mode = mode;
        let field_wise = unsaved.mode.unwrap_or(table) == Mode::FieldWise;
        if !field_wise {
            // The record has what was added.
            unsaved.forget_touched();
        } else if let Some(diff) = diff
            && !unsaved.base.is_whole()
        {
            unsaved.touched.change(&diff);
        }
        if !(field_wise && matches!(self.now, Known::Record(_))) {
            // The record has them.
            unsaved.drop_waiting();
        }
        if let Beside::Moved(kept) = beside {
            // What is stored here is another item, so this is written even if the records are equal.
            self.kept = kept;
            unsaved.replace();
            unsaved.forget_touched();
            unsaved.drop_waiting();
        }
        if matches!(self.now, Known::Absent) {
            unsaved.forget_touched();
            let had_more = self.kept.take().is_some();
            let is_partial = unsaved.flight.as_ref().is_some_and(|flight| flight.attempt.is_some());
            if had_more || is_partial {
                // What comes after the delete is not what was loaded, even if the record is equal;
                // nor is it what is in flight, which leaves other attributes as they are.
                unsaved.replace();
            }
            unsaved.base.replaced = true;
        }
        newly
    }

    /// How the record is to be written once a change says this, if not as the table's are.
    pub(crate) fn mode_with(&self, given: Option<Mode>, table: Mode) -> Option<Mode> {
        let is_part = self.outdated.as_ref().is_some_and(|it| it.base.partial);
        // A part of the item is not known, and stays.
        let by_fields = (is_part && table == Mode::Plain).then_some(Mode::FieldWise);
        given.or_else(|| self.unsaved.as_ref()?.mode).or(by_fields)
    }

    /// The number of the change that is in flight.
    pub(crate) fn in_flight(&self) -> Option<u64> {
        self.unsaved.as_ref()?.flight.as_ref().map(|flight| flight.seq)
    }

    /// What is in flight but for increments.
    pub(crate) fn flight(&self) -> Option<&Flight<T>> {
        self.unsaved.as_ref()?.flight.as_deref()
    }

    /// Whether something of it is being written.
    pub(crate) fn is_flying(&self) -> bool {
        self.in_flight().is_some() || self.flying().is_some()
    }
}

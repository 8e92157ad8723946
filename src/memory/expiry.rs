//! Records that have expired and are hidden until the service deletes them.

use std::fmt;
use std::sync::Arc;

use super::Shared;
use super::slot::{Known, Slot};
use crate::breaks::broken;
use crate::codec::Kept;
use crate::key::Key;
use crate::record::Record;

/// Says the seconds since 1970, if expired records are to be hidden.
#[derive(Clone, Default)]
pub(crate) struct Clock(pub(super) Option<Arc<dyn Fn() -> i64 + Send + Sync>>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.0.is_some()).finish()
    }
}

impl<T: Record> Shared<T> {
    /// Whether a new record takes the place of one that has expired, where readers see none: it has
    /// nothing of that. The caller has the key's turn.
    pub(super) fn replaces_expired(&self, key: &Key) -> bool {
        if self.options.clock.0.is_none() {
            return false;
        }
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes()).filter(|slot| slot.unsaved.is_none());
        slot.is_some_and(|slot| matches!(slot.now, Known::Record(_)))
    }

    /// What readers see of a slot. The clock and the record are the user's code, so this is not called
    /// under a lock.
    pub(super) fn visible(&self, seen: Seen<T>) -> Known<T> {
        let (Known::Record(record), Some(clock), false) =
            (&seen.now, &self.options.clock.0, seen.unsaved)
        else {
            return seen.now;
        };
        match record.expires_at() {
            Some(end) if end <= clock() => Known::Absent,
            _ => seen.now,
        }
    }

    /// The record that readers see, with what its item has beside it.
    pub(super) fn held(&self, seen: Seen<T>) -> Option<Held<T>> {
        let (kept, unsaved) = (seen.kept.clone(), seen.unsaved);
        let record = self.visible(seen).record()?;
        Some(Held { record, kept, unsaved })
    }
}

/// What a slot has, taken from under its lock.
pub(crate) struct Seen<T> {
    now: Known<T>,
    kept: Option<Arc<Kept>>,
    unsaved: bool,
}

/// A record, and what its item has beside it.
pub(crate) struct Held<T> {
    pub(super) record: Arc<T>,
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) unsaved: bool,
}

impl<T> Seen<T> {
    /// What is known and not unsaved.
    pub(super) const fn saved(now: Known<T>, kept: Option<Arc<Kept>>) -> Self {
        Self { now, kept, unsaved: false }
    }

    pub(super) const fn is_record(&self) -> bool {
        matches!(self.now, Known::Record(_))
    }
}

impl<T: Record> Seen<T> {
    pub(super) fn of(slot: &Slot<T>) -> Self {
        let unsaved = slot.unsaved.is_some() && !broken(28);
        Self { now: slot.now.clone(), kept: slot.kept.clone(), unsaved }
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self { now: self.now.clone(), kept: self.kept.clone(), unsaved: self.unsaved }
    }
}

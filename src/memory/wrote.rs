//! Which keys this table wrote, so that they are never read behind its own writes.

use std::collections::HashSet;

use super::Shared;
use super::scans::Asked;
use crate::breaks::broken;
use crate::key::Key;
use crate::record::Record;
use crate::rt::Mutex;

/// The hashes of keys that were sent, where loads are eventually consistent; else nothing. Two keys
/// of one hash cost a consistent read too many.
#[derive(Debug, Default)]
pub(crate) struct Wrote(Option<Mutex<HashSet<u64>>>);

impl Wrote {
    /// Whether anything was sent, where that matters.
    pub(crate) fn is_any(&self) -> bool {
        self.0.as_ref().is_some_and(|hashes| !hashes.lock().is_empty())
    }

    /// Remembers keys unless all loads are consistent.
    pub(crate) fn new(consistent: bool) -> Self {
        Self((!consistent).then(Mutex::default))
    }
}

impl<T: Record> Shared<T> {
    /// The key is about to be sent.
    pub(super) fn note_write(&self, key: &Key) {
        if let Some(hashes) = &self.wrote.0 {
            hashes.lock().insert(self.slots.hash(key));
        }
    }

    /// Whether what an eventually consistent read says of a key may be behind what this table wrote.
    pub(super) fn may_be_behind(&self, key: &Key) -> bool {
        self.wrote.0.as_ref().is_some_and(|hashes| hashes.lock().contains(&self.slots.hash(key)))
    }

    /// Whether a page may be older than what this table wrote or forgot of a key since it was asked for.
    pub(super) fn is_outdated(&self, asked: Asked, key: &Key) -> bool {
        let may_be_behind = !asked.consistent && self.may_be_behind(key);
        may_be_behind || self.scans.resets() != asked.resets
    }

    /// Whether these keys are to be read consistently.
    pub(super) fn reads_consistently(&self, keys: &[Key]) -> bool {
        let consistent = self.options.consistent || keys.iter().any(|key| self.may_be_behind(key));
        consistent && !broken(23)
    }
}

//! What a load or a scan found, taken in by its slot unless that was touched since.

use std::sync::Arc;

use super::Shared;
use super::attempt::Base;
use super::expiry::Seen;
use super::load::Load;
use super::scans::Asked;
use super::slot::{Known, Slot};
use super::unsaved::saved;
use crate::breaks::broken;
use crate::codec::{Decoded, Kept, key_json};
use crate::error::Error;
use crate::key::Key;
use crate::record::Record;
use crate::sums::Sums;

impl<T: Record> Shared<T> {
    /// Takes a loaded record in, unless the slot was touched since: then what was found may be old,
    /// and nothing is returned. Increments that wait are added to it.
    pub(super) fn store(
        &self,
        load: &Arc<Load<T>>,
        key: &Key,
        found: Option<Decoded<T>>,
    ) -> Result<Option<Seen<T>>, Error> {
        let found = Stored::of(found);
        let is_current = |current: &Arc<Load<T>>| Arc::ptr_eq(current, load) || broken(18);
        let (seen, _dropped_after_the_lock) = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else { return Ok(None) };
            if slot.deltas().is_some() {
                drop(locked);
                return self.store_below(load, key, found);
            }
            let seen = Seen::saved(found.now.clone(), found.kept.clone());
            if !slot.load.as_ref().map_or(broken(18), is_current) {
                return Ok(broken(17).then_some(seen));
            }
            slot.load = None;
            slot.since = self.scans.begun();
            (seen, found.put_into(slot))
        };
        self.register(key);
        Ok(Some(seen))
    }

    /// The same where there were increments a moment ago.
    fn store_below(
        &self,
        load: &Arc<Load<T>>,
        key: &Key,
        found: Stored<T>,
    ) -> Result<Option<Seen<T>>, Error> {
        let deltas = self.increments_of(load, key);
        let shown = match &deltas {
            Some((sums, _)) => {
                let names: Vec<Box<str>> = sums.names().map(Box::from).collect();
                Some((self.shown_with(key, &found, sums)?, names))
            }
            None => None,
        };
        let seen = match &shown {
            Some(((now, _), _)) => Seen::saved(now.clone(), saved(found.kept.clone())),
            None => Seen::saved(found.now.clone(), found.kept.clone()),
        };
        let _dropped_after_the_lock = {
            let mut locked = self.slots.lock(key.as_bytes());
            let is_current = |current: &Arc<Load<T>>| Arc::ptr_eq(current, load) || broken(18);
            let Some(slot) = locked.find(key.as_bytes()) else { return Ok(None) };
            if !slot.load.as_ref().map_or(broken(18), is_current) {
                return Ok(broken(17).then_some(seen));
            }
            slot.load = None;
            slot.since = self.scans.begun();
            match (shown, deltas) {
                // Whether it has them nobody knows: who asked may have it, but nothing starts from it.
                (_, Some((_, true))) => (Known::Unknown, None),
                (Some((shown, added)), _) => {
                    let before = found.put_below(slot, shown, &added);
                    locked.note(key);
                    before
                }
                (None, _) => found.put_into(slot),
            }
        };
        self.register(key);
        Ok(Some(seen))
    }

    /// The increments that wait for a record that is loaded, if there are any, and whether others may be
    /// stored.
    fn increments_of(&self, load: &Arc<Load<T>>, key: &Key) -> Option<(Sums, bool)> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        let is_current = slot.load.as_ref().is_some_and(|current| Arc::ptr_eq(current, load));
        // Every increment that is made or sent after this ends the load.
        let deltas = slot.deltas().filter(|_| is_current)?;
        Some((deltas.waiting.clone(), deltas.frozen.is_some()))
    }

    /// What a loaded record is with the increments that wait, and its size.
    pub(super) fn shown_with(
        &self,
        key: &Key,
        found: &Stored<T>,
        sums: &Sums,
    ) -> Result<(Known<T>, usize), Error> {
        if sums.is_empty() {
            return Ok((found.now.clone(), found.size));
        }
        let item = match &found.now {
            Known::Record(record) => self.encoded_form(record, key)?.json,
            Known::Absent | Known::Unknown => key_json::<T>(key),
        };
        let added = Self::with_sums(&item, key, sums);
        let Decoded { record, size, .. } =
            added.map_err(|error| self.place(error).on_key(key).during("increment"))?;
        Ok((Known::Record(Arc::new(record)), size))
    }

    /// The stored item of a key does not fit the type. Unless the slot was touched since, nothing is
    /// known any more of the record, and no change may replace the item.
    pub(super) fn store_unreadable(&self, load: &Arc<Load<T>>, key: &Key) {
        let _dropped_after_the_lock = {
            let mut locked = self.slots.lock(key.as_bytes());
            let is_current = |current: &Arc<Load<T>>| Arc::ptr_eq(current, load);
            let slot = locked.find(key.as_bytes());
            slot.filter(|slot| slot.load.as_ref().is_some_and(is_current)).map(|slot| {
                let known = slot.forget(slot.forgotten);
                slot.unreadable = true;
                known
            })
        };
    }

    /// Takes a scanned record in where nothing is known; what is known is as new or newer. `None`:
    /// the item does not fit the type.
    pub(super) fn store_scanned(&self, asked: Asked, key: &Key, found: Option<Stored<T>>) {
        {
            let mut locked = self.slots.lock(key.as_bytes());
            // Reset since the page was asked for: it may be older than what was forgotten.
            if self.is_outdated(asked, key) {
                return;
            }
            let slot = locked.slot(key);
            // What has increments is loaded by its key when it is asked for.
            if slot.now.is_unknown() && slot.forgotten < asked.scan && slot.unsaved.is_none() {
                match found {
                    // A load of the same key is of no use any more; were it left to bring the record
                    // and failed, the record would count as absent.
                    Some(found) => {
                        slot.load = None;
                        let _nothing = found.put_into(slot);
                    }
                    None => slot.unreadable = true,
                }
            }
            locked.prune(key.as_bytes());
        }
        self.register(key);
    }
}

/// What was found for a key, as a slot has it.
pub(super) struct Stored<T> {
    pub(super) now: Known<T>,
    kept: Option<Arc<Kept>>,
    size: usize,
}

impl<T: Record> Stored<T> {
    pub(super) fn of(found: Option<Decoded<T>>) -> Self {
        match found {
            None => Self { now: Known::Absent, kept: None, size: 0 },
            Some(Decoded { record, kept, size, .. }) => {
                Self { now: Known::Record(Arc::new(record)), kept: kept.map(Arc::new), size }
            }
        }
    }

    /// As [`put_into`](Self::put_into), where increments wait: readers see it with them.
    fn put_below(
        self,
        slot: &mut Slot<T>,
        (shown, size): (Known<T>, usize),
        added: &[Box<str>],
    ) -> (Known<T>, Option<Arc<Kept>>) {
        if let Some(unsaved) = &mut slot.unsaved {
            unsaved.rebase(Base::new(self.now.clone(), self.kept.clone()));
            if matches!(self.now, Known::Absent) {
                unsaved.touched.add(added);
                if let Some(layer) = &mut unsaved.layer {
                    layer.touched.add(added);
                }
            }
        }
        Self { now: shown, size, kept: self.kept }.put_into(slot)
    }

    /// Returns what was known before.
    fn put_into(self, slot: &mut Slot<T>) -> (Known<T>, Option<Arc<Kept>>) {
        // The policy knows it by its old size, if it knows it.
        (slot.registered, slot.unreadable) = (false, false);
        slot.since = slot.since.max(std::mem::take(&mut slot.forgotten));
        slot.set_size(self.size);
        // Who has read it before goes on from that.
        if !slot.is_being_changed() {
            slot.outdated = None;
        }
        (std::mem::replace(&mut slot.now, self.now), std::mem::replace(&mut slot.kept, self.kept))
    }
}

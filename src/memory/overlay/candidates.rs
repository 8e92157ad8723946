//! The records that the database may not return as they are here.

use std::sync::Arc;

use hashbrown::HashMap;

use super::order::{Order, Position};
use crate::breaks::broken;
use crate::codec::key_json;
use crate::key::Key;
use crate::memory::Shared;
use crate::memory::attempt::Base;
use crate::memory::slot::{Known, Slot};
use crate::record::Record;
use crate::table::Reader;

/// A record that is to be added if the database does not return it.
pub(super) struct Candidate {
    pub(super) key: Key,
    pub(super) position: Position,
    /// It comes where the database has it, so only behind all that is at its position.
    pub(super) is_late: bool,
    /// The attributes of its place.
    pub(super) place: String,
    /// The database may have it, though it did not return it.
    pub(super) is_doubtful: bool,
}

/// What is known of a record that is unsaved, or was a moment ago.
pub(super) struct Unsaved<T: Record> {
    pub(super) key: Key,
    now: Known<T>,
    /// What the database has, as far as it is known.
    base: Base<T>,
    /// It may have what is being saved.
    is_in_doubt: bool,
    /// Nothing is unsaved any more.
    is_saved: bool,
}

impl<T: Record> Unsaved<T> {
    fn of(key: Key, slot: &Slot<T>) -> Self {
        let now = slot.now.clone();
        let Some(unsaved) = &slot.unsaved else {
            let base = Base::new(now.clone(), slot.kept.clone());
            return Self { key, now, base, is_in_doubt: false, is_saved: true };
        };
        let increments = slot.frozen().is_some_and(|frozen| frozen.doubt);
        let is_in_doubt = !unsaved.base.exact || slot.is_flying() || unsaved.doubt || increments;
        Self { key, now, base: unsaved.base.clone(), is_in_doubt, is_saved: false }
    }

    fn saved(key: Key, record: &Arc<T>) -> Self {
        let now = Known::Record(Arc::clone(record));
        let base = Base::new(now.clone(), None);
        Self { key, now, base, is_in_doubt: false, is_saved: true }
    }

    /// Only an index says whether it is among what is asked for.
    pub(super) const fn is_for_the_index(&self) -> bool {
        matches!(self.now, Known::Unknown)
    }
}

/// The same hash of a key in every process.
fn stable_hash(key: &Key) -> u64 {
    // FNV-1a: short keys, and no need of resistance.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    key.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl<T: Record> Shared<T> {
    /// The keys of what is unsaved, and of what was saved a moment ago if that counts too.
    pub(super) fn keys_to_look_at(&self, reader: &Reader<T>) -> Vec<Key> {
        if broken(24) {
            return Vec::new();
        }
        let mut keys = self.slots.unsaved_within(reader.prefix.as_deref().unwrap_or_default());
        if reader.index.is_some() {
            keys.extend(self.recent.keys());
            keys = crate::load::distinct(keys);
        }
        keys
    }

    /// What is unsaved of these keys, or was a moment ago. `records`: what may have been let go.
    pub(super) fn unsaved_now(
        &self,
        keys: Vec<Key>,
        records: &HashMap<Key, Arc<T>>,
    ) -> Vec<Unsaved<T>> {
        let unsaved = |key: Key| {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            match slot.filter(|slot| slot.unsaved.is_some() || !slot.now.is_unknown()) {
                Some(slot) => Some(Unsaved::of(key, slot)),
                None => records.get(&key).map(|record| Unsaved::saved(key, record)),
            }
        };
        keys.into_iter().filter_map(unsaved).collect()
    }

    /// Where the database has a record of a query, if that is where it is here too.
    pub(super) fn position_there(
        &self,
        unsaved: &Unsaved<T>,
        order: &Order<T>,
        here: &Position,
    ) -> Option<Position> {
        let item = self.stored_item(&unsaved.key, &unsaved.base).ok()??;
        order.has(&item).filter(|there| order.compare(there, here).is_eq())
    }

    /// A record as one that may have to be added, if it is among what is asked for.
    pub(super) fn candidate(
        &self,
        unsaved: &Unsaved<T>,
        reader: &Reader<T>,
        order: &Order<T>,
    ) -> Option<Candidate> {
        let Unsaved { key, now, .. } = unsaved;
        if let Some(segment) = reader.segment
            && stable_hash(key) % u64::from(reader.segments.max(1)) != u64::from(segment)
        {
            return None;
        }
        let item = match (now, reader.index) {
            (Known::Absent, _) | (Known::Unknown, Some(_)) => return None,
            (_, None) => key_json::<T>(key),
            (Known::Record(record), Some(_)) => self.encoded_form(record, key).ok()?.json,
        };
        let position = order.has(&item)?;
        // The database may have returned others before, or somewhere else.
        let is_part = reader.segment.is_some() || reader.start.is_some();
        let is_doubtful = match self.is_stored(unsaved, reader, order) {
            _ if order.is_query() || !is_part => false,
            Some(true) if reader.index.is_some() => return None,
            stored => stored != Some(false),
        };
        let place = order.place(&item).unwrap_or_default();
        Some(Candidate { key: key.clone(), position, is_late: false, place, is_doubtful })
    }

    /// Whether the database has a record among what is asked for, if that is known.
    fn is_stored(
        &self,
        unsaved: &Unsaved<T>,
        reader: &Reader<T>,
        order: &Order<T>,
    ) -> Option<bool> {
        if unsaved.is_in_doubt || unsaved.base.partial {
            return None;
        }
        match (&unsaved.base.item, &unsaved.base.known) {
            (None, Known::Unknown) => None,
            // An absence that was read eventually may be none.
            (None, Known::Absent) => self.options.consistent.then_some(false),
            // What an index has is in the item; what it had before came from it, or will.
            _ if reader.index.is_some() && unsaved.is_saved => Some(true),
            _ => {
                let item = self.stored_item(&unsaved.key, &unsaved.base).ok()??;
                Some(order.has(&item).is_some())
            }
        }
    }
}

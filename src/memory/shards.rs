//! The map of slots, in shards so that cores do not wait for each other.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

use super::attempt::Base;
use super::journal::Recorder;
use super::room::{Mark, Need, Room};
use super::slot::{Change, Incremented, Known, Slot};
use super::unsaved::Outdated;
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::guard::Mode;
use crate::key::Key;
use crate::load::distinct;
use crate::record::Record;
use crate::rt::{Mutex, MutexGuard};

/// More shards than any machine has cores to speak of, so that two tasks rarely meet; few where each of
/// their locks is a place for the scheduler to be asked.
const SHARDS: usize = if cfg!(all(test, feature = "interleavings")) { 2 } else { 64 };

/// All slots of a memory table.
///
/// Locks are held for a few instructions: never while user code or the codec runs, and never
/// across an await.
pub(crate) struct Shards<T: Record> {
    shards: Box<[Mutex<Shard<T>>]>,
    hasher: DefaultHashBuilder,
    /// The newest sequence number; numbers are given under a shard's lock.
    seq: AtomicU64,
    pub(crate) room: Room,
    /// The newest change that the last checkpoint covers; without checkpoints all are covered.
    covered: AtomicU64,
    /// How records are written that nothing else is said of.
    mode: Mode,
    /// Where what is unsaved is noted too.
    pub(crate) recorder: Recorder<T>,
}

/// Two of them share no cache line, nor do pairs of lines that are fetched together.
#[repr(align(128))]
pub(crate) struct Shard<T: Record> {
    slots: HashTable<Slot<T>>,
    /// The unsaved keys by the sequence number that made them so: the order of flushing.
    unsaved: BTreeMap<u64, Key>,
    /// The keys that were changed since the last checkpoint, and maybe discarded.
    uncovered: Vec<Key>,
    /// Reads of records that were there: counted here, since one counter for all cores would be the slowest
    /// part of a read.
    hits: u64,
    /// By which the policy is told of some reads.
    random: fastrand::Rng,
}

/// A shard, locked, and the place of a key in it.
pub(crate) struct Locked<'s, T: Record> {
    shard: MutexGuard<'s, Shard<T>>,
    shards: &'s Shards<T>,
    index: usize,
    hash: u64,
}

/// The shards of two keys, which may be one, locked.
pub(crate) struct Both<'s, T: Record> {
    first: Locked<'s, T>,
    second: Option<Locked<'s, T>>,
}

impl<T: Record> Shards<T> {
    /// No slots; at most so much may be unsaved, each record counting `beside` bytes more than it has.
    pub(crate) fn new(most: Mark, beside: usize, mode: Mode, recorder: Recorder<T>) -> Self {
        let shard = |seed| {
            let (slots, unsaved) = (HashTable::new(), BTreeMap::new());
            let random = fastrand::Rng::with_seed(seed);
            Mutex::new(Shard { slots, unsaved, uncovered: Vec::new(), hits: 0, random })
        };
        Self {
            shards: (0..).take(SHARDS).map(shard).collect(),
            hasher: DefaultHashBuilder::default(),
            seq: AtomicU64::new(0),
            room: Room::new(most, beside),
            covered: AtomicU64::new(if recorder.has_checkpoints() { 0 } else { u64::MAX }),
            mode,
            recorder,
        }
    }

    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key.as_bytes())
    }

    /// Locks the shard of a key, given by its bytes.
    pub(crate) fn lock(&self, key: &[u8]) -> Locked<'_, T> {
        let (index, hash) = self.place(key);
        self.lock_at(index, hash)
    }

    /// Locks the shards of two keys, in an order that is the same for all.
    pub(crate) fn lock_both(&self, one: &[u8], other: &[u8]) -> Both<'_, T> {
        let (one, other) = (self.place(one), self.place(other));
        let (low, high) = (one.min(other), one.max(other));
        let first = self.lock_at(low.0, low.1);
        let second = (high.0 != low.0).then(|| self.lock_at(high.0, high.1));
        Both { first, second }
    }

    /// The shard of a key and its hash.
    fn place(&self, key: &[u8]) -> (usize, u64) {
        let hash = self.hasher.hash_one(key);
        // The table uses the low bits for the place and the top seven for the tag.
        (usize::try_from(hash >> 40).unwrap_or_default() % SHARDS, hash)
    }

    fn lock_at(&self, index: usize, hash: u64) -> Locked<'_, T> {
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        Locked { shard: shard.lock(), shards: self, index, hash }
    }

    /// Reads of records that were there.
    pub(crate) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().hits).sum()
    }

    /// The last of so many new sequence numbers.
    #[cfg(feature = "journal")]
    pub(crate) fn number(&self, count: usize) -> u64 {
        let count = u64::try_from(count).unwrap_or_default();
        self.seq.fetch_add(count, Ordering::SeqCst) + count
    }

    /// New sequence numbers are above this one.
    #[cfg(feature = "journal")]
    pub(crate) fn begin_above(&self, number: u64) {
        self.seq.fetch_max(number, Ordering::SeqCst);
    }

    #[cfg(feature = "journal")]
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// The sequence number of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        self.seq.load(Ordering::SeqCst)
    }

    /// The newest change that may be sent.
    pub(crate) fn covered(&self) -> u64 {
        self.covered.load(Ordering::SeqCst)
    }

    /// Covers all that was changed, and returns its slots' states, all of one moment.
    #[cfg(feature = "journal")]
    pub(crate) fn cover<R>(
        &self,
        mut state: impl FnMut(&Key, Option<&Slot<T>>) -> R,
        noted: impl FnOnce(Vec<R>) -> u64,
    ) -> u64 {
        // Users' records, which are dropped under no lock.
        let mut before = Vec::new();
        // In the order in which everybody locks several.
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.lock()).collect();
        let mut states = Vec::new();
        for shard in &mut shards {
            let Shard { slots, uncovered, .. } = &mut **shard;
            for key in std::mem::take(uncovered) {
                let mut slot = slots.find_mut(self.hash(&key), |slot| slot.key == key);
                let unsaved = slot.as_mut().and_then(|slot| slot.unsaved.as_mut());
                before.push(unsaved.and_then(|unsaved| unsaved.cover()));
                states.push(state(&key, slot.as_deref()));
            }
        }
        // A number of its own: a flush that began before covers less.
        self.covered.store(self.number(1), Ordering::SeqCst);
        noted(states)
    }

    /// Whether nothing was changed since the last checkpoint.
    pub(crate) fn is_covered(&self) -> bool {
        let mut is_covered = true;
        self.each(|slot| {
            is_covered &= slot.unsaved.as_ref().is_none_or(|unsaved| unsaved.layer.is_none());
        });
        is_covered
    }

    /// What a journal had is covered.
    #[cfg(feature = "journal")]
    pub(crate) fn cover_restored(&self) {
        self.covered.fetch_max(self.newest(), Ordering::SeqCst);
    }

    pub(crate) fn unsaved_count(&self) -> usize {
        self.room.records()
    }

    /// The unsaved keys whose first change is not newer than `scope`, in the order of change.
    ///
    /// A change gets its number and is published under one lock, so after reading `scope` and
    /// locking each shard in turn no change up to it can be missed.
    pub(crate) fn unsaved_keys(&self, scope: u64) -> Vec<Key> {
        let mut keys = Vec::with_capacity(self.unsaved_count());
        for shard in &self.shards {
            let shard = shard.lock();
            keys.extend(shard.unsaved.range(..=scope).map(|(first, key)| (*first, key.clone())));
        }
        keys.sort_unstable_by_key(|(first, _)| *first);
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// The unsaved keys that begin with these bytes, in no order.
    pub(crate) fn unsaved_within(&self, prefix: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let within = shard.unsaved.values().filter(|key| key.as_bytes().starts_with(prefix));
            keys.extend(within.cloned());
        }
        keys
    }

    /// Those of these keys that are unsaved, each once.
    pub(crate) fn unsaved_of(&self, keys: &[Key]) -> Vec<Key> {
        let is_unsaved = |key: &Key| {
            let mut locked = self.lock(key.as_bytes());
            locked.find(key.as_bytes()).is_some_and(|slot| slot.unsaved.is_some())
        };
        distinct(keys.iter().filter(|key| is_unsaved(key)).cloned())
    }

    /// Visits every slot, shard by shard.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Slot<T>)) {
        for shard in &self.shards {
            shard.lock().slots.iter().for_each(&mut visit);
        }
    }

    /// Drops traces up to this one; a slot that holds nothing else goes. Returns whether there are
    /// newer ones.
    pub(crate) fn forget_traces(&self, up_to: u64) -> bool {
        let mut newer = false;
        for shard in &self.shards {
            shard.lock().slots.retain(|slot| {
                if slot.forgotten <= up_to {
                    slot.forgotten = 0;
                }
                newer |= slot.forgotten > 0;
                !slot.is_vacant()
            });
        }
        newer
    }

    /// Forgets every slot; unless forced, not those that are unsaved. None is in flight. Returns what
    /// was known, to be dropped under no lock.
    pub(crate) fn clear(&self, forced: bool) -> Vec<Slot<T>> {
        let mut gone = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            if forced {
                shard.unsaved.clear();
            }
            gone.extend(shard.slots.extract_if(|slot| self.empty(slot, forced)));
        }
        gone
    }

    /// Empties a slot if it is to be forgotten; returns whether it may go altogether.
    fn empty(&self, slot: &mut Slot<T>, forced: bool) -> bool {
        if !forced && slot.unsaved.is_some() {
            return false;
        }
        let unsaved = slot.unsaved.take();
        if let Some(unsaved) = &unsaved {
            self.room.left(unsaved.size());
            self.recorder.forget(slot);
        }
        if slot.busy.is_none() {
            return true;
        }
        // The record that is being changed was loaded with what is kept, and is a change of what was stored.
        let (now, kept) = slot.forget(0);
        if slot.is_being_changed() && !now.is_unknown() {
            let in_doubt = unsaved.as_ref().is_some_and(|unsaved| unsaved.is_in_doubt());
            let saved = || Outdated::saved(Base::new(now.clone(), kept.clone()));
            let outdated = slot.outdated.take().map(|outdated| *outdated);
            let stored = outdated.or_else(|| unsaved.map(|unsaved| unsaved.stored()));
            let mut stored = stored.unwrap_or_else(saved);
            if in_doubt {
                let replaced = stored.base.replaced;
                stored.base = Base { replaced, ..Base::new(Known::Unknown, kept.clone()) };
            }
            if stored.shown.is_unknown() {
                stored.shown = now;
            }
            slot.outdated = Some(Box::new(stored));
        }
        slot.kept = kept;
        false
    }
}

impl<'s, T: Record> Both<'s, T> {
    /// The place of one of the keys.
    pub(crate) fn at(&mut self, key: &[u8]) -> &mut Locked<'s, T> {
        let (index, hash) = self.first.shards.place(key);
        let second = self.second.as_mut().filter(|second| second.index == index);
        let locked = second.unwrap_or(&mut self.first);
        locked.hash = hash;
        locked
    }
}

impl<'s, T: Record> Locked<'s, T> {
    pub(crate) fn find(&mut self, key: &[u8]) -> Option<&mut Slot<T>> {
        self.shard.slots.find_mut(self.hash, |slot| slot.key.as_bytes() == key)
    }

    /// The slot of a record is read that is there.
    pub(crate) fn count_hit(&mut self) {
        self.shard.hits += 1;
    }

    /// Whether the policy is to be told of a read: of one in four, by chance, as its own books cost three times what
    /// a read does.
    pub(crate) fn is_told(&mut self) -> bool {
        self.shard.random.u8(..) < 64
    }

    /// The slot of a key, made if there is none.
    pub(crate) fn slot(&mut self, key: &Key) -> &mut Slot<T> {
        let hasher = &self.shards.hasher;
        let rehash = |slot: &Slot<T>| hasher.hash_one(slot.key.as_bytes());
        match self.shard.slots.entry(self.hash, |slot| slot.key == *key, rehash) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Slot::new(key.clone())).into_mut(),
        }
    }

    /// What room a change to this size needs.
    pub(crate) fn need_of(&mut self, key: &Key, size: usize) -> Need {
        let before = self.find(key.as_bytes()).and_then(|slot| slot.unsaved_size());
        self.shards.room.need(before, size)
    }

    /// What room a change needs.
    pub(crate) fn need(&mut self, key: &Key, change: &Change<T>) -> Need {
        let slot = self.find(key.as_bytes());
        let size = change.size_with(slot.as_ref().and_then(|slot| slot.kept.as_ref()));
        let before = slot.and_then(|slot| slot.unsaved_size());
        self.shards.room.need(before, size)
    }

    /// Publishes a change and gives it its number, both under this lock. The room that it needs was
    /// taken before.
    /// `complete`: a key of which nothing is known is absent.
    pub(crate) fn change(&mut self, key: &Key, change: Change<T>, complete: bool) {
        let mut seq = self.next_seq();
        if has(Bug::SeenBeforeNumbered) {
            let unsaved = self.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_ref());
            seq = unsaved.map_or(seq, |unsaved| unsaved.seq);
        }
        let mode = self.shards.mode;
        self.slot(key).is_absent_if(complete);
        self.publish_above(key, seq, |slot| slot.change(change, seq, mode));
        self.note_change(key);
    }

    /// Publishes increments, as a change is: what waits with them, and the record that shows them, if
    /// it is known.
    pub(crate) fn increment(&mut self, key: &Key, new: Incremented<T>) {
        let seq = self.next_seq();
        self.publish_above(key, seq, |slot| slot.increment(new, seq));
        self.note_change(key);
    }

    fn next_seq(&self) -> u64 {
        self.shards.seq.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Publishes something that no checkpoint covers yet, if there are any; what one covers is kept.
    fn publish_above(&mut self, key: &Key, seq: u64, make: impl FnOnce(&mut Slot<T>) -> bool) {
        if !self.shards.recorder.has_checkpoints() {
            return self.publish(key, seq, make);
        }
        let mut is_first = self.slot(key).split();
        self.publish(key, seq, |slot| {
            let newly = make(slot);
            if newly {
                slot.begin_layer();
                is_first = true;
            }
            newly
        });
        if is_first {
            let own = self.slot(key).key.clone();
            self.shard.uncovered.push(own);
        }
    }

    /// Publishes what is made of a slot, which returns whether that was saved before.
    fn publish(&mut self, key: &Key, seq: u64, make: impl FnOnce(&mut Slot<T>) -> bool) {
        let slot = self.slot(key);
        let before = slot.unsaved_size();
        let newly = make(slot);
        let size = slot.unsaved_size().unwrap_or(0);
        // The slot's own key, which both share.
        if let Some(own) = (newly || broken(2)).then(|| slot.key.clone()) {
            self.shard.unsaved.insert(seq, own);
        }
        self.shards.room.took(before, size);
        self.check(key);
    }

    /// Publishes what was made of a change in its place, covered as that is.
    pub(crate) fn replace(&mut self, key: &Key, change: Change<T>) {
        let (seq, mode) = (self.next_seq(), self.shards.mode);
        self.publish(key, seq, |slot| slot.change(change, seq, mode));
    }

    /// Runs a transition that may make the slot saved; it leaves the list of unsaved keys then.
    pub(crate) fn transition(&mut self, key: &Key, step: impl FnOnce(&mut Slot<T>) -> bool) {
        let Some(slot) = self.find(key.as_bytes()) else {
            return;
        };
        let before = slot.unsaved.as_ref().map(|unsaved| (unsaved.first, unsaved.size()));
        let was_unsaved = before.is_some();
        if step(slot)
            && let Some((first, size)) = before
            && self.shard.unsaved.remove(&first).is_some()
        {
            self.shards.room.left(size);
        }
        self.check(key);
        if was_unsaved {
            self.note(key);
        }
    }

    /// Makes a slot unsaved again, as a journal had it.
    #[cfg(feature = "journal")]
    pub(crate) fn restore(&mut self, found: Slot<T>) {
        let Some(unsaved) = found.unsaved else { return };
        let (key, first, size) = (found.key, unsaved.first, unsaved.size());
        let slot = self.slot(&key);
        let _known = slot.forget(0);
        (slot.now, slot.kept) = (found.now, found.kept);
        slot.set_size(size);
        slot.unsaved = Some(unsaved);
        let own = slot.key.clone();
        self.shard.unsaved.insert(first, own);
        self.shards.room.owe(size);
        self.check(&key);
    }

    #[cfg(feature = "journal")]
    pub(super) const fn shards(&self) -> &'s Shards<T> {
        self.shards
    }

    /// The invariants of a slot and of its place in the list of unsaved keys, in debug builds.
    fn check(&mut self, key: &Key) {
        if !cfg!(debug_assertions) {
            return;
        }
        let Some(slot) = self.find(key.as_bytes()) else { return };
        slot.check();
        let first = slot.unsaved.as_ref().map(|unsaved| unsaved.first);
        let listed = first.is_none_or(|first| self.shard.unsaved.get(&first) == Some(key));
        debug_assert!(listed, "an unsaved record is not in the list of those");
    }

    /// Removes the slot if it holds nothing.
    pub(crate) fn prune(&mut self, key: &[u8]) {
        let found = self.shard.slots.find_entry(self.hash, |slot| slot.key.as_bytes() == key);
        if let Ok(entry) = found
            && entry.get().is_vacant()
        {
            entry.remove();
        }
    }
}

//! How much is kept in memory: a policy decides which clean slot to let go.
//!
//! The map of slots is the truth. The policy knows keys and weights only; what it lets go is dropped
//! if the slot is clean and untouched, else it is registered again when it is. A slot that counts as
//! registered is known to the policy, but not always the other way round.
//! moka may call its listener within any of its own calls, so no lock is held when it is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::Shared;
use crate::key::Key;
use crate::record::Record;

/// What a slot costs beside its item: the slot itself, its key, its place in the map and in the
/// policy.
pub(crate) const SLOT_BYTES: usize = 256;

/// How much is kept, unsaved records included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    Records(usize),
    /// Item sizes by DynamoDB's arithmetic, and [`SLOT_BYTES`] a slot.
    Bytes(usize),
}

impl Capacity {
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::Records(count) | Self::Bytes(count) => count,
        }
    }

    fn weight(self, size: usize) -> u32 {
        match self {
            Self::Records(_) => 1,
            Self::Bytes(_) => u32::try_from(size + SLOT_BYTES).unwrap_or(u32::MAX),
        }
    }
}

/// Decides what to let go.
pub(crate) trait Policy: Send + Sync {
    /// A clean slot of this weight.
    fn register(&self, key: &Key, weight: u32);
    /// It was asked for.
    fn touch(&self, key: &[u8]);
    /// It is not clean any more.
    fn remove(&self, key: &Key);
}

/// moka's TinyLFU.
struct Tiny(Cache<Key, u32>);

impl Policy for Tiny {
    fn register(&self, key: &Key, weight: u32) {
        self.0.insert(key.clone(), weight);
        // Else it lets go of nothing for a while, and the bound would not be one.
        self.0.run_pending_tasks();
    }

    fn touch(&self, key: &[u8]) {
        let _touched = self.0.get(key);
    }

    fn remove(&self, key: &Key) {
        self.0.invalidate(key);
    }
}

/// The bound of a memory table.
pub(crate) struct Bound {
    capacity: Capacity,
    policy: Box<dyn Policy>,
    evicted: AtomicU64,
}

impl Bound {
    /// Clean slots weigh at most `clean`.
    pub(crate) fn new<T: Record>(
        capacity: Capacity,
        clean: usize,
        shared: Weak<Shared<T>>,
    ) -> Self {
        let let_go = move |key: Arc<Key>, _weight: u32, cause: RemovalCause| {
            // What was removed or replaced is no decision of the policy's.
            if cause.was_evicted()
                && let Some(shared) = shared.upgrade()
            {
                shared.evict(&key);
            }
        };
        let cache = Cache::builder()
            .max_capacity(u64::try_from(clean).unwrap_or(u64::MAX))
            .weigher(|_: &Key, weight: &u32| *weight)
            .eviction_listener(let_go)
            .build();
        let policy = Box::new(Tiny(cache));
        Self { capacity, policy, evicted: AtomicU64::new(0) }
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

impl<T: Record> Shared<T> {
    /// Tells the policy that a key was asked for, if it is to be told of that read.
    pub(super) fn touch(&self, key: &[u8]) {
        if self.bound.is_some() && self.slots.lock(key).is_told() {
            self.tell(key);
        }
    }

    /// Tells the policy that a key was asked for.
    pub(super) fn tell(&self, key: &[u8]) {
        if let Some(bound) = &self.bound {
            bound.policy.touch(key);
        }
    }

    /// Registers a slot that has become clean. Not under a lock.
    pub(super) fn register(&self, key: &Key) {
        let Some(bound) = &self.bound else { return };
        let weight = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else { return };
            if !slot.is_idle() || slot.now.is_unknown() || slot.registered {
                return;
            }
            slot.registered = true;
            bound.capacity.weight(slot.size())
        };
        bound.policy.register(key, weight);
    }

    /// Takes a slot that is not clean any more from the policy. Not under a lock.
    pub(super) fn unregister(&self, key: &Key) {
        let Some(bound) = &self.bound else { return };
        bound.policy.remove(key);
        // It may have become clean and been registered just before.
        if let Some(slot) = self.slots.lock(key.as_bytes()).find(key.as_bytes()) {
            slot.registered = false;
        }
        self.register(key);
    }

    /// Drops a slot that the policy lets go, if it is clean and nobody is about to change it.
    fn evict(&self, key: &Key) {
        let _dropped_after_the_lock = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else { return };
            // In any case: what cannot be dropped now is registered again when it can.
            slot.registered = false;
            if !slot.is_idle() || slot.now.is_unknown() {
                return;
            }
            // Under the lock: a key without a slot is not absent from now on.
            let trace = self.scans.evicted(slot.since);
            let before = slot.forget(trace);
            locked.prune(key.as_bytes());
            before
        };
        if let Some(bound) = &self.bound {
            bound.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
impl<T: Record> super::MemoryTable<T> {
    /// As the policy does, with a record that it knows.
    pub(crate) fn let_go<K: crate::key::KeyLookup<T::Key>>(&self, key: &K) {
        if let Ok(key) = self.shared.table.checked_key(key) {
            self.shared.evict(&key);
        }
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.shared.is_flushing()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::{Database, MemoryTable, Record};

    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "numbers")]
    struct Number {
        #[record(partition_key)]
        number: i32,
    }

    /// A memory table over 300 records, which keeps some of them.
    async fn bounded() -> MemoryTable<Number> {
        let table = Database::embedded().unwrap().table::<Number>();
        table.create_if_missing().await.unwrap();
        let stored = table.batch_write().puts((0..300).map(|number| Number { number }));
        assert_eq!(stored.await.unwrap().written, 300);
        MemoryTable::builder(table).capacity_records(40).build().unwrap()
    }

    #[tokio::test]
    async fn what_a_page_that_was_read_before_could_make_older_leaves_a_trace() {
        let memory = bounded().await;
        memory.get(1).await.unwrap().unwrap();
        let scan = memory.shared.scans.begin();
        memory.get(2).await.unwrap().unwrap();
        memory.delete(3).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().deleted, 1);
        for (number, traced) in [(1, false), (2, true), (3, true)] {
            let key = memory.shared.table.checked_key(&number).unwrap();
            memory.shared.evict(&key);
            let mut locked = memory.shared.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            assert!(slot.as_ref().is_none_or(|slot| slot.now.is_unknown()), "{number} is let go");
            let trace = slot.is_some_and(|slot| slot.forgotten >= scan.number);
            assert_eq!(trace, traced, "{number}");
        }
    }

    /// By Zipf's law the reads of the 40 most popular of 300 are 68 % of all.
    #[tokio::test]
    async fn popular_records_stay() {
        let memory = bounded().await;
        let mut random = fastrand::Rng::with_seed(7);
        let popularity: Vec<f64> = (1..=300).map(|rank| 1.0 / f64::from(rank)).collect();
        let all = popularity.iter().sum::<f64>();
        for _ in 0..8_000 {
            let mut left = random.f64() * all;
            let number = popularity.iter().position(|part| {
                left -= part;
                left <= 0.0
            });
            let number = i32::try_from(number.unwrap_or_default()).unwrap();
            memory.get(number).await.unwrap().unwrap();
        }
        let hits = memory.stats().hits;
        assert!(hits >= 4_200, "{hits} of 8,000 reads were hits");
    }

    #[tokio::test]
    async fn loads_of_a_bounded_table_leave_no_slots_behind() {
        let memory = bounded().await;
        let slots = || {
            let mut count = 0;
            memory.shared.slots.each(|_| count += 1);
            count
        };
        for _ in 0..2 {
            assert_eq!(memory.load_all().await.unwrap().records, 300);
            assert!((1..=20).contains(&slots()), "{}", slots());
            let scan = memory.shared.scans.begin();
            for number in 0..50 {
                memory.get(number).await.unwrap().unwrap();
                memory.discard(number).await.unwrap();
            }
            assert!(slots() >= 50, "a page that was read before could bring them back");
            memory.shared.scans.end(scan);
            assert_eq!(memory.load_all().await.unwrap().records, 300);
            assert!((1..=20).contains(&slots()), "{}", slots());
        }
    }
}

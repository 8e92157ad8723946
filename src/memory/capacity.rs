//! How much is kept in memory: a policy decides which clean slot to let go.
//!
//! The map of slots is the truth. The policy knows keys, weights and registration numbers only; what
//! it lets go is dropped if the slot is still clean, untouched and registered under that number.
//! moka may call its listener within any of its own calls, so no lock is held when it is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::Shared;
use super::slot::Known;
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
    /// A clean slot, under a number of its own.
    fn register(&self, key: &Key, registered: Registered);
    /// It was asked for.
    fn touch(&self, key: &[u8]);
    /// It is not clean any more.
    fn remove(&self, key: &Key);
}

/// A slot as the policy knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered {
    pub(crate) number: u64,
    pub(crate) weight: u32,
}

/// moka's TinyLFU.
struct Tiny(Cache<Key, Registered>);

impl Policy for Tiny {
    fn register(&self, key: &Key, registered: Registered) {
        self.0.insert(key.clone(), registered);
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
    /// The newest registration number.
    numbers: AtomicU64,
    evicted: AtomicU64,
}

impl Bound {
    /// Clean slots weigh at most `clean`.
    pub(crate) fn new<T: Record>(
        capacity: Capacity,
        clean: usize,
        shared: Weak<Shared<T>>,
    ) -> Self {
        let let_go = move |key: Arc<Key>, registered: Registered, cause: RemovalCause| {
            // What was removed or replaced is no decision of the policy's.
            if cause.was_evicted()
                && let Some(shared) = shared.upgrade()
            {
                shared.evict(&key, registered.number);
            }
        };
        let cache = Cache::builder()
            .max_capacity(u64::try_from(clean).unwrap_or(u64::MAX))
            .weigher(|_: &Key, registered: &Registered| registered.weight)
            .eviction_listener(let_go)
            .build();
        let policy = Box::new(Tiny(cache));
        Self { capacity, policy, numbers: AtomicU64::new(0), evicted: AtomicU64::new(0) }
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

impl<T: Record> Shared<T> {
    /// Tells the policy that a key was asked for.
    pub(super) fn touch(&self, key: &[u8]) {
        if let Some(bound) = &self.bound {
            bound.policy.touch(key);
        }
    }

    /// Registers a slot that has become clean. Not under a lock.
    pub(super) fn register(&self, key: &Key) {
        let Some(bound) = &self.bound else { return };
        let registered = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else { return };
            if !slot.is_idle() || slot.now.is_unknown() || slot.registered != 0 {
                return;
            }
            let number = bound.numbers.fetch_add(1, Ordering::Relaxed) + 1;
            slot.registered = number;
            Registered { number, weight: bound.capacity.weight(slot.size) }
        };
        bound.policy.register(key, registered);
    }

    /// Takes a slot that is not clean any more from the policy. Not under a lock.
    pub(super) fn unregister(&self, key: &Key) {
        if let Some(bound) = &self.bound {
            bound.policy.remove(key);
        }
    }

    /// Drops a slot that the policy lets go, unless something happened to it since it was registered.
    fn evict(&self, key: &Key, number: u64) {
        let _dropped_after_the_lock = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else { return };
            if slot.registered != number {
                return;
            }
            // In any case: what cannot be dropped now is registered again when it can.
            slot.registered = 0;
            if !slot.is_idle() {
                return;
            }
            // First: a key without a slot is not absent from now on.
            self.scans.evicted();
            slot.forgotten = self.scans.trace();
            let before = (std::mem::replace(&mut slot.now, Known::Unknown), slot.kept.take());
            locked.prune(key.as_bytes());
            before
        };
        if let Some(bound) = &self.bound {
            bound.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

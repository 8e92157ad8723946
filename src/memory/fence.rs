//! Fences: a newer value waits until an older request without an answer has landed or never will.
//!
//! A request whose answer is missing may still be on its way. The same value may be sent again at
//! once, but a newer one that overtakes it would be overwritten by the older one when that lands.
//! So it waits for the *late-write window* after the attempt ended. What lands later than that is
//! the hole that remains; without conditions on the write nothing can close it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::key::Key;

/// The fences of a table, apart from its slots: they outlast saving and forgetting a record.
#[derive(Debug)]
pub(crate) struct Fences {
    window: Duration,
    raised: Mutex<HashMap<Key, Fence>>,
    /// The number of fences, so that a table that never missed an answer asks no lock.
    count: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Fence {
    /// The change whose request has no answer.
    seq: u64,
    until: Instant,
}

impl Fences {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, raised: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Notes that an attempt to write change `seq` ended just now without an answer.
    pub(crate) fn raise(&self, key: &Key, seq: u64) {
        let now = Instant::now();
        let Some(until) = now.checked_add(self.window).filter(|until| *until > now) else {
            return;
        };
        let mut raised = self.raised.lock();
        raised.retain(|_, fence| fence.until > now);
        raised.insert(key.clone(), Fence { seq, until });
        self.count.store(raised.len(), Ordering::SeqCst);
    }

    /// Until when change `seq` must wait, if it must.
    pub(crate) fn holds(&self, key: &Key, seq: u64) -> Option<Instant> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let raised = self.raised.lock();
        let fence = raised.get(key).filter(|fence| fence.seq != seq)?;
        (fence.until > Instant::now()).then_some(fence.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    #[tokio::test(start_paused = true)]
    async fn a_newer_change_waits_for_the_window_and_the_same_one_does_not() {
        let fences = Fences::new(Duration::from_secs(5));
        let key = Key::new(&KeyRef::partition(&String::from("a"))).unwrap();
        let other = Key::new(&KeyRef::partition(&String::from("b"))).unwrap();
        assert_eq!(fences.holds(&key, 2), None);
        fences.raise(&key, 1);
        let until = Instant::now() + Duration::from_secs(5);
        assert_eq!(fences.holds(&key, 1), None);
        assert_eq!(fences.holds(&key, 2), Some(until));
        assert_eq!(fences.holds(&other, 2), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(fences.holds(&key, 2), None);
        fences.raise(&other, 3);
        assert_eq!(fences.raised.lock().len(), 1, "fences that are over are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_window_nothing_waits() {
        let fences = Fences::new(Duration::ZERO);
        let key = Key::new(&KeyRef::partition(&String::from("a"))).unwrap();
        fences.raise(&key, 1);
        assert_eq!(fences.holds(&key, 2), None);
    }
}

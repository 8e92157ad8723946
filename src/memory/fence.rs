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

/// What no clock reaches.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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
    /// The request was on a condition.
    guarded: bool,
}

impl Fences {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, raised: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Notes that an attempt to write change `seq` ended just now without an answer; `guarded`: it was
    /// on a condition.
    pub(crate) fn raise(&self, key: &Key, seq: u64, guarded: bool) {
        let now = Instant::now();
        if self.window.is_zero() {
            return;
        }
        let until = now.checked_add(self.window).unwrap_or_else(|| now + FOR_EVER);
        let mut raised = self.raised.lock();
        // Now and then, so that an outage of many records costs no look at all of them each time.
        if raised.len().is_power_of_two() {
            raised.retain(|_, fence| fence.until > now);
        }
        // What has no condition may land whatever came after it.
        let plain = raised.get(key).is_some_and(|fence| !fence.guarded && fence.until > now);
        raised.insert(key.clone(), Fence { seq, until, guarded: guarded && !plain });
        self.count.store(raised.len(), Ordering::SeqCst);
    }

    /// Until when change `seq` must wait, if it must. `outdates`: once it is written, the condition of no
    /// guarded request before it holds any more.
    pub(crate) fn holds(&self, key: &Key, seq: u64, outdates: bool) -> Option<Instant> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let raised = self.raised.lock();
        let fence = raised.get(key).filter(|fence| fence.seq != seq)?;
        let fence = Some(fence).filter(|fence| !(outdates && fence.guarded))?;
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
        assert_eq!(fences.holds(&key, 2, true), None);
        fences.raise(&key, 1, false);
        let until = Instant::now() + Duration::from_secs(5);
        assert_eq!(fences.holds(&key, 1, true), None);
        assert_eq!(fences.holds(&key, 2, true), Some(until));
        assert_eq!(fences.holds(&other, 2, true), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(fences.holds(&key, 2, true), None);
        fences.raise(&other, 3, false);
        assert_eq!(fences.raised.lock().len(), 1, "fences that are over are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guarded_request_holds_back_only_what_does_not_outdate_it() {
        let fences = Fences::new(Duration::from_secs(5));
        let key = Key::new(&KeyRef::partition(&String::from("a"))).unwrap();
        fences.raise(&key, 1, true);
        assert_eq!(fences.holds(&key, 2, true), None);
        assert!(fences.holds(&key, 2, false).is_some());
        fences.raise(&key, 2, false);
        fences.raise(&key, 3, true);
        assert!(fences.holds(&key, 4, true).is_some(), "one without a condition may still land");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_window_nothing_waits() {
        let fences = Fences::new(Duration::ZERO);
        let key = Key::new(&KeyRef::partition(&String::from("a"))).unwrap();
        fences.raise(&key, 1, false);
        assert_eq!(fences.holds(&key, 2, true), None);
    }
}

//! Fences: a newer value waits until an older request without an answer has landed or never will.
//!
//! A request whose answer is missing may still be on its way. The same value may be sent again at
//! once, but a newer one that overtakes it would be overwritten by the older one when that lands.
//! So it waits for the *late-write window* after the attempt ended. What lands later than that is
//! the hole that remains; without conditions on the write nothing can close it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::codec::tree::{parse_item, same_field};
use crate::key::Key;
use crate::rt::{Instant, Mutex};

/// What no clock reaches.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The fences of a table, apart from its slots: they outlast saving and forgetting a record.
#[derive(Debug)]
pub(crate) struct Fences {
    window: Duration,
    raised: Mutex<HashMap<Key, Vec<Fence>>>,
    /// The number of keys with fences, so that a table that never missed an answer asks no lock.
    count: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Fence {
    /// The change whose request has no answer.
    seq: u64,
    until: Instant,
    /// What the request expects to be stored; `None` if it lands whatever is.
    expects: Option<Expectation>,
}

/// On what a request that was sent alone is done: that the attributes which it changes are as they
/// were.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// The item as it was; `None`: there must be none.
    pub(crate) item: Option<Arc<[u8]>>,
    pub(crate) changed: Arc<[Box<str>]>,
}

impl Expectation {
    /// Whether it does not hold any more once this is stored; `None`: no item.
    fn is_ended_by(&self, target: Option<&[u8]>) -> bool {
        let (item, target) = match (&self.item, target) {
            (Some(item), Some(target)) => (parse_item(item), parse_item(target)),
            (None, target) => return target.is_some(),
            (Some(_), None) => return true,
        };
        let (Ok(item), Ok(target)) = (item, target) else { return false };
        self.changed.iter().any(|name| !same_field(&item, &target, name))
    }
}

impl Fences {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, raised: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Notes that an attempt to write change `seq` ended just now without an answer.
    pub(crate) fn raise(&self, key: &Key, seq: u64, expects: Option<Expectation>) {
        let now = Instant::now();
        if self.window.is_zero() {
            return;
        }
        let until = now.checked_add(self.window).unwrap_or_else(|| now + FOR_EVER);
        let mut raised = self.raised.lock();
        // Now and then, so that an outage of many records costs no look at all of them each time.
        if raised.len().is_power_of_two() {
            raised.retain(|_, fences| fences.iter().any(|fence| fence.until > now));
        }
        let fences = raised.entry(key.clone()).or_default();
        // One sent again stands for those before it, unless they expected something else.
        let is_guarded = expects.is_some();
        fences.retain(|fence| {
            fence.until > now && (fence.seq != seq || fence.expects.is_some() || is_guarded)
        });
        fences.push(Fence { seq, until, expects });
        self.count.store(raised.len(), Ordering::SeqCst);
    }

    /// Until when change `seq`, by which this is stored, must wait, if it must: while a request is on
    /// its way that could land after it.
    pub(crate) fn holds(&self, key: &Key, seq: u64, target: Option<&[u8]>) -> Option<Instant> {
        let fences = self.of(key).into_iter().filter(|fence| fence.seq != seq);
        let lands =
            |fence: &Fence| !fence.expects.as_ref().is_some_and(|it| it.is_ended_by(target));
        fences.filter(lands).map(|fence| fence.until).max()
    }

    /// Until when change `seq` must wait, that every other request on its way could land after.
    pub(crate) fn hold_all(&self, key: &Key, seq: u64) -> Option<Instant> {
        let fences = self.of(key).into_iter().filter(|fence| fence.seq != seq);
        fences.map(|fence| fence.until).max()
    }

    /// No request with change `seq` can land any more.
    pub(crate) fn lower(&self, key: &Key, seq: u64) {
        if self.count.load(Ordering::SeqCst) > 0
            && let Some(fences) = self.raised.lock().get_mut(key)
        {
            fences.retain(|fence| fence.seq != seq);
        }
    }

    /// The fences of a key that are not over.
    fn of(&self, key: &Key) -> Vec<Fence> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let now = Instant::now();
        let raised = self.raised.lock();
        let fences = raised.get(key).into_iter().flatten();
        fences.filter(|fence| fence.until > now).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    fn key(name: &str) -> Key {
        Key::new(&KeyRef::partition(&name.to_owned())).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_change_waits_for_the_window_and_the_same_one_does_not() {
        let fences = Fences::new(Duration::from_secs(5));
        let (key, other) = (key("a"), key("b"));
        assert_eq!(fences.holds(&key, 2, None), None);
        fences.raise(&key, 1, None);
        let until = Instant::now() + Duration::from_secs(5);
        assert_eq!(fences.holds(&key, 1, None), None);
        assert_eq!(fences.holds(&key, 2, None), Some(until));
        assert_eq!((fences.hold_all(&key, 2), fences.hold_all(&key, 1)), (Some(until), None));
        assert_eq!(fences.holds(&other, 2, None), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(fences.holds(&key, 2, None), None);
        fences.raise(&other, 3, None);
        assert_eq!(fences.raised.lock().len(), 1, "fences that are over are forgotten");
        fences.lower(&other, 3);
        assert_eq!(fences.holds(&other, 4, None), None);
    }

    /// `{"a":…}`, expected by a request that changes `a`.
    fn expecting(item: Option<&str>) -> Expectation {
        let item = item.map(|item| Arc::from(item.as_bytes()));
        Expectation { item, changed: Arc::new([Box::from("a")]) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_with_a_condition_holds_back_only_what_leaves_it_true() {
        let fences = Fences::new(Duration::from_secs(5));
        let (of_item, of_none) = (key("item"), key("none"));
        fences.raise(&of_item, 1, Some(expecting(Some(r#"{"a":{"N":"1"},"b":{"N":"1"}}"#))));
        let held =
            |target: Option<&str>| fences.holds(&of_item, 2, target.map(str::as_bytes)).is_some();
        assert!(held(Some(r#"{"a":{"N":"1.0"},"b":{"N":"7"}}"#)), "`a` is as it was");
        assert!(!held(Some(r#"{"a":{"N":"2"},"b":{"N":"1"}}"#)));
        assert!(!held(Some(r#"{"b":{"N":"1"}}"#)));
        assert!(!held(None));
        fences.raise(&of_none, 1, Some(expecting(None)));
        assert!(fences.holds(&of_none, 2, None).is_some(), "there would be none again");
        assert!(fences.holds(&of_none, 2, Some(b"{}")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_on_its_way_counts() {
        let fences = Fences::new(Duration::from_secs(5));
        let key = key("a");
        fences.raise(&key, 1, None);
        fences.raise(&key, 2, Some(expecting(Some(r#"{"a":{"N":"1"}}"#))));
        assert!(fences.holds(&key, 3, None).is_some(), "the first has no condition");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_window_nothing_waits() {
        let fences = Fences::new(Duration::ZERO);
        let key = key("a");
        fences.raise(&key, 1, None);
        assert_eq!(fences.holds(&key, 2, None), None);
    }
}

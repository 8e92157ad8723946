//! Whether the whole table was loaded, so that what is not in memory is absent; and which keys leave a
//! trace when they are forgotten, since without one they would count as absent or come back from a
//! page that was read before.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::rt::Mutex;

/// Scans under way and what they saw.
///
/// Scans are numbered from 2 in the order in which they begin, so that a trace, which is the number of
/// the newest scan, is never 0 and is below that of every scan that begins later.
#[derive(Debug)]
pub(crate) struct Scans {
    /// The resets there had been when a scan saw the whole table, and one; 0 if none did. So a reset
    /// ends it, also for a scan that completes at the same instant.
    complete: AtomicU64,
    /// The resets there had been when a record was last let go, and one; 0 if none was. What has no
    /// slot is not absent by that.
    lossy: AtomicU64,
    resets: AtomicU64,
    /// The number of the newest scan.
    begun: AtomicU64,
    /// The number of the oldest scan that runs, or 0.
    oldest: AtomicU64,
    running: Mutex<BTreeSet<u64>>,
    /// There are traces.
    traced: AtomicBool,
    /// Until the first reset everything is taken for absent that is not known.
    assumed: bool,
}

/// When and how a page was asked for: whether what it has may be older than what is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The number of its scan.
    pub(crate) scan: u64,
    /// The resets there had been.
    pub(crate) resets: u64,
    pub(crate) consistent: bool,
}

impl Scans {
    /// `assumed`: what is not known counts as absent to those who ask, before any scan.
    pub(crate) fn new(assumed: bool) -> Self {
        Self {
            complete: AtomicU64::new(0),
            lossy: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            begun: AtomicU64::new(1),
            oldest: AtomicU64::new(0),
            running: Mutex::default(),
            traced: AtomicBool::new(false),
            assumed,
        }
    }

    /// Whether a key without a slot is known to be absent.
    pub(crate) fn is_complete(&self) -> bool {
        // In this order: what was complete is looked at first.
        let complete = self.complete.load(Ordering::SeqCst);
        complete == self.epoch() && self.lossy.load(Ordering::SeqCst) != complete
    }

    /// Whether a key without a slot is taken for absent unseen.
    pub(crate) fn is_assumed(&self) -> bool {
        self.assumed && self.resets() == 0 && self.lossy.load(Ordering::SeqCst) == 0
    }

    fn epoch(&self) -> u64 {
        self.resets() + 1
    }

    /// The trace of a slot that is about to be let go, whose record this table read or wrote when
    /// scan `since` was the newest; else a page of that scan that was read before could bring back an
    /// older one.
    pub(crate) fn evicted(&self, since: u64) -> u64 {
        self.lossy.fetch_max(self.epoch(), Ordering::SeqCst);
        let oldest = self.oldest.load(Ordering::SeqCst);
        self.traced_if(oldest != 0 && since >= oldest)
    }

    /// The trace that a key leaves that is forgotten, or 0.
    pub(crate) fn trace(&self) -> u64 {
        self.traced_if(!self.needs_no_trace())
    }

    fn traced_if(&self, needed: bool) -> u64 {
        if !needed {
            return 0;
        }
        self.traced.store(true, Ordering::SeqCst);
        self.begun()
    }

    /// Traces up to this one are of use to nobody, and may be there.
    pub(crate) fn useless_traces(&self) -> Option<u64> {
        // Read first: a scan that begins meanwhile may need the traces of its number.
        let begun = self.begun();
        (self.needs_no_trace() && self.traced.swap(false, Ordering::SeqCst)).then_some(begun)
    }

    fn needs_no_trace(&self) -> bool {
        // In this order: a scan says what it saw before it ends.
        self.oldest.load(Ordering::SeqCst) == 0 && !self.is_complete() && !self.is_assumed()
    }

    /// There are traces that may be of use.
    pub(crate) fn has_traces(&self) {
        self.traced.store(true, Ordering::SeqCst);
    }

    /// The number of the newest scan.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::SeqCst)
    }

    /// Everything is forgotten.
    pub(crate) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    /// A scan begins; it is to be ended.
    pub(crate) fn begin(&self) -> Scan {
        let mut running = self.running.lock();
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        running.insert(number);
        self.oldest.store(running.first().copied().unwrap_or(0), Ordering::SeqCst);
        Scan { number, resets: self.resets() }
    }

    /// The scan saw the whole table; from now on what is not in memory is absent, unless something
    /// was reset meanwhile.
    pub(crate) fn completed(&self, scan: Scan) {
        self.complete.fetch_max(scan.resets + 1, Ordering::SeqCst);
    }

    /// No page of the scan is looked at any more.
    pub(crate) fn end(&self, scan: Scan) {
        let mut running = self.running.lock();
        running.remove(&scan.number);
        self.oldest.store(running.first().copied().unwrap_or(0), Ordering::SeqCst);
    }
}

/// A scan under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub(crate) number: u64,
    resets: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_makes_the_rest_absent_until_a_record_is_let_go_or_all_are() {
        let scans = Scans::new(false);
        let scan = scans.begin();
        scans.completed(scan);
        assert!(scans.is_complete());
        scans.evicted(0);
        assert!(!scans.is_complete());
        scans.reset();
        assert!(!scans.is_complete());
        scans.completed(scan);
        assert!(!scans.is_complete(), "reset since it began");
        let scan = scans.begin();
        scans.completed(scan);
        assert!(scans.is_complete(), "what was let go before the reset does not count");
    }

    #[test]
    fn only_what_was_touched_since_a_scan_began_leaves_a_trace_when_it_is_let_go() {
        let scans = Scans::new(false);
        let before = scans.begun();
        assert_eq!(scans.evicted(before), 0, "no scan");
        let first = scans.begin();
        assert_eq!(scans.evicted(before), 0);
        let second = scans.begin();
        assert_eq!(scans.evicted(first.number), second.number);
        assert_eq!(scans.useless_traces(), None);
        scans.end(first);
        assert_eq!(scans.evicted(second.number - 1), 0, "that scan has ended");
        let newest = second.number;
        scans.end(second);
        assert_eq!(scans.useless_traces(), Some(newest));
        assert_eq!(scans.useless_traces(), None, "there are none any more");
        assert!(scans.begin().number > newest);
    }

    #[test]
    fn what_is_assumed_is_assumed_until_something_is_let_go_or_reset() {
        let scans = Scans::new(true);
        assert!(scans.is_assumed() && !scans.is_complete());
        let trace = scans.trace();
        assert!(trace > 0 && trace < scans.begin().number);
        scans.evicted(0);
        assert!(!scans.is_assumed());
        let scans = Scans::new(true);
        scans.reset();
        assert!(!scans.is_assumed());
        assert_eq!(scans.trace(), 0);
    }
}

//! Whether the whole table was loaded, so that what is not in memory is absent.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Scans {
    /// The resets there had been when a scan saw the whole table, and one; 0 if none did. So a reset
    /// ends it, also for a scan that completes at the same instant.
    complete: AtomicU64,
    running: AtomicUsize,
    begun: AtomicU64,
    resets: AtomicU64,
    /// A record was let go since the last reset: what has no slot is not absent by that.
    lossy: AtomicBool,
}

impl Scans {
    /// Whether a key without a slot is known to be absent.
    pub(crate) fn is_complete(&self) -> bool {
        // In this order: what was complete is looked at first.
        let complete = self.complete.load(Ordering::SeqCst);
        complete == self.resets() + 1 && !self.lossy.load(Ordering::SeqCst)
    }

    /// A slot is about to be let go.
    pub(crate) fn evicted(&self) {
        self.lossy.store(true, Ordering::SeqCst);
    }

    /// Whether traces are of use to nobody.
    pub(crate) fn needs_no_trace(&self) -> bool {
        !self.is_complete() && self.running.load(Ordering::SeqCst) == 0
    }

    /// The trace that a key leaves that is forgotten, or 0: without one it would count as absent, or
    /// come back from a page that was read before. A scan of a higher number begins later.
    pub(crate) fn trace(&self) -> u64 {
        let needed = self.is_complete() || self.running.load(Ordering::SeqCst) > 0;
        if needed { self.begun.load(Ordering::SeqCst) } else { 0 }
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::SeqCst)
    }

    /// Everything is forgotten.
    pub(crate) fn reset(&self) {
        self.lossy.store(false, Ordering::SeqCst);
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn begin(&self) -> Scan<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        Scan { scans: self, number, resets: self.resets() }
    }
}

/// A scan under way.
#[derive(Debug)]
pub(crate) struct Scan<'s> {
    scans: &'s Scans,
    number: u64,
    resets: u64,
}

impl Scan<'_> {
    /// Scans are numbered from 1 in the order in which they begin.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The scan saw the whole table; from now on what is not in memory is absent, if that is wanted
    /// and nothing was reset meanwhile.
    pub(crate) fn completed(self, absent: bool) {
        if absent {
            self.scans.complete.fetch_max(self.resets + 1, Ordering::SeqCst);
        }
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.scans.running.fetch_sub(1, Ordering::SeqCst);
    }
}

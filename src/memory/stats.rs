//! What a memory table has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the memory table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records in memory, unsaved ones included; remembered absences are not.
    pub cached: u64,
    /// Changes that the database has not confirmed.
    pub unsaved: u64,
    /// Bytes of unsaved records, by DynamoDB's arithmetic.
    pub unsaved_bytes: u64,
    /// Records and absences that were let go to stay within the capacity.
    pub evicted: u64,
    /// Reads answered from memory, absences included.
    pub hits: u64,
    /// Keys that had to be loaded.
    pub misses: u64,
    /// Reads that waited for a load under way instead of making a request.
    pub joined: u64,
    /// HTTP attempts of reads, retries included; describing the table is not counted.
    pub read_requests: u64,
    /// HTTP attempts of writes, retries included.
    pub write_requests: u64,
    /// Items that the service returned.
    pub items_read: u64,
    /// Items written.
    pub items_written: u64,
    /// Items deleted.
    pub items_deleted: u64,
    /// Records that a flush found unchanged.
    pub items_unchanged: u64,
}

/// The counts of the cache itself; they publish nothing but themselves.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    misses: AtomicU64,
    joined: AtomicU64,
    unchanged: AtomicU64,
}

impl Tally {
    pub(crate) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn joined(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unchanged(&self) {
        self.unchanged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fill(&self, stats: &mut Stats) {
        stats.misses = self.misses.load(Ordering::Relaxed);
        stats.joined = self.joined.load(Ordering::Relaxed);
        stats.items_unchanged = self.unchanged.load(Ordering::Relaxed);
    }
}

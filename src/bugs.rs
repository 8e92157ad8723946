//! Bugs that others published, built in on purpose, so that the simulation can show that it finds them.
//!
//! They are switched on for one thread of this crate's own unit tests, never elsewhere. Those that break
//! a promise of `tests/PROMISES.md` as a whole are that break.

/// A bug that a trusted system had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "most of them are breaks of promises"))]
pub(crate) enum Bug {
    /// Hazelcast #15060: an entry is removed after its flush, though there is a newer one.
    NewerIsRemoved,
    /// Hazelcast #18670: a change is seen by a flush before it has its number.
    SeenBeforeNumbered,
    /// Hazelcast #1592: two flushes at a time store the older value last.
    ParallelFlushes,
    /// Hazelcast #7762: one bad item blocks all others.
    PoisonBlocksAll,
    /// Hazelcast #8918: after some failures nothing is tried any more.
    RetryStops,
    /// Ignite: a change for which there is no room is dropped.
    DroppedOnOverflow,
    /// A scan shows what is in flight instead of what is newer.
    InFlightBeatsNewer,
    /// What was sent in a batch is removed, whatever became of it.
    RemovedWithTheBatch,
    /// Redisson #2210: a delete is sent before a put that came first has landed.
    DeleteBeforePut,
    /// A value that is to be sent again is put back in the place of a newer one.
    RetryReplacesNewer,
    /// The patience of one entry counts for all of its batch.
    PatienceOfTheBatch,
    /// boto3 #2088: an entry is removed from the buffer before the call that fails.
    RemovedBeforeTheCall,
    /// A copy from before is sent for what was left unprocessed.
    StaleCopySent,
    /// What a load brings overwrites a put.
    LoadOverwritesPut,
    /// A journal goes on after a failed write, without what that was to have.
    GoesOnAfterFailedWrite,
}

/// Whether this bug is built in; never outside of this crate's own unit tests.
#[cfg(not(test))]
pub(crate) const fn has(_bug: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::{has, is_built_in_as, with};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static BUILT_IN: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    impl Bug {
        /// The promise that it breaks as a whole, if there is one.
        const fn promise(self) -> Option<u32> {
            match self {
                Self::NewerIsRemoved => Some(1),
                Self::ParallelFlushes => Some(5),
                Self::StaleCopySent => Some(8),
                Self::PoisonBlocksAll => Some(10),
                Self::LoadOverwritesPut => Some(18),
                Self::DroppedOnOverflow => Some(22),
                Self::GoesOnAfterFailedWrite => Some(31),
                _ => None,
            }
        }
    }

    /// Whether this thread has the bug.
    pub(crate) fn has(bug: Bug) -> bool {
        BUILT_IN.get() == Some(bug)
    }

    /// Whether this thread has a bug that breaks this promise.
    pub(crate) fn is_built_in_as(promise: u32) -> bool {
        BUILT_IN.get().and_then(Bug::promise) == Some(promise)
    }

    /// Runs something with a bug.
    pub(crate) fn with<R>(bug: Bug, run: impl FnOnce() -> R) -> R {
        BUILT_IN.set(Some(bug));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        BUILT_IN.set(None);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

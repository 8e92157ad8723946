//! The one write engine: plan, send, retry, report.
//!
//! It never sees the cache: it pulls the current write of a key from [`Changes`] whenever it sends
//! it, and tells [`Changes`] how that ended. So what goes out is always the newest value, and only
//! the cache decides what an answer means for it.

mod again;
mod engine;
mod fixed;
mod gate;
mod meters;
mod pacing;
mod plan;
mod refused;
mod report;
mod schedule;
mod sources;
mod trial;
mod window;

pub(crate) use engine::{run, run_one};
pub(crate) use fixed::Fixed;
pub use report::{Failed, FlushError, FlushReport};
pub(crate) use sources::Source;

use futures::future::BoxFuture;

use crate::error::Error;
use crate::guard::Resolution;
use crate::key::Key;
use crate::rt::Instant;
#[cfg(feature = "internal-bench")]
use crate::store::TableKey;
use crate::store::{Action, Operation, Outcome};
use crate::table::DEFAULT_IN_FLIGHT;

/// How many writes the requests of some keys have.
#[cfg(feature = "internal-bench")]
pub(crate) fn request_sizes(
    changes: &dyn Changes,
    keys: impl IntoIterator<Item = Key>,
) -> Vec<usize> {
    let sources = sources::Sources::new([("".into(), changes)]);
    let keys = keys.into_iter().map(|key| TableKey { table: 0, key });
    let (mut plan, mut report) = (plan::Plan::of(1), report::Report::new(vec!["".into()]));
    let mut gates = [gate::Gate::open()];
    plan.push_spread(keys.collect());
    let next = || Some(plan.next(&sources, &mut gates, &mut report).len());
    std::iter::from_fn(next).take_while(|&size| size > 0).collect()
}

/// How much the engine may do at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) requests_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_in_flight: DEFAULT_IN_FLIGHT }
    }
}

/// Where the engine gets its writes and puts its answers.
///
/// Contract: each `take` that returns [`Take::Write`] is followed by exactly one `settle` of that
/// key before the key is taken again, also if the engine is dropped half-way. So at most one
/// request is in flight for a key, ever.
pub(crate) trait Changes: Send + Sync {
    /// Whether the current write of a key is likely to be one that no batch can have.
    fn goes_alone(&self, key: &Key) -> bool;

    /// The current write of a key, which is in flight from now on.
    fn take(&self, key: &Key) -> Take;

    /// Whether what was sent of a key since it was last confirmed may be stored.
    fn outcome(&self, key: &Key) -> Outcome;

    /// How the write that was taken ended; whether there is more of the key to be sent.
    fn settle(&self, key: &Key, settled: Settled) -> bool;

    /// The condition of the write that was taken does not hold, and this is stored; `None` if nothing
    /// is. It is settled by that.
    fn conflict(&self, key: &Key, theirs: Option<Vec<u8>>) -> Met;

    /// What is to be waited for before the write that was taken is sent, alone or with others: that a crash which
    /// comes after it finds it in the journal. Nothing, mostly.
    fn recorded<'c>(
        &'c self,
        _key: &'c Key,
        _alone: bool,
    ) -> Option<BoxFuture<'c, Result<(), Error>>> {
        None
    }
}

/// What becomes of a conflict.
#[derive(Debug)]
pub(crate) enum Met {
    /// What is stored is what was to be written: by an attempt before. Whether there is more of the key
    /// to be sent.
    Written(bool),
    /// What is stored is an older attempt of our own; what came since is to be sent.
    WrittenBefore,
    /// To be sent again, with what was met.
    Again(Resolution),
    /// Nothing is in flight any more; what there is is to be sent.
    Gone,
    Failed(Error),
}

/// What there is to send for a key.
#[derive(Debug)]
pub(crate) enum Take {
    Write(Action),
    /// It is not in flight and must not be before this time.
    Held(Operation, Instant),
    /// What is stored is what would be written, for so many units.
    Unchanged(f64),
    /// Nothing is unsaved any more.
    Gone,
    /// It cannot be written until it is put again.
    Parked(Operation, Error),
    /// A conflict that was met before has no end.
    Conflict(Operation, Error),
    /// Somebody is changing it, and it cannot be sent before that ends; the error if that is too long.
    Busy(Operation, Error),
    /// It cannot be sent, and what was sent may be stored.
    Stuck(Operation, Error),
}

/// How a write ended.
#[derive(Debug)]
pub(crate) enum Settled {
    Written,
    /// Not written, or perhaps; to be sent again.
    Pending(Outcome),
    /// The service refused it on its own account.
    Refused(Error),
}

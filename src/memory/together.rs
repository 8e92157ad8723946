//! Several memory tables flushed as one: shared batches, one report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::flush::Rounds;
use super::{MemoryTable, Shared};
use crate::error::{Error, panicked};
use crate::key::Key;
use crate::link::Link;
use crate::record::Record;
use crate::rt::Instant;
use crate::store::TableKey;
use crate::write::{self, Changes, FlushError, FlushReport, Limits, Source};

/// What [`flush_all`] flushes: a [`MemoryTable`] of any record type. Nothing else implements it.
pub trait Flushable: sealed::Sealed + Send + Sync {}

impl<T: Record> Flushable for MemoryTable<T> {}

mod sealed {
    use std::sync::Arc;

    use super::Member;
    use crate::memory::MemoryTable;
    use crate::record::Record;

    /// A memory table without its type, which only this crate can look into.
    #[expect(missing_debug_implementations, reason = "nobody can get hold of one")]
    pub struct Untyped(pub(super) Arc<dyn Member>);

    pub trait Sealed {
        fn untyped(&self) -> Untyped;
    }

    impl<T: Record> Sealed for MemoryTable<T> {
        fn untyped(&self) -> Untyped {
            Untyped(Arc::<crate::memory::Shared<T>>::clone(&self.shared))
        }
    }
}

/// A memory table, whatever its record type.
pub(crate) trait Member: Send + Sync {
    fn name(&self) -> Arc<str>;

    /// What is the same for tables of one database.
    fn database(&self) -> usize;

    /// Waits until nothing flushes the table.
    fn lease(self: Arc<Self>) -> BoxFuture<'static, Box<dyn Lease>>;

    /// Why flushes in the background failed since somebody was told.
    fn take_background_errors(&self) -> Vec<Error>;
}

/// The right to flush a table, which nobody else has meanwhile. Dropped, the next one may begin.
pub(crate) trait Lease: Send + Sync {
    /// What is unsaved now, which the flush is to save.
    fn begin(&self) -> Vec<Key>;
    fn ready(&self) -> BoxFuture<'_, Result<Link, Error>>;
    fn changes(&self) -> &dyn Changes;
    fn limits(&self) -> Limits;
    /// What is still unsaved of keys that could not be sent, or were lost in a panic.
    fn not_saved(&self, keys: Vec<Key>, error: &Error) -> FlushReport;
    /// Waits until what was saved is out of the journal.
    fn recorded(&self) -> BoxFuture<'_, Result<(), Error>>;
    /// Takes in that these were sent, and lets who waits for a flush go on.
    fn end(self: Box<Self>, sent: &[Key]);
    /// Lets who waits for a flush go on.
    fn give_back(self: Box<Self>);
}

impl<T: Record> Member for Shared<T> {
    fn name(&self) -> Arc<str> {
        self.table.shown_name()
    }

    fn database(&self) -> usize {
        Arc::as_ptr(self.table.database().store()).cast::<()>().addr()
    }

    fn lease(self: Arc<Self>) -> BoxFuture<'static, Box<dyn Lease>> {
        Box::pin(async move { self.leased().await })
    }

    fn take_background_errors(&self) -> Vec<Error> {
        Shared::take_background_errors(self)
    }
}

impl<T: Record> Lease for Rounds<T> {
    fn begin(&self) -> Vec<Key> {
        let newest = self.shared().to_save(u64::MAX);
        self.shared().begin_round(newest);
        self.shared().slots.unsaved_keys(newest)
    }

    fn ready(&self) -> BoxFuture<'_, Result<Link, Error>> {
        Box::pin(self.shared().ready())
    }

    fn changes(&self) -> &dyn Changes {
        self.shared()
    }

    fn limits(&self) -> Limits {
        self.shared().options.limits
    }

    fn not_saved(&self, keys: Vec<Key>, error: &Error) -> FlushReport {
        self.shared().not_saved(keys, &self.shared().place(error.clone())).into_report()
    }

    fn recorded(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.shared().saved_is_recorded())
    }

    fn end(self: Box<Self>, sent: &[Key]) {
        if self.shared().slots.unsaved_of(sent).len() < sent.len() {
            self.shared().went_well();
        }
        self.give_back();
    }

    fn give_back(self: Box<Self>) {
        let mut rounds = *self;
        // Nobody finds it running when there is nothing to be done.
        if let Some(round) = rounds.next_round()
            && let Ok(runtime) = super::runtime()
        {
            runtime.spawn(rounds.run(round));
        }
    }
}

/// Saves every change of several memory tables made before the call, as [`MemoryTable::flush`] does,
/// in shared batches and with one report.
///
/// Tables of one [`Database`](crate::Database), with whatever prefix, share their requests, so that a
/// few changes in each of many tables cost one request; tables of different databases are written side
/// by side. Which table a record is of stands in [`Failed`](crate::Failed) and
/// [`Conflict`](crate::Conflict); a shared request counts once in the report, and once in the
/// [`Stats`](crate::Stats) of each table that it is of. Each table has its own patience and retries, and
/// the smallest [number of requests in flight](crate::MemoryTableBuilder::requests_in_flight) holds for all
/// that share them.
///
/// What is wrong with one table stops nothing of the others, though those of its database may wait until
/// that is known: a request that is refused as a whole is
/// taken apart by tables first. It is no transaction: what is saved of one table says nothing about
/// another. All of them are held until those of one database are done: a flush of one alone, and changes
/// that wait for room, wait for that too. Where two memory tables are of one table of the database and
/// both changed an item, the one named last is saved last, as long as every request is answered. A flush
/// of one of the tables that is under way is waited for, and one that is asked for meanwhile follows. A
/// table that is named twice is flushed once.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use memory_table::{Database, MemoryTable, Record, flush_all};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     wins: u32,
/// }
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "teams")]
/// struct Team {
///     #[record(partition_key)]
///     name: String,
///     wins: u32,
/// }
///
/// let database = Database::embedded()?;
/// database.table::<Player>().create_if_missing().await?;
/// database.table::<Team>().create_if_missing().await?;
/// let players = MemoryTable::new(database.table::<Player>());
/// let teams = MemoryTable::new(database.table::<Team>());
///
/// players.put(Player { name: "ada".into(), wins: 1 }).await?;
/// teams.put(Team { name: "red".into(), wins: 1 }).await?;
/// let report = flush_all(&[&players, &teams]).await?;
/// assert_eq!((report.written, report.requests), (2, 1));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`FlushError`] if anything of any table was not saved, with the report of everything, as for
/// [`MemoryTable::flush`].
///
/// # Cancel safety
///
/// As for [`MemoryTable::flush`]: dropped, the flush goes on and only the report is lost.
pub async fn flush_all(tables: &[&dyn Flushable]) -> Result<FlushReport, FlushError> {
    let mut members: Vec<Arc<dyn Member>> = Vec::with_capacity(tables.len());
    for member in tables.iter().map(|table| table.untyped().0) {
        if !members.iter().any(|other| address(other) == address(&member)) {
            members.push(member);
        }
    }
    let ended = in_a_task(&members).await;
    let errors = members.iter().flat_map(|member| member.take_background_errors()).collect();
    FlushError::with_background(ended, errors)
}

/// What is the same for clones of a table and for no others.
fn address(member: &Arc<dyn Member>) -> usize {
    Arc::as_ptr(member).cast::<()>().addr()
}

fn names(members: &[Arc<dyn Member>]) -> Vec<Arc<str>> {
    members.iter().map(|member| member.name()).collect()
}

/// The work belongs to the tables: it goes on without the caller.
async fn in_a_task(members: &[Arc<dyn Member>]) -> Result<FlushReport, FlushError> {
    let refused = |error| FlushError::new(names(members), FlushReport::default(), error);
    loop {
        let task = super::runtime().map_err(refused)?.spawn(flush_together(members.to_vec()));
        let is_taken = !task.is_finished();
        match task.await {
            Ok((report, None)) => return FlushError::check(names(members), report),
            Ok((report, Some(why))) => return Err(FlushError::new(names(members), report, why)),
            Err(error) if error.is_panic() => return Err(refused(panicked().during("flush"))),
            Err(_) if !is_taken => return Err(refused(super::runtime_ended())),
            // The runtime of the task has ended: go on with this one.
            Err(_) => {}
        }
    }
}

/// What was done, and why a journal does not know of it, if so.
type Done = (FlushReport, Option<Error>);

async fn flush_together(members: Vec<Arc<dyn Member>>) -> Done {
    let started = Instant::now();
    let mut groups: Vec<Vec<Arc<dyn Member>>> = Vec::new();
    for member in members {
        match groups.iter_mut().find(|group| group[0].database() == member.database()) {
            Some(group) => group.push(member),
            None => groups.push(vec![member]),
        }
    }
    let (mut report, mut unrecorded) = Done::default();
    for (done, why) in join_all(groups.into_iter().map(flush_group)).await {
        report.add(done);
        unrecorded = unrecorded.or(why);
    }
    report.elapsed = started.elapsed();
    (report, unrecorded)
}

/// The right to flush all of them, in the order in which they were named.
async fn lease_all(members: Vec<Arc<dyn Member>>) -> Vec<Box<dyn Lease>> {
    let mut ordered: Vec<_> = members.into_iter().enumerate().collect();
    // Taken in the order that is the same for all who take several, so that nobody waits for ever.
    ordered.sort_by_key(|(_, member)| (member.name(), address(member)));
    let mut leases = Vec::with_capacity(ordered.len());
    for (place, member) in ordered {
        leases.push((place, member.lease().await));
    }
    leases.sort_by_key(|(place, _)| *place);
    leases.into_iter().map(|(_, lease)| lease).collect()
}

/// What is to be saved of a table.
struct Part {
    lease: Box<dyn Lease>,
    keys: Vec<Key>,
}

/// Flushes tables of one database, whatever those of others wait for.
async fn flush_group(members: Vec<Arc<dyn Member>>) -> Done {
    let mut parts = Vec::with_capacity(members.len());
    for lease in lease_all(members).await {
        let keys = lease.begin();
        if keys.is_empty() {
            lease.give_back();
        } else {
            parts.push(Part { lease, keys });
        }
    }
    if parts.is_empty() {
        return Done::default();
    }
    let links = join_all(parts.iter().map(|part| ready(&*part.lease))).await;
    let (mut report, mut keys) = (FlushReport::default(), Vec::new());
    let mut sources = Vec::with_capacity(parts.len());
    for (part, link) in parts.iter().zip(&links) {
        match link {
            Ok(link) => {
                let at = |key: &Key| TableKey { table: sources.len(), key: key.clone() };
                keys.extend(part.keys.iter().map(at));
                sources.push(Source { link, changes: part.lease.changes() });
            }
            Err(error) => report.add(part.lease.not_saved(part.keys.clone(), error)),
        }
    }
    let limits = parts.iter().map(|part| part.lease.limits());
    let limits = limits.min_by_key(|limits| limits.requests_in_flight).unwrap_or_default();
    report.add(write::run(&sources, keys, limits).await);
    let mut unrecorded = None;
    for Part { lease, keys } in parts {
        unrecorded = unrecorded.or(lease.recorded().await.err());
        lease.end(&keys);
    }
    (report, unrecorded)
}

/// What the user made of the SDK may panic.
async fn ready(lease: &dyn Lease) -> Result<Link, Error> {
    let ready = AssertUnwindSafe(lease.ready()).catch_unwind().await;
    ready.unwrap_or_else(|_| Err(panicked().during("flush")))
}

//! Options of a memory table.

#[cfg(feature = "journal")]
mod journal;
mod pace;
mod progress;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::capacity::Capacity;
use super::expiry::Clock;
#[cfg(not(feature = "journal"))]
use super::journal::Recorder;
use super::room::Mark;
use super::{MemoryTable, Options};
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode, OnConflict};
use crate::record::Record;
use crate::retry::RetryPolicy;
use crate::table::{BadItems, Table};
use crate::write::FlushError;

/// Options of a [`MemoryTable`].
///
/// # Example
///
/// ```
/// # fn main() -> Result<(), memory_table::Error> {
/// use std::time::Duration;
/// # use memory_table::{Database, MemoryTable, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// let players = Database::embedded()?.table::<Player>();
/// let memory = MemoryTable::builder(players)
///     .patience(Duration::from_secs(300))
///     .requests_in_flight(8)
///     .build()?;
/// assert_eq!(memory.stats().cached, 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct MemoryTableBuilder<T> {
    table: Table<T>,
    options: Options,
    on_conflict: OnConflict<T>,
    capacities: Vec<Capacity>,
    #[cfg(feature = "journal")]
    journal: journal::Wanted,
}

impl<T: Record> MemoryTableBuilder<T> {
    pub(super) fn new(table: Table<T>) -> Self {
        let options = Options::defaults(&table);
        Self {
            table,
            options,
            on_conflict: OnConflict::Fail,
            capacities: Vec::new(),
            #[cfg(feature = "journal")]
            journal: journal::Wanted::default(),
        }
    }

    /// The table beneath, changed.
    fn with_table(self, change: impl FnOnce(Table<T>) -> Table<T>) -> Self {
        Self { table: change(self.table), ..self }
    }

    /// How long to go on without progress before a flush or a load gives up; progress of any item
    /// begins it anew, so a slow table is never given up while it takes something. It is a time and not
    /// a number of attempts: what is throttled is sent as fast as the table takes it
    /// ([`Table::write_rate`]), and where it takes nothing at all, at longer and longer intervals, by fewer
    /// requests at once. What a flush gives up is reported and stays unsaved.
    ///
    /// Default: the database's, 60 s, which outlasts a failover or a scaling step of the service.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.options.patience.patience = patience;
        self
    }

    /// How long to wait between attempts.
    ///
    /// Default: 50 ms doubled up to 5 s, with full jitter; see [`RetryPolicy`].
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.options.patience.policy = retry;
        self
    }

    /// How many requests are in flight at once, for loads by keys and scans together, and for flushes.
    ///
    /// Default: 16, enough to hide the latency of a network; a server on the same machine gains
    /// nothing from more.
    pub fn requests_in_flight(mut self, requests: usize) -> Self {
        self.options.limits.requests_in_flight = requests;
        self
    }

    /// In how many parts `load_all` reads the table at once.
    ///
    /// Default: 4: a table of a few gigabytes has about as many partitions. The embedded database
    /// is read in one part whatever is set here.
    pub fn scan_segments(mut self, segments: u32) -> Self {
        self.options.segments = segments;
        self
    }

    /// Whether, after `load_all`, a key that was not loaded counts as absent without a request.
    ///
    /// Default: true; a batch job owns its table while it runs. Set it to false where others add
    /// records meanwhile.
    pub fn absent_after_load_all(mut self, absent: bool) -> Self {
        self.options.absent_after_load_all = absent;
        self
    }

    /// Loads records by eventually consistent reads, which cost half the read units and may miss
    /// writes of the last second by others. What this memory table wrote is still read consistently,
    /// so it never goes back behind its own writes; for that it remembers 8 bytes for each key that it
    /// wrote.
    ///
    /// Default: consistent reads, at twice the read units: what is let go and loaded anew is never
    /// older than before.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
    pub fn eventually_consistent_loads(mut self) -> Self {
        self.options.consistent = false;
        self
    }

    /// What becomes of stored items that do not fit the record's type, when many are loaded at once:
    /// by `load_all`, `load`, `load_segment` and `prefetch`.
    ///
    /// Default: [`BadItems::Fail`]. In any case no change replaces such an item, since nobody saw
    /// what it has: `put` is refused until the key is [discarded](MemoryTable::discard).
    pub fn bad_items(mut self, policy: BadItems) -> Self {
        self.options.bad_items = policy;
        self
    }

    /// Hides records that have expired, as [`Record::expires_at`] says: they are absent to those who
    /// ask, also if the service has not deleted them yet. An unsaved record is never hidden, and
    /// nothing is deleted.
    ///
    /// Default: expired records are seen until the service has deleted them, which may take days.
    pub fn hide_expired(self) -> Self {
        self.hide_expired_by(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    }

    /// As [`hide_expired`](Self::hide_expired), by a clock of your own, which says the seconds since
    /// 1970.
    pub fn hide_expired_by(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.options.clock = Clock(Some(Arc::new(clock)));
        self
    }

    /// Takes every key of which nothing is known for absent, without a request: for jobs that compute
    /// all records anew. What they put replaces whatever the table has, unless it is
    /// [guarded](Self::guarded) or written [field by field](Self::field_wise).
    ///
    /// A key that was read, put or deleted is known, also when it was discarded or taken out since; with
    /// a capacity, all keys are loaded again from the moment when the first is let go, and so they are
    /// after a `reset`. `refresh`, `prefetch` and `load` still read, and so do `query`, `scan` and `index`.
    ///
    /// Default: what is not known is loaded.
    pub fn assume_absent(mut self) -> Self {
        self.options.assume_absent = true;
        self
    }

    /// Writes each record on the condition that nobody else changed it since it was loaded.
    ///
    /// Such writes go alone, several at once, in the same flush and the same report as all others. What
    /// others changed is a conflict, which [`on_conflict`](Self::on_conflict) decides on. A record that
    /// was never loaded is put on the condition that there is none, and deleted without one.
    ///
    /// If the answer to a guarded write is lost, it is sent again, and meets what it wrote itself: an
    /// item that has what was sent counts as written. So what somebody else wrote meanwhile counts as
    /// ours if it is the same to the last attribute, under [`Guard::Fields`] to the last of those that
    /// changed; and where somebody changed what we wrote before we heard of it, the change is merged into
    /// what has it already. A counter that several processes
    /// raise is exact under lost answers only with [`increment`](MemoryTable::increment).
    ///
    /// A newer value waits for the [late-write window](Self::late_write_window) only if the lost request
    /// could still be done after it: a change back to what was loaded, and the delete of a record that
    /// was put.
    ///
    /// Default: plain writes, which replace what is stored; for records with `#[record(version)]`
    /// [`Guard::Version`].
    pub const fn guarded(mut self, guard: Guard) -> Self {
        self.options.mode = Mode::Guarded(guard);
        self
    }

    /// Writes only the attributes of each record that changed, so that two writers of different ones
    /// both win; of one attribute the last. Of a record that was never loaded the attributes that it has are
    /// set; those that it had before the change and has no more are taken away; others that the item has
    /// stay; and it is read when somebody asks for it after that. What somebody
    /// deleted meanwhile is written anew, as a whole; where somebody made the item that is to be made, the
    /// attributes of both are in it, of one that both have ours. Both are listed as a
    /// [conflict](crate::FlushReport::conflicts).
    ///
    /// Such writes go alone, several at once, in the same flush and the same report as all others.
    ///
    /// Default: plain writes, which replace what is stored.
    pub const fn field_wise(mut self) -> Self {
        self.options.mode = Mode::FieldWise;
        self
    }

    /// What becomes of a guarded write whose record others have changed.
    ///
    /// Default: [`OnConflict::Fail`]; what the others stored is not lost by that, and the change is
    /// not either.
    pub fn on_conflict(mut self, policy: OnConflict<T>) -> Self {
        self.on_conflict = policy;
        self
    }

    /// How long a newer value of a record waits after a request with an older one whose answer is
    /// missing (a timeout, a broken connection, a failure of the service).
    ///
    /// That request may still be on its way, and would overwrite the newer value if it landed after
    /// it. The same value is sent again at once. What lands later than this is lost to the older
    /// value: no setting but a condition on the write closes that hole.
    ///
    /// Default: the attempt timeout of the database, at most 5 s: an attempt that was given up has
    /// mostly landed by then. Zero waits for nothing.
    pub fn late_write_window(mut self, window: Duration) -> Self {
        self.options.late_write_window = window;
        self
    }

    /// Keeps at most this many records and remembered absences in memory, unsaved ones included; what
    /// was not asked for lately is let go and loaded anew.
    ///
    /// Unsaved records are never let go, so a part of the capacity is theirs:
    /// [`max_unsaved_records`](Self::max_unsaved_records), by default half of it. Records that are
    /// being changed or loaded come on top, and the keys of items that do not fit the type, without
    /// their records, as do for the time of a `load` those that are written and let go during it. Change records by `update`, which loads them
    /// anew: a `put` of one that was let go replaces the whole item, attributes that the record's type
    /// does not know included. After `load_all` what is not in memory counts as absent only until
    /// something is let go.
    ///
    /// Default: no bound, as a batch job reads each item once.
    pub fn capacity_records(mut self, records: usize) -> Self {
        self.capacities.push(Capacity::Records(records));
        self
    }

    /// Keeps records of at most this many bytes in memory: item sizes by DynamoDB's arithmetic, and
    /// 256 bytes for each record or absence, unsaved ones too. What an unsaved record was loaded as is
    /// kept beside it and not counted. Half of it is for unsaved records unless
    /// [`max_unsaved_bytes`](Self::max_unsaved_bytes) says otherwise. As
    /// [`capacity_records`](Self::capacity_records) otherwise, in place of it.
    ///
    /// Default: no bound.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacities.push(Capacity::Bytes(bytes));
        self
    }

    /// Flushes in the background as soon as this many records are unsaved.
    ///
    /// A flush in the background never fails a change: what it did not save stays unsaved and is tried
    /// again, after a pause of 1 s to 60 s if nothing at all was saved. Its error goes to
    /// [`on_background_error`](Self::on_background_error), to the log, and into the
    /// [report](crate::FlushReport::background) of the next `flush` or `close`.
    ///
    /// Default: half of [`max_unsaved_records`](Self::max_unsaved_records) if that is set, else never.
    pub fn flush_at_records(mut self, records: usize) -> Self {
        self.options.when.mark.records = Some(records);
        self
    }

    /// Flushes in the background as soon as unsaved records have this many bytes, by DynamoDB's
    /// arithmetic; as [`flush_at_records`](Self::flush_at_records) otherwise.
    ///
    /// Default: half of [`max_unsaved_bytes`](Self::max_unsaved_bytes) if that is set, else never.
    pub fn flush_at_bytes(mut self, bytes: usize) -> Self {
        self.options.when.mark.bytes = Some(bytes);
        self
    }

    /// Flushes in the background this long after a change, and as often while anything is unsaved, but
    /// after pauses of up to 60 s while nothing can be saved; as
    /// [`flush_at_records`](Self::flush_at_records) otherwise.
    ///
    /// Default: never.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.when.interval = Some(interval);
        self
    }

    /// Calls this with the error of each flush in the background that fails. It runs on the flush's
    /// task, so it should be short; a panic in it is caught.
    pub fn on_background_error(
        mut self,
        hook: impl Fn(&FlushError) + Send + Sync + 'static,
    ) -> Self {
        self.options.when.hook = Some(Arc::new(hook));
        self
    }

    /// The most records that may be unsaved: a change of another one waits until a flush in the
    /// background has saved some, at most as long as [`put_timeout`](Self::put_timeout) says. Changes
    /// of records that are unsaved already need no room. Parked records hold theirs until they are put
    /// again or discarded; those of conflicts that failed until they are discarded or end well; and
    /// increments of unknown outcome until they are [resolved](MemoryTable::resolve).
    ///
    /// Default: no limit; what is unsaved lives in memory.
    pub fn max_unsaved_records(mut self, records: usize) -> Self {
        self.options.most_unsaved.records = Some(records);
        self
    }

    /// The most bytes that unsaved records may have, by DynamoDB's arithmetic; as
    /// [`max_unsaved_records`](Self::max_unsaved_records) otherwise. A record that is larger takes all
    /// the room there is.
    ///
    /// Default: no limit.
    pub fn max_unsaved_bytes(mut self, bytes: usize) -> Self {
        self.options.most_unsaved.bytes = Some(bytes);
        self
    }

    /// How long a change waits for room before it is an error of kind [`ErrorKind::Timeout`] and
    /// changes nothing.
    ///
    /// Default: the [patience](Self::patience) of a flush, which knows by then why nothing is saved, but
    /// 5 s at least, which a flush needs to make room.
    pub fn put_timeout(mut self, timeout: Duration) -> Self {
        self.options.put_timeout = Some(timeout);
        self
    }

    /// Makes the memory table. No request is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if an option is out of range or the table's name is none.
    pub fn build(mut self) -> Result<MemoryTable<T>, Error> {
        let refuse = |text: &str| Err(Error::new(ErrorKind::Configuration, text));
        if !(1..=10_000).contains(&self.options.limits.requests_in_flight) {
            return refuse("`requests_in_flight` must be 1 to 10,000");
        }
        if !(1..=1_000_000).contains(&self.options.segments) {
            return refuse("`scan_segments` must be 1 to 1,000,000");
        }
        self.options.capacity = match self.capacities[..] {
            [] => None,
            [capacity] => Some(capacity),
            _ => return refuse("a memory table has one capacity, in records or in bytes"),
        };
        if let Some(capacity) = self.options.capacity {
            let unsaved = match capacity {
                Capacity::Records(_) => &mut self.options.most_unsaved.records,
                Capacity::Bytes(_) => &mut self.options.most_unsaved.bytes,
            };
            if capacity.count() < 2
                || *unsaved.get_or_insert(capacity.count() / 2) >= capacity.count()
            {
                return refuse("the capacity must be 2 or more, and more than what may be unsaved");
            }
        }
        let Mark { records, bytes } = self.options.most_unsaved;
        if records == Some(0) || bytes == Some(0) {
            return refuse("`max_unsaved_records` and `max_unsaved_bytes` must be 1 or more");
        }
        let Mark { records: soft_records, bytes: soft_bytes } = self.options.when.mark;
        if soft_records == Some(0) || soft_bytes == Some(0) {
            return refuse("`flush_at_records` and `flush_at_bytes` must be 1 or more");
        }
        if self.options.when.interval.is_some_and(|interval| interval.is_zero()) {
            return refuse("`flush_interval` must be longer than nothing");
        }
        match self.options.mode {
            Mode::Guarded(Guard::Version) if T::VERSION.is_none() => {
                return refuse(
                    "`Guard::Version` needs `#[record(version)]` on a field of the record",
                );
            }
            Mode::FieldWise | Mode::Plain if T::VERSION.is_some() => {
                return refuse("a record with `#[record(version)]` is always guarded");
            }
            Mode::Plain | Mode::FieldWise | Mode::Guarded(_) => {}
        }
        let soft = &mut self.options.when.mark;
        soft.records = soft.records.or(records.map(|most| most.div_ceil(2)));
        soft.bytes = soft.bytes.or(bytes.map(|most| most.div_ceil(2)));
        self.table.name()?;
        #[cfg(feature = "journal")]
        let memory = self.open();
        #[cfg(not(feature = "journal"))]
        let memory =
            Ok(MemoryTable::with(self.table, self.options, self.on_conflict, Recorder::off()));
        memory
    }
}

//! The memory table: each record read once, changed in memory, written back in batches.

mod builder;
mod flush;
mod load;
mod scans;
mod shards;
mod slot;
mod stats;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, Semaphore};

pub use builder::MemoryTableBuilder;
pub use stats::Stats;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::link::{Counters, Link};
use crate::record::{FromKey, Record};
use crate::retry::Patience;
use crate::table::Table;
use crate::write::{FlushError, FlushReport, Limits};
use scans::Scans;
use shards::Shards;
use slot::Known;
use stats::Tally;
use turn::Turn;

/// A table in memory: reads each item once, keeps changes unsaved, and flushes them in batches.
///
/// Cheap to clone; clones are the same table. Reads see every change at once; the database sees it
/// after a [`flush`](Self::flush). What is not flushed when the process dies is lost.
///
/// # What is read
///
/// A key is loaded by one consistent read however many tasks ask for it, and an absent record is
/// remembered too; an error is not. A change made while a load is under way wins over what the load
/// brings.
///
/// # What is written
///
/// One operation a key, the newest; nothing for a record that equals what was loaded or written.
/// Attributes that the record's type does not declare are kept and written back, also inside nested
/// structs and maps, but not inside lists and enums that changed. A record is saved only when the
/// service confirmed the very change that is newest; whatever fails stays unsaved and goes with the
/// next flush.
///
/// # Dropping it
///
/// Dropping the last clone with unsaved changes loses them, and logs an error with their number:
/// call [`close`](Self::close).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use memory_table::{Database, MemoryTable, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     game: String,
///     #[record(sort_key)]
///     name: String,
///     #[serde(default)]
///     rating: f64,
/// }
///
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
///
/// let memory = MemoryTable::new(players.clone());
/// memory.prefetch([("chess", "ada"), ("chess", "bob")]).await?;
/// memory.update(("chess", "ada"), |player| player.rating += 12.0).await?;
/// assert!(players.get(("chess", "ada")).await?.is_none(), "nothing is written before the flush");
///
/// let report = memory.flush().await?;
/// assert_eq!((report.written, report.requests), (1, 1));
/// assert_eq!(players.get(("chess", "ada")).await?.map(|player| player.rating), Some(12.0));
/// # Ok(()) }
/// ```
pub struct MemoryTable<T: Record> {
    shared: Arc<Shared<T>>,
    /// Tasks hold `shared` too; this is held by the users' handles alone.
    handle: Arc<Handle<T>>,
}

impl<T: Record> Clone for MemoryTable<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), handle: Arc::clone(&self.handle) }
    }
}

impl<T: Record> fmt::Debug for MemoryTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable")
            .field("table", &self.shared.table)
            .field("unsaved", &self.shared.slots.unsaved_count())
            .finish_non_exhaustive()
    }
}

/// What all handles and tasks of a memory table share.
pub(crate) struct Shared<T: Record> {
    table: Table<T>,
    options: Options,
    slots: Shards<T>,
    flushes: flush::Flushes,
    /// Bounds the loads in flight.
    reads: Semaphore,
    scans: Scans,
    /// Told whenever a flight ends.
    settled: Notify,
    closed: AtomicBool,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct Options {
    patience: Patience,
    limits: Limits,
    segments: u32,
    consistent: bool,
    absent_after_load_all: bool,
}

impl Options {
    fn defaults<T: Record>(table: &Table<T>) -> Self {
        Self {
            patience: table.database().default_patience(),
            limits: Limits::default(),
            segments: 4,
            consistent: true,
            absent_after_load_all: true,
        }
    }
}

impl<T: Record> Shared<T> {
    fn name(&self) -> Option<Arc<str>> {
        self.table.name().ok().map(Arc::from)
    }

    async fn ready(&self) -> Result<Link, Error> {
        self.table.ready_with(self.options.patience.clone()).await
    }

    fn place(&self, error: Error) -> Error {
        self.table.place(error)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Closed, "the memory table is closed to changes");
            return Err(self.place(error).advise("make a new one"));
        }
        Ok(())
    }

    /// Publishes a change, unless the table was closed meanwhile.
    fn change(&self, key: &Key, now: Known<T>) -> Result<(), Error> {
        let mut locked = self.slots.lock(key.as_bytes());
        self.check_open()?;
        locked.change(key, now);
        Ok(())
    }

    /// Publishes a change that needs no look at the record: at once, or when it is its turn.
    async fn change_in_turn(self: &Arc<Self>, key: &Key, now: Known<T>) -> Result<(), Error> {
        {
            let mut locked = self.slots.lock(key.as_bytes());
            self.check_open()?;
            if locked.find(key.as_bytes()).is_none_or(|slot| slot.busy.is_none()) {
                locked.change(key, now);
                return Ok(());
            }
        }
        let _turn = Turn::of(self, key).await?;
        self.change(key, now)
    }
}

/// The runtime that a task of the table is to run on.
fn runtime() -> Result<tokio::runtime::Handle, Error> {
    tokio::runtime::Handle::try_current().map_err(|source| {
        Error::new(ErrorKind::Configuration, "memory tables run on a tokio runtime")
            .advise("call them from within one, such as `#[tokio::main]`")
            .caused_by(source)
    })
}

/// The runtime that the caller is in took no task any more.
fn runtime_ended() -> Error {
    Error::new(ErrorKind::Configuration, "the tokio runtime has been shut down")
        .advise("call memory tables from within one that runs")
}

impl<T: Record> MemoryTable<T> {
    /// A memory table with default options. No request is sent.
    #[must_use]
    pub fn new(table: Table<T>) -> Self {
        let options = Options::defaults(&table);
        Self::with(table, options)
    }

    /// Options: patience, retries, requests in flight.
    pub fn builder(table: Table<T>) -> MemoryTableBuilder<T> {
        MemoryTableBuilder::new(table)
    }

    fn with(table: Table<T>, options: Options) -> Self {
        let reads = Semaphore::new(options.limits.requests_in_flight);
        let shared = Arc::new(Shared {
            table,
            options,
            slots: Shards::new(),
            flushes: flush::Flushes::default(),
            reads,
            scans: Scans::default(),
            settled: Notify::new(),
            closed: AtomicBool::new(false),
            tally: Tally::default(),
        });
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        Self { shared, handle }
    }

    /// The table beneath, for calls past the cache.
    #[must_use]
    pub fn table(&self) -> &Table<T> {
        &self.shared.table
    }

    /// The record of a key, or `None`; loaded by a consistent read the first time it is asked for.
    ///
    /// However many ask for a key at once, one request is sent. An absent record is remembered, an
    /// error is not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] without a request, [`ErrorKind::InvalidItem`] if the stored item
    /// does not fit the type, or why it could not be loaded.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the load goes on and its record is cached; others who wait get it.
    pub async fn get<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        let key = self.shared.table.checked_key(&key)?;
        self.shared.fetch(&key).await
    }

    /// Whether there is a record of a key; loads it like [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As for [`get`](Self::get).
    pub async fn contains<K: KeyLookup<T::Key>>(&self, key: K) -> Result<bool, Error> {
        Ok(self.get(key).await?.is_some())
    }

    /// The record of a key, or one with this key and each field's default, which is not stored and
    /// never becomes unsaved.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As for [`get`](Self::get).
    pub async fn get_or_default<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Arc<T>, Error>
    where
        T: FromKey,
    {
        let key = self.shared.table.checked_key(&key)?;
        match self.shared.fetch(&key).await? {
            Some(record) => Ok(record),
            None => self.made(&key).map(Arc::new),
        }
    }

    /// The record of a key, or a new one with this key and each field's default, which is unsaved
    /// and goes with the next flush.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); [`ErrorKind::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is made or it is not.
    pub async fn get_or_create<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Arc<T>, Error>
    where
        T: FromKey,
    {
        let key = self.shared.table.checked_key(&key)?;
        if let Some(record) = self.shared.fetch(&key).await? {
            return Ok(record);
        }
        let _turn = Turn::of(&self.shared, &key).await?;
        if let Some(record) = self.shared.fetch_uncounted(&key).await? {
            return Ok(record);
        }
        let record = Arc::new(self.made(&key)?);
        self.shared.table.encoded(&record)?;
        self.shared.change(&key, Known::Record(Arc::clone(&record)))?;
        Ok(record)
    }

    /// Loads the records of keys that are not known yet, 100 a request, several requests at once.
    /// Absent ones are remembered.
    ///
    /// # Errors
    ///
    /// The first of the errors; what could be loaded is cached all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the loads go on.
    pub async fn prefetch<K, I>(&self, keys: I) -> Result<(), Error>
    where
        K: KeyLookup<T::Key>,
        I: IntoIterator<Item = K>,
    {
        let checked = keys.into_iter().map(|key| self.shared.table.checked_key(&key));
        let keys: Vec<Key> = checked.collect::<Result<_, _>>()?;
        self.shared.fetch_all(keys).await
    }

    /// Loads the whole table by a parallel scan and returns how many items it has. What is known
    /// already, changes above all, is left as it is.
    ///
    /// Afterwards a key that was not loaded counts as absent without a request; see
    /// [`absent_after_load_all`](MemoryTableBuilder::absent_after_load_all).
    ///
    /// # Errors
    ///
    /// Why the table could not be read, or the first item that does not fit the type; what was
    /// loaded until then is cached.
    ///
    /// # Cancel safety
    ///
    /// Dropped, what was loaded is cached, and keys that were not are loaded when asked for.
    pub async fn load_all(&self) -> Result<u64, Error> {
        self.shared.scan_all().await
    }

    /// Puts a record, unsaved until the next flush.
    ///
    /// A record that was loaded is replaced, and attributes that its type does not know stay; one
    /// that was never loaded replaces the whole item when it is flushed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or [`ErrorKind::InvalidRecord`] for what DynamoDB cannot store:
    /// over 400 KB, NaN, nested too deep; nothing is changed then. [`ErrorKind::Closed`] after
    /// [`close`](Self::close), [`ErrorKind::Reentrant`] from inside the record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is put or it is not.
    pub async fn put(&self, record: T) -> Result<(), Error> {
        let (key, _checked) = self.shared.table.encoded(&record)?;
        let now = Known::Record(Arc::new(record));
        self.shared.change_in_turn(&key, now).await.map_err(|error| self.shared.place(error))
    }

    /// Changes a record by a function, starting from its key and each field's default if there is
    /// none. Returns the record as changed.
    ///
    /// The function gets a copy, runs under no lock and exactly once; changes of one key run in the
    /// order in which they were asked for. If it panics, the record is as it was.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`put`](Self::put); [`ErrorKind::InvalidRecord`] if the
    /// function changed the key. The record is as it was then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the function ran, nothing is changed; the function itself cannot be cancelled.
    pub async fn update<K, F>(&self, key: K, change: F) -> Result<Arc<T>, Error>
    where
        K: KeyLookup<T::Key>,
        F: FnOnce(&mut T),
        T: FromKey,
    {
        let key = self.shared.table.checked_key(&key)?;
        let turn = self.turn(&key).await?;
        let record = match self.shared.fetch(&key).await? {
            Some(record) => (*record).clone(),
            None => self.made(&key)?,
        };
        self.apply(&turn, &key, record, change)
    }

    /// Changes a record by a function; an error if there is none. Needs no defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no record; else as for [`update`](Self::update).
    ///
    /// # Cancel safety
    ///
    /// As for [`update`](Self::update).
    pub async fn update_existing<K, F>(&self, key: K, change: F) -> Result<Arc<T>, Error>
    where
        K: KeyLookup<T::Key>,
        F: FnOnce(&mut T),
    {
        let key = self.shared.table.checked_key(&key)?;
        let turn = self.turn(&key).await?;
        let Some(record) = self.shared.fetch(&key).await? else {
            let error = Error::new(ErrorKind::NotFound, "there is no record to update")
                .during("update_existing");
            return Err(self
                .shared
                .place(error)
                .on_key(&key)
                .advise("use `update` to begin with defaults"));
        };
        self.apply(&turn, &key, (*record).clone(), change)
    }

    /// Deletes a record, unsaved until the next flush. Needs no read: what is not known to be
    /// absent is deleted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`]; [`ErrorKind::Closed`] after [`close`](Self::close),
    /// [`ErrorKind::Reentrant`] from inside the record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is deleted or it is not.
    pub async fn delete<K: KeyLookup<T::Key>>(&self, key: K) -> Result<(), Error> {
        let key = self.shared.table.checked_key(&key)?;
        let changed = self.shared.change_in_turn(&key, Known::Absent).await;
        changed.map_err(|error| self.shared.place(error))
    }

    /// Loads a record, deletes it and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`delete`](Self::delete).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is taken or it is not; a record that was taken unseen is still in the
    /// database until the next flush.
    pub async fn take<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        let record = self.shared.fetch(&key).await?;
        if record.is_some() {
            self.shared.change(&key, Known::Absent)?;
        }
        Ok(record)
    }

    /// Every record in memory, unsaved ones included, in no order.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<T>> {
        let mut records = Vec::new();
        self.shared.slots.each(|slot| {
            if let Known::Record(record) = &slot.now {
                records.push(Arc::clone(record));
            }
        });
        records
    }

    /// The keys of changes that the database has not confirmed, oldest change first.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Key> {
        self.shared.slots.unsaved_keys(u64::MAX)
    }

    /// Forgets a record and an unsaved change of it; the next read loads it anew. Returns whether
    /// a change was forgotten.
    ///
    /// A change that is being written at this moment is waited for first; it may be in the database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or [`ErrorKind::Reentrant`] from inside the record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is forgotten or it is not.
    pub async fn discard<K: KeyLookup<T::Key>>(&self, key: K) -> Result<bool, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        loop {
            let settled = self.shared.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if let Some(forgotten) = self.shared.forget(&key) {
                return Ok(forgotten);
            }
            settled.await;
        }
    }

    /// Loads a record anew, for changes that others made; returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsaved`] while there is an unsaved change; else as for [`get`](Self::get), and
    /// the record is as it was.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the load goes on.
    pub async fn refresh<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        let unsaved = {
            let mut locked = self.shared.slots.lock(key.as_bytes());
            locked.find(key.as_bytes()).is_some_and(|slot| slot.unsaved.is_some())
        };
        if unsaved {
            let error = Error::new(ErrorKind::Unsaved, "the record has an unsaved change")
                .during("refresh");
            return Err(self
                .shared
                .place(error)
                .on_key(&key)
                .advise("`flush` or `discard` it first"));
        }
        self.shared.fetch_again(&key).await
    }

    /// Forgets every record, so that each is loaded anew. Changes made meanwhile stay.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsaved`] while anything is unsaved; nothing is forgotten then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, everything is forgotten or nothing.
    pub async fn reset(&self) -> Result<(), Error> {
        let unsaved = self.shared.slots.unsaved_count();
        if unsaved > 0 {
            let error = Error::new(ErrorKind::Unsaved, format!("{unsaved} changes are unsaved"))
                .during("reset");
            return Err(self
                .shared
                .place(error)
                .advise("`flush` first, or forget them with `reset_forced`"));
        }
        self.clear(false).await;
        Ok(())
    }

    /// Forgets every record and every unsaved change. A flush under way is waited for first.
    ///
    /// # Cancel safety
    ///
    /// Dropped, everything is forgotten or nothing.
    pub async fn reset_forced(&self) {
        self.clear(true).await;
    }

    async fn clear(&self, forced: bool) {
        while self.shared.is_flushing() {
            // Its report goes to those who called it.
            let _report = self.shared.flush(0).await;
        }
        self.shared.scans.reset();
        self.shared.slots.clear(forced);
    }

    /// Saves every change made before the call, in as few requests as possible: at most 25
    /// operations and 16 MB each, puts and deletes mixed, several at once.
    ///
    /// A flush under way that covers these changes is joined; else this one follows it. At most one
    /// request is in flight for a key, and changes made meanwhile do not wait: a record that changes
    /// while it is written stays unsaved. Items that the service leaves unprocessed or whose answer
    /// is lost are sent again, with their current value, until nothing at all was written for as
    /// long as [patience](MemoryTableBuilder::patience) says.
    ///
    /// # Errors
    ///
    /// [`FlushError`] if anything was not saved, with the report of everything. Those records are
    /// still unsaved, and the next flush sends them again, except for parked ones: the service
    /// refused them, and they wait until they are put again.
    ///
    /// # Cancel safety
    ///
    /// The work belongs to the table: dropped, the flush goes on and only the report is lost.
    pub async fn flush(&self) -> Result<FlushReport, FlushError> {
        self.shared.flush(self.shared.slots.newest()).await
    }

    /// Saves everything and closes the table to changes.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush); the table is open again then, and nothing is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the flush goes on, and the table is open again.
    pub async fn close(&self) -> Result<FlushReport, FlushError> {
        let was_closed = self.shared.closed.swap(true, Ordering::SeqCst);
        let reopen = (!was_closed).then(|| Reopen(&self.shared.closed));
        // Locks each shard once: a change that saw the table open is published now.
        let _published = self.shared.slots.unsaved_keys(0);
        let report = self.flush().await?;
        std::mem::forget(reopen);
        Ok(report)
    }

    /// Counts since the memory table was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut cached = 0;
        self.shared.slots.each(|slot| cached += u64::from(matches!(slot.now, Known::Record(_))));
        let counters = self.shared.table.counters();
        let mut stats = Stats {
            cached,
            unsaved: u64::try_from(self.shared.slots.unsaved_count()).unwrap_or(u64::MAX),
            read_requests: Counters::of(&counters.read_requests),
            write_requests: Counters::of(&counters.write_requests),
            items_read: Counters::of(&counters.items_read),
            items_written: Counters::of(&counters.items_written),
            items_deleted: Counters::of(&counters.items_deleted),
            ..Stats::default()
        };
        self.shared.tally.fill(&mut stats);
        stats
    }

    async fn turn(&self, key: &Key) -> Result<Turn<T>, Error> {
        Turn::of(&self.shared, key).await.map_err(|error| self.shared.place(error))
    }

    /// A record of this key with each other field's default.
    fn made(&self, key: &Key) -> Result<T, Error> {
        let made = codec::decode::<T>(&codec::key_json::<T>(key));
        made.map(|decoded| decoded.record).map_err(|why| {
            let text = format!("a new record cannot be made of its key and defaults: {why}");
            self.shared.place(Error::new(ErrorKind::InvalidRecord, text)).on_key(key)
        })
    }

    /// Runs the user's function on a copy and publishes it, if it can be stored.
    fn apply(
        &self,
        turn: &Turn<T>,
        key: &Key,
        mut record: T,
        change: impl FnOnce(&mut T),
    ) -> Result<Arc<T>, Error> {
        turn.run(|| change(&mut record));
        let (changed, _checked) = self.shared.table.encoded(&record)?;
        if changed != *key {
            let text = format!("the function changed the record's key to {changed}");
            let error = Error::new(ErrorKind::InvalidRecord, text).during("update").on_key(key);
            return Err(self
                .shared
                .place(error)
                .advise("`take` the record and `put` it under its new key"));
        }
        let record = Arc::new(record);
        self.shared.change(key, Known::Record(Arc::clone(&record)))?;
        Ok(record)
    }
}

impl<T: Record> Shared<T> {
    /// Forgets a slot; `None` while it is in flight.
    fn forget(&self, key: &Key) -> Option<bool> {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else {
            return Some(false);
        };
        if slot.unsaved.as_ref().is_some_and(|unsaved| unsaved.flight.is_some()) {
            return None;
        }
        let was_unsaved = slot.unsaved.is_some();
        slot.forgotten = self.scans.need_traces();
        locked.transition(key, |slot| {
            slot.now = Known::Unknown;
            slot.kept = None;
            slot.load = None;
            slot.unsaved.take().is_some()
        });
        locked.prune(key.as_bytes());
        Some(was_unsaved)
    }
}

/// Opens a table again whose closing did not succeed.
struct Reopen<'t>(&'t AtomicBool);

impl Drop for Reopen<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Keys named in the warning of a drop.
const NAMED: usize = 5;

/// What the users' handles hold, so that the last of them can warn.
struct Handle<T: Record>(Arc<Shared<T>>);

impl<T: Record> Drop for Handle<T> {
    fn drop(&mut self) {
        let keys = self.0.slots.unsaved_keys(u64::MAX);
        if keys.is_empty() {
            return;
        }
        let first: Vec<String> = keys.iter().take(NAMED).map(Key::to_string).collect();
        tracing::error!(
            table = self.0.table.name().unwrap_or_default(),
            unsaved = keys.len(),
            first = first.join(", "),
            "a memory table was dropped with unsaved changes, which are lost; call `close` first"
        );
    }
}

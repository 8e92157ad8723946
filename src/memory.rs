//! The memory table: each record read once, changed in memory, written back in batches.

mod attempt;
mod background;
mod builder;
mod capacity;
mod change;
#[cfg(feature = "journal")]
mod checkpoint;
mod closed;
mod conflict;
mod delta;
mod end;
mod expiry;
mod feed;
mod fence;
mod flush;
mod forms;
mod found;
mod freeze;
mod increment;
mod items;
#[cfg(feature = "journal")]
mod journal;
#[cfg(not(feature = "journal"))]
#[path = "memory/unjournaled.rs"]
mod journal;
mod landed;
mod layer;
#[cfg(feature = "journal")]
mod letter;
mod load;
mod many;
mod outgoing;
mod overlay;
mod plan;
mod prepare;
mod progress;
mod read;
mod recent;
mod rekey;
mod room;
mod scans;
mod settle;
mod shards;
mod slot;
mod stats;
mod together;
mod touched;
mod turn;
mod unsaved;
mod update;
mod wrote;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use builder::MemoryTableBuilder;
pub use end::{ScopeError, Unsaved};
pub use feed::{FeedError, PutSink};
pub use increment::Increment;
pub use many::{LoadReport, Loadable};
pub use overlay::CachedIndex;
pub use plan::{FlushPlan, LoadPlan};
pub use stats::Stats;
pub use together::{Flushable, flush_all};

use crate::breaks::broken;
use crate::capacity::Consumption;
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode, OnConflict};
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::record::Record;
use crate::retry::Patience;
use crate::rt::{Notify, Runtime, Semaphore};
use crate::sums::Tokens;
use crate::table::{BadItems, Table};
use crate::write::{FlushError, FlushReport, Limits};
use background::{Background, When};
use capacity::{Bound, Capacity, SLOT_BYTES};
use closed::Closed;
use end::Handle;
use expiry::Clock;
use fence::Fences;
use journal::Recorder;
use recent::Recent;
use room::{Mark, Need, Permit};
use scans::Scans;
use shards::{Locked, Shards};
use slot::{Change, Known};
use stats::Tally;
use turn::Turn;
use wrote::Wrote;

/// A table in memory: reads each item once, keeps changes unsaved, and flushes them in batches.
///
/// Cheap to clone; clones are the same table. Reads see every change at once; the database sees it
/// after a [`flush`](Self::flush). What is not flushed when the process dies is lost, but with a journal
/// (`journal` of [`MemoryTableBuilder`], with the feature of that name).
///
/// # What is read
///
/// A key is loaded by one consistent read however many tasks ask for it, and an absent record is
/// remembered too; an error is not. A change made while a load is under way wins over what the load
/// brings. A record stays in memory while it is saved and after, and one that was let go and is loaded
/// anew is never older than what this table saved.
///
/// # What is written
///
/// One operation a key, the newest, never two for one key in a batch; nothing for a record whose
/// stored form equals the one last loaded or written, whatever order its maps and sets have.
/// Attributes that the record's type does not declare are kept and written back, also inside nested
/// structs and maps, but not inside lists and enums that changed. A record is saved only when the
/// service confirmed the very change that is newest; whatever fails stays unsaved and goes with the
/// next flush.
///
/// # Dropping it
///
/// Dropping the last clone with unsaved changes loses them, and logs an error with their number and
/// first keys; it neither blocks nor panics. Call [`close`](Self::close). With a journal they are in that, and
/// the log says so.
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
    on_conflict: OnConflict<T>,
    slots: Shards<T>,
    flushes: flush::Flushes,
    fences: Fences,
    tokens: Tokens,
    /// The newest change that the flush under way is to save.
    scope: AtomicU64,
    /// Bounds the loads in flight.
    reads: Semaphore,
    scans: Scans,
    /// Told whenever a flight ends.
    settled: Notify,
    closed: Closed,
    background: Background,
    wrote: Wrote,
    /// What was saved a moment ago, if the table has indexes.
    recent: Recent,
    /// What decides which clean slot to let go; without it none is.
    bound: Option<Bound>,
    tally: Tally,
    /// The requests of this memory table, apart from those of its table.
    counters: Arc<Counters>,
}

/// How long a change waits for room at least, unless it is told otherwise.
const PUT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest default of the late-write window.
const LATE_WRITE_WINDOW: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
struct Options {
    patience: Patience,
    limits: Limits,
    segments: u32,
    consistent: bool,
    absent_after_load_all: bool,
    /// What is not known is absent to those who ask, but not to what is saved.
    assume_absent: bool,
    clock: Clock,
    bad_items: BadItems,
    late_write_window: Duration,
    /// When to flush without being asked.
    when: When,
    /// The most that may be unsaved.
    most_unsaved: Mark,
    /// How long a change waits for room.
    put_timeout: Option<Duration>,
    /// How much is kept in memory.
    capacity: Option<Capacity>,
    /// How records are written that nothing else is said of.
    mode: Mode,
}

impl Options {
    fn defaults<T: Record>(table: &Table<T>) -> Self {
        Self {
            patience: table.database().default_patience(),
            limits: Limits::default(),
            segments: 4,
            consistent: true,
            absent_after_load_all: true,
            assume_absent: false,
            clock: Clock::default(),
            bad_items: BadItems::Fail,
            late_write_window: table.database().attempt_timeout().min(LATE_WRITE_WINDOW),
            when: When::default(),
            most_unsaved: Mark::default(),
            put_timeout: None,
            capacity: None,
            mode: if T::VERSION.is_some() { Mode::Guarded(Guard::Version) } else { Mode::Plain },
        }
    }
}

impl<T: Record> Shared<T> {
    async fn ready(&self) -> Result<Link, Error> {
        self.own_table().ready().await
    }

    /// The table with the patience and the counters of this memory table.
    fn own_table(&self) -> Table<T> {
        self.table.apart(self.options.patience.clone(), Arc::clone(&self.counters))
    }

    fn place(&self, error: Error) -> Error {
        self.table.place(error)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.closed.is_closed() {
            let error = Error::new(ErrorKind::Closed, "the memory table is closed to changes");
            return Err(self.place(error).advise("make a new one"));
        }
        Ok(())
    }

    /// Publishes a change of a record whose turn the caller has, as soon as there is room for it.
    async fn change(
        self: &Arc<Self>,
        key: &Key,
        change: Change<T>,
        permit: &mut Permit<'_>,
    ) -> Result<(), Error> {
        self.change_with_room(key, change, permit, Held::Longer).await.map(drop)
    }

    /// Publishes a change that needs no look at the record: at once, or when it is its turn.
    async fn change_in_turn(self: &Arc<Self>, key: &Key, change: Change<T>) -> Result<(), Error> {
        let mut permit = self.slots.room.permit();
        let mut change = change;
        // What is to be in the journal first is nobody else's meanwhile.
        if !self.slots.recorder.foresees() {
            let published = self.change_with_room(key, change, &mut permit, Held::Not);
            match published.await? {
                Some(busy) => change = busy,
                None => return Ok(()),
            }
        }
        // Who has the turn may be waiting for this room.
        permit.give_back();
        let _turn = Turn::of(self, key).await?;
        self.change(key, change, &mut permit).await
    }

    /// Publishes a change as soon as there is room for it; hands it back if somebody else is changing
    /// the record.
    async fn change_with_room(
        self: &Arc<Self>,
        key: &Key,
        mut change: Change<T>,
        permit: &mut Permit<'_>,
        mut held: Held<'_, T>,
    ) -> Result<Option<Change<T>>, Error> {
        let mut is_noted = false;
        loop {
            change = match self.try_change(key, change, permit, &mut held, is_noted)? {
                Tried::Published => break,
                Tried::Busy(change) => return Ok(Some(change)),
                Tried::NoRoom(..) if broken(22) => break,
                Tried::NoRoom(change, need) => {
                    if let Held::Until(turn) = &held {
                        turn.has_run();
                    }
                    self.take_room(permit, need).await.map_err(|error| error.on_key(key))?;
                    change
                }
                Tried::ToRecord(change, noted) => {
                    if let Held::Until(turn) = &held {
                        turn.has_run();
                    }
                    self.recorded(key, noted).await?;
                    is_noted = true;
                    change
                }
                Tried::ToCompare(change, from) => {
                    let diff = self.diff(key, from, &change.now)?;
                    Change { diff, ..change }
                }
            };
        }
        self.unregister(key);
        self.after_change();
        Ok(None)
    }

    /// Publishes a change if there is room for it and nobody else is changing the record; all that
    /// under one lock, so that no change is lost to one that began before.
    fn try_change(
        &self,
        key: &Key,
        change: Change<T>,
        permit: &mut Permit<'_>,
        held: &mut Held<'_, T>,
        is_noted: bool,
    ) -> Result<Tried<T>, Error> {
        let mut locked = self.slots.lock(key.as_bytes());
        if let Some(slot) = locked.find(key.as_bytes()) {
            if matches!(held, Held::Not) && slot.busy.is_some() {
                return Ok(Tried::Busy(change));
            }
            if let Some(from) = slot.to_compare(&change, self.options.mode) {
                return Ok(Tried::ToCompare(change, from));
            }
        }
        let need = locked.need(key, &change);
        if !permit.try_take(need) {
            return Ok(Tried::NoRoom(change, need));
        }
        self.check_change(&mut locked, key)?;
        let complete = self.scans.is_complete();
        if !is_noted && let Some(noted) = locked.foresee_change(key, &change, complete) {
            return Ok(Tried::ToRecord(change, noted));
        }
        locked.change(key, change, complete);
        permit.spend(need);
        if let Held::Until(turn) = held {
            turn.end_in(&mut locked);
        }
        Ok(Tried::Published)
    }

    /// Waits until a change that is to be published is in the journal.
    async fn recorded(&self, key: &Key, noted: u64) -> Result<(), Error> {
        let recorded = self.slots.recorder.until(noted).await;
        recorded.map_err(|why| {
            self.slots.lock(key.as_bytes()).note_unchanged(key);
            self.place(why).on_key(key)
        })
    }

    /// Waits for room for a change, which a flush in the background makes.
    async fn take_room(self: &Arc<Self>, permit: &mut Permit<'_>, need: Need) -> Result<(), Error> {
        let take = permit.take(need);
        tokio::pin!(take);
        // Known to wait before the flush is asked for, so that it does not end too early.
        if futures::poll!(take.as_mut()).is_ready() {
            return Ok(());
        }
        self.flush_soon();
        let patience = self.options.patience.patience;
        let timeout = self.options.put_timeout.unwrap_or(patience.max(PUT_TIMEOUT));
        crate::rt::timeout(timeout, take).await.map_err(|_| self.no_room(timeout))
    }

    fn no_room(&self, after: Duration) -> Error {
        let (records, bytes) = (self.slots.room.records(), self.slots.room.bytes());
        let text = format!(
            "there was no room for the change within {} s: {} of {bytes} bytes in all {} unsaved",
            after.as_secs_f64(),
            counted(records, "record"),
            if records == 1 { "is" } else { "are" },
        );
        let advice = if self.slots.recorder.has_checkpoints() {
            "nothing was changed; `checkpoint` more often, as flushes save nothing that came after the last \
             one, or raise the hard mark"
        } else {
            "nothing was changed; see why flushes in the background do not save enough (what is parked holds \
             its room until it is put again or discarded), or raise the hard mark"
        };
        let error = self.place(Error::new(ErrorKind::Timeout, text)).advise(advice);
        error.caused_by_any(self.last_background_error())
    }

    /// Whether the slot may be changed, of which this is the lock.
    fn check_change(&self, locked: &mut Locked<'_, T>, key: &Key) -> Result<(), Error> {
        self.check_open()?;
        self.slots.recorder.check().map_err(|why| self.place(why).on_key(key))?;
        if locked.find(key.as_bytes()).is_some_and(|slot| slot.unreadable) {
            let text =
                "the stored item does not fit the record's type, and the change would replace it";
            let error = Error::new(ErrorKind::InvalidItem, text).on_key(key);
            return Err(self
                .place(error)
                .advise("mend the item, or `discard` the key first to replace it"));
        }
        Ok(())
    }
}

/// So many of something.
fn counted(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

/// Whose turn it is when a change is published.
enum Held<'t, T: Record> {
    /// It may be anybody's.
    Not,
    /// The caller's, who goes on with it.
    Longer,
    /// The caller's, which ends with the change.
    Until(&'t mut Turn<T>),
}

/// What became of an attempt to publish a change.
enum Tried<T> {
    Published,
    NoRoom(Change<T>, Need),
    /// Somebody else is changing the record.
    Busy(Change<T>),
    /// It is to be in the journal first, which then has so much.
    ToRecord(Change<T>, u64),
    /// What it makes of this record is to be told first.
    ToCompare(Change<T>, Arc<T>),
}

/// The runtime that a task of the table is to run on.
fn runtime() -> Result<Runtime, Error> {
    Runtime::current().map_err(|source| {
        Error::new(ErrorKind::Configuration, "memory tables run on a tokio runtime")
            .advise("call them from within one, such as `#[tokio::main]`")
            .caused_by(source)
    })
}

/// The runtime that the caller is in takes no task any more.
fn runtime_ended() -> Error {
    Error::new(ErrorKind::Configuration, "the tokio runtime has been shut down")
        .advise("call memory tables from within one that runs")
}

impl<T: Record> MemoryTable<T> {
    /// A memory table with default options. No request is sent.
    #[must_use]
    pub fn new(table: Table<T>) -> Self {
        let options = Options::defaults(&table);
        Self::with(table, options, OnConflict::Fail, Recorder::off())
    }

    /// Options: patience, retries, requests in flight.
    pub fn builder(table: Table<T>) -> MemoryTableBuilder<T> {
        MemoryTableBuilder::new(table)
    }

    fn with(
        table: Table<T>,
        options: Options,
        on_conflict: OnConflict<T>,
        recorder: Recorder<T>,
    ) -> Self {
        let reads = Semaphore::new(options.limits.requests_in_flight);
        let fences = Fences::new(options.late_write_window);
        let most = options.most_unsaved;
        let bound = options.capacity.map(|capacity| {
            let unsaved = match capacity {
                Capacity::Records(_) => most.records,
                Capacity::Bytes(_) => most.bytes,
            };
            (capacity, capacity.count().saturating_sub(unsaved.unwrap_or(0)))
        });
        let in_bytes = matches!(bound, Some((Capacity::Bytes(_), _)));
        let beside = if in_bytes { SLOT_BYTES } else { 0 };
        let shared = Arc::new_cyclic(|shared| Shared {
            bound: bound.map(|(capacity, clean)| Bound::new(capacity, clean, Weak::clone(shared))),
            table,
            slots: Shards::new(most, beside, options.mode, recorder),
            flushes: flush::Flushes::default(),
            fences,
            tokens: Tokens::default(),
            scope: AtomicU64::new(0),
            reads,
            scans: Scans::new(options.assume_absent),
            settled: Notify::new(),
            closed: Closed::default(),
            background: Background::default(),
            wrote: Wrote::new(options.consistent),
            recent: Recent::default(),
            options,
            on_conflict,
            tally: Tally::default(),
            counters: Arc::default(),
        });
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        Self { shared, handle }
    }

    /// The table beneath, for calls past the cache.
    #[must_use]
    pub fn table(&self) -> &Table<T> {
        &self.shared.table
    }

    /// The keys of changes that the database has not confirmed, oldest change first.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Key> {
        self.shared.slots.unsaved_keys(u64::MAX)
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
            let error = Error::new(
                ErrorKind::Unsaved,
                format!("it would lose {}", counted(unsaved, "unsaved change")),
            )
            .during("reset");
            return Err(self
                .shared
                .place(error)
                .advise("`flush` first, or forget them with `reset_forced`"));
        }
        self.clear(false).await;
        Ok(())
    }

    /// Forgets every record and every unsaved change. A batch being written is waited for first, until
    /// its flush ends.
    ///
    /// # Cancel safety
    ///
    /// Dropped, everything is forgotten or nothing.
    pub async fn reset_forced(&self) {
        self.clear(true).await;
    }

    async fn clear(&self, forced: bool) {
        let shared = &self.shared;
        let gone = shared
            .between_flushes(|| {
                shared.scans.reset();
                let gone = shared.slots.clear(forced);
                // A scan that began before the last slot was cleared may have lost records to it.
                shared.scans.reset();
                gone
            })
            .await;
        for slot in &gone {
            shared.unregister(&slot.key);
        }
        // An error here is that of the next change.
        let _recorded = shared.slots.recorder.until_now().await;
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
    /// Where an answer is missing, the same value is sent again without more ado, and a newer one only
    /// after the [late-write window](MemoryTableBuilder::late_write_window), so that the older request
    /// cannot land on top of it. One that lands even later can: that hole remains.
    ///
    /// A batch that the service refuses is halved until the bad item is alone, which takes at most
    /// 11 requests for one among 25; the bad item is parked and the others are written. If every one of
    /// several is refused alike, the table may be to blame, so none is parked: they are failed, and the
    /// next flush that has a good one too, or only one of them, tells. Parked is also a record
    /// whose `Serialize` fails or panics. Where the table is gone, access is denied or the credentials
    /// have expired, no item is to blame: the flush stops at once and everything stays unsaved.
    ///
    /// A record that equals what is stored costs no write and counts as
    /// [`unchanged`](FlushReport::unchanged).
    ///
    /// # Errors
    ///
    /// [`FlushError`] if anything was not saved, with the report of everything. Those records are
    /// still unsaved, and the next flush sends them again, however long an outage lasts, except for
    /// parked ones: the service refused them, and they wait until they are put again; and for increments
    /// of unknown outcome that wait to be [resolved](Self::resolve).
    ///
    /// # Cancel safety
    ///
    /// The work belongs to the table: dropped, the flush goes on and only the report is lost. A runtime
    /// that is shut down in the middle of it loses nothing either: what was in flight is unsaved, of
    /// unknown outcome, and the next flush on any runtime goes on.
    pub async fn flush(&self) -> Result<FlushReport, FlushError> {
        self.shared.told(self.shared.flush(self.shared.slots.newest()).await)
    }

    /// Units of capacity that the service charged for its reads and writes since the memory table was
    /// made, by the table and its indexes.
    #[must_use]
    pub fn consumption(&self) -> Consumption {
        self.shared.counters.spent.so_far()
    }

    /// Counts since the memory table was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut cached = 0;
        self.shared.slots.each(|slot| cached += u64::from(matches!(slot.now, Known::Record(_))));
        let counters = &self.shared.counters;
        let mut stats = Stats {
            cached,
            unsaved: u64::try_from(self.shared.slots.unsaved_count()).unwrap_or(u64::MAX),
            evicted: self.shared.bound.as_ref().map_or(0, Bound::evicted),
            unsaved_bytes: u64::try_from(self.shared.slots.room.bytes()).unwrap_or(u64::MAX),
            read_requests: Counters::of(&counters.read_requests),
            write_requests: Counters::of(&counters.write_requests),
            items_read: Counters::of(&counters.items_read),
            items_written: Counters::of(&counters.items_written),
            items_deleted: Counters::of(&counters.items_deleted),
            hits: self.shared.slots.hits(),
            ..Stats::default()
        };
        self.shared.tally.fill(&mut stats);
        stats
    }
}

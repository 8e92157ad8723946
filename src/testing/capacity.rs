//! Tables with capacity, which no local server has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use super::error::ServiceError;
use super::request::Request;
use super::schemas::Schemas;
use crate::capacity::{read_unit, write_units};
use crate::codec::item_size;

/// How long the service keeps what is not used.
const BURST: Duration = Duration::from_secs(300);
/// What a partition can do in a second: reads and writes.
const PER_KEY: (f64, f64) = (3000.0, 1000.0);

/// The capacity of a provisioned table, enforced in front of a service that enforces none: see
/// [`Faults::limit`](super::Faults::limit).
///
/// An item is admitted while what is left is more than nothing, which may bring it below zero; what is
/// not used is kept for the time of the [burst](Self::burst). Items of a batch that are not admitted
/// come back unprocessed, and a request of which nothing is admitted is answered with
/// ProvisionedThroughputExceededException and its reasons. What is charged is what the service says
/// that it consumed. The clock is tokio's, so that a test can pause it.
///
/// Clones are one capacity: several databases with a clone each share it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use memory_table::{MemoryTable, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// use memory_table::Database;
/// use memory_table::testing::{Faults, PausedClock, TableCapacity};
///
/// let (database, faults) = Faults::around(&Database::embedded()?);
/// database.table::<Player>().create_if_missing().await?;
/// let capacity = TableCapacity::provisioned(100, 10).burst(std::time::Duration::from_secs(1));
/// faults.limit("players", &capacity);
///
/// let clock = PausedClock::over(&database)?;
/// let memory = MemoryTable::new(database.table::<Player>());
/// for number in 0..50 {
///     memory.put(Player { name: format!("player {number}") }).await?;
/// }
/// assert_eq!(memory.flush().await?.written, 50);
/// assert_eq!(capacity.met().write_units, 50.0);
/// assert!(clock.elapsed().as_secs_f64() > 3.9, "ten of them at once, then ten a second");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TableCapacity(Arc<Mutex<State>>);

/// What a [`TableCapacity`] met.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CapacityMet {
    /// Requests, refused ones included.
    pub requests: u64,
    /// Those of which nothing was admitted.
    pub throttled: u64,
    /// Items that were asked for or sent, each time; a query or a scan is one.
    pub items: u64,
    /// Those of them that were admitted.
    pub admitted: u64,
    /// Units of reads that were consumed, those of indexes included.
    pub read_units: f64,
    /// Units of writes that were consumed, those of indexes included.
    pub write_units: f64,
}

#[derive(Debug)]
struct State {
    burst: Duration,
    reads: Side,
    writes: Side,
    met: CapacityMet,
}

/// Reads or writes.
#[derive(Debug)]
struct Side {
    table: Bucket,
    indexes: BTreeMap<String, Bucket>,
    per_key: f64,
    keys: HashMap<String, Bucket>,
}

/// Units that are refilled as time goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Units a second.
    rate: f64,
    pub(crate) balance: f64,
    at: Instant,
}

/// What was admitted of a request to a table.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// Whether each of the entries is to be left.
    pub(super) left: Vec<bool>,
    /// What was taken for those that are not: of which partition key, and how much.
    taken: Vec<(Option<String>, f64)>,
    /// Why not.
    reasons: Vec<(String, String)>,
}

impl TableCapacity {
    /// Units a second, reads of 4 KB and writes of 1 KB; as much as the burst allows is there at first.
    #[must_use]
    pub fn provisioned(read_units: u64, write_units: u64) -> Self {
        let side = |units: u64, per_key: f64| Side {
            table: Bucket::full(units, BURST),
            indexes: BTreeMap::new(),
            per_key,
            keys: HashMap::new(),
        };
        Self(Arc::new(Mutex::new(State {
            burst: BURST,
            reads: side(read_units, PER_KEY.0),
            writes: side(write_units, PER_KEY.1),
            met: CapacityMet::default(),
        })))
    }

    /// How long what is not used is kept; that much is there at first. Default: 300 s, as the service
    /// says.
    #[must_use]
    pub fn burst(self, burst: Duration) -> Self {
        {
            let mut state = self.0.lock();
            state.burst = burst;
            state.buckets().for_each(|bucket| bucket.fill(burst));
        }
        self
    }

    /// What one partition key can do in a second, reads and writes. Default: 3,000 and 1,000, as the
    /// service says.
    #[must_use]
    pub fn per_partition_key(self, read_units: u64, write_units: u64) -> Self {
        {
            let mut state = self.0.lock();
            state.reads.per_key = units(read_units);
            state.writes.per_key = units(write_units);
        }
        self
    }

    /// A global index with units of its own. Default: one that is not named has no limit for writes, and its reads
    /// are taken for those of the table.
    #[must_use]
    pub fn index(self, name: impl Into<String>, read_units: u64, write_units: u64) -> Self {
        {
            let (mut state, name) = (self.0.lock(), name.into());
            let burst = state.burst;
            state.reads.indexes.insert(name.clone(), Bucket::full(read_units, burst));
            state.writes.indexes.insert(name, Bucket::full(write_units, burst));
        }
        self
    }

    /// Other units a second for the table from now on. What is left stays, up to the new burst.
    pub fn set(&self, read_units: u64, write_units: u64) {
        let (mut state, now) = (self.0.lock(), Instant::now());
        let burst = state.burst;
        let State { reads, writes, .. } = &mut *state;
        for (side, units_now) in [(reads, read_units), (writes, write_units)] {
            side.table.refill(now, burst);
            side.table.rate = units(units_now);
            side.table.refill(now, burst);
        }
    }

    /// What came until now.
    #[must_use]
    pub fn met(&self) -> CapacityMet {
        self.0.lock().met
    }

    /// Admits what there is capacity for.
    pub(super) fn admit(&self, table: &str, request: &Request, schemas: &Schemas) -> Admitted {
        let (mut state, now) = (self.0.lock(), Instant::now());
        let State { burst, reads, writes, met } = &mut *state;
        let (side, kind) = if request.is_write() { (writes, "Write") } else { (reads, "Read") };
        let entries = request.entries();
        let read = request.body["IndexName"].as_str().filter(|_| !request.is_write());
        let mut admitted = Admitted::default();
        let mut ask = |key: Option<String>, estimate: f64| {
            let refusal = match read.filter(|index| side.indexes.contains_key(*index)) {
                Some(index) => side.spent_index(|name| name == index, now, *burst),
                None => side.refusal(key.as_deref(), request.is_write(), (now, *burst)),
            };
            admitted.left.push(refusal.is_some());
            match refusal {
                Some(why) => admitted.refused(kind, table, &why),
                None => {
                    side.take(key.as_deref(), estimate, now, *burst);
                    admitted.taken.push((key, estimate));
                }
            }
        };
        for (of_table, content) in &entries {
            if *of_table == table {
                ask(schemas.partition(table, content), estimate(request, table, content));
            }
        }
        if entries.is_empty() {
            ask(None, 0.0);
        }
        if request.operation == "TransactWriteItems" && admitted.left.contains(&true) {
            // What was taken is given back when nothing is charged for it.
            admitted.left.fill(true);
        }
        met.requests += 1;
        met.items += count(admitted.left.len());
        met.admitted += count(admitted.left.iter().filter(|left| !**left).count());
        met.throttled += u64::from(admitted.is_nothing());
        admitted
    }

    /// Charges what the service says that the admitted consumed.
    pub(super) fn charge(&self, table: &str, request: &Request, admitted: &Admitted, said: &Value) {
        let mut state = self.0.lock();
        let all = said.as_array().map_or_else(|| vec![said], |all| all.iter().collect());
        let said = all.into_iter().find(|said| said["TableName"].as_str() == Some(table));
        // Nothing was consumed by what failed.
        let said = said.unwrap_or(&Value::Null);
        let total = said["CapacityUnits"].as_f64().unwrap_or_default();
        let State { reads, writes, met, .. } = &mut *state;
        let side = if request.is_write() { writes } else { reads };
        let mut of_indexes = 0.0;
        for (index, said) in said["GlobalSecondaryIndexes"].as_object().into_iter().flatten() {
            let units = said["CapacityUnits"].as_f64().unwrap_or_default();
            of_indexes += units;
            if let Some(bucket) = side.indexes.get_mut(index) {
                bucket.balance -= units;
            }
        }
        let estimate = admitted.taken.iter().fold(0.0, |sum, (_, units)| sum + units);
        let too_much = estimate - (total - of_indexes);
        side.table.balance += too_much;
        for (key, units) in &admitted.taken {
            if let Some(bucket) = key.as_ref().and_then(|key| side.keys.get_mut(key)) {
                // Which item cost how much is not said.
                bucket.balance += too_much * units / estimate.max(f64::MIN_POSITIVE);
            }
        }
        *(if request.is_write() { &mut met.write_units } else { &mut met.read_units }) += total;
    }
}

impl State {
    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        [&mut self.reads, &mut self.writes]
            .into_iter()
            .flat_map(|side| std::iter::once(&mut side.table).chain(side.indexes.values_mut()))
    }
}

impl Side {
    /// Why nothing more is admitted: the table, an index that is written with it, or the partition key.
    fn refusal(
        &mut self,
        key: Option<&str>,
        is_write: bool,
        (now, burst): (Instant, Duration),
    ) -> Option<Refusal> {
        if !self.table.has_some(now, burst) {
            return Some(Refusal::Table);
        }
        if let Some(spent) = self.spent_index(|_| is_write, now, burst) {
            return Some(spent);
        }
        let bucket = self.keys.get_mut(key?)?;
        (!bucket.has_some(now, burst)).then_some(Refusal::Key)
    }

    /// One of these indexes that has nothing left.
    fn spent_index(
        &mut self,
        is_asked: impl Fn(&str) -> bool,
        now: Instant,
        burst: Duration,
    ) -> Option<Refusal> {
        let mut asked = self.indexes.iter_mut().filter(|(name, _)| is_asked(name));
        asked.find_map(|(name, bucket)| {
            let is_spent = !bucket.has_some(now, burst);
            is_spent.then(|| Refusal::Index(name.clone()))
        })
    }

    fn take(&mut self, key: Option<&str>, units: f64, now: Instant, burst: Duration) {
        self.table.balance -= units;
        if let Some(key) = key {
            let rate = self.per_key;
            let full = || Bucket { rate, balance: rate * burst.as_secs_f64(), at: now };
            self.keys.entry(key.to_owned()).or_insert_with(full).balance -= units;
        }
    }
}

/// The capacities of the tables, by their full names.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<BTreeMap<String, TableCapacity>>);

/// Those that a request is within, each with what it admitted.
pub(super) struct Within(Vec<(String, TableCapacity, Admitted)>);

impl Limits {
    pub(super) fn set(&self, table: &str, capacity: &TableCapacity) {
        self.0.lock().insert(table.to_owned(), capacity.clone());
    }

    /// Whether any table is limited.
    pub(super) fn is_on(&self) -> bool {
        !self.0.lock().is_empty()
    }

    /// Admits what there is capacity for; `None` if none of the request's tables is limited.
    pub(super) fn admit(&self, request: &Request, schemas: &Schemas) -> Option<Within> {
        let limits = self.0.lock();
        let of_items = request.is_write() || request.is_read();
        let tables = request.tables().into_iter().filter(|_| of_items);
        let limited = tables.filter_map(|table| Some((table, limits.get(table)?)));
        let within: Vec<_> = limited
            .map(|(table, capacity)| {
                let admitted = capacity.admit(table, request, schemas);
                (table.to_owned(), capacity.clone(), admitted)
            })
            .collect();
        (!within.is_empty()).then_some(Within(within))
    }
}

impl Within {
    /// Which entries of the request are left, by their places; an error if nothing is admitted.
    pub(super) fn left(&self, request: &Request) -> Result<Vec<bool>, ServiceError> {
        let mut places: Vec<_> = self.0.iter().map(|(_, _, of)| of.left.iter()).collect();
        let entries = request.entries();
        let left: Vec<bool> = entries
            .iter()
            .map(|(table, _)| {
                let at = self.0.iter().position(|(limited, ..)| limited == table);
                at.and_then(|at| places[at].next()).copied().unwrap_or(false)
            })
            .collect();
        let is_nothing = self.0.iter().all(|(_, _, of)| of.is_nothing());
        let all_limited = left.iter().all(|left| *left);
        let is_whole = request.operation == "TransactWriteItems";
        if is_nothing && all_limited || is_whole && left.contains(&true) {
            let refused = self.0.iter().find(|(_, _, of)| of.left.contains(&true));
            return Err(refused.map_or_else(
                || ServiceError::new(400, "ProvisionedThroughputExceededException"),
                |(_, _, of)| of.error(),
            ));
        }
        Ok(left)
    }

    /// Charges what the service says that was consumed.
    pub(super) fn charge(&self, request: &Request, said: &Value) {
        for (table, capacity, admitted) in &self.0 {
            capacity.charge(table, request, admitted, said);
        }
    }
}

enum Refusal {
    Table,
    Index(String),
    Key,
}

impl Bucket {
    pub(crate) fn full(units_a_second: u64, burst: Duration) -> Self {
        let rate = units(units_a_second);
        Self { rate, balance: rate * burst.as_secs_f64(), at: Instant::now() }
    }

    fn fill(&mut self, burst: Duration) {
        (self.balance, self.at) = (self.rate * burst.as_secs_f64(), Instant::now());
    }

    fn refill(&mut self, now: Instant, burst: Duration) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let most = self.rate * burst.as_secs_f64();
        (self.balance, self.at) = ((self.balance + self.rate * since).min(most), now);
    }

    pub(crate) fn has_some(&mut self, now: Instant, burst: Duration) -> bool {
        self.refill(now, burst);
        self.balance > 0.0
    }
}

impl Admitted {
    /// Whether all of it is refused.
    pub(super) fn is_nothing(&self) -> bool {
        !self.left.contains(&false)
    }

    /// The answer to a request of which nothing was admitted.
    pub(super) fn error(&self) -> ServiceError {
        let mut error = ServiceError::new(400, "ProvisionedThroughputExceededException");
        error.reasons.clone_from(&self.reasons);
        error
    }

    fn refused(&mut self, kind: &str, table: &str, why: &Refusal) {
        let arn = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{table}");
        let reason = match why {
            Refusal::Table => (format!("Table{kind}ProvisionedThroughputExceeded"), arn),
            Refusal::Index(index) => (
                format!("Index{kind}ProvisionedThroughputExceeded"),
                format!("{arn}/index/{index}"),
            ),
            Refusal::Key => (format!("Table{kind}KeyRangeThroughputExceeded"), arn),
        };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// What an entry will consume of its table, before that is known.
fn estimate(request: &Request, table: &str, content: &Value) -> f64 {
    if !request.is_write() {
        return read_unit(!request.is_eventually_consistent(table));
    }
    write_units(item_size(content.to_string().as_bytes()).unwrap_or_default())
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Units are far fewer than what a float holds.
#[expect(clippy::cast_precision_loss, reason = "nobody provisions 2^53 units")]
fn units(units: u64) -> f64 {
    units as f64
}

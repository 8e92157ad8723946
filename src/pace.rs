//! How fast a table is written and read: all that it can take, and no more.
//!
//! A [`Pace`] is that of one table of one database, whoever uses it. Its [`Side`]s, of writes and of reads, say
//! how much may be sent now, and learn from each answer what that cost and what was left. That of the writes has
//! a limit for the table, one for each index that has capacity of its own, and one for each partition key that
//! is hot. The reads of an index that has capacity of its own are a side of their own: they use nothing of the
//! table's.

mod blame;
mod cost;
mod found;
mod hot;
mod limit;
mod one;
mod others;
mod queue;
mod side;
mod ticket;
mod trend;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use limit::Wait;
pub(crate) use one::One;
pub(crate) use side::{Room, Side};
pub(crate) use ticket::{Answered, Ticket};

use crate::logging::DATABASE;
use crate::rt::Mutex;

/// For how long what a caller does not use of a rate is kept, unless told otherwise.
pub(crate) const BURST: Duration = Duration::from_secs(1);

/// An entry of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Of the item, as in [`Key::partition_bytes`](crate::key::Key::partition_bytes); empty if it has none.
    pub(crate) partition: &'a [u8],
    /// Units that it is thought to cost.
    pub(crate) units: f64,
    /// Whether the service left it for want of capacity.
    pub(crate) left: bool,
}

/// The pace of a table.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) writes: Arc<Side>,
    /// Of the table, and of indexes that use its capacity.
    pub(crate) reads: Arc<Side>,
    /// Of indexes that have capacity of their own.
    index_reads: Mutex<BTreeMap<String, Arc<Side>>>,
    /// What the caller wants, and what there is, once that is known.
    wanted: Mutex<(Wanted, Option<Described>)>,
}

/// What the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Units a second of the table.
    pub(crate) write_capacity: Option<f64>,
    pub(crate) read_capacity: Option<f64>,
    /// The part of what the table and its indexes have.
    pub(crate) share: Option<f64>,
    /// For how long what is not used is kept.
    pub(crate) burst: Duration,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { write_capacity: None, read_capacity: None, share: None, burst: BURST }
    }
}

/// What the service says that a table can take.
#[derive(Debug, Default)]
pub(crate) struct Described {
    pub(crate) writes: Capacity,
    pub(crate) reads: Capacity,
}

/// Units a second, as far as there is a limit.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) table: Option<f64>,
    /// Of the indexes that have capacity of their own.
    pub(crate) indexes: BTreeMap<String, f64>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            writes: Arc::new(Side::new()),
            reads: Arc::new(Side::new()),
            index_reads: Mutex::new(BTreeMap::new()),
            wanted: Mutex::new((Wanted::default(), None)),
        }
    }

    /// The reads of an index that has capacity of its own.
    pub(crate) fn index_reads(&self, index: &str) -> Arc<Side> {
        let mut sides = self.index_reads.lock();
        if let Some(side) = sides.get(index) {
            return Arc::clone(side);
        }
        let side = Arc::new(Side::new());
        sides.insert(index.to_owned(), Arc::clone(&side));
        side
    }

    /// Changes what the caller wants.
    pub(crate) fn want(&self, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.wanted.lock();
        change(&mut wanted.0);
        self.apply(&wanted);
    }

    /// Takes in what the service says that the table has.
    pub(crate) fn described(&self, table: &str, described: Described) {
        let mut wanted = self.wanted.lock();
        let is_new = wanted.1.is_none();
        if is_new && wanted.0.share.is_some() {
            match (described.writes.table.is_none(), described.reads.table.is_none()) {
                (true, true) => no_figures(table, "writes and reads"),
                (true, false) => no_figures(table, "writes"),
                (false, true) => no_figures(table, "reads"),
                (false, false) => {}
            }
        }
        wanted.1 = Some(described);
        self.apply(&wanted);
    }

    /// The service does not say what the table has.
    pub(crate) fn not_described(&self, table: &str) {
        if self.wanted.lock().0.share.is_some() {
            no_figures(table, "writes and reads");
        }
    }

    fn apply(&self, (wanted, described): &(Wanted, Option<Described>)) {
        let (nothing, burst) = (Described::default(), wanted.burst);
        let described = described.as_ref().unwrap_or(&nothing);
        let share = |units: f64| wanted.share.map(|share| share * units);
        let of_indexes = |capacity: &Capacity| -> BTreeMap<String, f64> {
            let indexes = capacity.indexes.iter();
            indexes.filter_map(|(name, units)| Some((name.clone(), share(*units)?))).collect()
        };
        let writes = wanted.write_capacity.or_else(|| described.writes.table.and_then(share));
        self.writes.set(writes, &of_indexes(&described.writes), burst);
        let reads = wanted.read_capacity.or_else(|| described.reads.table.and_then(share));
        self.reads.set(reads, &BTreeMap::new(), burst);
        let indexes = of_indexes(&described.reads);
        for name in indexes.keys() {
            self.index_reads(name);
        }
        for (name, side) in &*self.index_reads.lock() {
            side.set(indexes.get(name).copied(), &BTreeMap::new(), burst);
        }
    }
}

fn no_figures(table: &str, what: &str) {
    tracing::warn!(
        target: DATABASE,
        table,
        what,
        "a share of the table's capacity is wanted, and the service does not say how much it has: no pace \
         is set"
    );
}

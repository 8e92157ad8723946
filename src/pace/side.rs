//! The writes or the reads of a table: what may be sent, what was, and what that cost.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Part;
use super::blame::{Blame, Known, blame};
use super::cost::Mean;
use super::hot::HotKeys;
use super::limit::{self, Flight, Limit, Wait};
use super::ticket::{Answered, Flights, Ticket};
use crate::capacity::ConsumedCapacity;
use crate::rt::{Instant, Mutex, Semaphore};

/// So many suspects are remembered.
const MANY_KEYS: usize = 1_000;
/// What is waited for is a little more than the mean, so that a request is rarely cut for the rest.
const MARGIN: f64 = 1.1;

/// Who lets another one go first looks again so much later.
const A_MOMENT: Duration = Duration::from_millis(1);
/// Who was to ask again so long ago has gone away.
const GONE: Duration = Duration::from_secs(1);

/// How long to wait when nothing is given, from the number of times that nothing was.
pub(crate) type Pause<'a> = &'a mut dyn FnMut(u32) -> Duration;

/// The writes of a table, its reads, or those of an index.
#[derive(Debug)]
pub(crate) struct Side {
    /// There is or was a hot partition key. It is asked for each key that is sent, so that it is no part of
    /// the state.
    pub(super) knows_hot: AtomicBool,
    /// The last request has no answer: that is no matter of the pace.
    pub(super) is_silent: AtomicBool,
    pub(super) state: Mutex<State>,
    /// Who has it is the next to be sent, of those that send one request: one after the other, so that those
    /// who need little do not keep those waiting for ever who need much.
    pub(super) queue: Semaphore,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) table: Limit,
    /// Those that have capacity of their own, as far as that is known.
    pub(super) indexes: BTreeMap<String, Index>,
    /// Partition keys that can take less than the table.
    pub(super) hot: HotKeys,
    /// Those of which something was left the last time that they were sent.
    suspects: HashSet<Box<[u8]>>,
    /// A request of many entries that waits.
    many: Option<Many>,
    /// Units of an entry.
    entry: Mean,
    /// Units of a page.
    page: Mean,
    /// Units that were charged for a unit as we reckon.
    charge: Mean,
}

/// A request of many entries that waits until there is room for it.
#[derive(Clone, Copy, Debug)]
struct Many {
    /// When there would have been, had nobody else been sent. From then on requests of one entry let it go first:
    /// until then they had what it needed.
    promised: Instant,
    /// When it is asked for again.
    until: Instant,
}

#[derive(Debug)]
pub(super) struct Index {
    pub(super) limit: Limit,
    /// Its units for a unit of the table.
    share: Mean,
}

/// How much may be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    units: f64,
    taken: f64,
    /// What is charged for a unit as we reckon.
    charge: f64,
}

impl Room {
    /// Whether one more may be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.taken < self.units
    }

    /// One more is sent of so many units, as we reckon.
    pub(crate) fn take(&mut self, units: f64) {
        self.taken += units * self.charge;
    }

    /// As much is taken as was of another one.
    pub(crate) fn take_as(&mut self, before: Self, after: Self) {
        self.taken += after.taken - before.taken;
    }
}

impl Side {
    pub(super) fn new() -> Self {
        let state = State {
            table: Limit::new(Instant::now()),
            indexes: BTreeMap::new(),
            hot: HotKeys::default(),
            suspects: HashSet::new(),
            many: None,
            entry: Mean::default(),
            page: Mean::default(),
            charge: Mean::default(),
        };
        Self {
            knows_hot: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            state: Mutex::new(state),
            queue: Semaphore::new(1),
        }
    }

    /// The most that may be used of the table and of its indexes.
    pub(super) fn set(&self, table: Option<f64>, indexes: &BTreeMap<String, f64>, burst: Duration) {
        let (mut state, now) = (self.state.lock(), Instant::now());
        state.table.set(table, burst, now);
        for name in indexes.keys() {
            state.index(name, now);
        }
        for (name, index) in &mut state.indexes {
            index.limit.set(indexes.get(name).copied(), burst, now);
        }
    }

    /// Units a second now; `None` if there is no limit.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.state.lock().table.rate(Instant::now())
    }

    /// How long writes of so many units take at the present rates; `None` if there is no limit.
    pub(crate) fn time(&self, units: &ConsumedCapacity) -> Option<Duration> {
        let (state, now) = (self.state.lock(), Instant::now());
        let of_index =
            |(name, units): (&str, f64)| Some(units / state.indexes.get(name)?.limit.rate(now)?);
        let of_table = state.table.rate(now).map(|rate| units.of_table_capacity() / rate);
        let times = units.of_own_capacity().filter_map(of_index).chain(of_table);
        times.reduce(f64::max).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// How much may be sent now, of so many entries that wait for one request; else when to ask again.
    pub(crate) fn room(&self, entries: usize) -> Result<Room, Wait> {
        let (state, now) = (&mut *self.state.lock(), Instant::now());
        let charge = state.charge.get().unwrap_or(1.0);
        let units = if entries > 1 {
            let units = state.room(state.need(entries), now);
            state.many = Many::after(state.many.filter(|many| many.is_there(now)), units);
            units
        } else if let Some(many) = state.many.filter(|many| many.goes_first(now)) {
            Err(Wait { until: many.until.max(now) + A_MOMENT, is_pause: false })
        } else {
            state.room(0.0, now)
        };
        let is_silent = self.is_silent.load(Ordering::Relaxed);
        let pause = |wait: Wait| Wait { is_pause: wait.is_pause || is_silent, ..wait };
        units.map(|units| Room { units, taken: 0.0, charge }).map_err(pause)
    }

    /// Whether the service gives nothing at all, or nothing of this partition key, or does not answer.
    pub(super) fn gives_nothing(&self, partition: &[u8]) -> bool {
        let state = self.state.lock();
        let mut indexes = state.indexes.values().filter(|index| index.share.get() != Some(0.0));
        self.is_silent.load(Ordering::Relaxed)
            || state.table.is_barren()
            || state.hot.is_barren(partition)
            || indexes.any(|index| index.limit.is_barren())
    }

    /// Whether one entry of a partition key may be sent now, as far as that is hot; else when to ask again.
    pub(crate) fn hot_turn(&self, partition: &[u8]) -> Result<(), Wait> {
        if self.is_hot(partition) { self.hot_room(partition, 1).map(drop) } else { Ok(()) }
    }

    /// Those who wait for a partition key that is hot.
    pub(super) fn hot_queue(&self, partition: &[u8]) -> Option<Arc<Semaphore>> {
        let is_known = self.knows_hot.load(Ordering::Relaxed);
        if is_known { self.state.lock().hot.queue(partition) } else { None }
    }

    /// Units that a page is thought to cost, as we reckon.
    pub(crate) fn page(&self) -> f64 {
        let state = self.state.lock();
        state.page.get().unwrap_or(1.0) / state.charge.get().unwrap_or(1.0)
    }

    /// Whether a partition key is hot.
    pub(crate) fn is_hot(&self, partition: &[u8]) -> bool {
        self.knows_hot.load(Ordering::Relaxed) && self.state.lock().hot.contains(partition)
    }

    /// How much may be sent now of a partition key that was found to be hot.
    pub(crate) fn hot_room(&self, partition: &[u8], entries: usize) -> Result<Room, Wait> {
        let (state, now) = (&mut *self.state.lock(), Instant::now());
        let (need, charge) = (state.need(entries), state.charge.get().unwrap_or(1.0));
        let units = state.hot.room(partition, need, now)?;
        Ok(Room { units, taken: 0.0, charge })
    }

    /// A request is sent.
    pub(crate) fn sends(self: &Arc<Self>, parts: &[Part<'_>]) -> Ticket {
        let (state, now) = (&mut *self.state.lock(), Instant::now());
        let charge = state.charge.get().unwrap_or(1.0);
        let units = charge * parts.iter().fold(0.0, |sum, part| sum + part.units);
        let of_index = |(name, index): (&String, &mut Index)| {
            let units = units * index.share.get().unwrap_or(1.0);
            (name.clone(), index.limit.sends(units, now))
        };
        let indexes = state.indexes.iter_mut().map(of_index).collect();
        let hot = state.hot.sends(parts, charge, now);
        let table = state.table.sends(units, now);
        Ticket { side: Arc::clone(self), flights: Some(Flights { table, indexes, hot }) }
    }
}

impl Many {
    /// What is known of it after it was asked for.
    fn after(before: Option<Self>, room: Result<f64, Wait>) -> Option<Self> {
        let until = room.err().filter(|wait| !wait.is_pause)?.until;
        Some(Self { promised: before.map_or(until, |before| before.promised), until })
    }

    /// Whether it goes before requests of one entry.
    fn goes_first(self, now: Instant) -> bool {
        self.promised <= now && self.is_there(now)
    }

    /// Who does not ask again has gone away.
    fn is_there(self, now: Instant) -> bool {
        now < self.until + GONE
    }
}

impl State {
    fn index(&mut self, name: &str, now: Instant) -> &mut Index {
        let new = || Index { limit: Limit::new(now), share: Mean::default() };
        self.indexes.entry(name.to_owned()).or_insert_with(new)
    }

    /// What is left of the table and of its indexes, if it is more than this; else when it will be.
    fn room(&mut self, need: f64, now: Instant) -> Result<f64, Wait> {
        let mut units = self.table.room(need, now)?;
        for index in self.indexes.values_mut() {
            let share = index.share.get().unwrap_or(1.0);
            if share > 0.0 {
                units = units.min(index.limit.room(need * share, now)? / share);
            }
        }
        Ok(units)
    }

    /// What must be left for all of so many entries but the last.
    fn need(&self, entries: usize) -> f64 {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        f64::from(entries.saturating_sub(1)) * self.entry.get().unwrap_or(1.0) * MARGIN
    }

    /// Takes in an answer.
    pub(super) fn answered(
        &mut self,
        flights: Flights,
        answer: Answered<'_>,
        pause: Pause<'_>,
        now: Instant,
    ) {
        let Answered { parts, charged, reasons, is_page } = answer;
        let charge = self.charge.get().unwrap_or(1.0);
        let done = || parts.iter().filter(|part| !part.left);
        let reckoned = done().fold(0.0, |sum, part| sum + part.units);
        if let Some(charged) = charged.filter(|_| is_page) {
            self.page.learn(charged.of_table_capacity(), 1.0);
        } else if let Some(charged) = charged {
            let entries = u32::try_from(done().count()).unwrap_or(u32::MAX);
            self.charge.learn(charged.of_table_capacity(), reckoned);
            self.entry.learn(charged.of_table_capacity(), f64::from(entries));
        }
        let blame = blame(parts, reasons, |key| self.known(key));
        self.remember(parts);
        let judged = Judged {
            parts,
            blame: self.exactly(blame, now),
            largest: parts.iter().fold(0.0, |most: f64, part| most.max(part.units)) * charge,
            consumed: charged.map_or(reckoned * charge, ConsumedCapacity::of_table_capacity),
            charge,
            now,
        };
        self.indexes_answered(flights.indexes, charged, &judged, pause);
        self.hot.answered(flights.hot, &judged, self.table.speed(now), pause);
        let of_table = judged.answer(judged.consumed, judged.blame == Blame::Table);
        self.table.answered(flights.table, of_table, pause, now);
    }

    fn known(&self, partition: &[u8]) -> Known {
        if self.hot.contains(partition) {
            Known::Hot
        } else if self.suspects.contains(partition) {
            Known::WasLeft
        } else {
            Known::Nothing
        }
    }

    /// Notes of which partition keys something was left.
    fn remember(&mut self, parts: &[Part<'_>]) {
        if !self.suspects.is_empty() {
            for part in parts.iter().filter(|part| !part.left) {
                self.suspects.remove(part.partition);
            }
        }
        for part in parts.iter().filter(|part| part.left && !part.partition.is_empty()) {
            if self.suspects.len() >= MANY_KEYS {
                self.suspects.clear();
            }
            self.suspects.insert(part.partition.into());
        }
    }

    /// Where the answer does not say what had nothing left, it is what we think has least.
    fn exactly<'a>(&mut self, blame: Blame<'a>, now: Instant) -> Blame<'a> {
        match blame {
            Blame::Any => {}
            Blame::Index(name) => {
                self.index(&name, now);
                return Blame::Index(name);
            }
            blame => return blame,
        }
        let table = self.table.reserve(now);
        let used = self.indexes.iter().filter(|(_, index)| index.share.get() != Some(0.0));
        let reserves = used.map(|(name, index)| (name, index.limit.reserve(now)));
        let least = reserves.min_by(|(_, one), (_, other)| one.total_cmp(other));
        match least {
            Some((name, reserve)) if reserve < table => Blame::Index(name.clone().into()),
            _ => Blame::Table,
        }
    }

    fn indexes_answered(
        &mut self,
        flights: Vec<(String, Flight)>,
        charged: Option<&ConsumedCapacity>,
        judged: &Judged<'_>,
        pause: Pause<'_>,
    ) {
        let charged_of =
            |name: &str| charged.and_then(|charged| charged.indexes.get(name)).copied();
        for (name, flight) in flights {
            let Some(index) = self.indexes.get_mut(&name) else { continue };
            let share = index.share.get().unwrap_or(1.0);
            let known = charged.map(|_| charged_of(&name).unwrap_or(0.0));
            let consumed = known.unwrap_or(judged.consumed * share);
            index.share.learn(consumed, judged.consumed);
            let answer = judged.answer(consumed, judged.blame.is_index(&name));
            index.limit.answered(flight, answer, pause, judged.now);
        }
        for (name, units) in charged.into_iter().flat_map(ConsumedCapacity::of_own_capacity) {
            if !self.indexes.contains_key(name) {
                self.index(name, judged.now).share.learn(units, judged.consumed);
            }
        }
    }
}

/// An answer, and what it means.
pub(super) struct Judged<'a> {
    pub(super) parts: &'a [Part<'a>],
    pub(super) blame: Blame<'a>,
    /// Units of the largest entry.
    largest: f64,
    /// Units of the table.
    consumed: f64,
    /// Units that are charged for a unit as we reckon.
    pub(super) charge: f64,
    pub(super) now: Instant,
}

impl Judged<'_> {
    /// What it means for a limit.
    pub(super) fn answer(&self, consumed: f64, left: bool) -> limit::Answer {
        limit::Answer { consumed, left, largest: self.largest }
    }
}

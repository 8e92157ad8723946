//! Which writes go together into a request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::gate::Gate;
use super::report::{NotSaved, Report};
use super::sources::Sources;
use super::{Settled, Take};
use crate::pace::Room;
use crate::rt::Instant;
use crate::store::{MAX_BATCH_WRITE, MAX_REQUEST_BYTES, Operation, Outcome, TableKey, Write};

/// How long to wait before a record is looked at again that somebody is changing.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long to wait for somebody who is changing a record: who does may wait for this flush.
const LONGEST_BUSY: Duration = Duration::from_secs(5);

/// Keys that wait to be sent.
#[derive(Debug)]
pub(super) struct Plan {
    /// By the place of the table.
    queues: Vec<Queue>,
    /// The request before was one that goes alone, so that neither kind waits for the other.
    was_alone: bool,
    /// Parts of a refused batch, each to be sent on its own to find the bad item.
    suspects: VecDeque<Vec<TableKey>>,
    held: Vec<(TableKey, Instant)>,
}

/// Those of a table.
#[derive(Debug, Default)]
struct Queue {
    /// In the order of their changes, spread over partition keys.
    ready: VecDeque<TableKey>,
    /// Those whose writes no batch can have.
    alone: VecDeque<TableKey>,
    /// Those of partition keys that are hot.
    hot: BTreeMap<Box<[u8]>, VecDeque<TableKey>>,
    hot_alone: BTreeMap<Box<[u8]>, VecDeque<TableKey>>,
}

impl Queue {
    /// How many wait for a batch.
    fn len(&self) -> usize {
        self.hot.values().fold(self.ready.len(), |sum, keys| sum + keys.len())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && !self.has_alone()
    }

    fn has_alone(&self) -> bool {
        !self.alone.is_empty() || !self.hot_alone.is_empty()
    }

    /// The next one that goes alone and may be sent.
    fn next_alone(&mut self, gate: &mut Gate) -> Option<TableKey> {
        let mut hot = self.hot_alone.iter_mut();
        let open = hot.find(|(partition, _)| gate.hot_room(partition, 1).is_some());
        if let Some(at) = open.and_then(|(_, keys)| keys.pop_front()) {
            self.hot_alone.retain(|_, keys| !keys.is_empty());
            return Some(at);
        }
        while let Some(at) = self.alone.pop_front() {
            if !gate.is_hot(&at.key) {
                return Some(at);
            }
            let partition = at.key.partition_bytes();
            let is_first = !self.hot_alone.contains_key(partition);
            if is_first && gate.hot_room(partition, 1).is_some() {
                return Some(at);
            }
            self.hot_alone.entry(partition.into()).or_default().push_back(at);
        }
        None
    }

    fn take(&mut self) -> impl Iterator<Item = TableKey> {
        let Self { ready, alone, hot, hot_alone } = std::mem::take(self);
        let hot = hot.into_values().chain(hot_alone.into_values()).flatten();
        ready.into_iter().chain(alone).chain(hot)
    }
}

impl Plan {
    /// For so many tables.
    pub(super) fn of(tables: usize) -> Self {
        Self {
            queues: (0..tables).map(|_| Queue::default()).collect(),
            was_alone: false,
            suspects: VecDeque::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty() && self.queues.iter().all(Queue::is_empty)
    }

    pub(super) fn push(&mut self, keys: impl IntoIterator<Item = TableKey>) {
        for at in keys {
            self.queues[at.table].ready.push_back(at);
        }
    }

    /// As [`push`](Self::push), those of each partition key spread over the whole: a partition takes less
    /// than a table.
    pub(super) fn push_spread(&mut self, keys: Vec<TableKey>) {
        self.push(spread(keys));
    }

    /// Takes out all keys of a table.
    pub(super) fn extract(&mut self, table: usize) -> Vec<TableKey> {
        let mut taken = self.extract_ready(table);
        self.suspects.retain_mut(|part| {
            taken.extend(part.extract_if(.., |at| at.table == table));
            !part.is_empty()
        });
        taken
    }

    /// Takes out the keys of a table that are no parts of a refused batch.
    pub(super) fn extract_ready(&mut self, table: usize) -> Vec<TableKey> {
        self.queues[table].take().collect()
    }

    /// Sends the halves of a refused batch apart.
    pub(super) fn split(&mut self, keys: Vec<TableKey>) {
        let (left, right) = keys.split_at(keys.len().div_ceil(2));
        self.suspects.extend([left.to_vec(), right.to_vec()]);
    }

    /// Sends keys as a part of their own: halved if there are several, else alone.
    pub(super) fn suspect(&mut self, keys: Vec<TableKey>) {
        if keys.len() > 1 {
            self.split(keys);
        } else {
            self.suspects.push_back(keys);
        }
    }

    /// Sends keys as they are, as a part of their own.
    pub(super) fn suspect_together(&mut self, keys: Vec<TableKey>) {
        self.suspects.push_back(keys);
    }

    /// Whether parts of a table wait. A part has keys of one table.
    pub(super) fn has_suspects_of(&self, table: usize) -> bool {
        self.suspects.iter().any(|part| part.iter().any(|at| at.table == table))
    }

    /// Whether keys of a table wait that are no parts of a refused batch.
    pub(super) fn has(&self, table: usize) -> bool {
        !self.queues[table].is_empty()
    }

    /// The writes of the next request: at most 25 and 16 MB, each item once, in the order of tables; or
    /// one that goes alone. Empty if there is none that may be sent now.
    pub(super) fn next(
        &mut self,
        sources: &Sources<'_>,
        gates: &mut [Gate],
        report: &mut Report,
    ) -> Vec<Write> {
        let mut batch = Batch { writes: Vec::new(), bytes: 0, is_full: false };
        let mut next = Next { sources, gates, report };
        self.next_suspects(&mut batch, &mut next);
        let first = if self.was_alone { Self::fill } else { Self::take_alone };
        let second = if self.was_alone { Self::take_alone } else { Self::fill };
        for fill in [first, second] {
            if batch.writes.is_empty() {
                fill(self, &mut batch, &mut next);
            }
        }
        if let Some(write) = batch.writes.first() {
            self.was_alone = write.action.is_single();
        }
        batch.writes
    }

    /// The writes of the next part of a refused batch that may be sent.
    fn next_suspects(&mut self, batch: &mut Batch, next: &mut Next<'_, '_>) {
        while batch.writes.is_empty() {
            let mut open = |part: &Vec<TableKey>| {
                part.first().is_none_or(|at| next.gates[at.table].room(part.len()).is_some())
            };
            let Some(place) = self.suspects.iter().position(&mut open) else { return };
            let part = self.suspects.remove(place).unwrap_or_default();
            let is_one = part.len() == 1;
            for at in part {
                let Some(write) = self.take(&at, next.sources, next.report) else { continue };
                if write.action.is_single() && !is_one {
                    self.put_back_alone(write, next.sources);
                } else {
                    batch.writes.push(write);
                }
            }
        }
    }

    /// A write that goes alone, if one is known to and may be sent.
    fn take_alone(&mut self, batch: &mut Batch, next: &mut Next<'_, '_>) {
        for table in 0..self.queues.len() {
            while batch.writes.is_empty() && self.queues[table].has_alone() {
                let gate = &mut next.gates[table];
                // Where a batch waits for more room, a single write must not take it.
                if gate.is_refused() || gate.room(1).is_none() {
                    break;
                }
                let Some(at) = self.queues[table].next_alone(gate) else { break };
                batch.writes.extend(self.take(&at, next.sources, next.report));
            }
        }
    }

    fn fill(&mut self, batch: &mut Batch, next: &mut Next<'_, '_>) {
        for table in 0..self.queues.len() {
            let waiting = self.queues[table].len().min(MAX_BATCH_WRITE - batch.writes.len());
            if waiting == 0 || batch.is_full {
                continue;
            }
            let Some(mut room) = next.gates[table].room(waiting) else { continue };
            let known: Vec<Box<[u8]>> = self.queues[table].hot.keys().cloned().collect();
            self.fill_hot(table, &[], &mut room, batch, next);
            self.fill_ready(table, &mut room, batch, next);
            // What was found to be of a hot partition key only now.
            self.fill_hot(table, &known, &mut room, batch, next);
        }
        if batch.writes.is_empty() {
            // All that was there goes alone.
            self.take_alone(batch, next);
        }
    }

    fn fill_ready(
        &mut self,
        table: usize,
        room: &mut Room,
        batch: &mut Batch,
        next: &mut Next<'_, '_>,
    ) {
        while batch.is_open(room) {
            let Some(at) = self.queues[table].ready.pop_front() else { return };
            if next.gates[table].is_hot(&at.key) {
                let partition = at.key.partition_bytes().into();
                self.queues[table].hot.entry(partition).or_default().push_back(at);
            } else if let Some(refused) = self.add(at, room, batch, next) {
                self.queues[table].ready.push_front(refused);
            }
        }
    }

    /// Of each hot partition key as much as may be sent of it, but for those.
    fn fill_hot(
        &mut self,
        table: usize,
        but: &[Box<[u8]>],
        room: &mut Room,
        batch: &mut Batch,
        next: &mut Next<'_, '_>,
    ) {
        let mut hot = std::mem::take(&mut self.queues[table].hot);
        for (partition, keys) in hot.iter_mut().filter(|(partition, _)| !but.contains(partition)) {
            if !batch.is_open(room) {
                break;
            }
            let Some(mut of_key) =
                next.gates[table].hot_room(partition, keys.len().min(MAX_BATCH_WRITE))
            else {
                continue;
            };
            while batch.is_open(room) && of_key.is_open() {
                let Some(at) = keys.pop_front() else { break };
                let before = *room;
                if let Some(refused) = self.add(at, room, batch, next) {
                    keys.push_front(refused);
                }
                of_key.take_as(before, *room);
            }
        }
        hot.retain(|_, keys| !keys.is_empty());
        self.queues[table].hot = hot;
    }

    /// Adds what there is to send of a key to a batch; gives the key back if there is no place for it.
    fn add(
        &mut self,
        at: TableKey,
        room: &mut Room,
        batch: &mut Batch,
        next: &mut Next<'_, '_>,
    ) -> Option<TableKey> {
        if next.sources.goes_alone(&at) {
            self.queues[at.table].alone.push_back(at);
            return None;
        }
        let write = self.take(&at, next.sources, next.report)?;
        if write.action.is_single() {
            self.put_back_alone(write, next.sources);
            return None;
        }
        let bytes = write.action.wire_bytes();
        if batch.bytes + bytes > MAX_REQUEST_BYTES && !batch.writes.is_empty() {
            // The request is full: it opens the next one, with what it is then.
            next.sources.settle(&write.at, Settled::Pending(Outcome::NotWritten));
            batch.is_full = true;
            return Some(at);
        }
        room.take(next.gates[at.table].units(&write));
        batch.bytes += bytes;
        batch.writes.push(write);
        None
    }

    /// A write goes alone that was taken for a batch: it is sent with what it is then.
    fn put_back_alone(&mut self, write: Write, sources: &Sources<'_>) {
        sources.settle(&write.at, Settled::Pending(Outcome::NotWritten));
        self.queues[write.at.table].alone.push_back(write.at);
    }

    fn take(&mut self, at: &TableKey, sources: &Sources<'_>, report: &mut Report) -> Option<Write> {
        match take(at, sources, report)? {
            Taken::Write(write) => Some(write),
            Taken::Held(_, until) => {
                self.held.push((at.clone(), until));
                None
            }
        }
    }

    /// Keys that must wait until an older request has landed, and until when.
    pub(super) fn take_held(&mut self) -> Vec<(TableKey, Instant)> {
        std::mem::take(&mut self.held)
    }
}

/// A request in the making.
struct Batch {
    writes: Vec<Write>,
    bytes: usize,
    /// The next write did not fit.
    is_full: bool,
}

impl Batch {
    /// Whether one more may be sent with it.
    fn is_open(&self, room: &Room) -> bool {
        self.writes.len() < MAX_BATCH_WRITE && !self.is_full && room.is_open()
    }
}

/// What the next request comes from.
struct Next<'n, 's> {
    sources: &'n Sources<'s>,
    gates: &'n mut [Gate],
    report: &'n mut Report,
}

/// Keys in an order in which those of each partition key are as far from each other as can be, and
/// otherwise as they came: the k-th of n of a partition comes after (2k + 1) / 2n of all.
fn spread(keys: Vec<TableKey>) -> Vec<TableKey> {
    if keys.iter().all(|at| at.key.sort().is_none()) {
        return keys;
    }
    // Of each how many there are, and how many came.
    let mut counts: HashMap<(usize, &[u8]), (u64, u64)> = HashMap::new();
    for at in &keys {
        counts.entry((at.table, at.key.partition_bytes())).or_default().0 += 1;
    }
    let mut places = Vec::with_capacity(keys.len());
    for at in &keys {
        let (all, came) = counts.entry((at.table, at.key.partition_bytes())).or_default();
        places.push(u128::from(2 * *came + 1) * (1 << 64) / u128::from(2 * *all));
        *came += 1;
    }
    let mut placed: Vec<(u128, TableKey)> = places.into_iter().zip(keys).collect();
    // Stable, so that equal places keep the order in which they came.
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, at)| at).collect()
}

/// What is to be sent of a key, now or later.
enum Taken {
    Write(Write),
    /// Not before this time.
    Held(Operation, Instant),
}

/// What there is to send of a key that is not sent any more, held or not.
pub(super) fn take_left(
    at: &TableKey,
    sources: &Sources<'_>,
    report: &mut Report,
) -> Option<Operation> {
    Some(match take(at, sources, report)? {
        Taken::Write(write) => write.action.operation(),
        Taken::Held(operation, _) => operation,
    })
}

/// What is to be sent of a key, or its line in the report.
fn take(at: &TableKey, sources: &Sources<'_>, report: &mut Report) -> Option<Taken> {
    let taken = sources.take(at);
    if !matches!(taken, Take::Busy(..)) {
        report.is_free(at);
    }
    let to_resolve = matches!(taken, Take::Stuck(..));
    let outcome = || sources.outcome(at);
    let not_saved =
        |operation, error| NotSaved { operation, outcome: outcome(), to_resolve, error };
    match taken {
        Take::Write(action) => return Some(Taken::Write(Write { at: at.clone(), action })),
        Take::Held(operation, until) => return Some(Taken::Held(operation, until)),
        Take::Busy(operation, error) => {
            if report.is_busy_for(at) < LONGEST_BUSY {
                return Some(Taken::Held(operation, Instant::now() + BUSY_PAUSE));
            }
            report.conflict_failed(at);
            report.failed(at, not_saved(operation, error));
        }
        Take::Unchanged(units) => report.unchanged(at, units),
        Take::Gone => report.gone(at),
        Take::Parked(operation, error) => report.parked(at, not_saved(operation, error)),
        Take::Stuck(operation, error) => report.failed(at, not_saved(operation, error)),
        Take::Conflict(operation, error) => {
            report.conflict_failed(at);
            report.failed(at, not_saved(operation, error));
        }
    }
    None
}

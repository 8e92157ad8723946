//! What a flush did, exactly.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::capacity::ConsumedCapacity;
use crate::error::{Error, ErrorKind};
use crate::guard::{Conflict, Resolution};
use crate::key::Key;
use crate::progress;
use crate::rt::Instant;
use crate::store::{Operation, Outcome, TableKey};

/// A record that a flush did not save; it is still unsaved in the memory table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failed {
    /// The name of the record's table.
    pub table: Arc<str>,
    /// The record's key.
    pub key: Key,
    /// What was to be done.
    pub operation: Operation,
    /// How often it was sent in this flush; 0 also where an error ended the flush as a whole.
    pub attempts: u64,
    /// Whether it may be in the table after all.
    pub outcome: Outcome,
    /// It is an increment of unknown outcome whose token has expired: it is not sent again, but waits
    /// to be [resolved](crate::MemoryTable::resolve).
    pub to_resolve: bool,
    /// The last cause, with the service's code and request id.
    pub error: Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.key, self.error)?;
        match self.outcome {
            Outcome::OutcomeUnknown => f.write_str("; it may be in the table all the same"),
            Outcome::NotWritten => Ok(()),
        }
    }
}

/// What a flush did. Every record that was submitted is in exactly one of `written`, `deleted`,
/// `unchanged`, `parked` and `failed`.
#[derive(Clone, Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct FlushReport {
    /// Items written, or incremented.
    pub written: u64,
    /// Items deleted.
    pub deleted: u64,
    /// Records that cost no write: what is stored is what would have been written.
    pub unchanged: u64,
    /// Records that the service refused on their own account, or that cannot be encoded. They are
    /// not sent again until they are put again.
    pub parked: Vec<Failed>,
    /// Records that were not saved for want of an answer, capacity or permission, which the next flush
    /// sends again; for a conflict; or for an increment of unknown outcome, which waits to be
    /// [resolved](crate::MemoryTable::resolve).
    pub failed: Vec<Failed>,
    /// Guarded records that others had changed, and those written field by field that others had
    /// deleted or made, each once, whatever became of them: they are counted above too.
    pub conflicts: Vec<Conflict>,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that sent at least one item again.
    pub retries: u64,
    /// Items that the service returned unprocessed, counted each time.
    pub unprocessed: u64,
    /// Bytes of the items sent, by DynamoDB's arithmetic, retries included.
    pub bytes: u64,
    /// Write units that the service charged, those of indexes included; 0 if it does not say.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
    pub consumed_capacity: f64,
    /// Write units that the unchanged records would have cost their tables, indexes left out.
    pub saved_capacity: f64,
    /// What was charged, by the full names of the tables and by their indexes.
    pub capacity_by_table: BTreeMap<Arc<str>, ConsumedCapacity>,
    /// How long it took.
    pub elapsed: Duration,
    /// Why flushes in the background failed since the last report. What they did not save was
    /// submitted to this flush again.
    pub background: Vec<Error>,
}

impl FlushReport {
    /// How many records the flush was to save: the sum of all outcomes.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        let lists = u64::try_from(self.parked.len() + self.failed.len()).unwrap_or(u64::MAX);
        self.written + self.deleted + self.unchanged + lists
    }

    /// Adds what was done beside it, at the same time.
    pub(crate) fn add(&mut self, other: Self) {
        // All of them by name, so that none is forgotten.
        let Self {
            written,
            deleted,
            unchanged,
            parked,
            failed,
            conflicts,
            requests,
            retries,
            unprocessed,
            bytes,
            // With those by table.
            consumed_capacity: _,
            saved_capacity,
            capacity_by_table,
            elapsed,
            background,
        } = other;
        self.written += written;
        self.deleted += deleted;
        self.unchanged += unchanged;
        self.parked.extend(parked);
        self.failed.extend(failed);
        self.conflicts.extend(conflicts);
        self.requests += requests;
        self.retries += retries;
        self.unprocessed += unprocessed;
        self.bytes += bytes;
        self.saved_capacity += saved_capacity;
        for (table, units) in &capacity_by_table {
            self.charged(table, units);
        }
        self.elapsed = self.elapsed.max(elapsed);
        self.background.extend(background);
    }

    /// A request was charged so much for a table.
    pub(super) fn charged(&mut self, table: &Arc<str>, units: &ConsumedCapacity) {
        self.consumed_capacity += units.total;
        self.capacity_by_table.entry(Arc::clone(table)).or_default().add(units);
    }

    /// The records that were not saved: failed and parked.
    pub fn not_saved(&self) -> impl Iterator<Item = &Failed> {
        self.failed.iter().chain(&self.parked)
    }
}

impl fmt::Display for FlushReport {
    /// `written 12, deleted 0, unchanged 3, parked 0, failed 0 in 1 request (0 retries), 0.02 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "written {}, deleted {}, unchanged {}, parked {}, failed {} in {} request{} ({} {}), {:.2} s",
            self.written,
            self.deleted,
            self.unchanged,
            self.parked.len(),
            self.failed.len(),
            self.requests,
            if self.requests == 1 { "" } else { "s" },
            self.retries,
            if self.retries == 1 { "retry" } else { "retries" },
            self.elapsed.as_secs_f64(),
        )?;
        match self.conflicts.len() {
            0 => {}
            1 => f.write_str("; 1 conflict")?,
            many => write!(f, "; {many} conflicts")?,
        }
        match self.background.len() {
            0 => Ok(()),
            1 => write!(f, "; a background flush failed before: {}", self.background[0]),
            many => write!(
                f,
                "; {many} background flushes failed before, the first: {}",
                self.background[0]
            ),
        }
    }
}

/// A flush that did not save everything: the report, and the first cause.
///
/// Nothing is lost: what was not saved is still unsaved in the memory table, and the next flush
/// goes on.
#[derive(Clone)]
pub struct FlushError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    tables: Vec<Arc<str>>,
    report: FlushReport,
    cause: Error,
}

impl FlushError {
    /// An error of a flush as a whole.
    pub(crate) fn new(tables: Vec<Arc<str>>, report: FlushReport, cause: Error) -> Self {
        Self(Box::new(Inner { tables, report, cause }))
    }

    /// Ok if everything was saved.
    pub(crate) fn check(tables: Vec<Arc<str>>, report: FlushReport) -> Result<FlushReport, Self> {
        let first = report.not_saved().next().map(|first| first.error.clone());
        match first {
            None => Ok(report),
            Some(cause) => Err(Self::new(tables, report, cause)),
        }
    }

    /// The ending of a flush, with what failed in the background before.
    pub(crate) fn with_background(
        ended: Result<FlushReport, Self>,
        errors: Vec<Error>,
    ) -> Result<FlushReport, Self> {
        match ended {
            Ok(report) => Ok(FlushReport { background: errors, ..report }),
            Err(mut error) => {
                error.0.report.background = errors;
                Err(error)
            }
        }
    }

    /// What was done and what was not.
    pub const fn report(&self) -> &FlushReport {
        &self.0.report
    }

    /// The report, owned.
    pub fn into_report(self) -> FlushReport {
        self.0.report
    }

    /// The first cause; each record's own is in the report.
    #[must_use]
    pub const fn cause(&self) -> &Error {
        &self.0.cause
    }
}

/// Keys named in the text; the report has all.
const NAMED: usize = 10;

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0.report;
        let missing = report.parked.len() + report.failed.len();
        f.write_str("flush")?;
        let tables = &self.0.tables;
        for (place, table) in tables.iter().enumerate() {
            let of = if tables.len() == 1 { " of table" } else { " of tables" };
            write!(f, "{} `{table}`", if place == 0 { of } else { "," })?;
        }
        if missing == 0 {
            return write!(f, ": {}", self.0.cause);
        }
        write!(f, ": {missing} of {} records were not saved: ", report.submitted())?;
        for (index, failed) in report.not_saved().take(NAMED).enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, failed.key)?;
            if tables.len() > 1 {
                write!(f, " of `{}`", failed.table)?;
            }
        }
        if missing > NAMED {
            write!(f, " and {} more", missing - NAMED)?;
        }
        write!(f, "; the first: {}", self.0.cause)?;
        let can_be_sent =
            |failed: &Failed| failed.error.kind() != ErrorKind::Conflict && !failed.to_resolve;
        if report.failed.iter().any(can_be_sent) {
            f.write_str("; what failed can be sent again, nothing of it is lost")?;
        }
        if !report.parked.is_empty() {
            f.write_str("; what is parked waits until it is put again")?;
        }
        Ok(())
    }
}

impl fmt::Debug for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushError")
            .field("text", &self.to_string())
            .field("report", &self.0.report)
            .finish()
    }
}

impl StdError for FlushError {
    /// What is beneath the first cause, whose own sentence is part of this error's.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.source()
    }
}

/// Why a record was not saved.
#[derive(Debug)]
pub(super) struct NotSaved {
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
    pub(super) to_resolve: bool,
    pub(super) error: Error,
}

/// What is known of a key's attempts in this flush.
#[derive(Debug)]
struct Tries {
    sent: u64,
    first: Instant,
    /// Times it came back without being written.
    rounds: u32,
}

/// A report in the making.
#[derive(Debug)]
pub(super) struct Report {
    started: Instant,
    tries: HashMap<TableKey, Tries>,
    /// Where the line of a key is among the conflicts.
    conflicts: HashMap<TableKey, usize>,
    /// Since when a key has been found to be changed by somebody.
    busy: HashMap<TableKey, Instant>,
    /// Keys of which a part was written.
    parts: HashSet<TableKey>,
    /// By the place of the table.
    names: Vec<Arc<str>>,
    /// Keys that came to an end, by the place of the table.
    ended: Vec<u64>,
    /// Requests that sent something of a table again, by its place.
    again: Vec<u64>,
    pub(super) done: FlushReport,
}

impl Report {
    pub(super) fn new(names: Vec<Arc<str>>) -> Self {
        Self {
            started: Instant::now(),
            tries: HashMap::new(),
            conflicts: HashMap::new(),
            busy: HashMap::new(),
            parts: HashSet::new(),
            ended: vec![0; names.len()],
            again: vec![0; names.len()],
            names,
            done: FlushReport::default(),
        }
    }

    /// How far a table has come: its keys that came to an end, and what the service charged for it.
    pub(super) fn come_to(&self, table: usize) -> progress::Done {
        let charged = self.done.capacity_by_table.get(&self.names[table]);
        let units = charged.map_or(0.0, |units| units.total);
        progress::Done { items: self.ended[table], units, retries: self.again[table] }
    }

    /// Nothing more of a key is sent.
    fn ended(&mut self, at: &TableKey) {
        self.tries.remove(at);
        self.ended[at.table] += 1;
    }

    pub(super) fn attempts(&self, at: &TableKey) -> u64 {
        self.tries.get(at).map_or(0, |tries| tries.sent)
    }

    /// When a key was first sent.
    pub(super) fn first_sent(&self, at: &TableKey) -> Instant {
        self.tries.get(at).map_or_else(Instant::now, |tries| tries.first)
    }

    /// Notes a request; whether it sends something again.
    pub(super) fn sending<'k>(&mut self, keys: impl Iterator<Item = (&'k TableKey, usize)>) {
        let mut again: SmallVec<[usize; 2]> = SmallVec::new();
        for (at, bytes) in keys {
            let now = Instant::now();
            let tries =
                self.tries.entry(at.clone()).or_insert(Tries { sent: 0, first: now, rounds: 0 });
            if tries.sent > 0 && !again.contains(&at.table) {
                again.push(at.table);
            }
            tries.sent += 1;
            self.done.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        self.done.requests += 1;
        self.done.retries += u64::from(!again.is_empty());
        again.into_iter().for_each(|table| self.again[table] += 1);
    }

    /// Notes that a key came back; the number of times that it did.
    pub(super) fn came_back(&mut self, at: &TableKey) -> u32 {
        self.tries.get_mut(at).map_or(0, |tries| {
            tries.rounds = tries.rounds.saturating_add(1);
            tries.rounds
        })
    }

    pub(super) fn written(&mut self, at: &TableKey, operation: Operation) {
        self.ended(at);
        match operation {
            Operation::Put | Operation::Increment => self.done.written += 1,
            Operation::Delete => self.done.deleted += 1,
        }
    }

    pub(super) fn unchanged(&mut self, at: &TableKey, units: f64) {
        self.ended(at);
        if self.parts.remove(at) {
            self.done.written += 1;
        } else {
            self.done.unchanged += 1;
            self.done.saved_capacity += units;
        }
    }

    /// Others had changed the record.
    pub(super) fn conflict(&mut self, at: &TableKey, resolution: Resolution) -> u64 {
        let known = self.conflicts.get(at).and_then(|at| self.done.conflicts.get_mut(*at));
        if let Some(conflict) = known {
            conflict.times += 1;
            conflict.resolution = resolution;
            return conflict.times;
        }
        self.conflicts.insert(at.clone(), self.done.conflicts.len());
        let (table, key) = (Arc::clone(&self.names[at.table]), at.key.clone());
        self.done.conflicts.push(Conflict { table, key, resolution, times: 1 });
        1
    }

    /// A conflict that was to be resolved is not.
    pub(super) fn conflict_failed(&mut self, at: &TableKey) {
        let known = self.conflicts.get(at).and_then(|at| self.done.conflicts.get_mut(*at));
        match known {
            Some(conflict) => conflict.resolution = Resolution::Failed,
            // It was met by the flush before.
            None => _ = self.conflict(at, Resolution::Failed),
        }
    }

    /// A part of a key's changes is written, and there is more.
    pub(super) fn written_in_part(&mut self, at: &TableKey) {
        self.tries.remove(at);
        self.parts.insert(at.clone());
    }

    /// An attempt turned out to be done, of this flush or of one that could not tell; what came since is
    /// still to be sent, if it differs.
    pub(super) fn written_before(&mut self, at: &TableKey) {
        self.parts.insert(at.clone());
    }

    /// Nobody is changing the key.
    pub(super) fn is_free(&mut self, at: &TableKey) {
        if !self.busy.is_empty() {
            self.busy.remove(at);
        }
    }

    /// For how long a key has been found to be changed by somebody.
    pub(super) fn is_busy_for(&mut self, at: &TableKey) -> Duration {
        self.busy.entry(at.clone()).or_insert_with(Instant::now).elapsed()
    }

    /// Forgotten by its owner while it waited: there is nothing to save any more.
    pub(super) fn gone(&mut self, at: &TableKey) {
        self.ended(at);
        self.done.written += u64::from(self.parts.remove(at));
    }

    pub(super) fn parked(&mut self, at: &TableKey, unsaved: NotSaved) {
        let failed = self.line(at, unsaved);
        self.done.parked.push(failed);
    }

    pub(super) fn failed(&mut self, at: &TableKey, unsaved: NotSaved) {
        let failed = self.line(at, unsaved);
        self.done.failed.push(failed);
    }

    fn line(&mut self, at: &TableKey, unsaved: NotSaved) -> Failed {
        let NotSaved { operation, outcome, to_resolve, error } = unsaved;
        let attempts = self.attempts(at);
        self.ended(at);
        let (table, key) = (Arc::clone(&self.names[at.table]), at.key.clone());
        Failed { table, key, operation, attempts, outcome, to_resolve, error }
    }

    pub(super) fn finish(mut self) -> FlushReport {
        self.done.elapsed = self.started.elapsed();
        self.done
    }
}

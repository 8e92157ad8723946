//! Which writes go together into a request.

use std::collections::VecDeque;
use std::time::Duration;

use super::report::{NotSaved, Report};
use super::sources::Sources;
use super::{Settled, Take};
use crate::rt::Instant;
use crate::store::{MAX_BATCH_WRITE, MAX_REQUEST_BYTES, Operation, Outcome, TableKey, Write};

/// How long to wait before a record is looked at again that somebody is changing.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long to wait for somebody who is changing a record: who does may wait for this flush.
const LONGEST_BUSY: Duration = Duration::from_secs(5);

/// Keys that wait to be sent, in the order of their changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    ready: VecDeque<TableKey>,
    /// Those whose writes no batch can have.
    alone: VecDeque<TableKey>,
    /// The request before was one of those, so that neither kind waits for the other.
    was_alone: bool,
    /// Parts of a refused batch, each to be sent on its own to find the bad item.
    suspects: VecDeque<Vec<TableKey>>,
    held: Vec<(TableKey, Instant)>,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.alone.is_empty() && self.suspects.is_empty()
    }

    pub(super) fn push(&mut self, keys: impl IntoIterator<Item = TableKey>) {
        self.ready.extend(keys);
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
        let mut taken = Vec::new();
        for queue in [&mut self.ready, &mut self.alone] {
            let (of_table, others) =
                queue.drain(..).partition::<VecDeque<_>, _>(|at| at.table == table);
            taken.extend(of_table);
            *queue = others;
        }
        taken
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

    /// The writes of the next request: at most 25 and 16 MB, each item once, in the order of tables; or
    /// one that goes alone. Empty at the end.
    pub(super) fn next(&mut self, sources: &Sources<'_>, report: &mut Report) -> Vec<Write> {
        let mut batch = self.next_suspects(sources, report);
        let first = if self.was_alone { Self::fill } else { Self::take_alone };
        let second = if self.was_alone { Self::take_alone } else { Self::fill };
        for next in [first, second] {
            if batch.is_empty() {
                next(self, &mut batch, sources, report);
            }
        }
        self.was_alone = batch.iter().any(|write| write.action.is_single());
        batch
    }

    /// The writes of the next part of a refused batch. Empty if there is none.
    fn next_suspects(&mut self, sources: &Sources<'_>, report: &mut Report) -> Vec<Write> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            let Some(part) = self.suspects.pop_front() else {
                break;
            };
            for at in &part {
                let Some(write) = self.take(at, sources, report) else { continue };
                if write.action.is_single() && part.len() > 1 {
                    self.put_back_alone(write, sources);
                } else {
                    batch.push(write);
                }
            }
        }
        batch
    }

    /// A write that goes alone, if one is known to.
    fn take_alone(&mut self, batch: &mut Vec<Write>, sources: &Sources<'_>, report: &mut Report) {
        while batch.is_empty() {
            let Some(at) = self.alone.pop_front() else { return };
            batch.extend(self.take(&at, sources, report));
        }
    }

    fn fill(&mut self, batch: &mut Vec<Write>, sources: &Sources<'_>, report: &mut Report) {
        let mut bytes = 0;
        while batch.len() < MAX_BATCH_WRITE {
            let Some(write) = self.next_ready(sources, report) else { break };
            if write.action.is_single() {
                self.put_back_alone(write, sources);
                continue;
            }
            bytes += write.action.wire_bytes();
            if bytes > MAX_REQUEST_BYTES && !batch.is_empty() {
                // The request is full: it opens the next one, with what it is then.
                sources.settle(&write.at, Settled::Pending(Outcome::NotWritten));
                self.ready.push_front(write.at);
                break;
            }
            batch.push(write);
        }
        batch.sort_by_key(|write| write.at.table);
        if batch.is_empty() {
            // All that was there goes alone.
            self.take_alone(batch, sources, report);
        }
    }

    /// A write goes alone that was taken for a batch: it is sent with what it is then.
    fn put_back_alone(&mut self, write: Write, sources: &Sources<'_>) {
        sources.settle(&write.at, Settled::Pending(Outcome::NotWritten));
        self.alone.push_back(write.at);
    }

    /// The next write for a batch, or of a key that was thought to be one.
    fn next_ready(&mut self, sources: &Sources<'_>, report: &mut Report) -> Option<Write> {
        while let Some(at) = self.ready.pop_front() {
            if sources.goes_alone(&at) {
                self.alone.push_back(at);
                continue;
            }
            let write = self.take(&at, sources, report);
            if write.is_some() {
                return write;
            }
        }
        None
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
        Take::Unchanged => report.unchanged(at),
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

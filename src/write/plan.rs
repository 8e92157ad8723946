//! Which writes go together into a request.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::report::{Failed, Report};
use super::{Changes, Settled, Take};
use crate::key::Key;
use crate::store::{MAX_BATCH_WRITE, MAX_REQUEST_BYTES, Operation, Outcome, Write};

/// How long to wait before a record is looked at again that somebody is changing.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long to wait for somebody who is changing a record: who does may wait for this flush.
const LONGEST_BUSY: Duration = Duration::from_secs(5);

/// Keys that wait to be sent, in the order of their changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    ready: VecDeque<Key>,
    /// Those whose writes no batch can have.
    alone: VecDeque<Key>,
    /// The request before was one of those, so that neither kind waits for the other.
    was_alone: bool,
    /// Parts of a refused batch, each to be sent on its own to find the bad item.
    suspects: VecDeque<Vec<Key>>,
    held: Vec<(Key, Instant)>,
}

impl Plan {
    pub(super) fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { ready: keys.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.alone.is_empty() && self.suspects.is_empty()
    }

    pub(super) fn push(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.ready.extend(keys);
    }

    /// Sends the halves of a refused batch apart.
    pub(super) fn split(&mut self, keys: Vec<Key>) {
        let (left, right) = keys.split_at(keys.len().div_ceil(2));
        self.suspects.extend([left.to_vec(), right.to_vec()]);
    }

    /// Sends keys as a part of their own: halved if there are several, else alone.
    pub(super) fn suspect(&mut self, keys: Vec<Key>) {
        if keys.len() > 1 {
            self.split(keys);
        } else {
            self.suspects.push_back(keys);
        }
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Makes one more key a part of a trial; whether there is one.
    pub(super) fn suspect_another(&mut self) -> bool {
        let next = self.ready.pop_front().or_else(|| self.alone.pop_front());
        self.suspects.extend(next.map(|key| vec![key]));
        self.has_suspects()
    }

    /// The writes of the next request: at most 25 and 16 MB, each key once, or one that goes alone.
    /// Empty at the end.
    pub(super) fn next(&mut self, changes: &dyn Changes, report: &mut Report) -> Vec<Write> {
        let mut batch = self.next_suspects(changes, report);
        let first = if self.was_alone { Self::fill } else { Self::take_alone };
        let second = if self.was_alone { Self::take_alone } else { Self::fill };
        for next in [first, second] {
            if batch.is_empty() {
                next(self, &mut batch, changes, report);
            }
        }
        self.was_alone = batch.iter().any(Write::is_single);
        batch
    }

    /// The writes of the next part of a refused batch. Empty if there is none.
    pub(super) fn next_suspects(
        &mut self,
        changes: &dyn Changes,
        report: &mut Report,
    ) -> Vec<Write> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            let Some(part) = self.suspects.pop_front() else {
                break;
            };
            for key in &part {
                let Some(write) = self.take(key, changes, report) else { continue };
                if write.is_single() && part.len() > 1 {
                    self.put_back_alone(write, changes);
                } else {
                    batch.push(write);
                }
            }
        }
        batch
    }

    /// A write that goes alone, if one is known to.
    fn take_alone(&mut self, batch: &mut Vec<Write>, changes: &dyn Changes, report: &mut Report) {
        while batch.is_empty() {
            let Some(key) = self.alone.pop_front() else { return };
            batch.extend(self.take(&key, changes, report));
        }
    }

    fn fill(&mut self, batch: &mut Vec<Write>, changes: &dyn Changes, report: &mut Report) {
        let mut bytes = 0;
        while batch.len() < MAX_BATCH_WRITE {
            let Some(write) = self.next_ready(changes, report) else { break };
            if write.is_single() {
                self.put_back_alone(write, changes);
                continue;
            }
            bytes += write.wire_bytes();
            if bytes > MAX_REQUEST_BYTES && !batch.is_empty() {
                // The request is full: it opens the next one, with what it is then.
                changes.settle(&write.key, Settled::Pending(Outcome::NotWritten));
                self.ready.push_front(write.key);
                return;
            }
            batch.push(write);
        }
        if batch.is_empty() {
            // All that was there goes alone.
            self.take_alone(batch, changes, report);
        }
    }

    /// A write goes alone that was taken for a batch: it is sent with what it is then.
    fn put_back_alone(&mut self, write: Write, changes: &dyn Changes) {
        changes.settle(&write.key, Settled::Pending(Outcome::NotWritten));
        self.alone.push_back(write.key);
    }

    /// The next write for a batch, or of a key that was thought to be one.
    fn next_ready(&mut self, changes: &dyn Changes, report: &mut Report) -> Option<Write> {
        while let Some(key) = self.ready.pop_front() {
            if changes.goes_alone(&key) {
                self.alone.push_back(key);
                continue;
            }
            let write = self.take(&key, changes, report);
            if write.is_some() {
                return write;
            }
        }
        None
    }

    fn take(&mut self, key: &Key, changes: &dyn Changes, report: &mut Report) -> Option<Write> {
        match take(key, changes, report)? {
            Taken::Write(write) => Some(write),
            Taken::Held(_, until) => {
                self.held.push((key.clone(), until));
                None
            }
        }
    }

    /// Keys that must wait until an older request has landed, and until when.
    pub(super) fn take_held(&mut self) -> Vec<(Key, Instant)> {
        std::mem::take(&mut self.held)
    }

    /// The next key that there is something to send of, held or not, for the report of what is not
    /// sent.
    pub(super) fn next_left(
        &mut self,
        changes: &dyn Changes,
        report: &mut Report,
    ) -> Option<(Key, Operation)> {
        self.ready.extend(self.suspects.drain(..).flatten().chain(self.alone.drain(..)));
        while let Some(key) = self.ready.pop_front() {
            match take(&key, changes, report) {
                Some(Taken::Write(write)) => return Some((key, write.operation())),
                Some(Taken::Held(operation, _)) => return Some((key, operation)),
                None => {}
            }
        }
        None
    }
}

/// What is to be sent of a key, now or later.
enum Taken {
    Write(Write),
    /// Not before this time.
    Held(Operation, Instant),
}

/// What is to be sent of a key, or its line in the report.
fn take(key: &Key, changes: &dyn Changes, report: &mut Report) -> Option<Taken> {
    let failed = |operation, error, report: &Report| Failed {
        key: key.clone(),
        operation,
        attempts: report.attempts(key),
        outcome: changes.outcome(key),
        error,
    };
    let taken = changes.take(key);
    if !matches!(taken, Take::Busy(..)) {
        report.is_free(key);
    }
    match taken {
        Take::Write(write) => return Some(Taken::Write(write)),
        Take::Held(operation, until) => return Some(Taken::Held(operation, until)),
        Take::Busy(operation, error) => {
            if report.is_busy_for(key) < LONGEST_BUSY {
                return Some(Taken::Held(operation, Instant::now() + BUSY_PAUSE));
            }
            report.conflict_failed(key);
            let failed = failed(operation, error, report);
            report.failed(failed);
        }
        Take::Unchanged => report.unchanged(key),
        Take::Gone => report.gone(key),
        Take::Parked(operation, error) => {
            let failed = failed(operation, error, report);
            report.parked(failed);
        }
        Take::Stuck(operation, error) => {
            let failed = failed(operation, error, report);
            report.failed(failed);
        }
        Take::Conflict(operation, error) => {
            report.conflict_failed(key);
            let failed = failed(operation, error, report);
            report.failed(failed);
        }
    }
    None
}

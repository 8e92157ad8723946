//! Which writes go together into a request.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::report::{Failed, Report};
use super::{Changes, Settled, Take};
use crate::key::Key;
use crate::store::{MAX_BATCH_WRITE, MAX_REQUEST_BYTES, Outcome, Write};

/// Keys that wait to be sent, in the order of their changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    ready: VecDeque<Key>,
    /// Parts of a refused batch, each to be sent on its own to find the bad item.
    suspects: VecDeque<Vec<Key>>,
    held: Vec<(Key, Instant)>,
}

impl Plan {
    pub(super) fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { ready: keys.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.suspects.is_empty()
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

    /// The writes of the next request: at most 25 and 16 MB, each key once. Empty at the end.
    pub(super) fn next(&mut self, changes: &dyn Changes, report: &mut Report) -> Vec<Write> {
        let mut batch = self.next_suspects(changes, report);
        if batch.is_empty() {
            self.fill(&mut batch, changes, report);
        }
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
            batch.extend(part.iter().filter_map(|key| self.take(key, changes, report)));
        }
        batch
    }

    fn fill(&mut self, batch: &mut Vec<Write>, changes: &dyn Changes, report: &mut Report) {
        let mut bytes = 0;
        while batch.len() < MAX_BATCH_WRITE {
            let Some(write) = self.next_ready(changes, report) else {
                return;
            };
            bytes += write.wire_bytes();
            if bytes > MAX_REQUEST_BYTES && !batch.is_empty() {
                // The request is full: it opens the next one, with what it is then.
                changes.settle(&write.key, Settled::Pending(Outcome::NotWritten));
                self.ready.push_front(write.key);
                return;
            }
            batch.push(write);
        }
    }

    fn next_ready(&mut self, changes: &dyn Changes, report: &mut Report) -> Option<Write> {
        while let Some(key) = self.ready.pop_front() {
            let write = self.take(&key, changes, report);
            if write.is_some() {
                return write;
            }
        }
        None
    }

    fn take(&mut self, key: &Key, changes: &dyn Changes, report: &mut Report) -> Option<Write> {
        match take(key, changes, report)? {
            (write, None) => Some(write),
            (_, Some(until)) => {
                self.held.push((key.clone(), until));
                None
            }
        }
    }

    /// Keys that must wait until an older request has landed, and until when.
    pub(super) fn take_held(&mut self) -> Vec<(Key, Instant)> {
        std::mem::take(&mut self.held)
    }

    /// The next write alone, held or not, for the report of what is not sent.
    pub(super) fn next_write(
        &mut self,
        changes: &dyn Changes,
        report: &mut Report,
    ) -> Option<Write> {
        self.ready.extend(self.suspects.drain(..).flatten());
        while let Some(key) = self.ready.pop_front() {
            if let Some((write, _)) = take(&key, changes, report) {
                return Some(write);
            }
        }
        None
    }
}

/// The write of a key and until when it must wait, or its line in the report.
fn take(key: &Key, changes: &dyn Changes, report: &mut Report) -> Option<(Write, Option<Instant>)> {
    match changes.take(key) {
        Take::Write(write) => return Some((write, None)),
        Take::Held(write, until) => return Some((write, Some(until))),
        Take::Unchanged => report.unchanged(key),
        Take::Gone => report.gone(key),
        Take::Parked(operation, error) => {
            let failed = Failed {
                key: key.clone(),
                operation,
                attempts: report.attempts(key),
                outcome: changes.outcome(key),
                error,
            };
            report.parked(failed);
        }
    }
    None
}

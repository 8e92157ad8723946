//! A batch of writes that does not change while it is sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::report::{Failed, FlushError, FlushReport};
use super::{Changes, Limits, Met, Settled, Source, Take};
use crate::error::Error;
use crate::key::Key;
use crate::link::Link;
use crate::rt::Mutex;
use crate::store::{Action, Operation, Outcome};

/// Writes given by the caller, the last of each key.
#[derive(Default)]
pub(crate) struct Fixed {
    order: Vec<Key>,
    writes: Mutex<HashMap<Key, Action>>,
    /// Those of which an answer is missing.
    doubts: Mutex<HashSet<Key>>,
    /// What cannot be sent at all; without a key if that is what is wrong.
    refused: Vec<(Option<Key>, Operation, Error)>,
}

impl Fixed {
    pub(crate) fn add(&mut self, key: Key, action: Action) {
        self.refused.retain(|(refused, ..)| refused.as_ref() != Some(&key));
        if self.writes.get_mut().insert(key.clone(), action).is_none() {
            self.order.push(key);
        }
    }

    /// Notes what cannot be sent; it stands in the place of what was given for the key before.
    pub(crate) fn refuse(&mut self, key: Option<Key>, operation: Operation, error: Error) {
        if let Some(key) = &key {
            self.order.retain(|other| other != key);
            self.writes.get_mut().remove(key);
            self.refused.retain(|(refused, ..)| refused.as_ref() != Some(key));
        }
        self.refused.push((key, operation, error));
    }

    pub(crate) async fn send(self, link: &Link, limits: Limits) -> Result<FlushReport, FlushError> {
        let source = Source { link, changes: &self };
        let mut report = super::run_one(source, self.order.clone(), limits).await;
        let table = Arc::clone(&link.table.name);
        let keyless = self.report_refused(&table, &mut report);
        match keyless {
            Some(error) => Err(FlushError::new(vec![table], report, error)),
            None => FlushError::check(vec![table], report),
        }
    }

    /// The error of a batch of which nothing was sent.
    pub(crate) fn unsent(mut self, table: &Arc<str>, error: &Error) -> FlushError {
        let mut report = FlushReport::default();
        for key in std::mem::take(&mut self.order) {
            let action = self.writes.get_mut().remove(&key);
            let operation = action.map_or(Operation::Put, |action| action.operation());
            report.failed.push(unsent(table, key, operation, error));
        }
        self.report_refused(table, &mut report);
        FlushError::new(vec![Arc::clone(table)], report, error.clone())
    }

    /// Adds what could not be sent; the error of an invalid key, which no line can name.
    fn report_refused(&self, table: &Arc<str>, report: &mut FlushReport) -> Option<Error> {
        let mut keyless = None;
        for (key, operation, error) in &self.refused {
            let Some(key) = key.clone() else {
                keyless.get_or_insert_with(|| error.clone());
                continue;
            };
            report.parked.push(unsent(table, key, *operation, error));
        }
        keyless
    }
}

fn unsent(table: &Arc<str>, key: Key, operation: Operation, error: &Error) -> Failed {
    let (table, error) = (Arc::clone(table), error.clone());
    let (outcome, to_resolve) = (Outcome::NotWritten, false);
    Failed { table, key, operation, attempts: 0, outcome, to_resolve, error }
}

impl Changes for Fixed {
    fn goes_alone(&self, key: &Key) -> bool {
        self.writes.lock().get(key).is_some_and(Action::is_single)
    }

    fn take(&self, key: &Key) -> Take {
        self.writes.lock().get(key).cloned().map_or(Take::Gone, Take::Write)
    }

    fn outcome(&self, key: &Key) -> Outcome {
        if self.doubts.lock().contains(key) { Outcome::OutcomeUnknown } else { Outcome::NotWritten }
    }

    fn settle(&self, key: &Key, settled: Settled) -> bool {
        match settled {
            Settled::Written => {
                self.writes.lock().remove(key);
            }
            Settled::Pending(Outcome::OutcomeUnknown) => {
                self.doubts.lock().insert(key.clone());
            }
            Settled::Pending(Outcome::NotWritten) | Settled::Refused(_) => {}
        }
        false
    }

    fn conflict(&self, key: &Key, _: Option<Vec<u8>>) -> Met {
        self.settle(key, Settled::Pending(Outcome::NotWritten));
        Met::Failed(crate::guard::conflict())
    }
}

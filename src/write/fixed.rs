//! A batch of writes that does not change while it is sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::report::{Failed, FlushError, FlushReport};
use super::{Changes, Limits, Met, Settled, Take};
use crate::error::Error;
use crate::key::Key;
use crate::link::Link;
use crate::store::{Operation, Outcome, Write};

/// Writes given by the caller, the last of each key.
#[derive(Default)]
pub(crate) struct Fixed {
    order: Vec<Key>,
    writes: Mutex<HashMap<Key, Write>>,
    /// Those of which an answer is missing.
    doubts: Mutex<HashSet<Key>>,
    /// What cannot be sent at all; without a key if that is what is wrong.
    refused: Vec<(Option<Key>, Operation, Error)>,
}

impl Fixed {
    pub(crate) fn add(&mut self, write: Write) {
        let key = write.key.clone();
        self.refused.retain(|(refused, ..)| refused.as_ref() != Some(&key));
        if self.writes.get_mut().insert(key.clone(), write).is_none() {
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
        let keys = self.order.clone();
        let mut report = super::run(link, &self, keys, limits).await;
        let keyless = self.report_refused(&mut report);
        match keyless {
            Some(error) => Err(FlushError::new(Some(Arc::clone(&link.table.name)), report, error)),
            None => FlushError::check(&link.table.name, report),
        }
    }

    /// The error of a batch of which nothing was sent.
    pub(crate) fn unsent(mut self, error: &Error) -> FlushError {
        let mut report = FlushReport::default();
        for key in std::mem::take(&mut self.order) {
            let write = self.writes.get_mut().remove(&key);
            let operation = write.map_or(Operation::Put, |write| write.operation());
            let error = error.clone();
            report.failed.push(Failed {
                key,
                operation,
                attempts: 0,
                outcome: Outcome::NotWritten,
                error,
            });
        }
        self.report_refused(&mut report);
        FlushError::new(None, report, error.clone())
    }

    /// Adds what could not be sent; the error of an invalid key, which no line can name.
    fn report_refused(&self, report: &mut FlushReport) -> Option<Error> {
        let mut keyless = None;
        for (key, operation, error) in &self.refused {
            let Some(key) = key.clone() else {
                keyless.get_or_insert_with(|| error.clone());
                continue;
            };
            let (operation, error) = (*operation, error.clone());
            report.parked.push(Failed {
                key,
                operation,
                attempts: 0,
                outcome: Outcome::NotWritten,
                error,
            });
        }
        keyless
    }
}

impl Changes for Fixed {
    fn goes_alone(&self, key: &Key) -> bool {
        self.writes.lock().get(key).is_some_and(Write::is_single)
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

//! Sends requests, several at once, until everything is written, refused, or patience ends.

use std::collections::HashMap;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::plan::Plan;
use super::report::{Failed, FlushReport, Operation, Report};
use super::schedule::Schedule;
use super::{Changes, Limits, Settled};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::store::{Action, Class, Failure, Outcome, Write, Written};

const OPERATION: &str = "BatchWriteItem";

/// Writes the changes of `keys`, each key at most once at a time.
///
/// Dropped half-way, it settles what was in flight as of unknown outcome.
pub(crate) async fn run(
    link: &Link,
    changes: &dyn Changes,
    keys: impl IntoIterator<Item = Key>,
    limits: Limits,
) -> FlushReport {
    let mut engine = Engine {
        link,
        changes,
        limits,
        plan: Plan::new(keys),
        schedule: Schedule::new(),
        report: Report::new(),
        flights: Flights { changes, keys: HashMap::new() },
        progress: Instant::now(),
        stopped: None,
        random: fastrand::Rng::new(),
    };
    engine.drain().await;
    engine.report.finish()
}

struct Engine<'e> {
    link: &'e Link,
    changes: &'e dyn Changes,
    limits: Limits,
    plan: Plan,
    schedule: Schedule,
    report: Report,
    flights: Flights<'e>,
    /// When an item was last written, by any request of this flush.
    progress: Instant,
    /// Why nothing more is sent: the table, the credentials.
    stopped: Option<Error>,
    random: fastrand::Rng,
}

/// What is in flight; dropped with it, nothing stays in flight for ever.
struct Flights<'e> {
    changes: &'e dyn Changes,
    keys: HashMap<Key, Operation>,
}

impl Drop for Flights<'_> {
    fn drop(&mut self) {
        for key in self.keys.keys() {
            self.changes.settle(key, Settled::Pending(Outcome::OutcomeUnknown));
        }
    }
}

struct Answer {
    batch: Vec<Write>,
    result: Result<Written, Failure>,
}

impl<'e> Engine<'e> {
    async fn drain(&mut self) {
        let mut requests = FuturesUnordered::new();
        loop {
            self.plan.push(self.schedule.take_due());
            while self.stopped.is_none() && requests.len() < self.limits.requests_in_flight {
                match self.next_request() {
                    Some(request) => requests.push(request),
                    None => break,
                }
            }
            if self.stopped.is_some() {
                self.give_up_the_rest();
            }
            let wake =
                self.schedule.next().filter(|_| requests.len() < self.limits.requests_in_flight);
            if requests.is_empty() && wake.is_none() {
                return;
            }
            tokio::select! {
                Some(answer) = requests.next() => self.take_in(answer),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn next_request(&mut self) -> Option<BoxFuture<'e, Answer>> {
        if self.plan.is_empty() {
            return None;
        }
        let batch = self.plan.next(self.changes, &mut self.report);
        if batch.is_empty() {
            return None;
        }
        self.flights.keys.extend(batch.iter().map(|write| (write.key.clone(), operation(write))));
        self.report.sending(batch.iter().map(|write| (&write.key, size(write))));
        let link = self.link;
        Counters::add(&link.counters.write_requests, 1);
        Some(Box::pin(async move {
            let result = link.store.batch_write(&link.table, &batch).await;
            Answer { batch, result }
        }))
    }

    fn take_in(&mut self, answer: Answer) {
        let Answer { batch, result } = answer;
        match result {
            Ok(written) => self.take_written(&batch, &written.unprocessed),
            Err(failure) => {
                if failure.outcome == Outcome::OutcomeUnknown {
                    for write in &batch {
                        self.report.doubt(&write.key);
                    }
                }
                self.take_failure(batch, failure);
            }
        }
    }

    fn take_failure(&mut self, batch: Vec<Write>, failure: Failure) {
        match failure.class {
            Class::Throttled | Class::Transient => self.again(&batch, &failure),
            Class::Refused => self.take_refused(batch, failure),
            Class::Fatal => {
                self.fail(&batch, &failure);
                self.stopped = Some(failure.error);
            }
        }
    }

    fn take_written(&mut self, batch: &[Write], unprocessed: &[usize]) {
        let mut left = Vec::with_capacity(unprocessed.len());
        for (index, write) in batch.iter().enumerate() {
            if unprocessed.contains(&index) {
                left.push(write.clone());
                continue;
            }
            let operation = operation(write);
            let counters = &self.link.counters;
            match operation {
                Operation::Put => Counters::add(&counters.items_written, 1),
                Operation::Delete => Counters::add(&counters.items_deleted, 1),
            }
            self.settle(&write.key, Settled::Written);
            self.report.written(&write.key, operation);
        }
        if left.len() < batch.len() {
            self.progress = Instant::now();
        }
        self.report.done.unprocessed += u64::try_from(left.len()).unwrap_or(u64::MAX);
        if !left.is_empty() {
            self.again(&left, &unprocessed_items());
        }
    }

    /// A batch was refused: its halves are sent apart until the bad item is alone.
    fn take_refused(&mut self, mut batch: Vec<Write>, failure: Failure) {
        if batch.len() > 1 {
            for write in &batch {
                self.settle(&write.key, Settled::Pending(failure.outcome));
            }
            self.plan.split(batch.into_iter().map(|write| write.key).collect());
        } else if let Some(write) = batch.pop() {
            let failed = self.failed(&write.key, operation(&write), &failure);
            self.settle(&write.key, Settled::Refused(failed.error.clone()));
            self.report.parked(failed);
        }
    }

    /// Schedules writes anew, or gives them up if their patience has ended.
    fn again(&mut self, batch: &[Write], failure: &Failure) {
        tracing::debug!(
            table = %self.link.table.name, items = batch.len(), error = %failure.error, "sending again"
        );
        let patience = self.link.patience.patience;
        let (mut tired, mut again, mut round, mut shortest) = (Vec::new(), Vec::new(), 0, patience);
        for write in batch {
            let since = self.progress.max(self.report.first_sent(&write.key));
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                tired.push(write.clone());
                continue;
            }
            self.settle(&write.key, Settled::Pending(failure.outcome));
            round = self.report.came_back(&write.key).max(round);
            shortest = shortest.min(left);
            again.push(write.key.clone());
        }
        self.fail(&tired, failure);
        if !again.is_empty() {
            let delay = self.link.patience.policy.delay(round.saturating_sub(1), &mut self.random);
            // The last attempt is made when patience ends, not before.
            self.schedule.add(again, delay.min(shortest));
        }
    }

    fn fail(&mut self, batch: &[Write], failure: &Failure) {
        for write in batch {
            self.settle(&write.key, Settled::Pending(failure.outcome));
            let failed = self.failed(&write.key, operation(write), failure);
            self.report.failed(failed);
        }
    }

    fn failed(&self, key: &Key, operation: Operation, failure: &Failure) -> Failed {
        let attempts = self.report.attempts(key);
        let error = self.link.place(failure.error.clone(), OPERATION).on_key(key);
        let error = error.after_attempts(attempts);
        let outcome = self.report.outcome(key, failure.outcome);
        Failed { key: key.clone(), operation, attempts, outcome, error }
    }

    /// Nothing can be sent any more: what was not is reported with the same cause.
    fn give_up_the_rest(&mut self) {
        let Some(error) = self.stopped.clone() else {
            return;
        };
        let failure = Failure { class: Class::Fatal, outcome: Outcome::NotWritten, error };
        let mut rest = self.plan.drain();
        rest.extend(self.schedule.drain());
        for key in rest {
            // The operation is the current one; what is not unsaved any more needs no line.
            let operation = match self.changes.take(&key) {
                super::Take::Write(write) => {
                    self.changes.settle(&key, Settled::Pending(Outcome::NotWritten));
                    operation(&write)
                }
                super::Take::Unchanged => {
                    self.report.unchanged(&key);
                    continue;
                }
                super::Take::Gone => {
                    self.report.gone(&key);
                    continue;
                }
                super::Take::Parked(operation, error) => {
                    let failure = Failure { error, ..failure.clone() };
                    let parked = self.failed(&key, operation, &failure);
                    self.report.parked(parked);
                    continue;
                }
            };
            let failed = self.failed(&key, operation, &failure);
            self.report.failed(failed);
        }
    }

    fn settle(&mut self, key: &Key, settled: Settled) {
        self.flights.keys.remove(key);
        self.changes.settle(key, settled);
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

fn operation(write: &Write) -> Operation {
    match write.action {
        Action::Put(_) => Operation::Put,
        Action::Delete(_) => Operation::Delete,
    }
}

fn size(write: &Write) -> usize {
    match &write.action {
        Action::Put(item) => item.size,
        Action::Delete(_) => write.key.as_bytes().len(),
    }
}

/// A partial throttle is a success with unprocessed items.
fn unprocessed_items() -> Failure {
    let text = "the service left the item unprocessed, which is how it throttles a batch";
    let error = Error::new(ErrorKind::Throttled, text)
        .advise("raise the table's write capacity or the patience");
    Failure { class: Class::Throttled, outcome: Outcome::NotWritten, error }
}

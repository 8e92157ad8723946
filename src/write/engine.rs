//! Sends requests, several at once, until everything is written, refused, or patience ends.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::plan::Plan;
use super::report::{Failed, FlushReport, Report};
use super::schedule::Schedule;
use super::trial::Trial;
use super::window::Window;
use super::{Changes, Limits, Met, Settled};
use crate::breaks::broken;
use crate::error::{Error, ErrorKind};
use crate::guard::Resolution;
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::store::{Action, Class, Done, Failure, Operation, Outcome, TableRef, Write, Written};

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
    let keys: Vec<Key> = keys.into_iter().collect();
    // A key alone can be compared with nothing: what is refused is its own account.
    let trial = if keys.len() == 1 { Trial::Passed } else { Trial::Open };
    let mut engine = Engine {
        link,
        changes,
        window: Window::new(limits.requests_in_flight),
        plan: Plan::new(keys),
        schedule: Schedule::new(),
        report: Report::new(),
        flights: Flights { changes, keys: HashSet::new() },
        trial,
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
    window: Window,
    plan: Plan,
    schedule: Schedule,
    report: Report,
    flights: Flights<'e>,
    trial: Trial,
    /// When an item was last written, by any request of this flush.
    progress: Instant,
    /// Why nothing more is sent: the table, the credentials.
    stopped: Option<Error>,
    random: fastrand::Rng,
}

/// What is in flight; dropped with it, nothing stays in flight for ever.
struct Flights<'e> {
    changes: &'e dyn Changes,
    keys: HashSet<Key>,
}

impl Drop for Flights<'_> {
    fn drop(&mut self) {
        if broken(36) {
            return;
        }
        for key in &self.keys {
            self.changes.settle(key, Settled::Pending(Outcome::OutcomeUnknown));
        }
    }
}

struct Answer {
    batch: Vec<Write>,
    /// Whether it is a part of the batch on trial.
    on_trial: bool,
    result: Result<Reply, Failure>,
}

enum Reply {
    Batch(Written),
    Single(Done),
}

/// Sends a batch, or the only write of a request that goes alone.
async fn send(link: &Link, batch: &[Write]) -> Result<Reply, Failure> {
    match batch {
        [Write { action: Action::Single(single), .. }] => {
            link.store.write_single(&link.table, single).await.map(Reply::Single)
        }
        _ => link.store.batch_write(&link.table, batch).await.map(Reply::Batch),
    }
}

/// What the request is called that a write goes with.
const fn call(write: &Write) -> &'static str {
    match &write.action {
        Action::Put(_) | Action::Delete(_) => OPERATION,
        Action::Single(single) => single.form.name(),
    }
}

impl<'e> Engine<'e> {
    async fn drain(&mut self) {
        let mut requests = FuturesUnordered::new();
        loop {
            self.take_due();
            while self.stopped.is_none() && self.window.is_open(requests.len()) {
                match self.next_request() {
                    Some(request) => requests.push(request),
                    None => break,
                }
            }
            if requests.is_empty() && self.end_trial() {
                continue;
            }
            if self.stopped.is_some() {
                self.give_up_the_rest();
            }
            let wake = self.schedule.next().filter(|_| self.window.is_open(requests.len()));
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
        let on_trial = self.trial.is_on();
        let batch = if on_trial {
            self.plan.next_suspects(self.changes, &mut self.report)
        } else {
            self.plan.next(self.changes, &mut self.report)
        };
        for (key, until) in self.plan.take_held() {
            let wait = until.saturating_duration_since(Instant::now());
            self.schedule.add(vec![key], wait);
        }
        if batch.is_empty() {
            return None;
        }
        self.flights.keys.extend(batch.iter().map(|write| write.key.clone()));
        let table = &self.link.table;
        self.report.sending(batch.iter().map(|write| (&write.key, size(write, table))));
        let link = self.link;
        Counters::add(&link.counters.write_requests, 1);
        Some(Box::pin(async move {
            let result = send(link, &batch).await;
            Answer { batch, on_trial, result }
        }))
    }

    fn take_in(&mut self, answer: Answer) {
        let Answer { batch, on_trial, result } = answer;
        match result {
            Ok(Reply::Batch(written)) => {
                self.report.done.consumed_capacity += written.capacity;
                self.window.answered(batch.len(), written.unprocessed.len());
                self.take_written(&batch, &written.unprocessed);
            }
            Ok(Reply::Single(done)) => {
                self.window.answered(1, 0);
                match done {
                    Done::Written { capacity } => {
                        self.report.done.consumed_capacity += capacity;
                        self.take_written(&batch, &[]);
                    }
                    Done::Conflict { theirs } => self.take_conflict(&batch, theirs),
                }
            }
            Err(failure) => match failure.class {
                Class::Throttled if !broken(12) => {
                    self.window.throttled(failure.error.throttling_reasons());
                    self.again(&batch, &failure);
                }
                Class::Refused if broken(10) => self.again(&batch, &failure),
                Class::Fatal if broken(11) => self.take_refused(&batch, &failure, on_trial),
                Class::Throttled | Class::Transient => self.again(&batch, &failure),
                Class::Refused => self.take_refused(&batch, &failure, on_trial),
                Class::Fatal => {
                    for write in &batch {
                        self.fail(write, &failure);
                    }
                    self.stopped = Some(failure.error);
                }
            },
        }
    }

    fn take_written(&mut self, batch: &[Write], unprocessed: &[usize]) {
        let mut left = Vec::with_capacity(unprocessed.len());
        for (index, write) in batch.iter().enumerate() {
            if unprocessed.contains(&index) {
                left.push(write.clone());
                continue;
            }
            let more = self.settle(&write.key, Settled::Written);
            self.count_written(write, more);
        }
        if left.len() < batch.len() {
            self.progress = Instant::now();
            self.pass_trial();
        }
        self.report.done.unprocessed += u64::try_from(left.len()).unwrap_or(u64::MAX);
        if !left.is_empty() {
            self.again(&left, &unprocessed_items());
        }
    }

    /// A write is done. If there is more of its key to be sent, the key is not done by that.
    fn count_written(&mut self, write: &Write, more: bool) {
        let operation = write.operation();
        let counters = &self.link.counters;
        match operation {
            Operation::Put | Operation::Increment => Counters::add(&counters.items_written, 1),
            Operation::Delete => Counters::add(&counters.items_deleted, 1),
        }
        if more {
            self.report.written_in_part(&write.key);
            self.plan.push([write.key.clone()]);
        } else {
            self.report.written(&write.key, operation);
        }
    }

    /// Others changed the item of a write that goes alone, so there is nothing wrong with the table.
    fn take_conflict(&mut self, batch: &[Write], theirs: Option<Vec<u8>>) {
        let Some(write) = batch.first() else { return };
        self.pass_trial();
        self.flights.keys.remove(&write.key);
        match self.changes.conflict(&write.key, theirs) {
            Met::Written(more) => {
                self.progress = Instant::now();
                self.count_written(write, more);
            }
            Met::Again(None) => self.plan.push([write.key.clone()]),
            Met::Again(Some(resolution)) => self.again_after_conflict(write, resolution),
            Met::Failed(error) => {
                self.report.conflict(&write.key, Resolution::Failed);
                self.fail_met(write, error);
            }
        }
    }

    /// Once at once; who meets others again and again gives them time.
    fn again_after_conflict(&mut self, write: &Write, resolution: Resolution) {
        let times = self.report.conflict(&write.key, resolution);
        let Some(round) = times.checked_sub(2) else {
            return self.plan.push([write.key.clone()]);
        };
        let left = self.patience_left(&write.key);
        if left.is_zero() {
            self.report.conflict_failed(&write.key);
            return self.fail_met(write, crate::guard::conflict());
        }
        let round = u32::try_from(round).unwrap_or(u32::MAX);
        let delay = self.link.patience.policy.delay(round, &mut self.random);
        self.schedule.add(vec![write.key.clone()], delay.min(left));
    }

    fn fail_met(&mut self, write: &Write, error: Error) {
        let failure = Failure { class: Class::Refused, outcome: Outcome::NotWritten, error };
        let failed = self.failed(&write.key, write.operation(), call(write), &failure);
        self.report.failed(failed);
    }

    /// A batch was refused: its halves are sent apart until the bad item is alone.
    fn take_refused(&mut self, batch: &[Write], failure: &Failure, on_trial: bool) {
        let waits = self.trial.is_on() && !on_trial;
        match batch {
            [write] if self.trial.has_passed() => self.park(write, failure),
            [write] if !waits => self.trial.refuse(Some((write.clone(), failure.clone()))),
            _ => {
                for write in batch {
                    self.come_back(&write.key, failure.outcome);
                }
                let keys = batch.iter().map(|write| write.key.clone()).collect();
                if waits {
                    self.trial.wait(keys);
                } else {
                    self.trial.refuse(None);
                    self.plan.split(keys);
                }
            }
        }
    }

    fn park(&mut self, write: &Write, failure: &Failure) {
        let failed = self.failed(&write.key, write.operation(), call(write), failure);
        self.settle(&write.key, Settled::Refused(failed.error.clone()));
        self.report.parked(failed);
    }

    /// What was refused was refused on its own account.
    fn pass_trial(&mut self) {
        let (refused, waiting) = self.trial.pass();
        for (write, failure) in &refused {
            self.park(write, failure);
        }
        for part in waiting {
            self.plan.suspect(part);
        }
    }

    /// Ends a trial all of whose parts are answered; whether there was one.
    fn end_trial(&mut self) -> bool {
        let open = self.plan.has_suspects() || self.schedule.next().is_some();
        if !self.trial.is_on() || open || self.stopped.is_some() {
            return false;
        }
        if self.trial.has_one_alone() && self.plan.suspect_another() {
            return true;
        }
        let Some((refused, waiting)) = self.trial.condemn() else {
            self.pass_trial();
            return true;
        };
        self.plan.push(waiting);
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        self.stopped = refused.into_iter().next().map(|(_, failure)| failure.error);
        true
    }

    /// Keys whose time has come. During a trial they are parts of it: everything else waits.
    fn take_due(&mut self) {
        let due = self.schedule.take_due();
        if self.trial.is_on() {
            for key in due {
                self.plan.suspect(vec![key]);
            }
        } else {
            self.plan.push(due);
        }
    }

    /// Schedules writes anew, or gives them up if their patience has ended.
    fn again(&mut self, batch: &[Write], failure: &Failure) {
        tracing::debug!(
            table = %self.link.table.name, items = batch.len(), error = %failure.error, "sending again"
        );
        let mut again = Vec::new();
        let (mut round, mut shortest) = (0, self.link.patience.patience);
        for write in batch {
            let left = self.patience_left(&write.key);
            if left.is_zero() {
                if broken(9) {
                    self.settle(&write.key, Settled::Written);
                }
                self.fail(write, failure);
                continue;
            }
            round = self.come_back(&write.key, failure.outcome).max(round);
            shortest = shortest.min(left);
            again.push(write.key.clone());
        }
        if !again.is_empty() {
            let delay = self.link.patience.policy.delay(round.saturating_sub(1), &mut self.random);
            // The last attempt is made when patience ends, not before.
            self.schedule.add(again, delay.min(shortest));
        }
    }

    /// Patience begins with a key's first attempt, and anew whenever anything is written.
    fn patience_left(&self, key: &Key) -> Duration {
        let since = self.progress.max(self.report.first_sent(key));
        self.link.patience.patience.saturating_sub(since.elapsed())
    }

    /// A write was not confirmed and is unsaved again; how often that happened.
    fn come_back(&mut self, key: &Key, outcome: Outcome) -> u32 {
        self.settle(key, Settled::Pending(outcome));
        self.report.came_back(key)
    }

    fn fail(&mut self, write: &Write, failure: &Failure) {
        self.come_back(&write.key, failure.outcome);
        let failed = self.failed(&write.key, write.operation(), call(write), failure);
        self.report.failed(failed);
    }

    fn failed(
        &self,
        key: &Key,
        operation: Operation,
        call: &'static str,
        failure: &Failure,
    ) -> Failed {
        let key = key.clone();
        let attempts = self.report.attempts(&key);
        let error = self.link.place(failure.error.clone(), call).on_key(&key);
        let error = error.after_attempts(attempts);
        let outcome = self.changes.outcome(&key);
        Failed { key, operation, attempts, outcome, error }
    }

    /// Nothing can be sent any more: what was not is reported with the same cause.
    fn give_up_the_rest(&mut self) {
        let Some(error) = self.stopped.clone() else {
            return;
        };
        let failure = Failure { class: Class::Fatal, outcome: Outcome::NotWritten, error };
        self.plan.push(self.schedule.drain());
        // A trial that was under way has no end any more.
        let (refused, waiting) = self.trial.pass();
        self.plan.push(waiting.into_iter().flatten());
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        while let Some((key, operation)) = self.plan.next_left(self.changes, &mut self.report) {
            self.come_back(&key, failure.outcome);
            let failed = self.failed(&key, operation, OPERATION, &failure);
            self.report.failed(failed);
        }
    }

    fn settle(&mut self, key: &Key, settled: Settled) -> bool {
        self.flights.keys.remove(key);
        self.changes.settle(key, settled)
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

fn size(write: &Write, table: &TableRef) -> usize {
    match &write.action {
        Action::Put(item) => item.size,
        Action::Delete(_) => write.key.size(table.partition_key, table.sort_key),
        Action::Single(single) => single.size,
    }
}

/// A partial throttle is a success with unprocessed items.
fn unprocessed_items() -> Failure {
    let text = "the service left the item unprocessed, which is how it throttles a batch";
    let error = Error::new(ErrorKind::Throttled, text)
        .advise("raise the table's write capacity or the patience");
    Failure { class: Class::Throttled, outcome: Outcome::NotWritten, error }
}

//! Sends requests, several at once, until everything is written, refused, or patience ends.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use hashbrown::HashSet;

use super::gate::Gate;
use super::meters::Meters;
use super::plan::Plan;
use super::report::{FlushReport, NotSaved, Report};
use super::schedule::Schedule;
use super::sources::{Source, Sources};
use super::trial::{Ended, Trial};
use super::{Limits, Met, Settled};
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::error::{Error, ErrorKind};
use crate::guard::Resolution;
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::logging::{self, Access};
use crate::pace::Ticket;
use crate::rt::Instant;
use crate::store::{
    Action, Answered, Class, Done, Failure, Operation, Outcome, Store, TableKey, TableRef, Write,
    Written,
};

pub(super) const OPERATION: &str = "BatchWriteItem";

/// Writes the changes of keys of some tables of one database, each key at most once at a time.
///
/// Dropped half-way, it settles what was in flight as of unknown outcome.
pub(crate) async fn run(
    sources: &[Source<'_>],
    keys: Vec<TableKey>,
    limits: Limits,
) -> FlushReport {
    let named = |source: &Source<'_>| Arc::clone(&source.link.table.name);
    let changes = Sources::new(sources.iter().map(|source| (named(source), source.changes)));
    let tables: Arc<[TableRef]> = sources.iter().map(|source| source.link.table.clone()).collect();
    let mut counts = vec![0_usize; sources.len()];
    for at in &keys {
        counts[at.table] += 1;
    }
    let mut engine = Engine {
        links: sources.iter().map(|source| source.link).collect(),
        tables: Arc::clone(&tables),
        states: counts.iter().map(|count| State::of(*count)).collect(),
        gates: sources.iter().map(|source| Gate::new(source.link, limits)).collect(),
        most: limits.requests_in_flight,
        plan: Plan::of(sources.len()),
        schedule: Schedule::new(),
        report: Report::new(sources.iter().map(named).collect()),
        flights: Flights { changes: changes.clone(), keys: HashSet::new() },
        changes,
        random: fastrand::Rng::new(),
        meters: Meters::begin(sources, &counts),
    };
    let mut left = keys;
    while !left.is_empty() {
        let (first, later) = engine.changes.each_item_once(left);
        engine.states.iter_mut().for_each(|state| state.began = None);
        engine.plan.push_spread(first);
        engine.give_up_all();
        if AssertUnwindSafe(engine.drain()).catch_unwind().await.is_err() {
            engine.panicked();
        }
        left = later;
    }
    engine.meters.end(&engine.report);
    let report = engine.report.finish();
    logging::saved(&tables, &report);
    report
}

/// As [`run`], for one table.
pub(crate) async fn run_one(source: Source<'_>, keys: Vec<Key>, limits: Limits) -> FlushReport {
    let keys = keys.into_iter().map(|key| TableKey { table: 0, key }).collect();
    run(&[source], keys, limits).await
}

/// Every list of tables has them in the order of the sources, whose places the keys have.
pub(super) struct Engine<'e> {
    links: Vec<&'e Link>,
    tables: Arc<[TableRef]>,
    pub(super) states: Vec<State>,
    /// What may be sent of each table now.
    pub(super) gates: Vec<Gate>,
    /// The most requests in flight.
    most: usize,
    pub(super) changes: Sources<'e>,
    pub(super) plan: Plan,
    pub(super) schedule: Schedule,
    pub(super) report: Report,
    flights: Flights<'e>,
    pub(super) random: fastrand::Rng,
    meters: Meters,
}

/// How it goes with a table. One that fails stops nothing of the others.
pub(super) struct State {
    pub(super) trial: Trial,
    /// When an item was last written, by any request of this flush; the time in which only the pace of
    /// the table kept it from being sent does not count.
    pub(super) progress: Instant,
    /// When the first request with something of it was sent, since its keys could be.
    pub(super) began: Option<Instant>,
    /// The last request with something of it has no answer: that is no matter of its pace.
    pub(super) is_silent: bool,
    /// Why nothing more is sent: the table, the credentials.
    pub(super) stopped: Option<Error>,
}

impl State {
    fn of(keys: usize) -> Self {
        // A key alone can be compared with nothing: what is refused is its own account.
        let trial = if keys == 1 { Trial::Passed } else { Trial::Open };
        Self { trial, progress: Instant::now(), began: None, is_silent: false, stopped: None }
    }
}

/// What is in flight; dropped with it, nothing stays in flight for ever.
struct Flights<'e> {
    changes: Sources<'e>,
    keys: HashSet<TableKey>,
}

impl Drop for Flights<'_> {
    fn drop(&mut self) {
        if broken(36) {
            return;
        }
        for at in &self.keys {
            self.changes.settle(at, Settled::Pending(Outcome::OutcomeUnknown));
        }
    }
}

struct Answer {
    batch: Vec<Write>,
    /// Those of the batch's tables.
    tickets: Vec<Ticket>,
    /// Whether it is a part of the batch on trial.
    on_trial: bool,
    result: Result<Reply, Failure>,
}

enum Reply {
    Batch(Answered<Written>),
    Single(Answered<Done>),
}

/// Sends a batch, or the only write of a request that goes alone.
///
/// `requests`: how often what was sent most often of it was sent.
async fn send(
    store: &dyn Store,
    tables: &[TableRef],
    batch: &[Write],
    requests: u64,
) -> Result<Reply, Failure> {
    match batch {
        [Write { at, action: Action::Single(single) }] => {
            let table = &tables[at.table];
            let access = Access { requests, ..Access::single(single, &at.key, table) };
            access.sent(store.write_single(table, single)).await.map(Reply::Single)
        }
        _ => {
            let access = |part: &[Write]| Access {
                items: part.len(),
                requests,
                ..Access::on(OPERATION, &tables[part[0].at.table].name)
            };
            let parts: Vec<Access<'_>> = by_table(batch).map(access).collect();
            logging::sent(&parts, store.batch_write(tables, batch)).await.map(Reply::Batch)
        }
    }
}

/// Waits until what is sent is in the journal, where it must be: the only write of a request that goes alone, as
/// others say the same however often they are sent, and what a checkpoint covers.
async fn recorded(changes: &Sources<'_>, batch: &[Write]) -> Result<(), Error> {
    for Write { at, action } in batch {
        if let Some(recorded) = changes.recorded(at, action.is_single()) {
            recorded.await?;
        }
    }
    Ok(())
}

/// Nothing was sent, and nothing of this table can be.
fn unrecorded(error: Error) -> Failure {
    Failure { class: Class::Fatal, outcome: Outcome::NotWritten, error }
}

/// What the request is called that a write goes with.
pub(super) const fn call(action: &Action) -> &'static str {
    match action {
        Action::Put(_) | Action::Delete(_) => OPERATION,
        Action::Single(single) => single.form.name(),
    }
}

impl<'e> Engine<'e> {
    async fn drain(&mut self) {
        let mut requests = FuturesUnordered::new();
        loop {
            self.take_due();
            while requests.len() < self.most {
                match self.next_request() {
                    Some(request) => requests.push(request),
                    None => break,
                }
            }
            if self.end_trials() {
                continue;
            }
            let is_open = requests.len() < self.most;
            let turn = self.gates.iter().filter_map(Gate::opens).min();
            let wake = self.schedule.next().into_iter().chain(turn).min().filter(|_| is_open);
            if requests.is_empty() && wake.is_none() {
                return;
            }
            let asleep = Instant::now();
            let answer = tokio::select! {
                // Answers first: what they free can be sent with what is due.
                biased;
                Some(answer) = requests.next() => Some(answer),
                () = sleep_until(wake) => None,
            };
            self.waited(asleep);
            if let Some(answer) = answer {
                self.take_in(answer);
            }
            self.meters.show(&self.report);
        }
    }

    /// A request panicked: nothing is sent any more, and what was in flight may be stored.
    fn panicked(&mut self) {
        for state in &mut self.states {
            let Ended { waiting, aside, .. } = state.trial.pass();
            self.plan.push(waiting.into_iter().flatten().chain(aside));
            state.stopped = Some(crate::error::panicked());
        }
        for at in std::mem::take(&mut self.flights.keys) {
            self.come_back(&at, Outcome::OutcomeUnknown);
            self.plan.push([at]);
        }
        self.give_up_all();
    }

    fn next_request(&mut self) -> Option<BoxFuture<'e, Answer>> {
        // Also where nothing waits any more: who waits is woken.
        self.gates.iter_mut().for_each(Gate::ask_anew);
        if self.plan.is_empty() {
            return None;
        }
        let batch = self.plan.next(&self.changes, &mut self.gates, &mut self.report);
        for (at, until) in self.plan.take_held() {
            let wait = until.saturating_duration_since(Instant::now());
            self.schedule.add(vec![at], wait);
        }
        let first = batch.first()?.at.table;
        let on_trial = self.states[first].trial.is_on();
        self.flights.keys.extend(batch.iter().map(|write| write.at.clone()));
        let tables = &self.tables;
        let sizes = batch.iter().map(|write| (&write.at, bytes(write, &tables[write.at.table])));
        self.report.sending(sizes);
        let requests = batch.iter().map(|write| self.report.attempts(&write.at)).max().unwrap_or(1);
        for part in by_table(&batch) {
            Counters::add(&self.link(&part[0].at).counters.write_requests, 1);
        }
        let tickets = self.tickets(&batch);
        let (store, tables) = (&self.links[first].store, Arc::clone(&self.tables));
        let changes = self.changes.clone();
        Some(Box::pin(async move {
            let result = match recorded(&changes, &batch).await {
                Ok(()) => send(&**store, &tables, &batch, requests).await,
                Err(error) => Err(unrecorded(error)),
            };
            Answer { batch, tickets, on_trial, result }
        }))
    }

    pub(super) fn link(&self, at: &TableKey) -> &'e Link {
        self.links[at.table]
    }

    fn take_in(&mut self, answer: Answer) {
        let Answer { batch, tickets, on_trial, result } = answer;
        match result {
            Ok(Reply::Batch(Answered { value: written, charged })) => {
                self.answered(&batch, tickets, &charged, &written.unprocessed);
                self.take_written(&batch, &written.unprocessed);
            }
            Ok(Reply::Single(Answered { value: done, charged })) => {
                self.answered(&batch, tickets, &charged, &[]);
                match done {
                    Done::Written { .. } => self.take_written(&batch, &[]),
                    Done::Conflict { theirs } => self.take_conflict(&batch, theirs),
                }
            }
            Err(failure) => {
                self.failed(&batch, tickets, &failure);
                self.take_failure(&batch, &failure, on_trial);
            }
        }
        for part in by_table(&batch) {
            // What came back of a table that was stopped meanwhile.
            self.give_up(part[0].at.table);
        }
    }

    fn take_failure(&mut self, batch: &[Write], failure: &Failure, on_trial: bool) {
        match failure.class {
            Class::Refused if broken(10) => self.again(batch, failure),
            Class::Fatal if broken(11) => self.take_refused(batch, failure, on_trial),
            Class::Throttled | Class::Transient => self.again(batch, failure),
            Class::Refused | Class::Fatal if by_table(batch).count() > 1 => {
                self.send_tables_apart(batch, failure);
            }
            Class::Refused => self.take_refused(batch, failure, on_trial),
            Class::Fatal => {
                for write in batch {
                    self.fail(write, failure);
                    self.states[write.at.table].stopped = Some(failure.error.clone());
                }
            }
        }
    }

    fn take_written(&mut self, batch: &[Write], unprocessed: &[usize]) {
        let mut left = Vec::with_capacity(unprocessed.len());
        for (index, write) in batch.iter().enumerate() {
            if unprocessed.contains(&index) && !has(Bug::RemovedWithTheBatch) {
                left.push(write.clone());
                continue;
            }
            let more = self.settle(&write.at, Settled::Written);
            self.made_progress(&write.at);
            self.count_written(write, more);
        }
        self.report.done.unprocessed += u64::try_from(left.len()).unwrap_or(u64::MAX);
        if !left.is_empty() {
            self.again(&left, &unprocessed_items());
        }
    }

    /// Something of a table was written.
    fn made_progress(&mut self, at: &TableKey) {
        self.states[at.table].progress = Instant::now();
        self.pass_trial(at.table);
    }

    /// A write is done. If there is more of its key to be sent, the key is not done by that.
    fn count_written(&mut self, write: &Write, more: bool) {
        let operation = write.action.operation();
        let counters = &self.link(&write.at).counters;
        match operation {
            Operation::Put | Operation::Increment => Counters::add(&counters.items_written, 1),
            Operation::Delete => Counters::add(&counters.items_deleted, 1),
        }
        if more {
            self.report.written_in_part(&write.at);
            self.plan.push([write.at.clone()]);
        } else {
            self.report.written(&write.at, operation);
        }
    }

    /// Others changed the item of a write that goes alone, so there is nothing wrong with the table.
    fn take_conflict(&mut self, batch: &[Write], theirs: Option<Vec<u8>>) {
        let Some(write) = batch.first() else { return };
        self.pass_trial(write.at.table);
        self.flights.keys.remove(&write.at);
        match self.changes.conflict(&write.at, theirs) {
            Met::Written(more) => {
                self.made_progress(&write.at);
                self.count_written(write, more);
            }
            Met::WrittenBefore => {
                self.report.written_before(&write.at);
                self.plan.push([write.at.clone()]);
            }
            Met::Gone => self.plan.push([write.at.clone()]),
            Met::Again(resolution) => self.again_after_conflict(write, resolution),
            Met::Failed(error) => {
                self.report.conflict(&write.at, Resolution::Failed);
                self.report_failed(write, error);
            }
        }
    }

    /// A write was not confirmed and is unsaved again; how often that happened.
    pub(super) fn come_back(&mut self, at: &TableKey, outcome: Outcome) -> u32 {
        self.settle(at, Settled::Pending(outcome));
        self.report.came_back(at)
    }

    pub(super) fn fail(&mut self, write: &Write, failure: &Failure) {
        self.come_back(&write.at, failure.outcome);
        self.report_failed(write, failure.error.clone());
    }

    pub(super) fn report_failed(&mut self, write: &Write, error: Error) {
        let action = &write.action;
        let not_saved = self.not_saved(&write.at, action.operation(), call(action), error);
        self.report.failed(&write.at, not_saved);
    }

    pub(super) fn not_saved(
        &self,
        at: &TableKey,
        operation: Operation,
        call: &'static str,
        error: Error,
    ) -> NotSaved {
        let error = self.link(at).place(error, call).on_key(&at.key);
        let error = error.after_attempts(self.report.attempts(at));
        NotSaved { operation, outcome: self.changes.outcome(at), to_resolve: false, error }
    }

    pub(super) fn settle(&mut self, at: &TableKey, settled: Settled) -> bool {
        self.flights.keys.remove(at);
        self.changes.settle(at, settled)
    }
}

/// The writes of each table. A batch has them in the order of tables.
pub(super) fn by_table(batch: &[Write]) -> impl Iterator<Item = &[Write]> {
    batch.chunk_by(|one, other| one.at.table == other.at.table)
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => crate::rt::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// Bytes of what is sent, by DynamoDB's arithmetic.
pub(super) fn bytes(write: &Write, table: &TableRef) -> usize {
    write.action.size(&write.at.key, table.partition_key, table.sort_key)
}

/// A partial throttle is a success with unprocessed items.
fn unprocessed_items() -> Failure {
    let text = "the service left the item unprocessed, which is how it throttles a batch";
    let error = Error::new(ErrorKind::Throttled, text)
        .advise("raise the table's write capacity or the patience");
    Failure { class: Class::Throttled, outcome: Outcome::NotWritten, error }
}

//! What becomes of a request that the service refuses: halved, tried, parked, or the end of a table.

use super::Settled;
use super::engine::{Engine, OPERATION, by_table, call};
use super::plan::take_left;
use super::trial::Ended;
use crate::error::Error;
use crate::store::{Failure, Outcome, TableKey, Write};

impl Engine<'_> {
    /// A request to several tables was refused as a whole: the tables are sent apart, since what is
    /// wrong with one says nothing about another.
    pub(super) fn send_tables_apart(&mut self, batch: &[Write], failure: &Failure) {
        for part in by_table(batch) {
            let keys = self.all_come_back(part, failure.outcome);
            self.plan.suspect_together(keys);
        }
    }

    /// A batch of one table was refused: its halves are sent apart until the bad item is alone.
    pub(super) fn take_refused(&mut self, batch: &[Write], failure: &Failure, on_trial: bool) {
        let Some(table) = batch.first().map(|write| write.at.table) else { return };
        let trial = &mut self.states[table].trial;
        let waits = trial.is_on() && !on_trial;
        if trial.is_open() {
            trial.begin(self.plan.extract_ready(table));
        }
        match batch {
            [write] if trial.has_passed() => self.park(write, failure),
            [write] if !waits => trial.refuse((write.clone(), failure.clone())),
            _ => {
                let keys = self.all_come_back(batch, failure.outcome);
                if waits {
                    self.states[table].trial.wait(keys);
                } else {
                    self.plan.split(keys);
                }
            }
        }
    }

    fn all_come_back(&mut self, writes: &[Write], outcome: Outcome) -> Vec<TableKey> {
        for write in writes {
            self.come_back(&write.at, outcome);
        }
        writes.iter().map(|write| write.at.clone()).collect()
    }

    fn park(&mut self, write: &Write, failure: &Failure) {
        let (operation, call) = (write.action.operation(), call(&write.action));
        let not_saved = self.not_saved(&write.at, operation, call, failure.error.clone());
        self.settle(&write.at, Settled::Refused(not_saved.error.clone()));
        self.report.parked(&write.at, not_saved);
    }

    /// Something of a table was written: what was refused was refused on its own account.
    pub(super) fn pass_trial(&mut self, table: usize) {
        let Ended { refused, waiting, aside, .. } = self.states[table].trial.pass();
        for (write, failure) in &refused {
            self.park(write, failure);
        }
        for part in waiting {
            self.plan.suspect(part);
        }
        self.plan.push(aside);
    }

    /// Ends the trials all of whose parts are answered; whether there was one.
    pub(super) fn end_trials(&mut self) -> bool {
        let is_over = |engine: &Self, table: usize| {
            let trial = &engine.states[table].trial;
            let plan = &engine.plan;
            let waits =
                plan.has_suspects_of(table) || plan.has(table) || engine.schedule.has(table);
            trial.is_on() && engine.gates[table].in_flight() == 0 && !waits
        };
        let over: Vec<usize> = (0..self.states.len()).filter(|&at| is_over(self, at)).collect();
        for &table in &over {
            self.end_trial(table);
        }
        !over.is_empty()
    }

    /// Ends a trial, unless something more can tell more.
    fn end_trial(&mut self, table: usize) {
        let state = &mut self.states[table];
        if let Some(another) = state.trial.another() {
            return self.plan.suspect(another);
        }
        if !state.trial.is_condemned() {
            return self.pass_trial(table);
        }
        let Ended { refused, waiting, aside, .. } = state.trial.pass();
        state.stopped = refused.first().map(|(_, failure)| failure.error.clone());
        self.plan.push(waiting.into_iter().flatten().chain(aside));
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        self.give_up(table);
    }

    /// Keys whose time has come. During a trial of their table they are parts of it.
    pub(super) fn take_due(&mut self) {
        for at in self.schedule.take_due() {
            if self.states[at.table].trial.is_on() {
                self.plan.suspect(vec![at]);
            } else {
                self.plan.push([at]);
            }
        }
    }

    pub(super) fn give_up_all(&mut self) {
        (0..self.states.len()).for_each(|table| self.give_up(table));
    }

    /// If nothing can be sent of a table any more, what was not is reported with the same cause.
    pub(super) fn give_up(&mut self, table: usize) {
        let Some(error) = self.states[table].stopped.clone() else { return };
        let mut left = self.take_waiting(table);
        left.extend(self.schedule.extract(table));
        self.give_up_keys(left, &error);
    }

    /// Takes out the keys of a table that wait for their turn. A trial that was under way has no end any more.
    pub(super) fn take_waiting(&mut self, table: usize) -> Vec<TableKey> {
        let Ended { refused, waiting, aside, .. } = self.states[table].trial.pass();
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        let mut keys = self.plan.extract(table);
        keys.extend(waiting.into_iter().flatten().chain(aside));
        keys
    }

    /// Keys are not sent any more, for this cause.
    pub(super) fn give_up_keys(&mut self, keys: Vec<TableKey>, error: &Error) {
        for at in keys {
            let Some(operation) = take_left(&at, &self.changes, &mut self.report) else { continue };
            self.come_back(&at, Outcome::NotWritten);
            let not_saved = self.not_saved(&at, operation, OPERATION, error.clone());
            self.report.failed(&at, not_saved);
        }
    }
}

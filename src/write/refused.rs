//! What becomes of a request that the service refuses: halved, tried, parked, or the end of a table.

use super::Settled;
use super::engine::{Engine, OPERATION, by_table, call};
use super::plan::take_left;
use crate::store::{Failure, Outcome, TableKey, Write};

impl Engine<'_> {
    /// A request to several tables was refused as a whole: the tables are sent apart, since what is
    /// wrong with one says nothing about another.
    pub(super) fn send_tables_apart(&mut self, batch: &[Write], failure: &Failure) {
        for part in by_table(batch) {
            let table = part[0].at.table;
            let keys = self.all_come_back(part, failure.outcome);
            if self.states[table].trial.is_on() {
                self.states[table].trial.wait(keys);
            } else {
                self.plan.suspect_together(keys);
            }
        }
    }

    /// A batch of one table was refused: its halves are sent apart until the bad item is alone.
    pub(super) fn take_refused(&mut self, batch: &[Write], failure: &Failure, on_trial: bool) {
        let Some(table) = batch.first().map(|write| write.at.table) else { return };
        let trial = &mut self.states[table].trial;
        let waits = trial.is_on() && !on_trial;
        match batch {
            [write] if trial.has_passed() => self.park(write, failure),
            [write] if !waits => trial.refuse(Some((write.clone(), failure.clone()))),
            _ => {
                let keys = self.all_come_back(batch, failure.outcome);
                let trial = &mut self.states[table].trial;
                if waits {
                    trial.wait(keys);
                } else {
                    trial.refuse(None);
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

    pub(super) fn is_any_on_trial(&self) -> bool {
        self.states.iter().any(|state| state.trial.is_on())
    }

    /// Something of a table was written: what was refused was refused on its own account.
    pub(super) fn pass_trial(&mut self, table: usize) {
        let (refused, waiting) = self.states[table].trial.pass();
        for (write, failure) in &refused {
            self.park(write, failure);
        }
        for part in waiting {
            self.plan.suspect(part);
        }
    }

    /// Ends the trials all of whose parts are answered; whether there was one.
    pub(super) fn end_trials(&mut self) -> bool {
        let ended = |engine: &mut Self, table: usize| {
            let is_over = engine.states[table].trial.is_on() && !engine.schedule.has(table);
            is_over && !engine.plan.has_suspects_of(table) && engine.end_trial(table)
        };
        // All of them, not only the first.
        (0..self.states.len()).filter(|&table| ended(self, table)).count() > 0
    }

    /// Ends a trial, unless one more key can tell more. There is something new to be done either way.
    fn end_trial(&mut self, table: usize) -> bool {
        if self.states[table].trial.has_one_alone() && self.plan.suspect_another(table) {
            return true;
        }
        let Some((refused, waiting)) = self.states[table].trial.condemn() else {
            self.pass_trial(table);
            return true;
        };
        self.plan.push(waiting);
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        self.states[table].stopped = refused.into_iter().next().map(|(_, failure)| failure.error);
        self.give_up(table);
        true
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

    /// If nothing can be sent of a table any more, what was not is reported with the same cause.
    pub(super) fn give_up(&mut self, table: usize) {
        let Some(error) = self.states[table].stopped.clone() else { return };
        // A trial that was under way has no end any more.
        let (refused, waiting) = self.states[table].trial.pass();
        for (write, failure) in &refused {
            self.fail(write, failure);
        }
        let mut left = self.plan.extract(table);
        left.extend(self.schedule.extract(table));
        left.extend(waiting.into_iter().flatten());
        for at in left {
            let Some(operation) = take_left(&at, &self.changes, &mut self.report) else { continue };
            self.come_back(&at, Outcome::NotWritten);
            let not_saved = self.not_saved(&at, operation, OPERATION, error.clone());
            self.report.failed(&at, not_saved);
        }
    }
}

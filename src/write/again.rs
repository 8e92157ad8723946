//! What is sent again, when, and when that has an end.

use std::time::Duration;

use super::Settled;
use super::engine::{Engine, State, by_table};
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::error::Error;
use crate::guard::Resolution;
use crate::logging;
use crate::rt::Instant;
use crate::store::{Class, Failure, TableKey, Write};

impl Engine<'_> {
    /// Once at once; who meets others again and again gives them time.
    pub(super) fn again_after_conflict(&mut self, write: &Write, resolution: Resolution) {
        let times = self.report.conflict(&write.at, resolution);
        let Some(round) = times.checked_sub(2) else {
            return self.plan.push([write.at.clone()]);
        };
        let left = self.patience_left(&write.at);
        if left.is_zero() {
            self.report.conflict_failed(&write.at);
            return self.report_failed(write, crate::guard::conflict());
        }
        let round = u32::try_from(round).unwrap_or(u32::MAX);
        let delay = self.link(&write.at).patience.policy.delay(round, &mut self.random);
        self.schedule.add(vec![write.at.clone()], delay.min(left));
    }

    /// Schedules writes anew, or gives them up if their patience has ended.
    pub(super) fn again(&mut self, batch: &[Write], failure: &Failure) {
        for part in by_table(batch) {
            self.part_again(part, failure);
        }
    }

    fn part_again(&mut self, part: &[Write], failure: &Failure) {
        let Some(link) = part.first().map(|write| self.link(&write.at)) else { return };
        tracing::debug!(
            target: logging::DATABASE,
            table = %link.table.name, items = part.len(), error = %failure.error, "sending again"
        );
        if failure.class == Class::Throttled && self.patience_of(&part[0].at).is_zero() {
            self.give_up_waiting(part[0].at.table, &failure.error);
        }
        let mut again = Vec::new();
        let (mut round, mut shortest) = (0, link.patience.patience);
        for write in part {
            let mut left = self.patience_left(&write.at);
            if has(Bug::PatienceOfTheBatch) {
                let others = part.iter().map(|write| self.patience_left(&write.at));
                left = others.min().unwrap_or(left);
            }
            if left.is_zero() {
                self.run_out(write, failure);
                continue;
            }
            round = self.come_back(&write.at, failure.outcome).max(round);
            shortest = shortest.min(left);
            again.push(write.at.clone());
        }
        if again.is_empty() {
            return;
        }
        if failure.class == Class::Throttled {
            // When it may be sent is a matter of the table's pace.
            if self.states[again[0].table].trial.is_on() {
                self.plan.suspect_together(again);
            } else {
                self.plan.push(again);
            }
        } else {
            let delay = link.patience.policy.delay(round.saturating_sub(1), &mut self.random);
            // The last attempt is made when patience ends, not before.
            self.schedule.add(again, delay.min(shortest));
        }
    }

    /// The patience for a write has run out.
    fn run_out(&mut self, write: &Write, failure: &Failure) {
        if broken(9) {
            self.settle(&write.at, Settled::Written);
        }
        self.fail(write, failure);
    }

    /// What is left of the patience for a table.
    pub(super) fn patience_of(&self, at: &TableKey) -> Duration {
        let State { progress, began, .. } = &self.states[at.table];
        let since = began.map_or_else(Instant::now, |began| began.max(*progress));
        self.link(at).patience.patience.saturating_sub(since.elapsed())
    }

    /// Where a table gives nothing, its records come to their first attempt one request after the other, or
    /// never: what was not sent yet has no patience of its own, and what was is given up when its ends.
    fn give_up_waiting(&mut self, table: usize, error: &Error) {
        let left = self.take_waiting(table);
        let is_over =
            |at: &TableKey| self.report.attempts(at) == 0 || self.patience_left(at).is_zero();
        let (over, again): (Vec<_>, Vec<_>) = left.into_iter().partition(is_over);
        self.plan.push(again);
        self.give_up_keys(over, error);
    }

    /// Patience begins with a key's first attempt, and anew whenever anything of its table is written.
    fn patience_left(&self, at: &TableKey) -> Duration {
        let since = self.states[at.table].progress.max(self.report.first_sent(at));
        self.link(at).patience.patience.saturating_sub(since.elapsed())
    }
}

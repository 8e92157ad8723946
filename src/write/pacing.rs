//! What the answers say of the paces of the tables.

use std::time::Duration;

use super::engine::{Engine, by_table};
use super::sources::has_twins;
use crate::breaks::broken;
use crate::capacity::Charged;
use crate::link::Link;
use crate::pace::{self, Ticket};
use crate::retry::RetryPolicy;
use crate::rt::Instant;
use crate::store::{Class, Failure, Write, short_name};

impl Engine<'_> {
    /// A batch is sent: what it takes of its tables' paces.
    pub(super) fn tickets(&mut self, batch: &[Write]) -> Vec<Ticket> {
        let now = Instant::now();
        let sends = |part: &[Write]| {
            let table = part[0].at.table;
            self.states[table].began.get_or_insert(now);
            self.gates[table].sends(part)
        };
        by_table(batch).map(sends).collect()
    }

    /// A request was answered: what it cost, and what of it was left.
    pub(super) fn answered(
        &mut self,
        batch: &[Write],
        tickets: Vec<Ticket>,
        charged: &Charged,
        unprocessed: &[usize],
    ) {
        let links: Vec<&Link> = by_table(batch).map(|part| self.link(&part[0].at)).collect();
        let names: Vec<_> = links.iter().map(|link| Some(&*link.table.name)).collect();
        let has_twins = has_twins(names.iter().copied().flatten());
        let mut first = 0;
        let shares = charged.shares(&names).into_iter().zip(tickets);
        for (part, (units, ticket)) in by_table(batch).zip(shares) {
            let link = self.link(&part[0].at);
            link.counters.spent.written(units.as_ref());
            if let Some(units) = &units {
                self.report.done.charged(&link.table.name, units);
            }
            self.states[part[0].at.table].is_silent = false;
            let places = first..first + part.len();
            first = places.end;
            let gate = &mut self.gates[part[0].at.table];
            gate.ended();
            if !unprocessed.iter().any(|at| places.contains(at)) {
                gate.done();
            }
            let parts = gate.parts(part, |at| unprocessed.contains(&(places.start + at)));
            // Of two that are one table nobody knows whose the charge is.
            let charged = units.as_ref().filter(|_| !has_twins);
            let answer = pace::Answered { parts: &parts, charged, reasons: &[], is_page: false };
            self.learn(part, ticket, answer);
        }
    }

    /// A request failed: of what was throttled all is left.
    pub(super) fn failed(&mut self, batch: &[Write], tickets: Vec<Ticket>, failure: &Failure) {
        for (part, ticket) in by_table(batch).zip(tickets) {
            let table = part[0].at.table;
            self.states[table].is_silent = failure.class == Class::Transient;
            self.gates[table].ended();
            let reasons = failure.error.throttling_reasons().iter();
            let name = short_name(&self.link(&part[0].at).table.name);
            let reasons: Vec<_> = reasons.filter(|reason| reason.is_of(name)).cloned().collect();
            let parts = self.gates[table].parts(part, |_| false);
            let reasons = &reasons;
            let answer = pace::Answered { parts: &parts, charged: None, reasons, is_page: false };
            let (policy, left) = self.pauses(part);
            let random = &mut self.random;
            ticket
                .failed(answer, failure.class, &mut |times| policy.delay(times, random).min(left));
            if failure.class == Class::Throttled && !broken(12) {
                self.gates[table].throttled(reasons);
            }
        }
    }

    /// Waits are as long as the policy says; the last attempt is made when patience ends, not before.
    fn learn(&mut self, part: &[Write], ticket: Ticket, answer: pace::Answered<'_>) {
        let (policy, left) = self.pauses(part);
        let random = &mut self.random;
        ticket.answered(answer, &mut |times| policy.delay(times, random).min(left));
    }

    /// How long waits are, and for how long there is patience.
    fn pauses(&self, part: &[Write]) -> (RetryPolicy, Duration) {
        (self.link(&part[0].at).patience.policy, self.patience_of(&part[0].at))
    }

    /// The time in which only a table's pace kept something from being sent is no want of patience.
    pub(super) fn waited(&mut self, since: Instant) {
        let now = Instant::now();
        for (state, gate) in self.states.iter_mut().zip(&self.gates) {
            if gate.takes_turns() && !state.is_silent {
                state.progress = (state.progress + (now - since)).min(now);
            }
        }
    }
}

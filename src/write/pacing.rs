//! What the answers say of the paces of the tables.

use super::engine::{Engine, by_table};
use crate::breaks::broken;
use crate::capacity::Charged;
use crate::link::Link;
use crate::pace::{self, Ticket};
use crate::retry::RetryPolicy;
use crate::rt::Instant;
use crate::store::{Class, Failure, Write, short_name};

impl Engine<'_> {
    /// A batch is sent: what it takes of its tables' paces.
    pub(super) fn tickets(&mut self, batch: &[Write]) -> Vec<Option<Ticket>> {
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
        tickets: Vec<Option<Ticket>>,
        charged: &Charged,
        unprocessed: &[usize],
    ) {
        let links: Vec<&Link> = by_table(batch).map(|part| self.link(&part[0].at)).collect();
        let names: Vec<_> = links.iter().map(|link| Some(&*link.table.name)).collect();
        let is_twin = |(place, one): (usize, &&Link)| {
            let name = short_name(&one.table.name);
            links[..place].iter().any(|other| short_name(&other.table.name) == name)
        };
        let has_twins = links.iter().enumerate().any(is_twin);
        let (mut tickets, mut first) = (tickets.into_iter(), 0);
        for (part, units) in by_table(batch).zip(charged.shares(&names)) {
            let link = self.link(&part[0].at);
            link.counters.spent.written(units.as_ref());
            if let Some(units) = &units {
                self.report.done.charged(&link.table.name, units);
            }
            self.states[part[0].at.table].is_silent = false;
            let gate = &mut self.gates[part[0].at.table];
            let parts = gate.parts(part, |at| unprocessed.contains(&(first + at)));
            first += part.len();
            gate.ended();
            gate.answered(parts.len(), parts.iter().filter(|part| part.left).count());
            // Of two that are one table nobody knows whose the charge is.
            let charged = units.as_ref().filter(|_| !has_twins);
            let answer = pace::Answered { parts: &parts, charged, reasons: &[] };
            self.learn(part, tickets.next().flatten(), answer);
        }
    }

    /// A request failed: of what was throttled all is left.
    pub(super) fn failed(
        &mut self,
        batch: &[Write],
        tickets: Vec<Option<Ticket>>,
        failure: &Failure,
    ) {
        let is_throttled = failure.class == Class::Throttled;
        let mut tickets = tickets.into_iter();
        for part in by_table(batch) {
            self.states[part[0].at.table].is_silent = failure.class == Class::Transient;
            let gate = &mut self.gates[part[0].at.table];
            gate.ended();
            let parts = gate.parts(part, |_| true);
            // What is refused costs nothing; what has no answer may have cost what was thought.
            let parts = match failure.class {
                Class::Throttled => &parts[..],
                Class::Refused | Class::Fatal => &[],
                Class::Transient => continue,
            };
            let table = short_name(&self.link(&part[0].at).table.name);
            let reasons = failure.error.throttling_reasons().iter();
            let reasons: Vec<_> = reasons.filter(|reason| reason.is_of(table)).cloned().collect();
            let answer = pace::Answered { parts, charged: None, reasons: &reasons };
            self.learn(part, tickets.next().flatten(), answer);
            if is_throttled && !broken(12) {
                self.gates[part[0].at.table].throttled(&reasons);
            }
        }
    }

    /// Waits are as long as the policy says; the last attempt is made when patience ends, not before.
    fn learn(&mut self, part: &[Write], ticket: Option<Ticket>, answer: pace::Answered<'_>) {
        let Some(ticket) = ticket else { return };
        let policy: RetryPolicy = self.link(&part[0].at).patience.policy;
        let left = self.patience_of(&part[0].at);
        let random = &mut self.random;
        ticket.answered(answer, &mut |times| policy.delay(times, random).min(left));
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

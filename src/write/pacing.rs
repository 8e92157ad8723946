//! What the answers say of the paces of the tables.

use super::engine::{Engine, by_table};
use crate::breaks::broken;
use crate::capacity::Charged;
use crate::link::Link;
use crate::pace::{self, Ticket};
use crate::retry::RetryPolicy;
use crate::rt::Instant;
use crate::store::{Class, Failure, Write};

impl Engine<'_> {
    /// A batch is sent: what it takes of its tables' paces.
    pub(super) fn tickets(&mut self, batch: &[Write]) -> Vec<Option<Ticket>> {
        by_table(batch).map(|part| self.gates[part[0].at.table].sends(part)).collect()
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
        let (mut tickets, mut first) = (tickets.into_iter(), 0);
        for (part, units) in by_table(batch).zip(charged.shares(&names)) {
            let link = self.link(&part[0].at);
            link.counters.spent.written(units.as_ref());
            if let Some(units) = &units {
                self.report.done.charged(&link.table.name, units);
            }
            let gate = &mut self.gates[part[0].at.table];
            let parts = gate.parts(part, |at| unprocessed.contains(&(first + at)));
            first += part.len();
            gate.ended();
            gate.answered(parts.len(), parts.iter().filter(|part| part.left).count());
            let answer = pace::Answered { parts: &parts, charged: units.as_ref(), reasons: &[] };
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
            let gate = &mut self.gates[part[0].at.table];
            gate.ended();
            let parts = gate.parts(part, |_| true);
            // What is refused costs nothing; what has no answer may have cost what was thought.
            let parts = match failure.class {
                Class::Throttled => &parts[..],
                Class::Refused | Class::Fatal => &[],
                Class::Transient => continue,
            };
            let reasons = failure.error.throttling_reasons();
            let answer = pace::Answered { parts, charged: None, reasons };
            self.learn(part, tickets.next().flatten(), answer);
            if is_throttled && !broken(12) {
                self.gates[part[0].at.table].throttled(reasons);
            }
        }
    }

    /// Waits are as long as the policy says; the last attempt is made when patience ends, not before.
    fn learn(&mut self, part: &[Write], ticket: Option<Ticket>, answer: pace::Answered<'_>) {
        let Some(ticket) = ticket else { return };
        let policy: RetryPolicy = self.link(&part[0].at).patience.policy;
        let since = self.states[part[0].at.table].progress;
        let left = self.link(&part[0].at).patience.patience.saturating_sub(since.elapsed());
        let random = &mut self.random;
        ticket.answered(answer, &mut |times| policy.delay(times, random).min(left));
    }

    /// The time in which only a table's pace kept something from being sent is no want of patience.
    pub(super) fn waited(&mut self, since: Instant) {
        let now = Instant::now();
        for (state, gate) in self.states.iter_mut().zip(&self.gates) {
            if gate.takes_turns() {
                state.progress = (state.progress + (now - since)).min(now);
            }
        }
    }
}

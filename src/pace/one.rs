//! A request of one entry, in the pace of its table: an item, or a page.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Answered, Part, Side, Ticket};
use crate::capacity::ConsumedCapacity;
use crate::error::{Error, ThrottlingReason};
use crate::retry::Attempts;
use crate::store::Failure;

/// A request of one entry.
#[derive(Clone, Debug)]
pub(crate) struct One<'o> {
    pub(crate) side: Arc<Side>,
    /// Of the item, as in [`Key::partition_bytes`](crate::key::Key::partition_bytes); empty for a page.
    pub(crate) partition: &'o [u8],
    /// Units that it is thought to cost; `None` for a page, which costs what pages cost of late.
    pub(crate) units: Option<f64>,
    /// The index whose capacity it uses, if that is not the table's.
    pub(crate) index: Option<&'static str>,
}

/// Its turn to be sent.
pub(crate) struct Turn {
    ticket: Ticket,
    units: f64,
}

impl One<'_> {
    /// Waits until it may be sent; where patience ends before, it is sent then.
    pub(crate) async fn turn(&self, attempts: &mut Attempts<'_>) -> Turn {
        let sent = self.side.one_in_turn(attempts, self.partition, || self.sends()).await;
        sent.unwrap_or_else(|| self.sends())
    }

    fn sends(&self) -> Turn {
        let units = self.units.unwrap_or_else(|| self.side.page());
        Turn { ticket: self.side.sends(&[self.part(units)]), units }
    }

    /// It was answered, and this was charged.
    pub(crate) fn answered(&self, turn: Turn, charged: Option<&ConsumedCapacity>) {
        let parts = [self.part(turn.units)];
        let of_index = self.index.zip(charged).map(|(index, charged)| charged.of_index(index));
        let answered = self.answer(&parts, of_index.as_ref().or(charged), &[]);
        turn.ticket.answered(answered, &mut |_| <_>::default());
    }

    /// It failed.
    pub(crate) fn failed(&self, turn: Turn, failure: &Failure, attempts: &mut Attempts<'_>) {
        let parts = [self.part(turn.units)];
        let reasons = self.reasons(&failure.error);
        let answered = self.answer(&parts, None, &reasons);
        turn.ticket.failed(answered, failure.class, &mut |times| attempts.delay(times));
    }

    /// Why it was throttled: what is said of the index is what its own side calls its table.
    fn reasons<'e>(&self, error: &'e Error) -> Cow<'e, [ThrottlingReason]> {
        let reasons = error.throttling_reasons();
        if self.index.is_none() {
            return Cow::Borrowed(reasons);
        }
        let of_side = |reason: &ThrottlingReason| ThrottlingReason {
            reason: reason.reason.clone(),
            resource: None,
        };
        Cow::Owned(reasons.iter().map(of_side).collect())
    }

    fn answer<'a>(
        &self,
        parts: &'a [Part<'a>],
        charged: Option<&'a ConsumedCapacity>,
        reasons: &'a [ThrottlingReason],
    ) -> Answered<'a> {
        Answered { parts, charged, reasons, is_page: self.units.is_none() }
    }

    fn part(&self, units: f64) -> Part<'_> {
        Part { partition: self.partition, units, left: false }
    }
}

//! What may be sent of a table now.

use std::sync::Arc;

use super::window::Window;
use super::{Limits, engine};
use crate::capacity::write_units;
use crate::error::ThrottlingReason;
use crate::key::Key;
use crate::link::Link;
use crate::pace::{Part, Room, Side, Ticket, Wait};
use crate::rt::Instant;
use crate::store::{Action, TableRef, Write};

/// What may be sent of a table now: so many requests at once, as fast as the table can take it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) pace: Arc<Side>,
    table: TableRef,
    window: Window,
    in_flight: usize,
    /// For what something waits.
    wait: Option<Wait>,
    /// There was no room for as much as there is.
    is_refused: bool,
}

impl Gate {
    pub(super) fn new(link: &Link, limits: Limits) -> Self {
        let window = Window::new(limits.requests_in_flight);
        Self {
            table: link.table.clone(),
            pace: Arc::clone(&link.pace.writes),
            window,
            in_flight: 0,
            wait: None,
            is_refused: false,
        }
    }

    /// One that everything goes through.
    #[cfg(any(test, feature = "internal-bench"))]
    pub(super) fn open() -> Self {
        let table = TableRef { name: "".into(), partition_key: "id", sort_key: None };
        let (pace, window) = (crate::pace::Pace::new().writes, Window::new(usize::MAX));
        Self { pace, table, window, in_flight: 0, wait: None, is_refused: false }
    }

    /// Requests with something of the table.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Forgets what was waited for.
    pub(super) const fn ask_anew(&mut self) {
        (self.wait, self.is_refused) = (None, false);
    }

    /// Whether there was no room for what was asked for first.
    pub(super) const fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// When more may be sent, if that is known.
    pub(super) fn opens(&self) -> Option<Instant> {
        self.wait.map(|wait| wait.until)
    }

    /// Whether only the pace of the table keeps something from being sent.
    pub(super) fn takes_turns(&self) -> bool {
        self.wait.is_some_and(|wait| !wait.is_pause)
    }

    /// How much may be sent of so many writes for one request.
    pub(super) fn room(&mut self, writes: usize) -> Option<Room> {
        if !self.window.is_open(self.in_flight) {
            return None;
        }
        let room = self.pace.room(writes);
        self.is_refused |= room.is_err();
        self.or_wait(room)
    }

    /// Whether writes of this partition key wait for a turn of their own.
    pub(super) fn is_hot(&self, key: &Key) -> bool {
        self.pace.is_hot(key.partition_bytes())
    }

    /// As [`room`](Self::room), of a partition key that is hot.
    pub(super) fn hot_room(&mut self, partition: &[u8], writes: usize) -> Option<Room> {
        let room = self.pace.hot_room(partition, writes);
        self.or_wait(room)
    }

    fn or_wait(&mut self, room: Result<Room, Wait>) -> Option<Room> {
        match room {
            Ok(room) => Some(room),
            Err(wait) => {
                if self.wait.is_none_or(|before| wait.until < before.until) {
                    self.wait = Some(wait);
                }
                None
            }
        }
    }

    /// The units that a write is thought to cost.
    pub(super) fn units(&self, write: &Write) -> f64 {
        match &write.action {
            Action::Single(single) => single.units(),
            _ => write_units(engine::bytes(write, &self.table)),
        }
    }

    /// The writes of a request, for the pace.
    pub(super) fn parts<'a>(
        &self,
        writes: &'a [Write],
        left: impl Fn(usize) -> bool,
    ) -> Vec<Part<'a>> {
        let part = |(place, write): (usize, &'a Write)| Part {
            partition: write.at.key.partition_bytes(),
            units: self.units(write),
            left: left(place),
        };
        writes.iter().enumerate().map(part).collect()
    }

    /// A request is sent with something of the table.
    pub(super) fn sends(&mut self, writes: &[Write]) -> Ticket {
        self.in_flight += 1;
        self.pace.sends(&self.parts(writes, |_| false))
    }

    /// It ended.
    pub(super) const fn ended(&mut self) {
        self.in_flight -= 1;
    }

    /// It was done in full.
    pub(super) fn done(&mut self) {
        self.window.opens();
    }

    /// It was throttled: as long as nobody knows how fast to go on, with fewer requests at once.
    pub(super) fn throttled(&mut self, reasons: &[ThrottlingReason]) {
        // Where a hot partition key is to blame, only its items wait.
        let is_of_keys = !reasons.is_empty() && reasons.iter().all(ThrottlingReason::is_key_range);
        if self.pace.rate().is_none() && !is_of_keys {
            self.window.closes();
        }
    }
}

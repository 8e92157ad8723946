//! Keys that are read together, in the pace of their table, until all are answered or patience ends.

use std::collections::HashMap;

use crate::capacity::{ConsumedCapacity, read_unit};
use crate::error::{Error, ErrorKind};
use crate::link::{Counters, Link};
use crate::logging::Access;
use crate::pace::{self, Part, Room, Side, Ticket, Wait};
use crate::retry::Attempts;
use crate::store::{Answered, Class, Failure, Found, Outcome, Wanted};

/// An answer has 16 MB at most, and what it has no room for is left unprocessed. One with so many bytes of
/// JSON, which are more than those of the items, may be full.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const FULL: usize = 15 << 20;

const OPERATION: &str = "BatchGetItem";

/// At most 100 different keys.
pub(super) struct Chunk<'l> {
    link: &'l Link,
    consistent: bool,
    attempts: Attempts<'l>,
    /// Those that are not answered, and whether they were asked for before.
    left: Vec<(Wanted, bool)>,
    /// One of those that are sent was asked for before.
    is_again: bool,
}

impl<'l> Chunk<'l> {
    pub(super) fn new(link: &'l Link, left: Vec<Wanted>, consistent: bool) -> Self {
        let left = left.into_iter().map(|wanted| (wanted, false)).collect();
        Self { link, consistent, attempts: link.patience.attempts(), left, is_again: false }
    }

    /// Reads all of them, and hands each item on as it is stored.
    pub(super) async fn read(mut self, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        while !self.left.is_empty() {
            let (batch, ticket) = self.turn().await;
            let ended = match self.send(&batch).await {
                Ok(answered) => self.answered(batch, ticket, answered, &mut take),
                Err(failure) => Err(self.failed(batch, ticket, failure)),
            };
            if let Err(failure) = ended {
                let waited = self.attempts.wait(failure).await;
                waited.map_err(|error| self.link.place(error, OPERATION))?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, batch: &[Wanted]) -> Result<Answered<Found>, Failure> {
        let link = self.link;
        Counters::add(&link.counters.read_requests, 1);
        Counters::add(&link.counters.read_retries, usize::from(self.is_again));
        let first = Access::on(OPERATION, &link.table.name);
        let access = Access { items: batch.len(), requests: self.attempts.sent + 1, ..first };
        let request = link.store.batch_get(&link.table, batch, self.consistent);
        access.sent(self.attempts.attempt(request)).await
    }

    /// Waits until something may be sent, and takes as much as may be.
    async fn turn(&mut self) -> (Vec<Wanted>, Ticket) {
        let side = &self.link.pace.reads;
        while let Some(place) = side.place(&mut self.attempts).await {
            let room = loop {
                match side.room(self.left.len()) {
                    Ok(room) => break room,
                    Err(wait) if self.attempts.waits(wait).await => {}
                    Err(_) => return self.all(),
                }
            };
            let wait = match self.take(room) {
                // Nobody else takes the room before.
                Ok(batch) => return self.sends(batch),
                Err(wait) => wait,
            };
            drop(place);
            if !self.attempts.waits(wait).await {
                break;
            }
        }
        self.all()
    }

    /// Patience ends: all are asked for once more.
    fn all(&mut self) -> (Vec<Wanted>, Ticket) {
        let all = std::mem::take(&mut self.left);
        let all = self.batch(all);
        self.sends(all)
    }

    fn sends(&self, batch: Vec<Wanted>) -> (Vec<Wanted>, Ticket) {
        let ticket = self.link.pace.reads.sends(&self.parts(&batch, |_| false));
        (batch, ticket)
    }

    /// Takes as many keys as there is room for; those of hot partition keys only if there is room for these.
    fn take(&mut self, mut room: Room) -> Result<Vec<Wanted>, Wait> {
        let (link, unit) = (self.link, read_unit(self.consistent));
        let side: &Side = &link.pace.reads;
        let mut hot: HashMap<Vec<u8>, Result<Room, Wait>> = HashMap::new();
        let mut goes = |wanted: &Wanted| {
            let partition = wanted.key.partition_bytes();
            if !room.is_open() {
                return false;
            }
            if side.is_hot(partition) {
                let room = hot.entry(partition.to_vec());
                match room.or_insert_with(|| side.hot_room(partition, 1)) {
                    Ok(room) if room.is_open() => room.take(unit),
                    _ => return false,
                }
            }
            room.take(unit);
            true
        };
        let batch: Vec<_> = self.left.extract_if(.., |(wanted, _)| goes(wanted)).collect();
        let first = hot.into_values().filter_map(Result::err).min_by_key(|wait| wait.until);
        match first {
            Some(wait) if batch.is_empty() => Err(wait),
            _ => Ok(self.batch(batch)),
        }
    }

    fn batch(&mut self, batch: Vec<(Wanted, bool)>) -> Vec<Wanted> {
        self.is_again = batch.iter().any(|(_, again)| *again);
        batch.into_iter().map(|(wanted, _)| wanted).collect()
    }

    /// What came is handed on; a failure if it is not known when to ask for the rest.
    fn answered(
        &mut self,
        batch: Vec<Wanted>,
        ticket: Ticket,
        answered: Answered<Found>,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let Answered { value: Found { items, unprocessed }, charged } = answered;
        let charged = charged.of(&self.link.table);
        self.link.counters.spent.read(charged.as_ref());
        Counters::add(&self.link.counters.items_read, items.len());
        for json in &items {
            take(json);
        }
        let is_full = items.iter().map(Vec::len).sum::<usize>() >= FULL;
        let mut parts = self.parts(&batch, |at| unprocessed.contains(&at));
        if is_full {
            parts.retain(|part| !part.left);
        }
        self.learn(ticket, &parts, charged.as_ref());
        let (left, came) = (unprocessed.len(), unprocessed.len() < batch.len());
        if came {
            self.attempts.progressed();
        }
        let mut batch = batch.into_iter().map(Some).collect::<Vec<_>>();
        let again = unprocessed.into_iter().filter_map(|at| batch.get_mut(at)?.take());
        self.left.extend(again.map(|wanted| (wanted, true)));
        let goes_on = came && (is_full || self.side().rate().is_some());
        if left == 0 || goes_on { Ok(()) } else { Err(unprocessed_keys(left)) }
    }

    /// Nothing came, and all are asked for again.
    fn failed(&mut self, batch: Vec<Wanted>, ticket: Ticket, failure: Failure) -> Failure {
        let parts = self.parts(&batch, |_| false);
        let reasons = failure.error.throttling_reasons();
        let answered = pace::Answered { parts: &parts, charged: None, reasons, is_page: false };
        ticket.failed(answered, failure.class, &mut |times| self.attempts.delay(times));
        self.left.extend(batch.into_iter().map(|wanted| (wanted, true)));
        failure
    }

    fn learn(&mut self, ticket: Ticket, parts: &[Part<'_>], charged: Option<&ConsumedCapacity>) {
        let answered = pace::Answered { parts, charged, reasons: &[], is_page: false };
        ticket.answered(answered, &mut |times| self.attempts.delay(times));
    }

    fn parts<'b>(&self, batch: &'b [Wanted], left: impl Fn(usize) -> bool) -> Vec<Part<'b>> {
        let units = read_unit(self.consistent);
        let part = |(at, wanted): (usize, &'b Wanted)| {
            let partition = wanted.key.partition_bytes();
            Part { partition, units, left: left(at) }
        };
        batch.iter().enumerate().map(part).collect()
    }

    fn side(&self) -> &Side {
        &self.link.pace.reads
    }
}

/// A partial throttle is a success with unprocessed keys.
fn unprocessed_keys(count: usize) -> Failure {
    let text =
        format!("the service left {count} keys unprocessed, which is how it throttles a batch");
    Failure {
        class: Class::Throttled,
        outcome: Outcome::NotWritten,
        error: Error::new(ErrorKind::Throttled, text)
            .advise("raise the table's read capacity or the patience"),
    }
}

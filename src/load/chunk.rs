//! Keys that are read together, in the pace of their table, until all are answered or patience ends.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::capacity::read_unit;
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
    attempts: Attempts<'l>,
    keys: Keys<'l>,
}

/// Those that are not answered.
struct Keys<'l> {
    link: &'l Link,
    consistent: bool,
    /// Each with whether it was asked for before.
    left: Vec<(Wanted, bool)>,
}

/// Those of a request.
struct Batch {
    keys: Vec<Wanted>,
    /// One of them was asked for before.
    is_again: bool,
    ticket: Ticket,
}

impl<'l> Chunk<'l> {
    pub(super) fn new(link: &'l Link, left: Vec<Wanted>, consistent: bool) -> Self {
        let left = left.into_iter().map(|wanted| (wanted, false)).collect();
        Self { attempts: link.patience.attempts(), keys: Keys { link, consistent, left } }
    }

    /// Reads all of them, and hands each item on as it is stored.
    pub(super) async fn read(mut self, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        while !self.keys.left.is_empty() {
            let batch = self.turn().await;
            let ended = match self.send(&batch).await {
                Ok(answered) => self.answered(batch, answered, &mut take),
                Err(failure) => Err(self.failed(batch, failure)),
            };
            if let Err(failure) = ended {
                let waited = self.attempts.wait(failure).await;
                waited.map_err(|error| self.keys.link.place(error, OPERATION))?;
            }
        }
        Ok(())
    }

    /// Waits until something may be sent, and takes as much as may be; all of it where patience ends before.
    async fn turn(&mut self) -> Batch {
        let (side, entries) = (self.keys.side(), self.keys.left.len());
        let sent = side.in_turn(&mut self.attempts, entries, |room| self.keys.take(room)).await;
        sent.unwrap_or_else(|| {
            let all = std::mem::take(&mut self.keys.left);
            self.keys.batch(all)
        })
    }

    async fn send(&mut self, batch: &Batch) -> Result<Answered<Found>, Failure> {
        let Keys { link, consistent, .. } = self.keys;
        Counters::add(&link.counters.read_requests, 1);
        Counters::add(&link.counters.read_retries, usize::from(batch.is_again));
        let first = Access::on(OPERATION, &link.table.name);
        let access = Access { items: batch.keys.len(), requests: self.attempts.sent + 1, ..first };
        let request = link.store.batch_get(&link.table, &batch.keys, consistent);
        access.sent(self.attempts.attempt(request)).await
    }

    /// What came is handed on; a failure if it is not known when to ask for the rest.
    fn answered(
        &mut self,
        batch: Batch,
        answered: Answered<Found>,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let Answered { value: Found { items, unprocessed }, charged } = answered;
        let Keys { link, .. } = self.keys;
        let charged = charged.of(&link.table);
        link.counters.spent.read(charged.as_ref());
        Counters::add(&link.counters.items_read, items.len());
        for json in &items {
            take(json);
        }
        let is_full = items.iter().map(Bytes::len).sum::<usize>() >= FULL;
        let mut parts = self.keys.parts(&batch.keys, |at| unprocessed.contains(&at));
        if is_full {
            parts.retain(|part| !part.left);
        }
        let charged = charged.as_ref();
        let answered = pace::Answered { parts: &parts, charged, reasons: &[], is_page: false };
        batch.ticket.answered(answered, &mut |times| self.attempts.delay(times));
        let (left, came) = (unprocessed.len(), unprocessed.len() < batch.keys.len());
        if came {
            self.attempts.progressed();
        }
        let mut keys = batch.keys.into_iter().map(Some).collect::<Vec<_>>();
        self.keys.again(unprocessed.into_iter().filter_map(|at| keys.get_mut(at)?.take()));
        let goes_on = came && (is_full || self.keys.side().rate().is_some());
        if left == 0 || goes_on { Ok(()) } else { Err(unprocessed_keys(left)) }
    }

    /// Nothing came, and all are asked for again.
    fn failed(&mut self, batch: Batch, failure: Failure) -> Failure {
        let parts = self.keys.parts(&batch.keys, |_| false);
        let reasons = failure.error.throttling_reasons();
        let answered = pace::Answered { parts: &parts, charged: None, reasons, is_page: false };
        batch.ticket.failed(answered, failure.class, &mut |times| self.attempts.delay(times));
        self.keys.again(batch.keys);
        failure
    }
}

impl<'l> Keys<'l> {
    /// Takes as many as there is room for; those of hot partition keys only if there is room for these.
    fn take(&mut self, mut room: Room) -> Result<Batch, Wait> {
        let (side, unit) = (self.side(), read_unit(self.consistent));
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

    /// These are sent.
    fn batch(&self, batch: Vec<(Wanted, bool)>) -> Batch {
        let is_again = batch.iter().any(|(_, again)| *again);
        let keys: Vec<_> = batch.into_iter().map(|(wanted, _)| wanted).collect();
        let ticket = self.side().sends(&self.parts(&keys, |_| false));
        Batch { keys, is_again, ticket }
    }

    /// These were asked for and are not answered.
    fn again(&mut self, keys: impl IntoIterator<Item = Wanted>) {
        self.left.extend(keys.into_iter().map(|wanted| (wanted, true)));
    }

    fn parts<'b>(&self, keys: &'b [Wanted], left: impl Fn(usize) -> bool) -> Vec<Part<'b>> {
        let units = read_unit(self.consistent);
        let part = |(at, wanted): (usize, &'b Wanted)| {
            let partition = wanted.key.partition_bytes();
            Part { partition, units, left: left(at) }
        };
        keys.iter().enumerate().map(part).collect()
    }

    fn side(&self) -> &'l Arc<Side> {
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

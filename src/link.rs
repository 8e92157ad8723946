//! A table's connection: the store, the table's name, patience, and what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::capacity::{ConsumedCapacity, Spent, read_unit};
use crate::error::Error;
use crate::key::Key;
use crate::logging::Access;
use crate::pace::{One, Pace};
use crate::progress::Listener;
use crate::retry::{Attempts, Patience};
use crate::spec::IndexSpec;
use crate::store::{Answered, Failure, Reading, Store, TableRef};

/// What the requests of a table cost. HTTP attempts of data calls, retries included.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) read_requests: AtomicU64,
    /// Those of them that were sent again.
    pub(crate) read_retries: AtomicU64,
    pub(crate) write_requests: AtomicU64,
    pub(crate) items_read: AtomicU64,
    pub(crate) items_written: AtomicU64,
    pub(crate) items_deleted: AtomicU64,
    pub(crate) spent: Spent,
}

impl Counters {
    /// Counters publish nothing but themselves.
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// What counts requests, and those that are sent again.
pub(crate) type Counted<'c> = (&'c AtomicU64, Option<&'c AtomicU64>);

/// What a request reads.
#[derive(Clone, Copy)]
pub(crate) enum Read<'r> {
    /// An item, consistently or not.
    Item(&'r Key, bool),
    Page(&'r Reading),
}

/// Everything that a request of a table needs.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableRef,
    pub(crate) patience: Patience,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) listener: Option<Listener>,
}

impl Link {
    /// Sends a read until it is answered or patience ends.
    pub(crate) async fn read<T, F>(
        &self,
        operation: &'static str,
        what: Read<'_>,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let counter = &self.counters.read_requests;
        let (key, one) = match what {
            Read::Item(key, consistent) => (Some(key), self.one_get(key, consistent)),
            Read::Page(reading) => (None, self.one_page(reading)),
        };
        let counters = (counter, Some(&self.counters.read_retries));
        let (value, charged) = self.send((operation, key), one, counters, send).await?;
        self.counters.spent.read(charged.as_ref());
        Ok(value)
    }

    /// Sends a write of an item, which is thought to cost so many units, until it is answered or patience ends.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        (key, units): (&Key, f64),
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let counter = (&self.counters.write_requests, None);
        let one = self.one_write(key, units);
        let (value, charged) = self.send((operation, Some(key)), one, counter, send).await?;
        self.counters.spent.written(charged.as_ref());
        Ok(value)
    }

    /// What was answered, and what the table was charged for it.
    async fn send<T, F>(
        &self,
        (operation, key): (&'static str, Option<&Key>),
        one: One<'_>,
        counters: Counted<'_>,
        send: impl Fn() -> F,
    ) -> Result<(T, Option<ConsumedCapacity>), Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let mut attempts = self.patience.attempts();
        let access = Access { key, ..Access::on(operation, &self.table.name) };
        loop {
            match self.attempt(&one, &mut attempts, counters, access, &send).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => {
                    attempts.wait(failure).await.map_err(|error| self.place(error, operation))?;
                }
            }
        }
    }

    /// Sends a request once, when it is its turn: what was answered, and what the table was charged for it.
    pub(crate) async fn attempt<T, F>(
        &self,
        one: &One<'_>,
        attempts: &mut Attempts<'_>,
        (requests, retries): Counted<'_>,
        access: Access<'_>,
        send: impl FnOnce() -> F,
    ) -> Result<(T, Option<ConsumedCapacity>), Failure>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let turn = one.turn(attempts).await;
        Counters::add(requests, 1);
        if let Some(retries) = retries.filter(|_| attempts.sent > 0) {
            Counters::add(retries, 1);
        }
        let access = Access { requests: attempts.sent + 1, ..access };
        match access.sent(attempts.attempt(send())).await {
            Ok(Answered { value, charged }) => {
                let charged = charged.of(&self.table);
                one.answered(turn, charged.as_ref());
                Ok((value, charged))
            }
            Err(failure) => {
                one.failed(turn, &failure, attempts);
                Err(failure)
            }
        }
    }

    /// A write of an item that is thought to cost so many units.
    pub(crate) fn one_write<'k>(&self, key: &'k Key, units: f64) -> One<'k> {
        let side = Arc::clone(&self.pace.writes);
        One { side, partition: key.partition_bytes(), units: Some(units), index: None }
    }

    fn one_get<'k>(&self, key: &'k Key, consistent: bool) -> One<'k> {
        let (side, units) = (Arc::clone(&self.pace.reads), Some(read_unit(consistent)));
        One { side, partition: key.partition_bytes(), units, index: None }
    }

    fn one_page(&self, reading: &Reading) -> One<'static> {
        let index = reading.index.filter(|index| !index.is_local()).map(IndexSpec::name);
        let side = match index {
            Some(index) => self.pace.index_reads(index),
            None => Arc::clone(&self.pace.reads),
        };
        One { side, partition: &[], units: None, index }
    }

    /// Adds to an error where it happened.
    pub(crate) fn place(&self, error: Error, operation: &'static str) -> Error {
        error.during(operation).on_table(&self.table.name)
    }
}

//! A table's connection: the store, the table's name, patience, and what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::capacity::Spent;
use crate::error::Error;
use crate::key::Key;
use crate::logging::Access;
use crate::pace::Pace;
use crate::retry::Patience;
use crate::store::{Answered, Failure, Store, TableRef};

/// What the requests of a table cost. HTTP attempts of data calls, retries included.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) read_requests: AtomicU64,
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

/// Everything that a request of a table needs.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableRef,
    pub(crate) patience: Patience,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pace: Arc<Pace>,
}

impl Link {
    /// Sends a read until it is answered or patience ends. `key`: that of the item, if it is one.
    pub(crate) async fn read<T, F>(
        &self,
        operation: &'static str,
        key: Option<&Key>,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let answered = self.send(operation, key, &self.counters.read_requests, send).await?;
        self.counters.spent.read(answered.charged.of(&self.table).as_ref());
        Ok(answered.value)
    }

    /// Sends a write of an item until it is answered or patience ends.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        key: &Key,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let counter = &self.counters.write_requests;
        let answered = self.send(operation, Some(key), counter, send).await?;
        self.counters.spent.written(answered.charged.of(&self.table).as_ref());
        Ok(answered.value)
    }

    async fn send<T, F>(
        &self,
        operation: &'static str,
        key: Option<&Key>,
        counter: &AtomicU64,
        send: impl Fn() -> F,
    ) -> Result<Answered<T>, Error>
    where
        F: Future<Output = Result<Answered<T>, Failure>>,
    {
        let mut attempts = self.patience.attempts();
        loop {
            Counters::add(counter, 1);
            let first = Access::on(operation, &self.table.name);
            let access = Access { key, requests: attempts.sent + 1, ..first };
            match access.sent(attempts.attempt(send())).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => {
                    attempts.wait(failure).await.map_err(|error| self.place(error, operation))?;
                }
            }
        }
    }

    /// Adds to an error where it happened.
    pub(crate) fn place(&self, error: Error, operation: &'static str) -> Error {
        error.during(operation).on_table(&self.table.name)
    }
}

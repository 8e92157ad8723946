//! Batches of puts and deletes without a cache.

use std::future::IntoFuture;
use std::pin::Pin;

use super::Table;
use crate::codec::key_json;
use crate::key::{Key, KeyLookup};
use crate::record::Record;
use crate::store::{Action, Operation};
use crate::write::{Fixed, FlushError, FlushReport, Limits};

/// Puts and deletes of [`Table::batch_write`]; awaiting it sends them.
#[must_use = "nothing is written until it is awaited"]
pub struct BatchWrite<'t, T> {
    table: &'t Table<T>,
    writes: Fixed,
}

impl<T> std::fmt::Debug for BatchWrite<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchWrite").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<'t, T: Record> BatchWrite<'t, T> {
    pub(super) fn new(table: &'t Table<T>) -> Self {
        Self { table, writes: Fixed::default() }
    }

    /// Puts a record, replacing the item of its key with all its attributes.
    ///
    /// A record that cannot be stored is reported when the batch is sent; the others are written.
    pub fn put(mut self, record: &T) -> Self {
        match self.table.stored(record) {
            Ok((key, item)) => self.writes.add(key, Action::Put(item)),
            Err(error) => self.writes.refuse(Key::new(&record.key()).ok(), Operation::Put, error),
        }
        self
    }

    /// Puts records.
    pub fn puts(self, records: impl IntoIterator<Item = T>) -> Self {
        records.into_iter().fold(self, |batch, record| batch.put(&record))
    }

    /// Deletes the record of a key; it need not exist.
    pub fn delete<K: KeyLookup<T::Key>>(mut self, key: K) -> Self {
        match self.table.checked_key(&key) {
            Ok(key) => {
                let action = Action::Delete(key_json::<T>(&key));
                self.writes.add(key, action);
            }
            Err(error) => self.writes.refuse(None, Operation::Delete, error),
        }
        self
    }

    /// Deletes the records of keys.
    pub fn deletes<K: KeyLookup<T::Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, BatchWrite::delete)
    }

    /// Sends the batch; the same as awaiting it.
    ///
    /// # Errors
    ///
    /// [`FlushError`] with the exact report of what was written and what was not; records that
    /// cannot be stored are in it, the others are written.
    ///
    /// # Cancel safety
    ///
    /// Dropped, any part may be written; writing all of it again is safe.
    pub async fn send(self) -> Result<FlushReport, FlushError> {
        match self.table.ready().await {
            Ok(link) => self.writes.send(&link, Limits::default()).await,
            Err(error) => Err(self.writes.unsent(&self.table.shown_name(), &error)),
        }
    }
}

impl<'t, T: Record> IntoFuture for BatchWrite<'t, T> {
    type Output = Result<FlushReport, FlushError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

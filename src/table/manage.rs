//! A table as a whole: making, changing, describing, deleting it.

use std::time::Duration;

use super::Table;
use crate::capacity::Consumption;
use crate::database::{Look, TableDescription, Wanting};
use crate::error::Error;
use crate::manage::{self, CreateIfMissing, DEFAULT_TIMEOUT, UpdateTable};
use crate::record::Record;
use crate::retry::Patience;
use crate::spec::TableSpec;

impl<T: Record> Table<T> {
    /// Creates the table if it does not exist and waits until it can be used.
    ///
    /// With the units that the record has, or [these](CreateIfMissing::provisioned); else on demand.
    /// An existing table is left as it is, but its keys must be the record's, and it must have the
    /// record's indexes with the same keys and at least their attributes: see [`ensure`](Self::ensure).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableMismatch`](crate::ErrorKind::TableMismatch) if it exists and differs, with all
    /// that differs, [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it is not active in time, or
    /// why it could not be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the table may be created all the same; calling it again goes on.
    pub fn create_if_missing(&self) -> CreateIfMissing {
        let (database, name) = (self.database.clone(), self.name.clone());
        CreateIfMissing::new(database, name, TableSpec::of::<T>(), Wanting::Record)
    }

    /// Makes the table as the record says: creates it if it does not exist, adds the global indexes
    /// that an existing one lacks, and lets its items expire by the attribute with `#[record(ttl)]`.
    /// Waits until all of it can be used.
    ///
    /// Nothing is taken away: other indexes stay, as do the units of a table that exists
    /// ([`update_table`](Self::update_table) changes them). A table without TTL on the record keeps
    /// the one that it has.
    ///
    /// # Errors
    ///
    /// As for [`create_if_missing`](Self::create_if_missing): keys, and indexes with other keys or
    /// fewer attributes, cannot be changed, and local indexes not be added.
    ///
    /// # Cancel safety
    ///
    /// Dropped, some of it may be done; calling it again goes on.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// use memory_table::{Database, Record};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Record, Serialize, Deserialize, Clone)]
    /// #[record(table = "sessions", global_index(name = "by-user", partition_key = user))]
    /// struct Session {
    ///     #[record(partition_key)]
    ///     id: String,
    ///     user: String,
    ///     #[record(ttl)]
    ///     expires: i64,
    /// }
    ///
    /// let sessions = Database::embedded()?.table::<Session>();
    /// sessions.ensure().await?;
    /// assert_eq!(sessions.time_to_live().await?.as_deref(), Some("expires"));
    /// # Ok(()) }
    /// ```
    pub fn ensure(&self) -> CreateIfMissing {
        self.create_if_missing().adding()
    }

    /// Changes the table: its capacity, its global indexes, by which attribute its items expire. Sends
    /// what differs, waits until it is done, and says how the table is then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`](crate::ErrorKind::TableNotFound) if there is none,
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it cannot become so,
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it is not done in time, or why the service
    /// refused it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, some of it may be done; calling it again goes on.
    pub fn update_table(&self) -> UpdateTable {
        UpdateTable::new(self.database.clone(), self.name.clone())
    }

    /// Deletes the table with all its items and waits until it is gone; `false` if there was none.
    ///
    /// # Errors
    ///
    /// Why it could not be deleted; [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it is still
    /// there after five minutes.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the table may be deleted all the same; calling it again goes on.
    pub async fn delete_table(&self) -> Result<bool, Error> {
        manage::delete(&self.database, &self.name.clone()?, DEFAULT_TIMEOUT).await
    }

    /// What the service says of the table; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Why it could not be asked.
    pub async fn describe(&self) -> Result<Option<TableDescription>, Error> {
        let name = self.name.clone()?;
        self.database.describe(&name, &self.database.default_patience()).await
    }

    /// As [`describe`](Self::describe), without patience.
    pub(crate) async fn describe_once(&self) -> Result<Option<TableDescription>, Error> {
        let name = self.name.clone()?;
        let patience = Patience { patience: Duration::ZERO, ..self.patience() };
        self.database.describe(&name, &patience).await
    }

    /// The attribute by which items expire, or `None` if they do not. The service takes up to an hour
    /// to begin with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`](crate::ErrorKind::TableNotFound) if there is no table, or why it
    /// could not be asked.
    pub async fn time_to_live(&self) -> Result<Option<String>, Error> {
        manage::time_to_live(&self.database, &self.name.clone()?).await
    }

    /// Units of capacity that the service charged for reads and writes by this value and its clones, by
    /// the table and its indexes.
    #[must_use]
    pub fn consumption(&self) -> Consumption {
        self.counters.spent.so_far()
    }

    /// Whether the table exists, be it that it is still being created or deleted.
    ///
    /// # Errors
    ///
    /// Why the service could not be asked.
    pub async fn exists(&self) -> Result<bool, Error> {
        let name = self.name.clone()?;
        let look = self.database.look(&name, &self.database.default_patience()).await?;
        Ok(!matches!(look, Look::Gone(_)))
    }
}

//! Typed tables without a cache.

mod batch;
mod batch_get;
mod guarded;
mod increment;
mod insert;
mod manage;
mod pace;
mod progress;
mod query;
mod read;
mod scan;
mod save;
mod sending;
mod tracked;
mod update;
mod writing;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use batch::BatchWrite;
pub use batch_get::{BatchGet, Found};
pub use guarded::PutGuarded;
pub use query::{IndexTable, Query, SortKey};
pub use read::cursor::Cursor;
pub use read::shape::{
    Cached, Followed, IndexShape, Selectable, Selected, Shape, Unselected, Whole,
};
pub use read::{BadItems, Page};
pub use save::{DeleteGuarded, Save};
pub use scan::Scan;
pub use tracked::Tracked;
pub use update::Update;

pub(crate) use read::{
    AddedTo, Overlay, Part, PartPage, Place, Places, RawPage, RawPages, Reader, Walk, Wanted,
    cursor_keys, parts, skipped,
};

use crate::capacity::write_units;
use crate::codec::{CodecError, EncodedItem, encode, measure};
use crate::database::Database;
use crate::error::{Error, ErrorKind};
use crate::index::Index;
use crate::key::{AttributeLookup, Key, KeyBytes, KeyLookup, KeyRef, QueryShape};
use crate::link::{Counters, Link};
use crate::load;
use crate::progress::Listener;
use crate::record::{Before, Record, is_same};
use crate::retry::Patience;
use crate::store::TableRef;
use crate::types::Attributes;
use crate::validation::invalid_fields;

/// How many requests of one call are in flight at once: enough to hide the latency of the network,
/// few enough not to open a connection each.
pub(crate) const DEFAULT_IN_FLIGHT: usize = 16;

/// The table of a record type: typed calls without a cache.
///
/// Every call is retried for 60 s without progress. Before the first request that touches data, the
/// real table's keys and indexes are compared with the record's, asked for once for each table and
/// database; where describing the table is denied, that is skipped with a warning.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use memory_table::{Database, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     rating: f64,
/// }
///
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
/// let ada = Player { name: "ada".into(), rating: 1500.0 };
/// players.put(&ada).await?;
/// assert_eq!(players.get("ada").await?, Some(ada.clone()));
/// assert_eq!(players.delete("ada").await?, Some(ada));
/// assert_eq!(players.get("ada").await?, None);
/// # Ok(()) }
/// ```
pub struct Table<T> {
    database: Database,
    /// The full name, or why it is none or an option makes no sense: said by the first call.
    name: Result<Arc<str>, Error>,
    counters: Arc<Counters>,
    /// In place of the database's.
    patience: Option<Patience>,
    /// Who is told how far long work has come.
    listener: Option<Listener>,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            name: self.name.clone(),
            counters: Arc::clone(&self.counters),
            patience: self.patience.clone(),
            listener: self.listener.clone(),
            record: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: Record> Table<T> {
    pub(crate) fn new(database: Database, name: &str) -> Self {
        let name = database.full_name(name);
        let (counters, record) = (Arc::default(), PhantomData);
        Self { database, name, counters, patience: None, listener: None, record }
    }

    /// The name of the table as the service knows it, prefix included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if it is no name of a table.
    pub fn name(&self) -> Result<&str, Error> {
        self.name.as_deref().map_err(Error::clone)
    }

    /// The name for reports, also where it is no legal one.
    pub(crate) fn shown_name(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|_| T::TABLE.into())
    }

    /// The database of the table.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Whether both are one table of one database.
    pub(crate) fn is_same(&self, other: &Self) -> Result<bool, Error> {
        Ok(self.database.is_same(&other.database) && self.name()? == other.name()?)
    }

    /// The same table with a patience of its own, whose requests are counted elsewhere.
    pub(crate) fn apart(&self, patience: Patience, counters: Arc<Counters>) -> Self {
        Self { patience: Some(patience), counters, ..self.clone() }
    }

    fn patience(&self) -> Patience {
        self.patience.clone().unwrap_or_else(|| self.database.default_patience())
    }

    /// The link, after the table's keys were compared with the record's.
    pub(crate) async fn ready(&self) -> Result<Link, Error> {
        let name = self.name.clone()?;
        let link = Link {
            store: Arc::clone(self.database.store()),
            pace: self.database.pace(&name),
            table: TableRef::of::<T>(name),
            patience: self.patience(),
            counters: Arc::clone(&self.counters),
            listener: self.listener.clone(),
        };
        self.database.check_schema::<T>(&link.table.name, &link.patience).await?;
        Ok(link)
    }

    /// The record of a key, or `None`. Eventually consistent: a write of the last second may be
    /// missing. See [`get_consistent`](Self::get_consistent).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] without a request, [`ErrorKind::InvalidItem`] if the stored item
    /// does not fit the type, or why it could not be read.
    pub async fn get<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<T>, Error> {
        self.get_with(&key, false).await
    }

    /// The record of a key, or `None`, as the last successful write left it; costs twice the read
    /// units of [`get`](Self::get).
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn get_consistent<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<T>, Error> {
        self.get_with(&key, true).await
    }

    /// The item of a key as it is stored, whatever the record's type makes of it, or `None`. Reads
    /// consistently.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, Record};
    /// # use memory_table::aws_sdk_dynamodb::types::AttributeValue;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), rating: 1500.0 }).await?;
    /// let item = players.get_item("ada").await?.expect("an item");
    /// assert_eq!(item["rating"], AttributeValue::N("1500".into()));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), but any item is fine.
    pub async fn get_item<K: KeyLookup<T::Key>>(
        &self,
        key: K,
    ) -> Result<Option<Attributes>, Error> {
        let key = self.checked_key(&key)?;
        let link = self.ready().await?;
        load::get_item::<T>(&link, &key).await
    }

    async fn get_with<K: KeyLookup<T::Key>>(
        &self,
        key: &K,
        consistent: bool,
    ) -> Result<Option<T>, Error> {
        let key = self.checked_key(key)?;
        let link = self.ready().await?;
        Ok(load::get::<T>(&link, &key, consistent).await?.map(|decoded| decoded.record))
    }

    /// The records of any number of keys, 100 a request, and which keys have none; keys may be
    /// repeated. Eventually consistent unless asked otherwise.
    ///
    /// Keys that the service leaves unprocessed are asked for again.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); one item that does not fit the type fails the call, unless
    /// [`bad_items`](BatchGet::bad_items) says otherwise.
    pub fn batch_get<K: KeyLookup<T::Key>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> BatchGet<'_, T> {
        BatchGet::new(self, keys)
    }

    /// Writes a record, replacing the item of its key, if there is one, with all its attributes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRecord`] and [`ErrorKind::InvalidKey`] without a request, or why it
    /// could not be written; after a timeout it may have been written all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not; putting it again is safe.
    pub async fn put(&self, record: &T) -> Result<(), Error> {
        let (key, item) = self.stored(record)?;
        let link = self.ready().await?;
        let units = write_units(item.size);
        let written =
            link.write("PutItem", (&key, units), || link.store.put(&link.table, &item)).await;
        written.map_err(|error| error.on_key(&key))?;
        Counters::add(&link.counters.items_written, 1);
        Ok(())
    }

    /// Deletes a record in one request and returns it; `None` if there was none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] without a request, or why it could not be deleted. If what was
    /// deleted does not fit the type, that is an error too, and it is deleted. A retry after an
    /// answer that was lost returns `None` for what the first attempt deleted.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be deleted or not; deleting it again is safe.
    pub async fn delete<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<T>, Error> {
        let key = self.checked_key(&key)?;
        let link = self.ready().await?;
        let wanted = load::wanted::<T>(&key);
        let deleted =
            link.write("DeleteItem", (&key, 1.0), || link.store.delete(&link.table, &wanted)).await;
        let deleted = deleted.map_err(|error| error.on_key(&key))?;
        Counters::add(&link.counters.items_deleted, usize::from(deleted.is_some()));
        let decoded = deleted.map(|json| load::read_item::<T>(&link, &json)).transpose()?;
        Ok(decoded.map(|decoded| decoded.record))
    }

    /// Puts and deletes any number of records, 25 a request; of several for one key the last holds.
    ///
    /// Items that the service leaves unprocessed are sent again until 60 s pass without progress.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let new = (0..30).map(|n| Player { name: format!("player {n}") });
    /// let report = players.batch_write().puts(new).delete("ada").await?;
    /// assert_eq!((report.written, report.deleted, report.requests), (30, 1, 2));
    /// # Ok(()) }
    /// ```
    pub fn batch_write(&self) -> BatchWrite<'_, T> {
        BatchWrite::new(self)
    }

    /// The records of a partition, in the order of their sort keys. Eventually consistent unless
    /// asked otherwise.
    pub fn query(
        &self,
        partition: impl AttributeLookup<<T::Key as QueryShape>::Partition>,
    ) -> Query<T> {
        Query::new(self.clone(), None, &partition)
    }

    /// All records, in no order. Eventually consistent unless asked otherwise.
    pub fn scan(&self) -> Scan<T> {
        Scan::new(self.clone(), None)
    }

    /// An index of the table, to be queried or scanned: `stores.index(Store::INDEXES.by_company)`.
    pub fn index<K, A>(&self, index: Index<T, K, A>) -> IndexTable<T, K, A> {
        IndexTable { table: self.clone(), index }
    }

    pub(crate) fn checked_key<K: KeyLookup<T::Key>>(&self, key: &K) -> Result<Key, Error> {
        self.checked_bytes(key).map(|bytes| Key::from_bytes(&bytes))
    }

    /// What a key is looked up by.
    pub(crate) fn checked_bytes<K: KeyLookup<T::Key>>(&self, key: &K) -> Result<KeyBytes, Error> {
        self.bytes_of(&key.key())
    }

    pub(crate) fn key_of(&self, record: &T) -> Result<Key, Error> {
        self.bytes_of(&record.key()).map(|bytes| Key::from_bytes(&bytes))
    }

    pub(crate) fn bytes_of(&self, key: &KeyRef<'_>) -> Result<KeyBytes, Error> {
        Key::bytes_of(key).map_err(|error| self.place(Error::from(error)))
    }

    /// What is to be stored in place of a record, if anything: as its `before_store` wants it, with its
    /// times.
    pub(crate) fn hooked(&self, record: &T, before: Before<'_, T>) -> Result<Option<T>, Error> {
        if !T::HAS_HOOKS {
            return Ok(None);
        }
        let key = self.key_of(record)?;
        let refused = |text: String| {
            let error = Error::new(ErrorKind::InvalidRecord, text).on_key(&key);
            self.place(error).advise("nothing changed")
        };
        let changed = record.before_store().map_err(|source| {
            let text = invalid_fields(&source);
            let by_hook = || "its `before_store` refused the record".to_owned();
            refused(text.unwrap_or_else(by_hook)).caused_by(source)
        })?;
        match changed.as_ref().map(|changed| self.key_of(changed)).transpose()? {
            Some(other) if other != key => {
                Err(refused(format!("its `before_store` changed the record's key to {other}")))
            }
            _ if T::HAS_TIMES => {
                let record = changed.unwrap_or_else(|| record.clone());
                Ok(Some(self.timed(record, before)))
            }
            _ => Ok(changed),
        }
    }

    /// The record with the time of its change, if it is one, and of its making.
    fn timed(&self, mut record: T, before: Before<'_, T>) -> T {
        if let Before::Record(before) = before {
            record.keep_times(before);
            let mut compared = record.clone();
            // Its version is not the caller's to change.
            compared.set_version(before.version());
            if is_same(&compared, before) {
                return record;
            }
        }
        // One with a version comes from what is stored.
        let is_new = matches!(before, Before::Nothing) && record.version() == 0;
        record.set_times(self.database.now(), is_new);
        record
    }

    /// The key and form of what is to be stored for a record.
    pub(crate) fn stored(&self, record: &T) -> Result<(Key, EncodedItem), Error> {
        let changed = self.hooked(record, Before::Nothing)?;
        self.encoded(changed.as_ref().unwrap_or(record))
    }

    /// A record's key and form, checked as far as that is possible without the service.
    pub(crate) fn encoded(&self, record: &T) -> Result<(Key, EncodedItem), Error> {
        let key = self.key_of(record)?;
        let item = encode(record, &key).map_err(|error| self.unstorable(&key, &error))?;
        Ok((key, item))
    }

    /// A record's key and the size of its item, checked in the same way.
    pub(crate) fn measured(&self, record: &T) -> Result<(Key, usize), Error> {
        let key = self.key_of(record)?;
        let size = self.size_of(record, &key)?;
        Ok((key, size))
    }

    /// The size of the item of a record of this key, checked in the same way.
    pub(crate) fn size_of(&self, record: &T, key: &Key) -> Result<usize, Error> {
        measure(record, key).map_err(|error| self.unstorable(key, &error))
    }

    fn unstorable(&self, key: &Key, why: &CodecError) -> Error {
        self.place(Error::new(ErrorKind::InvalidRecord, why.to_string()).on_key(key))
            .advise("nothing was sent")
    }

    pub(crate) fn place(&self, error: Error) -> Error {
        match &self.name {
            Ok(name) => error.on_table(name),
            Err(_) => error,
        }
    }
}

//! Reads of many records by their keys.

use std::collections::HashMap;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::read::{BadItems, skipped};
use super::{DEFAULT_IN_FLIGHT, Table};
use crate::codec::Decoded;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::link::Link;
use crate::load;
use crate::record::Record;
use crate::store::MAX_BATCH_GET;

/// What a [`BatchGet`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found<T> {
    /// The records by their keys.
    pub records: HashMap<Key, T>,
    /// The keys that have no record, in the order in which they were asked for.
    pub absent: Vec<Key>,
    /// The items that do not fit the type, if they are to be [reported](BadItems::Report). Each error
    /// names its key.
    pub bad: Vec<Error>,
}

impl<T: Record> Found<T> {
    /// The record of a key, if it was found.
    #[must_use]
    pub fn get<K: KeyLookup<T::Key>>(&self, key: K) -> Option<&T> {
        self.records.get(&Key::new(&key.key()).ok()?)
    }

    /// How many records were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// Reads any number of records by their keys, 100 a request; awaiting it runs it. Made by
/// [`Table::batch_get`].
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{Database, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// # let players = Database::embedded()?.table::<Player>();
/// # players.create_if_missing().await?;
/// players.put(&Player { name: "ada".into() }).await?;
/// let found = players.batch_get(["ada", "bob", "ada"]).consistent().await?;
/// assert_eq!(found.get("ada").map(|player| &*player.name), Some("ada"));
/// assert_eq!(found.absent[0].to_string(), r#""bob""#);
/// # Ok(()) }
/// ```
#[must_use = "nothing is read until it is awaited"]
pub struct BatchGet<'t, T> {
    table: &'t Table<T>,
    keys: Result<Vec<Key>, Error>,
    consistent: bool,
    bad_items: BadItems,
}

impl<T> fmt::Debug for BatchGet<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.as_ref().map_or(0, Vec::len);
        f.debug_struct("BatchGet").field("table", self.table).field("keys", &keys).finish()
    }
}

impl<'t, T: Record> BatchGet<'t, T> {
    pub(super) fn new<K: KeyLookup<T::Key>>(
        table: &'t Table<T>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        let keys =
            keys.into_iter().map(|key| table.checked_key(&key)).collect::<Result<Vec<_>, _>>();
        Self {
            table,
            keys: keys.map(load::distinct),
            consistent: false,
            bad_items: BadItems::default(),
        }
    }

    /// Reads consistently, at twice the read units.
    ///
    /// Default: eventually consistent.
    pub const fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// What becomes of items that do not fit the type.
    ///
    /// Default: [`BadItems::Fail`].
    pub const fn bad_items(mut self, policy: BadItems) -> Self {
        self.bad_items = policy;
        self
    }

    async fn run(self) -> Result<Found<T>, Error> {
        let keys = self.keys?;
        let mut found = Found { records: HashMap::new(), absent: Vec::new(), bad: Vec::new() };
        if keys.is_empty() {
            return Ok(found);
        }
        let (link, consistent) = (&self.table.ready().await?, self.consistent);
        let chunks: Vec<Vec<Key>> = keys.chunks(MAX_BATCH_GET).map(<[Key]>::to_vec).collect();
        let chunks = chunks.into_iter().map(|chunk| read(link, chunk, consistent));
        let chunks = stream::iter(chunks).buffer_unordered(DEFAULT_IN_FLIGHT);
        let chunks: Vec<_> = chunks.try_collect().await?;
        let mut bad = Vec::new();
        found.records.reserve(keys.len());
        for read in chunks.into_iter().flatten() {
            match read {
                Ok(Decoded { key, record, .. }) => {
                    found.records.insert(key, record);
                }
                Err(error) if self.bad_items == BadItems::Fail => return Err(error),
                Err(error) => bad.push(error),
            }
        }
        found.absent = absent(keys, &found.records, &bad)?;
        match self.bad_items {
            BadItems::Report => found.bad = bad,
            _ => bad.iter().for_each(skipped),
        }
        Ok(found)
    }
}

type Read<T> = Result<Decoded<T>, Error>;

async fn read<T: Record>(
    link: &Link,
    keys: Vec<Key>,
    consistent: bool,
) -> Result<Vec<Read<T>>, Error> {
    let mut records = Vec::with_capacity(keys.len());
    load::chunk(link, &keys, consistent, &mut records).await?;
    Ok(records)
}

/// The keys that have neither a record nor an item that does not fit.
fn absent<T>(keys: Vec<Key>, records: &HashMap<Key, T>, bad: &[Error]) -> Result<Vec<Key>, Error> {
    let nameless = || Error::new(ErrorKind::InvalidItem, "an item came without its key");
    let bad: Vec<&Key> =
        bad.iter().map(|error| error.key().ok_or_else(nameless)).collect::<Result<_, _>>()?;
    Ok(keys.into_iter().filter(|key| !records.contains_key(key) && !bad.contains(&key)).collect())
}

impl<'t, T: Record> IntoFuture for BatchGet<'t, T> {
    type Output = Result<Found<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

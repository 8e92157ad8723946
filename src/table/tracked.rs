//! Records that know what is stored of them.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::writing::Saved;
use crate::codec::{Decoded, Kept};
use crate::error::Error;
use crate::load;
use crate::record::{Record, is_same};

/// A record and what is stored of it, to be changed and [saved](crate::Table::save) any number of times.
///
/// [`get_tracked`](crate::Table::get_tracked) loads one, as do the queries and scans that are
/// [`tracked`](super::Query::tracked); a [new](Self::new) one is stored nowhere yet. It is used as the
/// record itself.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{Database, ErrorKind, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String, rating: i32 }
/// use memory_table::Tracked;
///
/// # let players = Database::embedded()?.table::<Player>();
/// # players.create_if_missing().await?;
/// let mut ada = Tracked::new(Player { name: "ada".into(), rating: 1500 });
/// players.save(&mut ada).await?;
/// ada.rating += 12;
/// players.save(&mut ada).await?;
///
/// let mut late = players.get_tracked("ada").await?.expect("a record");
/// ada.rating += 1;
/// players.save(&mut ada).await?;
/// late.rating -= 10;
/// let conflict = players.save(&mut late).await;
/// assert_eq!(conflict.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
/// assert_eq!(players.get("ada").await?.map(|ada| ada.rating), Some(1513));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tracked<T> {
    pub(super) record: T,
    /// `None`: nothing is.
    pub(super) stored: Option<Snapshot<T>>,
}

/// What is stored of a record.
#[derive(Clone)]
pub(super) struct Snapshot<T> {
    pub(super) item: Vec<u8>,
    /// The record that it makes.
    pub(super) loaded: T,
    pub(super) kept: Option<Kept>,
}

impl<T> Tracked<T> {
    /// A record that is stored nowhere: the first save inserts it.
    pub const fn new(record: T) -> Self {
        Self { record, stored: None }
    }

    /// Whether nothing is stored of it: it was never saved, or was deleted since.
    pub const fn is_new(&self) -> bool {
        self.stored.is_none()
    }

    /// The record as it was loaded or saved last; `None` if it is [new](Self::is_new).
    pub fn stored(&self) -> Option<&T> {
        self.stored.as_ref().map(|snapshot| &snapshot.loaded)
    }

    /// The record alone.
    pub fn into_inner(self) -> T {
        self.record
    }
}

impl<T: Record> Tracked<T> {
    pub(super) fn loaded(decoded: Decoded<T>, item: Vec<u8>) -> Self {
        let Decoded { record, kept, .. } = decoded;
        let stored = Some(Snapshot { item, loaded: record.clone(), kept });
        Self { record, stored }
    }

    /// Whether the record is still what was loaded.
    pub(super) fn is_unchanged(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| is_same(&self.record, &stored.loaded))
    }

    /// Goes on from what was saved.
    pub(super) fn settle(&mut self, saved: Saved<T>) -> Result<(), Error> {
        let (Some(record), Some(item)) = (saved.record, saved.item) else {
            self.stored = None;
            return Ok(());
        };
        let decoded = load::read_item::<T>(&saved.link, &item).map_err(|error| {
            let text = "the record was saved, and what is stored now cannot be read";
            let unreadable = Error::new(error.kind(), text).on_table(&saved.link.table.name);
            match error.key() {
                Some(key) => unreadable.on_key(key).caused_by(error.clone()),
                None => unreadable.caused_by(error),
            }
        })?;
        *self = Self::loaded(decoded, item);
        if is_same(&record, &self.record) {
            // It has the fields too that are not stored.
            self.record = record;
        }
        Ok(())
    }
}

impl<T> From<T> for Tracked<T> {
    fn from(record: T) -> Self {
        Self::new(record)
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.record
    }
}

impl<T: fmt::Debug> fmt::Debug for Tracked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_new = self.is_new();
        f.debug_struct("Tracked")
            .field("record", &self.record)
            .field("is_new", &is_new)
            .finish_non_exhaustive()
    }
}

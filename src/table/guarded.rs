//! Writes under a condition and of some attributes, without a cache.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use super::Table;
use super::writing::Writing;
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode, OnConflict};
use crate::record::{Before, Record};

/// A record that [`Table::put_guarded`] writes; awaiting it does.
#[must_use = "nothing is written until it is awaited"]
pub struct PutGuarded<'t, T> {
    table: &'t Table<T>,
    base: Option<T>,
    record: T,
    guard: Guard,
    policy: OnConflict<T>,
}

impl<T> fmt::Debug for PutGuarded<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, guard, policy) = (&self.table, &self.guard, &self.policy);
        let mut shown = f.debug_struct("PutGuarded");
        shown.field("table", table).field("guard", guard).field("on_conflict", policy).finish()
    }
}

impl<'t, T: Record> PutGuarded<'t, T> {
    /// What must still be stored as it was loaded.
    ///
    /// Default: [`Guard::Version`] for a record with `#[record(version)]`, else [`Guard::Item`].
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// What becomes of the write if others changed the item.
    ///
    /// Default: [`OnConflict::Fail`].
    pub fn on_conflict(mut self, policy: OnConflict<T>) -> Self {
        self.policy = policy;
        self
    }
}

impl<'t, T: Record> IntoFuture for PutGuarded<'t, T> {
    type Output = Result<Option<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { table, base, record, guard, policy } = self;
            let mut writing =
                Writing::new(table, record, base.as_ref().into(), guarded(table, guard)?, policy)?;
            if let Some(base) = base {
                writing = writing.over(base)?;
            }
            Ok(writing.write().await?.record)
        })
    }
}

/// How records of a type are guarded if nothing is said.
pub(super) const fn default_guard<T: Record>() -> Guard {
    if T::VERSION.is_some() { Guard::Version } else { Guard::Item }
}

/// A mode that records of the type can be written in.
pub(super) fn guarded<T: Record>(table: &Table<T>, guard: Guard) -> Result<Mode, Error> {
    if guard == Guard::Version && T::VERSION.is_none() {
        let text = "`Guard::Version` needs `#[record(version)]` on a field of the record";
        return Err(table.place(Error::new(ErrorKind::Configuration, text)));
    }
    Ok(Mode::Guarded(guard))
}

impl<T: Record> Table<T> {
    /// Writes a record on the condition that nobody else changed it since it was loaded as `base`;
    /// without a base there must be none, unless the record has a version above 0: then that must be
    /// stored. Only the attributes that changed are sent. Returns the record as it is stored, with its
    /// new version, or as it was merged; `None` if the merge deleted it.
    ///
    /// The base says what the record's type knows of the item: what it does not know stays, and is not
    /// guarded. What others changed that [`Guard::Fields`] does not guard stays too, and is not in the
    /// record that is returned. If the answer is lost, it is sent again, and what it meets counts as its
    /// own if that is what was sent; where somebody changed that before it was heard of, it is a conflict
    /// like others.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, ErrorKind, OnConflict, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: i32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let ada = |rating| Player { name: "ada".into(), rating };
    /// players.put_guarded(None, &ada(1500)).await?;
    /// players.put_guarded(Some(&ada(1500)), &ada(1512)).await?;
    /// let late = players.put_guarded(Some(&ada(1500)), &ada(1490)).await;
    /// assert_eq!(late.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    ///
    /// let both = OnConflict::merge(|base: Option<&Player>, mine, theirs| {
    ///     let rating = theirs?.rating + mine?.rating - base?.rating;
    ///     Some(Player { rating, ..mine?.clone() })
    /// });
    /// let merged = players.put_guarded(Some(&ada(1500)), &ada(1490)).on_conflict(both).await?;
    /// assert_eq!(merged, Some(ada(1502)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if others changed the item and the policy does not resolve it, as
    /// [`on_conflict`](PutGuarded::on_conflict) says; else as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not.
    pub fn put_guarded(&self, base: Option<&T>, record: &T) -> PutGuarded<'_, T> {
        let (base, record) = (base.cloned(), record.clone());
        let guard = default_guard::<T>();
        PutGuarded { table: self, base, record, guard, policy: OnConflict::Fail }
    }

    /// Writes the attributes of a record that changed since it was loaded as `base`, and no others, so
    /// that two writers of different attributes both win; without a base all of them. What others
    /// deleted meanwhile is written anew, as a whole.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32, losses: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let loaded = Player { name: "ada".into(), wins: 3, losses: 1 };
    /// players.put(&Player { losses: 2, ..loaded.clone() }).await?; // somebody else
    /// players.merge(Some(&loaded), &Player { wins: 4, ..loaded.clone() }).await?;
    /// let ada = players.get("ada").await?.expect("a record");
    /// assert_eq!((ada.wins, ada.losses), (4, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a record with `#[record(version)]`, which is always guarded; else
    /// as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the attributes may be written or not; merging them again is safe.
    pub async fn merge(&self, base: Option<&T>, record: &T) -> Result<(), Error> {
        if T::VERSION.is_some() {
            let text = "a record with `#[record(version)]` is always guarded";
            let error = Error::new(ErrorKind::Configuration, text).during("merge");
            return Err(self.place(error).advise("use `put_guarded`"));
        }
        let policy = OnConflict::Overwrite;
        let before = base.map_or(Before::Unseen, Before::Record);
        let mut writing = Writing::new(self, record.clone(), before, Mode::FieldWise, policy)?;
        if let Some(base) = base {
            writing = writing.over(base.clone())?;
        }
        writing.write().await.map(drop)
    }
}

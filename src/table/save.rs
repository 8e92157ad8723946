//! Saving and deleting records that know what is stored of them.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use super::guarded::{default_guard, guarded};
use super::writing::Writing;
use super::{Table, Tracked};
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, OnConflict};
use crate::key::KeyLookup;
use crate::load;
use crate::record::Record;

/// A record that [`Table::save`] writes; awaiting it does.
#[must_use = "nothing is written until it is awaited"]
pub struct Save<'t, T> {
    table: &'t Table<T>,
    tracked: &'t mut Tracked<T>,
    guard: Guard,
    policy: OnConflict<T>,
}

/// A record that [`Table::delete_guarded`] deletes; awaiting it does.
#[must_use = "nothing is deleted until it is awaited"]
pub struct DeleteGuarded<'t, T> {
    table: &'t Table<T>,
    tracked: &'t mut Tracked<T>,
    guard: Guard,
}

impl<T: Record> Table<T> {
    /// The record of a key with what is stored of it, to be changed and [saved](Self::save); `None` if
    /// there is none. Reads consistently.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn get_tracked<K: KeyLookup<T::Key>>(
        &self,
        key: K,
    ) -> Result<Option<Tracked<T>>, Error> {
        let key = self.checked_key(&key)?;
        let link = self.ready().await?;
        let Some(item) = load::get_json::<T>(&link, &key, true).await? else { return Ok(None) };
        let decoded = load::read_item(&link, &item)?;
        Ok(Some(Tracked::loaded(decoded, item)))
    }

    /// Writes what was changed of a record, on the condition that nobody else changed the item since it
    /// was loaded or saved; a new one on the condition that there is none of its key. One request; none
    /// if nothing was changed.
    ///
    /// Afterwards the record is what is stored, with its new version, as `before_store` or a merge made
    /// it, and with what others changed that the guard leaves to them; then, or if `after_load` makes
    /// another one of it, it is read from the item, so fields that are not stored are their defaults.
    /// What its type does not know of the item stays. If it fails, neither the record nor what is known to be stored of it changes.
    ///
    /// If the answer is lost, it is sent again, and what it meets counts as its own if that is what was
    /// sent.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32, losses: u32 }
    /// use memory_table::Guard;
    ///
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # players.put(&Player { name: "ada".into(), wins: 0, losses: 0 }).await?;
    /// let mut one = players.get_tracked("ada").await?.expect("a record");
    /// let mut other = one.clone();
    /// one.wins += 1;
    /// players.save(&mut one).await?;
    /// // Only what it changes must be as it was.
    /// other.losses += 1;
    /// players.save(&mut other).guard(Guard::Fields).await?;
    /// assert_eq!((other.wins, other.losses), (1, 1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if others changed the item and the policy does not resolve it, as
    /// [`on_conflict`](Save::on_conflict) says; [`ErrorKind::InvalidRecord`] if its key is another one
    /// than it was loaded with; else as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not: load it anew.
    pub fn save<'t>(&'t self, record: &'t mut Tracked<T>) -> Save<'t, T> {
        Save { table: self, tracked: record, guard: default_guard::<T>(), policy: OnConflict::Fail }
    }

    /// Deletes a record on the condition that nobody else changed the item since it was loaded or saved.
    /// It is new then: the next save inserts it again.
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
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), rating: 1500 }).await?;
    /// let mut ada = players.get_tracked("ada").await?.expect("a record");
    /// players.put(&Player { name: "ada".into(), rating: 1512 }).await?; // somebody else
    /// let refused = players.delete_guarded(&mut ada).await;
    /// assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    ///
    /// let mut ada = players.get_tracked("ada").await?.expect("a record");
    /// players.delete_guarded(&mut ada).await?;
    /// assert!(ada.is_new());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if others changed the item, and without a request for a record that is
    /// new: what is stored stays, as does what is known of it; else as for [`delete`](Self::delete).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be deleted or not: load it anew.
    pub fn delete_guarded<'t>(&'t self, record: &'t mut Tracked<T>) -> DeleteGuarded<'t, T> {
        DeleteGuarded { table: self, tracked: record, guard: default_guard::<T>() }
    }
}

impl<T: Record> Save<'_, T> {
    /// What must still be stored as it was loaded or saved last.
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

    async fn run(self) -> Result<(), Error> {
        let Self { table, tracked, guard, policy } = self;
        let mode = guarded(table, guard)?;
        if tracked.is_unchanged() {
            return Ok(());
        }
        let writing =
            Writing::new(table, tracked.record.clone(), tracked.stored().into(), mode, policy)?;
        let saved = writing.tracked(tracked.stored.as_ref())?.write().await?;
        tracked.settle(saved)
    }
}

impl<T: Record> DeleteGuarded<'_, T> {
    /// What must still be stored as it was loaded or saved last.
    ///
    /// Default: [`Guard::Version`] for a record with `#[record(version)]`, else [`Guard::Item`].
    /// [`Guard::Fields`] is the same as that: all fields go.
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    async fn run(self) -> Result<(), Error> {
        let Self { table, tracked, guard } = self;
        let mode = guarded(table, guard)?;
        let key = table.key_of(&tracked.record)?;
        if tracked.is_new() {
            let error =
                Error::new(ErrorKind::Conflict, "the record was never saved, or is deleted");
            let error = table.place(error.during("DeleteItem")).on_key(&key);
            return Err(error.advise("`delete` needs no record; nothing was sent"));
        }
        let writing = Writing::delete(table, key, mode).tracked(tracked.stored.as_ref())?;
        let saved = writing.write().await?;
        tracked.settle(saved)
    }
}

impl<T> fmt::Debug for Save<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, guard, policy) = (&self.table, &self.guard, &self.policy);
        let mut shown = f.debug_struct("Save");
        shown.field("table", table).field("guard", guard).field("on_conflict", policy).finish()
    }
}

impl<T> fmt::Debug for DeleteGuarded<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, guard) = (&self.table, &self.guard);
        f.debug_struct("DeleteGuarded").field("table", table).field("guard", guard).finish()
    }
}

impl<'t, T: Record> IntoFuture for Save<'t, T> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'t, T: Record> IntoFuture for DeleteGuarded<'t, T> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

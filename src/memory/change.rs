//! What callers change: records in memory, unsaved until a flush.

use std::sync::Arc;

use super::slot::{Change, Known};
use super::turn::Turn;
use super::{MemoryTable, Shared};
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode};
use crate::key::{Key, KeyLookup};
use crate::record::{Before, FromKey, Record};
use crate::sums::Sums;

impl<T: Record> MemoryTable<T> {
    /// The record of a key, or a new one with this key and each field's default, which is unsaved
    /// and goes with the next flush.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); [`ErrorKind::InvalidRecord`] if the new record cannot be stored;
    /// [`ErrorKind::Unsaved`] as for [`update`](Self::update); [`ErrorKind::Closed`] after
    /// [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is made or it is not.
    pub async fn get_or_create<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Arc<T>, Error>
    where
        T: FromKey,
    {
        let key = self.shared.table.checked_key(&key)?;
        if let Some(record) = self.shared.fetch_sure(&key, true).await? {
            return Ok(record);
        }
        let turn = Turn::of(&self.shared, &key).await?;
        if let Some(record) = self.shared.fetch_to_go_on(&key, false).await? {
            return Ok(record);
        }
        let record = turn.run(|| {
            self.made(&key).and_then(|record| self.shared.hooked(record, Before::Nothing))
        })?;
        let (_, size) = self.shared.table.measured(&record)?;
        let record = Arc::new(record);
        let change = Change::put(Arc::clone(&record), size);
        let change = change.in_place_of(self.shared.replaces_expired(&key));
        self.shared.change(&key, change, &mut self.shared.slots.room.permit()).await?;
        Ok(record)
    }

    /// Puts a record, unsaved until the next flush.
    ///
    /// A record that was loaded is replaced, and attributes that its type does not know stay; one
    /// that was never loaded replaces the whole item when it is flushed. Where records are
    /// [guarded](crate::MemoryTableBuilder::guarded) one that was never loaded must not be stored, and
    /// [field by field](crate::MemoryTableBuilder::field_wise) its attributes are set in what is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or [`ErrorKind::InvalidRecord`] for what DynamoDB cannot store:
    /// over 400 KB, NaN, nested too deep, or what the record's `before_store` refused;
    /// [`ErrorKind::InvalidItem`] if a stored item of this key was met that does not fit the type, until
    /// the key is [discarded](Self::discard); [`ErrorKind::Timeout`] if there was no room in time for
    /// [what may be unsaved](crate::MemoryTableBuilder::max_unsaved_records). Nothing is changed then.
    /// [`ErrorKind::Closed`] after [`close`](Self::close), [`ErrorKind::Reentrant`] from inside the
    /// record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is put or it is not.
    pub async fn put(&self, record: T) -> Result<(), Error> {
        self.put_by(record, None).await
    }

    /// Puts a record that is written on the condition that nobody else changed it since it was loaded,
    /// also where the table's records are not [guarded](crate::MemoryTableBuilder::guarded); until it is
    /// saved, whatever else changes it.
    ///
    /// It is guarded as the table's records are, else by [`Guard::Item`], and a conflict ends as the
    /// table's [policy](crate::MemoryTableBuilder::on_conflict) says. One that was never loaded must not
    /// exist, unless it has a version above 0: then that must be stored.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, ErrorKind, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), rating: 7.0 }).await?;
    /// let memory = MemoryTable::new(players);
    /// memory.put_guarded(Player { name: "ada".into(), rating: 1.0 }).await?;
    /// memory.put(Player { name: "bob".into(), rating: 2.0 }).await?;
    /// let report = memory.flush().await.expect_err("there is an ada").into_report();
    /// assert_eq!((report.written, report.failed[0].error.kind()), (1, ErrorKind::Conflict));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// As for [`put`](Self::put).
    pub async fn put_guarded(&self, record: T) -> Result<(), Error> {
        let mode = match self.shared.options.mode {
            Mode::Guarded(guard) => Mode::Guarded(guard),
            Mode::Plain | Mode::FieldWise => Mode::Guarded(Guard::Item),
        };
        self.put_by(record, Some(mode)).await
    }

    /// Puts a record of which only the attributes that changed are written, so that others who change
    /// other attributes lose nothing, also where the table's records are not written
    /// [field by field](crate::MemoryTableBuilder::field_wise); until it is saved, whatever else changes
    /// it.
    ///
    /// Of a record that was never loaded the attributes that it has are written, and others that the item has
    /// stay, but for those that it had in memory and has no more.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32, losses: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), wins: 3, losses: 1 }).await?;
    /// let memory = MemoryTable::new(players.clone());
    /// let mut ada = (*memory.get("ada").await?.expect("a record")).clone();
    /// ada.wins += 1;
    /// memory.merge(ada).await?;
    /// players.put(&Player { name: "ada".into(), wins: 3, losses: 2 }).await?; // somebody else
    /// memory.flush().await?;
    /// let ada = players.get("ada").await?.expect("a record");
    /// assert_eq!((ada.wins, ada.losses), (4, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put); [`ErrorKind::Configuration`] for a record with `#[record(version)]`,
    /// which is always guarded.
    ///
    /// # Cancel safety
    ///
    /// As for [`put`](Self::put).
    pub async fn merge(&self, record: T) -> Result<(), Error> {
        if T::VERSION.is_some() {
            let text = "a record with `#[record(version)]` is always guarded";
            let error = Error::new(ErrorKind::Configuration, text).during("merge");
            return Err(self.shared.place(error).advise("use `put` and `OnConflict::merge`"));
        }
        self.put_by(record, Some(Mode::FieldWise)).await
    }

    async fn put_by(&self, record: T, mode: Option<Mode>) -> Result<(), Error> {
        if T::HAS_HOOKS {
            return self.put_hooked(record, mode).await;
        }
        let (key, size) = self.shared.table.measured(&record)?;
        self.shared.check_fits(&key, &record, size, self.shared.kept_of(&key))?;
        let change = Change { mode, ..Change::put(Arc::new(record), size) };
        self.shared.change_in_turn(&key, change).await.map_err(|error| self.shared.place(error))
    }

    /// Takes the record's turn first: a hook that changes the same record is found out by it.
    async fn put_hooked(&self, record: T, mode: Option<Mode>) -> Result<(), Error> {
        let key = self.shared.table.key_of(&record)?;
        self.shared.check_open()?;
        let turn = self.turn(&key).await?;
        let seen = if T::HAS_TIMES { self.shared.peek(key.as_bytes()) } else { None };
        let known = seen.map_or(Known::Unknown, |seen| self.shared.visible(seen));
        let is_set_in = mode.unwrap_or(self.shared.options.mode) == Mode::FieldWise;
        let before = match &known {
            Known::Record(known) => Before::Record(&**known),
            Known::Unknown if is_set_in => Before::Unseen,
            Known::Absent | Known::Unknown => Before::Nothing,
        };
        let record = turn.run(|| self.shared.hooked(record, before))?;
        let (_, size) = self.shared.table.measured(&record)?;
        self.shared.check_fits(&key, &record, size, self.shared.kept_of(&key))?;
        let change = Change { mode, ..Change::put(Arc::new(record), size) };
        self.shared.change(&key, change, &mut self.shared.slots.room.permit()).await
    }

    /// Deletes a record, unsaved until the next flush. Needs no read: what is not known to be
    /// absent is deleted. So a put and a delete of a new record cost nothing only if its absence was
    /// read consistently and no request with it is or may be on its way; else the delete is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`]; [`ErrorKind::Closed`] after [`close`](Self::close),
    /// [`ErrorKind::Reentrant`] from inside the record's own update; [`ErrorKind::InvalidItem`] and
    /// [`ErrorKind::Timeout`] as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is deleted or it is not.
    pub async fn delete<K: KeyLookup<T::Key>>(&self, key: K) -> Result<(), Error> {
        let key = self.shared.table.checked_key(&key)?;
        let changed = self.shared.change_in_turn(&key, Change::delete(&key)).await;
        changed.map_err(|error| self.shared.place(error))
    }

    /// Loads a record, deletes it and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`delete`](Self::delete); [`ErrorKind::Unsaved`] as for
    /// [`update`](Self::update).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is taken or it is not; a record that was taken unseen is still in the
    /// database until the next flush.
    pub async fn take<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        let record = self.shared.fetch_to_change(&key).await?;
        if record.is_some() {
            let mut permit = self.shared.slots.room.permit();
            self.shared.change(&key, Change::delete(&key), &mut permit).await?;
        }
        Ok(record)
    }

    /// Forgets a record and an unsaved change of it; the next read loads it anew. Returns whether
    /// a change was forgotten.
    ///
    /// A change that is being written at this moment is waited for first; it may be in the database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or [`ErrorKind::Reentrant`] from inside the record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record is forgotten or it is not.
    pub async fn discard<K: KeyLookup<T::Key>>(&self, key: K) -> Result<bool, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        let was_unsaved = self.shared.forget_settled(&key).await.is_some();
        let recorded = self.shared.slots.recorder.until_now().await;
        recorded.map_err(|why| self.shared.place(why).on_key(&key))?;
        Ok(was_unsaved)
    }

    pub(super) async fn turn(&self, key: &Key) -> Result<Turn<T>, Error> {
        Turn::of(&self.shared, key).await.map_err(|error| self.shared.place(error))
    }

    /// A record of this key with each other field's default.
    pub(super) fn made(&self, key: &Key) -> Result<T, Error>
    where
        T: FromKey,
    {
        let impossible = |text: &str| {
            let error = Error::new(ErrorKind::InvalidRecord, text);
            self.shared.place(error).on_key(key).advise("nothing changed")
        };
        let cannot = || impossible("a new record cannot be made of its key and defaults");
        let typed = key.to_typed::<T>().map_err(|source| cannot().caused_by(source))?;
        let record = T::from_key(typed).map_err(|source| cannot().caused_by(source))?;
        let made = self.shared.table.key_of(&record)?;
        if made == *key {
            return Ok(record);
        }
        Err(impossible(&format!("the record made of this key has the key {made}")))
    }
}

impl<T: Record> Shared<T> {
    /// The record as its `before_store` wants it stored, in place of the one before.
    pub(super) fn hooked(&self, record: T, before: Before<'_, T>) -> Result<T, Error> {
        Ok(self.table.hooked(&record, before)?.unwrap_or(record))
    }

    /// Forgets a slot and the unsaved change that it has, once that is not in flight.
    pub(super) async fn forget_settled(&self, key: &Key) -> Option<Forgotten<T>> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if let Ok(forgotten) = self.forget(key) {
                return forgotten;
            }
            settled.await;
        }
    }

    /// Forgets a slot and returns the unsaved change that it had.
    pub(super) fn forget(&self, key: &Key) -> Result<Option<Forgotten<T>>, InFlight> {
        let (unsaved, known) = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else {
                return Ok(None);
            };
            if slot.is_flying() {
                return Err(InFlight);
            }
            let known = slot.forget(self.scans.trace());
            let mut unsaved = None;
            locked.transition(key, |slot| {
                unsaved = slot.unsaved.take();
                unsaved.is_some()
            });
            locked.prune(key.as_bytes());
            (unsaved, known)
        };
        self.unregister(key);
        let now = known.0;
        Ok(unsaved.map(|unsaved| Forgotten {
            now,
            increments: (!unsaved.image)
                .then(|| unsaved.deltas.map(|deltas| deltas.waiting))
                .flatten(),
        }))
    }
}

/// An unsaved change that was forgotten.
pub(super) struct Forgotten<T> {
    pub(super) now: Known<T>,
    /// There were only these, which the record shows.
    pub(super) increments: Option<Sums>,
}

/// The slot's change is being written.
pub(super) struct InFlight;

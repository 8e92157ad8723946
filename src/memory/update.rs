//! Changes of records by functions: on a copy, under no lock, one at a time.

use std::sync::Arc;

use super::slot::Change;
use super::turn::{Ready, Turn};
use super::{Held, MemoryTable, Shared};
use crate::breaks::broken;
use crate::codec::Kept;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::record::{Before, FromKey, Record};

impl<T: Record> MemoryTable<T> {
    /// Changes a record by a function, starting from its key and each field's default if there is
    /// none. Returns the record as changed.
    ///
    /// The function gets a copy, runs under no lock and exactly once; changes of one key run in the
    /// order in which they were asked for. If it panics, the record is as it was, and the next change
    /// of it goes on.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`put`](Self::put); [`ErrorKind::InvalidRecord`] if the
    /// function changed the key; [`ErrorKind::Unsaved`] if the record is not known, and cannot be until an
    /// [increment](Self::increment) of it whose outcome is unknown is sent or
    /// [resolved](Self::resolve). The record is as it was then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the function ran, nothing is changed; the function itself cannot be cancelled.
    /// With [`max_unsaved_bytes`](crate::MemoryTableBuilder::max_unsaved_bytes) its record may wait for
    /// room: dropped then, or an error of kind [`ErrorKind::Timeout`], the function ran and nothing is
    /// changed.
    pub async fn update<K, F>(&self, key: K, change: F) -> Result<Arc<T>, Error>
    where
        K: KeyLookup<T::Key>,
        F: FnOnce(&mut T),
        T: FromKey,
    {
        let key = self.shared.table.checked_bytes(&key)?;
        if let Some(ready) = Ready::at(&self.shared, &key) {
            return self.shared.apply_ready(ready, change).await;
        }
        let key = Key::from_bytes(&key);
        let turn = self.turn(&key).await?;
        self.shared.check_open()?;
        match self.shared.fetch_to_change(&key).await? {
            Some(record) => self.shared.apply(&turn, &key, Start::From(&record), change).await,
            None => {
                let replaces = self.shared.replaces_expired(&key);
                let made = turn.run(|| self.made(&key))?;
                self.shared.apply(&turn, &key, Start::New { made, replaces }, change).await
            }
        }
    }

    /// Changes a record by a function; an error if there is none. Needs no defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no record; else as for [`update`](Self::update).
    ///
    /// # Cancel safety
    ///
    /// As for [`update`](Self::update).
    pub async fn update_existing<K, F>(&self, key: K, change: F) -> Result<Arc<T>, Error>
    where
        K: KeyLookup<T::Key>,
        F: FnOnce(&mut T),
    {
        let key = self.shared.table.checked_bytes(&key)?;
        if let Some(ready) = Ready::at(&self.shared, &key) {
            return self.shared.apply_ready(ready, change).await;
        }
        let key = Key::from_bytes(&key);
        let turn = self.turn(&key).await?;
        self.shared.check_open()?;
        let Some(record) = self.shared.fetch_to_change(&key).await? else {
            let error = Error::new(ErrorKind::NotFound, "there is no record to update")
                .during("update_existing");
            return Err(self
                .shared
                .place(error)
                .on_key(&key)
                .advise("use `update` to begin with defaults"));
        };
        self.shared.apply(&turn, &key, Start::From(&record), change).await
    }
}

/// What a change begins with.
enum Start<'a, T> {
    /// The record that is there.
    From(&'a T),
    /// A new one. `replaces`: it has nothing of the record that is there.
    New { made: T, replaces: bool },
}

impl<T: Record> Shared<T> {
    /// Runs the user's function on a copy and publishes it, if it can be stored.
    async fn apply(
        self: &Arc<Self>,
        turn: &Turn<T>,
        key: &Key,
        start: Start<'_, T>,
        change: impl FnOnce(&mut T),
    ) -> Result<Arc<T>, Error> {
        let (before, mut record, replaces) = match start {
            Start::From(record) => (Before::Record(record), record.clone(), false),
            Start::New { made, replaces } => (Before::Nothing, made, replaces),
        };
        // Where there is no room, that is found out before the function runs, if its record is saved.
        let mut permit = self.slots.room.permit();
        let need = self.slots.lock(key.as_bytes()).need(key, &Change::nothing());
        if !permit.try_take(need) {
            let room = self.take_room(&mut permit, need).await;
            room.map_err(|error| error.on_key(key))?;
        }
        turn.run(|| change(&mut record));
        let kept = if replaces { None } else { self.kept_of(key) };
        let (record, size) = self.changed(turn, record, before, kept)?;
        let change = Change::put(Arc::clone(&record), size).in_place_of(replaces);
        self.change(key, change, &mut permit).await?;
        Ok(record)
    }

    /// The same for a record that is there, at once: one lock before the function and one after it.
    async fn apply_ready(
        self: &Arc<Self>,
        ready: Ready<'_, T>,
        change: impl FnOnce(&mut T),
    ) -> Result<Arc<T>, Error> {
        let Ready { mut turn, before, kept, mut permit } = ready;
        let mut record = T::clone(&before);
        change(&mut record);
        let (record, size) = self.changed(&turn, record, Before::Record(&before), kept)?;
        let key = turn.key().clone();
        let change = Change::put(Arc::clone(&record), size);
        self.change_with_room(&key, change, &mut permit, Held::Until(&mut turn)).await?;
        Ok(record)
    }

    /// A record as it was changed, checked, and its size.
    fn changed(
        &self,
        turn: &Turn<T>,
        mut record: T,
        before: Before<'_, T>,
        kept: Option<Arc<Kept>>,
    ) -> Result<(Arc<T>, usize), Error> {
        let key = turn.key();
        if T::HAS_HOOKS {
            self.check_key(key, &record)?;
            record = turn.run(|| self.hooked(record, before))?;
        }
        self.check_key(key, &record)?;
        let size = self.table.size_of(&record, key)?;
        self.check_fits(key, &record, size, kept)?;
        Ok((Arc::new(record), size))
    }

    fn check_key(&self, key: &Key, changed: &T) -> Result<(), Error> {
        let changed = self.table.bytes_of(&changed.key())?;
        if *changed == *key.as_bytes() || broken(34) {
            return Ok(());
        }
        let changed = Key::from_bytes(&changed);
        let text = format!("the function changed the record's key to {changed}");
        let error = Error::new(ErrorKind::InvalidRecord, text).during("update").on_key(key);
        Err(self.place(error).advise("`rekey` gives a record another key"))
    }
}

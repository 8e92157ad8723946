//! A record under another key: a put and a delete.

use std::sync::Arc;

use super::room::Permit;
use super::slot::{Beside, Change};
use super::turn::Turn;
use super::{MemoryTable, Shared};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::record::{Before, Record};

impl<T: Record> MemoryTable<T> {
    /// Gives a record another key: the function sets it, and with the next flush the record is put
    /// under the new key and deleted under the old one. Attributes that its type does not know go
    /// with it. Returns the record under its new key.
    ///
    /// A record that the new key has is replaced, and where records are
    /// [guarded](crate::MemoryTableBuilder::guarded) only if nobody changed it since it was loaded, if it
    /// was. In between the two requests, or if one of them
    /// fails, the table may have both records or none; memory has the new one at once.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let memory = MemoryTable::new(players);
    /// memory.put(Player { name: "ada".into(), rating: 7.0 }).await?;
    /// memory.rekey("ada", "lovelace", |player| player.name = "lovelace".into()).await?;
    /// assert!(memory.get("ada").await?.is_none());
    /// assert_eq!(memory.get("lovelace").await?.map(|player| player.rating), Some(7.0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no record, [`ErrorKind::InvalidRecord`] if the function did
    /// not give it the new key; else as for [`get`](Self::get) and [`put`](Self::put), and
    /// [`ErrorKind::Unsaved`] as for [`update`](Self::update). Nothing is changed then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the function ran, nothing is changed; the function itself cannot be cancelled. With
    /// a limit of what may be unsaved, the two changes may wait for room: dropped then, the function ran
    /// and nothing is changed.
    pub async fn rekey<K, N, F>(&self, old: K, new: N, change: F) -> Result<Arc<T>, Error>
    where
        K: KeyLookup<T::Key>,
        N: KeyLookup<T::Key>,
        F: FnOnce(&mut T),
    {
        let old = self.shared.table.checked_key(&old)?;
        let new = self.shared.table.checked_key(&new)?;
        let [first, second] = self.turns(&old, &new).await?;
        self.shared.check_open()?;
        let Some(record) = self.shared.fetch_to_change(&old).await? else {
            return Err(self.refused(ErrorKind::NotFound, "there is no record of this key", &old));
        };
        let (before, mut record) = (&record, (*record).clone());
        let record = first.run(|| {
            second.run(|| {
                change(&mut record);
                self.check_new_key(&record, &old, &new)?;
                self.shared.hooked(record, Before::Record(before))
            })
        })?;
        let (_, size) = self.shared.table.measured(&record)?;
        let record = Arc::new(record);
        let put = Change::put(Arc::clone(&record), size);
        self.shared.move_record(&old, &new, put).await?;
        Ok(record)
    }

    /// The turns of both keys, in an order that is the same for all, so that nobody waits for ever.
    async fn turns(&self, old: &Key, new: &Key) -> Result<[Turn<T>; 2], Error> {
        if old == new {
            let text = "the old and the new key are the same";
            return Err(self.refused(ErrorKind::InvalidKey, text, old).advise("use `update`"));
        }
        let (first, second) = if old.as_bytes() < new.as_bytes() { (old, new) } else { (new, old) };
        Ok([self.turn(first).await?, self.turn(second).await?])
    }

    fn check_new_key(&self, record: &T, old: &Key, new: &Key) -> Result<(), Error> {
        let key = self.shared.table.key_of(record)?;
        if key == *new {
            return Ok(());
        }
        let text = format!("the function gave the record the key {key}, not {new}");
        Err(self.refused(ErrorKind::InvalidRecord, &text, old))
    }

    fn refused(&self, kind: ErrorKind, text: &str, key: &Key) -> Error {
        self.shared.place(Error::new(kind, text).during("rekey").on_key(key))
    }
}

impl<T: Record> Shared<T> {
    /// Publishes the put and the delete at once, as soon as there is room for both.
    async fn move_record(
        self: &Arc<Self>,
        old: &Key,
        new: &Key,
        put: Change<T>,
    ) -> Result<(), Error> {
        let delete = Change::delete(old);
        let put = {
            let mut locked = self.slots.lock(old.as_bytes());
            let slot = locked.find(old.as_bytes());
            let kept = slot.as_ref().and_then(|slot| slot.kept.clone());
            let mode = slot.and_then(|slot| slot.unsaved.as_ref()?.mode);
            Change { beside: Beside::Moved(kept), mode, ..put }
        };
        let mut permit = self.slots.room.permit();
        let need = self.slots.room.need_at_most(&[put.size_with(None), delete.size]);
        if !permit.try_take(need) {
            if !need.fits(self.options.most_unsaved) {
                let text = "there is never room for both changes of a `rekey`";
                let error = Error::new(ErrorKind::Configuration, text).during("rekey").on_key(old);
                return Err(self.place(error).advise("raise what may be unsaved at most"));
            }
            let room = self.take_room(&mut permit, need).await;
            room.map_err(|error| error.during("rekey").on_key(old))?;
        }
        if let Some(noted) = self.foresee_both(old, &delete, new, &put)? {
            let recorded = self.slots.recorder.until(noted).await;
            recorded.map_err(|why| self.place(why).during("rekey").on_key(old))?;
        }
        self.publish_both(old, delete, new, put, &mut permit)?;
        self.unregister(old);
        self.unregister(new);
        self.after_change();
        Ok(())
    }

    /// Notes both for the journal, if there is one, in one piece.
    fn foresee_both(
        &self,
        old: &Key,
        delete: &Change<T>,
        new: &Key,
        put: &Change<T>,
    ) -> Result<Option<u64>, Error> {
        let mut both = self.slots.lock_both(old.as_bytes(), new.as_bytes());
        self.check_change(both.at(old.as_bytes()), old)?;
        self.check_change(both.at(new.as_bytes()), new)?;
        Ok(both.foresee([(new, put), (old, delete)], self.scans.is_complete()))
    }

    /// Publishes both under the locks of both, so that no flush and no `close` comes in between.
    fn publish_both(
        &self,
        old: &Key,
        delete: Change<T>,
        new: &Key,
        put: Change<T>,
        permit: &mut Permit<'_>,
    ) -> Result<(), Error> {
        let mut both = self.slots.lock_both(old.as_bytes(), new.as_bytes());
        self.check_change(both.at(old.as_bytes()), old)?;
        self.check_change(both.at(new.as_bytes()), new)?;
        let complete = self.scans.is_complete();
        for (key, change) in [(new, put), (old, delete)] {
            let locked = both.at(key.as_bytes());
            permit.spend(locked.need(key, &change));
            locked.change(key, change, complete);
        }
        Ok(())
    }
}

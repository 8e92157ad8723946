//! What callers read: records from memory, loaded if they are not there.

use std::sync::Arc;

use super::MemoryTable;
use super::expiry::Seen;
use super::slot::Known;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::record::{FromKey, Record};

impl<T: Record> MemoryTable<T> {
    /// The record of a key, or `None`; loaded by a consistent read the first time it is asked for.
    ///
    /// However many ask for a key at once, one request is sent. An absent record is remembered, an
    /// error is not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] without a request, [`ErrorKind::InvalidItem`] if the stored item
    /// does not fit the type, or why it could not be loaded.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the load goes on and its record is cached; others who wait get it.
    pub async fn get<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        // A hit is one lookup and a clone of the `Arc`; only a miss needs a key of its own.
        let bytes = self.shared.table.checked_bytes(&key)?;
        if let Some(known) = self.shared.hit(&bytes) {
            return Ok(known.record());
        }
        self.shared.fetch(&Key::from_bytes(&bytes)).await
    }

    /// Whether there is a record of a key; loads it like [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As for [`get`](Self::get).
    pub async fn contains<K: KeyLookup<T::Key>>(&self, key: K) -> Result<bool, Error> {
        Ok(self.get(key).await?.is_some())
    }

    /// The record of a key, or one with this key and each field's default, which is not stored and
    /// never becomes unsaved.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// # Cancel safety
    ///
    /// As for [`get`](Self::get).
    pub async fn get_or_default<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Arc<T>, Error>
    where
        T: FromKey,
    {
        let key = self.shared.table.checked_key(&key)?;
        match self.shared.fetch(&key).await? {
            Some(record) => Ok(record),
            None => self.made(&key).map(Arc::new),
        }
    }

    /// Loads a record anew, for changes that others made; returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsaved`] while there is an unsaved change; else as for [`get`](Self::get), and
    /// the record is as it was. If the stored item does not fit the type any more
    /// ([`ErrorKind::InvalidItem`]), nothing is known of it any more and no change may replace it until
    /// it is [discarded](Self::discard).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the load goes on.
    pub async fn refresh<K: KeyLookup<T::Key>>(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        let unsaved = {
            let mut locked = self.shared.slots.lock(key.as_bytes());
            locked.find(key.as_bytes()).is_some_and(|slot| slot.unsaved.is_some())
        };
        if unsaved {
            let error = Error::new(ErrorKind::Unsaved, "the record has an unsaved change")
                .during("refresh");
            return Err(self
                .shared
                .place(error)
                .on_key(&key)
                .advise("`flush` or `discard` it first"));
        }
        self.shared.fetch_again(&key).await
    }

    /// Every record in memory, unsaved ones included, in no order.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<T>> {
        let mut seen = Vec::new();
        self.shared.slots.each(|slot| {
            if let Known::Record(_) = &slot.now {
                seen.push(Seen::of(slot));
            }
        });
        seen.into_iter().filter_map(|seen| self.shared.visible(seen).record()).collect()
    }
}

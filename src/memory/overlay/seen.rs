//! What is known here of what a page has.

use std::collections::HashSet;
use std::sync::Arc;

use super::order::Order;
use crate::codec::item_key;
use crate::codec::tree::field;
use crate::condition::Condition;
use crate::error::Error;
use crate::key::Key;
use crate::load;
use crate::memory::Shared;
use crate::memory::expiry::Seen;
use crate::memory::scans::Asked;
use crate::memory::slot::Known;
use crate::record::Record;

/// What is known here of a record.
pub(super) enum Here<T> {
    Known(Known<T>),
    /// Nothing, and what was read may be older than what this table wrote.
    Behind,
    Unknown,
}

impl<T: Record> Shared<T> {
    /// What is known of a key that a page has.
    pub(super) fn seen(&self, key: &Key, asked: Asked) -> Here<T> {
        let seen = {
            let mut locked = self.slots.lock(key.as_bytes());
            match locked.find(key.as_bytes()) {
                Some(slot) if !slot.now.is_unknown() => Seen::of(slot),
                Some(slot) if slot.unsaved.is_some() || slot.forgotten >= asked.scan => {
                    return Here::Behind;
                }
                _ if self.is_outdated(asked, key) => return Here::Behind,
                _ => return Here::Unknown,
            }
        };
        Here::Known(self.visible(seen))
    }

    /// The record of a key that is in memory.
    pub(super) fn record_here(&self, key: &Key) -> Option<Arc<T>> {
        self.slots.lock(key.as_bytes()).find(key.as_bytes())?.now.record()
    }

    /// Of which of these keys, at most 100, the database has what is asked for.
    pub(super) async fn stored_of(
        &self,
        keys: &[Key],
        order: &Order<T>,
    ) -> Result<HashSet<Key>, Error> {
        let mut stored = HashSet::new();
        if keys.is_empty() {
            return Ok(stored);
        }
        let link = self.ready().await?;
        let take = |item: &[u8]| {
            let key = item_key(item, T::PARTITION_KEY, T::SORT_KEY);
            stored.extend(key.filter(|_| order.has(item).is_some()));
        };
        load::raw_chunk::<T>(&link, keys, true, take).await?;
        Ok(stored)
    }

    /// Whether a record as it is to be stored has these attributes and meets conditions.
    pub(super) fn meets<'c>(
        &self,
        key: &Key,
        record: &T,
        has: &[&str],
        mut conditions: impl Iterator<Item = &'c Condition>,
    ) -> Result<bool, Error> {
        let item = self.item(record, key, self.kept_of(key).as_deref())?;
        let fields = self.fields(&item.json, key)?;
        let has_all = has.iter().all(|name| field(&fields, name).is_some());
        conditions.try_fold(has_all, |all, condition| Ok(all && condition.evaluate(&fields)?))
    }
}

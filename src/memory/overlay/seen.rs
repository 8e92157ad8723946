//! What is known here of what a page has.

use std::collections::HashSet;
use std::sync::Arc;

use super::order::Order;
use crate::bugs::{Bug, has};
use crate::codec::item_key;
use crate::codec::tree::field;
use crate::condition::Condition;
use crate::error::Error;
use crate::key::Key;
use crate::load;
use crate::memory::Shared;
use crate::memory::expiry::{Held, Seen};
use crate::memory::scans::Asked;
use crate::record::Record;

/// What is known here of a record.
pub(super) enum Here<T> {
    Known(Option<Held<T>>),
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
                Some(slot) if !slot.now.is_unknown() => match slot.flight() {
                    Some(flight) if has(Bug::InFlightBeatsNewer) => {
                        Seen::saved(flight.sent.clone(), None)
                    }
                    _ => Seen::of(slot),
                },
                Some(slot) if slot.unsaved.is_some() || slot.forgotten >= asked.scan => {
                    return Here::Behind;
                }
                _ if self.is_outdated(asked, key) => return Here::Behind,
                _ => return Here::Unknown,
            }
        };
        Here::Known(self.held(seen))
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

    /// The item of a record: as it is stored or, while it is unsaved, as it is to be.
    pub(super) fn form_of(&self, key: &Key, held: &Held<T>) -> Result<Vec<u8>, Error> {
        let (record, kept) = (&held.record, held.kept.as_deref());
        if held.unsaved {
            self.item(record, key, kept).map(|item| item.json)
        } else {
            self.stored_form(record, key, kept)
        }
    }

    /// Whether an item has these attributes and meets conditions.
    pub(super) fn meets<'c>(
        &self,
        key: &Key,
        item: &[u8],
        has: &[&str],
        mut conditions: impl Iterator<Item = &'c Condition>,
    ) -> Result<bool, Error> {
        let fields = self.fields(item, key)?;
        let has_all = has.iter().all(|name| field(&fields, name).is_some());
        conditions.try_fold(has_all, |all, condition| Ok(all && condition.evaluate(&fields)?))
    }

    /// The item of a key as it is stored.
    pub(super) async fn raw(&self, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        let (link, mut found) = (self.ready().await?, None);
        let take = |item: &[u8]| found = Some(item.to_vec());
        load::raw_chunk::<T>(&link, std::slice::from_ref(key), true, take).await?;
        Ok(found)
    }
}

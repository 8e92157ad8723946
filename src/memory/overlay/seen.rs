//! What is known here of what a page has.

use std::collections::HashSet;

use crate::codec::Decoded;
use crate::codec::tree::field;
use crate::condition::Condition;
use crate::error::Error;
use crate::key::Key;
use crate::load;
use crate::memory::Shared;
use crate::memory::expiry::Seen;
use crate::memory::slot::Known;
use crate::record::Record;
use crate::store::MAX_BATCH_GET;

/// What is known here of a record.
pub(super) enum Here<T> {
    Known(Known<T>),
    /// Nothing, and what was read may be older than what this table wrote.
    Behind,
    Unknown,
}

impl<T: Record> Shared<T> {
    /// What is known of a key that a page has, which was asked for by this scan and after so many resets.
    pub(super) fn seen(&self, key: &Key, scan: u64, resets: u64) -> Here<T> {
        let seen = {
            let mut locked = self.slots.lock(key.as_bytes());
            match locked.find(key.as_bytes()) {
                Some(slot) if !slot.now.is_unknown() => Seen::of(slot),
                Some(slot) if slot.unsaved.is_some() || slot.forgotten >= scan => {
                    return Here::Behind;
                }
                _ if self.scans.resets() != resets || self.may_be_behind(key) => {
                    return Here::Behind;
                }
                _ => return Here::Unknown,
            }
        };
        Here::Known(self.visible(seen))
    }

    /// Which of these keys the database has.
    pub(super) async fn stored_of(&self, keys: &[Key]) -> Result<HashSet<Key>, Error> {
        let link = self.ready().await?;
        let mut records = Vec::new();
        for chunk in keys.chunks(MAX_BATCH_GET) {
            load::chunk::<T>(&link, chunk, true, &mut records).await?;
        }
        let key = |read: Result<Decoded<T>, Error>| match read {
            Ok(decoded) => Some(decoded.key),
            Err(error) => error.key().cloned(),
        };
        Ok(records.into_iter().filter_map(key).collect())
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

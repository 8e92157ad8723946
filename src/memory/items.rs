//! Items of records: encoded, with what is kept beside them, and as they are stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::attempt::{Base, Doubt, Met};
use super::slot::Known;
use crate::codec::tree::{Fields, parse_item};
use crate::codec::{CodecError, EncodedItem, Kept, MAX_ITEM, encode};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;
use crate::sums::Sums;

impl<T: Record> Shared<T> {
    /// The item that an attempt was to make, if there was to be one; `None` if it cannot be said.
    pub(super) fn item_of(&self, key: &Key, doubt: &Doubt<T>) -> Option<Met> {
        match doubt {
            Doubt::Alone(attempt) => Some(attempt.item.clone()),
            Doubt::Whole { sent: Known::Record(record), kept, .. } => {
                let item = self.item(record, key, kept.as_deref()).ok()?;
                Some(Some(item.json.into()))
            }
            Doubt::Whole { .. } => Some(None),
        }
    }

    /// The item as it is stored, if there is one and it is known.
    pub(super) fn stored_item(&self, key: &Key, base: &Base<T>) -> Result<Option<Vec<u8>>, Error> {
        match (&base.item, &base.known) {
            (Some(item), _) => Ok(Some(item.to_vec())),
            (None, Known::Record(record)) => {
                self.stored_form(record, key, base.kept.as_deref()).map(Some)
            }
            (None, Known::Absent | Known::Unknown) => Ok(None),
        }
    }

    /// The item of a record that is saved, as it is stored.
    pub(super) fn stored_form(
        &self,
        record: &T,
        key: &Key,
        kept: Option<&Kept>,
    ) -> Result<Vec<u8>, Error> {
        let item = self.encoded_form(record, key)?;
        let Some(kept) = kept else { return Ok(item.json) };
        kept.stored(item).map_err(|why| self.unstorable(key, why.to_string()))
    }

    pub(super) fn fields<'i>(&self, item: &'i [u8], key: &Key) -> Result<Fields<'i>, Error> {
        parse_item(item).map_err(|why| self.unstorable(key, why.to_string()))
    }

    /// Encodes a record together with what is kept beside it.
    pub(super) fn item(
        &self,
        record: &T,
        key: &Key,
        kept: Option<&Kept>,
    ) -> Result<EncodedItem, Error> {
        let item = self.encoded_form(record, key)?;
        self.restored(item, key, kept)
    }

    /// Encodes a record; a serde implementation that panics is an error of its record.
    pub(super) fn encoded_form(&self, record: &T, key: &Key) -> Result<EncodedItem, Error> {
        match catch_unwind(AssertUnwindSafe(|| encode(record, key))) {
            Ok(Ok(item)) => Ok(item),
            Ok(Err(error)) => Err(self.unstorable(key, error.to_string())),
            Err(_) => Err(self.unstorable(key, "its `Serialize` panicked".to_owned())),
        }
    }

    /// An item without increments.
    pub(super) fn without(
        &self,
        item: &EncodedItem,
        key: &Key,
        sums: &Sums,
    ) -> Result<Vec<u8>, Error> {
        let json = sums.negated().added_to(&item.json);
        json.map_err(|why| self.unstorable(key, why.to_string()))
    }

    pub(super) fn restored(
        &self,
        item: EncodedItem,
        key: &Key,
        kept: Option<&Kept>,
    ) -> Result<EncodedItem, Error> {
        let Some(kept) = kept else {
            return Ok(item);
        };
        let failed = |error: CodecError| self.unstorable(key, error.to_string());
        let item = kept.restore(item).map_err(failed)?;
        if item.size > MAX_ITEM {
            let size = item.size;
            let why = format!(
                "with the attributes that the record's type does not know the item has {size} bytes, \
                 DynamoDB allows {MAX_ITEM}"
            );
            return Err(self.unstorable(key, why));
        }
        Ok(item)
    }

    /// What is kept beside a record.
    pub(super) fn kept_of(&self, key: &Key) -> Option<Arc<Kept>> {
        let mut locked = self.slots.lock(key.as_bytes());
        locked.find(key.as_bytes()).and_then(|slot| slot.kept.clone())
    }

    /// Refuses a record of this size if its item is too large together with what is kept beside it.
    pub(super) fn check_fits(
        &self,
        key: &Key,
        record: &T,
        size: usize,
        kept: Option<Arc<Kept>>,
    ) -> Result<(), Error> {
        match kept.filter(|kept| size + kept.beside() > MAX_ITEM) {
            None => Ok(()),
            // What was stored in another form need not take more.
            Some(kept) => self.item(record, key, Some(&kept)).map(drop),
        }
    }

    pub(super) fn unstorable(&self, key: &Key, why: String) -> Error {
        self.place(Error::new(ErrorKind::InvalidRecord, why))
            .on_key(key)
            .advise("put a record that can be stored")
    }
}

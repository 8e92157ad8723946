//! What the benches measure and no user can call. Not for use elsewhere: it changes at will.

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;
use crate::store::Action;
use crate::write::{Fixed, request_sizes};

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidRecord, why.to_string())
}

fn encoded<T: Record>(record: &T) -> Result<(Key, codec::EncodedItem), Error> {
    let key = Key::new(&record.key()).map_err(invalid)?;
    let item = codec::encode(record, &key).map_err(invalid)?;
    Ok((key, item))
}

/// A record as DynamoDB JSON, and its size by DynamoDB's arithmetic.
///
/// # Errors
///
/// [`ErrorKind::InvalidRecord`].
pub fn encode<T: Record>(record: &T) -> Result<(Vec<u8>, usize), Error> {
    encoded(record).map(|(_, item)| (item.json, item.size))
}

/// The record of an item in DynamoDB JSON, and whether the item has more than its type knows.
///
/// # Errors
///
/// [`ErrorKind::InvalidRecord`].
pub fn decode<T: Record>(json: &[u8]) -> Result<(T, bool), Error> {
    let decoded = codec::decode(json).map_err(invalid)?;
    Ok((decoded.record, decoded.kept.is_some()))
}

/// Writes that wait to be planned.
#[expect(missing_debug_implementations)]
pub struct Writes {
    keys: Vec<Key>,
    fixed: Fixed,
}

impl Writes {
    /// The puts of some records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRecord`].
    pub fn of<T: Record>(records: &[T]) -> Result<Self, Error> {
        let (mut keys, mut fixed) = (Vec::new(), Fixed::default());
        for record in records {
            let (key, item) = encoded(record)?;
            keys.push(key.clone());
            fixed.add(key, Action::Put(item));
        }
        Ok(Self { keys, fixed })
    }

    /// Plans the requests and says how many writes each of them has.
    pub fn plan(&self) -> Vec<usize> {
        request_sizes(&self.fixed, self.keys.iter().cloned())
    }
}

/// The store of journals by itself.
#[cfg(feature = "journal")]
#[derive(Debug)]
pub struct JournalStore(crate::journal::Bare);

#[cfg(feature = "journal")]
impl JournalStore {
    /// A store in a new file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`].
    pub fn open(path: &std::path::Path, durability: crate::Durability) -> Result<Self, Error> {
        crate::journal::Bare::open(path, durability).map(Self)
    }

    /// Inserts a row in a transaction of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`].
    pub fn insert(&mut self, key: &[u8], row: &[u8]) -> Result<(), Error> {
        self.0.insert(key, row)
    }
}

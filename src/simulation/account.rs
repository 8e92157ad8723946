//! What the tasks of a job change, and what must become of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{Key, Record};

/// The records of a table lie on so many shelves.
pub(super) const SHELVES: u32 = 3;

/// The first key of the other table.
pub(super) const OTHER: u32 = 1_000;

/// Something that tasks change: `step` by its owner alone, `sum` by all.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "accounts")]
pub(super) struct Account {
    #[record(partition_key)]
    pub(super) shelf: u32,
    #[record(sort_key)]
    pub(super) id: u32,
    /// Raised by every change of the owner, and never lowered.
    #[serde(default)]
    pub(super) step: u64,
    #[serde(default)]
    pub(super) sum: i64,
    /// Raised by others.
    #[serde(default)]
    pub(super) theirs: u64,
    /// The service refuses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) poison: bool,
}

/// What must be stored in the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) exists: bool,
    /// There was one, and there is none any more.
    pub(super) gone: bool,
    pub(super) step: u64,
    /// What was added for sure, and what may have been beyond it.
    pub(super) sum: i64,
    pub(super) maybe: i64,
    pub(super) theirs: u64,
    pub(super) poison: bool,
}

impl Expected {
    /// A record as it was put.
    pub(super) const fn of(account: &Account) -> Self {
        let Account { step, sum, theirs, poison, .. } = *account;
        Self { exists: true, gone: false, step, sum, maybe: 0, theirs, poison }
    }

    pub(super) fn gone() -> Self {
        Self { gone: true, ..Self::default() }
    }
}

pub(super) type Model = Arc<Mutex<BTreeMap<u32, Expected>>>;

/// How the records of a run are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    FieldWise,
    Guarded,
    /// Guarded by the attributes that change, which are written over what others stored.
    Overwriting,
    /// Guarded by the whole item, which is written over what others stored.
    Replacing,
}

impl Account {
    /// One that nobody changed yet.
    pub(super) fn new(id: u32) -> Self {
        let (shelf, id) = at(id);
        Self { shelf, id, ..Self::default() }
    }
}

/// The key of a record.
pub(super) const fn at(id: u32) -> (u32, u32) {
    (id % SHELVES, id)
}

/// The record of a key.
pub(super) fn id_of(key: &Key) -> u32 {
    let text = key.to_string();
    let id = text.trim_end_matches(')').rsplit(", ").next();
    id.and_then(|id| id.parse().ok()).expect("an id")
}

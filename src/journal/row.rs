//! The rows of a journal: what is unsaved of a key, as JSON, with items as DynamoDB's own JSON.
//!
//! A release reads the rows of all earlier ones of its major version: fields are added, with a default, and
//! never changed. `tests/journals` has a journal of each format that there ever was.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::damage::Damaged;
use crate::codec::CodecError;
use crate::guard::{Guard, Mode};
use crate::sums::Sums;

/// An item, or its key attributes, in DynamoDB's JSON.
pub(crate) type Json = Box<RawValue>;

/// What is unsaved of a key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The rows of a journal in this order are in the order in which their keys became unsaved.
    pub(crate) order: u64,
    pub(crate) mode: RowMode,
    /// The key attributes.
    pub(crate) key: Json,
    /// The change of the record itself; none if it is only incremented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<RowChange>,
    /// What is stored, as far as it was known; not of records that are written whatever is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<RowBase>,
    /// Attributes that the record has by increments alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) added: Vec<Box<str>>,
    /// Attributes that were set or taken away, of an item that is not known as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changed: Vec<Box<str>>,
    /// Increments that were never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<RowSum>,
    /// Increments that may have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) frozen: Option<RowFrozen>,
    /// What was sent before may be stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_doubt: bool,
    /// Something older that was sent may still land.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) overtakes: bool,
    /// What was sent before, oldest first, where that matters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) doubts: Vec<RowDoubt>,
    /// Attributes that were sent before those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) doubtful: Vec<Box<str>>,
}

impl Row {
    /// That of a record that is written whatever is stored.
    pub(super) fn plain(key: Json, change: RowChange) -> Self {
        Self {
            order: 0,
            mode: RowMode::Plain,
            key,
            change: Some(change),
            base: None,
            added: Vec::new(),
            changed: Vec::new(),
            waiting: Vec::new(),
            frozen: None,
            in_doubt: false,
            overtakes: false,
            doubts: Vec::new(),
            doubtful: Vec::new(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowChange {
    /// The item as it is to be.
    Put(Json),
    Delete,
}

/// How a record is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowMode {
    Plain,
    FieldWise,
    GuardedItem,
    GuardedFields,
    GuardedVersion,
}

impl From<Mode> for RowMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Plain => Self::Plain,
            Mode::FieldWise => Self::FieldWise,
            Mode::Guarded(Guard::Item) => Self::GuardedItem,
            Mode::Guarded(Guard::Fields) => Self::GuardedFields,
            Mode::Guarded(Guard::Version) => Self::GuardedVersion,
        }
    }
}

impl From<RowMode> for Mode {
    fn from(mode: RowMode) -> Self {
        match mode {
            RowMode::Plain => Self::Plain,
            RowMode::FieldWise => Self::FieldWise,
            RowMode::GuardedItem => Self::Guarded(Guard::Item),
            RowMode::GuardedFields => Self::Guarded(Guard::Fields),
            RowMode::GuardedVersion => Self::Guarded(Guard::Version),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowBase {
    pub(crate) stored: RowStored,
    /// Nothing else is stored.
    pub(crate) exact: bool,
    /// What comes is another item: nothing of what is stored is to stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replaced: bool,
    /// The item may have other attributes beside these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) partial: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowStored {
    Unknown,
    Absent,
    Item(Json),
}

/// What is to be added to an attribute.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowSum {
    name: Box<str>,
    sum: String,
}

/// The sums of a row.
pub(crate) fn row_sums(sums: &Sums) -> Vec<RowSum> {
    sums.all().map(|(name, sum)| RowSum { name: name.into(), sum: sum.to_string() }).collect()
}

/// Those that a row has.
pub(crate) fn sums(rows: &[RowSum]) -> Result<Sums, Damaged> {
    let mut sums = Sums::default();
    for RowSum { name, sum } in rows {
        let number = sum.parse().map_err(|_| Damaged::new("a sum is no number"))?;
        let more = Sums::one(name, number);
        sums = sums.plus(&more).map_err(|_| Damaged::new("a sum has too many digits"))?;
    }
    Ok(sums)
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowFrozen {
    pub(crate) sums: Vec<RowSum>,
    pub(crate) token: String,
    /// When it was first sent, in milliseconds since 1970.
    pub(crate) sent: u64,
}

/// An attempt whose answer is missing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowDoubt {
    /// It was of the newest change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_newest: bool,
    /// The item as it was to be; none if it was to be deleted.
    pub(crate) item: Option<Json>,
    /// How it was sent alone, and the attributes that it was to change; none if it was of the whole record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alone: Option<(RowMode, Vec<Box<str>>)>,
}

/// JSON that was written by the codec.
pub(crate) fn raw(json: Vec<u8>) -> Result<Json, CodecError> {
    let text = String::from_utf8(json).map_err(|why| CodecError::new(why.to_string()))?;
    RawValue::from_string(text).map_err(|why| CodecError::new(why.to_string()))
}

//! Dead letters: what could not be saved, one line a change, as DynamoDB's JSON.

use serde::{Deserialize, Serialize};

use super::row::{Json, Row, RowChange, RowMode};

/// A line of a dead letter.
///
/// That of a put has the item under `Item`, as the service's own exports do, and that of a delete its key.
/// `Unsaved` is what else is to be known of it; not of records that are written whatever is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    #[serde(rename = "Item", default, skip_serializing_if = "Option::is_none")]
    item: Option<Json>,
    #[serde(rename = "Delete", default, skip_serializing_if = "Option::is_none")]
    delete: Option<OfKey>,
    #[serde(rename = "Unsaved", default, skip_serializing_if = "Option::is_none")]
    unsaved: Option<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OfKey {
    #[serde(rename = "Key")]
    key: Json,
}

impl Line {
    pub(crate) fn of(mut row: Row) -> Self {
        let (item, delete) = match row.change.take() {
            Some(RowChange::Put(item)) => (Some(item), None),
            Some(RowChange::Delete) => (None, Some(OfKey { key: row.key.clone() })),
            None => (None, None),
        };
        let is_all = row.mode == RowMode::Plain && row.waiting.is_empty() && row.frozen.is_none();
        Self { item, delete, unsaved: Some(row).filter(|_| !is_all) }
    }

    /// The key attributes, or the item that has them.
    pub(crate) fn key(&self) -> Option<&Json> {
        let unsaved = self.unsaved.as_ref().map(|row| &row.key);
        let delete = self.delete.as_ref().map(|delete| &delete.key);
        unsaved.or(delete).or(self.item.as_ref())
    }

    /// The row that it was made of, where its key attributes are these.
    pub(crate) fn into_row(self, key: Json) -> Option<Row> {
        let change = match (self.item, self.delete) {
            (Some(item), None) => Some(RowChange::Put(item)),
            (None, Some(_)) => Some(RowChange::Delete),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        };
        match self.unsaved {
            Some(row) => Some(Row { change, ..row }),
            None => Some(Row::plain(key, change?)),
        }
    }
}

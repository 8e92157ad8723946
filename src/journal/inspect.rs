//! What is in a journal, to be looked at.

use std::fmt;
use std::path::Path;

use super::damage::Damaged;
use super::header::Header;
use super::row::{Row, RowChange, sums};
use super::store::{Content, Stored};
use crate::codec::item_size;
use crate::store::Operation;
use crate::types::Number;

/// What is in a journal, by [`Journal::inspect`](super::Journal::inspect).
#[derive(Clone, Debug)]
pub struct Inspection {
    header: Header,
    changes: Vec<UnsavedChange>,
    cursor: Option<String>,
    file_bytes: u64,
}

/// What is unsaved of a record, in a journal. `Debug` shows its key, and not its contents.
#[derive(Clone)]
pub struct UnsavedChange {
    key: String,
    operation: Operation,
    item: Option<String>,
    increments: Vec<(String, Number)>,
    is_in_doubt: bool,
}

impl Inspection {
    pub(super) fn of(path: &Path, header: Header, content: Content) -> Result<Self, Damaged> {
        let parsed = |(_, row): Stored| {
            serde_json::from_slice::<Row>(&row).map_err(|why| Damaged::new(why.to_string()))
        };
        let mut rows: Vec<Row> = content.rows.into_iter().map(parsed).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.order);
        let changes = rows.iter().map(UnsavedChange::of).collect::<Result<_, _>>()?;
        let file_bytes = std::fs::metadata(path).map_or(0, |data| data.len());
        let text = |cursor| String::from_utf8(cursor).map_err(|why| Damaged::new(why.to_string()));
        let cursor = content.cursor.map(text).transpose()?;
        Ok(Self { header, changes, cursor, file_bytes })
    }

    /// The table that the changes are of, as it is called in the database.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.header.table
    }

    /// The release of this crate that made the journal.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.header.by
    }

    /// What is unsaved, oldest change first; one of each key.
    #[must_use]
    pub fn changes(&self) -> &[UnsavedChange] {
        &self.changes
    }

    /// What the job said of its last checkpoint, as JSON; `None` if there was none.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }
}

impl UnsavedChange {
    fn of(row: &Row) -> Result<Self, Damaged> {
        let (operation, item) = match &row.change {
            None => (Operation::Increment, None),
            Some(RowChange::Delete) => (Operation::Delete, None),
            Some(RowChange::Put(item)) => (Operation::Put, Some(item.get().to_owned())),
        };
        let mut all = sums(&row.waiting)?;
        if let Some(frozen) = &row.frozen {
            let frozen = sums(&frozen.sums)?;
            all = frozen.plus(&all).map_err(|_| Damaged::new("a sum has too many digits"))?;
        }
        Ok(Self {
            key: row.key.get().to_owned(),
            operation,
            item,
            increments: all.all().map(|(name, sum)| (name.to_owned(), sum.clone())).collect(),
            is_in_doubt: row.in_doubt || row.frozen.is_some() || !row.doubts.is_empty(),
        })
    }

    /// The key attributes, as DynamoDB's JSON.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is to be done.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The item as it is to be, as DynamoDB's JSON; none for a delete, or where there are only increments.
    #[must_use]
    pub fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    /// Bytes of the item, by DynamoDB's arithmetic; 0 if there is none.
    #[must_use]
    pub fn item_bytes(&self) -> usize {
        self.item.as_ref().and_then(|item| item_size(item.as_bytes())).unwrap_or(0)
    }

    /// What is to be added to which attribute.
    #[must_use]
    pub fn increments(&self) -> &[(String, Number)] {
        &self.increments
    }

    /// Whether something of it was sent whose answer is missing: it may be stored already.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }
}

impl fmt::Debug for UnsavedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsavedChange")
            .field("key", &self.key)
            .field("operation", &self.operation)
            .field("item_bytes", &self.item_bytes())
            .field("is_in_doubt", &self.is_in_doubt)
            .finish_non_exhaustive()
    }
}

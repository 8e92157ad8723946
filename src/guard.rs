//! Writes under a condition: what must still be stored, and what becomes of a conflict.

mod write;

use std::fmt;
use std::sync::Arc;

pub(crate) use write::{Outgoing, Request, Stored, Target, beneath, has_name, is_own};

use crate::error::{BoxError, Error, ErrorKind};
use crate::key::Key;

/// What must still be stored as it was loaded for a guarded write to be done.
///
/// A write that is guarded goes alone, as a conditional PutItem, UpdateItem or DeleteItem, several at
/// once; a batch carries no conditions. It sends the attributes that changed and the values that it
/// expects, and costs as many write units as a plain one, also where the condition does not hold.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Guard {
    /// Every attribute that was loaded, also those that the record's type does not know, and the absence
    /// of those that it [knows](crate::Record::ATTRIBUTES) and that were not there. What others added
    /// beside that is no conflict, and stays. For items of up to 150 attributes, of which 100 may be
    /// absent, which is what an expression of DynamoDB's holds.
    Item,
    /// The attributes that change, so that two writers of different ones both win.
    Fields,
    /// The attribute with `#[record(version)]`, which each guarded write raises by one. Writers that
    /// leave it as it is are not noticed. An item that has none yet is guarded as by [`Guard::Item`].
    Version,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a whole, by the batch, whatever is stored.
    Plain,
    /// Alone, if what the guard says is still stored.
    Guarded(Guard),
    /// Alone, the attributes that changed.
    FieldWise,
}

impl Mode {
    /// Whether attributes that are not changed are nobody's concern.
    pub(crate) const fn is_by_fields(self) -> bool {
        matches!(self, Self::FieldWise | Self::Guarded(Guard::Fields))
    }
}

type MergeFn<T> =
    dyn Fn(Option<&T>, Option<&T>, Option<&T>) -> Result<Option<T>, BoxError> + Send + Sync;

/// What becomes of a guarded write whose condition does not hold, because others changed the item.
///
/// In any case the report of the flush lists the conflict with its key, and the other records of the
/// flush are written.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use memory_table::{Database, Guard, MemoryTable, OnConflict, Record, Resolution};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone, Default)]
/// #[record(table = "pages")]
/// struct Page {
///     #[record(partition_key)]
///     url: String,
///     #[serde(default)]
///     visits: u64,
/// }
///
/// let pages = Database::embedded()?.table::<Page>();
/// pages.create_if_missing().await?;
/// let added = |base: Option<&Page>, mine: Option<&Page>, theirs: Option<&Page>| {
///     let visits = |page: Option<&Page>| page.map_or(0, |page| page.visits);
///     let mut merged = mine?.clone();
///     merged.visits = visits(theirs) + visits(mine) - visits(base);
///     Some(merged)
/// };
/// let memory = MemoryTable::builder(pages.clone())
///     .guarded(Guard::Item)
///     .on_conflict(OnConflict::merge(added))
///     .build()?;
/// memory.update("/", |page| page.visits += 1).await?;
/// pages.put(&Page { url: "/".into(), visits: 10 }).await?; // somebody else
///
/// let report = memory.flush().await?;
/// assert_eq!((report.written, report.conflicts[0].resolution), (1, Resolution::Merged));
/// assert_eq!(pages.get("/").await?.map(|page| page.visits), Some(11));
/// # Ok(()) }
/// ```
#[non_exhaustive]
pub enum OnConflict<T> {
    /// The change is written all the same, under the condition that what was met is still stored.
    /// Attributes that the record's type does not know are those of the other writer; under
    /// [`Guard::Fields`] all that were not changed here are.
    Overwrite,
    /// The record is [failed](crate::FlushReport::failed) with an error of kind
    /// [`Conflict`](crate::ErrorKind::Conflict) and stays unsaved. The default of guarded records.
    Fail,
    /// The function decides, by [`merge`](Self::merge) or [`try_merge`](Self::try_merge).
    Merge(Merge<T>),
}

/// The function of [`OnConflict::Merge`].
pub struct Merge<T>(Arc<MergeFn<T>>);

impl<T> OnConflict<T> {
    /// Makes one record of three: as it was loaded, as it was changed here, and as it is stored now;
    /// each `None` where there was, or is to be, no record. `None` deletes it.
    ///
    /// It runs on the task of the flush, under no lock, when nobody else is changing the record; a
    /// panic in it is a conflict that failed. What it returns is the record from then on, as if by
    /// `update`: `before_store` runs, and a change of the key is refused.
    pub fn merge(
        merge: impl Fn(Option<&T>, Option<&T>, Option<&T>) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        Self::try_merge(move |base, mine, theirs| Ok(merge(base, mine, theirs)))
    }

    /// As [`merge`](Self::merge), by a function that may give up: then the conflict fails, and its error
    /// is the source of the record's.
    pub fn try_merge(
        merge: impl Fn(Option<&T>, Option<&T>, Option<&T>) -> Result<Option<T>, BoxError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self::Merge(Merge(Arc::new(merge)))
    }
}

impl<T> Merge<T> {
    pub(crate) fn run(
        &self,
        base: Option<&T>,
        mine: Option<&T>,
        theirs: Option<&T>,
    ) -> Result<Option<T>, BoxError> {
        (self.0)(base, mine, theirs)
    }
}

impl<T> Clone for Merge<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Merge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Merge")
    }
}

impl<T> Clone for OnConflict<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Overwrite => Self::Overwrite,
            Self::Fail => Self::Fail,
            Self::Merge(merge) => Self::Merge(merge.clone()),
        }
    }
}

impl<T> fmt::Debug for OnConflict<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overwrite => "Overwrite",
            Self::Fail => "Fail",
            Self::Merge(_) => "Merge",
        })
    }
}

/// The error of a conflict that fails.
pub(crate) fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "others changed the item since it was loaded").advise(
        "`discard` the record and change it anew, or choose `OnConflict::Overwrite` or `merge`",
    )
}

/// A record that others had changed when it was to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The name of its table.
    pub table: Arc<str>,
    /// The record's key.
    pub key: Key,
    /// What became of the last conflict.
    pub resolution: Resolution,
    /// How often what others stored was met in this flush.
    pub times: u64,
}

/// What became of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resolution {
    /// The change is written over what others stored.
    Overwritten,
    /// The function made one of both.
    Merged,
    /// The record is not written.
    Failed,
}

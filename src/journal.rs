//! Journals: unsaved changes on disk, so that a crash loses none.

mod damage;
mod disk;
#[cfg(test)]
pub(crate) mod faults;
mod header;
mod inspect;
mod letter;
mod log;
mod row;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use damage::Damaged;
pub(crate) use header::Header;
pub use inspect::{Inspection, UnsavedChange};
pub(crate) use letter::Line;
pub(crate) use log::{Encode, Log};
pub(crate) use row::{
    Json, Row, RowBase, RowChange, RowDoubt, RowFrozen, RowStored, raw, row_sums, sums,
};

use crate::error::Error;
use crate::memory::MemoryTable;
use crate::record::Record;
use crate::table::Table;
use crate::write::{FlushError, FlushReport};
use store::{Opened, Store, damaged};

/// What a change in the journal survives once the call that made it has returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The death of the process: a panic, a kill, no more memory. The change is with the operating system,
    /// which takes some tens of microseconds. The default: of what ends a batch job the machine is the
    /// rarest, and the other levels wait for the disk.
    #[default]
    Os,
    /// The death of the machine too: the change is on the disk. Changes that are made at the same time, by
    /// several tasks, share a sync.
    Fsync,
    /// As [`Fsync`](Self::Fsync), but a sync is put off for so long, in which others join it. A task that makes
    /// one change after the other waits so long for each.
    Group(Duration),
}

/// Calls on a journal that no memory table has open.
///
/// A journal is one file, kept by [`MemoryTableBuilder::journal`](crate::MemoryTableBuilder::journal): what is
/// unsaved, by key. It is a [redb](https://docs.rs/redb) database.
#[derive(Debug)]
pub struct Journal(());

impl Journal {
    /// What is in a journal. It needs no database and no type of record, and changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, Journal, MemoryTable, Operation, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("players.journal");
    /// let memory = MemoryTable::builder(players).journal(&path).build()?;
    /// memory.put(Player { name: "ada".into(), wins: 7 }).await?;
    /// drop(memory); // as a crash does it
    ///
    /// let found = Journal::inspect(&path)?;
    /// assert_eq!(found.table(), "players");
    /// assert_eq!(found.changes()[0].operation(), Operation::Put);
    /// assert_eq!(found.changes()[0].key(), r#"{"name":{"S":"ada"}}"#);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal) if there is none, it is open elsewhere, damaged, or of
    /// a newer release.
    pub fn inspect(path: impl Into<PathBuf>) -> Result<Inspection, Error> {
        let path: Arc<Path> = path.into().into();
        let (header, content) = store::read(&path).map_err(|why| why.error)?;
        Inspection::of(&path, header, content).map_err(|why| damaged(&path, why).error)
    }

    /// Saves what is in a journal: opens it, flushes, and leaves it empty.
    ///
    /// Each change is written as it would have been: whole, guarded or by fields. Where others have changed a
    /// guarded record meanwhile, that is a conflict, and the change stays in the journal. Replaying again
    /// writes nothing twice.
    ///
    /// # Errors
    ///
    /// [`FlushError`]: its [`cause`](FlushError::cause) is of kind
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal) where the journal cannot be opened, and else as for
    /// [`MemoryTable::flush`]. What is not saved stays in the journal.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the flush goes on; what it does not save stays in the journal.
    pub async fn replay<T: Record>(
        path: impl Into<PathBuf>,
        table: Table<T>,
    ) -> Result<FlushReport, FlushError> {
        let name = table.shown_name();
        let unopened = |error| FlushError::new(vec![name.clone()], FlushReport::default(), error);
        let path: Arc<Path> = path.into().into();
        let found = store::read(&path);
        let (header, _) = found.map_err(|why| unopened(table.place(why.error)))?;
        let builder = MemoryTable::builder(table).journal(&*path);
        let builder = if header.checkpoints { builder.checkpoints() } else { builder };
        builder.build().map_err(unopened)?.close().await
    }
}

/// How a journal is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    pub(crate) salvage: bool,
}

/// An open journal and what was in it, in the order in which it became unsaved.
pub(crate) struct Found<S: Encode> {
    pub(crate) log: Arc<Log<S>>,
    pub(crate) rows: Rows,
    /// What the job said of the last checkpoint, as JSON.
    pub(crate) cursor: Option<Vec<u8>>,
}

/// Opens the journal of a table, or makes it.
pub(crate) fn open<S: Encode>(
    options: &Options,
    durability: Durability,
    header: &Header,
) -> Result<Found<S>, Error> {
    let path: Arc<Path> = options.path.as_path().into();
    let opened = Store::open(&path, durability, header).and_then(|opened| {
        let rows = parsed(&path, &opened.content.rows)?;
        Ok((opened.store, rows, opened.content.cursor))
    });
    let (store, mut rows, cursor) = match opened {
        Err(why) if why.is_damaged && options.salvage => {
            salvage(&path, durability, header, &why.error)?
        }
        opened => opened.map_err(|why| why.error)?,
    };
    rows.sort_by_key(|(_, row)| row.order);
    Ok(Found { log: Arc::new(Log::new(store, durability, path)), rows, cursor })
}

/// A store without a memory table around it, to be measured.
#[cfg(feature = "internal-bench")]
#[derive(Debug)]
pub(crate) struct Bare(Store);

#[cfg(feature = "internal-bench")]
impl Bare {
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Self, Error> {
        let opened = Store::open(&path.into(), durability, &Header::bare());
        opened.map(|opened| Self(opened.store)).map_err(|why| why.error)
    }

    pub(crate) fn insert(&mut self, key: &[u8], row: &[u8]) -> Result<(), Error> {
        self.0.write([(key, Some(row.to_vec()))].into_iter(), None)
    }
}

type Rows = Vec<(Vec<u8>, Row)>;

fn parsed(path: &Path, stored: &[store::Stored]) -> Result<Rows, store::Unopened> {
    let row = |(key, row): &store::Stored| Ok((key.clone(), serde_json::from_slice(row)?));
    let rows: Result<Rows, serde_json::Error> = stored.iter().map(row).collect();
    rows.map_err(|why| damaged(path, why))
}

/// Goes on with what is readable of a damaged journal.
fn salvage(
    path: &Arc<Path>,
    durability: Durability,
    header: &Header,
    why: &Error,
) -> Result<(Store, Rows, Option<Vec<u8>>), Error> {
    let is_row = |row: &[u8]| serde_json::from_slice::<Row>(row).is_ok();
    let salvaged = Store::salvage(path, durability, header, is_row).map_err(|why| why.error)?;
    let (Opened { store, content }, aside) = salvaged;
    let rows = parsed(path, &content.rows).map_err(|why| why.error)?;
    tracing::warn!(
        target: crate::logging::RECORDS,
        journal = %path.display(),
        aside = %aside.display(),
        kept = rows.len(),
        error = %why,
        "a journal was damaged; what was readable is unsaved again, and the damaged file is aside"
    );
    Ok((store, rows, content.cursor))
}

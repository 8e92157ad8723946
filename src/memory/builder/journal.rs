//! The journal of a memory table.

use std::path::PathBuf;

use super::MemoryTableBuilder;
use crate::error::{Error, ErrorKind};
use crate::journal::{Durability, Options};
use crate::memory::MemoryTable;
use crate::memory::journal::Recorder;
use crate::record::Record;

/// The journal that is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    path: Option<PathBuf>,
    durability: Option<Durability>,
    salvage: bool,
    checkpoints: bool,
}

impl<T: Record> MemoryTableBuilder<T> {
    /// Keeps what is unsaved in a file too, so that a crash loses nothing; with the feature `journal`.
    ///
    /// A change is in the journal when the call that makes it returns, and visible only then; a flush that
    /// saves a record takes it out. Opening the memory table reads the file, in the calling thread: what is
    /// in it is unsaved again, with what was known to be stored, so that a guarded record that others changed
    /// meanwhile is a conflict. The next flush saves it.
    ///
    /// The file is of one table, and open in one memory table at a time. It has about what is unsaved, as JSON.
    /// Not in it are a table's options: open it with those that it had.
    ///
    /// If the file cannot be written, the call that was to change something fails and changes nothing, and so
    /// does every call after it: what came later must not be found without what came before. What is unsaved can
    /// be flushed then, but for increments and guarded writes that a crash must know of.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("players.journal");
    /// let memory = MemoryTable::builder(players.clone()).journal(&path).build()?;
    /// memory.put(Player { name: "ada".into(), wins: 7 }).await?;
    /// drop(memory); // as a crash does it
    ///
    /// let memory = MemoryTable::builder(players).journal(&path).build()?;
    /// assert_eq!(memory.get("ada").await?.map(|ada| ada.wins), Some(7));
    /// assert_eq!(memory.flush().await?.written, 1);
    /// # Ok(()) }
    /// ```
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal.path = Some(path.into());
        self
    }

    /// What a change in the [journal](Self::journal) survives; the death of the process, unless this says more.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.journal.durability = Some(durability);
        self
    }

    /// Goes on with what is readable where the [journal](Self::journal) is damaged, which is an error else: the
    /// changes that cannot be read are lost. The damaged file stays beside it, as `PATH.damaged-1`.
    pub const fn salvage_journal(mut self) -> Self {
        self.journal.salvage = true;
        self
    }

    /// The [journal](Self::journal) has what was unsaved at the last
    /// [checkpoint](MemoryTable::checkpoint), and nothing of what came after it: for jobs that go on where they
    /// were, and would count twice what they do again.
    ///
    /// Changes cost no more than without a journal, and are on disk when `checkpoint` returns. A flush, asked
    /// for or in the background, sends what the last checkpoint covers: of a record that was changed since,
    /// that which it was then. So what came later takes its room among what
    /// [may be unsaved](Self::max_unsaved_records) until the next checkpoint: make them often enough. A record
    /// whose write meets what others stored, and that was changed since, is merged after the next checkpoint.
    ///
    /// [`discard`](MemoryTable::discard), [`take_unsaved`](MemoryTable::take_unsaved) and
    /// [`reset_forced`](MemoryTable::reset_forced) take what they forget out of the journal at once. A journal
    /// is made with checkpoints or without, and opened so.
    pub const fn checkpoints(mut self) -> Self {
        self.journal.checkpoints = true;
        self
    }

    pub(super) fn open(self) -> Result<MemoryTable<T>, Error> {
        let Wanted { path, durability, salvage, checkpoints } = self.journal;
        let Some(path) = path else {
            if durability.is_some() || salvage || checkpoints {
                let text = "`durability`, `salvage_journal` and `checkpoints` need a `journal`";
                return Err(Error::new(ErrorKind::Configuration, text));
            }
            return Ok(MemoryTable::with(
                self.table,
                self.options,
                self.on_conflict,
                Recorder::off(),
            ));
        };
        let options = Options { path, salvage };
        let (durability, name) = (durability.unwrap_or_default(), self.table.name()?);
        let opened = Recorder::open(&options, durability, name, checkpoints);
        let (recorder, found) = opened.map_err(|why| self.table.place(why))?;
        let memory = MemoryTable::with(self.table, self.options, self.on_conflict, recorder);
        memory.shared.take_back(found);
        Ok(memory)
    }
}

//! Checkpoints: a position of the job's own, committed together with all changes before it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MemoryTable, Shared};
use crate::error::{BoxError, Error, ErrorKind};
use crate::record::Record;

impl<T: Record> MemoryTable<T> {
    /// Commits how far the job has come, together with all changes of this table that it made before: those
    /// whose calls have returned. Both are in the journal when this returns, in one piece, and are what is found
    /// there after a crash, whatever was changed later. Needs a journal with
    /// [`checkpoints`](crate::MemoryTableBuilder::checkpoints).
    ///
    /// It does not wait for the database. Flushes send what it covers from now on.
    ///
    /// What the job is to know when it goes on belongs into the cursor: where it is in its input, and what it
    /// has counted until there. It is kept as JSON, and replaces the one before.
    ///
    /// # Example
    ///
    /// A job that counts goes on where it was, and counts nothing twice.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] wins: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("players.journal");
    /// let winners = ["ada", "bob", "ada", "eve", "ada"];
    /// let open = || MemoryTable::builder(players.clone()).journal(&path).checkpoints().build();
    ///
    /// let memory = open()?;
    /// for (row, name) in winners.iter().enumerate().take(4) {
    ///     memory.update(*name, |player| player.wins += 1).await?;
    ///     if row == 2 {
    ///         memory.checkpoint(&(row + 1)).await?;
    ///     }
    /// }
    /// drop(memory); // as a crash does it, between two checkpoints
    ///
    /// let memory = open()?;
    /// let done: usize = memory.cursor()?.unwrap_or(0);
    /// assert_eq!(done, 3);
    /// for name in &winners[done..] {
    ///     memory.update(*name, |player| player.wins += 1).await?;
    /// }
    /// memory.checkpoint(&winners.len()).await?;
    /// memory.close().await?;
    /// assert_eq!(players.get("ada").await?.map(|ada| ada.wins), Some(3));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] without checkpoints, or for a cursor that is no JSON;
    /// [`ErrorKind::Journal`] if the journal could not be written: changes and flushes fail from now on, and
    /// who opens it next finds the checkpoint before.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the checkpoint is made or it is not.
    pub async fn checkpoint<C: Serialize + ?Sized>(&self, cursor: &C) -> Result<(), Error> {
        let shared = &self.shared;
        let place = |error: Error| shared.place(error.during("checkpoint"));
        let cursor = serde_json::to_vec(cursor).map_err(|why| {
            place(Error::new(ErrorKind::Configuration, "the cursor is no JSON").caused_by(why))
        })?;
        shared.slots.recorder.check().map_err(place)?;
        let noted = shared.slots.recorder.checkpoint(&shared.slots, &cursor.into());
        let Some(noted) = noted else { return Err(shared.without_checkpoints("checkpoint")) };
        shared.slots.recorder.until(noted).await.map_err(place)?;
        shared.after_change();
        Ok(())
    }

    /// What the job said of its last [checkpoint](Self::checkpoint), here or before a crash; `None` if there was
    /// none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] without checkpoints; [`ErrorKind::Journal`] if this is not what the cursor
    /// was: that of another job, or of another release of it.
    pub fn cursor<C: DeserializeOwned>(&self) -> Result<Option<C>, Error> {
        let recorder = &self.shared.slots.recorder;
        if !recorder.has_checkpoints() {
            return Err(self.shared.without_checkpoints("cursor"));
        }
        let Some(cursor) = recorder.cursor() else { return Ok(None) };
        serde_json::from_slice(&cursor).map(Some).map_err(|why| {
            let path = recorder.path().map(|path| path.display().to_string()).unwrap_or_default();
            let text = format!("the cursor of the journal `{path}` is not this job's");
            let error = Error::new(ErrorKind::Journal, text).during("cursor");
            // The text of such an error may quote what it read.
            let why: BoxError = format!("{:?} at column {}", why.classify(), why.column()).into();
            self.shared.place(error).caused_by(why).advise(
                "go on with the job that made it; or save what is in the journal with `Journal::replay`, \
                 and begin with a new one",
            )
        })
    }
}

impl<T: Record> Shared<T> {
    fn without_checkpoints(&self, call: &'static str) -> Error {
        let text = "the memory table has no checkpoints";
        let error = Error::new(ErrorKind::Configuration, text).during(call);
        self.place(error).advise("build it with `journal` and `checkpoints`")
    }
}

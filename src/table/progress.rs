//! Who is told how far long work has come.

use super::Table;
use crate::progress::{Listener, Progress};
use crate::record::Record;

impl<T: Record> Table<T> {
    /// Tells how far batches of writes have come, and flushes and loads of memory tables over this value and its
    /// clones: when they begin, at most every 100 ms while something is answered, and when they end.
    ///
    /// It is called by the task that does the work, which waits for it: it is to be quick. If it panics, the work
    /// goes on without it.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::{Arc, Mutex};
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let last = Arc::new(Mutex::new(String::new()));
    /// let told = Arc::clone(&last);
    /// let players = players.on_progress(move |progress| *told.lock().unwrap() = progress.to_string());
    /// let memory = MemoryTable::new(players);
    /// for number in 0..60 {
    ///     memory.put(Player { name: format!("player {number}") }).await?;
    /// }
    /// let _report = memory.flush().await?;
    /// assert!(last.lock().unwrap().starts_with("saving players: 60 of 60, "));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_progress(self, listen: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Listener::new(listen)), ..self }
    }

    /// Who is told.
    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Draws [progress](Self::on_progress) as a bar on standard error, if that is a terminal.
    #[cfg(feature = "progress")]
    #[must_use]
    pub fn progress_bar(self) -> Self {
        self.on_progress(crate::progress::bar())
    }
}

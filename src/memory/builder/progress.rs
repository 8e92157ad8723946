//! Who is told how far flushes and loads have come.

use super::MemoryTableBuilder;
use crate::progress::Progress;
use crate::record::Record;
#[cfg(feature = "progress")]
use crate::table::Table;

impl<T: Record> MemoryTableBuilder<T> {
    /// Tells how far flushes and loads have come, as [`Table::on_progress`](crate::Table::on_progress) does.
    pub fn on_progress(self, listen: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.with_table(|table| table.on_progress(listen))
    }

    /// Draws [progress](Self::on_progress) as a bar on standard error, if that is a terminal.
    #[cfg(feature = "progress")]
    pub fn progress_bar(self) -> Self {
        self.with_table(Table::progress_bar)
    }
}

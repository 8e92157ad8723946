//! Journals: what is unsaved survives a crash.

mod changes;
mod checkpoints;
mod files;
mod formats;
mod full;
mod increments;
mod kept;
mod kill;
mod letters;

use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_table::{Journal, MemoryTable, MemoryTableBuilder, Record, Table};
use tempfile::TempDir;

use crate::support::quick_builder;

/// Journals of a test, gone with it.
pub struct Journals(TempDir);

impl Journals {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for journals"))
    }

    /// A journal by its name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The first one.
    pub fn first(&self) -> PathBuf {
        self.path("first.journal")
    }

    /// The journal as a crash at this moment would leave it.
    pub fn crash(&self, journal: &Path) -> PathBuf {
        let number = std::fs::read_dir(self.0.path()).expect("the folder of the journals").count();
        let left = self.path(&format!("left-{number}.journal"));
        std::fs::copy(journal, &left).expect("the journal can be copied");
        left
    }
}

/// A memory table with this journal, whose retries come quickly.
pub fn open<T: Record>(table: &Table<T>, journal: &Path) -> MemoryTable<T> {
    builder(table, journal).build().expect("the journal opens")
}

pub fn builder<T: Record>(table: &Table<T>, journal: &Path) -> MemoryTableBuilder<T> {
    quick_builder(table.clone()).patience(Duration::ZERO).journal(journal)
}

/// The keys of what is in a journal.
pub fn keys(journal: &Path) -> Vec<String> {
    let found = Journal::inspect(journal).expect("the journal can be read");
    found.changes().iter().map(|change| change.key().to_owned()).collect()
}

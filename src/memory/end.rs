//! How a memory table ends: flushed, closed, in a scope, or dropped.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::change::Forgotten;
use super::slot::Known;
use super::turn::Turn;
use super::{MemoryTable, Shared};
use crate::breaks::broken;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::logging::RECORDS;
use crate::record::Record;
use crate::types::Number;
use crate::write::{FlushError, FlushReport};

/// A change that was not saved, handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsaved<T> {
    /// The record was put or changed.
    Put(Arc<T>),
    /// The record of this key was deleted.
    Delete(Key),
    /// Numbers were added to attributes of the record of this key.
    Increment(Key, Vec<(String, Number)>),
}

/// Why a [`scope`](MemoryTable::scope) did not end well.
#[derive(Clone)]
#[non_exhaustive]
pub enum ScopeError<T, E> {
    /// The job failed. Nothing was flushed for it, and its changes are here, no more in the table.
    Job {
        /// The job's own error.
        error: E,
        /// What was unsaved, oldest change first.
        unsaved: Vec<Unsaved<T>>,
    },
    /// The job went well and its changes could not all be saved; they are unsaved in the table.
    Flush(FlushError),
}

impl<T, E: fmt::Debug> fmt::Debug for ScopeError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The records are not shown.
            Self::Job { error, unsaved } => f
                .debug_struct("Job")
                .field("error", error)
                .field("unsaved", &unsaved.len())
                .finish(),
            Self::Flush(error) => f.debug_tuple("Flush").field(error).finish(),
        }
    }
}

impl<T, E: fmt::Display> fmt::Display for ScopeError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { error, unsaved } => {
                let count = super::counted(unsaved.len(), "unsaved change");
                let were = if unsaved.len() == 1 { "was" } else { "were" };
                write!(f, "{error}; {count} {were} handed back, none was flushed")
            }
            Self::Flush(error) => error.fmt(f),
        }
    }
}

impl<T, E: StdError + 'static> StdError for ScopeError<T, E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Job { error, .. } => error.source(),
            Self::Flush(error) => error.source(),
        }
    }
}

impl<T: Record> MemoryTable<T> {
    /// Saves the changes of some keys only; the rest stays unsaved. The report is of these keys.
    ///
    /// It waits for a flush under way, since a key is in one request at a time.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush). A key that DynamoDB refuses is the
    /// [`cause`](FlushError::cause), and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// As for [`flush`](Self::flush).
    pub async fn flush_keys<K, I>(&self, keys: I) -> Result<FlushReport, FlushError>
    where
        K: KeyLookup<T::Key>,
        I: IntoIterator<Item = K>,
    {
        let checked = keys.into_iter().map(|key| self.shared.table.checked_key(&key));
        let keys: Vec<Key> =
            checked.collect::<Result<_, _>>().map_err(|error| self.shared.unflushed(error))?;
        self.shared.told(self.shared.flush_some(&keys).await)
    }

    /// Saves everything and closes the table to changes.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush); the table is open again then, and nothing is lost. Where there are
    /// checkpoints, [`ErrorKind::Unsaved`] if something was changed after the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the flush goes on, and the table is open again.
    pub async fn close(&self) -> Result<FlushReport, FlushError> {
        let closing = self.shared.closed.begin();
        // Locks each shard once: a change that saw the table open is published now.
        let _published = self.shared.slots.unsaved_keys(0);
        if broken(13) {
            return Ok(FlushReport::default());
        }
        let report = self.flush().await?;
        self.shared.check_covered(&report)?;
        closing.succeed();
        Ok(report)
    }

    /// As [`close`](Self::close), for at most so long.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close). When the time is up, an error of kind [`ErrorKind::Timeout`]
    /// whose report lists what is still unsaved, without attempts, which only the flush knows; what is
    /// in flight may be saved all the same. The flush goes on, and the table is open again.
    ///
    /// # Cancel safety
    ///
    /// As for [`close`](Self::close).
    pub async fn close_within(&self, deadline: Duration) -> Result<FlushReport, FlushError> {
        match crate::rt::timeout(deadline, self.close()).await {
            Ok(ended) => ended,
            Err(_) => {
                let text = format!("not everything was saved within {} s", deadline.as_secs_f64());
                let error = Error::new(ErrorKind::Timeout, text)
                    .during("close")
                    .advise("the flush goes on; `close` again, or keep what is left elsewhere");
                self.shared.told(Err(self.shared.left(&self.shared.place(error))))
            }
        }
    }

    /// Runs a job on the table, then flushes if it went well.
    ///
    /// If it fails, nothing is flushed: its changes, and all others that are unsaved, are taken out of
    /// the table and handed back, but for increments of unknown outcome. A change that a background flush wrote before is in the database.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, Error, MemoryTable, Record, ScopeError};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let memory = MemoryTable::new(players);
    /// let (_, report) = memory
    ///     .scope(async |players| players.update("ada", |player| player.rating = 7.0).await)
    ///     .await?;
    /// assert_eq!(report.written, 1);
    ///
    /// let failed = memory
    ///     .scope(async |players| {
    ///         players.update("bob", |player| player.rating = 8.0).await.map_err(|e| e.to_string())?;
    ///         Err::<(), _>("no more matches".to_owned())
    ///     })
    ///     .await;
    /// assert!(matches!(failed, Err(ScopeError::Job { unsaved, .. }) if unsaved.len() == 1));
    /// assert!(memory.get("bob").await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ScopeError::Job`] with the job's error, [`ScopeError::Flush`] with that of the flush.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the job's changes are unsaved in the table, but for those that the flush after it has
    /// saved, which goes on.
    pub async fn scope<R, E>(
        &self,
        job: impl AsyncFnOnce(&Self) -> Result<R, E>,
    ) -> Result<(R, FlushReport), ScopeError<T, E>> {
        match job(self).await {
            Ok(output) => {
                let report = self.flush().await.map_err(ScopeError::Flush)?;
                Ok((output, report))
            }
            Err(error) => Err(ScopeError::Job { error, unsaved: self.take_unsaved().await }),
        }
    }

    /// Takes every unsaved change out of the table, oldest first. Their records are loaded anew when
    /// they are asked for.
    ///
    /// From inside a record's own update the change of that record stays, and so do increments whose
    /// outcome is unknown, with what they hold back. Changes that are being made or
    /// written at this moment are waited for first; what is saved by
    /// that is not among them. Then all are taken at once. A record that is put again later is one that
    /// was never loaded, unless it was loaded before that: a plain one replaces the whole item, attributes
    /// that its type does not know included.
    ///
    /// A journal drops them right after this: a process that dies before that finds them unsaved again.
    ///
    /// # Cancel safety
    ///
    /// Dropped, every change is still in the table.
    pub async fn take_unsaved(&self) -> Vec<Unsaved<T>> {
        let mut keys = self.unsaved();
        let turns = self.turns_of(&keys).await;
        keys.retain(|key| turns.contains_key(key));
        let shared = &self.shared;
        let taken: Vec<_> = shared
            .between_flushes(|| {
                let change = |key: &Key| {
                    let stays = shared.is_in_doubt(key);
                    if stays { None } else { shared.forget(key).ok().flatten() }
                };
                keys.iter().map(change).collect()
            })
            .await;
        // No waiting from here on: who has them has the only copy.
        shared.slots.recorder.hasten();
        let unsaved = |(key, change): (Key, Option<Forgotten<T>>)| match change? {
            Forgotten { increments: Some(sums), .. } => {
                let sums = sums.iter().map(|(name, sum)| (name.to_owned(), sum.clone()));
                Some(Unsaved::Increment(key, sums.collect()))
            }
            Forgotten { now: Known::Record(record), .. } => Some(Unsaved::Put(record)),
            Forgotten { now: Known::Absent, .. } => Some(Unsaved::Delete(key)),
            Forgotten { now: Known::Unknown, .. } => None,
        };
        keys.into_iter().zip(taken).filter_map(unsaved).collect()
    }

    /// The turns of these keys, but for one whose own update asks for them.
    pub(super) async fn turns_of(&self, keys: &[Key]) -> HashMap<Key, Turn<T>> {
        let mut ordered: Vec<&Key> = keys.iter().collect();
        // In the order that is the same for all who take several, so that nobody waits for ever.
        ordered.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        ordered.dedup();
        let mut turns = HashMap::with_capacity(keys.len());
        for key in ordered {
            if let Ok(turn) = self.turn(key).await {
                turns.insert(key.clone(), turn);
            }
        }
        turns
    }
}

impl<T: Record> Shared<T> {
    /// An error if something was changed that no checkpoint covers, and that no flush saves.
    pub(super) fn check_covered(&self, report: &FlushReport) -> Result<(), FlushError> {
        if !self.slots.recorder.has_checkpoints() || self.slots.is_covered() {
            return Ok(());
        }
        let text =
            "records were changed after the last checkpoint, and are not saved before the next";
        let error = Error::new(ErrorKind::Unsaved, text).during("close");
        let error = self.place(error).advise("`checkpoint` and `close` again, or `discard` them");
        let mut left = self.left(&error).into_report();
        left.add(report.clone());
        Err(FlushError::new(vec![self.table.shown_name()], left, error))
    }
}

/// Keys named in the warning of a drop.
const NAMED: usize = 5;

/// What the users' handles hold, so that the last of them can warn.
pub(super) struct Handle<T: Record>(pub(super) Arc<Shared<T>>);

impl<T: Record> Drop for Handle<T> {
    fn drop(&mut self) {
        let keys = self.0.slots.unsaved_keys(u64::MAX);
        if keys.is_empty() || broken(14) {
            return;
        }
        let first: Vec<String> = keys.iter().take(NAMED).map(Key::to_string).collect();
        let (table, unsaved) = (self.0.table.name().unwrap_or_default(), keys.len());
        let first = first.join(", ");
        let recorder = &self.0.slots.recorder;
        if let Some(journal) = recorder.path().filter(|_| recorder.has_checkpoints()) {
            tracing::warn!(
                target: RECORDS,
                table,
                unsaved,
                first,
                journal = %journal.display(),
                "a memory table was dropped with unsaved changes; its journal has those of its last checkpoint, from which a job goes on"
            );
        } else if let Some(journal) = recorder.path() {
            tracing::warn!(
                target: RECORDS,
                table,
                unsaved,
                first,
                journal = %journal.display(),
                "a memory table was dropped with unsaved changes, which its journal has; open it again to save them"
            );
        } else if self.0.is_flushing() {
            tracing::error!(
                target: RECORDS,
                table,
                unsaved,
                first,
                "a memory table was dropped with unsaved changes while it was flushed; what the flush does not save is lost; call `close` first"
            );
        } else {
            tracing::error!(
                target: RECORDS,
                table,
                unsaved,
                first,
                "a memory table was dropped with unsaved changes, which are lost; call `close` first"
            );
        }
    }
}

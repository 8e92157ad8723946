//! How unsaved changes are saved, and what the reports say of it.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use super::oracle::{Saved, Thing, thing};
use super::run::{Pair, same, text};
use super::step::{At, Step};
use crate::simulation::Fault;
use crate::{ErrorKind, FlushError, FlushReport, Increment, MemoryTable, flush_all};

/// Longer than the service knows a token.
const TOKEN_LIFE: Duration = Duration::from_secs(601);

impl Pair {
    pub(super) async fn save(&mut self, step: &Step) -> Result<(), String> {
        let keys = match step {
            Step::FlushKeys(keys) => keys.clone(),
            _ => self.oracle.unsaved(),
        };
        if keys.iter().any(|at| self.oracle.is_stale(*at)) {
            // What others stored cannot be told from one's own success that was not heard of.
            self.store.clear_script();
        }
        let report = match step {
            Step::FlushKeys(keys) => Some(self.memory.flush_keys(keys.iter().copied()).await),
            Step::Cancelled(polls) => {
                self.cancelled(*polls).await;
                None
            }
            Step::FlushAll => Some(flush_all(&[&self.memory]).await),
            Step::Close(false) => Some(self.memory.close().await),
            Step::Close(true) => Some(self.memory.close_within(Duration::from_secs(600)).await),
            Step::Scope(at, count) => {
                let put =
                    async |memory: &MemoryTable<Thing>| memory.put(thing(*at, *count, 2)).await;
                let ended = self.memory.scope(put).await;
                Some(Ok(ended.map_err(|error| error.to_string())?.1))
            }
            _ => Some(self.memory.flush().await),
        };
        let report = report.transpose().map_err(|error| error.to_string())?;
        let saved = keys.iter().filter_map(|at| self.oracle.flush(*at)).collect::<Vec<_>>();
        report.map_or(Ok(()), |report| compare_report(&report, &saved))
    }

    /// A flush that is dropped goes on.
    async fn cancelled(&self, polls: u8) {
        {
            let mut flush = std::pin::pin!(self.memory.flush());
            for _ in 0..polls {
                let polled = std::future::poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx))).await;
                if polled.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        while self.memory.is_flushing() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// An increment whose outcome nobody knows any more, until its owner says what it was.
    pub(super) async fn doubt(&mut self, at: At, is_applied: bool) -> Result<(), String> {
        if self.oracle.is_unsaved(at) {
            return Ok(());
        }
        self.memory.increment(at, Thing::FIELDS.count, 1).await.map_err(text)?;
        self.oracle.increment(at, 1);
        self.store.clear_script();
        self.store.script(if is_applied { Fault::LostAfter } else { Fault::LostBefore });
        self.store.set_down(true);
        let failed = self.memory.flush_keys([at]).await.err().map(FlushError::into_report);
        same("failed", failed.map(|report| report.failed.len()), Some(1))?;
        tokio::time::sleep(TOKEN_LIFE).await;
        self.store.set_down(false);
        let failed = self.memory.flush_keys([at]).await.err().map(FlushError::into_report);
        let to_resolve = failed.is_some_and(|report| report.failed[0].to_resolve);
        same("to resolve", to_resolve, true)?;
        let outcome = if is_applied { Increment::Applied } else { Increment::NotApplied };
        self.memory.resolve(at, outcome).await.map_err(text)?;
        if is_applied {
            let _saved = self.oracle.flush(at);
        }
        let again = self.memory.resolve(at, outcome).await.map_err(|error| error.kind());
        same("resolved again", again, Err(ErrorKind::NotFound))
    }
}

fn compare_report(report: &FlushReport, saved: &[Saved]) -> Result<(), String> {
    let count = |what| saved.iter().filter(|saved| **saved == what).count() as u64;
    same("failed", report.not_saved().count(), 0)?;
    same("written", report.written, count(Saved::Written))?;
    same("deleted", report.deleted, count(Saved::Deleted))?;
    same("unchanged", report.unchanged, count(Saved::Unchanged))
}

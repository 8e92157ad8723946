//! Flushes that nobody waits for: when much is unsaved, and now and then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use super::room::Mark;
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::error::Error;
use crate::logging::RECORDS;
use crate::record::Record;
use crate::rt::{Instant, Mutex, Notify};
use crate::write::{FlushError, FlushReport};

/// The pause after a background flush that saved nothing, doubled each time up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The pause after one that found nothing to save, though somebody waits for room: it is about to be
/// published, or given back.
const NOTHING_PAUSE: Duration = Duration::from_millis(10);
/// The most errors that are kept for the next report.
const MAX_ERRORS: usize = 64;

type Hook = Arc<dyn Fn(&FlushError) + Send + Sync>;

/// When to flush without being asked.
#[derive(Clone, Default)]
pub(crate) struct When {
    /// As soon as this much is unsaved.
    pub(crate) mark: Mark,
    /// This long after a change.
    pub(crate) interval: Option<Duration>,
    /// What to call when that fails.
    pub(crate) hook: Option<Hook>,
}

impl std::fmt::Debug for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("When")
            .field("mark", &self.mark)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The background flushes of a memory table.
#[derive(Debug, Default)]
pub(crate) struct Background {
    /// There is a task that flushes until little enough is unsaved.
    flushing: AtomicBool,
    /// There is a task that flushes when the interval has passed.
    armed: AtomicBool,
    past: Mutex<Past>,
    /// Something was saved after flushes that saved nothing: nobody need pause any more. Apart from the
    /// table, which who waits does not keep alive.
    recovered: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Past {
    /// What failed since somebody was told.
    errors: Vec<Error>,
    /// How long to wait between two of them; zero once something was saved.
    pause: Duration,
    /// When the last one that saved nothing ended.
    failed: Option<Instant>,
    /// How many records were parked at the end of the last one that failed.
    parked: usize,
}

impl<T: Record> Shared<T> {
    /// Looks whether a change that was just published is a reason to flush.
    pub(super) fn after_change(self: &Arc<Self>) {
        if self.options.when.mark.is_set() && self.slots.room.has_reached(self.options.when.mark) {
            self.flush_soon();
        }
        if let Some(interval) = self.options.when.interval {
            self.flush_after(interval);
        }
    }

    /// Flushes in the background until little enough is unsaved.
    pub(super) fn flush_soon(self: &Arc<Self>) {
        // Without a runtime there is nobody to flush; the next change tries again.
        let Ok(runtime) = super::runtime() else { return };
        if !self.background.flushing.swap(true, Ordering::SeqCst) {
            let task = Task { shared: Arc::downgrade(self), flag: |b| &b.flushing, ended: false };
            runtime.spawn(task.flush_until_little_is_unsaved());
        }
    }

    fn flush_after(self: &Arc<Self>, interval: Duration) {
        let Ok(runtime) = super::runtime() else { return };
        if !self.background.armed.swap(true, Ordering::SeqCst) {
            let task = Task { shared: Arc::downgrade(self), flag: |b| &b.armed, ended: false };
            runtime.spawn(task.flush_every(interval));
        }
    }

    /// Something was saved, so that nothing need be waited for.
    pub(super) fn went_well(&self) {
        self.background.past.lock().pause = Duration::ZERO;
        self.background.recovered.notify_waiters();
    }

    /// The pause that is to be made now, for one who lets the table go meanwhile.
    fn pause(&self) -> impl Future<Output = ()> + Send + 'static {
        let recovered = Arc::clone(&self.background.recovered).notified_owned();
        let pause = self.background.past.lock().left();
        async move {
            if !pause.is_zero() {
                let _either = crate::rt::timeout(pause, recovered).await;
            }
        }
    }

    /// Returns whether there was anything to save.
    async fn flush_in_background(self: &Arc<Self>) -> bool {
        let ended = self.flush(self.slots.newest()).await;
        let nothing = ended.as_ref().is_ok_and(|report| report.submitted() == 0);
        let saved = |report: &FlushReport| report.submitted() > not_saved(report);
        match &ended {
            Err(error) if !saved(error.report()) => {
                let mut past = self.background.past.lock();
                // Nothing is wrong with the service where all that is left is parked.
                let longer = !error.report().failed.is_empty();
                let pause = if longer { past.pause * 2 } else { PAUSE.0 };
                past.pause = pause.clamp(PAUSE.0, PAUSE.1);
                past.failed = Some(Instant::now());
            }
            _ => self.went_well(),
        }
        let news = self.background.past.lock().news(ended);
        let Some(error) = news else { return !nothing };
        tracing::warn!(target: RECORDS, %error, "a background flush failed; what it did not save is still unsaved");
        if let Some(hook) = &self.options.when.hook {
            // A hook that panics must not end the flushes.
            let _panicked = catch_unwind(AssertUnwindSafe(|| hook(&error)));
        }
        true
    }

    /// The ending of a flush that somebody asked for, with what failed in the background before.
    pub(super) fn told(
        &self,
        ended: Result<FlushReport, FlushError>,
    ) -> Result<FlushReport, FlushError> {
        FlushError::with_background(ended, self.take_background_errors())
    }

    /// Why flushes in the background failed since somebody was told.
    pub(super) fn take_background_errors(&self) -> Vec<Error> {
        std::mem::take(&mut self.background.past.lock().errors)
    }

    pub(super) fn last_background_error(&self) -> Option<Error> {
        self.background.past.lock().errors.last().cloned()
    }

    fn wants_flush(&self) -> bool {
        self.slots.room.has_reached(self.options.when.mark) || self.slots.room.is_wanted()
    }
}

impl Past {
    /// How long is still to be waited.
    fn left(&self) -> Duration {
        self.failed.map_or(Duration::ZERO, |failed| self.pause.saturating_sub(failed.elapsed()))
    }

    /// The error of a flush, unless it says nothing new: what is parked is in every report.
    fn news(&mut self, ended: Result<FlushReport, FlushError>) -> Option<FlushError> {
        let parked = std::mem::replace(&mut self.parked, 0);
        let error = ended.err()?;
        let report = error.report();
        self.parked = report.parked.len();
        if broken(16) {
            return None;
        }
        if report.failed.is_empty() && !report.parked.is_empty() && self.parked <= parked {
            return None;
        }
        if self.errors.len() == MAX_ERRORS {
            self.errors.remove(0);
        }
        self.errors.push(error.cause().clone());
        Some(error)
    }
}

fn not_saved(report: &FlushReport) -> u64 {
    u64::try_from(report.not_saved().count()).unwrap_or(u64::MAX)
}

/// A task of the background; it does not keep the table alive while it waits. Dropped with its
/// runtime, it lets the next one begin.
struct Task<T: Record> {
    shared: Weak<Shared<T>>,
    /// The flag that says that the task runs.
    flag: fn(&Background) -> &AtomicBool,
    /// The flag is down, or belongs to the next task.
    ended: bool,
}

impl<T: Record> Task<T> {
    async fn flush_until_little_is_unsaved(mut self) {
        loop {
            let Some(shared) = self.shared.upgrade() else { return };
            let pause = shared.pause();
            drop(shared);
            pause.await;
            let Some(shared) = self.shared.upgrade() else { return };
            let saved = shared.flush_in_background().await;
            if self.ends(&shared, !shared.wants_flush(), Shared::wants_flush) {
                return;
            }
            if !saved {
                drop(shared);
                crate::rt::sleep(NOTHING_PAUSE).await;
            }
        }
    }

    async fn flush_every(mut self, interval: Duration) {
        loop {
            crate::rt::sleep(interval).await;
            let Some(shared) = self.shared.upgrade() else { return };
            let pause = shared.pause();
            drop(shared);
            pause.await;
            let Some(shared) = self.shared.upgrade() else { return };
            if broken(15) && shared.background.past.lock().errors.len() == MAX_ERRORS {
                return;
            }
            if has(Bug::RetryStops) && !shared.background.past.lock().pause.is_zero() {
                return std::mem::forget(self);
            }
            let unsaved = |shared: &Shared<T>| shared.slots.unsaved_count() > 0;
            if unsaved(&shared) {
                shared.flush_in_background().await;
            }
            if self.ends(&shared, !unsaved(&shared), unsaved) {
                return;
            }
        }
    }

    /// Ends the task if it has done its work. A change that comes at the same instant either finds
    /// the flag down and starts the next task, or is seen here.
    fn ends(&mut self, shared: &Shared<T>, done: bool, wanted: fn(&Shared<T>) -> bool) -> bool {
        if !done {
            return false;
        }
        let flag = (self.flag)(&shared.background);
        flag.store(false, Ordering::SeqCst);
        if wanted(shared) && !flag.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.ended = true;
        true
    }
}

impl<T: Record> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade().filter(|_| !self.ended) {
            (self.flag)(&shared.background).store(false, Ordering::SeqCst);
        }
    }
}

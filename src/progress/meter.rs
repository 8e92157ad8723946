//! Tells a listener how far something has come: at its beginning, now and then, and at its end.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{Listener, Progress, Work};
use crate::logging::RECORDS;
use crate::rt::Instant;

/// It is told so often at most.
const PAUSE: Duration = Duration::from_millis(100);
/// What is charged by second is that of so long.
const RECENT: Duration = Duration::from_secs(5);

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) items: u64,
    pub(crate) units: f64,
    pub(crate) retries: u64,
}

/// One piece of work. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Meter {
    /// `None` after it panicked.
    listener: Option<Listener>,
    progress: Progress,
    began: Instant,
    told: Instant,
    /// When it was told, and the units until then: those of the last seconds.
    recent: VecDeque<(Instant, f64)>,
}

impl Meter {
    pub(crate) fn begin(
        listener: &Listener,
        work: Work,
        table: &Arc<str>,
        total: Option<u64>,
    ) -> Self {
        let now = Instant::now();
        let progress = Progress {
            work,
            table: Arc::clone(table),
            done: 0,
            total,
            units: 0.0,
            units_per_second: 0.0,
            retries: 0,
            elapsed: Duration::ZERO,
            time_left: None,
            is_over: false,
        };
        let listener = Some(listener.clone());
        let recent = VecDeque::from([(now, 0.0)]);
        let mut meter = Self { listener, progress, began: now, told: now, recent };
        meter.tell();
        meter
    }

    /// It has come so far; asked only if it is time to tell it.
    pub(crate) fn at(&mut self, done: impl FnOnce() -> Done) {
        let now = Instant::now();
        if now - self.told >= PAUSE {
            self.take(done(), now);
            self.tell();
        }
    }

    /// It has ended here.
    pub(crate) fn end(mut self, done: Done) {
        self.take(done, Instant::now());
    }

    fn take(&mut self, done: Done, now: Instant) {
        self.told = now;
        let is_old = |(at, _): &(Instant, f64)| now - *at > RECENT;
        while self.recent.len() > 1 && self.recent.get(1).is_some_and(is_old) {
            self.recent.pop_front();
        }
        let progress = &mut self.progress;
        if let Some((since, units)) = self.recent.front() {
            let seconds = (now - *since).as_secs_f64();
            let rate = (done.units - units) / seconds;
            progress.units_per_second = if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        }
        self.recent.push_back((now, done.units));
        progress.elapsed = now - self.began;
        (progress.done, progress.units, progress.retries) = (done.items, done.units, done.retries);
        // The service counts now and then.
        progress.total = progress.total.map(|total| total.max(done.items));
        progress.time_left = progress.total.and_then(|total| {
            let left = total - done.items;
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let part = left as f64 / done.items as f64;
            Duration::try_from_secs_f64(progress.elapsed.as_secs_f64() * part).ok()
        });
    }

    fn tell(&mut self) {
        let Some(listener) = &self.listener else { return };
        let told = catch_unwind(AssertUnwindSafe(|| (listener.0)(&self.progress)));
        if told.is_err() {
            tracing::error!(target: RECORDS, "what is told of progress panicked, and is told no more");
            self.listener = None;
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.progress.is_over = true;
        self.tell();
    }
}

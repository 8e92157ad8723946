//! How far a load has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;
use crate::link::Counters;
use crate::progress::{Done, Meter, Work};
use crate::record::Record;
use crate::rt::Mutex;

/// A load of which somebody may want to be told.
pub(super) struct Loads {
    meter: Option<Mutex<Meter>>,
    items: AtomicU64,
    counters: Arc<Counters>,
    /// Units and retries until it began.
    before: (f64, u64),
}

impl Loads {
    pub(super) fn begin<T: Record>(shared: &Shared<T>, total: Option<u64>) -> Self {
        let listener = shared.table.listener();
        let table = shared.table.shown_name();
        let meter = listener.map(|told| Meter::begin(told, Work::Loading, &table, total));
        let counters = Arc::clone(&shared.counters);
        let before = if meter.is_some() { so_far(&counters) } else { (0.0, 0) };
        Self { meter: meter.map(Mutex::new), items: AtomicU64::new(0), counters, before }
    }

    /// So many more are done.
    pub(super) fn more(&self, items: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        // Who is being told hears of it the next time.
        if let Some(mut meter) = self.meter.as_ref().and_then(Mutex::try_lock) {
            meter.at(|| self.done());
        }
    }

    fn done(&self) -> Done {
        let items = self.items.load(Ordering::Relaxed);
        let (units, retries) = so_far(&self.counters);
        let units = (units - self.before.0).max(0.0);
        Done { items, units, retries: retries.saturating_sub(self.before.1) }
    }
}

impl Drop for Loads {
    fn drop(&mut self) {
        if let Some(meter) = self.meter.take() {
            let done = self.done();
            meter.into_inner().end(done);
        }
    }
}

fn so_far(counters: &Counters) -> (f64, u64) {
    (counters.spent.so_far().reads.total, Counters::of(&counters.read_retries))
}

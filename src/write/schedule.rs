//! When keys are sent again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// Retries due within the same tick go together: scattered leftovers of many requests fill whole
/// requests again.
const TICK: Duration = Duration::from_millis(20);

/// Keys that wait for their next attempt, by time.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// By number of ticks since the start.
    due: BTreeMap<u128, Vec<Key>>,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), due: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, keys: Vec<Key>, delay: Duration) {
        let at = self.start.elapsed().saturating_add(delay);
        let tick = at.as_nanos().div_ceil(TICK.as_nanos());
        self.due.entry(tick).or_default().extend(keys);
    }

    /// The keys whose time has come.
    pub(super) fn take_due(&mut self) -> Vec<Key> {
        let now = self.start.elapsed().as_nanos() / TICK.as_nanos();
        let later = self.due.split_off(&(now + 1));
        let due = std::mem::replace(&mut self.due, later);
        due.into_values().flatten().collect()
    }

    /// When the next keys are due.
    pub(super) fn next(&self) -> Option<Instant> {
        let (tick, _) = self.due.first_key_value()?;
        let ticks = u32::try_from(*tick).unwrap_or(u32::MAX);
        Some(self.start + TICK.saturating_mul(ticks))
    }

    /// Everything, due or not.
    pub(super) fn drain(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.due).into_values().flatten().collect()
    }
}

//! When keys are sent again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::rt::Instant;
use crate::store::TableKey;

/// Retries due within the same tick go together: scattered leftovers of many requests fill whole
/// requests again.
const TICK: Duration = Duration::from_millis(20);

/// Keys that wait for their next attempt, by time.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// By number of ticks since the start.
    due: BTreeMap<u128, Vec<TableKey>>,
    /// How many of each table there are.
    counts: HashMap<usize, usize>,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), due: BTreeMap::new(), counts: HashMap::new() }
    }

    pub(super) fn add(&mut self, keys: Vec<TableKey>, delay: Duration) {
        let at = self.start.elapsed().saturating_add(delay);
        let tick = at.as_nanos().div_ceil(TICK.as_nanos());
        for at in &keys {
            *self.counts.entry(at.table).or_default() += 1;
        }
        self.due.entry(tick).or_default().extend(keys);
    }

    /// The keys whose time has come.
    pub(super) fn take_due(&mut self) -> Vec<TableKey> {
        let now = self.start.elapsed().as_nanos() / TICK.as_nanos();
        let later = self.due.split_off(&(now + 1));
        let due = std::mem::replace(&mut self.due, later);
        let due: Vec<TableKey> = due.into_values().flatten().collect();
        for at in &due {
            *self.counts.entry(at.table).or_default() -= 1;
        }
        due
    }

    /// When the next keys are due.
    pub(super) fn next(&self) -> Option<Instant> {
        let (tick, _) = self.due.first_key_value()?;
        let ticks = u32::try_from(*tick).unwrap_or(u32::MAX);
        Some(self.start + TICK.saturating_mul(ticks))
    }

    /// Whether keys of a table wait.
    pub(super) fn has(&self, table: usize) -> bool {
        self.counts.get(&table).is_some_and(|count| *count > 0)
    }

    /// Takes out all keys of a table, due or not.
    pub(super) fn extract(&mut self, table: usize) -> Vec<TableKey> {
        let mut taken = Vec::new();
        for keys in self.due.values_mut() {
            taken.extend(keys.extract_if(.., |at| at.table == table));
        }
        self.due.retain(|_, keys| !keys.is_empty());
        self.counts.remove(&table);
        taken
    }
}

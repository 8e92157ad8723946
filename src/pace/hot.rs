//! Partition keys that can take less than their table.

use std::collections::HashMap;
use std::sync::Arc;

use super::Part;
use super::blame::Blame;
use super::limit::{Flight, Limit, Wait};
use super::side::{Judged, Pause};
use crate::rt::{Instant, Semaphore};

/// So many are remembered before those that are not used any more are forgotten.
const MANY: usize = 1_000;
/// One that is found to be hot is thought to take so many units a second, at least and at most.
const FIRST: (f64, f64) = (20.0, 100.0);

/// Those that were found.
#[derive(Debug, Default)]
pub(super) struct HotKeys(HashMap<Box<[u8]>, HotKey>);

#[derive(Debug)]
struct HotKey {
    limit: Limit,
    /// As that of a [`Side`](super::Side): one after the other, so that those who wait for it are woken one at a time.
    queue: Arc<Semaphore>,
}

/// A request among those of each of its hot partition keys.
pub(super) type HotFlights = Vec<(Box<[u8]>, Flight)>;

impl HotKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, partition: &[u8]) -> bool {
        self.0.contains_key(partition)
    }

    /// Those who wait for it.
    pub(super) fn queue(&self, partition: &[u8]) -> Option<Arc<Semaphore>> {
        self.0.get(partition).map(|key| Arc::clone(&key.queue))
    }

    /// Whether the service gives nothing of it at all.
    pub(super) fn is_barren(&self, partition: &[u8]) -> bool {
        self.0.get(partition).is_some_and(|key| key.limit.is_barren())
    }

    /// What is left of it, if that is more than this; else when it will be.
    pub(super) fn room(&mut self, partition: &[u8], need: f64, now: Instant) -> Result<f64, Wait> {
        self.0.get_mut(partition).map_or(Ok(f64::INFINITY), |key| key.limit.room(need, now))
    }

    /// A request is sent of these, each unit of which is charged as so many.
    pub(super) fn sends(&mut self, parts: &[Part<'_>], charge: f64, now: Instant) -> HotFlights {
        if self.is_empty() {
            return Vec::new();
        }
        let sends = |(partition, units): (&[u8], f64)| {
            let key = self.0.get_mut(partition)?;
            Some((partition.into(), key.limit.sends(units * charge, now)))
        };
        by_partition(parts).into_iter().filter_map(sends).collect()
    }

    /// It was answered. Each key to blame that was not known is hot from now on: it takes less than its part of what the
    /// table was sent of late, which is `speed`.
    pub(super) fn answered(
        &mut self,
        flights: HotFlights,
        judged: &Judged<'_>,
        speed: f64,
        pause: Pause<'_>,
    ) {
        let hot: &[&[u8]] = if let Blame::Keys(keys) = &judged.blame { keys } else { &[] };
        if flights.is_empty() && hot.is_empty() {
            return;
        }
        let done = by_partition(judged.parts.iter().filter(|part| !part.left));
        for (partition, flight) in flights {
            let Some(key) = self.0.get_mut(&partition) else { continue };
            let consumed = done.get(&*partition).copied().unwrap_or(0.0) * judged.charge;
            let answer = judged.answer(consumed, hot.contains(&&*partition));
            key.limit.answered(flight, answer, pause, judged.now);
        }
        for partition in hot.iter().filter(|key| !key.is_empty()) {
            if !self.contains(partition) {
                self.met(partition, judged, speed);
            }
        }
    }

    fn met(&mut self, partition: &[u8], judged: &Judged<'_>, speed: f64) {
        if self.0.len() >= MANY {
            let is_waited_for = |key: &HotKey| Arc::strong_count(&key.queue) > 1;
            self.0.retain(|_, key| is_waited_for(key) || !key.limit.is_idle(judged.now));
        }
        let all = judged.parts.iter().fold(0.0, |sum, part| sum + part.units);
        let of_key = by_partition(judged.parts).get(partition).copied().unwrap_or(0.0);
        let rate = (speed * of_key / all.max(1.0)).clamp(FIRST.0, FIRST.1);
        let limit = Limit::met(rate, judged.now);
        self.0.insert(partition.into(), HotKey { limit, queue: Arc::new(Semaphore::new(1)) });
    }

    /// It ended in a way that says nothing of what there is.
    pub(super) fn ended(
        &mut self,
        flights: HotFlights,
        end: fn(&mut Limit, Flight, Instant),
        now: Instant,
    ) {
        for (partition, flight) in flights {
            if let Some(key) = self.0.get_mut(&partition) {
                end(&mut key.limit, flight, now);
            }
        }
    }
}

/// Units by partition key.
fn by_partition<'a: 'p, 'p>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
) -> HashMap<&'a [u8], f64> {
    let mut keys = HashMap::new();
    for part in parts.into_iter().filter(|part| !part.partition.is_empty()) {
        *keys.entry(part.partition).or_default() += part.units;
    }
    keys
}

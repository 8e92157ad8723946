//! How much of a table's capacity is used, and what that costs: a flush into a store of which only the
//! capacity is simulated, under a paused clock.

mod capped;
mod changes;
mod figures;
mod keys;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{Database, MemoryTable, Record};
use capped::{Capped, Met};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "readings")]
struct Reading {
    #[record(partition_key)]
    sensor: String,
    #[record(sort_key)]
    number: u32,
    notes: String,
}

/// A reading of a partition of its own that costs so many units.
fn reading(number: u32, units: usize) -> Reading {
    let notes = "n".repeat(units * 1024 - 500);
    Reading { sensor: format!("sensor {number}"), number, notes }
}

/// Readings of 1 to 3 units each, always the same ones.
fn readings(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Reading> {
    let mut random = fastrand::Rng::with_seed(numbers.start.into());
    numbers.map(move |number| reading(number, random.usize(1..=3)))
}

/// A memory table of a database of its own over a store, and its rate if it is given one.
fn memory(store: &Capped, given: Option<f64>) -> MemoryTable<Reading> {
    let database = Database::simulated(store.shared(), &["readings"]);
    let mut table = database.table::<Reading>();
    if let Some(rate) = given {
        table = table.write_capacity(rate);
    }
    MemoryTable::builder(table).assume_absent().build().unwrap()
}

/// How a job did.
#[derive(Debug)]
struct Ran {
    elapsed: Duration,
    /// Units, of those that there were while it ran.
    used: f64,
    /// Items sent, over items.
    sent: f64,
    /// Requests, over the fewest that any schedule needs.
    requests: f64,
}

/// What a job is told, and what it meets.
#[derive(Clone, Debug)]
struct Job {
    /// Units a second that are there, from each time on.
    rates: Vec<(Duration, f64)>,
    /// Units a second that the job is told.
    given: Option<f64>,
    databases: u32,
    items: u32,
    latency: Duration,
    start: Start,
}

/// What a job meets first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    /// A second's units.
    Full,
    /// Nothing is left.
    Drained,
    /// A second's units, and requests that overtake each other.
    Overtaken,
}

impl Job {
    fn at(rate: f64) -> Self {
        let latency = Duration::from_millis(10);
        let rates = vec![(Duration::ZERO, rate)];
        Self { rates, given: None, databases: 1, items: 20_000, latency, start: Start::Full }
    }

    fn given(self) -> Self {
        Self { given: Some(self.rates[0].1), ..self }
    }

    /// Half the rate from three tenths of the time that all take at full rate, and all of it again from
    /// seven on.
    fn halved_and_doubled(mut self) -> Self {
        let rate = self.rates[0].1;
        let whole = Duration::from_secs_f64(2.0 * f64::from(self.items) / rate);
        self.rates.push((whole.mul_f64(0.3), rate / 2.0));
        self.rates.push((whole.mul_f64(0.7), rate));
        self
    }

    async fn run(self) -> Ran {
        // Pauses are by chance: the same ones each time.
        fastrand::seed(7);
        let store = Capped::new(self.rates.clone(), self.latency);
        match self.start {
            Start::Full => {}
            Start::Drained => store.drain(),
            Start::Overtaken => store.overtake(16),
        }
        let each = self.items / self.databases;
        let mut flushes = Vec::new();
        for number in 0..self.databases {
            let memory = memory(&store, self.given);
            for reading in readings(number * each..(number + 1) * each) {
                memory.put(reading).await.unwrap();
            }
            flushes.push(async move { memory.flush().await });
        }
        let began = Instant::now();
        store.begin();
        let reports = futures::future::join_all(flushes).await;
        let elapsed = began.elapsed();
        let written = reports.into_iter().map(|report| report.unwrap().written).sum::<u64>();
        assert_eq!(written, u64::from(self.items));
        self.ran(&store.met(), elapsed)
    }

    fn ran(&self, met: &Met, elapsed: Duration) -> Ran {
        let fewest = self.fewest_requests();
        let items = f64::from(self.items);
        // A rate is to be known after ten seconds and fifty requests, if the job lasts longer.
        let known = match (self.given, self.start) {
            (Some(_), _) => Duration::ZERO,
            (None, Start::Full) => met.after(50, 10 * SECOND),
            (None, _) => 10 * SECOND,
        };
        let from = if known < elapsed { known } else { Duration::ZERO };
        let was_full = self.start != Start::Drained;
        let saved = if from.is_zero() && was_full { self.rates[0].1 } else { 0.0 };
        Ran {
            elapsed,
            used: met.units(from) / (self.units(elapsed) - self.units(from) + saved),
            sent: met.items() / items,
            requests: met.requests() / fewest,
        }
    }

    /// The fewest requests that any schedule needs for these items, one after the other, where a second's
    /// units are kept: each has 25, or as many as a full bucket admits, which is full again when the next
    /// is sent. Where the rate is enough for 25 items a second that is one for each 25.
    fn fewest_requests(&self) -> f64 {
        let rate_at = |units: f64| {
            let until = |from: &Duration| self.units(*from) <= units;
            let passed = self.rates.iter().take_while(|(from, _)| until(from)).last();
            passed.map_or(self.rates[0].1, |(_, rate)| *rate)
        };
        let (mut requests, mut items, mut of_request, mut all) = (0.0, 25, 0.0, 0.0);
        for reading in readings(0..self.items) {
            if items == 25 || of_request >= rate_at(all) {
                (requests, items, of_request) = (requests + 1.0, 0, 0.0);
            }
            items += 1;
            of_request += capped::cost(reading.notes.len());
            all += capped::cost(reading.notes.len());
        }
        requests
    }

    /// Units that there were until then.
    fn units(&self, until: Duration) -> f64 {
        let ends = self.rates.iter().skip(1).map(|(from, _)| *from).chain([Duration::MAX]);
        let parts =
            self.rates.iter().zip(ends).map(|((from, rate), end)| {
                rate * end.min(until).saturating_sub(*from).as_secs_f64()
            });
        parts.sum()
    }
}

//! How much of a table's capacity a job uses, and what that costs: ours beside plain exponential backoff.
//!
//! ```text
//! cargo bench --bench pacing              # 20,000 items at 10, 400 and 5,000 units a second, paused clock
//! cargo bench --bench pacing -- --real    # at 400 units a second in real time: some five minutes
//! cargo bench --bench pacing -- --test    # a short run, to see that it still works
//! ```
//!
//! The table is [`TableCapacity`] over the embedded database: it keeps a second's units, admits an item while
//! it has more than nothing, returns the rest unprocessed, and throttles a request of which nothing fits.
//!
//! Columns: units used, of those that there were while the job ran; items sent, over items; requests, over the
//! fewest that any schedule needs: one for each 25 items, or for as many as a full bucket admits, where that
//! is less. Others lose up to 40 % of the capacity, or send each item many times.

mod plain;

use std::time::Duration;

use memory_table::testing::{Faults, TableCapacity};
use memory_table::{Database, MemoryTable, Record};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const RATES: [u64; 3] = [10, 400, 5_000];

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "readings")]
struct Reading {
    #[record(partition_key)]
    sensor: String,
    notes: String,
}

/// Readings of one to three units each, the same ones each time.
fn readings(count: u32) -> impl Iterator<Item = (Reading, u64)> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(move |number| {
        let units = random.usize(1..=3);
        let notes = "n".repeat(units * 1024 - 400);
        (Reading { sensor: format!("sensor {number}"), notes }, units as u64)
    })
}

/// Who writes.
#[derive(Clone, Copy, PartialEq)]
enum Writer {
    /// Ours, at the rate that is there.
    Given,
    /// Ours, which finds it.
    Found,
    /// Four of ours that share nothing but the capacity.
    Four,
    Plain,
}

impl Writer {
    const fn name(self) -> &'static str {
        match self {
            Self::Given => "rate given",
            Self::Found => "rate found",
            Self::Four => "four databases",
            Self::Plain => "plain backoff",
        }
    }
}

/// A job, and the capacity that it meets.
#[derive(Clone, Copy)]
struct Job {
    writer: Writer,
    rate: u64,
    items: u32,
    /// The capacity is halved in the middle, and doubled again.
    changes: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let (is_real, is_test) = (has("--real"), has("--test"));
    if !is_real {
        tokio::time::pause();
    }
    println!("{:42}{:>8}{:>8}{:>10}", "", "used", "sent", "requests");
    let rates = if is_real || is_test { &RATES[1..2] } else { &RATES[..] };
    for &rate in rates {
        for writer in [Writer::Given, Writer::Found, Writer::Four, Writer::Plain] {
            for changes in [false, true] {
                let items = if is_test { 500 } else { 20_000 };
                let job = Job { writer, rate, items, changes };
                if !(changes && (writer == Writer::Four || is_real)) {
                    job.run().await;
                }
            }
        }
    }
}

impl Job {
    async fn run(self) {
        let embedded = Database::embedded().expect("SQLite starts");
        embedded.table::<Reading>().create_if_missing().await.expect("the table is made");
        let capacity = TableCapacity::provisioned(1_000_000, self.rate).burst(SECOND);
        let databases = if self.writer == Writer::Four { 4 } else { 1 };
        let behind: Vec<Database> = (0..databases)
            .map(|_| {
                let (database, faults) = Faults::around(&embedded);
                faults.limit("readings", &capacity);
                database
            })
            .collect();
        let began = Instant::now();
        let changing = tokio::spawn(self.change(capacity.clone()));
        if self.writer == Writer::Plain {
            plain::write(behind[0].client(), readings(self.items).map(|(item, _)| item)).await;
        } else {
            self.flush(&behind).await;
        }
        self.print(&capacity, began.elapsed());
        changing.abort();
    }

    async fn flush(self, databases: &[Database]) {
        let mut memories = Vec::new();
        for database in databases {
            let mut table = database.table::<Reading>();
            if self.writer == Writer::Given {
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let rate = self.rate as f64;
                table = table.write_capacity(rate);
            }
            let memory = MemoryTable::builder(table).assume_absent().build();
            memories.push(memory.expect("the options are legal"));
        }
        let each = readings(self.items).map(|(reading, _)| reading);
        for (number, reading) in each.enumerate() {
            memories[number % memories.len()].put(reading).await.expect("it can be stored");
        }
        let flushes = memories.iter().map(MemoryTable::flush);
        for report in futures::future::join_all(flushes).await {
            assert!(report.expect("all are written").written > 0);
        }
    }

    /// Half the rate from three tenths of the time on that all takes, and all of it again from seven on.
    async fn change(self, capacity: TableCapacity) {
        if !self.changes {
            return;
        }
        let (first, second) = self.turns();
        sleep(first).await;
        capacity.set(1_000_000, self.rate / 2);
        sleep(second.saturating_sub(first)).await;
        capacity.set(1_000_000, self.rate);
    }

    fn turns(self) -> (Duration, Duration) {
        let units: u64 = readings(self.items).map(|(_, units)| units).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let whole = Duration::from_secs_f64(units as f64 / self.rate as f64);
        (whole.mul_f64(0.3), whole.mul_f64(0.7))
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    fn print(self, capacity: &TableCapacity, elapsed: Duration) {
        let met = capacity.met();
        let mut there = self.rate as f64 * (elapsed + SECOND).as_secs_f64();
        if self.changes {
            let (first, second) = self.turns();
            let halved = elapsed.min(second).saturating_sub(first);
            there -= self.rate as f64 / 2.0 * halved.as_secs_f64();
        }
        let name = format!(
            "{:>5} units/s, {}{}",
            self.rate,
            self.writer.name(),
            if self.changes { ", halved, doubled" } else { "" }
        );
        let sent = met.items as f64 / f64::from(self.items);
        let requests = met.requests as f64 / self.fewest_requests() as f64;
        println!("{name:42}{:>8.3}{sent:>8.3}{requests:>10.3}", met.write_units / there);
    }

    /// The fewest requests that any schedule needs for these items, one after the other: each has 25, or as many
    /// as a full bucket admits, which is full again when the next is sent.
    fn fewest_requests(self) -> u64 {
        let (first, second) = self.turns();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = self.rate as f64;
        let halved_at = rate * first.as_secs_f64();
        let doubled_at = halved_at + rate / 2.0 * second.saturating_sub(first).as_secs_f64();
        let (mut requests, mut items, mut of_request, mut all) = (0, 25, 0.0, 0.0);
        for (_, units) in readings(self.items) {
            let is_halved = self.changes && (halved_at..doubled_at).contains(&all);
            if items == 25 || of_request >= if is_halved { rate / 2.0 } else { rate } {
                (requests, items, of_request) = (requests + 1, 0, 0.0);
            }
            let units = f64::from(u32::try_from(units).unwrap_or(u32::MAX));
            (items, of_request, all) = (items + 1, of_request + units, all + units);
        }
        requests
    }
}

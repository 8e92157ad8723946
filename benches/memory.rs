//! The memory table: without requests, and with requests that are answered at once, which is what
//! a job costs by itself.

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use memory_table::{Database, MemoryTable};
use tokio::runtime::{Builder, Runtime};

use crate::PLAYERS;
use crate::connector;
use crate::players::{Player, players};

/// What a bench over all players works on, as counts are in reports.
const ALL: u64 = PLAYERS as u64;
/// The requests that load all players, 100 keys each.
const READS: u64 = ALL / 100;
/// The requests that write all players, 25 items each.
const WRITES: u64 = ALL / 25;

/// The benches of this file.
pub(crate) fn define(c: &mut Criterion) {
    let job = Job::new();
    job.get(c);
    job.update(c);
    job.prefetch(c);
    job.flush_new(c);
    job.flush_changed(c);
    job.flush_unchanged(c);
}

/// A job on a database in which all players are stored.
struct Job {
    runtime: Runtime,
    database: Database,
    players: Vec<Player>,
}

impl Job {
    fn new() -> Self {
        let players = players(PLAYERS);
        Self {
            // One thread, so that the time is the CPU's.
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            database: Database::from_client(connector::client(&players)),
            players,
        }
    }

    /// Measures how long it takes to get records that are loaded.
    fn get(&self, c: &mut Criterion) {
        let memory = self.loaded();
        group(c, "memory/get").bench_function("1000_hits", |b| {
            b.iter(|| {
                self.runtime.block_on(async {
                    for player in &self.players {
                        let found = memory.get(key(player)).await.expect("a hit");
                        assert_eq!(found.expect("a player").played, player.played);
                    }
                });
            });
        });
    }

    /// Measures how long it takes to change records that are loaded.
    fn update(&self, c: &mut Criterion) {
        let memory = self.loaded();
        let mut rounds = 0;
        group(c, "memory/update").bench_function("1000_hits", |b| {
            b.iter(|| {
                rounds += 1;
                self.runtime.block_on(async {
                    for player in &self.players {
                        let update = memory.update(key(player), |record| record.played += 1);
                        let now = update.await.expect("an update").played;
                        assert_eq!(now, player.played + rounds);
                    }
                });
            });
        });
    }

    /// Measures how long it takes to load records, from asking for their keys to the last of them.
    fn prefetch(&self, c: &mut Criterion) {
        group(c, "memory/prefetch").bench_function("1000_records", |b| {
            b.iter_batched_ref(
                || self.empty(),
                |memory| {
                    self.prefetch_all(memory);
                    let stats = memory.stats();
                    assert_eq!((stats.cached, stats.read_requests), (ALL, READS));
                },
                BatchSize::PerIteration,
            );
        });
    }

    /// Measures how long it takes to write records that were never loaded.
    fn flush_new(&self, c: &mut Criterion) {
        let new = || {
            let memory = self.empty();
            self.put_all(&memory);
            memory
        };
        self.flush(c, "1000_new", new, Cost { written: ALL, unchanged: 0, requests: WRITES });
    }

    /// Measures how long it takes to write records that were loaded and changed.
    fn flush_changed(&self, c: &mut Criterion) {
        let changed = || {
            let memory = self.loaded();
            self.runtime.block_on(async {
                for player in &self.players {
                    let update = memory.update(key(player), |record| record.played += 1);
                    update.await.expect("an update");
                }
            });
            memory
        };
        let cost = Cost { written: ALL, unchanged: 0, requests: WRITES };
        self.flush(c, "1000_changed", changed, cost);
    }

    /// Measures how long it takes to find out that records are as they were loaded.
    fn flush_unchanged(&self, c: &mut Criterion) {
        let same = || {
            let memory = self.loaded();
            self.put_all(&memory);
            memory
        };
        let cost = Cost { written: 0, unchanged: ALL, requests: 0 };
        self.flush(c, "1000_unchanged", same, cost);
    }

    /// Measures how long it takes to flush what `unsaved` makes.
    fn flush(
        &self,
        c: &mut Criterion,
        variant: &str,
        unsaved: impl Fn() -> MemoryTable<Player>,
        cost: Cost,
    ) {
        group(c, "memory/flush").bench_function(variant, |b| {
            b.iter_batched_ref(
                &unsaved,
                |memory| {
                    let report = self.runtime.block_on(memory.flush()).expect("all are saved");
                    let (written, unchanged) = (report.written, report.unchanged);
                    assert_eq!(Cost { written, unchanged, requests: report.requests }, cost);
                },
                BatchSize::PerIteration,
            );
        });
    }

    fn empty(&self) -> MemoryTable<Player> {
        MemoryTable::new(self.database.table())
    }

    fn loaded(&self) -> MemoryTable<Player> {
        let memory = self.empty();
        self.prefetch_all(&memory);
        assert_eq!(memory.stats().cached, ALL);
        memory
    }

    fn prefetch_all(&self, memory: &MemoryTable<Player>) {
        let prefetch = memory.prefetch(self.players.iter().map(key));
        self.runtime.block_on(prefetch).expect("the players are loaded");
    }

    fn put_all(&self, memory: &MemoryTable<Player>) {
        self.runtime.block_on(async {
            for player in &self.players {
                memory.put(player.clone()).await.expect("a player can be stored");
            }
        });
    }
}

/// What a flush is to say of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    written: u64,
    unchanged: u64,
    requests: u64,
}

/// Benches of which each measures all players.
fn group<'c>(c: &'c mut Criterion, id: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(id);
    group.throughput(Throughput::Elements(ALL));
    group
}

fn key(player: &Player) -> (&str, &str) {
    (&player.game, &player.name)
}

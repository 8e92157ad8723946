//! Reads and changes of records that are there.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Barrier};

use futures::executor::block_on;
use memory_table::{Database, MemoryTable};
use moka::future::Cache;
use tokio::runtime::{Builder, Runtime};

use crate::Extent;
use crate::connector;
use crate::pairs::{median, median_of, time};
use crate::players::{Player, players};

const RECORDS: usize = 200_000;
const SEED: u64 = 3;

/// As moka and a map have it.
type Key = (String, String);

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn key(player: &Player) -> Key {
    (player.game.clone(), player.name.clone())
}

/// The keys in random order.
fn shuffled(players: &[Player]) -> Vec<Key> {
    let mut keys: Vec<_> = players.iter().map(key).collect();
    fastrand::Rng::with_seed(SEED).shuffle(&mut keys);
    keys
}

/// A memory table in which all players are loaded; with a capacity of more than those if it is bounded.
fn loaded(runtime: &Runtime, players: &[Player], bounded: bool) -> MemoryTable<Player> {
    let table = Database::from_client(connector::client(players)).table();
    let mut builder = MemoryTable::builder(table);
    if bounded {
        builder = builder.capacity_records(2 * players.len());
    }
    let memory = builder.build().expect("legal options");
    prefetch(runtime, &memory, players);
    memory
}

pub(crate) fn prefetch(runtime: &Runtime, memory: &MemoryTable<Player>, players: &[Player]) {
    let keys = players.iter().map(|player| (&*player.game, &*player.name));
    runtime.block_on(memory.prefetch(keys)).expect("all are loaded");
    assert_eq!(memory.stats().cached, players.len() as u64);
}

fn cache(players: &[Player], bounded: bool) -> Cache<Key, Arc<Player>> {
    let mut builder = Cache::builder();
    if bounded {
        builder = builder.max_capacity(2 * players.len() as u64);
    }
    let cache = builder.build();
    for player in players {
        block_on(cache.insert(key(player), Arc::new(player.clone())));
    }
    block_on(cache.run_pending_tasks());
    cache
}

/// Reads each of these keys.
async fn get_all(memory: &MemoryTable<Player>, keys: &[Key]) {
    for (game, name) in keys {
        let found = memory.get((&**game, &**name)).await.expect("a hit");
        black_box(found.expect("a player"));
    }
}

pub(crate) fn hit(extent: Extent) -> f64 {
    hits(extent, false)
}

pub(crate) fn hit_bounded(extent: Extent) -> f64 {
    hits(extent, true)
}

fn hits(extent: Extent, bounded: bool) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let keys = shuffled(&players);
    let (memory, cache) = (loaded(&runtime, &players, bounded), cache(&players, bounded));
    median_of(
        extent.pairs,
        || time(|| runtime.block_on(get_all(&memory, &keys))),
        || {
            time(|| {
                runtime.block_on(async {
                    for key in &keys {
                        black_box(cache.get(key).await.expect("a player"));
                    }
                });
            })
        },
    )
}

/// Of records that wait to be saved already, as most do that a job changes again and again.
pub(crate) fn update(extent: Extent) -> f64 {
    updates(extent, false)
}

/// Of records that are saved: each keeps what is stored beside what it becomes.
pub(crate) fn update_saved(extent: Extent) -> f64 {
    updates(extent, true)
}

fn updates(extent: Extent, saved: bool) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let keys = shuffled(&players);
    let (memory, cache) = (loaded(&runtime, &players, false), cache(&players, false));
    let ours = || {
        let update_all = time(|| runtime.block_on(update_all(&memory, &keys)));
        assert_eq!(memory.stats().unsaved, keys.len() as u64);
        if saved {
            let flushed = runtime.block_on(memory.flush()).expect("all are saved");
            assert_eq!(flushed.written, keys.len() as u64);
        }
        update_all
    };
    let theirs = || {
        time(|| {
            runtime.block_on(async {
                for key in &keys {
                    let mut record = Player::clone(&*cache.get(key).await.expect("a player"));
                    record.played += 1;
                    cache.insert(key.clone(), Arc::new(record)).await;
                }
            });
        })
    };
    median_of(extent.pairs, ours, theirs)
}

/// Changes the record of each of these keys.
async fn update_all(memory: &MemoryTable<Player>, keys: &[Key]) {
    for (game, name) in keys {
        let update = memory.update((&**game, &**name), |record| record.played += 1);
        black_box(update.await.expect("an update"));
    }
}

/// How much more is done by two threads, each over its own half of the keys.
pub(crate) fn hit_two_threads(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let keys = shuffled(&players);
    let halves: [&[Key]; 2] = keys.split_at(keys.len() / 2).into();
    let memory = loaded(&runtime, &players, false);
    let by_key: HashMap<_, _> =
        players.iter().map(|player| (key(player), Arc::new(player.clone()))).collect();
    let map = |half: &[Key]| -> HashMap<Key, Arc<Player>> {
        half.iter().map(|key| (key.clone(), Arc::clone(&by_key[key]))).collect()
    };
    let maps = halves.map(map);
    let ours = |half: usize| block_on(get_all(&memory, halves[half]));
    let theirs = |half: usize| {
        for key in halves[half] {
            black_box(Arc::clone(&maps[half][key]));
        }
    };
    gain(&ours);
    gain(&theirs);
    let pairs = (0..extent.pairs).map(|_| gain(&ours) / gain(&theirs));
    median(pairs.collect())
}

/// The gain of two threads over one.
fn gain(work: &(impl Fn(usize) + Sync)) -> f64 {
    const ROUNDS: usize = 5;
    let rounds = |half: usize| (0..ROUNDS).for_each(|_| work(half));
    let alone = time(|| rounds(0)) + time(|| rounds(1));
    let start = Barrier::new(2);
    let together = std::thread::scope(|scope| {
        let threads = [0, 1].map(|half| {
            let (start, rounds) = (&start, &rounds);
            scope.spawn(move || {
                start.wait();
                time(|| rounds(half))
            })
        });
        threads.map(|thread| thread.join().expect("no panic")).into_iter().fold(0.0, f64::max)
    });
    alone / together
}

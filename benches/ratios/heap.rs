//! What records take of the heap, and what many of them cost.

use std::collections::HashMap;
use std::sync::Arc;

use allocation_counter::measure;
use memory_table::{Database, Key, MemoryTable, Record};
use tokio::runtime::Runtime;

use crate::hits::{prefetch, runtime};
use crate::pairs::{median_of, time};
use crate::players::{Player, players};
use crate::{Extent, connector};

const RECORDS: usize = 200_000;
const FEW: usize = 10_000;
const MANY: usize = 1_000_000;

/// Bytes of the heap that what is made takes. All is made on this thread.
#[expect(clippy::cast_precision_loss, reason = "less than 2^53")]
fn heap<R>(make: impl FnOnce() -> R) -> (R, f64) {
    let mut made = None;
    let counts = measure(|| made = Some(make()));
    (made.expect("it was made"), counts.bytes_current as f64)
}

/// Bytes of a map of these.
fn heap_of_map(players: &[Player]) -> f64 {
    let fill = || {
        let mut map = HashMap::new();
        for player in players {
            insert(&mut map, player.clone());
        }
        map
    };
    heap(fill).1
}

fn insert(map: &mut HashMap<Key, Arc<Player>>, player: Player) {
    let key = Key::new(&player.key()).expect("a key");
    map.insert(key, Arc::new(player));
}

pub(crate) fn memory(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let (_memory, ours) = loaded(&runtime, &players);
    ours / heap_of_map(&players)
}

pub(crate) fn memory_unsaved(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let (memory, clean) = loaded(&runtime, &players);
    let ((), changed) = heap(|| {
        runtime.block_on(async {
            for player in &players {
                let key = (&*player.game, &*player.name);
                memory.update(key, |record| record.played += 1).await.expect("an update");
            }
        });
    });
    assert_eq!(memory.stats().unsaved, players.len() as u64);
    (clean + changed) / heap_of_map(&players)
}

/// A memory table in which all players are loaded, and its bytes of the heap.
fn loaded(runtime: &Runtime, players: &[Player]) -> (MemoryTable<Player>, f64) {
    let database = Database::from_client(connector::client(players));
    let empty = MemoryTable::new(database.table::<Player>());
    // The database is asked for its description once.
    prefetch(runtime, &empty, &players[..100]);
    heap(|| {
        let memory = MemoryTable::new(database.table());
        prefetch(runtime, &memory, players);
        memory
    })
}

pub(crate) fn scale_put(extent: Extent) -> f64 {
    let runtime = runtime();
    let (few, many) = (extent.of(FEW), extent.of(MANY));
    let database = Database::from_client(connector::client(&[]));
    let each = |count: usize, time: f64| time / f64::from(u32::try_from(count).expect("few"));
    let put = |count: usize| {
        let (memory, players) = (MemoryTable::new(database.table::<Player>()), players(count));
        let put_all = async {
            for player in players {
                memory.put(player).await.expect("a player can be stored");
            }
        };
        each(count, time(|| runtime.block_on(put_all)))
    };
    let insert_all = |count: usize| {
        let (mut map, players) = (HashMap::new(), players(count));
        each(count, time(|| players.into_iter().for_each(|player| insert(&mut map, player))))
    };
    let pairs = extent.pairs.min(3);
    median_of(pairs, || put(many) / put(few), || insert_all(many) / insert_all(few))
}

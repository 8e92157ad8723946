//! What records take of the heap: the part of the `ratios` bench whose allocator counts, which would slow the others.
//!
//! ```text
//! cargo bench --bench heap                # as `cargo bench --bench ratios -- memory` does
//! cargo bench --bench heap -- --test      # with few records
//! ```
//!
//! Bytes are those that were asked for, not those that an allocator adds.

#[path = "../connector.rs"]
mod connector;
#[path = "../players.rs"]
mod players;

use std::collections::HashMap;
use std::sync::Arc;

use allocation_counter::measure;
use memory_table::{Database, Key, MemoryTable, Record};
use tokio::runtime::{Builder, Runtime};

use players::{Player, players};

const RECORDS: usize = 200_000;

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let players = players(if is_test { RECORDS / 100 } else { RECORDS });
    let reference = heap_of_map(&players);
    // All is made on this thread.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (memory, clean) = loaded(&runtime, &players);
    println!("ratio memory {:.3}", clean / reference);
    let changed = heap_of_changes(&runtime, &memory, &players);
    println!("ratio memory_unsaved {:.3}", (clean + changed) / reference);
}

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

/// Bytes of a change of each of them, beside what is loaded.
fn heap_of_changes(runtime: &Runtime, memory: &MemoryTable<Player>, players: &[Player]) -> f64 {
    let change_all = async {
        for player in players {
            let key = (&*player.game, &*player.name);
            memory.update(key, |record| record.played += 1).await.expect("an update");
        }
    };
    let ((), changed) = heap(|| runtime.block_on(change_all));
    assert_eq!(memory.stats().unsaved, players.len() as u64);
    changed
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

fn prefetch(runtime: &Runtime, memory: &MemoryTable<Player>, players: &[Player]) {
    let keys = players.iter().map(|player| (&*player.game, &*player.name));
    runtime.block_on(memory.prefetch(keys)).expect("all are loaded");
    assert_eq!(memory.stats().cached, players.len() as u64);
}

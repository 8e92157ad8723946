//! What many records cost.

use std::collections::HashMap;
use std::sync::Arc;

use memory_table::{Database, Key, MemoryTable, Record};

use crate::hits::runtime;
use crate::pairs::{median_of, time};
use crate::players::{Player, players};
use crate::{Extent, connector};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;

fn insert(map: &mut HashMap<Key, Arc<Player>>, player: Player) {
    let key = Key::new(&player.key()).expect("a key");
    map.insert(key, Arc::new(player));
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

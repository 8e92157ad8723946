use memory_table::{Database, MemoryTable, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    id: u64,
}

fn run(database: Database) {
    let players = MemoryTable::new(database.table::<Player>());
    let _ = players.get("7");
    let _ = players.get(7_i32);
    let _ = players.prefetch(["7"]);
}

fn main() {}

use memory_table::{Database, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "scores")]
struct Score {
    #[record(partition_key)]
    player: String,
    #[record(sort_key)]
    day: u32,
}

fn run(database: Database) {
    let scores = database.table::<Score>();
    let _ = scores.get("ada");
    let _ = scores.get((7, "ada"));
    let _ = scores.get(("ada", 7, 8));
    let _ = scores.delete(("ada", "7"));
}

fn main() {}

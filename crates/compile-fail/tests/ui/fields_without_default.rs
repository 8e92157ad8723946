use memory_table::{Database, MemoryTable, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    wins: u32,
    rating: f64,
    last_played: String,
}

fn run(database: Database) {
    let teams = MemoryTable::new(database.table::<Team>());
    let _ = teams.update("ada", |team| team.wins += 1);
    let _ = teams.get_or_default("ada");
    let _ = teams.get_or_create("ada");
    let _ = teams.update_existing("ada", |team| team.wins += 1);
}

fn main() {}

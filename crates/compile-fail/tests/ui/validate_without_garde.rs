use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players", validate)]
struct Player {
    #[record(partition_key)]
    name: String,
}

fn main() {}

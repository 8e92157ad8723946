use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "monsters")]
struct Monster {
    #[record(partition_key)]
    name: String,
    #[record(default = "weak")]
    strength: u32,
    #[record(default = 5)]
    level: f64,
    #[record(default = None)]
    nick: String,
}

fn main() {}

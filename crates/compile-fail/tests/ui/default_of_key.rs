use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "monsters")]
struct Monster {
    #[record(partition_key, default = "orc")]
    name: String,
    #[record(default(7))]
    level: u32,
}

fn main() {}

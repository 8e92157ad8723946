use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
struct Team {
    #[record(partition_key)]
    name: String,
}

fn main() {}

use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
    #[record(sort_key)]
    active: bool,
}

fn main() {}

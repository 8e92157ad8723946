use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    rating: f64,
}

fn main() {}

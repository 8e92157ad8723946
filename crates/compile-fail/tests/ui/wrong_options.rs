use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table_name = "teams")]
struct Team {
    #[record(hash_key)]
    name: String,
    #[record(rename = "elo")]
    rating: u32,
}

fn main() {}

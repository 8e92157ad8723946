use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "stores", local_index(name = "by-city", sort_key = city))]
struct Store {
    #[record(partition_key)]
    store_id: String,
    city: String,
}

fn main() {}

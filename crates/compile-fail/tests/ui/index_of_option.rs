use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "stores", global_index(name = "by-city", partition_key = city))]
struct Store {
    #[record(partition_key)]
    store_id: String,
    city: Option<String>,
}

fn main() {}

use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(
    table = "stores",
    global_index(name = "by-city", hash_key = city, projection = "KEYS_ONLY"),
    local_index(name = "by-company", partition_key = city),
    gsi(name = "by-town", partition_key = city),
)]
struct Store {
    #[record(partition_key)]
    store_id: String,
    #[record(index = "by-rating")]
    city: String,
}

fn main() {}

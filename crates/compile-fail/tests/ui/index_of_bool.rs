use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "stores", global_index(name = "by-state", partition_key = open))]
struct Store {
    #[record(partition_key)]
    store_id: String,
    open: bool,
}

fn main() {}

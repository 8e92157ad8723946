use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(
    table = "stores",
    read_units = 5,
    global_index(name = "by-city", partition_key = city, read_units = 0, write_units = "2"),
)]
struct Half {
    #[record(partition_key)]
    id: u64,
    city: String,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(
    table = "stores",
    rcu = 5,
    global_index(name = "by-city", partition_key = city, read_units = 1, write_units = 2),
    local_index(name = "by-size", sort_key = size, read_units = 1),
)]
struct OfIndexes {
    #[record(partition_key)]
    id: u64,
    #[record(sort_key)]
    no: u8,
    city: String,
    #[record(read_units = 1)]
    size: u64,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "stores", global_index(name = "by-city", partition_key = city, read_units = 1, write_units = 2))]
struct WithoutTheTables {
    #[record(partition_key)]
    id: u64,
    city: String,
}

fn main() {}

use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "files")]
struct File {
    #[record(partition_key)]
    hash: Vec<u8>,
}

fn main() {}

//! What is no time that a record notes.

use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "a")]
struct Text {
    #[record(partition_key)]
    id: u32,
    #[record(updated)]
    updated: String,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "b")]
struct Skipped {
    #[record(partition_key)]
    id: u32,
    #[record(created)]
    #[serde(skip)]
    created: u64,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "c")]
struct Both {
    #[record(partition_key)]
    id: u32,
    #[record(created, updated)]
    at: u64,
}

fn main() {}

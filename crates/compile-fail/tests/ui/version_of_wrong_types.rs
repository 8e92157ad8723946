//! What counts no writes.

use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "a")]
struct Text {
    #[record(partition_key)]
    id: u32,
    #[record(version)]
    version: String,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "b")]
struct LeftOut {
    #[record(partition_key)]
    id: u32,
    #[record(version)]
    #[serde(skip_serializing_if = "zero")]
    version: u32,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "c")]
struct Twice {
    #[record(partition_key)]
    id: u32,
    #[record(version)]
    one: u32,
    #[record(version)]
    other: u32,
}

fn zero(version: &u32) -> bool {
    *version == 0
}

fn main() {}

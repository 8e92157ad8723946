//! An empty set is stored as no attribute.

use std::collections::BTreeSet;

use memory_table::{Record, Set};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    name: String,
    teams: Set<String>,
    #[serde(with = "memory_table::set")]
    years: BTreeSet<u16>,
}

fn main() {}

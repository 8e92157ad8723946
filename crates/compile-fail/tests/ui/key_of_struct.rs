use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone)]
struct TeamName(String);

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: TeamName,
}

fn main() {}

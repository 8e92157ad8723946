use memory_table::{Database, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
}

fn run(database: Database) {
    let teams = database.table::<Team>();
    let _ = teams.get(5);
    let _ = teams.get(("chess", "ada"));
    let _ = teams.batch_get([Some("ada")]);
}

fn main() {}

//! A field is compared with what it may hold, and has only the comparisons of its type.

use memory_table::{Record, Set};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    name: String,
    rating: f64,
    wins: u32,
    active: bool,
    #[serde(default)]
    teams: Set<String>,
}

fn main() {
    let fields = Player::FIELDS;
    fields.name.gt(1500.0);
    fields.wins.eq(&fields.rating);
    fields.rating.begins_with("15");
    fields.active.lt(true);
    fields.rating.contains(1.0);
    fields.teams.contains(1);
    fields.rating.size();
    fields.name.index(0);
}

use memory_table::{Projection, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    game: String,
    #[serde(rename = "elo")]
    rating: f64,
}

#[derive(Projection, Serialize, Deserialize, Clone)]
#[projection(of = Player)]
struct Part {
    game: String,
}

fn run(players: memory_table::Table<Player>, part: Part) {
    let _ = players.put(&part);
}

fn main() {}

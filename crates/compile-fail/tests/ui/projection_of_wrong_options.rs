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

#[derive(Projection, Deserialize)]
struct Nothing {
    game: String,
}

#[derive(Projection, Deserialize)]
#[projection(of = "Player")]
struct Quoted {
    game: String,
}

#[derive(Projection, Deserialize)]
#[projection(of = Player)]
enum Either {
    Game(String),
}

fn main() {}

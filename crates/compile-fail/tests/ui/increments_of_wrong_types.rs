//! What the service does not count.

use memory_table::{MemoryTable, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    name: String,
    rating: f64,
    wins: u32,
}

async fn wrong(players: MemoryTable<Player>) {
    let _ = players.increment("ada", Player::FIELDS.rating, 1).await;
    let _ = players.increment("ada", Player::FIELDS.name, 1).await;
    let _ = players.increment("ada", Player::FIELDS.wins, 0.5).await;
}

fn main() {}

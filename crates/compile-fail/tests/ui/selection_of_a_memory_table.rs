//! Queries of a memory table return whole records.

use memory_table::{MemoryTable, Projection, Record};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    name: String,
    wins: u32,
}

#[derive(Projection, Deserialize)]
#[projection(of = Player)]
struct Wins {
    wins: u32,
}

async fn wrong(players: MemoryTable<Player>) {
    let _ = players.scan().select::<Wins>().all().await;
}

fn main() {}

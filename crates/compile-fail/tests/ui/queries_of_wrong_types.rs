use memory_table::{Projection, Record, Table};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(
    table = "players",
    global_index(name = "by-team", partition_key = team, keys_only),
)]
struct Player {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    number: u32,
    team: String,
    rating: f64,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
}

#[derive(Projection, Deserialize)]
#[projection(of = Team)]
struct Name {
    name: String,
}

fn wrong(players: &Table<Player>, teams: &Table<Team>) {
    let _ = players.query(7);
    let _ = players.query("chess").sort_key().gt("7");
    let _ = players.query("chess").sort_key().begins_with("7");
    let _ = teams.query("ada").sort_key().gt("a");
    let _ = players.index(Player::INDEXES.by_team).query("red").all();
    let _ = players.query("chess").select::<Name>();
    let _ = teams.index(Player::INDEXES.by_team);
}

fn main() {}

//! The records of the tests.

use memory_table::Record;
use serde::{Deserialize, Serialize};

/// A record with a partition key and a sort key.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "players")]
pub struct Player {
    #[record(partition_key)]
    pub game: String,
    #[record(sort_key)]
    pub name: String,
    #[serde(default)]
    pub rating: f64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A record with a partition key only, and no default for what it holds.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "teams")]
pub struct Team {
    #[record(partition_key)]
    pub team: String,
    pub points: u32,
}

/// A record that counts its writes.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "drafts")]
pub struct Draft {
    #[record(partition_key)]
    pub id: u32,
    pub text: String,
    #[record(version)]
    pub version: u32,
}

/// The key of a chess player.
pub fn at(name: &str) -> (&'static str, &str) {
    ("chess", name)
}

/// A chess player.
pub fn player(name: &str, rating: f64) -> Player {
    Player { game: "chess".into(), name: name.into(), rating, text: String::new() }
}

/// The name of a numbered player, of equal length so that text sorts as numbers do.
pub fn named(number: usize) -> String {
    format!("p{number:04}")
}

/// Numbered chess players, rated by their number.
pub fn players(count: u16) -> impl Iterator<Item = Player> {
    (0..count).map(|number| player(&named(number.into()), f64::from(number)))
}

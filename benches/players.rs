//! The records that all benches use: 8 attributes, about 250 bytes.

use memory_table::Record;
use serde::{Deserialize, Serialize};

/// The records are the same in each run.
const SEED: u64 = 1_500;
/// How long the one long text of a record is.
const MOTTO: usize = 150;

/// What a leaderboard stores of a player.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "players")]
pub(crate) struct Player {
    #[record(partition_key)]
    pub(crate) game: String,
    #[record(sort_key)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) rating: f64,
    #[serde(default)]
    pub(crate) played: u64,
    #[serde(default)]
    pub(crate) team: Option<String>,
    #[serde(default)]
    pub(crate) active: bool,
    #[serde(default)]
    pub(crate) last_played: String,
    #[serde(default)]
    pub(crate) motto: String,
}

/// So many different players.
pub(crate) fn players(count: usize) -> Vec<Player> {
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..count)
        .map(|number| Player {
            game: "chess".to_owned(),
            name: format!("player {number:06}"),
            rating: 1_000.0 + 1_000.0 * random.f64(),
            played: random.u64(100..1_000),
            team: Some(format!("team {:03}", random.u32(0..1_000))),
            active: random.bool(),
            last_played: format!("2026-{:02}-{:02}", random.u32(1..=12), random.u32(1..=28)),
            motto: std::iter::repeat_with(|| random.lowercase()).take(MOTTO).collect(),
        })
        .collect()
}

//! `#[derive(Projection)]`: some fields of a record.

use std::collections::HashMap;

use jiff::Timestamp;
use memory_table::{Projection, Record, Set};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
#[serde(rename_all = "camelCase")]
struct Player {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    player_name: String,
    #[serde(default)]
    rating: f64,
    #[serde(rename = "last")]
    seen: Option<i64>,
    #[serde(default)]
    teams: Set<String>,
    #[serde(with = "memory_table::instant")]
    joined: Timestamp,
    #[serde(with = "as_text")]
    level: u32,
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub fn serialize<S: Serializer>(level: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(level)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Projection, Deserialize)]
#[projection(of = Player)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "never read in these tests")]
struct Part {
    player_name: String,
    #[serde(default)]
    rating: Option<f64>,
    #[serde(rename = "last", alias = "seen")]
    seen: i64,
    #[serde(with = "memory_table::instant")]
    joined: Timestamp,
    #[serde(deserialize_with = "as_text::deserialize")]
    level: u32,
    teams: Set<String>,
    #[serde(skip)]
    cache: HashMap<String, u8>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "never read in these tests")]
struct Rest {
    rating: f64,
}

#[derive(Projection, Deserialize)]
#[projection(of = Player)]
#[expect(dead_code, reason = "never read in these tests")]
struct Flat {
    game: String,
    #[serde(flatten)]
    rest: Rest,
}

fn of<P: Projection>() -> (&'static str, &'static [&'static str]) {
    (P::Of::TABLE, P::ATTRIBUTES)
}

#[test]
fn a_projection_reads_the_attributes_of_its_fields() {
    let expected: &[&str] = &["playerName", "rating", "last", "joined", "level", "teams"];
    assert_eq!(of::<Part>(), ("players", expected));
}

#[test]
fn a_projection_with_a_flattened_field_reads_all() {
    assert_eq!(of::<Flat>(), ("players", &[][..]));
}

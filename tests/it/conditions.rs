//! Filters of scans, and the evaluator against the database by random conditions on random items.
//!
//! A failed random test prints its seed; `MEMORY_TABLE_TEST_SEED` runs that one again.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::TryStreamExt;
use memory_table::aws_sdk_dynamodb;
use memory_table::{
    AttributeType, Binary, Condition, ErrorKind, Instant, Number, Record, Set, Table, attribute,
};
use serde::{Deserialize, Serialize};

use crate::support::{Player, Stage, database, named, players};

mod random;

/// A record of which the tests know the key only.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "conditions")]
struct Row {
    #[record(partition_key)]
    id: String,
}

/// One field of each kind that a handle can have.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "kinds")]
#[serde(rename_all = "camelCase")]
struct Kinds {
    #[record(partition_key)]
    id: String,
    #[record(sort_key)]
    number: u32,
    /// A reserved word.
    size: f64,
    nick_name: Option<String>,
    exact: Number,
    bytes: Binary,
    active: bool,
    #[serde(default)]
    tags: Set<String>,
    #[serde(default, with = "memory_table::set")]
    years: BTreeSet<u16>,
    #[serde(with = "memory_table::instant")]
    seen: jiff::Timestamp,
    at: Instant<jiff::Timestamp>,
    list: Vec<String>,
    scores: HashMap<String, u32>,
    kind: Kind,
    #[serde(skip)]
    _cache: u8,
    #[serde(flatten)]
    rest: HashMap<String, String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Kind {
    Human,
    Machine,
}

fn instant(text: &str) -> jiff::Timestamp {
    text.parse().expect("an instant")
}

fn kinds() -> Kinds {
    Kinds {
        id: "ada".into(),
        number: 7,
        size: 1.5,
        nick_name: Some("A".into()),
        exact: "19.90".parse().expect("a number"),
        bytes: vec![1, 2].into(),
        active: true,
        tags: ["x".to_owned(), "y".to_owned()].into(),
        years: [1842, 1843].into(),
        seen: instant("1843-01-01T00:00:00Z"),
        at: instant("1852-11-27T10:00:00Z").into(),
        list: vec!["first".into()],
        scores: [("chess".to_owned(), 3)].into(),
        kind: Kind::Human,
        _cache: 9,
        rest: [("note".to_owned(), "kept".to_owned())].into(),
    }
}

async fn found<T: Record>(table: &Table<T>, filter: Condition) -> Vec<T> {
    let scan = table.scan().consistent().filter(filter);
    scan.stream().try_collect().await.expect("the scan ends well")
}

#[tokio::test]
async fn every_kind_of_field_is_filtered_by_its_handle() {
    let table = database().table::<Kinds>();
    table.create_if_missing().await.expect("created");
    let stored = kinds();
    table.put(&stored).await.expect("stored");
    let fields = Kinds::FIELDS;
    let conditions = [
        fields.id.begins_with("a"),
        fields.number.is_in([1, 7]),
        fields.size.between(1.0, 2.0),
        fields.nick_name.eq("A"),
        fields.exact.le("19.9".parse::<Number>().expect("a number")),
        fields.bytes.begins_with(&[1]),
        fields.bytes.gt(&[1, 1]),
        fields.active.eq(true),
        fields.tags.contains("x"),
        fields.tags.eq(&stored.tags),
        fields.years.contains(1842),
        fields.years.size().eq(2),
        fields.seen.lt(instant("1843-01-01T00:00:00.000001Z")),
        fields.seen.begins_with("1843-"),
        fields.seen.lt(&fields.at),
        fields.list.index(0).eq("first"),
        fields.list.contains("first"),
        fields.scores.field("chess").ge(3),
        fields.scores.size().eq(fields.number.as_type()).not(),
        fields.kind.eq(Kind::Human),
        fields.kind.attribute_type(AttributeType::String),
        attribute("note").eq("kept"),
        attribute("_cache").not_exists(),
        attribute("nickName").exists(),
    ];
    for (index, condition) in conditions.into_iter().enumerate() {
        assert!(condition.matches(&stored).expect("a legal condition"), "{index}");
        assert_eq!(found(&table, condition.clone()).await.len(), 1, "{index}");
        assert_eq!(found(&table, !condition).await.len(), 0, "{index}");
    }
}

#[tokio::test]
async fn a_scan_goes_on_behind_pages_without_a_match() {
    let stage = Stage::<Player>::new().await;
    let all = players(2_500);
    assert_eq!(stage.truth.batch_write().puts(all).await.expect("stored").written, 2_500);
    let names: BTreeSet<String> = [3, 1_234, 2_499].map(named).into();
    let filter = Player::FIELDS.name.is_in(&names);
    let players = found(&stage.table, filter).await;
    assert_eq!(players.into_iter().map(|player| player.name).collect::<BTreeSet<_>>(), names);
}

#[tokio::test]
async fn several_filters_are_all_met() {
    let stage = Stage::<Player>::new().await;
    assert_eq!(stage.truth.batch_write().puts(players(20)).await.expect("stored").written, 20);
    let rating = Player::FIELDS.rating;
    let scan = stage.table.scan().consistent().segments(4);
    let scan = scan.filter(rating.ge(5.0) | rating.lt(2.0)).filter(rating.lt(7.0));
    let found: Vec<Player> = scan.stream().try_collect().await.expect("the scan ends well");
    let mut ratings: Vec<f64> = found.iter().map(|player| player.rating).collect();
    ratings.sort_by(f64::total_cmp);
    assert_eq!(ratings, [0.0, 1.0, 5.0, 6.0]);
}

#[tokio::test]
async fn what_dynamodb_refuses_is_an_error_before_a_request() {
    let stage = Stage::<Player>::new().await;
    let before = stage.reads();
    for condition in [
        Player::FIELDS.rating.eq(f64::NAN),
        attribute("rating").lt(true),
        attribute("name.first").eq("ada"),
        Player::FIELDS.name.is_in([""; 101]),
    ] {
        let stream = stage.table.scan().filter(condition).stream();
        let error = stream.try_collect::<Vec<_>>().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidCondition, "{error}");
        assert!(error.to_string().starts_with("Scan on table `"), "{error}");
        assert!(error.to_string().ends_with("; nothing was sent"), "{error}");
    }
    assert_eq!(stage.reads(), before);
}

/// The conditions that we refuse, the service refuses too. The embedded database accepts some.
#[cfg(feature = "dynamodb-local")]
#[tokio::test]
async fn refusals_are_those_of_the_service() {
    let table = database().table::<Row>();
    table.create_if_missing().await.expect("created");
    for (expression, value) in [
        ("a < :v", AttributeValue::Bool(true)),
        ("a >= :v", AttributeValue::Null(true)),
        ("a BETWEEN :v AND :v", AttributeValue::L(Vec::new())),
        ("size(a) < :v", AttributeValue::Ss(vec!["x".into()])),
        ("begins_with(a, :v)", AttributeValue::N("1".into())),
        ("b = :v AND a = a", AttributeValue::N("1".into())),
        ("b = :v AND a IN (b, a)", AttributeValue::N("1".into())),
        ("b = :v AND contains(a, a)", AttributeValue::N("1".into())),
        ("id.x = :v", AttributeValue::N("1".into())),
        ("a = :v", AttributeValue::Ss(Vec::new())),
    ] {
        let scan = table.database().client().scan().table_name(table.name().expect("a name"));
        let scan = scan.filter_expression(expression).expression_attribute_values(":v", value);
        let error = scan.send().await.expect_err(expression).into_service_error();
        assert_eq!(error.meta().code(), Some("ValidationException"), "{expression}");
    }
}

#[tokio::test]
async fn random_conditions_mean_in_memory_what_they_mean_to_the_database() {
    let seed = std::env::var("MEMORY_TABLE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("MEMORY_TABLE_TEST_SEED={seed}");
    let mut random = random::Random::new(seed);
    let database = database();
    let cases = if database.is_embedded() { 3_000 } else { 500 };
    let table = database.table::<Row>();
    table.create_if_missing().await.expect("created");
    let items = random.items(25);
    for item in &items {
        let put = database.client().put_item().table_name(table.name().expect("a name"));
        put.set_item(Some(item.clone())).send().await.expect("stored");
    }
    let mut matched = 0;
    for case in 0..cases {
        let condition = random.condition();
        let expected = match ids_in_memory(&condition, &items) {
            Ok(ids) => ids,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidCondition, "{error}");
                continue;
            }
        };
        let scan = table.scan().consistent().filter(condition.clone());
        let rows: Vec<Row> = scan.stream().try_collect().await.unwrap_or_else(|error| {
            panic!("case {case} of seed {seed}: {error}: {condition:?}");
        });
        let ids: BTreeSet<String> = rows.into_iter().map(|row| row.id).collect();
        assert_eq!(ids, expected, "case {case} of seed {seed}: {condition:?}");
        matched += usize::from(!ids.is_empty() && ids.len() < items.len());
    }
    // A generator whose conditions hold for all or for none would test little.
    assert!(matched * 5 > cases, "{matched} of {cases}");
}

fn ids_in_memory(
    condition: &Condition,
    items: &[HashMap<String, AttributeValue>],
) -> Result<BTreeSet<String>, memory_table::Error> {
    let mut ids = BTreeSet::new();
    for item in items {
        if condition.matches_item(item)? {
            ids.insert(item["id"].as_s().expect("a string").clone());
        }
    }
    Ok(ids)
}

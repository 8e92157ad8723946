//! What values become in the store, and what becomes of them on the way back.

use std::collections::{BTreeMap, BTreeSet};

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{
    Attributes, Error, ErrorKind, Instant, MemoryTable, Number, Record, Set, Table,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::support::{Stage, database};

type Utc = chrono::DateTime<chrono::Utc>;

/// A record of one value, of any type.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct One<V> {
    id: String,
    value: V,
}

/// A type that can be the value of a record in these tests.
trait Storable: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Storable for V {}

impl<V: Storable> Record for One<V> {
    type Key = memory_table::PartitionKey<String>;
    const TABLE: &'static str = "values";
    const PARTITION_KEY: &'static str = "id";
    const SORT_KEY: Option<&'static str> = None;

    fn key(&self) -> memory_table::KeyRef<'_> {
        memory_table::KeyRef::partition(&self.id)
    }
}

/// The same item as it is stored.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "values")]
struct Raw {
    #[record(partition_key)]
    id: String,
    #[serde(flatten)]
    rest: Attributes,
}

/// A table of values, and the same table as it is stored.
async fn tables<V: Storable>() -> (Table<One<V>>, Table<Raw>) {
    let database = database();
    let table = database.table();
    table.create_if_missing().await.expect("created");
    (table, database.table())
}

fn one<V>(value: V) -> One<V> {
    One { id: "a".into(), value }
}

/// Stores a value, reads it back, and gives its stored form.
async fn stored<V: Storable>(value: V) -> (V, Option<AttributeValue>) {
    let (table, raw) = tables::<V>().await;
    table.put(&one(value)).await.expect("stored");
    let read = table.get_consistent("a").await.expect("read").expect("it is there");
    let mut item = raw.get_consistent("a").await.expect("read").expect("it is there");
    (read.value, item.rest.remove("value"))
}

/// What is said of a stored value that is not of the type.
async fn misread<V: Storable>(value: AttributeValue) -> Error {
    let (table, raw) = tables::<V>().await;
    let rest = Attributes::from_iter([("value", value)]);
    raw.put(&Raw { id: "a".into(), rest }).await.expect("stored");
    table.get_consistent("a").await.map(|_| ()).expect_err("it is not of the type")
}

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(text.into())
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn utc(text: &str) -> Utc {
    text.parse().expect("an instant")
}

fn jiff(text: &str) -> jiff::Timestamp {
    text.parse().expect("an instant")
}

#[tokio::test]
async fn zeros_and_whole_numbers_survive_and_zero_is_a_value() {
    assert_eq!(stored(0_i64).await, (0, Some(n("0"))));
    assert_eq!(stored(0.0_f64).await, (0.0, Some(n("0"))));
    assert_eq!(stored(10_u8).await, (10, Some(n("10"))));
    assert_eq!(stored(10.0_f64).await, (10.0, Some(n("10"))));
    assert_eq!(stored(Some(0_u8)).await, (Some(0), Some(n("0"))));
}

#[tokio::test]
async fn booleans_are_booleans_and_integers_are_integers() {
    assert_eq!(stored(true).await, (true, Some(AttributeValue::Bool(true))));
    assert_eq!(stored(false).await, (false, Some(AttributeValue::Bool(false))));
    assert_eq!(stored(1_u8).await, (1, Some(n("1"))));
    for error in [
        misread::<bool>(AttributeValue::N("1".into())).await,
        misread::<u8>(AttributeValue::Bool(true)).await,
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidItem);
        assert!(error.to_string().contains("attribute `value`: expected"), "{error}");
    }
}

#[tokio::test]
async fn text_survives_and_so_does_the_empty_one() {
    assert_eq!(stored("hello".to_owned()).await, ("hello".to_owned(), Some(s("hello"))));
    assert_eq!(stored(String::new()).await, (String::new(), Some(s(""))));
    assert_eq!(stored(Some(String::new())).await, (Some(String::new()), Some(s(""))));
}

#[tokio::test]
async fn sets_of_numbers_and_of_texts_survive() {
    let (numbers, form) = stored(Set::from([3, -1, 20])).await;
    assert_eq!(numbers, [3, -1, 20].into());
    assert!(form.unwrap().is_ns());
    let texts: Set<String> = ["b".to_owned(), "a".to_owned()].into();
    let (read, form) = stored(texts.clone()).await;
    assert_eq!(read, texts);
    assert!(form.unwrap().is_ss());
}

#[tokio::test]
async fn an_empty_set_is_stored_as_no_attribute_and_read_as_an_empty_set() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[record(table = "values")]
    struct Tagged {
        #[record(partition_key)]
        id: String,
        #[serde(default)]
        value: Set<String>,
        #[serde(default, with = "memory_table::set")]
        numbers: BTreeSet<u8>,
    }
    let database = database();
    let table = database.table::<Tagged>();
    table.create_if_missing().await.unwrap();
    let empty = Tagged { id: "a".into(), value: Set::default(), numbers: BTreeSet::new() };
    table.put(&empty).await.unwrap();
    let raw = database.table::<Raw>().get_consistent("a").await.unwrap().unwrap();
    assert_eq!(raw.rest, Attributes::default());
    assert_eq!(table.get_consistent("a").await.unwrap(), Some(empty));
}

#[tokio::test]
async fn nested_lists_and_maps_survive_and_so_do_empty_ones() {
    type Nested = BTreeMap<String, Vec<BTreeMap<String, Vec<i32>>>>;
    let inner = |name: &str, list: &[i32]| BTreeMap::from([(name.to_owned(), list.to_vec())]);
    let nested: Nested = BTreeMap::from([
        ("full".into(), vec![inner("a", &[1, 2]), inner("b", &[])]),
        ("hollow".into(), vec![BTreeMap::new()]),
        ("empty".into(), vec![]),
    ]);
    assert_eq!(stored(nested.clone()).await.0, nested);
    let (list, form) = stored(Vec::<String>::new()).await;
    assert_eq!((list, form), (vec![], Some(AttributeValue::L(vec![]))));
    let (map, form) = stored(Nested::new()).await;
    assert_eq!((map, form), (Nested::new(), Some(AttributeValue::M([].into()))));
}

#[tokio::test]
async fn an_instant_without_a_zone_in_the_store_is_an_error() {
    for text in ["2012-05-31T12:00:00", "2012-05-31 12:00:00.5", "2012-05-31"] {
        for error in [
            misread::<Instant<jiff::Timestamp>>(s(text)).await,
            misread::<Instant<Utc>>(s(text)).await,
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidItem);
            let text = error.to_string();
            assert!(
                text.contains("attribute `value`: not the text of an instant with an offset"),
                "{text}"
            );
            assert!(!text.contains("2012-05-31T12:00:00,"), "the content is not shown: {text}");
        }
    }
}

#[tokio::test]
async fn instants_are_stored_within_lists_and_maps() {
    let instants = vec![
        BTreeMap::from([("jiff".to_owned(), Instant(jiff("2012-05-31T12:00:00Z")))]),
        BTreeMap::new(),
    ];
    let (read, form) = stored(instants.clone()).await;
    assert_eq!(read, instants);
    let first = AttributeValue::M([("jiff".into(), s("2012-05-31T12:00:00.000000+00:00"))].into());
    assert_eq!(form, Some(AttributeValue::L(vec![first, AttributeValue::M([].into())])));
    let chrono = Some((1_u8, Instant(utc("1999-12-31T23:59:59.999999999Z"))));
    assert_eq!(stored(chrono).await.0, chrono);
}

#[tokio::test]
async fn instants_are_stored_in_utc_in_summer_and_winter() {
    for (text, form) in [
        ("2012-07-01T14:00:00+02:00", "2012-07-01T12:00:00.000000+00:00"),
        ("2012-01-01T13:00:00+01:00", "2012-01-01T12:00:00.000000+00:00"),
        ("2012-01-01T12:00:00Z", "2012-01-01T12:00:00.000000+00:00"),
    ] {
        assert_eq!(stored(Instant(jiff(text))).await, (Instant(jiff(text)), Some(s(form))));
        assert_eq!(stored(Instant(utc(text))).await, (Instant(utc(text)), Some(s(form))));
    }
}

#[tokio::test]
async fn fractions_and_38_digits_are_exact() {
    assert_eq!(stored(0.1_f64).await, (0.1, Some(n("0.1"))));
    assert_eq!(stored(0.1_f32).await, (0.1, Some(n("0.1"))));
    let text = "-1234567890123456789012345678901234567.8";
    let number: Number = text.parse().unwrap();
    assert_eq!(stored(number.clone()).await, (number, Some(n(text))));
    let (big, form) = stored(10_u128.pow(38) - 1).await;
    assert_eq!((big, form), (10_u128.pow(38) - 1, Some(n(&"9".repeat(38)))));
}

#[tokio::test]
async fn nan_and_infinities_are_refused_before_a_request() {
    let stage = Stage::<One<Vec<f64>>>::new().await;
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = stage.table.put(&one(vec![0.0, value])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        let text = error.to_string();
        assert!(
            text.contains("attribute `value[1]`: NaN and infinities are no DynamoDB numbers"),
            "{text}"
        );
    }
    assert_eq!(stage.faults.count("PutItem"), 0);
}

#[tokio::test]
async fn empty_text_and_null_within_lists_and_maps_survive_in_new_and_loaded_records() {
    type Value = (Vec<Option<String>>, BTreeMap<String, String>);
    let (table, raw) = tables::<Value>().await;
    let list = vec![Some(String::new()), None, Some("x".into())];
    let map = BTreeMap::from([("empty".to_owned(), String::new())]);
    let new = one((list, map));
    let memory = MemoryTable::new(table.clone());
    memory.put(new.clone()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(table.get_consistent("a").await.unwrap(), Some(new.clone()));

    let memory = MemoryTable::new(table);
    let changed = memory.update_existing("a", |one| one.value.0.push(None)).await.unwrap();
    assert_eq!(changed.value.1, new.value.1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let raw = raw.get_consistent("a").await.unwrap().unwrap();
    let null = AttributeValue::Null(true);
    let list = AttributeValue::L(vec![s(""), null.clone(), s("x"), null]);
    let map = AttributeValue::M([("empty".to_owned(), s(""))].into());
    assert_eq!(raw.rest["value"], AttributeValue::L(vec![list, map]));
}

#[tokio::test]
async fn a_key_of_another_type_than_the_table_s_is_an_error_before_the_record_is_touched() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug)]
    #[record(table = "values")]
    struct Numbered {
        #[record(partition_key)]
        id: u32,
    }
    let stage = Stage::<Raw>::new().await;
    let numbered = stage.table.database().table::<Numbered>();
    let error = numbered.put(&Numbered { id: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    assert_eq!(stage.faults.count("PutItem"), 0);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "nests")]
struct Nest {
    #[record(partition_key)]
    id: String,
    within: serde_json::Value,
}

#[tokio::test]
async fn what_dynamodb_nests_too_deep_is_refused_before_it_is_sent() {
    let stage = super::support::Stage::<Nest>::new().await;
    let nest = |levels: usize| {
        let within =
            (0..levels).fold(serde_json::json!("x"), |within, _| serde_json::json!([within]));
        Nest { id: levels.to_string(), within }
    };
    stage.table.put(&nest(31)).await.unwrap();
    assert_eq!(stage.truth.get_consistent("31").await.unwrap(), Some(nest(31)));
    let error = stage.table.put(&nest(32)).await.unwrap_err();
    assert_eq!(error.kind(), memory_table::ErrorKind::InvalidRecord, "{error}");
    assert_eq!(stage.faults.count("PutItem"), 1);
}

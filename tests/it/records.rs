//! What a record type says about itself: its attributes, defaults, hooks, indexes, projections.

mod defaults;
mod hooks;
mod indexes;
mod old;
mod projections;
mod specs;
mod times;
mod validation;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use memory_table::aws_sdk_dynamodb;
use memory_table::{ErrorKind, KeyAttribute, KeyKind, Projection, Record, Table};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::support::{Stage, database};

type Item = HashMap<String, AttributeValue>;

/// An item of strings.
fn item<const N: usize>(attributes: [(&str, &str); N]) -> Item {
    let pair = |(name, text): (&str, &str)| (name.into(), AttributeValue::S(text.into()));
    attributes.into_iter().map(pair).collect()
}

/// Stores an item past all types.
async fn store<T: Record>(table: &Table<T>, item: Item) {
    let put = table.database().client().put_item().table_name(table.name().unwrap());
    put.set_item(Some(item)).send().await.unwrap();
}

/// The item of a string key as it is stored.
async fn stored<T: Record>(table: &Table<T>, key: &str) -> Option<Item> {
    let get = table.database().client().get_item().table_name(table.name().unwrap());
    let get = get.key(T::PARTITION_KEY, AttributeValue::S(key.into())).consistent_read(true);
    get.send().await.unwrap().item
}

/// A record that takes every attribute.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "anything")]
struct Anything {
    #[record(partition_key)]
    id: String,
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

/// A record with a field that is not stored.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "visits")]
struct Visit {
    #[record(partition_key)]
    id: String,
    #[serde(default)]
    count: u32,
    #[serde(skip)]
    seen_at: u64,
}

/// A record with type parameters.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "tagged", global_index(name = "by-tag", partition_key = tag, keys_only))]
#[serde(bound = "")]
struct Tagged<K, V>
where
    K: KeyAttribute + Serialize + DeserializeOwned,
    V: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    #[record(partition_key)]
    id: String,
    tag: K,
    #[record(default)]
    value: V,
}

/// A record, its hooks and a part of it as a macro writes them.
macro_rules! written_by_a_macro {
    ($record:ident, $part:ident, $field:ident: $type:ty, $hook:literal, $table:literal) => {
        #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
        #[record(table = $table, before_store = $hook)]
        #[record(global_index(name = "by-field", partition_key = $field))]
        struct $record {
            #[record(partition_key)]
            key: String,
            #[record(default = "unknown")]
            $field: $type,
        }

        #[derive(Projection, Deserialize)]
        #[projection(of = $record)]
        #[expect(dead_code, reason = "never read")]
        struct $part {
            key: String,
            $field: $type,
        }
    };
}

written_by_a_macro!(Place, PartOfPlace, city: String, "shout", "places");

#[expect(clippy::unnecessary_wraps, reason = "the signature of hooks")]
fn shout(place: &mut Place) -> Result<(), String> {
    place.city.make_ascii_uppercase();
    Ok(())
}

#[tokio::test]
async fn a_record_that_a_macro_writes_is_like_any_other() {
    let stage = Stage::<Place>::new().await;
    let made = stage.memory().get_or_create("a").await.unwrap();
    assert_eq!(*made, Place { key: "a".into(), city: "UNKNOWN".into() });
    assert_eq!(PartOfPlace::ATTRIBUTES, ["key", "city"]);
    assert_eq!(Place::INDEXES.by_field.spec().partition_key().unwrap().name, "city");
}

#[tokio::test]
async fn a_generic_record_has_indexes_like_any_other() {
    let table = database().table::<Tagged<u32, Vec<u8>>>();
    table.create_if_missing().await.unwrap();
    let indexes = table.describe().await.unwrap().unwrap().indexes;
    assert_eq!(indexes[0].partition_key, ("tag".to_owned(), KeyKind::Number));
    let by_tag = Tagged::<u32, Vec<u8>>::INDEXES.by_tag;
    assert_eq!(by_tag.spec().name(), indexes[0].name);
    let tagged = Tagged { id: "a".into(), tag: 7, value: vec![1] };
    table.put(&tagged).await.unwrap();
    assert_eq!(table.get_consistent("a").await.unwrap(), Some(tagged));
}

#[tokio::test]
async fn a_record_without_a_schema_keeps_every_attribute() {
    let table = database().table::<Anything>();
    table.create_if_missing().await.unwrap();
    let rest = serde_json::json!({"city": "Paris", "tags": ["a", "b"], "seats": {"indoor": 7}});
    let rest: HashMap<_, _> = rest.as_object().unwrap().clone().into_iter().collect();
    let anything = Anything { id: "a".into(), rest };
    table.put(&anything).await.unwrap();
    assert_eq!(table.get_consistent("a").await.unwrap(), Some(anything));
}

#[tokio::test]
async fn an_attribute_that_the_type_does_not_declare_is_no_error_and_stays() {
    let stage = Stage::<Visit>::new().await;
    store(&stage.truth, item([("id", "a"), ("ctiy", "Paris")])).await;
    let expected = Visit { id: "a".into(), count: 0, seen_at: 0 };
    assert_eq!(stage.table.get_consistent("a").await.unwrap(), Some(expected));
    let memory = stage.memory();
    memory.update("a", |visit| visit.count += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage.truth, "a").await.unwrap()["ctiy"].as_s().unwrap(), "Paris");
}

#[tokio::test]
async fn a_skipped_field_is_never_stored() {
    let stage = Stage::<Visit>::new().await;
    stage.table.put(&Visit { id: "a".into(), count: 1, seen_at: 7 }).await.unwrap();
    let mut names: Vec<_> = stored(&stage.truth, "a").await.unwrap().into_keys().collect();
    names.sort();
    assert_eq!(names, ["count", "id"]);
    let loaded = stage.table.get_consistent("a").await.unwrap().unwrap();
    assert_eq!(loaded.seen_at, 0);
}

#[tokio::test]
async fn a_refused_change_leaves_every_field() {
    let stage = Stage::<crate::support::Player>::new().await;
    let memory = stage.memory();
    memory.put(crate::support::player("ada", 1.0)).await.unwrap();
    let changed = memory.update(crate::support::at("ada"), |player| {
        player.text = "changed before it fails".into();
        player.rating = f64::NAN;
    });
    assert_eq!(changed.await.unwrap_err().kind(), ErrorKind::InvalidRecord);
    let player = memory.get(crate::support::at("ada")).await.unwrap().unwrap();
    assert_eq!((player.text.as_str(), player.rating), ("", 1.0));
}

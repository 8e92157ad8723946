//! `#[record(default)]` is for records that are made, `#[serde(default)]` for what is loaded.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;

use jiff::Timestamp;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{
    BoxError, ErrorKind, FromKey, KeyRef, MemoryTable, PartitionKey, Record, Set, Table,
};
use serde::{Deserialize, Serialize};

use super::{item, store, stored};
use crate::support::{Stage, database};

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Counts its calls on this thread.
fn counted() -> u32 {
    CALLS.set(CALLS.get() + 1);
    CALLS.get()
}

fn of_serde() -> String {
    "serde's".into()
}

/// Every way to say what a field is where there is no record.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "monsters")]
struct Monster {
    #[record(partition_key)]
    name: String,
    #[record(default = "weak")]
    strength: String,
    #[record(default = counted())]
    number: u32,
    #[record(default)]
    level: u32,
    #[record(default = "made")]
    #[serde(default = "of_serde")]
    origin: String,
    #[serde(default = "of_serde")]
    place: String,
    #[record(default = ["bite".to_owned()].into())]
    #[serde(default)]
    skills: Set<String>,
    #[serde(default, with = "memory_table::instant", skip_serializing_if = "Option::is_none")]
    seen: Option<Timestamp>,
    nick: Option<String>,
    #[serde(skip)]
    cache: u8,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Rest {
    #[serde(default = "of_serde")]
    home: String,
    #[serde(flatten)]
    more: BTreeMap<String, String>,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "towns")]
#[serde(default)]
struct Town {
    #[record(partition_key)]
    name: String,
    people: u32,
    #[record(default = 7)]
    schools: u32,
}

impl Default for Town {
    fn default() -> Self {
        Self { name: "nowhere".into(), people: 1000, schools: 3 }
    }
}

/// Every kind of field that may be absent when it is loaded.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "neutral")]
struct Neutral {
    #[record(partition_key)]
    id: String,
    #[serde(default)]
    number: u32,
    #[serde(default)]
    text: String,
    #[serde(default)]
    set: Set<String>,
    #[serde(default)]
    list: Vec<u8>,
    #[serde(default)]
    map: HashMap<String, String>,
}

async fn table<T: Record>() -> Table<T> {
    let table = database().table::<T>();
    table.create_if_missing().await.unwrap();
    table
}

#[tokio::test]
async fn a_record_is_made_with_its_defaults() {
    let memory = MemoryTable::new(table::<Monster>().await);
    let made = memory.get_or_default("orc").await.unwrap();
    let expected = Monster {
        name: "orc".into(),
        strength: "weak".into(),
        number: made.number,
        level: 0,
        origin: "made".into(),
        place: "serde's".into(),
        skills: ["bite".to_owned()].into(),
        seen: None,
        nick: None,
        cache: 0,
        rest: Rest { home: "serde's".into(), more: BTreeMap::new() },
    };
    assert_eq!(*made, expected);
    assert!(memory.unsaved().is_empty());
}

#[tokio::test]
async fn a_default_is_evaluated_for_each_record() {
    let memory = MemoryTable::new(table::<Monster>().await);
    let first = memory.get_or_create("orc").await.unwrap().number;
    let second = memory.update("elf", |_| {}).await.unwrap().number;
    assert_eq!(second, first + 1);
    assert_eq!(memory.get_or_create("orc").await.unwrap().number, first, "it is there already");
}

#[tokio::test]
async fn a_default_of_many_parts_is_not_shared() {
    let memory = MemoryTable::new(table::<Monster>().await);
    memory.update("orc", |orc| orc.skills.extend(["roar".to_owned()])).await.unwrap();
    let elf = memory.get_or_create("elf").await.unwrap();
    assert_eq!(elf.skills, ["bite".to_owned()].into());
}

#[tokio::test]
async fn the_default_of_the_struct_is_for_fields_that_say_nothing() {
    let memory = MemoryTable::new(table::<Town>().await);
    let made = memory.get_or_default("Ur").await.unwrap();
    assert_eq!(*made, Town { name: "Ur".into(), people: 1000, schools: 7 });
    store(memory.table(), item([("name", "Uruk")])).await;
    let loaded = memory.get("Uruk").await.unwrap().unwrap();
    assert_eq!(*loaded, Town { name: "Uruk".into(), people: 1000, schools: 3 });
}

#[tokio::test]
async fn defaults_of_records_are_not_for_what_is_loaded() {
    let stage = Stage::<Monster>::new().await;
    let number = AttributeValue::N("1".into());
    let mut orc = item([("name", "orc"), ("strength", "great")]);
    orc.extend([("number".to_owned(), number.clone()), ("level".to_owned(), number)]);
    store(&stage.truth, orc.clone()).await;
    let loaded = stage.table.get_consistent("orc").await.unwrap().unwrap();
    assert_eq!((loaded.strength.as_str(), loaded.origin.as_str()), ("great", "serde's"));
    assert!(loaded.skills.is_empty());
    orc.remove("strength");
    store(&stage.truth, orc).await;
    let error = stage.table.get_consistent("orc").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert!(error.to_string().contains("`strength` is absent"), "{error}");
}

#[tokio::test]
async fn what_is_absent_is_loaded_as_the_neutral_value_of_its_type() {
    let stage = Stage::<Neutral>::new().await;
    store(&stage.truth, item([("id", "a")])).await;
    let loaded = stage.table.get_consistent("a").await.unwrap().unwrap();
    assert_eq!(loaded, Neutral { id: "a".into(), ..Neutral::default() });
}

#[tokio::test]
async fn values_given_win_over_defaults() {
    let stage = Stage::<Monster>::new().await;
    let memory = stage.memory();
    memory.update("orc", |orc| orc.strength = String::new()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let loaded = stage.table.get_consistent("orc").await.unwrap().unwrap();
    assert_eq!(loaded.strength, "", "an empty text is a value");
}

#[tokio::test]
async fn an_absent_instant_stays_absent() {
    let stage = Stage::<Monster>::new().await;
    let memory = stage.memory();
    memory.get_or_create("orc").await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let again = stage.memory();
    again.update("orc", |orc| orc.level += 1).await.unwrap();
    assert_eq!(again.get("orc").await.unwrap().unwrap().seen, None);
    assert_eq!(again.flush().await.unwrap().written, 1);
    let item = stored(&stage.truth, "orc").await.unwrap();
    assert_eq!(item["level"].as_n().unwrap(), "1");
    assert!(!item.contains_key("seen"));
}

/// A record whose `from_key` is wrong on purpose.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct Odd {
    name: String,
}

impl Record for Odd {
    type Key = PartitionKey<String>;
    const TABLE: &'static str = "odd";
    const PARTITION_KEY: &'static str = "name";
    const SORT_KEY: Option<&'static str> = None;

    fn key(&self) -> KeyRef<'_> {
        KeyRef::partition(&self.name)
    }
}

impl FromKey for Odd {
    fn from_key(name: String) -> Result<Self, BoxError> {
        match name.as_str() {
            "nobody" => Err("there is none".into()),
            _ => Ok(Self { name: name.to_uppercase() }),
        }
    }
}

#[tokio::test]
async fn a_record_that_is_made_has_the_key_that_was_asked_for() {
    let memory = MemoryTable::new(table::<Odd>().await);
    for error in [
        memory.get_or_default("ada").await.unwrap_err(),
        memory.get_or_create("ada").await.unwrap_err(),
        memory.update("ada", |_| {}).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert_eq!(error.key().unwrap().to_string(), "\"ada\"");
        let text = error.to_string();
        assert!(text.contains("the record made of this key has the key \"ADA\""), "{text}");
    }
    assert!(memory.unsaved().is_empty());
}

#[tokio::test]
async fn a_record_that_cannot_be_made_is_an_error_with_its_cause() {
    let memory = MemoryTable::new(table::<Odd>().await);
    let error = memory.update("nobody", |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert_eq!(error.source().unwrap().to_string(), "there is none");
    assert!(memory.get("nobody").await.unwrap().is_none());
}

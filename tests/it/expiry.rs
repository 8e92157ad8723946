//! Records that have expired and that the service has not deleted yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Guard, MemoryTable, Record};
use serde::{Deserialize, Serialize};

use super::support::Stage;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "sessions")]
struct Session {
    #[record(partition_key)]
    id: String,
    #[record(ttl)]
    #[serde(default)]
    ends: Option<u32>,
    #[serde(default)]
    visits: u32,
}

fn session(id: &str, ends: Option<u32>) -> Session {
    Session { id: id.into(), ends, visits: 5 }
}

/// Three sessions that end at 100, at 200 and never, and a table whose clock can be set.
async fn stage() -> (Stage<Session>, MemoryTable<Session>, Arc<AtomicI64>) {
    let stage = Stage::<Session>::new().await;
    for (id, ends) in [("a", Some(100)), ("b", Some(200)), ("c", None)] {
        stage.truth.put(&session(id, ends)).await.unwrap();
    }
    let now = Arc::new(AtomicI64::new(99));
    let clock = Arc::clone(&now);
    let memory = stage.builder().hide_expired_by(move || clock.load(Ordering::SeqCst));
    (stage, memory.build().unwrap(), now)
}

#[tokio::test]
async fn expired_records_are_absent_to_those_who_ask() {
    let (stage, memory, now) = stage().await;
    assert_eq!(memory.load_all().await.unwrap().records, 3);
    assert!(memory.get("a").await.unwrap().is_some());
    now.store(100, Ordering::SeqCst);
    assert!(memory.get("a").await.unwrap().is_none());
    assert!(!memory.contains("a").await.unwrap());
    assert!(memory.update_existing("a", |_| ()).await.is_err());
    assert!(memory.take("a").await.unwrap().is_none());
    assert_eq!(memory.records().len(), 2);
    assert!(memory.unsaved().is_empty(), "nothing is deleted");
    now.store(i64::MAX, Ordering::SeqCst);
    assert!(memory.get("c").await.unwrap().is_some());
    assert!(stage.truth.get("a").await.unwrap().is_some());
    let other = stage.memory();
    assert!(other.get("a").await.unwrap().is_some(), "unless that is wanted");
    let by_the_systems_clock = stage.builder().hide_expired().build().unwrap();
    assert!(by_the_systems_clock.get("b").await.unwrap().is_none());
}

#[tokio::test]
async fn an_unsaved_record_never_expires_from_memory() {
    let (stage, memory, now) = stage().await;
    memory.update("a", |session| session.visits += 1).await.unwrap();
    now.store(1_000, Ordering::SeqCst);
    assert_eq!(memory.get("a").await.unwrap().unwrap().visits, 6);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert!(memory.get("a").await.unwrap().is_none());
    assert_eq!(stage.truth.get("a").await.unwrap().unwrap().visits, 6);
}

#[tokio::test]
async fn a_record_that_is_made_anew_has_nothing_of_the_expired_one() {
    let (stage, memory, now) = stage().await;
    let mut item = stage.truth.get_item("a").await.unwrap().unwrap();
    item.insert("extra".into(), AttributeValue::Bool(true));
    let client = stage.truth.database().client().clone();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    put.set_item(Some(item.into())).send().await.unwrap();
    now.store(150, Ordering::SeqCst);
    let made = memory.update("a", |session| session.visits += 1).await.unwrap();
    assert_eq!((made.visits, made.ends), (1, None));
    assert_eq!(memory.get_or_create("b").await.unwrap().visits, 5, "not expired yet");
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert!(!stage.truth.get_item("a").await.unwrap().unwrap().contains_key("extra"));
    now.store(250, Ordering::SeqCst);
    assert_eq!(memory.get_or_create("b").await.unwrap().visits, 0);
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

#[tokio::test]
async fn a_guarded_record_takes_the_place_of_the_expired_one() {
    let (stage, ..) = stage().await;
    for field_wise in [false, true] {
        let builder = stage.builder().hide_expired_by(|| 150);
        let builder = if field_wise { builder.field_wise() } else { builder.guarded(Guard::Item) };
        let memory = builder.build().unwrap();
        let client = stage.truth.database().client();
        let put = client.put_item().table_name(stage.truth.name().unwrap());
        let put = put.item("id", AttributeValue::S("a".into()));
        let put = put.item("ends", AttributeValue::N("100".into()));
        put.item("extra", AttributeValue::Bool(true)).send().await.unwrap();
        memory.update("a", |session| session.visits += 1).await.unwrap();
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.conflicts.len()), (1, 0));
        let item = stage.truth.get_item("a").await.unwrap().unwrap();
        assert!(!item.contains_key("extra"), "{item:?}");
        assert_eq!(item["visits"], AttributeValue::N("1".into()));
    }
}

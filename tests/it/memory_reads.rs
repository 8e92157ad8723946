//! Reads through the memory table: what costs a request, and which value wins.

use std::sync::Arc;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::testing::Request;
use memory_table::{Database, ErrorKind, MemoryTable};

use crate::support::{Fault, Gate, Player, Stage, at, named, player, stage};

/// Stores an item that is no player: its rating is text.
pub async fn store_bad(stage: &Stage<Player>, name: &str) {
    let text = |value: &str| AttributeValue::S(value.into());
    let put = stage.truth.database().client().put_item();
    put.table_name(stage.truth.name().unwrap())
        .item("game", text("chess"))
        .item("name", text(name))
        .item("rating", text("high"))
        .send()
        .await
        .expect("the bad item is stored");
}

#[tokio::test]
async fn one_request_a_key_however_many_ask() {
    let (stage, memory) = stage(1).await;
    let gate = stage.faults.hold_next("GetItem");
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let memory = memory.clone();
            tokio::spawn(async move { memory.get(at("p0000")).await })
        })
        .collect();
    gate.reached().await;
    gate.open();
    let mut found: Vec<Arc<Player>> = Vec::new();
    for task in tasks {
        found.push(task.await.unwrap().unwrap().expect("a player"));
    }
    assert!(found.iter().all(|one| Arc::ptr_eq(one, &found[0])), "all share one record");
    assert_eq!(stage.reads(), 1);
    let stats = memory.stats();
    assert_eq!((stats.misses, stats.joined + stats.hits), (1, 49));
}

#[tokio::test]
async fn what_is_known_costs_no_request() {
    let (stage, memory) = stage(1).await;
    for _ in 0..10 {
        assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().name, "p0000");
        assert!(memory.contains(at("p0000")).await.unwrap());
    }
    assert_eq!(stage.reads(), 1);
    let stats = memory.stats();
    assert_eq!((stats.misses, stats.hits, stats.joined), (1, 19, 0));
    assert_eq!((stats.read_requests, stats.items_read, stats.cached), (1, 1, 1));
}

#[tokio::test]
async fn absent_keys_are_remembered() {
    let (stage, memory) = stage(0).await;
    for _ in 0..3 {
        assert!(memory.get(at("nobody")).await.unwrap().is_none());
        assert!(!memory.contains(at("nobody")).await.unwrap());
    }
    assert_eq!(stage.reads(), 1);
    assert_eq!(memory.stats().cached, 0);
}

#[tokio::test]
async fn errors_are_not_remembered() {
    let (stage, memory) = stage(1).await;
    stage.faults.next("GetItem", Fault::access_denied());
    let error = memory.get(at("p0000")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::AccessDenied, Some("GetItem")));
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "p0000")"#);
    assert!(memory.get(at("p0000")).await.unwrap().is_some());
}

#[tokio::test]
async fn everyone_who_waits_gets_the_error() {
    let (stage, memory) = stage(1).await;
    stage.faults.next("GetItem", Fault::access_denied());
    let (one, two) = tokio::join!(memory.get(at("p0000")), memory.get(at("p0000")));
    assert_eq!(one.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert_eq!(two.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert_eq!(stage.reads(), 1);
}

#[tokio::test]
async fn reads_are_retried() {
    let (stage, memory) = stage(1).await;
    for fault in [
        Fault::throttled(),
        Fault::failed(),
        Fault::connection_reset(),
        Fault::connection_refused(),
        Fault::connection_reset().after_applying(),
    ] {
        stage.faults.next("GetItem", fault);
    }
    assert!(memory.get(at("p0000")).await.unwrap().is_some());
    assert_eq!(stage.reads(), 6);
    assert_eq!(memory.stats().read_requests, 6);
}

#[tokio::test]
async fn loads_are_consistent_reads() {
    let (stage, memory) = stage(1).await;
    memory.get(at("p0000")).await.unwrap();
    memory.prefetch([at("p0001"), at("p0002")]).await.unwrap();
    memory.load_all().await.unwrap();
    assert_eq!(stage.faults.requests("GetItem")[0].body["ConsistentRead"], true);
    assert_eq!(stage.faults.requests("Scan")[0].body["ConsistentRead"], true);
    let batch = &stage.faults.requests("BatchGetItem")[0].body["RequestItems"];
    assert_eq!(batch.as_object().unwrap().values().next().unwrap()["ConsistentRead"], true);
}

#[tokio::test]
async fn get_or_default_is_never_unsaved() {
    let (stage, memory) = stage(0).await;
    assert_eq!(*memory.get_or_default(at("new")).await.unwrap(), player("new", 0.0));
    assert_eq!(memory.unsaved(), []);
    assert!(memory.get(at("new")).await.unwrap().is_none());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.submitted(), stage.writes()), (0, 0));
}

#[tokio::test]
async fn get_or_create_is_unsaved_where_there_was_none() {
    let (stage, memory) = stage(1).await;
    assert_eq!(*memory.get_or_create(at("new")).await.unwrap(), player("new", 0.0));
    assert_eq!(*memory.get_or_create(at("p0000")).await.unwrap(), player("p0000", 0.0));
    assert_eq!(memory.unsaved().len(), 1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert!(stage.truth.get_consistent(at("new")).await.unwrap().is_some());
}

#[tokio::test]
async fn get_or_create_by_many_at_once_creates_one() {
    let (stage, memory) = stage(0).await;
    let made = futures::future::join_all((0..20).map(|_| memory.get_or_create(at("new")))).await;
    let made: Vec<Arc<Player>> = made.into_iter().map(Result::unwrap).collect();
    assert!(made.iter().all(|one| Arc::ptr_eq(one, &made[0])));
    assert_eq!((stage.reads(), memory.unsaved().len()), (1, 1));
}

#[tokio::test]
async fn prefetch_asks_for_a_hundred_keys_a_request() {
    let (stage, memory) = stage(200).await;
    let names: Vec<String> = (0..250).map(named).collect();
    memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!(stage.faults.count("BatchGetItem"), 3);
    for (number, name) in names.iter().enumerate() {
        assert_eq!(memory.get(at(name)).await.unwrap().is_some(), number < 200, "{name}");
    }
    memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!(stage.reads(), 3, "hits and misses are both remembered");
    assert_eq!((memory.stats().misses, memory.stats().items_read), (250, 200));
}

#[tokio::test]
async fn prefetch_asks_once_for_a_key_given_twice() {
    let (stage, memory) = stage(2).await;
    memory.prefetch([at("p0000"), at("p0001"), at("p0000")]).await.unwrap();
    let keys = stage.faults.requests("BatchGetItem")[0].entries().len();
    assert_eq!((stage.reads(), keys), (1, 2));
}

#[tokio::test]
async fn prefetch_of_nothing_costs_nothing() {
    let (stage, memory) = stage(0).await;
    memory.prefetch(Vec::<(&str, &str)>::new()).await.unwrap();
    assert_eq!(stage.reads(), 0);
}

#[tokio::test]
async fn unprocessed_keys_are_asked_for_again() {
    let (stage, memory) = stage(100).await;
    stage.faults.next("BatchGetItem", Fault::unprocessed());
    let later = |key: &serde_json::Value| key["name"]["S"].as_str().unwrap() >= "p0040";
    stage.faults.next("BatchGetItem", Fault::unprocessed_if(later));
    let names: Vec<String> = (0..100).map(named).collect();
    memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
    let sent = stage.faults.requests("BatchGetItem");
    let sent: Vec<usize> = sent.iter().map(|request| request.entries().len()).collect();
    assert_eq!(sent, [100, 100, 60]);
    assert_eq!(memory.records().len(), 100);
}

#[tokio::test]
async fn keys_that_came_before_the_error_are_cached() {
    let (stage, memory) = stage(100).await;
    let later = |key: &serde_json::Value| key["name"]["S"].as_str().unwrap() >= "p0040";
    stage.faults.next("BatchGetItem", Fault::unprocessed_if(later));
    stage.faults.next("BatchGetItem", Fault::access_denied());
    let names: Vec<String> = (0..100).map(named).collect();
    let error = memory.prefetch(names.iter().map(|name| at(name))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert_eq!(memory.records().len(), 40);
    stage.faults.heal();
    memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!(stage.faults.requests("BatchGetItem")[2].entries().len(), 60);
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_an_error_that_names_it() {
    let (stage, memory) = stage(2).await;
    store_bad(&stage, "bad").await;
    let error = memory.prefetch([at("p0000"), at("bad"), at("p0001")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "bad")"#);
    assert!(error.to_string().contains("rating"), "{error}");
    assert_eq!(memory.records().len(), 2, "the others are cached");
    assert_eq!(memory.get(at("bad")).await.unwrap_err().kind(), ErrorKind::InvalidItem);
    assert_eq!(memory.load_all().await.unwrap_err().kind(), ErrorKind::InvalidItem);
}

#[tokio::test]
async fn what_load_all_did_not_find_is_absent_without_a_request() {
    let (stage, memory) = stage(30).await;
    assert_eq!(memory.load_all().await.unwrap().records, 30);
    let scans = stage.reads();
    assert!(memory.get(at("p0029")).await.unwrap().is_some());
    assert!(memory.get(at("nobody")).await.unwrap().is_none());
    memory.prefetch([at("no one"), at("not one")]).await.unwrap();
    assert!(memory.take(at("none")).await.unwrap().is_none());
    memory.update(at("new"), |player| player.rating = 1.0).await.unwrap();
    memory.get_or_create(at("newer")).await.unwrap();
    assert_eq!(stage.reads(), scans);
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!(memory.stats().cached, 32);
}

#[tokio::test]
async fn absence_after_load_all_can_be_switched_off() {
    let (stage, _) = stage(3).await;
    let memory = stage.builder().absent_after_load_all(false).build().unwrap();
    memory.load_all().await.unwrap();
    stage.truth.put(&player("late", 7.0)).await.unwrap();
    assert!(memory.get(at("p0002")).await.unwrap().is_some());
    assert_eq!(stage.faults.count("GetItem"), 0);
    assert_eq!(memory.get(at("late")).await.unwrap().unwrap().rating, 7.0);
    assert_eq!(stage.faults.count("GetItem"), 1);
}

#[tokio::test]
async fn load_all_reads_every_page_of_every_segment() {
    let (stage, _) = stage(100).await;
    stage.faults.always("Scan", Fault::short_page(7));
    // By its client alone it is a database like any other, whose segments are read.
    let database = stage.table.database();
    let database = Database::from_client(database.client().clone()).with_prefix(database.prefix());
    let memory = MemoryTable::builder(database.table::<Player>()).scan_segments(3).build().unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 100);
    assert_eq!(memory.records().len(), 100);
    let requests = stage.faults.requests("Scan");
    assert!(requests.len() >= 15, "{} pages", requests.len());
    assert!(requests.iter().all(|request| request.body["TotalSegments"] == 3));
}

#[tokio::test]
async fn a_failed_load_all_says_nothing_of_absence() {
    let (stage, memory) = stage(3).await;
    stage.faults.always("Scan", Fault::access_denied());
    assert_eq!(memory.load_all().await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert!(memory.get(at("p0001")).await.unwrap().is_some());
}

#[tokio::test]
async fn load_all_leaves_changes_alone() {
    let (_stage, memory) = stage(3).await;
    memory.put(player("p0000", 99.0)).await.unwrap();
    memory.delete(at("p0001")).await.unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 3);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 99.0);
    assert!(memory.get(at("p0001")).await.unwrap().is_none());
    assert_eq!(memory.unsaved().len(), 2);
}

#[tokio::test]
async fn a_record_discarded_after_load_all_is_loaded_anew() {
    let (stage, memory) = stage(2).await;
    memory.load_all().await.unwrap();
    memory.put(player("p0000", 99.0)).await.unwrap();
    assert!(memory.discard(at("p0000")).await.unwrap());
    assert!(!memory.discard(at("p0001")).await.unwrap());
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 0.0);
    assert_eq!(memory.get(at("p0001")).await.unwrap().unwrap().rating, 1.0);
    assert_eq!(stage.faults.count("GetItem"), 2);
}

#[tokio::test]
async fn what_load_all_did_not_see_is_deleted_without_a_request() {
    let (stage, memory) = stage(2).await;
    memory.load_all().await.unwrap();
    memory.delete(at("new")).await.unwrap();
    memory.put(player("newer", 1.0)).await.unwrap();
    memory.delete(at("newer")).await.unwrap();
    memory.delete(at("p0001")).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.deleted, report.unchanged, stage.writes()), (1, 2, 1));
}

/// A scan that passes a key whose load is under way brings the record in the load's place. Were it
/// left to the load and that failed, the record would count as absent, and an update would begin
/// with defaults and overwrite what is stored.
#[tokio::test]
async fn a_record_whose_load_fails_during_load_all_is_not_absent() {
    let (stage, memory) = stage(2).await;
    let gate = Gate::new();
    stage.faults.next("GetItem", Fault::access_denied().held_at(&gate));
    let (loaded, ()) = tokio::join!(memory.get(at("p0001")), async {
        gate.reached().await;
        memory.load_all().await.unwrap();
        gate.open();
    });
    assert_eq!(loaded.unwrap().unwrap().rating, 1.0);
    assert_eq!(memory.get(at("p0001")).await.unwrap().unwrap().rating, 1.0);
    assert_eq!(stage.faults.count("GetItem"), 1);
}

#[tokio::test]
async fn refresh_sees_what_others_changed() {
    let (stage, memory) = stage(1).await;
    memory.get(at("p0000")).await.unwrap();
    stage.truth.put(&player("p0000", 5.0)).await.unwrap();
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 0.0);
    assert_eq!(memory.refresh(at("p0000")).await.unwrap().unwrap().rating, 5.0);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 5.0);
    stage.truth.delete(at("p0000")).await.unwrap();
    assert!(memory.refresh(at("p0000")).await.unwrap().is_none());
    assert_eq!(stage.reads(), 3);
}

#[tokio::test]
async fn refresh_is_an_error_while_the_record_is_unsaved() {
    let (stage, memory) = stage(1).await;
    memory.update(at("p0000"), |player| player.rating = 9.0).await.unwrap();
    let error = memory.refresh(at("p0000")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsaved);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 9.0);
    assert_eq!(stage.reads(), 1);
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_record() {
    let (stage, memory) = stage(1).await;
    memory.get(at("p0000")).await.unwrap();
    stage.faults.next("GetItem", Fault::access_denied());
    assert_eq!(memory.refresh(at("p0000")).await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert!(memory.get(at("p0000")).await.unwrap().is_some());
    assert_eq!(stage.reads(), 2);
}

#[tokio::test]
async fn a_put_wins_over_a_load_that_began_before() {
    let (stage, memory) = stage(1).await;
    let gate = stage.faults.hold_next_answer("GetItem");
    let loading = tokio::spawn({
        let memory = memory.clone();
        async move { memory.get(at("p0000")).await }
    });
    gate.reached().await;
    memory.put(player("p0000", 99.0)).await.unwrap();
    gate.open();
    assert_eq!(loading.await.unwrap().unwrap().unwrap().rating, 99.0);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 99.0);
    assert_eq!(memory.unsaved().len(), 1);
}

#[tokio::test]
async fn a_delete_wins_over_a_load_that_began_before() {
    let (stage, memory) = stage(2).await;
    let gate = stage.faults.hold_next_answer("BatchGetItem");
    let loading = tokio::spawn({
        let memory = memory.clone();
        async move { memory.prefetch([at("p0000"), at("p0001")]).await }
    });
    gate.reached().await;
    memory.delete(at("p0000")).await.unwrap();
    gate.open();
    loading.await.unwrap().unwrap();
    assert!(memory.get(at("p0000")).await.unwrap().is_none());
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert!(stage.truth.get_consistent(at("p0000")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_change_wins_over_the_page_of_a_scan_that_was_read_before() {
    let (stage, memory) = stage(2).await;
    let gate = stage.faults.hold_next_answer("Scan");
    let one_part = stage.builder().scan_segments(1).build().unwrap();
    drop(memory);
    let scanning = tokio::spawn({
        let memory = one_part.clone();
        async move { memory.load_all().await }
    });
    gate.reached().await;
    one_part.put(player("p0000", 99.0)).await.unwrap();
    assert_eq!(one_part.flush().await.unwrap().written, 1);
    one_part.delete(at("p0001")).await.unwrap();
    assert_eq!(one_part.flush().await.unwrap().deleted, 1);
    gate.open();
    scanning.await.unwrap().unwrap();
    assert_eq!(one_part.get(at("p0000")).await.unwrap().unwrap().rating, 99.0);
    assert!(one_part.get(at("p0001")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reader_that_goes_away_takes_the_load_from_nobody() {
    let (stage, memory) = stage(1).await;
    let gate = stage.faults.hold_next("GetItem");
    let first = tokio::spawn({
        let memory = memory.clone();
        async move { memory.get(at("p0000")).await }
    });
    gate.reached().await;
    let second = memory.get(at("p0000"));
    let (found, ()) = tokio::join!(second, async {
        first.abort();
        gate.open();
    });
    assert!(found.unwrap().is_some());
    assert_eq!(stage.reads(), 1);
}

#[tokio::test]
async fn reset_loads_everything_anew() {
    let (stage, memory) = stage(2).await;
    memory.load_all().await.unwrap();
    stage.truth.put(&player("p0000", 5.0)).await.unwrap();
    stage.truth.put(&player("late", 6.0)).await.unwrap();
    memory.reset().await.unwrap();
    assert_eq!(memory.records().len(), 0);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 5.0);
    assert_eq!(memory.get(at("late")).await.unwrap().unwrap().rating, 6.0);
}

#[tokio::test]
async fn a_load_all_that_a_reset_overtook_says_nothing_of_absence() {
    let (stage, _) = stage(1).await;
    let memory = stage.builder().scan_segments(1).build().unwrap();
    let gate = stage.faults.hold_next_answer("Scan");
    let scanning = tokio::spawn({
        let memory = memory.clone();
        async move { memory.load_all().await }
    });
    gate.reached().await;
    memory.reset().await.unwrap();
    stage.truth.put(&player("p0000", 5.0)).await.unwrap();
    gate.open();
    scanning.await.unwrap().unwrap();
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 5.0);
}

#[tokio::test]
async fn bad_keys_are_refused_without_a_request() {
    let (stage, memory) = stage(0).await;
    let long = "x".repeat(1025);
    for name in ["", &long] {
        assert_eq!(memory.get(at(name)).await.unwrap_err().kind(), ErrorKind::InvalidKey);
        assert_eq!(memory.delete(at(name)).await.unwrap_err().kind(), ErrorKind::InvalidKey);
        let all = memory.prefetch([at("fine"), at(name)]).await;
        assert_eq!(all.unwrap_err().kind(), ErrorKind::InvalidKey);
    }
    assert_eq!(stage.reads(), 0);
}

/// A load task that panics must not be tried over and over: the record is the error.
#[tokio::test]
async fn a_deserialize_that_panics_is_an_error_of_its_item() {
    let stage = Stage::<Grumpy>::new().await;
    stage.truth.put(&Grumpy { team: "a".into(), mood: Mood }).await.unwrap();
    let error = stage.memory().get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert_eq!(stage.reads(), 1);
}

#[derive(memory_table::Record, serde::Serialize, serde::Deserialize, Clone, Debug)]
#[record(table = "grumpy")]
struct Grumpy {
    #[record(partition_key)]
    team: String,
    mood: Mood,
}

#[derive(Clone, Debug)]
struct Mood;

impl serde::Serialize for Mood {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("bad")
    }
}

impl<'de> serde::Deserialize<'de> for Mood {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("not today")
    }
}

#[tokio::test]
async fn a_second_load_all_brings_back_what_was_discarded_and_a_reset_forgets_the_discard() {
    let (stage, memory) = stage(2).await;
    memory.load_all().await.unwrap();
    memory.discard(at("p0000")).await.unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 2);
    assert_eq!(memory.records().len(), 2);
    memory.discard(at("p0001")).await.unwrap();
    memory.reset().await.unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 2);
    assert_eq!(memory.records().len(), 2);
    assert_eq!(stage.faults.count("GetItem"), 0);
}

#[tokio::test]
async fn loads_can_be_eventually_consistent_but_not_of_what_this_table_wrote() {
    let (stage, _) = stage(4).await;
    let memory = stage.builder().eventually_consistent_loads().build().unwrap();
    let consistent = |request: &Request| match &*request.operation {
        "BatchGetItem" => {
            let tables = request.body["RequestItems"].as_object().unwrap();
            tables.values().next().unwrap()["ConsistentRead"] == true
        }
        _ => request.body["ConsistentRead"] == true,
    };
    let last = |operation: &str| consistent(stage.faults.requests(operation).last().unwrap());
    memory.get(at("p0000")).await.unwrap();
    assert!(!last("GetItem"));
    memory.prefetch([at("p0001"), at("p0002")]).await.unwrap();
    assert!(!last("BatchGetItem"));
    memory.update(at("p0000"), |player| player.rating = 5.0).await.unwrap();
    memory.update(at("p0001"), |player| player.rating = 6.0).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 2);
    memory.reset().await.unwrap();
    memory.get(at("p0000")).await.unwrap();
    assert!(last("GetItem"));
    memory.prefetch([at("p0001"), at("p0002")]).await.unwrap();
    assert!(last("BatchGetItem"));
    memory.reset().await.unwrap();
    memory.load_all().await.unwrap();
    assert!(!last("Scan"));
    assert_eq!(memory.records().len(), 2, "what the scan says of the others may be old");
    assert_eq!(memory.get(at("p0001")).await.unwrap().unwrap().rating, 6.0);
    assert!(last("GetItem"));
}

#[tokio::test]
async fn an_absence_that_was_read_eventually_is_not_relied_on() {
    let (stage, _) = stage(0).await;
    let memory = stage.builder().eventually_consistent_loads().build().unwrap();
    assert!(memory.get(at("ada")).await.unwrap().is_none());
    memory.put(player("ada", 1.0)).await.unwrap();
    memory.delete(at("ada")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
}

#[tokio::test]
async fn what_is_not_known_can_be_assumed_absent() {
    let (stage, _) = stage(4).await;
    let memory = stage.builder().assume_absent().build().unwrap();
    assert!(memory.get(at("p0001")).await.unwrap().is_none());
    assert_eq!(memory.get_or_default(at("p0001")).await.unwrap().rating, 0.0);
    memory.update(at("p0001"), |player| player.rating += 7.0).await.unwrap();
    memory.delete(at("p0002")).await.unwrap();
    assert_eq!(stage.reads(), 0);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1), "it may be there after all");
    assert_eq!(stage.truth.get(at("p0001")).await.unwrap().unwrap().rating, 7.0);
    assert_eq!(memory.refresh(at("p0003")).await.unwrap().unwrap().rating, 3.0);
    assert_eq!(memory.prefetch([at("p0000")]).await.unwrap().records, 1);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 0.0);
}

#[tokio::test]
async fn what_was_put_and_forgotten_is_not_assumed_absent() {
    let (stage, _) = stage(0).await;
    let memory = stage.builder().assume_absent().build().unwrap();
    for name in ["ada", "bob", "eve"] {
        memory.put(player(name, 1.0)).await.unwrap();
    }
    assert_eq!(memory.flush().await.unwrap().written, 3);
    memory.discard(at("ada")).await.unwrap();
    memory.put(player("bob", 2.0)).await.unwrap();
    assert_eq!(memory.take_unsaved().await.len(), 1);
    for name in ["ada", "bob"] {
        assert_eq!(memory.get(at(name)).await.unwrap().unwrap().rating, 1.0, "{name}");
    }
    memory.discard(at("ada")).await.unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 3);
    memory.reset().await.unwrap();
    assert_eq!(memory.get(at("eve")).await.unwrap().unwrap().rating, 1.0);
}

#[tokio::test]
async fn a_refresh_that_finds_an_unreadable_item_lets_no_change_replace_it() {
    let (stage, memory) = stage(1).await;
    memory.get(at("p0000")).await.unwrap().unwrap();
    store_bad(&stage, "p0000").await;
    let error = memory.refresh(at("p0000")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    let update = memory.update(at("p0000"), |player| player.rating = 1.0).await.unwrap_err();
    assert_eq!(update.kind(), ErrorKind::InvalidItem);
    let put = memory.put(player("p0000", 1.0)).await.unwrap_err();
    assert_eq!(put.kind(), ErrorKind::InvalidItem);
    assert!(memory.unsaved().is_empty());
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_load_loads_anew() {
    let (stage, memory) = stage(1).await;
    let gate = stage.faults.hold_next_answer("GetItem");
    let reading = tokio::spawn({
        let memory = memory.clone();
        async move { memory.get(at("p0000")).await }
    });
    gate.reached().await;
    stage.truth.put(&player("p0000", 9.0)).await.unwrap();
    memory.reset().await.unwrap();
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap().unwrap().rating, 9.0);
}

//! Flushes of a service that does nothing wrong: what is written, in how many requests, and what
//! happens beside them.

use std::collections::HashMap;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, MemoryTable, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{Player, Stage, at, named, player, players, stage, texts};

async fn put_all(memory: &MemoryTable<Player>, count: u16) {
    for record in players(count) {
        memory.put(record).await.unwrap();
    }
}

async fn stored<T: Record>(stage: &Stage<T>) -> Vec<T> {
    use futures::TryStreamExt;
    stage.truth.scan().consistent().stream().try_collect().await.unwrap()
}

async fn stored_rating(stage: &Stage<Player>, name: &str) -> Option<f64> {
    stage.truth.get_consistent(at(name)).await.unwrap().map(|player| player.rating)
}

#[tokio::test]
async fn twenty_five_operations_go_in_a_request() {
    for (count, requests) in [(0, 0), (1, 1), (25, 1), (26, 2), (30, 2), (100, 4)] {
        let (stage, memory) = stage(0).await;
        put_all(&memory, count).await;
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.requests), (u64::from(count), requests));
        assert_eq!(stage.writes() as u64, requests);
        assert_eq!(stored(&stage).await.len(), usize::from(count));
        assert_eq!(memory.unsaved(), []);
    }
}

#[tokio::test]
async fn puts_and_deletes_share_requests() {
    let (stage, memory) = stage(10).await;
    for number in 0..10 {
        memory.delete(at(&named(number))).await.unwrap();
    }
    for number in 0..20 {
        memory.put(player(&format!("new {number}"), 1.0)).await.unwrap();
    }
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (20, 10, 2));
    assert_eq!(stored(&stage).await.len(), 20);
}

#[tokio::test]
async fn a_second_flush_sends_nothing() {
    let (stage, memory) = stage(0).await;
    put_all(&memory, 30).await;
    memory.delete(at("nobody")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 31);
    let second = memory.flush().await.unwrap();
    assert_eq!((second.submitted(), second.requests, stage.writes()), (0, 0, 2));
}

#[tokio::test]
async fn the_newest_change_of_a_key_is_sent_once() {
    let (stage, memory) = stage(1).await;
    for rating in [1.0, 2.0, 3.0] {
        memory.put(player("p0000", rating)).await.unwrap();
        memory.delete(at("p0000")).await.unwrap();
    }
    memory.put(player("p0000", 4.0)).await.unwrap();
    memory.put(player("gone", 4.0)).await.unwrap();
    memory.delete(at("gone")).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.bytes > 0), (1, 1, true));
    assert_eq!(stage.faults.requests("BatchWriteItem")[0].entries().len(), 2);
    assert_eq!(stored_rating(&stage, "p0000").await, Some(4.0));
}

#[tokio::test]
async fn what_did_not_change_is_not_written() {
    let (stage, memory) = stage(30).await;
    memory.load_all().await.unwrap();
    for number in 0..30 {
        memory.update(at(&named(number)), |player| player.rating += 0.0).await.unwrap();
    }
    memory.update(at("p0007"), |player| player.rating = 70.0).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged, report.requests), (1, 29, 1));
    assert_eq!(memory.stats().items_unchanged, 29);
    assert_eq!(texts(&memory.unsaved()), Vec::<String>::new());
    assert_eq!(stored_rating(&stage, "p0007").await, Some(70.0));
}

#[tokio::test]
async fn a_change_taken_back_costs_nothing() {
    let (stage, memory) = stage(2).await;
    memory.update(at("p0001"), |player| player.rating = 9.0).await.unwrap();
    memory.update(at("p0001"), |player| player.rating = 1.0).await.unwrap();
    memory.take(at("p0000")).await.unwrap();
    memory.put(player("p0000", 0.0)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.submitted(), stage.writes()), (2, 2, 0));
}

#[tokio::test]
async fn a_put_of_what_was_written_before_costs_nothing() {
    let (stage, memory) = stage(0).await;
    put_all(&memory, 3).await;
    assert_eq!(memory.flush().await.unwrap().written, 3);
    put_all(&memory, 3).await;
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged, stage.writes()), (0, 3, 1));
}

#[tokio::test]
async fn put_then_delete_of_a_key_known_absent_costs_nothing() {
    let (stage, memory) = stage(0).await;
    assert!(memory.get(at("nobody")).await.unwrap().is_none());
    memory.put(player("nobody", 1.0)).await.unwrap();
    memory.delete(at("nobody")).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests, stage.writes()), (1, 0, 0));
}

#[tokio::test]
async fn put_then_delete_of_a_key_never_loaded_sends_the_delete() {
    let (stage, memory) = stage(1).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    memory.delete(at("p0000")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert_eq!(stored_rating(&stage, "p0000").await, None);
}

#[tokio::test]
async fn a_record_changed_while_it_is_written_stays_unsaved() {
    let (stage, memory) = stage(0).await;
    memory.put(player("a", 1.0)).await.unwrap();
    memory.put(player("b", 1.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (first, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("a", 2.0)).await.unwrap();
        gate.open();
    });
    assert_eq!(first.unwrap().written, 2);
    assert_eq!(texts(&memory.unsaved()), [r#"("chess", "a")"#]);
    assert_eq!(stored_rating(&stage, "a").await, Some(1.0));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored_rating(&stage, "a").await, Some(2.0));
}

#[tokio::test]
async fn a_change_taken_back_while_it_is_written_is_written_back() {
    let (stage, memory) = stage(2).await;
    memory.update(at("p0001"), |player| player.rating = 9.0).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (first, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update(at("p0001"), |player| player.rating = 1.0).await.unwrap();
        gate.open();
    });
    assert_eq!(first.unwrap().written, 1);
    assert_eq!(stored_rating(&stage, "p0001").await, Some(9.0));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored_rating(&stage, "p0001").await, Some(1.0));
}

#[tokio::test]
async fn a_delete_while_the_put_is_written_is_sent() {
    let (stage, memory) = stage(0).await;
    assert!(memory.get(at("a")).await.unwrap().is_none());
    memory.put(player("a", 1.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (first, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.delete(at("a")).await.unwrap();
        gate.open();
    });
    assert_eq!(first.unwrap().written, 1);
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert_eq!(stored_rating(&stage, "a").await, None);
}

#[tokio::test]
async fn writers_and_readers_do_not_wait_for_a_flush() {
    let (stage, memory) = stage(1).await;
    memory.put(player("p0000", 5.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("p0000", 6.0)).await.unwrap();
        memory.update(at("p0000"), |player| player.rating += 1.0).await.unwrap();
        assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 7.0);
        memory.delete(at("other")).await.unwrap();
        assert_eq!(memory.unsaved().len(), 2);
        gate.open();
    });
    assert_eq!(flushed.unwrap().written, 1);
}

#[tokio::test]
async fn a_flush_joins_one_that_covers_its_changes() {
    let (stage, memory) = stage(0).await;
    put_all(&memory, 3).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (first, second) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        tokio::join!(memory.flush(), async { gate.open() }).0
    });
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.written, first.requests), (3, 1));
    assert_eq!((second.written, second.requests, second.elapsed), (3, 1, first.elapsed));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_flush_of_newer_changes_follows_the_one_under_way() {
    let (stage, memory) = stage(0).await;
    memory.put(player("a", 1.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (first, second) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("a", 2.0)).await.unwrap();
        memory.put(player("b", 2.0)).await.unwrap();
        tokio::join!(memory.flush(), async { gate.open() }).0
    });
    assert_eq!((first.unwrap().written, second.unwrap().written), (1, 2));
    assert_eq!((memory.unsaved(), stage.writes()), (vec![], 2));
    assert_eq!(stored_rating(&stage, "a").await, Some(2.0));
}

#[tokio::test]
async fn a_flush_whose_caller_went_away_goes_on() {
    let (stage, memory) = stage(0).await;
    put_all(&memory, 30).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    let mut flush = Box::pin(memory.flush());
    tokio::select! {
        biased;
        _ = &mut flush => panic!("the write is held"),
        () = gate.reached() => {}
    }
    drop(flush);
    gate.open();
    let joined = memory.flush().await.unwrap();
    assert_eq!((joined.written, stage.writes()), (30, 2), "the same flush, and nothing sent twice");
    assert_eq!(stored(&stage).await.len(), 30);
}

#[test]
fn a_flush_whose_runtime_was_shut_down_goes_on_with_another() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let (stage, memory) = runtime().block_on(stage(0));
    let first = runtime();
    first.block_on(async {
        put_all(&memory, 30).await;
        let gate = stage.faults.hold_next("BatchWriteItem");
        let held = memory.clone();
        tokio::spawn(async move { held.flush().await.map(drop) });
        gate.reached().await;
    });
    drop(first);
    assert!(memory.unsaved().len() >= 25, "what was in flight is unsaved");
    runtime().block_on(async {
        let submitted = memory.unsaved().len() as u64;
        assert_eq!(memory.flush().await.unwrap().written, submitted);
        assert_eq!(stored(&stage).await.len(), 30);
        assert_eq!(memory.unsaved(), []);
    });
}

/// The first request is full, so the twentieth item waits taken; dropped with it, it must not count
/// as in flight for ever, or discarding it would.
#[test]
fn what_waited_for_a_full_request_is_not_in_flight_after_a_shutdown() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stage, _) = runtime().block_on(stage(0));
    let memory = stage.builder().requests_in_flight(1).build().unwrap();
    let first = runtime();
    first.block_on(async {
        put_wide(&memory, 25).await;
        let gate = stage.faults.hold_next("BatchWriteItem");
        let held = memory.clone();
        tokio::spawn(async move { held.flush().await.map(drop) });
        gate.reached().await;
    });
    drop(first);
    runtime().block_on(async {
        for number in 0..25 {
            assert!(memory.discard(at(&named(number))).await.unwrap());
        }
    });
}

/// Players of 390 KB that take twice that on the wire.
async fn put_wide(memory: &MemoryTable<Player>, count: usize) {
    for number in 0..count {
        let text = "\"".repeat(390 * 1024);
        memory.put(Player { text, ..player(&named(number), 1.0) }).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_has_at_most_16_mb() {
    let (stage, memory) = stage(0).await;
    put_wide(&memory, 25).await;
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.retries), (25, 2, 0));
    let lengths = stage.faults.requests("BatchWriteItem");
    let fits = |length: usize| length <= 16 * 1024 * 1024;
    assert!(lengths.iter().all(|request| fits(request.length)));
    assert!(lengths.iter().any(|request| request.length > 15 * 1024 * 1024), "it is nearly full");
}

#[tokio::test]
async fn close_saves_everything() {
    let (stage, memory) = stage(0).await;
    put_all(&memory, 30).await;
    let report = memory.close().await.unwrap();
    assert_eq!((report.written, report.requests), (30, 2));
    assert_eq!(stored(&stage).await.len(), 30);
}

#[tokio::test]
async fn several_requests_are_in_flight_and_no_more_than_allowed() {
    let (stage, _) = stage(0).await;
    let memory = stage.builder().requests_in_flight(3).build().unwrap();
    put_all(&memory, 200).await;
    let gates: Vec<_> = (0..3).map(|_| stage.faults.hold_next("BatchWriteItem")).collect();
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        for gate in &gates {
            gate.reached().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.writes(), 3);
        gates.iter().for_each(crate::support::Gate::open);
    });
    assert_eq!((flushed.unwrap().written, stage.writes()), (200, 8));
}

/// What is stored has more than the type knows, also inside a struct.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "profiles")]
struct Known {
    #[record(partition_key)]
    name: String,
    rating: f64,
    profile: Profile,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Profile {
    level: u32,
}

fn known(name: &str, rating: f64) -> Known {
    Known { name: name.into(), rating, profile: Profile { level: 1 } }
}

type Item = HashMap<String, AttributeValue>;

async fn profiles() -> (Stage<Known>, MemoryTable<Known>) {
    let stage = Stage::<Known>::new().await;
    let text = |value: &str| AttributeValue::S(value.into());
    let number = |value: &str| AttributeValue::N(value.into());
    let profile = [("level".to_owned(), number("1")), ("color".to_owned(), text("red"))];
    let put = stage.truth.database().client().put_item();
    put.table_name(stage.truth.name().unwrap())
        .item("name", text("ada"))
        .item("rating", number("1"))
        .item("motto", text("on"))
        .item("tags", AttributeValue::Ss(vec!["x".into(), "y".into()]))
        .item("profile", AttributeValue::M(profile.into()))
        .send()
        .await
        .unwrap();
    let memory = stage.memory();
    (stage, memory)
}

async fn item(stage: &Stage<Known>) -> Item {
    let get = stage.truth.database().client().get_item().consistent_read(true);
    let get = get.table_name(stage.truth.name().unwrap());
    let get = get.key("name", AttributeValue::S("ada".into()));
    get.send().await.unwrap().item.unwrap_or_default()
}

fn names(item: &Item) -> Vec<&str> {
    let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn attributes_that_the_type_does_not_know_survive_a_change() {
    let (stage, memory) = profiles().await;
    let change = |ada: &mut Known| {
        ada.rating = 2.0;
        ada.profile.level = 7;
    };
    memory.update_existing("ada", change).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = item(&stage).await;
    assert_eq!(names(&item), ["motto", "name", "profile", "rating", "tags"]);
    assert_eq!(item["rating"].as_n().unwrap(), "2");
    assert_eq!(item["tags"].as_ss().unwrap().len(), 2);
    let profile = item["profile"].as_m().unwrap();
    assert_eq!(profile["level"].as_n().unwrap(), "7");
    assert_eq!(profile["color"].as_s().unwrap(), "red");
}

#[tokio::test]
async fn attributes_that_the_type_does_not_know_survive_every_load() {
    for way in ["get", "prefetch", "load_all", "refresh", "put"] {
        let (stage, memory) = profiles().await;
        match way {
            "prefetch" => assert_eq!(memory.prefetch(["ada", "bob"]).await.unwrap().records, 1),
            "load_all" => assert_eq!(memory.load_all().await.unwrap().records, 1),
            "refresh" => drop(memory.refresh("ada").await.unwrap()),
            _ => drop(memory.get("ada").await.unwrap()),
        }
        memory.put(known("ada", 2.0)).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        memory.put(known("ada", 3.0)).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(
            names(&item(&stage).await),
            ["motto", "name", "profile", "rating", "tags"],
            "{way}"
        );
    }
}

#[tokio::test]
async fn a_put_of_what_was_never_loaded_replaces_the_item() {
    let (stage, memory) = profiles().await;
    memory.put(known("ada", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(names(&item(&stage).await), ["name", "profile", "rating"]);
}

#[tokio::test]
async fn delete_then_put_drops_attributes_that_the_type_does_not_know() {
    let (stage, memory) = profiles().await;
    memory.get("ada").await.unwrap();
    memory.delete("ada").await.unwrap();
    memory.put(known("ada", 1.0)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged), (1, 0), "the record is equal, the item is not");
    assert_eq!(names(&item(&stage).await), ["name", "profile", "rating"]);
}

/// What is in flight has the attributes that the delete drops, so it must not count as what is put
/// after the delete, though the records are equal.
#[tokio::test]
async fn delete_then_put_during_a_write_drops_attributes_too() {
    let (stage, memory) = profiles().await;
    memory.update_existing("ada", |ada| ada.rating = 2.0).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.delete("ada").await.unwrap();
        memory.put(known("ada", 2.0)).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().written, 1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(names(&item(&stage).await), ["name", "profile", "rating"]);
}

#[tokio::test]
async fn the_report_and_the_stats_count_everything() {
    let (stage, memory) = stage(3).await;
    memory.prefetch([at("p0000"), at("p0001"), at("p0002"), at("nobody")]).await.unwrap();
    memory.update(at("p0000"), |player| player.rating = 10.0).await.unwrap();
    memory.update(at("p0001"), |player| player.rating = 1.0).await.unwrap();
    memory.delete(at("p0002")).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.unchanged), (1, 1, 1));
    assert_eq!((report.parked.len(), report.failed.len(), report.submitted()), (0, 0, 3));
    assert_eq!((report.requests, report.retries, report.unprocessed), (1, 0, 0));
    let text = report.to_string();
    let start = "written 1, deleted 1, unchanged 1, parked 0, failed 0 in 1 request (0 retries), ";
    assert!(text.starts_with(start), "{text}");
    let stats = memory.stats();
    assert_eq!((stats.cached, stats.unsaved), (2, 0));
    assert_eq!((stats.hits, stats.misses, stats.joined), (2, 4, 0));
    assert_eq!((stats.read_requests, stats.write_requests), (1, 1));
    assert_eq!((stats.items_read, stats.items_written, stats.items_deleted), (3, 1, 1));
    assert_eq!(stats.items_unchanged, 1);
    assert_eq!((stage.reads(), stage.writes()), (1, 1));
}

#[tokio::test]
async fn bytes_are_counted_by_dynamodbs_arithmetic() {
    let (_stage, memory) = stage(0).await;
    memory.put(Player { text: "é".into(), ..player("p0000", 1500.0) }).await.unwrap();
    let report = memory.flush().await.unwrap();
    // Names, text in UTF-8, and two bytes for the one pair of digits that 1500 has: 15E2.
    let names = "game".len() + "name".len() + "rating".len() + "text".len();
    assert_eq!(report.bytes, (names + "chess".len() + "p0000".len() + "é".len() + 2) as u64);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "moods")]
struct Moody {
    #[record(partition_key)]
    name: String,
    #[serde(serialize_with = "in_a_good_mood", default)]
    mood: Value,
}

static IN_A_MOOD: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn in_a_good_mood<S: serde::Serializer>(_: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    assert!(!IN_A_MOOD.load(std::sync::atomic::Ordering::SeqCst), "not today");
    serializer.serialize_str("good")
}

#[tokio::test]
async fn a_record_whose_serialize_panics_in_the_flush_is_parked_and_the_others_are_written() {
    let stage = Stage::<Moody>::new().await;
    let memory = stage.memory();
    memory.put(Moody { name: "a".into(), mood: Value::Null }).await.unwrap();
    memory.delete("b").await.unwrap();
    IN_A_MOOD.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = memory.flush().await.unwrap_err();
    IN_A_MOOD.store(false, std::sync::atomic::Ordering::SeqCst);
    let report = error.report();
    assert_eq!((report.parked.len(), report.deleted), (1, 1));
    assert_eq!(report.parked[0].error.kind(), ErrorKind::InvalidRecord);
    memory.put(Moody { name: "a".into(), mood: Value::Null }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

/// An item that lacks what its type writes is not what saving the record would store.
#[tokio::test]
async fn an_item_that_lacks_attributes_of_its_type_is_completed_once() {
    let (stage, memory) = stage(0).await;
    let client = stage.truth.database().client();
    let text = |text: &str| AttributeValue::S(text.into());
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("game", text("chess")).item("name", text("a")).item("more", text("kept"));
    put.send().await.unwrap();

    memory.update(at("a"), |_| {}).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged), (1, 0));
    memory.update(at("a"), |_| {}).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged), (0, 1));

    let get = client.get_item().table_name(stage.truth.name().unwrap()).consistent_read(true);
    let get = get.key("game", text("chess")).key("name", text("a"));
    let item = get.send().await.unwrap().item.unwrap();
    assert_eq!(item["rating"], AttributeValue::N("0".into()));
    assert_eq!(item["more"], text("kept"));
}

#[tokio::test]
async fn a_name_that_a_flattened_map_writes_again_is_refused() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "twice")]
    struct Twice {
        #[record(partition_key)]
        id: String,
        #[serde(flatten)]
        rest: HashMap<String, String>,
    }
    let stage = Stage::<Twice>::new().await;
    let rest = HashMap::from([("id".to_owned(), "other".to_owned())]);
    let error = stage.memory().put(Twice { id: "a".into(), rest }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("attribute `id`: two attributes have this name"), "{error}");
}

/// A panic in an interceptor of the user's ends the flush with an error, not in an endless loop.
#[tokio::test]
async fn a_panic_within_a_request_is_an_error() {
    let (stage, memory) = stage(0).await;
    stage.faults.script("BatchWriteItem", |_| panic!("on purpose"));
    stage.faults.script("GetItem", |_| panic!("on purpose"));
    memory.put(player("a", 1.0)).await.unwrap();
    let error = memory.flush().await.unwrap_err();
    assert!(error.to_string().contains("a request panicked"), "{error}");
    let [failed] = &error.report().failed[..] else { panic!("{error:?}") };
    assert_eq!(failed.outcome, memory_table::Outcome::OutcomeUnknown);
    assert!(memory.get(at("b")).await.unwrap_err().to_string().contains("a request panicked"));
    assert_eq!(memory.unsaved().len(), 1);
}

#[tokio::test]
async fn a_record_that_is_too_large_with_what_its_type_does_not_know_is_refused_at_once() {
    let (stage, memory) = profiles().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let text = |value: &str| AttributeValue::S(value.into());
    let number = |value: &str| AttributeValue::N(value.into());
    let profile = [("level".to_owned(), number("1"))];
    put.item("name", text("ada"))
        .item("rating", number("1"))
        .item("profile", AttributeValue::M(profile.into()))
        .item("motto", text(&"x".repeat(409_560)))
        .send()
        .await
        .unwrap();
    memory.update_existing("ada", |known| known.rating = 2.0).await.unwrap();
    let unsaved = memory.stats().unsaved_bytes;
    assert!((409_500..=409_600).contains(&unsaved), "{unsaved}: what is kept counts");
    let long = 1.234_567_890_123_4;
    let updated = memory.update_existing("ada", |known| known.rating = long).await.map(drop);
    let put = memory.put(known("ada", long)).await;
    for refused in [updated, put] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert!(error.to_string().contains("does not know the item has 4096"), "{error}");
    }
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

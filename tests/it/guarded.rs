//! Guarded writes: conditions on what was loaded, and what becomes of conflicts.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::testing::Request;
use memory_table::{
    Attributes, ErrorKind, Guard, MemoryTable, OnConflict, Operation, Outcome, Record, Resolution,
};
use serde::{Deserialize, Serialize};

use crate::support::{Draft, Fault, Gate, Stage};

const BATCH: &str = "BatchWriteItem";
const PUT: &str = "PutItem";
const UPDATE: &str = "UpdateItem";
const DELETE: &str = "DeleteItem";

/// Two counters and something that may be absent.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "pages")]
struct Page {
    #[record(partition_key)]
    url: String,
    #[serde(default)]
    visits: u64,
    #[serde(default)]
    links: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

fn page(url: &str, visits: u64, links: u64) -> Page {
    Page { url: url.into(), visits, links, title: None }
}

/// What both added to the record as it was loaded.
fn added(base: Option<&Page>, mine: Option<&Page>, theirs: Option<&Page>) -> Option<Page> {
    let sum = |of: fn(&Page) -> u64| theirs.map_or(0, of) + mine.map_or(0, of) - base.map_or(0, of);
    Some(Page { visits: sum(|page| page.visits), links: sum(|page| page.links), ..mine?.clone() })
}

fn guarded(stage: &Stage<Page>, guard: Guard, policy: OnConflict<Page>) -> MemoryTable<Page> {
    stage.builder().guarded(guard).on_conflict(policy).build().unwrap()
}

/// A stage with a stored page, and a guarded memory table that loaded it.
async fn loaded(guard: Guard, policy: OnConflict<Page>) -> (Stage<Page>, MemoryTable<Page>) {
    let stage = Stage::new().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let memory = guarded(&stage, guard, policy);
    memory.get("/").await.unwrap().expect("a page");
    (stage, memory)
}

async fn stored(stage: &Stage<Page>, url: &str) -> Option<(u64, u64)> {
    let page = stage.truth.get_consistent(url).await.unwrap();
    page.map(|page| (page.visits, page.links))
}

/// What a request expects to be stored, with the names and values in their places.
fn condition(request: &Request) -> String {
    let mut text = request.body["ConditionExpression"].as_str().unwrap_or_default().to_owned();
    for (place, name) in request.body["ExpressionAttributeNames"].as_object().into_iter().flatten()
    {
        text = text.replace(place, name.as_str().unwrap());
    }
    for (place, value) in
        request.body["ExpressionAttributeValues"].as_object().into_iter().flatten()
    {
        let value = value.as_object().unwrap().values().next().unwrap();
        text = text.replace(place, value.as_str().unwrap());
    }
    text
}

#[tokio::test]
async fn what_nobody_else_changed_is_written_alone_beside_a_batch() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    memory.put(page("/new", 1, 1)).await.unwrap();
    memory.delete("/gone").await.unwrap(); // never loaded, so there is nothing to expect
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (2, 1, 3));
    assert!(report.conflicts.is_empty());
    let sent = [BATCH, PUT, UPDATE].map(|operation| stage.faults.count(operation));
    assert_eq!(sent, [1, 1, 1]);
    assert_eq!(stored(&stage, "/").await, Some((2, 10)));
    assert_eq!(stored(&stage, "/new").await, Some((1, 1)));
    assert_eq!(memory.unsaved(), []);

    memory.delete("/").await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert_eq!((stored(&stage, "/").await, stage.faults.count(DELETE)), (None, 1));
}

#[tokio::test]
async fn a_guard_says_what_must_still_be_stored() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.title = Some("Home".into())).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 1);
    memory.delete("/").await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 1);
    memory.put(page("/", 5, 5)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 1);
    let [update, delete, put] =
        [UPDATE, DELETE, PUT].map(|operation| condition(&stage.faults.requests(operation)[0]));
    assert_eq!(update, "visits=1 AND links=10 AND attribute_not_exists(title)");
    assert_eq!(delete, "visits=1 AND links=10 AND title=Home");
    assert_eq!(put, "attribute_not_exists(url)");

    let (stage, memory) = loaded(Guard::Fields, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 1);
    memory.update("/", |page| page.title = Some("Home".into())).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 1);
    let updates = stage.faults.requests(UPDATE);
    assert_eq!(condition(&updates[0]), "visits=1");
    assert_eq!(
        condition(&updates[1]),
        "attribute_not_exists(title) AND attribute_exists(url)",
        "else it would make an item of the title alone"
    );
}

#[tokio::test]
async fn what_is_as_it_was_loaded_costs_no_write() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 7).await.unwrap();
    memory.update("/", |page| page.visits = 1).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0));
    assert_eq!(stage.faults.count(UPDATE), 0);
}

#[tokio::test]
async fn a_conflict_fails_alone_and_loses_nothing() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    for number in 0..5 {
        memory.put(page(&format!("/{number}"), number, 0)).await.unwrap();
    }
    stage.truth.put(&page("/", 1, 11)).await.unwrap();

    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.failed.len(), report.parked.len()), (5, 1, 0));
    let failed = &report.failed[0];
    assert_eq!((failed.operation, failed.attempts), (Operation::Put, 1));
    assert_eq!((failed.error.kind(), failed.outcome), (ErrorKind::Conflict, Outcome::NotWritten));
    let conflict = &report.conflicts[0];
    assert_eq!((conflict.resolution, conflict.times), (Resolution::Failed, 1));
    assert_eq!(conflict.key, failed.key);
    assert!(report.to_string().contains("; 1 conflict"), "{report}");
    assert_eq!(stored(&stage, "/").await, Some((1, 11)), "what others stored is not lost");
    assert_eq!(memory.unsaved().as_slice(), std::slice::from_ref(&failed.key), "nor is the change");

    assert!(memory.discard("/").await.unwrap());
    memory.update_existing("/", |page| page.visits = 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "/").await, Some((2, 11)));
}

#[tokio::test]
async fn overwriting_keeps_what_the_type_does_not_know_of_the_others() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Overwrite).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let client = stage.truth.database().client();
    let theirs = client.put_item().table_name(stage.truth.name().unwrap());
    let theirs = theirs.item("url", AttributeValue::S("/".into()));
    let theirs = theirs.item("visits", AttributeValue::N("40".into()));
    theirs.item("owner", AttributeValue::S("bob".into())).send().await.unwrap();

    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.retries), (1, 2, 1));
    assert_eq!(report.conflicts[0].resolution, Resolution::Overwritten);
    let item = stage.truth.get_item("/").await.unwrap().unwrap();
    assert_eq!(item["owner"], AttributeValue::S("bob".into()));
    assert_eq!(stored(&stage, "/").await, Some((2, 10)));

    memory.update("/", |page| page.visits = 3).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts, [], "it knows what is stored");
}

#[tokio::test]
async fn a_merge_makes_one_of_both_and_readers_see_it() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::merge(added)).await;
    memory.update("/", |page| page.visits += 5).await.unwrap();
    stage.truth.put(&page("/", 100, 20)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts[0].resolution), (1, Resolution::Merged));
    assert_eq!(stored(&stage, "/").await, Some((105, 20)));
    assert_eq!(memory.get("/").await.unwrap().unwrap().visits, 105);
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn a_merge_may_meet_a_delete_and_may_delete() {
    let delete = |_: Option<&Page>, mine: Option<&Page>, theirs: Option<&Page>| {
        theirs.and(mine).cloned() // what they deleted stays deleted
    };
    let (stage, memory) = loaded(Guard::Item, OnConflict::merge(delete)).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.delete("/").await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.conflicts[0].resolution), (1, Resolution::Merged));
    assert_eq!((stored(&stage, "/").await, memory.get("/").await.unwrap()), (None, None));

    let (stage, memory) = loaded(Guard::Item, OnConflict::merge(|_, _, _| None)).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 100, 20)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.deleted, stored(&stage, "/").await), (1, None));
    assert_eq!(memory.get("/").await.unwrap(), None);
}

#[tokio::test]
async fn a_delete_that_others_did_before_is_done_and_one_of_what_they_changed_is_a_conflict() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.delete("/").await.unwrap();
    stage.truth.delete("/").await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.deleted, report.conflicts.len()), (1, 0));

    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.delete("/").await.unwrap();
    stage.truth.put(&page("/", 2, 10)).await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.deleted, report.failed[0].operation), (0, Operation::Delete));
    assert_eq!(stored(&stage, "/").await, Some((2, 10)));
}

#[tokio::test]
async fn a_merge_that_gives_up_or_panics_or_changes_the_key_fails_its_record_alone() {
    type Merged = fn() -> Result<Option<Page>, memory_table::BoxError>;
    let merges: [(Merged, ErrorKind, &str); 3] = [
        (|| Err("these cannot be merged".into()), ErrorKind::Conflict, "these cannot be merged"),
        (|| panic!("on purpose"), ErrorKind::Conflict, "the merge panicked"),
        (|| Ok(Some(page("/other", 1, 1))), ErrorKind::InvalidRecord, ""),
    ];
    for (merge, kind, cause) in merges {
        let policy = OnConflict::try_merge(move |_, _, _| merge());
        let (stage, memory) = loaded(Guard::Item, policy).await;
        memory.update("/", |page| page.visits = 2).await.unwrap();
        memory.put(page("/new", 1, 1)).await.unwrap();
        stage.truth.put(&page("/", 9, 9)).await.unwrap();
        let report = memory.flush().await.unwrap_err().into_report();
        assert_eq!((report.written, report.failed.len()), (1, 1));
        let error = &report.failed[0].error;
        assert_eq!(error.kind(), kind, "{error}");
        let source = std::error::Error::source(error).map(ToString::to_string);
        assert_eq!(source.unwrap_or_default(), cause);
        assert_eq!(report.conflicts[0].resolution, Resolution::Failed);
        assert_eq!(memory.get("/").await.unwrap().unwrap().visits, 2, "the change is still there");
        assert_eq!(stored(&stage, "/").await, Some((9, 9)));
    }
}

#[tokio::test]
async fn what_others_stored_and_the_type_cannot_read_fails_a_merge() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::merge(added)).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let client = stage.truth.database().client();
    let theirs = client.put_item().table_name(stage.truth.name().unwrap());
    let theirs = theirs.item("url", AttributeValue::S("/".into()));
    theirs.item("visits", AttributeValue::S("many".into())).send().await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    let error = &report.failed[0].error;
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert!(error.to_string().contains("visits"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_merge_waits_for_who_is_changing_the_record() {
    let stage = Stage::<Page>::embedded().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let memory = guarded(&stage, Guard::Item, OnConflict::merge(added));
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 100, 10)).await.unwrap();
    // Whoever takes the record out has its turn until the answer of the read comes.
    let gate = stage.faults.hold_next(UPDATE);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let changed = memory.update("/", |page| page.links = 30);
        changed.await.unwrap();
        gate.open();
    });
    assert_eq!(report.unwrap().written, 1);
    assert_eq!(stored(&stage, "/").await, Some((101, 30)), "both changes and theirs");
}

#[tokio::test]
async fn what_is_never_loaded_must_not_be_stored() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    let memory_of_nothing = guarded(&stage, Guard::Item, OnConflict::Fail);
    memory_of_nothing.put(page("/", 7, 7)).await.unwrap();
    let report = memory_of_nothing.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&stage, "/").await, Some((1, 10)));
    drop(memory);

    let merging = guarded(&stage, Guard::Item, OnConflict::merge(added));
    merging.put(page("/", 7, 7)).await.unwrap();
    assert_eq!(merging.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "/").await, Some((8, 17)), "there was no base");
}

/// What the type does not know, and what it would store in another form, is expected as it is stored.
#[tokio::test]
async fn conditions_speak_of_what_is_stored_and_not_of_what_the_type_makes_of_it() {
    let stage = Stage::<Page>::new().await;
    let client = stage.truth.database().client();
    let table = stage.truth.name().unwrap();
    let stored_item = client.put_item().table_name(table);
    let stored_item = stored_item.item("url", AttributeValue::S("/".into()));
    let stored_item = stored_item.item("visits", AttributeValue::N("1".into()));
    let tags = AttributeValue::Ss(vec!["b".into(), "a".into()]);
    stored_item.item("tags", tags.clone()).send().await.unwrap();
    let memory = guarded(&stage, Guard::Item, OnConflict::Fail);
    memory.update_existing("/", |page| page.visits += 1).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0), "`links` was absent, not 0");
    memory.update_existing("/", |page| page.visits += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item("/").await.unwrap().unwrap();
    let expected = [
        ("url", AttributeValue::S("/".into())),
        ("visits", AttributeValue::N("3".into())),
        ("links", AttributeValue::N("0".into())),
        ("tags", tags),
    ];
    assert_eq!(item, Attributes::from_iter(expected));

    // And what they know and we do not is guarded too.
    memory.update_existing("/", |page| page.visits += 1).await.unwrap();
    let theirs = client.update_item().table_name(table).key("url", AttributeValue::S("/".into()));
    theirs.update_expression("REMOVE tags").send().await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn two_writers_of_different_attributes_both_win_under_a_guard_of_fields() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 1, 99)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts, []);
    assert_eq!(stored(&stage, "/").await, Some((2, 99)));
    memory.update("/", |page| page.visits = 3).await.unwrap();
    stage.truth.put(&page("/", 50, 99)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap_err().report().conflicts.len(), 1);
}

/// With `after_load`, the record in memory is another than the one that is stored.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "notes", after_load = "Note::trim")]
struct Note {
    #[record(partition_key)]
    id: u32,
    text: String,
}

impl Note {
    #[expect(clippy::unnecessary_wraps, reason = "the form of a hook")]
    fn trim(&mut self) -> Result<(), String> {
        self.text = self.text.trim().to_owned();
        Ok(())
    }
}

#[tokio::test]
async fn what_a_hook_changes_after_a_load_is_no_conflict() {
    let stage = Stage::<Note>::new().await;
    stage.truth.put(&Note { id: 1, text: " a ".into() }).await.unwrap();
    let memory = stage.builder().guarded(Guard::Item).build().unwrap();
    memory.update_existing(1, |note| note.text.push('b')).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!(item["text"], AttributeValue::S("ab".into()));
}

#[tokio::test]
async fn its_own_success_whose_answer_was_lost_counts_as_written() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    memory.put(page("/new", 1, 1)).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    stage.faults.next(PUT, Fault::connection_reset().after_applying());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len(), report.retries), (2, 0, 2));
    memory.delete("/").await.unwrap();
    stage.faults.next(DELETE, Fault::connection_reset().after_applying());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.deleted, report.conflicts.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newer_value_meets_the_older_one_that_landed_unheard_and_waits_for_nothing() {
    let stage = Stage::<Page>::embedded().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let builder = stage.builder().guarded(Guard::Item).late_write_window(Duration::from_secs(500));
    let memory = builder.build().unwrap();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let gate = Gate::new();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying().held_at(&gate));
    let started = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("/", |page| page.visits = 3).await.unwrap();
        gate.open();
    });
    let report = report.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert!(started.elapsed() < Duration::from_secs(1), "the condition guards it");
    assert_eq!(stored(&stage, "/").await, Some((3, 10)));
    assert_eq!(memory.unsaved(), []);
}

/// A change back to what was loaded leaves the condition of the request before as it is.
#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_outdate_a_lost_request_waits_for_the_window() {
    let stage = Stage::<Page>::embedded().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let builder = stage.builder().guarded(Guard::Fields).late_write_window(Duration::from_secs(5));
    let memory = builder.build().unwrap();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let gate = Gate::new();
    stage.faults.next(
        UPDATE,
        Fault::connection_reset().applied_late(Duration::from_secs(3)).held_at(&gate),
    );
    let started = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("/", |page| (page.visits, page.links) = (1, 20)).await.unwrap();
        gate.open();
    });
    assert_eq!(report.unwrap().written, 1);
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(
        stored(&stage, "/").await,
        Some((1, 20)),
        "the request that came late is not the last"
    );
}

#[tokio::test]
async fn throttled_and_failed_requests_are_sent_again() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.faults.next(UPDATE, Fault::throttled());
    stage.faults.next(UPDATE, Fault::failed());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.retries), (1, 3, 2));
}

#[tokio::test]
async fn a_refused_record_is_parked_and_the_others_are_written() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    for number in 0..3 {
        memory.put(page(&format!("/{number}"), number, 0)).await.unwrap();
    }
    stage.faults.next(UPDATE, Fault::invalid());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.parked.len(), report.failed.len()), (3, 1, 0));
    assert_eq!(report.parked[0].error.operation(), Some(UPDATE));
}

/// The bad ones are the oldest, so they are sent first, by each flush again.
#[tokio::test]
async fn some_bad_records_in_front_stop_nobody_else() {
    let (stage, _) = loaded(Guard::Item, OnConflict::Fail).await;
    let memory = stage.builder().guarded(Guard::Item).requests_in_flight(1).build().unwrap();
    for number in 0..30 {
        memory.put(page(&format!("/{number:02}"), number, 0)).await.unwrap();
    }
    let is_bad = |item: &serde_json::Value| {
        item["url"]["S"].as_str().is_some_and(|url| ("/00".."/05").contains(&url))
    };
    stage.faults.always(PUT, Fault::poison(is_bad));
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.parked.len(), report.failed.len()), (25, 5, 0));
}

#[tokio::test]
async fn where_every_one_is_refused_alike_none_is_parked() {
    let (stage, _) = loaded(Guard::Item, OnConflict::Fail).await;
    let builder = stage.builder().guarded(Guard::Item).requests_in_flight(1);
    let memory = builder.build().unwrap();
    for number in 0..5 {
        memory.put(page(&format!("/{number}"), number, 0)).await.unwrap();
    }
    stage.faults.always(PUT, Fault::invalid());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.parked.len(), report.failed.len()), (0, 5));
    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap().written, 5);
}

#[tokio::test]
async fn without_a_table_nothing_is_tried_for_long() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    memory.put(page("/new", 1, 1)).await.unwrap();
    stage.faults.always(UPDATE, Fault::access_denied());
    stage.faults.always(PUT, Fault::access_denied());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.failed.len(), report.parked.len()), (2, 0));
    assert_eq!(memory.unsaved().len(), 2);
}

#[tokio::test]
async fn put_guarded_guards_one_record_of_a_plain_table_until_it_is_saved() {
    let stage = Stage::<Page>::new().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let memory = stage.memory();
    let mut home = (*memory.get("/").await.unwrap().unwrap()).clone();
    home.visits = 2;
    memory.put_guarded(home).await.unwrap();
    memory.update("/", |page| page.links = 11).await.unwrap();
    memory.put(page("/plain", 1, 1)).await.unwrap();
    stage.truth.put(&page("/", 5, 10)).await.unwrap();
    stage.truth.put(&page("/plain", 5, 5)).await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.failed.len(), report.conflicts.len()), (1, 1, 1));
    assert_eq!(stored(&stage, "/plain").await, Some((1, 1)), "what is plain replaces");

    memory.discard("/").await.unwrap();
    memory.update("/", |page| page.visits = 6).await.unwrap();
    stage.truth.put(&page("/", 7, 7)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1, "it is plain again");
    assert_eq!(stored(&stage, "/").await, Some((6, 10)));
}

#[tokio::test]
async fn an_item_of_more_attributes_than_a_condition_holds_is_parked_with_advice() {
    let stage = Stage::<Page>::new().await;
    let client = stage.truth.database().client();
    let mut put = client.put_item().table_name(stage.truth.name().unwrap());
    put = put.item("url", AttributeValue::S("/".into()));
    for number in 0..200 {
        put = put.item(format!("attribute {number}"), AttributeValue::N("1".into()));
    }
    put.send().await.unwrap();
    let memory = guarded(&stage, Guard::Item, OnConflict::Fail);
    memory.update("/", |page| page.visits = 1).await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    let error = &report.parked[0].error;
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("Guard::Fields"), "{error}");
    let memory = guarded(&stage, Guard::Fields, OnConflict::Fail);
    memory.update("/", |page| page.visits = 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

/// What the options say that cannot be.
#[tokio::test]
async fn guards_that_a_record_cannot_have_are_refused() {
    let stage = Stage::<Page>::new().await;
    let error = stage.builder().guarded(Guard::Version).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("#[record(version)]"), "{error}");
}

/// Raises the visits of each of 100 pages 1,000 times, flushing now and then; how many conflicts there
/// were.
async fn raise(memory: &MemoryTable<Page>) -> usize {
    let mut conflicts = 0;
    for time in 1..=TIMES {
        for record in 0..RECORDS {
            memory.update(format!("/{record}"), |page| page.visits += 1).await.unwrap();
        }
        if time % 50 == 0 {
            let report = memory.flush().await.unwrap();
            assert_eq!((report.written, report.failed.len()), (RECORDS, 0));
            assert!(report.conflicts.iter().all(|met| met.resolution == Resolution::Merged));
            conflicts += report.conflicts.len();
        }
    }
    assert_eq!(memory.close().await.unwrap().submitted(), 0);
    conflicts
}

const WORKERS: u64 = 4;
const RECORDS: u64 = 100;
const TIMES: u64 = 1_000;
/// Where a process that raises finds its tables.
const PREFIX: &str = "MEMORY_TABLE_TEST_PREFIX";

/// On a server each is a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_that_raise_the_same_counters_lose_no_raise() {
    let stage = Stage::<Page>::new().await;
    let worker = || {
        let prefix = stage.truth.database().prefix().to_owned();
        let builder = MemoryTable::builder(stage.truth.clone()).guarded(Guard::Item);
        let memory = builder.on_conflict(OnConflict::merge(added)).build().unwrap();
        tokio::spawn(async move {
            if prefix.is_empty() {
                raise(&memory).await
            } else {
                raised_by_a_process(&prefix).await
            }
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    let mut conflicts = 0;
    for worker in workers {
        conflicts += worker.await.unwrap();
    }
    for record in 0..RECORDS {
        assert_eq!(stored(&stage, &format!("/{record}")).await, Some((WORKERS * TIMES, 0)));
    }
    assert!(conflicts > 0, "they met");
}

/// Starts this program anew to raise, and returns the conflicts that it says.
async fn raised_by_a_process(prefix: &str) -> usize {
    let mut program = tokio::process::Command::new(std::env::current_exe().unwrap());
    let test = ["guarded::one_process_raises", "--exact", "--ignored", "--nocapture"];
    let output = program.args(test).env(PREFIX, prefix).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let said = text.split("conflicts: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    said.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test]
#[ignore = "it is one of several processes of another test"]
async fn one_process_raises() {
    let Ok(prefix) = std::env::var(PREFIX) else { return };
    let database = crate::support::server().with_prefix(&prefix);
    let builder = MemoryTable::builder(database.table::<Page>()).guarded(Guard::Item);
    let memory = builder.on_conflict(OnConflict::merge(added)).build().unwrap();
    println!("conflicts: {}", raise(&memory).await);
}

/// A write that lands late must not bring back what was deleted since.
#[tokio::test(start_paused = true)]
async fn a_delete_waits_for_a_lost_put_that_may_still_land() {
    for known in [true, false] {
        let stage = Stage::<Page>::embedded().await;
        let builder = stage.builder().guarded(Guard::Item).patience(Duration::ZERO);
        let memory = builder.late_write_window(Duration::from_secs(5)).build().unwrap();
        if known {
            assert_eq!(memory.get("/").await.unwrap(), None);
        }
        memory.put(page("/", 1, 1)).await.unwrap();
        let late = Fault::connection_reset().applied_late(Duration::from_secs(3));
        stage.faults.next(PUT, late);
        assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
        memory.delete("/").await.unwrap();
        assert_eq!(memory.flush().await.unwrap().deleted, 1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(stored(&stage, "/").await, None);
    }
}

/// The value is what the lost request expects again, once it was changed there and back.
#[tokio::test(start_paused = true)]
async fn a_change_back_waits_for_a_lost_request_of_a_change_that_was_saved() {
    let stage = Stage::<Page>::embedded().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let builder = stage.builder().guarded(Guard::Item).late_write_window(Duration::from_secs(5));
    let memory = builder.build().unwrap();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().applied_late(Duration::from_secs(3)));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.update("/", |page| page.visits = 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stored(&stage, "/").await, Some((1, 10)));
}

#[tokio::test(start_paused = true)]
async fn who_takes_everything_out_does_not_wait_for_a_merge_that_waits_for_it() {
    let stage = Stage::<Page>::embedded().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let memory = guarded(&stage, Guard::Item, OnConflict::merge(added));
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 100, 10)).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (report, taken, ()) = tokio::join!(
        memory.flush(),
        async {
            tokio::task::yield_now().await;
            memory.take_unsaved().await
        },
        async {
            gate.reached().await;
            gate.open();
        }
    );
    let report = report.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!(taken.len(), 1);
    assert_eq!(stored(&stage, "/").await, Some((100, 10)));
}

/// The rekey has the turn of the record and is not polled while its own task flushes.
#[tokio::test(start_paused = true)]
async fn a_merge_waits_only_so_long_for_who_is_changing_the_record() {
    let stage = Stage::<Page>::embedded().await;
    let memory = guarded(&stage, Guard::Item, OnConflict::merge(added));
    memory.put(page("/", 1, 1)).await.unwrap();
    stage.truth.put(&page("/", 100, 10)).await.unwrap();
    let gate = stage.faults.hold_next("GetItem");
    {
        // The old key is known; the turn of the new one, which is first in order, is taken.
        let mut other = std::pin::pin!(memory.update("/other", |_| {}));
        assert!(futures::poll!(other.as_mut()).is_pending());
        gate.reached().await;
        let mut rekey = std::pin::pin!(memory.rekey("/", "/other", |_| {}));
        assert!(futures::poll!(rekey.as_mut()).is_pending());
        let report = memory.flush().await.unwrap_err().into_report();
        assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    }
    gate.open();
    assert_eq!(memory.flush().await.unwrap().written, 1, "the next flush merges");
    assert_eq!(stored(&stage, "/").await, Some((101, 11)));
}

#[tokio::test]
async fn a_rekey_to_a_key_that_was_never_loaded_replaces_what_is_there() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    stage.truth.put(&page("/other", 7, 7)).await.unwrap();
    memory.rekey("/", "/other", |page| page.url = "/other".into()).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.conflicts.len()), (1, 1, 0));
    assert_eq!(stored(&stage, "/other").await, Some((1, 10)));
    assert_eq!(stored(&stage, "/").await, None);
}

#[tokio::test]
async fn an_absence_that_was_read_eventually_is_not_trusted_by_a_delete() {
    let stage = Stage::<Page>::new().await;
    let builder = stage.builder().guarded(Guard::Item).eventually_consistent_loads();
    let memory = builder.build().unwrap();
    assert_eq!(memory.get("/").await.unwrap(), None);
    stage.truth.put(&page("/", 1, 1)).await.unwrap(); // was there, and the read did not see it
    memory.delete("/").await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&stage, "/").await, Some((1, 1)));
}

#[tokio::test]
async fn an_overwrite_replaces_nothing_that_the_type_cannot_read() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Overwrite).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let client = stage.truth.database().client();
    let theirs = client.put_item().table_name(stage.truth.name().unwrap());
    let theirs = theirs.item("url", AttributeValue::S("/".into()));
    theirs.item("visits", AttributeValue::S("many".into())).send().await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::InvalidItem);
    let item = stage.truth.get_item("/").await.unwrap().unwrap();
    assert_eq!(item["visits"], AttributeValue::S("many".into()));
}

#[tokio::test]
async fn what_others_may_change_does_not_hide_our_own_success() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 1, 99)).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert_eq!(stored(&stage, "/").await, Some((2, 99)));
}

#[tokio::test]
async fn a_plain_write_whose_answer_was_lost_is_known_again_by_a_guarded_one() {
    let stage = Stage::<Page>::new().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let memory = stage.impatient();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.faults.next(BATCH, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.put_guarded(page("/", 2, 11)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert_eq!(stored(&stage, "/").await, Some((2, 11)));
}

#[tokio::test]
async fn a_first_conflict_is_resolved_whatever_patience_says() {
    let stage = Stage::<Page>::new().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let builder = stage.builder().guarded(Guard::Item).on_conflict(OnConflict::merge(added));
    let memory = builder.patience(Duration::ZERO).build().unwrap();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 100, 10)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "/").await, Some((101, 10)));
}

/// Both make it, and the answer to one is lost before it is applied: with equal versions, too, what is
/// stored is not what was to be.
#[tokio::test]
async fn a_record_that_others_made_meanwhile_is_a_conflict() {
    for guard in [Guard::Item, Guard::Fields] {
        let stage = Stage::<Page>::new().await;
        let memory = guarded(&stage, guard, OnConflict::Fail);
        memory.put(page("/", 5, 5)).await.unwrap();
        made_by_others(&stage, page("/", 1, 1), &memory).await;
        assert_eq!(stored(&stage, "/").await, Some((1, 1)));
    }
    let stage = Stage::<Draft>::new().await;
    let memory = stage.memory();
    let draft = |text: &str, version| Draft { id: 1, text: text.into(), version };
    memory.put(draft("mine", 0)).await.unwrap();
    made_by_others(&stage, draft("theirs", 1), &memory).await;
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft("theirs", 1)));
}

async fn made_by_others<T: Record + PartialEq>(
    stage: &Stage<T>,
    theirs: T,
    memory: &MemoryTable<T>,
) {
    let truth = stage.truth.clone();
    let lost = Fault::connection_reset().foreign_write_before(move || {
        let (truth, theirs) = (truth.clone(), theirs.clone());
        async move { truth.put(&theirs).await.unwrap() }
    });
    stage.faults.next(PUT, lost);
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.cause().kind(), error.report().written), (ErrorKind::Conflict, 0));
    assert_eq!(memory.unsaved().len(), 1);
}

/// The answer to the first write is lost, others change another attribute behind it, and there is a
/// newer change: what they wrote stays.
#[tokio::test]
async fn what_others_changed_behind_ones_own_success_stays() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let (gate, truth) = (Gate::new(), stage.truth.clone());
    let lost = Fault::connection_reset().after_applying().foreign_write_after(move || {
        let truth = truth.clone();
        async move { truth.put(&page("/", 2, 99)).await.unwrap() }
    });
    stage.faults.next(UPDATE, lost.held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("/", |page| page.visits = 3).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().conflicts.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stored(&stage, "/").await, Some((3, 99)));
}

#[tokio::test]
async fn overwriting_attributes_leaves_what_others_changed_beside_them() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Overwrite).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let title = Some("theirs".to_owned());
    stage.truth.put(&Page { title: title.clone(), ..page("/", 50, 99) }).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 2));
    assert_eq!(report.conflicts[0].resolution, Resolution::Overwritten);
    let both = Page { title, ..page("/", 2, 99) };
    assert_eq!(stage.truth.get("/").await.unwrap().as_ref(), Some(&both));
    assert_eq!(memory.get("/").await.unwrap().as_deref(), Some(&both), "it is read anew");
}

/// The end is not before the beginning.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "spans", after_load = "Self::check")]
struct Span {
    #[record(partition_key)]
    id: u32,
    begin: u32,
    end: u32,
}

impl Span {
    fn check(&mut self) -> Result<(), String> {
        if self.begin <= self.end { Ok(()) } else { Err("it ends before it begins".into()) }
    }
}

/// What was loaded, with their value of what is changed, need not be a record.
#[tokio::test]
async fn overwriting_attributes_does_not_read_what_is_of_two_items() {
    let stage = Stage::<Span>::new().await;
    stage.truth.put(&Span { id: 1, begin: 8, end: 9 }).await.unwrap();
    let builder = stage.builder().guarded(Guard::Fields).on_conflict(OnConflict::Overwrite);
    let memory = builder.build().unwrap();
    memory.update_existing(1, |span| span.end = 20).await.unwrap();
    stage.truth.put(&Span { id: 1, begin: 2, end: 3 }).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts[0].resolution), (1, Resolution::Overwritten));
    let both = Span { id: 1, begin: 2, end: 20 };
    assert_eq!(stage.truth.get(1).await.unwrap().as_ref(), Some(&both));
    assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&both), "it is read anew");
}

/// The stored item lacks an attribute that the type writes: others may set it meanwhile.
#[tokio::test]
async fn what_the_type_adds_is_not_guarded_where_fields_are() {
    let (stage, _) = loaded(Guard::Fields, OnConflict::Overwrite).await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    put.item("url", AttributeValue::S("/".into())).send().await.unwrap();
    let memory = guarded(&stage, Guard::Fields, OnConflict::Overwrite);
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.increment("/", Page::FIELDS.links, 7).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert_eq!(stored(&stage, "/").await, Some((2, 7)));
}

/// A delete and a put that nobody saved in between: nothing of the deleted one stays.
#[tokio::test]
async fn what_others_gave_a_record_that_is_deleted_and_put_again_does_not_stay() {
    for guard in [Guard::Item, Guard::Fields] {
        let (stage, memory) = loaded(guard, OnConflict::Fail).await;
        memory.delete("/").await.unwrap();
        memory.put(page("/", 7, 10)).await.unwrap();
        let client = stage.truth.database().client();
        let given = client.update_item().table_name(stage.truth.name().unwrap());
        let given = given.key("url", AttributeValue::S("/".into()));
        let given = given.update_expression("SET given = :true");
        given
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .send()
            .await
            .unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1, "{guard:?}");
        assert_eq!(stage.truth.get("/").await.unwrap(), Some(page("/", 7, 10)), "{guard:?}");
        let item = stage.truth.get_item("/").await.unwrap().unwrap();
        assert!(!item.contains_key("given"), "{guard:?}");
        // What the type knows is guarded, be it that it was absent.
        memory.delete("/").await.unwrap();
        memory.put(page("/", 8, 10)).await.unwrap();
        let title = Some("theirs".to_owned());
        stage.truth.put(&Page { title, ..page("/", 7, 10) }).await.unwrap();
        let error = memory.flush().await.unwrap_err();
        assert_eq!(error.cause().kind(), ErrorKind::Conflict, "{guard:?}");
        stage.truth.put(&page("/", 7, 10)).await.unwrap();
        memory.discard("/").await.unwrap();
        memory.get("/").await.unwrap();
        memory.delete("/").await.unwrap();
        memory.put(page("/", 8, 10)).await.unwrap();
        stage.truth.put(&page("/", 7, 11)).await.unwrap();
        let error = memory.flush().await.unwrap_err();
        assert_eq!(error.cause().kind(), ErrorKind::Conflict, "{guard:?}");
    }
}

/// What was merged unseen is known in part: what it lacks was never seen to be absent.
#[tokio::test]
async fn what_is_known_in_part_guards_the_absence_of_nothing() {
    let (stage, _) = loaded(Guard::Item, OnConflict::Fail).await;
    let title = Some("theirs".to_owned());
    stage.truth.put(&Page { title, ..page("/", 1, 10) }).await.unwrap();
    let memory = stage.memory();
    memory.merge(page("/", 2, 10)).await.unwrap();
    let gate = stage.faults.hold_next("UpdateItem");
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put_guarded(page("/", 3, 10)).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().conflicts.len(), 0);
    assert_eq!(stage.truth.get("/").await.unwrap().unwrap().visits, 3);
}

/// As many bad ones in front as a batch has.
#[tokio::test]
async fn a_whole_batch_of_bad_records_in_front_stops_nobody_else() {
    let (stage, _) = loaded(Guard::Item, OnConflict::Fail).await;
    for plain in [true, false] {
        let builder = stage.builder().requests_in_flight(1);
        let builder = if plain { builder } else { builder.guarded(Guard::Item) };
        let memory = builder.build().unwrap();
        for number in 0..300 {
            memory.put(page(&format!("/{plain}/{number:03}"), number, 0)).await.unwrap();
        }
        let is_bad = move |item: &serde_json::Value| {
            let number = item["url"]["S"].as_str().and_then(|url| url.rsplit('/').next());
            number.is_some_and(|number| !("030"..="280").contains(&number))
        };
        stage.faults.always(if plain { "BatchWriteItem" } else { PUT }, Fault::poison(is_bad));
        let report = memory.flush().await.unwrap_err().into_report();
        let counts = (report.written, report.parked.len(), report.failed.len());
        assert_eq!(counts, (251, 49, 0), "plain: {plain}");
    }
}

#[tokio::test]
async fn overwriting_attributes_expects_what_was_met_of_them() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Overwrite).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.truth.put(&page("/", 50, 99)).await.unwrap();
    let truth = stage.truth.clone();
    let theirs = move || {
        let truth = truth.clone();
        async move { truth.put(&page("/", 51, 100)).await.unwrap() }
    };
    stage.faults.next(UPDATE, Fault::none());
    stage.faults.next(UPDATE, Fault::none().foreign_write_before(theirs));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts[0].times), (1, 2));
    assert_eq!(stored(&stage, "/").await, Some((2, 100)));
}

#[tokio::test]
async fn a_record_that_others_made_keeps_what_ours_does_not_have() {
    let stage = Stage::<Page>::new().await;
    let memory = guarded(&stage, Guard::Fields, OnConflict::Overwrite);
    assert_eq!(memory.get("/").await.unwrap(), None);
    memory.put(page("/", 1, 10)).await.unwrap();
    let title = Some("theirs".to_owned());
    stage.truth.put(&Page { title: title.clone(), ..page("/", 5, 10) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts.len(), 1);
    let both = Page { title, ..page("/", 1, 10) };
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(both));
}

#[tokio::test]
async fn a_put_of_what_was_never_loaded_overwrites_the_whole_item() {
    let stage = Stage::<Page>::new().await;
    let memory = guarded(&stage, Guard::Fields, OnConflict::Overwrite);
    memory.put(page("/", 1, 10)).await.unwrap();
    let title = Some("theirs".to_owned());
    stage.truth.put(&Page { title, ..page("/", 5, 7) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts.len(), 1);
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page("/", 1, 10)));
}

/// The item as it was loaded has not what was added since.
#[tokio::test]
async fn what_an_increment_made_is_no_conflict_for_the_next_change() {
    for guard in [Guard::Item, Guard::Fields] {
        let (stage, memory) = loaded(guard, OnConflict::Fail).await;
        let client = stage.truth.database().client();
        let put = client.put_item().table_name(stage.truth.name().unwrap());
        let put = put.item("url", AttributeValue::S("/".into()));
        put.item("links", AttributeValue::N("10".into())).send().await.unwrap();
        memory.reset().await.unwrap();
        memory.get("/").await.unwrap().unwrap();
        memory.increment("/", Page::FIELDS.visits, 2).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        memory.update("/", |page| page.links = 11).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().conflicts, []);
        assert_eq!(stored(&stage, "/").await, Some((2, 11)));
    }
}

/// The first changed one attribute and never came; the second changed two.
#[tokio::test]
async fn of_two_lost_requests_the_one_that_landed_is_known_again() {
    for apply in [[false, true], [true, false]] {
        let stage = Stage::<Page>::new().await;
        stage.truth.put(&page("/", 1, 10)).await.unwrap();
        let builder = stage.builder().guarded(Guard::Fields).patience(Duration::ZERO);
        let memory = builder.on_conflict(OnConflict::merge(added)).build().unwrap();
        for (is_applied, links) in apply.into_iter().zip([10, 15]) {
            let lost = Fault::connection_reset();
            stage.faults.next(UPDATE, if is_applied { lost.after_applying() } else { lost });
            let change = |page: &mut Page| (page.visits, page.links) = (2, links);
            memory.update("/", change).await.unwrap();
            assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
        }
        assert_eq!(memory.flush().await.unwrap().conflicts, []);
        assert_eq!(stored(&stage, "/").await, Some((2, 15)));
    }
}

/// The first changed two attributes and landed; the second takes one of that back.
#[tokio::test]
async fn what_a_lost_request_left_is_taken_back() {
    let stage = Stage::<Page>::new().await;
    stage.truth.put(&page("/", 1, 10)).await.unwrap();
    let builder = stage.builder().guarded(Guard::Fields).patience(Duration::ZERO);
    let memory = builder.on_conflict(OnConflict::merge(added)).build().unwrap();
    for links in [5, 10] {
        memory.update("/", |page| (page.visits, page.links) = (2, links)).await.unwrap();
        stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
        assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    }
    assert_eq!(memory.flush().await.unwrap().conflicts, []);
    assert_eq!(stored(&stage, "/").await, Some((2, 10)));
}

/// Nobody can tell whose it is, but what stands beside it is theirs.
#[tokio::test]
async fn what_stands_beside_ones_own_success_is_read_anew() {
    let (stage, memory) = loaded(Guard::Fields, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let truth = stage.truth.clone();
    let lost = Fault::connection_reset().after_applying().foreign_write_after(move || {
        let truth = truth.clone();
        async move { truth.put(&page("/", 2, 99)).await.unwrap() }
    });
    stage.faults.next(UPDATE, lost);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(memory.get("/").await.unwrap().as_deref(), Some(&page("/", 2, 99)));
}

/// Somebody wrote the same text and another owner under the same version.
#[tokio::test]
async fn what_differs_beside_the_same_version_is_a_conflict() {
    let stage = Stage::<Draft>::new().await;
    let client = stage.truth.database().client().clone();
    let name = stage.truth.name().unwrap().to_owned();
    let write = move |text: &'static str, owner: &'static str, version: &'static str| {
        let put = client.put_item().table_name(name.clone());
        let put = put.item("id", AttributeValue::N("1".into()));
        let put = put.item("text", AttributeValue::S(text.into()));
        let put = put.item("owner", AttributeValue::S(owner.into()));
        let put = put.item("version", AttributeValue::N(version.into()));
        async move { drop(put.send().await.unwrap()) }
    };
    write("a", "eve", "1").await;
    let memory = stage.memory();
    memory.update_existing(1, |draft| draft.text = "b".into()).await.unwrap();
    let lost = Fault::connection_reset();
    stage.faults.next(UPDATE, lost.foreign_write_before(move || write("b", "bob", "2")));
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.report().conflicts.len(), 1);
}

/// The flush before could not tell that it had landed.
#[tokio::test]
async fn what_landed_unheard_is_written_in_the_flush_that_finds_it() {
    let (stage, _) = loaded(Guard::Item, OnConflict::Fail).await;
    let builder = stage.builder().guarded(Guard::Item).on_conflict(OnConflict::Fail);
    let memory = builder.patience(Duration::ZERO).build().unwrap();
    memory.update("/", |page| page.visits = 2).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.put(page("/", 2, 10)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged, report.conflicts.len()), (1, 0, 0));
}

#[tokio::test]
async fn what_landed_in_this_flush_is_written_though_nothing_was_left_to_send() {
    let (stage, memory) = loaded(Guard::Item, OnConflict::Fail).await;
    memory.update("/", |page| page.visits = 2).await.unwrap();
    let gate = Gate::new();
    let lost = Fault::connection_reset().after_applying().held_at(&gate);
    stage.faults.next(UPDATE, lost);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(page("/", 2, 10)).await.unwrap();
        gate.open();
    });
    let report = flushed.unwrap();
    assert_eq!((report.written, report.unchanged, report.conflicts.len()), (1, 0, 0));
}

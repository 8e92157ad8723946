//! Flushes of a service or a network that fails: what is sent again, what is given up, and what
//! the error says of it.

use memory_table::testing::Request;
use memory_table::{ErrorKind, MemoryTable, Operation, Outcome};
use serde_json::Value;

use crate::support::{Fault, Gate, Player, Stage, at, failed_keys, named, player, players, texts};

const WRITE: &str = "BatchWriteItem";

/// A stage with changes of this many new players in memory.
async fn changed(count: u16) -> (Stage<Player>, MemoryTable<Player>) {
    let stage = Stage::new().await;
    let memory = stage.memory();
    put_all(&memory, count).await;
    (stage, memory)
}

async fn put_all(memory: &MemoryTable<Player>, count: u16) {
    for record in players(count) {
        memory.put(record).await.unwrap();
    }
}

async fn stored_rating(stage: &Stage<Player>, name: &str) -> Option<f64> {
    stage.truth.get_consistent(at(name)).await.unwrap().map(|player| player.rating)
}

fn name(item: &Value) -> &str {
    item["name"]["S"].as_str().unwrap()
}

/// The keys of requests as the report names them, sorted.
fn keys_of<'r>(requests: impl IntoIterator<Item = &'r Request>) -> Vec<String> {
    let entries = requests.into_iter().flat_map(Request::entries);
    let mut keys: Vec<String> =
        entries.map(|(_, item)| format!(r#"("chess", {:?})"#, name(item))).collect();
    keys.sort();
    keys
}

/// Under a paused clock: answers that come at different times go again at different times.
#[tokio::test(start_paused = true)]
async fn unprocessed_items_are_sent_again() {
    let stage = Stage::<Player>::embedded().await;
    let memory = stage.memory();
    put_all(&memory, 30).await;
    stage.faults.next(WRITE, Fault::unprocessed_if(|item| name(item) < "p0010"));
    stage.faults.next(WRITE, Fault::unprocessed());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unprocessed), (30, 15));
    // All that came back goes together again.
    assert_eq!((report.requests, report.retries, stage.writes()), (3, 1, 3));
    assert_eq!(memory.unsaved(), []);
    assert_eq!(
        stage.truth.batch_get(players(30).map(|p| (p.game, p.name))).await.unwrap().len(),
        30
    );
}

#[tokio::test]
async fn unprocessed_items_are_sent_again_with_their_current_value() {
    let (stage, memory) = changed(2).await;
    let gate = Gate::new();
    stage.faults.next(WRITE, Fault::unprocessed().held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("p0000", 50.0)).await.unwrap();
        memory.delete(at("p0001")).await.unwrap();
        gate.open();
    });
    let report = flushed.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (1, 1, 2));
    assert_eq!(stored_rating(&stage, "p0000").await, Some(50.0));
    assert_eq!(memory.unsaved(), [], "what was sent is the newest");
}

#[tokio::test]
async fn an_item_left_unprocessed_and_changed_back_needs_no_write() {
    let (stage, memory) = changed(2).await;
    assert_eq!(memory.flush().await.unwrap().written, 2);
    memory.put(player("p0001", 50.0)).await.unwrap();
    let gate = Gate::new();
    stage.faults.next(WRITE, Fault::unprocessed().held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("p0001", 1.0)).await.unwrap();
        gate.open();
    });
    let report = flushed.unwrap();
    assert_eq!((report.written, report.unchanged, report.requests), (0, 1, 1));
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn failures_that_pass_are_retried() {
    let passing = [
        Fault::throttled(),
        Fault::failed(),
        Fault::failed().after_applying(),
        Fault::connection_refused(),
        Fault::connection_reset(),
        Fault::connection_reset().after_applying(),
    ];
    for fault in passing {
        let (stage, memory) = changed(3).await;
        stage.faults.next(WRITE, fault);
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.requests, report.retries), (3, 2, 1));
        assert_eq!(memory.unsaved(), []);
        let sent = stage.faults.requests(WRITE);
        assert_eq!(keys_of(&sent[..1]), keys_of(&sent[1..]));
        assert_eq!(stored_rating(&stage, "p0002").await, Some(2.0));
        assert_eq!(memory.stats().write_requests, 2);
    }
}

#[tokio::test]
async fn the_error_names_exactly_what_was_not_answered() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    put_all(&memory, 337).await;
    stage.faults.script(WRITE, |request| (request.number > 7).then_some(Fault::connection_reset()));
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.requests, stage.writes()), (175, 14, 14));
    let unanswered = keys_of(&stage.faults.requests(WRITE)[7..]);
    assert_eq!(failed_keys(&report.failed), unanswered);
    assert_eq!(texts(&memory.unsaved()), unanswered);
    assert_eq!(report.submitted(), 337);
    for failed in &report.failed {
        assert_eq!((failed.operation, failed.attempts), (Operation::Put, 1));
        assert_eq!((failed.outcome, failed.error.attempts()), (Outcome::OutcomeUnknown, 1));
        assert_eq!(failed.error.kind(), ErrorKind::Connection);
        assert_eq!(failed.error.key(), Some(&failed.key));
        assert_eq!(failed.error.operation(), Some(WRITE));
    }
    stage.faults.heal();
    let second = memory.flush().await.unwrap();
    assert_eq!((second.written, second.requests, memory.unsaved().len()), (162, 7, 0));
}

#[tokio::test]
async fn the_error_says_what_the_report_says() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    put_all(&memory, 12).await;
    stage.faults.always(WRITE, Fault::throttled());
    let error = memory.flush().await.unwrap_err();
    let table = stage.table.name().unwrap();
    let text = error.to_string();
    let start = format!("flush of table `{table}`: 12 of 12 records were not saved: (\"chess\", ");
    assert!(text.starts_with(&start), "{text}");
    for part in ["and 2 more", "ProvisionedThroughputExceededException", "sent once", "sent again"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(error.cause().kind(), ErrorKind::Throttled);
    assert_eq!(error.cause().request_id(), Some("TEST"));
    let beneath = |error: &dyn std::error::Error| error.source().map(ToString::to_string);
    assert_eq!(beneath(&error), beneath(error.cause()));
    assert_eq!(error.into_report().failed.len(), 12);
}

#[tokio::test]
async fn an_outcome_is_unknown_only_where_the_answer_is_missing() {
    let cases = [
        (Fault::throttled(), Outcome::NotWritten),
        (Fault::connection_refused(), Outcome::NotWritten),
        (Fault::unprocessed(), Outcome::NotWritten),
        (Fault::access_denied(), Outcome::NotWritten),
        (Fault::connection_reset(), Outcome::OutcomeUnknown),
        (Fault::connection_reset().after_applying(), Outcome::OutcomeUnknown),
        (Fault::failed(), Outcome::OutcomeUnknown),
        (Fault::failed().after_applying(), Outcome::OutcomeUnknown),
    ];
    for (fault, outcome) in cases {
        let stage = Stage::<Player>::new().await;
        let memory = stage.impatient();
        memory.delete(at("a")).await.unwrap();
        stage.faults.next(WRITE, fault);
        let error = memory.flush().await.unwrap_err();
        let failed = &error.report().failed[0];
        assert_eq!((failed.outcome, failed.operation), (outcome, Operation::Delete));
        assert_eq!(memory.unsaved().len(), 1);
        assert_eq!(memory.flush().await.unwrap().deleted, 1);
    }
}

/// The lost write is in the table; to take the old value for what is stored would leave it there.
#[tokio::test]
async fn a_change_taken_back_after_an_unknown_outcome_is_written() {
    let stage = Stage::<Player>::new().await;
    stage.truth.put(&player("a", 1.0)).await.unwrap();
    let memory = stage.impatient();
    memory.update(at("a"), |player| player.rating = 2.0).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().after_applying());
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.report().failed[0].outcome, Outcome::OutcomeUnknown);
    assert_eq!(stored_rating(&stage, "a").await, Some(2.0));
    memory.update(at("a"), |player| player.rating = 1.0).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored_rating(&stage, "a").await, Some(1.0));
}

#[tokio::test]
async fn a_delete_after_an_unknown_outcome_of_a_new_record_is_sent() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    assert!(memory.get(at("a")).await.unwrap().is_none());
    memory.put(player("a", 2.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().after_applying());
    assert!(memory.flush().await.is_err());
    memory.delete(at("a")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert_eq!(stored_rating(&stage, "a").await, None);
}

/// A flush that failed with a lost answer may have written the record, whatever stops the next one.
#[tokio::test]
async fn a_doubt_outlasts_the_flush_and_ends_with_a_confirmed_write() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    memory.put(player("a", 1.0)).await.unwrap();
    for (fault, outcome) in [
        (Fault::connection_refused(), Outcome::NotWritten),
        (Fault::connection_reset().after_applying(), Outcome::OutcomeUnknown),
        (Fault::throttled(), Outcome::OutcomeUnknown),
        (Fault::access_denied(), Outcome::OutcomeUnknown),
    ] {
        stage.faults.next(WRITE, fault);
        let error = memory.flush().await.unwrap_err();
        assert_eq!(error.report().failed[0].outcome, outcome);
    }
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.put(player("a", 2.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_refused());
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.report().failed[0].outcome, Outcome::NotWritten);
}

/// Refuses each batch that has a player of this name.
fn poisoned(stage: &Stage<Player>, poison: &'static str) {
    stage.faults.script(WRITE, move |request| {
        let bad = request.entries().iter().any(|(_, item)| name(item) == poison);
        bad.then_some(Fault::invalid())
    });
}

#[tokio::test]
async fn a_refused_item_is_parked_and_the_others_are_written() {
    for bad in ["p0000", "p0012", "p0024"] {
        let (stage, memory) = changed(25).await;
        poisoned(&stage, bad);
        let error = memory.flush().await.unwrap_err();
        let report = error.report();
        assert_eq!((report.written, report.failed.len(), report.submitted()), (24, 0, 25));
        assert_eq!(failed_keys(&report.parked), [format!("(\"chess\", {bad:?})")]);
        let parked = &report.parked[0];
        assert_eq!((parked.outcome, parked.operation), (Outcome::NotWritten, Operation::Put));
        assert_eq!(parked.error.code(), Some("ValidationException"));
        assert_eq!(parked.attempts, parked.error.attempts());
        assert!((2..=6).contains(&parked.attempts), "{}", parked.attempts);
        assert!(report.requests <= 11, "{} requests for one bad item", report.requests);
        assert_eq!(texts(&memory.unsaved()), [format!("(\"chess\", {bad:?})")]);
    }
}

#[tokio::test]
async fn a_parked_record_waits_for_a_new_put() {
    let (stage, memory) = changed(3).await;
    poisoned(&stage, "p0001");
    assert!(memory.flush().await.is_err());
    stage.faults.heal();
    let before = stage.writes();
    memory.put(player("new", 1.0)).await.unwrap();
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.report().written, error.report().parked.len()), (1, 1));
    assert_eq!(stage.writes(), before + 1, "it was not sent");
    assert_eq!(error.report().parked[0].attempts, 0);
    memory.put(player("p0001", 5.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored_rating(&stage, "p0001").await, Some(5.0));
}

#[tokio::test]
async fn a_parked_record_that_is_discarded_is_gone() {
    let (stage, memory) = changed(2).await;
    poisoned(&stage, "p0001");
    assert!(memory.flush().await.is_err());
    assert!(memory.discard(at("p0001")).await.unwrap());
    assert_eq!(memory.flush().await.unwrap().submitted(), 0);
}

#[tokio::test]
async fn what_no_retry_can_mend_stops_the_flush_at_once() {
    let cases = [
        (Fault::table_not_found(), ErrorKind::TableNotFound),
        (Fault::access_denied(), ErrorKind::AccessDenied),
        (Fault::expired_token(), ErrorKind::Credentials),
    ];
    for (fault, kind) in cases {
        let stage = Stage::<Player>::new().await;
        let memory = stage.builder().requests_in_flight(1).build().unwrap();
        put_all(&memory, 60).await;
        memory.delete(at("p0059")).await.unwrap();
        stage.faults.always(WRITE, fault);
        let error = memory.flush().await.unwrap_err();
        assert_eq!((error.cause().kind(), stage.writes()), (kind, 1));
        let report = error.report();
        assert_eq!((report.failed.len(), report.parked.len(), report.requests), (60, 0, 1));
        let sent = report.failed.iter().filter(|failed| failed.attempts == 1).count();
        let unsent = report.failed.iter().filter(|failed| failed.attempts == 0).count();
        assert_eq!((sent, unsent), (25, 35));
        let deletes = report.failed.iter().filter(|one| one.operation == Operation::Delete);
        assert_eq!(deletes.count(), 1);
        assert!(report.failed.iter().all(|one| one.outcome == Outcome::NotWritten));
        assert_eq!(memory.unsaved().len(), 60);
        stage.faults.heal();
        assert_eq!(memory.flush().await.unwrap().submitted(), 60);
    }
}

#[tokio::test]
async fn a_flush_that_stops_keeps_parked_records_parked() {
    let (stage, memory) = changed(1).await;
    poisoned(&stage, "p0000");
    assert!(memory.flush().await.is_err());
    memory.put(player("new", 1.0)).await.unwrap();
    stage.faults.always(WRITE, Fault::access_denied());
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.report().parked.len(), error.report().failed.len()), (1, 1));
    assert_eq!(error.report().parked[0].error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn what_is_in_flight_when_the_flush_stops_is_taken_in() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.builder().requests_in_flight(2).build().unwrap();
    put_all(&memory, 75).await;
    let gate = stage.faults.hold_next_answer(WRITE);
    stage.faults.next(WRITE, Fault::access_denied());
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        gate.open();
    });
    let error = flushed.unwrap_err();
    assert_eq!((error.report().written, error.report().failed.len()), (25, 50));
    assert_eq!(memory.unsaved().len(), 50);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_said_before_anything_is_sent() {
    let (stage, _) = changed(0).await;
    let memory = MemoryTable::new(stage.table.database().table_named::<Player>("missing"));
    memory.put(player("a", 1.0)).await.unwrap();
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::TableNotFound);
    assert_eq!((error.report().failed.len(), error.report().failed[0].attempts), (1, 0));
    assert_eq!((stage.writes(), memory.unsaved().len()), (0, 1));
}

#[tokio::test]
async fn a_close_that_fails_leaves_the_table_open() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    memory.put(player("a", 1.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::throttled());
    assert!(memory.close().await.is_err());
    memory.put(player("b", 1.0)).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 2);
    assert_eq!(memory.put(player("c", 1.0)).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_close_that_is_dropped_leaves_the_table_as_it_was() {
    let (stage, memory) = changed(1).await;
    let gate = stage.faults.hold_next(WRITE);
    let mut closing = Box::pin(memory.close());
    tokio::select! {
        biased;
        _ = &mut closing => panic!("the write is held"),
        () = gate.reached() => {}
    }
    assert_eq!(memory.put(player("b", 1.0)).await.unwrap_err().kind(), ErrorKind::Closed);
    drop(closing);
    memory.put(player("b", 1.0)).await.unwrap();
    gate.open();
    assert_eq!(memory.close().await.unwrap().submitted(), 1);
    let again = Box::pin(memory.close());
    drop(futures::FutureExt::now_or_never(again));
    assert_eq!(memory.put(player("c", 1.0)).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn everyone_who_joined_gets_the_error() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    memory.put(player("a", 1.0)).await.unwrap();
    let gate = Gate::new();
    stage.faults.next(WRITE, Fault::throttled().held_at(&gate));
    let (first, second) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        tokio::join!(memory.flush(), async { gate.open() }).0
    });
    assert_eq!(failed_keys(&first.unwrap_err().report().failed).len(), 1);
    assert_eq!(failed_keys(&second.unwrap_err().report().failed).len(), 1);
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn one_bad_network_moment_does_not_hold_back_other_requests() {
    let (stage, memory) = changed(75).await;
    let gate = stage.faults.hold_next(WRITE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        while stored_rating(&stage, &named(74)).await.is_none() {}
        gate.open();
    });
    assert_eq!((flushed.unwrap().requests, memory.unsaved().len()), (3, 0));
}

/// Where every part is refused alike the table is to blame: nothing is parked, and a later flush of
/// a table put right saves all of it.
#[tokio::test]
async fn a_table_that_refuses_everything_stops_the_flush_and_parks_nothing() {
    let (stage, memory) = changed(300).await;
    stage.faults.always(WRITE, Fault::invalid());
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.failed.len(), report.parked.len(), report.submitted()), (300, 0, 300));
    assert!(report.failed.iter().all(|failed| failed.error.code() == Some("ValidationException")));
    // Twelve requests, one of them halved to the end, and as many records of all others.
    assert!(stage.writes() <= 12 + 2 * 25 + 25, "{} requests", stage.writes());
    assert_eq!(memory.unsaved().len(), 300);
    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap().written, 300);
}

#[tokio::test]
async fn many_refused_items_are_parked_as_soon_as_anything_is_written() {
    let (stage, memory) = changed(100).await;
    // Every item but the last few; the first batches are refused in all their parts.
    stage.faults.script(WRITE, |request| {
        let bad = |item: &Value| name(item) < "p0090";
        let refused = request.entries().iter().any(|(_, item)| bad(item));
        refused.then_some(Fault::invalid())
    });
    let report = memory.flush().await.unwrap_err().into_report();
    let (written, parked, failed) = (report.written, report.parked.len(), report.failed.len());
    assert_eq!(report.submitted(), 100);
    assert!((written, parked, failed) == (10, 90, 0) || (written, parked, failed) == (0, 0, 100));
    assert_eq!(memory.unsaved().len(), 100 - usize::try_from(written).unwrap());
}

/// A flush that stops while a batch is on trial still says of each record what became of it.
#[tokio::test]
async fn a_flush_that_stops_in_the_middle_of_a_bisect_reports_everything() {
    let (stage, memory) = changed(100).await;
    stage.faults.script(WRITE, |request| {
        let alone = request.entries().len() == 1;
        let error = if alone { Fault::expired_token() } else { Fault::invalid() };
        Some(error)
    });
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.failed.len(), report.parked.len(), report.submitted()), (100, 0, 100));
    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap().written, 100);
}

#[tokio::test]
async fn a_poison_record_that_is_sent_alone_is_parked_whatever_is_parked_or_unchanged_beside_it() {
    let (stage, memory) = super::support::stage(1).await;
    stage.faults.always("BatchWriteItem", Fault::poison(|item| item["rating"]["N"] == "13"));
    memory.put(player("bad", 13.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap_err().report().parked.len(), 1);
    memory.update(at("p0000"), |_| ()).await.unwrap();
    memory.put(player("worse", 13.0)).await.unwrap();
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.parked.len(), report.failed.len(), report.unchanged), (2, 0, 1), "{error}");
}

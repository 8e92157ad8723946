//! What is unsaved is unsaved again, as it was.

use std::time::Duration;

use futures::FutureExt;
use memory_table::{
    Durability, ErrorKind, Guard, Journal, MemoryTable, OnConflict, Operation, Outcome, Unsaved,
};
use tracing::Level;

use super::{Journals, builder, keys, open};
use crate::support::logs::Logs;
use crate::support::{Draft, Fault, Player, Stage, at, player, players, stage, texts};

const PUT: &str = "PutItem";
const UPDATE: &str = "UpdateItem";
const BATCH: &str = "BatchWriteItem";

#[tokio::test]
async fn puts_updates_and_deletes_are_unsaved_again_after_a_crash() {
    let (stage, _) = stage(3).await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("new", 9.0)).await.unwrap();
    memory.update(at("p0001"), |player| player.rating += 0.5).await.unwrap();
    memory.delete(at("p0002")).await.unwrap();
    let left = journals.crash(&journals.first());

    let again = open(&stage.table, &left);
    assert_eq!(again.unsaved(), memory.unsaved(), "in the order of their changes");
    assert_eq!(again.get(at("new")).await.unwrap().unwrap().rating, 9.0);
    assert_eq!(again.get(at("p0001")).await.unwrap().unwrap().rating, 1.5);
    assert_eq!(again.get(at("p0002")).await.unwrap(), None);
    let report = again.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (2, 1));
    assert_eq!(stage.truth.get(at("p0001")).await.unwrap().unwrap().rating, 1.5);
    assert_eq!(stage.truth.get(at("p0002")).await.unwrap(), None);
    assert!(keys(&journals.crash(&left)).is_empty(), "what is saved is not in the journal");
}

#[tokio::test]
async fn changes_stay_in_their_order_over_several_crashes() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    for name in ["saved 1", "saved 2", "saved 3"] {
        memory.put(player(name, 0.0)).await.unwrap();
    }
    let _ = memory.flush().await.unwrap();
    let names = ["zoe", "mia", "ada"];
    memory.put(player(names[0], 1.0)).await.unwrap();
    drop(memory);
    let mut left = journals.first();
    for name in &names[1..] {
        left = journals.crash(&left);
        open(&stage.table, &left).put(player(name, 1.0)).await.unwrap();
    }
    let found = keys(&journals.crash(&left));
    let in_order = found.iter().zip(names).all(|(key, name)| key.contains(name));
    assert!(found.len() == 3 && in_order, "oldest first: {found:?}");
}

#[tokio::test]
async fn a_change_is_in_the_journal_once_it_is_made_and_out_of_it_once_it_is_saved() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    let in_file = || keys(&journals.crash(&journals.first())).len();
    assert_eq!(in_file(), 0);
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(in_file(), 1);
    memory.put(player("bob", 2.0)).await.unwrap();
    memory.put(player("ada", 3.0)).await.unwrap();
    assert_eq!(in_file(), 2);
    assert!(memory.discard(at("bob")).await.unwrap());
    assert_eq!(in_file(), 1, "what is discarded is not found again");
    let _ = memory.flush().await.unwrap();
    assert_eq!(in_file(), 0);
    memory.put(player("eve", 4.0)).await.unwrap();
    assert_eq!(memory.take_unsaved().await, [Unsaved::Put(player("eve", 4.0).into())]);
    assert_eq!(in_file(), 0);
    memory.put(player("eve", 5.0)).await.unwrap();
    memory.reset_forced().await;
    assert_eq!(in_file(), 0);
}

#[tokio::test]
async fn what_is_not_saved_stays_in_the_journal() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    for player in players(30) {
        memory.put(player).await.unwrap();
    }
    stage.faults.nth(BATCH, 1, Fault::half_unprocessed());
    stage.faults.nth(BATCH, 2, Fault::half_unprocessed());
    stage.faults.always(BATCH, Fault::failed());
    let report = memory.flush().await.unwrap_err().into_report();
    let left = texts(&memory.unsaved());
    assert_eq!(report.written + u64::try_from(left.len()).unwrap(), 30);
    assert!(!left.is_empty() && left.len() < 30, "{left:?}");
    let again = open(&stage.truth, &journals.crash(&journals.first()));
    assert_eq!(texts(&again.unsaved()), left);
    assert_eq!(again.flush().await.unwrap().written + report.written, 30);
}

#[tokio::test]
async fn replaying_three_times_leaves_the_same_table() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("new", 9.0)).await.unwrap();
    memory.delete(at("p0000")).await.unwrap();
    let left = journals.crash(&journals.first());
    for _ in 0..3 {
        let copy = journals.crash(&left);
        let report = Journal::replay(&copy, stage.table.clone()).await.unwrap();
        assert_eq!((report.written, report.deleted), (1, 1));
        assert_eq!(stage.truth.get(at("new")).await.unwrap(), Some(player("new", 9.0)));
        assert_eq!(stage.truth.get(at("p0000")).await.unwrap(), None);
        assert!(keys(&copy).is_empty());
    }
}

#[tokio::test]
async fn a_guarded_record_that_others_changed_meanwhile_is_a_conflict() {
    let (stage, _) = stage(2).await;
    let journals = Journals::new();
    let memory = builder(&stage.table, &journals.first()).guarded(Guard::Item).build().unwrap();
    for name in ["p0000", "p0001"] {
        memory.update(at(name), |player| player.rating = 50.0).await.unwrap();
    }
    let left = journals.crash(&journals.first());
    stage.truth.put(&player("p0001", 7.0)).await.unwrap(); // somebody else
    // Each record says how it is to be written, whatever the table says.
    let error = Journal::replay(&left, stage.table.clone()).await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.failed.len()), (1, 1));
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 50.0);
    assert_eq!(stage.truth.get(at("p0001")).await.unwrap().unwrap().rating, 7.0);
    assert_eq!(keys(&left).len(), 1, "it stays for somebody to look at");
}

#[tokio::test]
async fn a_guarded_write_that_landed_before_the_crash_is_no_conflict() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let memory = builder(&stage.table, &journals.first()).guarded(Guard::Item).build().unwrap();
    memory.update(at("p0000"), |player| player.rating = 50.0).await.unwrap();
    let held = stage.faults.hold_next_answer(UPDATE);
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    held.reached().await;
    let sent = journals.crash(&journals.first());
    // A newer value, made while the older one is on its way.
    memory.update(at("p0000"), |player| player.rating = 60.0).await.unwrap();
    let newer = journals.crash(&journals.first());
    held.open();
    let _ = flushing.await.unwrap().unwrap();
    stage.truth.put(&player("p0000", 50.0)).await.unwrap();

    let report = Journal::replay(&sent, stage.table.clone()).await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    let again = open(&stage.table, &newer);
    let report = again.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0), "the older one is our own");
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 60.0);
}

#[tokio::test]
async fn a_guarded_write_that_landed_while_a_newer_one_waited_for_the_journal_is_no_conflict() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let slow = Durability::Group(Duration::from_millis(100));
    let guarded = builder(&stage.table, &journals.first()).guarded(Guard::Item);
    let memory = guarded.durability(slow).build().unwrap();
    memory.update(at("p0000"), |player| player.rating = 50.0).await.unwrap();
    let newer = memory.update(at("p0000"), |player| player.rating = 60.0);
    tokio::pin!(newer);
    assert!(futures::poll!(newer.as_mut()).is_pending());
    let held = stage.faults.hold_next_answer(UPDATE);
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    // Nothing is sent before the newer one is published: who sends waits for it.
    newer.await.unwrap();
    held.reached().await;
    let sent = journals.crash(&journals.first());
    held.open();
    let _ = flushing.await.unwrap().unwrap();
    stage.truth.put(&player("p0000", 50.0)).await.unwrap();

    let report = open(&stage.table, &sent).flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0), "the older one is our own");
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 60.0);
}

#[tokio::test]
async fn what_is_taken_stays_in_the_table_or_is_handed_out() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let slow = Durability::Group(Duration::from_millis(50));
    let memory = builder(&stage.table, &journals.first()).durability(slow).build().unwrap();
    memory.update(at("p0000"), |player| player.rating = 50.0).await.unwrap();
    let taken = memory.take_unsaved().now_or_never().expect("nothing is waited for");
    assert_eq!((taken.len(), memory.stats().unsaved), (1, 0));
    memory.put(player("ada", 1.0)).await.unwrap();
    let [only] = &keys(&journals.crash(&journals.first()))[..] else { panic!("one change") };
    assert!(only.contains("ada"), "{only}");
}

#[tokio::test]
async fn a_merge_is_in_the_journal_before_it_is_sent() {
    let (stage, _) = stage(1).await;
    stage.truth.put(&player("p0000", 10.0)).await.unwrap();
    let journals = Journals::new();
    let merging = |journal: &std::path::Path| -> MemoryTable<Player> {
        let merge = OnConflict::merge(|base: Option<&Player>, mine: Option<&Player>, theirs| {
            let of = |player: Option<&Player>| player.map_or(0.0, |player| player.rating);
            Some(player("p0000", of(theirs) + of(mine) - of(base)))
        });
        builder(&stage.table, journal).guarded(Guard::Item).on_conflict(merge).build().unwrap()
    };
    let memory = merging(&journals.first());
    memory.update(at("p0000"), |player| player.rating += 2.0).await.unwrap();
    stage.truth.put(&player("p0000", 20.0)).await.unwrap(); // somebody else
    // The first meets what somebody else wrote, and the second has no answer.
    stage.faults.nth(UPDATE, 2, Fault::failed().after_applying());
    memory.flush().await.unwrap_err();
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 22.0);
    let left = journals.crash(&journals.first());
    stage.faults.heal();
    let again = merging(&left);
    let _ = again.flush().await.unwrap();
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 22.0, "merged once");
}

#[tokio::test]
async fn a_version_goes_on_where_it_was() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&Draft { id: 1, text: "one".into(), version: 4 }).await.unwrap();
    let stored = stage.truth.get(1).await.unwrap().unwrap().version;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.update_existing(1, |draft| draft.text = "two".into()).await.unwrap();
    let again = open(&stage.table, &journals.crash(&journals.first()));
    let _ = again.flush().await.unwrap();
    let draft = stage.truth.get(1).await.unwrap().unwrap();
    assert_eq!((&*draft.text, draft.version), ("two", stored + 1));
}

#[tokio::test]
async fn field_by_field_others_attributes_stay() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let memory = builder(&stage.table, &journals.first()).field_wise().build().unwrap();
    memory.update(at("p0000"), |player| player.rating = 50.0).await.unwrap();
    let left = journals.crash(&journals.first());
    let others = Player { text: "theirs".into(), ..player("p0000", 0.0) };
    stage.truth.put(&others).await.unwrap();
    let _ = Journal::replay(&left, stage.table.clone()).await.unwrap();
    let found = stage.truth.get(at("p0000")).await.unwrap().unwrap();
    assert_eq!((found.rating, &*found.text), (50.0, "theirs"));
}

#[tokio::test]
async fn a_rekey_is_in_the_journal_whole() {
    let (stage, _) = stage(1).await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    let to_bob = |player: &mut Player| player.name = "bob".into();
    memory.rekey(at("p0000"), at("bob"), to_bob).await.unwrap();
    let found = Journal::inspect(journals.crash(&journals.first())).unwrap();
    let changes: Vec<_> =
        found.changes().iter().map(|change| (change.operation(), change.key())).collect();
    assert_eq!(
        changes,
        [
            (Operation::Put, r#"{"game":{"S":"chess"},"name":{"S":"bob"}}"#),
            (Operation::Delete, r#"{"game":{"S":"chess"},"name":{"S":"p0000"}}"#),
        ]
    );
}

#[tokio::test]
async fn what_is_unsaved_again_counts_and_new_changes_go_on_from_it() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    for player in players(10) {
        memory.put(player).await.unwrap();
    }
    let left = journals.crash(&journals.first());
    // There is room for four, and ten were unsaved before.
    let again = builder(&stage.table, &left).max_unsaved_records(4).build().unwrap();
    assert_eq!((again.stats().unsaved, again.unsaved().len()), (10, 10));
    again.update(at("p0003"), |player| player.rating += 1.0).await.unwrap();
    // A new one waits for room, which a flush makes.
    again.put(player("new", 1.0)).await.unwrap();
    assert!(again.unsaved().len() <= 4, "{:?}", again.unsaved());
    let _ = again.flush().await.unwrap();
    assert_eq!(stage.truth.get(at("p0003")).await.unwrap().unwrap().rating, 4.0);
    assert!(keys(&journals.crash(&left)).is_empty());
}

#[tokio::test]
async fn what_is_in_doubt_is_said_to_be() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put_guarded(player("ada", 1.0)).await.unwrap();
    stage.faults.always(PUT, Fault::failed());
    memory.flush().await.unwrap_err();
    let left = journals.crash(&journals.first());
    let found = Journal::inspect(&left).unwrap();
    assert!(found.changes()[0].is_in_doubt());
    let again = open(&stage.table, &left);
    let report = again.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].outcome, Outcome::OutcomeUnknown);
}

#[tokio::test]
async fn a_dropped_table_says_that_its_journal_has_its_changes() {
    let stage = Stage::<Player>::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("ada", 1.0)).await.unwrap();
    let logs = Logs::listen();
    drop(memory);
    assert_eq!(logs.of(Level::ERROR), Vec::<String>::new());
    let warnings = logs.of(Level::WARN);
    assert_eq!(warnings.len(), 1);
    for part in ["unsaved=1", "ada", "players", "first.journal", "open it again"] {
        assert!(warnings[0].contains(part), "{part}: {}", warnings[0]);
    }
    let memory = open(&stage.table, &journals.first());
    let found = logs.of(Level::INFO);
    assert!(found.iter().any(|line| line.contains("found in the journal")), "{found:?}");
    assert_eq!(memory.close().await.unwrap().written, 1);
    assert!(keys(&journals.crash(&journals.first())).is_empty());
}

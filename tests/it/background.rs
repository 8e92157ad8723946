//! Flushes that nobody asked for, and changes that wait for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memory_table::{ErrorKind, MemoryTable, MemoryTableBuilder, flush_all};
use tokio::time::{Instant, sleep, timeout};

use super::support::{Fault, Player, Stage, at, named, player, players};

/// A memory table on the embedded database, for a paused clock.
async fn built(
    with: impl FnOnce(MemoryTableBuilder<Player>) -> MemoryTableBuilder<Player>,
) -> (Stage<Player>, MemoryTable<Player>) {
    let stage = Stage::<Player>::embedded().await;
    let memory = with(stage.builder()).build().unwrap();
    (stage, memory)
}

async fn stored(stage: &Stage<Player>) -> u64 {
    stage.truth.scan().consistent().count().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn as_many_records_as_the_mark_are_flushed_without_being_asked() {
    let (stage, memory) = built(|b| b.flush_at_records(10)).await;
    for player in players(9) {
        memory.put(player).await.unwrap();
    }
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((stage.writes(), stored(&stage).await), (0, 0));
    memory.put(player("p0009", 9.0)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.writes(), stored(&stage).await, memory.unsaved().len()), (1, 10, 0));
    memory.put(player("p0010", 9.0)).await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn as_many_bytes_as_the_mark_are_flushed_without_being_asked() {
    let (stage, memory) = built(|b| b.flush_at_bytes(10_000)).await;
    let big = |name: &str, bytes: usize| Player { text: "x".repeat(bytes), ..player(name, 1.0) };
    memory.put(big("a", 9_000)).await.unwrap();
    memory.put(big("a", 5_000)).await.unwrap();
    memory.put(big("b", 4_000)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.writes(), 0, "9,000 bytes and the names of two records");
    assert!((9_000..10_000).contains(&memory.stats().unsaved_bytes));
    memory.put(big("b", 6_000)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.writes(), memory.stats().unsaved_bytes), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_unsaved_is_flushed_when_the_interval_has_passed() {
    let (stage, memory) = built(|b| b.flush_interval(Duration::from_secs(30))).await;
    for round in 1..=3_u8 {
        memory.put(player("ada", f64::from(round))).await.unwrap();
        let round = usize::from(round);
        sleep(Duration::from_secs(29)).await;
        assert_eq!(stage.writes(), round - 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!((stage.writes(), memory.unsaved().len()), (round, 0));
        sleep(Duration::from_secs(600)).await;
    }
    let requests = stage.writes();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.writes(), requests, "nothing is sent while nothing is unsaved");
}

/// An outage makes the pauses long; they are those of the outage.
#[tokio::test(start_paused = true)]
async fn no_flush_waits_for_an_outage_that_is_over() {
    for how in ["flush", "flush_all", "discard"] {
        let (stage, memory) = built(|b| b.patience(Duration::ZERO).flush_at_records(2)).await;
        stage.faults.always("BatchWriteItem", Fault::access_denied());
        for player in players(2) {
            memory.put(player).await.unwrap();
        }
        sleep(Duration::from_secs(100)).await;
        stage.faults.heal();
        if how == "flush" {
            assert_eq!(memory.flush().await.unwrap().written, 2);
        } else if how == "flush_all" {
            assert_eq!(flush_all(&[&memory]).await.unwrap().written, 2);
        } else {
            for player in players(2) {
                memory.discard(at(&player.name)).await.unwrap();
            }
            sleep(Duration::from_secs(120)).await;
        }
        for name in ["one", "two"] {
            memory.put(player(name, 1.0)).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(memory.unsaved().len(), 0, "after {how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_background_flush_that_fails_is_heard_of_and_tried_again() {
    let heard = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&heard);
    let (stage, memory) = built(|b| {
        b.patience(Duration::ZERO).flush_at_records(2).on_background_error(move |error| {
            assert_eq!(error.report().failed.len(), 3);
            hook.fetch_add(1, Ordering::SeqCst);
            panic!("a hook that panics");
        })
    })
    .await;
    stage.faults.always("BatchWriteItem", Fault::access_denied());
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    sleep(Duration::from_secs(10)).await;
    let failures = heard.load(Ordering::SeqCst);
    assert!((2..=5).contains(&failures), "{failures} with pauses of 1, 2, 4 s");
    memory.put(player("p0003", 3.0)).await.unwrap();
    stage.faults.heal();
    sleep(Duration::from_secs(120)).await;
    assert_eq!((memory.unsaved().len(), stored(&stage).await), (0, 4), "it never stops");
    let report = memory.flush().await.unwrap();
    assert!(report.background.len() >= failures);
    assert!(report.background.iter().all(|error| error.kind() == ErrorKind::AccessDenied));
    assert_eq!(memory.flush().await.unwrap().background.len(), 0, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_failed_flush_or_close_says_what_failed_in_the_background_too() {
    let (stage, memory) =
        built(|b| b.patience(Duration::ZERO).flush_interval(Duration::from_secs(1))).await;
    stage.faults.always("BatchWriteItem", Fault::access_denied());
    memory.put(player("ada", 1.0)).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let error = memory.close().await.unwrap_err();
    assert_eq!((error.report().background.len(), error.report().failed.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn parked_records_are_told_of_once_in_the_background() {
    let heard = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&heard);
    let (stage, memory) = built(|b| {
        b.flush_interval(Duration::from_secs(1)).on_background_error(move |error| {
            assert_eq!(error.report().parked.len(), 1);
            hook.fetch_add(1, Ordering::SeqCst);
        })
    })
    .await;
    stage.faults.always("BatchWriteItem", Fault::invalid());
    memory.put(player("bad", 1.0)).await.unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    assert_eq!(memory.flush().await.unwrap_err().report().background.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_beyond_the_hard_mark_waits_until_there_is_room() {
    let (stage, memory) = built(|b| b.max_unsaved_records(10).flush_at_records(10)).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    for player in players(10) {
        memory.put(player).await.unwrap();
    }
    gate.reached().await;
    memory.put(player("p0003", 33.0)).await.unwrap();
    let unsaved = memory.unsaved().len();
    assert_eq!(unsaved, 10, "a record that is unsaved already needs no room");
    let waiting = tokio::spawn({
        let memory = memory.clone();
        async move { memory.put(player("late", 1.0)).await }
    });
    sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    gate.open();
    waiting.await.unwrap().unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 2);
    assert_eq!(stored(&stage).await, 11);
}

#[tokio::test(start_paused = true)]
async fn what_is_unsaved_never_exceeds_the_hard_marks() {
    let (_stage, memory) = built(|b| b.max_unsaved_records(20).max_unsaved_bytes(3_000)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50_u16 {
        let memory = memory.clone();
        tasks.spawn(async move {
            for number in 0..20_u16 {
                let name = named(usize::from(task * 20 + number));
                match number % 3 {
                    0 => memory.put(player(&name, 1.0)).await.unwrap(),
                    1 => {
                        memory.update(at(&name), |p| p.text = "x".repeat(200)).await.unwrap();
                    }
                    _ => memory.delete(at(&name)).await.unwrap(),
                }
                let stats = memory.stats();
                assert!(stats.unsaved <= 20 && stats.unsaved_bytes <= 3_000, "{stats:?}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    assert_eq!((memory.stats().unsaved, memory.stats().unsaved_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_finds_no_room_in_time_is_an_error_and_changes_nothing() {
    let (stage, memory) = built(|b| {
        b.max_unsaved_records(1).patience(Duration::ZERO).put_timeout(Duration::from_secs(7))
    })
    .await;
    stage.faults.always("BatchWriteItem", Fault::access_denied());
    memory.put(player("ada", 1.0)).await.unwrap();
    let before = Instant::now();
    let error = memory.put(player("bob", 1.0)).await.unwrap_err();
    assert_eq!((error.kind(), before.elapsed().as_secs()), (ErrorKind::Timeout, 7));
    assert!(error.to_string().contains("1 record of"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("AccessDenied"), "{source}");
    let mut ran = false;
    let error = memory.update(at("eve"), |_| ran = true).await.unwrap_err();
    assert_eq!((error.kind(), ran), (ErrorKind::Timeout, false));
    assert_eq!(memory.unsaved().len(), 1);
    assert!(memory.get(at("bob")).await.unwrap().is_none());
    stage.faults.heal();
    memory.put(player("bob", 1.0)).await.unwrap();
}

/// As long as a flush has patience, and long enough for one to make room.
#[tokio::test(start_paused = true)]
async fn a_change_waits_for_room_as_long_as_a_flush_has_patience() {
    for (patience, waits) in [(0, 5), (9, 9)] {
        let patience = Duration::from_secs(patience);
        let (stage, memory) = built(|b| b.max_unsaved_records(1).patience(patience)).await;
        stage.faults.always("BatchWriteItem", Fault::access_denied());
        memory.put(player("ada", 1.0)).await.unwrap();
        let before = Instant::now();
        let error = memory.put(player("bob", 1.0)).await.unwrap_err();
        assert_eq!((error.kind(), before.elapsed().as_secs()), (ErrorKind::Timeout, waits));
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_given_up_takes_no_room() {
    let (stage, memory) = built(|b| b.max_unsaved_records(2)).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    gate.reached().await;
    memory.put(player("bob", 1.0)).await.unwrap();
    let given_up = timeout(Duration::from_secs(1), memory.put(player("eve", 1.0))).await;
    assert!(given_up.is_err());
    gate.open();
    assert!(memory.flush().await.is_ok());
    for player in players(2) {
        memory.put(player).await.unwrap();
    }
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    assert!(memory.get(at("eve")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn discarded_and_reset_changes_give_their_room_back() {
    let (stage, memory) = built(|b| b.max_unsaved_records(2).flush_at_records(5)).await;
    for _ in 0..5 {
        memory.put(player("ada", 1.0)).await.unwrap();
        memory.put(player("bob", 1.0)).await.unwrap();
        assert!(memory.discard(at("ada")).await.unwrap());
        memory.put(player("eve", 1.0)).await.unwrap();
        memory.reset_forced().await;
    }
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(memory.take_unsaved().await.len(), 1);
    assert_eq!((memory.stats().unsaved, memory.stats().unsaved_bytes, stage.writes()), (0, 0, 0));
}

#[tokio::test]
async fn marks_of_nothing_are_refused() {
    let stage = Stage::<Player>::embedded().await;
    let refused = [
        stage.builder().max_unsaved_records(0).build(),
        stage.builder().max_unsaved_bytes(0).build(),
        stage.builder().flush_at_records(0).build(),
        stage.builder().flush_at_bytes(0).build(),
        stage.builder().flush_interval(Duration::ZERO).build(),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Configuration);
    }
}

#[tokio::test(start_paused = true)]
async fn a_background_flush_keeps_no_dropped_table_alive() {
    let (stage, memory) = built(|b| b.flush_interval(Duration::from_secs(30))).await;
    memory.put(player("ada", 1.0)).await.unwrap();
    drop(memory);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(stage.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_waited_for_room_is_not_lost_to_an_update_that_began_meanwhile() {
    let (stage, memory) = built(|b| b.max_unsaved_records(1)).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    gate.reached().await;
    let put = tokio::spawn({
        let memory = memory.clone();
        async move { memory.put(player("bob", 50.0)).await }
    });
    sleep(Duration::from_secs(1)).await;
    let update = tokio::spawn({
        let memory = memory.clone();
        async move { memory.update(at("bob"), |player| player.text = "updated".into()).await }
    });
    sleep(Duration::from_secs(1)).await;
    gate.open();
    put.await.unwrap().unwrap();
    update.await.unwrap().unwrap();
    assert_eq!(memory.get(at("bob")).await.unwrap().unwrap().rating, 50.0);
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_gives_its_room_back() {
    let (_stage, memory) = built(|b| b.max_unsaved_records(2)).await;
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 1);
    for _ in 0..5 {
        let refused = memory.put(player("bob", 1.0)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_an_unreadable_item_refuses_gives_its_room_back() {
    let (stage, memory) = built(|b| b.max_unsaved_records(2)).await;
    super::memory_reads::store_bad(&stage, "bad").await;
    assert_eq!(memory.get(at("bad")).await.unwrap_err().kind(), ErrorKind::InvalidItem);
    for _ in 0..5 {
        let refused = memory.put(player("bad", 1.0)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidItem);
    }
    for player in players(10) {
        memory.put(player).await.unwrap();
    }
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn changes_that_hold_room_do_not_wait_for_each_other() {
    let (_stage, memory) = built(|b| b.max_unsaved_records(2).max_unsaved_bytes(2_000)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20 {
        let memory = memory.clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                let (name, bytes) = (named(task), 900 + task * 10);
                memory.update(at(&name), |p| p.text = "x".repeat(bytes)).await.unwrap();
            }
        });
    }
    let before = Instant::now();
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert!(before.elapsed() < Duration::from_secs(60), "none waited for its timeout");
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
}

#[tokio::test]
async fn a_rekey_that_never_has_room_says_so_at_once() {
    let (_stage, memory) = built(|b| b.max_unsaved_records(1)).await;
    memory.put(player("ada", 1.0)).await.unwrap();
    let error = memory.rekey(at("ada"), at("eve"), |p| p.name = "eve".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("never room for both"), "{error}");
    assert!(memory.get(at("ada")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn flushes_by_the_interval_come_less_often_while_nothing_can_be_saved() {
    let interval = Duration::from_millis(100);
    let (stage, memory) = built(|b| b.patience(Duration::ZERO).flush_interval(interval)).await;
    stage.faults.always("BatchWriteItem", Fault::access_denied());
    memory.put(player("ada", 1.0)).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert!((10..30).contains(&stage.writes()), "{} requests", stage.writes());
    stage.faults.heal();
    sleep(Duration::from_secs(61)).await;
    assert!(memory.unsaved().is_empty());
}

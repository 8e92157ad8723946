//! Attributes that changes set or take away, told from what is only added to: of a record that was never
//! read, or that others made.

use std::future::Future;
use std::time::Duration;

use memory_table::{MemoryTable, Record};
use serde::{Deserialize, Serialize};

use super::amounts::{add, amount, assign, flush_during, opened, stored, stored_ten};
use super::{ADD, Amount, UPDATE};
use crate::support::{Fault, Stage};

async fn shown(memory: &MemoryTable<Amount>) -> Option<u32> {
    memory.get(1).await.unwrap().expect("a record").wins
}

/// The wins that are stored once all is flushed.
async fn flushed(stage: &Stage<Amount>, memory: &MemoryTable<Amount>) -> Option<u32> {
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert!(memory.unsaved().is_empty());
    stored(stage).await.wins
}

/// The update is refused for now, lost, or done; what runs meanwhile comes after it.
fn faults() -> [Fault; 3] {
    [Fault::none(), Fault::throttled(), Fault::connection_reset().after_applying()]
}

#[tokio::test]
async fn what_the_record_had_and_has_no_more_is_taken_away() {
    for put in [false, true] {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(Some(5))).await.unwrap();
        if put {
            memory.put(amount(None)).await.unwrap();
        } else {
            assign(&memory, None).await;
        }
        assert_eq!(flushed(&stage, &memory).await, None, "by a put: {put}");
    }
}

#[tokio::test]
async fn what_the_record_never_had_stays() {
    let (stage, memory) = stored_ten().await;
    memory.put(amount(None)).await.unwrap();
    memory.put(Amount { exact: 2.into(), ..amount(None) }).await.unwrap();
    assert_eq!(flushed(&stage, &memory).await, Some(10));
}

/// It is set to what the sum was before.
#[tokio::test]
async fn what_is_set_to_the_sum_is_set() {
    for fault in faults() {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        assign(&memory, Some(7)).await;
        flush_during((&stage, &memory), UPDATE, fault, async {
            assign(&memory, Some(5)).await;
        })
        .await;
        assert_eq!(flushed(&stage, &memory).await, Some(5));
    }
}

#[tokio::test]
async fn what_is_taken_away_again_during_the_flight_is_taken_away() {
    for fault in faults() {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        assign(&memory, None).await;
        flush_during((&stage, &memory), UPDATE, fault, async {
            add(&memory, 3).await;
            assert_eq!(shown(&memory).await, Some(3));
            assign(&memory, None).await;
        })
        .await;
        assert_eq!(flushed(&stage, &memory).await, None);
    }
}

#[tokio::test]
async fn what_is_added_while_it_is_taken_away_is_all_there_is() {
    for fault in faults() {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        assign(&memory, None).await;
        flush_during((&stage, &memory), UPDATE, fault, async {
            add(&memory, 2).await;
            add(&memory, 1).await;
            assert_eq!(shown(&memory).await, Some(3));
        })
        .await;
        assert_eq!(flushed(&stage, &memory).await, Some(3));
        assert_eq!(shown(&memory).await, Some(3));
    }
}

/// Others set it once it was taken away, and before the sum is sent.
#[tokio::test]
async fn what_is_added_behind_a_removal_is_added_to_what_others_set_since() {
    for with_a_change in [false, true] {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        assign(&memory, None).await;
        flush_during((&stage, &memory), UPDATE, Fault::none(), async {
            add(&memory, 3).await;
            if with_a_change {
                memory.update_existing(1, |it| it.exact = 2.into()).await.unwrap();
            }
        })
        .await;
        stage.truth.put(&amount(Some(20))).await.unwrap();
        assert_eq!(flushed(&stage, &memory).await, Some(23), "with a change: {with_a_change}");
    }
}

/// What is done to a record.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set(Option<u32>),
    Add(i64),
}

use Step::{Add, Set};

async fn run(memory: &MemoryTable<Amount>, steps: &[Step]) {
    for step in steps {
        match step {
            Add(by) => add(memory, *by).await,
            Set(wins) => assign(memory, *wins).await,
        }
    }
}

/// A record is known to be absent, and others make it with ten wins before it is flushed.
#[tokio::test]
async fn a_record_that_others_made_gets_what_is_set_and_what_is_added() {
    let cases: [(&[Step], Option<u32>); 7] = [
        (&[], Some(10)),
        (&[Add(5)], Some(15)),
        (&[Add(5), Set(Some(7))], Some(7)),
        (&[Add(5), Set(Some(7)), Set(Some(5))], Some(5)),
        (&[Add(5), Set(None)], None),
        (&[Add(5), Set(None), Add(3)], Some(3)),
        (&[Set(Some(4)), Add(3)], Some(7)),
    ];
    for (steps, expected) in cases {
        let (stage, memory) = opened().await;
        assert_eq!(memory.get(1).await.unwrap(), None);
        memory.put(amount(None)).await.unwrap();
        run(&memory, steps).await;
        stage.truth.put(&amount(Some(10))).await.unwrap();
        assert_eq!(flushed(&stage, &memory).await, expected, "{steps:?}");
        assert_eq!(shown(&memory).await, expected, "{steps:?}");
    }
}

/// The same, with more done while the first attempt is in flight, which meets what others made, or while
/// one is in flight before that is refused for now.
#[tokio::test]
async fn what_is_added_during_the_flight_that_takes_it_away_is_not_added_to_what_others_made() {
    for set in [None, Some(0)] {
        for is_refused in [false, true] {
            let (stage, memory) = opened().await;
            assert_eq!(memory.get(1).await.unwrap(), None);
            memory.put(amount(None)).await.unwrap();
            run(&memory, &[Add(5), Set(set)]).await;
            let fault = if is_refused { Fault::throttled() } else { Fault::none() };
            flush_during((&stage, &memory), UPDATE, fault, async {
                stage.truth.put(&amount(Some(10))).await.unwrap();
                add(&memory, 3).await;
            })
            .await;
            let stored = flushed(&stage, &memory).await;
            assert_eq!(stored, Some(3), "set to {set:?}, refused: {is_refused}");
        }
    }
}

/// What is done while the sum is in flight, whose answer comes, or is lost at first.
#[tokio::test]
async fn what_is_set_while_the_sum_is_on_its_way_is_set() {
    let cases: [(&[Step], u32); 3] = [
        (&[Set(Some(7)), Set(Some(5))], 5),
        (&[Add(2), Set(Some(5))], 5),
        (&[Set(Some(7)), Set(Some(5)), Add(2)], 7),
    ];
    for (steps, expected) in cases {
        for fault in [Fault::none(), Fault::connection_reset().after_applying()] {
            let (stage, memory) = stored_ten().await;
            memory.put(amount(None)).await.unwrap();
            add(&memory, 5).await;
            flush_during((&stage, &memory), ADD, fault, async {
                run(&memory, steps).await;
            })
            .await;
            assert_eq!(flushed(&stage, &memory).await, Some(expected), "{steps:?}");
        }
    }
}

/// The record is begun anew while its delete is in flight; then others make it.
#[tokio::test]
async fn what_is_added_behind_a_delete_is_added_to_what_others_made() {
    let cases: [(&[Step], Option<u32>); 4] = [
        (&[Add(3)], Some(13)),
        (&[Set(Some(5)), Set(None)], None),
        (&[Set(Some(5)), Add(3)], Some(8)),
        (&[], Some(10)),
    ];
    for (steps, expected) in cases {
        let (stage, memory) = stored_ten().await;
        assert_eq!(shown(&memory).await, Some(10));
        memory.delete(1).await.unwrap();
        flush_during((&stage, &memory), "BatchWriteItem", Fault::none(), async {
            memory.put(amount(None)).await.unwrap();
            run(&memory, steps).await;
        })
        .await;
        assert_eq!(stage.truth.get_consistent(1).await.unwrap(), None);
        stage.truth.put(&amount(Some(10))).await.unwrap();
        assert_eq!(flushed(&stage, &memory).await, expected, "{steps:?}");
    }
}

/// The sum was shown by a table that writes records as a whole, before the call that merges.
#[tokio::test]
async fn what_was_added_before_a_merge_is_added_to_what_others_made() {
    let stage = Stage::<Amount>::new().await;
    let memory = stage.memory();
    assert_eq!(memory.get(1).await.unwrap(), None);
    add(&memory, 5).await;
    let now = memory.get(1).await.unwrap().unwrap();
    memory.merge(Amount { exact: 2.into(), ..(*now).clone() }).await.unwrap();
    stage.truth.put(&amount(Some(10))).await.unwrap();
    assert_eq!(flushed(&stage, &memory).await, Some(15));
    assert_eq!(shown(&memory).await, Some(15));
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "entries")]
struct Entry {
    #[record(partition_key)]
    id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wins: Option<u32>,
    #[serde(default)]
    text: String,
}

/// An update has run and waits for room, which the flush makes that saves the record.
#[tokio::test]
async fn an_update_that_waits_does_not_set_what_was_added_before() {
    let stage = Stage::<Entry>::new().await;
    let entry = |id, wins| Entry { id, wins, text: String::new() };
    stage.truth.put(&entry(1, Some(10))).await.unwrap();
    let memory = stage.builder().field_wise().max_unsaved_bytes(1_000).build().unwrap();
    memory.put(entry(1, None)).await.unwrap();
    memory.increment(1, Entry::FIELDS.wins, 5).await.unwrap();
    memory.put(Entry { text: "x".repeat(600), ..entry(2, None) }).await.unwrap();
    let update = memory.update_existing(1, |it| it.text = "y".repeat(600));
    tokio::time::timeout(Duration::from_secs(60), update).await.unwrap().unwrap();
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
    assert_eq!((stored.wins, stored.text.len()), (Some(15), 600));
}

/// An update has run and waits for room, which the flush makes that writes the item of its record; what it
/// set is as it is stored then, and others change it.
#[tokio::test]
async fn what_an_update_compared_with_before_it_was_stored_is_not_written_again() {
    let stage = Stage::<Entry>::new().await;
    let entry = |id, wins| Entry { id, wins, text: String::new() };
    let memory = stage.builder().field_wise().max_unsaved_bytes(1_000).build().unwrap();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(entry(1, None)).await.unwrap();
    memory.put(Entry { text: "x".repeat(600), ..entry(2, None) }).await.unwrap();
    let long = |it: &mut Entry| (it.wins, it.text) = (Some(5), "y".repeat(600));
    memory.update_existing(1, long).await.unwrap();
    memory.update_existing(1, |it| (it.wins, it.text) = (None, String::new())).await.unwrap();
    stage.truth.put(&entry(1, Some(10))).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().wins, Some(10));
}

/// Everything is forgotten while the function of an update runs.
#[tokio::test]
async fn a_reset_does_not_take_from_a_running_update_what_it_sets() {
    for set in [Some(7), None, Some(5)] {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        let other = memory.clone();
        let update = memory.update_existing(1, move |it| {
            let mut reset = std::pin::pin!(other.reset_forced());
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(reset.as_mut().poll(&mut cx).is_ready());
            it.wins = set;
        });
        update.await.unwrap();
        // What it leaves as it was is not in memory any more, and was never stored.
        let expected = if set == Some(5) { Some(10) } else { set };
        assert_eq!(flushed(&stage, &memory).await, expected, "set to {set:?}");
    }
}

/// The sum is refused for now.
#[tokio::test]
async fn a_sum_from_before_a_delete_does_not_come_back() {
    let (stage, memory) = stored_ten().await;
    assert_eq!(shown(&memory).await, Some(10));
    add(&memory, 5).await;
    flush_during((&stage, &memory), ADD, Fault::throttled(), async {
        memory.delete(1).await.unwrap();
        memory.put(amount(None)).await.unwrap();
    })
    .await;
    add(&memory, 3).await;
    assert_eq!(shown(&memory).await, Some(3));
    assert_eq!(flushed(&stage, &memory).await, Some(3));
}

/// A record of another key takes the place of one that was only added to.
#[tokio::test]
async fn a_sum_from_before_a_rekey_does_not_come_back() {
    let (stage, memory) = stored_ten().await;
    memory.put(Amount { id: 2, ..amount(None) }).await.unwrap();
    add(&memory, 5).await;
    memory.rekey(2, 1, |it| it.id = 1).await.unwrap();
    assert_eq!(shown(&memory).await, None);
    add(&memory, 3).await;
    assert_eq!(shown(&memory).await, Some(3));
    assert_eq!(flushed(&stage, &memory).await, Some(3));
}

/// It is one request, and nobody sees the attribute with another value in between.
#[tokio::test]
async fn what_is_set_to_the_sum_goes_with_the_record_that_is_made() {
    let (stage, memory) = opened().await;
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(amount(None)).await.unwrap();
    run(&memory, &[Add(5), Set(Some(7)), Set(Some(5))]).await;
    assert_eq!(memory.flush().await.unwrap().requests, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap(), Some(amount(Some(5))));
}

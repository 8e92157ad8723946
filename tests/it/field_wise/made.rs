//! Items that field-wise writes make, and that others make at the same time.

use std::time::Duration;

use memory_table::{MemoryTable, Record, Resolution};
use serde::{Deserialize, Serialize};

use super::{ADD, UPDATE};
use crate::support::{Fault, Gate, Stage};

/// All of its attributes must be there.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "seats")]
struct Seat {
    #[record(partition_key)]
    id: u32,
    holder: String,
    sold: u32,
}

fn seat(holder: &str, sold: u32) -> Seat {
    Seat { id: 1, holder: holder.into(), sold }
}

/// A seat that was known to be absent is put and sold twice; the increments are part of what is made.
async fn sold_twice(sold: u32) -> (Stage<Seat>, MemoryTable<Seat>) {
    let stage = Stage::<Seat>::new().await;
    let memory = stage.builder().field_wise().build().unwrap();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(seat("ours", sold)).await.unwrap();
    memory.increment(1, Seat::FIELDS.sold, 2).await.unwrap();
    (stage, memory)
}

#[tokio::test]
async fn an_item_is_made_whole_and_its_increments_go_behind_it() {
    for (sold, requests) in [(0, 2), (5, 1)] {
        let (stage, memory) = sold_twice(sold).await;
        let made = stage.faults.hold_next(ADD);
        let flushed = async {
            let report = memory.flush().await.unwrap();
            assert_eq!((report.written, report.requests), (1, requests));
        };
        let looked = async {
            if requests == 2 {
                made.reached().await;
                assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", sold)));
            }
            made.open();
        };
        tokio::join!(flushed, looked);
        assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", sold + 2)));
        memory.increment(1, Seat::FIELDS.sold, 1).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", sold + 3)));
        assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&seat("ours", sold + 3)));
    }
}

/// What was only added to is added to what they have, though of both items nothing makes a record.
#[tokio::test]
async fn where_others_made_it_the_increments_are_added_to_theirs() {
    let (stage, memory) = sold_twice(0).await;
    stage.truth.put(&seat("theirs", 40)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.failed.len()), (1, 0));
    assert_eq!(report.conflicts[0].resolution, Resolution::Overwritten);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", 42)));
    assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&seat("ours", 42)));
}

/// Increments that come while the item is being made.
#[tokio::test]
async fn what_is_added_while_others_make_it_is_added_to_theirs() {
    let stage = Stage::<Seat>::new().await;
    let memory = stage.builder().field_wise().build().unwrap();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(seat("ours", 0)).await.unwrap();
    stage.truth.put(&seat("theirs", 40)).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.increment(1, Seat::FIELDS.sold, 2).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", 42)));
}

/// The answer to what made the item is lost; there are more increments since, by others too.
#[tokio::test]
async fn an_item_whose_making_was_not_heard_of_has_each_increment_once() {
    for (landed, others) in [(true, 100), (true, 0), (false, 0)] {
        let stage = Stage::<Seat>::new().await;
        let memory = stage.builder().field_wise().patience(Duration::ZERO).build().unwrap();
        assert_eq!(memory.get(1).await.unwrap(), None);
        memory.put(seat("ours", 0)).await.unwrap();
        memory.increment(1, Seat::FIELDS.sold, 2).await.unwrap();
        let reset = Fault::connection_reset();
        stage.faults.next(UPDATE, if landed { reset.after_applying() } else { reset });
        memory.flush().await.unwrap_err();
        if others > 0 {
            stage.truth.increment(1, Seat::FIELDS.sold, others).await.unwrap();
        }
        memory.increment(1, Seat::FIELDS.sold, 1).await.unwrap();
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.failed.len()), (1, 0), "landed: {landed}");
        let sold = 3 + u32::try_from(others).unwrap();
        assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", sold)), "{landed}");
        assert_eq!(memory.unsaved().len(), 0);
    }
}

/// Two make the same item, and the request of the one never arrives.
#[tokio::test]
async fn the_same_item_made_by_two_has_the_increments_of_both() {
    let (stage, one) = sold_twice(0).await;
    let other = stage.builder().field_wise().build().unwrap();
    assert_eq!(other.get(1).await.unwrap(), None);
    other.put(seat("ours", 0)).await.unwrap();
    other.increment(1, Seat::FIELDS.sold, 5).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let truth = &stage.truth;
    let (made, ()) = tokio::join!(one.flush(), async {
        gate.reached().await;
        assert_eq!(truth.get(1).await.unwrap(), Some(seat("ours", 0)));
        stage.faults.next(UPDATE, Fault::connection_reset());
        assert_eq!(other.flush().await.unwrap().failed.len(), 0);
        gate.open();
    });
    assert_eq!(made.unwrap().failed.len(), 0);
    assert_eq!(truth.get(1).await.unwrap(), Some(seat("ours", 7)));
}

/// What is known of the item is what was written of it: a change of one attribute writes that alone.
#[tokio::test]
async fn a_change_behind_increments_of_a_partly_known_item_leaves_the_rest() {
    let (stage, memory) = sold_twice(0).await;
    stage.truth.put(&seat("theirs", 40)).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update_existing(1, |seat| seat.holder = "again".into()).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("again", 42)));
}

/// A delete takes with it what was added before.
#[tokio::test]
async fn what_was_added_before_a_delete_is_not_added_to_what_others_made() {
    let (stage, memory) = sold_twice(0).await;
    stage.truth.put(&seat("theirs", 40)).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset());
    let (gate, truth) = (Gate::new(), &stage.truth);
    stage.faults.next(UPDATE, Fault::none().held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.delete(1).await.unwrap();
        memory.put(seat("again", 1)).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(truth.get(1).await.unwrap(), Some(seat("again", 1)));
}

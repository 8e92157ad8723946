//! Items that field-wise writes make, and that others make at the same time.

use std::time::Duration;

use memory_table::{MemoryTable, Record, Resolution};
use serde::{Deserialize, Serialize};

use super::UPDATE;
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
async fn an_item_is_made_with_its_increments_and_never_without() {
    for sold in [0, 5] {
        let (stage, memory) = sold_twice(sold).await;
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.requests), (1, 1));
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

/// The answer to what made the item is lost, and there are more increments since.
#[tokio::test]
async fn an_item_whose_making_was_not_heard_of_has_each_increment_once() {
    for landed in [true, false] {
        let (stage, _) = sold_twice(0).await;
        let memory = stage.builder().field_wise().patience(Duration::ZERO).build();
        let memory = memory.unwrap();
        assert_eq!(memory.get(1).await.unwrap(), None);
        memory.put(seat("ours", 0)).await.unwrap();
        memory.increment(1, Seat::FIELDS.sold, 2).await.unwrap();
        let reset = Fault::connection_reset();
        stage.faults.next(UPDATE, if landed { reset.after_applying() } else { reset });
        memory.flush().await.unwrap_err();
        if landed {
            stage.truth.increment(1, Seat::FIELDS.sold, 100).await.unwrap();
            stage.truth.increment(1, Seat::FIELDS.sold, -100).await.unwrap();
        }
        memory.increment(1, Seat::FIELDS.sold, 1).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1, "landed: {landed}");
        assert_eq!(stage.truth.get(1).await.unwrap(), Some(seat("ours", 3)), "landed: {landed}");
        assert_eq!(memory.unsaved().len(), 0);
    }
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

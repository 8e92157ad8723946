//! Attributes that are added to and that the record, never read, does not set.

use memory_table::MemoryTable;

use super::{Amount, UPDATE};
use crate::support::Stage;

const ADD: &str = "TransactWriteItems";

fn amount(wins: Option<u32>) -> Amount {
    Amount { id: 1, wins, exact: 1.into() }
}

/// Ten wins are stored, and nothing is read.
async fn stored_ten() -> (Stage<Amount>, MemoryTable<Amount>) {
    let stage = Stage::<Amount>::new().await;
    stage.truth.put(&amount(Some(10))).await.unwrap();
    let memory = stage.builder().field_wise().build().unwrap();
    (stage, memory)
}

async fn stored(stage: &Stage<Amount>) -> Amount {
    stage.truth.get_consistent(1).await.unwrap().expect("an item")
}

#[tokio::test]
async fn what_is_not_set_is_added_to_what_is_stored() {
    for (before, behind) in [(5, 0), (0, 5), (5, 2)] {
        let (stage, memory) = stored_ten().await;
        if before > 0 {
            memory.increment(1, Amount::FIELDS.wins, before).await.unwrap();
        }
        memory.put(amount(None)).await.unwrap();
        if behind > 0 {
            memory.increment(1, Amount::FIELDS.wins, behind).await.unwrap();
            let shown = memory.get(1).await.unwrap().unwrap().wins;
            assert_eq!(shown, u32::try_from(before + behind).ok(), "{before} and {behind}");
        }
        assert_eq!(memory.flush().await.unwrap().written, 1);
        let wins = u32::try_from(10 + before + behind).ok();
        assert_eq!(stored(&stage).await, amount(wins), "{before} and {behind}");
        assert_eq!(memory.get(1).await.unwrap().unwrap().wins, wins);
    }
}

/// The update of the record is in flight, or the increments behind it are.
#[tokio::test]
async fn what_is_not_set_is_added_though_the_record_changes_meanwhile() {
    for shown in [false, true] {
        for held in [UPDATE, ADD] {
            let (stage, memory) = stored_ten().await;
            if shown {
                memory.put(amount(None)).await.unwrap();
            }
            memory.increment(1, Amount::FIELDS.wins, 5).await.unwrap();
            if !shown {
                memory.put(amount(None)).await.unwrap();
            }
            let gate = stage.faults.hold_next(held);
            let (flushed, ()) = tokio::join!(memory.flush(), async {
                gate.reached().await;
                memory.update_existing(1, |it| it.exact = 2.into()).await.unwrap();
                gate.open();
            });
            assert_eq!(flushed.unwrap().failed.len(), 0);
            assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
            let expected = Amount { exact: 2.into(), ..amount(Some(15)) };
            assert_eq!(stored(&stage).await, expected, "shown: {shown}, held: {held}");
        }
    }
}

#[tokio::test]
async fn what_is_set_after_it_was_added_to_is_set() {
    for set in [None, Some(0), Some(3)] {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        memory.increment(1, Amount::FIELDS.wins, 5).await.unwrap();
        memory.update_existing(1, |it| it.wins = set).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stored(&stage).await, amount(set));
    }
}

/// What the update takes away is not taken away again behind it, when others have set it since.
#[tokio::test]
async fn what_was_taken_away_is_written_once() {
    let (stage, memory) = stored_ten().await;
    memory.put(amount(None)).await.unwrap();
    memory.increment(1, Amount::FIELDS.wins, 5).await.unwrap();
    memory.increment(1, Amount::FIELDS.exact, 1).await.unwrap();
    memory.update_existing(1, |it| it.wins = None).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.increment(1, Amount::FIELDS.exact, 1).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    stage.truth.put(&Amount { exact: 2.into(), ..amount(Some(9)) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stored(&stage).await.wins, Some(9));
}

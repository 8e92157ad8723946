//! Attributes that are added to and that the record, never read, does not set.

use super::amounts::{add, amount, assign, flush_during, stored, stored_ten};
use super::{ADD, Amount, UPDATE};
use crate::support::{Fault, Stage};

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
            flush_during((&stage, &memory), held, Fault::none(), async {
                memory.update_existing(1, |it| it.exact = 2.into()).await.unwrap();
            })
            .await;
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
    flush_during((&stage, &memory), UPDATE, Fault::none(), async {
        memory.increment(1, Amount::FIELDS.exact, 1).await.unwrap();
    })
    .await;
    stage.truth.put(&Amount { exact: 2.into(), ..amount(Some(9)) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stored(&stage).await.wins, Some(9));
}

#[tokio::test]
async fn what_is_added_after_it_was_taken_away_is_all_there_is() {
    for again in [false, true] {
        let (stage, memory) = stored_ten().await;
        memory.put(amount(None)).await.unwrap();
        add(&memory, 5).await;
        assign(&memory, None).await;
        add(&memory, 3).await;
        assert_eq!(memory.get(1).await.unwrap().unwrap().wins, Some(3));
        if again {
            assign(&memory, None).await;
        }
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stored(&stage).await.wins, (!again).then_some(3));
    }
}

/// The increments that are in flight meanwhile are applied, or refused for now.
#[tokio::test]
async fn what_is_added_behind_increments_in_flight_is_added() {
    for fault in [Fault::none(), Fault::throttled()] {
        let (stage, memory) = stored_ten().await;
        add(&memory, 5).await;
        flush_during((&stage, &memory), ADD, fault, async {
            memory.put(amount(None)).await.unwrap();
            add(&memory, 3).await;
        })
        .await;
        assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
        assert_eq!(stored(&stage).await.wins, Some(18));
        assert_eq!(memory.get(1).await.unwrap().unwrap().wins, Some(18));
    }
}

/// What is set is in flight, and is refused for now.
#[tokio::test]
async fn what_was_set_is_set_again_with_what_is_added_meanwhile() {
    let (stage, memory) = stored_ten().await;
    memory.put(amount(None)).await.unwrap();
    add(&memory, 5).await;
    assign(&memory, Some(0)).await;
    flush_during((&stage, &memory), UPDATE, Fault::throttled(), async {
        add(&memory, 3).await;
    })
    .await;
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stored(&stage).await.wins, Some(3));
}

#[tokio::test]
async fn what_is_taken_away_is_taken_away_though_an_answer_is_lost() {
    let (stage, memory) = stored_ten().await;
    memory.put(amount(None)).await.unwrap();
    add(&memory, 5).await;
    assign(&memory, None).await;
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage).await.wins, None);
}

#[tokio::test]
async fn what_is_added_and_taken_away_during_a_flight_is_taken_away() {
    let (stage, memory) = stored_ten().await;
    memory.put(amount(None)).await.unwrap();
    flush_during((&stage, &memory), UPDATE, Fault::none(), async {
        add(&memory, 5).await;
        assign(&memory, None).await;
    })
    .await;
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stored(&stage).await.wins, None);
}

#[tokio::test]
async fn a_sum_of_nothing_takes_nothing_away() {
    for (before, behind) in [(0, 0), (5, -5), (-3, 3)] {
        let (stage, memory) = stored_ten().await;
        if before != 0 {
            memory.increment(1, Amount::FIELDS.wins, before).await.unwrap();
        }
        memory.put(amount(None)).await.unwrap();
        memory.increment(1, Amount::FIELDS.wins, behind).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stored(&stage).await, amount(Some(10)), "{before} and {behind}");
    }
}

/// Put as a whole, the record has what was added to it before.
#[tokio::test]
async fn a_guarded_put_has_what_was_added() {
    let stage = Stage::<Amount>::new().await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.put(amount(None)).await.unwrap();
    add(&memory, 5).await;
    let shown = memory.get(1).await.unwrap().unwrap();
    memory.put_guarded(Amount { exact: 2.into(), ..(*shown).clone() }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let expected = Amount { exact: 2.into(), ..amount(Some(5)) };
    assert_eq!(stored(&stage).await, expected);
    assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&expected));
}

//! How much is kept, and how much may be unsaved.

use super::{Player, SECOND, Stage, WRITE, player, players, rating};
use crate::ErrorKind;
use crate::testing::Fault;

#[tokio::test(start_paused = true)]
async fn what_is_unsaved_is_never_let_go_and_what_is_saved_is() {
    let stage = Stage::with(players(60)).await;
    let builder = stage.builder().capacity_records(20).flush_at_records(10);
    let memory = builder.build().unwrap();
    // Those that are saved are asked for more often, so that the policy would keep them.
    for player in players(19).skip(9).cycle().take(100) {
        memory.get(player.name).await.unwrap().unwrap();
    }
    for Player { name, .. } in players(9) {
        memory.update(name, |player| player.rating += 100).await.unwrap();
    }
    for player in players(60) {
        memory.get(player.name).await.unwrap().unwrap();
        assert!(memory.stats().cached <= 20);
    }
    assert_eq!(memory.unsaved().len(), 9);
    for Player { name, rating: before } in players(9) {
        assert_eq!(rating(&memory, &name).await, Some(before + 100));
    }
    assert_eq!((memory.flush().await.unwrap().written, stage.stored("p08").await), (9, Some(108)));
}

#[tokio::test(start_paused = true)]
async fn a_change_beyond_the_hard_mark_waits_for_room_and_is_an_error_if_there_is_none() {
    let stage = Stage::with([]).await;
    let builder = stage.builder().max_unsaved_records(10).flush_at_records(5);
    let memory = builder.put_timeout(7 * SECOND).build().unwrap();
    let gate = stage.faults.hold_next(WRITE);
    for player in players(10) {
        memory.put(player).await.unwrap();
    }
    gate.reached().await;
    let late = tokio::spawn({
        let memory = memory.clone();
        async move { memory.put(player("late", 1)).await }
    });
    tokio::time::sleep(5 * SECOND).await;
    assert!(!late.is_finished(), "there is no room");
    gate.open();
    late.await.unwrap().unwrap();
    assert_eq!(rating(&memory, "late").await, Some(1));
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!(stage.stored("late").await, Some(1));

    stage.faults.always(WRITE, Fault::access_denied());
    for player in players(10) {
        memory.put(Player { rating: 50, ..player }).await.unwrap();
    }
    let error = memory.put(player("more", 1)).await.unwrap_err();
    assert_eq!((error.kind(), memory.unsaved().len()), (ErrorKind::Timeout, 10));
}

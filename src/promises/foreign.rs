//! Others who write the same records.

use super::{Stage, WRITE, player, rating};
use crate::{ErrorKind, Guard, MemoryTable, OnConflict, Resolution};

/// Ada and bob are loaded and changed here, ada by somebody else too.
async fn met(policy: Option<OnConflict<super::Player>>) -> (Stage, MemoryTable<super::Player>) {
    let stage = Stage::with([player("ada", 1), player("bob", 1)]).await;
    let memory = match policy {
        None => stage.memory(),
        Some(policy) => stage.builder().guarded(Guard::Item).on_conflict(policy).build().unwrap(),
    };
    for name in ["ada", "bob"] {
        memory.update(name, |player| player.rating += 2).await.unwrap();
    }
    stage.truth.put(&player("ada", 40)).await.unwrap();
    (stage, memory)
}

#[tokio::test(start_paused = true)]
async fn what_others_changed_is_overwritten_kept_or_merged_as_said_and_stops_nobody() {
    let (stage, memory) = met(None).await;
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!((stage.stored("ada").await, stage.writes()), (Some(3), 1), "plain records replace");

    let (stage, memory) = met(Some(OnConflict::Fail)).await;
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.failed.len()), (1, 1), "bob is written");
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!((stage.stored("ada").await, rating(&memory, "ada").await), (Some(40), Some(3)));
    assert_eq!(memory.unsaved().len(), 1);

    let (stage, memory) = met(Some(OnConflict::Overwrite)).await;
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts[0].resolution), (2, Resolution::Overwritten));
    assert_eq!(stage.stored("ada").await, Some(3));

    let sum = OnConflict::merge(|base: Option<&super::Player>, mine, theirs| {
        let rating = |player: Option<&super::Player>| player.map_or(0, |player| player.rating);
        Some(player("ada", rating(theirs) + rating(mine) - rating(base)))
    });
    let (stage, memory) = met(Some(sum)).await;
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts[0].resolution), (2, Resolution::Merged));
    assert_eq!(report.conflicts[0].key.to_string(), "\"ada\"");
    assert_eq!((stage.stored("ada").await, rating(&memory, "ada").await), (Some(42), Some(42)));
    assert_eq!(stage.faults.count(WRITE), 0, "what has a condition goes alone");
}

//! Changes, and what a flush makes of them.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::Instant;

use super::{SECOND, Stage, WRITE, player, players, rating, settled};
use crate::testing::{Fault, Faults, Gate};
use crate::{Database, MemoryTable, Record};

#[tokio::test(start_paused = true)]
async fn a_record_changed_while_it_is_written_stays_unsaved_and_goes_with_the_next_flush() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    memory.put(player("ada", 1)).await.unwrap();
    let gate = stage.faults.hold_next(WRITE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let put = memory.put(player("ada", 2)).now_or_never();
        put.expect("a writer never waits for a flush").unwrap();
        gate.open();
    });
    assert_eq!((flushed.unwrap().written, memory.unsaved().len()), (1, 1));
    assert_eq!((stage.stored("ada").await, rating(&memory, "ada").await), (Some(1), Some(2)));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((stage.stored("ada").await, memory.unsaved().len()), (Some(2), 0));
}

#[tokio::test(start_paused = true)]
async fn of_puts_and_deletes_of_a_key_only_the_newest_is_sent() {
    let stage = Stage::with(players(2)).await;
    let memory = stage.memory();
    memory.put(player("p00", 7)).await.unwrap();
    memory.delete("p00").await.unwrap();
    memory.delete("p01").await.unwrap();
    memory.put(player("p01", 8)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1));
    let requests = stage.faults.requests(WRITE);
    assert_eq!((requests.len(), requests[0].entries().len()), (1, 2));
    assert_eq!((stage.stored("p00").await, stage.stored("p01").await), (None, Some(8)));
}

#[tokio::test(start_paused = true)]
async fn put_then_delete_is_sent_unless_the_key_was_read_as_absent() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    memory.put(player("ada", 2)).await.unwrap();
    memory.delete("ada").await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1, "it was never read");
    assert_eq!(stage.stored("ada").await, None);

    assert_eq!(rating(&memory, "bob").await, None);
    memory.put(player("bob", 1)).await.unwrap();
    memory.delete("bob").await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0), "it was read as absent");
}

#[tokio::test(start_paused = true)]
async fn the_delete_of_a_put_whose_answer_is_missing_is_sent() {
    let stage = Stage::with([]).await;
    let memory = stage.impatient();
    assert_eq!(rating(&memory, "ada").await, None);
    memory.put(player("ada", 1)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().after_applying());
    memory.flush().await.unwrap_err();
    memory.delete("ada").await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert_eq!(stage.stored("ada").await, None);
}

/// A map that serializes in the order of its list, as a hash map does in any.
#[derive(Deserialize, Clone, Default)]
#[serde(from = "HashMap<String, u32>")]
struct Ordered(Vec<(String, u32)>);

impl From<HashMap<String, u32>> for Ordered {
    fn from(map: HashMap<String, u32>) -> Self {
        let mut list: Vec<_> = map.into_iter().collect();
        list.sort();
        Self(list)
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "scores")]
struct Scores {
    #[record(partition_key)]
    game: String,
    #[serde(default)]
    points: Ordered,
}

#[tokio::test(start_paused = true)]
async fn what_equals_what_is_stored_costs_no_write_whatever_order_a_map_has() {
    let (database, faults) = Faults::around(&Database::embedded().unwrap());
    let table = database.table::<Scores>();
    table.create_if_missing().await.unwrap();
    let points = Ordered(vec![("ada".to_owned(), 1), ("bob".to_owned(), 2)]);
    table.put(&Scores { game: "chess".to_owned(), points }).await.unwrap();
    let memory = MemoryTable::new(table);
    memory.update("chess", |scores| scores.points.0.reverse()).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.written, faults.count(WRITE)), (1, 0, 0));
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test(start_paused = true)]
async fn a_second_flush_joins_the_first_and_no_key_is_in_two_requests() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    memory.put(player("ada", 1)).await.unwrap();
    let gate = stage.faults.hold_next(WRITE);
    let flush = |memory: &MemoryTable<_>| {
        let memory = memory.clone();
        tokio::spawn(async move { memory.flush().await.unwrap().written })
    };
    let first = flush(&memory);
    gate.reached().await;
    let joined = flush(&memory);
    settled().await;
    memory.put(player("ada", 2)).await.unwrap();
    let next = flush(&memory);
    settled().await;
    assert_eq!(stage.writes(), 1, "the key is in flight");
    gate.open();
    assert_eq!((first.await.unwrap(), joined.await.unwrap(), next.await.unwrap()), (1, 1, 1));
    assert_eq!((stage.writes(), stage.stored("ada").await), (2, Some(2)));
    assert_eq!(stage.faults.broken_rules(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_flush_whose_caller_went_away_goes_on() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    for player in players(30) {
        memory.put(player).await.unwrap();
    }
    let mut flush = Box::pin(memory.flush());
    assert!((&mut flush).now_or_never().is_none(), "it has begun");
    drop(flush);
    settled().await;
    assert_eq!((stage.count().await, memory.unsaved().len()), (30, 0));

    memory.put(player("ada", 1)).await.unwrap();
    let gate = stage.faults.hold_next(WRITE);
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await.map(drop) }
    });
    gate.reached().await;
    flush.abort();
    assert_eq!(memory.unsaved().len(), 1, "what is in flight is unsaved too");
    gate.open();
    settled().await;
    assert_eq!((stage.stored("ada").await, memory.unsaved().len()), (Some(1), 0));
}

#[tokio::test(start_paused = true)]
async fn a_newer_value_waits_until_an_older_request_without_an_answer_has_landed() {
    let stage = Stage::with([]).await;
    let memory = stage.impatient();
    let late = || Fault::connection_reset().applied_late(4 * SECOND);
    memory.put(player("ada", 1)).await.unwrap();
    stage.faults.next(WRITE, late());
    memory.flush().await.unwrap_err();
    let began = Instant::now();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(began.elapsed(), Duration::ZERO, "the same value is sent again at once");

    memory.put(player("bob", 1)).await.unwrap();
    stage.faults.next(WRITE, late());
    memory.flush().await.unwrap_err();
    memory.put(player("bob", 2)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(stage.stored("bob").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_unprocessed_goes_again_with_its_current_value() {
    let stage = Stage::with([player("bob", 1)]).await;
    let memory = stage.memory();
    memory.put(player("ada", 1)).await.unwrap();
    memory.put(player("bob", 2)).await.unwrap();
    let gate = Gate::new();
    stage.faults.next(WRITE, Fault::unprocessed().held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(player("ada", 5)).await.unwrap();
        memory.delete("bob").await.unwrap();
        gate.open();
    });
    let report = flushed.unwrap();
    assert_eq!((report.written, report.deleted, report.unprocessed, report.requests), (1, 1, 2, 2));
    assert_eq!((stage.stored("ada").await, stage.stored("bob").await), (Some(5), None));
    assert_eq!(memory.unsaved(), []);
}

//! Functions of the user's that go wrong, and runtimes that end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::executor::block_on;
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::timeout;

use super::{SECOND, Stage, WRITE, player, rating};
use crate::testing::Faults;
use crate::{Database, ErrorKind, MemoryTable, Record};

#[tokio::test(start_paused = true)]
async fn a_change_of_the_key_is_an_error_that_names_both_and_changes_nothing() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    let renamed = memory.update("ada", |player| player.name = "bob".to_owned()).await;
    let error = renamed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(["\"ada\"", "\"bob\""].iter().all(|key| error.to_string().contains(key)), "{error}");
    assert_eq!((memory.unsaved().len(), rating(&memory, "ada").await), (0, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_update_leaves_the_record_and_the_next_update_runs() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    let panicking = memory.update("ada", |player| {
        player.rating = 99;
        panic!("not today");
    });
    assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    assert_eq!((memory.unsaved().len(), rating(&memory, "ada").await), (0, Some(1)));
    let next = timeout(SECOND, memory.update("ada", |player| player.rating += 1)).await;
    assert_eq!(next.expect("no deadlock").unwrap().rating, 2);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_calls_back_gets_an_error_or_its_answer() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    let changed = memory.update("ada", |ada| {
        let error = block_on(memory.put(player("ada", 5))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reentrant);
        assert_eq!(block_on(rating(&memory, "ada")), Some(1));
        block_on(memory.put(player("bob", 1))).unwrap();
        ada.rating = 2;
    });
    assert_eq!(timeout(SECOND, changed).await.expect("no deadlock").unwrap().rating, 2);
    assert_eq!((rating(&memory, "ada").await, rating(&memory, "bob").await), (Some(2), Some(1)));
}

static MOOD: AtomicBool = AtomicBool::new(true);

fn in_a_good_mood<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize,
    S: Serializer,
{
    assert!(MOOD.load(Ordering::SeqCst), "not today");
    value.serialize(serializer)
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "moody")]
struct Moody {
    #[record(partition_key)]
    name: String,
    #[serde(serialize_with = "in_a_good_mood")]
    rating: u32,
}

#[tokio::test(start_paused = true)]
async fn a_serialize_that_panics_in_a_flush_parks_its_record() {
    let (database, _faults) = Faults::around(&Database::embedded().unwrap());
    let table = database.table::<Moody>();
    table.create_if_missing().await.unwrap();
    let memory = MemoryTable::new(table);
    memory.put(Moody { name: "ada".to_owned(), rating: 1 }).await.unwrap();
    MOOD.store(false, Ordering::SeqCst);
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.report().parked.len(), memory.unsaved().len()), (1, 1));
    MOOD.store(true, Ordering::SeqCst);
    memory.put(Moody { name: "ada".to_owned(), rating: 2 }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

/// The request landed and nobody heard of it, so even the old value is to be written.
#[test]
fn a_runtime_shut_down_in_the_middle_of_a_flush_loses_nothing() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let first = runtime();
    let (stage, memory) = first.block_on(async {
        let stage = Stage::with([player("ada", 1), player("bob", 1)]).await;
        let memory = stage.memory();
        memory.update("ada", |player| player.rating = 2).await.unwrap();
        memory.update("bob", |player| player.rating = 2).await.unwrap();
        let gate = stage.faults.hold_next_answer(WRITE);
        let held = memory.clone();
        tokio::spawn(async move { held.flush().await.map(drop) });
        gate.reached().await;
        (stage, memory)
    });
    drop(first);
    assert_eq!(memory.unsaved().len(), 2);
    runtime().block_on(async {
        memory.update("ada", |player| player.rating = 1).await.unwrap();
        let flushed = timeout(60 * SECOND, memory.flush()).await.expect("the flush goes on");
        assert_eq!(flushed.unwrap().written, 2);
        assert_eq!((stage.stored("ada").await, stage.stored("bob").await), (Some(1), Some(2)));
        assert_eq!(memory.unsaved(), []);
    });
}

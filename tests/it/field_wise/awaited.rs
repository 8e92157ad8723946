//! Changes that wait for room while what they began from is written.

use memory_table::{Guard, MemoryTableBuilder, Record};
use serde::{Deserialize, Serialize};

use super::{number, store};
use crate::support::{Fault, Stage};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "notes")]
struct Note {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    n: u32,
    #[serde(default)]
    text: String,
    /// Items lack it.
    #[serde(default)]
    rating: u32,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "pages")]
struct Versioned {
    #[record(partition_key)]
    id: u32,
    #[record(version)]
    #[serde(default)]
    version: u64,
    #[serde(default)]
    n: u32,
    #[serde(default)]
    text: String,
}

/// Room for less than two of these.
const ROOM: usize = 1_000;

fn long() -> String {
    "x".repeat(600)
}

/// An increment is applied while an update of its record waits for the room that is made by that.
#[tokio::test]
async fn what_the_type_does_not_know_stays() {
    for built in [|it| it, MemoryTableBuilder::<Note>::field_wise] {
        let stage = Stage::<Note>::new().await;
        store(&stage, &[("n", number(1)), ("foreign", number(9))]).await;
        let memory = built(stage.builder().max_unsaved_bytes(ROOM)).build().unwrap();
        memory.get(1).await.unwrap().expect("a note");
        memory.increment(1, Note::FIELDS.n, 1).await.unwrap();
        memory.put(Note { id: 2, n: 0, text: long(), rating: 0 }).await.unwrap();
        memory.update_existing(1, |it| it.text = long()).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
        let item = stage.truth.get_item(1).await.unwrap().unwrap();
        assert_eq!((&item["n"], &item["foreign"]), (&number(2), &number(9)));
        let known = memory.get(1).await.unwrap().unwrap();
        assert_eq!((known.n, known.text.len()), (2, 600));
    }
}

#[tokio::test]
async fn a_version_that_the_increment_raised_is_no_conflict() {
    let stage = Stage::<Versioned>::new().await;
    let stored = Versioned { id: 1, version: 4, n: 1, text: String::new() };
    stage.truth.put(&stored).await.unwrap();
    let memory = stage.builder().max_unsaved_bytes(ROOM).build().unwrap();
    memory.get(1).await.unwrap().expect("a page");
    memory.increment(1, Versioned::FIELDS.n, 1).await.unwrap();
    memory.put(Versioned { id: 2, text: long(), version: 0, n: 0 }).await.unwrap();
    memory.update_existing(1, |it| it.text = long()).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.conflicts.len(), report.failed.len()), (0, 0));
    let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
    assert_eq!((stored.n, stored.text.len()), (2, 600));
    assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&stored));
}

/// A page that others change between the load and the update's end, all of it forgotten meanwhile.
#[tokio::test]
async fn a_reset_does_not_take_the_guard_from_a_running_update() {
    let stage = Stage::<Versioned>::new().await;
    let stored = Versioned { id: 1, version: 4, n: 1, text: String::new() };
    stage.truth.put(&stored).await.unwrap();
    let memory = stage.builder().max_unsaved_bytes(ROOM).build().unwrap();
    memory.get(1).await.unwrap().expect("a page");
    memory.put(Versioned { id: 2, text: long(), version: 0, n: 0 }).await.unwrap();
    stage.faults.next("PutItem", Fault::invalid());
    let parked = memory.flush().await.unwrap_err().into_report().parked;
    assert_eq!(parked.len(), 1, "it holds its room");
    let update = memory.update_existing(1, |it| it.text = long());
    let (updated, ()) = tokio::join!(update, memory.reset_forced());
    updated.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts.len(), 0);
    let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.text.len()), (5, 600));
}

/// A record that was put unread is saved while a rekey waits for the turn of the other key.
#[tokio::test]
async fn a_rekey_takes_along_what_was_not_read() {
    let stage = Stage::<Note>::new().await;
    store(&stage, &[("foreign", number(9))]).await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.put(Note { id: 1, n: 1, text: String::new(), rating: 0 }).await.unwrap();
    let gate = stage.faults.hold_next("GetItem");
    let update = memory.update(2, |it| it.n = 5);
    let rekey = async {
        gate.reached().await;
        let saved = async {
            assert_eq!(memory.flush().await.unwrap().written, 1);
            gate.open();
        };
        tokio::join!(memory.rekey(1, 2, |it| it.id = 2), saved).0
    };
    let (updated, moved) = tokio::join!(update, rekey);
    moved.unwrap();
    updated.unwrap();
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    let item = stage.truth.get_item(2).await.unwrap().unwrap();
    assert_eq!((&item["n"], &item["foreign"]), (&number(1), &number(9)));
}

/// The item lacks what the type writes, and a change that changes nothing is made.
#[tokio::test]
async fn what_changes_nothing_leaves_the_version_that_is_stored() {
    let stage = Stage::<Versioned>::new().await;
    store(&stage, &[("version", number(4))]).await;
    let memory = stage.builder().guarded(Guard::Fields).build().unwrap();
    memory.get(1).await.unwrap().expect("a page");
    for _ in 0..2 {
        memory.update_existing(1, |_| {}).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().unchanged, 1);
        assert_eq!(memory.get(1).await.unwrap().unwrap().version, 4);
    }
    memory.update_existing(1, |it| it.n = 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.n), (5, 2));
}

//! Loads, and changes that meet them.

use serde::{Deserialize, Serialize};

use super::{READ, SECOND, Stage, WRITE, player, rating, settled};
use crate::testing::{Fault, Faults};
use crate::{Database, ErrorKind, MemoryTable, Record};

#[tokio::test(start_paused = true)]
async fn a_key_is_read_once_however_many_ask_and_an_error_is_not_remembered() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    for (name, expected) in [("ada", Some(1)), ("nobody", None)] {
        let before = stage.reads();
        let found = futures::future::join_all((0..100).map(|_| rating(&memory, name))).await;
        assert_eq!((found, stage.reads()), (vec![expected; 100], before + 1));
        assert_eq!((rating(&memory, name).await, stage.reads()), (expected, before + 1));
    }
    stage.faults.next(READ, Fault::access_denied());
    assert_eq!(memory.get("bob").await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert_eq!(rating(&memory, "bob").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_change_wins_over_a_load_that_began_before() {
    let stage = Stage::with([player("ada", 1), player("bob", 1)]).await;
    let memory = stage.memory();
    for (name, newer) in [("ada", Some(2)), ("bob", None)] {
        let gate = stage.faults.hold_next_answer(READ);
        let (found, ()) = tokio::join!(rating(&memory, name), async {
            gate.reached().await;
            match newer {
                Some(newer) => memory.put(player(name, newer)).await.unwrap(),
                None => memory.delete(name).await.unwrap(),
            }
            gate.open();
        });
        assert_eq!((found, rating(&memory, name).await), (newer, newer));
        assert_eq!(memory.flush().await.unwrap().submitted(), 1);
        assert_eq!(stage.stored(name).await, newer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_takes_the_load_from_nobody() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    let gate = stage.faults.hold_next(READ);
    let read = || {
        let memory = memory.clone();
        tokio::spawn(async move { memory.get("ada").await })
    };
    let first = read();
    gate.reached().await;
    let other = read();
    settled().await;
    stage.faults.always(READ, Fault::access_denied());
    first.abort();
    gate.open();
    assert_eq!(other.await.unwrap().unwrap().as_deref(), Some(&player("ada", 1)));
    assert_eq!(stage.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_in_memory_before_during_and_after_its_write() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    memory.put(player("ada", 1)).await.unwrap();
    stage.faults.next(WRITE, Fault::none().delayed(SECOND).answer_delayed(SECOND));
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await.map(drop) }
    });
    while !flush.is_finished() {
        assert_eq!(rating(&memory, "ada").await, Some(1));
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!((rating(&memory, "ada").await, memory.unsaved().len()), (Some(1), 0));
    assert_eq!(stage.reads(), 0, "it never had to be loaded");
}

#[tokio::test(start_paused = true)]
async fn what_is_let_go_after_a_flush_and_loaded_anew_is_never_older() {
    for cheap in [false, true] {
        let stage = Stage::with([]).await;
        let builder = stage.builder();
        let builder = if cheap { builder.eventually_consistent_loads() } else { builder };
        let memory = builder.build().unwrap();
        stage.faults.always(READ, Fault::stale());
        for newer in 1..=3 {
            memory.put(player("ada", newer)).await.unwrap();
            assert_eq!(memory.flush().await.unwrap().written, 1);
            memory.reset().await.unwrap();
            assert_eq!(rating(&memory, "ada").await, Some(newer));
        }
        assert_eq!(stage.reads(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn updates_at_the_same_time_load_once_and_all_take_effect_in_order() {
    let stage = Stage::with([player("ada", 1)]).await;
    let memory = stage.memory();
    for (name, expected) in [("ada", 123), ("nobody", 23)] {
        let before = stage.reads();
        let digit = |digit| memory.update(name, move |p| p.rating = p.rating * 10 + digit);
        let gate = stage.faults.hold_next(READ);
        let (two, three, ()) = tokio::join!(digit(2), digit(3), async {
            gate.reached().await;
            gate.open();
        });
        assert_eq!(three.unwrap().rating, expected);
        assert_eq!(two.unwrap().rating, expected / 10);
        assert_eq!(stage.reads(), before + 1);
    }
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "sessions")]
struct Session {
    #[record(partition_key)]
    id: String,
    #[record(ttl)]
    ends: u64,
}

#[tokio::test]
async fn what_expired_is_hidden_unless_it_is_unsaved() {
    let table = Database::embedded().unwrap().table::<Session>();
    table.create_if_missing().await.unwrap();
    for (id, ends) in [("old", 999), ("ending", 1_000), ("new", 1_001)] {
        table.put(&Session { id: id.into(), ends }).await.unwrap();
    }
    let memory = MemoryTable::builder(table).hide_expired_by(|| 1_000).build().unwrap();
    let mut seen = Vec::new();
    for id in ["old", "ending", "new"] {
        seen.push(memory.contains(id).await.unwrap());
    }
    assert_eq!(seen, [false, false, true]);
    memory.put(Session { id: "unsaved".into(), ends: 1 }).await.unwrap();
    assert!(memory.contains("unsaved").await.unwrap());
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert!(!memory.contains("unsaved").await.unwrap(), "saved, and expired");
}

/// Players of a game, by name.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "games")]
struct Entry {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    name: String,
    #[serde(default)]
    rating: u32,
}

fn entry(name: &str, rating: u32) -> Entry {
    Entry { game: "chess".into(), name: name.into(), rating }
}

#[tokio::test(start_paused = true)]
async fn queries_and_scans_see_what_is_unsaved_in_its_place_and_once() {
    let database = Database::embedded().unwrap();
    let (scripted, faults) = Faults::around(&database);
    let table = scripted.table::<Entry>();
    table.create_if_missing().await.unwrap();
    for (name, rating) in [("ada", 1), ("eve", 2), ("max", 3)] {
        table.put(&entry(name, rating)).await.unwrap();
    }
    let memory = MemoryTable::new(table);
    let found = async || -> Vec<(String, u32)> {
        let found = memory.query("chess").filter(Entry::FIELDS.rating.gt(1)).limit(3).all();
        found.await.unwrap().iter().map(|entry| (entry.name.clone(), entry.rating)).collect()
    };
    let named = |names: &[(&str, u32)]| -> Vec<(String, u32)> {
        names.iter().map(|(name, rating)| ((*name).to_owned(), *rating)).collect()
    };
    memory.put(entry("bob", 5)).await.unwrap();
    memory.update(("chess", "ada"), |ada| ada.rating = 6).await.unwrap();
    memory.delete(("chess", "eve")).await.unwrap();
    assert_eq!(found().await, named(&[("ada", 6), ("bob", 5), ("max", 3)]));
    assert_eq!(memory.scan().count().await.unwrap(), 3);
    // Newer than what is in flight, which is newer than what is stored.
    let gate = faults.hold_next(WRITE);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        assert_eq!(found().await, named(&[("ada", 6), ("bob", 5), ("max", 3)]));
        memory.put(entry("bob", 7)).await.unwrap();
        assert_eq!(found().await, named(&[("ada", 6), ("bob", 7), ("max", 3)]));
        gate.open();
    });
    assert_eq!(report.unwrap().submitted(), 3);
    assert_eq!(found().await, named(&[("ada", 6), ("bob", 7), ("max", 3)]));
}

//! Changes of the memory table in memory: what they see, in which order, and what is refused.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::executor::block_on;
use memory_table::{ErrorKind, KeyRef, MemoryTable};
use tracing::Level;

use crate::support::logs::Logs;
use crate::support::{Player, Stage, Team, at, player, players, stage, texts};

async fn rating(memory: &MemoryTable<Player>, name: &str) -> Option<f64> {
    memory.get(at(name)).await.unwrap().map(|player| player.rating)
}

#[tokio::test]
async fn a_put_is_read_at_once_and_costs_nothing() {
    let (stage, memory) = stage(1).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    assert_eq!(rating(&memory, "p0000").await, Some(7.0));
    assert_eq!(texts(&memory.unsaved()), [r#"("chess", "p0000")"#]);
    assert_eq!((stage.reads(), stage.writes()), (0, 0));
    assert_eq!(stage.truth.get_consistent(at("p0000")).await.unwrap().unwrap().rating, 0.0);
}

#[tokio::test]
async fn a_delete_is_seen_at_once_and_needs_no_read() {
    let (stage, memory) = stage(1).await;
    memory.delete(at("p0000")).await.unwrap();
    assert_eq!(rating(&memory, "p0000").await, None);
    assert_eq!((stage.reads(), memory.unsaved().len(), memory.records().len()), (0, 1, 0));
}

#[tokio::test]
async fn update_changes_what_is_stored_or_begins_with_defaults() {
    let (stage, memory) = stage(2).await;
    let changed = memory.update(at("p0001"), |player| player.rating += 10.0).await.unwrap();
    assert_eq!(changed.rating, 11.0);
    let made = memory.update(at("new"), |player| player.rating += 10.0).await.unwrap();
    assert_eq!(*made, player("new", 10.0));
    assert_eq!(memory.flush().await.unwrap().written, 2);
    let stored = stage.truth.batch_get([at("p0001"), at("new")]).await.unwrap();
    let mut ratings: Vec<f64> = stored.records.values().map(|player| player.rating).collect();
    ratings.sort_by(f64::total_cmp);
    assert_eq!(ratings, [10.0, 11.0]);
}

#[tokio::test]
async fn update_existing_needs_a_record() {
    let stage = Stage::<Team>::new().await;
    stage.truth.put(&Team { team: "reds".into(), points: 1 }).await.unwrap();
    let memory = stage.memory();
    let changed = memory.update_existing("reds", |team| team.points += 2).await.unwrap();
    assert_eq!(changed.points, 3);
    let error = memory.update_existing("blues", |team| team.points += 2).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Some("update_existing")));
    assert_eq!(error.key().unwrap().to_string(), r#""blues""#);
    assert_eq!(texts(&memory.unsaved()), [r#""reds""#]);
}

#[tokio::test]
async fn update_of_a_deleted_record_begins_anew() {
    let (_stage, memory) = stage(2).await;
    memory.delete(at("p0001")).await.unwrap();
    let made = memory.update(at("p0001"), |player| player.rating += 5.0).await.unwrap();
    assert_eq!(made.rating, 5.0);
    memory.delete(at("p0001")).await.unwrap();
    let error = memory.update_existing(at("p0001"), |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn take_returns_what_it_deletes() {
    let (stage, memory) = stage(2).await;
    assert_eq!(memory.take(at("p0001")).await.unwrap().unwrap().rating, 1.0);
    assert!(memory.take(at("p0001")).await.unwrap().is_none());
    assert!(memory.take(at("nobody")).await.unwrap().is_none());
    assert_eq!(memory.unsaved().len(), 1);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.deleted, report.submitted()), (1, 1));
    assert!(stage.truth.get_consistent(at("p0001")).await.unwrap().is_none());
}

#[tokio::test]
async fn take_by_many_at_once_gives_the_record_to_one() {
    let (_stage, memory) = stage(1).await;
    let taken = futures::future::join_all((0..10).map(|_| memory.take(at("p0000")))).await;
    assert_eq!(taken.into_iter().filter(|one| one.as_ref().unwrap().is_some()).count(), 1);
}

#[tokio::test]
async fn records_are_all_that_is_in_memory() {
    let (_stage, memory) = stage(3).await;
    memory.prefetch([at("p0000"), at("p0001"), at("p0002"), at("nobody")]).await.unwrap();
    memory.put(player("new", 7.0)).await.unwrap();
    memory.update(at("p0001"), |player| player.rating = 8.0).await.unwrap();
    memory.delete(at("p0002")).await.unwrap();
    let mut ratings: Vec<f64> = memory.records().iter().map(|player| player.rating).collect();
    ratings.sort_by(f64::total_cmp);
    assert_eq!(ratings, [0.0, 7.0, 8.0]);
    assert_eq!((memory.stats().cached, memory.stats().unsaved), (3, 3));
}

#[tokio::test]
async fn unsaved_keys_come_oldest_first() {
    let (_stage, memory) = stage(0).await;
    for name in ["c", "a", "b", "a"] {
        memory.put(player(name, 1.0)).await.unwrap();
    }
    let names: Vec<String> = memory.unsaved().iter().map(ToString::to_string).collect();
    assert_eq!(names, [r#"("chess", "c")"#, r#"("chess", "a")"#, r#"("chess", "b")"#]);
    let typed = memory.unsaved()[0].to_typed::<Player>().unwrap();
    assert_eq!(memory.get(&typed).await.unwrap().unwrap().name, "c");
}

#[tokio::test]
async fn discard_forgets_a_change() {
    let (stage, memory) = stage(1).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    assert!(memory.discard(at("p0000")).await.unwrap());
    assert_eq!(memory.unsaved(), []);
    assert_eq!(rating(&memory, "p0000").await, Some(0.0));
    assert!(!memory.discard(at("p0000")).await.unwrap(), "nothing was unsaved");
    assert_eq!(rating(&memory, "p0000").await, Some(0.0));
    assert_eq!((stage.reads(), stage.writes()), (2, 0));
}

#[tokio::test]
async fn discard_waits_for_a_write_under_way() {
    let (stage, memory) = stage(1).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    memory.put(player("p0000", 8.0)).await.unwrap();
    let (discarded, ()) = tokio::join!(memory.discard(at("p0000")), async { gate.open() });
    assert!(discarded.unwrap());
    assert_eq!(flushing.await.unwrap().unwrap().written, 1);
    assert_eq!(rating(&memory, "p0000").await, Some(7.0));
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn reset_refuses_while_anything_is_unsaved() {
    let (_stage, memory) = stage(2).await;
    memory.get(at("p0001")).await.unwrap();
    memory.put(player("p0000", 7.0)).await.unwrap();
    assert_eq!(memory.reset().await.unwrap_err().kind(), ErrorKind::Unsaved);
    assert_eq!((memory.records().len(), memory.unsaved().len()), (2, 1));
    memory.reset_forced().await;
    assert_eq!((memory.records().len(), memory.unsaved().len()), (0, 0));
    assert_eq!(rating(&memory, "p0000").await, Some(0.0));
    assert_eq!(memory.flush().await.unwrap().submitted(), 0);
}

#[tokio::test]
async fn reset_forced_waits_for_a_flush_and_forgets_everything() {
    let (stage, memory) = stage(1).await;
    let gate = stage.faults.hold_next_answer("BatchWriteItem");
    memory.put(player("p0000", 7.0)).await.unwrap();
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    let forced = memory.reset_forced();
    let ((), ()) = tokio::join!(forced, async {
        memory.put(player("late", 8.0)).await.unwrap();
        gate.open();
    });
    assert_eq!(flushing.await.unwrap().unwrap().written, 1);
    assert_eq!(memory.unsaved(), []);
    assert_eq!(rating(&memory, "late").await, None);
    assert_eq!(rating(&memory, "p0000").await, Some(7.0));
}

#[tokio::test]
async fn a_panic_in_an_update_leaves_the_record() {
    let (_stage, memory) = stage(2).await;
    let panicking = memory.update(at("p0001"), |player| {
        player.rating = 99.0;
        panic!("not today");
    });
    assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    assert_eq!(rating(&memory, "p0001").await, Some(1.0));
    assert_eq!(memory.unsaved(), []);
    memory.update(at("p0001"), |player| player.rating += 1.0).await.unwrap();
    assert_eq!(rating(&memory, "p0001").await, Some(2.0));
}

#[tokio::test]
async fn an_update_cannot_change_the_key() {
    let (_stage, memory) = stage(2).await;
    let change = |player: &mut Player| player.name = "other".into();
    let error = memory.update(at("p0001"), change).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    for key in [r#"("chess", "p0001")"#, r#"("chess", "other")"#] {
        assert!(error.to_string().contains(key), "{error}");
    }
    assert_eq!(rating(&memory, "p0001").await, Some(1.0));
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn two_updates_at_once_take_effect_in_order() {
    let (stage, memory) = stage(2).await;
    let gate = stage.faults.hold_next("GetItem");
    let (one, two, ()) = tokio::join!(
        memory.update(at("p0001"), |player| player.rating = player.rating * 10.0 + 2.0),
        memory.update(at("p0001"), |player| player.rating = player.rating * 10.0 + 3.0),
        async {
            gate.reached().await;
            gate.open();
        },
    );
    assert_eq!((one.unwrap().rating, two.unwrap().rating), (12.0, 123.0));
    assert_eq!(stage.reads(), 1);
}

#[tokio::test]
async fn a_change_waits_for_the_update_asked_for_before() {
    let (stage, memory) = stage(2).await;
    let gate = stage.faults.hold_next("GetItem");
    let (updated, put, ()) = tokio::join!(
        memory.update(at("p0001"), |player| player.rating += 10.0),
        memory.put(player("p0001", 50.0)),
        async {
            gate.reached().await;
            gate.open();
        },
    );
    put.unwrap();
    assert_eq!(updated.unwrap().rating, 11.0);
    assert_eq!(rating(&memory, "p0001").await, Some(50.0));
}

#[tokio::test]
async fn an_update_that_goes_away_lets_the_next_one_on() {
    let (stage, memory) = stage(2).await;
    let gate = stage.faults.hold_next("GetItem");
    let mut first = Box::pin(memory.update(at("p0001"), |player| player.rating = 99.0));
    tokio::select! {
        biased;
        _ = &mut first => panic!("the load is held"),
        () = gate.reached() => {}
    }
    let mut second = Box::pin(memory.update(at("p0001"), |player| player.rating = 98.0));
    assert!((&mut second).now_or_never().is_none());
    let third = memory.update(at("p0001"), |player| player.rating += 1.0);
    let (third, ()) = tokio::join!(third, async {
        drop(second);
        drop(first);
        gate.open();
    });
    assert_eq!(third.unwrap().rating, 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_is_lost() {
    let (stage, memory) = stage(1).await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let memory = memory.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    memory.update(at("p0000"), |player| player.rating += 1.0).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rating(&memory, "p0000").await, Some(1000.0));
    assert_eq!((stage.reads(), memory.unsaved().len()), (1, 1));
}

#[tokio::test]
async fn changing_the_record_from_its_own_update_is_an_error() {
    let (_stage, memory) = stage(2).await;
    let inner = memory.clone();
    let mut kinds = Vec::new();
    memory
        .update(at("p0001"), |player| {
            player.rating += 1.0;
            let same = player.clone();
            let errors = [
                block_on(inner.put(same)).unwrap_err(),
                block_on(inner.delete(at("p0001"))).unwrap_err(),
                block_on(inner.update(at("p0001"), |_| ())).unwrap_err(),
                block_on(inner.update_existing(at("p0001"), |_| ())).unwrap_err(),
                block_on(inner.take(at("p0001"))).unwrap_err(),
                block_on(inner.discard(at("p0001"))).map(drop).unwrap_err(),
                block_on(inner.refresh(at("p0001"))).unwrap_err(),
            ];
            kinds = errors.iter().map(memory_table::Error::kind).collect();
            assert!(errors.iter().all(|error| error.key().is_some() && error.table().is_some()));
        })
        .await
        .unwrap();
    assert_eq!(kinds, [ErrorKind::Reentrant; 7]);
    assert_eq!(rating(&memory, "p0001").await, Some(2.0));
}

#[tokio::test]
async fn an_update_may_read_its_record_and_change_others() {
    let (_stage, memory) = stage(2).await;
    memory.prefetch([at("p0000"), at("p0001")]).await.unwrap();
    let inner = memory.clone();
    memory
        .update(at("p0001"), |player| {
            let before = block_on(inner.get(at("p0001"))).unwrap().unwrap().rating;
            block_on(inner.update(at("p0000"), |other| other.rating = before + 5.0)).unwrap();
            block_on(inner.delete(at("other"))).unwrap();
            player.rating = 9.0;
        })
        .await
        .unwrap();
    assert_eq!(rating(&memory, "p0001").await, Some(9.0));
    assert_eq!(rating(&memory, "p0000").await, Some(6.0));
    assert_eq!(memory.unsaved().len(), 3);
}

#[tokio::test]
async fn what_dynamodb_cannot_store_is_refused_at_once() {
    let (_stage, memory) = stage(1).await;
    let mut large = player("p0000", 1.0);
    large.text = "x".repeat(400 * 1024);
    for bad in [player("p0000", f64::NAN), player("p0000", f64::INFINITY), large.clone()] {
        let error = memory.put(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert_eq!(error.key().unwrap().to_string(), r#"("chess", "p0000")"#);
    }
    let grown = memory.update(at("p0000"), |player| *player = large.clone()).await;
    assert_eq!(grown.unwrap_err().kind(), ErrorKind::InvalidRecord);
    let keyless = memory.put(player("", 1.0)).await.unwrap_err();
    assert_eq!(keyless.kind(), ErrorKind::InvalidKey);
    assert_eq!(memory.unsaved(), []);
    assert_eq!(rating(&memory, "p0000").await, Some(0.0));
}

#[tokio::test]
async fn the_largest_item_is_stored() {
    let (stage, memory) = stage(0).await;
    let mut largest = player("p0000", 1.0);
    // 400 KB less the other names and values, by DynamoDB's arithmetic.
    let others = "game".len() + "chess".len() + "name".len() + "p0000".len() + "rating".len() + 2;
    largest.text = "x".repeat(400 * 1024 - others - "text".len());
    memory.put(largest.clone()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().bytes, 400 * 1024);
    assert_eq!(stage.truth.get_consistent(at("p0000")).await.unwrap(), Some(largest.clone()));
    largest.text.push('x');
    assert_eq!(memory.put(largest).await.unwrap_err().kind(), ErrorKind::InvalidRecord);
}

#[tokio::test]
async fn a_closed_table_takes_no_changes_and_is_read() {
    let (stage, memory) = stage(2).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 1);
    let errors = [
        memory.put(player("p0000", 8.0)).await.unwrap_err(),
        memory.delete(at("p0000")).await.unwrap_err(),
        memory.update(at("p0000"), |_| panic!("it runs")).await.unwrap_err(),
        memory.update_existing(at("p0000"), |_| panic!("it runs")).await.unwrap_err(),
        memory.rekey(at("p0000"), at("new"), |_| panic!("it runs")).await.unwrap_err(),
        memory.take(at("p0000")).await.unwrap_err(),
        memory.get_or_create(at("new")).await.unwrap_err(),
    ];
    assert_eq!(errors.each_ref().map(memory_table::Error::kind), [ErrorKind::Closed; 7]);
    assert_eq!(rating(&memory, "p0000").await, Some(7.0));
    assert_eq!(rating(&memory, "p0001").await, Some(1.0));
    assert_eq!(memory.close().await.unwrap().submitted(), 0, "closing twice is fine");
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_dropped_table_names_what_is_lost() {
    let (_stage, memory) = stage(0).await;
    for record in players(7) {
        memory.put(record).await.unwrap();
    }
    let logs = Logs::listen();
    let clone = memory.clone();
    drop(memory);
    assert_eq!(logs.of(Level::ERROR), Vec::<String>::new(), "a clone is left");
    drop(clone);
    let errors = logs.of(Level::ERROR);
    assert_eq!(errors.len(), 1);
    for part in ["unsaved=7", r#"(\"chess\", \"p0000\")"#, "players", "close"] {
        assert!(errors[0].contains(part), "{part}: {}", errors[0]);
    }
}

#[tokio::test]
async fn a_dropped_table_with_everything_saved_says_nothing() {
    let (_stage, memory) = stage(0).await;
    memory.put(player("p0000", 7.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let logs = Logs::listen();
    drop(memory);
    assert_eq!(logs.of(Level::ERROR), Vec::<String>::new());
}

#[test]
fn without_a_runtime_it_is_an_error_and_nothing_hangs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_stage, memory) = runtime.block_on(stage(150));
    let names: Vec<String> = (0..150).map(crate::support::named).collect();
    let error = block_on(memory.prefetch(names.iter().map(|name| at(name)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    block_on(memory.put(player("p0000", 7.0))).unwrap();
    let error = block_on(memory.flush()).unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::Configuration);
    runtime.block_on(async {
        memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
        assert_eq!(memory.records().len(), 150);
        assert_eq!(memory.flush().await.unwrap().written, 1);
    });
}

#[test]
fn on_a_runtime_that_was_shut_down_it_is_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_stage, memory) = runtime.block_on(stage(1));
    let ended = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = ended.handle().clone();
    drop(ended);
    {
        let _entered = handle.enter();
        block_on(memory.put(player("new", 7.0))).unwrap();
        let error = block_on(memory.flush()).unwrap_err();
        assert_eq!(error.cause().kind(), ErrorKind::Configuration);
        let error = block_on(memory.get(at("p0000"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    let report = runtime.block_on(memory.flush()).unwrap();
    assert_eq!(report.written, 1);
}

#[tokio::test]
async fn key_parts_never_run_together() {
    let (stage, memory) = stage(0).await;
    let mut records = Vec::new();
    for (game, name, rating) in [("a#b", "c", 1.0), ("a", "b#c", 2.0), ("ab", "c", 3.0)] {
        let record = Player { game: game.into(), ..player(name, rating) };
        memory.put(record.clone()).await.unwrap();
        records.push(record);
    }
    assert_eq!(memory.flush().await.unwrap().written, 3);
    for record in &records {
        let key = (&record.game, &record.name);
        assert_eq!(&*memory.get(key).await.unwrap().unwrap(), record);
        assert_eq!(stage.truth.get_consistent(key).await.unwrap().as_ref(), Some(record));
    }
    let key = |record: &Player| {
        memory_table::Key::new(&KeyRef::composite(&record.game, &record.name)).unwrap()
    };
    assert_ne!(key(&records[0]), key(&records[1]));
}

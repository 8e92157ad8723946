//! How a memory table's work ends: some keys flushed, closed in time, in a scope.

use std::time::Duration;

use memory_table::{ErrorKind, MemoryTable, Outcome, ScopeError, Unsaved};

use super::support::{Fault, Player, Stage, at, failed_keys, player, players, stage, texts};

#[tokio::test]
async fn flush_keys_saves_these_and_leaves_the_others_unsaved() {
    let (stage, memory) = stage(0).await;
    for player in players(5) {
        memory.put(player).await.unwrap();
    }
    let keys = ["p0001", "p0003", "p0001", "nobody"].map(at);
    let report = memory.flush_keys(keys).await.unwrap();
    assert_eq!((report.written, report.submitted(), report.requests), (2, 2, 1));
    let unsaved = [r#"("chess", "p0000")"#, r#"("chess", "p0002")"#, r#"("chess", "p0004")"#];
    assert_eq!(texts(&memory.unsaved()), unsaved);
    assert!(stage.truth.get(at("p0001")).await.unwrap().is_some());
    assert_eq!(memory.flush_keys(Vec::<(&str, &str)>::new()).await.unwrap().requests, 0);
    let error = memory.flush_keys([at("")]).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::InvalidKey);
    assert_eq!(memory.flush().await.unwrap().written, 3);
}

#[tokio::test]
async fn flush_keys_waits_for_a_flush_under_way_and_reports_only_its_keys() {
    let (stage, memory) = stage(0).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    let all = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    memory.put(player("ada", 2.0)).await.unwrap();
    memory.put(player("bob", 2.0)).await.unwrap();
    let some = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush_keys([at("ada")]).await }
    });
    let rest = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(stage.writes(), 1);
    gate.open();
    assert_eq!(all.await.unwrap().unwrap().submitted(), 1);
    assert!(some.await.unwrap().unwrap().submitted() <= 1);
    assert!(rest.await.unwrap().is_ok());
    assert!(memory.unsaved().is_empty());
    assert_eq!(stage.truth.get(at("ada")).await.unwrap().unwrap().rating, 2.0);
}

#[tokio::test]
async fn flush_keys_names_what_it_could_not_save() {
    let (stage, _) = stage(0).await;
    let memory = stage.impatient();
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    stage.faults.next("BatchWriteItem", Fault::throttled());
    let error = memory.flush_keys([at("p0001")]).await.unwrap_err();
    assert_eq!(failed_keys(&error.report().failed), [r#"("chess", "p0001")"#]);
    assert_eq!(memory.unsaved().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn close_within_returns_what_is_left_when_the_time_is_up() {
    let stage = Stage::<Player>::embedded().await;
    let memory = stage.memory();
    for player in players(30) {
        memory.put(player).await.unwrap();
    }
    let gate = stage.faults.hold_next("BatchWriteItem");
    stage.faults.next("BatchWriteItem", Fault::none().delayed(Duration::from_secs(1)));
    let error = memory.close_within(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("within 3 s"), "{error}");
    let report = error.into_report();
    assert_eq!((report.failed.len(), report.submitted()), (25, 25), "the second request landed");
    assert!(report.failed.iter().all(|failed| failed.outcome == Outcome::OutcomeUnknown));
    assert!(report.failed.iter().all(|failed| failed.error.kind() == ErrorKind::Timeout));
    memory.put(player("late", 1.0)).await.unwrap();
    gate.open();
    let report = memory.close_within(Duration::from_secs(60)).await.unwrap();
    assert_eq!(report.failed.len(), 0);
    assert_eq!(stage.truth.scan().consistent().count().await.unwrap(), 31);
    assert_eq!(memory.put(player("x", 1.0)).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_scope_flushes_when_its_job_went_well() {
    let (stage, memory) = stage(1).await;
    let job = memory.scope(async |table| {
        table.update(at("p0000"), |player| player.rating = 9.0).await?;
        table.put(player("new", 1.0)).await.map(|()| "done")
    });
    let (output, report) = job.await.unwrap();
    assert_eq!((output, report.written), ("done", 2));
    assert_eq!(stage.truth.get(at("new")).await.unwrap(), Some(player("new", 1.0)));
}

#[tokio::test]
async fn a_scope_hands_the_unsaved_changes_back_when_its_job_failed() {
    let (stage, memory) = stage(2).await;
    let job = memory.scope(async |table| {
        table.put(player("new", 1.0)).await.unwrap();
        table.delete(at("p0001")).await.unwrap();
        Err::<(), _>(std::io::Error::other("no more input"))
    });
    let error = job.await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no more input; 2 unsaved changes were handed back, none was flushed"
    );
    assert!(!format!("{error:?}").contains("rating"), "{error:?}");
    let ScopeError::Job { unsaved, .. } = error else { panic!("{error:?}") };
    let [Unsaved::Put(put), Unsaved::Delete(deleted)] = &unsaved[..] else { panic!("{unsaved:?}") };
    assert_eq!(
        (&**put, deleted.to_string()),
        (&player("new", 1.0), r#"("chess", "p0001")"#.to_owned())
    );
    assert!(memory.unsaved().is_empty());
    assert_eq!(memory.close().await.unwrap().submitted(), 0);
    assert_eq!(stage.writes(), 0);
    assert!(stage.truth.get(at("p0001")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_scope_whose_flush_failed_loses_nothing() {
    let (stage, _) = stage(0).await;
    let memory = stage.impatient();
    stage.faults.next("BatchWriteItem", Fault::throttled());
    let job = memory.scope(async |table| table.put(player("new", 1.0)).await);
    let error = job.await.unwrap_err();
    let ScopeError::Flush(flush) = &error else { panic!("{error:?}") };
    assert_eq!((flush.report().failed.len(), error.to_string()), (1, flush.to_string()));
    assert_eq!(memory.unsaved().len(), 1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

#[tokio::test]
async fn take_unsaved_waits_for_what_is_being_written() {
    let (stage, memory) = stage(0).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    memory.put(player("bob", 1.0)).await.unwrap();
    let taken = tokio::spawn({
        let memory = memory.clone();
        async move { memory.take_unsaved().await }
    });
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(flush.await.unwrap().unwrap().written, 1);
    assert_eq!(taken.await.unwrap(), [Unsaved::Put(player("bob", 1.0).into())]);
    assert!(memory.get(at("bob")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_report_says_what_the_service_charged() {
    let (_stage, memory) = stage(0).await;
    memory.put(player("small", 1.0)).await.unwrap();
    memory.put(Player { text: "x".repeat(3_000), ..player("large", 1.0) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().consumed_capacity, 4.0, "a unit a kilobyte begun");
}

#[tokio::test]
async fn a_take_of_the_unsaved_that_is_dropped_takes_nothing() {
    let (stage, memory) = stage(0).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    memory.put(player("bob", 1.0)).await.unwrap();
    {
        let take = memory.take_unsaved();
        tokio::pin!(take);
        assert!(futures::poll!(take.as_mut()).is_pending());
    }
    gate.open();
    assert_eq!(flush.await.unwrap().unwrap().written, 1);
    assert_eq!(memory.unsaved().len(), 1);
    memory.put(player("bob", 2.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

#[tokio::test]
async fn a_forced_reset_waits_for_the_batch_and_not_for_those_behind_it() {
    let (stage, memory) = stage(0).await;
    let first = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    let flush = |memory: &MemoryTable<Player>| {
        let memory = memory.clone();
        tokio::spawn(async move { memory.flush().await })
    };
    let flushing = flush(&memory);
    first.reached().await;
    memory.put(player("bob", 1.0)).await.unwrap();
    let behind = flush(&memory);
    tokio::task::yield_now().await;
    let reset = tokio::spawn({
        let memory = memory.clone();
        async move { memory.reset_forced().await }
    });
    tokio::task::yield_now().await;
    first.open();
    reset.await.unwrap();
    assert_eq!(flushing.await.unwrap().unwrap().written, 1);
    assert_eq!(behind.await.unwrap().unwrap().submitted(), 0);
    assert_eq!((memory.unsaved().len(), stage.writes()), (0, 1));
    assert!(memory.get(at("ada")).await.unwrap().is_some());
    assert!(memory.get(at("bob")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reset_that_nobody_goes_on_with_holds_up_no_flush() {
    let (stage, memory) = stage(0).await;
    let gate = stage.faults.hold_next("BatchWriteItem");
    memory.put(player("ada", 1.0)).await.unwrap();
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    let reset = memory.reset_forced();
    tokio::pin!(reset);
    assert!(futures::poll!(reset.as_mut()).is_pending());
    gate.open();
    assert_eq!(flush.await.unwrap().unwrap().written, 1);
    memory.put(player("bob", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.put(player("eve", 1.0)).await.unwrap();
    reset.await;
    assert_eq!((memory.unsaved().len(), memory.stats().cached), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_says_what_is_parked() {
    let stage = Stage::<Player>::embedded().await;
    let memory = stage.memory();
    stage.faults.always("BatchWriteItem", Fault::poison(|item| item["name"]["S"] == "bad"));
    memory.put(player("bad", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap_err().report().parked.len(), 1);
    memory.put(player("ada", 1.0)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let error = memory.close_within(Duration::from_secs(1)).await.unwrap_err();
    let report = error.report();
    assert_eq!(failed_keys(&report.failed), [r#"("chess", "ada")"#]);
    assert_eq!(failed_keys(&report.parked), [r#"("chess", "bad")"#]);
    assert_eq!(report.parked[0].error.kind(), ErrorKind::Refused);
    gate.open();
}

//! A service that refuses, throttles or is away.

use std::time::Duration;

use tokio::time::Instant;

use super::{SECOND, Stage, WRITE, player, players};
use crate::testing::Fault;
use crate::{ErrorKind, FlushError, MemoryTable, Operation, Outcome, RetryPolicy};

const MINUTE: Duration = Duration::from_secs(60);

/// A stage with changes of this many new players.
async fn changed(count: u32) -> (Stage, MemoryTable<super::Player>) {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    for player in players(count) {
        memory.put(player).await.unwrap();
    }
    (stage, memory)
}

fn kind(error: &FlushError) -> ErrorKind {
    error.cause().kind()
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_reported_and_still_unsaved_and_goes_with_the_next_flush() {
    let (stage, memory) = changed(30).await;
    memory.delete("p29").await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().after_applying());
    stage.faults.always(WRITE, Fault::throttled());
    let began = Instant::now();
    let error = memory.flush().await.unwrap_err();
    assert!((MINUTE..MINUTE + SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    let report = error.report();
    assert_eq!((report.failed.len(), report.submitted()), (30, 30));
    let unknown = |failed: &&crate::Failed| failed.outcome == Outcome::OutcomeUnknown;
    assert_eq!(report.failed.iter().filter(unknown).count(), 25, "one answer was missing");
    for failed in &report.failed {
        assert_eq!(
            (failed.error.key(), failed.error.attempts()),
            (Some(&failed.key), failed.attempts)
        );
        assert_eq!(failed.error.kind(), ErrorKind::Throttled);
    }
    let deletes = report.failed.iter().filter(|failed| failed.operation == Operation::Delete);
    assert_eq!((deletes.count(), memory.unsaved().len()), (1, 30));
    assert_eq!(super::rating(&memory, "p07").await, Some(7), "it is still in memory");
    stage.faults.heal();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, memory.unsaved().len()), (29, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_item_is_parked_after_a_few_requests_and_the_others_are_written() {
    let (stage, memory) = changed(25).await;
    stage.faults.always(WRITE, Fault::poison(|item| item["name"]["S"] == "p13"));
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.parked.len(), report.failed.len()), (24, 1, 0));
    assert!(report.requests <= 11, "{} requests", report.requests);
    assert_eq!((stage.count().await, memory.unsaved()), (24, vec![report.parked[0].key.clone()]));

    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap_err().report().requests, 0, "it waits for a new put");
    memory.put(player("p13", 14)).await.unwrap();
    assert_eq!((memory.flush().await.unwrap().written, stage.count().await), (1, 25));

    let too_long = memory.put(player(&"x".repeat(3_000), 1)).await.unwrap_err();
    assert_eq!((too_long.kind(), memory.unsaved().len()), (ErrorKind::InvalidKey, 0));
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_can_mend_stops_the_flush_with_its_first_answer() {
    for (fault, expected) in [
        (Fault::table_not_found(), ErrorKind::TableNotFound),
        (Fault::access_denied(), ErrorKind::AccessDenied),
        (Fault::expired_token(), ErrorKind::Credentials),
    ] {
        let (stage, memory) = changed(25).await;
        stage.faults.always(WRITE, fault);
        let error = memory.flush().await.unwrap_err();
        assert_eq!((kind(&error), error.report().failed.len()), (expected, 25));
        assert_eq!((stage.writes(), memory.unsaved().len()), (1, 25));
        stage.faults.heal();
        assert_eq!(memory.flush().await.unwrap().written, 25);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_flush_slows_down_and_goes_on_to_its_deadline() {
    let (stage, memory) = changed(25).await;
    let began = Instant::now();
    stage.faults.script(WRITE, move |_| (began.elapsed() < 55 * SECOND).then(Fault::throttled));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, memory.unsaved().len()), (25, 0));
    // Full jitter up to 5 s.
    assert!((10..=200).contains(&report.requests), "{} requests", report.requests);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_table_gets_fewer_requests_at_once_and_a_hot_key_slows_nobody_else() {
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/players";
    let quickly = RetryPolicy::new(SECOND / 1_000, SECOND / 200);
    for (reason, expected) in [
        ("TableWriteProvisionedThroughputExceeded", 8 + 1 + 2),
        ("TableWriteKeyRangeThroughputExceeded", 8 + 16),
    ] {
        let stage = Stage::with([]).await;
        let memory = stage.builder().requests_in_flight(8).retry(quickly).build().unwrap();
        for player in players(400) {
            memory.put(player).await.unwrap();
        }
        for _ in 0..8 {
            let fault = Fault::throttled().because(reason, arn).delayed(SECOND);
            stage.faults.next(WRITE, fault);
        }
        stage.faults.always(WRITE, Fault::none().delayed(SECOND));
        let began = tokio::spawn({
            let memory = memory.clone();
            async move { memory.flush().await }
        });
        // After the first answers one at a time; then one more with each that is answered.
        tokio::time::sleep(SECOND * 5 / 2).await;
        assert_eq!(stage.writes(), expected, "{reason}");
        assert_eq!(began.await.unwrap().unwrap().written, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn after_thirty_days_of_failure_everything_is_written_unasked() {
    let stage = Stage::with([]).await;
    let builder = stage.builder().patience(Duration::ZERO).flush_interval(360 * MINUTE);
    let memory = builder.build().unwrap();
    stage.faults.always(WRITE, Fault::connection_refused());
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    tokio::time::sleep(30 * 24 * 60 * MINUTE).await;
    let tried = stage.writes();
    stage.faults.heal();
    tokio::time::sleep(361 * MINUTE).await;
    assert_eq!((stage.count().await, memory.unsaved().len()), (3, 0));
    assert!((100..=120).contains(&tried), "{tried} requests in thirty days");
}

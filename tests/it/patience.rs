//! How long a flush and a load go on. Under a paused clock, so on the embedded database only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_table::{ErrorKind, MemoryTable, Outcome};
use tokio::time::Instant;

use crate::support::{Fault, Player, Stage, at, named, player, players};

const WRITE: &str = "BatchWriteItem";
const MINUTE: Duration = Duration::from_secs(60);

/// A memory table of default options, with changes of this many new players.
async fn changed(count: u16) -> (Stage<Player>, MemoryTable<Player>) {
    let stage = Stage::embedded().await;
    let memory = MemoryTable::new(stage.table.clone());
    for record in players(count) {
        memory.put(record).await.unwrap();
    }
    (stage, memory)
}

#[tokio::test(start_paused = true)]
async fn a_flush_without_progress_ends_after_a_minute() {
    let (stage, memory) = changed(30).await;
    stage.faults.always(WRITE, Fault::throttled());
    let began = Instant::now();
    let error = memory.flush().await.unwrap_err();
    let took = began.elapsed();
    assert!((MINUTE..MINUTE + Duration::from_secs(1)).contains(&took), "{took:?}");
    let report = error.report();
    assert_eq!((report.failed.len(), memory.unsaved().len()), (30, 30));
    assert!((MINUTE..=took).contains(&report.elapsed), "{:?}", report.elapsed);
    assert_eq!(report.requests, stage.writes() as u64);
    assert_eq!(report.retries, report.requests - 2);
    for failed in &report.failed {
        // Full jitter up to 5 s: some 24 in the long run, never one a moment.
        assert!((12..=200).contains(&failed.attempts), "{} attempts", failed.attempts);
        assert_eq!(failed.outcome, Outcome::NotWritten);
    }
    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap().written, 30);
}

#[tokio::test(start_paused = true)]
async fn progress_of_any_item_renews_patience() {
    let (stage, memory) = changed(25).await;
    // One item a request: far longer than a minute for all, never a minute for one.
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    stage.faults.script(WRITE, move |request| {
        counted.fetch_add(request.entries().len() as u64, Ordering::Relaxed);
        let first = request.entries()[0].1.clone();
        let one = Fault::unprocessed_if(move |item| *item != first);
        Some(one.delayed(Duration::from_secs(5)))
    });
    let began = Instant::now();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (25, stage.writes() as u64));
    assert!((25..=40).contains(&report.requests), "{} requests", report.requests);
    assert_eq!(report.unprocessed, sent.load(Ordering::Relaxed) - 25);
    assert!(began.elapsed() > MINUTE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_patience_is_waited_out() {
    let (stage, memory) = changed(30).await;
    let began = Instant::now();
    stage.faults.script(WRITE, move |_| {
        (began.elapsed() < Duration::from_secs(50)).then_some(Fault::connection_refused())
    });
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, memory.unsaved().len()), (30, 0));
    assert!(report.elapsed >= Duration::from_secs(50));
}

#[tokio::test(start_paused = true)]
async fn everything_is_written_after_thirty_days_of_failure() {
    let (stage, memory) = changed(30).await;
    stage.faults.always(WRITE, Fault::connection_refused());
    for day in 0..30 {
        assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 30, "day {day}");
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    }
    stage.faults.heal();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, memory.unsaved().len()), (30, 2, 0));
}

/// The last attempt was throttled, but the first may have been applied.
#[tokio::test(start_paused = true)]
async fn doubt_of_an_earlier_attempt_is_not_forgotten() {
    let (stage, memory) = changed(1).await;
    stage.faults.next(WRITE, Fault::failed().after_applying());
    stage.faults.always(WRITE, Fault::throttled());
    let error = memory.flush().await.unwrap_err();
    let failed = &error.report().failed[0];
    assert!(stage.truth.get_consistent(at("p0000")).await.unwrap().is_some());
    assert_eq!(failed.outcome, Outcome::OutcomeUnknown);
    assert_eq!(failed.error.kind(), ErrorKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_stops_does_not_forget_doubt() {
    let (stage, memory) = changed(1).await;
    stage.faults.next(WRITE, Fault::connection_reset().after_applying());
    stage.faults.always(WRITE, Fault::access_denied());
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.report().failed[0].outcome, Outcome::OutcomeUnknown);
    assert_eq!(error.report().failed[0].attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_given_up_and_sent_again() {
    let (stage, memory) = changed(1).await;
    let _never_opened = stage.faults.hold_next(WRITE);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.retries), (1, 2, 1));
    assert!(report.elapsed >= Duration::from_secs(15), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn the_report_says_how_long_it_took() {
    let (stage, memory) = changed(1).await;
    stage.faults.next(WRITE, Fault::none().delayed(Duration::from_secs(3)));
    let elapsed = memory.flush().await.unwrap().elapsed;
    assert!((3.0..3.1).contains(&elapsed.as_secs_f64()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn loads_have_the_same_patience() {
    let (stage, memory) = changed(0).await;
    stage.faults.always("GetItem", Fault::throttled());
    stage.faults.always("BatchGetItem", Fault::unprocessed());
    stage.faults.always("Scan", Fault::connection_reset());
    let began = Instant::now();
    let error = memory.get(at("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.attempts(), stage.reads() as u64);
    let names: Vec<String> = (0..2).map(named).collect();
    let error = memory.prefetch(names.iter().map(|name| at(name))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(memory.load_all().await.unwrap_err().kind(), ErrorKind::Connection);
    let took = began.elapsed();
    assert!((3 * MINUTE..3 * MINUTE + Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn patience_can_be_set_for_a_database_and_for_a_memory_table() {
    let (stage, _) = changed(0).await;
    stage.faults.always(WRITE, Fault::throttled());
    let ten = stage.table.database().with_patience(Duration::from_secs(10)).table::<Player>();
    let of_database = MemoryTable::new(ten.clone());
    let own = MemoryTable::builder(ten).patience(Duration::from_secs(20)).build().unwrap();
    for (memory, seconds) in [(of_database, 10), (own, 20)] {
        memory.put(player("a", 1.0)).await.unwrap();
        let elapsed = memory.flush().await.unwrap_err().report().elapsed;
        assert_eq!(elapsed.as_secs(), seconds);
        memory.reset_forced().await;
    }
}

#[tokio::test(start_paused = true)]
async fn options_that_make_no_sense_are_refused() {
    let (stage, _) = changed(0).await;
    let refused = [
        MemoryTable::builder(stage.table.clone()).requests_in_flight(0).build(),
        MemoryTable::builder(stage.table.clone()).scan_segments(0).build(),
        MemoryTable::builder(stage.table.clone()).scan_segments(1_000_001).build(),
        MemoryTable::builder(stage.table.database().table_named("no name")).build(),
    ];
    for built in refused {
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Configuration);
    }
}

/// A memory table that gives up at once and waits for late writes as long as it does by default.
async fn fenced() -> (Stage<Player>, MemoryTable<Player>) {
    let stage = Stage::embedded().await;
    let memory = MemoryTable::builder(stage.table.clone()).patience(Duration::ZERO);
    (stage, memory.build().unwrap())
}

async fn stored(stage: &Stage<Player>) -> Option<f64> {
    stage.truth.get_consistent(at("a")).await.unwrap().map(|player| player.rating)
}

#[tokio::test(start_paused = true)]
async fn a_newer_value_waits_until_an_older_write_without_an_answer_has_landed() {
    let (stage, memory) = fenced().await;
    memory.put(player("a", 1.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().applied_late(Duration::from_secs(4)));
    memory.flush().await.unwrap_err();

    let began = Instant::now();
    memory.put(player("a", 2.0)).await.unwrap();
    memory.put(player("b", 2.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 2);
    let took = began.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(stage.writes(), 3, "the other record did not wait");
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stored(&stage).await, Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn the_fence_outlasts_the_confirmation_of_the_same_value() {
    let (stage, memory) = fenced().await;
    memory.put(player("a", 1.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset().applied_late(Duration::from_secs(4)));
    memory.flush().await.unwrap_err();

    let began = Instant::now();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(began.elapsed(), Duration::ZERO, "the same value is sent again at once");
    memory.discard(at("a")).await.unwrap();
    memory.put(player("a", 2.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stored(&stage).await, Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn the_late_write_window_can_be_set() {
    let stage = Stage::<Player>::embedded().await;
    let window = Duration::from_secs(20);
    let builder = MemoryTable::builder(stage.table.clone()).late_write_window(window);
    let memory = builder.patience(Duration::ZERO).build().unwrap();
    memory.put(player("a", 1.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::connection_reset());
    memory.flush().await.unwrap_err();
    let began = Instant::now();
    memory.delete(at("a")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 1);
    assert!(began.elapsed() >= window);
}

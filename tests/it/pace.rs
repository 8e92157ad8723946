//! How fast a table is written that has a pace.

mod reads;

use std::time::Duration;

use memory_table::testing::{Fault, TableCapacity};
use memory_table::{Database, ErrorKind, MemoryTable, Record, Table};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::support::{Player, Stage, Team, changed, player, players};

const SECOND: Duration = Duration::from_secs(1);
const WRITE: &str = "BatchWriteItem";

/// A table that takes 40 units a second and keeps a second's.
async fn capped() -> (Stage<Player>, TableCapacity) {
    let stage = Stage::<Player>::embedded().await;
    let capacity = TableCapacity::provisioned(1000, 40).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    (stage, capacity)
}

#[tokio::test(start_paused = true)]
async fn a_flush_takes_all_that_there_is_and_sends_nothing_twice() {
    let (stage, capacity) = capped().await;
    let memory = changed(stage.table.clone().write_capacity(40), 400).await;
    let began = Instant::now();
    let report = memory.flush().await.unwrap();
    // A second's worth at once.
    let least = 9.0;
    assert!(
        (least..least / 0.97).contains(&began.elapsed().as_secs_f64()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((report.written, report.requests, report.retries), (400, 16, 0));
    let met = capacity.met();
    assert_eq!((met.requests, met.items, met.throttled, met.write_units), (16, 400, 0, 400.0));
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_that_of_all_who_write_to_the_table_through_the_database() {
    let (stage, capacity) = capped().await;
    let one = MemoryTable::new(stage.table.clone().write_capacity(40));
    let other = MemoryTable::new(stage.table.database().clone().table::<Player>());
    for (number, player) in players(400).enumerate() {
        let memory = if number % 2 == 0 { &one } else { &other };
        memory.put(player).await.unwrap();
    }
    let (ones, others) = tokio::join!(one.flush(), other.flush());
    assert_eq!(ones.unwrap().written + others.unwrap().written, 400);
    assert_eq!((capacity.met().items, capacity.met().throttled), (400, 0));
    assert_eq!(stage.table.write_rate(), Some(40.0));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_less_than_was_said_is_written_as_fast_as_it_takes_it() {
    let (stage, capacity) = capped().await;
    let memory = changed(stage.table.clone().write_capacity(400), 2_000).await;
    let report = memory.flush().await.unwrap();
    assert_eq!(report.written, 2_000);
    assert!(report.elapsed < SECOND * 49 * 100 / 90, "{report}");
    // A second's worth was sent at once by what was said.
    assert!(capacity.met().items < 2_500, "{:?}", capacity.met());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_is_kept_for_the_burst() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().write_capacity(10).burst(SECOND * 30);
    let memory = MemoryTable::new(table);
    memory.put(player("first", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    tokio::time::sleep(SECOND * 60).await;
    for player in players(500) {
        memory.put(player).await.unwrap();
    }
    let report = memory.flush().await.unwrap();
    // 300 of them at once.
    assert!((19.0..21.0).contains(&report.elapsed.as_secs_f64()), "{report}");
}

/// A quarter of a table with so many units of reads and writes, by a job that does not know it yet.
async fn a_quarter_of(reads: u64, writes: u64) -> Table<Team> {
    let stage = Stage::<Team>::embedded().await;
    let database = stage.table.database();
    let table = database.table_named::<Team>("shared");
    table.create_if_missing().provisioned(reads, writes).await.unwrap();
    let database = Database::from_client(database.client().clone());
    database.table_named("shared").share(0.25)
}

#[tokio::test(start_paused = true)]
async fn a_share_is_that_of_what_the_service_says() {
    let table = a_quarter_of(10, 20).await;
    assert_eq!(table.write_rate(), None, "nobody knows yet");
    let teams = (0..50).map(|number| Team { team: format!("team {number}"), points: 0 });
    let report = table.batch_write().puts(teams).await.unwrap();
    assert_eq!((report.written, table.write_rate()), (50, Some(5.0)));
    assert!((8.8..9.5).contains(&report.elapsed.as_secs_f64()), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_within_a_pace_ends_with_patience() {
    let stage = Stage::<Player>::embedded().await;
    let memory = changed(stage.table.clone().write_capacity(40), 100).await;
    stage.faults.always(WRITE, Fault::throttled());
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.failed.len(), memory.unsaved().len()), (100, 100));
    assert!((60.0..66.0).contains(&report.elapsed.as_secs_f64()), "{report}");
    assert!(report.requests < 150, "{report}");
    stage.faults.heal();
    assert_eq!(memory.flush().await.unwrap().written, 100);
}

#[tokio::test]
async fn an_option_that_makes_no_sense_is_said_by_the_first_call() {
    let table = || async { Stage::<Player>::embedded().await.table };
    for (table, option) in [
        (table().await.write_capacity(0), "write_capacity"),
        (table().await.write_capacity(f64::NAN), "write_capacity"),
        (table().await.share(1.5), "share"),
        (table().await.share(0.0), "share"),
        (table().await.burst(SECOND * 301), "burst"),
        (table().await.burst(Duration::ZERO), "burst"),
    ] {
        let error = table.get(crate::support::at("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(&format!("`{option}`")), "{error}");
        assert!(MemoryTable::builder(table).build().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_gone_ends_a_flush_of_which_much_still_waits_for_its_turn() {
    let stage = Stage::<Player>::embedded().await;
    let memory = changed(stage.table.clone().write_capacity(10), 100).await;
    stage.faults.always(WRITE, Fault::error(400, "ResourceNotFoundException"));
    let flushed = tokio::time::timeout(SECOND * 10, memory.flush()).await;
    let report = flushed.expect("it ends").unwrap_err().into_report();
    assert_eq!((report.failed.len(), memory.unsaved().len()), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_answers_ends_with_patience_though_much_waits_for_its_turn() {
    let stage = Stage::<Player>::embedded().await;
    let memory = changed(stage.table.clone().write_capacity(40), 2_000).await;
    stage.faults.always(WRITE, Fault::connection_refused());
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.failed.len(), memory.unsaved().len()), (2_000, 2_000));
    assert!((60.0..180.0).contains(&report.elapsed.as_secs_f64()), "{report}");
}

#[tokio::test(start_paused = true)]
async fn bad_items_are_found_at_a_pace_and_the_others_are_written() {
    let (stage, _) = capped().await;
    let memory = changed(stage.table.clone().write_capacity(400), 100).await;
    let poison = |item: &serde_json::Value| {
        let name = item["name"]["S"].as_str().unwrap_or_default();
        name.ends_with('3')
    };
    stage.faults.always(WRITE, Fault::poison(poison));
    let error = memory.flush().await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.parked.len(), report.failed.len()), (90, 10, 0), "{error}");
}

#[tokio::test(start_paused = true)]
async fn neither_batches_nor_single_writes_wait_for_all_of_the_others() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().write_capacity(40);
    let memory = MemoryTable::builder(table).build().unwrap();
    for (number, player) in players(600).enumerate() {
        if number % 2 == 0 {
            memory.put(player).await.unwrap();
        } else {
            memory.put_guarded(player).await.unwrap();
        }
    }
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    tokio::time::sleep(SECOND * 7).await;
    let (batches, singles) = (stage.faults.count(WRITE), stage.faults.count("PutItem"));
    assert!(batches >= 2 && singles >= 2, "{batches} batches, {singles} single writes");
    assert_eq!(flushing.await.unwrap().unwrap().written, 600);
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "notes")]
struct Note {
    #[record(partition_key)]
    topic: String,
    #[record(sort_key)]
    id: u32,
    text: String,
}

/// Its items are eight units each, of one partition key that takes one a second.
#[tokio::test(start_paused = true)]
async fn single_writes_of_a_hot_partition_key_wait_for_their_turn_with_patience() {
    let stage = Stage::<Note>::embedded().await;
    let capacity =
        TableCapacity::provisioned(1_000, 1_000).per_partition_key(1_000, 1).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let memory = stage.builder().patience(SECOND * 20).build().unwrap();
    for id in 0..30 {
        let text = "n".repeat(7 * 1024);
        memory.put_guarded(Note { topic: "hot".into(), id, text }).await.unwrap();
    }
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.not_saved().count()), (30, 0));
    let best = 8.0 * 29.0;
    assert!((best..best * 1.3).contains(&report.elapsed.as_secs_f64()), "{report}");
    // Each is more than the key takes in a second, so that it is tried a few times.
    assert!(report.requests < 30 * 10, "{report}");
}

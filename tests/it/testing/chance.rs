//! Faults by chance, and the rules that hold for all requests.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::error::ProvideErrorMetadata;
use memory_table::testing::{Chaos, Faults};
use memory_table::{Database, MemoryTable};

use super::{Raw, put_request};
use crate::support::{Player, Stage, embedded, named, players};

/// The server of which the issue speaks.
fn bad_server(seed: u64) -> Chaos {
    Chaos::seeded(seed)
        .unprocessed(1.0 / 3.0)
        .throttled(0.2)
        .failed(0.05)
        .reset(0.05)
        .applied_before_failure(0.5)
        .applied_before_reset(0.5)
}

/// What becomes of some requests, each in a word or as the number of entries left unprocessed, and
/// the ratings that are stored then.
async fn trace(chaos: Chaos) -> (Vec<String>, Vec<Option<f64>>) {
    let raw = Raw::embedded().await;
    raw.stage.faults.chaos(chaos);
    let mut trace = Vec::new();
    for round in 0..40 {
        let puts = (0..5).map(|number| put_request(&named(number), round)).collect();
        let call = raw.client.batch_write_item().request_items(&raw.table, puts);
        trace.push(match call.send().await {
            Ok(done) => {
                let left = done.unprocessed_items.unwrap_or_default();
                left.values().map(Vec::len).sum::<usize>().to_string()
            }
            Err(error) => error.code().unwrap_or("broken").to_owned(),
        });
    }
    let mut stored = Vec::new();
    for number in 0..5 {
        stored.push(raw.stored(&named(number)).await);
    }
    (trace, stored)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let first = trace(bad_server(42)).await;
    assert_eq!(first, trace(bad_server(42)).await);
    assert_ne!(first.0, trace(bad_server(43)).await.0);
}

#[tokio::test]
async fn faults_come_as_often_as_said() {
    let raw = Raw::embedded().await;
    raw.stage.faults.chaos(bad_server(7));
    let (mut throttled, mut failed, mut broken, mut applied, mut left) = (0, 0, 0, 0, 0);
    let rounds = 600_u32;
    for round in 1..=rounds {
        let puts = (0..5).map(|number| put_request(&named(number), round)).collect();
        let call = raw.client.batch_write_item().request_items(&raw.table, puts);
        let stored = match call.send().await.map_err(|error| error.code().map(str::to_owned)) {
            Ok(done) => {
                left += done.unprocessed_items.unwrap_or_default().values().flatten().count();
                continue;
            }
            Err(code) => {
                match code.as_deref() {
                    Some("ProvisionedThroughputExceededException") => throttled += 1,
                    Some("InternalServerError") => failed += 1,
                    None => broken += 1,
                    code => panic!("{code:?}"),
                }
                raw.stored("p0000").await
            }
        };
        applied += u32::from(stored == Some(f64::from(round)));
    }
    let (failures, answered) = (failed + broken, rounds - throttled - failed - broken);
    assert!((90..150).contains(&throttled), "{throttled} of 120");
    assert!((15..50).contains(&failed) && (15..50).contains(&broken), "{failed}, {broken} of 30");
    assert!((failures / 4..failures * 3 / 4).contains(&applied), "{applied} of {failures}");
    let share = f64::from(u32::try_from(left).unwrap()) / f64::from(answered * 5);
    assert!((0.28..0.39).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn everything_is_written_to_a_bad_server() {
    for seed in 0..6 {
        let stage = Stage::<Player>::embedded().await;
        stage.faults.chaos(bad_server(seed).latency(Duration::from_millis(200)));
        let memory = MemoryTable::new(stage.table.clone());
        for record in players(337) {
            memory.put(record).await.unwrap();
        }
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, memory.unsaved().len()), (337, 0), "seed {seed}");
        assert!(report.unprocessed > 50, "seed {seed}: {report}");
        stage.faults.heal();
        let stored = stage.truth.batch_get(players(337).map(|p| (p.game, p.name))).await.unwrap();
        assert_eq!(stored.len(), 337, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_read_from_a_bad_server() {
    let stage = Stage::<Player>::embedded().await;
    let report = stage.truth.batch_write().puts(players(300)).await.unwrap();
    assert_eq!(report.written, 300);
    stage.faults.chaos(bad_server(1).short_pages(1.0).stale(0.5));
    let names: Vec<String> = (0..300).map(named).collect();
    let memory = MemoryTable::new(stage.table.clone());
    memory.prefetch(names.iter().map(|name| crate::support::at(name))).await.unwrap();
    assert_eq!(memory.records().len(), 300);
    let other = MemoryTable::new(stage.table.clone());
    assert_eq!(other.load_all().await.unwrap().records, 300);
    assert!(stage.faults.count("Scan") > 10);
}

#[tokio::test]
async fn chance_leaves_tables_alone() {
    let (database, faults) = Faults::around(&embedded());
    faults.chaos(Chaos::seeded(1).throttled(1.0));
    database.table::<Player>().create_if_missing().await.unwrap();
    assert!(database.table::<Player>().describe().await.unwrap().is_some());
}

/// Faults whose rules are not enforced, over a table that was made before.
async fn lenient() -> (Database, Faults, String) {
    let stored = embedded();
    let table = stored.table::<Player>();
    table.create_if_missing().await.unwrap();
    let (database, faults) = Faults::around(&stored);
    (database, faults, table.name().unwrap().to_owned())
}

#[tokio::test]
async fn requests_that_break_the_rules_are_told() {
    let (database, faults, table) = lenient().await;
    let send = |puts| database.client().batch_write_item().request_items(&table, puts).send();
    send(vec![put_request("a", 1), put_request("b", 1)]).await.unwrap();
    // Nobody says which the keys of this table are, so different items are different.
    let missing = database.client().batch_write_item();
    let puts = vec![put_request("a", 1), put_request("b", 1)];
    assert!(missing.request_items("missing", puts).send().await.is_err());
    assert_eq!(faults.broken_rules(), [] as [String; 0]);
    // The embedded database refuses these; that they were sent is what counts.
    assert!(send(vec![put_request("a", 1), put_request("a", 2)]).await.is_err());
    assert!(send((0..26).map(|number| put_request(&named(number), 1)).collect()).await.is_err());
    let gate = faults.hold_next("BatchWriteItem");
    let (first, second) = tokio::join!(send(vec![put_request("a", 1)]), async {
        gate.reached().await;
        let second = send(vec![put_request("a", 2)]).await;
        gate.open();
        second
    });
    assert!(first.is_ok() && second.is_ok());
    let broken = faults.broken_rules();
    let expected = ["has a key twice", "has 26 entries", "is in flight twice"];
    for expected in expected {
        assert!(broken.iter().any(|rule| rule.contains(expected)), "{expected}: {broken:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "a request broke the rules")]
async fn enforced_rules_fail_the_test() {
    let (database, faults, table) = lenient().await;
    faults.enforce_rules();
    let puts = vec![put_request("a", 1), put_request("a", 2)];
    let sent = database.client().batch_write_item().request_items(&table, puts).send().await;
    sent.unwrap_err();
    drop(faults);
}

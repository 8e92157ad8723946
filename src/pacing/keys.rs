//! Hot partition keys, and what is left for no reason.

use std::time::Duration;

use super::capped::Capped;
use super::{Reading, SECOND, memory};
use crate::{FlushReport, Key, KeyRef};

/// Flushes as many readings of each of so many partitions, sorted as they would come from a file.
async fn flushed(
    store: &Capped,
    given: Option<f64>,
    (partitions, each): (u32, u32),
) -> (FlushReport, Duration) {
    let memory = memory(store, given);
    for partition in 0..partitions {
        for number in 0..each {
            let sensor = format!("sensor {partition}");
            memory.put(Reading { sensor, number, notes: String::new() }).await.unwrap();
        }
    }
    store.begin();
    let report = memory.flush().await.unwrap();
    assert_eq!(report.written, u64::from(partitions * each));
    let elapsed = report.elapsed;
    (report, elapsed)
}

fn partition(sensor: &str) -> Vec<u8> {
    let (sensor, number) = (sensor.to_owned(), 0_u32);
    let key = Key::new(&KeyRef::composite(&sensor, &number)).unwrap();
    key.partition_bytes().to_vec()
}

fn unlimited() -> Capped {
    Capped::new(vec![(Duration::ZERO, 1e9)], SECOND / 100)
}

#[tokio::test(start_paused = true)]
async fn a_hot_partition_key_slows_its_own_items_only() {
    for rate in [5_u32, 50] {
        let store = unlimited();
        store.heat(&partition("sensor 7"), rate.into());
        let (_, elapsed) = flushed(&store, None, (40, 300)).await;
        let met = store.met();
        // All others are done in no time, those of the key at its pace.
        println!(
            "{rate}: {elapsed:?}, others {:?}, hot {}",
            met.last_of_others(),
            met.items_of_hot()
        );
        let best = f64::from(300 - rate) / f64::from(rate);
        assert!(elapsed.as_secs_f64() <= best / 0.8 + 3.0, "{rate}: {elapsed:?}");
        assert!(met.last_of_others() < SECOND * 5, "{rate}: {:?}", met.last_of_others());
        assert!(met.items_of_hot() <= 300.0 * 2.2, "{rate}: {} items sent", met.items_of_hot());
    }
}

#[tokio::test(start_paused = true)]
async fn sorted_items_are_spread_over_their_partition_keys() {
    let store = unlimited();
    // None of them is hot if it gets its share of each request only.
    for sensor in 0..40 {
        store.heat(&partition(&format!("sensor {sensor}")), 200);
    }
    let (report, _) = flushed(&store, None, (40, 200)).await;
    assert_eq!((report.requests, report.unprocessed), (320, 0));
}

/// The service may leave things for other reasons than capacity: a rate that falls with each of them would
/// end with nothing.
#[tokio::test(start_paused = true)]
async fn what_is_left_for_no_reason_does_not_end_in_a_crawl() {
    let never = u32::MAX;
    for (requests, items) in [(10, never), (never, 5), (10, 5), (3, never)] {
        // At 400 a second that is 50 seconds, as fast as requests go half a one.
        for given in [Some(400.0), None] {
            let store = unlimited();
            store.spurious(requests, items);
            let (report, elapsed) = flushed(&store, given, (4_000, 5)).await;
            let case = format!("one request in {requests}, one item in {items}, given {given:?}");
            println!("figures: {case}: {report}");
            assert!(elapsed < SECOND * 100, "{case}: {elapsed:?}");
        }
    }
}

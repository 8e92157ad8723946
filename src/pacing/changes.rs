//! A found rate after times in which it could not be measured.

use std::time::Duration;

use super::capped::Capped;
use super::{Job, Reading, SECOND, Start, memory, readings};
use crate::MemoryTable;

async fn flushed(memory: &MemoryTable<Reading>, numbers: std::ops::Range<u32>) -> Duration {
    let count = u64::from(numbers.end - numbers.start);
    for reading in readings(numbers) {
        memory.put(reading).await.unwrap();
    }
    let report = memory.flush().await.unwrap();
    assert_eq!(report.written, count);
    report.elapsed
}

#[tokio::test(start_paused = true)]
async fn a_capacity_that_is_raised_a_thousand_times_is_found() {
    let raised = (SECOND * 60, 5_000.0);
    let rates = vec![(Duration::ZERO, 5.0), raised];
    let job = Job { rates, items: 40_000, ..Job::at(5.0) };
    let ran = job.run().await;
    println!("figures: raised a thousand times: {ran:?}");
    assert!(ran.elapsed < SECOND * 140, "{ran:?}");
    assert!(ran.sent < 1.1, "{ran:?}");
}

/// As where another job takes all that there is, and ends.
#[tokio::test(start_paused = true)]
async fn time_in_which_nothing_is_given_says_nothing_of_the_rate() {
    let rates = vec![(Duration::ZERO, 0.0), (SECOND * 30, 4.0), (SECOND * 31, 400.0)];
    let job = Job { rates, items: 5_000, start: Start::Drained, ..Job::at(400.0) };
    let ran = job.run().await;
    println!("figures: after nothing: {ran:?}");
    // A pause of 20 s may have begun just before; at what was given of the whole time it would take five minutes.
    assert!(ran.elapsed < SECOND * (31 + 20 + 50), "{ran:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_flushes_takes_nothing_from_a_found_rate_and_adds_nothing() {
    let store = Capped::new(vec![(Duration::ZERO, 40.0)], SECOND / 100);
    let memory = memory(&store, None);
    store.begin();
    flushed(&memory, 0..2_000).await;
    for round in 1..6_u32 {
        tokio::time::sleep(SECOND * 90).await;
        let before = store.met();
        let elapsed = flushed(&memory, round * 2_000..round * 2_000 + 600).await;
        let (units, sent) = (1_200.0, store.met().items() - before.items());
        println!("figures: round {round}: {elapsed:?}, {sent} sent");
        assert!(elapsed.as_secs_f64() < (units / 40.0) / 0.9, "{round}: {elapsed:?}");
        assert!(sent < 600.0 * 1.1, "{round}: {sent}");
    }
}

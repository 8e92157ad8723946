//! Pairs of runs, one after the other, and what is made of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The median of what pairs of runs say of themselves; every other pair begins with the reference.
pub(crate) fn median_of(
    pairs: usize,
    mut ours: impl FnMut() -> f64,
    mut theirs: impl FnMut() -> f64,
) -> f64 {
    // One of each to warm up.
    black_box((ours(), theirs()));
    let ratios = (0..pairs).map(|pair| {
        if pair % 2 == 0 {
            let ours = ours();
            ours / theirs()
        } else {
            let theirs = theirs();
            ours() / theirs
        }
    });
    median(ratios.collect())
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds that it takes.
pub(crate) fn time<R>(work: impl FnOnce() -> R) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

/// Seconds of CPU time that it takes, of all threads.
pub(crate) fn cpu_time<R>(work: impl FnOnce() -> R) -> f64 {
    let began = cpu();
    black_box(work());
    cpu().saturating_sub(began).as_secs_f64()
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it is not negative")
}

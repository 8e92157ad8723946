//! Whole jobs over a simulated store: every fault mixed by a seed, many tasks, a paused clock.
//!
//! One seed is one run. `MEMORY_TABLE_SEEDS=A..B` says which seeds run; a failing one prints the
//! command by which it is run again, and its trace.

mod bugs;
mod expressions;
mod fate;
mod job;
mod store;
mod task;

use std::ops::Range;

pub(crate) use fate::Fault;
pub(crate) use store::SimStore;

/// The seeds of a run of all tests; the long run has more.
const SEEDS: Range<u64> = 0..1_000;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("MEMORY_TABLE_SEEDS") else { return SEEDS };
    let bounds = text
        .split_once("..")
        .and_then(|(first, end)| Some(first.trim().parse().ok()?..end.trim().parse().ok()?));
    bounds.expect("MEMORY_TABLE_SEEDS is A..B")
}

/// Runs a seed; what it prints if it fails.
fn failure(seed: u64) -> Option<String> {
    let outcome = job::run(seed);
    if outcome.violations.is_empty() {
        return None;
    }
    let (broken, trace) = (outcome.violations.join("\n"), outcome.trace.join("\n"));
    let end = seed + 1;
    Some(format!(
        "seed {seed}:\n{trace}\n\nbroken:\n{broken}\n\nrun it again:\n  MEMORY_TABLE_SEEDS={seed}..{end} \
         cargo test -p memory-table --lib simulation::"
    ))
}

#[test]
fn every_seed_keeps_the_promises() {
    let (seeds, threads) = (seeds(), 2);
    let run = |thread: u64| seeds.clone().filter(|seed| seed % threads == thread).find_map(failure);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a run that ends")).collect()
    });
    println!("{} seeds", seeds.end - seeds.start);
    assert!(failures.is_empty(), "{}", failures[0]);
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for seed in seeds().take(100) {
        let (one, other) = (job::run(seed).trace, job::run(seed).trace);
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(one == other, "seed {seed} differs: {differs:#?}");
    }
}

//! Whole jobs over a simulated store: every fault mixed by a seed, many tasks, a paused clock.
//!
//! One seed is one run. `MEMORY_TABLE_SEEDS=A..B` says which seeds run; a failing one prints the
//! command by which it is run again, and its trace.

mod account;
mod bugs;
mod calls;
mod checks;
mod ending;
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

/// What a trace says when something was done, or failed; a run of many seeds has all of it.
const COUNTED: [(&str, &str); 31] = [
    ("requests", " -> Fate "),
    ("requests that were throttled", "fault: Some(Throttled)"),
    ("that were refused for now", "fault: Some(Refused)"),
    ("that were lost", "fault: Some(LostBefore)"),
    ("that landed late", "late: Some("),
    ("whose answers were lost", "fault: Some(LostAfter)"),
    ("that failed once they were applied", "fault: Some(FailedAfter)"),
    ("that had no chance", "fault: Some(Fatal)"),
    ("that left something", "unprocessed: [0"),
    ("conditions that did not hold", "does not hold"),
    ("changes by others", "somebody else:"),
    ("steps raised", ": step "),
    ("puts", ": put Account"),
    ("poisonous records", "poison: true }"),
    ("guarded puts", ": put guarded "),
    ("merges", ": merge "),
    ("puts of many", ": put all "),
    ("records made", ": get or create "),
    ("deletes", ": delete "),
    ("records taken", ": take "),
    ("sums", ": add to "),
    ("records moved", ": rekey "),
    ("jobs", ": a job that "),
    ("queries", ": queried "),
    ("scans", ": scanned "),
    ("loads", ": prefetch "),
    ("records read anew", " is refreshed, "),
    ("flushes", ": flush"),
    ("resets", ": reset"),
    ("tables closed", ": closed"),
    ("runtimes shut down", "the runtime is shut down"),
];

/// The first so many are of the lines of requests.
const OF_REQUESTS: usize = 9;

/// How often each of them was.
type Counts = [u64; COUNTED.len()];

fn count(trace: &[String], counts: &mut Counts) {
    for line in trace {
        let of_requests = line.contains(COUNTED[0].1);
        let range = if of_requests { 0..OF_REQUESTS } else { OF_REQUESTS..COUNTED.len() };
        for (count, (_, text)) in counts[range.clone()].iter_mut().zip(&COUNTED[range]) {
            *count += u64::from(line.contains(text));
        }
    }
}

/// Runs a seed; what it prints if it fails.
fn failure(seed: u64, counts: &mut Counts) -> Option<String> {
    let outcome = job::run(seed);
    count(&outcome.trace, counts);
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
    let run = |thread: u64| {
        let mut counts = Counts::default();
        let mut own = seeds.clone().filter(|seed| seed % threads == thread);
        (own.find_map(|seed| failure(seed, &mut counts)), counts)
    };
    let ended: Vec<(Option<String>, Counts)> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        runs.into_iter().map(|run| run.join().expect("a run that ends")).collect()
    });
    let failed = ended.iter().find_map(|(failure, _)| failure.as_ref());
    assert!(failed.is_none(), "{}", failed.map_or("", String::as_str));
    let of_all = |at: usize| ended.iter().map(|(_, counts)| counts[at]).sum::<u64>();
    let counts: Vec<(u64, &str)> =
        COUNTED.iter().enumerate().map(|(at, (name, _))| (of_all(at), *name)).collect();
    let listed: Vec<String> =
        counts.iter().map(|(count, name)| format!("{count} {name}")).collect();
    println!("{} seeds: {}", seeds.end - seeds.start, listed.join(", "));
    let none = counts.iter().find(|(count, _)| *count == 0);
    assert!(none.is_none() || seeds.end - seeds.start < 1_000, "no {none:?}");
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for seed in seeds().take(100) {
        let (one, other) = (job::run(seed).trace, job::run(seed).trace);
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(one == other, "seed {seed} differs: {differs:#?}");
    }
}

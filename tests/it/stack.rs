//! Whole jobs through the SDK, as `src/simulation` runs them over a simulated store: several tasks change
//! the records of a memory table while requests fail below the SDK as the seed says. Once nothing fails any
//! more everything is saved, and what is stored is what the tasks were told.
//!
//! One seed is one run. `MEMORY_TABLE_STACK_SEEDS=A..B` says which seeds run; a failing one prints what was
//! done in it, and the command by which it is run again.

mod run;
mod task;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use memory_table::{
    Failed, FlushError, FlushReport, Guard, MemoryTable, OnConflict, Record, RetryPolicy, Table,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::support::{database, texts};
use run::Run;

const SEEDS: &str = "MEMORY_TABLE_STACK_SEEDS";
const VIOLATION: &str = "VIOLATION";
/// The records of the table lie on so many shelves.
const SHELVES: u32 = 3;
/// A second of a job where somebody waits for it.
const SHORT_SECOND: Duration = Duration::from_millis(10);

/// Something that tasks change: `step` by its owner alone, `sum` by all.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "accounts")]
struct Account {
    #[record(partition_key)]
    shelf: u32,
    #[record(sort_key)]
    id: u32,
    /// Raised by every change of the owner, and never lowered.
    #[serde(default)]
    step: u64,
    #[serde(default)]
    sum: i64,
    /// Raised by others.
    #[serde(default)]
    theirs: u64,
}

/// What must be stored in the end.
#[derive(Clone, Debug, Default)]
struct Expected {
    exists: bool,
    /// It was stored before the tasks began.
    is_old: bool,
    step: u64,
    /// What was added for sure, and what may have been beyond it.
    sum: i64,
    maybe: i64,
    theirs: u64,
}

impl Expected {
    fn of(account: &Account) -> Self {
        Self { exists: true, step: account.step, sum: account.sum, ..Self::default() }
    }

    fn is_met_by(&self, found: Option<&Account>) -> bool {
        let Some(account) = found else { return !self.exists };
        let sums = self.sum..=self.sum + self.maybe;
        let is_same = (account.step, account.theirs) == (self.step, self.theirs);
        (self.exists || self.maybe > 0) && is_same && sums.contains(&account.sum)
    }
}

/// The key of a record.
const fn at(id: u32) -> (u32, u32) {
    (id % SHELVES, id)
}

fn account(id: u32, step: u64, sum: i64) -> Account {
    Account { shelf: at(id).0, id, step, sum, theirs: 0 }
}

/// Others change `theirs` alone, and nobody here does.
fn merged(
    _: Option<&Account>,
    mine: Option<&Account>,
    theirs: Option<&Account>,
) -> Option<Account> {
    let mine = mine?.clone();
    Some(Account { theirs: theirs.map_or(mine.theirs, |account| account.theirs), ..mine })
}

/// What is done in a run, and what of it was not as promised.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn note(&self, text: &str) {
        self.0.lock().push(text.to_owned());
    }

    fn violated(&self, what: &str) {
        self.note(&format!("{VIOLATION} {what}"));
    }
}

/// How the records of a run are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Plain,
    FieldWise,
    Guarded(Guard),
}

/// What a run is like.
#[derive(Debug)]
struct Plan {
    /// The clock is paused: nobody waits for it.
    is_paused: bool,
    second: Duration,
    writing: Writing,
    tasks: u32,
    keys: u32,
    operations: u32,
    /// The first so many keys are touched by their owner alone.
    solo: u32,
    patience: Duration,
    requests_in_flight: usize,
}

impl Plan {
    fn draw(random: &mut fastrand::Rng, is_paused: bool) -> Self {
        let second = if is_paused { Duration::from_secs(1) } else { SHORT_SECOND };
        let keys = if random.u8(..4) == 0 { random.u32(12..=40) } else { random.u32(1..12) };
        let guard = if random.bool() { Guard::Item } else { Guard::Fields };
        let writings = [Writing::Plain, Writing::FieldWise, Writing::Guarded(guard)];
        Self {
            is_paused,
            second,
            writing: writings[random.usize(..writings.len())],
            tasks: random.u32(1..=4),
            keys,
            operations: random.u32(3..=25),
            solo: if random.bool() { random.u32(..=keys) } else { keys / 4 },
            patience: random.u32(1..=6) * second,
            requests_in_flight: [1, 2, 5, 8][random.usize(..4)],
        }
    }

    fn open(&self, table: Table<Account>) -> MemoryTable<Account> {
        let builder = MemoryTable::builder(table)
            .patience(self.patience)
            .retry(RetryPolicy::new(self.second / 20, 5 * self.second))
            .late_write_window(self.window())
            .requests_in_flight(self.requests_in_flight);
        let builder = match self.writing {
            Writing::Plain => builder,
            Writing::FieldWise => builder.field_wise(),
            Writing::Guarded(guard) => {
                builder.guarded(guard).on_conflict(OnConflict::merge(merged))
            }
        };
        builder.build().expect("the options are legal")
    }

    /// How late a request that was given up may still land.
    fn window(&self) -> Duration {
        5 * self.second
    }
}

/// What the tasks of a run share.
struct Job {
    plan: Plan,
    memory: MemoryTable<Account>,
    /// The same table past the faults and the cache.
    truth: Table<Account>,
    model: Mutex<BTreeMap<u32, Expected>>,
    log: Arc<Log>,
}

impl Job {
    fn expected(&self, id: u32) -> Expected {
        self.model.lock().get(&id).cloned().unwrap_or_default()
    }

    /// A report is exact as far as it says itself.
    fn check(&self, ended: &Result<FlushReport, FlushError>) {
        let report = ended.as_ref().unwrap_or_else(FlushError::report);
        self.log.note(&format!("flushed: {report}"));
        let mut keys = HashSet::new();
        let is_twice = !report.not_saved().all(|failed| keys.insert(&failed.key))
            || report.submitted() > u64::from(self.plan.keys);
        let is_unsent = report.written + report.deleted > 0 && report.requests == 0;
        if is_twice || is_unsent || ended.is_ok() != keys.is_empty() {
            self.log.violated(&format!("the report is not exact: {ended:?}"));
        }
    }

    /// A flush while nobody does anything else; what it did not save.
    async fn flush_quietly(&self) -> Vec<Failed> {
        let before = self.memory.unsaved();
        let ended = self.memory.flush().await;
        self.check(&ended);
        let report = ended.unwrap_or_else(FlushError::into_report);
        let left = texts(report.not_saved().map(|failed| &failed.key));
        if report.submitted() != before.len() as u64 || left != texts(&self.memory.unsaved()) {
            let after = self.memory.unsaved();
            self.log.violated(&format!("{before:?} were unsaved, {after:?} are: {report:?}"));
        }
        report.not_saved().cloned().collect()
    }
}

/// Runs a seed from beginning to end.
fn run(seed: u64, log: &Arc<Log>) {
    let stored = database();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // A paused clock would jump past answers that are on their way over a network.
    let builder = builder.enable_all().start_paused(stored.is_embedded());
    builder.build().expect("a runtime").block_on(async {
        // What the engines draw.
        fastrand::seed(seed);
        Run::new(seed, &stored, log).await.all().await;
    });
}

/// Runs a seed; what it prints if it fails.
fn failure(seed: u64) -> Option<String> {
    let log = Arc::<Log>::default();
    if catch_unwind(AssertUnwindSafe(|| run(seed, &log))).is_err() {
        log.violated("a panic, whose message is above");
    }
    let trace = log.0.lock().clone();
    let broken = trace.iter().filter(|line| line.starts_with(VIOLATION));
    let broken: Vec<&str> = broken.map(String::as_str).collect();
    if broken.is_empty() {
        return None;
    }
    let (trace, broken, end) = (trace.join("\n"), broken.join("\n"), seed + 1);
    let server = if database().is_embedded() { "" } else { "tests/dynamodb_local/run " };
    Some(format!(
        "seed {seed}:\n{trace}\n\nbroken:\n{broken}\n\nrun it again:\n  {SEEDS}={seed}..{end} \
         {server}cargo test --package memory-table --test it stack::"
    ))
}

/// The seeds that run; fewer where somebody waits for them.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else {
        return if database().is_embedded() { 0..200 } else { 0..20 };
    };
    let bounds = text
        .split_once("..")
        .and_then(|(first, end)| Some(first.trim().parse().ok()?..end.trim().parse().ok()?));
    bounds.expect("MEMORY_TABLE_STACK_SEEDS is A..B")
}

#[test]
fn every_seed_keeps_the_promises_through_the_sdk() {
    let (seeds, threads) = (seeds(), 2);
    let run = |thread: u64| seeds.clone().filter(|seed| seed % threads == thread).find_map(failure);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a run that ends")).collect()
    });
    println!("{} seeds", seeds.count());
    assert!(failures.is_empty(), "{}", failures[0]);
}

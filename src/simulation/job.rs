//! One seed's run: tasks that change records of a memory table over a store that fails as the seed
//! says, then the invariants.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::fate::LATE_WRITE_WINDOW;
use super::store::SimStore;
use crate::{
    Database, ErrorKind, FlushError, FlushReport, Guard, Increment, MemoryTable, OnConflict, Record,
};

/// Something that tasks change: `step` by its owner alone, `sum` by all.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "accounts")]
struct Account {
    #[record(partition_key)]
    id: u32,
    /// Raised by every change of the owner, and never lowered.
    #[serde(default)]
    step: u64,
    #[serde(default)]
    sum: i64,
    /// Raised by others.
    #[serde(default)]
    theirs: u64,
    /// The service refuses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    poison: bool,
}

/// What must be stored in the end.
#[derive(Clone, Debug, Default)]
struct Expected {
    exists: bool,
    step: u64,
    /// What was added for sure, and what may have been beyond it.
    sum: i64,
    maybe: i64,
    theirs: u64,
    poison: bool,
}

type Model = Arc<Mutex<BTreeMap<u32, Expected>>>;

/// How the records of a run are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Plain,
    FieldWise,
    Guarded,
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

/// What a run is like.
struct Plan {
    writing: Writing,
    tasks: u32,
    keys: u32,
    operations: u32,
    /// The first so many keys are touched by their owner alone.
    solo: u32,
}

/// What a run came to.
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    pub(super) trace: Vec<String>,
}

/// Runs a seed from beginning to end.
pub(super) fn run(seed: u64) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let store = SimStore::new(seed);
        let run = Run::new(seed, store.clone());
        // What the engines draw; the SDK's client draws too when it is made, which is once.
        fastrand::seed(seed);
        run.all().await;
        Outcome { violations: store.violations(), trace: store.trace() }
    })
}

struct Run {
    store: SimStore,
    memory: MemoryTable<Account>,
    model: Model,
    plan: Plan,
    random: fastrand::Rng,
}

impl Run {
    fn new(seed: u64, store: SimStore) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let keys = random.u32(1..40);
        let plan = Plan {
            writing: [Writing::Plain, Writing::FieldWise, Writing::Guarded][random.usize(..3)],
            tasks: random.u32(1..6),
            keys,
            operations: random.u32(3..40),
            solo: random.u32(..=keys),
        };
        let database = Database::simulated(Arc::new(store.clone()), &["accounts"]);
        let mut builder = MemoryTable::builder(database.table::<Account>())
            .patience(Duration::from_secs(random.u64(1..30)))
            .late_write_window(LATE_WRITE_WINDOW)
            .requests_in_flight(random.usize(1..8));
        builder = match plan.writing {
            Writing::Plain => builder,
            Writing::FieldWise => builder.field_wise(),
            Writing::Guarded => {
                let guard = if random.bool() { Guard::Item } else { Guard::Fields };
                builder.guarded(guard).on_conflict(OnConflict::merge(merged))
            }
        };
        if random.bool() {
            builder = builder.flush_at_records(random.usize(1..20));
        }
        if random.u8(..4) == 0 {
            builder = builder.max_unsaved_records(random.usize(1..20));
        }
        let memory = builder.build().expect("the options are legal");
        Self { store, memory, model: Model::default(), plan, random }
    }

    async fn all(mut self) {
        let mut tasks = Vec::new();
        for number in 0..self.plan.tasks {
            let task = Task {
                number,
                store: self.store.clone(),
                memory: self.memory.clone(),
                model: Arc::clone(&self.model),
                writing: self.plan.writing,
                tasks: self.plan.tasks,
                keys: self.plan.keys,
                solo: self.plan.solo,
                random: self.random.fork(),
                step: 0,
            };
            tasks.push(tokio::spawn(task.run(self.plan.operations)));
        }
        for task in tasks {
            if let Err(error) = task.await {
                self.store.violated(format!("a task panicked: {error}"));
            }
        }
        self.store.heal();
        self.drain().await;
        self.compare().await;
    }

    /// Once nothing fails any more, everything is saved.
    async fn drain(&self) {
        tokio::time::sleep(2 * LATE_WRITE_WINDOW).await;
        for key in self.poisonous() {
            let _known = self.memory.discard(key).await;
        }
        for _ in 0..5 {
            match self.memory.flush().await {
                Ok(report) => {
                    check(&self.store, &report);
                    if self.memory.unsaved().is_empty() {
                        break;
                    }
                }
                Err(error) => self.settle_stuck(&error).await,
            }
        }
        if !self.memory.unsaved().is_empty() {
            let left: Vec<String> = self.memory.unsaved().iter().map(ToString::to_string).collect();
            self.store.violated(format!("still unsaved: {}", left.join(", ")));
        }
        tokio::time::sleep(2 * LATE_WRITE_WINDOW).await;
    }

    fn poisonous(&self) -> Vec<u32> {
        let model = self.model.lock();
        model.iter().filter(|(_, expected)| expected.poison).map(|(id, _)| *id).collect()
    }

    /// Increments of unknown outcome whose token has expired end by their owner's word.
    async fn settle_stuck(&self, error: &FlushError) {
        check(&self.store, error.report());
        for failed in &error.report().failed {
            let id: u32 = failed.key.to_string().parse().expect("an id");
            if self.memory.resolve(id, Increment::NotApplied).await.is_ok() {
                let mut model = self.model.lock();
                let expected = model.entry(id).or_default();
                // Whether it was nobody knows.
                expected.maybe += expected.sum.abs() + 1;
            } else {
                self.store.violated(format!("not saved though nothing fails: {failed}"));
            }
        }
    }

    /// What is stored is what the tasks were told, and what the memory table says.
    async fn compare(&self) {
        let stored: BTreeMap<u32, Account> = self
            .store
            .items("accounts")
            .iter()
            .map(|json| crate::codec::decode::<Account>(json).expect("an account").record)
            .map(|account| (account.id, account))
            .collect();
        let model = self.model.lock().clone();
        for id in 0..self.plan.keys {
            let expected = model.get(&id).cloned().unwrap_or_default();
            let found = stored.get(&id);
            if expected.poison {
                continue;
            }
            let exists = expected.exists || (expected.maybe > 0 && found.is_some());
            let is_right = match found {
                None => !exists,
                Some(account) => {
                    let sums = expected.sum..=expected.sum + expected.maybe;
                    let theirs = account.theirs == expected.theirs;
                    exists && theirs && account.step == expected.step && sums.contains(&account.sum)
                }
            };
            if !is_right {
                self.store.violated(format!("{id} is {found:?}, expected {expected:?}"));
            }
            // What others change is not noticed in what is known.
            let without = |account: &Account| Account { theirs: 0, ..account.clone() };
            let known = self.memory.get(id).await;
            match known {
                Ok(known) if known.as_deref().map(without) == found.map(without) => {}
                known => self.store.violated(format!("{id} is {found:?}, in memory {known:?}")),
            }
        }
    }
}

/// A report is exact as far as it says itself.
fn check(store: &SimStore, report: &FlushReport) {
    let mut keys = HashSet::new();
    for failed in report.not_saved() {
        if !keys.insert(failed.key.clone()) {
            store.violated(format!("{} is reported twice", failed.key));
        }
    }
    if report.written + report.deleted > 0 && report.requests == 0 {
        store.violated(format!("written without a request: {report}"));
    }
}

/// One of those who change records at once.
struct Task {
    number: u32,
    store: SimStore,
    memory: MemoryTable<Account>,
    model: Model,
    writing: Writing,
    tasks: u32,
    keys: u32,
    solo: u32,
    random: fastrand::Rng,
    step: u64,
}

impl Task {
    async fn run(mut self, operations: u32) {
        for _ in 0..operations {
            if self.random.bool() {
                tokio::time::sleep(Duration::from_millis(self.random.u64(..3_000))).await;
            }
            match self.random.u8(..14) {
                0 | 1 => self.flush().await,
                2..=6 => self.change_own().await,
                7 => self.look().await,
                8 => self.interfere(),
                9 => self.let_go(),
                10 => self.load().await,
                _ => self.add().await,
            }
        }
    }

    fn note(&self, text: &str) {
        self.store.note(&format!("task {}: {text}", self.number));
    }

    /// A key that only this task raises the step of.
    fn own(&mut self) -> Option<u32> {
        let id = self.random.u32(..self.keys);
        (id % self.tasks == self.number).then_some(id)
    }

    fn expect(&self, id: u32, change: impl FnOnce(&mut Expected)) {
        change(self.model.lock().entry(id).or_default());
    }

    async fn flush(&mut self) {
        let patience = Duration::from_millis(self.random.u64(..20_000));
        let ended = match self.random.u8(..4) {
            0 | 1 => {
                self.note("flush, perhaps cancelled");
                match tokio::time::timeout(patience, self.memory.flush()).await {
                    Ok(ended) => ended,
                    Err(_) => return self.note("cancelled the flush"),
                }
            }
            2 => {
                let id = self.random.u32(..self.keys);
                self.note(&format!("flush of {id}"));
                self.memory.flush_keys([id]).await
            }
            _ => {
                self.note("flush");
                self.memory.flush().await
            }
        };
        match &ended {
            Ok(report) => check(&self.store, report),
            Err(error) => check(&self.store, error.report()),
        }
        self.note(&format!("flushed: {}", ended.map_or_else(|e| e.to_string(), |r| r.to_string())));
    }

    async fn change_own(&mut self) {
        let Some(id) = self.own() else { return };
        if id < self.solo && self.random.u8(..3) == 0 {
            return self.replace(id).await;
        }
        self.step += 1;
        let step = self.step;
        self.note(&format!("step {step} of {id}"));
        match self.memory.update(id, |account| account.step = step).await {
            Ok(_) => self.expect(id, |expected| {
                (expected.exists, expected.step) = (true, step);
            }),
            Err(error) => self.note(&format!("not changed: {error}")),
        }
    }

    /// Puts or deletes a record that nobody else touches.
    async fn replace(&mut self, id: u32) {
        let poison = self.writing == Writing::Plain && self.random.u8(..6) == 0;
        if self.random.bool() {
            self.note(&format!("delete {id}"));
            match self.memory.delete(id).await {
                Ok(()) => self.expect(id, |expected| *expected = Expected::default()),
                Err(error) => self.note(&format!("not deleted: {error}")),
            }
            return;
        }
        self.step += 1;
        let (step, sum) = (self.step, self.random.i64(0..100));
        self.note(&format!("put {id}, step {step}, sum {sum}, poison {poison}"));
        match self.memory.put(Account { id, step, sum, theirs: 0, poison }).await {
            Ok(()) => self.expect(id, |expected| {
                *expected = Expected { exists: true, step, sum, maybe: 0, theirs: 0, poison };
            }),
            Err(error) => self.note(&format!("not put: {error}")),
        }
    }

    /// What a task reads is what it was told.
    async fn look(&mut self) {
        let Some(id) = self.own() else { return };
        let expected = self.model.lock().get(&id).cloned().unwrap_or_default();
        match self.memory.get(id).await {
            Ok(found) => {
                let step = found.as_ref().map_or(0, |account| account.step);
                self.note(&format!("{id} has step {step}"));
                if step != expected.step {
                    self.store.violated(format!("{id} is read as {found:?}, not {expected:?}"));
                }
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.store.violated(format!("a read with a conflict: {error}"));
            }
            Err(error) => self.note(&format!("not read: {error}")),
        }
    }

    /// Somebody else changes what this process does not.
    fn interfere(&mut self) {
        let id = self.random.u32(..self.keys);
        if self.writing != Writing::Plain && id >= self.solo && self.store.raise_theirs(id) {
            self.expect(id, |expected| expected.theirs += 1);
        }
    }

    /// The policy lets a record go, if it is clean.
    fn let_go(&mut self) {
        let id = self.random.u32(..self.keys);
        self.note(&format!("let go of {id}"));
        self.memory.let_go(&id);
    }

    async fn load(&mut self) {
        let ids: Vec<u32> = (0..self.keys).filter(|_| self.random.bool()).collect();
        self.note(&format!("prefetch {ids:?}"));
        if let Err(error) = self.memory.prefetch(ids).await {
            self.note(&format!("not loaded: {error}"));
        }
    }

    /// Adds to a record that all add to.
    async fn add(&mut self) {
        let id = self.random.u32(..self.keys);
        if id < self.solo {
            return;
        }
        let by_increment = self.random.bool();
        self.note(&format!("add to {id}, by increment: {by_increment}"));
        let added = if by_increment {
            self.memory.increment(id, Account::FIELDS.sum, 1).await
        } else {
            self.memory.update(id, |account| account.sum += 1).await.map(drop)
        };
        match added {
            Ok(()) => self.expect(id, |expected| {
                expected.exists = true;
                expected.sum += 1;
            }),
            Err(error) => self.note(&format!("not added: {error}")),
        }
    }
}

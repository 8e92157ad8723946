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
    Database, Error, ErrorKind, Failed, FlushReport, Guard, Increment, Key, MemoryTable,
    OnConflict, Record,
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
    patience: Duration,
    /// How often it is flushed in the background.
    interval: Option<Duration>,
    /// It is flushed in the background when much is unsaved.
    flushes_alone: bool,
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
        let keys = if random.u8(..3) == 0 { random.u32(30..150) } else { random.u32(1..30) };
        let mut plan = Plan {
            writing: [Writing::Plain, Writing::Plain, Writing::FieldWise, Writing::Guarded]
                [random.usize(..4)],
            tasks: random.u32(1..6),
            keys,
            operations: random.u32(3..40),
            solo: if random.bool() { random.u32(..=keys) } else { keys / 4 },
            patience: Duration::from_secs(if random.bool() { random.u64(1..6) } else { 20 }),
            interval: (random.u8(..4) == 0).then(|| Duration::from_secs(random.u64(1..10))),
            flushes_alone: false,
        };
        let database = Database::simulated(Arc::new(store.clone()), &["accounts"]);
        let mut builder = MemoryTable::builder(database.table::<Account>())
            .patience(plan.patience)
            .late_write_window(LATE_WRITE_WINDOW)
            .requests_in_flight([1, 1, 2, 5, 8][random.usize(..5)]);
        builder = match plan.writing {
            Writing::Plain => builder,
            Writing::FieldWise => builder.field_wise(),
            Writing::Guarded => {
                let guard = if random.bool() { Guard::Item } else { Guard::Fields };
                builder.guarded(guard).on_conflict(OnConflict::merge(merged))
            }
        };
        if random.bool() {
            plan.flushes_alone = true;
            builder = builder.flush_at_records(random.usize(1..20));
        }
        if random.u8(..4) == 0 {
            plan.flushes_alone = true;
            builder = builder.max_unsaved_records(random.usize(1..20));
        }
        if let Some(interval) = plan.interval {
            builder = builder.flush_interval(interval);
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
                patience: self.plan.patience,
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
        if self.plan.interval.is_some() {
            self.see_the_background_drain().await;
        }
        // One that began before, and gave something up, may still be under way.
        let _before = self.memory.flush().await;
        let stuck = self.flush_all_but_poison().await;
        self.settle_stuck(stuck).await;
        for key in self.poisonous() {
            let _known = self.memory.discard(key).await;
        }
        for _ in 0..2 {
            for failed in self.flush_all_but_poison().await {
                self.store.violated(format!("not saved though nothing fails: {failed}"));
            }
            self.change_all().await;
        }
        let unsaved = self.memory.unsaved().len() as u64;
        match self.memory.flush().await {
            Ok(report) if self.plan.flushes_alone || self.plan.interval.is_some() => drop(report),
            Ok(report) if report.submitted() == unsaved => {}
            ended => self.store.violated(format!("{unsaved} were unsaved: {ended:?}")),
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

    /// A background that flushes now and then stops for nothing: what can be saved is, without anybody
    /// asking for it.
    async fn see_the_background_drain(&self) {
        tokio::time::sleep(Duration::from_secs(600)).await;
        let unsaved = self.memory.unsaved().len();
        let report = match self.memory.flush().await {
            Ok(report) => report,
            Err(error) => error.into_report(),
        };
        if report.written + report.deleted > 0 {
            self.store.violated(format!("{unsaved} were left by the background: {report}"));
        }
    }

    /// Nothing fails, so every record is saved that is not poisonous and has no increment that waits for
    /// its owner's word. Returns those.
    async fn flush_all_but_poison(&self) -> Vec<Failed> {
        let report = match self.memory.flush().await {
            Ok(report) => report,
            Err(error) => error.into_report(),
        };
        check(&self.store, &report);
        let poisonous = self.poisonous();
        for parked in &report.parked {
            if !poisonous.contains(&id_of(&parked.key)) {
                self.store.violated(format!("nothing is wrong with what is parked: {parked}"));
            }
        }
        report.failed
    }

    /// Sets a step, however long the room for it takes to be made.
    async fn step_of(&self, id: u32, step: u64) -> Result<Arc<Account>, Error> {
        let mut tries = 0;
        loop {
            let changed = self.memory.update_existing(id, |account| account.step = step).await;
            tries += 1;
            match changed {
                Err(error) if error.kind() == ErrorKind::Timeout && tries < 10 => {}
                ended => return ended,
            }
        }
    }

    /// One more step of every record that is not poisonous.
    async fn change_all(&self) {
        let ids: Vec<u32> = self.model.lock().keys().copied().collect();
        for id in ids {
            let mut model = self.model.lock().clone();
            let Some(expected) = model.get_mut(&id).filter(|expected| !expected.poison) else {
                continue;
            };
            let is_there = expected.exists;
            expected.step += 1_000;
            let step = expected.step;
            match self.step_of(id, step).await {
                Ok(_) if is_there => *self.model.lock() = model,
                Ok(_) => self.store.violated(format!("{id} is there")),
                Err(error) if error.kind() == ErrorKind::NotFound && !is_there => {}
                Err(error) => self.store.violated(format!("{id} is not changed: {error}")),
            }
        }
    }

    /// Increments of unknown outcome whose token has expired end by their owner's word.
    async fn settle_stuck(&self, stuck: Vec<Failed>) {
        for failed in stuck {
            let id = id_of(&failed.key);
            let is_resolved = self.memory.resolve(id, Increment::NotApplied).await.is_ok();
            if is_resolved && failed.to_resolve {
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

fn id_of(key: &Key) -> u32 {
    key.to_string().parse().expect("an id")
}

/// Nothing is given up before nothing was written for as long as patience says, since it was first sent.
fn see_patience(store: &SimStore, patience: Duration, report: &FlushReport) {
    for failed in &report.failed {
        let is_impatient = matches!(failed.error.kind(), ErrorKind::Throttled | ErrorKind::Service);
        if is_impatient && let Some(since) = store.given_up(&failed.key) {
            // The time that an answer takes is measured by the one side and not by the other.
            if since + Duration::from_millis(1) < patience {
                store.violated(format!("given up after {since:?} of {patience:?}: {failed}"));
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
    patience: Duration,
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
            match self.random.u8(..20) {
                0 | 1 => self.flush().await,
                2..=6 => self.change_own().await,
                7 => self.look().await,
                8 => self.interfere(),
                9 => self.let_go(),
                10 => self.load().await,
                11 => self.scan().await,
                12 => self.forget().await,
                13 => self.change_all_own().await,
                14 | 15 => self.come_and_go().await,
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
        let ended = match self.random.u8(..6) {
            // Goes on beside what this task does next.
            4 | 5 => {
                self.note("flush, not waited for");
                let (store, memory) = (self.store.clone(), self.memory.clone());
                let patience = self.patience;
                tokio::spawn(async move {
                    let report = match memory.flush().await {
                        Ok(report) => report,
                        Err(error) => error.into_report(),
                    };
                    check(&store, &report);
                    see_patience(&store, patience, &report);
                });
                return;
            }
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
        let report = match &ended {
            Ok(report) => report,
            Err(error) => error.report(),
        };
        check(&self.store, report);
        see_patience(&self.store, self.patience, report);
        self.note(&format!("flushed: {}", ended.map_or_else(|e| e.to_string(), |r| r.to_string())));
    }

    async fn change_own(&mut self) {
        let Some(id) = self.own() else { return };
        if id < self.solo && self.random.bool() {
            return self.replace(id).await;
        }
        self.raise_step(id).await;
    }

    /// Many at once, so that there is more than a batch of them.
    async fn change_all_own(&mut self) {
        self.note("a step of all that are its own, and one more for all that are everybody's");
        let soon = Duration::from_millis(self.random.u64(..10_000));
        let (tasks, number) = (self.tasks, self.number);
        for id in (0..self.keys).filter(|id| id % tasks == number) {
            self.raise_step(id).await;
        }
        for id in self.solo..self.keys {
            self.add_to(id, false).await;
        }
        let _either = tokio::time::timeout(soon, self.flush()).await;
    }

    async fn raise_step(&mut self, id: u32) {
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
        let poison = self.random.u8(..6) == 0;
        if self.random.bool() { self.delete(id).await } else { self.put(id, poison).await }
    }

    async fn delete(&mut self, id: u32) {
        self.note(&format!("delete {id}"));
        match self.memory.delete(id).await {
            Ok(()) => self.expect(id, |expected| *expected = Expected::default()),
            Err(error) => self.note(&format!("not deleted: {error}")),
        }
    }

    async fn put(&mut self, id: u32, poison: bool) {
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

    /// What a scan finds of a task's own is what it was told.
    async fn scan(&mut self) {
        if self.random.bool() {
            // Of what is in flight there is something newer.
            self.change_own().await;
        }
        self.note("scan");
        let found = match self.memory.scan().page_size(self.random.u32(1..20)).all().await {
            Ok(found) => found,
            Err(error) => return self.note(&format!("not scanned: {error}")),
        };
        let mut steps = BTreeMap::new();
        for account in found {
            if steps.insert(account.id, account.step).is_some() {
                self.store.violated(format!("{} is scanned twice", account.id));
            }
        }
        self.note(&format!("scanned {}", steps.len()));
        let model = self.model.lock().clone();
        for id in (0..self.keys).filter(|id| id % self.tasks == self.number) {
            let expected = model.get(&id).cloned().unwrap_or_default();
            let step = steps.get(&id).copied();
            let is_there = step.is_some() == expected.exists || id >= self.solo;
            if step.unwrap_or_default() != expected.step || !is_there {
                self.store.violated(format!("{id} is scanned with {step:?}, not {expected:?}"));
            }
        }
    }

    /// A record that is deleted as soon as it was sent.
    async fn come_and_go(&mut self) {
        let own: Vec<u32> = (0..self.solo).filter(|id| id % self.tasks == self.number).collect();
        let Some(id) = self.random.choice(own) else { return };
        for is_put in [true, false] {
            if is_put {
                self.put(id, false).await;
            } else {
                self.delete(id).await;
            }
            let soon = Duration::from_millis(self.random.u64(..4_000));
            let _either = tokio::time::timeout(soon, self.memory.flush_keys([id])).await;
        }
    }

    /// What is not saved is dropped by its owner.
    async fn forget(&mut self) {
        let Some(id) = self.own().filter(|id| *id < self.solo) else { return };
        self.note(&format!("take {id}"));
        match self.memory.take(id).await {
            Ok(_) => self.expect(id, |expected| *expected = Expected::default()),
            Err(error) => self.note(&format!("not taken: {error}")),
        }
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
        self.add_to(id, by_increment).await;
    }

    async fn add_to(&mut self, id: u32, by_increment: bool) {
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

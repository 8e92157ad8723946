//! One seed's run: tasks that change records of a memory table over a store that fails as the seed
//! says, then the invariants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::account::{Account, Expected, Model, Writing, at, id_of};
use super::checks::{check, report_of};
use super::fate::LATE_WRITE_WINDOW;
use super::store::SimStore;
use super::task::Task;
use crate::rt;
use crate::{
    Database, Error, ErrorKind, Failed, Guard, Increment, MemoryTable, OnConflict, Table, flush_all,
};

/// Others change `theirs` alone, and nobody here does.
fn merged(
    _: Option<&Account>,
    mine: Option<&Account>,
    theirs: Option<&Account>,
) -> Option<Account> {
    let mine = mine?.clone();
    Some(Account { theirs: theirs.map_or(mine.theirs, |account| account.theirs), ..mine })
}

const WRITINGS: [Writing; 8] = [
    Writing::Plain,
    Writing::Plain,
    Writing::Plain,
    Writing::Plain,
    Writing::FieldWise,
    Writing::Guarded,
    Writing::Overwriting,
    Writing::Replacing,
];

/// What a run is like.
pub(super) struct Plan {
    writing: Writing,
    guard: Guard,
    tasks: u32,
    keys: u32,
    operations: u32,
    /// The first so many keys are touched by their owner alone.
    solo: u32,
    patience: Duration,
    requests_in_flight: usize,
    /// How often it is flushed in the background.
    interval: Option<Duration>,
    /// It is flushed in the background when so much is unsaved.
    mark: Option<usize>,
    max_unsaved: Option<usize>,
    /// When all tasks end in the midst of it, as where the runtime is shut down; the job goes on.
    shut_down: Option<Duration>,
    /// A task may close the table.
    closes: bool,
}

impl Plan {
    fn draw(random: &mut fastrand::Rng) -> Self {
        let keys = if random.bool() { random.u32(30..150) } else { random.u32(1..30) };
        Self {
            writing: WRITINGS[random.usize(..WRITINGS.len())],
            guard: if random.bool() { Guard::Item } else { Guard::Fields },
            tasks: random.u32(1..6),
            keys,
            operations: random.u32(3..40),
            solo: if random.bool() { random.u32(..=keys) } else { keys / 4 },
            patience: Duration::from_secs(if random.bool() { random.u64(1..6) } else { 20 }),
            requests_in_flight: [1, 1, 2, 5, 8][random.usize(..5)],
            interval: (random.u8(..4) == 0).then(|| Duration::from_secs(random.u64(1..10))),
            mark: random.bool().then(|| random.usize(1..20)),
            max_unsaved: (random.u8(..4) == 0).then(|| random.usize(1..20)),
            shut_down: (random.u8(..8) == 0).then(|| Duration::from_millis(random.u64(..60_000))),
            closes: random.u8(..4) == 0,
        }
    }

    pub(super) fn open(&self, table: &Table<Account>) -> MemoryTable<Account> {
        let mut builder = MemoryTable::builder(table.clone())
            .patience(self.patience)
            .late_write_window(LATE_WRITE_WINDOW)
            .requests_in_flight(self.requests_in_flight);
        builder = match self.writing {
            Writing::Plain => builder,
            Writing::FieldWise => builder.field_wise(),
            Writing::Overwriting => {
                builder.guarded(Guard::Fields).on_conflict(OnConflict::Overwrite)
            }
            Writing::Replacing => builder.guarded(Guard::Item).on_conflict(OnConflict::Overwrite),
            Writing::Guarded => builder.guarded(self.guard).on_conflict(OnConflict::merge(merged)),
        };
        if let Some(mark) = self.mark {
            builder = builder.flush_at_records(mark);
        }
        if let Some(most) = self.max_unsaved {
            builder = builder.max_unsaved_records(most);
        }
        if let Some(interval) = self.interval {
            builder = builder.flush_interval(interval);
        }
        builder.build().expect("the options are legal")
    }

    const fn flushes_alone(&self) -> bool {
        self.mark.is_some() || self.max_unsaved.is_some() || self.interval.is_some()
    }
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

pub(super) struct Run {
    pub(super) store: SimStore,
    pub(super) memory: MemoryTable<Account>,
    other: MemoryTable<Account>,
    pub(super) model: Model,
    other_model: Model,
    pub(super) plan: Plan,
    pub(super) random: fastrand::Rng,
}

impl Run {
    fn new(seed: u64, store: SimStore) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let plan = Plan::draw(&mut random);
        let database = Database::simulated(Arc::new(store.clone()), &["accounts", "others"]);
        let memory = plan.open(&database.table());
        let other = MemoryTable::builder(database.table_named::<Account>("others"))
            .patience(plan.patience)
            .late_write_window(LATE_WRITE_WINDOW);
        let other = other.build().expect("the options are legal");
        let (model, other_model) = (Model::default(), Model::default());
        Self { store, memory, other, model, other_model, plan, random }
    }

    async fn all(mut self) {
        rt::watch();
        let tasks: Vec<_> = (0..self.plan.tasks).map(|number| self.task(number)).collect();
        let tasks: Vec<_> =
            tasks.into_iter().map(|task| tokio::spawn(task.run(self.plan.operations))).collect();
        if let Some(time) = self.plan.shut_down {
            tokio::time::sleep(time).await;
            self.store.note("the runtime is shut down");
            tasks.iter().for_each(JoinHandle::abort);
            rt::end_all();
        }
        for task in tasks {
            match task.await {
                Err(error) if error.is_panic() => {
                    self.store.violated(format!("a task panicked: {error}"));
                }
                _ => {}
            }
        }
        self.interlude().await;
        self.store.heal();
        self.drain().await;
        self.drain_other().await;
        self.compare().await;
    }

    fn task(&mut self, number: u32) -> Task {
        Task {
            number,
            store: self.store.clone(),
            memory: self.memory.clone(),
            other: self.other.clone(),
            model: Arc::clone(&self.model),
            other_model: Arc::clone(&self.other_model),
            writing: self.plan.writing,
            patience: self.plan.patience,
            tasks: self.plan.tasks,
            keys: self.plan.keys,
            solo: self.plan.solo,
            closes: self.plan.closes,
            random: self.random.fork(),
            step: 0,
        }
    }

    /// Once nothing fails any more, everything is saved.
    async fn drain(&self) {
        tokio::time::sleep(2 * LATE_WRITE_WINDOW).await;
        // Where the runtime ended nothing flushes before the next change.
        if self.plan.interval.is_some() && self.plan.shut_down.is_none() {
            self.see_the_background_drain().await;
        }
        // One that began before, and gave something up, may still be under way.
        let _before = self.memory.flush().await;
        let stuck = self.flush_all_but_poison().await;
        self.settle_stuck(stuck).await;
        for key in self.poisonous() {
            let _known = self.memory.discard(at(key)).await;
        }
        for _ in 0..2 {
            for failed in self.flush_all_but_poison().await {
                self.store.violated(format!("not saved though nothing fails: {failed}"));
            }
            self.change_all().await;
        }
        let unsaved = self.memory.unsaved().len() as u64;
        match self.memory.flush().await {
            Ok(report) if self.plan.flushes_alone() => drop(report),
            Ok(report) if report.submitted() == unsaved => {}
            ended => self.store.violated(format!("{unsaved} were unsaved: {ended:?}")),
        }
        if !self.memory.unsaved().is_empty() {
            let left: Vec<String> = self.memory.unsaved().iter().map(ToString::to_string).collect();
            self.store.violated(format!("still unsaved: {}", left.join(", ")));
        }
        tokio::time::sleep(2 * LATE_WRITE_WINDOW).await;
    }

    /// The other table, of which nothing was flushed but together with the first.
    async fn drain_other(&self) {
        let unsaved = self.other.unsaved().len() as u64;
        match flush_all(&[&self.memory, &self.other]).await {
            Ok(report) if report.submitted() == unsaved => {}
            ended => self.store.violated(format!("{unsaved} were unsaved: {ended:?}")),
        }
        let stored: BTreeMap<u32, u64> =
            self.stored("others").into_values().map(|account| (account.id, account.step)).collect();
        let model = self.other_model.lock();
        let expected = model.iter().map(|(id, expected)| (*id, expected.step));
        let expected: BTreeMap<u32, u64> = expected.collect();
        if stored != expected {
            self.store.violated(format!("the other table has {stored:?}, not {expected:?}"));
        }
    }

    pub(super) fn stored(&self, table: &str) -> BTreeMap<u32, Account> {
        let items = self.store.items(table);
        let decoded = items.iter().map(|json| crate::codec::decode::<Account>(json));
        decoded.map(|decoded| decoded.expect("an account").record).map(|it| (it.id, it)).collect()
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
        let report = report_of(self.memory.flush().await);
        if report.written + report.deleted > 0 {
            self.store.violated(format!("{unsaved} were left by the background: {report}"));
        }
    }

    /// Nothing fails, so every record is saved that is not poisonous and has no increment that waits for
    /// its owner's word. Returns those.
    async fn flush_all_but_poison(&self) -> Vec<Failed> {
        let report = report_of(self.memory.flush().await);
        check(&self.store, &report);
        let poisonous = self.poisonous();
        for parked in &report.parked {
            if !poisonous.contains(&id_of(&parked.key)) {
                self.store.violated(format!("nothing is wrong with what is parked: {parked}"));
            }
        }
        // Where nothing else is left to be saved, the table looks as if it were to blame.
        report.failed.into_iter().filter(|it| !poisonous.contains(&id_of(&it.key))).collect()
    }

    /// Sets a step, however long the room for it takes to be made.
    async fn step_of(&self, id: u32, step: u64) -> Result<Arc<Account>, Error> {
        let mut tries = 0;
        loop {
            let changed = self.memory.update_existing(at(id), |account| account.step = step).await;
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
            let Some(expected) = self.model.lock().get(&id).cloned() else { continue };
            if expected.poison {
                continue;
            }
            let step = expected.step + 1_000_000;
            match self.step_of(id, step).await {
                Ok(_) if expected.exists => {
                    self.model.lock().insert(id, Expected { step, ..expected });
                }
                Ok(_) => self.store.violated(format!("{id} is there")),
                Err(error) if error.kind() == ErrorKind::NotFound && !expected.exists => {}
                Err(error) => self.store.violated(format!("{id} is not changed: {error}")),
            }
        }
    }

    /// Increments of unknown outcome whose token has expired end by their owner's word.
    async fn settle_stuck(&self, stuck: Vec<Failed>) {
        for failed in stuck {
            let id = id_of(&failed.key);
            let is_resolved = self.memory.resolve(at(id), Increment::NotApplied).await.is_ok();
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
        let stored = self.stored("accounts");
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
                    // What is replaced as a whole has not what others changed meanwhile.
                    let theirs = account.theirs == expected.theirs
                        || (self.plan.writing == Writing::Replacing
                            && account.theirs < expected.theirs);
                    exists && theirs && account.step == expected.step && sums.contains(&account.sum)
                }
            };
            if !is_right {
                self.store.violated(format!("{id} is {found:?}, expected {expected:?}"));
            }
            // What others change is not noticed in what is known.
            let without = |account: &Account| Account { theirs: 0, ..account.clone() };
            let known = self.memory.get(at(id)).await;
            match known {
                Ok(known) if known.as_deref().map(without) == found.map(without) => {}
                known => self.store.violated(format!("{id} is {found:?}, in memory {known:?}")),
            }
        }
    }
}

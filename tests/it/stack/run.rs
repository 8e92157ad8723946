//! One seed's run: the tasks, while requests fail as the seed says, then what must hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memory_table::testing::Chaos;
use memory_table::{Database, ErrorKind, Failed, Increment};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::task::Task;
use super::{Account, Expected, Job, Log, Plan, account, at};
use crate::support::{Fault, Faults};

/// Longer than the service knows the token of an increment.
const BEYOND_TOKENS: Duration = Duration::from_secs(660);
const INCREMENT: &str = "TransactWriteItems";
const WRITES: [&str; 5] = ["BatchWriteItem", "DeleteItem", "PutItem", INCREMENT, "UpdateItem"];

/// One seed's run.
pub(super) struct Run {
    job: Arc<Job>,
    faults: Faults,
    random: fastrand::Rng,
}

impl Run {
    /// Some of the records are stored before.
    pub(super) async fn new(seed: u64, stored: &Database, log: &Arc<Log>) -> Self {
        // The first numbers of near seeds are near each other.
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let plan = Plan::draw(&mut random, stored.is_embedded());
        log.note(&format!("{plan:?}"));
        let (faulty, faults) = Faults::around(stored);
        let table = faulty.table::<Account>();
        table.create_if_missing().await.expect("the table is created");
        let truth = stored.table::<Account>();
        let mut old = Vec::new();
        for id in 0..plan.keys {
            if random.bool() {
                old.push(account(id, 0, random.i64(0..100)));
            }
        }
        let report = truth.batch_write().puts(old.clone()).await.expect("they are stored");
        assert_eq!(report.written, old.len() as u64);
        let model = old.iter().map(|it| (it.id, Expected { is_old: true, ..Expected::of(it) }));
        let (memory, model, log) = (plan.open(table), Mutex::new(model.collect()), Arc::clone(log));
        Self { job: Arc::new(Job { plan, memory, truth, model, log }), faults, random }
    }

    pub(super) async fn all(mut self) {
        self.strew_faults();
        let mut tasks = Vec::new();
        for number in 0..self.job.plan.tasks {
            let (job, random) = (Arc::clone(&self.job), self.random.fork());
            tasks.push(tokio::spawn(Task { number, job, random, step: 0 }.run()));
        }
        for task in tasks {
            task.await.expect("a task that ends");
        }
        self.lose_increments().await;
        self.faults.heal();
        self.job.log.note("healed");
        self.drain().await;
        self.compare().await;
        for broken in self.faults.broken_rules() {
            self.job.log.violated(&broken);
        }
    }

    /// How likely each fault is differs from seed to seed.
    fn strew_faults(&mut self) {
        let (random, plan) = (&mut self.random, &self.job.plan);
        let chaos = Chaos::seeded(random.u64(..))
            .unprocessed(likely(random, 0.5))
            .throttled(likely(random, 0.3))
            .failed(likely(random, 0.2))
            .applied_before_failure(0.5)
            .reset(likely(random, 0.2))
            .applied_before_reset(0.5)
            .short_pages(likely(random, 0.5))
            .latency(plan.second.mul_f64(likely(random, 2.0)));
        self.job.log.note(&format!("{chaos:?}"));
        self.faults.chaos(chaos);
        // By a clock that nobody pauses, it is for the machine to say how late a request lands.
        let late = if plan.is_paused { likely(random, 0.1) } else { 0.0 };
        for operation in WRITES {
            let random = Mutex::new(random.fork());
            let (log, latest) = (Arc::clone(&self.job.log), plan.window().mul_f64(0.9));
            self.faults.script(operation, move |request| {
                log.note(&format!("  {} {}", request.operation, request.body));
                let mut random = random.lock();
                let fault = Fault::connection_reset().applied_late(latest.mul_f64(random.f64()));
                (random.f64() < late).then_some(fault)
            });
        }
    }

    /// For longer than anybody knows the token of an increment, no answer to one comes.
    async fn lose_increments(&mut self) {
        if !self.job.plan.is_paused || self.random.u8(..4) > 0 {
            return;
        }
        self.job.log.note("no answer to an increment comes");
        let lost = Fault::connection_reset();
        let lost = if self.random.bool() { lost.after_applying() } else { lost };
        self.faults.always(INCREMENT, lost);
        self.job.check(&self.job.memory.flush().await);
        sleep(BEYOND_TOKENS).await;
    }

    /// Once nothing fails any more, everything is saved.
    async fn drain(&mut self) {
        let job = Arc::clone(&self.job);
        sleep(2 * job.plan.window()).await;
        // Behind those that began before, and may give something up; then everything is saved.
        let _behind = job.memory.flush_keys((0..job.plan.keys).map(at)).await;
        let _behind = job.memory.flush().await;
        self.settle_stuck(job.flush_quietly().await).await;
        for round in 0..2 {
            if round > 0 {
                self.change_some().await;
            }
            for failed in job.flush_quietly().await {
                job.log.violated(&format!("not saved though nothing fails: {failed}"));
            }
        }
        sleep(2 * job.plan.window()).await;
    }

    /// Increments of unknown outcome whose token has expired end by their owner's word.
    async fn settle_stuck(&self, stuck: Vec<Failed>) {
        for failed in stuck {
            let key = failed.key.to_typed::<Account>().expect("a key of the table");
            let resolved = self.job.memory.resolve(key, Increment::NotApplied).await;
            if resolved.is_ok() && failed.to_resolve {
                let mut model = self.job.model.lock();
                let expected = model.entry(key.1).or_default();
                // Whether it was nobody knows.
                expected.maybe += expected.sum.abs() + 1;
            } else {
                self.job.log.violated(&format!("not saved though nothing fails: {failed}"));
            }
        }
    }

    /// One more step of some of the records.
    async fn change_some(&mut self) {
        let model = self.job.model.lock().clone();
        for (id, mut expected) in model {
            if self.random.bool() {
                continue;
            }
            expected.step += 1_000_000;
            let step = expected.step;
            match self.job.memory.update_existing(at(id), |it| it.step = step).await {
                Ok(_) if expected.exists => _ = self.job.model.lock().insert(id, expected),
                Err(error) if error.kind() == ErrorKind::NotFound && !expected.exists => {}
                ended => self.job.log.violated(&format!("{id}, {expected:?}: {ended:?}")),
            }
        }
    }

    /// What is stored is what the tasks were told, and what the memory table says.
    async fn compare(&self) {
        let Job { truth, memory, log, .. } = &*self.job;
        let found = truth.scan().consistent().all().await.expect("the table is read");
        let stored: BTreeMap<u32, Account> = found.into_iter().map(|it| (it.id, it)).collect();
        for id in 0..self.job.plan.keys {
            let (found, expected) = (stored.get(&id), self.job.expected(id));
            if !expected.is_met_by(found) {
                log.violated(&format!("{id} is {found:?}, expected {expected:?}"));
            }
            // What others change is not noticed in what is known, nor what was applied though its owner said
            // that it was not.
            let without = |account: &Account| {
                let sum = if expected.maybe == 0 { account.sum } else { 0 };
                Account { theirs: 0, sum, ..account.clone() }
            };
            match memory.get(at(id)).await {
                Ok(known) if known.as_deref().map(without) == found.map(without) => {}
                known => log.violated(&format!("{id} is {found:?}, in memory {known:?}")),
            }
        }
    }
}

fn likely(random: &mut fastrand::Rng, most: f64) -> f64 {
    if random.bool() { 0.0 } else { random.f64() * most }
}

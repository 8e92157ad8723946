//! Those who change records at once, and what they must be told.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::store::SimStore;
use crate::{ErrorKind, FlushError, FlushReport, MemoryTable, Record, flush_all};

/// The first key of the other table.
pub(super) const OTHER: u32 = 1_000;

/// Something that tasks change: `step` by its owner alone, `sum` by all.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "accounts")]
pub(super) struct Account {
    #[record(partition_key)]
    pub(super) id: u32,
    /// Raised by every change of the owner, and never lowered.
    #[serde(default)]
    pub(super) step: u64,
    #[serde(default)]
    pub(super) sum: i64,
    /// Raised by others.
    #[serde(default)]
    pub(super) theirs: u64,
    /// The service refuses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) poison: bool,
}

/// What must be stored in the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) exists: bool,
    pub(super) step: u64,
    /// What was added for sure, and what may have been beyond it.
    pub(super) sum: i64,
    pub(super) maybe: i64,
    pub(super) theirs: u64,
    pub(super) poison: bool,
}

pub(super) type Model = Arc<Mutex<BTreeMap<u32, Expected>>>;

/// How the records of a run are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Plain,
    FieldWise,
    Guarded,
    /// Guarded by the attributes that change, which are written over what others stored.
    Overwriting,
    /// Guarded by the whole item, which is written over what others stored.
    Replacing,
}

/// Nothing is given up before nothing was written for as long as patience says, since it was first sent.
pub(super) fn see_patience(store: &SimStore, patience: Duration, report: &FlushReport) {
    for failed in &report.failed {
        let is_impatient = matches!(failed.error.kind(), ErrorKind::Throttled | ErrorKind::Service);
        if is_impatient && let Some(since) = store.given_up(&failed.table, &failed.key) {
            // The time that an answer takes is measured by the one side and not by the other.
            if since + Duration::from_millis(1) < patience {
                store.violated(format!("given up after {since:?} of {patience:?}: {failed}"));
            }
        }
    }
}

/// What a flush did, however it ended.
pub(super) fn report_of(ended: Result<FlushReport, FlushError>) -> FlushReport {
    ended.unwrap_or_else(FlushError::into_report)
}

/// A report is exact as far as it says itself.
pub(super) fn check(store: &SimStore, report: &FlushReport) {
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
pub(super) struct Task {
    pub(super) number: u32,
    pub(super) store: SimStore,
    pub(super) memory: MemoryTable<Account>,
    /// Another table of the database, of which each record has one owner.
    pub(super) other: MemoryTable<Account>,
    pub(super) model: Model,
    pub(super) other_model: Model,
    pub(super) writing: Writing,
    pub(super) patience: Duration,
    pub(super) tasks: u32,
    pub(super) keys: u32,
    pub(super) solo: u32,
    pub(super) random: fastrand::Rng,
    pub(super) step: u64,
}

impl Task {
    pub(super) async fn run(mut self, operations: u32) {
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

    /// All of those below this one.
    fn own_below(&self, end: u32) -> Vec<u32> {
        (0..end).filter(|id| id % self.tasks == self.number).collect()
    }

    fn expect(&self, id: u32, change: impl FnOnce(&mut Expected)) {
        change(self.model.lock().entry(id).or_default());
    }

    async fn flush(&mut self) {
        let patience = Duration::from_millis(self.random.u64(..20_000));
        let ended = match self.random.u8(..7) {
            // Goes on beside what this task does next.
            4 | 5 => {
                self.note("flush, not waited for");
                let (store, memory) = (self.store.clone(), self.memory.clone());
                let patience = self.patience;
                tokio::spawn(async move {
                    let report = report_of(memory.flush().await);
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
            3 => {
                self.note("flush of all tables");
                flush_all(&[&self.memory, &self.other]).await
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
        if self.random.u8(..12) == 0 {
            return self.raise_other(OTHER + id).await;
        }
        self.raise_step(id).await;
    }

    /// A step of a record of the other table.
    async fn raise_other(&mut self, id: u32) {
        self.step += 1;
        let step = self.step;
        self.note(&format!("step {step} of {id}"));
        match self.other.update(id, |account| account.step = step).await {
            Ok(_) => {
                let mut model = self.other_model.lock();
                *model.entry(id).or_default() =
                    Expected { exists: true, step, ..Expected::default() };
            }
            Err(error) => self.note(&format!("not changed: {error}")),
        }
    }

    /// Many at once, so that there is more than a batch of them.
    async fn change_all_own(&mut self) {
        self.note("a step of all that are its own, and one more for all that are everybody's");
        let soon = Duration::from_millis(self.random.u64(..10_000));
        for id in self.own_below(self.keys) {
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
        for id in self.own_below(self.keys) {
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
        let own = self.own_below(self.solo);
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

//! Those who change records at once, and what they must be told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::account::{Account, Expected, Model, OTHER, Writing, at};
use super::checks::{check, report_of, see_patience};
use super::store::SimStore;
use crate::{ErrorKind, MemoryTable, flush_all};

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
    /// It may close the table.
    pub(super) closes: bool,
    pub(super) random: fastrand::Rng,
    pub(super) step: u64,
}

impl Task {
    pub(super) async fn run(mut self, operations: u32) {
        for _ in 0..operations {
            if self.random.bool() {
                tokio::time::sleep(Duration::from_millis(self.random.u64(..3_000))).await;
            }
            match self.random.u8(..30) {
                0 | 1 => self.flush().await,
                2..=6 => self.change_own().await,
                7 => self.look().await,
                8 => self.interfere(),
                9 => self.let_go(),
                10 => self.load().await,
                11 | 27 => self.scan().await,
                12 => self.forget().await,
                13 | 28 | 29 => self.change_all_own().await,
                14 | 15 => self.come_and_go().await,
                20..=25 => self.call().await,
                26 if self.closes => self.close().await,
                _ => self.add().await,
            }
        }
    }

    pub(super) fn note(&self, text: &str) {
        self.store.note(&format!("task {}: {text}", self.number));
    }

    /// A key that only this task raises the step of.
    pub(super) fn own(&mut self) -> Option<u32> {
        let id = self.random.u32(..self.keys);
        (id % self.tasks == self.number).then_some(id)
    }

    /// All of those below this one.
    pub(super) fn own_below(&self, end: u32) -> Vec<u32> {
        (0..end).filter(|id| id % self.tasks == self.number).collect()
    }

    pub(super) fn expected(&self, id: u32) -> Expected {
        self.model.lock().get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn expect(&self, id: u32, change: impl FnOnce(&mut Expected)) {
        change(self.model.lock().entry(id).or_default());
    }

    async fn flush(&mut self) {
        let patience = Duration::from_millis(self.random.u64(..20_000));
        let ended = match self.random.u8(..7) {
            // Goes on beside what this task does next.
            4 | 5 => return self.begin_flush(),
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
                self.memory.flush_keys([at(id)]).await
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

    /// A flush that nobody waits for.
    fn begin_flush(&self) {
        self.note("flush, not waited for");
        let (store, memory, patience) = (self.store.clone(), self.memory.clone(), self.patience);
        tokio::spawn(async move {
            let report = report_of(memory.flush().await);
            check(&store, &report);
            see_patience(&store, patience, &report);
        });
    }

    /// Of what is in flight there is something newer.
    pub(super) async fn change_behind_a_flush(&mut self) {
        let own = self.own_below(self.keys);
        let Some(id) = self.random.choice(own) else { return };
        self.raise_step(id).await;
        self.begin_flush();
        tokio::time::sleep(Duration::from_millis(self.random.u64(..2_000))).await;
        self.raise_step(id).await;
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
        match self.other.update(at(id), |account| account.step = step).await {
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
        match self.memory.update(at(id), |account| account.step = step).await {
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
        match self.memory.delete(at(id)).await {
            Ok(()) => self.expect(id, |expected| *expected = Expected::gone()),
            Err(error) => self.note(&format!("not deleted: {error}")),
        }
    }

    async fn put(&mut self, id: u32, poison: bool) {
        self.step += 1;
        let (step, sum) = (self.step, self.random.i64(0..100));
        let account = Account { step, sum, poison, ..Account::new(id) };
        self.note(&format!("put {account:?}"));
        let put = self.memory.put(account.clone()).await;
        self.told(&account, put);
    }

    /// What a task reads is what it was told.
    async fn look(&mut self) {
        let Some(id) = self.own() else { return };
        let expected = self.expected(id);
        match self.memory.get(at(id)).await {
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
        self.memory.let_go(&at(id));
    }

    /// What a scan finds of a task's own is what it was told.
    async fn scan(&mut self) {
        if self.random.bool() {
            self.change_behind_a_flush().await;
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
        self.see_own(&steps, |_| true, "scanned");
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
            let _either = tokio::time::timeout(soon, self.memory.flush_keys([at(id)])).await;
        }
    }

    /// What is not saved is dropped by its owner.
    async fn forget(&mut self) {
        let Some(id) = self.own().filter(|id| *id < self.solo) else { return };
        self.note(&format!("take {id}"));
        match self.memory.take(at(id)).await {
            Ok(_) => self.expect(id, |expected| *expected = Expected::gone()),
            Err(error) => self.note(&format!("not taken: {error}")),
        }
    }

    async fn load(&mut self) {
        let ids: Vec<u32> = (0..self.keys).filter(|_| self.random.bool()).collect();
        self.note(&format!("prefetch {ids:?}"));
        if let Err(error) = self.memory.prefetch(ids.into_iter().map(at)).await {
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
            self.memory.increment(at(id), Account::FIELDS.sum, 1).await
        } else {
            self.memory.update(at(id), |account| account.sum += 1).await.map(drop)
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

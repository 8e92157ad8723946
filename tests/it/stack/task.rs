//! Those who change records at once, and what they must be told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memory_table::Error;
use tokio::time::{sleep, timeout};

use super::{Account, Expected, Job, SHELVES, Writing, account, at};

/// One of those who change records at once.
pub(super) struct Task {
    pub(super) number: u32,
    pub(super) job: Arc<Job>,
    pub(super) random: fastrand::Rng,
    pub(super) step: u64,
}

impl Task {
    pub(super) async fn run(mut self) {
        for _ in 0..self.job.plan.operations {
            if self.random.bool() {
                sleep(self.time(3.0)).await;
            }
            match self.random.u8(..20) {
                0 | 1 => self.flush().await,
                2..=5 => self.change_own().await,
                6 | 7 => self.look().await,
                8 | 9 => self.interfere().await,
                10 => self.load().await,
                11 | 12 => self.read_many().await,
                13 => self.take().await,
                14 => self.change_all().await,
                15 | 16 => self.come_and_go().await,
                _ => {
                    let (id, by_increment) = (self.any(), self.random.bool());
                    self.add_to(id, by_increment).await;
                }
            }
        }
    }

    fn time(&mut self, most_seconds: f64) -> Duration {
        self.job.plan.second.mul_f64(self.random.f64() * most_seconds)
    }

    fn any(&mut self) -> u32 {
        self.random.u32(..self.job.plan.keys)
    }

    fn is_own(&self, id: u32) -> bool {
        id % self.job.plan.tasks == self.number
    }

    fn note(&self, text: &str) {
        self.job.log.note(&format!("task {}: {text}", self.number));
    }

    /// What came of a change; an error changed nothing.
    fn told<R>(
        &self,
        what: &str,
        id: u32,
        done: Result<R, Error>,
        then: impl FnOnce(&mut Expected),
    ) {
        match done {
            Ok(_) => {
                self.note(&format!("{what} {id}"));
                then(self.job.model.lock().entry(id).or_default());
            }
            Err(error) => self.note(&format!("no {what} {id}: {error}")),
        }
    }

    async fn flush(&mut self) {
        let (soon, id, job) = (self.time(20.0), self.any(), Arc::clone(&self.job));
        match self.random.u8(..4) {
            // Goes on beside what this task does next.
            0 => drop(tokio::spawn(async move { job.check(&job.memory.flush().await) })),
            1 => match timeout(soon, job.memory.flush()).await {
                Ok(ended) => job.check(&ended),
                Err(_) => self.note("cancelled the flush"),
            },
            2 => job.check(&job.memory.flush_keys([at(id)]).await),
            _ => job.check(&job.memory.flush().await),
        }
    }

    async fn change_own(&mut self) {
        let id = self.any();
        if !self.is_own(id) {
            return;
        }
        if id >= self.job.plan.solo || self.random.bool() {
            self.raise_step(id).await;
        } else if self.random.bool() {
            self.put(id).await;
        } else {
            self.delete(id).await;
        }
    }

    async fn raise_step(&mut self, id: u32) {
        self.step += 1;
        let step = self.step;
        let changed = self.job.memory.update(at(id), |account| account.step = step).await;
        self.told(&format!("step {step} of"), id, changed, |it| {
            (it.exists, it.step) = (true, step);
        });
    }

    async fn put(&mut self, id: u32) {
        self.step += 1;
        let account = account(id, self.step, self.random.i64(0..100));
        let put = self.job.memory.put(account.clone()).await;
        self.told(&format!("put {account:?}"), id, put, |it| *it = Expected::of(&account));
    }

    async fn delete(&mut self, id: u32) {
        let deleted = self.job.memory.delete(at(id)).await;
        self.told("delete", id, deleted, |it| *it = Expected::default());
    }

    async fn take(&mut self) {
        let id = self.any();
        if self.is_own(id) && id < self.job.plan.solo {
            let taken = self.job.memory.take(at(id)).await;
            self.told("take", id, taken, |it| *it = Expected::default());
        }
    }

    /// Adds to a record that all add to.
    async fn add_to(&mut self, id: u32, by_increment: bool) {
        if id < self.job.plan.solo {
            return;
        }
        let memory = &self.job.memory;
        let added = if by_increment {
            memory.increment(at(id), Account::FIELDS.sum, 1).await
        } else {
            memory.update(at(id), |account| account.sum += 1).await.map(drop)
        };
        let what = if by_increment { "increment" } else { "add to" };
        self.told(what, id, added, |it| (it.exists, it.sum) = (true, it.sum + 1));
    }

    /// Many at once, so that there is more than a batch of them.
    async fn change_all(&mut self) {
        self.load().await;
        for id in 0..self.job.plan.keys {
            if self.is_own(id) {
                self.raise_step(id).await;
            }
            self.add_to(id, false).await;
        }
        self.flush().await;
    }

    /// A record that is deleted as soon as it was sent.
    async fn come_and_go(&mut self) {
        let id = self.any();
        if !self.is_own(id) || id >= self.job.plan.solo {
            return;
        }
        for is_put in [true, false] {
            if is_put {
                self.put(id).await;
            } else {
                self.delete(id).await;
            }
            let soon = self.time(4.0);
            if let Ok(ended) = timeout(soon, self.job.memory.flush_keys([at(id)])).await {
                self.job.check(&ended);
            }
        }
    }

    /// Somebody else changes what nobody here does. Of a record that is being made here and of whose
    /// making no answer comes, nobody could tell who made what.
    async fn interfere(&mut self) {
        let id = self.any();
        let is_everybodys = id >= self.job.plan.solo && self.job.expected(id).is_old;
        if is_everybodys && self.job.plan.writing != Writing::Plain {
            let raised = self.job.truth.increment(at(id), Account::FIELDS.theirs, 1).await;
            raised.expect("nothing fails for others");
            self.told("others raised", id, Ok(()), |it| it.theirs += 1);
        }
    }

    async fn load(&mut self) {
        let ids: Vec<u32> = (0..self.job.plan.keys).filter(|_| self.random.u8(..4) > 0).collect();
        if let Err(error) = self.job.memory.prefetch(ids.into_iter().map(at)).await {
            self.note(&format!("not loaded: {error}"));
        }
    }

    /// What a task reads of its own is what it was told.
    async fn look(&mut self) {
        let (id, memory) = (self.any(), &self.job.memory);
        let again = self.random.bool();
        let found = if again { memory.refresh(at(id)).await } else { memory.get(at(id)).await };
        match found {
            Ok(found) => self.see(id, found.as_deref()),
            Err(error) => self.note(&format!("{id} is not read: {error}")),
        }
    }

    /// As [`look`](Self::look), at a shelf or all of them.
    async fn read_many(&mut self) {
        let page = self.random.u32(1..20);
        let shelf = self.random.bool().then(|| self.random.u32(..SHELVES));
        let found = match shelf {
            Some(shelf) => self.job.memory.query(shelf).page_size(page).all().await,
            None => self.job.memory.scan().page_size(page).all().await,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.note(&format!("{shelf:?} is not read: {error}")),
        };
        let accounts: BTreeMap<u32, &Account> = found.iter().map(|it| (it.id, &**it)).collect();
        let in_order = found.windows(2).all(|pair| pair[0].id < pair[1].id);
        if accounts.len() < found.len() || (shelf.is_some() && !in_order) {
            self.job.log.violated(&format!("{shelf:?} is read as {found:?}"));
        }
        let keys = 0..self.job.plan.keys;
        for id in keys.filter(|id| shelf.is_none_or(|shelf| at(*id).0 == shelf)) {
            self.see(id, accounts.get(&id).copied());
        }
    }

    fn see(&self, id: u32, found: Option<&Account>) {
        let expected = self.job.expected(id);
        let is_there = found.is_some() == expected.exists || id >= self.job.plan.solo;
        let is_told = is_there && found.map_or(0, |account| account.step) == expected.step;
        if self.is_own(id) && !is_told {
            self.job.log.violated(&format!("{id} is read as {found:?}, not {expected:?}"));
        }
    }
}

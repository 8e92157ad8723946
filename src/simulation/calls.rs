//! The calls that a task makes beside its changes: queries, and each other way to change a record.

use std::collections::BTreeMap;
use std::time::Duration;

use super::account::{Account, Expected, SHELVES, at};
use super::checks::{check, report_of, see_patience};
use super::task::Task;
use crate::{Error, ErrorKind, MemoryTable, ScopeError};

impl Task {
    pub(super) async fn call(&mut self) {
        match self.random.u8(..14) {
            0..=2 => self.query().await,
            3 => self.make().await,
            4 | 5 => self.put_guarded().await,
            6 | 7 => self.merge().await,
            8 => self.put_all().await,
            9 | 10 => self.refresh().await,
            11 => self.rekey().await,
            12 => self.scope().await,
            _ => self.reset().await,
        }
    }

    /// What a query finds of a task's own is what it was told, in its order.
    async fn query(&mut self) {
        let (shelf, page) = (self.random.u32(..SHELVES), self.random.u32(1..20));
        let (descending, limit) = (self.random.bool(), self.random.u64(1..30));
        let limit = self.random.bool().then_some(limit);
        if self.random.bool() {
            self.change_behind_a_flush().await;
        }
        self.note(&format!("query of {shelf}, limit {limit:?}, descending: {descending}"));
        let mut query = self.memory.query(shelf).page_size(page);
        if let Some(limit) = limit {
            query = query.limit(limit);
        }
        if descending {
            query = query.descending();
        }
        let found = match query.all().await {
            Ok(found) => found,
            Err(error) => return self.note(&format!("not queried: {error}")),
        };
        let is_before = |one: u32, other: u32| if descending { one > other } else { one < other };
        if !found.windows(2).all(|pair| is_before(pair[0].id, pair[1].id)) {
            self.store.violated(format!("not in order: {found:?}"));
        }
        // Behind a limit that was reached nothing was looked at.
        let is_cut = limit.is_some_and(|limit| found.len() as u64 >= limit);
        let end = found.last().filter(|_| is_cut).map(|account| account.id);
        let is_seen = |id: u32| id % SHELVES == shelf && end.is_none_or(|end| !is_before(end, id));
        let steps: BTreeMap<u32, u64> = found.iter().map(|it| (it.id, it.step)).collect();
        self.see_own(&steps, is_seen, "queried");
    }

    async fn make(&mut self) {
        let Some(id) = self.own() else { return };
        self.note(&format!("get or create {id}"));
        let expected = self.expected(id);
        if expected.gone {
            // It would begin with the first step again.
            return self.note("it is gone");
        }
        match self.memory.get_or_create(at(id)).await {
            Ok(found) => {
                if found.step != expected.step {
                    self.store.violated(format!("{id} is made as {found:?}, not {expected:?}"));
                }
                self.expect(id, |expected| expected.exists = true);
            }
            Err(error) => self.note(&format!("not made: {error}")),
        }
    }

    /// Nobody else writes it, so that no guard fails once it was seen.
    async fn put_guarded(&mut self) {
        let Some(id) = self.own().filter(|id| *id < self.solo) else { return };
        let account = self.next(id);
        self.note(&format!("put guarded {account:?}"));
        let is_seen = self.memory.get(at(id)).await.is_ok();
        if !is_seen || self.memory.unsaved().iter().any(|key| super::account::id_of(key) == id) {
            return self.note("not put: it was not seen, or is unsaved");
        }
        let put = self.memory.put_guarded(account.clone()).await;
        self.told(&account, put);
    }

    async fn merge(&mut self) {
        let Some(id) = self.own().filter(|id| *id < self.solo) else { return };
        let account = self.next(id);
        self.note(&format!("merge {account:?}"));
        let put = self.memory.merge(account.clone()).await;
        self.told(&account, put);
    }

    async fn put_all(&mut self) {
        let mut accounts = Vec::new();
        for id in self.own_below(self.solo) {
            if self.random.bool() {
                accounts.push(self.next(id));
            }
        }
        self.note(&format!("put all of {accounts:?}"));
        let model = std::sync::Arc::clone(&self.model);
        let is_put = move |account: &Account| {
            model.lock().insert(account.id, Expected::of(account));
        };
        let mut before: Option<Account> = None;
        let asked = is_put.clone();
        // One is asked for once the one before it is put.
        let stream = futures::stream::iter(accounts.clone().into_iter().inspect(move |account| {
            if let Some(before) = before.replace(account.clone()) {
                asked(&before);
            }
        }));
        match self.memory.put_all(stream).await {
            Ok(count) if count == accounts.len() as u64 => accounts.iter().for_each(is_put),
            Ok(count) => self.store.violated(format!("{count} of {} are put", accounts.len())),
            Err(error) => self.note(&format!("not all are put: {error}")),
        }
    }

    async fn refresh(&mut self) {
        let Some(id) = self.own() else { return };
        let expected = self.expected(id);
        match self.memory.refresh(at(id)).await {
            Ok(found) => {
                let step = found.as_ref().map_or(0, |account| account.step);
                self.note(&format!("{id} is refreshed, step {step}"));
                if step != expected.step {
                    self.store
                        .violated(format!("{id} is refreshed as {found:?}, not {expected:?}"));
                }
            }
            Err(error) => self.note(&format!("not refreshed: {error}")),
        }
    }

    /// From one of its own keys to another.
    async fn rekey(&mut self) {
        let own = self.own_below(self.solo);
        let (Some(old), Some(new)) = (self.random.choice(&own), self.random.choice(&own)) else {
            return;
        };
        let (old, new, expected) = (*old, *new, self.expected(*old));
        self.step += 1;
        let step = self.step;
        self.note(&format!("rekey {old} to {new}, step {step}"));
        let moves = |account: &mut Account| {
            (account.shelf, account.id) = at(new);
            account.step = step;
        };
        match self.memory.rekey(at(old), at(new), moves).await {
            Ok(moved) if expected.exists && (old != new) && moved.sum == expected.sum => {
                self.expect(new, |it| *it = Expected { step, ..expected });
                self.expect(old, |it| *it = Expected::gone());
            }
            Ok(moved) => self.store.violated(format!("{moved:?} is moved of {expected:?}")),
            Err(error) => self.note(&format!("not moved: {error}")),
        }
    }

    /// A job that changes one of its own records, whose flush is everybody's.
    async fn scope(&mut self) {
        let Some(id) = self.own() else { return };
        self.step += 1;
        let step = self.step;
        self.note(&format!("a job that raises the step of {id} to {step}"));
        let task = &*self;
        let job = async |memory: &MemoryTable<Account>| {
            match memory.update(at(id), |account| account.step = step).await {
                Ok(_) => task.expect(id, |it| (it.exists, it.step) = (true, step)),
                // Where the job fails, what all others changed is handed back.
                Err(error) => task.note(&format!("not changed: {error}")),
            }
            Ok::<(), Error>(())
        };
        let report = match self.memory.scope(job).await {
            Ok(((), report)) => report,
            Err(ScopeError::Flush(error)) => error.into_report(),
            Err(ScopeError::Job { .. }) => unreachable!("no job fails"),
        };
        check(&self.store, &report);
        see_patience(&self.store, self.patience, &report);
    }

    async fn reset(&mut self) {
        match self.memory.reset().await {
            Ok(()) => self.note("reset"),
            Err(error) if error.kind() == ErrorKind::Unsaved => self.note("not reset"),
            Err(error) => self.store.violated(format!("not reset: {error}")),
        }
    }

    /// Closes the table while others change it, if everything is saved in time.
    pub(super) async fn close(&mut self) {
        let time = Duration::from_millis(self.random.u64(1..30_000));
        self.note("close");
        let closed = if self.random.bool() {
            self.memory.close_within(time).await
        } else {
            self.memory.close().await
        };
        match closed {
            Ok(report) => {
                check(&self.store, &report);
                let left = self.memory.unsaved();
                if !left.is_empty() {
                    self.store.violated(format!("closed with {left:?}"));
                }
                self.see_it_closed().await;
            }
            Err(error) => {
                check(&self.store, &report_of(Err(error.clone())));
                self.note(&format!("not closed: {error}"));
            }
        }
    }

    /// A closed table takes no change and loses none; it is read as before.
    async fn see_it_closed(&mut self) {
        self.note("closed");
        let put = self.memory.put(Account::new(0)).await.map_err(|error| error.kind());
        if put != Err(ErrorKind::Closed) {
            self.store.violated(format!("{put:?} of a closed table"));
        }
    }

    /// The next state of a record that nobody else touches.
    fn next(&mut self, id: u32) -> Account {
        self.step += 1;
        let (step, sum) = (self.step, self.random.i64(0..100));
        Account { step, sum, poison: self.random.u8(..12) == 0, ..Account::new(id) }
    }

    pub(super) fn told(&self, account: &Account, put: Result<(), Error>) {
        match put {
            Ok(()) => self.expect(account.id, |expected| *expected = Expected::of(account)),
            Err(error) => self.note(&format!("not put: {error}")),
        }
    }

    /// What was found of those of its own that were looked at.
    pub(super) fn see_own(
        &self,
        steps: &BTreeMap<u32, u64>,
        is_seen: impl Fn(u32) -> bool,
        how: &str,
    ) {
        self.note(&format!("{how} {}", steps.len()));
        let model = self.model.lock().clone();
        for id in self.own_below(self.keys).into_iter().filter(|id| is_seen(*id)) {
            let expected = model.get(&id).cloned().unwrap_or_default();
            let step = steps.get(&id).copied();
            let is_there = step.is_some() == expected.exists || id >= self.solo;
            if step.unwrap_or_default() != expected.step || !is_there {
                self.store.violated(format!("{id} is {how} with {step:?}, not {expected:?}"));
            }
        }
    }
}

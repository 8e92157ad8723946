//! What becomes of a memory table once its tasks are done, while requests still fail: its unsaved changes are
//! handed back or forgotten, it is closed, or neither.

use super::account::{Account, Expected, at, id_of};
use super::fate::LATE_WRITE_WINDOW;
use super::job::Run;
use crate::{Error, ErrorKind, ScopeError, Unsaved};

/// How often a change is tried again that fails to read its record.
const TRIES: u32 = 100;

impl Run {
    pub(super) async fn interlude(&mut self) {
        self.reopen_if_closed().await;
        match self.random.u8(..10) {
            0 => self.hand_back().await,
            1 => self.fail().await,
            2 => self.forget_all().await,
            _ => {}
        }
    }

    /// Where a task closed the table, the job goes on with another one.
    async fn reopen_if_closed(&mut self) {
        let changed = self.memory.update_existing(at(0), |_| {}).await.map(drop);
        if changed.is_err_and(|error| error.kind() == ErrorKind::Closed) {
            self.store.note("opened again");
            self.memory = self.plan.open(&self.memory.table().clone());
        }
    }

    /// All that is unsaved is taken out of the table and changed again.
    async fn hand_back(&mut self) {
        self.store.note("unsaved changes are handed back");
        let unsaved = self.memory.take_unsaved().await;
        self.change_again(unsaved).await;
    }

    /// A job that fails.
    async fn fail(&mut self) {
        self.store.note("a job fails");
        match self.memory.scope(async |_| Err::<(), _>("it failed")).await {
            Err(ScopeError::Job { unsaved, .. }) => self.change_again(unsaved).await,
            ended => self.store.violated(format!("a job that failed: {ended:?}")),
        }
    }

    async fn change_again(&self, unsaved: Vec<Unsaved<Account>>) {
        for change in unsaved {
            self.store.note(&format!("again: {change:?}"));
            for tried in 0..TRIES {
                match self.apply(&change).await {
                    Ok(()) => break,
                    Err(error) if tried + 1 == TRIES => {
                        self.store.violated(format!("not changed again: {error}"));
                    }
                    Err(_) => {}
                }
            }
        }
    }

    async fn apply(&self, change: &Unsaved<Account>) -> Result<(), Error> {
        match change {
            Unsaved::Put(record) => {
                let change = |account: &mut Account| {
                    (account.step, account.sum) = (record.step, record.sum);
                    account.poison = record.poison;
                };
                self.memory.update(at(record.id), change).await.map(drop)
            }
            Unsaved::Delete(key) => self.memory.delete(at(id_of(key))).await,
            Unsaved::Increment(key, sums) => {
                for (_, sum) in sums {
                    let by: i64 = sum.to_string().parse().expect("a sum");
                    self.memory.increment(at(id_of(key)), Account::FIELDS.sum, by).await?;
                }
                Ok(())
            }
        }
    }

    /// Every unsaved change is given up: what is stored is what there is.
    async fn forget_all(&mut self) {
        self.store.note("forget all");
        self.memory.reset_forced().await;
        let left = self.memory.unsaved();
        if !left.is_empty() || self.memory.stats().cached > 0 {
            self.store.violated(format!("all is forgotten but for {left:?}"));
        }
        tokio::time::sleep(2 * LATE_WRITE_WINDOW).await;
        let stored = self.stored("accounts");
        let mut model = self.model.lock();
        model.clear();
        model.extend(stored.into_iter().map(|(id, account)| (id, Expected::of(&account))));
    }
}

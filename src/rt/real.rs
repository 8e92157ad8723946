//! Tokio and parking_lot, as every user has them.

use std::future::Future;

pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use tokio::sync::{Notify, Semaphore, SemaphorePermit as Permit, oneshot};
pub(crate) use tokio::task::{JoinError, JoinHandle, yield_now};
pub(crate) use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// The runtime that tasks are spawned on.
pub(crate) struct Runtime(tokio::runtime::Handle);

impl Runtime {
    /// The one that the caller is in.
    pub(crate) fn current() -> Result<Self, tokio::runtime::TryCurrentError> {
        tokio::runtime::Handle::try_current().map(Self)
    }

    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = self.0.spawn(task);
        #[cfg(test)]
        watched::add(task.abort_handle());
        task
    }
}

#[cfg(feature = "journal")]
impl Runtime {
    /// Runs what blocks its thread, on one that is there for that; dropped unrun where the runtime ends.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.0.spawn_blocking(work));
    }
}

/// Tasks that end with the one who waits for them.
pub(crate) struct Tasks<T>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self(tokio::task::JoinSet::new())
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static, on: &Runtime) {
        self.0.spawn_on(task, &on.0);
    }

    /// What the next one that ends has to say; `None` if all have ended.
    pub(crate) async fn next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.join_next().await
    }
}

#[cfg(test)]
pub(crate) use watched::{end_all, watch};

/// The tasks of a thread, so that a test can end them all as a runtime does that is shut down.
#[cfg(test)]
mod watched {
    use std::cell::RefCell;

    use tokio::task::AbortHandle;

    thread_local! {
        static TASKS: RefCell<Option<Vec<AbortHandle>>> = const { RefCell::new(None) };
    }

    pub(super) fn add(task: AbortHandle) {
        TASKS.with_borrow_mut(|tasks| {
            if let Some(tasks) = tasks {
                tasks.push(task);
            }
        });
    }

    /// From now on tasks are known.
    pub(crate) fn watch() {
        TASKS.set(Some(Vec::new()));
    }

    /// Ends all that were spawned since, and watches no more.
    pub(crate) fn end_all() {
        for task in TASKS.take().into_iter().flatten() {
            task.abort();
        }
    }
}

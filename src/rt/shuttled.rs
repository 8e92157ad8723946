//! Shuttle's locks and tasks, and a clock that goes on as its scheduler likes.
//!
//! Every lock, and every wait, is a place where another task may go on. A task that sleeps wakes at any moment
//! after that, but never behind one that is to wake later; then the clock jumps. What Tokio signals with has no
//! such places of its own: the locks around it have.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, FutureExt, select};
use futures::stream::FuturesUnordered;
pub(crate) use tokio::sync::{Notify, Semaphore, SemaphorePermit as Permit, oneshot};
pub(crate) use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) struct MutexGuard<'l, T>(shuttle::sync::MutexGuard<'l, T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl<T> Mutex<T> {
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(MutexGuard)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

pub(crate) struct Runtime;

#[expect(clippy::unused_self, reason = "it is Tokio's")]
impl Runtime {
    pub(crate) fn current() -> Result<Self, tokio::runtime::TryCurrentError> {
        // The clock's.
        tokio::runtime::Handle::try_current().map(|_| Self)
    }

    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = shuttle::future::spawn(task);
        WATCHED.with_borrow_mut(|tasks| {
            if let Some(tasks) = tasks {
                tasks.push(task.abort_handle());
            }
        });
        JoinHandle(task)
    }
}

#[cfg(feature = "journal")]
#[expect(clippy::unused_self, reason = "it is Tokio's")]
impl Runtime {
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(shuttle::future::spawn(async move { work() }));
    }
}

pub(crate) struct JoinHandle<T>(shuttle::future::JoinHandle<T>);

/// A task was ended by others: one that panics ends the test.
#[derive(Debug)]
pub(crate) struct JoinError;

impl std::fmt::Display for JoinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the task was ended")
    }
}

impl std::error::Error for JoinError {}

#[expect(clippy::unused_self, reason = "they are Tokio's")]
impl JoinError {
    pub(crate) const fn is_panic(&self) -> bool {
        false
    }

    pub(crate) const fn is_cancelled(&self) -> bool {
        true
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(context).map_err(|_| JoinError)
    }
}

/// Tasks that end with the one who waits for them.
pub(crate) struct Tasks<T>(FuturesUnordered<JoinHandle<T>>);

impl<T: Send + 'static> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self(FuturesUnordered::new())
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static, on: &Runtime) {
        self.0.push(on.spawn(task));
    }

    pub(crate) async fn next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.next().await
    }
}

impl<T> Drop for Tasks<T> {
    fn drop(&mut self) {
        self.0.iter().for_each(|task| task.0.abort());
    }
}

thread_local! {
    /// Who sleeps: when each is to wake, and its number.
    static SLEEPING: RefCell<(BTreeSet<(Instant, u64)>, u64)> = const { RefCell::new((BTreeSet::new(), 0)) };
    static WATCHED: RefCell<Option<Vec<shuttle::future::AbortHandle>>> = const { RefCell::new(None) };
}

/// Runs something with a clock of its own, on which nothing but sleep takes time.
pub(crate) fn with_clock(run: impl FnOnce()) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let _in_it = runtime.enter();
    SLEEPING.take();
    WATCHED.take();
    run();
}

/// From now on tasks are known.
pub(crate) fn watch() {
    WATCHED.set(Some(Vec::new()));
}

/// Ends all that were spawned since, and watches no more.
pub(crate) fn end_all() {
    for task in WATCHED.take().into_iter().flatten() {
        task.abort();
    }
}

pub(crate) struct Sleep {
    until: Instant,
    number: Option<u64>,
    /// How often others are still to be let go on first.
    left: u64,
}

/// Who sleeps for longer lets others go on more often, at most so often.
const LONGEST: u64 = 300;

impl Sleep {
    /// Whether nobody who sleeps is to wake before.
    fn is_next(&mut self) -> bool {
        let until = self.until;
        SLEEPING.with_borrow_mut(|(sleeping, numbers)| {
            let number = *self.number.get_or_insert_with(|| {
                *numbers += 1;
                sleeping.insert((until, *numbers));
                *numbers
            });
            sleeping.first().is_none_or(|first| *first == (until, number))
        })
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_next() || self.left > 0 {
            self.left = self.left.saturating_sub(1);
            // Asked again, once the scheduler has had its choice.
            return pin!(shuttle::future::yield_now()).poll(context);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        // It is done once it was asked, and then lets others go on.
        let _yielded = tokio::time::advance(left).now_or_never();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let until = self.until;
            SLEEPING.with_borrow_mut(|(sleeping, _)| sleeping.remove(&(until, number)));
        }
    }
}

pub(crate) fn sleep_until(until: Instant) -> Sleep {
    let seconds = until.saturating_duration_since(Instant::now()).as_secs();
    Sleep { until, number: None, left: seconds.clamp(1, LONGEST) }
}

pub(crate) fn sleep(time: Duration) -> Sleep {
    let far = Duration::from_secs(86_400 * 365 * 30);
    sleep_until(Instant::now().checked_add(time).unwrap_or_else(|| Instant::now() + far))
}

pub(crate) use shuttle::future::yield_now;

/// The time is up.
#[derive(Debug)]
pub(crate) struct Elapsed;

pub(crate) async fn timeout_at<F: Future>(until: Instant, task: F) -> Result<F::Output, Elapsed> {
    match select(pin!(task), pin!(sleep_until(until))).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(Elapsed),
    }
}

pub(crate) async fn timeout<F: Future>(time: Duration, task: F) -> Result<F::Output, Elapsed> {
    timeout_at(sleep(time).until, task).await
}

//! The flush: a task that the table owns, one at a time; who asks joins or goes with the next.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;

use super::Shared;
use super::outgoing::operation_of;
use super::together::Lease;
use crate::breaks::broken;
use crate::error::Error;
use crate::key::Key;
use crate::record::Record;
use crate::rt::{Mutex, oneshot};
use crate::store::{Operation, Outcome};
use crate::write::{self, Failed, FlushError, FlushReport, Source};

type Ending = Result<FlushReport, FlushError>;

/// Who waits for which flush.
///
/// Invariant: while `running`, exactly one task works the rounds off; a round of everything covers
/// every change up to `scope`, and its waiters are those whose changes it covers.
#[derive(Default)]
pub(crate) struct Flushes(Mutex<State>);

#[derive(Default)]
struct State {
    running: bool,
    scope: u64,
    waiting: Vec<oneshot::Sender<Ending>>,
    next: Vec<oneshot::Sender<Ending>>,
    /// Those who want something else than a flush of everything, each in a round of its own.
    others: VecDeque<Round>,
    /// The round before was one of those, so that neither kind waits for ever.
    was_other: bool,
    /// Those who want nothing to be in flight for a moment.
    between: VecDeque<oneshot::Sender<Pause>>,
}

/// Nothing is in flight until this is dropped, or revoked: then it is closed.
type Pause = oneshot::Sender<()>;

/// How long a flush waits for one who asked for a pause. Its caller may poll it only after the flush.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Someone who wants some keys saved.
pub(super) struct OfKeys {
    keys: Vec<Key>,
    waiting: oneshot::Sender<Ending>,
}

/// What is done until the next is begun.
pub(super) enum Round {
    Save(Saving),
    /// Nothing by this task: a flush of several tables goes on with it.
    Lease(oneshot::Sender<Box<dyn Lease>>),
    /// Nothing, until this one is done.
    Pause(oneshot::Sender<Pause>),
}

pub(super) enum Saving {
    /// Every change up to this one.
    All(u64),
    /// What is unsaved of some keys.
    Keys(OfKeys),
}

impl<T: Record> Shared<T> {
    /// Saves every change made before the call that may be saved; joins a flush under way if that covers them.
    pub(crate) async fn flush(self: &Arc<Self>, scope: u64) -> Ending {
        let scope = self.to_save(scope);
        self.flushed_by(|state, sender| {
            if state.running && state.scope >= scope {
                state.waiting.push(sender);
            } else {
                state.next.push(sender);
            }
        })
        .await
    }

    /// Saves the changes of these keys.
    pub(crate) async fn flush_some(self: &Arc<Self>, keys: &[Key]) -> Ending {
        self.flushed_by(|state, waiting| {
            let some = OfKeys { keys: keys.to_vec(), waiting };
            state.others.push_back(Round::Save(Saving::Keys(some)));
        })
        .await
    }

    /// Waits for the round that `queue` asks for.
    async fn flushed_by(
        self: &Arc<Self>,
        queue: impl Fn(&mut State, oneshot::Sender<Ending>),
    ) -> Ending {
        loop {
            let (ending, taken) = self.join_flush(&queue).map_err(|error| self.unflushed(error))?;
            match ending.await {
                Ok(ending) => return ending,
                Err(_) if !taken => return Err(self.unflushed(super::runtime_ended())),
                // The runtime of the task has ended: go on with this one.
                Err(_) => {}
            }
        }
    }

    /// Where the ending will come, and whether there is a task for it.
    fn join_flush(
        self: &Arc<Self>,
        queue: impl Fn(&mut State, oneshot::Sender<Ending>),
    ) -> Result<(oneshot::Receiver<Ending>, bool), Error> {
        let (sender, receiver) = oneshot::channel();
        let runtime = {
            let mut state = self.flushes.0.lock();
            let runtime = if state.running && !broken(5) { None } else { Some(super::runtime()?) };
            queue(&mut state, sender);
            if runtime.is_some() {
                state.running = true;
                state.scope = 0;
            }
            runtime
        };
        let Some(runtime) = runtime else {
            return Ok((receiver, true));
        };
        // Not under the lock: a runtime that was shut down drops the task at once, which locks too.
        let task = runtime.spawn(Rounds { shared: Arc::clone(self), ended: false }.begin());
        Ok((receiver, !task.is_finished()))
    }

    /// The error of a flush that did not begin.
    pub(super) fn unflushed(&self, error: Error) -> FlushError {
        FlushError::new(vec![self.table.shown_name()], FlushReport::default(), error)
    }

    /// The right to flush, for one who flushes several tables at once.
    pub(super) async fn leased(self: &Arc<Self>) -> Box<dyn Lease> {
        loop {
            let lease = {
                let mut state = self.flushes.0.lock();
                if !state.running {
                    (state.running, state.scope) = (true, 0);
                    return Box::new(Rounds { shared: Arc::clone(self), ended: false });
                }
                let (sender, lease) = oneshot::channel();
                state.others.push_back(Round::Lease(sender));
                lease
            };
            // Dropped unsent if the task ends with its runtime.
            if let Ok(lease) = lease.await {
                return lease;
            }
        }
    }

    /// Up to which change there is something to save: not beyond the last checkpoint, if there are any.
    pub(super) fn to_save(&self, scope: u64) -> u64 {
        scope.min(self.slots.newest()).min(self.slots.covered())
    }

    /// Begins to save changes up to this one.
    pub(super) fn begin_round(&self, scope: u64) {
        self.scope.store(scope, Ordering::SeqCst);
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.flushes.0.lock().running
    }

    /// Whether somebody waits for a pause of the flushes.
    pub(super) fn is_pause_wanted(&self) -> bool {
        !self.flushes.0.lock().between.is_empty()
    }

    /// Runs this while nothing is in flight and no flush can begin. It must not wait, nor flush.
    pub(crate) async fn between_flushes<R>(&self, run: impl FnOnce() -> R) -> R {
        loop {
            let paused = {
                let mut state = self.flushes.0.lock();
                if !state.running {
                    return run();
                }
                let (sender, paused) = oneshot::channel();
                state.between.push_back(sender);
                paused
            };
            // Dropped unsent if the task ends with its runtime.
            if let Ok(pause) = paused.await {
                // It is revoked under this lock.
                let _state = self.flushes.0.lock();
                if !pause.is_closed() {
                    return run();
                }
            }
        }
    }

    async fn round(self: &Arc<Self>, keys: Vec<Key>) -> Ending {
        if keys.is_empty() {
            return Ok(FlushReport::default());
        }
        match self.ready().await {
            Ok(link) => {
                let source = Source { link: &link, changes: self };
                let report = write::run_one(source, keys, self.options.limits).await;
                if report.written + report.deleted > 0 {
                    self.went_well();
                }
                FlushError::check(vec![Arc::clone(&link.table.name)], report)
            }
            Err(error) => Err(self.not_saved(keys, &error)),
        }
    }

    /// What was saved is out of the journal, or the flush did not end well: what opened it later would save it
    /// again.
    async fn recorded_ending(&self, ending: Ending) -> Ending {
        match (ending, self.saved_is_recorded().await) {
            (Ok(report), Err(why)) => {
                Err(FlushError::new(vec![self.table.shown_name()], report, why))
            }
            (ending, _) => ending,
        }
    }

    pub(super) async fn saved_is_recorded(&self) -> Result<(), Error> {
        let recorded = self.slots.recorder.until_now().await;
        recorded.map_err(|why| self.place(why).during("flush"))
    }

    /// The ending of a round that panicked: what is still unsaved of its keys.
    fn panicked(&self, keys: Vec<Key>) -> FlushError {
        let error = self.place(crate::error::panicked().during("flush"));
        self.not_saved(keys, &error)
    }

    /// What is still unsaved of these keys, when an error ended a flush as a whole.
    pub(super) fn not_saved(&self, keys: Vec<Key>, error: &Error) -> FlushError {
        let (table, mut report) = (self.table.shown_name(), FlushReport::default());
        for key in keys {
            let Some((operation, outcome, parked)) = self.state_of(&key) else {
                continue;
            };
            let failed = |error| {
                let (table, key) = (Arc::clone(&table), key.clone());
                Failed { table, key, operation, attempts: 0, outcome, to_resolve: false, error }
            };
            match parked {
                Some(why) => report.parked.push(failed(why)),
                None => report.failed.push(failed(error.clone().on_key(&key))),
            }
        }
        FlushError::new(vec![table], report, error.clone())
    }

    /// What is unsaved when the time is up.
    pub(crate) fn left(&self, error: &Error) -> FlushError {
        self.not_saved(self.slots.unsaved_keys(u64::MAX), error)
    }

    /// What is to be done with an unsaved record, whether it may be done already, and why it is parked.
    fn state_of(&self, key: &Key) -> Option<(Operation, Outcome, Option<Error>)> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        let unsaved = slot.unsaved.as_ref()?;
        let outcome = if unsaved.is_in_doubt() || slot.is_flying() {
            Outcome::OutcomeUnknown
        } else {
            Outcome::NotWritten
        };
        Some((operation_of(&slot.now, unsaved.image), outcome, unsaved.parked.clone()))
    }
}

/// The task of the flush; dropped with its runtime, it lets the next one begin.
pub(super) struct Rounds<T: Record> {
    shared: Arc<Shared<T>>,
    /// The state says that nothing runs, and belongs to the next task.
    ended: bool,
}

impl<T: Record> Rounds<T> {
    pub(super) const fn shared(&self) -> &Arc<Shared<T>> {
        &self.shared
    }

    async fn begin(mut self) {
        if let Some(round) = self.next_round() {
            self.run(round).await;
        }
    }

    pub(super) async fn run(mut self, first: Round) {
        let mut next = Some(first);
        while let Some(round) = next {
            match round {
                Round::Save(what) => self.save(what).await,
                Round::Pause(waiting) => self.pause(waiting).await,
                Round::Lease(waiting) => {
                    if let Err(lease) = waiting.send(Box::new(self)) {
                        // Who asked for it went away.
                        lease.give_back();
                    }
                    return;
                }
            }
            next = self.next_round();
        }
    }

    async fn save(&self, what: Saving) {
        self.shared.begin_round(match &what {
            Saving::All(scope) => self.shared.to_save(*scope),
            Saving::Keys(_) => self.shared.to_save(u64::MAX),
        });
        let keys = self.keys(&what);
        // A panic in the SDK's parts that the user made must not look like a runtime that ended,
        // after which the next one would begin anew, and panic again.
        let ending = AssertUnwindSafe(self.shared.round(keys)).catch_unwind().await;
        let ending = ending.unwrap_or_else(|_| Err(self.shared.panicked(self.keys(&what))));
        let ending = self.shared.recorded_ending(ending).await;
        let waiting = match what {
            Saving::All(_) => std::mem::take(&mut self.shared.flushes.0.lock().waiting),
            Saving::Keys(OfKeys { waiting, .. }) => vec![waiting],
        };
        for waiter in waiting {
            // Who went away needs no report.
            let _gone = waiter.send(ending.clone());
        }
    }

    /// What is unsaved of what is to be saved.
    fn keys(&self, what: &Saving) -> Vec<Key> {
        match what {
            Saving::All(scope) => self.shared.slots.unsaved_keys(self.shared.to_save(*scope)),
            Saving::Keys(OfKeys { keys, .. }) => self.shared.slots.unsaved_of(keys),
        }
    }

    /// Waits until who asked for a pause is done or has gone away, or has not come for too long.
    async fn pause(&self, waiting: oneshot::Sender<Pause>) {
        let (pause, mut over) = oneshot::channel();
        if waiting.send(pause).is_ok() {
            // Never sent to, but dropped.
            let _dropped = crate::rt::timeout(LONGEST_PAUSE, &mut over).await;
            let _state = self.shared.flushes.0.lock();
            over.close();
        }
    }

    /// The next round, or the end if nobody waits for one.
    pub(super) fn next_round(&mut self) -> Option<Round> {
        let mut state = self.shared.flushes.0.lock();
        if broken(6) {
            state.next.retain(|caller| !caller.is_closed());
        }
        if let Some(waiting) = state.between.pop_front() {
            state.scope = 0;
            return Some(Round::Pause(waiting));
        }
        let all = !state.next.is_empty() || !state.waiting.is_empty();
        if !(all && state.was_other)
            && let Some(other) = state.others.pop_front()
        {
            // Nobody may join it.
            (state.scope, state.was_other) = (0, true);
            return Some(other);
        }
        state.was_other = false;
        if !all {
            state.running = false;
            self.ended = true;
            return None;
        }
        let next = std::mem::take(&mut state.next);
        state.waiting.extend(next);
        // Read under this lock: who joins later compares with it.
        state.scope = self.shared.to_save(u64::MAX);
        Some(Round::Save(Saving::All(state.scope)))
    }
}

impl<T: Record> Drop for Rounds<T> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.shared.flushes.0.lock();
        state.running = false;
        // Dropped senders tell their waiters to begin anew.
        state.waiting.clear();
        state.next.clear();
        state.others.clear();
        state.between.clear();
    }
}

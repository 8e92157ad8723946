//! The flush: a task that the table owns, one at a time; who asks joins or goes with the next.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Shared;
use super::slot::{Flight, Known};
use crate::breaks::broken;
use crate::codec::{EncodedItem, Kept, MAX_ITEM, encode, key_json, same_items};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Action, Operation, Outcome, Write};
use crate::write::{self, Changes, Failed, FlushError, FlushReport, Settled, Take};

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
    /// Those who want some keys saved, each in a round of its own.
    some: VecDeque<OfKeys>,
    /// The round before was of some keys, so that neither kind waits for ever.
    was_some: bool,
    /// Those who want nothing to be in flight for a moment.
    between: VecDeque<oneshot::Sender<Pause>>,
}

/// Nothing is in flight until this is dropped, or revoked: then it is closed.
type Pause = oneshot::Sender<()>;

/// How long a flush waits for one who asked for a pause. Its caller may poll it only after the flush.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Someone who wants some keys saved.
struct OfKeys {
    keys: Vec<Key>,
    waiting: oneshot::Sender<Ending>,
}

/// What a round is to save.
enum Round {
    /// Every change up to this one.
    All(u64),
    /// What is unsaved of some keys.
    Keys(OfKeys),
    /// Nothing, until this one is done.
    None(oneshot::Sender<Pause>),
}

impl<T: Record> Shared<T> {
    /// Saves every change made before the call; joins a flush under way if that covers them.
    pub(crate) async fn flush(self: &Arc<Self>, scope: u64) -> Ending {
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
            state.some.push_back(OfKeys { keys: keys.to_vec(), waiting });
        })
        .await
    }

    /// Waits for the round that `queue` asks for.
    async fn flushed_by(
        self: &Arc<Self>,
        queue: impl Fn(&mut State, oneshot::Sender<Ending>),
    ) -> Ending {
        loop {
            let refuse = |error| FlushError::new(self.name(), FlushReport::default(), error);
            let (ending, taken) = self.join_flush(&queue).map_err(refuse)?;
            match ending.await {
                Ok(ending) => return ending,
                Err(_) if !taken => return Err(refuse(super::runtime_ended())),
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
        let task = runtime.spawn(Rounds { shared: Arc::clone(self), ended: false }.run());
        Ok((receiver, !task.is_finished()))
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.flushes.0.lock().running
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

    async fn round(&self, keys: Vec<Key>) -> Ending {
        if keys.is_empty() {
            return Ok(FlushReport::default());
        }
        match self.ready().await {
            Ok(link) => {
                let report = write::run(&link, self, keys, self.options.limits).await;
                FlushError::check(&link.table.name, report)
            }
            Err(error) => Err(self.not_saved(keys, &error)),
        }
    }

    /// The ending of a round that panicked: what is still unsaved of its keys.
    fn panicked(&self, keys: Vec<Key>) -> FlushError {
        let error = self.place(super::panicked().during("flush"));
        self.not_saved(keys, &error)
    }

    /// What is still unsaved of these keys, when an error ended a flush as a whole.
    fn not_saved(&self, keys: Vec<Key>, error: &Error) -> FlushError {
        let mut report = FlushReport::default();
        for key in keys {
            let Some((operation, outcome, parked)) = self.state_of(&key) else {
                continue;
            };
            let failed =
                |error| Failed { key: key.clone(), operation, attempts: 0, outcome, error };
            match parked {
                Some(why) => report.parked.push(failed(why)),
                None => report.failed.push(failed(error.clone().on_key(&key))),
            }
        }
        FlushError::new(self.name(), report, error.clone())
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
        let outcome = if unsaved.doubt || unsaved.flight.is_some() {
            Outcome::OutcomeUnknown
        } else {
            Outcome::NotWritten
        };
        Some((operation(&slot.now), outcome, unsaved.parked.clone()))
    }

    /// What is to be sent for a slot, or `None` if the database has it already.
    fn current(&self, key: &Key, sent: &Sent<T>) -> Result<Option<Action>, Error> {
        match (&sent.now, &sent.base) {
            (Known::Record(now), Known::Record(base)) if !sent.is_stale() => {
                let item = self.item(now, key, None)?;
                let unchanged =
                    self.item(base, key, None).is_ok_and(|base| same_items(&item.json, &base.json));
                if unchanged {
                    return Ok(None);
                }
                self.restored(item, key, sent.kept.as_deref()).map(Action::Put).map(Some)
            }
            (Known::Record(now), _) => {
                self.item(now, key, sent.kept.as_deref()).map(Action::Put).map(Some)
            }
            // An absence that was read eventually may be none.
            (_, Known::Absent) if self.options.consistent => Ok(None),
            (Known::Absent, Known::Unknown) if broken(3) => Ok(None),
            _ => Ok(Some(Action::Delete(key_json::<T>(key)))),
        }
    }

    /// Encodes a record; a serde implementation that panics is an error of its record.
    fn item(&self, record: &T, key: &Key, kept: Option<&Kept>) -> Result<EncodedItem, Error> {
        let encoded = catch_unwind(AssertUnwindSafe(|| encode(record, key)));
        let item = match encoded {
            Ok(Ok(item)) => item,
            Ok(Err(error)) => return Err(self.unstorable(key, error.to_string())),
            Err(_) => return Err(self.unstorable(key, "its `Serialize` panicked".to_owned())),
        };
        self.restored(item, key, kept)
    }

    fn restored(
        &self,
        item: EncodedItem,
        key: &Key,
        kept: Option<&Kept>,
    ) -> Result<EncodedItem, Error> {
        let Some(kept) = kept else {
            return Ok(item);
        };
        let item = kept.restore(item).map_err(|error| self.unstorable(key, error.to_string()))?;
        if item.size > MAX_ITEM {
            let size = item.size;
            let why = format!(
                "with the attributes that the record's type does not know the item has {size} bytes, \
                 DynamoDB allows {MAX_ITEM}"
            );
            return Err(self.unstorable(key, why));
        }
        Ok(item)
    }

    /// An item that is about to be put, unless it is too large together with what is kept beside it.
    pub(super) fn fits_with_kept(
        &self,
        key: &Key,
        item: EncodedItem,
    ) -> Result<EncodedItem, Error> {
        let kept = {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.find(key.as_bytes()).and_then(|slot| slot.kept.clone())
        };
        match kept.filter(|kept| item.size + kept.beside() > MAX_ITEM) {
            None => Ok(item),
            // What was stored in another form need not take more.
            Some(kept) => {
                let size = item.size;
                self.restored(item, key, Some(&kept)).map(|item| EncodedItem { size, ..item })
            }
        }
    }

    /// A newer value than one of unknown outcome waits, and is not in flight meanwhile.
    fn held_or_sent(&self, write: Write, seq: u64) -> Take {
        match self.fences.holds(&write.key, seq).filter(|_| !broken(7)) {
            None => {
                self.note_write(&write.key);
                Take::Write(write)
            }
            Some(until) => {
                self.settle(&write.key, Settled::Pending(Outcome::NotWritten));
                Take::Held(write, until)
            }
        }
    }

    fn unstorable(&self, key: &Key, why: String) -> Error {
        self.place(Error::new(ErrorKind::InvalidRecord, why))
            .on_key(key)
            .advise("put a record that can be stored")
    }
}

/// What a slot had when it was taken.
struct Sent<T> {
    seq: u64,
    now: Known<T>,
    base: Known<T>,
    kept: Option<Arc<Kept>>,
}

impl<T> Sent<T> {
    /// Whether the item as it is stored differs from the record that was made of it.
    fn is_stale(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_stale())
    }
}

fn operation<T>(now: &Known<T>) -> Operation {
    match now {
        Known::Record(_) => Operation::Put,
        Known::Absent | Known::Unknown => Operation::Delete,
    }
}

impl<T: Record> Changes for Shared<T> {
    fn take(&self, key: &Key) -> Take {
        let sent = {
            let mut locked = self.slots.lock(key.as_bytes());
            let Some(slot) = locked.find(key.as_bytes()) else {
                return Take::Gone;
            };
            let Some(unsaved) = &mut slot.unsaved else {
                return Take::Gone;
            };
            if let Some(error) = &unsaved.parked {
                return Take::Parked(operation(&slot.now), error.clone());
            }
            let now = match &unsaved.flight {
                Some(stale) if broken(8) => stale.sent.clone(),
                _ => slot.now.clone(),
            };
            let kept = slot.kept.clone();
            let flight = Flight { seq: unsaved.seq, sent: now.clone(), kept: kept.clone() };
            unsaved.flight = Some(flight);
            Sent { seq: unsaved.seq, now, base: unsaved.base.clone(), kept }
        };
        match self.current(key, &sent) {
            Ok(Some(action)) => self.held_or_sent(Write { key: key.clone(), action }, sent.seq),
            Ok(None) => {
                self.slots.lock(key.as_bytes()).transition(key, super::slot::Slot::unchanged);
                self.register(key);
                self.tally.unchanged();
                self.settled.notify_waiters();
                Take::Unchanged
            }
            Err(error) => {
                self.settle(key, Settled::Refused(error.clone()));
                Take::Parked(operation(&sent.now), error)
            }
        }
    }

    fn outcome(&self, key: &Key) -> Outcome {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_ref());
        if unsaved.is_some_and(|unsaved| unsaved.doubt) {
            Outcome::OutcomeUnknown
        } else {
            Outcome::NotWritten
        }
    }

    fn settle(&self, key: &Key, settled: Settled) {
        let lost = matches!(settled, Settled::Pending(Outcome::OutcomeUnknown));
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            if let Some(seq) = slot.in_flight().filter(|_| lost) {
                self.fences.raise(key, seq);
            }
            if slot.in_flight().is_some() {
                slot.since = self.scans.begun();
            }
            slot.settle(settled)
        });
        self.register(key);
        self.settled.notify_waiters();
    }
}

/// The task of the flush; dropped with its runtime, it lets the next one begin.
struct Rounds<T: Record> {
    shared: Arc<Shared<T>>,
    /// The state says that nothing runs, and belongs to the next task.
    ended: bool,
}

impl<T: Record> Rounds<T> {
    async fn run(mut self) {
        while let Some(round) = self.begin() {
            if let Round::None(waiting) = round {
                self.pause(waiting).await;
                continue;
            }
            let keys = self.keys(&round);
            // A panic in the SDK's parts that the user made must not look like a runtime that ended,
            // after which the next one would begin anew, and panic again.
            let ending = AssertUnwindSafe(self.shared.round(keys)).catch_unwind().await;
            let ending = ending.unwrap_or_else(|_| Err(self.shared.panicked(self.keys(&round))));
            let waiting = match round {
                Round::All(_) => std::mem::take(&mut self.shared.flushes.0.lock().waiting),
                Round::Keys(OfKeys { waiting, .. }) => vec![waiting],
                Round::None(_) => Vec::new(),
            };
            for waiter in waiting {
                // Who went away needs no report.
                let _gone = waiter.send(ending.clone());
            }
        }
    }

    /// What is unsaved of what a round is to save.
    fn keys(&self, round: &Round) -> Vec<Key> {
        match round {
            Round::All(scope) => self.shared.slots.unsaved_keys(*scope),
            Round::Keys(OfKeys { keys, .. }) => self.shared.slots.unsaved_of(keys),
            Round::None(_) => Vec::new(),
        }
    }

    /// Waits until who asked for a pause is done or has gone away, or has not come for too long.
    async fn pause(&self, waiting: oneshot::Sender<Pause>) {
        let (pause, mut over) = oneshot::channel();
        if waiting.send(pause).is_ok() {
            // Never sent to, but dropped.
            let _dropped = tokio::time::timeout(LONGEST_PAUSE, &mut over).await;
            let _state = self.shared.flushes.0.lock();
            over.close();
        }
    }

    /// The next round, or the end if nobody waits for one.
    fn begin(&mut self) -> Option<Round> {
        let mut state = self.shared.flushes.0.lock();
        if broken(6) {
            state.next.retain(|caller| !caller.is_closed());
        }
        if let Some(waiting) = state.between.pop_front() {
            state.scope = 0;
            return Some(Round::None(waiting));
        }
        let all = !state.next.is_empty() || !state.waiting.is_empty();
        if !(all && state.was_some)
            && let Some(some) = state.some.pop_front()
        {
            // Nobody may join it.
            (state.scope, state.was_some) = (0, true);
            return Some(Round::Keys(some));
        }
        state.was_some = false;
        if !all {
            state.running = false;
            self.ended = true;
            return None;
        }
        let next = std::mem::take(&mut state.next);
        state.waiting.extend(next);
        // Read under this lock: who joins later compares with it.
        state.scope = self.shared.slots.newest();
        Some(Round::All(state.scope))
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
        state.some.clear();
        state.between.clear();
    }
}

//! What has changed and is not in the file yet, and who brings it there.
//!
//! Changes are noted in the order in which they happened, and whoever waits for the file takes all that is
//! noted along in one transaction: the file always has everything up to some moment, and nothing after it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::Durability;
use super::store::Store;
use crate::breaks::broken;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::rt::{Mutex, Notify, Runtime};

/// So many rows that nobody waits for are written without anybody waiting for them.
const MANY: usize = 512;

/// What becomes a row.
pub(crate) trait Encode: Send + Sync + 'static {
    fn encode(&self) -> Result<Vec<u8>, Error>;
}

/// What is to be in the file.
struct Noted<S> {
    /// In the row of each key; `None`: it has none.
    rows: HashMap<Key, Option<S>>,
    /// What the job says of the newest checkpoint among them.
    cursor: Option<Arc<[u8]>>,
}

/// The changes of a journal on their way to its file.
pub(crate) struct Log<S: Encode> {
    queue: Mutex<Queue<S>>,
    store: Mutex<Store>,
    /// Told whenever something was written, or could not be.
    written: Notify,
    durability: Durability,
    path: Arc<Path>,
}

/// Invariants: what is noted is in `waiting`, then in `under_way`, then in the file, whole and in order. After
/// an error nothing is written any more: what came later must not be there without what came before.
struct Queue<S> {
    waiting: Noted<S>,
    under_way: Option<Arc<Noted<S>>>,
    /// How much was noted.
    noted: u64,
    /// How much of that is in the file.
    written: u64,
    /// Somebody is writing, or about to.
    is_led: bool,
    failed: Option<Error>,
}

impl<S> Noted<S> {
    fn nothing() -> Self {
        Self { rows: HashMap::new(), cursor: None }
    }
}

/// What one who waits is to do.
enum Step {
    Done(Result<(), Error>),
    Lead,
    Wait,
}

impl<S: Encode> Log<S> {
    pub(super) fn new(store: Store, durability: Durability, path: Arc<Path>) -> Self {
        let queue = Queue {
            waiting: Noted::nothing(),
            under_way: None,
            noted: 0,
            written: 0,
            is_led: false,
            failed: None,
        };
        let (queue, store) = (Mutex::new(queue), Mutex::new(store));
        Self { queue, store, written: Notify::new(), durability, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what is to be in the rows of some keys, at once; returns how much is noted then.
    pub(crate) fn note(&self, rows: impl IntoIterator<Item = (Key, Option<S>)>) -> u64 {
        let mut queue = self.queue.lock();
        queue.noted += 1;
        queue.waiting.rows.extend(rows);
        queue.noted
    }

    /// The same, with what the job says of the checkpoint that these make.
    pub(crate) fn note_checkpoint(
        &self,
        rows: impl IntoIterator<Item = (Key, Option<S>)>,
        cursor: Arc<[u8]>,
    ) -> u64 {
        let mut queue = self.queue.lock();
        queue.noted += 1;
        queue.waiting.rows.extend(rows);
        queue.waiting.cursor = Some(cursor);
        queue.noted
    }

    /// Whether so much of what was noted is in the file.
    pub(crate) fn has_written(&self, noted: u64) -> bool {
        self.queue.lock().written >= noted
    }

    /// How much is noted.
    pub(crate) fn noted(&self) -> u64 {
        self.queue.lock().noted
    }

    /// Whether the newest of a key is not in the file yet.
    pub(crate) fn is_behind(&self, key: &Key) -> bool {
        let queue = self.queue.lock();
        let under_way = || queue.under_way.as_ref().is_some_and(|it| it.rows.contains_key(key));
        queue.waiting.rows.contains_key(key) || under_way()
    }

    /// An error if nothing is written any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.queue.lock().failed.clone().map_or(Ok(()), |why| Err(self.latched(why)))
    }

    /// Waits until so much of what was noted is in the file.
    pub(crate) async fn until(self: &Arc<Self>, noted: u64) -> Result<(), Error> {
        loop {
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            match self.step(noted) {
                Step::Done(result) => return result,
                Step::Lead => self.lead(),
                Step::Wait => written.await,
            }
        }
    }

    /// Has rows written that nobody waits for, if there are many.
    pub(crate) fn relieve(self: &Arc<Self>) {
        self.begin(MANY);
    }

    /// Has written what is noted, without waiting for it.
    pub(crate) fn hasten(self: &Arc<Self>) {
        self.begin(1);
    }

    fn begin(self: &Arc<Self>, least: usize) {
        let is_due = {
            let mut queue = self.queue.lock();
            let is_due =
                !queue.is_led && queue.waiting.rows.len() >= least && queue.failed.is_none();
            queue.is_led |= is_due;
            is_due
        };
        if is_due {
            self.lead();
        }
    }

    fn step(&self, noted: u64) -> Step {
        let mut queue = self.queue.lock();
        if queue.written >= noted {
            return Step::Done(Ok(()));
        }
        if let Some(failed) = &queue.failed {
            return Step::Done(Err(failed.clone()));
        }
        if std::mem::replace(&mut queue.is_led, true) { Step::Wait } else { Step::Lead }
    }

    /// Writes what is noted: here, where that takes no longer than a copy into the system's memory.
    fn lead(self: &Arc<Self>) {
        let leader = Leader { log: Arc::clone(self), is_done: false };
        let is_short = self.durability == Durability::Os && !self.store.lock().is_wasteful();
        match Runtime::current() {
            Ok(runtime) if !is_short => runtime.spawn_blocking(move || leader.run(true)),
            _ => leader.run(false),
        }
    }

    /// `thoroughly`: the file is made smaller too, where it is worth it.
    fn write(&self, thoroughly: bool) {
        let (taken, noted) = {
            let mut queue = self.queue.lock();
            let taken = Arc::new(std::mem::replace(&mut queue.waiting, Noted::nothing()));
            queue.under_way = Some(Arc::clone(&taken));
            (taken, queue.noted)
        };
        let written = catch_unwind(AssertUnwindSafe(|| self.write_noted(&taken)));
        let panicked = |_| Err(Error::new(ErrorKind::Journal, "writing the journal panicked"));
        let written = written.unwrap_or_else(panicked);
        let is_to_shrink = thoroughly && written.is_ok();
        {
            let mut queue = self.queue.lock();
            queue.under_way = None;
            // Who waits for more leads when the file is as small as it is to be.
            queue.is_led = is_to_shrink;
            match written {
                Ok(()) => queue.written = noted,
                Err(_) if broken(31) => queue.written = noted,
                Err(why) => {
                    queue.failed = Some(why);
                    let rows = Arc::into_inner(taken).map(|taken| taken.rows);
                    for (key, row) in rows.into_iter().flatten() {
                        queue.waiting.rows.entry(key).or_insert(row);
                    }
                }
            }
        }
        self.written.notify_waiters();
        if is_to_shrink {
            self.make_smaller();
            self.queue.lock().is_led = false;
            self.written.notify_waiters();
        }
    }

    /// Makes the file smaller where it is worth it. What cannot be made smaller is whole all the same.
    fn make_smaller(&self) {
        let mut store = self.store.lock();
        if store.is_wasteful()
            && let Err(why) = store.compact()
        {
            let journal = self.path.display();
            tracing::warn!(target: crate::logging::RECORDS, %journal, error = %why, "a journal stays as large as it is");
        }
    }

    fn write_noted(&self, noted: &Noted<S>) -> Result<(), Error> {
        let Noted { rows, cursor } = noted;
        if rows.is_empty() && cursor.is_none() {
            return Ok(());
        }
        let mut encoded = Vec::with_capacity(rows.len());
        for (key, state) in rows {
            let row = state.as_ref().map(Encode::encode).transpose();
            encoded.push((key.as_bytes(), row.map_err(|why| why.on_key(key))?));
        }
        self.store.lock().write(encoded.into_iter(), cursor.as_deref())
    }

    fn latched(&self, why: Error) -> Error {
        let path = self.path.display();
        let text = format!("the journal `{path}` takes no change since it could not be written");
        Error::new(ErrorKind::Journal, text)
            .advise(
                "`flush` what is unsaved, mend what failed, and begin anew with a new memory table",
            )
            .caused_by(why)
    }
}

impl<S: Encode> Drop for Log<S> {
    fn drop(&mut self) {
        let (is_behind, failed) = {
            let queue = self.queue.lock();
            (queue.written < queue.noted, queue.failed.is_some())
        };
        if is_behind && !failed {
            self.write(true);
        } else if !failed {
            self.make_smaller();
        }
    }
}

/// Who writes; dropped before that, as a runtime does that is shut down, it writes all the same.
struct Leader<S: Encode> {
    log: Arc<Log<S>>,
    is_done: bool,
}

impl<S: Encode> Leader<S> {
    fn run(mut self, thoroughly: bool) {
        if let Durability::Group(interval) = self.log.durability {
            std::thread::sleep(interval);
        }
        self.is_done = true;
        self.log.write(thoroughly);
    }
}

impl<S: Encode> Drop for Leader<S> {
    fn drop(&mut self) {
        if !self.is_done {
            self.log.write(false);
        }
    }
}

//! What is unsaved, brought into the journal and back.
//!
//! A change is in the journal before it is published; what becomes of it later is noted under the lock under
//! which it happens, and written before it matters: before a write is sent that must be known after a crash,
//! and before a flush is reported. Without a journal nothing of this is done.

mod restore;
mod state;

use std::path::Path;
use std::sync::Arc;

pub(super) use restore::Restored;
pub(super) use state::State;

use super::shards::{Both, Locked, Shards};
use super::slot::{Change, Foreseen, Slot};
use crate::breaks::broken;
use crate::error::Error;
use crate::guard::Mode;
use crate::journal::{Header, Log, Options, open};
use crate::key::Key;
use crate::record::Record;
use crate::rt::{Mutex, Notify};

/// Where changes are noted; nowhere, mostly.
pub(crate) struct Recorder<T: Record> {
    log: Option<Arc<Log<State<T>>>>,
    /// What is noted is that of checkpoints.
    checkpoints: Option<Checkpoints>,
    /// A change was published, or was not to be, of which something was sent meanwhile.
    published: Notify,
}

/// The newest checkpoint.
struct Checkpoints(Mutex<Newest>);

struct Newest {
    /// How much was noted with it.
    noted: u64,
    /// What the job said of it, as JSON.
    cursor: Option<Arc<[u8]>>,
}

impl<T: Record> Recorder<T> {
    pub(super) fn off() -> Self {
        Self { log: None, checkpoints: None, published: Notify::new() }
    }

    /// Opens the journal of a table; returns what was in it.
    pub(super) fn open(
        options: &Options,
        durability: crate::Durability,
        table: &str,
        checkpoints: bool,
    ) -> Result<(Self, Vec<Restored<T>>), Error> {
        let found = open(options, durability, &Header::of::<T>(table, checkpoints))?;
        let rows = found.rows.into_iter();
        let restored = rows.map(|(key, row)| Restored::of(&Key::from_bytes(&key), row));
        let restored = restored.collect::<Result<_, _>>()?;
        let newest = Newest { noted: 0, cursor: found.cursor.map(Arc::from) };
        let checkpoints = checkpoints.then(|| Checkpoints(Mutex::new(newest)));
        Ok((Self { log: Some(found.log), checkpoints, published: Notify::new() }, restored))
    }

    pub(super) const fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Whether a change is noted before it is published.
    pub(super) const fn foresees(&self) -> bool {
        self.log.is_some() && self.checkpoints.is_none()
    }

    pub(super) const fn has_checkpoints(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// The file.
    pub(super) fn path(&self) -> Option<&Path> {
        self.log.as_ref().map(|log| log.path())
    }

    /// An error if no change can be noted any more.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.log.as_ref().map_or(Ok(()), |log| log.check())
    }

    /// Waits until what was noted up to this is written.
    pub(super) async fn until(&self, noted: u64) -> Result<(), Error> {
        match &self.log {
            Some(log) => log.until(noted).await,
            None => Ok(()),
        }
    }

    /// Waits until all that was noted is written.
    pub(super) async fn until_now(&self) -> Result<(), Error> {
        match &self.log {
            Some(log) => log.until(log.noted()).await,
            None => Ok(()),
        }
    }

    /// The same, if something of this key is not written yet.
    async fn until_written(&self, key: &Key) -> Result<(), Error> {
        match &self.log {
            Some(log) if log.is_behind(key) => log.until(log.noted()).await,
            _ => Ok(()),
        }
    }

    /// Whether the newest checkpoint is not in the file yet: what it covers is not to be sent before.
    pub(super) fn is_behind_checkpoint(&self) -> bool {
        let noted = self.checkpoints.as_ref().map_or(0, |newest| newest.0.lock().noted);
        self.log.as_ref().is_some_and(|log| noted > 0 && !log.has_written(noted))
    }

    /// What the job said of the newest checkpoint, as JSON.
    pub(super) fn cursor(&self) -> Option<Arc<[u8]>> {
        self.checkpoints.as_ref()?.0.lock().cursor.clone()
    }

    /// Notes changes at once that are to be taken in; returns how much is noted then.
    pub(super) fn note_all<'s>(
        &self,
        slots: impl IntoIterator<Item = &'s Slot<T>>,
        table: Mode,
    ) -> Option<u64> {
        let rows = slots.into_iter().map(|slot| (slot.key.clone(), State::of(slot, table)));
        Some(self.log.as_ref()?.note(rows))
    }

    /// Notes that nothing of these keys is unsaved, and has that written.
    fn forget_all(&self, keys: impl IntoIterator<Item = Key>) {
        if let Some(log) = &self.log {
            log.note(keys.into_iter().map(|key| (key, None)));
            log.hasten();
        }
    }

    /// Makes a checkpoint of all that was changed; returns how much is noted then.
    pub(super) fn checkpoint(&self, shards: &Shards<T>, cursor: &Arc<[u8]>) -> Option<u64> {
        let (log, newest) = (self.log.as_ref()?, self.checkpoints.as_ref()?);
        let state = |key: &Key, slot: Option<&Slot<T>>| {
            (key.clone(), slot.and_then(|slot| State::of(slot, shards.mode())))
        };
        Some(shards.cover(state, |rows| {
            let noted = log.note_checkpoint(rows, Arc::clone(cursor));
            *newest.0.lock() = Newest { noted, cursor: Some(Arc::clone(cursor)) };
            noted
        }))
    }

    /// Has noted what nobody waits for written, if that is much.
    pub(super) fn relieve(&self) {
        if let Some(log) = &self.log {
            log.relieve();
        }
    }

    /// Has written what is noted, without waiting for it.
    pub(super) fn hasten(&self) {
        if let Some(log) = &self.log {
            log.hasten();
        }
    }

    /// Where changes are noted before they are published.
    fn foreseeing(&self) -> Option<&Arc<Log<State<T>>>> {
        self.log.as_ref().filter(|_| self.checkpoints.is_none())
    }

    /// Notes what a slot has; the caller has its lock.
    fn note(&self, slot: &Slot<T>, table: Mode) {
        if let Some(log) = &self.log {
            log.note([(slot.key.clone(), State::of(slot, table))]);
        }
    }

    /// Notes that nothing of a key is unsaved any more; the caller has its lock.
    pub(super) fn forget(&self, slot: &mut Slot<T>) {
        if let Some(log) = &self.log
            && !slot.makes_stale()
        {
            log.note([(slot.key.clone(), None)]);
        }
    }
}

/// What is noted of a key; nothing, if nothing of it is unsaved.
type Noted<T> = (Key, Option<State<T>>);

impl<T: Record> Locked<'_, T> {
    /// Notes what something will make of a slot, before it is published; returns how much is noted then. The
    /// caller has the record's turn, and publishes it or ends the turn.
    pub(super) fn foresee(
        &mut self,
        key: &Key,
        make: impl FnOnce(&mut Slot<T>, u64),
    ) -> Option<u64> {
        let log = self.shards().recorder.foreseeing()?;
        let foreseen = self.foreseen(key, make)?;
        Some(log.note([foreseen]))
    }

    /// The same of a change.
    pub(super) fn foresee_change(
        &mut self,
        key: &Key,
        change: &Change<T>,
        complete: bool,
    ) -> Option<u64> {
        let log = self.shards().recorder.foreseeing()?;
        let foreseen = self.foreseen_change(key, change, complete)?;
        Some(log.note([foreseen]))
    }

    fn foreseen_change(
        &mut self,
        key: &Key,
        change: &Change<T>,
        complete: bool,
    ) -> Option<Noted<T>> {
        let mode = self.shards().mode();
        self.foreseen(key, |slot, seq| {
            slot.is_absent_if(complete);
            let _newly = slot.change(change.clone(), seq, mode);
        })
    }

    /// What a slot will have.
    fn foreseen(&mut self, key: &Key, make: impl FnOnce(&mut Slot<T>, u64)) -> Option<Noted<T>> {
        let shards = self.shards();
        let slot = self.slot(key);
        if broken(29) {
            return None;
        }
        let mut twin = slot.twin();
        slot.busy.as_mut()?.foreseen = Foreseen::AsItIs;
        make(&mut twin, shards.newest() + 1);
        Some((key.clone(), State::of(&twin, shards.mode())))
    }

    /// Notes what a slot has, unless a change of it is in the journal that is not published yet.
    pub(super) fn note(&mut self, key: &Key) {
        let shards = self.shards();
        if !shards.recorder.is_on() {
            return;
        }
        let Some(slot) = self.find(key.as_bytes()) else { return };
        if !slot.makes_stale() {
            shards.recorder.note(slot, shards.mode());
        }
    }

    /// A change was published. It was noted before, if nothing came in between; or the next checkpoint does it.
    pub(super) fn note_change(&mut self, key: &Key) {
        if self.shards().recorder.has_checkpoints() {
            return;
        }
        if self.end_foresight(key) != Foreseen::AsItIs && !broken(29) {
            self.note(key);
        }
    }

    /// What was noted is not published.
    pub(super) fn note_unchanged(&mut self, key: &Key) {
        if self.end_foresight(key) != Foreseen::Nothing {
            self.note(key);
        }
    }

    fn end_foresight(&mut self, key: &Key) -> Foreseen {
        let recorder = &self.shards().recorder;
        if !recorder.foresees() {
            return Foreseen::Nothing;
        }
        let busy = self.find(key.as_bytes()).and_then(|slot| slot.busy.as_mut());
        let foreseen = busy.map_or(Foreseen::Nothing, |busy| std::mem::take(&mut busy.foreseen));
        if foreseen == Foreseen::Stale {
            recorder.published.notify_waiters();
        }
        foreseen
    }

    /// Something of a record is taken to be sent: a change of it that is in the journal and not published yet does
    /// not know that.
    pub(super) fn note_taken(&mut self, key: &Key) {
        if self.shards().recorder.foresees()
            && let Some(slot) = self.find(key.as_bytes())
        {
            let _stale = slot.makes_stale();
        }
    }
}

impl<T: Record> Shards<T> {
    /// Whether the journal has a change of a record that does not know what was taken of it since.
    pub(super) fn is_stale(&self, key: &Key) -> bool {
        let mut locked = self.lock(key.as_bytes());
        let busy = locked.find(key.as_bytes()).and_then(|slot| slot.busy.as_ref());
        self.recorder.foresees() && busy.is_some_and(|busy| busy.foreseen == Foreseen::Stale)
    }

    /// Waits until the journal has what was taken of a record. A change that is not published yet waits for the
    /// journal alone, so it is not long.
    pub(super) async fn until_written(&self, key: &Key) -> Result<(), Error> {
        loop {
            let published = self.recorder.published.notified();
            if !self.is_stale(key) || broken(30) {
                break;
            }
            published.await;
        }
        self.recorder.until_written(key).await
    }
}

impl<T: Record> Both<'_, T> {
    /// As [`Locked::foresee`], both in one piece.
    pub(super) fn foresee(
        &mut self,
        changes: [(&Key, &Change<T>); 2],
        complete: bool,
    ) -> Option<u64> {
        let [(first, put), (second, delete)] = changes;
        let locked = self.at(first.as_bytes());
        let log = locked.shards().recorder.foreseeing()?;
        let first = locked.foreseen_change(first, put, complete)?;
        let second = self.at(second.as_bytes()).foreseen_change(second, delete, complete)?;
        Some(log.note([first, second]))
    }
}

impl<T: Record> Slot<T> {
    /// What a change of it is tried on.
    fn twin(&self) -> Self {
        let mut twin = Self::new(self.key.clone());
        (twin.now, twin.kept) = (self.now.clone(), self.kept.clone());
        twin.unsaved.clone_from(&self.unsaved);
        twin.outdated.clone_from(&self.outdated);
        twin.forgotten = self.forgotten;
        twin
    }

    /// Whether a change of it is in the journal that is not published yet: it is another one then.
    fn makes_stale(&mut self) -> bool {
        let busy = self.busy.as_mut().filter(|busy| busy.foreseen != Foreseen::Nothing);
        busy.map(|busy| busy.foreseen = Foreseen::Stale).is_some()
    }
}

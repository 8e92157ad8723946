//! Turns: one change of a record at a time, in the order in which they were asked for.

use std::sync::Arc;
use std::thread;

use super::Shared;
use super::room::Permit;
use super::shards::Locked;
use super::slot::Busy;
use crate::breaks::broken;
use crate::codec::Kept;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;
use crate::rt::oneshot;

/// The right to change a record; dropped, it goes to the next in line.
pub(crate) struct Turn<T: Record> {
    shared: Arc<Shared<T>>,
    key: Key,
    held: bool,
}

/// A turn that needed no waiting, with all that a change of the record begins with: taken under one lock.
/// The user's function is noted as running, so nothing may be waited for until [`Turn::has_run`].
pub(super) struct Ready<'s, T: Record> {
    pub(super) turn: Turn<T>,
    pub(super) before: Arc<T>,
    /// What is kept beside it.
    pub(super) kept: Option<Arc<Kept>>,
    /// The room of a record without a byte.
    pub(super) permit: Permit<'s>,
}

impl<'s, T: Record> Ready<'s, T> {
    /// What [`Turn::of`] and [`fetch_to_change`](Shared::fetch_to_change) come to for a record that is
    /// known, if there is room for a change of it.
    pub(super) fn at(shared: &'s Arc<Shared<T>>, key: &[u8]) -> Option<Self> {
        if shared.options.clock.0.is_some() || shared.closed.is_closed() || broken(25) {
            return None;
        }
        let mut permit = shared.slots.room.permit();
        let (ready, is_told) = {
            let mut locked = shared.slots.lock(key);
            let slot = locked.find(key).filter(|slot| slot.busy.is_none())?;
            let before = slot.now.record()?;
            if !permit.try_take(shared.slots.room.need(slot.unsaved_size(), 0)) {
                return None;
            }
            let running = Some(thread::current().id());
            slot.busy = Some(Box::new(Busy { running, has_read: true, ..Busy::new() }));
            let turn = Turn { shared: Arc::clone(shared), key: slot.key.clone(), held: true };
            let kept = slot.kept.clone();
            locked.count_hit();
            (Self { turn, before, kept, permit }, shared.bound.is_some() && locked.is_told())
        };
        if is_told {
            shared.tell(key);
        }
        Some(ready)
    }
}

impl<T: Record> Turn<T> {
    /// Waits for the turn to change a record.
    pub(crate) async fn of(shared: &Arc<Shared<T>>, key: &Key) -> Result<Self, Error> {
        loop {
            let waiting = match Self::ask(shared, key)? {
                Ok(turn) => return Ok(turn),
                Err(waiting) => waiting,
            };
            if let Ok(turn) = waiting.await {
                return Ok(turn);
            }
        }
    }

    pub(super) const fn key(&self) -> &Key {
        &self.key
    }

    /// The turn, if nobody has it.
    pub(super) fn at_once(shared: &Arc<Shared<T>>, key: &Key) -> Option<Self> {
        let mut locked = shared.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes()).filter(|slot| slot.busy.is_none())?;
        slot.busy = Some(Box::new(Busy::new()));
        Some(Self { shared: Arc::clone(shared), key: key.clone(), held: true })
    }

    fn ask(
        shared: &Arc<Shared<T>>,
        key: &Key,
    ) -> Result<Result<Self, oneshot::Receiver<Self>>, Error> {
        if broken(25) {
            return Ok(Ok(Self { shared: Arc::clone(shared), key: key.clone(), held: false }));
        }
        let mut locked = shared.slots.lock(key.as_bytes());
        let slot = locked.slot(key);
        let Some(busy) = &mut slot.busy else {
            slot.busy = Some(Box::new(Busy::new()));
            return Ok(Ok(Self { shared: Arc::clone(shared), key: key.clone(), held: true }));
        };
        if busy.running == Some(thread::current().id()) {
            return Err(reentrant(key));
        }
        let (sender, receiver) = oneshot::channel();
        busy.waiters.push_back(sender);
        Ok(Err(receiver))
    }

    /// Runs the user's function, under no lock, with this thread noted as the one that runs it.
    pub(crate) fn run<R>(&self, function: impl FnOnce() -> R) -> R {
        struct Running<'t, T: Record>(&'t Turn<T>);
        impl<T: Record> Drop for Running<'_, T> {
            fn drop(&mut self) {
                self.0.note(None);
            }
        }
        self.note(Some(thread::current().id()));
        let _running = Running(self);
        function()
    }

    /// No function of the user's runs any more.
    pub(super) fn has_run(&self) {
        self.note(None);
    }

    /// Ends the turn under the lock under which its change was published, unless somebody waits for it.
    pub(super) fn end_in(&mut self, locked: &mut Locked<'_, T>) {
        let slot = locked.find(self.key.as_bytes());
        let Some(busy) = slot.map(|slot| &mut slot.busy) else { return };
        if busy.take_if(|busy| busy.waiters.is_empty()).is_some() {
            self.held = false;
        }
    }

    fn note(&self, running: Option<thread::ThreadId>) {
        let mut locked = self.shared.slots.lock(self.key.as_bytes());
        if let Some(busy) = locked.find(self.key.as_bytes()).and_then(|slot| slot.busy.as_mut()) {
            busy.running = running;
        }
    }
}

impl<T: Record> Drop for Turn<T> {
    fn drop(&mut self) {
        if broken(35) && thread::panicking() {
            return;
        }
        while self.held {
            let next = {
                let shared = &self.shared;
                let mut locked = shared.slots.lock(self.key.as_bytes());
                // What was to be published and is not, as the caller went away.
                locked.note_unchanged(&self.key);
                let slot = locked.find(self.key.as_bytes());
                let next = slot.and_then(|slot| {
                    if slot.is_let_go() {
                        shared.note_forgotten(slot);
                    }
                    let next = slot.busy.as_mut().and_then(|busy| {
                        busy.running = None;
                        busy.waiters.pop_front()
                    });
                    if next.is_none() {
                        slot.busy = None;
                    }
                    next
                });
                if next.is_none() {
                    locked.prune(self.key.as_bytes());
                }
                next
            };
            let Some(next) = next else {
                self.held = false;
                // It may have become clean, or was not let go, while it was this one's turn.
                self.shared.register(&self.key);
                return;
            };
            let turn = Self { shared: Arc::clone(&self.shared), key: self.key.clone(), held: true };
            // A waiter that was cancelled gives it back, and the next one is asked.
            match next.send(turn) {
                Ok(()) => self.held = false,
                Err(mut turn) => turn.held = false,
            }
        }
    }
}

/// The function that is changing the record called back to change the same record.
pub(crate) fn reentrant(key: &Key) -> Error {
    Error::new(ErrorKind::Reentrant, "the function that is changing this record changes it again")
        .on_key(key)
        .advise("change the record through the reference that the function is given")
}

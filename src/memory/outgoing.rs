//! What goes out for a slot: taken when it is sent, in the slot's mode, and settled by the answer.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};

use super::Shared;
use super::attempt::{Base, Doubts};
use super::delta::Frozen;
use super::layer::Covered;
use super::prepare::{Prepared, Same, Send};
use super::slot::{Known, Slot};
use super::touched::Touched;
use super::unsaved::Flight;
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::codec::Kept;
use crate::error::{Error, ErrorKind};
use crate::guard::{Mode, OnConflict};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Operation, Outcome};
use crate::sums::Sums;
use crate::write::{self, Changes, Settled, Take};

/// What a slot had when it was taken.
pub(super) struct Sent<T> {
    pub(super) seq: u64,
    pub(super) now: Known<T>,
    pub(super) base: Base<T>,
    pub(super) touched: Touched,
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) mode: Mode,
    pub(super) doubts: Doubts<T>,
    /// Increments that the record shows already: they go behind it, or in it.
    pub(super) waiting: Option<Sums>,
    /// The number of the first of them.
    pub(super) since: u64,
}

/// What is to be sent of a slot at once.
pub(super) enum Part<T> {
    Record(Sent<T>),
    Increments(Frozen),
    /// Others stored something, with which it is to be merged first.
    Met,
    /// Nothing, for this reason.
    Nothing(Take),
}

impl<T> Sent<T> {
    /// Whether the item as it is stored differs from the record that was made of it.
    pub(super) fn is_stale(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_stale())
    }
}

pub(super) const fn operation<T>(now: &Known<T>) -> Operation {
    match now {
        Known::Record(_) => Operation::Put,
        Known::Absent | Known::Unknown => Operation::Delete,
    }
}

/// What is to be done with an unsaved record: with its increments if there is no other change.
pub(super) const fn operation_of<T>(now: &Known<T>, image: bool) -> Operation {
    if image { operation(now) } else { Operation::Increment }
}

impl<T: Record> Shared<T> {
    /// Notes what is about to be sent, unless it must wait: a newer value than one of unknown outcome
    /// does, and is not in flight meanwhile.
    fn held_or_sent(&self, key: &Key, sent: &Sent<T>, prepared: Send<T>) -> Take {
        let overtakes = has(Bug::DeleteBeforePut) && matches!(sent.now, Known::Absent);
        let held = self.fences.holds(key, sent.seq, prepared.target());
        if let Some(until) = held.filter(|_| !broken(7) && !overtakes) {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Take::Held(operation(&sent.now), until);
        }
        let Send { action, item, now, attempt, absorbed, lacking } = prepared;
        let is_whole = item.is_none() && attempt.is_none() && lacking.is_none();
        if is_whole && absorbed.is_empty() && now.is_as(&sent.now) {
            // It is noted as it was taken.
            self.note_write(key);
            return Take::Write(action);
        }
        self.note_flight(key, sent, &absorbed, |flight| {
            (flight.sent, flight.attempt, flight.item) = (now, attempt.map(Arc::new), item);
            flight.lacking = lacking;
        });
        self.note_write(key);
        Take::Write(action)
    }

    /// Changes what is in flight. The increments that are in it do not wait any more, unless others wait
    /// instead.
    fn note_flight(
        &self,
        key: &Key,
        sent: &Sent<T>,
        absorbed: &Sums,
        note: impl FnOnce(&mut Flight<T>),
    ) {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_mut());
        let Some(unsaved) = unsaved else { return };
        if let Some(flight) = &mut unsaved.flight {
            note(flight);
            if flight.attempt.is_some() && unsaved.base.replaced && !sent.base.replaced {
                // It was deleted meanwhile, and this leaves other attributes as they are.
                unsaved.replace();
            }
        }
        if !absorbed.is_empty() {
            unsaved.absorb(absorbed, sent.since);
            locked.note(key);
        }
    }
}

impl<T: Record> Changes for Arc<Shared<T>> {
    fn goes_alone(&self, key: &Key) -> bool {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else { return false };
        let Some((unsaved, covered)) = slot.unsaved.as_ref().zip(slot.covered()) else {
            return false;
        };
        let deletes = matches!(covered.now, Known::Absent);
        if covered.image.is_none() || slot.frozen().is_some() {
            return true;
        }
        match covered.mode.unwrap_or(self.options.mode) {
            Mode::Plain => false,
            Mode::FieldWise => !deletes && !covered.replaced,
            Mode::Guarded(_) => !deletes || unsaved.base.is_seen(),
        }
    }

    fn take(&self, key: &Key) -> Take {
        loop {
            let sent = match self.next_part(key) {
                Part::Record(sent) => sent,
                Part::Met => match self.merge_met(key) {
                    Some(take) => return take,
                    None => continue,
                },
                Part::Increments(frozen) => return self.send_increments(key, frozen),
                Part::Nothing(take) => return take,
            };
            match self.prepare(key, &sent) {
                Ok(Prepared::Send(prepared)) => return self.held_or_sent(key, &sent, *prepared),
                Ok(Prepared::Unchanged(same)) => {
                    let Same { now, absorbed, lacking, units } = same;
                    self.note_flight(key, &sent, &absorbed, |flight| {
                        (flight.sent, flight.lacking) = (now, lacking);
                    });
                    if self.settle_unchanged(key, units) {
                        return Take::Unchanged(units);
                    }
                    // Increments are left.
                }
                Err(error) => {
                    self.settle(key, Settled::Refused(error.clone()));
                    return Take::Parked(operation(&sent.now), error);
                }
            }
        }
    }

    fn outcome(&self, key: &Key) -> Outcome {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_ref());
        if unsaved.is_some_and(|unsaved| unsaved.is_in_doubt()) {
            Outcome::OutcomeUnknown
        } else {
            Outcome::NotWritten
        }
    }

    fn settle(&self, key: &Key, settled: Settled) -> bool {
        Shared::settle(self, key, settled)
    }

    fn conflict(&self, key: &Key, theirs: Option<Vec<u8>>) -> write::Met {
        self.meet(key, theirs)
    }

    fn recorded<'c>(
        &'c self,
        key: &'c Key,
        alone: bool,
    ) -> Option<BoxFuture<'c, Result<(), Error>>> {
        let recorder = &self.slots.recorder;
        let placed = |why: Error| self.place(why).on_key(key);
        if recorder.is_on() && (alone || self.slots.is_stale(key)) {
            let written = async move { self.slots.until_written(key).await.map_err(placed) };
            return Some(written.boxed());
        }
        recorder
            .is_behind_checkpoint()
            .then(|| async move { recorder.until_now().await.map_err(placed) }.boxed())
    }
}

impl<T: Record> Shared<T> {
    /// What there is to send of a slot: increments that were frozen, the record, then increments.
    fn next_part(&self, key: &Key) -> Part<T> {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else {
            return Part::Nothing(Take::Gone);
        };
        if let Some(take) = self.nothing_of(key, slot) {
            return Part::Nothing(take);
        }
        if self.has_met(slot) {
            return Part::Met;
        }
        let is_new = slot.frozen().is_none();
        let Some(Covered { image, seq, now, kept, .. }) = slot.covered() else {
            return Part::Nothing(Take::Gone);
        };
        let (image, now, kept) = (image.is_some(), now.clone(), kept.cloned());
        let Some(unsaved) = &mut slot.unsaved else { return Part::Nothing(Take::Gone) };
        if !is_new || !image {
            let part = self.freeze(key, unsaved);
            // What is being read may have them or not.
            slot.load = None;
            if is_new && !broken(30) {
                locked.note(key);
            }
            return part;
        }
        let now = match &unsaved.flight {
            Some(stale) if broken(8) => stale.sent.clone(),
            _ => now,
        };
        unsaved.ground();
        let Some(record) = self.to_send(slot) else { return Part::Nothing(Take::Gone) };
        let Some(unsaved) = &mut slot.unsaved else { return Part::Nothing(Take::Gone) };
        let layer = unsaved.layer.as_mut();
        // What comes next may be another item than this, even if it is equal.
        let exact = layer.as_ref().is_none_or(|layer| !layer.overwritten);
        let changes = layer.map_or(&mut unsaved.touched, |layer| &mut layer.touched).fly();
        let flight = Flight::new(seq, now.clone(), kept, changes);
        unsaved.flight = Some(Box::new(Flight { exact, ..flight }));
        locked.note_taken(key);
        Part::Record(Sent { now, ..record })
    }

    /// Why nothing of a slot is sent, if that is so.
    fn nothing_of(&self, key: &Key, slot: &Slot<T>) -> Option<Take> {
        let Some(covered) = slot.covered() else { return Some(Take::Gone) };
        let operation = operation_of(covered.now, covered.image.is_some());
        if let Some(error) = covered.parked {
            return Some(Take::Parked(operation, error.clone()));
        }
        if covered.is_nothing() && slot.frozen().is_none() {
            return Some(Take::Gone);
        }
        (covered.is_beneath && self.has_met(slot)).then(|| {
            let text =
                "others changed the item since it was loaded, and so did this since its checkpoint";
            let error =
                Error::new(ErrorKind::Conflict, text).advise("`checkpoint`, and it is merged");
            Take::Conflict(operation, self.place(error).on_key(key))
        })
    }

    /// Whether it is to be merged with what others stored.
    fn has_met(&self, slot: &Slot<T>) -> bool {
        let merges = matches!(self.on_conflict, OnConflict::Merge(_));
        merges && slot.unsaved.as_ref().is_some_and(|unsaved| unsaved.met.is_some())
    }

    /// What a record is to be made of that is not in flight.
    pub(super) fn to_send(&self, slot: &Slot<T>) -> Option<Sent<T>> {
        let (unsaved, covered) = (slot.unsaved.as_ref()?, slot.covered()?);
        let Covered { seq, replaced, exact, since, .. } = covered;
        Some(Sent {
            seq,
            now: covered.now.clone(),
            base: Base { exact, replaced, ..unsaved.base.clone() },
            touched: covered.touched.clone(),
            kept: covered.kept.cloned(),
            mode: covered.mode.unwrap_or(self.options.mode),
            doubts: unsaved.doubts.clone(),
            waiting: covered.waiting.cloned(),
            since,
        })
    }
}

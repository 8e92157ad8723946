//! What others stored is met: whose it is, and what becomes of the change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::outgoing::operation;
use super::slot::{Attempt, Base, Change, Known, Met as Theirs};
use super::turn::Turn;
use crate::breaks::broken;
use crate::codec::{Decoded, decode, same_items};
use crate::error::{BoxError, Error, ErrorKind};
use crate::guard::{Merge, Mode, OnConflict, Resolution, conflict};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Operation, Outcome};
use crate::write::{Met, Settled, Take};

/// How long a merge waits for those who are changing the record.
const TURN_PAUSE: Duration = Duration::from_millis(5);

/// What was in flight when something else was met.
struct Flown {
    attempt: Attempt,
    doubts: Vec<Attempt>,
    mode: Mode,
}

/// What a merge is made of.
struct Sides<T: Record> {
    base: Base<T>,
    mine: Known<T>,
    theirs: Theirs,
}

fn is_same(one: &Theirs, other: &Theirs) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same_items(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl<T: Record> Shared<T> {
    /// Takes in that the condition of what was in flight does not hold.
    pub(super) fn meet(&self, key: &Key, theirs: Option<Vec<u8>>) -> Met {
        let theirs: Theirs = theirs.map(Arc::from);
        let Some(Flown { attempt, doubts, mode }) = self.flown(key) else {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Met::Again(None);
        };
        // An earlier attempt is met if its answer is missing; whose value it is nobody can tell.
        let own = doubts.iter().find(|doubt| is_same(&doubt.item, &theirs));
        let agreed = attempt.item.is_none() && theirs.is_none();
        if agreed || own.is_some_and(|own| own.seq == attempt.seq) {
            return Met::Written(self.settle(key, Settled::Written));
        }
        if own.is_some() {
            self.rebase(key, &theirs);
            return Met::Again(None);
        }
        let overwrites = mode == Mode::FieldWise || broken(27);
        match &self.on_conflict {
            _ if overwrites => self.rebase(key, &theirs),
            OnConflict::Overwrite => self.rebase(key, &theirs),
            OnConflict::Fail => {
                self.settle(key, Settled::Pending(Outcome::NotWritten));
                return Met::Failed(conflict());
            }
            OnConflict::Merge(_) => {
                self.note_met(key, theirs);
                return Met::Again(Some(Resolution::Merged));
            }
        }
        Met::Again(Some(Resolution::Overwritten))
    }

    fn flown(&self, key: &Key) -> Option<Flown> {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes())?.unsaved.as_ref()?;
        let attempt = unsaved.flight.as_ref()?.attempt.clone()?;
        Some(Flown { attempt, doubts: unsaved.doubts.clone(), mode: self.mode_of(unsaved) })
    }

    /// What others stored is what the next attempt starts from. What the record's type does not know is
    /// theirs, unless the record is another one.
    fn rebase(&self, key: &Key, theirs: &Theirs) {
        let base = Self::base_of(theirs)
            .unwrap_or_else(|_| Base { item: theirs.clone(), ..Base::new(Known::Unknown, None) });
        let mut dropped_after_the_lock = None;
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            slot.since = self.scans.begun();
            if let Some(unsaved) = &mut slot.unsaved {
                unsaved.flight = None;
                (unsaved.doubt, unsaved.met) = (false, None);
                unsaved.doubts.clear();
                let replaced = unsaved.base.replaced;
                if !replaced && matches!(slot.now, Known::Record(_)) {
                    slot.kept.clone_from(&base.kept);
                }
                let base = Base { replaced, ..base };
                dropped_after_the_lock = Some(std::mem::replace(&mut unsaved.base, base));
            }
            false
        });
        self.settled.notify_waiters();
    }

    /// Notes what is to be merged, when it is nobody's turn.
    fn note_met(&self, key: &Key, theirs: Theirs) {
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            slot.since = self.scans.begun();
            if let Some(unsaved) = &mut slot.unsaved {
                unsaved.flight = None;
                unsaved.met = Some(theirs);
            }
            false
        });
        self.settled.notify_waiters();
    }

    /// Merges what was met, if something was; `None` if the record can be sent.
    pub(super) fn merge_met(self: &Arc<Self>, key: &Key) -> Option<Take> {
        let OnConflict::Merge(merge) = &self.on_conflict else { return None };
        let operation = self.awaits_merge(key)?;
        let Some(turn) = Turn::at_once(self, key) else {
            return Some(Take::Held(operation, Instant::now() + TURN_PAUSE));
        };
        let sides = self.take_met(key)?;
        let theirs = sides.theirs.clone();
        let merged = catch_unwind(AssertUnwindSafe(|| self.merged(&turn, key, merge, &sides)));
        // Under no lock here, whatever the user's code did.
        let panicked = |_| Err(conflict().caused_by("the merge panicked"));
        match merged.unwrap_or_else(panicked) {
            Ok((change, base)) => {
                self.publish_merged(key, change, Base { item: theirs, ..base });
                None
            }
            Err(error) => Some(Take::Conflict(operation, self.place(error).on_key(key))),
        }
    }

    fn awaits_merge(&self, key: &Key) -> Option<Operation> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        let unsaved = slot.unsaved.as_ref().filter(|unsaved| unsaved.met.is_some())?;
        unsaved.parked.is_none().then(|| operation(&slot.now))
    }

    fn take_met(&self, key: &Key) -> Option<Sides<T>> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        let unsaved = slot.unsaved.as_mut()?;
        let theirs = unsaved.met.take()?;
        Some(Sides { base: unsaved.base.clone(), mine: slot.now.clone(), theirs })
    }

    /// The change that a merge comes to, and what it starts from.
    fn merged(
        &self,
        turn: &Turn<T>,
        key: &Key,
        merge: &Merge<T>,
        sides: &Sides<T>,
    ) -> Result<(Change<T>, Base<T>), Error> {
        let theirs = Self::base_of(&sides.theirs)?;
        let base = match &sides.base.item {
            Some(_) => Self::base_of(&sides.base.item)?.known.record(),
            None => sides.base.known.record(),
        };
        let mine = sides.mine.record();
        let theirs_record = theirs.known.record();
        let merged =
            turn.run(|| merge.run(base.as_deref(), mine.as_deref(), theirs_record.as_deref()));
        let failed = |source: BoxError| conflict().caused_by(source);
        let Some(record) = merged.map_err(failed)? else {
            return Ok((Change::delete(key), theirs));
        };
        let made = self.table.key_of(&record)?;
        if made != *key {
            let text = format!("the merge changed the record's key to {made}");
            return Err(Error::new(ErrorKind::InvalidRecord, text));
        }
        let hooked = turn.run(|| self.table.hooked(&record))?.unwrap_or(record);
        let (_, item) = self.table.encoded(&hooked)?;
        Ok((Change::put(Arc::new(hooked), item.size), theirs))
    }

    /// Publishes what was merged, in place of the change that met others.
    fn publish_merged(&self, key: &Key, mut change: Change<T>, base: Base<T>) {
        let mut permit = self.slots.room.permit();
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else { return };
        let Some(before) = slot.unsaved_size() else { return };
        slot.kept.clone_from(&base.kept);
        let need = locked.need(key, &change);
        if permit.try_take(need) {
            permit.spend(need);
        } else {
            // It takes the room that it has: to wait for more here would hold the flush that makes it.
            change.size = before.saturating_sub(base.kept.as_ref().map_or(0, |kept| kept.beside()));
        }
        locked.change(key, change, false);
        if let Some(unsaved) = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_mut()) {
            unsaved.base = base;
            unsaved.doubt = false;
            unsaved.doubts.clear();
        }
    }

    /// What is stored, as what the next attempt starts from.
    fn base_of(stored: &Theirs) -> Result<Base<T>, Error> {
        let Some(item) = stored else {
            return Ok(Base::new(Known::Absent, None));
        };
        let decoded = catch_unwind(AssertUnwindSafe(|| decode::<T>(item)));
        let misfit = |text: String| {
            let type_name = std::any::type_name::<T>();
            let text = format!("what others stored does not fit `{type_name}`: {text}");
            Error::new(ErrorKind::InvalidItem, text).advise("mend the item, then flush again")
        };
        let Decoded { record, kept, .. } = match decoded {
            Ok(Ok(decoded)) => decoded,
            Ok(Err(why)) => {
                let error = misfit(why.to_string());
                return Err(match why.into_source() {
                    Some(source) => error.caused_by(source),
                    None => error,
                });
            }
            Err(_) => return Err(misfit("its `Deserialize` or `after_load` panicked".to_owned())),
        };
        let base = Base::new(Known::Record(Arc::new(record)), kept.map(Arc::new));
        Ok(Base { item: Some(Arc::clone(item)), ..base })
    }
}

//! What others stored is met: whose it is, and what becomes of the change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::attempt::{Attempt, Base, Doubt, Doubts, Met as Theirs};
use super::outgoing::operation;
use super::slot::{Change, Known};
use super::turn::Turn;
use crate::breaks::broken;
use crate::codec::tree::parse_item;
use crate::codec::{Decoded, decode, same_items};
use crate::error::{BoxError, Error, ErrorKind};
use crate::guard::{Merge, Mode, OnConflict, Resolution, beneath, conflict, has_name, is_own};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Operation, Outcome};
use crate::write::{Met, Settled, Take};

/// What was in flight when something else was met.
struct Flown<T> {
    attempt: Arc<Attempt>,
    doubts: Doubts<T>,
}

/// What a merge is made of.
struct Sides<T: Record> {
    base: Base<T>,
    mine: Known<T>,
    theirs: Theirs,
}

impl<T: Record> Shared<T> {
    /// Takes in that the condition of what was in flight does not hold.
    pub(super) fn meet(&self, key: &Key, theirs: Option<Vec<u8>>) -> Met {
        let theirs: Theirs = theirs.map(Arc::from);
        let Some(Flown { attempt, doubts }) = self.flown(key) else {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Met::Gone;
        };
        let agreed = attempt.item.is_none() && theirs.is_none();
        if agreed {
            return Met::Written(self.settle(key, Settled::Written));
        }
        if let Some(own) = doubts.iter().find(|doubt| self.is_own(key, doubt, &theirs)) {
            return self.meet_own(key, own, attempt.seq, &theirs);
        }
        if attempt.mode == Mode::FieldWise || broken(27) {
            return self.overwrite(key, &attempt, &theirs);
        }
        match &self.on_conflict {
            OnConflict::Overwrite => self.overwrite(key, &attempt, &theirs),
            OnConflict::Fail => self.failed(key, conflict()),
            OnConflict::Merge(_) => {
                self.note_met(key, theirs);
                Met::Again(Resolution::Merged)
            }
        }
    }

    /// What is stored is what an attempt was to store whose answer is missing, maybe with something beside
    /// it.
    fn meet_own(&self, key: &Key, own: &Doubt<T>, newest: u64, theirs: &Theirs) -> Met {
        let sent = self.item_of(key, own).unwrap_or_else(|| theirs.clone());
        let partial = match (&sent, theirs) {
            (Some(sent), Some(theirs)) => !same_items(sent, theirs),
            _ => false,
        };
        if own.seq() == newest {
            let mut locked = self.slots.lock(key.as_bytes());
            if let Some(unsaved) = locked.find(key.as_bytes()).and_then(|it| it.unsaved.as_mut()) {
                unsaved.base.partial = partial;
            }
            drop(locked);
            return Met::Written(self.settle(key, Settled::Written));
        }
        // What others changed beside it is no more ours than before: the base is what was sent.
        let base = Self::base_of(&sent).map(|base| Base { partial, ..base });
        self.rebased(key, base, Met::WrittenBefore)
    }

    fn failed(&self, key: &Key, error: Error) -> Met {
        self.settle(key, Settled::Pending(Outcome::NotWritten));
        Met::Failed(error)
    }

    fn flown(&self, key: &Key) -> Option<Flown<T>> {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes())?.unsaved.as_ref()?;
        let attempt = Arc::clone(unsaved.flight.as_ref()?.attempt.as_ref()?);
        Some(Flown { attempt, doubts: unsaved.doubts.clone() })
    }

    /// Whether what is stored is what an attempt was to store whose answer is missing, as far as that
    /// can be told: others may have changed before it what it did not expect.
    fn is_own(&self, key: &Key, doubt: &Doubt<T>, theirs: &Theirs) -> bool {
        let Some(mine) = self.item_of(key, doubt) else { return false };
        let (Some(mine), Some(theirs)) = (&mine, theirs) else {
            return mine.is_none() && theirs.is_none();
        };
        let Doubt::Alone(attempt) = doubt else { return same_items(mine, theirs) };
        let (Ok(mine), Ok(theirs)) = (parse_item(mine), parse_item(theirs)) else { return false };
        is_own::<T>(attempt.mode, &attempt.changed, &mine, &theirs)
    }

    /// The change is written over what others stored, or of it only the attributes that it changes.
    fn overwrite(&self, key: &Key, attempt: &Attempt, theirs: &Theirs) -> Met {
        let base = Self::base_of(theirs).and_then(|base| match theirs {
            Some(theirs) if attempt.mode.is_by_fields() => {
                let beneath = self.beneath(key, attempt, theirs)?;
                Ok(beneath.unwrap_or(base))
            }
            _ => Ok(base),
        });
        self.rebased(key, base, Met::Again(Resolution::Overwritten))
    }

    /// What was known of the item, but for the attributes that an attempt changes: those are as others
    /// stored them. `None` if the item was never seen, or is to be another one.
    fn beneath(
        &self,
        key: &Key,
        attempt: &Attempt,
        theirs: &[u8],
    ) -> Result<Option<Base<T>>, Error> {
        let (base, touched, flown) = {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            let Some(unsaved) = slot.and_then(|slot| slot.unsaved.as_ref()) else {
                return Ok(None);
            };
            let flown = unsaved.flight.as_ref().map(|flight| flight.changes.clone());
            let layer = unsaved.layer.as_ref();
            let replaced = layer.map_or(unsaved.base.replaced, |layer| layer.replaced);
            let touched = layer.map_or(&unsaved.touched, |layer| &layer.touched).clone();
            let base = Base { replaced, ..unsaved.base.clone() };
            (base, touched, flown.unwrap_or_default())
        };
        let Some(mine) = attempt.item.as_ref().filter(|_| base.is_seen() && !base.replaced) else {
            return Ok(None);
        };
        let known = self.stored_item(key, &base)?;
        let known = known.as_deref().map(|item| self.fields(item, key)).transpose()?;
        let (mut mine, theirs) = (self.fields(mine, key)?, self.fields(theirs, key)?);
        // What is only added to is added to what others stored.
        let is_set = |name: &str| has_name(&flown, name) || !touched.is_added(name);
        mine.retain(|(name, _)| is_set(name));
        let changed: Vec<&str> =
            attempt.changed.iter().map(|name| &**name).filter(|name| is_set(name)).collect();
        let item: Theirs = Some(beneath::<T>(known, &mine, &changed, theirs).into());
        // What others changed beside it is not known; and what is of two items need not fit the type.
        let unread = |_| Base { item: item.clone(), ..Base::new(Known::Unknown, None) };
        let mixed = Self::base_of(&item).unwrap_or_else(unread);
        Ok(Some(Base { kept: base.kept, partial: true, ..mixed }))
    }

    /// The next attempt starts from this, if the type can read it.
    fn rebased(&self, key: &Key, base: Result<Base<T>, Error>, met: Met) -> Met {
        match base {
            Ok(base) => {
                let are_theirs = matches!(met, Met::Again(_));
                self.rebase(key, base, are_theirs);
                met
            }
            // No change replaces what nobody has seen.
            Err(error) => self.failed(key, error),
        }
    }

    /// What is stored is what the next attempt starts from: what others stored, or an attempt of one's
    /// own. What the record's type does not know is theirs, unless the record is another one.
    /// `are_theirs`: the attributes that the flight changes are in it as others stored them.
    fn rebase(&self, key: &Key, base: Base<T>, are_theirs: bool) {
        let mut dropped_after_the_lock = None;
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            slot.since = self.scans.begun();
            if let Some(unsaved) = &mut slot.unsaved {
                if are_theirs && base.item.is_some() {
                    unsaved.flight = None;
                }
                let _overtaken = unsaved.ground();
                (unsaved.doubt, unsaved.met) = (false, None);
                unsaved.doubts.clear();
                let replaced = unsaved.base.replaced;
                if !replaced && matches!(slot.now, Known::Record(_)) {
                    slot.kept.clone_from(&base.kept);
                }
                if let Some(layer) = &mut unsaved.layer {
                    layer.exact = base.exact;
                    if !layer.replaced && matches!(layer.now, Known::Record(_)) {
                        layer.kept.clone_from(&base.kept);
                    }
                }
                let base = Base { replaced, ..base };
                dropped_after_the_lock = Some(unsaved.rebase(base));
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
                let _overtaken = unsaved.ground();
                unsaved.met = Some(Box::new(theirs));
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
            // Who has the turn may be waiting for the end of this flush.
            let error = conflict().caused_by("the record is being changed");
            let error = self.place(error).on_key(key);
            let pause = self.is_pause_wanted();
            return Some(if pause {
                Take::Conflict(operation, error)
            } else {
                Take::Busy(operation, error)
            });
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
        let theirs = *unsaved.met.take()?;
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
        let hooked = turn
            .run(|| self.table.hooked(&record, theirs_record.as_deref().into()))?
            .unwrap_or(record);
        let (_, size) = self.table.measured(&hooked)?;
        Ok((Change::put(Arc::new(hooked), size), theirs))
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
            change.room = Some(before);
        }
        // It is of what a checkpoint covers, as the change was that it is in place of.
        locked.replace(key, change);
        if let Some(unsaved) = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_mut()) {
            unsaved.rebase(base);
            unsaved.doubt = false;
            unsaved.doubts.clear();
        }
        locked.note(key);
    }

    /// What is stored, as what the next attempt starts from.
    pub(super) fn base_of(stored: &Theirs) -> Result<Base<T>, Error> {
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
                return Err(misfit(why.to_string()).caused_by_any(why.into_source()));
            }
            Err(_) => return Err(misfit("its `Deserialize` or `after_load` panicked".to_owned())),
        };
        let base = Base::new(Known::Record(Arc::new(record)), kept.map(Arc::new));
        Ok(Base { item: Some(Arc::clone(item)), ..base })
    }
}

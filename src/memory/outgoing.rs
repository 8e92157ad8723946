//! What goes out for a slot: taken when it is sent, in the slot's mode, and settled by the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::Instant;

use super::Shared;
use super::delta::{Applied, Deltas, Frozen};
use super::fence::Expectation;
use super::slot::{Attempt, Base, Doubt, Doubts, Flight, Known, Met, Slot, Unsaved};
use crate::breaks::broken;
use crate::codec::tree::{Fields, Node, parse_item, write_fields};
use crate::codec::{CodecError, EncodedItem, Kept, MAX_ITEM, encode, key_json, same_items};
use crate::error::{Error, ErrorKind};
use crate::guard::{Mode, Outgoing, Request, Stored, Target};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Action, Operation, Outcome, Write};
use crate::sums::{Sums, Token, single};
use crate::write::{self, Changes, Settled, Take};

/// What a slot had when it was taken.
pub(super) struct Sent<T> {
    pub(super) seq: u64,
    pub(super) now: Known<T>,
    pub(super) base: Base<T>,
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) mode: Mode,
    doubts: Doubts<T>,
    /// Increments that go behind the record, which shows them already.
    waiting: Option<Sums>,
}

/// What is to be sent of a slot at once.
enum Part<T> {
    Record(Sent<T>),
    Increments(Frozen),
    /// Nothing, for this reason.
    Nothing(Take),
}

impl<T> Sent<T> {
    /// Whether the item as it is stored differs from the record that was made of it.
    fn is_stale(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_stale())
    }
}

/// What is to be sent for a slot.
enum Prepared<T> {
    Send(Box<Send<T>>),
    /// Nothing: this is what is stored.
    Unchanged(Known<T>),
}

struct Send<T> {
    action: Action,
    /// The item, where increments wait that the record shows.
    item: Option<Arc<[u8]>>,
    /// The record with the version that it is to have.
    now: Known<T>,
    /// What goes alone.
    attempt: Option<Attempt>,
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
    /// How an unsaved record is to be written.
    pub(super) fn mode_of(&self, unsaved: &Unsaved<T>) -> Mode {
        unsaved.mode.unwrap_or(self.options.mode)
    }

    /// What is to be sent for a slot.
    fn prepare(&self, key: &Key, sent: &Sent<T>) -> Result<Prepared<T>, Error> {
        match sent.mode {
            Mode::Plain => Ok(match self.whole(key, sent)? {
                None => Prepared::Unchanged(sent.now.clone()),
                Some(action) => {
                    let now = sent.now.clone();
                    Prepared::Send(Box::new(Send { action, item: None, now, attempt: None }))
                }
            }),
            Mode::Guarded(_) | Mode::FieldWise => self.alone(key, sent),
        }
    }

    /// The whole record, whatever is stored.
    fn whole(&self, key: &Key, sent: &Sent<T>) -> Result<Option<Action>, Error> {
        match (&sent.now, &sent.base.for_sure()) {
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

    /// What changed, alone.
    fn alone(&self, key: &Key, sent: &Sent<T>) -> Result<Prepared<T>, Error> {
        let base = self.stored_item(key, &sent.base)?;
        let fields = base.as_deref().map(|item| self.fields(item, key)).transpose()?;
        let stored = match (&fields, &sent.base.known) {
            (Some(fields), _) => Stored::Item(fields),
            (None, Known::Absent) => Stored::Absent,
            (None, _) => {
                let version = sent.now.record().map_or(0, |now| now.version());
                Stored::Unknown { version }
            }
        };
        let versioned = |version| {
            let given = || with_version(&sent.now, version, sent.mode);
            let given = catch_unwind(AssertUnwindSafe(given));
            given.map_err(|_| {
                self.unstorable(key, "its `Clone` or `set_version` panicked".to_owned())
            })
        };
        let now = versioned(stored.version::<T>().saturating_add(1))?;
        let item = self.target(key, sent, &now)?;
        let target_fields = item.as_ref().map(|item| self.fields(&item.json, key)).transpose()?;
        let target = item.as_ref().zip(target_fields.as_ref());
        let doubtful = self.doubtful(key, sent, fields.as_ref());
        let request = Request {
            key,
            mode: sent.mode,
            stored,
            absence_is_sure: self.options.consistent,
            target: target.map(|(item, fields)| Target { item, fields }),
            replaces: sent.base.replaced,
            doubtful: doubtful.as_deref(),
        };
        let outgoing = request.outgoing::<T>().map_err(|error| self.place(error).on_key(key))?;
        let Some(Outgoing { action, changed, expects }) = outgoing else {
            return Ok(Prepared::Unchanged(versioned(stored.version::<T>())?));
        };
        let attempt = matches!(action, Action::Single(_)).then(|| Attempt {
            seq: sent.seq,
            mode: sent.mode,
            item: item.as_ref().map(|item| Arc::from(&*item.json)),
            expects: expects.then(|| {
                let item = base.as_deref().map(Arc::from);
                let item = item.or_else(|| version_alone::<T>(&stored));
                Expectation { item, changed: changed.clone() }
            }),
            changed,
        });
        let waits = sent.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty());
        let item = item.filter(|_| waits).map(|item| Arc::from(item.json));
        Ok(Prepared::Send(Box::new(Send { action, item, now, attempt })))
    }

    /// The item that a record is to be, but for increments that go on their own.
    fn target(
        &self,
        key: &Key,
        sent: &Sent<T>,
        now: &Known<T>,
    ) -> Result<Option<EncodedItem>, Error> {
        let Known::Record(record) = now else { return Ok(None) };
        let item = self.item(record, key, sent.kept.as_deref())?;
        self.without(item, key, sent.waiting.as_ref()).map(Some)
    }

    /// The attributes that attempts without an answer change, each once; `None` if what is stored is
    /// known for sure.
    fn doubtful(
        &self,
        key: &Key,
        sent: &Sent<T>,
        base: Option<&Fields<'_>>,
    ) -> Option<Vec<Box<str>>> {
        if sent.base.exact {
            return None;
        }
        let mut names: Vec<Box<str>> = sent.doubts.changed.clone();
        for doubt in sent.doubts.iter() {
            match doubt {
                Doubt::Alone(attempt) => names.extend(attempt.changed.iter().cloned()),
                Doubt::Whole { .. } => {
                    let item = self.item_of(key, doubt).flatten();
                    let fields = item.as_deref().and_then(|item| parse_item(item).ok());
                    let of = |fields: &Fields<'_>| -> Vec<Box<str>> {
                        fields.iter().map(|(name, _)| (&**name).into()).collect()
                    };
                    names.extend(fields.as_ref().map(of).unwrap_or_default());
                    names.extend(base.map(of).unwrap_or_default());
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// The item that an attempt was to make, if there was to be one; `None` if it cannot be said.
    pub(super) fn item_of(&self, key: &Key, doubt: &Doubt<T>) -> Option<Met> {
        match doubt {
            Doubt::Alone(attempt) => Some(attempt.item.clone()),
            Doubt::Whole { sent: Known::Record(record), kept, .. } => {
                let item = self.item(record, key, kept.as_deref()).ok()?;
                Some(Some(item.json.into()))
            }
            Doubt::Whole { .. } => Some(None),
        }
    }

    /// The item as it is stored, if there is one and it is known.
    fn stored_item(&self, key: &Key, base: &Base<T>) -> Result<Option<Vec<u8>>, Error> {
        match (&base.item, &base.known) {
            (Some(item), _) => Ok(Some(item.to_vec())),
            (None, Known::Record(record)) => {
                let item = self.encoded_form(record, key)?;
                let Some(kept) = &base.kept else { return Ok(Some(item.json)) };
                kept.stored(item).map(Some).map_err(|why| self.unstorable(key, why.to_string()))
            }
            (None, Known::Absent | Known::Unknown) => Ok(None),
        }
    }

    pub(super) fn fields<'i>(&self, item: &'i [u8], key: &Key) -> Result<Fields<'i>, Error> {
        parse_item(item).map_err(|why| self.unstorable(key, why.to_string()))
    }

    /// Encodes a record together with what is kept beside it.
    pub(super) fn item(
        &self,
        record: &T,
        key: &Key,
        kept: Option<&Kept>,
    ) -> Result<EncodedItem, Error> {
        let item = self.encoded_form(record, key)?;
        self.restored(item, key, kept)
    }

    /// Encodes a record; a serde implementation that panics is an error of its record.
    pub(super) fn encoded_form(&self, record: &T, key: &Key) -> Result<EncodedItem, Error> {
        match catch_unwind(AssertUnwindSafe(|| encode(record, key))) {
            Ok(Ok(item)) => Ok(item),
            Ok(Err(error)) => Err(self.unstorable(key, error.to_string())),
            Err(_) => Err(self.unstorable(key, "its `Serialize` panicked".to_owned())),
        }
    }

    /// An item without the increments that go on their own.
    fn without(
        &self,
        item: EncodedItem,
        key: &Key,
        waiting: Option<&Sums>,
    ) -> Result<EncodedItem, Error> {
        let Some(waiting) = waiting.filter(|waiting| !waiting.is_empty()) else {
            return Ok(item);
        };
        let json = waiting.negated().added_to(&item.json);
        let json = json.map_err(|why| self.unstorable(key, why.to_string()))?;
        Ok(EncodedItem { json, ..item })
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
        let failed = |error: CodecError| self.unstorable(key, error.to_string());
        let item = kept.restore(item).map_err(failed)?;
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

    /// Notes what is about to be sent, unless it must wait: a newer value than one of unknown outcome
    /// does, and is not in flight meanwhile.
    fn held_or_sent(&self, key: &Key, sent: &Sent<T>, prepared: Send<T>) -> Take {
        let Send { action, item, now, attempt } = prepared;
        let target = match (&action, &attempt) {
            (Action::Put(item), _) => Some(&*item.json),
            (_, Some(attempt)) => attempt.item.as_deref(),
            _ => None,
        };
        if let Some(until) = self.fences.holds(key, sent.seq, target).filter(|_| !broken(7)) {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Take::Held(operation(&sent.now), until);
        }
        self.note_flight(key, |flight| {
            (flight.sent, flight.attempt, flight.item) = (now, attempt.map(Arc::new), item);
        });
        self.note_write(key);
        Take::Write(Write { key: key.clone(), action })
    }

    /// Changes what is in flight.
    fn note_flight(&self, key: &Key, note: impl FnOnce(&mut Flight<T>)) {
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_mut());
        if let Some(flight) = unsaved.and_then(|unsaved| unsaved.flight.as_mut()) {
            note(flight);
        }
    }

    pub(super) fn unstorable(&self, key: &Key, why: String) -> Error {
        self.place(Error::new(ErrorKind::InvalidRecord, why))
            .on_key(key)
            .advise("put a record that can be stored")
    }
}

/// A guarded record with this version, if it has one at all.
fn with_version<T: Record>(now: &Known<T>, version: u64, mode: Mode) -> Known<T> {
    match (now, mode, T::VERSION) {
        (Known::Record(record), Mode::Guarded(_), Some(_)) if record.version() != version => {
            let mut record = (**record).clone();
            record.set_version(version);
            Known::Record(Arc::new(record))
        }
        _ => now.clone(),
    }
}

/// What is known of an item that was not seen: its version.
fn version_alone<T: Record>(stored: &Stored<'_>) -> Option<Arc<[u8]>> {
    let Stored::Unknown { version: 1.. } = stored else { return None };
    let mut json = Vec::new();
    let version = Node::N(stored.version::<T>().to_string().into());
    write_fields(&mut json, &[(T::VERSION?.into(), version)]);
    Some(json.into())
}

impl<T: Record> Changes for Arc<Shared<T>> {
    fn goes_alone(&self, key: &Key) -> bool {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else { return false };
        let Some(unsaved) = &slot.unsaved else { return false };
        let deletes = matches!(slot.now, Known::Absent);
        if !unsaved.image || unsaved.deltas.as_ref().is_some_and(|d| d.frozen.is_some()) {
            return true;
        }
        match self.mode_of(unsaved) {
            Mode::Plain => false,
            Mode::FieldWise => !deletes && !unsaved.base.replaced,
            Mode::Guarded(_) => !(deletes && unsaved.base.known.is_unknown()),
        }
    }

    fn take(&self, key: &Key) -> Take {
        loop {
            if let Some(take) = self.merge_met(key) {
                return take;
            }
            let sent = match self.next_part(key) {
                Part::Record(sent) => sent,
                Part::Increments(frozen) => return self.send_increments(key, frozen),
                Part::Nothing(take) => return take,
            };
            match self.prepare(key, &sent) {
                Ok(Prepared::Send(prepared)) => return self.held_or_sent(key, &sent, *prepared),
                Ok(Prepared::Unchanged(now)) => {
                    self.note_flight(key, |flight| flight.sent = now);
                    if self.settle_unchanged(key) {
                        return Take::Unchanged;
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
        let frozen = |unsaved: &Unsaved<T>| {
            let frozen = unsaved.deltas.as_ref().and_then(|deltas| deltas.frozen.as_ref());
            frozen.is_some_and(|frozen| frozen.doubt)
        };
        if unsaved.is_some_and(|unsaved| unsaved.doubt || frozen(unsaved)) {
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
}

impl<T: Record> Shared<T> {
    /// Takes in how a flight ended; whether there is more of the record that this flush is to save.
    pub(super) fn settle(&self, key: &Key, settled: Settled) -> bool {
        let lost = matches!(settled, Settled::Pending(Outcome::OutcomeUnknown));
        let written = matches!(settled, Settled::Written);
        let flying = self.flying(key, written);
        if written && !T::INDEX_SPECS.is_empty() {
            // Before it is not unsaved any more.
            self.recent.note(key);
        }
        let mut more = false;
        {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.transition(key, |slot| {
                if let Some(flight) = slot.flight().filter(|_| lost) {
                    let expects = flight.attempt.as_ref().and_then(|sent| sent.expects.clone());
                    self.fences.raise(key, flight.seq, expects);
                }
                if slot.is_flying() {
                    slot.since = self.scans.begun();
                }
                let saved = match flying {
                    Some((token, applied)) => {
                        if lost {
                            self.fences.raise(key, token.seq(), None);
                        } else if written {
                            self.fences.lower(key, token.seq());
                        }
                        slot.settle_delta(settled, applied, self.options.mode)
                    }
                    None => slot.settle(settled),
                };
                more = written && self.has_more(slot);
                self.note_forgotten(slot);
                saved
            });
            locked.prune(key.as_bytes());
        }
        self.register(key);
        self.settled.notify_waiters();
        more
    }

    /// A slot that does not know any more what it knew is not to be taken for absent, nor from a page
    /// that was read before.
    pub(super) fn note_forgotten(&self, slot: &mut Slot<T>) {
        if slot.now.is_unknown() && slot.unsaved.is_none() {
            slot.forgotten = slot.forgotten.max(self.scans.trace());
        }
    }

    /// The increments that are in flight: their token, and what is stored once they are applied.
    fn flying(&self, key: &Key, written: bool) -> Option<(Token, Applied)> {
        let frozen = {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.find(key.as_bytes())?.flying()?.clone()
        };
        let applied = if written { self.applied(key, &frozen.sums) } else { Applied::default() };
        Some((frozen.token, applied))
    }

    /// What is stored once increments are applied, if that is known.
    pub(super) fn applied(&self, key: &Key, sums: &Sums) -> Applied {
        let (now, kept, base) = {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            let Some((slot, unsaved)) =
                slot.and_then(|slot| Some((&*slot, slot.unsaved.as_ref()?)))
            else {
                return Applied::default();
            };
            (slot.now.clone(), slot.kept.clone(), unsaved.base.clone())
        };
        let Some(item) = self.base_with(key, &base, sums) else { return Applied::default() };
        let shown = now.record().and_then(|now| self.item(&now, key, kept.as_deref()).ok());
        let is_shown = shown.is_some_and(|shown| same_items(&shown.json, &item));
        Applied { item: Some(item.into()), is_shown }
    }

    /// The item that is stored once increments are applied, if it is known.
    fn base_with(&self, key: &Key, base: &Base<T>, sums: &Sums) -> Option<Vec<u8>> {
        let item = match (&base.item, &base.known) {
            _ if !base.exact || base.partial => return None,
            (None, Known::Unknown) => return None,
            (None, Known::Absent) => key_json::<T>(key),
            _ => self.stored_item(key, base).ok()??,
        };
        let version = T::VERSION.map(|name| Sums::one(name, 1.into()));
        let sums = version.map_or_else(|| Ok(sums.clone()), |version| sums.plus(&version)).ok()?;
        sums.added_to(&item).ok()
    }

    /// Whether something of a slot is left that was there when the flush began.
    fn has_more(&self, slot: &Slot<T>) -> bool {
        let Some(unsaved) = slot.unsaved.as_ref().filter(|unsaved| unsaved.parked.is_none()) else {
            return false;
        };
        let waits = |deltas: &Deltas| !deltas.waiting.is_empty() && self.is_in_scope(deltas.since);
        (unsaved.image && self.is_in_scope(unsaved.image_since))
            || unsaved.deltas.as_deref().is_some_and(waits)
    }

    /// Whether the flush that runs is to save the change of this number.
    fn is_in_scope(&self, seq: u64) -> bool {
        seq <= self.scope.load(Ordering::SeqCst)
    }

    /// What there is to send of a slot: increments that were frozen, the record, then increments.
    fn next_part(&self, key: &Key) -> Part<T> {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else {
            return Part::Nothing(Take::Gone);
        };
        let (now, kept) = (slot.now.clone(), slot.kept.clone());
        let Some(unsaved) = &mut slot.unsaved else {
            return Part::Nothing(Take::Gone);
        };
        if let Some(error) = &unsaved.parked {
            return Part::Nothing(Take::Parked(operation_of(&now, unsaved.image), error.clone()));
        }
        let image = unsaved.image;
        if let Some(deltas) = &mut unsaved.deltas
            && (deltas.frozen.is_some() || !image)
        {
            let part = self.freeze(key, deltas);
            // What is being read may have them or not.
            slot.load = None;
            return part;
        }
        let now = match &unsaved.flight {
            Some(stale) if broken(8) => stale.sent.clone(),
            _ => now,
        };
        let (seq, sent) = (unsaved.seq, now.clone());
        let flight =
            Flight { seq, sent, kept: kept.clone(), exact: true, attempt: None, item: None };
        unsaved.flight = Some(flight);
        let (base, doubts) = (unsaved.base.clone(), unsaved.doubts.clone());
        let waiting = unsaved.deltas.as_ref().map(|deltas| deltas.waiting.clone());
        Part::Record(Sent { seq, now, base, kept, mode: self.mode_of(unsaved), doubts, waiting })
    }

    /// The increments that go now, under their token.
    fn freeze(&self, key: &Key, deltas: &mut Deltas) -> Part<T> {
        if let Some(frozen) = &mut deltas.frozen {
            if frozen.is_expired() && !broken(26) {
                return Part::Nothing(Take::Stuck(Operation::Increment, self.expired(key)));
            }
            frozen.flying = true;
            if broken(26) {
                frozen.token = self.tokens.next();
            }
            return Part::Increments(frozen.clone());
        }
        let frozen = Frozen {
            sums: std::mem::take(&mut deltas.waiting),
            since: deltas.since,
            token: self.tokens.next(),
            sent: (Instant::now(), SystemTime::now()),
            flying: true,
            doubt: false,
        };
        deltas.frozen = Some(frozen.clone());
        Part::Increments(frozen)
    }

    fn send_increments(&self, key: &Key, frozen: Frozen) -> Take {
        let Frozen { sums, token, .. } = frozen;
        // Whatever lands after them is without them.
        if let Some(until) = self.fences.hold_all(key, token.seq()) {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Take::Held(Operation::Increment, until);
        }
        if sums.is_zero() {
            // Nothing is to be changed, nor made: the service would make an item of it.
            self.settle(key, Settled::Written);
            return Take::Unchanged;
        }
        match single::<T>(key, &sums, &token) {
            Ok(single) => {
                self.note_write(key);
                let action = Action::Single(Box::new(single));
                Take::Write(Write { key: key.clone(), action })
            }
            Err(error) => {
                let error = self.place(error).on_key(key);
                self.settle(key, Settled::Refused(error.clone()));
                Take::Parked(Operation::Increment, error)
            }
        }
    }

    fn expired(&self, key: &Key) -> Error {
        let text = "an increment was sent whose outcome is unknown, and its token has expired";
        self.place(Error::new(ErrorKind::Timeout, text)).on_key(key).advise(
            "look whether the item has it, then `resolve` it as `Applied` or `NotApplied`; until then \
             nothing of the record is sent",
        )
    }

    /// What is stored is what was to be written; whether that is all.
    fn settle_unchanged(&self, key: &Key) -> bool {
        let mut all = true;
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            let saved = slot.unchanged();
            all = saved || !self.has_more(slot);
            saved
        });
        self.register(key);
        self.tally.unchanged();
        self.settled.notify_waiters();
        all
    }
}

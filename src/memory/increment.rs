//! Increments: numbers added to attributes by the service itself, without reading the record first.

use std::sync::Arc;

use super::attempt::Base;
use super::delta::Frozen;
use super::room::Need;
use super::slot::{Change, Incremented, Known, Slot};
use super::touched::{Names, Touched};
use super::{MemoryTable, Shared};
use crate::breaks::broken;
use crate::codec::tree::{parse_item, same_field};
use crate::codec::{Decoded, decode_again, encode, key_json};
use crate::condition::{Field, Numeric, Summand};
use crate::error::{Error, ErrorKind};
use crate::guard::{Mode, has_name};
use crate::key::{Key, KeyLookup};
use crate::record::Record;
use crate::sums::{Overflow, Sums, summand};
use crate::write::FlushError;

/// Whether an increment of unknown outcome is in the database, for
/// [`resolve`](MemoryTable::resolve).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Increment {
    /// It is in the database: it is saved.
    Applied,
    /// It is not in the database: it is sent anew with the next flush.
    NotApplied,
}

/// What a slot has, for an increment.
pub(super) struct Before<T> {
    pub(super) now: Known<T>,
    pub(super) base: Base<T>,
    pub(super) touched: Touched,
    /// The change that is in flight.
    flight: Option<u64>,
    /// What is in flight sets these or takes them away.
    pub(super) flown: Names,
    pub(super) image: bool,
    mode: Option<Mode>,
    pub(super) waiting: Sums,
    pub(super) frozen: Sums,
}

impl<T: Record> MemoryTable<T> {
    /// Adds a number to an attribute, unsaved until the next flush. The record is not read for it, and
    /// increments of others are not lost: the service does the sum. An attribute, or an item, that is
    /// absent counts as 0.
    ///
    /// Increments of a record are summed up and sent as one, in a transaction of their own, which costs
    /// two write units for each KB: that has a token by which it is done once, however often it is sent.
    /// A record that is in memory shows them at once. They are exact, as [`Number`](crate::Number) is.
    ///
    /// A record with another unsaved change has the increment as part of that, and a `put`, `update` or
    /// `delete` that comes after makes it part of itself; where records are written
    /// [field by field](crate::MemoryTableBuilder::field_wise), it goes on its own unless its attribute is
    /// set. Set is, of a record that was never loaded, what the record has but by increments; of one that is
    /// known to be absent, what is not 0 but for them. So has an attribute of a record in memory that its type has otherwise than the item: by
    /// `#[serde(alias)]`, by a default other than 0, or as `after_load` made it. `before_store` does
    /// not see increments. With `#[record(version)]` they raise the version, unguarded. One on a record that
    /// has expired, hidden or not, adds to what is still stored.
    ///
    /// Floats are not incremented: a sum of decimal numbers need not be one that a float holds, and the
    /// record could not be read any more. Use [`Number`](crate::Number), or `update`.
    ///
    /// # Unknown outcomes
    ///
    /// Where the answer is missing, the same increments are sent again under their token, by this flush
    /// and the next ones, for as long as the service knows it, which is ten minutes. Then nobody can tell
    /// any more: the record is [failed](crate::FlushReport::failed) as
    /// [`OutcomeUnknown`](crate::Outcome::OutcomeUnknown), stays unsaved, and holds back all later changes
    /// of it until you look and call [`resolve`](Self::resolve), or [`discard`](Self::discard) it. Until
    /// then every flush and [`close`](Self::close) fail with it. Calls that change the record by what is
    /// read, such as `update`, send such an increment first, and fail if its outcome stays unknown, unless
    /// the record was in memory before.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] wins: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), wins: 40 }).await?;
    /// let memory = MemoryTable::new(players.clone());
    /// for _ in 0..2 {
    ///     memory.increment("ada", Player::FIELDS.wins, 1).await?;
    /// }
    /// players.put(&Player { name: "ada".into(), wins: 50 }).await?; // somebody else
    /// assert_eq!(memory.flush().await?.requests, 1);
    /// assert_eq!(players.get("ada").await?.map(|ada| ada.wins), Some(52));
    /// assert_eq!(memory.stats().read_requests, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`]; [`ErrorKind::InvalidRecord`] if the sum has more than 38 digits, the
    /// attribute is a key or the version, or the record in memory cannot have the sum, such as -1 where its type is
    /// unsigned, or text; [`ErrorKind::InvalidCondition`] for what is inside an attribute;
    /// [`ErrorKind::Closed`], [`ErrorKind::Reentrant`], [`ErrorKind::InvalidItem`] and
    /// [`ErrorKind::Timeout`] as for [`put`](Self::put). Nothing is changed then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the increment is made or it is not.
    pub async fn increment<K, V>(
        &self,
        key: K,
        field: Field<V>,
        by: impl Summand,
    ) -> Result<(), Error>
    where
        K: KeyLookup<T::Key>,
        V: Numeric,
    {
        let key = self.shared.table.checked_key(&key)?;
        let placed = |error: Error| self.shared.place(error.during("increment").on_key(&key));
        let sums = summand::<T, V>(&field, &by).map_err(placed)?;
        let turn = self.turn(&key).await?;
        let added = self.shared.increment(&key, &sums).await;
        drop(turn);
        added.map_err(placed)
    }

    /// Says what became of an increment of unknown outcome whose token has expired: look at the item and
    /// say whether it has it. What it held back goes with the next flush.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the record has no increment of unknown outcome;
    /// [`ErrorKind::InvalidKey`]; [`ErrorKind::Reentrant`] from inside the record's own update.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is resolved or it is not.
    pub async fn resolve<K: KeyLookup<T::Key>>(
        &self,
        key: K,
        outcome: Increment,
    ) -> Result<(), Error> {
        let key = self.shared.table.checked_key(&key)?;
        let _turn = self.turn(&key).await?;
        // A flush may send it again in between.
        while self.shared.is_in_doubt(&key) {
            self.shared.until_landed(&key).await;
            if self.shared.resolve(&key, outcome) {
                let recorded = self.shared.slots.recorder.until_now().await;
                return recorded.map_err(|why| self.shared.place(why).on_key(&key));
            }
        }
        let text = "the record has no increment of unknown outcome";
        let error = Error::new(ErrorKind::NotFound, text).during("resolve").on_key(&key);
        Err(self.shared.place(error).advise("nothing changed"))
    }
}

pub(super) fn overflowed(overflow: Overflow) -> Error {
    let name = overflow.0;
    refused(format!("the sum of attribute `{name}` has more than DynamoDB's 38 digits"))
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidRecord, why.to_string()).advise("nothing changed")
}

impl<T: Record> Shared<T> {
    /// Adds to what waits; the caller has the record's turn.
    async fn increment(self: &Arc<Self>, key: &Key, sums: &Sums) -> Result<(), Error> {
        let mut permit = self.slots.room.permit();
        loop {
            self.check_open()?;
            let before = self.before(key);
            let field_wise = before.mode.unwrap_or(self.options.mode) == Mode::FieldWise;
            let forms = self.forms(key, &before, sums)?;
            let is_change = before.image || forms.is_converted;
            if is_change && !field_wise {
                let Some(shown) = Self::shown(key, &before.now, sums)? else { continue };
                let (record, size) = shown;
                return self.change(key, Change::put(record, size), &mut permit).await;
            }
            let waiting = before.waiting.plus(sums).map_err(overflowed)?;
            // Of what nobody set the record shows all that waits.
            let is_unset = |name: &str| has_name(&forms.unset, name);
            let (all, _) = waiting.clone().partition(is_unset);
            let (_, more) = sums.clone().partition(is_unset);
            let shown = Self::shown(key, &before.now, &more.plus(&all).map_err(overflowed)?)?;
            let least = key.size(T::PARTITION_KEY, T::SORT_KEY) + waiting.size();
            let size = shown.as_ref().map_or(least, |(_, size)| *size);
            let need = self.slots.lock(key.as_bytes()).need_of(key, size);
            if !permit.try_take(need) {
                self.take_room(&mut permit, need).await?;
                continue;
            }
            let shown = shown.map_or(Known::Unknown, |(record, _)| Known::Record(record));
            let new = Incremented { waiting, shown, size, is_change, added: forms.added };
            if let Some(noted) = self.foresee_increment(key, &before, &new)? {
                self.recorded(key, noted).await?;
            }
            if self.publish_increment(key, &before, new, need, &mut permit)? {
                self.unregister(key);
                self.after_change();
                return Ok(());
            }
            self.slots.lock(key.as_bytes()).note_unchanged(key);
        }
    }

    /// What a slot has; where the whole table was loaded, one that nothing is known of is absent.
    fn before(&self, key: &Key) -> Before<T> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.slot(key);
        let is_absent = slot.now.is_unknown() && self.is_absent(key, Some(slot));
        let now = if is_absent { Known::Absent } else { slot.now.clone() };
        let unsaved = slot.unsaved.as_ref();
        let waiting = slot.deltas().map(|deltas| deltas.waiting.clone()).unwrap_or_default();
        let known = || Base::new(now.clone(), slot.kept.clone());
        Before {
            touched: unsaved.map(|unsaved| unsaved.touched.clone()).unwrap_or_default(),
            flight: slot.in_flight(),
            flown: slot.flight().map(|flight| flight.changes.clone()).unwrap_or_default(),
            image: unsaved.is_some_and(|unsaved| unsaved.image),
            mode: unsaved.and_then(|unsaved| unsaved.mode),
            base: unsaved.map_or_else(known, |unsaved| unsaved.base.clone()),
            frozen: slot.frozen().map(|frozen| frozen.sums.clone()).unwrap_or_default(),
            waiting,
            now,
        }
    }

    /// The record with these added, and its size; `None` if it is not known.
    fn shown(key: &Key, now: &Known<T>, sums: &Sums) -> Result<Option<(Arc<T>, usize)>, Error> {
        let item = match now {
            Known::Unknown => return Ok(None),
            Known::Absent => key_json::<T>(key),
            Known::Record(record) => encode(&**record, key).map_err(refused)?.json,
        };
        let Decoded { record, size, .. } = Self::with_sums(&item, key, sums)?;
        Ok(Some((Arc::new(record), size)))
    }

    /// What an item is to its type once these are added. The type must have them: else they would be lost
    /// when the record is written as a whole.
    pub(super) fn with_sums(item: &[u8], key: &Key, sums: &Sums) -> Result<Decoded<T>, Error> {
        let added = sums.added_to(item).map_err(refused)?;
        // User code that panics unwinds into the caller here, with nothing changed.
        let decoded = decode_again::<T>(&added)
            .map_err(|why| refused(format!("the record cannot have the sum: {why}")))?;
        let again = encode(&decoded.record, key).map_err(refused)?;
        let (Ok(added), Ok(again)) = (parse_item(&added), parse_item(&again.json)) else {
            return Err(refused("the record cannot be read again"));
        };
        match sums.iter().find(|(name, _)| !same_field(&added, &again, name)) {
            None => Ok(decoded),
            Some((name, _)) => Err(refused(format!(
                "the record's type does not have the sum of attribute `{name}`"
            ))),
        }
    }

    /// Notes for the journal, if there is one, what waits then.
    fn foresee_increment(
        &self,
        key: &Key,
        before: &Before<T>,
        new: &Incremented<T>,
    ) -> Result<Option<u64>, Error> {
        let mut locked = self.slots.lock(key.as_bytes());
        self.check_change(&mut locked, key)?;
        let is_absent = matches!(before.now, Known::Absent);
        let make = |slot: &mut Slot<T>, seq| {
            if is_absent {
                slot.now = Known::Absent;
            }
            let _newly = slot.increment(new.clone(), seq);
        };
        Ok(locked.foresee(key, make))
    }

    /// Publishes what waits, unless the slot is another one than what it was made of.
    fn publish_increment(
        &self,
        key: &Key,
        before: &Before<T>,
        new: Incremented<T>,
        need: Need,
        permit: &mut super::room::Permit<'_>,
    ) -> Result<bool, Error> {
        let mut locked = self.slots.lock(key.as_bytes());
        self.check_change(&mut locked, key)?;
        let found = locked.find(key.as_bytes());
        let is_same = match &found {
            None => true,
            Some(slot) => {
                let unsaved = slot.unsaved.as_ref();
                let image = unsaved.is_some_and(|unsaved| unsaved.image);
                let now = slot.deltas().map(|deltas| &deltas.waiting);
                image == before.image
                    && slot.in_flight() == before.flight
                    && unsaved.map_or(0, |unsaved| unsaved.base.number) == before.base.number
                    && now.unwrap_or(&Sums::default()) == &before.waiting
                    && is_same(&slot.now, &before.now)
            }
        };
        if !is_same || locked.need_of(key, new.size) != need {
            return Ok(false);
        }
        if matches!(before.now, Known::Absent) {
            // Known to be absent without a slot, and to be compared with that.
            locked.slot(key).now = Known::Absent;
        }
        locked.increment(key, new);
        permit.spend(need);
        Ok(true)
    }

    /// Waits until no increments of a record are in flight.
    pub(super) async fn until_landed(&self, key: &Key) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let flying = {
                let mut locked = self.slots.lock(key.as_bytes());
                locked.find(key.as_bytes()).is_some_and(|slot| slot.flying().is_some())
            };
            if !flying {
                return;
            }
            settled.await;
        }
    }

    /// As [`until_landed`](Self::until_landed), unless the record is known.
    pub(super) async fn until_landed_unread(&self, key: &Key) {
        let is_unread = {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            slot.is_some_and(|slot| slot.flying().is_some() && slot.now.is_unknown())
        };
        if is_unread {
            self.until_landed(key).await;
        }
    }

    /// The record of a key, loaded if it is not known, for a change that starts from it, of one who has its turn: increments that
    /// may be stored are sent first, as the change would take them for stored or not.
    pub(super) async fn fetch_to_change(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<Option<Arc<T>>, Error> {
        self.fetch_to_go_on(key, true).await
    }

    /// The same, for a call that may have been counted before.
    pub(super) async fn fetch_to_go_on(
        self: &Arc<Self>,
        key: &Key,
        mut count: bool,
    ) -> Result<Option<Arc<T>>, Error> {
        loop {
            let found = self.fetch_sure(key, std::mem::take(&mut count)).await?;
            // It may have been saved and forgotten since, or have another version.
            if self.note_read(key, found.as_ref()) || broken(25) {
                return Ok(found);
            }
        }
    }

    /// As [`fetch_to_change`](Self::fetch_to_change), for one who does not have the turn.
    pub(super) async fn fetch_sure(
        self: &Arc<Self>,
        key: &Key,
        mut count: bool,
    ) -> Result<Option<Arc<T>>, Error> {
        loop {
            if self.is_unsure(key) {
                let ended = self.flush_some(std::slice::from_ref(key)).await;
                // Others that were made since may be on their way.
                self.until_landed(key).await;
                if self.is_unsure(key) {
                    return Err(self.unsure(key, ended.err()));
                }
            }
            let found = if std::mem::take(&mut count) {
                self.fetch(key).await?
            } else {
                self.fetch_uncounted(key).await?
            };
            // A flush in the background may have sent one meanwhile.
            if !self.is_unsure(key) {
                return Ok(found);
            }
        }
    }

    /// Who has the turn knows this, and changes it; `false` if that is not what is known now.
    fn note_read(&self, key: &Key, found: Option<&Arc<T>>) -> bool {
        let mut locked = self.slots.lock(key.as_bytes());
        let Some(slot) = locked.find(key.as_bytes()) else { return found.is_none() };
        let is_known = !slot.now.is_unknown();
        let is_it = match (found, &slot.now) {
            (Some(found), Known::Record(now)) => Arc::ptr_eq(now, found),
            (Some(_), Known::Absent | Known::Unknown) => false,
            (None, _) => self.counts_as_absent(key, slot),
        };
        if let Some(busy) = &mut slot.busy {
            busy.has_read = is_known && is_it;
        }
        is_it
    }

    fn unsure(&self, key: &Key, cause: Option<FlushError>) -> Error {
        let text = "an increment of the record was sent whose outcome is unknown";
        let error = self.place(Error::new(ErrorKind::Unsaved, text)).on_key(key);
        let error = error.advise("`flush`, or `resolve` or `discard` it");
        error.caused_by_any(cause.map(|cause| cause.cause().clone()))
    }

    /// Whether a record is not known and cannot be read so that it would be.
    fn is_unsure(&self, key: &Key) -> bool {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes());
        slot.is_some_and(|slot| slot.now.is_unknown() && slot.frozen().is_some())
    }

    /// Ends the doubt about increments that are not in flight; whether there was one.
    fn resolve(&self, key: &Key, outcome: Increment) -> bool {
        let Some(frozen) = self.in_doubt(key) else { return false };
        let applied = self.applied(key, &frozen.sums);
        let mut resolved = false;
        {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.transition(key, |slot| {
                let is_it = |now: &Frozen| now.token == frozen.token && now.doubt && !now.flying;
                resolved = slot.frozen().is_some_and(is_it);
                if !resolved {
                    return false;
                }
                // A load under way brings them or not.
                slot.load = None;
                if let Some(unsaved) = &mut slot.unsaved {
                    unsaved.parked = None;
                }
                let saved = match outcome {
                    Increment::Applied => slot.applied(applied),
                    Increment::NotApplied => {
                        slot.not_applied(self.options.mode);
                        false
                    }
                };
                self.note_forgotten(slot);
                saved
            });
            locked.prune(key.as_bytes());
        }
        self.register(key);
        resolved
    }

    /// Whether there are increments that may be stored.
    pub(super) fn is_in_doubt(&self, key: &Key) -> bool {
        self.in_doubt(key).is_some()
    }

    fn in_doubt(&self, key: &Key) -> Option<Frozen> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        slot.frozen().cloned().filter(|frozen| frozen.doubt)
    }
}

fn is_same<T>(one: &Known<T>, other: &Known<T>) -> bool {
    match (one, other) {
        (Known::Record(one), Known::Record(other)) => Arc::ptr_eq(one, other),
        (Known::Absent, Known::Absent) | (Known::Unknown, Known::Unknown) => true,
        // Without a slot it was known to be absent.
        (Known::Unknown, Known::Absent) => true,
        _ => false,
    }
}

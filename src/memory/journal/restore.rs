//! Rows of the journal, unsaved again as they were.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::codec::{Kept, decode, key_json};
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode};
use crate::journal::{
    Damaged, Json, Row, RowBase, RowChange, RowDoubt, RowFrozen, RowStored, sums,
};
use crate::key::Key;
use crate::memory::Shared;
use crate::memory::attempt::{Attempt, Base, Doubt, Doubts};
use crate::memory::delta::{Deltas, Frozen};
use crate::memory::journal::Recorder;
use crate::memory::prepare::Prepared;
use crate::memory::slot::{Known, Slot};
use crate::memory::touched::Touched;
use crate::memory::unsaved::Unsaved;
use crate::record::Record;
use crate::sums::{Began, Sums};

/// What was unsaved of a key, read and found to fit its type.
pub(crate) struct Restored<T: Record> {
    key: Key,
    /// Its place among the rows that are in the file.
    order: u64,
    /// What there is but for increments.
    image: Option<Read<T>>,
    mode: Mode,
    base: Base<T>,
    touched: Touched,
    waiting: Sums,
    frozen: Option<(Sums, RowFrozen)>,
    in_doubt: bool,
    overtakes: bool,
    doubts: Vec<(bool, Doubt<T>)>,
    doubtful: Vec<Box<str>>,
}

/// An item, read into its type.
struct Read<T> {
    known: Known<T>,
    kept: Option<Arc<Kept>>,
    size: usize,
}

impl<T: Record> Restored<T> {
    pub(in crate::memory) const fn key(&self) -> &Key {
        &self.key
    }

    pub(in crate::memory) fn of(key: &Key, row: Row) -> Result<Self, Error> {
        let damaged = |why: Damaged| unreadable(key).caused_by(why);
        if row.key.get().as_bytes() != key_json::<T>(key) {
            return Err(damaged(Damaged::new("it has another key than its row")));
        }
        let image = match &row.change {
            None => None,
            Some(RowChange::Delete) => {
                let size = key.size(T::PARTITION_KEY, T::SORT_KEY);
                Some(Read { known: Known::Absent, kept: None, size })
            }
            Some(RowChange::Put(item)) => Some(read(key, item)?),
        };
        let mut touched = Touched::default();
        touched.add(&row.added);
        touched.give_back(&row.changed);
        let frozen = row.frozen.map(|frozen| Ok((sums(&frozen.sums)?, frozen)));
        Ok(Self {
            order: row.order,
            image,
            mode: mode_of::<T>(row.mode.into()),
            base: base(row.base),
            touched,
            waiting: sums(&row.waiting).map_err(damaged)?,
            frozen: frozen.transpose().map_err(damaged)?,
            in_doubt: row.in_doubt,
            overtakes: row.overtakes,
            doubts: row.doubts.into_iter().map(|it| doubt(key, it)).collect::<Result<_, _>>()?,
            doubtful: row.doubtful,
            key: key.clone(),
        })
    }
}

impl<T: Record> Shared<T> {
    /// Makes unsaved again what was in the journal, in that order.
    pub(in crate::memory) fn take_back(&self, found: Vec<Restored<T>>) {
        if found.is_empty() {
            return;
        }
        let (table, unsaved) = (self.table.shown_name(), found.len());
        // These rows keep their places, and what is noted from now on comes after them.
        self.slots.begin_above(found.iter().map(|restored| restored.order).max().unwrap_or(0));
        for restored in found {
            let slot = self.slot_of(restored);
            self.restore(slot);
        }
        self.slots.cover_restored();
        tracing::info!(
            target: crate::logging::RECORDS,
            table = &*table,
            unsaved,
            "changes were found in the journal and are unsaved again"
        );
    }

    /// Makes changes unsaved that a dead letter had; the caller has the turns of their records.
    pub(in crate::memory) async fn take_in(&self, found: Vec<Restored<T>>) -> Result<(), Error> {
        let recorder = &self.slots.recorder;
        let slots = found.into_iter().map(|it| self.slot_of(it)).collect();
        let mut unpublished = Unpublished { recorder, slots };
        if let Some(noted) = recorder.note_all(&unpublished.slots, self.options.mode) {
            recorder.until(noted).await?;
        }
        for slot in std::mem::take(&mut unpublished.slots) {
            let key = slot.key.clone();
            self.restore(slot);
            self.unregister(&key);
        }
        // A flush that began since they were numbered may have missed them: nobody who comes now is to join it.
        let _next = self.slots.number(1);
        self.slots.cover_restored();
        Ok(())
    }

    /// The slot of a change.
    fn slot_of(&self, it: Restored<T>) -> Slot<T> {
        // Each attempt before has a number of its own.
        let seq = self.slots.number(it.doubts.len() + 1);
        let key = it.key;
        let mut unsaved = Box::new(Unsaved::new(seq, it.base, it.touched));
        unsaved.image = it.image.is_some();
        unsaved.mode = (it.mode != self.options.mode).then_some(it.mode);
        unsaved.doubt = it.in_doubt;
        let first = seq - u64::try_from(it.doubts.len()).unwrap_or_default();
        let numbered = (first..).zip(it.doubts).map(|(number, (is_newest, doubt))| {
            doubt.numbered(if is_newest { seq } else { number })
        });
        unsaved.doubts = Doubts::restored(numbered, it.doubtful);
        // What was on its way may still land.
        self.fences.raise(&key, seq, None);
        if it.overtakes {
            self.fences.raise(&key, first.saturating_sub(1), None);
        }
        let frozen = it.frozen.map(|(sums, RowFrozen { token, sent, .. })| {
            let token = self.tokens.known(&token);
            self.fences.raise(&key, token.seq(), None);
            let sent = Began::elsewhere(UNIX_EPOCH + Duration::from_millis(sent));
            Frozen { sums, since: seq, token, sent, flying: false, doubt: true }
        });
        let deltas = Deltas { waiting: it.waiting, since: seq, frozen };
        let least = key.size(T::PARTITION_KEY, T::SORT_KEY) + deltas.waiting.size();
        unsaved.deltas = (!deltas.is_empty()).then(|| Box::new(deltas));
        let Read { known, kept, size } =
            it.image.unwrap_or(Read { known: Known::Unknown, kept: None, size: least });
        unsaved.set_size(size);
        let mut slot = Slot::new(key);
        (slot.now, slot.kept, slot.unsaved) = (known, kept, Some(unsaved));
        slot
    }

    fn restore(&self, slot: Slot<T>) {
        let mode = slot.unsaved.as_ref().and_then(|unsaved| unsaved.mode);
        let key = slot.key.clone();
        self.slots.lock(key.as_bytes()).restore(slot);
        if mode.unwrap_or(self.options.mode) != Mode::Plain {
            self.doubt_own(&key);
        }
    }

    /// The change itself may have been sent, and be what is stored: the same attempt is made of it again.
    fn doubt_own(&self, key: &Key) {
        let sent = {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes());
            // Increments that may have been sent go before it.
            let is_next = |slot: &Slot<T>| {
                slot.unsaved.as_ref().is_some_and(|it| it.image) && slot.frozen().is_none()
            };
            slot.filter(|slot| is_next(slot)).and_then(|slot| self.to_send(slot))
        };
        let Some(sent) = sent else { return };
        // What cannot be sent now was not sent before.
        let Ok(Prepared::Send(prepared)) = self.prepare(key, &sent) else { return };
        let mut locked = self.slots.lock(key.as_bytes());
        let unsaved = locked.find(key.as_bytes()).and_then(|slot| slot.unsaved.as_mut());
        if let Some((unsaved, attempt)) = unsaved.zip(prepared.attempt) {
            (unsaved.base.exact, unsaved.doubt) = (false, true);
            unsaved.doubts.add(Doubt::Alone(Arc::new(attempt)));
        }
    }
}

/// Slots that are noted and that nobody sees yet; dropped with them, the journal lets go of them.
struct Unpublished<'r, T: Record> {
    recorder: &'r Recorder<T>,
    slots: Vec<Slot<T>>,
}

impl<T: Record> Drop for Unpublished<'_, T> {
    fn drop(&mut self) {
        if !self.slots.is_empty() {
            self.recorder.forget_all(self.slots.iter().map(|slot| slot.key.clone()));
        }
    }
}

/// How a row is to be written by a type that may have another version attribute than the one that wrote it.
fn mode_of<T: Record>(mode: Mode) -> Mode {
    match (mode, T::VERSION) {
        (Mode::Guarded(Guard::Version), None) => Mode::Guarded(Guard::Item),
        (Mode::Plain | Mode::FieldWise, Some(_)) => Mode::Guarded(Guard::Version),
        (mode, _) => mode,
    }
}

fn base<T: Record>(row: Option<RowBase>) -> Base<T> {
    let Some(RowBase { stored, exact, replaced, partial }) = row else {
        return Base::new(Known::Unknown, None);
    };
    let base = match stored {
        RowStored::Unknown => Base::new(Known::Unknown, None),
        RowStored::Absent => Base::new(Known::Absent, None),
        RowStored::Item(item) => {
            let item = Some(item.get().as_bytes().into());
            // One that the type cannot read was stored all the same.
            let unread = |_| Base { item: item.clone(), ..Base::new(Known::Unknown, None) };
            Shared::base_of(&item).unwrap_or_else(unread)
        }
    };
    Base { exact, replaced, partial, ..base }
}

fn doubt<T: Record>(key: &Key, row: RowDoubt) -> Result<(bool, Doubt<T>), Error> {
    let RowDoubt { is_newest, item, alone } = row;
    let doubt = match alone {
        Some((mode, changed)) => Doubt::Alone(Arc::new(Attempt {
            seq: 0,
            mode: mode.into(),
            item: item.map(|item| item.get().as_bytes().into()),
            changed: changed.into(),
            expects: None,
        })),
        None => {
            let (sent, kept) = match item {
                None => (Known::Absent, None),
                Some(item) => {
                    let Read { known, kept, .. } = read(key, &item)?;
                    (known, kept)
                }
            };
            Doubt::Whole { seq: 0, sent, kept }
        }
    };
    Ok((is_newest, doubt))
}

/// Reads an item as one that is loaded is read.
fn read<T: Record>(key: &Key, item: &Json) -> Result<Read<T>, Error> {
    let item = item.get().as_bytes();
    let misfit = |why: String| {
        let type_name = std::any::type_name::<T>();
        let text = format!("a kept change does not fit `{type_name}`: {why}");
        Error::new(ErrorKind::InvalidItem, text).on_key(key).advise(
            "nothing was changed; read it with a type that its items fit, as stored ones would",
        )
    };
    match catch_unwind(AssertUnwindSafe(|| decode::<T>(item))) {
        Ok(Ok(decoded)) if decoded.key == *key => Ok(Read {
            known: Known::Record(Arc::new(decoded.record)),
            kept: decoded.kept.map(Arc::new),
            size: decoded.size,
        }),
        Ok(Ok(_)) => Err(misfit("it has another key then".to_owned())),
        Ok(Err(why)) => Err(misfit(why.to_string()).caused_by_any(why.into_source())),
        Err(_) => Err(misfit("its `Deserialize` or `after_load` panicked".to_owned())),
    }
}

fn unreadable(key: &Key) -> Error {
    Error::new(ErrorKind::Journal, "a row of the journal cannot be read")
        .on_key(key)
        .advise("restore the file, or move it aside to go on without it")
}

//! What a slot has that is unsaved, as a row of the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::codec::{CodecError, EncodedItem, Kept, encode, key_json};
use crate::error::{BoxError, Error, ErrorKind};
use crate::guard::Mode;
use crate::journal::{
    Encode, Json, Row, RowBase, RowChange, RowDoubt, RowFrozen, RowStored, raw, row_sums,
};
use crate::key::Key;
use crate::memory::attempt::{Base, Doubt};
use crate::memory::slot::{Known, Slot};
use crate::memory::unsaved::Unsaved;
use crate::record::Record;

/// What is unsaved of a slot at some moment. It is a few references, which become items when it is written.
pub(crate) struct State<T: Record> {
    key: Key,
    now: Known<T>,
    kept: Option<Arc<Kept>>,
    unsaved: Box<Unsaved<T>>,
    mode: Mode,
}

impl<T: Record> State<T> {
    /// `None` if nothing is unsaved that a checkpoint covers. What is in flight is in doubt to whoever reads it.
    pub(in crate::memory) fn of(slot: &Slot<T>, table: Mode) -> Option<Self> {
        if slot.covered()?.is_nothing() && slot.frozen().is_none() {
            return None;
        }
        let mut unsaved = slot.unsaved.clone()?;
        unsaved.lose_flight();
        let (now, kept) = match unsaved.layer.take() {
            None => (slot.now.clone(), slot.kept.clone()),
            Some(layer) => unsaved.go_back(*layer),
        };
        let mode = unsaved.mode.unwrap_or(table);
        Some(Self { key: slot.key.clone(), now, kept, mode, unsaved })
    }

    pub(in crate::memory) fn row(&self) -> Result<Row, BoxError> {
        let unsaved = &self.unsaved;
        let deltas = unsaved.deltas.as_deref();
        let is_plain = self.mode == Mode::Plain;
        let frozen = deltas.and_then(|deltas| deltas.frozen.as_ref()).map(|frozen| {
            let sent = frozen.sent.time().duration_since(UNIX_EPOCH).unwrap_or_default();
            RowFrozen {
                sums: row_sums(&frozen.sums),
                token: frozen.token.text.to_string(),
                sent: u64::try_from(sent.as_millis()).unwrap_or(u64::MAX),
            }
        });
        // Oldest first.
        let mut doubts = Vec::new();
        for doubt in unsaved.doubts.iter().filter(|_| !is_plain) {
            doubts.insert(0, self.doubt(doubt)?);
        }
        Ok(Row {
            order: unsaved.first,
            mode: self.mode.into(),
            key: raw(key_json::<T>(&self.key))?,
            change: if unsaved.image { Some(self.change()?) } else { None },
            base: if is_plain { None } else { Some(self.base(&unsaved.base)?) },
            added: unsaved.touched.added().to_vec(),
            changed: unsaved.touched.changed().to_vec(),
            waiting: deltas.map(|deltas| row_sums(&deltas.waiting)).unwrap_or_default(),
            frozen,
            in_doubt: unsaved.doubt,
            overtakes: unsaved.doubts.iter().any(|doubt| doubt.seq() != unsaved.seq),
            doubts,
            doubtful: if is_plain { Vec::new() } else { unsaved.doubts.changed().to_vec() },
        })
    }

    fn change(&self) -> Result<RowChange, BoxError> {
        match &self.now {
            Known::Record(record) => self.item(record, self.kept.as_deref()).map(RowChange::Put),
            Known::Absent | Known::Unknown => Ok(RowChange::Delete),
        }
    }

    fn base(&self, base: &Base<T>) -> Result<RowBase, BoxError> {
        let stored = match (&base.item, &base.known) {
            (Some(item), _) => RowStored::Item(raw(item.to_vec())?),
            (None, Known::Record(record)) => {
                let item = self.encoded(record)?;
                let stored = match &base.kept {
                    Some(kept) => kept.stored(item)?,
                    None => item.json,
                };
                RowStored::Item(raw(stored)?)
            }
            (None, Known::Absent) => RowStored::Absent,
            (None, Known::Unknown) => RowStored::Unknown,
        };
        let Base { exact, replaced, partial, .. } = *base;
        Ok(RowBase { stored, exact, replaced, partial })
    }

    fn doubt(&self, doubt: &Doubt<T>) -> Result<RowDoubt, BoxError> {
        let is_newest = doubt.seq() == self.unsaved.seq;
        Ok(match doubt {
            Doubt::Alone(attempt) => RowDoubt {
                is_newest,
                item: attempt.item.as_ref().map(|item| raw(item.to_vec())).transpose()?,
                alone: Some((attempt.mode.into(), attempt.changed.to_vec())),
            },
            Doubt::Whole { sent, kept, .. } => {
                let item = sent.record().map(|record| self.item(&record, kept.as_deref()));
                RowDoubt { is_newest, item: item.transpose()?, alone: None }
            }
        })
    }

    /// A record with what is kept beside it.
    fn item(&self, record: &T, kept: Option<&Kept>) -> Result<Json, BoxError> {
        let item = self.encoded(record)?;
        let item = match kept {
            Some(kept) => kept.restore(item)?,
            None => item,
        };
        Ok(raw(item.json)?)
    }

    fn encoded(&self, record: &T) -> Result<EncodedItem, CodecError> {
        let encoded = catch_unwind(AssertUnwindSafe(|| encode(record, &self.key)));
        encoded.unwrap_or_else(|_| Err(CodecError::new("its `Serialize` panicked")))
    }
}

impl<T: Record> Encode for State<T> {
    fn encode(&self) -> Result<Vec<u8>, Error> {
        let row = self.row().and_then(|row| Ok(serde_json::to_vec(&row)?));
        row.map_err(|why| {
            Error::new(ErrorKind::Journal, "a change cannot be written to the journal")
                .caused_by(why)
        })
    }
}

//! With checkpoints: what the last one covers of a record that was changed since, which is all of it that may be
//! sent and that the journal has.

use std::sync::Arc;

#[cfg(feature = "journal")]
use super::delta::Deltas;
use super::slot::{Known, Slot};
use super::touched::Touched;
use super::unsaved::{Flight, Unsaved};
use crate::codec::Kept;
use crate::error::Error;
use crate::guard::Mode;
use crate::record::Record;
use crate::sums::Sums;

/// What a checkpoint covers of a record that was changed since; nothing, if that is empty.
///
/// Invariants:
/// 1. A slot has one exactly if it was changed since the last checkpoint.
/// 2. What is stored, in flight, frozen and in doubt is in the slot: it is the same for what came since.
/// 3. Unless `overwritten`, the slot's increments that wait have those here among them. Its attributes that were
///    changed are without those here, as if these were in flight.
pub(crate) struct Layer<T> {
    pub(crate) seq: u64,
    /// There is a change of the record itself, of which this is the first that may not be written.
    pub(crate) image: Option<u64>,
    pub(crate) now: Known<T>,
    pub(crate) kept: Option<Arc<Kept>>,
    pub(crate) mode: Option<Mode>,
    pub(crate) touched: Touched,
    /// It is another item than what is stored.
    pub(crate) replaced: bool,
    /// What is stored is known for sure.
    pub(crate) exact: bool,
    pub(crate) waiting: Sums,
    pub(crate) since: u64,
    pub(crate) parked: Option<Error>,
    /// What came since has nothing of it.
    pub(crate) overwritten: bool,
}

impl<T> Clone for Layer<T> {
    fn clone(&self) -> Self {
        let Self { seq, image, mode, replaced, exact, since, overwritten, .. } = *self;
        Self {
            seq,
            image,
            now: self.now.clone(),
            kept: self.kept.clone(),
            mode,
            touched: self.touched.clone(),
            replaced,
            exact,
            waiting: self.waiting.clone(),
            since,
            parked: self.parked.clone(),
            overwritten,
        }
    }
}

impl<T> Layer<T> {
    /// That of a record that was saved.
    fn nothing() -> Self {
        Self {
            seq: 0,
            image: None,
            now: Known::Unknown,
            kept: None,
            mode: None,
            touched: Touched::default(),
            replaced: false,
            exact: true,
            waiting: Sums::default(),
            since: 0,
            parked: None,
            overwritten: false,
        }
    }

    /// The record is what is stored.
    pub(crate) fn is_stored(&mut self) {
        (self.image, self.now, self.kept) = (None, Known::Unknown, None);
    }

    /// What is in flight is written.
    pub(crate) fn landed(&mut self, flight: &Flight<T>) {
        if self.seq == flight.seq {
            self.is_stored();
            self.touched.clear();
            return;
        }
        self.image = self.image.map(|_| self.seq);
        let exact = flight.exact && flight.kept == self.kept;
        (self.exact, self.replaced) = (exact, self.replaced && !exact);
        self.kept = flight.saved(self.kept.take());
    }
}

/// What may be sent of a slot.
pub(crate) struct Covered<'s, T> {
    pub(crate) seq: u64,
    pub(crate) now: &'s Known<T>,
    pub(crate) kept: Option<&'s Arc<Kept>>,
    /// There is a change of the record itself, of which this is the first that may not be written.
    pub(crate) image: Option<u64>,
    pub(crate) mode: Option<Mode>,
    pub(crate) touched: &'s Touched,
    pub(crate) replaced: bool,
    pub(crate) exact: bool,
    /// Increments that wait.
    pub(crate) waiting: Option<&'s Sums>,
    pub(crate) since: u64,
    pub(crate) parked: Option<&'s Error>,
    /// The record was changed since.
    pub(crate) is_beneath: bool,
}

impl<T> Covered<'_, T> {
    /// Whether increments wait.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.is_some_and(|waiting| !waiting.is_empty())
    }

    /// Whether no checkpoint covers anything that is unsaved, but for increments that are frozen.
    pub(crate) fn is_nothing(&self) -> bool {
        self.is_beneath && self.image.is_none() && !self.waits()
    }
}

impl<T: Record> Slot<T> {
    /// What may be sent: all that is unsaved, but for what was changed since a checkpoint.
    pub(crate) fn covered(&self) -> Option<Covered<'_, T>> {
        let unsaved = self.unsaved.as_ref()?;
        let deltas = unsaved.deltas.as_deref();
        Some(match &unsaved.layer {
            None => Covered {
                seq: unsaved.seq,
                now: &self.now,
                kept: self.kept.as_ref(),
                image: unsaved.image.then_some(unsaved.image_since),
                mode: unsaved.mode,
                touched: &unsaved.touched,
                replaced: unsaved.base.replaced,
                exact: unsaved.base.exact,
                waiting: deltas.map(|deltas| &deltas.waiting),
                since: deltas.map_or(0, |deltas| deltas.since),
                parked: unsaved.parked.as_ref(),
                is_beneath: false,
            },
            Some(layer) => Covered {
                seq: layer.seq,
                now: &layer.now,
                kept: layer.kept.as_ref(),
                image: layer.image,
                mode: layer.mode,
                touched: &layer.touched,
                replaced: layer.replaced,
                exact: layer.exact,
                waiting: Some(&layer.waiting).filter(|waiting| !waiting.is_empty()),
                since: layer.since,
                parked: layer.parked.as_ref(),
                is_beneath: true,
            },
        })
    }

    /// A change comes that no checkpoint covers: what one covers is kept beneath it. Returns whether this is
    /// the first one since.
    pub(crate) fn split(&mut self) -> bool {
        let Some(unsaved) = self.unsaved.as_mut().filter(|unsaved| unsaved.layer.is_none()) else {
            return false;
        };
        let deltas = unsaved.deltas.as_deref();
        let layer = Layer {
            seq: unsaved.seq,
            image: unsaved.image.then_some(unsaved.image_since),
            now: self.now.clone(),
            kept: self.kept.clone(),
            mode: unsaved.mode,
            touched: unsaved.touched.clone(),
            replaced: unsaved.base.replaced,
            exact: unsaved.base.exact,
            waiting: deltas.map(|deltas| deltas.waiting.clone()).unwrap_or_default(),
            since: deltas.map_or(0, |deltas| deltas.since),
            parked: unsaved.parked.clone(),
            overwritten: false,
        };
        unsaved.layer = Some(Box::new(layer));
        // As what is in flight.
        let _beneath = unsaved.touched.fly();
        true
    }

    /// It was saved before the change that just came, which no checkpoint covers.
    pub(crate) fn begin_layer(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.layer = Some(Box::new(Layer::nothing()));
        }
    }
}

impl<T> Unsaved<T> {
    /// A checkpoint covers all that came; returns what the one before did.
    #[cfg(feature = "journal")]
    pub(crate) fn cover(&mut self) -> Option<Box<Layer<T>>> {
        let layer = self.layer.take()?;
        if !layer.overwritten {
            self.touched.give_back(layer.touched.changed());
        } else if let Some(flight) = &mut self.flight {
            flight.changes.clear();
        }
        Some(layer)
    }

    /// Takes all back that came since this was covered; returns what was known then.
    #[cfg(feature = "journal")]
    pub(crate) fn go_back(&mut self, layer: Layer<T>) -> (Known<T>, Option<Arc<Kept>>) {
        (self.seq, self.image) = (layer.seq, layer.image.is_some());
        self.image_since = layer.image.unwrap_or(layer.seq);
        (self.mode, self.touched) = (layer.mode, layer.touched);
        (self.base.replaced, self.base.exact) = (layer.replaced, layer.exact);
        let frozen = self.deltas.take().and_then(|deltas| deltas.frozen);
        let deltas = Deltas { waiting: layer.waiting, since: layer.since, frozen };
        self.deltas = (!deltas.is_empty()).then(|| Box::new(deltas));
        (layer.now, layer.kept)
    }

    /// Takes the increments that are to be sent, and the number of the first of them.
    pub(crate) fn take_waiting(&mut self) -> (Sums, u64) {
        let deltas = self.deltas.as_mut();
        let Some(layer) = &mut self.layer else {
            return deltas
                .map(|it| (std::mem::take(&mut it.waiting), it.since))
                .unwrap_or_default();
        };
        let taken = std::mem::take(&mut layer.waiting);
        if let Some(deltas) = deltas.filter(|_| !layer.overwritten) {
            deltas.waiting = deltas.waiting.minus(&taken);
        }
        (taken, layer.since)
    }

    /// Increments that waited are in what was sent of the record.
    pub(crate) fn absorb(&mut self, absorbed: &Sums, since: u64) {
        let is_among = match &mut self.layer {
            None => self.deltas.as_ref().is_some_and(|deltas| deltas.since == since),
            Some(layer) if layer.since == since => {
                layer.waiting = layer.waiting.minus(absorbed);
                !layer.overwritten
            }
            Some(_) => false,
        };
        let Some(deltas) = self.deltas.as_mut().filter(|_| is_among) else { return };
        deltas.waiting = deltas.waiting.minus(absorbed);
        if deltas.is_empty() {
            self.deltas = None;
        }
    }
}

//! A change that is not saved yet, and what is in flight of it.

use std::sync::Arc;

use super::attempt::{Attempt, Base, Doubt, Doubts, Met};
use super::delta::Deltas;
use super::layer::Layer;
use super::slot::Known;
use super::touched::{Names, Touched};
use crate::codec::Kept;
use crate::error::Error;
use crate::guard::Mode;
use crate::sums::Sums;

/// A change that the database has not confirmed.
pub(crate) struct Unsaved<T> {
    /// Of the newest change; strictly rising, given under the shard's lock.
    pub(crate) seq: u64,
    /// Of the change that made the slot unsaved; its place in the shard's list.
    pub(crate) first: u64,
    /// Bytes of the newest change, by DynamoDB's arithmetic; what it takes of the room.
    size: u32,
    pub(crate) base: Base<T>,
    /// What was done to attributes of which it is not known what is stored.
    pub(crate) touched: Touched,
    /// What was sent and is not answered yet.
    pub(crate) flight: Option<Box<Flight<T>>>,
    /// There is a change of the record itself, which `seq` is the newest of; else only increments.
    pub(crate) image: bool,
    /// The number of the first change of the record itself that may not be written.
    pub(crate) image_since: u64,
    /// Increments that are not in the database yet.
    pub(crate) deltas: Option<Box<Deltas>>,
    /// Why the service refused it; it waits for a new put.
    pub(crate) parked: Option<Error>,
    /// An answer is missing since something was last confirmed: what was sent may be stored.
    pub(crate) doubt: bool,
    /// Attempts since then whose answers are missing, the latest of each change.
    pub(crate) doubts: Doubts<T>,
    /// How the record is to be written, if not as the table says.
    pub(crate) mode: Option<Mode>,
    /// What others stored, to be merged before the next attempt.
    pub(crate) met: Option<Box<Met>>,
    /// What the last checkpoint covers, if this is not all covered.
    pub(crate) layer: Option<Box<Layer<T>>>,
}

impl<T> Unsaved<T> {
    /// The first change of a saved slot, of which nothing is said yet.
    pub(crate) const fn new(seq: u64, base: Base<T>, touched: Touched) -> Self {
        Self {
            seq,
            first: seq,
            size: 0,
            base,
            touched,
            flight: None,
            image: false,
            image_since: seq,
            deltas: None,
            parked: None,
            doubt: false,
            doubts: Doubts::new(),
            mode: None,
            met: None,
            layer: None,
        }
    }

    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// An item has 400 KB at most.
    pub(crate) fn set_size(&mut self, size: usize) {
        self.size = u32::try_from(size).unwrap_or(u32::MAX);
    }

    /// What comes is another item than what is stored and what is in flight, even if it is equal.
    pub(super) fn replace(&mut self) {
        (self.base.exact, self.base.replaced) = (false, true);
        if let Some(flight) = &mut self.flight {
            flight.exact = false;
        }
    }

    /// Whether an answer is missing: something that was sent may be stored.
    pub(super) fn is_in_doubt(&self) -> bool {
        let frozen = self.deltas.as_ref().and_then(|deltas| deltas.frozen.as_ref());
        self.doubt || frozen.is_some_and(|frozen| frozen.doubt)
    }

    /// The increments that wait are done otherwise.
    pub(super) fn drop_waiting(&mut self) {
        if let Some(layer) = &mut self.layer {
            layer.overwritten = true;
        }
        if let Some(deltas) = &mut self.deltas {
            deltas.waiting = Sums::default();
            if deltas.is_empty() {
                self.deltas = None;
            }
        }
    }

    /// The record is written as a whole, or not at all.
    pub(super) fn forget_touched(&mut self) {
        self.touched.clear();
        match (&mut self.layer, &mut self.flight) {
            (Some(layer), _) => layer.overwritten = true,
            (None, Some(flight)) => flight.changes.clear(),
            (None, None) => {}
        }
    }

    /// This is what is stored.
    pub(super) fn rebase(&mut self, mut base: Base<T>) -> Base<T> {
        if base.is_whole() {
            self.touched.clear();
            if let Some(layer) = &mut self.layer {
                layer.touched.clear();
            }
        }
        base.number = self.base.number.wrapping_add(1);
        std::mem::replace(&mut self.base, base)
    }

    /// What is in flight counts as sent without an answer.
    #[cfg(feature = "journal")]
    pub(super) fn lose_flight(&mut self) {
        if let Some(flight) = self.ground() {
            self.in_doubt_of(*flight);
        }
    }

    /// The database may have the old or the sent value: whatever comes is to be written.
    pub(super) fn in_doubt_of(&mut self, flight: Flight<T>) {
        self.base.exact = false;
        if let Some(layer) = &mut self.layer {
            layer.exact = false;
        }
        self.doubt = true;
        self.doubts.add(Doubt::of(flight));
    }

    /// What is stored.
    pub(super) fn stored(self) -> Outdated<T> {
        Outdated { base: self.base, touched: self.touched, shown: Known::Unknown }
    }

    /// Takes the flight back, which is not written.
    pub(super) fn ground(&mut self) -> Option<Box<Flight<T>>> {
        let flight = self.flight.take()?;
        let layer = self.layer.as_mut().map(|layer| &mut layer.touched);
        layer.unwrap_or(&mut self.touched).give_back(&flight.changes);
        Some(flight)
    }
}

impl<T> Clone for Unsaved<T> {
    fn clone(&self) -> Self {
        let Self { seq, first, size, image, image_since, doubt, mode, .. } = *self;
        Self {
            seq,
            first,
            size,
            base: self.base.clone(),
            touched: self.touched.clone(),
            flight: self.flight.clone(),
            image,
            image_since,
            deltas: self.deltas.clone(),
            parked: self.parked.clone(),
            doubt,
            doubts: self.doubts.clone(),
            mode,
            met: self.met.clone(),
            layer: self.layer.clone(),
        }
    }
}

/// What is stored, where somebody is changing what was known before.
pub(crate) struct Outdated<T> {
    pub(crate) base: Base<T>,
    pub(crate) touched: Touched,
    /// What was known before, where the slot forgot it.
    pub(crate) shown: Known<T>,
}

impl<T> Clone for Outdated<T> {
    fn clone(&self) -> Self {
        let (base, touched) = (self.base.clone(), self.touched.clone());
        Self { base, touched, shown: self.shown.clone() }
    }
}

impl<T> Outdated<T> {
    /// What was known of a saved record.
    pub(super) fn saved(base: Base<T>) -> Self {
        Self { base, touched: Touched::default(), shown: Known::Unknown }
    }
}

pub(crate) struct Flight<T> {
    pub(crate) seq: u64,
    pub(crate) sent: Known<T>,
    /// What was sent beside it.
    pub(crate) kept: Option<Arc<Kept>>,
    /// Once it is written, what equals it is what is stored.
    pub(crate) exact: bool,
    /// What is sent alone.
    pub(crate) attempt: Option<Arc<Attempt>>,
    /// The item that is sent, where that is not what the record says: increments wait.
    pub(crate) item: Option<Arc<[u8]>>,
    /// The item as it is stored then, where the type would write more.
    pub(crate) lacking: Option<Arc<[u8]>>,
    /// Attributes that it sets or takes away whatever is stored.
    pub(crate) changes: Names,
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self {
            seq: self.seq,
            sent: self.sent.clone(),
            kept: self.kept.clone(),
            exact: self.exact,
            attempt: self.attempt.clone(),
            item: self.item.clone(),
            lacking: self.lacking.clone(),
            changes: self.changes.clone(),
        }
    }
}

impl<T> Flight<T> {
    pub(super) const fn new(
        seq: u64,
        sent: Known<T>,
        kept: Option<Arc<Kept>>,
        changes: Names,
    ) -> Self {
        Self { seq, sent, kept, exact: true, attempt: None, item: None, lacking: None, changes }
    }

    /// What is kept beside the record once this is written.
    pub(super) fn saved(&self, kept: Option<Arc<Kept>>) -> Option<Arc<Kept>> {
        match &self.lacking {
            // Of what came since nobody knows more than the record says.
            Some(item) if kept == self.kept => Some(Arc::new(Kept::lacking(kept.as_deref(), item))),
            _ => saved(kept),
        }
    }

    /// What the database has once this is written.
    pub(super) fn written(self, before: &Base<T>) -> Base<T> {
        let partial = self.leaves_a_part(before);
        let kept = self.saved(self.kept.clone());
        Base { item: self.item, partial, ..Base::new(self.sent, kept) }
    }

    /// Whether only a part of the item is known once this is written: it may write attributes of one that
    /// was never seen.
    pub(super) fn leaves_a_part(&self, before: &Base<T>) -> bool {
        let leaves = |attempt: &Arc<Attempt>| {
            before.partial || (!before.is_seen() && attempt.mode == Mode::FieldWise)
        };
        matches!(self.sent, Known::Record(_)) && self.attempt.as_ref().is_some_and(leaves)
    }
}

/// What is kept beside a record that was just saved.
pub(super) fn saved(kept: Option<Arc<Kept>>) -> Option<Arc<Kept>> {
    match kept {
        Some(kept) if kept.ends_with_a_save() => kept.saved().map(Arc::new),
        kept => kept,
    }
}

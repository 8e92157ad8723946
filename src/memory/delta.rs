//! Increments of a record that are not in the database yet.
//!
//! What is summed up waits until it is sent. Then it is frozen under a token, by which the service
//! applies it once however often it is sent; what comes later is summed up anew behind it.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>

use std::sync::Arc;

use super::attempt::Base;
use super::slot::{Known, Slot};
use super::unsaved::{Unsaved, saved};
use crate::guard::Mode;
use crate::record::Record;
use crate::store::Outcome;
use crate::sums::{Began, Sums, Token};
use crate::write::Settled;

/// The increments of a slot.
///
/// Invariants: `frozen` changes only when it is sent and when its outcome is known, and it is sent
/// before anything else of the slot is. While it is there, no record that is read becomes known to the
/// slot: nobody could tell whether it has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deltas {
    pub(crate) waiting: Sums,
    /// The number of the first increment that waits.
    pub(crate) since: u64,
    pub(crate) frozen: Option<Frozen>,
}

/// Increments that were sent under a token.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) sums: Sums,
    /// The number of the first of them.
    pub(crate) since: u64,
    pub(crate) token: Token,
    /// When it was first sent.
    pub(crate) sent: Began,
    /// It is being sent.
    pub(crate) flying: bool,
    /// An answer is missing: it may be stored.
    pub(crate) doubt: bool,
}

impl Frozen {
    /// Whether it cannot be sent any more, since the service may have forgotten the token.
    pub(crate) fn is_expired(&self) -> bool {
        self.doubt && self.sent.is_too_old_for_a_token()
    }
}

impl Deltas {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.frozen.is_none()
    }
}

impl<T> Unsaved<T> {
    /// What was frozen was never applied: it waits again, in front of the rest.
    fn thaw(&mut self) {
        let Some(deltas) = &mut self.deltas else { return };
        let Some(frozen) = deltas.frozen.take() else { return };
        let with = |waiting: &Sums| frozen.sums.plus(waiting);
        // What came since a checkpoint may have another number instead.
        let newest = self.layer.as_ref().is_none_or(|layer| !layer.overwritten);
        let newest = newest.then(|| with(&deltas.waiting)).transpose();
        let layer = self.layer.as_ref().map(|layer| with(&layer.waiting)).transpose();
        let (Ok(newest), Ok(covered)) = (newest, layer) else {
            // The sum was made in two parts before, and goes in two.
            deltas.frozen = Some(Frozen { flying: false, doubt: false, ..frozen });
            return;
        };
        if let Some(sums) = newest {
            (deltas.waiting, deltas.since) = (sums, frozen.since);
        }
        if let Some((layer, sums)) = self.layer.as_mut().zip(covered) {
            (layer.waiting, layer.since) = (sums, frozen.since);
        }
    }
}

/// What is stored once increments are applied, if that is known.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) item: Option<Arc<[u8]>>,
    /// It is what the record in memory says.
    pub(crate) is_shown: bool,
}

impl<T: Record> Slot<T> {
    pub(crate) fn deltas(&self) -> Option<&Deltas> {
        self.unsaved.as_ref()?.deltas.as_deref()
    }

    fn deltas_mut(&mut self) -> Option<&mut Deltas> {
        self.unsaved.as_mut()?.deltas.as_deref_mut()
    }

    /// The increments that were sent and are not known to be stored.
    pub(crate) fn frozen(&self) -> Option<&Frozen> {
        self.deltas()?.frozen.as_ref()
    }

    /// The increments that are being sent.
    pub(crate) fn flying(&self) -> Option<&Frozen> {
        self.frozen().filter(|frozen| frozen.flying)
    }

    /// Takes in how a request with increments ended; returns whether the slot is saved now.
    pub(crate) fn settle_delta(&mut self, settled: Settled, applied: Applied, table: Mode) -> bool {
        let Some(deltas) = self.deltas_mut() else { return false };
        let Some(frozen) = &mut deltas.frozen else { return false };
        frozen.flying = false;
        let doubt = frozen.doubt;
        match settled {
            Settled::Written => return self.applied(applied),
            Settled::Pending(Outcome::OutcomeUnknown) => frozen.doubt = true,
            Settled::Pending(Outcome::NotWritten) if doubt => {}
            Settled::Pending(Outcome::NotWritten) => self.not_applied(table),
            Settled::Refused(error) => {
                if !doubt {
                    self.not_applied(table);
                }
                let covered = self.covered();
                let is_left = covered.is_some_and(|it| it.waits()) || self.frozen().is_some();
                if let Some(unsaved) = self.unsaved.as_mut().filter(|_| is_left) {
                    let layer = unsaved.layer.as_mut().map(|layer| &mut layer.parked);
                    *layer.unwrap_or(&mut unsaved.parked) = Some(error);
                }
            }
        }
        false
    }

    /// What was frozen is in the database; returns whether the slot is saved now.
    pub(crate) fn applied(&mut self, applied: Applied) -> bool {
        // A load under way brings them or not.
        self.load = None;
        let Some(unsaved) = &mut self.unsaved else { return false };
        let Some(deltas) = &mut unsaved.deltas else { return false };
        deltas.frozen = None;
        if deltas.is_empty() {
            unsaved.deltas = None;
        }
        let (replaced, partial) = (unsaved.base.replaced, unsaved.base.partial);
        let is_known = applied.item.is_some();
        let layer = unsaved.layer.as_mut().map(|layer| &mut layer.kept);
        for kept in [Some(&mut self.kept), layer].into_iter().flatten() {
            if let Some((all, item)) = kept.as_ref().zip(applied.item.as_ref()) {
                *kept = Some(all.beside_item(item));
            }
        }
        let kept = self.kept.clone().filter(|_| matches!(self.now, Known::Record(_)));
        let base = Base::new(Known::Unknown, kept);
        unsaved.rebase(Base { item: applied.item, exact: is_known, replaced, partial, ..base });
        if unsaved.image || unsaved.deltas.is_some() {
            return false;
        }
        let stored = self.unsaved.take().map(|unsaved| unsaved.stored());
        if !applied.is_shown || partial || T::VERSION.is_some() {
            self.is_known_no_more(stored);
        } else {
            self.kept = saved(self.kept.take());
        }
        true
    }

    /// What was frozen is not in the database.
    pub(crate) fn not_applied(&mut self, table: Mode) {
        let Some(covered) = self.covered() else { return };
        let field_wise = covered.mode.unwrap_or(table) == Mode::FieldWise;
        let is_sum = field_wise && matches!(covered.now, Known::Record(_));
        let has_them = covered.image.is_some() && (covered.replaced || !is_sum);
        let Some(unsaved) = &mut self.unsaved else { return };
        if has_them && let Some(deltas) = &mut unsaved.deltas {
            // The change that came after has them, or deleted them.
            deltas.frozen = None;
        } else {
            unsaved.thaw();
        }
        if unsaved.deltas.as_ref().is_some_and(|deltas| deltas.is_empty()) {
            unsaved.deltas = None;
        }
    }
}

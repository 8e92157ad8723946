//! How a flight ended, and what a slot knows then.

use super::attempt::Base;
use super::slot::Slot;
use super::unsaved::Outdated;
use crate::breaks::broken;
use crate::bugs::{Bug, has};
use crate::record::Record;
use crate::write::Settled;

impl<T: Record> Slot<T> {
    /// Takes in how a flight ended; returns whether the slot is saved now.
    pub(crate) fn settle(&mut self, settled: Settled) -> bool {
        let Some(unsaved) = &mut self.unsaved else {
            return false;
        };
        let is_written = matches!(settled, Settled::Written);
        let flight = if is_written { unsaved.flight.take() } else { unsaved.ground() };
        let Some(flight) = flight else { return false };
        let newest = flight.seq == unsaved.seq || broken(1);
        match settled {
            Settled::Written if newest && unsaved.deltas.is_some() => {
                // Only increments are left, which the record shows.
                self.kept = flight.saved(self.kept.take());
                unsaved.rebase(flight.written(&unsaved.base));
                unsaved.image = false;
                unsaved.doubt = false;
                unsaved.doubts.clear();
            }
            Settled::Written if newest => {
                self.kept = flight.saved(self.kept.take());
                // It has its new version.
                self.now = flight.sent.clone();
                let is_part = flight.leaves_a_part(&unsaved.base);
                // What is stored is not all of it.
                let stored = is_part.then(|| {
                    let touched = std::mem::take(&mut unsaved.touched);
                    Outdated { touched, ..Outdated::saved(flight.written(&unsaved.base)) }
                });
                self.unsaved = None;
                if broken(20) || is_part {
                    self.is_known_no_more(stored);
                }
                return true;
            }
            Settled::Written => {
                if let Some(layer) = &mut unsaved.layer {
                    layer.landed(&flight);
                }
                // With other attributes beside it an equal record is another item.
                let exact = flight.exact && flight.kept == self.kept;
                let replaced = unsaved.base.replaced && !exact;
                self.kept = flight.saved(self.kept.take());
                unsaved.rebase(Base { exact, replaced, ..flight.written(&unsaved.base) });
                unsaved.image_since = unsaved.seq;
                unsaved.doubt = false;
                unsaved.doubts.clear();
            }
            Settled::Pending(crate::Outcome::NotWritten) if broken(8) => {
                unsaved.flight = Some(flight);
            }
            Settled::Pending(_) if has(Bug::RemovedBeforeTheCall) => {
                self.unsaved = None;
                return true;
            }
            Settled::Pending(_) if has(Bug::RetryReplacesNewer) && !newest => {
                self.now = flight.sent;
            }
            Settled::Pending(crate::Outcome::NotWritten) => {}
            Settled::Pending(_) => unsaved.in_doubt_of(*flight),
            Settled::Refused(error) => {
                let covered = unsaved.layer.as_mut().filter(|layer| layer.seq == flight.seq);
                if newest {
                    unsaved.parked = Some(error);
                } else if let Some(layer) = covered {
                    layer.parked = Some(error);
                }
            }
        }
        false
    }

    /// The change turned out to be what is stored; returns whether the slot is saved now.
    pub(crate) fn unchanged(&mut self) -> bool {
        let Some(unsaved) = &mut self.unsaved else { return false };
        let Some(flight) = unsaved.flight.take() else { return false };
        if unsaved.seq != flight.seq {
            let layer = unsaved.layer.as_mut();
            if let Some(layer) = layer.filter(|layer| layer.seq == flight.seq) {
                layer.is_stored();
                if layer.overwritten {
                    return false;
                }
            }
            unsaved.touched.give_back(&flight.changes);
            return false;
        }
        match &mut self.unsaved {
            Some(unsaved) if unsaved.deltas.is_some() => {
                unsaved.image = false;
                false
            }
            Some(unsaved) if unsaved.base.partial => {
                // What is stored is not all of it.
                let stored = self.unsaved.take().map(|unsaved| unsaved.stored());
                self.is_known_no_more(stored);
                true
            }
            _ => {
                self.unsaved = None;
                if flight.lacking.is_some() {
                    self.kept = flight.saved(self.kept.take());
                }
                // It has the version that is stored.
                self.now = flight.sent;
                true
            }
        }
    }
}

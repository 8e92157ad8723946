//! How a flight ended, taken in by its slot.

use std::sync::atomic::Ordering;

use super::Shared;
use super::attempt::Base;
use super::delta::Applied;
use super::slot::{Known, Slot};
use crate::codec::tree::{field, parse_item};
use crate::codec::{key_json, same_items};
use crate::key::Key;
use crate::record::Record;
use crate::store::Outcome;
use crate::sums::{Sums, Token};
use crate::write::Settled;

impl<T: Record> Shared<T> {
    /// Takes in how a flight ended; whether there is more of the record that this flush is to save.
    pub(super) fn settle(&self, key: &Key, settled: Settled) -> bool {
        let lost = matches!(settled, Settled::Pending(Outcome::OutcomeUnknown));
        let written = matches!(settled, Settled::Written);
        if written && !T::INDEX_SPECS.is_empty() {
            // Before it is not unsaved any more.
            self.recent.note(key);
        }
        let mut more = false;
        {
            let mut locked = self.slots.lock(key.as_bytes());
            let mut flying = None;
            if locked.find(key.as_bytes()).is_some_and(|slot| slot.flying().is_some()) {
                // What is stored then is found out under no lock; it is in flight until it is settled here.
                drop(locked);
                flying = self.flying(key, written);
                locked = self.slots.lock(key.as_bytes());
            }
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
        self.slots.recorder.relieve();
        more
    }

    /// Nothing was written that would have cost so many units.
    pub(super) fn note_unchanged(&self, units: f64) {
        self.tally.unchanged();
        self.counters.spent.saved(units);
    }

    /// What is stored is what was to be written, for so many units; whether that is all.
    pub(super) fn settle_unchanged(&self, key: &Key, units: f64) -> bool {
        let mut all = true;
        self.slots.lock(key.as_bytes()).transition(key, |slot| {
            let saved = slot.unchanged();
            all = saved || !self.has_more(slot);
            self.note_forgotten(slot);
            saved
        });
        self.register(key);
        if all {
            self.note_unchanged(units);
        }
        self.settled.notify_waiters();
        all
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
        let shown = now.record().and_then(|now| self.item(&now, key, kept.as_deref()).ok());
        let Some(item) = self.base_with(key, &base, sums) else {
            return Applied::default();
        };
        let is_shown = shown.is_some_and(|shown| same_items(&shown.json, &item));
        Applied { item: Some(item.into()), is_shown }
    }

    /// The item that is stored once increments are applied, if it is known, but for attributes of which it is not
    /// known what was stored.
    fn base_with(&self, key: &Key, base: &Base<T>, sums: &Sums) -> Option<Vec<u8>> {
        let item = match (&base.item, &base.known) {
            _ if !base.exact => return None,
            (None, Known::Unknown) => return None,
            // Nothing is sent, and nothing made.
            (None, Known::Absent) if sums.is_zero() => return None,
            (None, Known::Absent) => key_json::<T>(key),
            _ => self.stored_item(key, base).ok()??,
        };
        let fields = parse_item(&item).ok()?;
        let is_known = |name: &str| !base.partial || field(&fields, name).is_some();
        // A sum of nothing is not sent.
        let version = T::VERSION.filter(|_| !sums.is_zero());
        let version = version.map(|name| Sums::one(name, 1.into()));
        let (sums, _) = sums.clone().partition(is_known);
        let sums = version.map_or_else(|| Ok(sums.clone()), |version| sums.plus(&version)).ok()?;
        sums.added_to(&item).ok()
    }

    /// Whether something of a slot is left that was there when the flush began.
    fn has_more(&self, slot: &Slot<T>) -> bool {
        let Some(covered) = slot.covered().filter(|covered| covered.parked.is_none()) else {
            return false;
        };
        covered.image.is_some_and(|since| self.is_in_scope(since))
            || (covered.waits() && self.is_in_scope(covered.since))
    }

    /// Whether the flush that runs is to save the change of this number.
    fn is_in_scope(&self, seq: u64) -> bool {
        seq <= self.scope.load(Ordering::SeqCst)
    }
}

//! What a memory table must say and store, as plain maps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::{At, everywhere};
use crate::Record;

/// Something on a shelf.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "things")]
pub(super) struct Thing {
    #[record(partition_key)]
    pub(super) shelf: u32,
    #[record(sort_key)]
    pub(super) place: u32,
    #[serde(default)]
    pub(super) count: i64,
    /// Not stored where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) label: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
const fn is_zero(label: &u8) -> bool {
    *label == 0
}

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Known {
    #[default]
    Unknown,
    /// Forgotten on purpose: not absent because the whole table is loaded.
    Forgotten,
    /// Nothing but that the whole table was loaded, which had no such item.
    Implied,
    Absent,
    There(Thing),
}

#[derive(Clone, Debug)]
struct Unsaved {
    /// What was known before it was changed.
    base: Known,
    /// The record was changed, not only added to.
    image: bool,
    /// It was deleted meanwhile.
    replaced: bool,
    waiting: i64,
    /// The number of the first change.
    first: u64,
}

/// How the records of a case are written; guards overwrite what others stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writing {
    #[default]
    Plain,
    FieldWise,
    Guarded,
    GuardedFields,
}

/// How a key was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Written,
    Deleted,
    Unchanged,
}

/// The memory table and its database.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    writing: Writing,
    pub(super) stored: BTreeMap<At, Thing>,
    known: BTreeMap<At, Known>,
    unsaved: BTreeMap<At, Unsaved>,
    changes: u64,
    /// Something was let go since the last reset: what is not known is not absent.
    lossy: bool,
    /// The whole table was loaded, so that what is forgotten must be remembered as that.
    complete: bool,
}

pub(super) fn thing((shelf, place): At, count: i64, label: u8) -> Thing {
    Thing { shelf, place, count, label }
}

impl Oracle {
    pub(super) fn new(writing: Writing) -> Self {
        Self { writing, ..Self::default() }
    }

    /// Whether increments beside a changed record go on their own.
    fn goes_alone(&self) -> bool {
        self.writing == Writing::FieldWise
    }

    pub(super) fn known(&self, at: At) -> Known {
        self.known.get(&at).cloned().unwrap_or_default()
    }

    pub(super) fn is_unsaved(&self, at: At) -> bool {
        self.unsaved.contains_key(&at)
    }

    /// Whether others changed what an unsaved record started from.
    pub(super) fn is_stale(&self, at: At) -> bool {
        self.unsaved.get(&at).is_some_and(|unsaved| match &unsaved.base {
            Known::There(base) => self.stored.get(&at) != Some(base),
            _ => self.stored.contains_key(&at),
        })
    }

    /// The unsaved keys, the oldest change first.
    pub(super) fn unsaved(&self) -> Vec<At> {
        let mut keys: Vec<(u64, At)> =
            self.unsaved.iter().map(|(at, unsaved)| (unsaved.first, *at)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, at)| at).collect()
    }

    /// The records in memory.
    pub(super) fn records(&self) -> BTreeMap<At, Thing> {
        let there = |(at, known): (&At, &Known)| match known {
            Known::There(thing) => Some((*at, thing.clone())),
            _ => None,
        };
        self.known.iter().filter_map(there).collect()
    }

    /// What a read finds.
    pub(super) fn found(&self, at: At) -> Option<Thing> {
        match self.known(at) {
            Known::There(thing) => Some(thing),
            Known::Absent => None,
            Known::Implied => None,
            Known::Unknown | Known::Forgotten => match self.unsaved.get(&at) {
                None => self.stored.get(&at).cloned(),
                Some(unsaved) => Some(self.added(at, unsaved.waiting)),
            },
        }
    }

    /// What a query or scan finds: what is stored, as it is known here, and what is unsaved.
    pub(super) fn listed(&self, at: At) -> Option<Thing> {
        let is_listed = self.is_unsaved(at) || self.stored.contains_key(&at);
        match self.known(at) {
            // Nobody looked for it: what is stored now is there.
            Known::Implied => self.stored.get(&at).cloned(),
            _ => self.found(at).filter(|_| is_listed),
        }
    }

    fn added(&self, at: At, by: i64) -> Thing {
        let stored = self.stored.get(&at).cloned().unwrap_or_else(|| thing(at, 0, 0));
        Thing { count: stored.count + by, ..stored }
    }

    fn stored_as(&self, at: At) -> Known {
        self.stored.get(&at).cloned().map_or(Known::Absent, Known::There)
    }

    /// Whether a read sends no request.
    pub(super) fn is_known(&self, at: At) -> bool {
        !matches!(self.known(at), Known::Unknown | Known::Forgotten)
    }

    /// Reads a record that is not known.
    pub(super) fn load(&mut self, at: At) {
        if !self.is_known(at) {
            self.see(at);
        }
    }

    /// What is stored becomes known.
    pub(super) fn see(&mut self, at: At) {
        self.known.remove(&at);
        let (stored, found) = (self.stored_as(at), self.found(at));
        if let Some(unsaved) = self.unsaved.get_mut(&at) {
            unsaved.base = stored;
        }
        self.known.insert(at, found.map_or(Known::Absent, Known::There));
    }

    pub(super) fn load_all(&mut self) {
        let is_new = |at: &At| !self.is_known(*at) && !self.is_unsaved(*at);
        for at in everywhere().filter(is_new).collect::<Vec<_>>() {
            if self.stored.contains_key(&at) {
                self.see(at);
            } else if !self.lossy && self.known(at) == Known::Unknown {
                self.known.insert(at, Known::Implied);
            }
        }
        self.complete = !self.lossy;
    }

    pub(super) fn forget(&mut self, at: At) {
        self.unsaved.remove(&at);
        self.known.insert(at, self.trace());
    }

    /// What is left of what is not known any more.
    fn trace(&self) -> Known {
        if self.complete { Known::Forgotten } else { Known::Unknown }
    }

    /// Whether the policy may let a record go here: what is only implied of others may end then, for each of
    /// them or not.
    pub(super) fn may_go(&self, at: At) -> bool {
        let is_clean = matches!(self.known(at), Known::There(_)) && !self.is_unsaved(at);
        is_clean && self.known.values().all(|known| *known != Known::Implied)
    }

    /// The policy lets a record go.
    pub(super) fn evict(&mut self, at: At) {
        self.forget(at);
        (self.lossy, self.complete) = (true, false);
    }

    pub(super) fn reset(&mut self) {
        self.known.clear();
        (self.lossy, self.complete) = (false, false);
    }

    /// The change of a key, which begins now if it was saved.
    fn change(&mut self, at: At) -> &mut Unsaved {
        self.changes += 1;
        let first = self.changes;
        let base = match self.known(at) {
            Known::Implied => Known::Absent,
            Known::Forgotten => Known::Unknown,
            known => known,
        };
        let new = Unsaved { base, image: false, replaced: false, waiting: 0, first };
        self.unsaved.entry(at).or_insert(new)
    }

    pub(super) fn put(&mut self, at: At, new: Thing) {
        let alone = self.goes_alone();
        let unsaved = self.change(at);
        unsaved.image = true;
        if !alone {
            unsaved.waiting = 0;
        }
        self.known.insert(at, Known::There(new));
    }

    pub(super) fn delete(&mut self, at: At) {
        let unsaved = self.change(at);
        (unsaved.image, unsaved.replaced, unsaved.waiting) = (true, true, 0);
        self.known.insert(at, Known::Absent);
    }

    pub(super) fn increment(&mut self, at: At, by: i64) {
        let alone = self.goes_alone();
        let shown = match self.known(at) {
            Known::Unknown | Known::Forgotten => Known::Unknown,
            Known::There(known) => Known::There(Thing { count: known.count + by, ..known }),
            Known::Absent | Known::Implied => Known::There(thing(at, by, 0)),
        };
        let unsaved = self.change(at);
        if alone || !unsaved.image {
            unsaved.waiting += by;
        }
        self.known.insert(at, shown);
    }

    /// Saves a key, if there is something to save.
    pub(super) fn flush(&mut self, at: At) -> Option<Saved> {
        let unsaved = self.unsaved.remove(&at)?;
        if !unsaved.image {
            let sum = self.added(at, unsaved.waiting);
            self.stored.insert(at, sum);
            if unsaved.base == Known::Unknown {
                self.known.insert(at, self.trace());
            }
            return Some(Saved::Written);
        }
        Some(match self.known(at) {
            Known::There(now) => {
                let (new, is_part) = match self.writing {
                    Writing::Plain => (Self::plain(now, &unsaved), false),
                    Writing::Guarded => (self.guarded(at, now, &unsaved), false),
                    Writing::FieldWise => self.field_wise(at, now, &unsaved),
                    Writing::GuardedFields => self.guarded_fields(at, now, &unsaved),
                };
                if is_part {
                    self.known.insert(at, self.trace());
                }
                new.map_or(Saved::Unchanged, |new| {
                    self.stored.insert(at, new);
                    Saved::Written
                })
            }
            _ if unsaved.base == Known::Absent => Saved::Unchanged,
            _ => {
                self.stored.remove(&at);
                Saved::Deleted
            }
        })
    }

    /// The whole record, whatever is stored.
    fn plain(now: Thing, unsaved: &Unsaved) -> Option<Thing> {
        (unsaved.base != Known::There(now.clone())).then_some(now)
    }

    /// The whole record over what was met, if that differs.
    fn overwritten(&self, at: At, now: Thing) -> Option<Thing> {
        (self.stored.get(&at) != Some(&now)).then_some(now)
    }

    /// What changed, if all that was seen is still stored, else the whole record.
    fn guarded(&self, at: At, now: Thing, unsaved: &Unsaved) -> Option<Thing> {
        let Known::There(base) = &unsaved.base else {
            // Nothing was seen that could be expected of what was deleted.
            let is_sent = unsaved.base == Known::Unknown && unsaved.replaced;
            return if is_sent { Some(now) } else { self.overwritten(at, now) };
        };
        if *base == now {
            return None;
        }
        let is_new = now.label != base.label && !unsaved.replaced;
        let same = |theirs: &&Thing| {
            let label = (base.label == 0 && !is_new) || theirs.label == base.label;
            theirs.count == base.count && label
        };
        match self.stored.get(&at).filter(same) {
            None => self.overwritten(at, now),
            Some(_) if unsaved.replaced => Some(now),
            Some(theirs) if now.label == base.label => Some(Thing { label: theirs.label, ..now }),
            Some(_) => Some(now),
        }
    }

    /// What changed, over whatever is stored beside it, and whether what is known is a part of it.
    fn field_wise(&self, at: At, now: Thing, unsaved: &Unsaved) -> (Option<Thing>, bool) {
        if unsaved.replaced {
            return (Some(now), false);
        }
        let waiting = unsaved.waiting;
        let stored = self.stored.get(&at);
        match (&unsaved.base, stored) {
            (Known::There(base), _) => {
                let alone = waiting != 0 && now.count - waiting == base.count;
                let count = !alone && now.count != base.count;
                let label = now.label != base.label;
                if stored.is_none() && (label || count) {
                    return (Some(now), false);
                }
                if !label && !count && !alone {
                    return (None, false);
                }
                let mut new = stored.cloned().unwrap_or_else(|| thing(at, 0, 0));
                new.label = if label { now.label } else { new.label };
                new.count = if count { now.count } else { new.count };
                new.count += if alone { waiting } else { 0 };
                (Some(new), false)
            }
            (Known::Absent, Some(theirs)) => {
                let alone = waiting != 0 && now.count == waiting;
                let count = if alone { theirs.count + waiting } else { now.count };
                let new = Thing { count, ..over(now, theirs) };
                let is_met = !alone && new == *theirs;
                ((!is_met).then_some(new), true)
            }
            (Known::Absent, None) => (Some(now), false),
            (_, None) => (Some(now), true),
            (_, Some(theirs)) => (Some(over(now, theirs)), true),
        }
    }

    /// What changed, if that is as it was seen, and else over it.
    fn guarded_fields(&self, at: At, now: Thing, unsaved: &Unsaved) -> (Option<Thing>, bool) {
        let stored = self.stored.get(&at);
        let (base, theirs) = match (&unsaved.base, stored) {
            _ if unsaved.replaced => return (self.guarded(at, now, unsaved), false),
            (Known::There(base), _) if *base == now => return (None, false),
            (Known::There(base), Some(theirs)) => (base, theirs),
            (Known::Absent, Some(theirs)) => {
                return (Some(over(now, theirs)).filter(|new| new != theirs), true);
            }
            _ => return (self.overwritten(at, now), false),
        };
        let (label, count) = (now.label != base.label, now.count != base.count);
        let is_conflict =
            (label && theirs.label != base.label) || (count && theirs.count != base.count);
        let new = Thing {
            label: if label { now.label } else { theirs.label },
            count: if count { now.count } else { theirs.count },
            ..now
        };
        // Where nothing is met, it is written without a look.
        let is_met = is_conflict && new == *theirs;
        ((!is_met).then_some(new), is_conflict)
    }
}

/// A record over what others stored: what it does not have is theirs.
fn over(now: Thing, theirs: &Thing) -> Thing {
    let label = if now.label == 0 { theirs.label } else { now.label };
    Thing { label, ..now }
}

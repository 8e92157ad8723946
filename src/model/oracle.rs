//! What a memory table must say and store, as plain maps.

mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use writes::Saved;

use super::step::{At, everywhere};
use crate::Record;
use crate::key::{Key, KeyRef};

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
    /// What becomes of the item that is stored.
    item: Item,
    /// A change took the label away.
    taken: bool,
    /// A change made the count another one, not only added to it.
    set: bool,
    /// How it is written, if not as the others.
    by_call: Option<Writing>,
    waiting: i64,
    /// The number of the first change.
    first: u64,
}

/// What becomes of the item that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Kept,
    /// It was deleted meanwhile.
    Deleted,
    /// What comes is another item, be it equal.
    Another,
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

pub(super) fn key(at: At) -> Key {
    Key::new(&KeyRef::composite(&at.0, &at.1)).expect("a key")
}

impl Oracle {
    pub(super) fn new(writing: Writing) -> Self {
        Self { writing, ..Self::default() }
    }

    fn writing(&self, unsaved: &Unsaved) -> Writing {
        unsaved.by_call.unwrap_or(self.writing)
    }

    /// Whether increments beside a changed record go on their own.
    fn goes_alone(&self, at: At) -> bool {
        let writing = self.unsaved.get(&at).map_or(self.writing, |unsaved| self.writing(unsaved));
        writing == Writing::FieldWise
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
        let new = Unsaved {
            base,
            image: false,
            item: Item::Kept,
            taken: false,
            set: false,
            by_call: None,
            waiting: 0,
            first,
        };
        self.unsaved.entry(at).or_insert(new)
    }

    pub(super) fn put(&mut self, at: At, new: Thing) {
        self.put_by(at, new, None);
    }

    /// A call that says how the record is written until it is saved.
    pub(super) fn put_by(&mut self, at: At, new: Thing, writing: Option<Writing>) {
        let (had_label, had_other_count) = match self.known(at) {
            Known::There(now) => (now.label != 0, now.count != new.count),
            _ => (false, false),
        };
        let unsaved = self.change(at);
        unsaved.image = true;
        unsaved.by_call = writing.or(unsaved.by_call);
        if self.goes_alone(at) {
            let unsaved = self.change(at);
            unsaved.taken |= had_label && new.label == 0;
            unsaved.set |= had_other_count;
        } else {
            let unsaved = self.change(at);
            (unsaved.waiting, unsaved.taken, unsaved.set) = (0, false, false);
        }
        self.known.insert(at, Known::There(new));
    }

    /// How `put_guarded` writes.
    pub(super) fn guard(&self) -> Writing {
        match self.writing {
            Writing::GuardedFields => Writing::GuardedFields,
            _ => Writing::Guarded,
        }
    }

    /// A record takes the place of another one.
    pub(super) fn rekey(&mut self, old: At, new: At, record: Thing) {
        let by_call = self.unsaved.get(&old).and_then(|unsaved| unsaved.by_call);
        self.put_by(new, record, by_call);
        let unsaved = self.change(new);
        unsaved.item = Item::Another;
        self.delete(old);
    }

    /// Everything unsaved is given away.
    pub(super) fn take_unsaved(&mut self) -> Vec<crate::Unsaved<Thing>> {
        let mut taken = Vec::new();
        for at in self.unsaved() {
            let unsaved = self.unsaved.get(&at).expect("it is unsaved");
            taken.push(match self.known(at) {
                _ if !unsaved.image => {
                    let sum = ("count".to_owned(), unsaved.waiting.into());
                    crate::Unsaved::Increment(key(at), vec![sum])
                }
                Known::There(now) => crate::Unsaved::Put(Arc::new(now)),
                _ => crate::Unsaved::Delete(key(at)),
            });
            self.forget(at);
        }
        taken
    }

    pub(super) fn reset_forced(&mut self) {
        self.unsaved.clear();
        self.reset();
    }

    pub(super) fn delete(&mut self, at: At) {
        let unsaved = self.change(at);
        unsaved.item = unsaved.item.max(Item::Deleted);
        (unsaved.image, unsaved.taken, unsaved.set, unsaved.waiting) = (true, false, false, 0);
        self.known.insert(at, Known::Absent);
    }

    pub(super) fn increment(&mut self, at: At, by: i64) {
        let alone = self.goes_alone(at);
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
}

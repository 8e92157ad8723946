//! What a flush writes of a key, in each way to write.

use super::{Item, Known, Oracle, Thing, Unsaved, Writing, thing};
use crate::model::step::At;

/// How a key was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Saved {
    Written,
    Deleted,
    Unchanged,
}

impl Oracle {
    /// Saves a key, if there is something to save.
    pub(in crate::model) fn flush(&mut self, at: At) -> Option<Saved> {
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
                let (new, is_part) = match self.writing(&unsaved) {
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
            _ if unsaved.base == Known::Absent && !unsaved.is_another() => Saved::Unchanged,
            _ => {
                self.stored.remove(&at);
                Saved::Deleted
            }
        })
    }

    /// The whole record, whatever is stored.
    fn plain(now: Thing, unsaved: &Unsaved) -> Option<Thing> {
        (unsaved.is_another() || unsaved.base != Known::There(now.clone())).then_some(now)
    }

    /// The whole record over what was met, if that differs.
    fn overwritten(&self, at: At, now: Thing) -> Option<Thing> {
        (self.stored.get(&at) != Some(&now)).then_some(now)
    }

    /// What changed, if all that was seen is still stored, else the whole record.
    fn guarded(&self, at: At, now: Thing, unsaved: &Unsaved) -> Option<Thing> {
        let Known::There(base) = &unsaved.base else {
            // Nothing was seen that could be expected of what was deleted.
            let is_sent = unsaved.base == Known::Unknown && unsaved.is_replaced();
            return if is_sent { Some(now) } else { self.overwritten(at, now) };
        };
        if *base == now && !unsaved.is_another() {
            return None;
        }
        if self.stored.get(&at) == Some(base) { Some(now) } else { self.overwritten(at, now) }
    }

    /// What changed, over whatever is stored beside it, and whether what is known is a part of it.
    fn field_wise(&self, at: At, now: Thing, unsaved: &Unsaved) -> (Option<Thing>, bool) {
        if unsaved.is_replaced() {
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
                let alone = waiting != 0 && now.count == waiting && !unsaved.set;
                let count = if alone { theirs.count + waiting } else { now.count };
                let new = Thing { count, ..over(now, theirs, unsaved.taken) };
                let is_met = !alone && new == *theirs;
                ((!is_met).then_some(new), true)
            }
            (Known::Absent, None) => (Some(now), false),
            (_, None) => (Some(now), true),
            (_, Some(theirs)) => (Some(over(now, theirs, unsaved.taken)), true),
        }
    }

    /// What changed, if that is as it was seen, and else over it.
    fn guarded_fields(&self, at: At, now: Thing, unsaved: &Unsaved) -> (Option<Thing>, bool) {
        let stored = self.stored.get(&at);
        let (base, theirs) = match (&unsaved.base, stored) {
            _ if unsaved.is_replaced() => return (self.guarded(at, now, unsaved), false),
            (Known::There(base), _) if *base == now => return (None, false),
            (Known::There(base), Some(theirs)) => (base, theirs),
            (Known::Absent, Some(theirs)) => {
                return (Some(over(now, theirs, false)).filter(|new| new != theirs), true);
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

impl Unsaved {
    fn is_replaced(&self) -> bool {
        self.item >= Item::Deleted
    }

    fn is_another(&self) -> bool {
        self.item == Item::Another
    }
}

/// A record over what others stored: what it does not have is theirs, unless that was taken away.
fn over(now: Thing, theirs: &Thing, is_taken: bool) -> Thing {
    let label = if now.label == 0 && !is_taken { theirs.label } else { now.label };
    Thing { label, ..now }
}

//! What changes made of the attributes of an item that was never seen, or only in part: set, taken away, or
//! only added to. The record alone does not say: it shows a sum as it shows a number that was set.

use std::sync::Arc;

use super::Shared;
use super::slot::{Change, Known, Slot};
use crate::codec::tree::{Fields, field, same_field};
use crate::error::Error;
use crate::guard::{Mode, has_name};
use crate::key::Key;
use crate::record::Record;

/// Names of attributes, few.
pub(crate) type Names = Vec<Box<str>>;

fn insert(names: &mut Names, name: &str) {
    if !has_name(names, name) {
        names.push(name.into());
    }
}

/// The attributes of a record that are not simply set; mostly there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(Option<Box<Lists>>);

/// The attributes of a record that are not simply set.
///
/// Invariants, for a record whose item is not known as a whole; where it is, nothing stands here, and the
/// two are compared:
/// 1. What the record shows is set, unless it is in `added`.
/// 2. What it does not show stays as it is stored, unless it is in `changed`: then it is taken away.
/// 3. What is in both is set: it was taken away, and is added to since.
#[derive(Clone, Debug, Default)]
struct Lists {
    /// Attributes that the record has by increments alone.
    added: Names,
    /// Attributes that a change set or took away that the record had otherwise before; but for those that are
    /// in flight so.
    changed: Names,
}

impl Touched {
    pub(crate) fn is_added(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|lists| has_name(&lists.added, name)) && !self.is_changed(name)
    }

    pub(crate) fn is_changed(&self, name: &str) -> bool {
        has_name(self.changed(), name)
    }

    pub(crate) fn has_added(&self) -> bool {
        self.0.as_ref().is_some_and(|lists| !lists.added.is_empty())
    }

    pub(crate) fn changed(&self) -> &[Box<str>] {
        self.0.as_ref().map_or(&[], |lists| &lists.changed)
    }

    #[cfg(feature = "journal")]
    pub(crate) fn added(&self) -> &[Box<str>] {
        self.0.as_ref().map_or(&[], |lists| &lists.added)
    }

    fn lists(&mut self) -> &mut Lists {
        self.0.get_or_insert_default()
    }

    /// These are added to, and nothing else was done to them.
    pub(crate) fn add(&mut self, names: &[Box<str>]) {
        for name in names {
            insert(&mut self.lists().added, name);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes in what a change makes of the record that was known.
    pub(crate) fn change<T>(&mut self, diff: &Diff<T>) {
        for name in &diff.differing {
            let lists = self.lists();
            lists.added.retain(|added| added != name);
            insert(&mut lists.changed, name);
        }
    }

    /// All that was changed until now is in flight.
    pub(crate) fn fly(&mut self) -> Names {
        self.0.as_mut().map(|lists| std::mem::take(&mut lists.changed)).unwrap_or_default()
    }

    /// What was in flight is not written.
    pub(crate) fn give_back(&mut self, changed: &[Box<str>]) {
        for name in changed {
            insert(&mut self.lists().changed, name);
        }
    }
}

/// What a change makes of a record that others were made of.
#[derive(Debug)]
pub(crate) struct Diff<T> {
    from: Arc<T>,
    /// The attributes that differ.
    differing: Names,
}

impl<T> Clone for Diff<T> {
    fn clone(&self) -> Self {
        Self { from: Arc::clone(&self.from), differing: self.differing.clone() }
    }
}

impl<T> Diff<T> {
    pub(super) fn is_of(&self, now: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.from, now)
    }
}

impl<T: Record> Slot<T> {
    /// What is known now, if it must be told what a change makes of it.
    pub(crate) fn to_compare(&self, change: &Change<T>, table: Mode) -> Option<Arc<T>> {
        let unsaved = self.unsaved.as_ref().map(|unsaved| &unsaved.base);
        let outdated = self.outdated.as_ref().map(|outdated| &outdated.base);
        let base = unsaved.or(outdated)?;
        let mode = self.mode_with(change.mode, table).unwrap_or(table);
        if mode != Mode::FieldWise || base.is_whole() || change.is_moved() {
            return None;
        }
        let (now, new) = (self.compared()?, change.now.record()?);
        let is_told = change.diff.as_ref().is_some_and(|diff| diff.is_of(now));
        (!is_told && !Arc::ptr_eq(now, &new)).then(|| Arc::clone(now))
    }

    /// The record that changes begin from.
    pub(crate) fn compared(&self) -> Option<&Arc<T>> {
        let shown = self.outdated.as_ref().map(|outdated| &outdated.shown);
        match shown.filter(|shown| !shown.is_unknown()).unwrap_or(&self.now) {
            Known::Record(record) => Some(record),
            Known::Absent | Known::Unknown => None,
        }
    }
}

impl<T: Record> Shared<T> {
    /// What a change makes of the record.
    pub(super) fn diff(
        &self,
        key: &Key,
        from: Arc<T>,
        to: &Known<T>,
    ) -> Result<Option<Diff<T>>, Error> {
        let Some(to) = to.record() else { return Ok(None) };
        let (before, after) = (self.encoded_form(&from, key)?, self.encoded_form(&to, key)?);
        let (before, after) = (self.fields(&before.json, key)?, self.fields(&after.json, key)?);
        let differing = differing(&before, &after);
        Ok(Some(Diff { from, differing }))
    }
}

fn differing(before: &Fields<'_>, after: &Fields<'_>) -> Names {
    let gone = before.iter().filter(|(name, _)| field(after, name).is_none());
    let other = after.iter().filter(|(name, _)| !same_field(before, after, name));
    gone.chain(other).map(|(name, _)| (&**name).into()).collect()
}

//! How the record's type has attributes that are added to, beside how the item has them.

use super::Shared;
use super::increment::{Before, overflowed};
use super::slot::Known;
use super::touched::Names;
use crate::codec::key_json;
use crate::codec::tree::{Fields, field};
use crate::error::Error;
use crate::guard::has_name;
use crate::key::Key;
use crate::record::Record;
use crate::sums::{Sums, number_of};
use crate::types::Number;

/// What is known of attributes that are to be added to.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// The type has another number for one of them than the item: it has it by another name, by a default,
    /// or as `after_load` made it. The service would add to what the item has.
    pub(super) is_converted: bool,
    /// Those that the record has by increments alone, once it has these.
    pub(super) added: Names,
    /// Those of which the record shows nothing that was added before.
    pub(super) unset: Names,
}

/// A record and its item, and the increments between them.
struct Sides<'f> {
    shown: Fields<'f>,
    stored: Option<Fields<'f>>,
    between: Sums,
}

impl<T: Record> Shared<T> {
    /// What is known of these attributes; the caller has the record's turn.
    pub(super) fn forms(&self, key: &Key, before: &Before<T>, sums: &Sums) -> Result<Forms, Error> {
        let base = &before.base;
        let is_absent = base.is_absent();
        let Known::Record(now) = &before.now else {
            let is_made = is_absent && matches!(before.now, Known::Absent);
            let added = if is_made { sums.names().map(Box::from).collect() } else { Names::new() };
            return Ok(Forms { added, ..Forms::default() });
        };
        let is_as_written = base.item.is_none() && base.kept.is_none();
        if base.is_whole() && (before.image || is_as_written) {
            return Ok(Forms::default());
        }
        let stored =
            if is_absent { Some(key_json::<T>(key)) } else { self.stored_item(key, base)? };
        let shown = self.encoded_form(now, key)?;
        let sides = Sides {
            shown: self.fields(&shown.json, key)?,
            stored: stored.as_deref().map(|item| self.fields(item, key)).transpose()?,
            between: before.frozen.plus(&before.waiting).map_err(overflowed)?,
        };
        let is_added = |name: &str| before.touched.is_added(name);
        let mut others = sums.names().filter(|name| !is_added(name));
        let is_converted = !before.image && others.any(|name| sides.is_converted::<T>(name));
        if base.is_whole() {
            return Ok(Forms { is_converted, ..Forms::default() });
        }
        let (mut added, mut unset) = (Names::new(), Names::new());
        for name in sums.names().filter(|name| !before.touched.is_changed(name)) {
            let is_shown = field(&sides.shown, name).is_some();
            let is_flown = has_name(&before.flown, name);
            if is_added(name) || sides.is_only_added(name, is_absent) {
                added.push(name.into());
                unset.extend((!is_shown && !is_flown).then(|| name.into()));
            }
        }
        Ok(Forms { is_converted, added, unset })
    }
}

impl Sides<'_> {
    fn is_converted<T: Record>(&self, name: &str) -> bool {
        let Self { shown, stored: Some(stored), .. } = self else { return false };
        let is_alias = |name: &str| T::ALIASES.contains(&name) && field(shown, name).is_none();
        let has_alias = stored.iter().any(|(name, _)| is_alias(name));
        // With both names the item could not be read any more.
        let is_twice = field(stored, name).is_none() && field(shown, name).is_some();
        (has_alias && is_twice) || self.as_added(name) != Some(true)
    }

    /// Whether the record shows of an attribute what is stored and what was added since; `None` if one of
    /// them is no number.
    fn as_added(&self, name: &str) -> Option<bool> {
        let number = |item: &Fields<'_>| match field(item, name) {
            None => Some(Number::default()),
            Some(node) => number_of(node),
        };
        let stored = self.stored.as_ref().map_or_else(|| Some(Number::default()), number)?;
        let expected = match self.between.get(name) {
            None => stored,
            Some(by) => stored.checked_add(by)?,
        };
        Some(number(&self.shown)? == expected)
    }

    /// Whether nothing was done to an attribute but to add to it. Where there is no item, one that is 0 but
    /// for that counts as such.
    fn is_only_added(&self, name: &str, is_absent: bool) -> bool {
        let is_stored = self.stored.as_ref().is_some_and(|it| field(it, name).is_some());
        let is_shown = field(&self.shown, name).is_some();
        !is_stored && (!is_shown || (is_absent && self.as_added(name) == Some(true)))
    }
}

//! How the record's type has attributes that are added to, beside how the item has them.

use super::Shared;
use super::increment::{Before, overflowed};
use super::slot::Known;
use crate::codec::key_json;
use crate::codec::tree::{Fields, field};
use crate::error::Error;
use crate::key::Key;
use crate::record::Record;
use crate::sums::{Sums, number_of};
use crate::types::Number;

impl<T: Record> Shared<T> {
    /// Whether the type has another number for one of these attributes than the item: it has it by another
    /// name, by a default, or as `after_load` made it. The service would add to what the item has.
    pub(super) fn is_converted(
        &self,
        key: &Key,
        before: &Before<T>,
        sums: &Sums,
    ) -> Result<bool, Error> {
        let Known::Record(now) = &before.now else { return Ok(false) };
        let stored = match (self.stored_item(key, &before.base)?, &before.base.known) {
            (Some(item), _) => item,
            (None, Known::Absent) => key_json::<T>(key),
            (None, _) => return Ok(false),
        };
        let shown = self.encoded_form(now, key)?;
        let (shown, stored) = (self.fields(&shown.json, key)?, self.fields(&stored, key)?);
        let added = before.frozen.plus(&before.waiting).map_err(overflowed)?;
        let number = |item: &Fields<'_>, name: &str| match field(item, name) {
            None => Some(Number::default()),
            Some(node) => number_of(node),
        };
        let has_alias = stored
            .iter()
            .any(|(name, _)| T::ALIASES.contains(&&**name) && field(&shown, name).is_none());
        Ok(sums.names().any(|name| {
            // With both names the item could not be read any more.
            if has_alias && field(&stored, name).is_none() && field(&shown, name).is_some() {
                return true;
            }
            let (Some(shown), Some(stored)) = (number(&shown, name), number(&stored, name)) else {
                return true;
            };
            let expected =
                added.get(name).map_or(Some(stored.clone()), |it| stored.checked_add(it));
            expected != Some(shown)
        }))
    }

    /// Those increments whose attributes the record does not have, while it is not known what is stored of them:
    /// they are not set, and only added to.
    pub(super) fn unset(&self, key: &Key, before: &Before<T>, sums: &Sums) -> Result<Sums, Error> {
        let Known::Record(now) = &before.now else { return Ok(Sums::default()) };
        let base = &before.base;
        if base.is_seen() && !base.partial {
            return Ok(Sums::default());
        }
        let stored = self.stored_item(key, base)?;
        let stored = stored.as_deref().map(|item| self.fields(item, key)).transpose()?;
        let shown = self.encoded_form(now, key)?;
        let shown = self.fields(&shown.json, key)?;
        let is_stored = |name: &str| stored.as_ref().is_some_and(|it| field(it, name).is_some());
        let is_unset =
            |name: &str| !is_stored(name) && field(&shown, name).is_none() && !base.is_unread(name);
        Ok(sums.clone().partition(is_unset).0)
    }
}

//! What a stored item has and the record's type does not know.
//!
//! A BatchWriteItem put replaces the whole item, so attributes that the type does not declare
//! would be wiped by the first flush. They are kept beside the record as they were stored, and so
//! is the stored form of an attribute that serde would write differently (a set read into a `Vec`
//! must not return as a list): as long as its value did not change, it is written back as it was.

use std::borrow::Cow;
use std::sync::Arc;

use super::tree::{
    Fields, Malformed, Node, field, fields_size, parse_item, parse_value, write_fields,
};
use super::{CodecError, EncodedItem};
use crate::record::Record;

/// Attributes to write back as they were stored. Absent for most records, so it costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    entries: Vec<Entry>,
    /// Saving the record as it was loaded would change the item: it lacks attributes that the type
    /// writes, or has one under another name.
    stale: bool,
    /// The bytes that the item had more than the record, by DynamoDB's arithmetic. Of the whole item
    /// only.
    beside: usize,
    /// The item as it was stored, where it cannot be made of the record and the entries: that is
    /// stale, or the record's `after_load` changed it. Of the whole item only.
    original: Option<Box<[u8]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Box<str>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Write `stored` (DynamoDB JSON of the value) as long as the record still encodes the
    /// attribute as it did when it was loaded (`None`: not at all).
    Attribute { stored: Box<[u8]>, loaded: Option<Box<[u8]>> },
    /// The attribute is a map on both sides; the same holds within it.
    Within(Kept),
}

impl Kept {
    /// Compares an item with what the record made of it encodes to.
    ///
    /// `declared` are the names that serde asked for; with `flatten` and tagged enums it asks for
    /// none, and then what was encoded again is what the type knows.
    pub(crate) fn of<T: Record>(
        stored: &Fields<'_>,
        again: &[u8],
        declared: &[&str],
    ) -> Result<Option<Self>, CodecError> {
        let again = parse_item(again).map_err(|error| CodecError::new(error.to_string()))?;
        // An alias is read into a field that is written under its own name.
        let alias = |name: &str| T::ALIASES.contains(&name) && declared.contains(&name);
        let beside = fields_size(stored).saturating_sub(fields_size(&again));
        Ok(Self::between(stored, &again, &alias).map(|kept| Self { beside, ..kept }))
    }

    /// The same with the item itself.
    pub(crate) fn with_original(kept: Option<Self>, item: &[u8]) -> Self {
        let none = Self { entries: Vec::new(), stale: false, beside: 0, original: None };
        Self { original: Some(item.into()), ..kept.unwrap_or(none) }
    }

    /// The same once the record was saved but for what its type adds, by the item as it is stored now.
    pub(crate) fn lacking(kept: Option<&Self>, item: &[u8]) -> Self {
        let saved = kept.and_then(Self::saved);
        Self { stale: true, ..Self::with_original(saved, item) }
    }

    /// The same beside a record whose item is stored as this now.
    pub(crate) fn beside_item(self: &Arc<Self>, item: &[u8]) -> Arc<Self> {
        if self.original.is_none() {
            return Arc::clone(self);
        }
        Arc::new(Self { original: Some(item.into()), ..Self::clone(self) })
    }

    /// The item as it is stored, of which this is kept beside the record that is given encoded.
    pub(crate) fn stored(&self, record: EncodedItem) -> Result<Vec<u8>, CodecError> {
        match &self.original {
            Some(item) => Ok(item.to_vec()),
            None => self.restore(record).map(|item| item.json),
        }
    }

    fn between(
        stored: &Fields<'_>,
        loaded: &Fields<'_>,
        dropped: &dyn Fn(&str) -> bool,
    ) -> Option<Self> {
        let mut entries = Vec::new();
        let mut stale = loaded.iter().any(|(name, _)| field(stored, name).is_none());
        for (name, node) in stored {
            let what = match (node, field(loaded, name)) {
                (_, None) if dropped(name) => {
                    stale = true;
                    continue;
                }
                (Node::M(stored), Some(Node::M(loaded))) => {
                    let within = Self::between(stored, loaded, &|_| false);
                    stale |= within.as_ref().is_some_and(|within| within.stale);
                    within.map(What::Within)
                }
                (node, Some(loaded)) if node.same(loaded) => None,
                (node, loaded) => {
                    Some(What::Attribute { stored: json(node), loaded: loaded.map(json) })
                }
            };
            entries.extend(what.map(|what| Entry { name: (&**name).into(), what }));
        }
        let kept = Self { entries, stale, beside: 0, original: None };
        (stale || !kept.entries.is_empty()).then_some(kept)
    }

    /// The bytes that the item has more than the record, about: they are those of when it was loaded.
    pub(crate) const fn beside(&self) -> usize {
        self.beside
    }

    /// Whether saving the record as it was loaded would change the item.
    pub(crate) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether something of it holds only until the record is saved.
    pub(crate) const fn ends_with_a_save(&self) -> bool {
        self.stale || self.original.is_some()
    }

    /// The same once the record was saved; `None` if nothing is kept then.
    pub(crate) fn saved(&self) -> Option<Self> {
        let beside = self.beside;
        let entries = || self.entries.clone();
        let saved = || Self { entries: entries(), stale: false, beside, original: None };
        (!self.entries.is_empty()).then(saved)
    }

    /// Adds to a record's encoding what it kept.
    pub(crate) fn restore(&self, item: EncodedItem) -> Result<EncodedItem, CodecError> {
        let unreadable = |error: Malformed| CodecError::new(error.to_string());
        let mut fields = parse_item(&item.json).map_err(unreadable)?;
        self.restore_into(&mut fields).map_err(unreadable)?;
        let mut json = Vec::with_capacity(item.json.len() + 64);
        write_fields(&mut json, &fields);
        Ok(EncodedItem { json, size: fields_size(&fields) })
    }

    fn restore_into<'a>(&'a self, fields: &mut Fields<'a>) -> Result<(), Malformed> {
        for Entry { name, what } in &self.entries {
            let at = fields.iter().position(|(known, _)| **known == **name);
            match what {
                What::Within(kept) => {
                    if let Some((_, Node::M(inner))) = at.and_then(|at| fields.get_mut(at)) {
                        kept.restore_into(inner)?;
                    }
                }
                What::Attribute { stored, loaded } => {
                    let now = at.and_then(|at| fields.get(at)).map(|(_, node)| node);
                    if !unchanged(now, loaded.as_deref())? {
                        continue;
                    }
                    let stored = parse_value(stored)?;
                    match at.and_then(|at| fields.get_mut(at)) {
                        Some(field) => field.1 = stored,
                        None => fields.push((Cow::Borrowed(name), stored)),
                    }
                }
            }
        }
        Ok(())
    }
}

fn unchanged(now: Option<&Node<'_>>, loaded: Option<&[u8]>) -> Result<bool, Malformed> {
    Ok(match (now, loaded) {
        (None, None) => true,
        (Some(now), Some(loaded)) => now.same(&parse_value(loaded)?),
        _ => false,
    })
}

fn json(node: &Node<'_>) -> Box<[u8]> {
    let mut out = Vec::new();
    node.write_json(&mut out);
    out.into_boxed_slice()
}

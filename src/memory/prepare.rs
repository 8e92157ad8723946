//! What is to be sent for a slot: made of the record, what is kept beside it, and what is stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::attempt::{Attempt, Doubt, Met};
use super::fence::Expectation;
use super::outgoing::Sent;
use super::slot::Known;
use super::touched::Names;
use crate::breaks::broken;
use crate::capacity::write_units;
use crate::codec::tree::{Fields, Node, field, parse_item, write_fields};
use crate::codec::{EncodedItem, decode_again, key_json, same_items};
use crate::error::Error;
use crate::guard::{self, Mode, Outgoing, Request, Stored, has_name};
use crate::key::Key;
use crate::record::Record;
use crate::store::Action;
use crate::sums::{Sums, number_of};
use crate::types::Number;

/// What is to be sent for a slot.
pub(super) enum Prepared<T> {
    Send(Box<Send<T>>),
    /// Nothing.
    Unchanged(Same<T>),
}

/// What is stored already.
pub(super) struct Same<T> {
    pub(super) now: Known<T>,
    /// The increments that are in it.
    pub(super) absorbed: Sums,
    /// The item, where the type would write more.
    pub(super) lacking: Met,
    /// What writing it would have cost.
    pub(super) units: f64,
}

pub(super) struct Send<T> {
    pub(super) action: Action,
    /// The item, where increments wait that the record shows.
    pub(super) item: Option<Arc<[u8]>>,
    /// The record with the version that it is to have.
    pub(super) now: Known<T>,
    /// What goes alone.
    pub(super) attempt: Option<Attempt>,
    /// The increments that are in the item and go by that.
    pub(super) absorbed: Sums,
    /// The item as it is stored then, where the type would write more.
    pub(super) lacking: Option<Arc<[u8]>>,
}

impl<T> Send<T> {
    /// The item as it is to be; `None` if there is to be none.
    pub(super) fn target(&self) -> Option<&[u8]> {
        match (&self.action, &self.attempt) {
            (Action::Put(item), _) => Some(&item.json),
            (_, Some(attempt)) => attempt.item.as_deref(),
            _ => None,
        }
    }
}

/// The whole record, as it is stored or not.
enum Whole {
    /// As it is: it would have cost so many units.
    Same(f64),
    Other(Action),
}

/// What deleting costs where there is no item.
const OF_NOTHING: f64 = 1.0;

/// The item that a record is to be.
struct Target {
    /// Without the increments that go on their own.
    item: EncodedItem,
    /// Those that are in it.
    absorbed: Sums,
}

impl<T: Record> Shared<T> {
    /// What is to be sent for a slot.
    pub(super) fn prepare(&self, key: &Key, sent: &Sent<T>) -> Result<Prepared<T>, Error> {
        match sent.mode {
            Mode::Plain => {
                let (now, absorbed) = (sent.now.clone(), Sums::default());
                Ok(match self.whole(key, sent)? {
                    Whole::Same(units) => {
                        Prepared::Unchanged(Same { now, absorbed, lacking: None, units })
                    }
                    Whole::Other(action) => Prepared::Send(Box::new(Send {
                        action,
                        item: None,
                        now,
                        attempt: None,
                        absorbed,
                        lacking: None,
                    })),
                })
            }
            Mode::Guarded(_) | Mode::FieldWise => self.alone(key, sent),
        }
    }

    /// The whole record, whatever is stored.
    fn whole(&self, key: &Key, sent: &Sent<T>) -> Result<Whole, Error> {
        match (&sent.now, &sent.base.for_sure()) {
            (Known::Record(now), Known::Record(base)) if !sent.is_stale() => {
                let item = self.item(now, key, None)?;
                let unchanged =
                    self.item(base, key, None).is_ok_and(|base| same_items(&item.json, &base.json));
                if unchanged {
                    let beside = sent.kept.as_ref().map_or(0, |kept| kept.beside());
                    return Ok(Whole::Same(write_units(item.size + beside)));
                }
                self.restored(item, key, sent.kept.as_deref()).map(Action::Put).map(Whole::Other)
            }
            (Known::Record(now), _) => {
                self.item(now, key, sent.kept.as_deref()).map(Action::Put).map(Whole::Other)
            }
            // An absence that was read eventually may be none.
            (_, Known::Absent) if self.options.consistent => Ok(Whole::Same(OF_NOTHING)),
            (Known::Absent, Known::Unknown) if broken(3) => Ok(Whole::Same(OF_NOTHING)),
            _ => Ok(Whole::Other(Action::Delete(key_json::<T>(key)))),
        }
    }

    /// What changed, alone.
    fn alone(&self, key: &Key, sent: &Sent<T>) -> Result<Prepared<T>, Error> {
        let base = self.stored_item(key, &sent.base)?;
        let fields = base.as_deref().map(|item| self.fields(item, key)).transpose()?;
        let stored = match (&fields, &sent.base.known) {
            (Some(fields), _) => Stored::Item(fields),
            (None, Known::Absent) => Stored::Absent,
            (None, _) => {
                let version = sent.now.record().map_or(0, |now| now.version());
                Stored::Unknown { version }
            }
        };
        let versioned = |version| {
            let given = || with_version(&sent.now, version, sent.mode);
            let given = catch_unwind(AssertUnwindSafe(given));
            given.map_err(|_| {
                self.unstorable(key, "its `Clone` or `set_version` panicked".to_owned())
            })
        };
        let now = versioned(stored.version::<T>().saturating_add(1))?;
        let target = self.target(key, sent, &now, stored)?;
        let (item, absorbed) = match target {
            Some(Target { item, absorbed }) => (Some(item), absorbed),
            None => (None, Sums::default()),
        };
        let target_fields = item.as_ref().map(|item| self.fields(&item.json, key)).transpose()?;
        let target = item.as_ref().zip(target_fields.as_ref());
        let doubtful = self.doubtful(key, sent, fields.as_ref());
        let stored_fields = base.as_deref().zip(fields.as_ref());
        let written = self.as_written(key, sent, stored_fields, target);
        let written = written.as_deref().map(|item| self.fields(item, key)).transpose()?;
        let mut unseen: Names = sent.touched.changed().to_vec();
        unseen.retain(|name| fields.as_ref().is_none_or(|item| field(item, name).is_none()));
        let request = Request {
            key,
            mode: sent.mode,
            stored,
            absence_is_sure: self.options.consistent,
            target: target.map(|(item, fields)| guard::Target { item, fields }),
            replaces: sent.base.replaced,
            is_part: sent.base.partial,
            written: written.as_ref(),
            unseen: &unseen,
            doubtful: doubtful.as_deref(),
        };
        let outgoing = request.outgoing::<T>().map_err(|error| self.place(error).on_key(key))?;
        let lacking = |changed: &[Box<str>]| {
            let (stored, target) = fields.as_ref().zip(target_fields.as_ref())?;
            written.as_ref().and_then(|_| left_out::<T>(stored, target, changed))
        };
        let Some(Outgoing { action, changed, expects }) = outgoing else {
            let now = versioned(stored.version::<T>())?;
            let units = target.map_or(OF_NOTHING, |(item, _)| write_units(item.size));
            let lacking = lacking(&[]);
            return Ok(Prepared::Unchanged(Same { now, absorbed, lacking, units }));
        };
        let waits = sent.waiting.as_ref().is_some_and(|waiting| *waiting != absorbed)
            || sent.touched.has_added();
        let lacking = lacking(&changed);
        let item: Met = lacking.clone().or_else(|| item.map(|item| item.json.into()));
        let attempt = matches!(action, Action::Single(_)).then(|| Attempt {
            seq: sent.seq,
            mode: sent.mode,
            item: item.clone(),
            expects: expects.then(|| {
                let item = base.as_deref().map(Arc::from);
                let item = item.or_else(|| version_alone::<T>(&stored));
                Expectation { item, changed: changed.clone() }
            }),
            changed,
        });
        let item = item.filter(|_| waits);
        Ok(Prepared::Send(Box::new(Send { action, item, now, attempt, absorbed, lacking })))
    }

    /// The item that a record is to be, but for increments that go on their own: those of attributes
    /// that are otherwise as they are stored. An attribute that is written anyway has them, or it would
    /// for a moment be what nobody asked for. An item that is made has all its attributes, with the
    /// increments behind it: it may be made twice, as far as anybody hears, and they are done once.
    fn target(
        &self,
        key: &Key,
        sent: &Sent<T>,
        now: &Known<T>,
        stored: Stored<'_>,
    ) -> Result<Option<Target>, Error> {
        let Known::Record(record) = now else { return Ok(None) };
        let item = self.item(record, key, sent.kept.as_deref())?;
        let waiting = sent.waiting.clone().unwrap_or_default();
        let touched = &sent.touched;
        if sent.base.replaced || (waiting.is_empty() && !touched.has_added()) {
            return Ok(Some(Target { item, absorbed: waiting }));
        }
        let nothing = Fields::new();
        let (stored, is_made) = match stored {
            Stored::Unknown { .. } => (None, false),
            // What is known to be absent has no attributes.
            Stored::Absent => (Some(&nothing), true),
            Stored::Item(stored) => (Some(stored), false),
        };
        let shown = self.fields(&item.json, key)?;
        let below = |name: &str| number_of(field(&shown, name)?)?.checked_sub(waiting.get(name)?);
        let is_shown = |name: &str| field(&shown, name).is_some();
        let is_partial = stored.is_none() || sent.base.partial;
        let is_unchanged = |name: &str| match stored.and_then(|stored| field(stored, name)) {
            Some(before) => number_of(before).is_some_and(|it| Some(it) == below(name)),
            None if touched.is_added(name) => true,
            None if is_partial => !is_shown(name) && !touched.is_changed(name),
            None if touched.is_changed(name) => false,
            None => is_shown(name) && below(name) == Some(Number::default()),
        };
        let (alone, absorbed) = waiting.clone().partition(is_unchanged);
        let json = self.without(&item, key, &alone)?;
        let mut fields = self.fields(&json, key)?;
        // An attribute that an item lacks is not to be made before it is added to.
        let is_stored = |name: &str| stored.is_some_and(|stored| field(stored, name).is_some());
        let is_set = |name: &str| is_shown(name) && (is_stored(name) || is_made);
        fields.retain(|(name, _)| is_set(name) || !(alone.has(name) || touched.is_added(name)));
        for (_, node) in fields.iter_mut().filter(|(name, _)| is_made && alone.has(name)) {
            // What it shows may be less than what waits.
            *node = Node::N("0".into());
        }
        let mut json = Vec::with_capacity(item.json.len());
        write_fields(&mut json, &fields);
        Ok(Some(Target { item: EncodedItem { json, ..item }, absorbed }))
    }

    /// What is stored as the type would write it, where a write by fields may add to it.
    fn as_written(
        &self,
        key: &Key,
        sent: &Sent<T>,
        stored: Option<(&[u8], &Fields<'_>)>,
        target: Option<(&EncodedItem, &Fields<'_>)>,
    ) -> Option<Vec<u8>> {
        let (stored, fields) = stored.filter(|_| sent.mode.is_by_fields())?;
        let (_, target) = target?;
        let is_stale = sent.base.kept.as_ref().is_some_and(|kept| kept.is_stale());
        let lacks = || target.iter().any(|(name, _)| field(fields, name).is_none());
        if !is_stale && sent.base.item.is_none() && !lacks() {
            return None;
        }
        // What `after_load` changes is a change.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode_again::<T>(stored)));
        let decoded = decoded.ok()?.ok()?;
        Some(self.item(&decoded.record, key, decoded.kept.as_ref()).ok()?.json)
    }

    /// The attributes that attempts without an answer change, each once; `None` if what is stored is
    /// known for sure.
    fn doubtful(
        &self,
        key: &Key,
        sent: &Sent<T>,
        base: Option<&Fields<'_>>,
    ) -> Option<Vec<Box<str>>> {
        if sent.base.exact {
            return None;
        }
        let mut names: Vec<Box<str>> = sent.doubts.changed().to_vec();
        for doubt in sent.doubts.iter() {
            match doubt {
                Doubt::Alone(attempt) => names.extend(attempt.changed.iter().cloned()),
                Doubt::Whole { .. } => {
                    let item = self.item_of(key, doubt).flatten();
                    let fields = item.as_deref().and_then(|item| parse_item(item).ok());
                    let of = |fields: &Fields<'_>| -> Vec<Box<str>> {
                        fields.iter().map(|(name, _)| (&**name).into()).collect()
                    };
                    names.extend(fields.as_ref().map(of).unwrap_or_default());
                    names.extend(base.map(of).unwrap_or_default());
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

/// A guarded record with this version, if it has one at all.
fn with_version<T: Record>(now: &Known<T>, version: u64, mode: Mode) -> Known<T> {
    match (now, mode, T::VERSION) {
        (Known::Record(record), Mode::Guarded(_), Some(_)) if record.version() != version => {
            let mut record = (**record).clone();
            record.set_version(version);
            Known::Record(Arc::new(record))
        }
        _ => now.clone(),
    }
}

/// The item as it is stored once these attributes are changed, where its type would write more; `None` if
/// it would not.
fn left_out<T: Record>(stored: &Fields<'_>, item: &Fields<'_>, changed: &[Box<str>]) -> Met {
    let is_changed = |name: &str| has_name(changed, name);
    if is_changed(T::PARTITION_KEY) {
        // It is put as a whole.
        return None;
    }
    let mut lacks = false;
    let mut left = Fields::with_capacity(item.len());
    for (name, node) in item {
        let as_stored = if is_changed(name) { Some(node) } else { field(stored, name) };
        // Where nothing is sent the version is that of what is stored.
        let is_as_it_was = changed.is_empty() && T::VERSION == Some(&**name);
        lacks |= !is_as_it_was && as_stored.is_none_or(|stored| !stored.same(node));
        left.extend(as_stored.map(|node| (name.clone(), node.clone())));
    }
    let mut json = Vec::new();
    write_fields(&mut json, &left);
    lacks.then(|| json.into())
}

/// What is known of an item that was not seen: its version.
fn version_alone<T: Record>(stored: &Stored<'_>) -> Option<Arc<[u8]>> {
    let Stored::Unknown { version: 1.. } = stored else { return None };
    let mut json = Vec::new();
    let version = Node::N(stored.version::<T>().to_string().into());
    write_fields(&mut json, &[(T::VERSION?.into(), version)]);
    Some(json.into())
}

//! What to send for a record that is written alone: from what is stored and what is to be stored.

use std::sync::Arc;

use super::{Guard, Mode};
use crate::codec::tree::{Fields, Node, field, same_field, write_fields};
use crate::codec::{EncodedItem, key_json};
use crate::condition::{Changed, Expected, Rendered};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::{Record, is_key};
use crate::store::{Action, Form, Returns, Single};

/// What is stored, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored<'a> {
    /// Nothing is known; the record that is to be stored says the version that it comes from.
    Unknown {
        version: u64,
    },
    Absent,
    Item(&'a Fields<'a>),
}

impl Stored<'_> {
    /// The version that is stored; 0 if there is none.
    pub(crate) fn version<T: Record>(&self) -> u64 {
        match self {
            Self::Unknown { version } => *version,
            Self::Absent => 0,
            Self::Item(item) => match version_of::<T>(item) {
                Some(Node::N(text)) => text.parse().unwrap_or(0),
                _ => 0,
            },
        }
    }
}

fn version_of<'n, T: Record>(item: &'n Fields<'n>) -> Option<&'n Node<'n>> {
    field(item, T::VERSION?)
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) item: &'a EncodedItem,
    /// The same, to be looked at.
    pub(crate) fields: &'a Fields<'a>,
}

/// A write of a record in a mode other than the plain one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) key: &'a Key,
    pub(crate) mode: Mode,
    pub(crate) stored: Stored<'a>,
    /// Absence was read consistently.
    pub(crate) absence_is_sure: bool,
    /// `None`: it is to be deleted.
    pub(crate) target: Option<Target<'a>>,
    /// What is stored is known in part: what it lacks was not seen to be absent.
    pub(crate) is_part: bool,
    /// The record was deleted since: nothing of what is stored is to stay.
    pub(crate) replaces: bool,
    /// What is stored as the type would write it, where that may have more.
    pub(crate) written: Option<&'a Fields<'a>>,
    /// Attributes that were set or taken away, though it is not known what is stored of them.
    pub(crate) unseen: &'a [Box<str>],
    /// What is stored may be another item: the attributes of attempts whose answers are missing.
    pub(crate) doubtful: Option<&'a [Box<str>]>,
}

/// What is to be sent, and which attributes that changes, or leaves as they are to be: the partition key
/// where the item is put or deleted as a whole.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) action: Action,
    pub(crate) changed: Arc<[Box<str>]>,
    /// It is done only if these, or the item, are as they were.
    pub(crate) expects: bool,
}

impl<'a> Request<'a> {
    /// What is to be sent; `None` if what is stored is what is to be.
    pub(crate) fn outgoing<T: Record>(&self) -> Result<Option<Outgoing>, Error> {
        match (self.mode, self.stored, self.target) {
            (_, Stored::Absent, None) if self.doubtful.is_none() && self.absence_is_sure => {
                Ok(None)
            }
            // Nothing was seen that could be expected.
            (Mode::Plain | Mode::FieldWise, _, None) | (_, Stored::Unknown { .. }, None) => {
                Ok(Some(self.plain_delete::<T>()))
            }
            (Mode::Plain, _, Some(target)) => Ok(Some(plain_put::<T>(target))),
            (Mode::FieldWise, _, Some(target)) if self.replaces => Ok(Some(plain_put::<T>(target))),
            (Mode::FieldWise, _, Some(target)) => self.field_wise::<T>(target),
            (Mode::Guarded(_), _, None) => self.delete::<T>().map(Some),
            (Mode::Guarded(guard), Stored::Item(item), Some(target)) => {
                self.update::<T>(guard, item, target)
            }
            // It was deleted here, whatever it was.
            (Mode::Guarded(_), Stored::Unknown { .. }, Some(target)) if self.replaces => {
                Ok(Some(plain_put::<T>(target)))
            }
            (Mode::Guarded(_), _, Some(target)) => self.put::<T>(target).map(Some),
        }
    }

    fn plain_delete<T: Record>(&self) -> Outgoing {
        let action = Action::Delete(key_json::<T>(self.key));
        Outgoing { action, changed: [T::PARTITION_KEY.into()].into(), expects: false }
    }

    /// A record that is new: there must be none, or that of the version that it comes from.
    fn put<T: Record>(&self, target: Target<'a>) -> Result<Outgoing, Error> {
        let seen = Node::N(self.stored.version::<T>().to_string().into());
        let expected = match T::VERSION.filter(|_| self.stored.version::<T>() > 0) {
            Some(version) => Expected::Is(version, &seen),
            None => Expected::Absent(T::PARTITION_KEY),
        };
        let form = Form::Put(target.item.clone());
        Self::single::<T>(form, &Changed::default(), &[expected], target.item.size)
    }

    fn delete<T: Record>(&self) -> Result<Outgoing, Error> {
        let expected = match (self.stored, self.mode) {
            (Stored::Item(item), Mode::Guarded(Guard::Version)) => {
                let mut expected = self.seen_version::<T>(item);
                lacking(&mut expected, item, T::VERSION.as_slice());
                expected
            }
            (Stored::Item(item), _) => self.whole::<T>(item),
            (Stored::Absent | Stored::Unknown { .. }, _) => {
                vec![Expected::Absent(T::PARTITION_KEY)]
            }
        };
        let size = self.key.size(T::PARTITION_KEY, T::SORT_KEY);
        let form = Form::Delete(key_json::<T>(self.key));
        Self::single::<T>(form, &Changed::default(), &there::<T>(expected), size)
    }

    /// Another item in place of one that is as it was seen: what others gave it beside that does not stay.
    fn replace<T: Record>(
        &self,
        guard: Guard,
        item: &'a Fields<'a>,
        target: Target<'a>,
    ) -> Result<Outgoing, Error> {
        let mut expected = match guard {
            Guard::Version => self.seen_version::<T>(item),
            Guard::Item | Guard::Fields => self.whole::<T>(item),
        };
        if guard != Guard::Version || version_of::<T>(item).is_none() {
            let new: Vec<&str> = target.fields.iter().map(|(name, _)| &**name).collect();
            lacking(&mut expected, item, &new);
        }
        let form = Form::Put(target.item.clone());
        Self::single::<T>(form, &Changed::default(), &there::<T>(expected), target.item.size)
    }

    /// The item is to be as it was, as far as the type knows it and as it was seen.
    fn whole<T: Record>(&self, item: &'a Fields<'a>) -> Vec<Expected<'a>> {
        let mut expected = seen::<T>(item, |_| true);
        if !self.is_part {
            lacking(&mut expected, item, T::ATTRIBUTES);
        }
        expected
    }

    /// The version that was seen; of an item without one everything else.
    fn seen_version<T: Record>(&self, item: &'a Fields<'a>) -> Vec<Expected<'a>> {
        match T::VERSION.filter(|version| field(item, version).is_some()) {
            Some(version) => seen::<T>(item, |name| name == version),
            None => self.whole::<T>(item),
        }
    }

    /// The attributes that changed, if what the guard says is still stored.
    fn update<T: Record>(
        &self,
        guard: Guard,
        item: &'a Fields<'a>,
        target: Target<'a>,
    ) -> Result<Option<Outgoing>, Error> {
        let mut changed = changed::<T>(item, target.fields, &[]);
        if !self.replaces {
            self.keep_what_was_changed(&mut changed, item);
        }
        let is_version = |name: &str| T::VERSION == Some(name);
        if self.doubtful.is_none() && changed.names().all(is_version) {
            return Ok(None);
        }
        if self.replaces {
            return self.replace::<T>(guard, item, target).map(Some);
        }
        // What an attempt before changed may have landed, and would stay.
        let doubtful = self.doubtful.unwrap_or_default().iter().map(|name| &**name);
        let concerned: Vec<&str> = changed.names().chain(doubtful).collect();
        let mut expected = match guard {
            Guard::Version => self.seen_version::<T>(item),
            Guard::Item => self.whole::<T>(item),
            Guard::Fields => {
                seen::<T>(item, |name| concerned.contains(&name) && !is_updated::<T>(name))
            }
        };
        if guard != Guard::Version || version_of::<T>(item).is_none() {
            let guarded: Vec<&str> =
                concerned.iter().copied().filter(|name| !is_updated::<T>(name)).collect();
            lacking(&mut expected, item, &guarded);
        }
        let concerned = concerned.into_iter().map(Box::from).collect();
        let form = Form::Update(key_json::<T>(self.key));
        let expected = there::<T>(expected);
        let outgoing = Self::single::<T>(form, &changed, &expected, target.item.size)?;
        // As they are to be are also those that an attempt before may have changed.
        Ok(Some(Outgoing { changed: concerned, ..outgoing }))
    }

    /// The attributes that changed, whatever the others are. Those of earlier attempts that may still
    /// land are among them. An item that is to be made must not be there yet: sent twice, it would take
    /// back what others changed in between.
    fn field_wise<T: Record>(&self, target: Target<'a>) -> Result<Option<Outgoing>, Error> {
        let none = Fields::new();
        let (item, expected) = match self.stored {
            Stored::Item(item) => (item, vec![Expected::There(T::PARTITION_KEY)]),
            Stored::Absent => (&none, vec![Expected::Absent(T::PARTITION_KEY)]),
            Stored::Unknown { .. } => (&none, Vec::new()),
        };
        let mut also: Vec<Box<str>> =
            self.doubtful.unwrap_or_default().iter().chain(self.unseen).cloned().collect();
        also.sort_unstable();
        also.dedup();
        let mut changed = changed::<T>(item, target.fields, &also);
        self.keep_what_was_changed(&mut changed, item);
        if changed.is_empty() && self.doubtful.is_none() && matches!(self.stored, Stored::Item(_)) {
            return Ok(None);
        }
        let form = Form::Update(key_json::<T>(self.key));
        let outgoing = Self::single::<T>(form, &changed, &expected, target.item.size)?;
        // That the item is there says nothing of its attributes.
        let expects = matches!(self.stored, Stored::Absent);
        Ok(Some(Outgoing { expects, ..outgoing }))
    }

    /// What the type adds when it writes was changed by nobody, and others may have set it. Where an item
    /// has another form, it is written as a whole.
    fn keep_what_was_changed(&self, changed: &mut Changed<'_>, stored: &Fields<'_>) {
        let Some(written) = self.written else { return };
        let is_of_form =
            |name: &&str| field(stored, name).is_some() && field(written, name).is_none();
        if changed.remove.iter().any(is_of_form) {
            return;
        }
        let doubtful = self.doubtful.unwrap_or_default();
        changed.set.retain(|(name, value)| {
            let is_written = field(written, name).is_some_and(|written| written.same(value));
            let is_added = is_written && field(stored, name).is_none_or(|it| is_within(it, value));
            !is_added || has_name(doubtful, name) || has_name(self.unseen, name)
        });
    }

    fn single<T: Record>(
        form: Form,
        changed: &Changed<'_>,
        expected: &[Expected<'_>],
        size: usize,
    ) -> Result<Outgoing, Error> {
        let expressions = Rendered::of_write(changed, expected).map_err(|source| {
            let (text, advice) = match form {
                Form::Delete(_) => (
                    "the record cannot be deleted under its guard",
                    "guard it by `#[record(version)]`, or use `delete`",
                ),
                _ => (
                    "the record cannot be written under its guard",
                    "guard it by `Guard::Fields` or `#[record(version)]`, or write it plainly",
                ),
            };
            Error::new(ErrorKind::InvalidRecord, text).advise(advice).caused_by(source)
        })?;
        let mut names: Vec<Box<str>> = changed.names().map(Box::from).collect();
        if !matches!(form, Form::Update(_)) {
            names.push(T::PARTITION_KEY.into());
            names.extend(T::VERSION.map(Box::from));
        }
        let returns = Returns::Nothing;
        let action = Action::Single(Box::new(Single { form, expressions, size, returns }));
        Ok(Outgoing { action, changed: names.into(), expects: true })
    }
}

fn plain_put<T: Record>(target: Target<'_>) -> Outgoing {
    let action = Action::Put(target.item.clone());
    Outgoing { action, changed: [T::PARTITION_KEY.into()].into(), expects: false }
}

/// Whether what is stored is what a write of this mode was to store that changed these attributes, as
/// far as that can be told: others may have changed before it what it did not expect.
pub(crate) fn is_own<T: Record>(
    mode: Mode,
    changed: &[Box<str>],
    mine: &Fields<'_>,
    theirs: &Fields<'_>,
) -> bool {
    let same = |name: &str| same_field(mine, theirs, name);
    // Of an item that is made all is ours, and of one that is expected all is as it was; who changes
    // something else under a version changes that.
    let is_made = has_name(changed, T::PARTITION_KEY);
    let whole = is_made || !mode.is_by_fields();
    let is_as_sent = |name: &str| same(name) || (!whole && is_updated::<T>(name));
    changed.iter().all(|name| is_as_sent(name))
        && (!whole || mine.iter().all(|(name, _)| same(name)))
}

/// An item as it was known, with what others stored of the attributes that an attempt changes: what the
/// next attempt starts from, so that it changes these alone. `None` was no item.
pub(crate) fn beneath<'a, T: Record>(
    known: Option<Fields<'a>>,
    mine: &Fields<'_>,
    changed: &[&str],
    mut theirs: Fields<'a>,
) -> Vec<u8> {
    let is_made = changed.contains(&T::PARTITION_KEY);
    let is_changed = |name: &str| {
        let is_mine = || is_made && field(mine, name).is_some();
        is_key::<T>(name) || changed.contains(&name) || is_mine()
    };
    theirs.retain(|(name, _)| is_changed(name));
    theirs.extend(known.into_iter().flatten().filter(|(name, _)| !is_changed(name)));
    let mut json = Vec::new();
    write_fields(&mut json, &theirs);
    json
}

/// Whether an attribute is the time of the last change, which is everybody's.
fn is_updated<T: Record>(name: &str) -> bool {
    T::UPDATED == Some(name)
}

/// Whether an attribute is among these.
pub(crate) fn has_name(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|other| **other == *name)
}

/// What one item has other than another, and these attributes in any case. Keys never change.
fn changed<'a, T: Record>(
    from: &'a Fields<'a>,
    to: &'a Fields<'a>,
    also: &'a [Box<str>],
) -> Changed<'a> {
    let differs = |name: &str, value: &Node<'_>| {
        has_name(also, name) || field(from, name).is_none_or(|before| !before.same(value))
    };
    let set = to.iter().filter(|(name, value)| !is_key::<T>(name) && differs(name, value));
    let gone = |name: &&str| field(to, name).is_none() && !is_key::<T>(name);
    let before = from.iter().map(|(name, _)| &**name);
    let mut remove: Vec<&str> = before.filter(gone).collect();
    let known = |name: &&str| field(from, name).is_none();
    remove.extend(also.iter().map(|name| &**name).filter(|name| gone(name) && known(name)));
    Changed { set: set.map(|(name, value)| (&**name, value)).collect(), remove }
}

/// Whether one value is another one but for members that maps have more.
fn is_within(less: &Node<'_>, more: &Node<'_>) -> bool {
    match (less, more) {
        (Node::M(less), Node::M(more)) => less
            .iter()
            .all(|(name, value)| field(more, name).is_some_and(|more| is_within(value, more))),
        _ => less.same(more),
    }
}

/// The attributes of an item that are to be as they were.
fn seen<'a, T: Record>(item: &'a Fields<'a>, of: impl Fn(&str) -> bool) -> Vec<Expected<'a>> {
    let seen = item.iter().filter(|(name, _)| !is_key::<T>(name) && of(name));
    seen.map(|(name, value)| Expected::Is(name, value)).collect()
}

/// Of these attributes those that an item does not have are to be absent, each said once.
fn lacking<'a>(expected: &mut Vec<Expected<'a>>, item: &Fields<'_>, names: &[&'a str]) {
    for name in names.iter().filter(|name| field(item, name).is_none()) {
        if !expected.iter().any(|it| matches!(it, Expected::Absent(other) if other == name)) {
            expected.push(Expected::Absent(name));
        }
    }
}

/// Where no value is expected, the item itself is: an update would make one of the changes alone.
fn there<T: Record>(mut expected: Vec<Expected<'_>>) -> Vec<Expected<'_>> {
    if expected.iter().all(|one| matches!(one, Expected::Absent(name) if *name != T::PARTITION_KEY))
    {
        expected.push(Expected::There(T::PARTITION_KEY));
    }
    expected
}

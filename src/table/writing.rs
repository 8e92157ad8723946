//! A record on its way into the table, under a condition or in part: what is sent, met and sent again.

use std::sync::Arc;

use super::Table;
use super::sending::{Sending, Sent};
use super::tracked::Snapshot;
use crate::codec::tree::{Fields, parse_item};
use crate::codec::{
    CodecError, Decoded, EncodedItem, Kept, decode, decode_again, encode, form_of, same_items,
};
use crate::error::{Error, ErrorKind};
use crate::guard::{Merge, Mode, OnConflict, Outgoing, Request, Stored, Target, beneath, is_own};
use crate::key::Key;
use crate::link::Link;
use crate::record::{Before, Record};
use crate::store::{Action, Form, Returns, Single};

/// A record on its way into the table.
pub(super) struct Writing<'t, T> {
    table: &'t Table<T>,
    key: Key,
    mode: Mode,
    policy: OnConflict<T>,
    /// As it was loaded, by the caller.
    base: Option<T>,
    start: Start,
    /// What others stored, as it was met last, if they stored anything.
    met: Option<Vec<u8>>,
    /// All of the item is known, as it is stored, and is to be known then.
    is_tracked: bool,
    /// `None`: it is to be deleted.
    record: Option<T>,
    /// What was sent last.
    attempt: Option<Attempt>,
}

/// What became of a write.
pub(super) struct Saved<T> {
    /// As it is stored; `None` if there is none any more.
    pub(super) record: Option<T>,
    /// The item, which is exact where it is tracked.
    pub(super) item: Option<Vec<u8>>,
    pub(super) link: Link,
}

struct Attempt {
    item: Option<Vec<u8>>,
    changed: Arc<[Box<str>]>,
}

/// What the next attempt starts from.
struct Start {
    stored: Seen,
    /// What is stored has beside what the type knows.
    kept: Option<Kept>,
    /// What is stored as the type would write it, where a write by fields may add to it.
    written: Option<Vec<u8>>,
}

impl Start {
    const fn of(stored: Seen) -> Self {
        Self { stored, kept: None, written: None }
    }
}

/// What is known of the item.
enum Seen {
    /// Nothing, but for the version that the caller's record comes from.
    Unknown {
        version: u64,
    },
    Absent,
    Item(Vec<u8>),
}

impl<'t, T: Record> Writing<'t, T> {
    /// A record, of which nothing is known to be stored. `before`: the one that it takes the place of.
    pub(super) fn new(
        table: &'t Table<T>,
        record: T,
        before: Before<'_, T>,
        mode: Mode,
        policy: OnConflict<T>,
    ) -> Result<Self, Error> {
        let record = table.hooked(&record, before)?.unwrap_or(record);
        let start = Start::of(Seen::Unknown { version: record.version() });
        Ok(Self { start, ..Self::of(table, table.key_of(&record)?, Some(record), mode, policy) })
    }

    /// What is at a key is to be deleted.
    pub(super) fn delete(table: &'t Table<T>, key: Key, mode: Mode) -> Self {
        Self::of(table, key, None, mode, OnConflict::Fail)
    }

    const fn of(
        table: &'t Table<T>,
        key: Key,
        record: Option<T>,
        mode: Mode,
        policy: OnConflict<T>,
    ) -> Self {
        Self {
            table,
            key,
            mode,
            policy,
            base: None,
            start: Start::of(Seen::Absent),
            met: None,
            is_tracked: false,
            record,
            attempt: None,
        }
    }

    /// It was loaded as this record.
    pub(super) fn over(self, base: T) -> Result<Self, Error> {
        self.check_key(&base)?;
        let start = Start::of(Seen::Item(form(self.table, &base, &self.key)?.json));
        Ok(Self { base: Some(base), start, ..self })
    }

    /// There must be none of its key.
    pub(super) fn of_nothing(self) -> Self {
        Self { start: Start::of(Seen::Absent), ..self }
    }

    /// This is what is stored; `None` is nothing.
    pub(super) fn tracked(self, snapshot: Option<&Snapshot<T>>) -> Result<Self, Error> {
        let Some(Snapshot { item, loaded, kept }) = snapshot else {
            return Ok(Self { is_tracked: true, ..self.of_nothing() });
        };
        self.check_key(loaded)?;
        let start = Start {
            stored: Seen::Item(item.clone()),
            kept: kept.clone(),
            written: self.as_written(item),
        };
        Ok(Self { base: Some(loaded.clone()), start, is_tracked: true, ..self })
    }

    /// An item as the type would write it, without what its `after_load` makes of it: that is a change.
    fn as_written(&self, item: &[u8]) -> Option<Vec<u8>> {
        if !self.mode.is_by_fields() {
            return None;
        }
        let Decoded { record, kept, .. } = decode_again::<T>(item).ok()?;
        let form = form_of(&record).ok()?;
        let written = match kept {
            None => form,
            Some(kept) => kept.restore(form).ok()?,
        };
        Some(written.json)
    }

    fn check_key(&self, base: &T) -> Result<(), Error> {
        if self.table.key_of(base)? == self.key {
            return Ok(());
        }
        let text = "it was loaded as a record of another key, and keys do not change";
        let error = Error::new(ErrorKind::InvalidRecord, text);
        Err(self.placed(error).advise("delete the one and put the other"))
    }

    pub(super) async fn write(self) -> Result<Saved<T>, Error> {
        let link = self.table.ready().await?;
        let (record, item) = self.sent(&link).await?;
        Ok(Saved { record, item, link })
    }

    /// The record and the item as they are stored then.
    async fn sent(mut self, link: &Link) -> Result<(Option<T>, Option<Vec<u8>>), Error> {
        let key = self.key.clone();
        let mut sending = Sending::new(link, &key);
        let mut met = 0_u32;
        loop {
            let Some(single) = self.next()? else { return Ok(self.already()) };
            let sent = sending.send(&single).await.map_err(|error| error.on_key(&self.key))?;
            let theirs = match sent {
                Sent::Written(returned) => return Ok(self.sent_as(returned)),
                Sent::Again => continue,
                Sent::Conflict(theirs) => theirs,
            };
            if sending.is_in_doubt && self.is_own(theirs.as_deref()) {
                // An attempt of ours whose answer was lost.
                return Ok(self.sent_as(theirs));
            }
            met += 1;
            self.met.clone_from(&theirs);
            if met == 1 && self.is_unchanged(theirs.as_deref()) {
                // Nobody changed it: it is stored in another form than the type writes.
                self.rebase(theirs)?;
                continue;
            }
            self.resolve(theirs)?;
            sending.is_in_doubt = false;
            if met > 1 {
                let waited = sending.give_way().await;
                waited.map_err(|error| self.placed(error))?;
            }
        }
    }

    fn sent_as(self, returned: Option<Vec<u8>>) -> (Option<T>, Option<Vec<u8>>) {
        (self.record, returned.or_else(|| self.attempt?.item))
    }

    fn already(self) -> (Option<T>, Option<Vec<u8>>) {
        let item = match (self.met, self.start.stored) {
            (Some(theirs), _) => Some(theirs),
            (None, Seen::Item(item)) => Some(item),
            (None, Seen::Absent | Seen::Unknown { .. }) => None,
        };
        (self.record, item)
    }

    fn placed(&self, error: Error) -> Error {
        self.table.place(error).on_key(&self.key)
    }

    /// What is to be sent next; `None` if what is stored is what was to be.
    fn next(&mut self) -> Result<Option<Box<Single>>, Error> {
        let fields = match &self.start.stored {
            Seen::Item(item) => Some(self.fields(item)?),
            Seen::Unknown { .. } | Seen::Absent => None,
        };
        let stored = match (&fields, &self.start.stored) {
            (Some(fields), _) => Stored::Item(fields),
            (None, Seen::Unknown { version }) => Stored::Unknown { version: *version },
            (None, _) => Stored::Absent,
        };
        let written = self.start.written.as_deref().map(|item| self.fields(item)).transpose()?;
        let mut record = self.record.clone();
        if let (Some(record), Mode::Guarded(_)) = (&mut record, self.mode) {
            record.set_version(stored.version::<T>().saturating_add(1));
        }
        let item = record.as_ref().map(|record| self.target(record)).transpose()?;
        let item_fields = item.as_ref().map(|item| self.fields(&item.json)).transpose()?;
        let request = Request {
            key: &self.key,
            mode: self.mode,
            stored,
            absence_is_sure: true,
            target: item
                .as_ref()
                .zip(item_fields.as_ref())
                .map(|(item, fields)| Target { item, fields }),
            replaces: false,
            is_part: false,
            written: written.as_ref(),
            unseen: &[],
            doubtful: None,
        };
        let outgoing = request.outgoing::<T>().map_err(|error| self.placed(error))?;
        let version = stored.version::<T>();
        if let Some(Outgoing { action: Action::Single(mut single), changed, .. }) = outgoing {
            if self.is_tracked && matches!(single.form, Form::Update(_)) {
                single.returns = Returns::New;
            }
            self.attempt = Some(Attempt { item: item.map(|item| item.json), changed });
            self.record = record;
            return Ok(Some(single));
        }
        // Only what replaces a whole item is sent in another way.
        if let (Some(record), Mode::Guarded(_)) = (&mut self.record, self.mode) {
            record.set_version(version);
        }
        Ok(None)
    }

    fn target(&self, record: &T) -> Result<EncodedItem, Error> {
        let item = form(self.table, record, &self.key)?;
        match &self.start.kept {
            None => Ok(item),
            Some(kept) => kept.restore(item).map_err(|why| self.unreadable(&why)),
        }
    }

    fn fields<'i>(&self, item: &'i [u8]) -> Result<Fields<'i>, Error> {
        parse_item(item).map_err(|why| self.unreadable(&CodecError::new(why.to_string())))
    }

    fn unreadable(&self, why: &CodecError) -> Error {
        self.placed(Error::new(ErrorKind::InvalidItem, why.to_string()))
    }

    fn decoded(&self, item: &[u8]) -> Result<Decoded<T>, Error> {
        decode::<T>(item).map_err(|why| {
            let text = format!("what others stored does not fit the record's type: {why}");
            self.placed(Error::new(ErrorKind::InvalidItem, text)).caused_by_any(why.into_source())
        })
    }

    /// Whether what is stored is what was sent.
    fn is_own(&self, theirs: Option<&[u8]>) -> bool {
        let sent = self.attempt.as_ref().and_then(|it| Some((it.item.as_deref()?, &it.changed)));
        let (Some((mine, changed)), Some(theirs)) = (sent, theirs) else {
            return sent.is_none() && theirs.is_none();
        };
        let (Ok(mine), Ok(theirs)) = (parse_item(mine), parse_item(theirs)) else { return false };
        is_own::<T>(self.mode, changed, &mine, &theirs)
    }

    /// Whether what is stored is what was loaded, as far as the type knows the item and no more is known.
    fn is_unchanged(&self, theirs: Option<&[u8]>) -> bool {
        let (Some(record), Some(theirs), false) = (&self.base, theirs, self.is_tracked) else {
            return false;
        };
        let form = |record: &T| form(self.table, record, &self.key).map(|item| item.json);
        let theirs = self.decoded(theirs).and_then(|decoded| form(&decoded.record));
        matches!((form(record), theirs), (Ok(one), Ok(theirs)) if same_items(&one, &theirs))
    }

    /// What is stored is what the next attempt starts from.
    fn rebase(&mut self, theirs: Option<Vec<u8>>) -> Result<Option<T>, Error> {
        let Some(item) = theirs else {
            self.start = Start::of(Seen::Absent);
            return Ok(None);
        };
        let Decoded { record, kept, .. } = self.decoded(&item)?;
        self.start = Start { stored: Seen::Item(item), kept, written: None };
        Ok(Some(record))
    }

    /// Does with a conflict as the policy says.
    fn resolve(&mut self, theirs: Option<Vec<u8>>) -> Result<(), Error> {
        match self.policy.clone() {
            OnConflict::Fail => Err(self.placed(self.refused(theirs.is_some()))),
            OnConflict::Overwrite => self.overwrite(theirs),
            OnConflict::Merge(merge) => {
                let theirs = self.rebase(theirs)?;
                self.merge(&merge, theirs)
            }
        }
    }

    fn refused(&self, is_there: bool) -> Error {
        let text = match self.start.stored {
            Seen::Absent | Seen::Unknown { version: 0 } => "there is an item of this key already",
            _ if is_there => "others changed the item since it was loaded",
            _ => "others deleted the item since it was loaded",
        };
        let advice = match self.record {
            Some(_) => "load the record and change it anew, or choose another `OnConflict`",
            None => "load the record anew, or use `delete`, which asks for nothing",
        };
        Error::new(ErrorKind::Conflict, text).advise(advice)
    }

    /// The record is written over what others stored, or of it only the attributes that it changes.
    fn overwrite(&mut self, theirs: Option<Vec<u8>>) -> Result<(), Error> {
        let beneath = self.beneath(theirs.as_deref())?;
        let before = std::mem::replace(&mut self.start, Start::of(Seen::Absent));
        self.rebase(theirs)?;
        if let Some(item) = beneath {
            self.start = Start { stored: Seen::Item(item), ..before };
        }
        Ok(())
    }

    /// What was known of the item, but for the attributes that were to be changed: those are as others
    /// stored them. `None` if all of it is to be written.
    fn beneath(&self, theirs: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let attempt = self.attempt.as_ref().filter(|_| self.mode.is_by_fields());
        let mine = attempt.and_then(|attempt| Some((attempt.item.as_deref()?, &attempt.changed)));
        let (Some((mine, changed)), Some(theirs)) = (mine, theirs) else { return Ok(None) };
        let known = match &self.start.stored {
            Seen::Unknown { .. } => return Ok(None),
            Seen::Absent => None,
            Seen::Item(item) => Some(self.fields(item)?),
        };
        let (mine, theirs) = (self.fields(mine)?, self.fields(theirs)?);
        let changed: Vec<&str> = changed.iter().map(|name| &**name).collect();
        Ok(Some(beneath::<T>(known, &mine, &changed, theirs)))
    }

    fn merge(&mut self, merge: &Merge<T>, theirs: Option<T>) -> Result<(), Error> {
        let merged = merge.run(self.base.as_ref(), self.record.as_ref(), theirs.as_ref());
        let failed = |source| self.placed(self.refused(theirs.is_some())).caused_by(source);
        let merged = merged.map_err(failed)?;
        if let Some(record) = &merged
            && self.table.key_of(record)? != self.key
        {
            let text = "the merge changed the record's key";
            return Err(self.placed(Error::new(ErrorKind::InvalidRecord, text)));
        }
        let hooked = merged
            .as_ref()
            .map(|record| self.table.hooked(record, theirs.as_ref().into()))
            .transpose()?;
        self.record = hooked.flatten().or(merged);
        self.base = theirs;
        Ok(())
    }
}

fn form<T: Record>(table: &Table<T>, record: &T, key: &Key) -> Result<EncodedItem, Error> {
    encode(record, key).map_err(|why| {
        table.place(Error::new(ErrorKind::InvalidRecord, why.to_string())).on_key(key)
    })
}

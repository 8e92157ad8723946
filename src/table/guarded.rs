//! Writes under a condition and of some attributes, without a cache.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use super::Table;
use super::sending::{Sending, Sent};
use crate::codec::tree::{Fields, parse_item};
use crate::codec::{CodecError, Decoded, EncodedItem, Kept, decode, encode, same_items};
use crate::error::{Error, ErrorKind};
use crate::guard::{
    Guard, Merge, Mode, OnConflict, Outgoing, Request, Stored, Target, beneath, conflict, is_own,
};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Action, Single};

/// A record that [`Table::put_guarded`] writes; awaiting it does.
#[must_use = "nothing is written until it is awaited"]
pub struct PutGuarded<'t, T> {
    table: &'t Table<T>,
    base: Option<T>,
    record: T,
    guard: Guard,
    policy: OnConflict<T>,
}

impl<T> fmt::Debug for PutGuarded<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, guard, policy) = (&self.table, &self.guard, &self.policy);
        let mut shown = f.debug_struct("PutGuarded");
        shown.field("table", table).field("guard", guard).field("on_conflict", policy).finish()
    }
}

impl<'t, T: Record> PutGuarded<'t, T> {
    /// What must still be stored as it was loaded.
    ///
    /// Default: [`Guard::Version`] for a record with `#[record(version)]`, else [`Guard::Item`].
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// What becomes of the write if others changed the item.
    ///
    /// Default: [`OnConflict::Fail`].
    pub fn on_conflict(mut self, policy: OnConflict<T>) -> Self {
        self.policy = policy;
        self
    }
}

impl<'t, T: Record> IntoFuture for PutGuarded<'t, T> {
    type Output = Result<Option<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { table, base, record, guard, policy } = self;
            if guard == Guard::Version && T::VERSION.is_none() {
                let text = "`Guard::Version` needs `#[record(version)]` on a field of the record";
                return Err(table.place(Error::new(ErrorKind::Configuration, text)));
            }
            Writing::new(table, base, record, Mode::Guarded(guard), policy)?.write().await
        })
    }
}

impl<T: Record> Table<T> {
    /// Writes a record on the condition that nobody else changed it since it was loaded as `base`;
    /// without a base there must be none, unless the record has a version above 0: then that must be
    /// stored. Only the attributes that changed are sent. Returns the record as it is stored, with its
    /// new version, or as it was merged; `None` if the merge deleted it.
    ///
    /// The base says what the record's type knows of the item: what it does not know stays, and is not
    /// guarded. What others changed that [`Guard::Fields`] does not guard stays too, and is not in the
    /// record that is returned. If the answer is lost, it is sent again, and what it meets counts as its
    /// own if that is what was sent; where somebody changed that before it was heard of, it is a conflict
    /// like others.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, ErrorKind, OnConflict, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: i32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let ada = |rating| Player { name: "ada".into(), rating };
    /// players.put_guarded(None, &ada(1500)).await?;
    /// players.put_guarded(Some(&ada(1500)), &ada(1512)).await?;
    /// let late = players.put_guarded(Some(&ada(1500)), &ada(1490)).await;
    /// assert_eq!(late.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    ///
    /// let both = OnConflict::merge(|base: Option<&Player>, mine, theirs| {
    ///     let rating = theirs?.rating + mine?.rating - base?.rating;
    ///     Some(Player { rating, ..mine?.clone() })
    /// });
    /// let merged = players.put_guarded(Some(&ada(1500)), &ada(1490)).on_conflict(both).await?;
    /// assert_eq!(merged, Some(ada(1502)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if others changed the item and the policy does not resolve it, as
    /// [`on_conflict`](PutGuarded::on_conflict) says; else as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not.
    pub fn put_guarded(&self, base: Option<&T>, record: &T) -> PutGuarded<'_, T> {
        let guard = if T::VERSION.is_some() { Guard::Version } else { Guard::Item };
        let (base, record) = (base.cloned(), record.clone());
        PutGuarded { table: self, base, record, guard, policy: OnConflict::Fail }
    }

    /// Writes the attributes of a record that changed since it was loaded as `base`, and no others, so
    /// that two writers of different attributes both win; without a base all of them. What others
    /// deleted meanwhile is written anew, as a whole.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32, losses: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let loaded = Player { name: "ada".into(), wins: 3, losses: 1 };
    /// players.put(&Player { losses: 2, ..loaded.clone() }).await?; // somebody else
    /// players.merge(Some(&loaded), &Player { wins: 4, ..loaded.clone() }).await?;
    /// let ada = players.get("ada").await?.expect("a record");
    /// assert_eq!((ada.wins, ada.losses), (4, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a record with `#[record(version)]`, which is always guarded; else
    /// as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the attributes may be written or not; merging them again is safe.
    pub async fn merge(&self, base: Option<&T>, record: &T) -> Result<(), Error> {
        if T::VERSION.is_some() {
            let text = "a record with `#[record(version)]` is always guarded";
            let error = Error::new(ErrorKind::Configuration, text).during("merge");
            return Err(self.place(error).advise("use `put_guarded`"));
        }
        let (base, record) = (base.cloned(), record.clone());
        let writing = Writing::new(self, base, record, Mode::FieldWise, OnConflict::Overwrite)?;
        writing.write().await.map(drop)
    }
}

/// A record on its way into the table.
pub(super) struct Writing<'t, T> {
    table: &'t Table<T>,
    key: Key,
    mode: Mode,
    policy: OnConflict<T>,
    /// As it was loaded, by the caller.
    base: Option<T>,
    stored: Seen,
    /// What others stored has beside what the type knows.
    kept: Option<Kept>,
    /// `None`: it is to be deleted.
    record: Option<T>,
    /// What was sent last.
    attempt: Option<Attempt>,
}

struct Attempt {
    item: Option<Vec<u8>>,
    changed: Arc<[Box<str>]>,
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
    fn new(
        table: &'t Table<T>,
        base: Option<T>,
        record: T,
        mode: Mode,
        policy: OnConflict<T>,
    ) -> Result<Self, Error> {
        let record = table.hooked(&record)?.unwrap_or(record);
        let key = table.key_of(&record)?;
        let stored = match &base {
            None => Seen::Unknown { version: record.version() },
            Some(base) if table.key_of(base)? != key => {
                let text = "the base is a record of another key";
                let error = Error::new(ErrorKind::InvalidRecord, text).on_key(&key);
                return Err(table.place(error));
            }
            Some(base) => Seen::Item(form(table, base, &key)?.json),
        };
        Ok(Self {
            table,
            key,
            mode,
            policy,
            base,
            stored,
            kept: None,
            record: Some(record),
            attempt: None,
        })
    }

    /// A record that there must not be yet.
    pub(super) fn of_new(table: &'t Table<T>, record: T) -> Result<Self, Error> {
        let mode = Mode::Guarded(Guard::Item);
        let writing = Self::new(table, None, record, mode, OnConflict::Fail)?;
        Ok(Self { stored: Seen::Absent, ..writing })
    }

    pub(super) async fn write(mut self) -> Result<Option<T>, Error> {
        let link = self.table.ready().await?;
        let mut sending = Sending::new(&link);
        let mut met = 0_u32;
        loop {
            let Some(single) = self.next()? else { return Ok(self.record) };
            let sent = sending.send(&single).await.map_err(|error| error.on_key(&self.key))?;
            let theirs = match sent {
                Sent::Written(_) => return Ok(self.record),
                Sent::Again => continue,
                Sent::Conflict(theirs) => theirs,
            };
            if sending.is_in_doubt && self.is_own(theirs.as_deref()) {
                // An attempt of ours whose answer was lost.
                return Ok(self.record);
            }
            met += 1;
            if met == 1 && self.base.is_some() && self.is_as(self.base.as_ref(), theirs.as_deref())
            {
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

    fn placed(&self, error: Error) -> Error {
        self.table.place(error).on_key(&self.key)
    }

    /// What is to be sent next; `None` if what is stored is what was to be.
    fn next(&mut self) -> Result<Option<Box<Single>>, Error> {
        let fields = match &self.stored {
            Seen::Item(item) => Some(self.fields(item)?),
            Seen::Unknown { .. } | Seen::Absent => None,
        };
        let stored = match (&fields, &self.stored) {
            (Some(fields), _) => Stored::Item(fields),
            (None, Seen::Unknown { version }) => Stored::Unknown { version: *version },
            (None, _) => Stored::Absent,
        };
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
            written: None,
            unseen: &[],
            doubtful: None,
        };
        let outgoing = request.outgoing::<T>().map_err(|error| self.placed(error))?;
        let version = stored.version::<T>();
        if let Some(Outgoing { action: Action::Single(single), changed, .. }) = outgoing {
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
        match &self.kept {
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

    /// Whether what is stored is a record, as far as the type knows the item.
    fn is_as(&self, record: Option<&T>, theirs: Option<&[u8]>) -> bool {
        let (Some(record), Some(theirs)) = (record, theirs) else {
            return record.is_none() && theirs.is_none();
        };
        let form = |record: &T| form(self.table, record, &self.key).map(|item| item.json);
        let theirs = self.decoded(theirs).and_then(|decoded| form(&decoded.record));
        matches!((form(record), theirs), (Ok(one), Ok(theirs)) if same_items(&one, &theirs))
    }

    /// What is stored is what the next attempt starts from.
    fn rebase(&mut self, theirs: Option<Vec<u8>>) -> Result<Option<T>, Error> {
        let Some(item) = theirs else {
            (self.stored, self.kept) = (Seen::Absent, None);
            return Ok(None);
        };
        let Decoded { record, kept, .. } = self.decoded(&item)?;
        (self.stored, self.kept) = (Seen::Item(item), kept);
        Ok(Some(record))
    }

    /// Does with a conflict as the policy says.
    fn resolve(&mut self, theirs: Option<Vec<u8>>) -> Result<(), Error> {
        match self.policy.clone() {
            OnConflict::Fail => Err(self.placed(conflict())),
            OnConflict::Overwrite => self.overwrite(theirs),
            OnConflict::Merge(merge) => {
                let theirs = self.rebase(theirs)?;
                self.merge(&merge, theirs)
            }
        }
    }

    /// The record is written over what others stored, or of it only the attributes that it changes.
    fn overwrite(&mut self, theirs: Option<Vec<u8>>) -> Result<(), Error> {
        let beneath = self.beneath(theirs.as_deref())?;
        let kept = self.kept.take();
        self.rebase(theirs)?;
        if let Some(item) = beneath {
            (self.stored, self.kept) = (Seen::Item(item), kept);
        }
        Ok(())
    }

    /// What was known of the item, but for the attributes that were to be changed: those are as others
    /// stored them. `None` if all of it is to be written.
    fn beneath(&self, theirs: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let attempt = self.attempt.as_ref().filter(|_| self.mode.is_by_fields());
        let mine = attempt.and_then(|attempt| Some((attempt.item.as_deref()?, &attempt.changed)));
        let (Some((mine, changed)), Some(theirs)) = (mine, theirs) else { return Ok(None) };
        let known = match &self.stored {
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
        let merged = merged.map_err(|source| self.placed(conflict().caused_by(source)))?;
        if let Some(record) = &merged
            && self.table.key_of(record)? != self.key
        {
            let text = "the merge changed the record's key";
            return Err(self.placed(Error::new(ErrorKind::InvalidRecord, text)));
        }
        let hooked = merged.as_ref().map(|record| self.table.hooked(record)).transpose()?;
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

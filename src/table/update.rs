//! Updates of attributes by expressions, which the service evaluates.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use serde::Serialize;

use super::Table;
use super::read::table_keys;
use super::sending::{Sending, Sent};
use crate::codec::key_json;
use crate::condition::{Condition, Field, List, Numeric, Operand, Summand, Updates};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::link::Link;
use crate::load;
use crate::record::Record;
use crate::store::{Form, Returns, Single};
use crate::types::Set;

/// Changes of attributes of one item, by [`Table::update`]; awaiting it makes them.
#[must_use = "nothing is changed until it is awaited"]
pub struct Update<'t, T> {
    table: &'t Table<T>,
    key: Result<Key, Error>,
    /// The first thing that is wrong with them is said when it is awaited.
    updates: Result<Updates, Error>,
    condition: Option<Condition>,
    existing: bool,
}

impl<T> fmt::Debug for Update<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, key) = (&self.table, &self.key);
        let mut shown = f.debug_struct("Update");
        shown.field("table", table).field("key", key).finish_non_exhaustive()
    }
}

impl<T: Record> Table<T> {
    /// Changes attributes of the item of a key, without reading it, and returns the record as it is then.
    /// All changes are made at once, from what is stored at that moment.
    ///
    /// Where there is no item, one is made of the key and what is set, unless
    /// [`existing`](Update::existing) is asked for. With `#[record(version)]` the version is raised by
    /// one. The record's hooks do not run.
    ///
    /// What comes to the same if it is done twice is sent again after an answer was lost; what does not,
    /// such as [`add`](Update::add), is not: [`increment`](Self::increment) adds once, however often it
    /// is sent, and returns nothing.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, ErrorKind, Record, Set};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// #[record(table = "players")]
    /// struct Player {
    ///     #[record(partition_key)]
    ///     name: String,
    ///     #[serde(default)]
    ///     rating: i32,
    ///     #[serde(default)]
    ///     wins: u32,
    ///     #[serde(default)]
    ///     losses: u32,
    ///     #[serde(default)]
    ///     teams: Set<String>,
    /// }
    ///
    /// let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let ada = players
    ///     .update("ada")
    ///     .set_if_not_exists(Player::FIELDS.rating, 1500)
    ///     .add(Player::FIELDS.wins, 1)
    ///     .add(Player::FIELDS.losses, 2)
    ///     .add_to_set(Player::FIELDS.teams, ["Analytical".to_owned()])
    ///     .await?;
    /// assert_eq!((ada.rating, ada.wins, ada.losses, ada.teams.len()), (1500, 1, 2, 1));
    ///
    /// let low = Player::FIELDS.rating.lt(1000);
    /// let refused = players.update("ada").set(Player::FIELDS.rating, 1000).condition(low).await;
    /// assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Without a request: [`ErrorKind::InvalidKey`]; [`ErrorKind::InvalidRecord`] if a key or the version
    /// is to be changed; [`ErrorKind::InvalidCondition`] if nothing is, or what DynamoDB refuses.
    /// [`ErrorKind::Conflict`] if the condition does not hold, [`ErrorKind::NotFound`] if there is no item
    /// where one is asked for, [`ErrorKind::InvalidItem`] if the item does not fit the type once it is
    /// changed, [`ErrorKind::Timeout`] if it may be changed or not, or why it could not be.
    ///
    /// # Cancel safety
    ///
    /// Dropped, all is changed or nothing, and nobody can tell which.
    pub fn update<K: KeyLookup<T::Key>>(&self, key: K) -> Update<'_, T> {
        Update {
            table: self,
            key: self.checked_key(&key),
            updates: Ok(Updates::default()),
            condition: None,
            existing: false,
        }
    }
}

impl<T: Record> Update<'_, T> {
    /// Sets an attribute, to a value or to what another attribute has.
    pub fn set<V>(self, field: Field<V>, value: impl Operand<V>) -> Self {
        self.with(|updates| updates.set(&field, value))
    }

    /// Sets an attribute where it is absent.
    pub fn set_if_not_exists<V>(self, field: Field<V>, value: impl Operand<V>) -> Self {
        self.with(|updates| updates.set_if_not_exists(&field, value))
    }

    /// Takes an attribute away, or an element of a list.
    pub fn remove<V>(self, field: Field<V>) -> Self {
        self.with(|updates| updates.remove(&field))
    }

    /// Adds a number to an attribute; what is absent counts as 0. Any number of attributes goes in one
    /// request. If the answer is lost, it is not sent again, as it would be added twice: the error is of
    /// kind [`ErrorKind::Timeout`] then.
    pub fn add<V: Numeric>(self, field: Field<V>, by: impl Summand) -> Self {
        self.with(|updates| updates.add(&field, &by))
    }

    /// Adds elements to a set; what is absent counts as empty. Elements that it has stay as they are.
    pub fn add_to_set<X: Ord + Serialize>(
        self,
        field: Field<Set<X>>,
        elements: impl IntoIterator<Item = X>,
    ) -> Self
    where
        Set<X>: Serialize,
    {
        self.with(|updates| updates.change_set(&field, elements, true))
    }

    /// Takes elements from a set; those that it does not have are no error. A set without elements is no
    /// attribute.
    pub fn delete_from_set<X: Ord + Serialize>(
        self,
        field: Field<Set<X>>,
        elements: impl IntoIterator<Item = X>,
    ) -> Self
    where
        Set<X>: Serialize,
    {
        self.with(|updates| updates.change_set(&field, elements, false))
    }

    /// Adds elements at the end of a list; what is absent counts as empty. After a lost answer as
    /// [`add`](Self::add).
    pub fn append<V: List>(
        self,
        field: Field<V>,
        elements: impl IntoIterator<Item = V::Element>,
    ) -> Self
    where
        V::Element: Serialize,
    {
        self.with(|updates| updates.extend(&field, elements, true))
    }

    /// Adds elements at the beginning of a list; what is absent counts as empty. After a lost answer as
    /// [`add`](Self::add).
    pub fn prepend<V: List>(
        self,
        field: Field<V>,
        elements: impl IntoIterator<Item = V::Element>,
    ) -> Self
    where
        V::Element: Serialize,
    {
        self.with(|updates| updates.extend(&field, elements, false))
    }

    /// Changes nothing unless this holds for the item as it is stored; of several all must.
    pub fn condition(mut self, condition: Condition) -> Self {
        self.condition = Some(match self.condition {
            Some(before) => before.and(condition),
            None => condition,
        });
        self
    }

    /// Changes nothing unless there is an item.
    pub fn existing(mut self) -> Self {
        self.existing = true;
        self.condition(Field::<()>::named(T::PARTITION_KEY).exists())
    }

    fn with(mut self, change: impl FnOnce(&mut Updates) -> Result<(), Error>) -> Self {
        self.updates = self.updates.and_then(|mut updates| {
            change(&mut updates)?;
            Ok(updates)
        });
        self
    }

    async fn run(self) -> Result<T, Error> {
        let (table, existing) = (self.table, self.existing);
        let key = self.key.clone()?;
        let placed = |error: Error| table.place(error.during("update").on_key(&key));
        let (single, is_repeatable) = self.single(&key).map_err(placed)?;
        let link = table.ready().await?;
        let sending = Sending::new(&link, &key);
        let mut sending = if is_repeatable { sending } else { sending.once() };
        loop {
            let sent = sending.send(&single).await;
            match sent.map_err(|error| sending.unsure(error, "update").on_key(&key))? {
                Sent::Written(item) => return read_back(&link, item).map_err(placed),
                Sent::Conflict(theirs) => {
                    let error = placed(refused(theirs.is_none() && existing));
                    // What it met may be what it did itself.
                    return Err(sending.unsure(error, "update").on_key(&key));
                }
                Sent::Again => {}
            }
        }
    }

    /// The request, and whether it comes to the same if it is done twice.
    fn single(self, key: &Key) -> Result<(Single, bool), Error> {
        let mut updates = self.updates?;
        if updates.is_empty() {
            let error = Error::new(ErrorKind::InvalidCondition, "an update of nothing");
            return Err(error.advise("say what is to be changed"));
        }
        updates.check::<T>()?;
        if let Some(condition) = &self.condition {
            condition.check_keys(&table_keys::<T>())?;
        }
        if let (Some(name), Some(stamp)) = (T::UPDATED, T::updated_at(self.table.database.now())) {
            let value = stamp.0.map_err(|why| {
                Error::new(ErrorKind::InvalidRecord, format!("the time of the change: {why}"))
            })?;
            updates.stamp(name, value);
        }
        let is_repeatable = updates.is_repeatable() && T::VERSION.is_none();
        let expressions = updates.rendered(self.condition.as_ref(), T::VERSION)?;
        let size = key.size(T::PARTITION_KEY, T::SORT_KEY) + expressions.values.len();
        let form = Form::Update(key_json::<T>(key));
        Ok((Single { form, expressions, size, returns: Returns::New }, is_repeatable))
    }
}

fn refused(is_absent: bool) -> Error {
    if is_absent {
        return Error::new(ErrorKind::NotFound, "there is no item to update")
            .advise("leave `existing` out to make one");
    }
    Error::new(ErrorKind::Conflict, "the condition does not hold for what is stored")
        .advise("nothing changed")
}

fn read_back<T: Record>(link: &Link, item: Option<Vec<u8>>) -> Result<T, Error> {
    let none = || Error::new(ErrorKind::Service, "the item was updated, and the answer lacks it");
    let read = load::read_item::<T>(link, &item.ok_or_else(none)?);
    read.map(|decoded| decoded.record).map_err(|error| error.advise("the item was updated"))
}

impl<'t, T: Record> IntoFuture for Update<'t, T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 't>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

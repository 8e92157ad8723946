//! What a type says about itself to be stored in a table.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{form_of, same_items};
use crate::derived::Stamp;
use crate::error::BoxError;
use crate::key::{KeyRef, KeyShape};
use crate::spec::IndexSpec;

/// A type whose values are the items of a table; `#[derive(Record)]` implements it.
///
/// The derive takes the attribute names from serde (`rename`, `rename_all`), so what serde writes
/// is what is stored. By hand, the rules are: [`key`](Self::key) gives the values that serde writes
/// for [`PARTITION_KEY`](Self::PARTITION_KEY) and [`SORT_KEY`](Self::SORT_KEY), and serde reads
/// what it wrote. A record that breaks the first rule is refused when it is put.
///
/// # What does not come back as it went
///
/// serde and DynamoDB have no form for some values, so these come back as others:
///
/// | Value | Comes back as |
/// |---|---|
/// | `Some(None)`, `Some(())`, an empty set in an `Option` | `None` |
/// | an empty set as the value of a map | no entry; in a list it is refused |
/// | `-0.0` | `0.0` |
///
/// In tagged, untagged and flattened types serde's own buffers stand in between: there
/// [`Number`](crate::Number), [`Set`](crate::Set) and [`Attributes`](crate::Attributes) are exact,
/// while `u128` and `i128`, and maps with keys of numbers, are written and cannot be read again, which
/// is an error with the attribute's path: use `Number`, and keys of text. An untagged type reads the
/// first variant that fits.
///
/// # Example
///
/// ```
/// use memory_table::Record;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     game: String,
///     #[record(sort_key)]
///     name: String,
///     #[serde(default)]
///     rating: f64,
/// }
///
/// assert_eq!(Player::TABLE, "players");
/// assert_eq!((Player::PARTITION_KEY, Player::SORT_KEY), ("game", Some("name")));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    label = "this type does not say which table and key it has",
    note = "write `#[derive(Record, Serialize, Deserialize, Clone)]` and `#[record(table = \"…\")]` on it, and `#[record(partition_key)]` on a field"
)]
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The shape of the primary key: [`PartitionKey`](crate::PartitionKey) or
    /// [`CompositeKey`](crate::CompositeKey).
    type Key: KeyShape;
    /// The name of the table, without the database's prefix.
    const TABLE: &'static str;
    /// The name of the partition key attribute.
    const PARTITION_KEY: &'static str;
    /// The name of the sort key attribute, if the table has one.
    const SORT_KEY: Option<&'static str>;
    /// Other names under which serde reads fields (`#[serde(alias)]`); an item that has one is
    /// written back without it, as the field has its own name then.
    const ALIASES: &'static [&'static str] = &[];
    /// The names of the attributes that the type has a field for. Those that an item lacks must still
    /// be absent for a write that [`Guard::Item`](crate::Guard::Item) guards. What is in a
    /// `#[serde(flatten)]` has no name before there is a value.
    const ATTRIBUTES: &'static [&'static str] = &[];

    /// The table's indexes that the record knows of.
    const INDEX_SPECS: &'static [IndexSpec] = &[];

    /// Units of capacity a second that the table is made with, reads of 4 KB and writes of 1 KB, unless
    /// the call that makes it says otherwise: `#[record(read_units = 5, write_units = 10)]`. `None`: on
    /// demand.
    const UNITS: Option<(u64, u64)> = None;

    /// The attribute by which items expire, if the record has one: `#[record(ttl)]`.
    /// [`Table::ensure`](crate::Table::ensure) tells the service.
    const TIME_TO_LIVE: Option<&'static str> = None;

    /// The attribute that guarded writes raise by one, if the record has one: `#[record(version)]`.
    const VERSION: Option<&'static str> = None;

    /// Whether [`before_store`](Self::before_store) or [`after_load`](Self::after_load) does
    /// anything: neither is called where it is `false`, which makes a put cheaper.
    const HAS_HOOKS: bool = true;

    /// Whether the record says when it was made or changed: `#[record(created)]`, `#[record(updated)]`.
    /// If so [`HAS_HOOKS`](Self::HAS_HOOKS) is `true`.
    const HAS_TIMES: bool = false;

    /// The attribute that says when the record was changed last, if the record has one.
    const UPDATED: Option<&'static str> = None;

    /// The record's primary key.
    fn key(&self) -> KeyRef<'_>;

    /// When the record expires, in seconds since 1970; `None` if it does not.
    ///
    /// The derive takes it from the field with `#[record(ttl)]`, an integer. The service deletes
    /// expired items some time later, if the table's time to live is set to that attribute; until then
    /// [`hide_expired`](crate::MemoryTableBuilder::hide_expired) hides them.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
    fn expires_at(&self) -> Option<i64> {
        None
    }

    /// The version of the record; 0 if it has none or was never stored.
    ///
    /// The derive takes it from the field with `#[record(version)]`, an integer. It is the crate's to
    /// change: what is stored is one more than what was loaded, whatever the field says.
    fn version(&self) -> u64 {
        0
    }

    /// Gives the record a version.
    fn set_version(&mut self, _version: u64) {}

    /// Takes the times of the record that this one takes the place of; that of its making only where it has
    /// none itself.
    fn keep_times(&mut self, _before: &Self) {}

    /// Gives the record its times: when it was changed, and if it is new when it was made, unless it says
    /// so already.
    fn set_times(&mut self, _now: SystemTime, _is_new: bool) {}

    #[doc(hidden)]
    fn updated_at(_now: SystemTime) -> Option<Stamp> {
        None
    }

    /// Checks a record before it is stored; returns what is to be stored in its place, or `None`
    /// to store it as it is.
    ///
    /// Runs within `put`, `update` and every other call that stores a record, before anything
    /// changes; the derive calls the function that `#[record(before_store = "..")]` names.
    ///
    /// # Errors
    ///
    /// Why the record may not be stored: the call fails with it, and nothing changed.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// use memory_table::{Database, Record};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Record, Serialize, Deserialize, Clone)]
    /// #[record(table = "players", before_store = "Player::check")]
    /// struct Player {
    ///     #[record(partition_key)]
    ///     name: String,
    ///     rating: f64,
    /// }
    ///
    /// impl Player {
    ///     fn check(&mut self) -> Result<(), String> {
    ///         self.rating = self.rating.min(3000.0);
    ///         if self.rating < 0.0 { Err("a rating is not negative".into()) } else { Ok(()) }
    ///     }
    /// }
    ///
    /// let players = Database::embedded()?.table::<Player>();
    /// players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), rating: 9000.0 }).await?;
    /// assert_eq!(players.get("ada").await?.map(|ada| ada.rating), Some(3000.0));
    /// assert!(players.put(&Player { name: "bob".into(), rating: -1.0 }).await.is_err());
    /// # Ok(()) }
    /// ```
    fn before_store(&self) -> Result<Option<Self>, BoxError> {
        Ok(None)
    }

    /// Checks or changes a record after it was loaded.
    ///
    /// What it changes is not unsaved by that; it is stored with the next change of the record. The
    /// derive calls the function that `#[record(after_load = "..")]` names.
    ///
    /// # Errors
    ///
    /// Why the stored item is no good: it counts as one that does not fit the type.
    fn after_load(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Some attributes of a record type, to read only what is needed: `#[derive(Projection)]`.
///
/// It can be read, by a query or a scan, but not put.
///
/// # Example
///
/// ```
/// use memory_table::{Projection, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     rating: f64,
///     biography: String,
/// }
///
/// #[derive(Projection, Deserialize)]
/// #[projection(of = Player)]
/// struct Rated {
///     name: String,
///     rating: f64,
/// }
///
/// assert_eq!(Rated::ATTRIBUTES, ["name", "rating"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no projection",
    label = "this type does not say of which record it is a part",
    note = "write `#[derive(Projection, Deserialize)]` and `#[projection(of = ..)]` on it"
)]
pub trait Projection: DeserializeOwned + Send + 'static {
    /// The record that it is a part of.
    type Of: Record;
    /// The attributes that are read. Of an empty list: all.
    const ATTRIBUTES: &'static [&'static str];
}

/// A record that can be made from its key alone, every other field having a default.
///
/// `#[derive(Record)]` implements it where each field that is not a key has `#[record(default)]`
/// or `#[serde(default)]`, is an `Option`, is skipped or flattened. Without it `get_or_default`,
/// `get_or_create` and `update` do not compile; `update_existing` needs no defaults.
///
/// # Example
///
/// By hand, for a default that depends on the key:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use memory_table::{BoxError, Database, FromKey, KeyRef, MemoryTable, PartitionKey, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Clone)]
/// struct Player {
///     name: String,
///     nick: String,
/// }
///
/// impl Record for Player {
///     type Key = PartitionKey<String>;
///     const TABLE: &'static str = "players";
///     const PARTITION_KEY: &'static str = "name";
///     const SORT_KEY: Option<&'static str> = None;
///
///     fn key(&self) -> KeyRef<'_> {
///         KeyRef::partition(&self.name)
///     }
/// }
///
/// impl FromKey for Player {
///     fn from_key(name: String) -> Result<Self, BoxError> {
///         let nick = name.to_uppercase();
///         Ok(Self { name, nick })
///     }
/// }
///
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
/// let ada = MemoryTable::new(players).get_or_create("ada").await?;
/// assert_eq!(ada.nick, "ADA");
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from its key alone",
    label = "this call makes a new record where there is none",
    note = "write `#[record(default = ..)]` or `#[serde(default)]` on each field that is not a key, or use `get` or `update_existing`"
)]
pub trait FromKey: Record {
    /// A record of this key, its other fields being defaults.
    ///
    /// # Errors
    ///
    /// Why there can be none: the call fails with it, and nothing changed.
    fn from_key(key: <Self::Key as KeyShape>::Owned) -> Result<Self, BoxError>;
}

/// What a record takes the place of.
#[derive(Debug)]
pub(crate) enum Before<'a, T> {
    Record(&'a T),
    /// No record, or one that it replaces as a whole, unseen.
    Nothing,
    /// Nobody knows: its attributes are set in what may be there.
    Unseen,
}

impl<'a, T> From<Option<&'a T>> for Before<'a, T> {
    fn from(record: Option<&'a T>) -> Self {
        record.map_or(Self::Nothing, Self::Record)
    }
}

/// Whether two records are stored alike, be it that they cannot be: who says so is another one.
pub(crate) fn is_same<T: Record>(one: &T, other: &T) -> bool {
    matches!((form_of(one), form_of(other)), (Ok(one), Ok(other)) if same_items(&one.json, &other.json))
}

/// Whether an attribute is one of the record's keys.
pub(crate) fn is_key<T: Record>(name: &str) -> bool {
    name == T::PARTITION_KEY || T::SORT_KEY == Some(name)
}

/// Whether an attribute is not the user's to change: a key, or the version.
pub(crate) fn is_fixed<T: Record>(name: &str) -> bool {
    is_key::<T>(name) || T::VERSION == Some(name)
}

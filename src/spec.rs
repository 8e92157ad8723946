//! What a table is like: its name, keys and indexes.

mod check;

pub(crate) use check::{check_indexes, check_units, units_on_demand};

use crate::database::BillingMode;
use crate::error::{Error, ErrorKind};
use crate::index::IndexAttribute;
use crate::key::{KeyKind, KeyShape};
use crate::record::Record;

/// Units of capacity a second: reads and writes.
pub(crate) type Units = (u64, u64);

/// A key attribute: its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeySpec {
    /// The attribute's name.
    pub name: &'static str,
    /// The attribute's type.
    pub kind: KeyKind,
}

impl KeySpec {
    /// A key attribute of this name and type.
    pub const fn new(name: &'static str, kind: KeyKind) -> Self {
        Self { name, kind }
    }

    /// A key attribute of this name, whose values are of type `A`.
    pub const fn of<A: IndexAttribute>(name: &'static str) -> Self {
        Self { name, kind: A::KIND }
    }
}

/// Which attributes an index has besides the keys, its own and the table's.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.Projections>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexProjection {
    /// All of them: what it returns are whole records.
    All,
    /// None.
    KeysOnly,
    /// These.
    Include(&'static [&'static str]),
}

/// An index: its name, keys and attributes.
///
/// `#[derive(Record)]` makes them of `#[record(global_index(..))]` and `#[record(local_index(..))]`.
///
/// # Example
///
/// ```
/// use memory_table::{IndexProjection, IndexSpec, KeyKind, KeySpec};
///
/// let by_city = IndexSpec::global("by-city", KeySpec::new("city", KeyKind::String))
///     .sort_key(KeySpec::new("opened", KeyKind::String))
///     .projection(IndexProjection::Include(&["rating"]));
/// assert_eq!((by_city.name(), by_city.is_local()), ("by-city", false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexSpec {
    name: &'static str,
    /// `None`: the table's own, so the index is local.
    partition_key: Option<KeySpec>,
    sort_key: Option<KeySpec>,
    projection: IndexProjection,
    units: Option<Units>,
}

impl IndexSpec {
    /// A global index, which has a partition key of its own; eventually consistent always.
    pub const fn global(name: &'static str, partition_key: KeySpec) -> Self {
        let projection = IndexProjection::All;
        Self { name, partition_key: Some(partition_key), sort_key: None, projection, units: None }
    }

    /// A local index, which sorts the items of a partition by another attribute.
    pub const fn local(name: &'static str, sort_key: KeySpec) -> Self {
        let projection = IndexProjection::All;
        Self { name, partition_key: None, sort_key: Some(sort_key), projection, units: None }
    }

    /// The sort key of a global index. Default: none.
    pub const fn sort_key(mut self, sort_key: KeySpec) -> Self {
        self.sort_key = Some(sort_key);
        self
    }

    /// Which attributes the index has besides the keys. Default: all.
    pub const fn projection(mut self, projection: IndexProjection) -> Self {
        self.projection = projection;
        self
    }

    /// Units of capacity a second of a global index, reads of 4 KB and writes of 1 KB; a local one has
    /// those of its table, as has the index of a table on demand.
    ///
    /// Default: those of the table.
    pub const fn provisioned(mut self, read_units: u64, write_units: u64) -> Self {
        self.units = Some((read_units, write_units));
        self
    }

    /// The attributes of its keys; the table's partition key is that of a local one.
    pub(crate) fn key_attributes(&self) -> impl Iterator<Item = KeySpec> + use<> {
        self.partition_key.into_iter().chain(self.sort_key)
    }

    /// As the index of a table on demand has it.
    pub(crate) const fn on_demand(&mut self) {
        self.units = None;
    }

    /// The index's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the index has the table's partition key.
    pub const fn is_local(&self) -> bool {
        self.partition_key.is_none()
    }

    /// The partition key of a global index; a local one has the table's.
    pub const fn partition_key(&self) -> Option<KeySpec> {
        self.partition_key
    }

    /// The sort key, if the index has one.
    pub const fn sort_key_spec(&self) -> Option<KeySpec> {
        self.sort_key
    }

    /// Which attributes the index has besides the keys.
    pub const fn attributes(&self) -> IndexProjection {
        self.projection
    }

    /// Units of capacity a second, reads and writes, if the index has other ones than its table.
    pub const fn units(&self) -> Option<(u64, u64)> {
        self.units
    }
}

/// What a table is like, for creating it: name, keys, indexes.
///
/// [`Database::create_if_missing`](crate::Database::create_if_missing) creates it without a record
/// type; what cannot be is an error before any request.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use memory_table::{Database, IndexSpec, KeyKind, KeySpec, TableSpec};
///
/// let by_city = IndexSpec::global("by-city", KeySpec::new("city", KeyKind::String));
/// let stores = TableSpec::new("stores")
///     .partition_key(KeySpec::new("store_id", KeyKind::String))
///     .index(by_city);
///
/// let database = Database::embedded()?;
/// database.create_if_missing(stores).await?;
/// assert!(database.client().describe_table().table_name("stores").send().await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    pub(crate) name: String,
    pub(crate) partition_key: Option<KeySpec>,
    pub(crate) sort_key: Option<KeySpec>,
    pub(crate) indexes: Vec<IndexSpec>,
    pub(crate) billing: BillingMode,
    pub(crate) time_to_live: Option<String>,
}

impl TableSpec {
    /// A table of this name, without the database's prefix; it needs a partition key too.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partition_key: None,
            sort_key: None,
            indexes: Vec::new(),
            billing: BillingMode::OnDemand,
            time_to_live: None,
        }
    }

    /// The table of a record type.
    pub fn of<T: Record>() -> Self {
        Self {
            name: T::TABLE.to_owned(),
            partition_key: Some(partition_key_of::<T>()),
            sort_key: sort_key_of::<T>(),
            indexes: T::INDEX_SPECS.to_vec(),
            billing: BillingMode::of(T::UNITS),
            time_to_live: T::TIME_TO_LIVE.map(str::to_owned),
        }
    }

    /// The partition key. Required.
    pub fn partition_key(mut self, key: KeySpec) -> Self {
        self.partition_key = Some(key);
        self
    }

    /// The sort key. Default: none.
    pub fn sort_key(mut self, key: KeySpec) -> Self {
        self.sort_key = Some(key);
        self
    }

    /// One more index. Default: none.
    pub fn index(mut self, index: IndexSpec) -> Self {
        self.indexes.push(index);
        self
    }

    /// Units of capacity a second: reads of 4 KB and writes of 1 KB. Each global index has the same on
    /// top, unless it says otherwise. Default: none, the table is on demand.
    pub fn provisioned(mut self, read_units: u64, write_units: u64) -> Self {
        self.billing = BillingMode::Provisioned { read_units, write_units };
        self
    }

    /// The attribute by which items expire, which [`Database::ensure`](crate::Database::ensure) sets.
    /// Default: none.
    pub fn time_to_live(mut self, attribute: impl Into<String>) -> Self {
        self.time_to_live = Some(attribute.into());
        self
    }

    /// In place of what it says itself. On demand no index has units.
    pub(crate) fn set_billing(&mut self, billing: BillingMode) {
        self.billing = billing;
        if billing == BillingMode::OnDemand {
            self.indexes.iter_mut().for_each(IndexSpec::on_demand);
        }
    }

    /// Gives an index units of its own.
    pub(crate) fn set_index_units(&mut self, name: &str, units: Units) -> Result<(), Error> {
        let index = self.indexes.iter_mut().find(|index| index.name == name);
        let Some(index) = index else {
            let text = format!("there is no index `{name}` to give units to");
            return Err(Error::new(ErrorKind::Configuration, text).during("CreateTable"));
        };
        index.units = Some(units);
        Ok(())
    }
}

/// The partition key that a record type gives its table.
pub(crate) fn partition_key_of<T: Record>() -> KeySpec {
    KeySpec::new(T::PARTITION_KEY, <T::Key as KeyShape>::PARTITION)
}

/// The sort key that a record type gives its table.
pub(crate) fn sort_key_of<T: Record>() -> Option<KeySpec> {
    T::SORT_KEY.zip(<T::Key as KeyShape>::SORT).map(|(name, kind)| KeySpec::new(name, kind))
}

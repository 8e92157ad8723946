//! Queries: the items of a partition of a table or an index, in the order of their sort keys.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::stream::{BoxStream, TryStreamExt};

use super::Table;
use super::read::cursor::Cursor;
use super::read::shape::{Cached, Followed, IndexShape, Selectable, Selected, Shape, Whole};
use super::read::{BadItems, Overlay, Page, Reader, read_ends, read_methods};
use super::scan::Scan;
use crate::condition::{Condition, KeyComparison, Prefixed, invalid, key_condition};
use crate::error::Error;
use crate::index::Index;
use crate::key::{AttributeLookup, Key, KeyError, KeyRef, KeyValue, QueryShape, SortShape};
use crate::record::{Projection, Record};
use crate::spec::IndexSpec;

/// A query for the items of a partition, in the order of their sort keys;
/// [`stream`](Self::stream), [`pages`](Self::pages), [`all`](Self::all), [`first`](Self::first) or
/// [`count`](Self::count) runs it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{Database, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "matches")]
/// # struct Match { #[record(partition_key)] cup: u16, #[record(sort_key)] number: u32, goals: u8 }
/// let matches = Database::embedded()?.table::<Match>();
/// matches.create_if_missing().await?;
/// for number in 1..=9 {
///     matches.put(&Match { cup: 2022, number, goals: 2 }).await?;
/// }
///
/// let late = matches.query(2022).sort_key().between(5, 8).descending().limit(2).all().await?;
/// assert_eq!(late.iter().map(|played| played.number).collect::<Vec<_>>(), [8, 7]);
///
/// let many = Match::FIELDS.goals.gt(2);
/// assert_eq!(matches.query(2022).filter(many).count().await?, 0);
/// # Ok(()) }
/// ```
#[must_use = "a query reads nothing until it is run"]
pub struct Query<T: Record, K = <T as Record>::Key, S = Whole> {
    pub(crate) reader: Reader<T>,
    /// The names of the keys of what is queried.
    names: (&'static str, Option<&'static str>),
    partition: Result<KeyValue<'static>, Error>,
    shape: PhantomData<fn() -> (K, S)>,
}

impl<T: Record, K, S> Clone for Query<T, K, S> {
    fn clone(&self) -> Self {
        let partition = self.partition.clone();
        Self { reader: self.reader.clone(), names: self.names, partition, shape: PhantomData }
    }
}

impl<T: Record, K, S> fmt::Debug for Query<T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reader.describe(f, "Query")
    }
}

impl<T: Record, K: QueryShape, S> Query<T, K, S> {
    pub(crate) fn new(
        table: Table<T>,
        index: Option<&'static IndexSpec>,
        partition: &impl AttributeLookup<K::Partition>,
    ) -> Self {
        let names = match index {
            None => (T::PARTITION_KEY, T::SORT_KEY),
            Some(index) => (
                index.partition_key().map_or(T::PARTITION_KEY, |key| key.name),
                index.sort_key_spec().map(|key| key.name),
            ),
        };
        let mut reader = Reader { index, ..Reader::new(table) };
        let partition = partition.value().partition_key().map_err(Error::from);
        if let (Ok(value), None) = (&partition, index) {
            let of_partition = Key::bytes_of(&KeyRef::new(value.clone(), None));
            reader.prefix = of_partition.ok().map(|bytes| Arc::from(&*bytes));
        }
        reader.key = Some(match &partition {
            Ok(value) => key_condition((names.0, value), None),
            Err(error) => Condition::refused(error.clone()),
        });
        Self { reader, names, partition, shape: PhantomData }
    }

    /// Asks for a range of sort keys: `query("chess").sort_key().begins_with("a")`.
    ///
    /// Default: all of the partition. A query has one condition on its sort key; a second is an error
    /// before a request.
    pub const fn sort_key(self) -> SortKey<T, K, S>
    where
        K: SortShape,
    {
        SortKey { query: self }
    }

    /// From the highest sort key to the lowest.
    ///
    /// Default: ascending.
    pub const fn descending(mut self) -> Self {
        self.reader.descending = true;
        self
    }

    /// Reads only the attributes of `P`, for fewer bytes on the wire; the service charges for whole
    /// items all the same.
    pub fn select<P: Projection<Of = T>>(self) -> Query<T, K, Selected<P>>
    where
        S: Selectable,
    {
        let Self { reader, names, partition, .. } = self;
        Query { reader, names, partition, shape: PhantomData }
    }

    /// Finds records with what is stored of them, to be changed and [saved](Table::save). Of what was
    /// saved a moment ago an eventually consistent read may find what was before, and the next save meets
    /// a conflict.
    pub fn tracked(self) -> Query<T, K, Followed>
    where
        S: Shape<T, Item = T>,
    {
        let Self { reader, names, partition, .. } = self;
        Query { reader, names, partition, shape: PhantomData }
    }

    /// The same, as a memory table sees it.
    pub(crate) fn seen_by(self, overlay: Arc<dyn Overlay<T>>) -> Query<T, K, Cached> {
        let Self { mut reader, names, partition, .. } = self;
        reader.overlay = Some(overlay);
        Query { reader, names, partition, shape: PhantomData }
    }

    fn with(mut self, sort: Result<KeyComparison, KeyError>) -> Self {
        let before = self.reader.key.take();
        self.reader.key =
            Some(match (self.partition.clone(), sort.map_err(Error::from), self.names.1) {
                (Err(error), ..) | (_, Err(error), _) => Condition::refused(error),
                (Ok(partition), Ok(sort), Some(name))
                    if before.is_some_and(|key| key.is_single()) =>
                {
                    key_condition((self.names.0, &partition), Some((name, &sort)))
                }
                (Ok(_), Ok(_), _) => Condition::refused(invalid(
                    "a query has one condition on its sort key; `between` has two bounds",
                )),
            });
        self
    }

    read_methods!();
    // The bound is on the methods: what an index lacks is then said in words of ours.
    read_ends!();
}

/// Which sort keys a [`Query`] asks for.
#[must_use = "a sort key asks for nothing by itself; say which, as by `begins_with`"]
pub struct SortKey<T: Record, K, S> {
    query: Query<T, K, S>,
}

impl<T: Record, K, S> fmt::Debug for SortKey<T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SortKey({:?})", self.query)
    }
}

impl<T: Record, K: SortShape, S> SortKey<T, K, S> {
    /// This one.
    pub fn eq(self, key: impl AttributeLookup<K::Sort>) -> Query<T, K, S> {
        self.query.with(key.value().sort_key().map(KeyComparison::Eq))
    }

    /// Those below: numbers by value, strings and bytes by their bytes.
    pub fn lt(self, key: impl AttributeLookup<K::Sort>) -> Query<T, K, S> {
        self.query.with(key.value().sort_key().map(KeyComparison::Lt))
    }

    /// This one and those below.
    pub fn le(self, key: impl AttributeLookup<K::Sort>) -> Query<T, K, S> {
        self.query.with(key.value().sort_key().map(KeyComparison::Le))
    }

    /// Those above: numbers by value, strings and bytes by their bytes.
    pub fn gt(self, key: impl AttributeLookup<K::Sort>) -> Query<T, K, S> {
        self.query.with(key.value().sort_key().map(KeyComparison::Gt))
    }

    /// This one and those above.
    pub fn ge(self, key: impl AttributeLookup<K::Sort>) -> Query<T, K, S> {
        self.query.with(key.value().sort_key().map(KeyComparison::Ge))
    }

    /// Those from `low` to `high`, both among them. A `low` above `high` is an error before a
    /// request, as DynamoDB refuses it.
    pub fn between(
        self,
        low: impl AttributeLookup<K::Sort>,
        high: impl AttributeLookup<K::Sort>,
    ) -> Query<T, K, S> {
        let low = low.value().sort_key();
        let between = low.and_then(|low| Ok(KeyComparison::Between(low, high.value().sort_key()?)));
        self.query.with(between)
    }

    /// Those that begin with this string or these bytes.
    pub fn begins_with<P>(self, prefix: impl AttributeLookup<P>) -> Query<T, K, S>
    where
        K::Sort: Prefixed<Prefix = P>,
    {
        self.query.with(prefix.value().sort_key().map(KeyComparison::BeginsWith))
    }
}

/// An index of a table, for reading: [`Table::index`](crate::Table::index).
pub struct IndexTable<T, K, A> {
    pub(super) table: Table<T>,
    pub(super) index: Index<T, K, A>,
}

impl<T, K, A> fmt::Debug for IndexTable<T, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexTable")
            .field("table", &self.table)
            .field("index", &self.index)
            .finish()
    }
}

impl<T: Record, K: QueryShape, A: IndexShape> IndexTable<T, K, A> {
    /// The items of a partition of the index, in the order of its sort keys.
    ///
    /// Eventually consistent; a local index can be read consistently.
    pub fn query(&self, partition: impl AttributeLookup<K::Partition>) -> Query<T, K, A::Shape> {
        Query::new(self.table.clone(), Some(self.index.spec()), &partition)
    }

    /// All items that the index has: those without its key attributes are not among them.
    pub fn scan(&self) -> Scan<T, A::Shape> {
        Scan::new(self.table.clone(), Some(self.index.spec()))
    }
}

//! Indexes of a table as a record type knows them.

use std::fmt;
use std::marker::PhantomData;

use crate::key::{KeyAttribute, KeyKind};
use crate::spec::IndexSpec;

/// A type that is stored as a string, number or bytes and can so be the key of an index.
///
/// Every [`KeyAttribute`] is one, and floats are: an index finds ranges of them, not one item.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an index",
    label = "not stored as a string, number or bytes",
    note = "the key of an index is a `String`, a number, `memory_table::Binary`, or an instant with `#[serde(with = \"memory_table::instant\")]`; also an `Option` of these"
)]
pub trait IndexAttribute {
    /// The DynamoDB type of the attribute.
    const KIND: KeyKind;
}

#[diagnostic::do_not_recommend]
impl<A: KeyAttribute> IndexAttribute for A {
    const KIND: KeyKind = A::KIND;
}

#[diagnostic::do_not_recommend]
impl IndexAttribute for f32 {
    const KIND: KeyKind = KeyKind::Number;
}

#[diagnostic::do_not_recommend]
impl IndexAttribute for f64 {
    const KIND: KeyKind = KeyKind::Number;
}

/// Marks an index that has all attributes of the record.
#[derive(Clone, Copy, Debug)]
pub enum AllAttributes {}

/// Marks an index that has some attributes of the record only.
#[derive(Clone, Copy, Debug)]
pub enum SomeAttributes {}

/// An index of the table of `T`, with keys of shape `K`: [`PartitionKey`](crate::PartitionKey) or
/// [`CompositeKey`](crate::CompositeKey).
///
/// `#[derive(Record)]` makes one for each index, as `Store::INDEXES.by_company`. `A` says whether
/// the index has whole records: [`AllAttributes`] or [`SomeAttributes`].
///
/// # Example
///
/// ```
/// use memory_table::{CompositeKey, Index, PartitionKey, Record, SomeAttributes};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(
///     table = "stores",
///     global_index(name = "by-company", partition_key = company_id, sort_key = store_id),
///     global_index(name = "by-city", partition_key = city, keys_only),
/// )]
/// struct Store {
///     #[record(partition_key)]
///     store_id: String,
///     company_id: u64,
///     #[serde(default, skip_serializing_if = "Option::is_none")]
///     city: Option<String>,
/// }
///
/// let by_company: Index<Store, CompositeKey<u64, String>> = Store::INDEXES.by_company;
/// let by_city: Index<Store, PartitionKey<String>, SomeAttributes> = Store::INDEXES.by_city;
/// assert_eq!((by_company.spec().name(), by_city.spec().name()), ("by-company", "by-city"));
/// ```
pub struct Index<T, K, A = AllAttributes> {
    spec: &'static IndexSpec,
    marker: Marker<T, K, A>,
}

/// The types of a handle, of which it holds no values.
type Marker<T, K, A> = PhantomData<fn() -> (T, K, A)>;

impl<T, K, A> Index<T, K, A> {
    /// The handle of an index, which must be one of the record's.
    pub const fn of(spec: &'static IndexSpec) -> Self {
        Self { spec, marker: PhantomData }
    }

    /// What the index is like.
    pub const fn spec(&self) -> &'static IndexSpec {
        self.spec
    }
}

impl<T, K, A> Clone for Index<T, K, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, K, A> Copy for Index<T, K, A> {}

impl<T, K, A> fmt::Debug for Index<T, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({})", self.spec.name())
    }
}

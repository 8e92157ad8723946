//! The seam between the engines and the database: the few calls that the engines need.
//!
//! What crosses it is encoded items (DynamoDB JSON) and keys, so the engines run on the SDK, on the
//! embedded database and on a simulated store alike. One call is one HTTP attempt: nothing below
//! the seam retries, everything above it decides by the [`Failure`]'s class.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::capacity::{Charged, write_units};
use crate::codec::EncodedItem;
use crate::condition::Rendered;
use crate::error::Error;
use crate::key::Key;
use crate::record::Record;
use crate::spec::IndexSpec;

/// The most operations of one BatchWriteItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(crate) const MAX_BATCH_WRITE: usize = 25;
/// The most keys of one BatchGetItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
pub(crate) const MAX_BATCH_GET: usize = 100;
/// The most bytes of one request, 16 MB, less room for what is around the items.
pub(crate) const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024 - 16 * 1024;

pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<Answered<T>, Failure>> + Send + 'a>>;

/// An answer, and what the service charges for it.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) charged: Charged,
}

impl<T> Answered<T> {
    /// An answer that costs nothing.
    pub(crate) fn free(value: T) -> Self {
        Self { value, charged: Charged::default() }
    }
}

/// A table as requests name it.
#[derive(Clone, Debug)]
pub(crate) struct TableRef {
    /// With the database's prefix.
    pub(crate) name: Arc<str>,
    pub(crate) partition_key: &'static str,
    pub(crate) sort_key: Option<&'static str>,
}

impl TableRef {
    pub(crate) fn of<T: Record>(name: Arc<str>) -> Self {
        Self { name, partition_key: T::PARTITION_KEY, sort_key: T::SORT_KEY }
    }
}

/// A table's name without what an ARN has in front of it.
pub(crate) fn short_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What was to be done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// The item was to be written.
    Put,
    /// The item was to be deleted.
    Delete,
    /// Numbers were to be added to attributes of the item.
    Increment,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Increment => "increment",
        })
    }
}

/// A key of one of the tables that are written to together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableKey {
    /// Its place among these tables.
    pub(crate) table: usize,
    pub(crate) key: Key,
}

/// One write of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) at: TableKey,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Put(EncodedItem),
    /// The key attributes as a JSON object.
    Delete(Vec<u8>),
    /// Goes alone.
    Single(Box<Single>),
}

/// A write that no batch can have: one with a condition, or of some attributes.
#[derive(Clone, Debug)]
pub(crate) struct Single {
    pub(crate) form: Form,
    /// What it changes and expects.
    pub(crate) expressions: Rendered,
    /// Bytes of the item as it is to be, by DynamoDB's arithmetic; of the key if it is to be none.
    pub(crate) size: usize,
    pub(crate) returns: Returns,
}

/// What the answer to a single write is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    Nothing,
    /// The item as it is then.
    New,
}

/// How a single write is sent.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// PutItem.
    Put(EncodedItem),
    /// UpdateItem of this key, which is a JSON object.
    Update(Vec<u8>),
    /// DeleteItem of this key, which is a JSON object.
    Delete(Vec<u8>),
    /// TransactWriteItems with one update of this key, under a token by which it is done once.
    Add { key: Vec<u8>, token: Arc<str> },
}

impl Form {
    /// What DynamoDB calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "PutItem",
            Self::Update(_) => "UpdateItem",
            Self::Delete(_) => "DeleteItem",
            Self::Add { .. } => "TransactWriteItems",
        }
    }
}

impl Single {
    /// The units that it is thought to cost: a transaction costs twice what a write does.
    pub(crate) fn units(&self) -> f64 {
        let units = write_units(self.size);
        if matches!(self.form, Form::Add { .. }) { 2.0 * units } else { units }
    }
}

impl Action {
    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Put(_) => Operation::Put,
            Self::Delete(_) => Operation::Delete,
            Self::Single(single) => match single.form {
                Form::Put(_) | Form::Update(_) => Operation::Put,
                Form::Delete(_) => Operation::Delete,
                Form::Add { .. } => Operation::Increment,
            },
        }
    }

    /// Whether it goes alone.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(self, Self::Single(_))
    }

    /// Bytes of what is sent, by DynamoDB's arithmetic, for this key of a table with these key attributes.
    pub(crate) fn size(&self, key: &Key, partition_key: &str, sort_key: Option<&str>) -> usize {
        match self {
            Self::Put(item) => item.size,
            Self::Delete(_) => key.size(partition_key, sort_key),
            Self::Single(single) => single.size,
        }
    }

    /// The bytes that the write takes on the wire, with the JSON around it.
    pub(crate) fn wire_bytes(&self) -> usize {
        const AROUND: usize = 40;
        AROUND
            + match self {
                Self::Put(item) => item.json.len(),
                Self::Delete(key) => key.len(),
                // Alone it fits always.
                Self::Single(single) => single.size,
            }
    }
}

/// The answer to a single write.
#[derive(Debug)]
pub(crate) enum Done {
    /// It is done. The item that was asked for, if there is one.
    Written { item: Option<Vec<u8>> },
    /// Its condition does not hold for what is stored, if anything is.
    Conflict { theirs: Option<Vec<u8>> },
}

/// A key to read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    /// The key attributes as a JSON object.
    pub(crate) json: Vec<u8>,
}

/// The answer to a batch of writes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Those that were not applied, as indexes into the batch.
    pub(crate) unprocessed: Vec<usize>,
}

/// The answer to a batch of reads.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Items in DynamoDB JSON, in no order.
    pub(crate) items: Vec<Bytes>,
    /// Keys that must be asked for again, as indexes into the batch.
    pub(crate) unprocessed: Vec<usize>,
}

/// What all pages of a query or scan have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// A query if they have a key condition, else a scan.
    pub(crate) expressions: Rendered,
    /// The index to read; `None` for the table itself.
    pub(crate) index: Option<&'static IndexSpec>,
    pub(crate) consistent: bool,
    /// From the highest sort key to the lowest.
    pub(crate) descending: bool,
    /// Only how many items there are.
    pub(crate) count: bool,
}

impl Reading {
    pub(crate) const fn operation(&self) -> &'static str {
        if self.expressions.key_condition.is_some() { "Query" } else { "Scan" }
    }
}

/// Which page of a query or scan to read.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) reading: Arc<Reading>,
    /// Which part of a scan, and how many there are.
    pub(crate) segment: u32,
    pub(crate) segments: u32,
    /// The most items to look at; `None` for as many as have 1 MB.
    pub(crate) limit: Option<u32>,
    /// Where the page before ended, as it was returned.
    pub(crate) start: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Perhaps none, even if there are more pages.
    pub(crate) items: Vec<Bytes>,
    /// How many items met the filter: as many as `items`, if they were not only counted.
    pub(crate) count: u64,
    /// How many items were looked at.
    pub(crate) scanned: u64,
    /// Where the next page starts; `None` at the end.
    pub(crate) next: Option<Vec<u8>>,
}

/// What the engines need of a database.
pub(crate) trait Store: Send + Sync + 'static {
    /// Sends writes to several tables, no key of a table twice.
    fn batch_write<'a>(
        &'a self,
        tables: &'a [TableRef],
        batch: &'a [Write],
    ) -> StoreFuture<'a, Written>;

    /// Sends a write that goes alone.
    fn write_single<'a>(&'a self, table: &'a TableRef, single: &'a Single)
    -> StoreFuture<'a, Done>;

    fn batch_get<'a>(
        &'a self,
        table: &'a TableRef,
        keys: &'a [Wanted],
        consistent: bool,
    ) -> StoreFuture<'a, Found>;

    fn get<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
        consistent: bool,
    ) -> StoreFuture<'a, Option<Vec<u8>>>;

    fn put<'a>(&'a self, table: &'a TableRef, item: &'a EncodedItem) -> StoreFuture<'a, ()>;

    /// Deletes and returns what was deleted.
    fn delete<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
    ) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// One page of a query or scan.
    fn page<'a>(&'a self, table: &'a TableRef, page: &'a PageRequest) -> StoreFuture<'a, Page>;
}

/// What to do about a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Too fast: wait and send again.
    Throttled,
    /// Nothing is wrong with the request: wait and send again.
    Transient,
    /// Something in the request is wrong: not to be sent again as it is.
    Refused,
    /// The table, the credentials or the configuration: nothing can be sent.
    Fatal,
}

/// Whether a failed write may be in the table after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The service did not apply the write.
    NotWritten,
    /// The answer is missing: the service may have applied the write.
    OutcomeUnknown,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) outcome: Outcome,
    pub(crate) error: Error,
}

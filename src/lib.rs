//! A write-back memory table over DynamoDB: reads each item once, changes records in memory, and
//! flushes what changed in batches of 25.
//!
//! For batch jobs, leaderboard recomputes and ETL pipelines: they read many items, change some of
//! them many times, and write what changed at the end. A [`MemoryTable`] does that in the fewest
//! requests, retries what the service leaves unprocessed, and never drops a record: what is not
//! confirmed stays unsaved, and the error names it.
//!
//! ```
//! use memory_table::{Database, MemoryTable, Record};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Record, Serialize, Deserialize, Clone)]
//! #[record(table = "players")]
//! struct Player {
//!     #[record(partition_key)]
//!     game: String,
//!     #[record(sort_key)]
//!     name: String,
//!     #[serde(default)]
//!     rating: f64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::embedded()?; // or from_env().await?, local(url)?, from_client(client)
//! let players = database.table::<Player>();
//! players.create_if_missing().await?;
//!
//! let memory = MemoryTable::new(players);
//! memory.prefetch([("chess", "ada"), ("chess", "bob")]).await?; // BatchGetItem, 100 keys a request
//! memory.update(("chess", "ada"), |player| player.rating += 12.0).await?;
//! let report = memory.flush().await?; // BatchWriteItem, 25 items a request
//! assert_eq!(report.written, 1);
//! # Ok(()) }
//! ```
//!
//! # What a crash loses
//!
//! Changes live in memory until [`flush`](MemoryTable::flush) or [`close`](MemoryTable::close)
//! returns. A process that dies before loses what it had not flushed; the table is left with whole
//! items, old or new, never with half of one.
//!
//! With a journal nothing is lost: [`MemoryTableBuilder`]'s `journal`, with the feature of that name, keeps
//! what is unsaved in a file, and a memory table that is opened with it goes on where the last one ended. A job that adds up
//! commits where it is together with its changes, by its `checkpoints`, and counts nothing twice.
//!
//! # Features
//!
//! Off by default, so that a production build compiles what it runs:
//!
//! - `embedded`: the embedded database, [`Database::embedded`]; compiles SQLite.
//! - `garde`: `#[record(validate)]`, rules of fields.
//! - `chrono`, `jiff`: instants of these crates as attributes and keys, see [`instant`].
//! - `journal`: unsaved changes on disk, so that a crash loses none; `journal` of [`MemoryTableBuilder`]. Dead
//!   letters: `close_to` and `import` of [`MemoryTable`].
//! - `progress`: flushes and loads as bars on the terminal, `progress_bar` of [`MemoryTableBuilder`].
//! - `test-util`: faults by script or by chance, for tests: the module `testing`.
//! - `uuid`: UUIDs as keys; stored as their text.
//!
//! # Layers
//!
//! [`Database`] is where the tables are, [`Table`] is typed and uncached, [`MemoryTable`] caches and
//! writes back. The SDK's own client is at hand by [`Database::client`].

#![deny(unreachable_pub, missing_debug_implementations)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "internal-bench")]
#[doc(hidden)]
pub mod bench;

#[doc(hidden)]
pub mod derived;

// Suggested reading order: the data's way, lowest layer first.
mod breaks;
mod bugs;
mod error;
#[cfg(feature = "journal")]
mod journal;
mod json;
mod key;
mod number;
mod spec;
mod index;
#[cfg(all(test, feature = "interleavings"))]
mod interleavings;
mod record;
mod types;
mod validation;
mod codec;
mod capacity;
pub mod condition;
mod store;
mod logging;
mod guard;
mod sums;
mod retry;
mod rt;
mod pace;
mod progress;
mod link;
mod database;
mod manage;
mod load;
mod write;
mod table;
mod memory;
#[cfg(feature = "test-util")]
pub mod testing;

pub use aws_sdk_dynamodb;
#[cfg(feature = "garde")]
pub use garde;
pub use memory_table_derive::{KeyAttribute, Projection, Record};
/// For code of your own that builds `AttributeValue`s for the raw client; its SDK is this one.
pub use serde_dynamo;

pub use capacity::{ConsumedCapacity, Consumption};
pub use condition::{AttributeType, Condition, Field, attribute};
pub use database::{
    BillingMode, Database, DatabaseBuilder, IndexDescription, ProjectedAttributes,
    TableDescription, TableStatus,
};
pub use error::{BoxError, Error, ErrorKind, ThrottlingReason};
pub use guard::{Conflict, Guard, Merge, OnConflict, Resolution};
pub use index::{AllAttributes, Index, IndexAttribute, SomeAttributes};
#[cfg(feature = "journal")]
pub use journal::{Durability, Inspection, Journal, UnsavedChange};
pub use key::{
    AttributeLookup, Binary, CompositeKey, Key, KeyAttribute, KeyError, KeyKind, KeyLookup, KeyRef,
    KeyShape, KeyValue, PartitionKey, QueryShape, SortShape,
};
pub use manage::{CreateIfMissing, UpdateTable};
pub use memory::{
    CachedIndex, FeedError, FlushPlan, Flushable, Increment, LoadPlan, LoadReport, Loadable,
    MemoryTable, MemoryTableBuilder, PutSink, ScopeError, Stats, Unsaved, flush_all,
};
pub use progress::{Progress, Work};
pub use record::{FromKey, Projection, Record};
pub use retry::RetryPolicy;
pub use spec::{IndexProjection, IndexSpec, KeySpec, TableSpec};
pub use store::{Operation, Outcome};
pub use table::{
    BadItems, BatchGet, BatchWrite, Cached, Cursor, DeleteGuarded, Followed, Found, IndexShape,
    IndexTable, Page, PutGuarded, Query, Save, Scan, Selectable, Selected, Shape, SortKey, Table,
    Tracked, Unselected, Update, Whole,
};
pub use types::{Attributes, Instant, InstantType, Number, Set, instant, old, set};
pub use write::{Failed, FlushError, FlushReport};

#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pacing;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod simulation;

// Lets the derives' `::memory_table` paths resolve in this crate's own tests.
#[cfg(test)]
extern crate self as memory_table;

/// The README's program compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! DynamoDB in this process: an HTTP client for the AWS SDK that opens no socket.
//!
//! The SDK builds a request, signs it and hands it to its HTTP client. The client here hands it to
//! `dynoxide`, an implementation of DynamoDB on SQLite, and the answer goes back the same way. So
//! the SDK's types, its errors and its retries are the same here as on AWS.
//!
//! A request takes this path: [`http`] (reads the target, finds the operation, answers in HTTP) →
//! [`operations`] (what there is, and which call runs it) → [`dispatch`] (reads the body, contains
//! a panic, settles the error's form) → `dynoxide`, with [`errors`] and [`nesting`] for bodies that
//! cannot be read.
//!
//! # What is not like AWS
//!
//! - No throttling, no stale reads, no transaction conflicts; `UnprocessedItems` is always empty,
//!   and expired items stay until they are deleted.
//! - Signatures, regions and credentials are not looked at, and neither are connect and read
//!   timeouts: in memory a call cannot be interrupted, on disk it goes on after its caller stopped
//!   waiting.
//! - **Scan and Query without `Limit`**: a page is 1 MB as on AWS, but all remaining rows are
//!   fetched to make it, so the time to read a whole table grows with the square of its size (a
//!   quarter more than with `Limit` at 10 MB). With `Limit` it does not. None is added here: the
//!   page would end early, which a caller who reads one page would notice.
//! - **Parallel scans** work, but each segment sorts the whole table, so one segment is faster.
//! - Idempotency tokens live in the [`Engine`] and are lost when it is closed.
//! - After a panic inside `dynoxide` every further call on that engine answers
//!   `InternalServerError`, because the state of its connection is unknown.
//!
//! # Operations
#![doc = include_str!("operations.md")]

mod dispatch;
mod errors;
mod http;
mod nesting;
mod open;
mod operations;

use std::fmt;
use std::path::Path;

use aws_sdk_dynamodb::config::SharedHttpClient;
use dynoxide::Database;

/// The error of opening an engine.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A DynamoDB in this process. Clones share one database.
#[derive(Clone)]
pub(crate) struct Engine {
    database: Database,
    storage: Storage,
}

/// Where an engine keeps its items, which decides where its calls may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    /// Calls never wait for a disk: they run on the caller's task, so that they work on any
    /// runtime, on none, and under a paused clock.
    Memory,
    /// Calls wait for the disk: they run on Tokio's blocking threads when there is a runtime.
    Disk,
}

impl Engine {
    /// A new, empty database in memory, gone with the last clone of the engine and its clients.
    ///
    /// # Errors
    ///
    /// If SQLite cannot set up the database, which takes a lack of memory.
    pub(crate) fn memory() -> Result<Engine, BoxError> {
        let database = Database::memory()
            .map_err(|error| format!("cannot create the embedded database in memory: {error}"))?;
        Ok(Engine { database, storage: Storage::Memory })
    }

    /// The database in the SQLite file at `path`, created if it is missing.
    ///
    /// Beside the file SQLite keeps `<path>-wal` and `<path>-shm`, which belong to it. A SQLite
    /// file of another program is not recognised as such: tables would be added to it.
    ///
    /// Open a file once and clone the engine. Two engines on one file, in one process or two, see
    /// each other's items and lose no update, but:
    ///
    /// - a request that waits longer than five seconds for the other engine fails with
    ///   `InternalServerError`;
    /// - each remembers the definitions of the tables it has used: when the other deletes a table,
    ///   a request to it fails with `InternalServerError` instead of `ResourceNotFoundException`,
    ///   and a changed table (an index, a stream, its time to live) is still taken for the old one;
    /// - an idempotency token is known only to the engine that got it.
    ///
    /// # Errors
    ///
    /// In one line, naming the path: the directory is missing, the path is a directory, the file is
    /// not a SQLite database, was written by a newer `dynoxide`, is read-only, or stays locked by
    /// another process for 30 seconds.
    pub(crate) fn open(path: &Path) -> Result<Engine, BoxError> {
        Ok(Engine { database: open::database(path)?, storage: Storage::Disk })
    }

    /// An HTTP client for `aws_sdk_dynamodb` that sends every request to this engine.
    ///
    /// The client config still needs a region and credentials, of any value.
    pub(crate) fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("storage", &self.storage).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

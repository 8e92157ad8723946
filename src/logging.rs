//! What the log says: one event for each request that is answered or failed, in a span of its own; and
//! what becomes of records.
//!
//! Fields have the names of OpenTelemetry's conventions where these have one.
//! <https://opentelemetry.io/docs/specs/semconv/database/dynamodb/>

use std::sync::Arc;

use tracing::field::Empty;
use tracing::{Instrument, Level, Span};

use crate::error::Error;
use crate::key::Key;
use crate::store::{Answered, Failure, Single, TableRef};
use crate::write::FlushReport;

/// What spans and events of the database come under.
pub(crate) const DATABASE: &str = "memory_table::database";
/// What events of records come under: loaded, flushed, skipped, lost.
pub(crate) const RECORDS: &str = "memory_table::records";

/// What OpenTelemetry calls DynamoDB.
const SYSTEM: &str = "aws.dynamodb";

/// An event of an access: its own fields, and these.
macro_rules! event {
    ($access:expr, $($more:tt)*) => {
        tracing::event!(
            target: DATABASE,
            Level::DEBUG,
            db.system.name = SYSTEM,
            db.operation.name = $access.operation,
            db.collection.name = $access.table.map(|table| &**table),
            db.operation.batch.size = ($access.items > 1).then_some($access.items),
            key = $access.key.map(tracing::field::display),
            guarded = $access.guarded,
            requests = $access.requests,
            $($more)*
        )
    };
}

/// The part that a request has on one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    /// What DynamoDB calls it.
    pub(crate) operation: &'static str,
    /// The table, by its full name, if it is of one.
    pub(crate) table: Option<&'a Arc<str>>,
    /// The key, if it is of one item.
    pub(crate) key: Option<&'a Key>,
    /// How many items are asked for or sent, if that is known before.
    pub(crate) items: usize,
    /// How many requests it took, this one included.
    pub(crate) requests: u64,
    /// Whether it has a condition.
    pub(crate) guarded: bool,
}

impl<'a> Access<'a> {
    /// The first request of an operation.
    pub(crate) const fn first(operation: &'static str) -> Self {
        Self { operation, table: None, key: None, items: 0, requests: 1, guarded: false }
    }

    /// The first request of an operation on a table.
    pub(crate) const fn on(operation: &'static str, table: &'a Arc<str>) -> Self {
        let first = Self::first(operation);
        Self { table: Some(table), ..first }
    }

    /// The first request of a single write.
    pub(crate) const fn single(single: &Single, key: &'a Key, table: &'a TableRef) -> Self {
        let guarded = single.expressions.condition.is_some();
        let first = Self::on(single.form.name(), &table.name);
        Self { key: Some(key), items: 1, guarded, ..first }
    }

    /// Adds to an error where it happened.
    pub(crate) fn place(&self, error: Error) -> Error {
        let error = error.during(self.operation);
        match self.table {
            Some(table) => error.on_table(table),
            None => error,
        }
    }

    /// Sends the request and says how it ended.
    pub(crate) async fn sent<T>(
        &self,
        request: impl Future<Output = Result<Answered<T>, Failure>>,
    ) -> Result<Answered<T>, Failure> {
        sent(std::slice::from_ref(self), request).await
    }

    /// It was answered, at this price.
    fn answered(&self, capacity: f64) {
        event!(self, capacity, "answered");
    }

    /// It was refused, throttled, or not answered; perhaps it is sent again.
    fn failed(&self, error: &Error) {
        event!(self, error.type = error_type(error), %error, "failed");
    }
}

/// Sends a request that may be of several tables and says how it ended.
pub(crate) async fn sent<T>(
    parts: &[Access<'_>],
    request: impl Future<Output = Result<Answered<T>, Failure>>,
) -> Result<Answered<T>, Failure> {
    let span = span(parts);
    let result = request.instrument(span.clone()).await;
    let _inside = span.enter();
    match &result {
        // What each part is charged need not be known where nobody listens.
        Ok(answered) if tracing::enabled!(target: DATABASE, Level::DEBUG) => {
            let names = parts.iter().map(|part| part.table.map(|table| &**table));
            let shares = answered.charged.shares(&names.collect::<Vec<_>>());
            for (part, units) in parts.iter().zip(shares) {
                part.answered(units.map_or(0.0, |units| units.total));
            }
        }
        Ok(_) => {}
        Err(failure) => {
            for part in parts {
                part.failed(&failure.error);
            }
            span.record("error.type", error_type(&failure.error));
            span.record("otel.status_code", "ERROR");
        }
    }
    result
}

fn span(parts: &[Access<'_>]) -> Span {
    let operation = parts.first().map(|part| part.operation);
    let items: usize = parts.iter().map(|part| part.items).sum();
    let names = || parts.iter().filter_map(|part| part.table.map(|table| &**table));
    let one = |name| if parts.len() == 1 { name } else { None };
    tracing::span!(
        target: DATABASE,
        Level::DEBUG,
        "request",
        otel.kind = "client",
        otel.name = operation,
        otel.status_code = Empty,
        db.system.name = SYSTEM,
        db.operation.name = operation,
        db.collection.name = one(names().next()),
        db.operation.batch.size = (items > 1).then_some(items),
        aws.dynamodb.table_names = names().collect::<Vec<_>>().join(","),
        error.type = Empty,
    )
}

/// What a flush, or a batch of writes, came to.
pub(crate) fn saved(tables: &[TableRef], report: &FlushReport) {
    let names = || tables.iter().map(|table| &*table.name).collect::<Vec<_>>().join(", ");
    tracing::event!(
        target: RECORDS,
        Level::DEBUG,
        tables = names(),
        written = report.written,
        deleted = report.deleted,
        unsaved = report.failed.len() + report.parked.len(),
        conflicts = report.conflicts.len(),
        requests = report.requests,
        capacity = report.consumed_capacity,
        "saved",
    );
}

/// What was loaded into a memory table at once.
pub(crate) fn loaded(table: &str, records: u64, skipped: u64) {
    tracing::event!(target: RECORDS, Level::DEBUG, table, records, skipped, "loaded");
}

/// The service's code, or what kind of failure it is.
fn error_type(error: &Error) -> String {
    error.code().map_or_else(|| format!("{:?}", error.kind()), str::to_owned)
}

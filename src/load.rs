//! The load engine: keys to items in as few requests as possible.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::codec::{Decoded, decode, item_key, key_json};
use crate::condition::Rendered;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::record::Record;
use crate::store::{Found, ScanPage, Wanted};

/// The most items of a scan page on the embedded database, where a page without a limit selects
/// all the rows that are left, so that a scan would take quadratic time.
const EMBEDDED_PAGE: u32 = 1_000;

pub(crate) fn wanted<T: Record>(key: &Key) -> Wanted {
    Wanted { key: key.clone(), json: key_json::<T>(key) }
}

/// Reads one item.
pub(crate) async fn get<T: Record>(
    link: &Link,
    key: &Key,
    consistent: bool,
) -> Result<Option<Decoded<T>>, Error> {
    let wanted = wanted::<T>(key);
    let item = link.read("GetItem", || link.store.get(&link.table, &wanted, consistent)).await;
    let item = item.map_err(|error| error.on_key(key))?;
    Counters::add(&link.counters.items_read, usize::from(item.is_some()));
    item.map(|json| read_item(link, &json)).transpose()
}

/// Reads a chunk of at most 100 different keys, asking again for those left unprocessed.
///
/// The records come in no order, those that came before an error too; without an error keys that
/// have none are absent.
pub(crate) async fn chunk<T: Record>(
    link: &Link,
    keys: &[Key],
    consistent: bool,
    records: &mut Vec<Result<Decoded<T>, Error>>,
) -> Result<(), Error> {
    let operation = "BatchGetItem";
    let mut left: Vec<Wanted> = keys.iter().map(wanted::<T>).collect();
    let mut attempts = link.patience.attempts();
    while !left.is_empty() {
        Counters::add(&link.counters.read_requests, 1);
        let answer = attempts.attempt(link.store.batch_get(&link.table, &left, consistent)).await;
        let failure = match answer {
            Ok(Found { items, unprocessed }) => {
                Counters::add(&link.counters.items_read, items.len());
                records.extend(items.iter().map(|json| read_item(link, json)));
                if unprocessed.len() < left.len() {
                    attempts.progressed();
                }
                let mut again = unprocessed.into_iter().map(|at| left.get(at).cloned());
                left = again.by_ref().flatten().collect();
                if left.is_empty() {
                    break;
                }
                unprocessed_keys(left.len())
            }
            Err(failure) => failure,
        };
        attempts.wait(failure).await.map_err(|error| link.place(error, operation))?;
    }
    Ok(())
}

fn unprocessed_keys(count: usize) -> crate::store::Failure {
    let text =
        format!("the service left {count} keys unprocessed, which is how it throttles a batch");
    crate::store::Failure {
        class: crate::store::Class::Throttled,
        outcome: crate::store::Outcome::NotWritten,
        error: Error::new(ErrorKind::Throttled, text)
            .advise("raise the table's read capacity or the patience"),
    }
}

/// One segment of a scan, page by page.
pub(crate) struct Segment {
    page: Option<ScanPage>,
}

impl Segment {
    pub(crate) fn new(segment: u32, segments: u32, consistent: bool, embedded: bool) -> Self {
        let limit = embedded.then_some(EMBEDDED_PAGE);
        let page = ScanPage { segment, segments, limit, start: None, consistent, filter: None };
        Self { page: Some(page) }
    }

    /// The same segment, of which only items that meet the filter are returned.
    pub(crate) fn filtered(mut self, filter: Option<Arc<Rendered>>) -> Self {
        if let Some(page) = &mut self.page {
            page.filter = filter;
        }
        self
    }

    /// The next page; `None` at the end.
    pub(crate) async fn next<T: Record>(
        &mut self,
        link: &Link,
    ) -> Result<Option<Vec<Result<Decoded<T>, Error>>>, Error> {
        let Some(page) = &mut self.page else {
            return Ok(None);
        };
        let answer = link.read("Scan", || link.store.scan(&link.table, page)).await?;
        Counters::add(&link.counters.items_read, answer.items.len());
        match answer.next {
            Some(start) => page.start = Some(start),
            None => self.page = None,
        }
        Ok(Some(answer.items.iter().map(|json| read_item(link, json)).collect()))
    }
}

/// Decodes an item; the error names its key.
pub(crate) fn read_item<T: Record>(link: &Link, json: &[u8]) -> Result<Decoded<T>, Error> {
    // A panic would end the task of a load without an answer, and those who wait would load anew.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(json)));
    let decoded = decoded.map_or_else(
        |_| Err(("its `Deserialize` or `after_load` panicked".to_owned(), None)),
        |decoded| decoded.map_err(|why| (why.to_string(), why.into_source())),
    );
    decoded.map_err(|(why, source)| {
        let text = format!("the stored item does not fit `{}`: {why}", std::any::type_name::<T>());
        let mut error = Error::new(ErrorKind::InvalidItem, text).on_table(&link.table.name);
        if let Some(source) = source {
            error = error.caused_by(source);
        }
        match item_key(json, link.table.partition_key, link.table.sort_key) {
            Some(key) => error.on_key(&key),
            None => error,
        }
    })
}

/// Different keys in the order in which they first came.
pub(crate) fn distinct(keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
    let mut seen = HashSet::new();
    keys.into_iter().filter(|key| seen.insert(key.clone())).collect()
}

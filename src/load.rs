//! The load engine: keys to items in as few requests as possible.

mod chunk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hashbrown::HashSet;
use serde::de::DeserializeOwned;

use crate::codec::{
    CodecError, Decoded, Undecodable, decode, decode_part, item_key, json_to_item, key_json,
};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::link::{Counters, Link, Read};
use crate::record::Record;
use crate::store::{Page, PageRequest, Reading, Wanted};
use crate::types::Attributes;
use chunk::Chunk;

/// The most items of a scan page on the embedded database, where a page without a limit selects
/// all the rows that are left, so that a scan would take quadratic time.
const EMBEDDED_PAGE: u32 = 1_000;

pub(crate) fn wanted<T: Record>(key: &Key) -> Wanted {
    Wanted { key: key.clone(), json: key_json::<T>(key) }
}

/// Reads one item, as JSON.
pub(crate) async fn get_json<T: Record>(
    link: &Link,
    key: &Key,
    consistent: bool,
) -> Result<Option<Vec<u8>>, Error> {
    let wanted = wanted::<T>(key);
    let item = link
        .read("GetItem", Read::Item(key, consistent), || {
            link.store.get(&link.table, &wanted, consistent)
        })
        .await;
    let item = item.map_err(|error| error.on_key(key))?;
    Counters::add(&link.counters.items_read, usize::from(item.is_some()));
    Ok(item)
}

/// Reads one item.
pub(crate) async fn get<T: Record>(
    link: &Link,
    key: &Key,
    consistent: bool,
) -> Result<Option<Decoded<T>>, Error> {
    let item = get_json::<T>(link, key, consistent).await?;
    item.map(|json| read_item(link, &json)).transpose()
}

/// Reads one item as it is stored, consistently.
pub(crate) async fn get_item<T: Record>(
    link: &Link,
    key: &Key,
) -> Result<Option<Attributes>, Error> {
    let item = get_json::<T>(link, key, true).await?;
    let unreadable = |why: CodecError| {
        Error::new(ErrorKind::InvalidItem, why.to_string()).on_table(&link.table.name).on_key(key)
    };
    item.map(|json| json_to_item(&json).map(Attributes::from).map_err(unreadable)).transpose()
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
    raw_chunk::<T>(link, keys, consistent, |json| records.push(read_item(link, json))).await
}

/// As [`chunk`], for the items as they are stored.
pub(crate) async fn raw_chunk<T: Record>(
    link: &Link,
    keys: &[Key],
    consistent: bool,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let left = keys.iter().map(wanted::<T>).collect();
    Chunk::new(link, left, consistent).read(&mut take).await
}

/// A query, or one segment of a scan, page by page.
#[derive(Debug)]
pub(crate) struct Pages {
    /// `None` at the end.
    request: Option<PageRequest>,
    /// What `limit` is at most, whatever the caller wants.
    most: Option<u32>,
}

impl Pages {
    /// All pages from the first on. On the embedded database a page has a limit always.
    pub(crate) fn new(reading: Arc<Reading>, segment: u32, segments: u32, embedded: bool) -> Self {
        let request = PageRequest { reading, segment, segments, limit: None, start: None };
        Self { request: Some(request), most: embedded.then_some(EMBEDDED_PAGE) }
    }

    /// The pages after the item of this key.
    pub(crate) fn after(mut self, start: Vec<u8>) -> Self {
        if let Some(request) = &mut self.request {
            request.start = Some(start);
        }
        self
    }

    /// There is nothing more.
    pub(crate) fn end(&mut self) {
        self.request = None;
    }

    /// The next page, of at most so many items looked at; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        link: &Link,
        limit: Option<u32>,
    ) -> Result<Option<Page>, Error> {
        let Some(request) = &mut self.request else {
            return Ok(None);
        };
        request.limit = limit.into_iter().chain(self.most).min();
        let operation = request.reading.operation();
        let page = link
            .read(operation, Read::Page(&request.reading), || link.store.page(&link.table, request))
            .await?;
        Counters::add(&link.counters.items_read, page.items.len());
        match &page.next {
            Some(start) => request.start = Some(start.clone()),
            None => self.request = None,
        }
        Ok(Some(page))
    }
}

/// Decodes an item; the error names its key.
pub(crate) fn read_item<T: Record>(link: &Link, json: &[u8]) -> Result<Decoded<T>, Error> {
    fitting::<T, _>(link, json, decode)
}

/// Decodes some attributes of an item; the error names its key.
pub(crate) fn read_part<P: DeserializeOwned>(link: &Link, json: &[u8]) -> Result<P, Error> {
    fitting::<P, _>(link, json, |json| decode_part(json).map_err(Undecodable::from))
}

fn fitting<T, R>(
    link: &Link,
    json: &[u8],
    decode: fn(&[u8]) -> Result<R, Undecodable>,
) -> Result<R, Error> {
    // A panic would end the task of a load without an answer, and those who wait would load anew.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(json)));
    let decoded = decoded.map_or_else(
        |_| Err(("its `Deserialize` or `after_load` panicked".to_owned(), None)),
        |decoded| decoded.map_err(|why| (why.to_string(), why.into_source())),
    );
    decoded.map_err(|(why, source)| {
        let text = format!("the stored item does not fit `{}`: {why}", std::any::type_name::<T>());
        let mut error = Error::new(ErrorKind::InvalidItem, text)
            .on_table(&link.table.name)
            .advise("mend the item, or let the type read it as it is");
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

//! What queries and scans have in common: options, pages, limits, cursors.

pub(crate) mod cursor;
pub(crate) mod shape;
mod walk;

use std::fmt;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::Table;
use crate::codec::tree::parse_item;
use crate::condition::{Condition, Rendered, invalid};
use crate::error::{Error, ErrorKind};
use crate::link::Link;
use crate::load::Pages;
use crate::logging::RECORDS;
use crate::record::Record;
use crate::spec::{IndexProjection, IndexSpec};
use crate::store::Reading;
use cursor::Cursor;
pub(crate) use cursor::{AddedTo, Place, Places};
use shape::Shape;
pub(crate) use walk::{Part, PartPage, Walk, cursor_keys, parts};

/// The most parts of a scan.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>
const MAX_SEGMENTS: u32 = 1_000_000;

/// What a read does with an item that does not fit its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadItems {
    /// It is an error, which names the item's key.
    #[default]
    Fail,
    /// It is left out, with a warning in the log that names its key.
    Skip,
    /// It is left out of the records, and its error is listed beside them: in pages, `batch_get` and loads
    /// of memory tables. A stream has it in its place, and `all` and `first`, which have no place for it,
    /// fail as with `Fail`.
    Report,
}

/// One page of a query or scan.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<I> {
    /// What was found, perhaps nothing even if there are more pages.
    pub items: Vec<I>,
    /// Items that do not fit the type, if they are to be [reported](BadItems::Report).
    pub bad: Vec<Error>,
    /// How many items the service looked at, which is what it charges for; with a filter more than
    /// it returned.
    pub scanned: u64,
    /// Where to go on; `None` at the end.
    pub cursor: Option<Cursor>,
}

/// A query or scan as it is put together.
pub(crate) struct Reader<T> {
    pub(crate) table: Table<T>,
    pub(crate) index: Option<&'static IndexSpec>,
    /// A query if there is one.
    pub(crate) key: Option<Condition>,
    pub(crate) consistent: bool,
    pub(crate) descending: bool,
    pub(crate) filter: Option<Condition>,
    pub(crate) limit: Option<u64>,
    pub(crate) page_size: Option<u32>,
    pub(crate) segments: u32,
    /// Only this segment is read.
    pub(crate) segment: Option<u32>,
    pub(crate) start: Option<Cursor>,
    pub(crate) bad_items: Option<BadItems>,
    /// What the keys begin with that a query of the table finds.
    pub(crate) prefix: Option<Arc<[u8]>>,
    /// The memory table that reads.
    pub(crate) overlay: Option<Arc<dyn Overlay<T>>>,
}

/// A memory table, whose unsaved changes are seen by what it reads.
pub(crate) trait Overlay<T>: Send + Sync {
    /// The pages of what is read, unsaved changes included.
    fn pages(self: Arc<Self>, reader: Reader<T>) -> RawPages<Arc<T>>;
}

pub(crate) type RawPages<I> = BoxStream<'static, Result<RawPage<I>, Error>>;

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            key: self.key.clone(),
            filter: self.filter.clone(),
            start: self.start.clone(),
            overlay: self.overlay.clone(),
            prefix: self.prefix.clone(),
            ..*self
        }
    }
}

/// What is to be returned of each item.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// Nothing but that it is there.
    Count,
    /// These attributes, all if there are none; the keys in any case.
    Attributes(&'static [&'static str]),
    /// The keys alone.
    Keys,
}

/// A query or scan that can be sent.
pub(crate) struct Prepared<T> {
    table: Table<T>,
    index: Option<&'static IndexSpec>,
    reading: Arc<Reading>,
    pub(crate) places: Places,
    limit: Option<u64>,
    page_size: Option<u32>,
}

impl<T> Reader<T> {
    /// Values of keys and conditions are contents of records, so they are not shown.
    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("table", &self.table)
            .field("index", &self.index.map(IndexSpec::name))
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<T: Record> Reader<T> {
    pub(crate) const fn new(table: Table<T>) -> Self {
        Self {
            table,
            index: None,
            key: None,
            consistent: false,
            descending: false,
            filter: None,
            limit: None,
            page_size: None,
            segments: 1,
            segment: None,
            start: None,
            bad_items: None,
            prefix: None,
            overlay: None,
        }
    }

    pub(super) fn filter(&mut self, condition: Condition) {
        self.filter = Some(match self.filter.take() {
            Some(before) => before.and(condition),
            None => condition,
        });
    }

    /// The names of the keys of what is read: of the index, or of the table.
    pub(crate) fn keys(&self) -> Vec<&'static str> {
        match self.index {
            None => table_keys::<T>(),
            Some(index) => {
                let partition = index.partition_key().map_or(T::PARTITION_KEY, |key| key.name);
                std::iter::once(partition)
                    .chain(index.sort_key_spec().map(|key| key.name))
                    .collect()
            }
        }
    }

    /// Checks everything that can be checked without a request.
    pub(crate) fn prepare(self, wanted: Wanted) -> Result<Prepared<T>, Error> {
        let operation = if self.key.is_some() { "Query" } else { "Scan" };
        let table = self.table.clone();
        self.checked(wanted).map_err(|error| table.place(error.during(operation)))
    }

    fn checked(self, wanted: Wanted) -> Result<Prepared<T>, Error> {
        let count = matches!(wanted, Wanted::Count);
        let expressions = self.expressions(wanted)?;
        if self.consistent && self.index.is_some_and(|index| !index.is_local()) {
            return Err(invalid("a global index cannot be read consistently"));
        }
        if self.page_size == Some(0) {
            return Err(invalid("a page of no items has no end; `page_size` is 1 or more"));
        }
        if self.segment.is_some_and(|segment| segment >= self.segments) {
            let (segment, of) = (self.segment.unwrap_or(0), self.segments);
            return Err(invalid(format!("there is no segment {segment} of {of}; the first is 0")));
        }
        if self.segments > MAX_SEGMENTS {
            return Err(invalid(format!("a scan has at most {MAX_SEGMENTS} segments")));
        }
        let places = self.places()?;
        let reading = Reading {
            expressions,
            index: self.index,
            consistent: self.consistent,
            descending: self.descending,
            count,
        };
        Ok(Prepared {
            table: self.table,
            index: self.index,
            reading: Arc::new(reading),
            places,
            limit: self.limit,
            page_size: self.page_size,
        })
    }

    fn expressions(&self, wanted: Wanted) -> Result<Rendered, Error> {
        let keys = self.keys();
        if let Some(filter) = &self.filter {
            if self.key.is_some() {
                filter.check_filter(&keys)?;
            }
            filter.check_keys(&table_keys::<T>())?;
            filter.check_keys(&keys)?;
        }
        let projection = match wanted {
            Wanted::Count => Vec::new(),
            Wanted::Attributes(names) => self.projection(names, &keys)?,
            Wanted::Keys => self.projection(&table_keys::<T>(), &keys)?,
        };
        Rendered::new(self.key.as_ref(), self.filter.as_ref(), &projection)
    }

    /// The attributes to ask for, none for all. The keys are among them, for cursors and errors.
    fn projection(
        &self,
        wanted: &[&'static str],
        keys: &[&'static str],
    ) -> Result<Vec<&'static str>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = table_keys::<T>();
        for name in keys.iter().chain(wanted) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let has = |name: &&str| match self.index.map(|index| (index, index.attributes())) {
            // What a local index lacks is fetched from the table.
            None | Some((_, IndexProjection::All)) => true,
            Some((index, _)) if index.is_local() => true,
            Some((_, IndexProjection::KeysOnly)) => false,
            Some((_, IndexProjection::Include(included))) => included.contains(name),
        };
        let is_key = |name: &&str| keys.contains(name) || table_keys::<T>().contains(name);
        match wanted.iter().find(|name| !is_key(name) && !has(name)) {
            None => Ok(names),
            Some(name) => {
                let index = self.index.map_or("", IndexSpec::name);
                Err(invalid(format!("the index `{index}` does not have the attribute `{name}`")))
            }
        }
    }

    /// Where each part begins: where the cursor says, else at the start.
    fn places(&self) -> Result<Places, Error> {
        let table = self.table.name()?.to_owned();
        let index = self.index.map(|index| index.name().to_owned());
        let (query, descending) = (self.key.is_some(), self.descending);
        // The embedded database sorts the whole table for each segment of several.
        let whole = self.table.database.is_embedded() && self.segment.is_none();
        let count = if whole { 1 } else { self.segments };
        let begin = |segment: u32| match self.segment {
            Some(only) if only != segment => Place::End,
            _ => Place::Start,
        };
        let parts: Vec<Place> = (0..count).map(begin).collect();
        let segment = self.segment;
        let begin = Places { table, index, query, descending, segment, parts, added: None };
        let Some(Cursor(places)) = &self.start else {
            return Ok(begin);
        };
        let added = places.added.clone().filter(|_| self.overlay.is_none());
        let same = Places { parts: begin.parts.clone(), added, ..places.clone() } == begin
            && places.parts.len() == begin.parts.len();
        if !same || !self.is_within(places) {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the cursor is that of another table, index, partition, direction, segment or number of segments",
            )
            .advise("resume what it comes from; nothing was sent"));
        }
        Ok(places.clone())
    }

    /// Whether a cursor is that of this query: its item has the keys that are asked for.
    fn is_within(&self, places: &Places) -> bool {
        let Some(key) = &self.key else {
            return true;
        };
        let is_asked = |json: &str| {
            parse_item(json.as_bytes()).is_ok_and(|item| key.evaluate(&item).unwrap_or(false))
        };
        let added = places.added.as_ref().and_then(AddedTo::key);
        added.is_none_or(is_asked)
            && places.parts.iter().all(|place| match place {
                Place::After(json) => is_asked(json),
                Place::Start | Place::End => true,
            })
    }

    pub(super) fn count(self) -> impl Future<Output = Result<u64, Error>> + Send + 'static {
        let seen = self.overlay.clone().map(|overlay| overlay.pages(self.clone()));
        let prepared = self.prepare(Wanted::Count);
        async move {
            let Some(pages) = seen else { return Walk::new(prepared?).count().await };
            let of_page = |page: RawPage<_>| u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            pages.map_ok(of_page).try_fold(0, async |sum, count| Ok(sum + count)).await
        }
    }

    pub(super) fn pages<S: Shape<T>>(self) -> BoxStream<'static, Result<Page<S::Item>, Error>> {
        let policy = self.bad_items.unwrap_or_default();
        let pages = S::pages(self).map(move |page| page.and_then(|page| page.sorted(policy)));
        let until_error = |ended: &mut bool, page: Result<Page<S::Item>, Error>| {
            let page = (!*ended).then_some(page);
            *ended = page.as_ref().is_none_or(Result::is_err);
            std::future::ready(page)
        };
        pages.scan(false, until_error).boxed()
    }

    pub(super) fn stream<S: Shape<T>>(self) -> BoxStream<'static, Result<S::Item, Error>> {
        let skip = self.bad_items == Some(BadItems::Skip);
        let items = S::pages(self).flat_map(move |page| {
            let items = match page {
                Ok(page) if skip => page.items.into_iter().filter_map(without_bad).collect(),
                Ok(page) => page.items,
                Err(error) => vec![Err(error)],
            };
            stream::iter(items)
        });
        items.boxed()
    }

    /// The first that is found. A limit on what is looked at would end behind one that is skipped.
    pub(super) fn first<S: Shape<T>>(mut self) -> BoxStream<'static, Result<S::Item, Error>> {
        if self.bad_items != Some(BadItems::Skip) {
            self.limit = Some(self.limit.unwrap_or(1).min(1));
        }
        self.stream::<S>()
    }

    /// The pages of what is stored, with what does not fit among the items.
    fn stored_pages<S: Shape<T>>(self) -> RawPages<S::Item> {
        match self.prepare(Wanted::Attributes(S::ATTRIBUTES)) {
            Ok(prepared) => Walk::new(prepared).pages::<T, S>(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }
}

fn without_bad<I>(item: Result<I, Error>) -> Option<Result<I, Error>> {
    if let Err(error) = &item {
        skipped(error);
        return None;
    }
    Some(item)
}

/// Says in the log what was left out.
pub(crate) fn skipped(error: &Error) {
    tracing::warn!(target: RECORDS, %error, "an item was skipped");
}

/// A page before it is decided what becomes of bad items.
pub(crate) struct RawPage<I> {
    pub(crate) items: Vec<Result<I, Error>>,
    pub(crate) scanned: u64,
    pub(crate) cursor: Option<Cursor>,
}

impl<I> RawPage<I> {
    fn sorted(self, policy: BadItems) -> Result<Page<I>, Error> {
        let (scanned, cursor) = (self.scanned, self.cursor);
        let mut page =
            Page { items: Vec::with_capacity(self.items.len()), bad: Vec::new(), scanned, cursor };
        for item in self.items {
            match (item, policy) {
                (Ok(item), _) => page.items.push(item),
                (Err(error), BadItems::Fail) => return Err(error),
                (Err(error), BadItems::Skip) => skipped(&error),
                (Err(error), BadItems::Report) => page.bad.push(error),
            }
        }
        Ok(page)
    }
}

impl<T: Record> Prepared<T> {
    /// The pages of the parts that are still to be read, each with its place among all.
    fn pages(&self) -> Vec<(usize, Pages)> {
        let embedded = self.table.database.is_embedded();
        let segments = u32::try_from(self.places.parts.len()).unwrap_or(u32::MAX);
        let pages = (0..segments).zip(&self.places.parts).enumerate().filter_map(|(at, part)| {
            let (segment, place) = part;
            let pages = Pages::new(Arc::clone(&self.reading), segment, segments, embedded);
            match place {
                Place::Start => Some((at, pages)),
                Place::After(key) => Some((at, pages.after(key.clone().into_bytes()))),
                Place::End => None,
            }
        });
        pages.collect()
    }

    /// The link to a table that is known to have the record's keys, and the index if one is read.
    async fn ready(&self) -> Result<Link, Error> {
        let link = self.table.ready().await?;
        if let Some(index) = self.index {
            let checked = self.table.database.check_index(&link.table.name, index, &link.patience);
            checked.await.map_err(|error| error.during(self.reading.operation()))?;
        }
        Ok(link)
    }
}

pub(super) fn table_keys<T: Record>() -> Vec<&'static str> {
    std::iter::once(T::PARTITION_KEY).chain(T::SORT_KEY).collect()
}

/// The options and ends that queries and scans share.
macro_rules! read_methods {
    () => {
        /// Returns only what meets the condition; several filters must all be met.
        ///
        /// The service reads all items and charges for them, but sends only these. A condition that
        /// it would refuse is an error before a request.
        pub fn filter(mut self, condition: Condition) -> Self {
            self.reader.filter(condition);
            self
        }

        /// At most this many items in all, whatever the size of pages. Those that are skipped or
        /// reported because they do not fit the type are among them.
        ///
        /// Default: no limit.
        pub const fn limit(mut self, items: u64) -> Self {
            self.reader.limit = Some(items);
            self
        }

        /// At most this many items looked at in a request; results are the same.
        ///
        /// Default: as many as have 1 MB, which is the service's own limit; 1,000 on the embedded
        /// database.
        pub const fn page_size(mut self, items: u32) -> Self {
            self.reader.page_size = Some(items);
            self
        }

        /// Goes on where a page ended, of the same read.
        ///
        /// A cursor of another table, index, partition, direction, segment or number of segments is
        /// an error before a request.
        pub fn resume(mut self, cursor: Cursor) -> Self {
            self.reader.start = Some(cursor);
            self
        }

        /// Reads consistently, at twice the read units. A global index cannot be: that is an error
        /// before a request.
        ///
        /// Default: eventually consistent.
        /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
        pub const fn consistent(mut self) -> Self {
            self.reader.consistent = true;
            self
        }

        /// What becomes of items that do not fit the type.
        ///
        /// Default: [`BadItems::Fail`].
        pub const fn bad_items(mut self, policy: BadItems) -> Self {
            self.reader.bad_items = Some(policy);
            self
        }

        /// How many items there are that meet the filter, at most the limit. Nothing is sent but
        /// numbers; the service charges for what it reads all the same.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::InvalidCondition`](crate::ErrorKind::InvalidCondition) or
        /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) without a request, or why it could
        /// not be read.
        pub fn count(self) -> impl Future<Output = Result<u64, Error>> + Send + 'static {
            self.reader.count()
        }
    };
}

/// The ends that need to know what is returned.
macro_rules! read_ends {
    () => {
        /// What is found, read page by page as the stream is polled.
        ///
        /// An item that does not fit the type is an error in its place, unless it is to be skipped,
        /// and the stream goes on behind it. After the error of a request it ends.
        #[must_use = "streams do nothing unless polled"]
        pub fn stream(self) -> BoxStream<'static, Result<S::Item, Error>>
        where
            S: Shape<T>,
        {
            self.reader.stream::<S>()
        }

        /// What is found in pages, each with the cursor to go on behind it. After an error the stream
        /// ends.
        #[must_use = "streams do nothing unless polled"]
        pub fn pages(self) -> BoxStream<'static, Result<Page<S::Item>, Error>>
        where
            S: Shape<T>,
        {
            self.reader.pages::<S>()
        }

        /// All that is found.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::InvalidCondition`](crate::ErrorKind::InvalidCondition) or
        /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) without a request,
        /// [`ErrorKind::InvalidItem`](crate::ErrorKind::InvalidItem) if an item does not fit the type,
        /// or why it could not be read.
        pub async fn all(self) -> Result<Vec<S::Item>, Error>
        where
            S: Shape<T>,
        {
            self.stream().try_collect().await
        }

        /// The first that is found, if any is.
        ///
        /// # Errors
        ///
        /// As for [`all`](Self::all).
        pub async fn first(self) -> Result<Option<S::Item>, Error>
        where
            S: Shape<T>,
        {
            self.reader.first::<S>().try_next().await
        }
    };
}

pub(super) use {read_ends, read_methods};

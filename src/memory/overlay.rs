//! Queries and scans that see unsaved changes.
//!
//! Before the first request it is noted what is unsaved. What the database returns is replaced by what
//! the slots have, and what it cannot return is added: in a query in its place by the sort key, in a
//! scan at the end. So each record comes once, whatever is flushed meanwhile.

mod added;
mod seen;

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use super::expiry::Seen;
use super::found::Stored;
use super::many::Loading;
use super::slot::Known;
use super::{MemoryTable, Shared};
use crate::codec::item_key;
use crate::condition::Condition;
use crate::error::{Error, ErrorKind};
use crate::index::Index;
use crate::key::{AttributeLookup, Key, QueryShape};
use crate::link::Link;
use crate::load::read_item;
use crate::record::Record;
use crate::spec::{IndexProjection, IndexSpec};
use crate::store::MAX_BATCH_GET;
use crate::table::{
    BadItems, Cached, Overlay, PartPage, Place, Query, RawPage, RawPages, Reader, Scan, Walk,
    Wanted,
};
use added::{Added, Order};
use seen::Here;

impl<T: Record> MemoryTable<T> {
    /// The records of a partition, in the order of their sort keys, unsaved changes included: what is put
    /// comes in its place, what is deleted does not, and what is changed comes as it is here. Conditions
    /// hold for what is returned.
    ///
    /// It is a query of the table with the same options and ends, which returns records as
    /// [`get`](Self::get) does: those that are in memory as they are there, and what it reads is cached.
    /// A change made while it runs may be seen or not. Reads are consistent unless
    /// [loads are not](crate::MemoryTableBuilder::eventually_consistent_loads).
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] game: String, #[record(sort_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let player = |name: &str| Player { game: "chess".into(), name: name.into() };
    /// for name in ["ada", "eve"] {
    ///     players.put(&player(name)).await?;
    /// }
    /// let memory = MemoryTable::new(players);
    /// memory.put(player("bob")).await?;
    /// memory.delete(("chess", "eve")).await?;
    /// let found = memory.query("chess").all().await?;
    /// assert_eq!(found.iter().map(|player| &*player.name).collect::<Vec<_>>(), ["ada", "bob"]);
    /// # Ok(()) }
    /// ```
    pub fn query(
        &self,
        partition: impl AttributeLookup<<T::Key as QueryShape>::Partition>,
    ) -> Query<T, T::Key, Cached> {
        self.shared.own_table().query(partition).seen_by(self.overlay())
    }

    /// All records, in no order, unsaved changes included: those that the database does not return come
    /// last. As [`query`](Self::query) otherwise.
    ///
    /// With [`segment`](crate::Scan::segment) what is new here comes with one of the segments. A scan that
    /// is read segment by segment, or [resumed](crate::Scan::resume), has each record once as long as
    /// nothing is saved in between: what is flushed then may lie in a part that was read before.
    /// [`count`](crate::Scan::count) reads whole records, as all other ends do.
    pub fn scan(&self) -> Scan<T, Cached> {
        self.shared.own_table().scan().seen_by(self.overlay())
    }

    /// An index of the table, whose queries and scans see unsaved changes:
    /// `memory.index(Store::INDEXES.by_company).query("acme")`.
    ///
    /// The index says which records there are, and they are looked up by their keys unless they are in
    /// memory, 100 a request: an index lags behind, and need not have all attributes. What this table
    /// saved in the last seconds is seen too, though the index may not have it yet.
    pub fn index<K, A>(&self, index: Index<T, K, A>) -> CachedIndex<T, K, A> {
        CachedIndex { memory: self.clone(), index }
    }

    fn overlay(&self) -> Arc<dyn Overlay<T>> {
        Arc::clone(&self.shared) as Arc<dyn Overlay<T>>
    }
}

/// An index of a memory table, for reading: [`MemoryTable::index`].
pub struct CachedIndex<T: Record, K, A> {
    memory: MemoryTable<T>,
    index: Index<T, K, A>,
}

impl<T: Record, K, A> std::fmt::Debug for CachedIndex<T, K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (memory, index) = (&self.memory, &self.index);
        f.debug_struct("CachedIndex").field("memory", memory).field("index", index).finish()
    }
}

impl<T: Record, K: QueryShape, A> CachedIndex<T, K, A> {
    /// The records of a partition of the index, in the order of its sort keys, unsaved changes included.
    pub fn query(&self, partition: impl AttributeLookup<K::Partition>) -> Query<T, K, Cached> {
        let table = self.memory.shared.own_table();
        let query = Query::<T, K>::new(table, Some(self.index.spec()), &partition);
        query.seen_by(self.memory.overlay())
    }

    /// All records that the index has, unsaved changes included.
    pub fn scan(&self) -> Scan<T, Cached> {
        let table = self.memory.shared.own_table();
        let scan = Scan::<T>::new(table, Some(self.index.spec()));
        scan.seen_by(self.memory.overlay())
    }
}

impl<T: Record> Shared<T> {
    /// Whether a query or scan of the table is to be consistent: always if loads are, else as soon as
    /// this table has written something.
    fn reads_like_loads(&self) -> bool {
        self.options.consistent || self.wrote.is_any()
    }
}

impl<T: Record> Overlay<T> for Shared<T> {
    fn pages(self: Arc<Self>, reader: Reader<T>) -> RawPages<Arc<T>> {
        let next = async |state: Option<Begun<T>>| {
            let walk = match state? {
                Begun::Not(shared, reader) => shared.see(*reader).await,
                Begun::Walking(walk) => Ok(*walk),
            };
            let mut walk = match walk {
                Ok(walk) => walk,
                Err(error) => return Some((Err(error), None)),
            };
            match walk.next().await? {
                Ok(page) => Some((Ok(page), Some(Begun::Walking(Box::new(walk))))),
                Err(error) => Some((Err(error), None)),
            }
        };
        stream::unfold(Some(Begun::Not(self, Box::new(reader))), next).boxed()
    }
}

/// Whether a read has begun: what is unsaved is looked at when it is first polled.
enum Begun<T: Record> {
    Not(Arc<Shared<T>>, Box<Reader<T>>),
    Walking(Box<Seeing<T>>),
}

/// A read under way.
struct Seeing<T: Record> {
    shared: Arc<Shared<T>>,
    walk: Walk,
    /// While it is held, what is let go leaves traces, so that no page brings back what is older.
    loading: Loading<T>,
    resets: u64,
    added: Added,
    order: Order<T>,
    key: Option<Condition>,
    filter: Option<Condition>,
    /// The filter is not the service's to apply.
    asks_all: bool,
    /// How many may still be returned.
    left: u64,
    by_key: bool,
    ended: bool,
}

/// A record that is to be returned, or why it cannot be.
type Found<T> = Result<Arc<T>, Error>;

impl<T: Record> Shared<T> {
    /// Notes what is unsaved, and prepares the requests.
    async fn see(self: Arc<Self>, mut reader: Reader<T>) -> Result<Seeing<T>, Error> {
        let order = Order::<T>::new(&reader);
        let (key, filter) = (reader.key.clone(), reader.filter.clone());
        let left = reader.limit.take().unwrap_or(u64::MAX);
        let index = reader.index;
        reader.consistent |= index.is_none_or(IndexSpec::is_local) && self.reads_like_loads();
        // Checked as it was said, also where the service is not asked all of it.
        let places = reader.clone().prepare(Wanted::Attributes(&[]))?.places;
        if index.is_some() {
            // What is not known of them says whether they are in the index.
            let unknown = |key: &Key| self.known(key).is_none();
            let keys = self.keys_to_look_at(&reader).into_iter().filter(unknown).collect();
            self.fetch_all(keys, BadItems::Report).await?;
        }
        let loading = Loading::begin(&self);
        let resets = self.scans.resets();
        let added = Added::of(&self, &reader, &order, &places);
        let projected = index.is_none_or(|it| matches!(it.attributes(), IndexProjection::All));
        if added.expects_any() || !projected {
            // The stored form may not meet what the record here does.
            reader.filter = None;
        }
        let asks_all = reader.filter.is_none() && filter.is_some();
        if filter.is_none() {
            let hidden = u64::try_from(added.count()).unwrap_or(u64::MAX);
            let enough = u32::try_from(left.saturating_add(hidden).max(1)).ok();
            reader.page_size = reader.page_size.into_iter().chain(enough).min();
        }
        let by_key = index.is_some();
        let wanted = if by_key { Wanted::Keys } else { Wanted::Attributes(&[]) };
        let walk = Walk::new(reader.prepare(wanted)?);
        Ok(Seeing {
            shared: self,
            walk,
            loading,
            resets,
            added,
            order,
            key,
            filter,
            asks_all,
            left,
            by_key,
            ended: false,
        })
    }
}

impl<T: Record> Seeing<T> {
    /// The next page; `None` at the end.
    async fn next(&mut self) -> Option<Result<RawPage<Arc<T>>, Error>> {
        if self.ended || self.left == 0 {
            return None;
        }
        match self.walk.next_part().await {
            Some(Ok((at, page))) => Some(self.see_page(at, page).await),
            Some(Err(error)) => Some(Err(error)),
            None => {
                self.ended = true;
                self.end().await.transpose()
            }
        }
    }

    /// What comes behind everything that the database has.
    async fn end(&mut self) -> Result<Option<RawPage<Arc<T>>>, Error> {
        let doubtful = self.added.doubtful();
        if !doubtful.is_empty() {
            let stored = self.shared.stored_of(&doubtful).await?;
            self.added.drop_all(&stored);
        }
        let rest = self.added.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let mut items = Vec::new();
        self.add(rest, &mut items).await?;
        Ok(Some(self.page(items, 0)))
    }

    /// A page of the database, with what is to be added up to its end.
    async fn see_page(&mut self, at: usize, page: PartPage) -> Result<RawPage<Arc<T>>, Error> {
        let PartPage { link, page, place } = page;
        let mut known = HashMap::new();
        let mut items = Vec::new();
        for (number, json) in page.items.iter().enumerate() {
            let Some(key) = item_key(json, T::PARTITION_KEY, T::SORT_KEY) else {
                return Err(no_key().on_table(&link.table.name));
            };
            let before = self.added.up_to(&self.order, json);
            if !self.add(before, &mut items).await? || self.left == 0 {
                return Ok(self.page(items, page.scanned));
            }
            if self.by_key && number % MAX_BATCH_GET == 0 {
                let chunk = page.items.iter().skip(number).take(MAX_BATCH_GET);
                known = self.look_up(chunk.map(Vec::as_slice).collect()).await?;
            }
            if let Some(found) = self.stored(&link, &key, json, known.remove(&key)).await? {
                self.left -= 1;
                items.push(found);
            }
            self.walk.reached(at, Place::After(self.order.place(json)?));
            self.added.passed();
            // Behind the last of a page is where the page ends.
            if self.left == 0 && number + 1 < page.items.len() {
                return Ok(self.page(items, page.scanned));
            }
        }
        let up_to = match &place {
            Place::After(last) => self.added.up_to(&self.order, last.as_bytes()),
            Place::Start | Place::End => self.added.of_part(),
        };
        if self.add(up_to, &mut items).await? {
            if matches!(place, Place::After(_)) {
                self.added.passed();
            }
            self.walk.reached(at, place);
        }
        Ok(self.page(items, page.scanned))
    }

    fn page(&mut self, items: Vec<Found<T>>, scanned: u64) -> RawPage<Arc<T>> {
        let mut places = self.walk.places.clone();
        places.added = self.added.place(&places);
        RawPage { items, scanned, cursor: places.cursor() }
    }

    /// Returns what is to be added, as it is now; whether all of it could be.
    async fn add(&mut self, keys: Vec<Key>, items: &mut Vec<Found<T>>) -> Result<bool, Error> {
        for chunk in keys.chunks(MAX_BATCH_GET) {
            if self.left == 0 {
                return Ok(false);
            }
            // Saved and let go again, or only increments of them are known.
            let unknown = |key: &&Key| self.shared.known(key).is_none();
            let unknown: Vec<Key> = chunk.iter().filter(unknown).cloned().collect();
            if unknown.len() > 1 {
                self.shared.fetch_all(unknown, BadItems::Report).await?;
            }
            for key in chunk {
                if self.left == 0 {
                    return Ok(false);
                }
                if let Some(found) = self.fetched(key).await? {
                    self.left -= 1;
                    items.push(found);
                }
                self.added.returned(key);
            }
        }
        Ok(true)
    }

    /// A record that the database returned, as it is here; `None` if it is not to be returned.
    async fn stored(
        &mut self,
        link: &Link,
        key: &Key,
        json: &[u8],
        known: Option<Found<T>>,
    ) -> Result<Option<Found<T>>, Error> {
        if self.added.hides(key) {
            // It comes in the place that it has here, or has come.
            return Ok(None);
        }
        let is_expected = self.added.note(key);
        if self.by_key {
            return Ok(match known {
                Some(Ok(record)) => self.checked(key, &record),
                other => other,
            });
        }
        match self.shared.seen(key, self.loading.number(), self.resets) {
            Here::Known(Known::Record(record)) => Ok(self.checked(key, &record)),
            Here::Known(_) => Ok(None),
            // What was read may be older than what was saved or forgotten since.
            Here::Behind => self.fetched(key).await,
            Here::Unknown if is_expected => self.fetched(key).await,
            Here::Unknown => Ok(self.read(link, key, json)),
        }
    }

    /// Reads an item that is not in memory, and caches it.
    fn read(&self, link: &Link, key: &Key, json: &[u8]) -> Option<Found<T>> {
        let decoded = match read_item::<T>(link, json) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.shared.take_scanned(self.loading.number(), self.resets, key, None);
                return Some(Err(error));
            }
        };
        let found = Stored::of(Some(decoded));
        let now = found.now.clone();
        self.shared.take_scanned(self.loading.number(), self.resets, key, Some(found));
        let record = self.shared.visible(Seen::saved(now)).record()?;
        if self.asks_all { self.checked(key, &record) } else { Some(Ok(record)) }
    }

    /// A record as it is here, loaded if it is not known.
    async fn fetched(&mut self, key: &Key) -> Result<Option<Found<T>>, Error> {
        match self.shared.fetch_uncounted(key).await {
            Ok(record) => Ok(record.and_then(|record| self.checked(key, &record))),
            Err(error) if is_of_item(&error) => Ok(Some(Err(error))),
            Err(error) => Err(error),
        }
    }

    /// The record if it is what is asked for.
    fn checked(&self, key: &Key, record: &Arc<T>) -> Option<Found<T>> {
        let asked = self.by_key.then_some(self.key.as_ref()).flatten();
        let conditions = [asked, self.filter.as_ref()];
        if !self.by_key && self.filter.is_none() {
            return Some(Ok(Arc::clone(record)));
        }
        let has: &[&str] = if self.by_key { &self.order.keys } else { &[] };
        match self.shared.meets(key, record, has, conditions.into_iter().flatten()) {
            Ok(true) => Some(Ok(Arc::clone(record))),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The records of keys that an index returned.
    async fn look_up(&mut self, items: Vec<&[u8]>) -> Result<HashMap<Key, Found<T>>, Error> {
        let key = |json: &&[u8]| item_key(json, T::PARTITION_KEY, T::SORT_KEY);
        let keys = items.iter().filter_map(key).filter(|key| !self.added.hides(key));
        let keys: Vec<Key> = keys.collect();
        self.shared.fetch_all(keys.clone(), BadItems::Report).await?;
        let mut found = HashMap::with_capacity(keys.len());
        for key in keys {
            match self.shared.fetch_uncounted(&key).await {
                Ok(Some(record)) => drop(found.insert(key, Ok(record))),
                Ok(None) => {}
                Err(error) if is_of_item(&error) => drop(found.insert(key, Err(error))),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Whether an error is that of one item, and not of the request.
fn is_of_item(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidItem | ErrorKind::InvalidRecord)
}

fn no_key() -> Error {
    Error::new(ErrorKind::Service, "an item came without its key")
}

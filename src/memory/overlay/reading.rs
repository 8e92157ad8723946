//! A read under way: the pages of the database, with what is unsaved in its places.

use std::sync::Arc;

use hashbrown::HashMap;

use super::added::{Added, Comes};
use super::order::Order;
use super::seen::Here;
use crate::codec::item_key;
use crate::condition::Condition;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::link::Link;
use crate::load::read_item;
use crate::memory::Shared;
use crate::memory::expiry::{Held, Seen};
use crate::memory::found::Stored;
use crate::memory::many::Loading;
use crate::memory::scans::Asked;
use crate::record::Record;
use crate::spec::{IndexProjection, IndexSpec};
use crate::store::MAX_BATCH_GET;
use crate::table::{PartPage, Place, Places, RawPage, Reader, Walk, Wanted};

/// A read under way.
pub(super) struct Seeing<T: Record> {
    shared: Arc<Shared<T>>,
    walk: Walk,
    /// While it is held, what is let go leaves traces, so that no page brings back what is older.
    _loading: Option<Loading<T>>,
    /// How a page is asked for that has whole records.
    asked: Option<Asked>,
    added: Added,
    order: Order<T>,
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
    pub(super) async fn see(self: Arc<Self>, mut reader: Reader<T>) -> Result<Seeing<T>, Error> {
        let order = Order::<T>::new(&reader);
        let filter = reader.filter.clone();
        let left = reader.limit.take().unwrap_or(u64::MAX);
        let index = reader.index;
        reader.consistent |= index.is_none_or(IndexSpec::is_local) && self.reads_like_loads();
        // Checked as it was said, also where the service is not asked all of it.
        let places = reader.clone().prepare(Wanted::Attributes(&[]))?.places;
        let records = self.records_to_look_at(&reader).await?;
        // What an index finds is loaded by its keys.
        let loading = index.is_none().then(|| Loading::begin(&self));
        let asked = loading.as_ref().map(|loading| loading.asked(reader.consistent));
        let added = self.to_be_added(&reader, &order, &places, &records);
        let projected = index.is_none_or(|it| matches!(it.attributes(), IndexProjection::All));
        if added.expects_any() || !projected {
            // The stored form may not meet what the record here does.
            reader.filter = None;
        }
        let asks_all = reader.filter.is_none() && filter.is_some();
        if filter.is_none() {
            let hidden = u64::try_from(added.count()).unwrap_or(u64::MAX);
            // Many in a row may have expired.
            let least = if self.options.clock.0.is_some() { 100 } else { 1 };
            let enough = u32::try_from(left.saturating_add(hidden).max(least)).ok();
            reader.page_size = reader.page_size.into_iter().chain(enough).min();
        }
        let by_key = index.is_some();
        let wanted = if by_key { Wanted::Keys } else { Wanted::Attributes(&[]) };
        let walk = Walk::new(reader.prepare(wanted)?);
        Ok(Seeing {
            shared: self,
            walk,
            _loading: loading,
            asked,
            added,
            order,
            filter,
            asks_all,
            left,
            by_key,
            ended: false,
        })
    }

    /// The records that an index may not have yet, also those that are let go while others are loaded.
    async fn records_to_look_at(
        self: &Arc<Self>,
        reader: &Reader<T>,
    ) -> Result<HashMap<Key, Arc<T>>, Error> {
        if reader.index.is_none() {
            return Ok(HashMap::new());
        }
        let (mut records, mut unknown) = (HashMap::new(), Vec::new());
        for key in self.keys_to_look_at(reader) {
            match self.record_here(&key) {
                Some(record) => drop(records.insert(key, record)),
                // What is not known of it says whether it is in the index.
                None if self.known(&key).is_none() => unknown.push(key),
                None => {}
            }
        }
        let loaded = self.fetch_each(unknown).await?;
        let loaded = loaded.into_iter();
        records.extend(loaded.filter_map(|(key, held)| Some((key, held.ok()?.record))));
        Ok(records)
    }

    /// What is unsaved now, and how it comes.
    fn to_be_added(
        &self,
        reader: &Reader<T>,
        order: &Order<T>,
        places: &Places,
        records: &HashMap<Key, Arc<T>>,
    ) -> Added {
        let (mut added, mut candidates) = (Added::new(order, places), Vec::new());
        for unsaved in self.unsaved_now(self.keys_to_look_at(reader), records) {
            if reader.index.is_some() && unsaved.is_for_the_index() {
                continue;
            }
            let mut there = None;
            if let Some(mut candidate) = self.candidate(&unsaved, reader, order) {
                if order.is_query() && reader.index.is_some() {
                    there = self.position_there(&unsaved, order, &candidate.position);
                }
                candidate.is_late = there.is_some();
                candidates.push(candidate);
            }
            added.unsaved(unsaved.key, there);
        }
        added.wait(candidates, order, places);
        added
    }
}

impl<T: Record> Seeing<T> {
    /// The next page; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<RawPage<Arc<T>>, Error>> {
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
        let rest = self.added.rest(&self.order);
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
                known = self.look_up(chunk.map(|item| &**item).collect()).await?;
            }
            let is_passed = self.added.is_passed(&self.order, &key, json);
            if !is_passed
                && let Some(found) = self.stored(&link, &key, json, known.remove(&key)).await?
            {
                self.left -= 1;
                items.push(found);
            }
            self.walk.reached(at, Place::After(self.order.place(json)?));
            if is_passed {
                self.added.skip(&key);
            } else {
                self.added.passed();
            }
            // Behind the last of a page is where the page ends.
            if self.left == 0 && number + 1 < page.items.len() {
                return Ok(self.page(items, page.scanned));
            }
        }
        let up_to = match &place {
            Place::After(last) => self.added.up_to(&self.order, last.as_bytes()),
            Place::Start | Place::End => self.added.of_part(&self.order),
        };
        if self.add(up_to, &mut items).await? {
            if let Place::After(last) = &place
                && !self.is_place_passed(last.as_bytes())
            {
                self.added.passed();
            }
            self.walk.reached(at, place);
        }
        Ok(self.page(items, page.scanned))
    }

    /// Whether the end of a page is not behind what was added and returned before.
    fn is_place_passed(&self, place: &[u8]) -> bool {
        let key = item_key(place, T::PARTITION_KEY, T::SORT_KEY);
        key.is_some_and(|key| self.added.is_passed(&self.order, &key, place))
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
            let doubtful = self.added.doubtful(chunk);
            let stored = self.shared.stored_of(&doubtful, &self.order).await?;
            // Saved and let go again, or only increments of them are known.
            let unknown = |key: &&Key| self.shared.known(key).is_none() && !stored.contains(*key);
            let unknown = chunk.iter().filter(unknown).cloned().collect();
            let mut loaded = self.shared.fetch_each(unknown).await?;
            for key in chunk {
                if self.left == 0 {
                    return Ok(false);
                }
                let found = match loaded.remove(key) {
                    _ if stored.contains(key) => None,
                    Some(loaded) => self.checked_if_read(key, loaded).await?,
                    None => self.fetched(key).await?,
                };
                if let Some(found) = found {
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
        known: Option<Result<Held<T>, Error>>,
    ) -> Result<Option<Found<T>>, Error> {
        let is_unsaved = match self.added.meet(&self.order, key, json) {
            Comes::Elsewhere => return Ok(None),
            Comes::Unsaved => true,
            Comes::Here => false,
        };
        let Some(asked) = self.asked else {
            let Some(known) = known else { return Ok(None) };
            return self.checked_if_read(key, known).await;
        };
        match self.shared.seen(key, asked) {
            Here::Known(held) => Ok(held.and_then(|held| self.checked(key, held))),
            // What was read may be older than what was saved or forgotten since.
            Here::Behind => self.fetched(key).await,
            Here::Unknown if is_unsaved => self.fetched(key).await,
            Here::Unknown => Ok(self.read(link, key, json, asked)),
        }
    }

    /// Reads an item that is not in memory, and caches it.
    fn read(&self, link: &Link, key: &Key, json: &[u8], asked: Asked) -> Option<Found<T>> {
        let decoded = match read_item::<T>(link, json) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.shared.store_scanned(asked, key, None);
                return self.if_asked(key, json, || Some(Err(error)));
            }
        };
        let found = Stored::of(Some(decoded));
        let now = found.now.clone();
        self.shared.store_scanned(asked, key, Some(found));
        self.if_asked(key, json, || {
            Some(Ok(self.shared.visible(Seen::saved(now, None)).record()?))
        })
    }

    /// What comes of an item, unless the filter that the service did not apply leaves it out.
    fn if_asked(
        &self,
        key: &Key,
        json: &[u8],
        found: impl FnOnce() -> Option<Found<T>>,
    ) -> Option<Found<T>> {
        let Some(filter) = self.filter.as_ref().filter(|_| self.asks_all) else { return found() };
        match self.shared.meets(key, json, &[], std::iter::once(filter)) {
            Ok(true) => found(),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// A record as it is here, loaded if it is not known.
    async fn fetched(&mut self, key: &Key) -> Result<Option<Found<T>>, Error> {
        match self.shared.fetch_held(key).await {
            Ok(held) => Ok(held.and_then(|held| self.checked(key, held))),
            Err(error) if error.is_of_item() => self.checked_if_read(key, Err(error)).await,
            Err(error) => Err(error),
        }
    }

    /// What was read, if it is what is asked for. The service says that of what cannot be read, unless
    /// it was not asked.
    async fn checked_if_read(
        &mut self,
        key: &Key,
        found: Result<Held<T>, Error>,
    ) -> Result<Option<Found<T>>, Error> {
        match found {
            Ok(held) => Ok(self.checked(key, held)),
            Err(error) if !self.asks_all => Ok(Some(Err(error))),
            Err(error) => {
                let item = self.shared.raw(key).await?;
                Ok(item.and_then(|item| self.if_meant(key, &item, Err(error))))
            }
        }
    }

    /// The record if it is what is asked for.
    fn checked(&self, key: &Key, held: Held<T>) -> Option<Found<T>> {
        if !self.by_key && self.filter.is_none() {
            return Some(Ok(held.record));
        }
        match self.shared.form_of(key, &held) {
            Ok(item) => self.if_meant(key, &item, Ok(held.record)),
            Err(error) => Some(Err(error)),
        }
    }

    /// What comes of an item, if that is what is asked for.
    fn if_meant(&self, key: &Key, item: &[u8], found: Found<T>) -> Option<Found<T>> {
        let asked = self.by_key.then_some(self.order.key.as_ref()).flatten();
        let conditions = [asked, self.filter.as_ref()].into_iter().flatten();
        let has: &[&str] = if self.by_key { &self.order.keys } else { &[] };
        match self.shared.meets(key, item, has, conditions) {
            Ok(true) => Some(found),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The records of keys that an index returned.
    async fn look_up(
        &mut self,
        items: Vec<&[u8]>,
    ) -> Result<HashMap<Key, Result<Held<T>, Error>>, Error> {
        let key = |json: &&[u8]| item_key(json, T::PARTITION_KEY, T::SORT_KEY);
        let keys = items.iter().filter_map(key).filter(|key| !self.added.hides(key));
        let keys: Vec<Key> = keys.collect();
        self.shared.fetch_each(keys).await
    }
}

pub(super) fn no_key() -> Error {
    Error::new(ErrorKind::Service, "an item came without its key")
}

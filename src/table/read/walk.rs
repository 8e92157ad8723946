//! A read under way: its parts side by side, and how far each came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, BoxStream, SelectAll, StreamExt};

use super::cursor::{Place, Places};
use super::shape::{Origin, Shape};
use super::{Prepared, RawPage, table_keys};
use crate::codec::key_of_item;
use crate::codec::tree::parse_item;
use crate::error::{Error, ErrorKind};
use crate::link::Link;
use crate::load::Pages;
use crate::record::Record;
use crate::spec::IndexSpec;
use crate::store::Page;

/// A part of a read: the whole of a query, or a segment of a scan.
pub(crate) struct Part<T> {
    prepared: Arc<Prepared<T>>,
    /// Its place among the parts.
    at: usize,
    pages: Pages,
    /// How many items all parts together may still return.
    left: Arc<AtomicU64>,
}

/// A page of a part, cut where the limit is.
pub(crate) struct PartPage {
    pub(crate) link: Link,
    pub(crate) page: Page,
    /// How far the part came.
    pub(crate) place: Place,
}

/// The parts of a read that are still to be read.
pub(crate) fn parts<T: Record>(prepared: Prepared<T>) -> Vec<Part<T>> {
    let left = Arc::new(AtomicU64::new(prepared.limit.unwrap_or(u64::MAX)));
    let prepared = Arc::new(prepared);
    let pages = prepared.pages();
    let part = |(at, pages)| {
        let (prepared, left) = (Arc::clone(&prepared), Arc::clone(&left));
        Part { prepared, at, pages, left }
    };
    pages.into_iter().map(part).collect()
}

impl<T: Record> Part<T> {
    /// The next page; `None` at the end, or when the limit is reached.
    pub(crate) async fn next(&mut self) -> Result<Option<PartPage>, Error> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let link = self.prepared.ready().await?;
        let Some(mut page) = self.pages.next(&link, self.page_limit()).await? else {
            return Ok(None);
        };
        if self.has_one() && page.scanned > 0 {
            // The embedded database would return it again behind itself, without end.
            page.next = None;
            self.pages.end();
        }
        let place = self.cut(&mut page)?;
        Ok(Some(PartPage { link, page, place }))
    }

    /// Whether there is one item at most: that of a key.
    fn has_one(&self) -> bool {
        let is_query = self.prepared.reading.expressions.key_condition.is_some();
        is_query && self.prepared.index.is_none() && T::SORT_KEY.is_none()
    }

    /// How many items a page may look at. With a filter the limit says nothing about that.
    fn page_limit(&self) -> Option<u32> {
        let filtered = self.prepared.reading.expressions.filter.is_some();
        let left = u32::try_from(self.left.load(Ordering::Relaxed)).ok();
        left.filter(|_| !filtered).into_iter().chain(self.prepared.page_size).min()
    }

    /// Takes what the limit leaves of a page, and says how far the part came by that.
    fn cut(&self, page: &mut Page) -> Result<Place, Error> {
        let take = |left: u64| Some(left.saturating_sub(page.count));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        let left = left.unwrap_or_default();
        if page.count > left {
            page.count = left;
            page.items.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let keys = cursor_keys::<T>(self.prepared.index);
            let last = page.items.last();
            let key = last.and_then(|json| key_of_item(&parse_item(json).ok()?, &keys));
            return match (key, last) {
                (Some(key), _) => Ok(Place::After(key)),
                // Nothing is left for this page, or it was counted only.
                (None, None) => Ok(Place::Start),
                (None, Some(_)) => {
                    Err(Error::new(ErrorKind::InvalidItem, "an item came without its key"))
                }
            };
        }
        Ok(match page.next.take() {
            // What the service returned was JSON.
            Some(key) => Place::After(String::from_utf8_lossy(&key).into_owned()),
            None => Place::End,
        })
    }
}

/// The attributes of the key that DynamoDB starts behind: the table's keys and the index's.
pub(crate) fn cursor_keys<T: Record>(index: Option<&'static IndexSpec>) -> Vec<&'static str> {
    let mut keys = table_keys::<T>();
    let of_index = |index: &'static IndexSpec| {
        index.partition_key().into_iter().chain(index.sort_key_spec()).map(|key| key.name)
    };
    for name in index.into_iter().flat_map(of_index) {
        if !keys.contains(&name) {
            keys.push(name);
        }
    }
    keys
}

/// All parts of a read, their pages as they come.
pub(crate) struct Walk {
    parts: SelectAll<BoxStream<'static, (usize, Result<PartPage, Error>)>>,
    pub(crate) places: Places,
}

impl Walk {
    pub(crate) fn new<T: Record>(prepared: Prepared<T>) -> Self {
        let places = prepared.places.clone();
        let next = async |part: Option<Part<T>>| {
            let mut part = part?;
            match part.next().await.transpose()? {
                Ok(page) => Some(((part.at, Ok(page)), Some(part))),
                Err(error) => Some(((part.at, Err(error)), None)),
            }
        };
        let streams =
            parts(prepared).into_iter().map(|part| stream::unfold(Some(part), next).boxed());
        Self { parts: stream::select_all(streams), places }
    }

    /// The pages, until the first request fails.
    pub(super) fn pages<T: Record, S: Shape<T>>(
        self,
    ) -> BoxStream<'static, Result<RawPage<S::Item>, Error>> {
        let next = async |walk: Option<Self>| {
            let mut walk = walk?;
            match walk.next::<T, S>().await? {
                Ok(page) => Some((Ok(page), Some(walk))),
                Err(error) => Some((Err(error), None)),
            }
        };
        stream::unfold(Some(self), next).boxed()
    }

    /// The next page of any part, and that part.
    pub(crate) async fn next_part(&mut self) -> Option<Result<(usize, PartPage), Error>> {
        let (at, page) = self.parts.next().await?;
        Some(page.map(|page| (at, page)))
    }

    /// Notes how far a part came.
    pub(crate) fn reached(&mut self, at: usize, place: Place) {
        // Nothing of a page that came after the limit was reached: its part is where it was.
        if place != Place::Start
            && let Some(known) = self.places.parts.get_mut(at)
        {
            *known = place;
        }
    }

    async fn next<T: Record, S: Shape<T>>(&mut self) -> Option<Result<RawPage<S::Item>, Error>> {
        let (at, PartPage { link, page, place }) = match self.next_part().await? {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        self.reached(at, place);
        let items = page.items.iter().map(|json| S::read(Origin(&link), json)).collect();
        Some(Ok(RawPage { items, scanned: page.scanned, cursor: self.places.cursor() }))
    }

    /// How many items there are, at most the limit.
    pub(super) async fn count(mut self) -> Result<u64, Error> {
        let mut count = 0;
        while let Some((_, page)) = self.parts.next().await {
            count += page?.page.count;
        }
        Ok(count)
    }
}

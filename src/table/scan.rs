//! Scans as streams.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};

use super::Table;
use crate::condition::{Condition, Rendered};
use crate::error::Error;
use crate::load::Segment;
use crate::record::Record;

/// A scan of a table; [`stream`](Self::stream) runs it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use futures::TryStreamExt;
/// # use memory_table::{Database, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
/// players.put(&Player { name: "ada".into() }).await?;
///
/// let all: Vec<Player> = players.scan().consistent().stream().try_collect().await?;
/// assert_eq!(all.len(), 1);
/// # Ok(()) }
/// ```
#[must_use = "a scan reads nothing until its stream is polled"]
#[derive(Debug)]
pub struct Scan<T> {
    table: Table<T>,
    segments: u32,
    consistent: bool,
    filter: Option<Condition>,
}

impl<T: Record> Scan<T> {
    pub(super) const fn new(table: Table<T>) -> Self {
        Self { table, segments: 1, consistent: false, filter: None }
    }

    /// Reads the table in this many parts at once, at least 1 and at most 1,000,000.
    ///
    /// Default: 1. The embedded database reads in one part whatever is asked, which is faster there.
    pub fn segments(mut self, segments: u32) -> Self {
        self.segments = segments.clamp(1, 1_000_000);
        self
    }

    /// Reads consistently, at twice the read units.
    ///
    /// Default: eventually consistent.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// Returns only what meets the condition; several filters must all be met.
    ///
    /// The service reads all items and charges for them, but sends only these. A condition that it
    /// would refuse is the stream's error, before a request.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// use futures::TryStreamExt;
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into(), rating: 1600.0 }).await?;
    /// players.put(&Player { name: "bob".into(), rating: 1400.0 }).await?;
    ///
    /// let good = Player::FIELDS.rating.gt(1500.0);
    /// let found: Vec<Player> = players.scan().filter(good).stream().try_collect().await?;
    /// assert_eq!((found.len(), &*found[0].name), (1, "ada"));
    /// # Ok(()) }
    /// ```
    pub fn filter(mut self, condition: Condition) -> Self {
        self.filter = Some(match self.filter {
            Some(before) => before.and(condition),
            None => condition,
        });
        self
    }

    /// The records, in no order. Pages are read as the stream is polled; an item that does not fit
    /// the type is an error in its place, and the stream goes on behind it. After the error of a
    /// request it ends.
    #[must_use = "streams do nothing unless polled"]
    pub fn stream(self) -> BoxStream<'static, Result<T, Error>> {
        let filter = match self.rendered_filter() {
            Ok(filter) => filter,
            Err(error) => {
                let error = self.table.place(error.during("Scan"));
                return stream::once(async { Err(error) }).boxed();
            }
        };
        let segments = if self.table.database.is_embedded() { 1 } else { self.segments };
        let parts = (0..segments).map(|segment| {
            let (table, consistent) = (self.table.clone(), self.consistent);
            let first = Segment::new(segment, segments, consistent, table.database.is_embedded())
                .filtered(filter.clone());
            stream::unfold(Some((table, first)), next_page).flat_map(stream::iter).boxed()
        });
        stream::select_all(parts).boxed()
    }

    fn rendered_filter(&self) -> Result<Option<Arc<Rendered>>, Error> {
        let Some(condition) = &self.filter else {
            return Ok(None);
        };
        let keys: Vec<&str> = [T::PARTITION_KEY].into_iter().chain(T::SORT_KEY).collect();
        condition.render(&keys).map(|rendered| Some(Arc::new(rendered)))
    }
}

type Place<T> = Option<(Table<T>, Segment)>;

async fn next_page<T: Record>(place: Place<T>) -> Option<(Vec<Result<T, Error>>, Place<T>)> {
    let (table, mut segment) = place?;
    let page = match table.ready().await {
        Ok(link) => segment.next::<T>(&link).await,
        Err(error) => Err(error),
    };
    match page {
        Ok(Some(records)) => {
            let records = records.into_iter().map(|read| read.map(|decoded| decoded.record));
            Some((records.collect(), Some((table, segment))))
        }
        Ok(None) => None,
        Err(error) => Some((vec![Err(error)], None)),
    }
}

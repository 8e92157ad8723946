//! Scans of tables and indexes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::stream::{BoxStream, TryStreamExt};

use super::Table;
use super::read::cursor::Cursor;
use super::read::shape::{Cached, Followed, Selectable, Selected, Shape, Whole};
use super::read::{BadItems, Overlay, Page, Reader, read_ends, read_methods};
use crate::condition::Condition;
use crate::error::Error;
use crate::record::{Projection, Record};
use crate::spec::IndexSpec;

/// A scan of a table or an index; [`stream`](Self::stream), [`pages`](Self::pages),
/// [`all`](Self::all), [`first`](Self::first) or [`count`](Self::count) runs it.
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
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
/// players.put(&Player { name: "ada".into(), rating: 1600.0 }).await?;
/// players.put(&Player { name: "bob".into(), rating: 1400.0 }).await?;
///
/// let good = Player::FIELDS.rating.gt(1500.0);
/// let found: Vec<Player> = players.scan().filter(good).stream().try_collect().await?;
/// assert_eq!((found.len(), &*found[0].name), (1, "ada"));
/// assert_eq!(players.scan().consistent().count().await?, 2);
/// # Ok(()) }
/// ```
#[must_use = "a scan reads nothing until it is run"]
pub struct Scan<T, S = Whole> {
    pub(crate) reader: Reader<T>,
    shape: PhantomData<fn() -> S>,
}

impl<T, S> Clone for Scan<T, S> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), shape: PhantomData }
    }
}

impl<T, S> fmt::Debug for Scan<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reader.describe(f, "Scan")
    }
}

impl<T: Record, S> Scan<T, S> {
    pub(crate) fn new(table: Table<T>, index: Option<&'static IndexSpec>) -> Self {
        let reader = Reader { index, ..Reader::new(table) };
        Self { reader, shape: PhantomData }
    }

    /// Reads in this many parts at once, at least 1 and at most 1,000,000.
    ///
    /// Default: 1. The embedded database reads in one part whatever is asked, which is faster there.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.ParallelScan>
    pub fn segments(mut self, segments: u32) -> Self {
        self.reader.segments = segments.clamp(1, 1_000_000);
        self.reader.segment = None;
        self
    }

    /// Reads one of several parts, numbered from 0: for jobs that run as several processes.
    ///
    /// # Errors
    ///
    /// The scan fails before a request, if there are no such segments.
    pub const fn segment(mut self, segment: u32, of: u32) -> Self {
        self.reader.segments = of;
        self.reader.segment = Some(segment);
        self
    }

    /// Reads only the attributes of `P`, for fewer bytes on the wire; the service charges for whole
    /// items all the same.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// use memory_table::Projection;
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: f64 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # players.put(&Player { name: "ada".into(), rating: 1600.0 }).await?;
    /// #[derive(Deserialize)]
    /// struct Rating {
    ///     rating: f64,
    /// }
    ///
    /// // `#[derive(Projection)]` writes this.
    /// impl Projection for Rating {
    ///     type Of = Player;
    ///     const ATTRIBUTES: &'static [&'static str] = &["rating"];
    /// }
    ///
    /// let ratings = players.scan().select::<Rating>().all().await?;
    /// assert_eq!(ratings[0].rating, 1600.0);
    /// # Ok(()) }
    /// ```
    pub fn select<P: Projection<Of = T>>(self) -> Scan<T, Selected<P>>
    where
        S: Selectable,
    {
        Scan { reader: self.reader, shape: PhantomData }
    }

    /// Finds records with what is stored of them, to be changed and [saved](Table::save). Of what was
    /// saved a moment ago an eventually consistent read may find what was before, and the next save meets
    /// a conflict.
    pub fn tracked(self) -> Scan<T, Followed>
    where
        S: Shape<T, Item = T>,
    {
        Scan { reader: self.reader, shape: PhantomData }
    }

    /// The same, as a memory table sees it.
    pub(crate) fn seen_by(mut self, overlay: Arc<dyn Overlay<T>>) -> Scan<T, Cached> {
        self.reader.overlay = Some(overlay);
        Scan { reader: self.reader, shape: PhantomData }
    }

    read_methods!();
    read_ends!();
}

//! Loads of many records at once: by keys, queries and scans.

use std::sync::Arc;

use super::found::Stored;
use super::progress::Loads;
use super::scans::{self, Asked};
use super::{MemoryTable, Shared};
use crate::codec::item_key;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::load::{distinct, read_item};
use crate::logging;
use crate::record::Record;
use crate::rt::Tasks;
use crate::table::{
    BadItems, Part, PartPage, Query, Reader, Scan, Unselected, Wanted, Whole, parts, skipped,
};

/// What a load of many records found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LoadReport {
    /// The records that the database has, whether they were known before or not; also those that are
    /// deleted in memory, or hidden.
    pub records: u64,
    /// The items that do not fit the record's type, if that is not an error.
    pub skipped: u64,
    /// Their errors, if they are to be [reported](BadItems::Report). Each names its key.
    pub bad: Vec<Error>,
}

impl LoadReport {
    /// Counts an item that does not fit, or fails.
    fn took_bad(&mut self, error: Error, policy: BadItems) -> Result<(), Error> {
        match policy {
            BadItems::Fail => return Err(error),
            BadItems::Skip => skipped(&error),
            BadItems::Report => self.bad.push(error),
        }
        self.skipped += 1;
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.skipped += other.skipped;
        self.bad.extend(other.bad);
    }
}

mod sealed {
    use crate::table::Reader;

    pub trait Source<T> {
        #[expect(private_interfaces, reason = "nobody else implements or calls it")]
        fn reader(self) -> Reader<T>;
    }
}

/// What [`MemoryTable::load`] loads: a query or a scan, of a table or of an index.
pub trait Loadable<T>: sealed::Source<T> {}

impl<T, S: sealed::Source<T>> Loadable<T> for S {}

/// A shape that loads whole records: those of an index are looked up by their keys.
trait LoadsWhole {}

impl LoadsWhole for Whole {}
impl LoadsWhole for Unselected {}

impl<T: Record, K, S: LoadsWhole> sealed::Source<T> for Query<T, K, S> {
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn reader(self) -> Reader<T> {
        self.reader
    }
}

impl<T: Record, S: LoadsWhole> sealed::Source<T> for Scan<T, S> {
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn reader(self) -> Reader<T> {
        self.reader
    }
}

impl<T: Record> MemoryTable<T> {
    /// Loads the records of keys that are not known yet, 100 a request, several requests at once.
    /// Absent ones are remembered.
    ///
    /// # Errors
    ///
    /// The first of the errors; what could be loaded is cached all the same. Items that do not fit
    /// the type are errors unless [`bad_items`](crate::MemoryTableBuilder::bad_items) says otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the loads go on.
    pub async fn prefetch<K, I>(&self, keys: I) -> Result<LoadReport, Error>
    where
        K: KeyLookup<T::Key>,
        I: IntoIterator<Item = K>,
    {
        let checked = keys.into_iter().map(|key| self.shared.table.checked_key(&key));
        let keys: Vec<Key> = checked.collect::<Result<_, _>>()?;
        self.shared.fetch_all(distinct(keys), self.shared.options.bad_items).await
    }

    /// Loads the whole table by a parallel scan. What is known already, changes above all, is left
    /// as it is.
    ///
    /// Afterwards a key that was not loaded counts as absent without a request; see
    /// [`absent_after_load_all`](crate::MemoryTableBuilder::absent_after_load_all).
    ///
    /// # Errors
    ///
    /// Why the table could not be read, or the first item that does not fit the type unless
    /// [`bad_items`](crate::MemoryTableBuilder::bad_items) says otherwise; what was loaded until then
    /// is cached.
    ///
    /// # Cancel safety
    ///
    /// Dropped, what was loaded is cached, and keys that were not are loaded when asked for.
    pub async fn load_all(&self) -> Result<LoadReport, Error> {
        let reader = self.scanner(self.shared.options.segments);
        self.shared.load_parts(reader, true).await
    }

    /// Loads one of several segments of the table: the share of one process among several.
    ///
    /// # Errors
    ///
    /// As for [`load_all`](Self::load_all); [`ErrorKind::InvalidCondition`] without a request if there
    /// is no such segment.
    ///
    /// # Cancel safety
    ///
    /// As for [`load_all`](Self::load_all).
    pub async fn load_segment(&self, segment: u32, of: u32) -> Result<LoadReport, Error> {
        let mut reader = self.scanner(of);
        reader.segment = Some(segment);
        self.shared.load_parts(reader, false).await
    }

    /// Loads what a query or a scan finds, as a whole table or a partition of it. What is known
    /// already, changes above all, is left as it is.
    ///
    /// The database decides what is found: unsaved changes are not among it. Items of an index are
    /// looked up by their keys, by 100 a request, since an index may lag behind and need not have all
    /// attributes. Reads are consistent unless
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
    /// for name in ["ada", "bob"] {
    ///     players.put(&Player { game: "chess".into(), name: name.into() }).await?;
    /// }
    /// let memory = MemoryTable::new(players.clone());
    /// assert_eq!(memory.load(players.query("chess")).await?.records, 2);
    /// assert!(memory.get(("chess", "ada")).await?.is_some()); // no request
    /// assert_eq!(memory.stats().read_requests, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`load_all`](Self::load_all); [`ErrorKind::Configuration`] if it reads another table.
    ///
    /// # Cancel safety
    ///
    /// As for [`load_all`](Self::load_all).
    pub async fn load(&self, found: impl Loadable<T>) -> Result<LoadReport, Error> {
        let mut reader = found.reader();
        if !reader.table.is_same(&self.shared.table)? {
            let other = reader.table.name()?;
            let text = if other == self.shared.table.name()? {
                "what is to be loaded is of a table of another database".to_owned()
            } else {
                format!("what is to be loaded is of another table, `{other}`")
            };
            let error = self.shared.place(Error::new(ErrorKind::Configuration, text));
            return Err(error.advise("make the query of the memory table's own table"));
        }
        reader.table = self.shared.own_table();
        if reader.index.is_some() {
            return self.shared.load_found(reader).await;
        }
        reader.consistent |= self.shared.options.consistent;
        self.shared.load_parts(reader, false).await
    }

    fn scanner(&self, segments: u32) -> Reader<T> {
        let mut reader = Reader::new(self.shared.own_table());
        reader.segments = segments;
        reader.consistent = self.shared.options.consistent;
        reader
    }
}

impl<T: Record> Shared<T> {
    /// Loads keys that are not known, 100 a request, and waits for them.
    pub(super) async fn fetch_all(
        self: &Arc<Self>,
        mut keys: Vec<Key>,
        policy: BadItems,
    ) -> Result<LoadReport, Error> {
        let mut report = LoadReport::default();
        let progress = Loads::begin(self, u64::try_from(keys.len()).ok());
        while !keys.is_empty() {
            let count = keys.len();
            let waiting = self.claim_all(keys, &mut report.records, false)?;
            progress.more(u64::try_from(count - waiting.len()).unwrap_or_default());
            let mut result = Ok(());
            keys = Vec::new();
            for (waiting, key) in waiting {
                match self.exists(waiting, &key).await {
                    Ok(Some(exists)) => report.records += u64::from(exists),
                    // Its load ended with another runtime: it is for us to load.
                    Ok(None) => {
                        keys.push(key);
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::InvalidItem => {
                        result = result.and(report.took_bad(error, policy));
                    }
                    Err(error) => result = result.and(Err(error)),
                }
                progress.more(1);
            }
            result?;
        }
        logging::loaded(&self.table.shown_name(), report.records, report.skipped);
        Ok(report)
    }

    /// Loads what a read of the table finds, its parts side by side. `whole`: that is all there is.
    async fn load_parts(
        self: &Arc<Self>,
        reader: Reader<T>,
        whole: bool,
    ) -> Result<LoadReport, Error> {
        let policy = reader.bad_items.unwrap_or(self.options.bad_items);
        let consistent = reader.consistent;
        let prepared = reader.prepare(Wanted::Attributes(&[]))?;
        let runtime = super::runtime()?;
        let total = if whole { self.items_if_told().await } else { None };
        let loading = Arc::new(Loading::begin(self));
        let progress = Arc::new(Loads::begin(self, total));
        let mut tasks = Tasks::new();
        for part in parts(prepared) {
            let (loading, progress) = (Arc::clone(&loading), Arc::clone(&progress));
            let load = async move { loading.load_part(part, policy, consistent, &progress).await };
            tasks.spawn(load, &runtime);
        }
        let mut report = LoadReport::default();
        while let Some(task) = tasks.next().await {
            let part = task.map_err(|error| {
                let ended = error.is_cancelled().then(super::runtime_ended);
                self.place(ended.unwrap_or_else(crate::error::panicked))
            });
            report.add(part??);
        }
        if whole && self.options.absent_after_load_all {
            self.scans.completed(loading.scan);
        }
        logging::loaded(&self.table.shown_name(), report.records, report.skipped);
        Ok(report)
    }

    /// How many items the table has, as the service says it, for those who want to be told how far a load has come.
    async fn items_if_told(&self) -> Option<u64> {
        self.table.listener()?;
        Some(self.table.describe_once().await.ok()??.item_count)
    }

    /// Loads the records whose keys a read of an index finds.
    async fn load_found(self: &Arc<Self>, reader: Reader<T>) -> Result<LoadReport, Error> {
        let policy = reader.bad_items.unwrap_or(self.options.bad_items);
        let mut keys = Vec::new();
        for mut part in parts(reader.prepare(Wanted::Keys)?) {
            while let Some(PartPage { page, .. }) = part.next().await? {
                let found = page.items.iter();
                keys.extend(found.filter_map(|json| item_key(json, T::PARTITION_KEY, T::SORT_KEY)));
            }
        }
        self.fetch_all(distinct(keys), policy).await
    }
}

/// A scan that loads. Each of its tasks holds it: a task that is cancelled in the middle of a page
/// looks at the rest of it all the same. When the last has ended, traces that nobody needs go.
pub(super) struct Loading<T: Record> {
    shared: Arc<Shared<T>>,
    scan: scans::Scan,
}

impl<T: Record> Loading<T> {
    pub(super) fn begin(shared: &Arc<Shared<T>>) -> Self {
        Self { shared: Arc::clone(shared), scan: shared.scans.begin() }
    }

    /// How a page is asked for now.
    pub(super) fn asked(&self, consistent: bool) -> Asked {
        Asked { scan: self.scan.number, resets: self.shared.scans.resets(), consistent }
    }

    async fn load_part(
        &self,
        mut part: Part<T>,
        policy: BadItems,
        consistent: bool,
        progress: &Loads,
    ) -> Result<LoadReport, Error> {
        let shared = &self.shared;
        let mut report = LoadReport::default();
        loop {
            let asked = self.asked(consistent);
            let found = {
                // The semaphore is never closed.
                let _permit = shared.reads.acquire().await;
                part.next().await?
            };
            let Some(PartPage { link, page, .. }) = found else {
                return Ok(report);
            };
            progress.more(u64::try_from(page.items.len()).unwrap_or_default());
            for json in &page.items {
                match read_item::<T>(&link, json) {
                    Ok(decoded) => {
                        let key = decoded.key.clone();
                        shared.store_scanned(asked, &key, Some(Stored::of(Some(decoded))));
                        report.records += 1;
                    }
                    Err(error) => {
                        if let Some(key) = error.key() {
                            shared.store_scanned(asked, key, None);
                        }
                        report.took_bad(error, policy)?;
                    }
                }
            }
        }
    }
}

impl<T: Record> Drop for Loading<T> {
    fn drop(&mut self) {
        let scans = &self.shared.scans;
        scans.end(self.scan);
        if let Some(up_to) = scans.useless_traces()
            && self.shared.slots.forget_traces(up_to)
        {
            scans.has_traces();
        }
    }
}

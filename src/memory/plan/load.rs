//! What a load would do, without doing it.

use std::time::Duration;

use crate::capacity::{ConsumedCapacity, READ_UNIT, read_unit};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyLookup};
use crate::load::distinct;
use crate::memory::slot::Known;
use crate::memory::{MemoryTable, Shared};
use crate::record::Record;
use crate::rt::yield_now;
use crate::store::MAX_BATCH_GET;

/// What a load would do now: see [`MemoryTable::plan_prefetch`] and [`MemoryTable::plan_load_all`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct LoadPlan {
    /// Keys that need not be read: their records or absences are known, or are being loaded. Of a load of the
    /// whole table the records that are known, which it reads and leaves as they are.
    pub cached: u64,
    /// Items, or keys without one, that are to be read.
    pub to_read: u64,
    /// Bytes of the items, about.
    pub bytes: u64,
    /// Requests, about, where nothing has to be asked for twice.
    pub requests: u64,
    /// Read units, about.
    pub read_units: f64,
    /// How long that takes at the present [rate](crate::Table::read_rate) of the table; `None` while there is
    /// none.
    pub time: Option<Duration>,
}

impl LoadPlan {
    /// What the read units cost at this price for a million of them, in its currency.
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    #[must_use]
    pub fn cost(&self, price_per_million: f64) -> f64 {
        self.read_units * price_per_million / 1e6
    }
}

/// A page of a scan.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>
const PAGE: u64 = 1 << 20;
/// The most of an answer to a batch.
const BATCH: u64 = 16 << 20;

impl<T: Record> MemoryTable<T> {
    /// What a [`prefetch`](Self::prefetch) of these keys would do now, without doing it.
    ///
    /// Items are taken to have the mean size of the records in memory; where none is there, that which the
    /// service says, by one DescribeTable, or else four kilobytes at most.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let memory = MemoryTable::new(players);
    /// memory.put(Player { name: "ada".into() }).await?;
    /// let names = (0..250).map(|number| number.to_string()).chain(["ada".to_owned()]);
    /// let plan = memory.plan_prefetch(names).await?;
    /// assert_eq!((plan.cached, plan.to_read, plan.requests, plan.read_units), (1, 250, 3, 250.0));
    /// assert_eq!(plan.cost(0.125), 250.0 * 0.125 / 1e6);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or why the table could not be described; that it may not be is none.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn plan_prefetch<K, I>(&self, keys: I) -> Result<LoadPlan, Error>
    where
        K: KeyLookup<T::Key>,
        I: IntoIterator<Item = K>,
    {
        let checked = keys.into_iter().map(|key| self.shared.table.checked_key(&key));
        let keys = distinct(checked.collect::<Result<Vec<Key>, _>>()?);
        let mut plan = LoadPlan::default();
        for keys in keys.chunks(super::AT_ONCE) {
            for key in keys {
                let is_needed = self.shared.is_to_be_read(key);
                *(if is_needed { &mut plan.to_read } else { &mut plan.cached }) += 1;
            }
            yield_now().await;
        }
        if plan.to_read > 0 {
            let size = self.shared.mean_size().await?;
            plan.bytes = plan.to_read.saturating_mul(size);
            let most = u64::try_from(MAX_BATCH_GET).unwrap_or(u64::MAX);
            plan.requests = plan.to_read.div_ceil(most).max(plan.bytes.div_ceil(BATCH));
            plan.read_units = count(plan.to_read) * self.shared.units_of(size);
            plan.time = self.shared.read_time(plan.read_units);
        }
        Ok(plan)
    }

    /// What a [`load_all`](Self::load_all) would do now, without doing it, by what the service says of the table:
    /// it counts the items about every six hours. One DescribeTable is sent.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.put(&Player { name: "ada".into() }).await?;
    /// let plan = MemoryTable::new(players).plan_load_all().await?;
    /// assert_eq!((plan.to_read, plan.bytes), (1, 7));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Why the table could not be described.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn plan_load_all(&self) -> Result<LoadPlan, Error> {
        let shared = &self.shared;
        // With an error if there is no table.
        shared.ready().await?;
        let (items, bytes) = shared.described_size().await?;
        let segments = u64::from(shared.options.segments.max(1));
        let read_units = shared.units_of(bytes);
        Ok(LoadPlan {
            cached: self.stats().cached,
            to_read: items,
            bytes,
            requests: bytes.div_ceil(segments).div_ceil(PAGE).max(1) * segments,
            read_units,
            time: shared.read_time(read_units),
        })
    }
}

impl<T: Record> Shared<T> {
    /// Whether a prefetch would ask for a key.
    fn is_to_be_read(&self, key: &Key) -> bool {
        let is_loading = {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.find(key.as_bytes()).is_some_and(|slot| slot.load.is_some())
        };
        !is_loading && self.known(key).is_none()
    }

    /// The bytes of an item, on average.
    async fn mean_size(&self) -> Result<u64, Error> {
        let (mut records, mut bytes) = (0, 0_u64);
        self.slots.each(|slot| {
            if matches!(slot.now, Known::Record(_)) {
                records += 1;
                bytes += u64::try_from(slot.size()).unwrap_or_default();
            }
        });
        if let Some(mean) = bytes.checked_div(records) {
            return Ok(mean);
        }
        match self.described_size().await {
            Ok((items, bytes)) => Ok(bytes.checked_div(items).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::AccessDenied => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Items and bytes of the table, as the service says it.
    async fn described_size(&self) -> Result<(u64, u64), Error> {
        let described = self.table.describe().await?;
        Ok(described.map_or((0, 0), |table| (table.item_count, table.size_bytes)))
    }

    /// The units of a read of so many bytes.
    fn units_of(&self, bytes: u64) -> f64 {
        count(bytes.div_ceil(READ_UNIT).max(1)) * read_unit(self.options.consistent)
    }

    fn read_time(&self, units: f64) -> Option<Duration> {
        let units = ConsumedCapacity { total: units, ..ConsumedCapacity::default() };
        self.table.pace()?.reads.time(&units)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
const fn count(count: u64) -> f64 {
    count as f64
}

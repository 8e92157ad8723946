//! How fast a table may be written and read.

use std::sync::Arc;
use std::time::Duration;

use super::Table;
use crate::error::{Error, ErrorKind};
use crate::pace::{Pace, Wanted};
use crate::record::Record;

/// The service keeps what is not used of a provisioned table's capacity for so long.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/burst-adaptive-capacity.html>
const LONGEST_BURST: Duration = Duration::from_secs(300);

impl<T: Record> Table<T> {
    /// Writes no more than so many units a second, all together that write to this table through this database
    /// and its clones, flushes and batches as single calls: a put of a kilobyte is one.
    ///
    /// What the service says that it charges is what counts, so that large items, conditions and
    /// transactions are paid for as what they are. The units of global indexes are not counted: they
    /// have capacity of their own.
    ///
    /// Where the service takes less than that, what it throttles says how much it takes: the rate between
    /// two throttles is measured, kept, and raised slowly up to what is set here.
    ///
    /// Default: as fast as the service takes it, which is found the same way. Jobs that share nothing but the
    /// table come to the same share of it.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/provisioned-capacity-mode.html>
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::testing::PausedClock;
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let database = Database::embedded()?;
    /// # let clock = PausedClock::over(&database)?;
    /// let players = database.table::<Player>().write_capacity(10);
    /// players.create_if_missing().await?;
    /// let report = players.batch_write().puts((0..50).map(|n| Player { name: n.to_string() })).await?;
    /// assert_eq!(report.written, 50);
    /// # let elapsed = clock.elapsed();
    /// assert!(elapsed.as_secs_f64() > 3.9, "ten of them at once, then ten a second");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] by the first call if it is not more than 0.
    #[must_use]
    pub fn write_capacity(self, units_a_second: impl Into<f64>) -> Self {
        let units = units_a_second.into();
        self.paced("write_capacity", is_rate(units), |wanted| {
            wanted.write_capacity = Some(units);
        })
    }

    /// Reads no more than so many units a second, all together that read this table through this database and
    /// its clones, loads, queries and scans as single calls: a consistent read of four kilobytes is one, an
    /// eventually consistent one a half. A page of a query or a scan costs what its megabyte costs, and is waited
    /// for afterwards.
    ///
    /// Reads of global indexes are not counted, which have capacity of their own. All else is as for
    /// [`write_capacity`](Self::write_capacity).
    ///
    /// Default: as fast as the service takes it.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::testing::PausedClock;
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let database = Database::embedded()?;
    /// # let clock = PausedClock::over(&database)?;
    /// let players = database.table::<Player>().read_capacity(10);
    /// players.create_if_missing().await?;
    /// let memory = MemoryTable::new(players.clone());
    /// memory.prefetch((0..50).map(|number| number.to_string())).await?;
    /// # let elapsed = clock.elapsed();
    /// assert!(elapsed.as_secs_f64() > 3.9, "ten of them at once, then ten a second");
    /// assert_eq!(players.read_rate(), Some(10.0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] by the first call if it is not more than 0.
    #[must_use]
    pub fn read_capacity(self, units_a_second: impl Into<f64>) -> Self {
        let units = units_a_second.into();
        self.paced("read_capacity", is_rate(units), |wanted| {
            wanted.read_capacity = Some(units);
        })
    }

    /// Writes and reads no more than this part of the table's capacity, and of its global indexes', so that the
    /// rest is left for others: `0.5` is half of it, as DescribeTable says it, provisioned or the most on
    /// demand.
    ///
    /// [`write_capacity`](Self::write_capacity) and [`read_capacity`](Self::read_capacity) stand over it for the
    /// table itself. Where the service says
    /// no figure, on demand without a maximum or since describing is denied, it does nothing, and is warned of
    /// when the table is described.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] by the first call if it is not more than 0 and at most 1.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        let is_fit = share > 0.0 && share <= 1.0;
        self.paced("share", is_fit, |wanted| {
            wanted.share = Some(share);
        })
    }

    /// For how long what is not used of a given rate is kept, to be used at once; 300 s at most, as the
    /// service does. Default: 1 s, so that the load of a second is never more than twice the rate: who gives
    /// a rate shares the table, and what was saved up is not only the caller's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] by the first call if it is zero or more than 300 s.
    #[must_use]
    pub fn burst(self, burst: Duration) -> Self {
        let is_fit = !burst.is_zero() && burst <= LONGEST_BURST;
        self.paced("burst", is_fit, |wanted| {
            wanted.burst = burst;
        })
    }

    /// Units a second that may be read now; `None` while there is no limit.
    pub fn read_rate(&self) -> Option<f64> {
        self.pace()?.reads.rate()
    }

    /// Units a second that may be written now; `None` while there is no limit.
    pub fn write_rate(&self) -> Option<f64> {
        self.pace()?.writes.rate()
    }

    /// The pace of the table; `None` if its name is none.
    pub(crate) fn pace(&self) -> Option<Arc<Pace>> {
        Some(self.database.pace(self.name.as_ref().ok()?))
    }

    fn paced(mut self, option: &str, is_fit: bool, change: impl FnOnce(&mut Wanted)) -> Self {
        let Ok(name) = self.name.clone() else { return self };
        if is_fit {
            self.database.pace(&name).want(change);
        } else {
            self.name = Err(unfit(option, &name));
        }
        self
    }
}

/// Whether it makes sense as units a second.
fn is_rate(units: f64) -> bool {
    units.is_finite() && units > 0.0
}

fn unfit(option: &str, table: &Arc<str>) -> Error {
    let text = format!("the `{option}` that is set makes no sense");
    let advice = match option {
        "share" => "give more than 0 and at most 1",
        "burst" => "give more than zero and at most 300 s",
        _ => "give more than 0 units a second",
    };
    Error::new(ErrorKind::Configuration, text).on_table(table).advise(advice)
}

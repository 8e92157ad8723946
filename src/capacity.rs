//! Units of capacity that the service charges, by table and index.
//!
//! A unit of writes is a kilobyte begun of an item, one of reads four of them, half of that where the
//! read is eventually consistent.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::store::{TableRef, short_name};

/// Units of capacity that the service charged for a table, as it says it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{Database, Record};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players", global_index(name = "by-city", partition_key = city))]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     city: String,
/// }
///
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().await?;
/// let ada = Player { name: "ada".into(), city: "Riga".into() };
/// let report = players.batch_write().put(&ada).await?;
/// let players = &report.capacity_by_table["players"];
/// assert_eq!((players.of_table(), players.indexes["by-city"]), (1.0, 1.0));
/// assert_eq!(report.consumed_capacity, 2.0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConsumedCapacity {
    /// All of them, those of indexes included.
    pub total: f64,
    /// Those of each index that had a part in it, by its name.
    pub indexes: BTreeMap<String, f64>,
}

impl ConsumedCapacity {
    /// Those of the table itself.
    #[must_use]
    pub fn of_table(&self) -> f64 {
        self.total - self.indexes.values().fold(0.0, |sum, units| sum + units)
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.total += more.total;
        for (index, units) in &more.indexes {
            *self.indexes.entry(index.clone()).or_default() += units;
        }
    }
}

/// Units of capacity that were charged for the reads and the writes of a table.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Consumption {
    /// Units of reads.
    pub reads: ConsumedCapacity,
    /// Units of writes.
    pub writes: ConsumedCapacity,
}

/// What a request is charged, by tables as the service names them, by ARN or not; nothing if it does
/// not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Charged(pub(crate) Vec<(String, ConsumedCapacity)>);

impl Charged {
    /// What a request of one table is charged.
    #[cfg(test)]
    pub(crate) fn one(table: &TableRef, units: f64) -> Self {
        let units = ConsumedCapacity { total: units, indexes: BTreeMap::new() };
        Self(vec![(table.name.to_string(), units)])
    }

    /// The parts of tables, of those that are named twice the first time only.
    pub(crate) fn shares<'n>(
        &self,
        tables: impl IntoIterator<Item = Option<&'n str>>,
    ) -> impl Iterator<Item = Option<&ConsumedCapacity>> {
        let mut seen = Vec::new();
        tables.into_iter().map(move |table| {
            let table = short_name(table?);
            let (name, units) = self.0.iter().find(|(name, _)| short_name(name) == table)?;
            let is_first = !seen.contains(&name);
            seen.push(name);
            is_first.then_some(units)
        })
    }

    /// The part of a table.
    pub(crate) fn of(&self, table: &TableRef) -> Option<&ConsumedCapacity> {
        self.shares([Some(&*table.name)]).next().flatten()
    }
}

/// What the requests of a table were charged so far.
#[derive(Debug, Default)]
pub(crate) struct Spent(Mutex<Consumption>);

impl Spent {
    pub(crate) fn read(&self, charged: Option<&ConsumedCapacity>) {
        if let Some(units) = charged {
            self.0.lock().reads.add(units);
        }
    }

    pub(crate) fn written(&self, charged: Option<&ConsumedCapacity>) {
        if let Some(units) = charged {
            self.0.lock().writes.add(units);
        }
    }

    pub(crate) fn so_far(&self) -> Consumption {
        self.0.lock().clone()
    }
}

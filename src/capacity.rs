//! Units of capacity that the service charges, by table and index.
//!
//! A unit of writes is a kilobyte begun of an item, one of reads four of them, half of that where the
//! read is eventually consistent.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>

mod indexes;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use indexes::written;
use parking_lot::Mutex;

use crate::store::{TableRef, short_name};

/// A unit of writes is so many bytes begun.
const WRITE_UNIT: usize = 1024;

/// A unit of reads is so many bytes begun.
pub(crate) const READ_UNIT: u64 = 4096;

/// The units that a read of four kilobytes costs.
pub(crate) const fn read_unit(consistent: bool) -> f64 {
    if consistent { 1.0 } else { 0.5 }
}

/// The units that a write of an item of so many bytes costs: one at least.
pub(crate) fn write_units(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(WRITE_UNIT).max(1)).unwrap_or(u32::MAX))
}

/// Units of capacity that the service charged for a table, as it says it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
    /// Which of them are local: they use the table's capacity, and have none of their own.
    pub(crate) local: BTreeSet<String>,
}

impl ConsumedCapacity {
    /// Those of the table itself.
    #[must_use]
    pub fn of_table(&self) -> f64 {
        self.total - self.indexes.values().fold(0.0, |sum, units| sum + units)
    }

    /// Those of an index, as those of a table.
    pub(crate) fn of_index(&self, index: &str) -> Self {
        let total = self.indexes.get(index).copied().unwrap_or_default();
        Self { total, ..Self::default() }
    }

    /// Those of each index that has capacity of its own.
    pub(crate) fn of_own_capacity(&self) -> impl Iterator<Item = (&str, f64)> {
        let own = self.indexes.iter().filter(|(name, _)| !self.local.contains(*name));
        own.map(|(name, units)| (name.as_str(), *units))
    }

    /// Those that the table's capacity is used for.
    pub(crate) fn of_table_capacity(&self) -> f64 {
        self.total - self.of_own_capacity().fold(0.0, |sum, (_, units)| sum + units)
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.total += more.total;
        self.local.extend(more.local.iter().cloned());
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
    /// Units of writes that were not charged, since the records were unchanged: what writing them would have
    /// cost the table itself.
    pub saved: f64,
}

/// What a request is charged, by tables as the service names them, by ARN or not; nothing if it does
/// not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Charged(pub(crate) Vec<(String, ConsumedCapacity)>);

impl Charged {
    /// What a request of one table is charged.
    #[cfg(test)]
    pub(crate) fn one(table: &TableRef, units: f64) -> Self {
        let units = ConsumedCapacity { total: units, ..ConsumedCapacity::default() };
        Self(vec![(table.name.to_string(), units)])
    }

    /// The parts of the tables of a request, of one that is named twice the first time only.
    pub(crate) fn shares(&self, tables: &[Option<&str>]) -> Vec<Option<ConsumedCapacity>> {
        let is_alone = tables.len() == 1;
        let share = |(place, table): (usize, Option<&str>)| {
            let table = short_name(table?);
            let before = tables.iter().take(place).flatten();
            if before.into_iter().any(|before| short_name(before) == table) {
                return None;
            }
            let mut sum = None;
            for (name, units) in &self.0 {
                // Where there is one table only, some servers do not name it.
                if short_name(name) == table || is_alone && name.is_empty() {
                    sum.get_or_insert_with(ConsumedCapacity::default).add(units);
                }
            }
            sum
        };
        tables.iter().copied().enumerate().map(share).collect()
    }

    /// The part of the table of a request.
    pub(crate) fn of(&self, table: &TableRef) -> Option<ConsumedCapacity> {
        self.shares(&[Some(&table.name)]).pop().flatten()
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

    /// Nothing was written that would have cost so much.
    pub(crate) fn saved(&self, units: f64) {
        self.0.lock().saved += units;
    }

    pub(crate) fn so_far(&self) -> Consumption {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(parts: &[(&str, f64)]) -> Charged {
        let units = |total| ConsumedCapacity { total, ..ConsumedCapacity::default() };
        Charged(parts.iter().map(|(name, total)| ((*name).to_owned(), units(*total))).collect())
    }

    fn shares(parts: &[(&str, f64)], tables: &[Option<&str>]) -> Vec<Option<f64>> {
        let shares = charged(parts).shares(tables).into_iter();
        shares.map(|share| share.map(|units| units.total)).collect()
    }

    #[test]
    fn each_table_has_its_part_once_by_whatever_name() {
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/players";
        let parts = [("teams", 2.0), (arn, 3.0)];
        assert_eq!(shares(&parts, &[Some("players"), Some("teams")]), [Some(3.0), Some(2.0)]);
        assert_eq!(shares(&parts, &[Some("players"), Some(arn)]), [Some(3.0), None]);
        assert_eq!(shares(&parts, &[Some("stores"), None]), [None, None]);
        assert_eq!(shares(&[("teams", 2.0), ("teams", 1.0)], &[Some("teams")]), [Some(3.0)]);
    }

    #[test]
    fn what_is_charged_without_a_name_is_that_of_the_only_table() {
        assert_eq!(shares(&[("", 2.0)], &[Some("teams")]), [Some(2.0)]);
        assert_eq!(shares(&[("", 2.0)], &[Some("teams"), Some("players")]), [None, None]);
    }
}

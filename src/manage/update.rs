//! Changing a table: its capacity, its indexes, by what its items expire.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::poll::DEFAULT_TIMEOUT;
use super::steps::{Changes, OPERATION, carry_out};
use super::time_to_live;
use crate::database::{BillingMode, Database, TableDescription};
use crate::error::{Error, ErrorKind};
use crate::spec::{IndexSpec, check_indexes, check_units};

/// Changes of a table, see [`Table::update_table`](crate::Table::update_table); awaiting it carries
/// them out.
///
/// Only what differs is sent, so that it can be called again after whatever happened: what is done
/// is not done again. One request at a time, each waited for: indexes are deleted, capacity changes,
/// indexes are made, then the time to live is set.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{BillingMode, Database, IndexSpec, KeyKind, KeySpec, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String, city: String }
/// # let players = Database::embedded()?.table::<Player>();
/// # players.create_if_missing().await?;
/// let by_city = IndexSpec::global("by-city", KeySpec::new("city", KeyKind::String));
/// let table = players
///     .update_table()
///     .provisioned(20, 50)
///     .create_index(by_city)
///     .time_to_live("expires")
///     .await?;
/// assert_eq!(table.billing, BillingMode::Provisioned { read_units: 20, write_units: 50 });
/// assert_eq!(table.indexes[0].name, "by-city");
/// assert_eq!(players.time_to_live().await?.as_deref(), Some("expires"));
/// # Ok(()) }
/// ```
#[must_use = "nothing is changed until it is awaited"]
#[derive(Debug)]
pub struct UpdateTable {
    database: Database,
    /// The full name, or why it is none.
    name: Result<Arc<str>, Error>,
    changes: Changes,
    expiry: Option<Expiry>,
    timeout: Duration,
}

/// When items shall expire.
#[derive(Debug)]
enum Expiry {
    /// At the time that this attribute says.
    By(String),
    Never,
}

impl UpdateTable {
    pub(crate) fn new(database: Database, name: Result<Arc<str>, Error>) -> Self {
        let changes = Changes::default();
        Self { database, name, changes, expiry: None, timeout: DEFAULT_TIMEOUT }
    }

    /// Capacity in units a second: reads of 4 KB and writes of 1 KB. A table that was on demand until
    /// then gives its global indexes the same, where [`index_units`](Self::index_units) does not.
    ///
    /// The service lowers units only some times a day.
    pub const fn provisioned(mut self, read_units: u64, write_units: u64) -> Self {
        self.changes.billing = Some(BillingMode::Provisioned { read_units, write_units });
        self
    }

    /// Paid for by request. The service changes that only some times a day.
    pub const fn on_demand(mut self) -> Self {
        self.changes.billing = Some(BillingMode::OnDemand);
        self
    }

    /// Capacity of a global index, in units a second.
    pub fn index_units(
        mut self,
        index: impl Into<String>,
        read_units: u64,
        write_units: u64,
    ) -> Self {
        self.changes.index_units.push((index.into(), (read_units, write_units)));
        self
    }

    /// One more global index. It is made from the items that there are, which can take hours for a
    /// large table; until then it cannot be queried.
    pub fn create_index(mut self, index: IndexSpec) -> Self {
        self.changes.create.push(index);
        self
    }

    /// One global index less.
    pub fn delete_index(mut self, index: impl Into<String>) -> Self {
        self.changes.delete.push(index.into());
        self
    }

    /// Items expire by this attribute, a number of seconds since 1970. The service deletes them some
    /// days later.
    pub fn time_to_live(mut self, attribute: impl Into<String>) -> Self {
        self.expiry = Some(Expiry::By(attribute.into()));
        self
    }

    /// Items do not expire. The service refuses it within about an hour of switching it on.
    pub fn no_time_to_live(mut self) -> Self {
        self.expiry = Some(Expiry::Never);
        self
    }

    /// How long to wait until all is done. Default: 5 minutes.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(self) -> Result<TableDescription, Error> {
        let name = self.name.clone()?;
        self.check().map_err(|error| error.during(OPERATION).on_table(&name))?;
        let began = Instant::now();
        let table = carry_out(&self.database, &name, &self.changes, self.timeout).await?;
        if let Some(expiry) = &self.expiry {
            let attribute = match expiry {
                Expiry::By(attribute) => Some(attribute.as_str()),
                Expiry::Never => None,
            };
            let left = self.timeout.saturating_sub(began.elapsed());
            time_to_live::set(&self.database, &name, attribute, left).await?;
        }
        Ok(table)
    }

    /// Refuses what no table can be.
    fn check(&self) -> Result<(), Error> {
        let Changes { billing, index_units, create, delete } = &self.changes;
        if let Some(units) = billing.and_then(BillingMode::units) {
            check_units("the table", units)?;
        }
        for (index, units) in index_units {
            check_units(&format!("index `{index}`"), *units)?;
        }
        check_indexes(create)?;
        let made = create.iter().map(|index| -> &str { index.name() });
        let mut kept = made.chain(index_units.iter().map(|(index, _)| index.as_str()));
        match kept.find(|name| delete.iter().any(|deleted| deleted == name)) {
            Some(name) => {
                let text =
                    format!("the index `{name}` is to be deleted, and to be made or changed");
                let advice = "delete it first, and do the other by another call";
                Err(Error::new(ErrorKind::Configuration, text).advise(advice))
            }
            None => Ok(()),
        }
    }
}

impl IntoFuture for UpdateTable {
    type Output = Result<TableDescription, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

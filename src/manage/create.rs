//! Creating tables, and waiting until that is done.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::poll::{DEFAULT_TIMEOUT, Poll, Wait, is_busy};
use super::steps::{Changes, carry_out};
use super::{request, time_to_live};
use crate::database::{BillingMode, Database, Look, TableDescription, TableKeys, Wanting};
use crate::error::Error;
use crate::logging::Access;
use crate::spec::{IndexSpec, TableSpec};

const OPERATION: &str = "CreateTable";

/// Options of [`Table::create_if_missing`](crate::Table::create_if_missing),
/// [`Table::ensure`](crate::Table::ensure) and those of [`Database`]; awaiting it creates the table.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{BillingMode, Database, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// let players = Database::embedded()?.table::<Player>();
/// players.create_if_missing().provisioned(5, 10).await?;
/// let billing = players.describe().await?.map(|table| table.billing);
/// assert_eq!(billing, Some(BillingMode::Provisioned { read_units: 5, write_units: 10 }));
/// # Ok(()) }
/// ```
#[must_use = "nothing is created until it is awaited"]
#[derive(Debug)]
pub struct CreateIfMissing {
    database: Database,
    /// The full name, or why it is none.
    name: Result<Arc<str>, Error>,
    spec: TableSpec,
    wanting: Wanting,
    /// Whether what the table lacks is added to it.
    adds: bool,
    billing: Option<BillingMode>,
    index_units: Vec<(String, (u64, u64))>,
    timeout: Duration,
}

impl CreateIfMissing {
    pub(crate) const fn new(
        database: Database,
        name: Result<Arc<str>, Error>,
        spec: TableSpec,
        wanting: Wanting,
    ) -> Self {
        Self {
            database,
            name,
            spec,
            wanting,
            adds: false,
            billing: None,
            index_units: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Adds what an existing table lacks.
    pub(crate) const fn adding(mut self) -> Self {
        self.adds = true;
        self
    }

    /// Capacity in units a second: reads of 4 KB and writes of 1 KB. Each global index has the same
    /// on top, unless [`index_units`](Self::index_units) or the record say otherwise.
    ///
    /// Default: what the record says (`read_units`, `write_units`); without that none, and the table
    /// is paid for by request (on demand).
    pub const fn provisioned(mut self, read_units: u64, write_units: u64) -> Self {
        self.billing = Some(BillingMode::Provisioned { read_units, write_units });
        self
    }

    /// Paid for by request, whatever units the record says.
    pub const fn on_demand(mut self) -> Self {
        self.billing = Some(BillingMode::OnDemand);
        self
    }

    /// Capacity of a global index, in units a second, in place of what the record says.
    ///
    /// Default: that of the table.
    pub fn index_units(
        mut self,
        index: impl Into<String>,
        read_units: u64,
        write_units: u64,
    ) -> Self {
        self.index_units.push((index.into(), (read_units, write_units)));
        self
    }

    /// How long to wait until the table and its indexes are active, and for the service to take the
    /// request, where it makes as many tables as it does at once.
    ///
    /// Default: 5 minutes; the service mostly takes less than one. An index that is added to a large
    /// table can take hours.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(self) -> Result<(), Error> {
        let name = self.name.clone()?;
        let spec = self.wanted().map_err(|error| error.on_table(&name))?;
        let began = Instant::now();
        let wait =
            Wait { operation: OPERATION, table: &name, state: "active", timeout: self.timeout };
        // Boxed, as it is large.
        let run = Box::pin(async {
            let found = self.created(&name, &spec, wait.poll()).await?;
            if self.adds {
                self.add(&name, &spec, found, began).await?;
            }
            Ok(())
        });
        wait.within(run).await
    }

    /// The table as the record or the caller has it, and these options say it.
    fn wanted(&self) -> Result<TableSpec, Error> {
        let mut spec = self.spec.clone();
        if let Some(billing) = self.billing {
            spec.set_billing(billing);
        }
        for (index, units) in &self.index_units {
            spec.set_index_units(index, *units)?;
        }
        spec.check()?;
        Ok(spec)
    }

    /// The table, once it can be used.
    async fn created(
        &self,
        name: &Arc<str>,
        spec: &TableSpec,
        mut poll: Poll<'_>,
    ) -> Result<TableDescription, Error> {
        loop {
            match self.database.look(name, &poll.patience(&self.database)).await? {
                Look::Gone(_) => self.create(name, spec, &mut poll).await?,
                Look::There(found) => {
                    let keys = TableKeys::of(&found);
                    let checked = keys.check_spec(name, self.wanting, spec, self.adds);
                    checked.map_err(|error| error.during(OPERATION))?;
                    if found.is_usable() {
                        self.database.schema(name).set(keys);
                        return Ok(found);
                    }
                }
                // A table being deleted is waited for, then created anew.
                Look::Going { .. } => {}
            }
            poll.pause().await?;
        }
    }

    async fn create(
        &self,
        name: &Arc<str>,
        spec: &TableSpec,
        poll: &mut Poll<'_>,
    ) -> Result<(), Error> {
        let patience = poll.patience(&self.database);
        let mut attempts = patience.attempts();
        loop {
            let request = request::create(self.database.single().create_table(), name, spec)?;
            let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, name) };
            match self.database.attempt(&mut attempts, access, Box::pin(request.send())).await {
                Ok(_) => {
                    poll.taken();
                    return Ok(());
                }
                // Someone else was faster, which is as good; or it is not yet this table's turn.
                Err(failed) if is_busy(&failed.error) => {
                    poll.failed(&failed);
                    return Ok(());
                }
                Err(failed) => {
                    attempts.wait(failed).await.map_err(|error| access.place(error))?;
                }
            }
        }
    }

    async fn add(
        &self,
        name: &Arc<str>,
        spec: &TableSpec,
        found: TableDescription,
        began: Instant,
    ) -> Result<(), Error> {
        let is_there = |name: &str| found.indexes.iter().any(|index| index.name == name);
        let lacking = spec.indexes.iter().filter(|index| !is_there(index.name()));
        let mut create: Vec<IndexSpec> = lacking.copied().collect();
        if found.billing == BillingMode::OnDemand {
            // How the table is paid for is left as it is.
            create.iter_mut().for_each(IndexSpec::on_demand);
        }
        let changes = Changes { create, ..Changes::default() };
        let left = || self.timeout.saturating_sub(began.elapsed());
        if !changes.create.is_empty() {
            carry_out(&self.database, name, &changes, left()).await?;
        }
        match &spec.time_to_live {
            Some(attribute) => {
                time_to_live::set(&self.database, name, Some(attribute), left()).await
            }
            None => Ok(()),
        }
    }
}

impl IntoFuture for CreateIfMissing {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

//! Creating and deleting tables, and waiting until that is done.

mod request;

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Table;
use crate::database::{Database, TableKeys, TableStatus, Wanting};
use crate::error::{Error, ErrorKind};
use crate::record::Record;
use crate::spec::TableSpec;
use crate::store::Outcome;

/// How often a table's state is asked for at first, and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Options of [`Table::create_if_missing`] and [`Database::create_if_missing`]; awaiting it creates
/// the table.
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
    units: Option<(u64, u64)>,
    timeout: Duration,
}

impl CreateIfMissing {
    pub(crate) const fn new(
        database: Database,
        name: Result<Arc<str>, Error>,
        spec: TableSpec,
        wanting: Wanting,
    ) -> Self {
        let timeout = Duration::from_secs(300);
        Self { database, name, spec, wanting, units: None, timeout }
    }

    /// Capacity in units a second: reads of 4 KB and writes of 1 KB. Each global index has the same
    /// on top.
    ///
    /// Default: none, the table is paid for by request (on demand).
    pub const fn provisioned(mut self, read_units: u64, write_units: u64) -> Self {
        self.units = Some((read_units, write_units));
        self
    }

    /// How long to wait until the table and its indexes are active.
    ///
    /// Default: 5 minutes; the service mostly takes less than one.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(self) -> Result<(), Error> {
        let name = self.name.clone()?;
        self.spec.check().map_err(|error| error.on_table(&name))?;
        let started = Instant::now();
        let patience = self.database.default_patience();
        let mut pause = POLL.0;
        loop {
            match self.database.describe(&name, &patience).await? {
                None => self.create(&name).await?,
                Some(found) if found.status != TableStatus::Deleting => {
                    let keys = TableKeys::of(&found);
                    keys.check_spec(&name, self.wanting, &self.spec)?;
                    if found.is_usable() {
                        self.database.schema(&name).set(keys);
                        return Ok(());
                    }
                }
                // A table being deleted is waited for, then created anew.
                Some(_) => {}
            }
            if started.elapsed() >= self.timeout {
                return Err(timed_out(&name, "active", started.elapsed()).during("CreateTable"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL.1);
        }
    }

    async fn create(&self, name: &Arc<str>) -> Result<(), Error> {
        let patience = self.database.default_patience();
        let mut attempts = patience.attempts();
        loop {
            let call = self.database.single().create_table();
            let request = request::of(call, name, &self.spec, self.units)?;
            let contact = self.database.contact();
            let sent = async { contact.heard(Box::pin(request.send()).await) };
            let failed = match attempts.attempt(sent).await {
                Ok(_) => return Ok(()),
                // Someone else was faster: as good as created here.
                Err(failed) if failed.error.code() == Some("ResourceInUseException") => {
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let waited = attempts.wait(failed).await;
            waited.map_err(|error| error.during("CreateTable").on_table(name))?;
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

fn timed_out(name: &Arc<str>, state: &str, after: Duration) -> Error {
    let text = format!("the table is not {state} after {} s", after.as_secs());
    Error::new(ErrorKind::Timeout, text).on_table(name).advise("wait and call again; it goes on")
}

/// Deletes a table and waits until it is gone; whether it was there.
pub(super) async fn delete<T: Record>(table: &Table<T>, timeout: Duration) -> Result<bool, Error> {
    delete_named(&table.database, &table.name.clone()?, timeout).await
}

/// Deletes a table by its full name and waits until it is gone; whether it was there.
pub(crate) async fn delete_named(
    database: &Database,
    name: &Arc<str>,
    timeout: Duration,
) -> Result<bool, Error> {
    let patience = database.default_patience();
    let started = Instant::now();
    let mut attempts = patience.attempts();
    // It was seen, or an attempt whose answer is missing may have deleted it.
    let mut was_there = false;
    loop {
        let call = Box::pin(database.single().delete_table().table_name(&**name).send());
        let sent = async { database.contact().heard(call.await) };
        let failed = match attempts.attempt(sent).await {
            Ok(_) => break,
            Err(failed) if failed.error.kind() == ErrorKind::TableNotFound => {
                database.forget_schema(name);
                return Ok(was_there);
            }
            // Being created, changed or deleted: the service says so until that is done.
            Err(failed) if failed.error.code() == Some("ResourceInUseException") => {
                if started.elapsed() >= timeout {
                    return Err(failed.error.during("DeleteTable").on_table(name));
                }
                was_there = true;
                attempts.progressed();
                tokio::time::sleep(POLL.1).await;
                continue;
            }
            Err(failed) => failed,
        };
        was_there |= failed.outcome == Outcome::OutcomeUnknown;
        attempts.wait(failed).await.map_err(|error| error.during("DeleteTable").on_table(name))?;
    }
    database.forget_schema(name);
    let mut pause = POLL.0;
    while database.describe(name, &patience).await?.is_some() {
        if started.elapsed() >= timeout {
            return Err(timed_out(name, "gone", started.elapsed()).during("DeleteTable"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL.1);
    }
    Ok(true)
}

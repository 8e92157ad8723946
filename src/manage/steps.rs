//! What is to be changed of a table, as the requests that do it: one at a time, and only what differs.

use std::sync::Arc;
use std::time::Duration;

use super::poll::{Poll, is_busy, is_of_a_day, of_a_day};
use super::request;
use crate::database::{
    BillingMode, Database, IndexDescription, TableDescription, TableKeys, TableStatus,
};
use crate::error::{Error, ErrorKind};
use crate::logging::Access;
use crate::spec::{IndexSpec, Units};

pub(super) const OPERATION: &str = "UpdateTable";

/// What a table shall be, as far as it is to change.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) billing: Option<BillingMode>,
    /// Capacity of global indexes, by their names.
    pub(super) index_units: Vec<(String, Units)>,
    /// Global indexes that it shall have.
    pub(super) create: Vec<IndexSpec>,
    /// Indexes that it shall not have.
    pub(super) delete: Vec<String>,
}

/// A request. The service makes or deletes one index of a table at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Delete(String),
    Capacity { billing: Option<BillingMode>, indexes: Vec<(String, Units)> },
    Create { index: IndexSpec, units: Option<Units> },
}

impl Changes {
    /// What is to be done of it next, if anything is.
    ///
    /// Indexes go first, as those that are left need units, and come last, as they get theirs by then.
    pub(super) fn next(&self, table: &TableDescription) -> Option<Step> {
        let index = |name: &str| table.indexes.iter().find(|index| index.name == name);
        if let Some(name) = self.delete.iter().find(|name| index(name).is_some()) {
            return Some(Step::Delete(name.clone()));
        }
        if let Some(step) = self.capacity(table) {
            return Some(step);
        }
        let index = *self.create.iter().find(|wanted| index(wanted.name()).is_none())?;
        let units = match table.billing {
            BillingMode::OnDemand => None,
            BillingMode::Provisioned { read_units, write_units } => {
                let wanted = self.units_of(index.name()).or(index.units());
                Some(wanted.unwrap_or((read_units, write_units)))
            }
        };
        Some(Step::Create { index, units })
    }

    fn capacity(&self, table: &TableDescription) -> Option<Step> {
        let billing = self.billing.filter(|wanted| *wanted != table.billing);
        // Indexes must be given units with the table; by default those that it gets.
        let inherited = match (table.billing, billing) {
            (BillingMode::OnDemand, Some(BillingMode::Provisioned { read_units, write_units })) => {
                Some((read_units, write_units))
            }
            _ => None,
        };
        let changed = |index: &IndexDescription| {
            let wanted = self.units_of(&index.name).or(inherited)?;
            (index.units != Some(wanted)).then(|| (index.name.clone(), wanted))
        };
        let global = table.indexes.iter().filter(|index| !index.is_local);
        let indexes: Vec<_> = global.filter_map(changed).collect();
        let is_change = billing.is_some() || !indexes.is_empty();
        is_change.then_some(Step::Capacity { billing, indexes })
    }

    fn units_of(&self, index: &str) -> Option<Units> {
        self.index_units.iter().find(|(name, _)| name == index).map(|(_, units)| *units)
    }

    /// An error if this table cannot become so.
    fn check(&self, name: &Arc<str>, table: &TableDescription) -> Result<(), Error> {
        TableKeys::of(table).check_added(name, &self.create)?;
        let impossible = |text: String| {
            Error::new(ErrorKind::Configuration, text).during(OPERATION).on_table(name)
        };
        let billing = self.billing.unwrap_or(table.billing);
        for (index, _) in &self.index_units {
            let found = table.indexes.iter().find(|found| found.name == *index);
            let is_made = self.create.iter().any(|made| made.name() == index);
            if found.is_none() && !is_made {
                return Err(impossible(format!("the table has no index `{index}`")));
            }
            if found.is_some_and(|found| found.is_local) {
                let text = format!("the index `{index}` is local: it has the table's units");
                return Err(impossible(text));
            }
            if billing == BillingMode::OnDemand {
                let text = format!("the table is on demand, so its index `{index}` has no units");
                return Err(impossible(text).advise("give the table units with `provisioned`"));
            }
        }
        let local = |name: &&String| {
            table.indexes.iter().any(|index| index.is_local && index.name == **name)
        };
        match self.delete.iter().find(local) {
            Some(index) => {
                let text = format!("the index `{index}` is local, and goes only with its table");
                Err(impossible(text))
            }
            None => Ok(()),
        }
    }
}

/// Changes a table and waits until that is done.
pub(super) async fn carry_out(
    database: &Database,
    name: &Arc<str>,
    changes: &Changes,
    timeout: Duration,
) -> Result<TableDescription, Error> {
    let patience = database.default_patience();
    let mut attempts = patience.attempts();
    let mut poll = Poll::new(OPERATION, name, "changed", timeout);
    let mut sent = Vec::new();
    loop {
        let Some(table) = database.describe(name, &patience).await? else {
            let error = Error::new(ErrorKind::TableNotFound, "the table does not exist");
            return Err(error.during(OPERATION).on_table(name).advise("create it first"));
        };
        changes.check(name, &table)?;
        match changes.next(&table).filter(|step| !is_done(step, &sent)) {
            _ if !is_settled(&table) => {}
            None => {
                database.schema(name).set(TableKeys::of(&table));
                return Ok(table);
            }
            // Taken, and not to be seen yet.
            Some(step) if sent.contains(&step) => {}
            Some(step) => {
                let call = request::update(database.single().update_table(), name, &step)?;
                let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, name) };
                match database.attempt(&mut attempts, access, call.send()).await {
                    Ok(_) => {
                        attempts.progressed();
                        sent.push(step);
                    }
                    Err(failed) if is_busy(&failed.error) => {
                        attempts.progressed();
                        poll.busy(failed);
                    }
                    Err(failed) if is_of_a_day(&failed.error) => {
                        return Err(access.place(of_a_day(failed.error)));
                    }
                    // After an answer that was lost it may be done: look first.
                    Err(failed) => {
                        attempts.wait(failed).await.map_err(|error| access.place(error))?;
                    }
                }
            }
        }
        poll.pause().await?;
    }
}

/// Whether nothing is being done to the table.
fn is_settled(table: &TableDescription) -> bool {
    table.status == TableStatus::Active
        && table.indexes.iter().all(|index| index.status == TableStatus::Active)
}

/// Units of indexes were taken by the service once. Some servers do nothing with them, so they are
/// not waited for.
fn is_done(step: &Step, sent: &[Step]) -> bool {
    matches!(step, Step::Capacity { billing: None, .. })
        && sent.iter().any(|sent| match (sent, step) {
            (Step::Capacity { indexes: sent, .. }, Step::Capacity { indexes, .. }) => {
                indexes.iter().all(|index| sent.contains(index))
            }
            _ => false,
        })
}

//! What is to be changed of a table, as the requests that do it: one at a time, and only what differs.

use std::sync::Arc;
use std::time::Duration;

use super::poll::{Poll, Refused, Wait, is_busy, is_of_a_day, is_refusal, of_a_day};
use super::request;
use crate::database::{
    BillingMode, Database, IndexDescription, Look, TableDescription, TableKeys, TableStatus,
};
use crate::error::{Error, ErrorKind};
use crate::logging::Access;
use crate::retry::Attempts;
use crate::spec::{IndexSpec, Units, units_on_demand};

pub(super) const OPERATION: &str = "UpdateTable";
/// How often DescribeTable, which is eventually consistent, is asked for capacity that was taken.
const LATE_LOOKS: u32 = 5;

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
    pub(super) fn next(
        &self,
        table: &TableDescription,
        is_done: impl Fn(&Step) -> bool,
    ) -> Option<Step> {
        let index = |name: &str| table.indexes.iter().find(|index| index.name == name);
        if let Some(name) = self.delete.iter().find(|name| index(name).is_some()) {
            return Some(Step::Delete(name.clone()));
        }
        if let Some(step) = self.capacity(table).filter(|step| !is_done(step)) {
            return Some(step);
        }
        let index = *self.create.iter().find(|wanted| index(wanted.name()).is_none())?;
        let wanted = self.units_of(index.name()).or(index.units());
        let units = table.billing.units().map(|of_table| wanted.unwrap_or(of_table));
        Some(Step::Create { index, units })
    }

    fn capacity(&self, table: &TableDescription) -> Option<Step> {
        let billing = self.billing.filter(|wanted| *wanted != table.billing);
        // Indexes must be given units with the table; by default those that it gets.
        let was_on_demand = table.billing == BillingMode::OnDemand;
        let inherited = billing.and_then(BillingMode::units).filter(|_| was_on_demand);
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
        // What is said last holds.
        self.index_units.iter().rfind(|(name, _)| name == index).map(|(_, units)| *units)
    }

    /// An error if this table cannot become so.
    fn check(&self, name: &Arc<str>, table: &TableDescription) -> Result<(), Error> {
        let mut left = TableKeys::of(table);
        left.forget(&self.delete);
        left.check_added(name, &self.create).map_err(|error| error.during(OPERATION))?;
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
        }
        let made = self.create.iter().filter(|index| index.units().is_some());
        let with_units = self.index_units.iter().map(|(index, _)| index.as_str());
        let mut with_units = with_units.chain(made.map(|index| -> &str { index.name() }));
        if billing == BillingMode::OnDemand
            && let Some(index) = with_units.next()
        {
            return Err(units_on_demand(index).during(OPERATION).on_table(name));
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
    let wait = Wait { operation: OPERATION, table: name, state: "changed", timeout };
    let poll = wait.poll();
    let run = Run { database, name, changes, poll, sent: Vec::new(), looks: 0, refused: None };
    wait.within(run.until_done()).await
}

/// A table while it is changed.
struct Run<'a> {
    database: &'a Database,
    name: &'a Arc<str>,
    changes: &'a Changes,
    poll: Poll<'a>,
    /// The steps that the service took.
    sent: Vec<Step>,
    /// How often the table was seen with nothing under way since the last of them.
    looks: u32,
    refused: Option<Refused<Step>>,
}

impl Run<'_> {
    async fn until_done(mut self) -> Result<TableDescription, Error> {
        let patience = self.poll.patience(self.database);
        // The step that is tried now, and since when.
        let mut tried: Option<(Step, Attempts<'_>)> = None;
        loop {
            let table = self.found().await?;
            let next = if is_settled(&table) {
                self.changes.check(self.name, &table)?;
                let next = self.changes.next(&table, |step| self.is_done(step));
                if next.is_none() {
                    self.database.schema(self.name).set(TableKeys::of(&table));
                    return Ok(table);
                }
                next
            } else {
                None
            };
            tried = tried.filter(|(step, _)| next.as_ref() == Some(step));
            if let Some(step) = next.filter(|step| self.is_to_be_sent(step)) {
                self.still_refused(&step)?;
                if self.refused.is_none() {
                    let attempts = || (step.clone(), patience.attempts());
                    let (_, attempts) = tried.get_or_insert_with(attempts);
                    self.send(step, attempts).await?;
                }
            }
            let paused = self.poll.pause().await;
            paused.map_err(|late| Refused::or(self.refused.take(), late))?;
        }
    }

    /// Whether the service has not taken it; if it has, it was looked for once more.
    fn is_to_be_sent(&mut self, step: &Step) -> bool {
        self.looks += 1;
        !self.is_taken(step)
    }

    fn still_refused(&mut self, step: &Step) -> Result<(), Error> {
        self.refused = self.refused.take().filter(|refused| refused.step == *step);
        self.refused.as_mut().map_or(Ok(()), Refused::still)
    }

    async fn found(&self) -> Result<TableDescription, Error> {
        match self.database.look(self.name, &self.poll.patience(self.database)).await? {
            Look::There(table) => Ok(table),
            Look::Gone(error) => Err(error.during(OPERATION)),
            Look::Going { .. } => {
                let error = Error::new(ErrorKind::TableNotFound, "the table is being deleted");
                Err(error.during(OPERATION).on_table(self.name))
            }
        }
    }

    /// Sends a step. If it failed, it may be done all the same: look first.
    async fn send(&mut self, step: Step, attempts: &mut Attempts<'_>) -> Result<(), Error> {
        let call = request::update(self.database.single().update_table(), self.name, &step)?;
        let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, self.name) };
        match self.database.attempt(attempts, access, Box::pin(call.send())).await {
            Ok(_) => {
                self.poll.taken();
                self.sent.push(step);
                self.looks = 0;
                Ok(())
            }
            Err(failed) if is_busy(&failed.error) => {
                attempts.progressed();
                self.poll.failed(&failed);
                Ok(())
            }
            Err(failed) if is_of_a_day(&failed.error) => Err(access.place(of_a_day(failed.error))),
            Err(failed) if is_refusal(&failed) => {
                self.refused = Some(Refused::new(step, access.place(failed.error)));
                Ok(())
            }
            Err(failed) => {
                self.poll.failed(&failed);
                attempts.wait(failed).await.map_err(|error| access.place(error))
            }
        }
    }

    /// Whether the service took it, perhaps with more.
    fn is_taken(&self, step: &Step) -> bool {
        let covers = |taken: &Step| match (taken, step) {
            (
                Step::Capacity { billing: taken, indexes: of_indexes },
                Step::Capacity { billing, indexes },
            ) => {
                (billing.is_none() || billing == taken)
                    && indexes.iter().all(|index| of_indexes.contains(index))
            }
            _ => taken == step,
        };
        self.sent.iter().any(covers)
    }

    /// Capacity that the service took is done even if it is not seen: the embedded database does
    /// nothing with units of indexes, and others may have changed it again.
    fn is_done(&self, step: &Step) -> bool {
        let is_seen_late = !self.database.is_embedded() && self.looks < LATE_LOOKS;
        matches!(step, Step::Capacity { .. }) && self.is_taken(step) && !is_seen_late
    }
}

/// Whether nothing is being done to the table.
fn is_settled(table: &TableDescription) -> bool {
    table.status == TableStatus::Active
        && table.indexes.iter().all(|index| index.status == TableStatus::Active)
}

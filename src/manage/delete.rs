//! Deleting a table, and waiting until it is gone.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::TableDescription;

use super::poll::{Poll, Wait, is_busy};
use crate::database::{Database, Look};
use crate::error::{Error, ErrorKind};
use crate::logging::Access;
use crate::store::Outcome;

const OPERATION: &str = "DeleteTable";

/// Deletes a table by its full name and waits until it is gone; whether it was there.
pub(crate) async fn delete(
    database: &Database,
    name: &Arc<str>,
    timeout: Duration,
) -> Result<bool, Error> {
    let wait = Wait { operation: OPERATION, table: name, state: "gone", timeout };
    wait.within(run(database, name, wait.poll())).await
}

async fn run(database: &Database, name: &Arc<str>, mut poll: Poll<'_>) -> Result<bool, Error> {
    let accepted = accepted(database, name, &mut poll).await?;
    database.forget_schema(name);
    let Accepted::Deleting(id) = accepted else {
        return Ok(accepted == Accepted::Gone);
    };
    loop {
        match database.look(name, &poll.patience(database)).await? {
            Look::Gone(_) => break,
            // Another one of this name, which somebody made meanwhile.
            Look::There(table) if id.is_some() && table.id.is_some() && table.id != id => break,
            Look::Going { .. } | Look::There(_) => poll.pause().await?,
        }
    }
    // Who asked meanwhile saw the one that is gone.
    database.forget_schema(name);
    Ok(true)
}

/// What became of the request.
#[derive(PartialEq)]
enum Accepted {
    /// The table of this id is being deleted, as far as the service says an id.
    Deleting(Option<String>),
    /// It is gone.
    Gone,
    /// There was none.
    NotThere,
}

/// Sends the request until the service takes it, or there is no such table.
async fn accepted(
    database: &Database,
    name: &Arc<str>,
    poll: &mut Poll<'_>,
) -> Result<Accepted, Error> {
    let patience = poll.patience(database);
    let mut attempts = patience.attempts();
    // It was seen, or an attempt whose answer is missing may have deleted it.
    let mut was_there = false;
    loop {
        let call = database.single().delete_table().table_name(&**name).send();
        let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, name) };
        match database.attempt(&mut attempts, access, Box::pin(call)).await {
            Ok(output) => {
                poll.taken();
                let table = output.table_description();
                let id = table.and_then(TableDescription::table_id);
                return Ok(Accepted::Deleting(id.map(str::to_owned)));
            }
            Err(failed) if failed.error.kind() == ErrorKind::TableNotFound => {
                return Ok(if was_there { Accepted::Gone } else { Accepted::NotThere });
            }
            Err(failed) if is_busy(&failed.error) => {
                was_there |= failed.error.code() == Some("ResourceInUseException");
                attempts.progressed();
                poll.failed(&failed);
                poll.pause().await?;
            }
            Err(failed) => {
                was_there |= failed.outcome == Outcome::OutcomeUnknown;
                attempts.wait(failed).await.map_err(|error| access.place(error))?;
            }
        }
    }
}

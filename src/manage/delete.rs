//! Deleting a table, and waiting until it is gone.

use std::sync::Arc;
use std::time::Duration;

use super::poll::{Poll, is_busy};
use crate::database::Database;
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
    let mut poll = Poll::new(OPERATION, name, "gone", timeout);
    let was_there = accepted(database, name, &mut poll).await?;
    database.forget_schema(name);
    let patience = database.default_patience();
    while was_there && database.describe(name, &patience).await?.is_some() {
        poll.pause().await?;
    }
    Ok(was_there)
}

/// Sends the request until the service takes it; `false` if there is no such table.
async fn accepted(
    database: &Database,
    name: &Arc<str>,
    poll: &mut Poll<'_>,
) -> Result<bool, Error> {
    let patience = database.default_patience();
    let mut attempts = patience.attempts();
    // It was seen, or an attempt whose answer is missing may have deleted it.
    let mut was_there = false;
    loop {
        let call = database.single().delete_table().table_name(&**name).send();
        let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, name) };
        match database.attempt(&mut attempts, access, call).await {
            Ok(_) => return Ok(true),
            Err(failed) if failed.error.kind() == ErrorKind::TableNotFound => return Ok(was_there),
            Err(failed) if is_busy(&failed.error) => {
                was_there |= failed.error.code() == Some("ResourceInUseException");
                attempts.progressed();
                poll.busy(failed);
                poll.pause().await?;
            }
            Err(failed) => {
                was_there |= failed.outcome == Outcome::OutcomeUnknown;
                attempts.wait(failed).await.map_err(|error| access.place(error))?;
            }
        }
    }
}

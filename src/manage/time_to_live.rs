//! By which attribute a table's items expire.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{TimeToLiveSpecification, TimeToLiveStatus};

use super::poll::{Poll, Refused, Wait, is_busy, is_refusal};
use crate::database::Database;
use crate::error::{Error, ErrorKind};
use crate::logging::Access;
use crate::retry::Patience;

const OPERATION: &str = "UpdateTimeToLive";
const DESCRIBE: &str = "DescribeTimeToLive";

/// What the service says of it. Switching it on or off takes up to an hour.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html>
enum State {
    /// It is on, or is being switched on.
    On(String),
    /// It is being switched off.
    Ending,
    Off,
}

/// The attribute by which the items of a table expire, if they do.
pub(crate) async fn time_to_live(
    database: &Database,
    name: &Arc<str>,
) -> Result<Option<String>, Error> {
    Ok(match state(database, name, &database.default_patience()).await? {
        State::On(attribute) => Some(attribute),
        State::Ending | State::Off => None,
    })
}

async fn state(database: &Database, name: &Arc<str>, patience: &Patience) -> Result<State, Error> {
    let call = || database.single().describe_time_to_live().table_name(&**name).send();
    let found = database.ask(Access::on(DESCRIBE, name), patience, call).await?;
    let Some(found) = found.time_to_live_description() else { return Ok(State::Off) };
    let attribute = || found.attribute_name().unwrap_or_default().to_owned();
    Ok(match found.time_to_live_status() {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => State::On(attribute()),
        Some(TimeToLiveStatus::Disabling) => State::Ending,
        _ => State::Off,
    })
}

/// Lets items expire by this attribute, or by none. Does nothing if it is so.
pub(super) async fn set(
    database: &Database,
    name: &Arc<str>,
    wanted: Option<&str>,
    timeout: Duration,
) -> Result<(), Error> {
    let wait = Wait { operation: OPERATION, table: name, state: "changed", timeout };
    wait.within(run(database, name, wanted, wait.poll())).await
}

async fn run(
    database: &Database,
    name: &Arc<str>,
    wanted: Option<&str>,
    mut poll: Poll<'_>,
) -> Result<(), Error> {
    let patience = poll.patience(database);
    let mut attempts = patience.attempts();
    let mut refused: Option<Refused<()>> = None;
    loop {
        let state = state(database, name, &poll.patience(database)).await?;
        let Some(spec) = missing(name, state, wanted)? else {
            return Ok(());
        };
        if let Some(still) = &mut refused {
            still.still()?;
            let paused = poll.pause().await;
            paused.map_err(|late| Refused::or(refused.take(), late))?;
            continue;
        }
        let call = database.single().update_time_to_live().table_name(&**name);
        let call = call.time_to_live_specification(spec).send();
        let access = Access { requests: attempts.sent + 1, ..Access::on(OPERATION, name) };
        match database.attempt(&mut attempts, access, Box::pin(call)).await {
            Ok(_) => return Ok(()),
            Err(failed) if is_busy(&failed.error) => {
                attempts.progressed();
                poll.failed(&failed);
                poll.pause().await?;
            }
            Err(failed) if is_refusal(&failed) => {
                refused = Some(Refused::new((), access.place(failed.error)));
            }
            Err(failed) => attempts.wait(failed).await.map_err(|error| access.place(error))?,
        }
    }
}

/// What is to be set, if it is not so.
fn missing(
    name: &Arc<str>,
    state: State,
    wanted: Option<&str>,
) -> Result<Option<TimeToLiveSpecification>, Error> {
    let (attribute, enabled) = match (state, wanted) {
        (State::Off | State::Ending, None) => return Ok(None),
        (State::On(real), Some(wanted)) if real == wanted => return Ok(None),
        (State::On(real), Some(wanted)) => return Err(other(name, &real, wanted)),
        (State::Ending, Some(_)) => return Err(ending(name)),
        (State::On(real), None) => (real, false),
        (State::Off, Some(wanted)) => (wanted.to_owned(), true),
    };
    let spec = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(enabled);
    spec.build().map(Some).map_err(|error| {
        let text = "the time to live cannot be set so";
        Error::new(ErrorKind::Configuration, text).on_table(name).caused_by(error)
    })
}

fn other(name: &Arc<str>, real: &str, wanted: &str) -> Error {
    let text = format!("the table's items expire by `{real}`, and are wanted to by `{wanted}`");
    Error::new(ErrorKind::TableMismatch, text).during(OPERATION).on_table(name).advise(
        "switch it off with `update_table().no_time_to_live()`, and call again an hour later",
    )
}

fn ending(name: &Arc<str>) -> Error {
    let text = "the table's time to live is being switched off";
    Error::new(ErrorKind::Service, text)
        .during(OPERATION)
        .on_table(name)
        .advise("call again when that is done; it takes up to an hour")
}

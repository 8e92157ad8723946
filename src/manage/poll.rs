//! Looking again and again, until a time is over.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::database::Database;
use crate::error::{Error, ErrorKind};
use crate::retry::Patience;
use crate::store::{Class, Failure};

/// How often a table's state is asked for at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long tables are waited for. The service mostly takes less than a minute.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// The code of several limits. That of the number of tables has it too, and is waited for in vain.
const LIMIT: &str = "LimitExceededException";

/// How often a table is looked at, which is eventually consistent, after a request was refused.
const REFUSED_LOOKS: u32 = 3;

/// What is waited for.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    /// The request that brings it about.
    pub(super) operation: &'static str,
    pub(super) table: &'a Arc<str>,
    /// What the table is not yet.
    pub(super) state: &'static str,
    pub(super) timeout: Duration,
}

impl<'a> Wait<'a> {
    /// Begins to look at the table.
    pub(super) fn poll(self) -> Poll<'a> {
        Poll { wait: self, began: Instant::now(), pause: PAUSES.0, cause: None }
    }

    /// Runs what looks at the table, and ends it if a request hangs beyond the time of its [`Poll`],
    /// which would know why.
    pub(super) async fn within<R>(
        self,
        run: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let longest = self.timeout.saturating_add(PAUSES.1);
        let ended = tokio::time::timeout(longest, run).await;
        ended.unwrap_or_else(|_| Err(self.timed_out(longest)))
    }

    fn timed_out(self, after: Duration) -> Error {
        let text = format!("the table is not {} after {} s", self.state, after.as_secs());
        let error = Error::new(ErrorKind::Timeout, text).during(self.operation);
        error.on_table(self.table).advise("wait and call again; it goes on from what it finds")
    }
}

/// Looks at a table, further and further apart.
pub(super) struct Poll<'a> {
    wait: Wait<'a>,
    began: Instant,
    pause: Duration,
    /// Why the last request failed.
    cause: Option<Error>,
}

impl Poll<'_> {
    /// A request failed: why is said if the time ends before another one is taken.
    pub(super) fn failed(&mut self, failed: &Failure) {
        self.cause = Some(failed.error.clone());
    }

    /// The service took a request.
    pub(super) fn taken(&mut self) {
        self.cause = None;
    }

    /// The patience of requests, which ends with the time.
    pub(super) fn patience(&self, database: &Database) -> Patience {
        let patience = database.default_patience();
        let left = self.wait.timeout.saturating_sub(self.began.elapsed());
        Patience { patience: patience.patience.min(left), ..patience }
    }

    /// Waits until the next look.
    ///
    /// # Errors
    ///
    /// The time is over.
    pub(super) async fn pause(&mut self) -> Result<(), Error> {
        let after = self.began.elapsed();
        let left = self.wait.timeout.saturating_sub(after);
        if left.is_zero() {
            let error = self.wait.timed_out(after);
            return Err(match self.cause.take() {
                Some(cause) => error.caused_by(cause),
                None => error,
            });
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }
}

/// Whether it is to be sent again later: the table is being made, changed or deleted, or as many
/// tables as the account may have so at once are.
///
/// See [`is_of_a_day`] for what does not end soon.
pub(super) fn is_busy(error: &Error) -> bool {
    let code = error.code();
    code == Some("ResourceInUseException") || code == Some(LIMIT) && !is_of_a_day(error)
}

/// A request that was refused on its own account. That is an error unless what it was for is so when the
/// table is looked at again: another process may have done it, or an attempt whose answer was lost.
pub(super) struct Refused<S> {
    /// What it was for.
    pub(super) step: S,
    error: Error,
    looks: u32,
}

impl<S> Refused<S> {
    pub(super) const fn new(step: S, error: Error) -> Self {
        Self { step, error, looks: 0 }
    }

    /// It is still not so: an error, once that is no late look any more.
    pub(super) fn still(&mut self) -> Result<(), Error> {
        self.looks += 1;
        if self.looks < REFUSED_LOOKS { Ok(()) } else { Err(self.error.clone()) }
    }

    /// The error, where the time ends before that is known.
    pub(super) fn or(refused: Option<Self>, late: Error) -> Error {
        refused.map_or(late, |refused| refused.error)
    }
}

/// Whether the service refused it on its own account, as it does where it is so already: an index that
/// there is, or that there is none of.
pub(super) fn is_refusal(failed: &Failure) -> bool {
    failed.class == Class::Refused || failed.error.kind() == ErrorKind::TableNotFound
}

/// Whether it was done as often as it may be in a day: lowering units, changing the billing. It has
/// the code of the limit of tables under way, and its message says `day`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
pub(super) fn is_of_a_day(error: &Error) -> bool {
    let says_so = |cause: &(dyn StdError + 'static)| cause.to_string().contains(" day");
    let mut causes = successors(error.source(), |&cause| cause.source());
    error.code() == Some(LIMIT) && causes.any(says_so)
}

/// The error where [`is_of_a_day`] holds.
pub(super) fn of_a_day(cause: Error) -> Error {
    let text = "it was done as often as the service allows in a day";
    Error::new(ErrorKind::Service, text)
        .advise("call again when the day has passed, or as the cause says")
        .caused_by(cause)
}

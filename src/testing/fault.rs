//! What becomes of a request.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::error::ServiceError;
use super::gate::Gate;
use super::request::Request;

/// What becomes of a request.
///
/// A fault says what happens before the request is applied, whether and how it is applied, what
/// happens then, and what is answered. Begin with what is answered or applied, and add the rest:
/// `Fault::connection_reset().after_applying()` is a lost answer,
/// `Fault::none().delayed(Duration::from_secs(2))` is a slow network.
///
/// Nothing is applied by the faults that answer with an error or with nothing, unless
/// [`after_applying`](Self::after_applying) or [`applied_late`](Self::applied_late) says so.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use memory_table::testing::{Fault, Gate};
///
/// let gate = Gate::new();
/// let slow_refusal = Fault::access_denied().delayed(Duration::from_secs(3)).held_at(&gate);
/// let lost_answer = Fault::connection_reset().after_applying();
/// assert_eq!(format!("{lost_answer:?}"), "Fault { applies: Whole, reply: Broken(ConnectionReset) }");
/// # drop(slow_refusal);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Fault {
    /// The requests that it concerns; others are passed on.
    pub(super) only: Option<RequestTest>,
    pub(super) before: Vec<Step>,
    pub(super) applies: Applies,
    pub(super) after: Vec<Step>,
    pub(super) reply: Reply,
}

type RequestTest = Arc<dyn Fn(&Request) -> bool + Send + Sync>;
type EntryTest = Arc<dyn Fn(usize, &Value) -> bool + Send + Sync>;

/// Something that happens before or after the request is applied.
#[derive(Clone)]
pub(super) enum Step {
    Wait(Duration),
    Gate(Gate),
    Write(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
    DeleteTables,
}

/// Whether and how the service applies the request.
#[derive(Clone)]
pub(super) enum Applies {
    Whole,
    Not,
    Late(Duration),
    /// A batch without some of its entries.
    Without(EntryTest),
    /// A Scan or a Query with this limit.
    Page(u32),
    /// An eventually consistent read, as it would have been this many writes ago.
    Stale(usize),
}

/// What comes back.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// What the service answers.
    Own,
    Error(ServiceError),
    Broken(io::ErrorKind),
    Nothing,
    WebPage,
    /// The service's answer without its second half.
    Half,
}

impl Fault {
    const fn of(applies: Applies, reply: Reply) -> Self {
        Self { only: None, before: Vec::new(), applies, after: Vec::new(), reply }
    }

    fn service(error: ServiceError) -> Self {
        Self::of(Applies::Not, Reply::Error(error))
    }

    /// The request is applied and answered; for what happens before and after.
    pub const fn none() -> Self {
        Self::of(Applies::Whole, Reply::Own)
    }

    /// The service answers with an HTTP status and an error code, such as 400 and
    /// `ValidationException`.
    pub fn error(status: u16, code: &str) -> Self {
        Self::service(ServiceError::new(status, code))
    }

    /// ProvisionedThroughputExceededException: the request is throttled as a whole.
    ///
    /// See [`because`](Self::because) for the reasons that the service gives.
    pub fn throttled() -> Self {
        Self::error(400, "ProvisionedThroughputExceededException")
    }

    /// InternalServerError, HTTP 500.
    pub fn failed() -> Self {
        Self::error(500, "InternalServerError")
    }

    /// ValidationException: the service refuses the request on its own account.
    pub fn invalid() -> Self {
        Self::error(400, "ValidationException")
    }

    /// ValidationException, if an item or key of the request is of this kind; else nothing happens.
    ///
    /// So refuses the service a whole batch for one bad item.
    pub fn poison(is_poison: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        let only = move |request: &Request| request.entries().iter().any(|(_, it)| is_poison(it));
        Self { only: Some(Arc::new(only)), ..Self::invalid() }
    }

    /// AccessDeniedException: these credentials may not do this.
    pub fn access_denied() -> Self {
        Self::error(400, "AccessDeniedException")
    }

    /// ExpiredTokenException: the credentials have expired.
    pub fn expired_token() -> Self {
        Self::error(400, "ExpiredTokenException")
    }

    /// ResourceNotFoundException, though the table is there.
    pub fn table_not_found() -> Self {
        Self::error(400, "ResourceNotFoundException")
    }

    /// The tables that the request names are deleted, really, before the request comes to them.
    pub fn table_deleted() -> Self {
        Self { before: vec![Step::DeleteTables], ..Self::none() }
    }

    /// ConditionalCheckFailedException: the condition of a write does not hold.
    pub fn conditional_check_failed() -> Self {
        Self::error(400, "ConditionalCheckFailedException")
    }

    /// TransactionConflictException: a transaction holds the item.
    pub fn transaction_conflict() -> Self {
        Self::error(400, "TransactionConflictException")
    }

    /// TransactionCanceledException, with the reason of each item in order: `None`,
    /// `ConditionalCheckFailed`, `TransactionConflict`, …
    pub fn transaction_canceled<'r>(reasons: impl IntoIterator<Item = &'r str>) -> Self {
        Self::service(ServiceError::canceled(reasons))
    }

    /// Nothing listens at the endpoint.
    pub const fn connection_refused() -> Self {
        Self::of(Applies::Not, Reply::Broken(io::ErrorKind::ConnectionRefused))
    }

    /// The connection breaks; the sender cannot know whether the request was applied.
    pub const fn connection_reset() -> Self {
        Self::of(Applies::Not, Reply::Broken(io::ErrorKind::ConnectionReset))
    }

    /// Nothing ever comes back: the attempt ends by a timeout of the client.
    pub const fn no_answer() -> Self {
        Self::of(Applies::Not, Reply::Nothing)
    }

    /// The request is applied, and the answer is a web page.
    pub const fn unreadable() -> Self {
        Self::of(Applies::Whole, Reply::WebPage)
    }

    /// The request is applied, and the answer ends in its middle.
    pub const fn truncated() -> Self {
        Self::of(Applies::Whole, Reply::Half)
    }

    /// A batch is left unprocessed as a whole: a success with all of it in `UnprocessedItems` or
    /// `UnprocessedKeys`.
    pub fn unprocessed() -> Self {
        Self::without(|_, _| true)
    }

    /// Every second entry of a batch is left unprocessed, the others are applied.
    pub fn half_unprocessed() -> Self {
        Self::without(|place, _| place % 2 == 1)
    }

    /// Those entries of a batch are left unprocessed whose item or key is of this kind.
    pub fn unprocessed_if(is_left: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self::without(move |_, entry| is_left(entry))
    }

    pub(super) fn without(left: impl Fn(usize, &Value) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Applies::Without(Arc::new(left)), Reply::Own)
    }

    /// A page of a Scan or a Query ends after this many items.
    pub const fn short_page(items: u32) -> Self {
        Self::of(Applies::Page(items), Reply::Own)
    }

    /// An eventually consistent read answers with what the items were before their last write.
    ///
    /// Consistent reads never do. What was written is known from
    /// [`Faults::keep_history`](super::Faults::keep_history) on, as far as it came through the
    /// database of the faults. In pages of Scan and Query changed items come as they were and new
    /// ones are missing; deleted ones do not come back.
    pub const fn stale() -> Self {
        Self::stale_by(1)
    }

    /// As [`stale`](Self::stale), before the last `writes` writes of each item.
    pub const fn stale_by(writes: usize) -> Self {
        Self::of(Applies::Stale(writes), Reply::Own)
    }

    /// The service applies the request before it answers, or the connection breaks, all the same.
    pub fn after_applying(self) -> Self {
        Self { applies: Applies::Whole, ..self }
    }

    /// The service applies the request this much later, after the answer.
    pub fn applied_late(self, late: Duration) -> Self {
        Self { applies: Applies::Late(late), ..self }
    }

    /// The request takes this long to the service.
    pub fn delayed(self, delay: Duration) -> Self {
        self.first(Step::Wait(delay))
    }

    /// The request waits at a gate before it is applied.
    pub fn held_at(self, gate: &Gate) -> Self {
        self.first(Step::Gate(gate.clone()))
    }

    /// The answer takes this long, after the request is applied.
    pub fn answer_delayed(self, delay: Duration) -> Self {
        self.then(Step::Wait(delay))
    }

    /// The answer waits at a gate, after the request is applied.
    pub fn answer_held_at(self, gate: &Gate) -> Self {
        self.then(Step::Gate(gate.clone()))
    }

    /// Somebody else writes just before the request is applied.
    ///
    /// The function should write through a database without faults.
    pub fn foreign_write_before<F>(self, write: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.first(Step::Write(Arc::new(move || write().boxed())))
    }

    /// Somebody else writes just after the request is applied, before it is answered.
    ///
    /// The function should write through a database without faults.
    pub fn foreign_write_after<F>(self, write: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.then(Step::Write(Arc::new(move || write().boxed())))
    }

    /// Adds one of the `ThrottlingReasons` to the error that is answered: the reason, such as
    /// `TableWriteKeyRangeThroughputExceeded`, and the ARN of the table or index.
    ///
    /// Without effect on faults that answer with no error.
    pub fn because(mut self, reason: &str, resource: &str) -> Self {
        if let Reply::Error(error) = &mut self.reply {
            error.reasons.push((reason.to_owned(), resource.to_owned()));
        }
        self
    }

    /// The message of the error that is answered.
    ///
    /// Default: `as the test says`. Without effect on faults that answer with no error.
    pub fn message(mut self, message: &str) -> Self {
        if let Reply::Error(error) = &mut self.reply {
            message.clone_into(&mut error.message);
        }
        self
    }

    fn first(mut self, step: Step) -> Self {
        self.before.push(step);
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.after.push(step);
        self
    }

    pub(super) const fn is_stale(&self) -> bool {
        matches!(self.applies, Applies::Stale(_))
    }

    /// Whether it concerns a request.
    pub(super) fn meets(&self, request: &Request) -> bool {
        self.only.as_ref().is_none_or(|only| only(request))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fault = f.debug_struct("Fault");
        if self.only.is_some() {
            fault.field("only", &"requests of some kind");
        }
        if !self.before.is_empty() {
            fault.field("before", &self.before);
        }
        fault.field("applies", &self.applies);
        if !self.after.is_empty() {
            fault.field("after", &self.after);
        }
        fault.field("reply", &self.reply).finish()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(time) => f.debug_tuple("Wait").field(time).finish(),
            Self::Gate(_) => f.write_str("Gate"),
            Self::Write(_) => f.write_str("Write"),
            Self::DeleteTables => f.write_str("DeleteTables"),
        }
    }
}

impl fmt::Debug for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("Whole"),
            Self::Not => f.write_str("Not"),
            Self::Late(late) => f.debug_tuple("Late").field(late).finish(),
            Self::Without(_) => f.write_str("Without"),
            Self::Page(items) => f.debug_tuple("Page").field(items).finish(),
            Self::Stale(writes) => f.debug_tuple("Stale").field(writes).finish(),
        }
    }
}

//! The one error type: what failed, on which table and key, why, and what to do.

mod throttling;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

pub use throttling::ThrottlingReason;
pub(crate) use throttling::advice as throttling_advice;

use crate::key::Key;

/// Any error, as the source of one of ours.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What kind of failure an [`Error`] is; for branching, the text is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key is one that DynamoDB refuses; nothing was sent.
    InvalidKey,
    /// The record cannot be stored: a value that DynamoDB has no form for, over 400 KB, a key that a
    /// change would alter, or its `before_store` refused it; nothing was sent.
    InvalidRecord,
    /// The condition is one that DynamoDB refuses, or has a value that DynamoDB has no form for;
    /// nothing was sent.
    InvalidCondition,
    /// A stored item does not fit the record's type, or its `after_load` refused it.
    InvalidItem,
    /// An option or a combination of options makes no sense.
    Configuration,
    /// No credentials were found, or the service refused those given.
    Credentials,
    /// The service refused the action for these credentials.
    AccessDenied,
    /// The endpoint could not be reached, or the answer did not arrive.
    Connection,
    /// The table does not exist.
    TableNotFound,
    /// The table exists with other keys than the record's, or without an index of the record's.
    TableMismatch,
    /// The record does not exist.
    NotFound,
    /// What is stored is not what a write expected: others changed the item since it was loaded, made one
    /// that there was not to be, or a condition does not hold.
    Conflict,
    /// The service throttled until patience ended: [`throttling_reasons`](Error::throttling_reasons) says whether that
    /// was the table, an index, a hot partition key or the account.
    Throttled,
    /// The service refused the request on its own account.
    Refused,
    /// The service failed.
    Service,
    /// Something was waited for that did not happen in time.
    Timeout,
    /// There are unsaved changes, and the call would lose them, or starts from a record that an
    /// [increment](crate::MemoryTable::increment) of unknown outcome keeps from being read.
    Unsaved,
    /// The memory table is closed.
    Closed,
    /// The call came from inside the function that is changing the same record.
    Reentrant,
    /// The embedded database could not be started or opened.
    Embedded,
    /// The journal cannot be opened, read or written.
    Journal,
}

/// An error of this crate.
///
/// `Display` is one sentence: operation, table, key, cause, attempts, and what to do. The error
/// beneath is in [`source`](StdError::source), never hidden; contents of records are in neither.
/// Cheap to clone, since every task that waits for one request gets its error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static str>,
    table: Option<Arc<str>>,
    key: Option<Key>,
    attempts: u64,
    /// The last attempt ended before anything was sent.
    unsent: bool,
    code: Option<String>,
    request_id: Option<String>,
    throttled_for: Vec<ThrottlingReason>,
    advice: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Code of the user's that runs within a request panicked: an interceptor, a provider of credentials.
pub(crate) fn panicked() -> Error {
    Error::new(ErrorKind::Service, "a request panicked")
        .advise("look at the interceptors, HTTP client and credentials provider of the SDK client")
}

impl Error {
    /// Whether it is that of one item, and not of the request.
    pub(crate) fn is_of_item(&self) -> bool {
        matches!(self.kind(), ErrorKind::InvalidItem | ErrorKind::InvalidRecord)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            table: None,
            key: None,
            attempts: 0,
            unsent: false,
            code: None,
            request_id: None,
            throttled_for: Vec::new(),
            advice: None,
            source: None,
        }))
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    pub(crate) fn during(self, operation: &'static str) -> Self {
        self.change(|inner| inner.operation = Some(operation))
    }

    pub(crate) fn on_table(self, table: &Arc<str>) -> Self {
        self.change(|inner| inner.table = Some(Arc::clone(table)))
    }

    pub(crate) fn on_key(self, key: &Key) -> Self {
        self.change(|inner| inner.key = Some(key.clone()))
    }

    pub(crate) fn after_attempts(self, attempts: u64) -> Self {
        self.change(|inner| inner.attempts = attempts)
    }

    /// The attempt ended before anything was sent.
    pub(crate) fn unsent(self) -> Self {
        self.change(|inner| inner.unsent = true)
    }

    pub(crate) fn is_unsent(&self) -> bool {
        self.0.unsent
    }

    pub(crate) fn with_code(self, code: Option<String>, request_id: Option<String>) -> Self {
        self.change(|inner| {
            inner.code = code;
            inner.request_id = request_id;
        })
    }

    pub(crate) fn throttled_for(self, reasons: Vec<ThrottlingReason>) -> Self {
        self.change(|inner| inner.throttled_for = reasons)
    }

    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        self.change(|inner| inner.advice = Some(advice.into()))
    }

    pub(crate) fn caused_by(self, source: impl Into<BoxError>) -> Self {
        self.change(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// As [`caused_by`](Self::caused_by), if there is a cause.
    pub(crate) fn caused_by_any(self, source: Option<impl Into<BoxError>>) -> Self {
        match source {
            Some(source) => self.caused_by(source),
            None => self,
        }
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, as DynamoDB or this crate names it (`BatchWriteItem`, `update`).
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The table as the service knows it, prefix included.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// The key concerned, if it was one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.0.key.as_ref()
    }

    /// How often the request was sent; 0 if it was not.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.0.attempts
    }

    /// The service's error code, such as `ValidationException`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The service's id of the last request, for AWS support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Why the service throttled, as far as it says so: which limit of which table or index.
    ///
    /// Empty for other errors, and for items left unprocessed, of which the service says nothing.
    #[must_use]
    pub fn throttling_reasons(&self) -> &[ThrottlingReason] {
        &self.0.throttled_for
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            f.write_str(operation)?;
        }
        if let Some(table) = &inner.table {
            let gap = if inner.operation.is_some() { " on " } else { "" };
            write!(f, "{gap}table `{table}`")?;
        }
        if let Some(key) = &inner.key {
            let gap = if inner.operation.is_some() || inner.table.is_some() { ", " } else { "" };
            write!(f, "{gap}key {key}")?;
        }
        if inner.operation.is_some() || inner.table.is_some() || inner.key.is_some() {
            f.write_str(": ")?;
        }
        f.write_str(&inner.message)?;
        for (place, reason) in inner.throttled_for.iter().enumerate() {
            write!(f, "{}{reason}", if place == 0 { ": " } else { "; " })?;
        }
        if let Some(code) = &inner.code {
            write!(f, " ({code}")?;
            if let Some(id) = &inner.request_id {
                write!(f, ", request {id}")?;
            }
            f.write_str(")")?;
        }
        match inner.attempts {
            0 => {}
            1 => f.write_str(", sent once")?,
            n => write!(f, ", sent {n} times")?,
        }
        inner.advice.as_ref().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("text", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<crate::key::KeyError> for Error {
    fn from(error: crate::key::KeyError) -> Self {
        Self::new(ErrorKind::InvalidKey, error.to_string()).advise("nothing was sent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    #[test]
    fn one_sentence_names_everything_that_is_known() {
        let key = Key::new(&KeyRef::partition(&String::from("Brazil"))).unwrap();
        let error = Error::new(ErrorKind::Throttled, "throttled for 60 s without progress")
            .during("BatchWriteItem")
            .on_table(&Arc::from("teams"))
            .on_key(&key)
            .with_code(Some("ThrottlingException".into()), Some("R1".into()))
            .after_attempts(3)
            .advise("the record is still unsaved, flush again")
            .caused_by("beneath");
        assert_eq!(
            error.to_string(),
            "BatchWriteItem on table `teams`, key \"Brazil\": throttled for 60 s without progress \
             (ThrottlingException, request R1), sent 3 times; the record is still unsaved, flush again"
        );
        assert_eq!(error.source().unwrap().to_string(), "beneath");
        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert_eq!((error.operation(), error.table()), (Some("BatchWriteItem"), Some("teams")));
        assert_eq!((error.code(), error.request_id()), (Some("ThrottlingException"), Some("R1")));
        assert_eq!((error.attempts(), error.key()), (3, Some(&key)));
    }

    #[test]
    fn an_error_without_a_place_is_its_message_alone() {
        assert_eq!(Error::new(ErrorKind::Closed, "closed").to_string(), "closed");
    }
}

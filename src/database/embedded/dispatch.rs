//! Runs one operation: reads the body, calls the database, writes the answer.

use std::panic::{self, AssertUnwindSafe};

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{errors, nesting, operations};

/// What goes back over HTTP.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// The answer as JSON, or the error that `dynoxide` or the reading of the body found.
pub(super) type Outcome = Result<Vec<u8>, DynoxideError>;

/// One request, as an operation's handler gets it.
pub(super) struct Call<'a> {
    pub(super) database: &'a Database,
    operation: &'a str,
    body: &'a str,
}

/// Answers a request, whatever it holds: never panics, never fails.
pub(super) fn answer(database: &Database, operation: &str, body: &[u8]) -> Reply {
    let Some(handler) = operations::handler(operation) else {
        return unknown_operation(operation);
    };
    let outcome = match std::str::from_utf8(body) {
        // `serde` would read an array as the members in their order.
        Ok(body) if !body.trim_start().starts_with('{') => {
            Err(DynoxideError::SerializationException(String::new()))
        }
        Ok(body) => contained(|| handler(&Call { database, operation, body })),
        Err(_) => Err(DynoxideError::SerializationException(String::new())),
    };
    match outcome {
        Ok(body) => Reply { status: 200, body },
        Err(error) => {
            let error = errors::on_the_wire(operation, error);
            Reply { status: error.status_code(), body: error.to_json().into_bytes() }
        }
    }
}

impl Call<'_> {
    /// Reads the body as the operation's request, runs `call` on it, and writes the response.
    pub(super) fn answer<Q, A>(
        &self,
        call: impl FnOnce(&Database, Q) -> Result<A, DynoxideError>,
    ) -> Outcome
    where
        Q: DeserializeOwned,
        A: Serialize,
    {
        let request = match serde_json::from_str(self.body) {
            Ok(request) => request,
            Err(error) if nesting::is_too_deep(&error) => return self.answer_deep(call),
            Err(error) => return Err(errors::unreadable(self.operation, self.body, &error)),
        };
        write(&call(self.database, request)?)
    }

    /// As [`answer`](Self::answer), for a body nested deeper than `serde_json` reads: it is cut to
    /// where it is still too deep for DynamoDB, which then says so in its own words.
    fn answer_deep<Q, A>(
        &self,
        call: impl FnOnce(&Database, Q) -> Result<A, DynoxideError>,
    ) -> Outcome
    where
        Q: DeserializeOwned,
        A: Serialize,
    {
        let body = nesting::cut(self.body);
        let request =
            nesting::read(&body).map_err(|error| errors::unreadable(self.operation, &body, &error));
        let outcome = request.and_then(|request| call(self.database, request));
        write(&outcome.map_err(errors::of_deep_value)?)
    }
}

fn write(answer: &impl Serialize) -> Outcome {
    serde_json::to_vec(answer).map_err(|error| internal(&error.to_string()))
}

/// Turns a panic into an error. The database may be left locked, and then says so on every call.
fn contained(run: impl FnOnce() -> Outcome) -> Outcome {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(internal(text.unwrap_or("no message")))
    })
}

fn internal(cause: &str) -> DynoxideError {
    DynoxideError::InternalServerError(format!("The embedded database failed: {cause}"))
}

fn unknown_operation(operation: &str) -> Reply {
    let body = json!({
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": format!("The embedded database does not have the operation {operation}"),
    });
    Reply { status: 400, body: body.to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_internal_server_error() {
        let error = contained(|| panic!("broken {}", 1)).unwrap_err();
        assert_eq!(error.status_code(), 500);
        assert_eq!(error.to_string(), "The embedded database failed: broken 1");
        assert!(error.to_json().contains("#InternalServerError"));
    }

    #[test]
    fn body_that_is_not_text_is_refused() {
        let database = Database::memory().unwrap();
        let reply = answer(&database, "PutItem", &[0xff]);
        assert_eq!(reply.status, 400);
        let body = String::from_utf8(reply.body).unwrap();
        assert_eq!(body, r#"{"__type":"com.amazon.coral.service#SerializationException"}"#);
    }
}

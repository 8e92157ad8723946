//! What the SDK's errors mean: retry, stop, or refused; written or not.

use std::error::Error as StdError;
use std::io;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;

use super::codes::{CANCELED_FOR_NOW, Meaning, meaning_of};
use super::reasons;
use crate::error::{BoxError, Error, ErrorKind, throttling_advice};
use crate::store::{Class, Failure, Outcome};

/// Sorts an SDK error of a request to an endpoint; the error itself stays the source.
pub(crate) fn failure<E>(error: SdkError<E, HttpResponse>, endpoint: Option<&str>) -> Failure
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) if service.err().code().is_none() => {
            foreign_failure(error, endpoint)
        }
        SdkError::ServiceError(_) => service_failure(error),
        SdkError::ConstructionFailure(_) => construction_failure(error),
        SdkError::DispatchFailure(_) => dispatch_failure(error, endpoint),
        SdkError::TimeoutError(_) => transient(
            Outcome::OutcomeUnknown,
            format!("the answer of {} did not arrive in time", named(endpoint)),
            if is_embedded(endpoint) { CHECK_FILE } else { CHECK_OR_RAISE },
            error,
        ),
        _ => transient(
            Outcome::OutcomeUnknown,
            format!("the answer of {} could not be read", named(endpoint)),
            CHECK_KIND,
            error,
        ),
    }
}

fn named(endpoint: Option<&str>) -> String {
    match endpoint {
        _ if is_embedded(endpoint) => "the embedded database".to_owned(),
        Some(url) => format!("the endpoint {url}"),
        None => "the endpoint".to_owned(),
    }
}

/// Whether it is that of the embedded database, which is no address.
fn is_embedded(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|url| url.starts_with(super::EMBEDDED_URL))
}

fn service_failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let meaning = match code.as_deref().unwrap_or_default() {
        "TransactionCanceledException" if reasons::pass(error.raw_response()) => &CANCELED_FOR_NOW,
        code => meaning_of(code, status),
    };
    let request_id = error.request_id().map(str::to_owned);
    let throttled = reasons::of_throttle(error.raw_response());
    let text = match error.message() {
        // The service's own words say what is wrong with a request; for the rest ours say more.
        Some(message) if meaning.class == Class::Refused => format!("{}: {message}", meaning.text),
        _ => meaning.text.to_owned(),
    };
    let ours = Error::new(meaning.kind, text).with_code(code, request_id);
    sorted(meaning, ours.throttled_for(throttled).caused_by(error))
}

/// An error without a code of DynamoDB: of something before it, or in its place.
fn foreign_failure<E>(error: SdkError<E, HttpResponse>, endpoint: Option<&str>) -> Failure
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let request_id = error.request_id().map(str::to_owned);
    let named = named(endpoint);
    let (meaning, text) = match status {
        // A page of a web server, or half an answer of DynamoDB: what was sent may be done.
        200..300 => (&UNREADABLE, format!("the answer of {named} could not be read")),
        408 => (&UNREADABLE, format!("{named} did not get the request in time")),
        429 | 500.. => (meaning_of("", status), format!("{named} failed")),
        // A batch that is too long for a proxy may pass in parts.
        413 => (meaning_of("", status), format!("the request is too long for {named}")),
        _ => (&FOREIGN, format!("{named} refused the request, and not as DynamoDB does")),
    };
    let ours = Error::new(meaning.kind, text);
    let ours = ours.with_code(Some(format!("HTTP {status}")), request_id).caused_by(error);
    let Failure { class, outcome, error } = sorted(meaning, ours);
    Failure { class, outcome, error: error.advise(CHECK_KIND) }
}

/// An answer that says nothing of what became of the request.
const UNREADABLE: Meaning = Meaning {
    codes: &[],
    class: Class::Transient,
    outcome: Outcome::OutcomeUnknown,
    kind: ErrorKind::Connection,
    text: "",
    advice: "",
};

/// A refusal of something that is no DynamoDB.
const FOREIGN: Meaning =
    Meaning { class: Class::Fatal, outcome: Outcome::NotWritten, ..UNREADABLE };

fn sorted(meaning: &Meaning, error: Error) -> Failure {
    let advice = throttling_advice(error.throttling_reasons()).unwrap_or(meaning.advice);
    let error = if advice.is_empty() { error } else { error.advise(advice) };
    Failure { class: meaning.class, outcome: meaning.outcome, error }
}

fn transient(
    outcome: Outcome,
    text: impl Into<String>,
    advice: &str,
    source: impl Into<BoxError>,
) -> Failure {
    let error = Error::new(ErrorKind::Connection, text).advise(advice).caused_by(source);
    Failure { class: Class::Transient, outcome, error }
}

fn unsent(
    kind: ErrorKind,
    text: impl Into<String>,
    advice: &str,
    source: impl Into<BoxError>,
) -> Failure {
    let error = Error::new(kind, text).advise(advice).caused_by(source).unsent();
    Failure { class: Class::Fatal, outcome: Outcome::NotWritten, error }
}

/// The SDK found the request or its configuration wanting; nothing was sent.
fn construction_failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: StdError + Send + Sync + 'static,
{
    let told = chain_text(&error);
    if told.contains("Missing Region") || told.contains("A region must be set") {
        return unsent(ErrorKind::Configuration, NO_REGION, NO_REGION_ADVICE, error);
    }
    if told.contains("credentials") {
        return no_credentials(error);
    }
    let ours = Error::new(ErrorKind::Refused, "the SDK could not build the request");
    let ours = ours.caused_by(error).unsent();
    Failure { class: Class::Refused, outcome: Outcome::NotWritten, error: ours }
}

pub(super) const NO_REGION: &str = "no AWS region is set";
pub(super) const NO_REGION_ADVICE: &str = "set AWS_REGION, a region in the profile, or `Database::builder().region(…)`; \
     for a local server use `Database::local(url)`, without a server `Database::embedded()`";

fn no_credentials(error: impl Into<BoxError>) -> Failure {
    unsent(
        ErrorKind::Credentials,
        "no AWS credentials were found",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or \
         `Database::builder().credentials(…)`; for a local server use `Database::local(url)`",
        error,
    )
}

/// Nothing came back: the connection, the name, or the credentials before it.
fn dispatch_failure<E>(error: SdkError<E, HttpResponse>, endpoint: Option<&str>) -> Failure
where
    E: StdError + Send + Sync + 'static,
{
    let told = chain_text(&error);
    let named = named(endpoint);
    let (user, timed_out) = match &error {
        SdkError::DispatchFailure(failure) => (failure.is_user(), failure.is_timeout()),
        _ => (false, false),
    };
    if find_io(&error) == Some(io::ErrorKind::ConnectionRefused) {
        let text = format!("{named} refused the connection");
        return transient(Outcome::NotWritten, text, START_OR_CHECK, error);
    }
    if told.contains("dns error") || told.contains("failed to lookup address") {
        let text = format!("the host of {named} is unknown");
        return transient(Outcome::NotWritten, text, CHECK_NAME, error);
    }
    if told.contains("credentials") {
        return no_credentials(error);
    }
    if user {
        let text = format!("{named} is no address to connect to");
        return unsent(ErrorKind::Configuration, text, CHECK, error);
    }
    let text = if timed_out {
        format!("{named} did not answer in time")
    } else {
        format!("the connection to {named} broke")
    };
    let check = if is_embedded(endpoint) { CHECK_FILE } else { CHECK };
    transient(Outcome::OutcomeUnknown, text, check, error)
}

const CHECK_OR_RAISE: &str =
    "check the network, or raise `attempt_timeout` of the database's builder";
const CHECK_FILE: &str = "look whether another process holds its file locked";
const START_OR_CHECK: &str = "start the server, or check host and port of the endpoint \
     (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)";
const CHECK_NAME: &str = "check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`), \
     the region (AWS_REGION) and the network";
const CHECK_KIND: &str = "check that the endpoint is a DynamoDB (AWS_ENDPOINT_URL_DYNAMODB, \
     `Database::local(url)`)";
const CHECK: &str =
    "check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`) and the network";

/// The texts of an error and all its sources, for the few causes that the SDK tells apart by text only.
fn chain_text(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        text.push('\n');
        next = error.source();
    }
    text
}

fn find_io(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

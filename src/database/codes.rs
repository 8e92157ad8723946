//! What each error code of the service means: the one table of it.

use crate::error::ErrorKind;
use crate::store::{Class, Outcome};

use Class::{Fatal, Refused, Throttled, Transient};
use Outcome::{NotWritten, OutcomeUnknown};

/// What some error codes mean.
#[derive(Debug)]
pub(super) struct Meaning {
    /// A code with its other spellings: other protocols, emulators and proxies have their own.
    pub(super) codes: &'static [&'static str],
    pub(super) class: Class,
    pub(super) outcome: Outcome,
    pub(super) kind: ErrorKind,
    pub(super) text: &'static str,
    /// What to do; empty where the text says all.
    pub(super) advice: &'static str,
}

/// A row: the class decides whether a request is sent again (throttled, transient), stops a flush
/// (fatal), or is halved until the item that is to blame is parked (refused).
const fn row(
    codes: &'static [&'static str],
    class: Class,
    outcome: Outcome,
    kind: ErrorKind,
    text: &'static str,
    advice: &'static str,
) -> Meaning {
    Meaning { codes, class, outcome, kind, text, advice }
}

const SIGNATURE: &str = "the service refused the signature";
const SIGNATURE_ADVICE: &str = "check AWS_SECRET_ACCESS_KEY and the clock of this machine";
const THROTTLED: &str = "the service throttled the request";
const THROTTLED_ADVICE: &str = "raise the capacity or the patience";
const FAILED_ADVICE: &str = "run again later, the request was sound";
const FAILED: &str = "the service failed";
const REFUSED: &str = "the service refused the request";

/// The errors of the operations that this crate calls, of all their kinds, and those common to all
/// services.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html>
const TABLE: &[Meaning] = &[
    // The table's or a partition's capacity: comes back every second.
    row(
        &["ProvisionedThroughputExceededException"],
        Throttled,
        NotWritten,
        ErrorKind::Throttled,
        THROTTLED,
        THROTTLED_ADVICE,
    ),
    // The control plane's rate, or on-demand tables that grow; the same cure.
    row(
        &[
            "ThrottlingException",
            "Throttling",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "SlowDown",
        ],
        Throttled,
        NotWritten,
        ErrorKind::Throttled,
        THROTTLED,
        THROTTLED_ADVICE,
    ),
    // The quota of the account and region, which other programs use too.
    row(
        &["RequestLimitExceeded"],
        Throttled,
        NotWritten,
        ErrorKind::Throttled,
        "the account's limit of throughput in this region is reached",
        "ask AWS for a higher quota, or for less at once",
    ),
    // Ends as soon as the tables under way are done.
    row(
        &["LimitExceededException"],
        Throttled,
        NotWritten,
        ErrorKind::Throttled,
        "the service's limit of tables that are created, changed or deleted at once is reached",
        "",
    ),
    // The service fails a write at any point, also after it was applied.
    row(
        &[
            "InternalServerError",
            "InternalServerErrorException",
            "InternalFailure",
            "InternalServerFailure",
        ],
        Transient,
        OutcomeUnknown,
        ErrorKind::Service,
        FAILED,
        FAILED_ADVICE,
    ),
    // Said by what stands before the service too, whose side of the request nobody knows.
    row(
        &["ServiceUnavailable", "ServiceUnavailableException"],
        Transient,
        OutcomeUnknown,
        ErrorKind::Service,
        FAILED,
        FAILED_ADVICE,
    ),
    // The service gave up waiting, perhaps for its own storage.
    row(
        &["RequestTimeout", "RequestTimeoutException", "RequestAbortedException"],
        Transient,
        OutcomeUnknown,
        ErrorKind::Service,
        "the service did not end the request in time",
        "",
    ),
    // A transaction holds the item; it is over in moments.
    row(
        &["TransactionConflictException"],
        Transient,
        NotWritten,
        ErrorKind::Service,
        "a transaction held the item",
        "",
    ),
    // A replica wins; the write that lost may be sent again.
    row(
        &["ReplicatedWriteConflictException"],
        Transient,
        NotWritten,
        ErrorKind::Service,
        "the item was being written in another region",
        "",
    ),
    // An earlier attempt under the same token is under way and may succeed.
    row(
        &["TransactionInProgressException"],
        Transient,
        OutcomeUnknown,
        ErrorKind::Service,
        "an earlier attempt of the transaction was still in progress",
        "",
    ),
    // The table is being made, changed or deleted: no item is to blame, so nothing is parked.
    row(
        &["ResourceInUseException"],
        Transient,
        NotWritten,
        ErrorKind::Service,
        "the table is being created, changed or deleted",
        "",
    ),
    // Where the reasons are conflicts or throttles, `CANCELED_FOR_NOW` holds instead.
    row(
        &["TransactionCanceledException"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the service canceled the transaction",
        "",
    ),
    // The same request gives the same answer: it says what is stored.
    row(
        &["ConditionalCheckFailedException"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the condition of the write does not hold",
        "",
    ),
    // Another request was sent under this token; only a new token helps.
    row(
        &["IdempotentParameterMismatchException"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the token of the transaction belongs to another request",
        "",
    ),
    // The items of other partitions can be written.
    row(
        &["ItemCollectionSizeLimitExceededException"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the items of a partition key with local indexes exceed 10 GB",
        "",
    ),
    // An item, a key or an expression is illegal; the others of a batch may be fine.
    row(
        &["ValidationException", "ValidationError"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        REFUSED,
        "",
    ),
    // A value within the request is of the wrong JSON; that may be one item's.
    row(
        &["SerializationException", "MalformedHttpRequestException"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the service could not read the request",
        "",
    ),
    // Halves are shorter.
    row(
        &["RequestEntityTooLargeException", "RequestEntityTooLarge"],
        Refused,
        NotWritten,
        ErrorKind::Refused,
        "the request is too long for the service",
        "",
    ),
    row(
        &["ResourceNotFoundException"],
        Fatal,
        NotWritten,
        ErrorKind::TableNotFound,
        "the table does not exist here",
        "create it with `create_if_missing`, or check name, prefix, region and endpoint",
    ),
    row(
        &[
            "AccessDeniedException",
            "AccessDenied",
            "NotAuthorized",
            "OptInRequired",
            "UnauthorizedOperation",
        ],
        Fatal,
        NotWritten,
        ErrorKind::AccessDenied,
        "these credentials may not do this",
        "allow the action for this table in the IAM policy",
    ),
    // Providers that renew credentials do so before they expire; what is sent with others is lost.
    row(
        &["ExpiredTokenException", "ExpiredToken"],
        Fatal,
        NotWritten,
        ErrorKind::Credentials,
        "the credentials have expired",
        "renew them and run again",
    ),
    row(
        &["UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"],
        Fatal,
        NotWritten,
        ErrorKind::Credentials,
        "the service does not know this access key",
        "check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, or the profile in AWS_PROFILE",
    ),
    row(
        &[
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "IncompleteSignatureException",
        ],
        Fatal,
        NotWritten,
        ErrorKind::Credentials,
        SIGNATURE,
        SIGNATURE_ADVICE,
    ),
    // Requests are signed anew for each attempt, so an old signature is a wrong clock.
    row(
        &["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"],
        Fatal,
        NotWritten,
        ErrorKind::Credentials,
        SIGNATURE,
        SIGNATURE_ADVICE,
    ),
    row(
        &["MissingAuthenticationToken", "MissingAuthenticationTokenException"],
        Fatal,
        NotWritten,
        ErrorKind::Credentials,
        "the request carried no credentials",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    row(
        &["InvalidEndpointException"],
        Fatal,
        NotWritten,
        ErrorKind::Connection,
        "the endpoint does not serve this account",
        "check the endpoint (AWS_ENDPOINT_URL_DYNAMODB) and the region (AWS_REGION)",
    ),
    // Another service, or an emulator without the operation: no item is to blame.
    row(
        &["UnknownOperationException", "InvalidAction"],
        Fatal,
        NotWritten,
        ErrorKind::Refused,
        "the endpoint does not know the operation",
        "check that the endpoint is a DynamoDB (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)",
    ),
];

/// TransactionCanceledException for reasons that pass.
pub(super) const CANCELED_FOR_NOW: Meaning = row(
    &[],
    Transient,
    NotWritten,
    ErrorKind::Service,
    "the service canceled the transaction for a conflict or a throttle",
    "",
);

/// The reasons of a canceled transaction that pass; `None` is that of the items without one.
pub(super) const PASSING_REASONS: [&str; 4] =
    ["None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];

/// Codes that are in no row, by their status.
const OTHER_FAILURE: Meaning = row(&[], Transient, OutcomeUnknown, ErrorKind::Service, FAILED, "");
const OTHER_TIMEOUT: Meaning = row(
    &[],
    Transient,
    OutcomeUnknown,
    ErrorKind::Service,
    "the service did not end the request in time",
    "",
);
const OTHER_THROTTLE: Meaning =
    row(&[], Throttled, NotWritten, ErrorKind::Throttled, THROTTLED, "");
const OTHER_DENIAL: Meaning = row(
    &[],
    Fatal,
    NotWritten,
    ErrorKind::AccessDenied,
    "these credentials may not do this",
    "check the credentials, and what stands between here and the service",
);
const OTHER_REFUSAL: Meaning = row(&[], Refused, NotWritten, ErrorKind::Refused, REFUSED, "");

/// What an error code means; one that is in no row by its HTTP status.
pub(super) fn meaning_of(code: &str, status: u16) -> &'static Meaning {
    let known = TABLE.iter().find(|meaning| meaning.codes.contains(&code));
    known.unwrap_or(match status {
        401 | 403 => &OTHER_DENIAL,
        408 => &OTHER_TIMEOUT,
        429 => &OTHER_THROTTLE,
        500.. => &OTHER_FAILURE,
        _ => &OTHER_REFUSAL,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What each row does is tested through flushes, in another file; no row may be missing there.
    #[test]
    fn every_code_is_in_one_row_and_every_row_has_its_test() {
        let tests = include_str!("../../tests/it/codes.rs");
        let mut seen = HashSet::new();
        for code in TABLE.iter().flat_map(|meaning| meaning.codes) {
            assert!(seen.insert(code), "{code} is in two rows");
            assert!(tests.contains(&format!("\"{code}\"")), "{code} has no test");
        }
        assert!(seen.len() > 40);
    }
}

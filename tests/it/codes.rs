//! What a flush does about each error code of the service, and about failures without a code.
//!
//! `src/database/codes.rs` has the table; a unit test there finds codes that are not here.

use std::time::Duration;

use memory_table::testing::Fault;
use memory_table::{ErrorKind, FlushReport, MemoryTable, Outcome};

use crate::support::{Player, Stage, at, player};

use ErrorKind::{
    AccessDenied, Connection, Credentials, Refused, Service, TableNotFound, Throttled,
};
use Outcome::{NotWritten, OutcomeUnknown};
use Verdict::{Parks, Retries, Stops};

/// What a flush does about a request that fails for as long as one item is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It sends the batch again until patience ends.
    Retries,
    /// It sends nothing more.
    Stops,
    /// It parks the item and writes the others.
    Parks,
}

type Expected = (Verdict, Outcome, ErrorKind);

const THROTTLE: Expected = (Retries, NotWritten, Throttled);
const CONFLICT: Expected = (Retries, NotWritten, Service);
const FAILURE: Expected = (Retries, OutcomeUnknown, Service);
const SILENCE: Expected = (Retries, OutcomeUnknown, Connection);
const REFUSAL: Expected = (Parks, NotWritten, Refused);
const NO_CREDENTIALS: Expected = (Stops, NotWritten, Credentials);
const NO_ACCESS: Expected = (Stops, NotWritten, AccessDenied);

const CODES: [(&str, u16, Expected); 57] = [
    ("ProvisionedThroughputExceededException", 400, THROTTLE),
    ("ThrottlingException", 400, THROTTLE),
    ("Throttling", 400, THROTTLE),
    ("ThrottledException", 400, THROTTLE),
    ("RequestThrottled", 400, THROTTLE),
    ("RequestThrottledException", 400, THROTTLE),
    ("TooManyRequestsException", 429, THROTTLE),
    ("SlowDown", 503, THROTTLE),
    ("RequestLimitExceeded", 400, THROTTLE),
    ("LimitExceededException", 400, THROTTLE),
    ("InternalServerError", 500, FAILURE),
    ("InternalServerErrorException", 500, FAILURE),
    ("InternalFailure", 500, FAILURE),
    ("InternalServerFailure", 500, FAILURE),
    ("ServiceUnavailable", 503, FAILURE),
    ("ServiceUnavailableException", 503, FAILURE),
    ("RequestTimeout", 408, FAILURE),
    ("RequestTimeoutException", 408, FAILURE),
    ("RequestAbortedException", 400, FAILURE),
    ("TransactionConflictException", 400, CONFLICT),
    ("ReplicatedWriteConflictException", 400, CONFLICT),
    ("TransactionInProgressException", 400, FAILURE),
    ("ResourceInUseException", 400, CONFLICT),
    ("TransactionCanceledException", 400, REFUSAL),
    ("ConditionalCheckFailedException", 400, REFUSAL),
    ("IdempotentParameterMismatchException", 400, REFUSAL),
    ("ItemCollectionSizeLimitExceededException", 400, REFUSAL),
    ("ValidationException", 400, REFUSAL),
    ("ValidationError", 400, REFUSAL),
    ("SerializationException", 400, REFUSAL),
    ("MalformedHttpRequestException", 400, REFUSAL),
    ("RequestEntityTooLargeException", 413, REFUSAL),
    ("RequestEntityTooLarge", 413, REFUSAL),
    ("ResourceNotFoundException", 400, (Stops, NotWritten, TableNotFound)),
    ("AccessDeniedException", 400, NO_ACCESS),
    ("AccessDenied", 403, NO_ACCESS),
    ("NotAuthorized", 400, NO_ACCESS),
    ("OptInRequired", 403, NO_ACCESS),
    ("UnauthorizedOperation", 403, NO_ACCESS),
    ("ExpiredTokenException", 400, NO_CREDENTIALS),
    ("ExpiredToken", 400, NO_CREDENTIALS),
    ("UnrecognizedClientException", 400, NO_CREDENTIALS),
    ("InvalidClientTokenId", 403, NO_CREDENTIALS),
    ("InvalidAccessKeyId", 403, NO_CREDENTIALS),
    ("InvalidSignatureException", 400, NO_CREDENTIALS),
    ("SignatureDoesNotMatch", 403, NO_CREDENTIALS),
    ("IncompleteSignature", 400, NO_CREDENTIALS),
    ("IncompleteSignatureException", 400, NO_CREDENTIALS),
    ("RequestExpired", 400, NO_CREDENTIALS),
    ("RequestTimeTooSkewed", 403, NO_CREDENTIALS),
    ("RequestInTheFuture", 400, NO_CREDENTIALS),
    ("MissingAuthenticationToken", 403, NO_CREDENTIALS),
    ("MissingAuthenticationTokenException", 400, NO_CREDENTIALS),
    ("InvalidEndpointException", 421, (Stops, NotWritten, Connection)),
    ("UnknownOperationException", 400, (Stops, NotWritten, Refused)),
    ("InvalidAction", 400, (Stops, NotWritten, Refused)),
    // A code that nobody knows is what its status says.
    ("NewException", 400, REFUSAL),
];

/// Codes that nobody knows, by their status.
const STATUSES: [(u16, Expected); 8] = [
    (401, NO_ACCESS),
    (403, NO_ACCESS),
    (404, REFUSAL),
    (408, FAILURE),
    (413, REFUSAL),
    (429, THROTTLE),
    (500, FAILURE),
    (599, FAILURE),
];

/// Flushes three records to a service that does this whenever the first one is in a request.
async fn flush_under(fault: &Fault) -> FlushReport {
    let stage = Stage::<Player>::embedded().await;
    let memory = MemoryTable::new(stage.table.clone());
    for name in ["bad", "good", "well"] {
        memory.put(player(name, 1.0)).await.unwrap();
    }
    let always = fault.clone();
    stage.faults.script("BatchWriteItem", move |request| {
        let bad = request.entries().iter().any(|(_, item)| item["name"]["S"] == "bad");
        bad.then(|| always.clone())
    });
    let report = memory.flush().await.unwrap_err().into_report();
    // What is not parked goes with the next flush.
    stage.faults.heal();
    let parked = report.parked.len();
    match memory.flush().await {
        Ok(again) => assert_eq!((again.written, parked), (3, 0)),
        Err(error) => assert_eq!((error.report().parked.len(), parked), (1, 1)),
    }
    assert_eq!(stage.truth.get(at("good")).await.unwrap(), Some(player("good", 1.0)));
    report
}

fn verdict(report: &FlushReport) -> Expected {
    let minute = Duration::from_secs(60);
    let numbers = (report.written, report.parked.len(), report.failed.len());
    let verdict = match numbers {
        (2, 1, 0) => Parks,
        (0, 0, 3) if report.requests == 1 && report.elapsed < minute / 60 => Stops,
        (0, 0, 3) if report.requests > 10 && report.elapsed >= minute => Retries,
        _ => panic!("{report}"),
    };
    let one = report.not_saved().next().unwrap();
    (verdict, one.outcome, one.error.kind())
}

#[tokio::test(start_paused = true)]
async fn every_code_is_retried_or_stops_or_parks() {
    for (code, status, expected) in CODES {
        let report = flush_under(&Fault::error(status, code)).await;
        assert_eq!(verdict(&report), expected, "{code}: {report}");
        let error = &report.not_saved().next().unwrap().error;
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.request_id(), Some("TEST"));
        // The service's own words say what is wrong with a request; for the rest ours say more.
        let text = error.to_string();
        assert!(text.contains(code), "{text}");
        assert_eq!(text.contains("as the test says"), expected.0 == Parks, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_code_is_what_its_status_says() {
    for (status, expected) in STATUSES {
        let report = flush_under(&Fault::error(status, "NewException")).await;
        assert_eq!(verdict(&report), expected, "{status}: {report}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_without_a_code_are_of_the_connection() {
    let cases = [
        ("refused", Fault::connection_refused(), (Retries, NotWritten, Connection)),
        ("reset", Fault::connection_reset(), SILENCE),
        ("reset after applying", Fault::connection_reset().after_applying(), SILENCE),
        ("a web page", Fault::unreadable(), SILENCE),
        ("half an answer", Fault::truncated(), SILENCE),
    ];
    for (name, fault, expected) in cases {
        let report = flush_under(&fault).await;
        assert_eq!(verdict(&report), expected, "{name}: {report}");
        assert!(
            report
                .not_saved()
                .all(|failed| failed.error.code().is_none_or(|code| code == "HTTP 200"))
        );
    }
}

/// The attempts take 15 s each, so there are fewer.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_times_out_is_tried_again() {
    let report = flush_under(&Fault::no_answer()).await;
    assert!((4..=8).contains(&report.requests), "{report}");
    let one = &report.failed[0];
    assert_eq!((one.outcome, one.error.kind()), (OutcomeUnknown, Connection));
}

#[tokio::test(start_paused = true)]
async fn a_canceled_transaction_is_tried_again_where_its_reasons_pass() {
    let cases: [(&[&str], Expected); 7] = [
        (&["None", "TransactionConflict"], CONFLICT),
        (&["ProvisionedThroughputExceeded", "None"], CONFLICT),
        (&["ThrottlingError"], CONFLICT),
        (&["None", "ConditionalCheckFailed"], REFUSAL),
        (&["TransactionConflict", "ConditionalCheckFailed"], REFUSAL),
        (&["ItemCollectionSizeLimitExceeded"], REFUSAL),
        (&["ValidationError"], REFUSAL),
    ];
    for (reasons, expected) in cases {
        let report = flush_under(&Fault::transaction_canceled(reasons.iter().copied())).await;
        assert_eq!(verdict(&report), expected, "{reasons:?}: {report}");
    }
}

#[tokio::test]
async fn an_error_says_which_limit_was_met() {
    let stage = Stage::<Player>::new().await;
    let memory = stage.impatient();
    memory.put(player("a", 1.0)).await.unwrap();
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/players";
    let index = format!("{arn}/index/by_rating");
    let provisioned = "TableWriteProvisionedThroughputExceeded";
    let fault = Fault::throttled().because(provisioned, arn).because("IndexOther", &index);
    stage.faults.next("BatchWriteItem", fault);
    let error = memory.flush().await.unwrap_err().cause().clone();
    let reasons = error.throttling_reasons();
    assert_eq!((reasons.len(), reasons[0].reason.as_str()), (2, provisioned));
    assert_eq!(reasons[0].resource.as_deref(), Some(arn));
    let expected = "the service throttled the request: TableWriteProvisionedThroughputExceeded of \
        table `players`; IndexOther of index `by_rating` of table `players` \
        (ProvisionedThroughputExceededException, request TEST), sent once; raise the capacity or \
        the patience";
    assert!(error.to_string().ends_with(expected), "{error}");

    for code in ["ThrottlingException", "RequestLimitExceeded"] {
        let reason = "TableWriteAccountLimitExceeded";
        stage.faults.next("BatchWriteItem", Fault::error(400, code).because(reason, arn));
        let error = memory.flush().await.unwrap_err().cause().clone();
        assert!(error.throttling_reasons()[0].is_account_limit());
        assert!(error.to_string().contains("of table `players`, the account's limit"), "{error}");
        assert!(error.to_string().contains("; ask AWS for a higher quota"), "{error}");
    }
    let of_key = Fault::throttled().because("TableWriteKeyRangeThroughputExceeded", arn);
    stage.faults.next("BatchWriteItem", of_key);
    let error = memory.flush().await.unwrap_err().cause().clone();
    assert!(error.to_string().contains("; spread the items over more partition keys"), "{error}");
    stage.faults.next("BatchWriteItem", Fault::error(400, "RequestLimitExceeded"));
    let error = memory.flush().await.unwrap_err().cause().clone();
    assert!(error.to_string().contains("the account's limit of throughput"), "{error}");
    stage.faults.next("BatchWriteItem", Fault::access_denied());
    assert!(memory.flush().await.unwrap_err().cause().throttling_reasons().is_empty());
}

//! The module `memory_table::testing`: each fault does what its documentation says.

mod capacity;
mod chance;
mod reads;
mod tables;

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::retry::RetryConfig;
use memory_table::aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use memory_table::aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use memory_table::aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, Put, PutRequest, TransactWriteItem, WriteRequest,
};
use memory_table::testing::{Fault, Gate, Request};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Player, Stage, at, named, player};

type Item = std::collections::HashMap<String, AttributeValue>;

fn item(name: &str, rating: u32) -> Item {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let rating = AttributeValue::N(rating.to_string());
    Item::from([
        ("game".into(), text("chess")),
        ("name".into(), text(name)),
        ("rating".into(), rating),
    ])
}

fn key(name: &str) -> Item {
    let mut key = item(name, 0);
    key.remove("rating");
    key
}

fn put_request(name: &str, rating: u32) -> WriteRequest {
    let put = PutRequest::builder().set_item(Some(item(name, rating))).build().unwrap();
    WriteRequest::builder().put_request(put).build()
}

/// A stage's raw client, which sends each request once.
struct Raw {
    stage: Stage<Player>,
    client: Client,
    table: String,
}

impl Raw {
    fn of(stage: Stage<Player>) -> Self {
        let config = stage.table.database().client().config().to_builder();
        let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
        let table = stage.table.name().unwrap().to_owned();
        Self { stage, client, table }
    }

    async fn new() -> Self {
        Self::of(Stage::new().await)
    }

    /// For a paused clock.
    async fn embedded() -> Self {
        Self::of(Stage::embedded().await)
    }

    fn next(&self, operation: &str, fault: Fault) {
        self.stage.faults.next(operation, fault);
    }

    async fn put(&self, name: &str, rating: u32) -> Result<PutItemOutput, SdkError<PutItemError>> {
        let call = self.client.put_item().table_name(&self.table);
        call.set_item(Some(item(name, rating))).send().await
    }

    /// The names that are left unprocessed of a batch of this many.
    async fn batch(&self, count: usize) -> Vec<String> {
        let puts = (0..count).map(|number| put_request(&named(number), 1)).collect();
        let call = self.client.batch_write_item().request_items(&self.table, puts);
        let left = call.send().await.unwrap().unprocessed_items.unwrap_or_default();
        let left = left.into_values().flatten().map(|request| request.put_request.unwrap().item);
        let mut names: Vec<String> =
            left.map(|item| item["name"].as_s().unwrap().clone()).collect();
        names.sort();
        names
    }

    /// What is stored, whatever the faults say.
    async fn stored(&self, name: &str) -> Option<f64> {
        self.stage.truth.get_consistent(at(name)).await.unwrap().map(|player| player.rating)
    }
}

#[tokio::test]
async fn the_service_answers_with_the_error_and_applies_nothing() {
    let cases = [
        (Fault::throttled(), 400, "ProvisionedThroughputExceededException"),
        (Fault::failed(), 500, "InternalServerError"),
        (Fault::invalid(), 400, "ValidationException"),
        (Fault::access_denied(), 400, "AccessDeniedException"),
        (Fault::expired_token(), 400, "ExpiredTokenException"),
        (Fault::table_not_found(), 400, "ResourceNotFoundException"),
        (Fault::conditional_check_failed(), 400, "ConditionalCheckFailedException"),
        (Fault::transaction_conflict(), 400, "TransactionConflictException"),
        (Fault::error(503, "ServiceUnavailable"), 503, "ServiceUnavailable"),
    ];
    let raw = Raw::new().await;
    for (number, (fault, status, code)) in cases.into_iter().enumerate() {
        let (before, after) = (format!("{number} before"), format!("{number} after"));
        raw.next("PutItem", fault.clone().message("in the test's words"));
        let error = raw.put(&before, 1).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Some(code), Some("in the test's words")));
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(raw.stored(&before).await, None, "{code}");
        raw.next("PutItem", fault.after_applying());
        assert_eq!(raw.put(&after, 1).await.unwrap_err().code(), Some(code));
        assert_eq!(raw.stored(&after).await, Some(1.0), "{code}");
    }
}

#[tokio::test]
async fn a_throttle_has_its_reasons() {
    let raw = Raw::new().await;
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/players";
    let reason = "TableWriteKeyRangeThroughputExceeded";
    raw.next("PutItem", Fault::throttled().because(reason, arn).because("Other", "elsewhere"));
    let error = raw.put("a", 1).await.unwrap_err().into_service_error();
    let PutItemError::ProvisionedThroughputExceededException(throttled) = error else {
        panic!("{error:?}");
    };
    let reasons = throttled.throttling_reasons();
    assert_eq!((reasons[0].reason(), reasons[0].resource()), (Some(reason), Some(arn)));
    assert_eq!(reasons.len(), 2);
    raw.next("PutItem", Fault::error(400, "ThrottlingException").because(reason, arn));
    let error = raw.put("a", 1).await.unwrap_err().into_service_error();
    let PutItemError::ThrottlingException(throttled) = error else {
        panic!("{error:?}");
    };
    assert_eq!(throttled.throttling_reasons()[0].reason(), Some(reason));
}

#[tokio::test]
async fn a_canceled_transaction_says_why() {
    let raw = Raw::new().await;
    let put = || {
        let put = Put::builder().table_name(&raw.table).set_item(Some(item("a", 1)));
        let put = TransactWriteItem::builder().put(put.build().unwrap()).build();
        raw.client.transact_write_items().transact_items(put).send()
    };
    raw.next("TransactWriteItems", Fault::transaction_canceled(["None", "ConditionalCheckFailed"]));
    let error = put().await.unwrap_err().into_service_error();
    let memory_table::aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = canceled.cancellation_reasons().iter().map(|one| one.code()).collect();
    assert_eq!(codes, [Some("None"), Some("ConditionalCheckFailed")]);
    assert_eq!(raw.stored("a").await, None);
    put().await.unwrap();
    let sent = raw.stage.faults.requests("TransactWriteItems");
    assert_eq!((sent[1].is_write(), sent[1].entries().len()), (true, 1));
    assert_eq!(sent[1].tables(), [raw.table.as_str()]);
}

#[tokio::test]
async fn connections_break_before_and_after_the_request_is_applied() {
    let raw = Raw::new().await;
    for (fault, text) in [
        (Fault::connection_refused(), "ConnectionRefused"),
        (Fault::connection_reset(), "ConnectionReset"),
    ] {
        raw.next("PutItem", fault.clone());
        let error = raw.put(text, 1).await.unwrap_err();
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
        assert!(format!("{error:?}").contains(text), "{error:?}");
        assert_eq!(raw.stored(text).await, None);
        raw.next("PutItem", fault.after_applying());
        raw.put(text, 1).await.unwrap_err();
        assert_eq!(raw.stored(text).await, Some(1.0));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_of_a_request_that_was_applied() {
    for (name, fault) in [("page", Fault::unreadable()), ("half", Fault::truncated())] {
        let raw = Raw::new().await;
        assert_eq!(raw.batch(3).await, [] as [String; 0]);
        raw.next("BatchWriteItem", fault);
        let puts = vec![put_request(name, 1)];
        let call = raw.client.batch_write_item().request_items(&raw.table, puts);
        let error = call.send().await.unwrap_err();
        assert_eq!(error.code(), None, "{error:?}");
        assert_eq!(raw.stored(name).await, Some(1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_waited_for() {
    let raw = Raw::embedded().await;
    for (name, fault, stored) in
        [("a", Fault::no_answer(), None), ("b", Fault::no_answer().after_applying(), Some(1.0))]
    {
        raw.next("PutItem", fault);
        timeout(Duration::from_secs(10), raw.put(name, 1)).await.unwrap_err();
        assert_eq!(raw.stored(name).await, stored);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_take_their_time() {
    let raw = Raw::embedded().await;
    let three = Duration::from_secs(3);
    for (name, fault, meanwhile) in [
        ("a", Fault::none().delayed(three), None),
        ("b", Fault::none().answer_delayed(three), Some(1.0)),
    ] {
        raw.next("PutItem", fault);
        let began = Instant::now();
        let (put, stored) = tokio::join!(raw.put(name, 1), async {
            sleep(Duration::from_secs(1)).await;
            raw.stored(name).await
        });
        assert_eq!((put.is_ok(), stored), (true, meanwhile));
        assert!(began.elapsed() >= three && raw.stored(name).await.is_some());
    }
    raw.next("PutItem", Fault::connection_reset().applied_late(three));
    raw.put("c", 1).await.unwrap_err();
    assert_eq!(raw.stored("c").await, None);
    sleep(three + Duration::from_millis(1)).await;
    assert_eq!(raw.stored("c").await, Some(1.0));
}

#[tokio::test]
async fn gates_hold_requests_and_answers() {
    let raw = Raw::new().await;
    let before = raw.stage.faults.hold_next("PutItem");
    let after = raw.stage.faults.hold_next_answer("PutItem");
    for (name, gate, stored) in [("a", before, None), ("b", after, Some(1.0))] {
        let (put, ()) = tokio::join!(raw.put(name, 1), async {
            gate.reached().await;
            assert_eq!(raw.stored(name).await, stored);
            gate.open();
        });
        put.unwrap();
        assert_eq!(raw.stored(name).await, Some(1.0));
    }
    let gate = Gate::new();
    raw.next("PutItem", Fault::access_denied().held_at(&gate));
    let (refused, ()) = tokio::join!(raw.put("c", 1), async {
        gate.reached().await;
        gate.open();
    });
    assert_eq!(refused.unwrap_err().code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_part_of_a_batch_of_writes_is_left_unprocessed() {
    let raw = Raw::new().await;
    raw.next("BatchWriteItem", Fault::unprocessed());
    assert_eq!(raw.batch(2).await, ["p0000", "p0001"]);
    assert_eq!(raw.stored("p0000").await, None);
    raw.next("BatchWriteItem", Fault::half_unprocessed());
    assert_eq!(raw.batch(5).await, ["p0001", "p0003"]);
    for (number, stored) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(raw.stored(&named(number)).await.is_some(), stored, "{number}");
    }
    raw.next("BatchWriteItem", Fault::unprocessed_if(|item| item["name"]["S"] == "p0003"));
    assert_eq!(raw.batch(5).await, ["p0003"]);
    assert_eq!(raw.batch(5).await, [] as [String; 0]);
    assert_eq!(raw.stored("p0003").await, Some(1.0));
}

#[tokio::test]
async fn deletes_are_left_unprocessed_by_their_keys() {
    let raw = Raw::new().await;
    raw.batch(2).await;
    raw.next("BatchWriteItem", Fault::unprocessed_if(|item| item["name"]["S"] == "p0001"));
    let delete = |name: &str| {
        let delete = DeleteRequest::builder().set_key(Some(key(name))).build().unwrap();
        WriteRequest::builder().delete_request(delete).build()
    };
    let deletes = vec![delete("p0000"), delete("p0001")];
    let call = raw.client.batch_write_item().request_items(&raw.table, deletes);
    let left = call.send().await.unwrap().unprocessed_items.unwrap();
    assert_eq!(left[&raw.table], [delete("p0001")]);
    assert_eq!((raw.stored("p0000").await, raw.stored("p0001").await), (None, Some(1.0)));
}

#[tokio::test]
async fn a_poison_item_takes_its_batch_with_it() {
    let raw = Raw::new().await;
    raw.stage.faults.always("BatchWriteItem", Fault::poison(|item| item["name"]["S"] == "p0003"));
    assert_eq!(raw.batch(3).await, [] as [String; 0]);
    let puts = (3..6).map(|number| put_request(&named(number), 1)).collect();
    let call = raw.client.batch_write_item().request_items(&raw.table, puts);
    assert_eq!(call.send().await.unwrap_err().code(), Some("ValidationException"));
    assert_eq!((raw.stored("p0002").await, raw.stored("p0004").await), (Some(1.0), None));
}

#[tokio::test]
async fn somebody_else_writes_just_before_or_just_after() {
    let raw = Raw::new().await;
    let foreign = |name: &'static str| {
        let truth = raw.stage.truth.clone();
        move || {
            let truth = truth.clone();
            async move { truth.put(&player(name, 99.0)).await.unwrap() }
        }
    };
    raw.next("PutItem", Fault::none().foreign_write_before(foreign("a")));
    raw.put("a", 1).await.unwrap();
    assert_eq!(raw.stored("a").await, Some(1.0), "ours came later");
    raw.next("PutItem", Fault::none().foreign_write_after(foreign("a")));
    raw.put("a", 1).await.unwrap();
    assert_eq!(raw.stored("a").await, Some(99.0), "theirs came later");
    raw.next("PutItem", Fault::throttled().foreign_write_before(foreign("b")));
    raw.put("b", 1).await.unwrap_err();
    assert_eq!(raw.stored("b").await, Some(99.0));
}

#[tokio::test]
async fn the_first_that_says_something_holds() {
    let raw = Raw::new().await;
    let faults = &raw.stage.faults;
    faults.always("PutItem", Fault::error(400, "Always"));
    faults.next("PutItem", Fault::error(400, "Next1"));
    faults.next("PutItem", Fault::error(400, "Next2"));
    faults.nth("PutItem", 2, Fault::error(400, "Second"));
    assert_eq!(faults.pending(), 3);
    for code in ["Next1", "Second", "Next2", "Always", "Always"] {
        assert_eq!(raw.put("a", 1).await.unwrap_err().code(), Some(code));
    }
    assert_eq!(faults.pending(), 0);
    faults.nth("PutItem", 9, Fault::failed());
    faults.heal();
    assert_eq!((faults.pending(), faults.count("PutItem")), (0, 5));
    raw.put("a", 1).await.unwrap();
    let odd = |request: &Request| (request.number % 2 == 1).then(Fault::failed);
    faults.script("PutItem", odd);
    assert!(raw.put("a", 2).await.is_err() && raw.put("a", 3).await.is_ok());
}

#[tokio::test]
async fn requests_are_counted_and_recorded() {
    let raw = Raw::new().await;
    raw.put("a", 1).await.unwrap();
    raw.batch(2).await;
    raw.put("b", 2).await.unwrap();
    let faults = &raw.stage.faults;
    assert_eq!((faults.count("PutItem"), faults.count("Scan")), (2, 0));
    let puts = faults.requests("PutItem");
    assert_eq!((puts[1].number, &puts[1].body["Item"]["rating"]["N"]), (2, &"2".into()));
    assert_eq!(puts[1].length, puts[1].body.to_string().len());
    let all = faults.all_requests();
    let names: Vec<&str> = all.iter().map(|request| request.operation.as_str()).collect();
    assert!(names.ends_with(&["PutItem", "BatchWriteItem", "PutItem"]), "{names:?}");
}

#[tokio::test]
#[should_panic(expected = "`BatchWrite` is no operation of DynamoDB")]
async fn a_misspelt_operation_is_not_a_fault_that_never_happens() {
    Raw::new().await.next("BatchWrite", Fault::throttled());
}

#[tokio::test]
#[should_panic(expected = "no request came to the gate within 120 s")]
async fn a_gate_that_nobody_comes_to_fails_the_test() {
    tokio::time::pause();
    Gate::new().reached().await;
}

//! What DynamoDB refuses, with its code and its words, for what can be built with the SDK.

use std::collections::HashMap;
use std::fmt::Debug;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::execute_statement::ExecuteStatementError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate, KeySchemaElement,
    KeysAndAttributes, Projection, ProjectionType, Put, PutRequest,
    ReturnValuesOnConditionCheckFailure, TransactGetItem, TransactWriteItem, WriteRequest,
};

use super::{Engine, client, create_table, key_attribute, put, text};

const ENVELOPE: &str = "1 validation error detected: ";
const INVALID: &str = "One or more parameter values were invalid: ";
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits: \
                        Attributes in the item have nested levels beyond supported limit";

async fn table() -> Client {
    let client = client(&Engine::memory().unwrap());
    create_table(&client, "table").await;
    client
}

/// The error's code and message, in one text.
fn refusal<T: Debug, E, R>(outcome: Result<T, SdkError<E, R>>) -> String
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    let error = outcome.err().unwrap();
    format!("{}: {}", error.code().unwrap_or("?"), error.message().unwrap_or("?"))
}

fn validation(message: &str) -> String {
    format!("ValidationException: {message}")
}

async fn put_value(client: &Client, value: &AttributeValue) -> String {
    let put = client.put_item().table_name("table").item("k", text("a")).item("v", value.clone());
    refusal(Box::pin(put.send()).await)
}

async fn batch(client: &Client, items: &[&[(&str, AttributeValue)]]) -> String {
    let writes = items.iter().map(|item| write(item)).collect();
    let batch = client.batch_write_item().request_items("table", writes);
    refusal(Box::pin(batch.send()).await)
}

fn write(item: &[(&str, AttributeValue)]) -> WriteRequest {
    let item: HashMap<_, _> = item.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
    WriteRequest::builder().put_request(put).build()
}

async fn update_value(client: &Client, value: &AttributeValue) -> String {
    let update = client.update_item().table_name("table").key("k", text("a"));
    let update = update.update_expression("SET v = :v");
    let update = update.expression_attribute_values(":v", value.clone());
    refusal(Box::pin(update.send()).await)
}

fn nested(levels: usize) -> AttributeValue {
    (0..levels).fold(text("leaf"), |inner, level| match level % 2 {
        0 => AttributeValue::M([("M".to_owned(), inner)].into()),
        _ => AttributeValue::L(vec![text("first"), inner]),
    })
}

#[tokio::test]
async fn values_that_cannot_be_stored() {
    let number = |text: &str| AttributeValue::N(text.to_owned());
    let twice = || vec!["a".to_owned(), "a".to_owned()];
    let convert = "The parameter cannot be converted to a numeric value: ";
    // The value, then what PutItem says in the envelope, then what BatchWriteItem says bare.
    let cases = [
        (AttributeValue::Ss(vec![]), "An string set  may not be empty", None),
        (AttributeValue::Ns(vec![]), "An number set  may not be empty", None),
        (AttributeValue::Bs(vec![]), "Binary sets should not be empty", None),
        (
            AttributeValue::Null(false),
            "Null attribute value types must have the value of true",
            None,
        ),
        (
            AttributeValue::Ss(twice()),
            "Input collection [\"a\", \"a\"] contains duplicates.",
            Some("Input collection [a, a] contains duplicates."),
        ),
    ];
    let client = table().await;
    for (value, put, batched) in cases {
        let expected = validation(&format!("{ENVELOPE}{INVALID}{put}"));
        assert_eq!(put_value(&client, &value).await, expected);
        let expected = validation(&format!("{INVALID}{}", batched.unwrap_or(put)));
        assert_eq!(batch(&client, &[&[("k", text("a")), ("v", value)]]).await, expected);
    }
    let numbers = [
        ("", convert.to_owned(), convert.trim_end_matches(": ").to_owned()),
        ("abc", format!("{convert}abc"), format!("{convert}abc")),
        ("1e200", overflow(), overflow()),
    ];
    for (value, put, batched) in numbers {
        let expected = validation(&format!("{ENVELOPE}{put}"));
        assert_eq!(put_value(&client, &number(value)).await, expected);
        assert_eq!(update_value(&client, &number(value)).await, expected);
        let outcome = batch(&client, &[&[("k", text("a")), ("v", number(value))]]).await;
        assert_eq!(outcome, validation(&batched));
    }
}

fn overflow() -> String {
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
        .to_owned()
}

#[tokio::test]
async fn values_nested_too_deep() {
    let client = table().await;
    // 62 levels are the most that serde_json reads. From 63 on DynamoDB leaves the envelope away.
    for (levels, put, update) in [
        (32, format!("{ENVELOPE}{TOO_DEEP}"), format!("{ENVELOPE}{TOO_DEEP}")),
        (62, format!("{ENVELOPE}{TOO_DEEP}"), format!("{ENVELOPE}{TOO_DEEP}")),
        (63, TOO_DEEP.to_owned(), in_expression_values()),
        (400, TOO_DEEP.to_owned(), in_expression_values()),
    ] {
        let value = nested(levels);
        assert_eq!(put_value(&client, &value).await, validation(&put), "{levels}");
        assert_eq!(update_value(&client, &value).await, validation(&update), "{levels}");
        let get = client.get_item().table_name("table").key("k", value.clone());
        assert_eq!(refusal(Box::pin(get.send()).await), validation(TOO_DEEP));
        let items: [&[_]; 2] = [&[("k", text("Item"))], &[("k", text("a")), ("v", value)]];
        assert_eq!(batch(&client, &items).await, validation(TOO_DEEP));
    }
    assert_eq!(super::count(&client).await, 0);
    let put = client.put_item().table_name("table").item("k", text("a")).item("v", nested(31));
    put.send().await.unwrap();
}

fn in_expression_values() -> String {
    format!("ExpressionAttributeValues contains invalid value: {TOO_DEEP} for key :v")
}

#[tokio::test]
async fn keys_that_cannot_be() {
    let client = table().await;
    let put = |key: &'static str, value| client.put_item().table_name("table").item(key, value);
    assert_eq!(
        refusal(Box::pin(put("k", text("")).send()).await),
        validation(
            "One or more parameter values are not valid. The AttributeValue for a key attribute \
             cannot contain an empty string value. Key: k"
        )
    );
    assert_eq!(
        refusal(Box::pin(put("other", text("a")).send()).await),
        validation(&format!("{INVALID}Missing the key k in the item"))
    );
    assert_eq!(
        refusal(Box::pin(put("k", AttributeValue::N("1".to_owned())).send()).await),
        validation(&format!("{INVALID}Type mismatch for key k expected: S actual: N"))
    );
    let get = client.get_item().table_name("table").key("other", text("a"));
    assert_eq!(
        refusal(Box::pin(get.send()).await),
        validation("The provided key element does not match the schema")
    );
    let elsewhere = client.get_item().table_name("elsewhere").key("k", text("a"));
    assert_eq!(
        refusal(Box::pin(elsewhere.send()).await),
        "ResourceNotFoundException: Requested resource not found"
    );
}

#[tokio::test]
async fn batches_that_cannot_be() {
    let client = table().await;
    let same: [&[_]; 2] = [&[("k", text("a"))], &[("k", text("a"))]];
    let duplicates = "Provided list of item keys contains duplicates";
    assert_eq!(batch(&client, &same).await, validation(duplicates));
    let keys = [HashMap::from([("k".to_owned(), text("a"))]), [("k".to_owned(), text("a"))].into()];
    let keys = KeysAndAttributes::builder().set_keys(Some(keys.into())).build().unwrap();
    let get = client.batch_get_item().request_items("table", keys);
    assert_eq!(refusal(Box::pin(get.send()).await), validation(duplicates));

    let items: Vec<_> = (0..26).map(|key| [("k", text(&key.to_string()))]).collect();
    let items: Vec<&[_]> = items.iter().map(|item| &item[..]).collect();
    let message = batch(&client, &items).await;
    assert!(
        message.starts_with("ValidationException: 1 validation error detected: Value '{table=")
    );
    assert!(message.ends_with(
        "at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: \
         [Member must have length less than or equal to 25, \
         Member must have length greater than or equal to 1]"
    ));
    let large = text(&"x".repeat(400 * 1024));
    let too_large = validation("Item size has exceeded the maximum allowed size");
    assert_eq!(batch(&client, &[&[("k", text("a")), ("v", large.clone())]]).await, too_large);
    assert_eq!(put_value(&client, &large).await, too_large);
}

#[tokio::test]
async fn members_that_are_missing() {
    let client = table().await;
    let null = |place: &str| {
        validation(&format!(
            "{ENVELOPE}Value null at '{place}' failed to satisfy constraint: Member must not be null"
        ))
    };
    assert_eq!(refusal(client.batch_get_item().send().await), null("requestItems"));
    assert_eq!(refusal(client.batch_write_item().send().await), null("requestItems"));
    assert_eq!(refusal(client.transact_write_items().send().await), null("transactItems"));
    assert_eq!(refusal(client.transact_get_items().send().await), null("transactItems"));
    assert_eq!(refusal(client.execute_statement().send().await), null("statement"));
    assert_eq!(refusal(client.execute_transaction().send().await), null("transactStatements"));
    assert_eq!(refusal(client.batch_execute_statement().send().await), null("statements"));
    let specification = client.update_time_to_live().table_name("table");
    assert_eq!(refusal(specification.send().await), null("timeToLiveSpecification"));
    assert_eq!(refusal(client.put_item().table_name("table").send().await), null("item"));
    let get = client.transact_get_items().transact_items(TransactGetItem::builder().build());
    assert_eq!(refusal(Box::pin(get.send()).await), null("transactItems.1.member.get"));
}

#[tokio::test]
async fn words_outside_an_enum() {
    let client = table().await;
    let outside = |place: &str, known: &str| {
        validation(&format!(
            "{ENVELOPE}Value 'WRONG' at '{place}' failed to satisfy constraint: \
             Member must satisfy enum value set: [{known}]"
        ))
    };
    let put = client.put_item().table_name("table").item("k", text("a"));
    assert_eq!(
        refusal(Box::pin(put.return_consumed_capacity("WRONG".into()).send()).await),
        outside("returnConsumedCapacity", "INDEXES, TOTAL, NONE")
    );
    let index = |key: &str, projection: &str| {
        let key = KeySchemaElement::builder().attribute_name("WRONG").key_type(key.into());
        let projection = Projection::builder().projection_type(ProjectionType::from(projection));
        let index = CreateGlobalSecondaryIndexAction::builder().index_name("WRONG");
        let index = index.key_schema(key.build().unwrap()).projection(projection.build());
        let update = GlobalSecondaryIndexUpdate::builder().create(index.build().unwrap()).build();
        let request =
            client.update_table().table_name("table").global_secondary_index_updates(update);
        Box::pin(request.attribute_definitions(key_attribute()).send())
    };
    let create = "globalSecondaryIndexUpdates.1.member.create";
    assert_eq!(
        refusal(index("WRONG", "ALL").await),
        outside(&format!("{create}.keySchema.1.member.keyType"), "HASH, RANGE")
    );
    assert_eq!(
        refusal(index("HASH", "WRONG").await),
        outside(&format!("{create}.projection.projectionType"), "ALL, INCLUDE, KEYS_ONLY")
    );
}

#[tokio::test]
async fn failed_condition_brings_the_item() {
    let client = table().await;
    put(&client, "a").await;
    let statement = client.execute_statement();
    let statement = statement.statement("UPDATE \"table\" SET v = 1 WHERE k = 'a' AND v = 2");
    let old = ReturnValuesOnConditionCheckFailure::AllOld;
    let statement = statement.return_values_on_condition_check_failure(old.clone());
    let error = Box::pin(statement.send()).await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("The conditional request failed"));
    let ExecuteStatementError::ConditionalCheckFailedException(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.item(), Some(&[("k".to_owned(), text("a"))].into()));

    let put = Put::builder().table_name("table").item("k", text("a"));
    let put = put.condition_expression("attribute_not_exists(k)");
    let put = put.return_values_on_condition_check_failure(old).build().unwrap();
    let write = TransactWriteItem::builder().put(put).build();
    let transaction = client.transact_write_items().transact_items(write);
    let error = Box::pin(transaction.send()).await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(error) = error else {
        panic!("{error:?}");
    };
    let reasons = error.cancellation_reasons();
    assert_eq!(reasons[0].code(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[0].item(), Some(&[("k".to_owned(), text("a"))].into()));
}

/// A body rewritten on its way (`customize().mutate_request`) may hold anything.
#[tokio::test]
async fn bodies_that_the_sdk_does_not_write() {
    let client = table().await;
    let deep = |inner: &str| {
        let (open, close) = (r#"{"L":["#.repeat(3000), "]}".repeat(3000));
        format!(r#"{{"TableName":"table","Item":{{"k":{{"S":"a"}},"v":{open}{inner}{close}}}}}"#)
    };
    let empty =
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
    let cases = [
        ("", "SerializationException: ?".to_owned()),
        ("[", "SerializationException: ?".to_owned()),
        ("[]", "SerializationException: ?".to_owned()),
        (
            r#"{"TableName":7}"#,
            "SerializationException: NUMBER_VALUE cannot be converted to String".to_owned(),
        ),
        (r#"{"TableName":"table","Item":{"k":{}}}"#, validation(empty)),
        (r#"{"TableName":"table","Item":{"k":{"S":null}}}"#, validation(empty)),
        (
            r#"{"TableName":"table","Item":{"k":{"BOOL":7}}}"#,
            "SerializationException: NUMBER_VALUE cannot be converted to Boolean".to_owned(),
        ),
        (&deep(r#"{"S":"x"}"#), validation(TOO_DEEP)),
        (&deep("{"), "SerializationException: ?".to_owned()),
    ];
    for (body, expected) in cases {
        let body = body.to_owned();
        let put = client.put_item().table_name("table").customize();
        let put = put.mutate_request(move |request| {
            *request.body_mut() = aws_smithy_types::body::SdkBody::from(body.clone());
        });
        assert_eq!(refusal(Box::pin(put.send()).await), expected);
    }
}

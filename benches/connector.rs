//! A DynamoDB that answers at once: it stores nothing and takes everything.

use std::collections::HashMap;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use memory_table::aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use memory_table::aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents,
};
use memory_table::aws_sdk_dynamodb::{Client, Config};
use memory_table::{Database, Record, bench};
use serde::Deserialize;

use crate::players::Player;

/// A database in which some players are stored and which takes every write without a look.
pub(crate) fn database(stored: &[Player]) -> Database {
    let item = |player: &Player| {
        let (json, _) = bench::encode(player).expect("players can be stored");
        (player.name.clone(), String::from_utf8(json).expect("JSON is text"))
    };
    let connector = AtOnce { items: Arc::new(stored.iter().map(item).collect()) };
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .endpoint_url("http://at-once.invalid")
        .http_client(connector);
    Database::from_client(Client::from_conf(config.build()))
}

/// The connector; its items are JSON by the player's name.
#[derive(Clone, Debug)]
struct AtOnce {
    items: Arc<HashMap<String, String>>,
}

impl HttpClient for AtOnce {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for AtOnce {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").expect("the operation");
        let body = request.body().bytes().expect("a body that is no stream");
        let answer = match target.rsplit('.').next() {
            Some("BatchWriteItem") => r#"{"UnprocessedItems":{}}"#.to_owned(),
            Some("BatchGetItem") => self.batch_get(body),
            Some("DescribeTable") => description(),
            other => panic!("no bench sends {other:?}"),
        };
        let status = 200.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(answer))))
    }
}

impl AtOnce {
    fn batch_get(&self, body: &[u8]) -> String {
        let asked: BatchGet<'_> = serde_json::from_slice(body).expect("a BatchGetItem");
        let names = asked.request_items.players.keys.iter().map(|key| key.name.s);
        let found: Vec<&str> =
            names.filter_map(|name| self.items.get(name)).map(String::as_str).collect();
        format!(r#"{{"Responses":{{"players":[{}]}},"UnprocessedKeys":{{}}}}"#, found.join(","))
    }
}

/// As much of the request as the answer depends on.
#[derive(Deserialize)]
struct BatchGet<'a> {
    #[serde(borrow, rename = "RequestItems")]
    request_items: RequestItems<'a>,
}

#[derive(Deserialize)]
struct RequestItems<'a> {
    #[serde(borrow)]
    players: Keys<'a>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, rename = "Keys")]
    keys: Vec<Key<'a>>,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(rename = "S")]
    s: &'a str,
}

fn description() -> String {
    let sort = Player::SORT_KEY.expect("players have a sort key");
    serde_json::json!({ "Table": {
        "TableName": Player::TABLE,
        "TableStatus": "ACTIVE",
        "KeySchema": [
            { "AttributeName": Player::PARTITION_KEY, "KeyType": "HASH" },
            { "AttributeName": sort, "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": Player::PARTITION_KEY, "AttributeType": "S" },
            { "AttributeName": sort, "AttributeType": "S" },
        ],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
    }})
    .to_string()
}

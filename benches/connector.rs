//! A DynamoDB that answers at once: it stores nothing and takes everything.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use memory_table::aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use memory_table::aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents,
};
use memory_table::aws_sdk_dynamodb::{Client, Config};
use memory_table::{Record, bench};

use crate::players::Player;

/// The most keys of a BatchGetItem.
const MOST_KEYS: usize = 100;
/// How the name of a player begins; a number follows.
const NAME: &str = "player ";

/// A client of a database in which some players are stored and which takes every write without a look.
///
/// Reads have to ask for a hundred players each, in their order: the answers are made beforehand.
pub(crate) fn client(stored: &[Player]) -> Client {
    let json = |player: &Player| {
        let (json, _) = bench::encode(player).expect("players can be stored");
        String::from_utf8(json).expect("JSON is text")
    };
    let answer = |chunk: &[Player]| {
        let items = chunk.iter().map(json).collect::<Vec<_>>().join(",");
        Answer::of(&format!(r#""Responses":{{"players":[{items}]}},"UnprocessedKeys":{{}}"#))
    };
    let reads = stored.chunks(MOST_KEYS).map(answer).collect();
    let connector = AtOnce { reads, write: Answer::of(r#""UnprocessedItems":{}"#) };
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .endpoint_url("http://at-once.invalid")
        .http_client(connector);
    Client::from_conf(config.build())
}

/// The connector, with the answers to reads.
#[derive(Clone, Debug)]
struct AtOnce {
    reads: Arc<[Answer]>,
    write: Answer,
}

/// An answer, and the same with what was charged, for those who ask for that.
#[derive(Clone, Debug)]
struct Answer {
    plain: Bytes,
    charged: Bytes,
}

impl Answer {
    fn of(fields: &str) -> Self {
        let charged = r#""ConsumedCapacity":[{"TableName":"players","CapacityUnits":25.0}]"#;
        Self {
            plain: format!("{{{fields}}}").into(),
            charged: format!("{{{fields},{charged}}}").into(),
        }
    }

    fn to(&self, request: &[u8]) -> Bytes {
        let asks = request.ends_with(br#""ReturnConsumedCapacity":"INDEXES"}"#);
        if asks { self.charged.clone() } else { self.plain.clone() }
    }
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
            Some("BatchWriteItem") => self.write.to(body),
            Some("BatchGetItem") => self.read(body),
            Some("DescribeTable") => description().into(),
            other => panic!("no bench sends {other:?}"),
        };
        let status = 200.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(answer))))
    }
}

impl AtOnce {
    /// The answer to a read of a hundred players, by the first of them.
    fn read(&self, body: &[u8]) -> Bytes {
        let text = std::str::from_utf8(body).expect("JSON is text");
        let number = text.split_once(NAME).expect("a player").1.split('"').next();
        let first: usize = number.and_then(|number| number.parse().ok()).expect("a number");
        assert_eq!(first % MOST_KEYS, 0, "players are asked for in their order");
        self.reads[first / MOST_KEYS].to(body)
    }
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

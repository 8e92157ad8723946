//! An HTTP client that answers by a script, and keeps what it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use memory_table::Database;
use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use memory_table::aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient,
};
use serde_json::{Value, json};

/// Where the client of a script sends its requests.
pub const ENDPOINT: &str = "http://dynamodb.test";

/// What one request got.
pub enum Answer {
    /// A status and a body, with a request id as DynamoDB gives one.
    Reply(u16, Value),
    /// A status and a body from something that is no DynamoDB.
    Foreign(u16, &'static str),
    /// No answer, but an error of the connection.
    Broken(ConnectorError),
    /// Nothing, ever.
    Silence,
}

/// An error as DynamoDB sends it.
pub fn refusal(code: &str, message: &str) -> Answer {
    let kind = format!("com.amazon.coral.service#{code}");
    Answer::Reply(400, json!({ "__type": kind, "message": message }))
}

/// What DescribeTable says of the table of `Team`.
pub fn described() -> Answer {
    let table = json!({
        "TableName": "teams",
        "TableStatus": "ACTIVE",
        "KeySchema": [{ "AttributeName": "name", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "name", "AttributeType": "S" }],
    });
    Answer::Reply(200, json!({ "Table": table }))
}

/// A connection that nobody accepts.
pub fn refused() -> Answer {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    Answer::Broken(ConnectorError::io(refused.into()))
}

/// A request as it went out.
#[derive(Clone, Debug)]
pub struct Sent {
    pub operation: String,
    pub uri: String,
    pub authorization: String,
    pub token: Option<String>,
    pub body: Value,
    pub connect_timeout: Option<Duration>,
}

type Answers = dyn Fn(usize, &Sent) -> Answer + Send + Sync;

/// The script: what the request of each number, from 0, is answered with.
#[derive(Clone)]
pub struct Script {
    answers: Arc<Answers>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    pub fn new(answers: impl Fn(usize, &Sent) -> Answer + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(answers), sent: Arc::default() }
    }

    /// Everything that was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no test panics in here").clone()
    }

    pub fn operations(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.operation).collect()
    }

    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The configuration of a client that is answered by this script and reads no environment.
    pub fn config(&self) -> Builder {
        configuration().http_client(self.clone())
    }

    pub fn database(&self) -> Database {
        Database::from_client(Client::from_conf(self.config().build()))
    }
}

/// The configuration of a client that reads no environment.
pub fn configuration() -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(
            "AKIDEXAMPLE",
            "the-secret-key",
            Some("the-session-token".to_owned()),
            None,
            "test",
        ))
        .endpoint_url(ENDPOINT)
}

impl HttpClient for Script {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect_timeout = settings.connect_timeout();
        SharedHttpConnector::new(Connector { script: self.clone(), connect_timeout })
    }
}

#[derive(Debug)]
struct Connector {
    script: Script,
    connect_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        let target = header("x-amz-target").unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let sent = Sent {
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            uri: request.uri().to_owned(),
            authorization: header("authorization").unwrap_or_default(),
            token: header("x-amz-security-token"),
            body: serde_json::from_slice(body).unwrap_or_default(),
            connect_timeout: self.connect_timeout,
        };
        let mut all = self.script.sent.lock().expect("no test panics in here");
        let answer = (self.script.answers)(all.len(), &sent);
        all.push(sent);
        HttpConnectorFuture::new(async move {
            // As over a network, nothing is there at the first poll.
            tokio::task::yield_now().await;
            match answer {
                Answer::Reply(status, body) => {
                    let mut response = response(status, body.to_string());
                    response.headers_mut().insert("x-amzn-requestid", "REQUEST1");
                    Ok(response)
                }
                Answer::Foreign(status, body) => Ok(response(status, body.to_owned())),
                Answer::Broken(error) => Err(error),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

fn response(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status of HTTP");
    HttpResponse::new(status, SdkBody::from(body))
}

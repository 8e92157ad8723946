//! Requests of our own to the service, past the faults.
//!
//! They go through the SDK, so that they are signed: a request that was changed after the SDK
//! signed it would be refused by AWS.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Config, HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use parking_lot::Mutex;
use serde_json::Value;

/// The service without the faults.
#[derive(Debug)]
pub(super) struct Raw {
    client: Client,
    inner: SharedHttpClient,
}

impl Raw {
    pub(super) fn new(config: &Config, inner: SharedHttpClient) -> Self {
        let config = config.to_builder().retry_config(RetryConfig::disabled());
        Self { client: Client::from_conf(config.build()), inner }
    }

    /// Sends one request; the answer is as the service gave it, be it an error.
    pub(super) async fn send(
        &self,
        operation: &str,
        body: &Value,
    ) -> Result<HttpResponse, ConnectorError> {
        let (target, body) = (format!("DynamoDB_20120810.{operation}"), body.to_string());
        let slot = Slot::default();
        let carrier = Carrier { inner: self.inner.clone(), slot: Arc::clone(&slot) };
        // ListTables needs no input, so that the SDK checks nothing of what is sent in its place.
        let sent = self.client.list_tables().customize();
        let sent = sent.config_override(Config::builder().http_client(carrier)).mutate_request(
            move |request| {
                request.headers_mut().insert("x-amz-target", target.clone());
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = SdkBody::from(body.as_str());
            },
        );
        let sent = Box::pin(sent.send()).await;
        let answer = slot.lock().take();
        answer.unwrap_or_else(|| {
            let why = sent.err().map_or_else(|| "nothing was sent".to_owned(), |e| e.to_string());
            Err(ConnectorError::user(why.into()))
        })
    }

    /// Sends one request; the answer as JSON, unless it is an error.
    pub(super) async fn json(&self, operation: &str, body: &Value) -> Option<Value> {
        let answer = self.send(operation, body).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        read_json(answer).await.ok().map(|(_, body)| body)
    }
}

/// Splits an answer into its head and its JSON.
pub(super) async fn read_json(
    mut answer: HttpResponse,
) -> Result<(HttpResponse, Value), ConnectorError> {
    let body = read(&mut answer).await?;
    let body = serde_json::from_slice(&body).map_err(|error| ConnectorError::io(error.into()))?;
    Ok((answer, body))
}

/// Takes the body out of an answer.
pub(super) async fn read(answer: &mut HttpResponse) -> Result<Vec<u8>, ConnectorError> {
    let body = ByteStream::new(answer.take_body()).collect().await;
    Ok(body.map_err(|error| ConnectorError::io(error.into()))?.to_vec())
}

/// Puts a body into an answer in place of its own.
pub(super) fn write(answer: &mut HttpResponse, body: impl Into<Vec<u8>>) {
    let body = body.into();
    answer.headers_mut().insert("content-length", body.len().to_string());
    // It is the sum of the body that was.
    answer.headers_mut().remove("x-amz-crc32");
    *answer.body_mut() = SdkBody::from(body);
}

type Slot = Arc<Mutex<Option<Result<HttpResponse, ConnectorError>>>>;

/// Keeps the answer as it came; the SDK gets an empty one, which it can read whatever was asked.
#[derive(Clone)]
struct Carrier {
    inner: SharedHttpClient,
    slot: Slot,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl HttpClient for Carrier {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Carrying { inner, slot: Arc::clone(&self.slot) })
    }
}

struct Carrying {
    inner: SharedHttpConnector,
    slot: Slot,
}

impl fmt::Debug for Carrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrying")
    }
}

impl HttpConnector for Carrying {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, slot) = (self.inner.call(request), Arc::clone(&self.slot));
        HttpConnectorFuture::new(async move {
            *slot.lock() = Some(answer.await);
            let ok =
                StatusCode::try_from(200).map_err(|error| ConnectorError::user(error.into()))?;
            Ok(HttpResponse::new(ok, SdkBody::from("{}")))
        })
    }
}

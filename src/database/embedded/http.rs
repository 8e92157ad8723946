//! The HTTP side: from the SDK's request to an operation, and from its outcome to a response.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::dispatch::{self, Reply};
use super::{Engine, Storage};

const TARGET: &str = "x-amz-target";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

impl HttpClient for Engine {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(answer(self.clone(), request))
    }
}

async fn answer(engine: Engine, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let operation = operation(&request).to_owned();
    let mut body = request.take_body();
    // A body that an interceptor has wrapped is a stream.
    if body.bytes().is_none() {
        body = collect(body).await?;
    }
    let Engine { database, storage } = engine;
    let run = move || dispatch::answer(&database, &operation, body.bytes().unwrap_or_default());
    let reply = match (storage, tokio::runtime::Handle::try_current()) {
        (Storage::Disk, Ok(runtime)) => {
            runtime.spawn_blocking(run).await.map_err(|error| ConnectorError::io(error.into()))?
        }
        _ => {
            // A call over a network never finishes at its first poll. Callers that share a thread
            // with this one get their turn here, as they would there.
            tokio::task::yield_now().await;
            run()
        }
    };
    response(reply)
}

/// The last part of a target such as `DynamoDB_20120810.PutItem`.
fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get(TARGET).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

async fn collect(body: SdkBody) -> Result<SdkBody, ConnectorError> {
    let body = ByteStream::new(body).collect().await;
    let body = body.map_err(|error| ConnectorError::user(error.into()))?;
    Ok(SdkBody::from(body.into_bytes()))
}

/// Without the `x-amz-crc32` that DynamoDB sends: the SDK does not look at it.
fn response(reply: Reply) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(reply.status)
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(reply.body));
    let headers = response.headers_mut();
    headers.insert("content-type", CONTENT_TYPE);
    headers.insert("x-amzn-requestid", request_id());
    Ok(response)
}

/// 52 characters of `A-Z0-9`, as DynamoDB's are, and unique in this process.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("EMBEDDED{:044}", NEXT.fetch_add(1, Ordering::Relaxed))
}

//! The HTTP client between the SDK and the service, where the faults happen.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::{Value, json};

use super::capacity::Within;
use super::error::answer;
use super::fault::{Applies, Fault, Reply, Step};
use super::faults::State;
use super::raw::{read, read_json, write};
use super::request::Request;
use super::rules::Rules;

/// The SDK's own HTTP client, which no configuration hands out where none is set.
pub(super) fn default_client() -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// An HTTP client whose requests go through the faults.
pub(super) fn client(inner: SharedHttpClient, state: Arc<State>) -> SharedHttpClient {
    SharedHttpClient::new(FaultyClient { inner, state })
}

#[derive(Clone)]
struct FaultyClient {
    inner: SharedHttpClient,
    state: Arc<State>,
}

impl fmt::Debug for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyClient")
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { inner, state: Arc::clone(&self.state) })
    }
}

#[derive(Clone)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    state: Arc<State>,
}

impl fmt::Debug for FaultyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyConnector")
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().run(request))
    }
}

type Answer = Result<HttpResponse, ConnectorError>;

impl FaultyConnector {
    async fn run(self, http: HttpRequest) -> Answer {
        let mut request = Request::read(&http);
        let fault = self.state.arrived(&mut request);
        let State { raw, rules, schemas, history, limits, .. } = &*self.state;
        let wanted = history.is_on() || Rules::concern(&request) || limits.is_on();
        schemas.learn(&request, wanted, raw).await;
        let _flight = rules.begin(&request, schemas);
        match fault {
            None => self.apply(&request, http).await,
            Some(fault) => self.meet(fault, request, http).await,
        }
    }

    async fn meet(self, fault: Fault, request: Request, http: HttpRequest) -> Answer {
        self.take_steps(&fault.before, &request).await;
        let applied = match fault.applies {
            Applies::Not => None,
            Applies::Late(late) => {
                self.apply_later(late, request.clone(), http);
                None
            }
            Applies::Whole => Some(self.apply(&request, http).await?),
            Applies::Without(left) => Some(self.apply_part(&*left, request.clone()).await?),
            Applies::Page(items) => Some(self.apply_page(&request, items).await?),
            Applies::Stale(writes) => Some(self.apply_stale(&request, http, writes).await?),
        };
        self.take_steps(&fault.after, &request).await;
        reply(&fault.reply, applied).await
    }

    fn apply_later(&self, late: Duration, request: Request, http: HttpRequest) {
        let connector = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            connector.apply(&request, http).await
        });
    }

    /// Passes a request on as far as there is capacity for it, and remembers what the items were before.
    async fn apply(&self, request: &Request, http: HttpRequest) -> Answer {
        match self.state.limits.admit(request, &self.state.schemas) {
            Some(within) => self.apply_within(&within, request.clone()).await,
            None => self.remembered(request, self.inner.call(http)).await,
        }
    }

    /// Applies what is admitted of a request by the capacity of its tables.
    async fn apply_within(&self, admitted: &Within, mut request: Request) -> Answer {
        let left = match admitted.left(&request) {
            Err(error) => {
                admitted.charge(&request, &Value::Null);
                return error.response();
            }
            Ok(left) => left,
        };
        request.body["ReturnConsumedCapacity"] = "INDEXES".into();
        let answer = if left.contains(&true) {
            let is_left = move |place: usize, _: &Value| left.get(place) == Some(&true);
            self.apply_part(&is_left, request.clone()).await?
        } else {
            let call = self.state.raw.send(&request.operation, &request.body);
            self.remembered(&request, call).await?
        };
        if !answer.status().is_success() {
            admitted.charge(&request, &Value::Null);
            return Ok(answer);
        }
        let (mut answer, body) = read_json(answer).await?;
        admitted.charge(&request, &body["ConsumedCapacity"]);
        write(&mut answer, body.to_string());
        Ok(answer)
    }

    async fn remembered(&self, request: &Request, call: impl Future<Output = Answer>) -> Answer {
        let State { raw, schemas, history, .. } = &*self.state;
        let before = history.look(request, schemas, raw).await;
        let answer = call.await?;
        if answer.status().is_success() {
            history.written(before);
        }
        Ok(answer)
    }

    /// Applies a part of a batch, and adds the rest to the answer as unprocessed.
    async fn apply_part(
        &self,
        left: &(dyn Fn(usize, &Value) -> bool + Send + Sync),
        mut request: Request,
    ) -> Answer {
        let member = if request.is_write() { "UnprocessedItems" } else { "UnprocessedKeys" };
        let left = request.split_off(left);
        if request.is_empty() {
            return answer(200, json!({ member: left, "Responses": {} }).to_string());
        }
        let call = self.state.raw.send(&request.operation, &request.body);
        let applied = self.remembered(&request, call).await?;
        if !applied.status().is_success() {
            return Ok(applied);
        }
        let (mut applied, mut body) = read_json(applied).await?;
        body[member] = left;
        write(&mut applied, body.to_string());
        Ok(applied)
    }

    async fn apply_page(&self, request: &Request, items: u32) -> Answer {
        let mut body = request.body.clone();
        let asked = body["Limit"].as_u64().unwrap_or(u64::MAX);
        body["Limit"] = asked.min(items.into()).into();
        self.state.raw.send(&request.operation, &body).await
    }

    async fn apply_stale(&self, request: &Request, http: HttpRequest, writes: usize) -> Answer {
        let found = self.apply(request, http).await?;
        if !found.status().is_success() {
            return Ok(found);
        }
        let (mut found, mut body) = read_json(found).await?;
        self.state.history.turn_back(request, &mut body, &self.state.schemas, writes);
        write(&mut found, body.to_string());
        Ok(found)
    }

    async fn take_steps(&self, steps: &[Step], request: &Request) {
        for step in steps {
            match step {
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Gate(gate) => gate.pass().await,
                Step::Write(write) => write().await,
                Step::DeleteTables => {
                    for table in request.tables() {
                        self.state.raw.json("DeleteTable", &json!({ "TableName": table })).await;
                    }
                }
            }
        }
    }
}

/// What goes back for what the service answered; for nothing, if nothing was applied.
async fn reply(reply: &Reply, applied: Option<HttpResponse>) -> Answer {
    let reset = || ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into());
    match reply {
        Reply::Own => applied.ok_or_else(reset),
        Reply::Error(error) => error.response(),
        Reply::Broken(kind) => Err(ConnectorError::io(io::Error::from(*kind).into())),
        Reply::Nothing => std::future::pending().await,
        Reply::WebPage => answer(200, "<html>It works!</html>".to_owned()),
        Reply::Half => {
            let mut applied = applied.ok_or_else(reset)?;
            let mut body = read(&mut applied).await?;
            body.truncate(body.len() / 2);
            write(&mut applied, body);
            Ok(applied)
        }
    }
}

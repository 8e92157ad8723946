//! A network and a service that do as a test says.
//!
//! [`Faults::around`] puts an HTTP client between the SDK and a database. It counts and records the
//! requests, checks each against the service's rules, and lets the test's script decide what
//! becomes of it: passed on, held, cut off before or after it was applied, answered with an error,
//! or applied in part.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use memory_table::Database;
use memory_table::aws_sdk_dynamodb::Client;
use serde_json::{Value, json};

use super::gate::Gate;
pub use super::request::Request;
use super::watch::Watch;

/// What becomes of a request.
#[derive(Clone)]
pub enum Fault {
    /// Nothing listens at the endpoint.
    Refused,
    /// The connection breaks before the request is applied; the sender cannot know that.
    Broken,
    /// The request is applied and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks at once, and the request is applied this much later all the same.
    LandsLate(Duration),
    /// The service answers with an error and applies nothing.
    Error(ServiceError),
    /// The service applies the request and answers with an error all the same.
    AppliedThen(ServiceError),
    /// Entries of a batch are left unprocessed, by their item or key.
    Leave(Arc<dyn Fn(&Value) -> bool + Send + Sync>),
    /// The request waits at the gate before it is applied.
    HoldRequest(Gate),
    /// The request waits at the gate and is answered with an error then; nothing is applied.
    HoldThenError(Gate, ServiceError),
    /// The batch waits at the gate and is left unprocessed as a whole then.
    HoldThenLeave(Gate),
    /// The answer waits at the gate; the request is applied.
    HoldAnswer(Gate),
    /// The request takes this long.
    Delay(Duration),
    /// A page of a scan ends after this many items.
    Page(u32),
}

impl Fault {
    /// Leaves the entries of a batch unprocessed that the test picks.
    pub fn leave(which: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self::Leave(Arc::new(which))
    }

    /// Leaves a whole batch unprocessed, as a success.
    pub fn leave_all() -> Self {
        Self::leave(|_| true)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fault")
    }
}

/// An error as the service answers it.
#[derive(Clone, Copy, Debug)]
pub struct ServiceError {
    status: u16,
    code: &'static str,
}

impl ServiceError {
    pub const THROTTLED: Self =
        Self { status: 400, code: "ProvisionedThroughputExceededException" };
    pub const FAILED: Self = Self { status: 500, code: "InternalServerError" };
    pub const INVALID: Self = Self { status: 400, code: "ValidationException" };
    pub const DENIED: Self = Self { status: 400, code: "AccessDeniedException" };
    pub const NO_TABLE: Self = Self { status: 400, code: "ResourceNotFoundException" };
    pub const EXPIRED: Self = Self { status: 400, code: "ExpiredTokenException" };

    fn response(self) -> HttpResponse {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{}", self.code);
        let body = json!({ "__type": kind, "message": "as the test says" }).to_string();
        let status = StatusCode::try_from(self.status).expect("a legal status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        response.headers_mut().insert("x-amzn-requestid", "TEST");
        response
    }
}

type Script = Box<dyn Fn(&Request) -> Option<Fault> + Send + Sync>;

/// The test's hand on the requests of a database.
///
/// Dropped, it fails the test if a request broke a rule that holds for all.
pub struct Faults(Arc<State>);

#[derive(Default)]
struct State {
    watch: Arc<Watch>,
    plot: Mutex<Plot>,
}

#[derive(Default)]
struct Plot {
    requests: HashMap<String, Vec<Request>>,
    next: HashMap<&'static str, VecDeque<Fault>>,
    script: HashMap<&'static str, Script>,
}

impl Faults {
    /// The same database with this between it and the SDK.
    pub fn around(database: &Database) -> (Database, Self) {
        let config = database.client().config();
        let inner = config.http_client().unwrap_or_else(|| {
            // What is not set is the SDK's own, which no configuration hands out.
            aws_smithy_http_client::Builder::new().build_http()
        });
        let state = Arc::<State>::default();
        let faulty = FaultyClient { inner, state: Arc::clone(&state) };
        let config = config.to_builder().http_client(faulty).build();
        let database =
            Database::from_client(Client::from_conf(config)).with_prefix(database.prefix());
        (database, Self(state))
    }

    /// The next request of an operation, behind those that were said before.
    pub fn next(&self, operation: &'static str, fault: Fault) {
        self.0.plot().next.entry(operation).or_default().push_back(fault);
    }

    /// The next request waits at a gate before it is applied.
    pub fn hold_next(&self, operation: &'static str) -> Gate {
        let gate = Gate::new();
        self.next(operation, Fault::HoldRequest(gate.clone()));
        gate
    }

    /// The answer to the next request waits at a gate.
    pub fn hold_next_answer(&self, operation: &'static str) -> Gate {
        let gate = Gate::new();
        self.next(operation, Fault::HoldAnswer(gate.clone()));
        gate
    }

    /// Every request of an operation for which nothing else was said.
    pub fn always(&self, operation: &'static str, fault: Fault) {
        self.script(operation, move |_| Some(fault.clone()));
    }

    /// Decides by what a request is; `None` passes it on.
    pub fn script(
        &self,
        operation: &'static str,
        script: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.0.plot().script.insert(operation, Box::new(script));
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        let mut plot = self.0.plot();
        plot.next.clear();
        plot.script.clear();
    }

    /// How many requests of an operation came.
    pub fn count(&self, operation: &str) -> usize {
        self.0.plot().requests.get(operation).map_or(0, Vec::len)
    }

    /// The requests of an operation, in the order in which they came.
    pub fn requests(&self, operation: &str) -> Vec<Request> {
        self.0.plot().requests.get(operation).cloned().unwrap_or_default()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.watch.wrong(), Vec::<String>::new(), "a request broke the rules");
        }
    }
}

impl State {
    fn plot(&self) -> MutexGuard<'_, Plot> {
        self.plot.lock().expect("no script panics")
    }

    /// Records a request and says what becomes of it.
    fn arrived(&self, request: &mut Request) -> Option<Fault> {
        let mut plot = self.plot();
        let known = plot.requests.entry(request.operation.clone()).or_default();
        request.number = known.len() + 1;
        known.push(request.clone());
        let next = plot.next.get_mut(&*request.operation).and_then(VecDeque::pop_front);
        next.or_else(|| plot.script.get(&*request.operation).and_then(|script| script(request)))
    }
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

impl FaultyConnector {
    async fn run(self, mut http: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = Request::read(&http);
        let fault = self.state.arrived(&mut request);
        let _flight = self.state.watch.begin(&request);
        match fault {
            None => self.inner.call(http).await,
            Some(Fault::Refused) => Err(broken(io::ErrorKind::ConnectionRefused)),
            Some(Fault::Broken) => Err(broken(io::ErrorKind::ConnectionReset)),
            Some(Fault::AnswerLost) => {
                self.inner.call(http).await?;
                Err(broken(io::ErrorKind::ConnectionReset))
            }
            Some(Fault::LandsLate(late)) => {
                tokio::spawn(async move {
                    tokio::time::sleep(late).await;
                    self.inner.call(http).await
                });
                Err(broken(io::ErrorKind::ConnectionReset))
            }
            Some(Fault::Error(error)) => Ok(error.response()),
            Some(Fault::AppliedThen(error)) => {
                self.inner.call(http).await?;
                Ok(error.response())
            }
            Some(Fault::Leave(which)) => self.leave(&*which, request, http).await,
            Some(Fault::HoldRequest(gate)) => {
                gate.pass().await;
                self.inner.call(http).await
            }
            Some(Fault::HoldThenError(gate, error)) => {
                gate.pass().await;
                Ok(error.response())
            }
            Some(Fault::HoldThenLeave(gate)) => {
                gate.pass().await;
                self.leave(&|_| true, request, http).await
            }
            Some(Fault::HoldAnswer(gate)) => {
                let answer = self.inner.call(http).await;
                gate.pass().await;
                answer
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.inner.call(http).await
            }
            Some(Fault::Page(items)) => {
                request.body["Limit"] = items.into();
                request.write(&mut http);
                self.inner.call(http).await
            }
        }
    }

    /// Applies a part of a batch, and adds the rest to the answer as unprocessed.
    async fn leave(
        &self,
        which: &(dyn Fn(&Value) -> bool + Send + Sync),
        mut request: Request,
        mut http: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let writes = request.operation == "BatchWriteItem";
        let unprocessed = if writes { "UnprocessedItems" } else { "UnprocessedKeys" };
        let left = request.split_off(which);
        if request.is_empty() {
            let body = json!({ unprocessed: left, "Responses": {} }).to_string();
            return Ok(HttpResponse::new(StatusCode::try_from(200).expect("legal"), body.into()));
        }
        request.write(&mut http);
        let mut answer = self.inner.call(http).await?;
        let body = aws_smithy_types::byte_stream::ByteStream::new(answer.take_body());
        let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?;
        let mut body: Value = serde_json::from_slice(&body.into_bytes()).expect("JSON");
        body[unprocessed] = left;
        let body = body.to_string();
        answer.headers_mut().insert("content-length", body.len().to_string());
        answer.headers_mut().remove("x-amz-crc32");
        *answer.body_mut() = SdkBody::from(body);
        Ok(answer)
    }
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(Box::new(io::Error::from(kind)))
}

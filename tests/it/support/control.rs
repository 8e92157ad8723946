//! A service that answers as a test says, for states of tables that no local server has.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use memory_table::Database;
use memory_table::aws_sdk_dynamodb::Client;
use serde_json::Value;

/// Answers an operation, and its number, from 1: a status and the body.
type Answer = dyn Fn(&str, usize) -> (u16, Value) + Send + Sync;

/// A service, and what it was sent.
#[derive(Clone)]
pub struct Control {
    answer: Arc<Answer>,
    sent: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Control {
    /// A database of this service.
    pub fn start(
        answer: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static,
    ) -> (Database, Self) {
        let control = Self { answer: Arc::new(answer), sent: Arc::default() };
        let local = Database::local("http://control.invalid").expect("a URL");
        let config = local.client().config().to_builder().http_client(control.clone());
        (Database::from_client(Client::from_conf(config.build())), control)
    }

    /// The requests of an operation, in their order.
    pub fn sent(&self, operation: &str) -> Vec<Value> {
        let sent = self.sent.lock().expect("nothing panics under the lock");
        sent.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }
}

/// The body of an error.
pub fn error(code: &str, message: &str) -> Value {
    serde_json::json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message})
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl HttpConnector for Control {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().expect("the body is in memory");
        let body = serde_json::from_slice(body).expect("the body is JSON");
        let mut sent = self.sent.lock().expect("nothing panics under the lock");
        let number = sent.iter().filter(|(name, _)| *name == operation).count() + 1;
        sent.push((operation.clone(), body));
        drop(sent);
        let (status, answer) = (self.answer)(&operation, number);
        let status = status.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.to_string().into())))
    }
}

impl HttpClient for Control {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

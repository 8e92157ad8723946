//! Whether the endpoint has ever answered.
//!
//! A wrong region, endpoint or key must not cost a minute of patience: until the first answer,
//! calls give up early. After it, a silence is an outage, and patience holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::failure::failure;
use crate::error::BoxError;
use crate::store::Failure;

/// For how long calls are retried before the endpoint has ever answered.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(4);
/// When a call ends that has had no answer at all; users should wait no longer than 10 s.
pub(crate) const FIRST_LIMIT: Duration = Duration::from_secs(9);

#[derive(Debug, Default)]
pub(crate) struct Contact {
    answered: AtomicBool,
    /// Where the first request went, as the SDK resolved it.
    endpoint: OnceLock<String>,
}

impl Contact {
    /// Of an endpoint that has answered.
    #[cfg(test)]
    pub(crate) fn answered() -> Self {
        Self { answered: AtomicBool::new(true), endpoint: OnceLock::new() }
    }

    /// The endpoint that requests go to, for errors; unknown before the first request.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.get().map(String::as_str)
    }

    /// Notes whether the endpoint answered, be it with an error, and says what an error means.
    ///
    /// What cannot be read as an answer of DynamoDB comes from something else: a proxy, a web
    /// server.
    pub(crate) fn heard<T, E>(
        &self,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Failure>
    where
        E: std::error::Error + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
    {
        let answered = match &result {
            Ok(_) => true,
            Err(SdkError::ServiceError(service)) => service.err().code().is_some(),
            Err(_) => false,
        };
        if answered {
            // A flag that only ever rises; nothing else is published by it.
            self.answered.store(true, Ordering::Relaxed);
        }
        result.map_err(|error| failure(error, self.endpoint()))
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Tells a [`Contact`] where the SDK sends requests, which no configuration says.
#[derive(Debug)]
pub(crate) struct NoteEndpoint(pub(crate) Arc<Contact>);

#[dyn_dispatch_hint]
impl Intercept for NoteEndpoint {
    fn name(&self) -> &'static str {
        "NoteEndpoint"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.endpoint.get_or_init(|| context.request().uri().trim_end_matches('/').to_owned());
        Ok(())
    }
}

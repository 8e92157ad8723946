//! Whether the endpoint has ever answered.
//!
//! A wrong region, endpoint or key must not cost a minute of patience: until the first answer,
//! calls give up early. After it, a silence is an outage, and patience holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;

/// For how long calls are retried before the endpoint has ever answered.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(4);
/// When a call ends that has had no answer at all; users should wait no longer than 10 s.
pub(crate) const FIRST_LIMIT: Duration = Duration::from_secs(9);

#[derive(Debug, Default)]
pub(crate) struct Contact(AtomicBool);

impl Contact {
    /// Notes whether the endpoint answered, be it with an error.
    pub(crate) fn heard<T, E>(
        &self,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, SdkError<E, HttpResponse>> {
        if matches!(&result, Ok(_) | Err(SdkError::ServiceError(_) | SdkError::ResponseError(_))) {
            // A flag that only ever rises; nothing else is published by it.
            self.0.store(true, Ordering::Relaxed);
        }
        result
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

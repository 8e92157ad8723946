//! An error as the service answers it.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) struct ServiceError {
    status: u16,
    code: String,
    pub(super) message: String,
    /// Reason and resource of `ThrottlingReasons`.
    pub(super) reasons: Vec<(String, String)>,
    cancellation: Vec<Value>,
}

impl ServiceError {
    pub(super) fn new(status: u16, code: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: "as the test says".to_owned(),
            reasons: Vec::new(),
            cancellation: Vec::new(),
        }
    }

    pub(super) fn canceled<'r>(reasons: impl IntoIterator<Item = &'r str>) -> Self {
        let reasons = reasons.into_iter().map(|code| json!({ "Code": code })).collect();
        Self { cancellation: reasons, ..Self::new(400, "TransactionCanceledException") }
    }

    pub(super) fn response(&self) -> Result<HttpResponse, ConnectorError> {
        let mut body = json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{}", self.code),
            "message": self.message,
        });
        if !self.reasons.is_empty() {
            // The one error whose members begin with a small letter.
            let small = self.code == "ThrottlingException";
            let member = if small { "throttlingReasons" } else { "ThrottlingReasons" };
            let reason = |(reason, resource): &(String, String)| json!({ "reason": reason, "resource": resource });
            body[member] = self.reasons.iter().map(reason).collect();
        }
        if !self.cancellation.is_empty() {
            body["CancellationReasons"] = Value::Array(self.cancellation.clone());
        }
        let mut response = answer(self.status, body.to_string())?;
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        response.headers_mut().insert("x-amzn-requestid", "TEST");
        Ok(response)
    }
}

/// An answer of a service.
pub(super) fn answer(status: u16, body: String) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}

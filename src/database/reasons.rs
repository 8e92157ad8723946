//! The reasons within an error's body, which the SDK hands out by the type of each error only.

use aws_sdk_dynamodb::config::http::HttpResponse;
use serde_json::Value;

use super::codes::PASSING_REASONS;
use crate::error::ThrottlingReason;

fn body(response: Option<&HttpResponse>) -> Value {
    let bytes = response.and_then(|response| response.body().bytes());
    bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
}

/// Why the service throttled, if it says so.
pub(super) fn of_throttle(response: Option<&HttpResponse>) -> Vec<ThrottlingReason> {
    let body = body(response);
    // ThrottlingException alone has the member with a small letter.
    let members = ["ThrottlingReasons", "throttlingReasons"];
    let reasons = members.iter().filter_map(|member| body[*member].as_array()).flatten();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    reasons
        .filter_map(|reason| {
            let resource = text(&reason["resource"]);
            Some(ThrottlingReason { reason: text(&reason["reason"])?, resource })
        })
        .collect()
}

/// Whether a transaction was canceled for reasons that pass, and for nothing else.
pub(super) fn pass(response: Option<&HttpResponse>) -> bool {
    let body = body(response);
    let reasons = body["CancellationReasons"].as_array().map_or(&[][..], Vec::as_slice);
    let codes = || reasons.iter().map(|reason| reason["Code"].as_str().unwrap_or_default());
    codes().any(|code| code != "None") && codes().all(|code| PASSING_REASONS.contains(&code))
}

//! From what `dynoxide` and `serde_json` say to what DynamoDB says.
//!
//! `dynoxide` checks much of a request while `serde` reads it. Such an error reaches us as text: a
//! marker that names its class, DynamoDB's message, and the position that `serde_json` adds.

use dynoxide::DynoxideError;
use serde_json::Value;

use DynoxideError::{EnvelopedValidation, SerializationException, ValidationException};

/// What DynamoDB puts before the errors it finds in the members of a request.
const ENVELOPE: &str = "1 validation error detected: ";

/// What a refusal for depth begins with.
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

/// A marker, and the error it stands for.
type Marker = (&'static str, fn(String) -> DynoxideError);

const MARKERS: [Marker; 5] = [
    ("VALIDATION_REQUEST:", EnvelopedValidation),
    ("VALIDATION_AS_READ:", ValidationException),
    ("VALIDATION:", ValidationException),
    ("SERIALIZATION_AS_READ:", SerializationException),
    ("SERIALIZATION:", SerializationException),
];

/// The members without which `dynoxide` cannot read a request, where it leaves the finding to
/// `serde`. In the other operations it finds them itself.
const REQUIRED: &[(&str, &[&str])] = &[
    ("BatchExecuteStatement", &["Statements"]),
    ("BatchGetItem", &["RequestItems"]),
    ("BatchWriteItem", &["RequestItems"]),
    ("DescribeStream", &["StreamArn"]),
    ("ExecuteStatement", &["Statement"]),
    ("ExecuteTransaction", &["TransactStatements"]),
    ("GetRecords", &["ShardIterator"]),
    ("GetShardIterator", &["StreamArn", "ShardId", "ShardIteratorType"]),
    ("SearchVectors", &["IndexName", "SearchVector", "TableName", "TopK"]),
    ("TransactGetItems", &["TransactItems"]),
    ("TransactWriteItems", &["TransactItems"]),
    ("UpdateTimeToLive", &["TableName", "TimeToLiveSpecification"]),
];

/// The error for a body that could not be read as the operation's request.
pub(super) fn unreadable(operation: &str, body: &str, error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = without_position(&text);
    let marked = |(marker, class): &Marker| {
        text.strip_prefix(marker).map(|message| class(message.to_owned()))
    };
    if let Some(error) = MARKERS.iter().find_map(marked) {
        return error;
    }
    let parsed = serde_json::from_str(body).unwrap_or(Value::Null);
    if let Some(field) = quoted(text.strip_prefix("missing field")) {
        return ValidationException(missing(operation, &parsed, field));
    }
    if let Some(variant) = quoted(text.strip_prefix("unknown variant")) {
        return ValidationException(outside_enum(&parsed, variant, text));
    }
    if text.contains("Supplied AttributeValue") || text.starts_with("empty AttributeValue") {
        return ValidationException(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                .to_owned(),
        );
    }
    SerializationException(mistyped(text))
}

/// The error in the form in which `operation` sends it.
pub(super) fn on_the_wire(operation: &str, error: DynoxideError) -> DynoxideError {
    let enveloped = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
    match error {
        EnvelopedValidation(message) if enveloped => {
            ValidationException(format!("{ENVELOPE}{message}"))
        }
        EnvelopedValidation(message) => ValidationException(number_wording(operation, message)),
        DynoxideError::ConditionalCheckFailedException(message, Some(item))
            if operation == "ExecuteStatement" =>
        {
            DynoxideError::StatementConditionalCheckFailed(message, item)
        }
        other => other,
    }
}

/// The error for a value of more than 62 levels: DynamoDB sends it without the envelope.
pub(super) fn of_deep_value(error: DynoxideError) -> DynoxideError {
    match error {
        EnvelopedValidation(message) | ValidationException(message)
            if message.trim_start_matches(ENVELOPE).starts_with(TOO_DEEP) =>
        {
            ValidationException(message.trim_start_matches(ENVELOPE).to_owned())
        }
        other => other,
    }
}

/// Batch and transaction writes have an older check of numbers, which names an empty one
/// differently.
fn number_wording(operation: &str, message: String) -> String {
    let older = ["BatchWriteItem", "TransactWriteItems", "TransactGetItems"].contains(&operation);
    match message.strip_suffix(" numeric value: ") {
        Some(start) if older => format!("{start} numeric value"),
        _ => message,
    }
}

/// Cuts off " at line 1 column 2".
fn without_position(text: &str) -> &str {
    let Some((start, position)) = text.rsplit_once(" at line ") else {
        return text;
    };
    let Some((line, column)) = position.split_once(" column ") else {
        return text;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if is_number(line) && is_number(column) { start } else { text }
}

/// What stands between the first two backticks.
fn quoted(text: Option<&str>) -> Option<&str> {
    text?.split('`').nth(1)
}

fn missing(operation: &str, body: &Value, field: &str) -> String {
    let required = REQUIRED.iter().find(|(name, _)| *name == operation).map(|(_, fields)| *fields);
    let absent = |name: &&str| body.get(*name).is_none_or(Value::is_null);
    let mut fields: Vec<&str> =
        required.unwrap_or_default().iter().copied().filter(absent).collect();
    if !fields.contains(&field) {
        fields = vec![field];
    }
    let errors: Vec<String> = fields
        .iter()
        .map(|name| {
            let name = camel(name);
            format!("Value null at '{name}' failed to satisfy constraint: Member must not be null")
        })
        .collect();
    match errors.len() {
        1 => format!("{ENVELOPE}{}", errors.concat()),
        count => format!("{count} validation errors detected: {}", errors.join("; ")),
    }
}

fn outside_enum(body: &Value, variant: &str, text: &str) -> String {
    let expected = text.split_once("expected").map_or("", |(_, expected)| expected);
    let mut known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    known.sort_unstable();
    let place = place_of(body, variant).unwrap_or_default();
    format!(
        "{ENVELOPE}Value '{variant}' at '{place}' failed to satisfy constraint: \
         Member must satisfy enum value set: [{}]",
        known.join(", ")
    )
}

/// Where the member with this value is, as DynamoDB writes it: `keySchema.1.member.keyType`.
fn place_of(body: &Value, wanted: &str) -> Option<String> {
    match body {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let inner = place_of(value, wanted)?;
            // Only enums are looked for, and `AttributeName` and `IndexName` hold the user's words.
            if name.ends_with("Name") {
                return None;
            }
            Some(if inner.is_empty() { camel(name) } else { format!("{}.{inner}", camel(name)) })
        }),
        Value::Array(elements) => elements.iter().enumerate().find_map(|(at, value)| {
            let inner = place_of(value, wanted)?;
            Some(format!("{}.member.{inner}", at + 1))
        }),
        Value::String(text) if text == wanted => Some(String::new()),
        _ => None,
    }
}

/// A member's name as DynamoDB's messages have it.
fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// DynamoDB's words for JSON of the wrong type. The SDK never sends it; a rewritten body may.
fn mistyped(text: &str) -> String {
    let Some((found, wanted)) =
        text.strip_prefix("invalid type: ").and_then(|text| text.split_once(", expected "))
    else {
        return String::new();
    };
    let wanted = match wanted {
        "a string" => "String",
        "a boolean" => "Boolean",
        "i32" | "u32" => "Integer",
        "i64" | "u64" => "Long",
        _ => return "Unexpected field type".to_owned(),
    };
    match found.split(' ').next().unwrap_or_default() {
        "string" => format!("STRING_VALUE cannot be converted to {wanted}"),
        "integer" => format!("NUMBER_VALUE cannot be converted to {wanted}"),
        "floating" => format!("DECIMAL_VALUE cannot be converted to {wanted}"),
        "boolean" if found.contains("true") => {
            format!("TRUE_VALUE cannot be converted to {wanted}")
        }
        "boolean" => format!("FALSE_VALUE cannot be converted to {wanted}"),
        "sequence" => format!("Unrecognized collection type class java.lang.{wanted}"),
        "map" => "Start of structure or map found where not expected".to_owned(),
        _ => "Unexpected field type".to_owned(),
    }
}

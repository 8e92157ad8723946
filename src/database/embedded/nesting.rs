//! Bodies nested deeper than `serde_json` reads (128 levels, which is some 60 of an attribute
//! value).
//!
//! DynamoDB reads them and refuses values of more than 32 levels. `dynoxide` does the same once it
//! gets the value, so the body is cut at a depth that can be read without overflowing the stack and
//! leaves every value that was too deep still too deep.

use serde::de::DeserializeOwned;

/// How deep a body is read: 70 levels of a value in the most wrapped place. DynamoDB words the
/// refusal of 63 levels differently from that of 33, so it must be more than 62.
const DEPTH: usize = 150;

/// Whether `serde_json` gave up because of depth.
pub(super) fn is_too_deep(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("recursion limit exceeded")
}

/// Reads a body of at most [`DEPTH`] levels.
pub(super) fn read<T: DeserializeOwned>(body: &str) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_str(body);
    reader.disable_recursion_limit();
    T::deserialize(&mut reader)
}

/// What a JSON object or array stands for in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A structure of the request.
    Request,
    /// A map whose keys are the user's names and whose values are structures of the request.
    Named,
    /// A list of maps of attribute values: `Keys`.
    Keys,
    /// A map or list of attribute values.
    Values,
    /// An attribute value, such as `{"S":"x"}`.
    Value,
}

impl Role {
    fn of_child(self, key: &str) -> Role {
        match (self, key) {
            (Role::Named, _) => Role::Request,
            (Role::Keys | Role::Value, _) => Role::Values,
            (Role::Values, _) => Role::Value,
            (Role::Request, "Item" | "Key" | "ExclusiveStartKey") => Role::Values,
            (Role::Request, "ExpressionAttributeValues") => Role::Values,
            (Role::Request, "Parameters" | "AttributeValueList") => Role::Values,
            (Role::Request, "Value") => Role::Value,
            (Role::Request, "Keys") => Role::Keys,
            (Role::Request, "RequestItems" | "Expected" | "AttributeUpdates") => Role::Named,
            (Role::Request, "ScanFilter" | "QueryFilter" | "KeyConditions") => Role::Named,
            (Role::Request, _) => Role::Request,
        }
    }
}

/// Replaces what is nested deeper than [`DEPTH`] by something empty of the same kind.
pub(super) fn cut(body: &str) -> String {
    let mut cut = Cut::default();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' { string_length(rest) } else { first.len_utf8() };
        let (token, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        cut.token(first, token);
        rest = tail;
    }
    cut.kept
}

/// The length of the JSON string that `text` starts with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[derive(Default)]
struct Cut<'a> {
    kept: String,
    /// The role of every object and array that is open and kept, and whether it is an object.
    open: Vec<(Role, bool)>,
    /// How many are open and left out.
    dropped: usize,
    /// The string read last: the key, when a value begins.
    key: &'a str,
}

impl<'a> Cut<'a> {
    fn token(&mut self, first: char, token: &'a str) {
        match first {
            '{' | '[' if self.dropped > 0 || self.open.len() >= DEPTH => self.drop_open(first),
            '{' | '[' => {
                self.open.push((self.role(), first == '{'));
            }
            '}' | ']' if self.dropped > 0 => {
                self.dropped -= 1;
                return;
            }
            '}' | ']' => {
                self.open.pop();
            }
            '"' => self.key = token.trim_matches('"'),
            _ => {}
        }
        if self.dropped == 0 {
            self.kept.push_str(token);
        }
    }

    /// The role of what begins now.
    fn role(&self) -> Role {
        match self.open.last() {
            Some((parent, true)) => parent.of_child(self.key),
            Some((parent, false)) => parent.of_child(""),
            None => Role::Request,
        }
    }

    fn drop_open(&mut self, first: char) {
        if self.dropped == 0 {
            self.kept.push_str(match first {
                '{' if self.role() == Role::Value => r#"{"NULL":true}"#,
                '{' => "{}",
                _ => "[]",
            });
        }
        self.dropped += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize, open: &str, close: &str) -> String {
        let value = format!("{}{{\"S\":\"}}]\\\"\"}}{}", open.repeat(levels), close.repeat(levels));
        format!(r#"{{"TableName":"t","Item":{{"Keys":{value},"b":{{"S":"kept"}}}}}}"#)
    }

    #[test]
    fn cut_body_is_json_and_still_too_deep() {
        for (open, close) in [(r#"{"M":{"M":"#, "}}"), (r#"{"L":["#, "]}")] {
            for levels in [70, 71, 72, 5_000, 100_000] {
                let body = cut(&nested(levels, open, close));
                let value: serde_json::Value = read(&body).unwrap();
                assert_eq!(value["Item"]["b"]["S"], "kept");
                let closing = body.matches("]}").count().max(body.matches("}}").count());
                assert!(closing >= 63, "{levels} levels were cut to {closing}");
            }
        }
    }

    #[test]
    fn shallow_body_stays_as_it_is() {
        let body = nested(20, r#"{"L":["#, "]}");
        assert_eq!(cut(&body), body);
    }
}

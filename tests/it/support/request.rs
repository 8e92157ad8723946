//! A DynamoDB request as it goes over the wire.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// A request: its operation, its place among the requests of that operation, its JSON.
#[derive(Clone, Debug)]
pub struct Request {
    /// As DynamoDB names it, such as `BatchWriteItem`.
    pub operation: String,
    /// From 1, counted for each operation.
    pub number: usize,
    pub body: Value,
    /// The length of the body in bytes.
    pub length: usize,
}

impl Request {
    /// Reads a request; its number is not known yet.
    pub fn read(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let bytes = request.body().bytes().expect("the SDK's bodies are in memory");
        let body = serde_json::from_slice(bytes).expect("a body of JSON");
        Self { operation, number: 0, body, length: bytes.len() }
    }

    /// Puts the JSON into an HTTP request, in place of its own.
    pub fn write(&self, request: &mut HttpRequest) {
        let body = self.body.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
    }

    /// The items or keys of a batch, each with its table.
    pub fn entries(&self) -> Vec<(&str, &Value)> {
        let tables = self.body["RequestItems"].as_object().into_iter().flatten();
        tables
            .flat_map(|(table, wanted)| {
                let list = wanted.as_array().or_else(|| wanted["Keys"].as_array());
                list.into_iter().flatten().map(|entry| (table.as_str(), content(entry)))
            })
            .collect()
    }

    /// Takes the entries of a batch out that are to be left unprocessed; returns them in the form
    /// in which the service returns them.
    pub fn split_off(&mut self, leave: &dyn Fn(&Value) -> bool) -> Value {
        let mut left = serde_json::Map::new();
        let Some(tables) = self.body["RequestItems"].as_object_mut() else {
            return Value::Object(left);
        };
        for (table, wanted) in tables.iter_mut() {
            let mut out = wanted.clone();
            for (value, keep) in [(&mut out, true), (wanted, false)] {
                let list = if value.is_array() { value } else { &mut value["Keys"] };
                list.as_array_mut()
                    .expect("a list of entries")
                    .retain(|entry| leave(content(entry)) == keep);
            }
            if !entries_of(&out).is_empty() {
                left.insert(table.clone(), out);
            }
        }
        tables.retain(|_, wanted| !entries_of(wanted).is_empty());
        Value::Object(left)
    }

    /// Whether a batch has nothing left to ask for.
    pub fn is_empty(&self) -> bool {
        self.body["RequestItems"].as_object().is_none_or(serde_json::Map::is_empty)
    }
}

fn entries_of(wanted: &Value) -> &[Value] {
    wanted.as_array().or_else(|| wanted["Keys"].as_array()).map_or(&[], Vec::as_slice)
}

/// The item of a put, the key of a delete or of a read.
fn content(entry: &Value) -> &Value {
    let put = entry.get("PutRequest").and_then(|put| put.get("Item"));
    let delete = entry.get("DeleteRequest").and_then(|delete| delete.get("Key"));
    put.or(delete).unwrap_or(entry)
}

//! A DynamoDB request as it goes over the wire.

use aws_sdk_dynamodb::config::http::HttpRequest;
use serde_json::{Map, Value};

/// A request as it was sent: its operation, its place among the requests of that operation, its
/// JSON.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use memory_table::Database;
/// use memory_table::testing::Faults;
///
/// let (database, faults) = Faults::around(&Database::embedded()?);
/// database.client().list_tables().limit(10).send().await?;
/// let requests = faults.requests("ListTables");
/// assert_eq!((requests[0].number, requests[0].body["Limit"].as_u64()), (1, Some(10)));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// As DynamoDB names it, such as `BatchWriteItem`.
    pub operation: String,
    /// From 1, counted for each operation.
    pub number: usize,
    /// The request in DynamoDB's JSON; null if it was none.
    pub body: Value,
    /// The length of the body in bytes.
    pub length: usize,
}

/// The operations that write items.
const WRITES: [&str; 5] =
    ["BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"];

/// The operations that read items.
const READS: [&str; 5] = ["BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"];

/// What the parts of a transaction are called.
const ACTIONS: [&str; 5] = ["Put", "Delete", "Update", "ConditionCheck", "Get"];

impl Request {
    /// Reads a request; its number is not known yet.
    pub(super) fn read(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let bytes = request.body().bytes().unwrap_or_default();
        let body = serde_json::from_slice(bytes).unwrap_or_default();
        Self { operation, number: 0, body, length: bytes.len() }
    }

    /// Whether it writes items.
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.operation.as_str())
    }

    /// Whether it reads items.
    pub fn is_read(&self) -> bool {
        READS.contains(&self.operation.as_str())
    }

    /// What it asks for, each with its table: the items of puts, the keys of everything else.
    ///
    /// Empty for Query and Scan, and for what concerns tables.
    pub fn entries(&self) -> Vec<(&str, &Value)> {
        let batch = self.body["RequestItems"].as_object().into_iter().flatten();
        let batch = batch.flat_map(|(table, wanted)| {
            entries_of(wanted).iter().map(|entry| (table.as_str(), content(entry)))
        });
        let parts = self.body["TransactItems"].as_array().into_iter().flatten();
        let parts = parts.filter_map(|part| ACTIONS.iter().find_map(|action| part.get(*action)));
        batch.chain(parts.chain([&self.body]).filter_map(single)).collect()
    }

    /// The tables that it names, each once.
    pub fn tables(&self) -> Vec<&str> {
        let alone = self.body["TableName"].as_str().into_iter();
        let mut tables: Vec<&str> =
            alone.chain(self.entries().into_iter().map(|(table, _)| table)).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Whether it reads from a table by eventually consistent reads.
    pub(super) fn is_eventually_consistent(&self, table: &str) -> bool {
        let batch = &self.body["RequestItems"][table];
        let asked = if batch.is_null() { &self.body } else { batch };
        asked["ConsistentRead"] != true
    }

    /// Takes the entries of a batch out that are to be left unprocessed, by their place and
    /// content; returns them in the form in which the service returns them.
    pub(super) fn split_off(&mut self, leave: &dyn Fn(usize, &Value) -> bool) -> Value {
        let mut left = Map::new();
        let mut place = 0;
        let Some(tables) = self.body["RequestItems"].as_object_mut() else {
            return Value::Object(left);
        };
        for (table, wanted) in tables.iter_mut() {
            let (out, kept) = entries_of(wanted).iter().cloned().partition(|entry| {
                place += 1;
                leave(place - 1, content(entry))
            });
            let mut out_of_table = wanted.clone();
            set_entries(&mut out_of_table, out);
            set_entries(wanted, kept);
            if !entries_of(&out_of_table).is_empty() {
                left.insert(table.clone(), out_of_table);
            }
        }
        tables.retain(|_, wanted| !entries_of(wanted).is_empty());
        Value::Object(left)
    }

    /// Whether a batch has nothing left to ask for.
    pub(super) fn is_empty(&self) -> bool {
        self.body["RequestItems"].as_object().is_none_or(Map::is_empty)
    }
}

/// The item or key of a request or of a part of a transaction, with its table.
fn single(request: &Value) -> Option<(&str, &Value)> {
    let entry = request.get("Item").or_else(|| request.get("Key"))?;
    Some((request["TableName"].as_str()?, entry))
}

fn entries_of(wanted: &Value) -> &[Value] {
    wanted.as_array().or_else(|| wanted["Keys"].as_array()).map_or(&[], Vec::as_slice)
}

fn set_entries(wanted: &mut Value, entries: Vec<Value>) {
    let list = if wanted.is_array() { wanted } else { &mut wanted["Keys"] };
    *list = Value::Array(entries);
}

/// The item of a put, the key of a delete or of a read.
fn content(entry: &Value) -> &Value {
    let put = entry.get("PutRequest").and_then(|put| put.get("Item"));
    let delete = entry.get("DeleteRequest").and_then(|delete| delete.get("Key"));
    put.or(delete).unwrap_or(entry)
}

//! The key attributes of the tables, which a put does not say.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::raw::Raw;
use super::request::Request;

/// The names of the key attributes of each table, as far as the service said them.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<String, Vec<String>>>);

impl Schemas {
    /// Takes in what a request says of a table, and asks for what it does not, if that is wanted.
    pub(super) async fn learn(&self, request: &Request, wanted: bool, raw: &Raw) {
        match (&*request.operation, request.body["TableName"].as_str()) {
            ("CreateTable", Some(table)) => self.set(table, &request.body),
            ("DeleteTable", Some(table)) => drop(self.0.lock().remove(table)),
            _ if wanted => {
                for (table, _) in request.entries() {
                    if !self.0.lock().contains_key(table) {
                        let asked = json!({ "TableName": table });
                        let answer = raw.json("DescribeTable", &asked).await.unwrap_or_default();
                        self.set(table, &answer["Table"]);
                    }
                }
            }
            _ => {}
        }
    }

    fn set(&self, table: &str, described: &Value) {
        let elements = described["KeySchema"].as_array().into_iter().flatten();
        let names = elements.filter_map(|element| element["AttributeName"].as_str());
        let names: Vec<String> = names.map(str::to_owned).collect();
        // A table that cannot be described now may be made later.
        if !names.is_empty() {
            self.0.lock().insert(table.to_owned(), names);
        }
    }

    /// The key of an item; the whole item, if the keys of its table are not known.
    pub(super) fn key(&self, table: &str, item: &Value) -> Value {
        match self.0.lock().get(table) {
            Some(names) => {
                let attributes = names.iter().map(|name| (name.clone(), item[name].clone()));
                Value::Object(attributes.collect::<Map<_, _>>())
            }
            None => item.clone(),
        }
    }

    /// The partition key of an item as text, if the keys of its table are known.
    pub(super) fn partition(&self, table: &str, item: &Value) -> Option<String> {
        // A schema begins with the partition key.
        self.0.lock().get(table)?.first().map(|name| item[name].to_string())
    }

    /// A key with its table as text, equal for equal keys.
    pub(super) fn place(&self, table: &str, item: &Value) -> String {
        format!("{table}: {}", self.key(table, item))
    }
}

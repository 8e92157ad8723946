//! What items were before they were written, for reads that lag behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::raw::Raw;
use super::request::Request;
use super::schemas::Schemas;

/// The images of each item before each of its writes, oldest first; null where there was no item.
#[derive(Debug, Default)]
pub(super) struct History {
    on: AtomicBool,
    images: Mutex<HashMap<String, Vec<Value>>>,
}

/// What the items of a request are before it is applied.
pub(super) type Before = Vec<(String, Value)>;

impl History {
    pub(super) fn begin(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Reads the items that a request is going to write.
    pub(super) async fn look(&self, request: &Request, schemas: &Schemas, raw: &Raw) -> Before {
        let mut before = Vec::new();
        if !self.is_on() || !request.is_write() {
            return before;
        }
        for (table, entry) in request.entries() {
            let key = schemas.key(table, entry);
            let asked = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
            let answer = raw.json("GetItem", &asked).await.unwrap_or_default();
            before.push((schemas.place(table, entry), answer["Item"].clone()));
        }
        before
    }

    /// The request was applied.
    pub(super) fn written(&self, before: Before) {
        let mut images = self.images.lock();
        for (place, image) in before {
            images.entry(place).or_default().push(image);
        }
    }

    /// Puts what was this many writes ago in place of what an eventually consistent read found.
    pub(super) fn turn_back(
        &self,
        request: &Request,
        answer: &mut Value,
        schemas: &Schemas,
        writes: usize,
    ) {
        let was = |table: &str, item: &Value| self.image(&schemas.place(table, item), writes);
        let table = request.body["TableName"].as_str().unwrap_or_default();
        let lags = |table: &str| request.is_eventually_consistent(table);
        match &*request.operation {
            "GetItem" if lags(table) => turn_item(answer, was(table, &request.body["Key"])),
            "BatchGetItem" => {
                let lagging = request.entries().into_iter().filter(|(table, _)| lags(table));
                for (table, key) in lagging {
                    let same =
                        |item: &Value| schemas.place(table, item) == schemas.place(table, key);
                    turn_found(&mut answer["Responses"][table], was(table, key), same);
                }
            }
            "Scan" | "Query" if lags(table) => turn_page(answer, |item| was(table, item)),
            _ => {}
        }
    }

    /// What an item was this many writes ago; `None` if it has not been written.
    fn image(&self, place: &str, writes: usize) -> Option<Value> {
        let images = self.images.lock();
        let images = images.get(place)?;
        images.get(images.len().saturating_sub(writes)).cloned()
    }
}

fn turn_item(answer: &mut Value, was: Option<Value>) {
    let Some(answer) = answer.as_object_mut() else {
        return;
    };
    match was {
        Some(Value::Null) => drop(answer.remove("Item")),
        Some(item) => drop(answer.insert("Item".to_owned(), item)),
        None => {}
    }
}

fn turn_found(found: &mut Value, was: Option<Value>, same: impl Fn(&Value) -> bool) {
    if let (Some(found), Some(was)) = (found.as_array_mut(), was) {
        found.retain(|item| !same(item));
        found.extend(Some(was).filter(|item| !item.is_null()));
    }
}

fn turn_page(answer: &mut Value, was: impl Fn(&Value) -> Option<Value>) {
    let Some(answer) = answer.as_object_mut() else {
        return;
    };
    let Some(Value::Array(items)) = answer.get_mut("Items") else {
        return;
    };
    let turned: Vec<Value> = std::mem::take(items)
        .into_iter()
        .map(|item| was(&item).unwrap_or(item))
        .filter(|item| !item.is_null())
        .collect();
    recount(answer, turned);
}

fn recount(answer: &mut Map<String, Value>, items: Vec<Value>) {
    answer.insert("Count".to_owned(), items.len().into());
    answer.insert("Items".to_owned(), Value::Array(items));
}

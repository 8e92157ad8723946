//! What must hold for all requests: the service's limits, and one write in flight a key.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::request::Request;
use super::schemas::Schemas;

const MAX_WRITES: usize = 25;
const MAX_READS: usize = 100;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Looks at requests as they come and go, and remembers what was wrong.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    writing: HashSet<String>,
    broken: Vec<String>,
}

/// The keys of a batch of writes that is in flight.
#[derive(Debug)]
pub(super) struct Flight {
    rules: Arc<Rules>,
    keys: Vec<String>,
}

impl Rules {
    /// Whether there are rules for a request.
    pub(super) fn concern(request: &Request) -> bool {
        most(request).is_some()
    }

    /// A request is sent; it is in flight until the value returned is dropped.
    pub(super) fn begin(self: &Arc<Self>, request: &Request, schemas: &Schemas) -> Flight {
        let mut flight = Flight { rules: Arc::clone(self), keys: Vec::new() };
        let Some(most) = most(request) else {
            return flight;
        };
        let entries = request.entries();
        let keys: Vec<String> =
            entries.into_iter().map(|(table, entry)| schemas.place(table, entry)).collect();
        let mut state = self.0.lock();
        state.check_batch(request, &keys, most);
        if request.is_write() {
            for key in &keys {
                if !state.writing.insert(key.clone()) {
                    state.broken.push(format!("{key} is in flight twice"));
                }
            }
            flight.keys = keys;
        }
        flight
    }

    /// What was wrong.
    pub(super) fn broken(&self) -> Vec<String> {
        self.0.lock().broken.clone()
    }
}

/// The most entries of a request.
fn most(request: &Request) -> Option<usize> {
    match &*request.operation {
        "BatchWriteItem" => Some(MAX_WRITES),
        "BatchGetItem" => Some(MAX_READS),
        "PutItem" | "UpdateItem" | "DeleteItem" => Some(1),
        _ => None,
    }
}

impl State {
    fn check_batch(&mut self, request: &Request, keys: &[String], most: usize) {
        let Request { operation, number, length, .. } = request;
        let different: HashSet<&String> = keys.iter().collect();
        if different.len() < keys.len() {
            self.broken.push(format!("{operation} {number} has a key twice"));
        }
        if keys.is_empty() || keys.len() > most {
            self.broken.push(format!("{operation} {number} has {} entries", keys.len()));
        }
        if *length > MAX_BYTES {
            self.broken.push(format!("{operation} {number} has {length} bytes"));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.rules.0.lock();
        for key in &self.keys {
            state.writing.remove(key);
        }
    }
}

//! What must hold for every request of every test: the service's rules, and one write in flight a
//! key.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::request::Request;

const MAX_WRITES: usize = 25;
const MAX_READS: usize = 100;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Looks at requests as they come and go, and remembers what was wrong.
#[derive(Debug, Default)]
pub struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The names of the key attributes of each table, from its creation.
    keys: HashMap<String, Vec<String>>,
    writing: HashSet<String>,
    wrong: Vec<String>,
}

/// The keys of a batch of writes that is in flight.
#[derive(Debug)]
pub struct Flight {
    watch: Arc<Watch>,
    keys: Vec<String>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics under the lock")
    }

    /// A request is sent; it is in flight until the value returned is dropped.
    pub fn begin(self: &Arc<Self>, request: &Request) -> Flight {
        let mut state = self.state();
        if request.operation == "CreateTable" {
            state.learn(&request.body);
        }
        let writes = request.operation == "BatchWriteItem";
        let mut keys = Vec::new();
        if writes || request.operation == "BatchGetItem" {
            keys = request.entries().iter().map(|(table, item)| state.key(table, item)).collect();
            state.check_batch(request, &keys, if writes { MAX_WRITES } else { MAX_READS });
        }
        if writes {
            for key in &keys {
                if !state.writing.insert(key.clone()) {
                    state.wrong.push(format!("{key} is in flight twice"));
                }
            }
        } else {
            keys.clear();
        }
        Flight { watch: Arc::clone(self), keys }
    }

    /// What was wrong.
    pub fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }
}

impl State {
    fn learn(&mut self, create: &Value) {
        let name = create["TableName"].as_str().unwrap_or_default().to_owned();
        let elements = create["KeySchema"].as_array().into_iter().flatten();
        let names = elements.filter_map(|element| element["AttributeName"].as_str());
        self.keys.insert(name, names.map(str::to_owned).collect());
    }

    fn key(&self, table: &str, item: &Value) -> String {
        let Some(names) = self.keys.get(table) else {
            return format!("{table}: {item}");
        };
        let values: Vec<String> = names.iter().map(|name| item[name].to_string()).collect();
        format!("{table}: {}", values.join(", "))
    }

    fn check_batch(&mut self, request: &Request, keys: &[String], most: usize) {
        let Request { operation, number, length, .. } = request;
        let different: HashSet<&String> = keys.iter().collect();
        if different.len() < keys.len() {
            self.wrong.push(format!("{operation} {number} has a key twice"));
        }
        if keys.is_empty() || keys.len() > most {
            self.wrong.push(format!("{operation} {number} has {} entries", keys.len()));
        }
        if *length > MAX_BYTES {
            self.wrong.push(format!("{operation} {number} has {length} bytes"));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.watch.state();
        for key in &self.keys {
            state.writing.remove(key);
        }
    }
}

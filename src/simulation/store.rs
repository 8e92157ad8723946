//! A database in memory behind the engines' seam, whose requests meet what the seed draws for them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::account::at;
use super::expressions::{Item, holds, meets, updated};
use super::fate::{Fate, Fates, Fault};
use crate::capacity::Charged;
use crate::codec::EncodedItem;
use crate::codec::tree::{Node, field, parse_item, write_fields};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyRef};
use crate::rt;
use crate::store::{
    Action, Answered, Class, Done, Failure, Form, Found, Outcome, Page, PageRequest, Returns,
    Single, Store, StoreFuture, TableRef, Wanted, Write, Written,
};

/// Where a record is: its table and its key.
type At = (Arc<str>, Key);

/// The store, and all that is known of what was done to it.
#[derive(Clone)]
pub(crate) struct SimStore(Arc<Mutex<State>>);

struct State {
    /// By the bytes of the key, so that the order is the same in every run.
    items: BTreeMap<(Arc<str>, Vec<u8>), Vec<u8>>,
    fates: Fates,
    /// The items whose writes wait for an answer.
    in_flight: HashSet<At>,
    /// The highest step that was ever stored of a record.
    steps: BTreeMap<(Arc<str>, Vec<u8>), u64>,
    /// The records that were confirmed since they were made.
    confirmed: HashSet<(Arc<str>, Vec<u8>)>,
    /// When a record was first sent since it was written or given up, and last answered.
    sent: HashMap<Key, (Instant, Instant)>,
    /// When something of a table was confirmed as written.
    written: Vec<(Arc<str>, Instant)>,
    /// Tokens of transactions that were applied.
    tokens: HashSet<Arc<str>>,
    began: Instant,
    trace: Vec<String>,
    violations: Vec<String>,
}

/// A write that waits for an answer; dropped with its request.
struct Flight {
    state: Arc<Mutex<State>>,
    of: Vec<At>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        for at in &self.of {
            state.in_flight.remove(at);
            if let Some((_, answered)) = state.sent.get_mut(&at.1) {
                *answered = Instant::now();
            }
        }
    }
}

impl State {
    fn note(&mut self, text: &str) {
        let at = self.began.elapsed().as_micros();
        self.trace.push(format!("{at:>12} {text}"));
    }

    fn violated(&mut self, what: String) {
        self.note(&format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    fn item(&self, table: &Arc<str>, key: &Key) -> Item {
        self.items.get(&(Arc::clone(table), key.as_bytes().to_vec())).cloned()
    }

    fn set(&mut self, table: &Arc<str>, key: &Key, item: Item) {
        let at = (Arc::clone(table), key.as_bytes().to_vec());
        let shown = item.as_deref().map(String::from_utf8_lossy);
        let shown = shown.map_or_else(|| "nothing".to_owned(), std::borrow::Cow::into_owned);
        self.note(&format!("  stored {key}: {shown}"));
        let Some(item) = item else {
            self.items.remove(&at);
            self.confirmed.remove(&at);
            return;
        };
        let step = step_of(&item);
        let highest = self.steps.get(&at).copied().unwrap_or_default();
        if step < highest {
            let text = format!("{key} went back from step {highest} to {step}");
            self.violated(text);
        }
        self.steps.insert(at.clone(), step.max(highest));
        self.items.insert(at, item);
    }

    fn apply(&mut self, table: &Arc<str>, key: &Key, action: &Action) -> Done {
        match action {
            Action::Put(item) => self.set(table, key, Some(item.json.clone())),
            Action::Delete(_) => self.set(table, key, None),
            Action::Single(single) => return self.apply_single(table, key, single),
        }
        Done::Written { item: None }
    }

    /// What is stored behind the place where a page begins, as much as it may have.
    fn page(&self, table: &TableRef, page: &PageRequest) -> Page {
        let read = &page.reading;
        let is_asked = |item: &[u8]| {
            let partition = read.expressions.key_condition.as_deref();
            partition.is_none_or(|condition| meets(condition, &read.expressions, item))
        };
        let segment =
            |key: &[u8]| key.iter().map(|byte| u32::from(*byte)).sum::<u32>() % page.segments;
        let of_table = self.items.iter().filter(|((name, _), _)| *name == table.name);
        let of_table = of_table.filter(|((_, key), _)| segment(key) == page.segment);
        let mut items: Vec<&[u8]> =
            of_table.map(|(_, item)| &**item).filter(|item| is_asked(item)).collect();
        let is_query = read.expressions.key_condition.is_some();
        // The place of an item among those of a query, or of a scan.
        let place = |item: &[u8]| {
            let key = crate::codec::item_key(item, table.partition_key, table.sort_key);
            let number = if is_query { sort_key(table, item) } else { None };
            (number, key.expect("a key").as_bytes().to_vec())
        };
        items.sort_by_key(|item| place(item));
        if read.descending {
            items.reverse();
        }
        if let Some(start) = page.start.as_deref().map(place) {
            let is_behind = |at| if read.descending { at < start } else { at > start };
            items.retain(|item| is_behind(place(item)));
        }
        let most = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let is_more = items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| is_more).map(|item| {
            let mut fields = parse_item(item).expect("an item");
            fields.retain(|(name, _)| {
                *name == table.partition_key || Some(&**name) == table.sort_key
            });
            let mut key = Vec::new();
            write_fields(&mut key, &fields);
            key
        });
        let items: Vec<Bytes> = items.into_iter().map(Bytes::copy_from_slice).collect();
        let count = u64::try_from(items.len()).expect("a count");
        Page { items, count, scanned: count, next }
    }

    /// Whether the service refuses an item that a write would make.
    fn is_poisonous(&self, (table, key): &At, action: &Action) -> bool {
        let poison = |item: &[u8]| {
            let fields = parse_item(item).expect("an item");
            matches!(field(&fields, "poison"), Some(Node::Bool(true)))
        };
        match action {
            Action::Put(item) => poison(&item.json),
            Action::Delete(_) => false,
            Action::Single(single) => match &single.form {
                Form::Put(item) => poison(&item.json),
                Form::Update(json) => {
                    let stored = self.item(table, key);
                    let expressions = &single.expressions;
                    holds(expressions, &stored) && poison(&updated(expressions, json, &stored))
                }
                Form::Delete(_) | Form::Add { .. } => false,
            },
        }
    }

    fn apply_single(&mut self, table: &Arc<str>, key: &Key, single: &Single) -> Done {
        let stored = self.item(table, key);
        if !holds(&single.expressions, &stored) {
            self.note(&format!("  the condition of {key} does not hold"));
            return Done::Conflict { theirs: stored };
        }
        let item = match &single.form {
            Form::Put(item) => Some(item.json.clone()),
            Form::Delete(_) => None,
            Form::Update(json) => Some(updated(&single.expressions, json, &stored)),
            Form::Add { key: json, token } => {
                if !self.tokens.insert(Arc::clone(token)) {
                    return Done::Written { item: None };
                }
                Some(updated(&single.expressions, json, &stored))
            }
        };
        let returned = item.as_ref().filter(|_| single.returns == Returns::New).cloned();
        self.set(table, key, item);
        Done::Written { item: returned }
    }
}

/// The sort key of an item, which is a number.
fn sort_key(table: &TableRef, item: &[u8]) -> Option<i64> {
    let fields = parse_item(item).expect("an item");
    match field(&fields, table.sort_key?) {
        Some(Node::N(text)) => text.parse().ok(),
        _ => None,
    }
}

/// The step of a record, which its owner raises with each change.
fn step_of(item: &[u8]) -> u64 {
    let fields = parse_item(item).expect("an item");
    match field(&fields, "step") {
        Some(Node::N(text)) => text.parse().expect("a step"),
        _ => 0,
    }
}

fn failure(class: Class, outcome: Outcome, text: &str) -> Failure {
    let (kind, code) = match class {
        Class::Throttled => (ErrorKind::Throttled, "ThrottlingException"),
        Class::Transient => (ErrorKind::Service, "InternalServerError"),
        Class::Refused => (ErrorKind::Refused, "ValidationException"),
        Class::Fatal => (ErrorKind::AccessDenied, "AccessDeniedException"),
    };
    let error = Error::new(kind, text).with_code(Some(code.to_owned()), None);
    Failure { class, outcome, error }
}

impl SimStore {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            items: BTreeMap::new(),
            fates: Fates::new(seed),
            in_flight: HashSet::new(),
            steps: BTreeMap::new(),
            confirmed: HashSet::new(),
            sent: HashMap::new(),
            written: Vec::new(),
            tokens: HashSet::new(),
            began: Instant::now(),
            trace: Vec::new(),
            violations: Vec::new(),
        })))
    }

    /// Nothing fails any more, but for what is refused for good reason.
    pub(crate) fn heal(&self) {
        let mut state = self.0.lock();
        state.note("healed");
        state.fates.heal();
    }

    /// What becomes of the next request that has no script yet.
    pub(crate) fn script(&self, fault: Fault) {
        self.0.lock().fates.script.push_back(fault);
    }

    /// From now on no request without a script is answered well, or each is again.
    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().fates.down = down;
    }

    /// Whether an answer to a write is awaited.
    pub(crate) fn is_writing(&self) -> bool {
        !self.0.lock().in_flight.is_empty()
    }

    pub(crate) fn clear_script(&self) {
        self.0.lock().fates.script.clear();
    }

    /// Somebody else stores an item, or deletes it.
    pub(crate) fn set_foreign(&self, table: &str, key: &Key, item: Item) {
        let mut state = self.0.lock();
        state.note("somebody else:");
        state.set(&Arc::from(table), key, item);
    }

    pub(crate) fn note(&self, text: &str) {
        self.0.lock().note(text);
    }

    pub(crate) fn violated(&self, what: String) {
        self.0.lock().violated(what);
    }

    /// Somebody else changes a record, if it was confirmed: where the answer to the request that made it
    /// is missing, nobody can tell what others changed behind it from what others made.
    pub(super) fn raise_theirs(&self, id: u32) -> bool {
        let mut state = self.0.lock();
        let key = Key::new(&KeyRef::composite(&at(id).0, &at(id).1)).expect("a key");
        let table = Arc::from("accounts");
        let Some(item) = state.item(&table, &key) else { return false };
        if !state.confirmed.contains(&(Arc::clone(&table), key.as_bytes().to_vec())) {
            return false;
        }
        let mut fields = parse_item(&item).expect("an item");
        let theirs = match field(&fields, "theirs") {
            Some(Node::N(text)) => text.parse().expect("a count"),
            _ => 0_u64,
        };
        fields.retain(|(name, _)| name != "theirs");
        fields.push(("theirs".into(), Node::N((theirs + 1).to_string().into())));
        let mut json = Vec::new();
        write_fields(&mut json, &fields);
        state.note("somebody else:");
        state.set(&table, &key, Some(json));
        true
    }

    /// What was not as promised.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.0.lock().violations.clone()
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.0.lock().trace.clone()
    }

    /// All items of a table.
    pub(crate) fn items(&self, table: &str) -> Vec<Vec<u8>> {
        let state = self.0.lock();
        let items = state.items.iter().filter(|((name, _), _)| **name == *table);
        items.map(|(_, item)| item.clone()).collect()
    }

    /// Draws what becomes of a request.
    fn fate(&self, operation: &str, keys: &[String], is_write: bool) -> Fate {
        let mut state = self.0.lock();
        let elapsed = state.began.elapsed();
        let mut fate = state.fates.draw(keys.len(), elapsed);
        if is_write {
            state.fates.limit(&mut fate, keys, elapsed);
        }
        state.note(&format!("{operation} {} -> {fate:?}", keys.join(" ")));
        fate
    }

    /// Notes the writes of a request until it is answered.
    fn fly(&self, of: Vec<At>) -> Flight {
        let mut state = self.0.lock();
        for (table, key) in &of {
            state.sent.entry(key.clone()).or_insert_with(|| (Instant::now(), Instant::now()));
            if !state.in_flight.insert((Arc::clone(table), key.clone())) {
                state.violated(format!("{key} of {table} is in flight twice"));
            }
        }
        drop(state);
        Flight { state: Arc::clone(&self.0), of }
    }

    /// Applies writes as their fate says, and returns what of them is left and what came of the last.
    async fn write(
        &self,
        operation: &str,
        writes: Vec<(At, Action)>,
    ) -> Result<(Vec<usize>, Done), Failure> {
        let keys: Vec<String> = writes.iter().map(|((_, key), _)| key.to_string()).collect();
        let fate = self.fate(operation, &keys, true);
        let _flight = self.fly(writes.iter().map(|(at, _)| at.clone()).collect());
        rt::sleep(fate.before).await;
        if let Some(failure) = fate.failure_before() {
            if let Some(late) = fate.late {
                self.apply_late(late, writes);
            }
            return Err(failure);
        }
        if writes.iter().any(|(at, action)| self.0.lock().is_poisonous(at, action)) {
            return Err(failure(Class::Refused, Outcome::NotWritten, "an item is poisonous"));
        }
        let mut done = Done::Written { item: None };
        {
            let mut state = self.0.lock();
            for (place, ((table, key), action)) in writes.iter().enumerate() {
                if !fate.unprocessed.contains(&place) {
                    done = state.apply(table, key, action);
                }
            }
        }
        rt::sleep(fate.after).await;
        if let Some(failure) = fate.failure_after() {
            return Err(failure);
        }
        let mut state = self.0.lock();
        for (place, ((table, key), _)) in writes.iter().enumerate() {
            if matches!(done, Done::Written { .. }) && !fate.unprocessed.contains(&place) {
                let at = (Arc::clone(table), key.as_bytes().to_vec());
                if state.items.contains_key(&at) {
                    state.confirmed.insert(at);
                }
                state.sent.remove(key);
                state.written.push((Arc::clone(table), Instant::now()));
            }
        }
        Ok((fate.unprocessed, done))
    }

    /// A record was given up: how long nothing of its table had been written when it was answered last; if it
    /// `waited` for the table to take anything, at the most since it was sent first.
    pub(super) fn given_up(&self, table: &str, key: &Key, waited: bool) -> Option<Duration> {
        let mut state = self.0.lock();
        if state.in_flight.iter().any(|(_, flying)| flying == key) {
            // The next flush has begun.
            return None;
        }
        let ((sent, answered), now) = (state.sent.remove(key)?, Instant::now());
        let of_table = state.written.iter().filter(|(of, _)| **of == *table);
        let written = of_table.map(|(_, written)| *written);
        if waited {
            // In the order in which they came.
            let times: Vec<_> = written.filter(|written| *written > sent).collect();
            let (from, to) = (iter::once(&sent).chain(&times), times.iter().chain([&now]));
            return from.zip(to).map(|(from, to)| *to - *from).max();
        }
        let before = written.filter(|written| *written < answered);
        Some(answered - before.max().unwrap_or(sent).max(sent))
    }

    fn apply_late(&self, late: Duration, writes: Vec<(At, Action)>) {
        let store = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            let mut state = store.0.lock();
            state.note("late:");
            for (at, action) in &writes {
                if !state.is_poisonous(at, action) {
                    let _done = state.apply(&at.0, &at.1, action);
                }
            }
        });
    }

    /// Reads what the fate leaves of keys.
    async fn read(
        &self,
        operation: &str,
        table: &TableRef,
        keys: &[Wanted],
    ) -> Result<Found, Failure> {
        let named: Vec<String> = keys.iter().map(|wanted| wanted.key.to_string()).collect();
        let fate = self.fate(operation, &named, false);
        rt::sleep(fate.before).await;
        if let Some(failure) = fate.failure_before() {
            return Err(failure);
        }
        let left = |place: &usize| keys.len() > 1 && fate.unprocessed.contains(place);
        let items = {
            let state = self.0.lock();
            let read = keys.iter().enumerate().filter(|(place, _)| !left(place));
            read.filter_map(|(_, wanted)| state.item(&table.name, &wanted.key))
                .map(Bytes::from)
                .collect()
        };
        rt::sleep(fate.after).await;
        let unprocessed = (0..keys.len()).filter(left).collect();
        fate.failure_after().map_or(Ok(Found { items, unprocessed }), Err)
    }
}

/// An answer for which a unit is charged.
fn charged<T>(table: &TableRef, value: T) -> Answered<T> {
    Answered { value, charged: Charged::one(table, 1.0) }
}

impl Store for SimStore {
    fn batch_write<'a>(
        &'a self,
        tables: &'a [TableRef],
        batch: &'a [Write],
    ) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let at =
                |write: &Write| (Arc::clone(&tables[write.at.table].name), write.at.key.clone());
            if batch.len() > 25 {
                self.violated(format!("a batch of {}", batch.len()));
            }
            let writes = batch.iter().map(|write| (at(write), write.action.clone())).collect();
            let (unprocessed, _) = self.write("BatchWriteItem", writes).await?;
            Ok(charged(&tables[0], Written { unprocessed }))
        })
    }

    fn write_single<'a>(
        &'a self,
        table: &'a TableRef,
        single: &'a Single,
    ) -> StoreFuture<'a, Done> {
        Box::pin(async move {
            let json = match &single.form {
                Form::Put(item) => &item.json,
                Form::Update(key) | Form::Delete(key) | Form::Add { key, .. } => key,
            };
            let key = crate::codec::item_key(json, table.partition_key, table.sort_key);
            let at = (Arc::clone(&table.name), key.expect("a key"));
            let action = Action::Single(Box::new(single.clone()));
            let (_, done) = self.write(single.form.name(), vec![(at, action)]).await?;
            Ok(charged(table, done))
        })
    }

    fn batch_get<'a>(
        &'a self,
        table: &'a TableRef,
        keys: &'a [Wanted],
        _consistent: bool,
    ) -> StoreFuture<'a, Found> {
        Box::pin(async move { Ok(charged(table, self.read("BatchGetItem", table, keys).await?)) })
    }

    fn get<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
        _consistent: bool,
    ) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = self.read("GetItem", table, std::slice::from_ref(key)).await?;
            Ok(charged(table, found.items.into_iter().next().map(|item| item.to_vec())))
        })
    }

    fn put<'a>(&'a self, table: &'a TableRef, item: &'a EncodedItem) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let key = crate::codec::item_key(&item.json, table.partition_key, table.sort_key);
            let at = (Arc::clone(&table.name), key.expect("a key"));
            self.write("PutItem", vec![(at, Action::Put(item.clone()))]).await?;
            Ok(charged(table, ()))
        })
    }

    fn delete<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
    ) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let at = (Arc::clone(&table.name), key.key.clone());
            let before = self.0.lock().item(&table.name, &key.key);
            let delete = Action::Delete(key.json.clone());
            self.write("DeleteItem", vec![(at, delete)]).await?;
            Ok(charged(table, before))
        })
    }

    fn page<'a>(&'a self, table: &'a TableRef, page: &'a PageRequest) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            assert!(page.reading.expressions.filter.is_none(), "filters are not simulated");
            assert!(page.reading.index.is_none(), "indexes are not simulated");
            let fate = self.fate(page.reading.operation(), &[], false);
            rt::sleep(fate.before).await;
            if let Some(failure) = fate.failure_before() {
                return Err(failure);
            }
            let page = self.0.lock().page(table, page);
            rt::sleep(fate.after).await;
            fate.failure_after().map_or(Ok(charged(table, page)), Err)
        })
    }
}

/// A failure that the fate says.
pub(super) fn drawn(class: Class, outcome: Outcome) -> Failure {
    failure(class, outcome, "the seed says so")
}

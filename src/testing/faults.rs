//! The test's hand on the requests of a database.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::capacity::{Limits, TableCapacity};
use super::chaos::Chaos;
use super::fault::Fault;
use super::gate::Gate;
use super::history::History;
use super::raw::Raw;
use super::request::Request;
use super::rules::Rules;
use super::schemas::Schemas;
use super::wire;
use crate::database::Database;

/// The operations of the service.
const OPERATIONS: &str = "BatchExecuteStatement BatchGetItem BatchWriteItem CreateBackup \
    CreateGlobalTable CreateTable DeleteBackup DeleteItem DeleteResourcePolicy DeleteTable \
    DescribeBackup DescribeContinuousBackups DescribeContributorInsights DescribeEndpoints \
    DescribeExport DescribeGlobalTable DescribeGlobalTableSettings DescribeImport \
    DescribeKinesisStreamingDestination DescribeLimits DescribeTable \
    DescribeTableReplicaAutoScaling DescribeTimeToLive DisableKinesisStreamingDestination \
    EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction \
    ExportTableToPointInTime GetItem GetResourcePolicy ImportTable ListBackups \
    ListContributorInsights ListExports ListGlobalTables ListImports ListTables \
    ListTagsOfResource PutItem PutResourcePolicy Query RestoreTableFromBackup \
    RestoreTableToPointInTime Scan TagResource TransactGetItems TransactWriteItems UntagResource \
    UpdateContinuousBackups UpdateContributorInsights UpdateGlobalTable \
    UpdateGlobalTableSettings UpdateItem UpdateKinesisStreamingDestination UpdateTable \
    UpdateTableReplicaAutoScaling UpdateTimeToLive";

type Script = Arc<dyn Fn(&Request) -> Option<Fault> + Send + Sync>;

/// The script of what becomes of a database's requests, and the record of them.
///
/// For each request the first of these that says something holds: [`nth`](Self::nth),
/// [`next`](Self::next), [`always`](Self::always) or [`script`](Self::script),
/// [`chaos`](Self::chaos). Without any it is passed on.
///
/// Operations are named as DynamoDB names them: `BatchWriteItem`, `Query`. Requests are HTTP
/// attempts, retries included.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use memory_table::Database;
/// use memory_table::testing::{Fault, Faults};
///
/// let (database, faults) = Faults::around(&Database::embedded()?);
/// faults.next("ListTables", Fault::failed());
/// faults.next("ListTables", Fault::connection_reset());
/// database.client().list_tables().send().await?; // the SDK tries three times
/// assert_eq!((faults.count("ListTables"), faults.pending()), (3, 0));
/// # Ok(()) }
/// ```
///
/// # Panics
///
/// The functions that take an operation's name panic if the service has none of that name: a
/// misspelt fault would never happen, and its test would pass for the wrong reason.
#[derive(Debug)]
pub struct Faults(Arc<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) raw: Raw,
    pub(super) rules: Arc<Rules>,
    pub(super) schemas: Schemas,
    pub(super) history: History,
    pub(super) limits: Limits,
    plot: Mutex<Plot>,
    enforced: AtomicBool,
}

#[derive(Default)]
struct Plot {
    requests: Vec<Request>,
    counts: HashMap<String, usize>,
    nth: HashMap<(String, usize), Fault>,
    next: HashMap<String, VecDeque<Fault>>,
    scripts: HashMap<String, Script>,
    chaos: Option<Chaos>,
}

impl Faults {
    /// The same database with this between it and the SDK: prefix, patience and timeouts are kept.
    ///
    /// The database that was given stays as it is, for looking at what is stored and for writing
    /// behind the back of the other.
    ///
    /// For batches the keys of their tables are asked for, past the record: one DescribeTable for
    /// each table that was not created here.
    #[must_use]
    pub fn around(database: &Database) -> (Database, Self) {
        let config = database.client().config();
        let inner = config.http_client().unwrap_or_else(wire::default_client);
        let state = Arc::new(State {
            raw: Raw::new(config, inner.clone()),
            rules: Arc::default(),
            schemas: Schemas::default(),
            history: History::default(),
            limits: Limits::default(),
            plot: Mutex::default(),
            enforced: AtomicBool::new(false),
        });
        (database.over(wire::client(inner, Arc::clone(&state))), Self(state))
    }

    /// The next request of an operation, behind those of which this was said before.
    pub fn next(&self, operation: &str, fault: Fault) {
        let operation = self.announced(operation, &fault);
        self.0.plot.lock().next.entry(operation).or_default().push_back(fault);
    }

    /// The request of an operation with this number, from 1, counted from the beginning.
    pub fn nth(&self, operation: &str, number: usize, fault: Fault) {
        let operation = self.announced(operation, &fault);
        self.0.plot.lock().nth.insert((operation, number), fault);
    }

    /// The next request waits at a gate before it is applied.
    pub fn hold_next(&self, operation: &str) -> Gate {
        let gate = Gate::new();
        self.next(operation, Fault::none().held_at(&gate));
        gate
    }

    /// The answer to the next request waits at a gate; the request is applied.
    pub fn hold_next_answer(&self, operation: &str) -> Gate {
        let gate = Gate::new();
        self.next(operation, Fault::none().answer_held_at(&gate));
        gate
    }

    /// Every request of an operation. It replaces what was said of all before.
    pub fn always(&self, operation: &str, fault: Fault) {
        self.announced(operation, &fault);
        self.script(operation, move |_| Some(fault.clone()));
    }

    /// Decides by what a request is; `None` leaves it to [`chaos`](Self::chaos), or passes it on.
    pub fn script(
        &self,
        operation: &str,
        script: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.0.plot.lock().scripts.insert(known(operation), Arc::new(script));
    }

    /// Faults by chance for every request of items of which nothing else was said.
    pub fn chaos(&self, chaos: Chaos) {
        if chaos.is_ever_stale() {
            self.keep_history();
        }
        self.0.plot.lock().chaos = Some(chaos);
    }

    /// From now on a table, by its full name, has no more than this capacity. It replaces the one before.
    ///
    /// Scripted faults and chaos come before it: what they do not pass on consumes nothing.
    pub fn limit(&self, table: &str, capacity: &TableCapacity) {
        self.0.limits.set(table, capacity);
    }

    /// Nothing fails any more. What is in flight goes on as it was said.
    pub fn heal(&self) {
        let mut plot = self.0.plot.lock();
        plot.nth.clear();
        plot.next.clear();
        plot.scripts.clear();
        plot.chaos = None;
    }

    /// How many faults of [`next`](Self::next) and [`nth`](Self::nth) no request has met yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        let plot = self.0.plot.lock();
        plot.nth.len() + plot.next.values().map(VecDeque::len).sum::<usize>()
    }

    /// From now on the items are read before each write, for [`Fault::stale`].
    ///
    /// `next`, `nth` and `always` of a stale read begin it too.
    pub fn keep_history(&self) {
        self.0.history.begin();
    }

    /// How many requests of an operation came.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.0.plot.lock().counts.get(&known(operation)).copied().unwrap_or(0)
    }

    /// The requests of an operation, in the order in which they came.
    #[must_use]
    pub fn requests(&self, operation: &str) -> Vec<Request> {
        let operation = known(operation);
        let plot = self.0.plot.lock();
        plot.requests.iter().filter(|request| request.operation == operation).cloned().collect()
    }

    /// All requests, in the order in which they came.
    #[must_use]
    pub fn all_requests(&self) -> Vec<Request> {
        self.0.plot.lock().requests.clone()
    }

    /// How requests broke the service's rules, which the embedded database and DynamoDB Local do
    /// not all enforce: at most 25 writes or 100 keys a batch, at most 16 MB, no key twice. And
    /// ours: no key in two batches of writes in flight.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<String> {
        self.0.rules.broken()
    }

    /// From now on dropping this panics if a request broke a rule, see
    /// [`broken_rules`](Self::broken_rules).
    pub fn enforce_rules(&self) {
        self.0.enforced.store(true, Ordering::Relaxed);
    }

    /// Makes ready for a fault; the name of its operation.
    fn announced(&self, operation: &str, fault: &Fault) -> String {
        if fault.is_stale() {
            self.keep_history();
        }
        known(operation)
    }
}

fn known(operation: &str) -> String {
    let known = OPERATIONS.split_whitespace().any(|name| name == operation);
    assert!(known, "`{operation}` is no operation of DynamoDB");
    operation.to_owned()
}

impl Drop for Faults {
    fn drop(&mut self) {
        if self.0.enforced.load(Ordering::Relaxed) && !std::thread::panicking() {
            assert_eq!(self.broken_rules(), Vec::<String>::new(), "a request broke the rules");
        }
    }
}

impl State {
    /// Records a request and says what becomes of it.
    pub(super) fn arrived(&self, request: &mut Request) -> Option<Fault> {
        let (said, script, chaos) = self.plot.lock().record(request);
        // The script is the test's own code, which may call the faults.
        let said = said.or_else(|| script.and_then(|script| script(request)));
        let fault = said.or_else(|| chaos.and_then(|chaos| chaos.fault(request)));
        fault.filter(|fault| fault.meets(request))
    }
}

impl Plot {
    fn record(&mut self, request: &mut Request) -> (Option<Fault>, Option<Script>, Option<Chaos>) {
        let count = self.counts.entry(request.operation.clone()).or_default();
        *count += 1;
        request.number = *count;
        self.requests.push(request.clone());
        let nth = self.nth.remove(&(request.operation.clone(), request.number));
        let next = || self.next.get_mut(&request.operation).and_then(VecDeque::pop_front);
        let said = nth.or_else(next);
        (said, self.scripts.get(&request.operation).cloned(), self.chaos)
    }
}

impl fmt::Debug for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plot")
            .field("counts", &self.counts)
            .field("nth", &self.nth)
            .field("next", &self.next)
            .field("chaos", &self.chaos)
            .finish_non_exhaustive()
    }
}

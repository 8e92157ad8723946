//! Where the tables are: AWS, a local server, or the embedded database.

mod builder;
mod codes;
pub(crate) mod contact;
#[cfg(feature = "embedded")]
mod embedded;
mod description;
mod failure;
mod keys;
mod list;
mod reasons;
mod schema;
mod sdk;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use parking_lot::Mutex;

pub use builder::DatabaseBuilder;
pub use description::{
    BillingMode, IndexDescription, ProjectedAttributes, TableDescription, TableStatus,
};
pub(crate) use keys::{TableKeys, Wanting};
pub(crate) use schema::{Look, SchemaCell};

use crate::error::{Error, ErrorKind};
use crate::logging::Access;
use crate::manage::CreateIfMissing;
use crate::pace::Pace;
use crate::record::Record;
use crate::retry::{Attempts, Patience, RetryPolicy};
use crate::spec::TableSpec;
use crate::store::{Answered, Failure, Store, short_name};
use crate::table::Table;
use contact::Contact;

/// What requests to the embedded database are addressed to; nobody connects to it.
const EMBEDDED_URL: &str = "http://embedded.invalid";
/// How long without progress before a call gives up, unless a memory table says otherwise.
pub(crate) const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt may take. The SDK itself waits for ever.
pub(crate) const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// A DynamoDB to work on, with an optional prefix for the names of its tables.
///
/// Cheap to clone; clones share one connection pool. Several databases and prefixes live side by
/// side in one program, nothing is global.
///
/// # Retries
///
/// Each call is retried by one layer, so that attempts do not multiply:
///
/// | Calls | Retried by | Until |
/// |---|---|---|
/// | of [`Table`], [`MemoryTable`](crate::MemoryTable) | this crate | patience ends: a time without progress, 60 s by default |
/// | of [`client`](Self::client) | the SDK | its number of attempts, 3 by default |
///
/// This crate's requests go through a client with the SDK's retries off. They take nothing from the
/// budget of retries that all SDK clients of a process and region share, so a flush that is
/// throttled for a minute leaves other clients theirs. Below both, an attempt ends after the
/// attempt timeout, 15 s by default; connections and sockets retry nothing.
///
/// Throttles, failures of the service and of the connection are sent again; what the service
/// refuses is not; a missing table, missing permission and bad credentials end the call at once.
///
/// # The first answer
///
/// Until the endpoint has answered once, calls end within 10 s with an error that says what was
/// tried and what to set; after that a silence is an outage, and patience holds.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use memory_table::Database;
///
/// let production_like = Database::embedded()?;
/// let staging = production_like.with_prefix("staging_");
/// assert_eq!(staging.prefix(), "staging_");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    prefix: Arc<str>,
    patience: Duration,
    clock: Clock,
}

/// Says what time it is.
#[derive(Clone)]
struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

struct Inner {
    /// The users' client, with the SDK's retries.
    client: Client,
    /// Ours, without.
    single: Client,
    store: Arc<dyn Store>,
    contact: Arc<Contact>,
    embedded: bool,
    /// What is known of the tables, by full name: each is described once.
    schemas: Mutex<HashMap<Arc<str>, Arc<SchemaCell>>>,
    /// How fast the tables are read and written, by their names without what an ARN has in front.
    paces: Mutex<HashMap<String, Arc<Pace>>>,
}

impl Database {
    /// An embedded database in memory; it ends with the last clone of this value.
    ///
    /// It speaks through the SDK like any other, in this process: no server, no port, no files.
    /// It throttles nothing and never leaves items unprocessed. Units of indexes stay as the table is made
    /// with them, an index that is added later has none, and items stay past their time to live.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Embedded`] if SQLite cannot be started.
    ///
    /// # Operations
    ///
    #[doc = include_str!("database/embedded/operations.md")]
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Result<Self, Error> {
        let engine = embedded::Engine::memory().map_err(|source| {
            Error::new(ErrorKind::Embedded, "the embedded database could not be started")
                .caused_by(source)
        })?;
        Ok(Self::from_engine(&engine))
    }

    /// An embedded database in a file, made if it does not exist; it survives a restart.
    ///
    /// Each item is a transaction of its own and synced to the disk, so writing is far slower than
    /// in memory. Open a file once: two programs on one file block each other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Embedded`] if the file cannot be made or is no database.
    #[cfg(feature = "embedded")]
    pub fn embedded_at(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let engine = embedded::Engine::open(path).map_err(|source| {
            let text = format!("the embedded database `{}` could not be opened", path.display());
            Error::new(ErrorKind::Embedded, text).caused_by(source)
        })?;
        Ok(Self::from_engine(&engine))
    }

    #[cfg(feature = "embedded")]
    fn from_engine(engine: &embedded::Engine) -> Self {
        let config = builder::local_config(EMBEDDED_URL).http_client(engine.http_client());
        Self::assemble(Client::from_conf(config.build()), true, None)
    }

    /// A DynamoDB server at a URL, such as DynamoDB Local at `http://localhost:8000`.
    ///
    /// Credentials and region are those of the environment variables AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION; without them fixed ones
    /// (`local`, `us-east-1`) that every local server takes. Nothing else is looked up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the URL is none. No request is sent here.
    pub fn local(url: impl AsRef<str>) -> Result<Self, Error> {
        let url = builder::checked_url(url.as_ref())?;
        Ok(Self::from_client(Client::from_conf(builder::local_config(url).build())))
    }

    /// DynamoDB as the environment says: region, credentials, profile and endpoint by the same
    /// rules as every AWS tool, `AWS_ENDPOINT_URL_DYNAMODB` included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if no region is set. Credentials are looked up by the first
    /// request.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed; it can be dropped and called again.
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().build().await
    }

    /// A database from an SDK client of your own; its credentials, endpoint, HTTP client and
    /// interceptors are used for everything.
    ///
    /// Batches, queries and scans have bodies of this crate's own: of the input of a batch its interceptors see the
    /// tables alone, which they must leave as they are, and of these outputs nothing.
    ///
    /// Its retry settings hold for [`client`](Self::client) only: this crate's calls are sent once
    /// each and retried by this crate. Its timeouts are kept; where no attempt timeout is set, it
    /// is 15 s. That ends answers that stall too, so the SDK's own protection against those is off, unless the
    /// attempt timeout is disabled.
    #[must_use]
    pub fn from_client(client: Client) -> Self {
        Self::assemble(client, false, None)
    }

    /// Options: region, credentials, profile, endpoint, prefix, timeouts.
    pub fn builder() -> DatabaseBuilder {
        DatabaseBuilder::default()
    }

    fn assemble(client: Client, embedded: bool, attempt_timeout: Option<Duration>) -> Self {
        let contact = Arc::new(Contact::default());
        let mut timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(attempt_timeout.unwrap_or(DEFAULT_ATTEMPT_TIMEOUT))
            .build();
        if let (None, Some(theirs)) = (attempt_timeout, client.config().timeout_config()) {
            let mut merged = theirs.clone();
            merged.take_defaults_from(&timeouts);
            timeouts = merged;
        }
        let config = client.config().to_builder();
        let mut config = config.retry_config(RetryConfig::disabled());
        if timeouts.operation_attempt_timeout().is_some() {
            // It ends what stalls too; a timer for each answer is a tenth of what a request costs.
            config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
        }
        let config = config.timeout_config(timeouts);
        let config = config.interceptor(contact::NoteEndpoint(Arc::clone(&contact)));
        let single = Client::from_conf(config.build());
        let store = sdk::SdkStore { client: single.clone(), contact: Arc::clone(&contact) };
        let inner = Inner {
            client,
            single,
            store: Arc::new(store),
            contact,
            embedded,
            schemas: Mutex::default(),
            paces: Mutex::default(),
        };
        Self::of(inner)
    }

    fn of(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            prefix: Arc::from(""),
            patience: DEFAULT_PATIENCE,
            clock: Clock(Arc::new(SystemTime::now)),
        }
    }

    /// A database that is this store, with these tables; nothing else of it can be asked.
    #[cfg(test)]
    pub(crate) fn simulated(store: Arc<dyn Store>, tables: &[&str]) -> Self {
        static CLIENT: std::sync::OnceLock<Client> = std::sync::OnceLock::new();
        let client = CLIENT.get_or_init(|| {
            Client::from_conf(builder::local_config("http://simulated.invalid").build())
        });
        let inner = Inner {
            client: client.clone(),
            single: client.clone(),
            store,
            contact: Arc::new(Contact::answered()),
            embedded: false,
            schemas: Mutex::default(),
            paces: Mutex::default(),
        };
        let database = Self::of(inner);
        for table in tables {
            database.schema(&Arc::from(*table)).trust();
        }
        database
    }

    /// Whether both send to the same service by the same client.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The same database over another HTTP client, as if never asked before.
    #[cfg(feature = "test-util")]
    pub(crate) fn over(&self, http: aws_sdk_dynamodb::config::SharedHttpClient) -> Self {
        let config = self.inner.client.config().to_builder().http_client(http);
        let client = Client::from_conf(config.build());
        let new = Self::assemble(client, self.inner.embedded, Some(self.attempt_timeout()));
        Self { inner: new.inner, ..self.clone() }
    }

    /// The same database with a prefix for the names of its tables, such as `staging_`.
    ///
    /// It replaces a prefix set before. The client of [`client`](Self::client) knows no prefix.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Self {
        Self { prefix: Arc::from(prefix), ..self.clone() }
    }

    /// The same database with another patience: how long calls are retried without progress.
    ///
    /// Default: 60 s, which outlasts a failover or a scaling step of the service. Memory tables of
    /// this database begin with it.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The same database with another clock, which says the times of `#[record(created)]` and
    /// `#[record(updated)]`.
    ///
    /// Default: the system's.
    #[must_use]
    pub fn with_clock(&self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Clock(Arc::new(clock)), ..self.clone() }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock.0)()
    }

    /// The prefix of the names of its tables; empty if there is none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The SDK's client, for everything that this crate does not do; the embedded database included.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Whether this is the embedded database.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.inner.embedded
    }

    /// The table of a record type, by the name that the type gives. No request is sent.
    #[must_use]
    pub fn table<T: Record>(&self) -> Table<T> {
        self.table_named(T::TABLE)
    }

    /// The table of a record type under another name, or an ARN. No request is sent.
    #[must_use]
    pub fn table_named<T: Record>(&self, name: &str) -> Table<T> {
        Table::new(self.clone(), name)
    }

    /// Creates a table that no record type describes, if it does not exist, and waits until it and
    /// its indexes can be used. See [`Table::create_if_missing`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] before any request if there can be no such table,
    /// [`ErrorKind::TableMismatch`] if it exists and differs, with all that differs,
    /// [`ErrorKind::Timeout`] if it is not active in time, or why it could not be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the table may be created all the same; calling it again goes on.
    pub fn create_if_missing(&self, spec: TableSpec) -> CreateIfMissing {
        let name = self.full_name(&spec.name);
        CreateIfMissing::new(self.clone(), name, spec, Wanting::Spec)
    }

    /// Makes a table that no record type describes as it is wanted: creates it, or adds what it lacks.
    /// See [`Table::ensure`].
    ///
    /// # Errors
    ///
    /// As for [`create_if_missing`](Self::create_if_missing).
    ///
    /// # Cancel safety
    ///
    /// Dropped, some of it may be done; calling it again goes on.
    pub fn ensure(&self, spec: TableSpec) -> CreateIfMissing {
        self.create_if_missing(spec).adding()
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The client whose requests are sent once each.
    pub(crate) fn single(&self) -> &Client {
        &self.inner.single
    }

    pub(crate) fn contact(&self) -> &Arc<Contact> {
        &self.inner.contact
    }

    /// Asks the service about tables until it answers or patience ends.
    pub(crate) async fn ask<O, E, F>(
        &self,
        asked: Access<'_>,
        patience: &Patience,
        call: impl Fn() -> F,
    ) -> Result<O, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let mut attempts = patience.attempts();
        loop {
            let access = Access { requests: attempts.sent + 1, ..asked };
            match self.attempt(&mut attempts, access, Box::pin(call())).await {
                Ok(output) => return Ok(output),
                Err(failed) => {
                    let waited = attempts.wait(failed).await;
                    waited.map_err(|error| asked.place(error))?;
                }
            }
        }
    }

    /// Sends one request about tables, which costs no capacity. The SDK's futures are 20 KB: boxed, ours
    /// stay small.
    pub(crate) async fn attempt<O, E>(
        &self,
        attempts: &mut Attempts<'_>,
        access: Access<'_>,
        call: Pin<Box<impl Future<Output = Result<O, SdkError<E, HttpResponse>>>>>,
    ) -> Result<O, Failure>
    where
        E: std::error::Error + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
    {
        let heard = async { self.contact().heard(call.await).map(Answered::free) };
        access.sent(attempts.attempt(heard)).await.map(|answered| answered.value)
    }

    /// How long one attempt may take.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        let timeouts = self.inner.single.config().timeout_config();
        timeouts
            .and_then(TimeoutConfig::operation_attempt_timeout)
            .unwrap_or(DEFAULT_ATTEMPT_TIMEOUT)
    }

    pub(crate) fn default_patience(&self) -> Patience {
        Patience {
            policy: RetryPolicy::default(),
            patience: self.patience,
            contact: Arc::clone(&self.inner.contact),
        }
    }

    /// The full name of a table.
    pub(crate) fn full_name(&self, name: &str) -> Result<Arc<str>, Error> {
        let arn = name.starts_with("arn:");
        if arn && !self.prefix.is_empty() {
            let text =
                format!("the table `{name}` is an ARN, which takes no prefix (`{}`)", self.prefix);
            return Err(Error::new(ErrorKind::Configuration, text)
                .advise("use the table's name, or a database without prefix"));
        }
        // A prefix alone is no name either.
        let prefix = if name.is_empty() { "" } else { &self.prefix };
        let full = format!("{prefix}{name}");
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if arn || ((3..=255).contains(&full.len()) && full.chars().all(legal)) {
            return Ok(full.into());
        }
        let text = format!("`{full}` is no name of a table");
        Err(Error::new(ErrorKind::Configuration, text)
            .advise("names have 3 to 255 of the characters a-z, A-Z, 0-9, `_`, `-` and `.`"))
    }

    pub(crate) fn schema(&self, name: &Arc<str>) -> Arc<SchemaCell> {
        Arc::clone(self.inner.schemas.lock().entry(Arc::clone(name)).or_default())
    }

    /// The pace of a table, whoever uses it.
    pub(crate) fn pace(&self, name: &str) -> Arc<Pace> {
        let mut paces = self.inner.paces.lock();
        if let Some(pace) = paces.get(short_name(name)) {
            return Arc::clone(pace);
        }
        let pace = Arc::new(Pace::new());
        paces.insert(short_name(name).to_owned(), Arc::clone(&pace));
        pace
    }

    /// Forgets what is known of a table, because it was deleted.
    pub(crate) fn forget_schema(&self, name: &Arc<str>) {
        self.inner.schemas.lock().remove(name);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("prefix", &self.prefix)
            .field("embedded", &self.inner.embedded)
            .finish_non_exhaustive()
    }
}

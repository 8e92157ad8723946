//! Tables of a test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::database::Database;
use crate::error::Error;
use crate::manage;

/// A prefix of table names that no other test has, and the clean-up of its tables.
///
/// Deleting tables takes requests, which `drop` cannot send: dropped without
/// [`clean_up`](Self::clean_up) or [`keep`](Self::keep) it warns in the log that tables may be
/// left. Such tables are those whose names begin with `test_` and an old time in seconds.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use memory_table::Record;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// use memory_table::Database;
/// use memory_table::testing::UniquePrefix;
///
/// let test = UniquePrefix::on(&Database::embedded()?); // or a server that tests share
/// let players = test.database().table::<Player>();
/// players.create_if_missing().await?;
/// let deleted = test.clean_up().await?;
/// assert_eq!(deleted, [format!("{}players", test.database().prefix())]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct UniquePrefix {
    database: Database,
    settled: AtomicBool,
}

impl UniquePrefix {
    /// A new prefix, behind the one that the database has. No request is sent.
    #[must_use]
    pub fn on(database: &Database) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // The process as well, since a generator is seeded by time and thread only.
        let mut random =
            fastrand::Rng::with_seed(fastrand::u64(..) ^ (u64::from(std::process::id()) << 32));
        let unique = format!("test_{}_{:016x}_", now.as_secs(), random.u64(..));
        let database = database.with_prefix(&format!("{}{unique}", database.prefix()));
        Self { database, settled: AtomicBool::new(false) }
    }

    /// The database with the prefix.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The database with the prefix, whose tables are kept.
    #[must_use]
    pub fn keep(self) -> Database {
        self.settled.store(true, Ordering::Relaxed);
        self.database.clone()
    }

    /// Deletes every table whose name begins with the prefix, and waits until they are gone; their
    /// names.
    ///
    /// # Errors
    ///
    /// If the service refuses or does not answer until patience ends, or a table is not gone after
    /// 5 minutes.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again; it goes on with the tables that are left.
    pub async fn clean_up(&self) -> Result<Vec<String>, Error> {
        let names = self.database.list_tables().await?;
        for name in &names {
            manage::delete(&self.database, &Arc::from(name.as_str()), manage::DEFAULT_TIMEOUT)
                .await?;
        }
        self.settled.store(true, Ordering::Relaxed);
        Ok(names)
    }
}

impl Drop for UniquePrefix {
    fn drop(&mut self) {
        if !self.settled.load(Ordering::Relaxed) {
            let prefix = self.database.prefix();
            tracing::warn!(prefix, "tables of a test may be left: `clean_up` was not called");
        }
    }
}

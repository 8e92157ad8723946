//! What the tests share.

pub mod control;
pub mod logs;
pub mod random;
mod records;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use memory_table::testing::UniquePrefix;
use memory_table::{
    Database, Failed, Key, MemoryTable, MemoryTableBuilder, Record, RetryPolicy, Table,
};

pub use memory_table::testing::{Fault, Faults, Gate};
pub use records::{Draft, Player, Team, at, named, player, players};

/// Where the DynamoDB server under test is; the embedded database is tested without it.
const ENDPOINT: &str = "MEMORY_TABLE_TEST_ENDPOINT";

/// The program of an example; `cargo test` builds the examples before it runs the tests.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/it-HASH → target/PROFILE/examples/NAME
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program: PathBuf = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --examples` first",
        program.display()
    );
    Command::new(program)
}

/// The database under test, with tables of its own for each call.
pub fn database() -> Database {
    match std::env::var(ENDPOINT) {
        Ok(url) if !url.is_empty() => {
            let database = Database::local(&url).expect("the endpoint of the tests is a URL");
            UniquePrefix::on(&database).keep()
        }
        _ => embedded(),
    }
}

/// The server under test.
pub fn server() -> Database {
    let url = std::env::var(ENDPOINT).expect("there is a server");
    Database::local(&url).expect("the endpoint of the tests is a URL")
}

/// The embedded database, for tests under a paused clock.
pub fn embedded() -> Database {
    Database::embedded().expect("SQLite starts")
}

/// The same database with faults, and with the service's rules enforced.
pub fn faulty(database: &Database) -> (Database, Faults) {
    let (database, faults) = Faults::around(database);
    faults.enforce_rules();
    (database, faults)
}

/// A builder of a memory table whose retries come quickly, so that no test waits for a clock.
pub fn quick_builder<T: Record>(table: Table<T>) -> MemoryTableBuilder<T> {
    let quickly = RetryPolicy::new(Duration::from_millis(1), Duration::from_millis(5));
    MemoryTable::builder(table).retry(quickly).late_write_window(Duration::ZERO)
}

/// A table on a database that does as the test says, and the same table past all that.
pub struct Stage<T> {
    /// Its requests are counted, recorded and made to fail.
    pub table: Table<T>,
    /// The same table, for looking at what is stored and for changing it behind the back.
    pub truth: Table<T>,
    /// The script of the requests of `table`.
    pub faults: Faults,
}

impl<T: Record> Stage<T> {
    /// A new table on the database under test.
    pub async fn new() -> Self {
        Self::on(database()).await
    }

    /// A new table on the embedded database, for a paused clock.
    pub async fn embedded() -> Self {
        Self::on(embedded()).await
    }

    /// A new table on a database.
    pub async fn on(database: Database) -> Self {
        let truth = database.table::<T>();
        let (scripted, faults) = faulty(&database);
        let table = scripted.table::<T>();
        table.create_if_missing().await.expect("the table is created");
        Self { table, truth, faults }
    }

    /// A builder of a memory table whose retries come quickly.
    pub fn builder(&self) -> MemoryTableBuilder<T> {
        quick_builder(self.table.clone())
    }

    /// A memory table whose retries come quickly.
    pub fn memory(&self) -> MemoryTable<T> {
        self.builder().build().expect("the options are legal")
    }

    /// A memory table that takes the first failure for final.
    pub fn impatient(&self) -> MemoryTable<T> {
        self.builder().patience(Duration::ZERO).build().expect("the options are legal")
    }

    /// How many writing requests were sent.
    pub fn writes(&self) -> usize {
        self.faults.count("BatchWriteItem")
    }

    /// How many reading requests were sent.
    pub fn reads(&self) -> usize {
        ["GetItem", "BatchGetItem", "Query", "Scan"]
            .map(|operation| self.faults.count(operation))
            .iter()
            .sum()
    }
}

/// A stage with this many stored players, and a memory table that knows none of them.
pub async fn stage(stored: u16) -> (Stage<Player>, MemoryTable<Player>) {
    let stage = Stage::new().await;
    let report = stage.truth.batch_write().puts(players(stored)).await;
    assert_eq!(report.expect("the players are stored").written, u64::from(stored));
    let memory = stage.memory();
    (stage, memory)
}

/// A memory table over a table, with changes of this many new players.
pub async fn changed(table: Table<Player>, count: u16) -> MemoryTable<Player> {
    let memory = MemoryTable::new(table);
    for player in players(count) {
        memory.put(player).await.unwrap();
    }
    memory
}

/// Keys as text, sorted, to be compared.
pub fn texts<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Vec<String> {
    let mut texts: Vec<String> = keys.into_iter().map(Key::to_string).collect();
    texts.sort();
    texts
}

/// The keys of what was not saved, as sorted text.
pub fn failed_keys(failed: &[Failed]) -> Vec<String> {
    texts(failed.iter().map(|failed| &failed.key))
}

//! What the memory table promises, each on the embedded database under scripted faults and a paused
//! clock. `tests/PROMISES.md` has the promises by number; `tests/promises/run` breaks each one and
//! sees that its test here notices.

mod deltas;
mod endings;
mod errors;
mod failures;
mod flushes;
mod foreign;
mod journal;
mod reads;
mod room;
mod user_code;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::testing::Faults;
use crate::{Database, MemoryTable, MemoryTableBuilder, Record, Table};

const WRITE: &str = "BatchWriteItem";
const READ: &str = "GetItem";
const SECOND: Duration = Duration::from_secs(1);

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "players")]
struct Player {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    rating: u32,
}

fn player(name: &str, rating: u32) -> Player {
    Player { name: name.to_owned(), rating }
}

/// So many players, the first of them `p00`.
fn players(count: u32) -> impl Iterator<Item = Player> + Clone {
    (0..count).map(|number| player(&format!("p{number:02}"), number))
}

/// A table whose requests do as the test says, and the same table past all that.
struct Stage {
    table: Table<Player>,
    truth: Table<Player>,
    faults: Faults,
}

impl Stage {
    /// With these records stored.
    async fn with(stored: impl IntoIterator<Item = Player>) -> Self {
        let database = Database::embedded().unwrap();
        let (scripted, faults) = Faults::around(&database);
        let (table, truth) = (scripted.table::<Player>(), database.table::<Player>());
        table.create_if_missing().await.unwrap();
        for player in stored {
            truth.put(&player).await.unwrap();
        }
        Self { table, truth, faults }
    }

    fn builder(&self) -> MemoryTableBuilder<Player> {
        MemoryTable::builder(self.table.clone())
    }

    fn memory(&self) -> MemoryTable<Player> {
        MemoryTable::new(self.table.clone())
    }

    /// A memory table that takes the first failure for final.
    fn impatient(&self) -> MemoryTable<Player> {
        self.builder().patience(Duration::ZERO).build().unwrap()
    }

    /// The rating that the database has.
    async fn stored(&self, name: &str) -> Option<u32> {
        self.truth.get_consistent(name).await.unwrap().map(|player| player.rating)
    }

    async fn count(&self) -> u64 {
        self.truth.scan().consistent().count().await.unwrap()
    }

    fn writes(&self) -> usize {
        self.faults.count(WRITE)
    }

    fn reads(&self) -> usize {
        self.faults.count(READ)
    }
}

/// The rating that the memory table has.
async fn rating(memory: &MemoryTable<Player>, name: &str) -> Option<u32> {
    memory.get(name).await.unwrap().map(|player| player.rating)
}

/// The rest of what is under way is done, if it waits for nothing.
async fn settled() {
    tokio::time::sleep(SECOND).await;
}

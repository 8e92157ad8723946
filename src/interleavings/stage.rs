//! What a scenario plays on: a memory table of counters over a simulated store.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyRef};
use crate::simulation::SimStore;
use crate::{Database, MemoryTable, MemoryTableBuilder, Record};

/// Longer than any scenario lasts.
const AN_HOUR: Duration = Duration::from_secs(3_600);

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "counters")]
pub(super) struct Counter {
    #[record(partition_key)]
    pub(super) id: u32,
    #[serde(default)]
    pub(super) n: i64,
}

pub(super) const fn counter(id: u32, n: i64) -> Counter {
    Counter { id, n }
}

pub(super) struct Stage {
    pub(super) store: SimStore,
    pub(super) memory: MemoryTable<Counter>,
    database: Database,
}

impl Stage {
    pub(super) fn new() -> Self {
        let store = SimStore::new(1);
        store.heal();
        let database = Self::database(&store);
        let memory =
            patient(MemoryTable::builder(database.table())).build().expect("legal options");
        Self { store, memory, database }
    }

    pub(super) fn database(store: &SimStore) -> Database {
        Database::simulated(Arc::new(store.clone()), &["counters", "others"])
    }

    /// Another memory table of these counters.
    pub(super) fn with(
        &self,
        options: impl FnOnce(MemoryTableBuilder<Counter>) -> MemoryTableBuilder<Counter>,
    ) -> MemoryTable<Counter> {
        let builder = patient(MemoryTable::builder(self.database.table()));
        options(builder).build().expect("legal options")
    }

    /// A memory table of the other table.
    pub(super) fn other(&self) -> MemoryTable<Counter> {
        let table = self.database.table_named("others");
        patient(MemoryTable::builder(table)).build().expect("legal options")
    }

    /// Somebody stored a counter before.
    pub(super) fn stored(&self, id: u32, n: i64) {
        let key = Key::new(&KeyRef::partition(&id)).expect("a key");
        let item = crate::codec::encode(&counter(id, n), &key).expect("an item");
        self.store.set_foreign("counters", &key, Some(item.json));
    }

    /// In the end all is saved, and these are the counters.
    pub(super) async fn ends(&self, memory: &MemoryTable<Counter>, expected: &[(u32, i64)]) {
        let ended = memory.flush().await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(memory.unsaved(), [], "unsaved");
        assert_eq!(self.counters("counters"), expected, "stored");
        for (id, n) in expected {
            let known = memory.get(*id).await.expect("a read").map(|counter| counter.n);
            assert_eq!(known, Some(*n), "{id} in memory");
        }
    }

    pub(super) fn counters(&self, table: &str) -> Vec<(u32, i64)> {
        let items = self.store.items(table);
        let decoded = items.iter().map(|json| crate::codec::decode::<Counter>(json));
        let counters = decoded.map(|decoded| decoded.expect("a counter").record);
        let mut counters: Vec<_> = counters.map(|counter| (counter.id, counter.n)).collect();
        counters.sort_unstable();
        counters
    }
}

fn patient(builder: MemoryTableBuilder<Counter>) -> MemoryTableBuilder<Counter> {
    builder.patience(AN_HOUR).late_write_window(Duration::from_secs(1))
}

/// A task of the scenario.
pub(super) fn task<F>(task: F) -> shuttle::future::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    shuttle::future::spawn(task)
}

//! A memory table with something of everything, and what must hold of it whatever was dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde::{Deserialize, Serialize};

use crate::simulation::{Fault, SimStore};
use crate::{Database, ErrorKind, Guard, MemoryTable, OnConflict, Record, Table};

/// Something that is counted.
#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "counts")]
pub(super) struct Counted {
    #[record(partition_key)]
    pub(super) id: u32,
    #[serde(default)]
    pub(super) count: i64,
}

pub(super) fn counted(id: u32, count: i64) -> Counted {
    Counted { id, count }
}

/// The keys of a stage.
pub(super) const LOADED: u32 = 1;
pub(super) const CHANGED: u32 = 2;
pub(super) const UNREAD: u32 = 3;
pub(super) const MISSING: u32 = 4;
pub(super) const INCREMENTED: u32 = 5;
pub(super) const IN_DOUBT: u32 = 6;
pub(super) const OTHERS: [u32; 2] = [7, 8];

/// What is stored, by key.
pub(super) type Stored = BTreeMap<u32, i64>;

/// How the memory table is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Plain,
    FieldWise,
    Guarded,
    /// No change has room until others are saved.
    Full,
    /// A flush is under way.
    Flushing,
}

pub(super) struct Stage {
    pub(super) store: SimStore,
    pub(super) table: Table<Counted>,
    pub(super) memory: MemoryTable<Counted>,
    /// Of another table, with something unsaved.
    pub(super) other: MemoryTable<Counted>,
}

impl Stage {
    pub(super) async fn new(kind: Kind) -> Self {
        let store = SimStore::new(1);
        store.heal();
        let database = Database::simulated(Arc::new(store.clone()), &["counts", "others"]);
        let table = database.table::<Counted>();
        let builder = MemoryTable::builder(table.clone()).patience(Duration::ZERO);
        let builder = match kind {
            Kind::Plain | Kind::Flushing => builder,
            Kind::FieldWise => builder.field_wise(),
            Kind::Guarded => builder.guarded(Guard::Item).on_conflict(OnConflict::Overwrite),
            Kind::Full => builder.max_unsaved_records(3),
        };
        let memory = builder.build().expect("legal options");
        let other = MemoryTable::new(database.table_named::<Counted>("others"));
        let stage = Self { store, table, memory, other };
        stage.fill().await;
        if matches!(kind, Kind::Flushing) {
            let memory = stage.memory.clone();
            tokio::spawn(async move { memory.flush().await });
            while !stage.store.is_writing() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        stage
    }

    async fn fill(&self) {
        for id in [LOADED, CHANGED, UNREAD, INCREMENTED] {
            self.table.put(&counted(id, 10)).await.expect("stored");
        }
        let memory = &self.memory;
        memory.increment(IN_DOUBT, Counted::FIELDS.count, 1).await.expect("added");
        self.store.script(Fault::LostAfter);
        memory.flush_keys([IN_DOUBT]).await.expect_err("the answer is lost");
        memory.get(LOADED).await.expect("read");
        memory.update(CHANGED, |it| it.count = 20).await.expect("changed");
        memory.increment(INCREMENTED, Counted::FIELDS.count, 1).await.expect("added");
        self.other.put(counted(1, 1)).await.expect("put");
    }

    fn stored(&self) -> Stored {
        let items = self.store.items("counts");
        let decoded = items.iter().map(|json| crate::codec::decode::<Counted>(json));
        decoded
            .map(|decoded| decoded.expect("an item").record)
            .map(|it| (it.id, it.count))
            .collect()
    }

    /// Everything is saved, what is in memory is what is stored, and each key can be changed. Returns what is
    /// stored before that.
    pub(super) async fn settled(&self) -> Stored {
        let hour = Duration::from_secs(3_600);
        let all = async {
            self.save().await;
            let stored = self.stored();
            assert_eq!(self.store.violations(), Vec::<String>::new());
            if self.is_open().await {
                self.change_all().await;
            }
            stored
        };
        tokio::time::timeout(hour, all).await.expect("nothing is waited for in vain")
    }

    async fn save(&self) {
        // What was dropped may have left a flush under way.
        while self.memory.is_flushing() || self.other.is_flushing() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for memory in [&self.memory, &self.other] {
            let report = memory.flush().await.expect("everything is saved");
            assert_eq!(report.not_saved().count(), 0);
            assert_eq!((memory.unsaved().len(), memory.stats().unsaved), (0, 0));
        }
    }

    /// A table that was closed to the end takes no changes.
    async fn is_open(&self) -> bool {
        match self.memory.discard(LOADED).await.and(self.memory.put(counted(LOADED, 1)).await) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                false
            }
        }
    }

    async fn change_all(&self) {
        let keys = [LOADED, CHANGED, UNREAD, MISSING, INCREMENTED, IN_DOUBT];
        for id in keys.into_iter().chain(OTHERS) {
            let known = self.memory.get(id).await.expect("a read").map(|it| it.count);
            if id != LOADED {
                assert_eq!(known, self.stored().get(&id).copied(), "{id} in memory");
            }
            self.memory.update(id, |it| it.count = 77).await.expect("a change");
            let report = self.memory.flush_keys([id]).await.expect("saved");
            assert_eq!(report.not_saved().count(), 0);
            assert_eq!(self.stored().get(&id), Some(&77));
        }
        self.save().await;
        for id in OTHERS.into_iter().chain([LOADED]) {
            let put = self.memory.put(counted(id, 78)).now_or_never();
            put.expect("nothing has room that is not unsaved").expect("a put");
        }
        self.save().await;
        let report = self.memory.close().await.expect("nothing is unsaved");
        assert_eq!(report.submitted(), 0);
    }
}

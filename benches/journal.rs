//! What a change costs that is in a journal, at each durability, beside the store's own insert of as much.

use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use memory_table::bench::JournalStore;
use memory_table::{Database, Durability, MemoryTable};
use tokio::runtime::Builder;

use crate::connector;
use crate::players::{Player, players};

/// As many keys as a journal is measured with.
const KEYS: usize = 1_000;
/// Waits for that long for others; here nobody comes.
const GROUP: Duration = Duration::from_millis(2);

/// The benches of this file.
pub(crate) fn define(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    put(c, "none", None);
    for (name, durability) in durabilities() {
        put(c, name, Some((path(name), durability)));
        if !matches!(durability, Durability::Group(_)) {
            store(c, name, path(&format!("store-{name}")), durability);
        }
    }
    recover(c, path("recover"));
}

const fn durabilities() -> [(&'static str, Durability); 3] {
    [("os", Durability::Os), ("fsync", Durability::Fsync), ("group", Durability::Group(GROUP))]
}

fn runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn opened(journal: Option<(PathBuf, Durability)>) -> MemoryTable<Player> {
    let table = Database::from_client(connector::client(&[])).table::<Player>();
    let builder = MemoryTable::builder(table);
    let builder = match journal {
        Some((path, durability)) => builder.journal(path).durability(durability),
        None => builder,
    };
    builder.build().expect("the journal opens")
}

/// Measures a put after the other.
fn put(c: &mut Criterion, name: &str, journal: Option<(PathBuf, Durability)>) {
    let (runtime, memory, players) = (runtime(), opened(journal), players(KEYS));
    let mut next = players.iter().cycle();
    let mut group = c.benchmark_group("journal/put");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function(name, |b| {
        b.iter(|| {
            let player = next.next().expect("there is always one").clone();
            runtime.block_on(memory.put(player)).expect("a put");
        });
    });
}

/// Measures the store's own insert of a row that is as long as that of a player.
fn store(c: &mut Criterion, name: &str, path: PathBuf, durability: Durability) {
    let mut store = JournalStore::open(&path, durability).expect("the store opens");
    let row = vec![b'x'; 420];
    let keys: Vec<String> = (0..KEYS).map(|number| format!("chess player {number:06}")).collect();
    let mut next = keys.iter().cycle();
    let mut group = c.benchmark_group("journal/store");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function(name, |b| {
        b.iter(|| {
            let key = next.next().expect("there is always one");
            store.insert(key.as_bytes(), &row).expect("an insert");
        });
    });
}

/// Measures how long it takes to open a journal with that many records.
fn recover(c: &mut Criterion, path: PathBuf) {
    let runtime = runtime();
    let memory = opened(Some((path.clone(), Durability::Os)));
    for player in players(KEYS) {
        runtime.block_on(memory.put(player)).expect("a put");
    }
    drop(memory);
    let mut group = c.benchmark_group("journal/open");
    group.throughput(Throughput::Elements(KEYS as u64)).sample_size(20);
    group.bench_function("1000_unsaved", |b| {
        b.iter(|| {
            let memory = opened(Some((path.clone(), Durability::Os)));
            assert_eq!(memory.stats().unsaved, KEYS as u64);
        });
    });
}

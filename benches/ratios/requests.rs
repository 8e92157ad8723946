//! Flushes and prefetches beside loops over the SDK.

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use memory_table::{Database, MemoryTable};
use tokio::runtime::{Builder, Runtime};

use crate::pairs::{cpu_time, median_of, time};
use crate::players::{Player, players};
use crate::{Extent, connector, plain};

const RECORDS: usize = 20_000;

/// Of two cores.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

async fn put(memory: &MemoryTable<Player>, players: Vec<Player>) {
    for player in players {
        memory.put(player).await.expect("a player can be stored");
    }
}

async fn flush(memory: &MemoryTable<Player>) {
    let unsaved = memory.stats().unsaved;
    let report = memory.flush().await.expect("all are saved");
    assert_eq!((report.written, report.requests), (unsaved, unsaved.div_ceil(25)));
}

/// The records are in the memory table, as those of the loop are in a vector.
pub(crate) fn flush_cpu(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let client = connector::client(&[]);
    let database = Database::from_client(client.clone());
    let ours = || {
        let memory = MemoryTable::new(database.table());
        runtime.block_on(put(&memory, players.clone()));
        cpu_time(|| runtime.block_on(flush(&memory)))
    };
    median_of(extent.pairs, ours, || plain_cpu(&runtime, &client, &players))
}

pub(crate) fn put_and_flush_cpu(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let client = connector::client(&[]);
    let database = Database::from_client(client.clone());
    let ours = || {
        let (memory, players) = (MemoryTable::new(database.table()), players.clone());
        cpu_time(|| {
            runtime.block_on(async {
                put(&memory, players).await;
                flush(&memory).await;
            });
        })
    };
    median_of(extent.pairs, ours, || plain_cpu(&runtime, &client, &players))
}

fn plain_cpu(runtime: &Runtime, client: &Client, players: &[Player]) -> f64 {
    cpu_time(|| runtime.block_on(plain::put(client, players, None)).expect("all are put"))
}

pub(crate) fn prefetch_cpu(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let keys: Vec<_> = players.iter().map(|player| (&*player.game, &*player.name)).collect();
    let client = connector::client(&players);
    let database = Database::from_client(client.clone());
    let ours = || {
        let memory = MemoryTable::<Player>::new(database.table());
        let time = cpu_time(|| {
            let prefetch = memory.prefetch(keys.iter().copied());
            runtime.block_on(prefetch).expect("all are loaded");
        });
        assert_eq!(memory.stats().cached, players.len() as u64);
        time
    };
    let theirs = || {
        let mut found = Vec::new();
        let time = cpu_time(|| {
            found = runtime.block_on(plain::get(&client, &keys)).expect("all are read");
        });
        assert_eq!(found.len(), players.len());
        time
    };
    median_of(extent.pairs, ours, theirs)
}

/// On an embedded database each, as it would be after the other's writes.
pub(crate) fn flush_wall(extent: Extent) -> f64 {
    let (runtime, players) = (runtime(), players(extent.of(RECORDS)));
    let stored = || {
        let database = Database::embedded().expect("SQLite starts");
        let create = database.table::<Player>().create_if_missing();
        runtime.block_on(async { create.await }).expect("the table is made");
        database
    };
    let (ours_stored, theirs_stored) = (stored(), stored());
    let ours = || {
        let memory = MemoryTable::new(ours_stored.table());
        runtime.block_on(put(&memory, players.clone()));
        time(|| runtime.block_on(flush(&memory)))
    };
    let client = theirs_stored.client();
    // The same requests as ours, which ask what is charged.
    let charged = Some(ReturnConsumedCapacity::Indexes);
    let theirs = || {
        time(|| {
            let put = plain::put(client, &players, charged.clone());
            runtime.block_on(put).expect("all are put");
        })
    };
    median_of(extent.pairs, ours, theirs)
}

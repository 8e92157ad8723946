//! Whether time and memory grow with the number of records and no faster: 10,000, 100,000 and 1,000,000 of them, loaded,
//! changed and flushed on the embedded database and on a connector that answers at once.
//!
//! ```text
//! cargo bench --bench scale               # some minutes; at most about 4 GB of memory
//! cargo bench --bench scale -- --test     # with one in a hundred of the records
//! ```
//!
//! Prints `scale STORE RECORDS LOAD CHANGE FLUSH BYTES`: microseconds of CPU time for each record, and by how many bytes
//! for each record the process was larger at its largest than before the load. Then, as `ratio scale_STORE_PHASE VALUE`,
//! what the most records took over what a tenth of them took, each for one record. Each run is a process of its own.
//!
//! What a record takes at 10,000 is not the unit: there the processor's caches hold all of them.

#[path = "../connector.rs"]
mod connector;
#[path = "../ratios/pairs.rs"]
#[expect(dead_code, reason = "of the other bench")]
mod pairs;
#[path = "../players.rs"]
mod players;

use std::process::Command;

use memory_table::{Database, MemoryTable};
use tokio::runtime::{Builder, Runtime};

use pairs::cpu_time;
use players::{Player, players};

const RECORDS: [usize; 3] = [10_000, 100_000, 1_000_000];
const STORES: [&str; 2] = ["at_once", "embedded"];
const PHASES: [&str; 4] = ["load", "change", "flush", "bytes"];
/// What a process is told that is to do one run.
const ONE: &str = "--one";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(one) = arguments.iter().position(|argument| argument == ONE) {
        let [store, records] = &arguments[one + 1..] else { panic!("a store and a number") };
        println!(
            "{}",
            run(store, records.parse().expect("a number")).map(|v| v.to_string()).join(" ")
        );
        return;
    }
    let one_in = if arguments.iter().any(|argument| argument == "--test") { 100 } else { 1 };
    for store in STORES {
        let measured = RECORDS.map(|records| printed(store, records / one_in));
        for (phase, name) in PHASES.iter().enumerate() {
            println!("ratio scale_{store}_{name} {:.3}", measured[2][phase] / measured[1][phase]);
        }
    }
}

/// A run in a process of its own, and its line.
fn printed(store: &str, records: usize) -> [f64; 4] {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([ONE, store, &records.to_string()]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("numbers");
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
    let measured = [(); 4].map(|()| numbers.next().expect("four numbers"));
    let [load, change, flush, bytes] = measured;
    println!("scale {store} {records} {load:.2} {change:.2} {flush:.2} {bytes:.0}");
    measured
}

/// Microseconds for each record of a load, a change and a flush, and the bytes for each.
fn run(store: &str, records: usize) -> [f64; 4] {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let players = players(records);
    let database = stored(store, &runtime, &players);
    let before = bytes("VmRSS:");
    let memory = MemoryTable::new(database.table::<Player>());
    let keys: Vec<_> = players.iter().map(|player| (&*player.game, &*player.name)).collect();
    let load =
        cpu_time(|| runtime.block_on(memory.prefetch(keys.iter().copied())).expect("loaded"));
    assert_eq!(memory.stats().cached, records as u64);
    let change = cpu_time(|| runtime.block_on(change(&memory, &keys)));
    assert_eq!(memory.stats().unsaved, records as u64);
    let flush = cpu_time(|| {
        let report = runtime.block_on(memory.flush()).expect("all are saved");
        assert_eq!(
            (report.written, report.requests),
            (records as u64, records.div_ceil(25) as u64)
        );
    });
    let grown = bytes("VmHWM:") - before;
    let each = |value: f64| value / f64::from(u32::try_from(records).expect("few"));
    [each(load * 1e6), each(change * 1e6), each(flush * 1e6), each(grown)]
}

async fn change(memory: &MemoryTable<Player>, keys: &[(&str, &str)]) {
    for key in keys {
        memory.update(*key, |player| player.played += 1).await.expect("a change");
    }
}

/// The database in which the players are.
fn stored(store: &str, runtime: &Runtime, players: &[Player]) -> Database {
    if store == "at_once" {
        return Database::from_client(connector::client(players));
    }
    let database = Database::embedded().expect("SQLite starts");
    runtime.block_on(async {
        let table = database.table::<Player>();
        table.create_if_missing().await.expect("the table is made");
        let memory = MemoryTable::builder(table)
            .max_unsaved_records(10_000)
            .build()
            .expect("a memory table");
        for player in players {
            memory.put(player.clone()).await.expect("a player can be stored");
        }
        drop(memory.close().await.expect("all are saved"));
    });
    database
}

/// What the system says of this process's memory.
fn bytes(of: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = status.lines().find_map(|line| line.strip_prefix(of)).expect("a line");
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024.0
}

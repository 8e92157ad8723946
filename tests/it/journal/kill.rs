//! A real process, killed at random moments while it changes, flushes and recovers, loses nothing that it was
//! told is done, and does nothing twice.
//!
//! The process is this test's own binary. The database is in the parent, which outlives it.
//! `MEMORY_TABLE_TEST_KILLS` says how often; `MEMORY_TABLE_TEST_SEED` goes on from another seed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::TryStreamExt;
use memory_table::{Database, Durability, Field, Guard, MemoryTable, MemoryTableBuilder, Record};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

use super::Journals;
use crate::server::{Answer, Server};
use crate::support::{embedded, quick_builder};

const KILLS: &str = "MEMORY_TABLE_TEST_KILLS";
const SEED: &str = "MEMORY_TABLE_TEST_SEED";
/// What the child is told: endpoint, journal, mode, seed, tab-separated.
const CHILD: &str = "MEMORY_TABLE_TEST_KILLED_CHILD";
const MODES: [&str; 5] = ["plain", "guarded", "fields", "synced", "checkpoints"];
/// Each has keys of its own, so that its changes are in one order.
const TASKS: usize = 3;
const KEYS: usize = 4;
/// Requests of a process that died are over by then.
const LATE: Duration = Duration::from_millis(50);

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "totals")]
struct Total {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    sum: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
}

const SUM: Field<i64> = Field::named("sum");

/// A change of one key, as one line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Put(i64),
    Update(i64),
    Increment(i64),
    Delete,
}

impl Step {
    fn random(random: &mut fastrand::Rng) -> Self {
        let by = random.i64(-50..50);
        match random.u32(..10) {
            0..2 => Self::Put(by),
            2..5 => Self::Update(by),
            // A sum of nothing makes no item.
            5..9 => Self::Increment(by.abs() + 1),
            _ => Self::Delete,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Put(to) => format!("put {to}"),
            Self::Update(by) => format!("update {by}"),
            Self::Increment(by) => format!("increment {by}"),
            Self::Delete => "delete 0".to_owned(),
        }
    }

    fn read(kind: &str, number: &str) -> Self {
        let number = number.parse().expect("a number");
        match kind {
            "put" => Self::Put(number),
            "update" => Self::Update(number),
            "increment" => Self::Increment(number),
            _ => Self::Delete,
        }
    }

    /// What a record is after it.
    fn of(self, name: &str, before: Option<Total>) -> Option<Total> {
        let sum = before.as_ref().map_or(0, |total| total.sum);
        let before = before.unwrap_or_else(|| Total { name: name.into(), ..Total::default() });
        match self {
            Self::Put(sum) => Some(Total { sum, text: "put".into(), ..before }),
            Self::Update(by) => Some(Total { sum: sum + by, ..before }),
            Self::Increment(by) => Some(Total { sum: sum + by, ..before }),
            Self::Delete => None,
        }
    }

    async fn run(self, memory: &MemoryTable<Total>, name: &str, mode: &str) {
        let put = |sum| Total { name: name.into(), sum, text: "put".into() };
        let done = match self {
            // A guarded record that was never loaded must not be stored.
            Self::Put(sum) if mode == "guarded" => {
                memory.update(name, |total| *total = put(sum)).await.map(drop)
            }
            Self::Put(sum) => memory.put(put(sum)).await,
            Self::Update(by) => memory.update(name, |total| total.sum += by).await.map(drop),
            Self::Increment(by) => memory.increment(name, SUM, by).await,
            Self::Delete => memory.delete(name).await,
        };
        done.expect("nothing fails but this process");
    }
}

fn opened(database: &Database, journal: &Path, mode: &str) -> MemoryTableBuilder<Total> {
    let builder = quick_builder(database.table::<Total>()).journal(journal).late_write_window(LATE);
    match mode {
        "guarded" => builder.guarded(Guard::Item),
        "fields" => builder.field_wise(),
        "synced" => builder.durability(Durability::Fsync),
        "checkpoints" => builder.checkpoints(),
        _ => builder,
    }
}

/// What the child does until it is killed.
#[test]
#[ignore = "run by the test that kills it"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    // The harness has begun a line.
    say("\n");
    let told: Vec<&str> = told.split('\t').collect();
    let [url, journal, mode, seed, recovers] = told[..] else { panic!("{told:?}") };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let database = Database::local(url).expect("a URL");
        let memory = opened(&database, Path::new(journal), mode).build().expect("it opens");
        if recovers == "yes" {
            let _ = memory.flush().await.expect("all is saved");
            return;
        }
        let seed: u64 = seed.parse().expect("a number");
        let quiet = Arc::new(RwLock::new(()));
        let work = |task| work(memory.clone(), mode.to_owned(), Arc::clone(&quiet), task, seed);
        let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(work(task))).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cursor: u64 = if mode == "checkpoints" {
            memory.cursor().expect("it is a number").unwrap_or(0)
        } else {
            0
        };
        loop {
            tokio::time::sleep(Duration::from_micros(random.u64(..8_000))).await;
            if mode == "checkpoints" && random.bool() {
                cursor += 1;
                // What is before it is all done.
                let _quiet = quiet.write().await;
                say(&format!("checkpoint {cursor}\n"));
                memory.checkpoint(&cursor).await.expect("it is made");
                say(&format!("covered {cursor}\n"));
            } else {
                let _ = memory.flush().await.expect("all is saved");
            }
            assert!(tasks.iter().all(|task| !task.is_finished()), "a task ended");
        }
    });
}

async fn work(
    memory: MemoryTable<Total>,
    mode: String,
    quiet: Arc<RwLock<()>>,
    task: usize,
    seed: u64,
) {
    let mut random = fastrand::Rng::with_seed(seed ^ (1 << (40 + task)));
    loop {
        let _quiet = quiet.read().await;
        let name = format!("{task}-{}", random.usize(..KEYS));
        let step = Step::random(&mut random);
        say(&format!("begin {name} {}\n", step.shown()));
        step.run(&memory, &name, &mode).await;
        say(&format!("done {name} -\n"));
        if random.u32(..4) == 0 {
            tokio::time::sleep(Duration::from_micros(random.u64(..3_000))).await;
        }
    }
}

/// Lines are whole or not there.
fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
    std::io::stdout().flush().expect("the parent listens");
}

/// What the table is to have, by name; of a change that was begun and not done, without it and with it.
#[derive(Default)]
struct Expected {
    sure: Table,
    begun: BTreeMap<String, Step>,
    done: usize,
    /// What there was at each checkpoint that was begun.
    checkpoints: BTreeMap<u64, Table>,
    /// The last one that was made.
    made: Option<u64>,
}

type Table = BTreeMap<String, Option<Total>>;

impl Expected {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begin", name, kind, number] => {
                self.begun.insert(name.to_owned(), Step::read(kind, number));
            }
            ["done", name, _] => {
                let step = self.begun.remove(name).expect("it was begun");
                let before = self.sure.remove(name).flatten();
                self.sure.insert(name.to_owned(), step.of(name, before));
                self.done += 1;
            }
            ["checkpoint", number] => {
                self.checkpoints.insert(number.parse().expect("a number"), self.sure.clone());
            }
            ["covered", number] => {
                self.made = Some(number.parse().expect("a number"));
            }
            // The test harness says what it runs.
            _ => {}
        }
    }

    /// All that is expected is what there was at this checkpoint, which is the last one that was made, or was
    /// being made.
    fn go_back(&mut self, cursor: Option<u64>, round: &str) {
        assert!(cursor >= self.made, "{round}: {cursor:?} is older than {:?}", self.made);
        self.sure = match cursor {
            None => Table::new(),
            Some(cursor) => self.checkpoints.remove(&cursor).expect("a checkpoint that was begun"),
        };
        self.begun.clear();
        self.checkpoints.clear();
        self.checkpoints.extend(cursor.map(|cursor| (cursor, self.sure.clone())));
        self.made = cursor;
    }

    /// Checks what is in the table, and goes on from that.
    fn check(&mut self, stored: BTreeMap<String, Total>, round: &str) {
        for task in 0..TASKS {
            for key in 0..KEYS {
                let name = format!("{task}-{key}");
                let before = self.sure.get(&name).cloned().flatten();
                let found = stored.get(&name).cloned();
                let after = self.begun.get(&name).map(|step| step.of(&name, before.clone()));
                assert!(
                    found == before || after.as_ref() == Some(&found),
                    "{round}: {name} is {found:?}, and not {before:?}, nor {after:?}"
                );
                self.sure.insert(name, found);
            }
        }
        self.begun.clear();
    }
}

fn start(told: &str) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "--test-threads",
            "1",
            "journal::kill::child",
        ])
        .env(CHILD, told)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it starts")
}

/// Runs a child for a while after its first line, kills it, and returns what it said.
fn run_and_kill(told: &str, after: Duration) -> Vec<String> {
    let mut child = start(told);
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _gone = sender.send(line);
        }
    });
    let mut said: Vec<String> = Vec::new();
    // It has begun once it says anything.
    said.extend(lines.recv_timeout(Duration::from_secs(60)));
    std::thread::sleep(after);
    child.kill().expect("it can be killed");
    let status = child.wait().expect("it ends");
    reader.join().expect("all is read");
    said.extend(lines.iter());
    assert!(status.code().is_none_or(|code| code == 0), "it failed by itself: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let number = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u64>().expect(name));
    let kills = number(KILLS).unwrap_or(40);
    let first = number(SEED).unwrap_or(0);
    let (mut done, mut begun) = (0, 0);
    for (number, mode) in MODES.into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(first + u64::try_from(number).unwrap());
        let database = embedded();
        database.table::<Total>().create_if_missing().await.unwrap();
        let server = Server::start(&database, Arc::new(|_: &str, _| Answer::Run)).await;
        let (journals, mut expected) = (Journals::new(), Expected::default());
        for round in 0..kills / 5 {
            let round = format!("{mode}, kill {round} from seed {first}");
            let (url, path) = (server.url(), journals.first());
            let told = |recovers: &str, seed: u64| {
                format!("{url}\t{}\t{mode}\t{seed}\t{recovers}", path.display())
            };
            let work = (told("no", random.u64(..)), Duration::from_micros(random.u64(..60_000)));
            let recovery = (told("yes", 0), Duration::from_micros(random.u64(..12_000)));
            let recovers = random.u32(..4) == 0;
            let said = tokio::task::spawn_blocking(move || {
                let said = run_and_kill(&work.0, work.1);
                if recovers {
                    std::thread::sleep(LATE);
                    run_and_kill(&recovery.0, recovery.1);
                }
                said
            });
            said.await.unwrap().iter().for_each(|line| expected.hear(line));
            begun += expected.begun.len();
            tokio::time::sleep(LATE).await;
            let memory = opened(&database, &path, mode).build().expect("it opens");
            let _ = memory.close().await.expect("all is saved");
            if mode == "checkpoints" {
                expected.go_back(memory.cursor().expect("it is a number"), &round);
            }
            expected.check(stored(&database).await, &round);
        }
        done += expected.done;
    }
    assert!(done > usize::try_from(kills).unwrap(), "{done} changes were done");
    println!("{kills} kills: {done} changes were done, {begun} were under way, none was lost");
}

async fn stored(database: &Database) -> BTreeMap<String, Total> {
    let records = database.table::<Total>().scan().consistent().stream();
    let named = records.map_ok(|total| (total.name.clone(), total));
    named.try_collect().await.expect("it can be read")
}

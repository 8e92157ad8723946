//! The ETL job with a journal: however it ends, the next run goes on, and no row counts twice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use memory_table::{Attributes, Database, Journal, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::server::{Answer, Server};

const HEADER: &str = "date,home_team,away_team,team,scorer,minute,own_goal,penalty\n";
const GOALS: [&str; 2] = ["--goals", "goals.csv"];
const KILLS: &str = "MEMORY_TABLE_TEST_ETL_KILLS";
const SEED: &str = "MEMORY_TABLE_TEST_SEED";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "scorers")]
struct Scorer {
    #[record(partition_key)]
    scorer: String,
    #[serde(flatten)]
    rest: Attributes,
}

/// A table, and a folder for the files of jobs on it.
struct Job {
    folder: tempfile::TempDir,
    database: Database,
    server: Server,
    /// No write is answered.
    is_down: Arc<AtomicBool>,
    /// Requests that load scorers.
    reads: Arc<AtomicUsize>,
}

impl Job {
    async fn new(rows: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("goals.csv"), format!("{HEADER}{rows}")).unwrap();
        let database = Database::embedded().unwrap();
        let is_down = Arc::new(AtomicBool::new(false));
        let reads = Arc::new(AtomicUsize::new(0));
        let (down, read) = (Arc::clone(&is_down), Arc::clone(&reads));
        let rule = move |operation: &str, _| {
            let writes = operation == "BatchWriteItem" && down.load(Ordering::SeqCst);
            read.fetch_add(usize::from(operation == "BatchGetItem"), Ordering::SeqCst);
            if writes { Answer::Drop } else { Answer::Run }
        };
        let server = Server::start(&database, Arc::new(rule)).await;
        Self { folder, database, server, is_down, reads }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = crate::support::example("etl");
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(["--endpoint", &self.server.url(), "--json", "out.json"]);
        command.args(["--refused", "refused.csv"]).args(args);
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.args(GOALS);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn table(&self) -> BTreeMap<String, Value> {
        let table = self.database.table::<Scorer>();
        let all = table.scan().consistent().all().await.unwrap();
        let named = |it: Scorer| (it.scorer, serde_json::to_value(&it.rest).unwrap());
        all.into_iter().map(named).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("out.json")).unwrap()).unwrap()
    }

    fn refused(&self) -> String {
        std::fs::read_to_string(self.path("refused.csv")).unwrap()
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Goals of a few hundred scorers, of which some are refused.
fn rows(count: u32, random: &mut fastrand::Rng) -> String {
    let row = |number: u32| {
        let scorer = match random.u32(..50) {
            0 => String::new(),
            _ => format!("s{}", random.u32(..300)),
        };
        let (year, own) = (1900 + number % 100, random.u32(..20) == 0);
        let own = if own { "TRUE" } else { "FALSE" };
        format!("{year}-02-03,A,B,A,{scorer},{number},{own},FALSE\n")
    };
    (0..count).map(row).collect()
}

/// What an uninterrupted run leaves.
async fn uninterrupted(rows: &str) -> (BTreeMap<String, Value>, String, Value) {
    let job = Job::new(rows).await;
    let output = job.run(&[]).await;
    assert_eq!(code(&output), Some(0), "{}", told(&output));
    (job.table().await, job.refused(), job.json())
}

async fn is_as(job: &Job, expected: &(BTreeMap<String, Value>, String, Value), context: &str) {
    let (table, refused, json) = expected;
    assert_eq!(job.table().await, *table, "{context}");
    assert_eq!(job.refused(), *refused, "{context}");
    let found = job.json();
    assert_eq!((&found["rows"], &found["refused"]), (&json["rows"], &json["refused"]), "{context}");
}

const JOURNAL: [&str; 4] = ["--journal", "job.journal", "--checkpoint-every", "100"];

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_at_any_moment_goes_on_and_counts_no_row_twice() {
    let number = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u64>().expect(name));
    let (kills, seed) = (number(KILLS).unwrap_or(6), number(SEED).unwrap_or(0));
    let mut random = fastrand::Rng::with_seed(seed);
    let rows = rows(8_000, &mut random);
    let expected = uninterrupted(&rows).await;
    let (mut killed, mut ended, mut before) = (0, 0, 0);
    while killed < kills {
        let job = Job::new(&rows).await;
        // Some runs end by themselves.
        loop {
            let is_last = killed == kills || random.u32(..8) == 0;
            let after = Duration::from_millis(random.u64(10..600));
            let mut child = job.command(&JOURNAL).args(GOALS).spawn().unwrap();
            let output = tokio::task::spawn_blocking(move || {
                if !is_last {
                    std::thread::sleep(after);
                    child.kill().unwrap();
                }
                child.wait_with_output().unwrap()
            });
            let output = output.await.unwrap();
            match code(&output) {
                None => killed += 1,
                Some(0) => break,
                Some(code) => panic!("exit code {code}, seed {seed}: {}", told(&output)),
            }
        }
        ended += 1;
        before += job.json()["rows_before"].as_u64().unwrap();
        is_as(&job, &expected, &format!("after {killed} kills, seed {seed}")).await;
        let left = Journal::inspect(job.path("job.journal")).unwrap();
        assert_eq!((left.cursor(), left.changes().len()), (Some("null"), 0));
    }
    println!("{kills} kills of {ended} jobs: {before} rows were not read again, none counts twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_saved_is_saved_by_the_next_run() {
    let rows = rows(2_500, &mut fastrand::Rng::with_seed(7));
    let expected = uninterrupted(&rows).await;
    let job = Job::new(&rows).await;
    job.is_down.store(true, Ordering::SeqCst);
    let failed = job.run(&[&JOURNAL[..], &["--patience", "0"]].concat()).await;
    assert_eq!(code(&failed), Some(1));
    assert!(told(&failed).contains("in the journal job.journal"), "{}", told(&failed));
    assert!(job.table().await.is_empty());
    let left = Journal::inspect(job.path("job.journal")).unwrap();
    assert_eq!(left.changes().len(), expected.0.len());

    job.is_down.store(false, Ordering::SeqCst);
    let output = job.run(&JOURNAL).await;
    assert_eq!(code(&output), Some(0), "{}", told(&output));
    assert_eq!(job.json()["rows_before"], 2_500);
    is_as(&job, &expected, "saved by the next run").await;

    let again = job.run(&JOURNAL).await;
    assert_eq!((code(&again), &job.json()["rows_before"]), (Some(0), &0.into()));
    let goals = |table: &BTreeMap<String, Value>| {
        let of = |it: &Value| it["goals"].as_u64().unwrap();
        table.values().map(of).sum::<u64>()
    };
    assert_eq!(
        goals(&job.table().await),
        2 * goals(&expected.0),
        "a run that ended is not gone on with"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_job_with_a_journal_loses_nothing_of_another_one() {
    let rows = rows(3_000, &mut fastrand::Rng::with_seed(11));
    let (once, _, _) = uninterrupted(&rows).await;
    let job = Job::new(&rows).await;
    let mut other = crate::support::example("etl");
    other.current_dir(job.folder.path()).args(["--endpoint", &job.server.url(), "--guarded"]);
    other.args(GOALS).stdin(Stdio::null());
    let other = tokio::task::spawn_blocking(move || other.output().unwrap());
    let guarded = [&JOURNAL[..], &["--guarded", "--max-unsaved", "50"]].concat();
    let output = job.run(&guarded).await;
    let other = other.await.unwrap();
    assert_eq!(code(&output), Some(0), "{}", told(&output));
    assert_eq!(code(&other), Some(0), "{}", told(&other));
    let goals = |table: &BTreeMap<String, Value>| {
        let all = table.iter().map(|(name, it)| (name.clone(), it["goals"].as_u64().unwrap()));
        all.collect::<BTreeMap<_, _>>()
    };
    let twice = goals(&once).into_iter().map(|(name, goals)| (name, 2 * goals)).collect();
    assert_eq!(goals(&job.table().await), twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn little_room_makes_checkpoints_come_sooner() {
    let rows = rows(500, &mut fastrand::Rng::with_seed(8));
    let expected = uninterrupted(&rows).await;
    for room in ["1", "2", "7"] {
        let job = Job::new(&rows).await;
        let output = job.run(&["--journal", "job.journal", "--max-unsaved", room]).await;
        assert_eq!(code(&output), Some(0), "{}", told(&output));
        is_as(&job, &expected, room).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_another_run_is_refused_before_anything_is_sent() {
    let mut random = fastrand::Rng::with_seed(9);
    let job = Job::new(&rows(300, &mut random)).await;
    job.is_down.store(true, Ordering::SeqCst);
    let failed = job.run(&[&JOURNAL[..], &["--patience", "0"]].concat()).await;
    assert_eq!(code(&failed), Some(1));
    job.is_down.store(false, Ordering::SeqCst);
    let others = [rows(300, &mut random), rows(20, &mut random), String::new()];
    for other in others {
        std::fs::write(job.path("goals.csv"), format!("{HEADER}{other}")).unwrap();
        let output = job.run(&JOURNAL).await;
        assert_eq!(code(&output), Some(2));
        let told = told(&output);
        assert!(told.contains("goals.csv: its row 300") && told.contains("job.journal"), "{told}");
    }
    std::fs::write(job.path("job.journal"), "no journal").unwrap();
    let output = job.run(&JOURNAL).await;
    assert_eq!(code(&output), Some(2));
    assert!(told(&output).contains("is no journal"), "{}", told(&output));
    let same = job.run(&["--journal", "refused.csv"]).await;
    assert_eq!(code(&same), Some(2), "{}", told(&same));
    assert!(job.table().await.is_empty());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_job_says_where_its_journal_is_and_the_next_one_goes_on() {
    use std::io::Write;
    let rows = rows(2_000, &mut fastrand::Rng::with_seed(10));
    let expected = uninterrupted(&rows).await;
    let job = Job::new(&rows).await;
    let pipe = job.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = job.command(&JOURNAL).args(["--goals", "pipe"]).spawn().unwrap();
    let text = format!("{HEADER}{rows}");
    let input = tokio::task::spawn_blocking(move || {
        let mut input = std::fs::File::options().write(true).open(pipe).unwrap();
        // There is more to come when it is interrupted.
        let half = text.lines().take(1_301).map(|line| format!("{line}\n"));
        input.write_all(half.collect::<String>().as_bytes()).unwrap();
        input
    });
    let input = input.await.unwrap();
    // A thousand rows are looked up and added; what is left waits for more.
    while job.reads.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await;
    let output = output.unwrap();
    drop(input);
    assert_eq!(code(&output), Some(130), "{}", told(&output));
    assert!(told(&output).contains("the journal job.journal, from which"), "{}", told(&output));
    let output = job.run(&JOURNAL).await;
    assert_eq!(code(&output), Some(0), "{}", told(&output));
    is_as(&job, &expected, "interrupted").await;
}

//! The ETL job: exact totals, through bad servers too, and what becomes of bad rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::testing::{Chaos, Faults};
use memory_table::{Attributes, Database, Number, Record, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::server::{Answer, Server};

const HEADER: &str = "date,home_team,away_team,team,scorer,minute,own_goal,penalty\n";

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "scorers")]
struct Scorer {
    #[record(partition_key)]
    scorer: String,
    #[serde(flatten)]
    rest: Attributes,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    team: String,
    rating: Number,
}

/// A folder with the files of a job, and the database that it works on.
struct Job {
    folder: tempfile::TempDir,
    database: Database,
}

impl Job {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, database: Database::embedded().expect("an embedded database") }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn goals(&self, rows: &str) {
        std::fs::write(self.path("goals.csv"), format!("{HEADER}{rows}")).expect("the goals");
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.run_on(&self.database, args).await
    }

    /// Runs the job against a server before this database.
    async fn run_on(&self, database: &Database, args: &[&str]) -> Output {
        let server = Server::start(database, Arc::new(|_: &str, _| Answer::Run)).await;
        let mut command = crate::support::example("etl");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["--endpoint", &server.url(), "--json", "out.json"]).args(args);
        output_of(command).await
    }

    fn json(&self) -> Value {
        let text = std::fs::read(self.path("out.json")).expect("the JSON");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Every scorer with all attributes.
    async fn table(&self) -> BTreeMap<String, Value> {
        let table: Table<Scorer> = self.database.table();
        let scorers = table.scan().consistent().all().await.expect("the scorers");
        scorers
            .into_iter()
            .map(|scorer| (scorer.scorer, serde_json::to_value(&scorer.rest).expect("JSON")))
            .collect()
    }

    async fn scorer(&self, name: &str) -> Value {
        self.table().await[name].clone()
    }
}

/// Runs a program to its end, on a thread of its own.
async fn output_of(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the example starts"))
        .await
        .expect("the program ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_ok(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_are_added_to_the_totals_and_run_twice_they_count_twice() {
    let job = Job::new();
    let teams = job.database.table::<Team>();
    teams.create_if_missing().await.unwrap();
    teams.put(&Team { team: "B".into(), rating: "1600.1".parse().unwrap() }).await.unwrap();
    job.goals(
        "2001-02-03,A,B,A,Ada,1,FALSE,TRUE\n\
         2000-02-03,C,A,A,Ada,1,FALSE,FALSE\n\
         2002-02-03,A,B,B,Ada,1,TRUE,FALSE\n\
         2000-01-01,A,B,A,Own,1,TRUE,FALSE\n",
    );
    for times in 1..=2_u32 {
        assert_ok(&job.run(&["--goals", "goals.csv"]).await);
        let ada = job.scorer("Ada").await;
        let opponents = if times == 1 { "3100.1" } else { "6200.2" };
        assert_eq!(ada["goals"].to_string(), (2 * times).to_string(), "{ada}");
        assert_eq!((&ada["penalties"], &ada["own_goals"]), (&times.into(), &times.into()));
        assert!(ada["opponents"].to_string().contains(opponents), "{ada}");
        assert_eq!((&ada["first"], &ada["last"]), (&"2000-02-03".into(), &"2002-02-03".into()));
        assert!(ada["teams"].to_string().contains("\"A\""), "{ada}");
        let own = job.scorer("Own").await;
        assert_eq!((&own["goals"], &own["own_goals"]), (&0.into(), &times.into()));
        assert!(own.get("teams").is_none(), "{own}");
    }
    let json = job.json();
    let expected = [("rows", 4), ("refused", 0), ("scorers", 2), ("items_read", 3)];
    for (key, expected) in expected.into_iter().chain([("items_written", 2), ("items_failed", 0)]) {
        assert_eq!(json[key], expected, "{key} of {json}");
    }
    assert!(json["read_requests"].as_u64() == Some(2) && json["seconds"].is_number(), "{json}");
    assert_eq!(json["write_requests"], 1);
    // Consistent reads of two scorers and two teams, of which one is not there.
    assert_eq!((&json["read_units"], &json["write_units"]), (&4.0.into(), &2.0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_added_are_written_down_with_line_and_reason() {
    let job = Job::new();
    let table = job.database.table::<Scorer>();
    table.create_if_missing().await.unwrap();
    let bad: Attributes = serde_json::from_str(r#"{"goals":"many"}"#).unwrap();
    table.put(&Scorer { scorer: "Bad".into(), rest: bad }).await.unwrap();
    job.goals(
        "2001-02-03,A,B,A,Ada,1,FALSE,FALSE\n\
         2001-02-03,A,B,A,NA,1,FALSE,FALSE\n\
         2001-02-03,A,B,\"C, D\",Ada,1,FALSE,FALSE\n\
         2001-02-03,A,B,A,Bad,1,FALSE,FALSE\n\
         2001-02-03,A,B\n",
    );
    let output = job.run(&["--goals", "goals.csv", "--refused", "refused.csv"]).await;
    assert_ok(&output);
    assert!(text(&output.stdout).contains("5 (4 refused)"), "{}", text(&output.stdout));
    let refused = std::fs::read_to_string(job.path("refused.csv")).unwrap();
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(refused.as_bytes());
    assert_eq!(
        rows.headers().unwrap().iter().take(3).collect::<Vec<_>>(),
        ["line", "reason", "date"]
    );
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let reasons: Vec<(&str, &str)> = rows.iter().map(|row| (&row[0], &row[1])).collect();
    assert_eq!(reasons[0], ("3", "there is no scorer"));
    assert_eq!(reasons[1], ("4", "\"C, D\" did not play: \"A\" against \"B\""));
    assert_eq!(&rows[1][5], "C, D", "the row as it stands in the file");
    assert!(reasons[2].0 == "5" && reasons[2].1.contains("attribute `goals`"), "{reasons:?}");
    assert_eq!(reasons[3], ("6", "the row has 3 fields, the header 8"));
    let json = job.json();
    assert_eq!(
        (&json["rows"], &json["refused"], &json["scorers"]),
        (&5.into(), &4.into(), &1.into())
    );
    assert_eq!(job.scorer("Bad").await, serde_json::json!({ "goals": "many" }), "as it was");
}

/// The goals of all times, for those who have them; else those that the job brings along.
const ALL_GOALS: &str = "MEMORY_TABLE_TEST_GOALS";

/// A fifth of all items unprocessed, a tenth of the requests throttled, and answers lost, most of them
/// after the request was done.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_server_changes_nothing_about_the_totals() {
    let file = std::env::var(ALL_GOALS).ok();
    let goals = file.as_ref().map_or(Vec::new(), |file| vec!["--goals", file]);
    let expected = Job::new();
    for _ in 0..2 {
        assert_ok(&expected.run(&goals).await);
    }
    let expected = expected.table().await;
    assert_eq!(expected.len(), if file.is_some() { 15_349 } else { 118 });
    let job = Job::new();
    let bound = if file.is_some() { "2000" } else { "50" };
    for seed in 1..=2 {
        let (scripted, faults) = Faults::around(&job.database);
        let chaos = Chaos::seeded(seed).unprocessed(0.2).throttled(0.1);
        faults.chaos(chaos.reset(0.15).applied_before_reset(0.7));
        let args = [&goals[..], &["--max-unsaved", bound]].concat();
        assert_ok(&job.run_on(&scripted, &args).await);
    }
    assert_eq!(job.table().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn scorers_that_could_not_be_saved_are_named() {
    let job = Job::new();
    assert_ok(&job.run(&[]).await);
    let before = job.table().await;
    let (scripted, faults) = Faults::around(&job.database);
    faults.always("BatchWriteItem", memory_table::testing::Fault::throttled());
    let output = job.run_on(&scripted, &["--patience", "0.1"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert_eq!(told.lines().filter(|line| line.starts_with("not saved: ")).count(), 118, "{told}");
    assert_eq!(job.table().await, before);
    assert_eq!(
        (&job.json()["items_failed"], &job.json()["items_written"]),
        (&118.into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_ends_with_2_before_anything_is_sent() {
    let job = Job::new();
    job.goals("");
    std::fs::write(job.path("header.csv"), "date,team\n").unwrap();
    std::fs::hard_link(job.path("goals.csv"), job.path("linked.csv")).unwrap();
    for (args, expected) in [
        (&["--goals", "none.csv"][..], "none.csv: the file cannot be read"),
        (&["--goals", "header.csv"], "header.csv, line 1, column home_team: the header lacks it"),
        (
            &["--goals", "goals.csv", "--refused", "goals.csv"],
            "goals.csv: the file cannot be created",
        ),
        (&["--refused", "no/such/folder.csv"], "the file cannot be created"),
        (&["--max-unsaved", "0"], "--max-unsaved"),
        (&["--goals", "goals.csv", "--refused", "linked.csv"], "linked.csv: the file cannot be"),
        (&["--table", "same", "--teams", "same"], "name the same table"),
    ] {
        let output = job.run(args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let tables = job.database.client().list_tables().send().await.unwrap();
    assert!(tables.table_names().is_empty());
    assert!(Path::new(&job.path("goals.csv")).exists());
}

/// Runs the job without a server, on what the options say.
async fn run_alone(job: &Job, args: &[&str]) -> Output {
    let mut command = crate::support::example("etl");
    command.current_dir(job.folder.path()).stdin(Stdio::null()).args(args);
    output_of(command).await
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn a_database_that_cannot_be_opened_or_would_be_overwritten_is_a_wrong_option() {
    let job = Job::new();
    std::fs::write(job.path("no.db"), "no database, but long enough to be one").unwrap();
    std::os::unix::fs::symlink("new.db", job.path("link.json")).unwrap();
    for (args, expected) in [
        (&["--db", "no/such/folder/x.db"][..], "could not be opened"),
        (&["--db", "no.db"], "could not be opened"),
        (&["--db", "new.db", "--json", "./new.db"], "the job reads or writes this file already"),
        (&["--db", "new.db", "--json", "new.db-wal"], "the job reads or writes this file already"),
        (&["--db", "new.db", "--json", "link.json"], "the job reads or writes this file already"),
    ] {
        let output = run_alone(&job, args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    assert!(!job.path("new.db").exists());
    // What an earlier run refused stays as long as nothing is sent.
    std::fs::write(job.path("refused.csv"), "precious").unwrap();
    let args = ["--db", "no.db", "--refused", "refused.csv"];
    assert_eq!(run_alone(&job, &args).await.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(job.path("refused.csv")).unwrap(), "precious");
    assert_ok(&run_alone(&job, &["--db", "new.db", "--refused", "refused.csv"]).await);
    let refused = std::fs::read_to_string(job.path("refused.csv")).unwrap();
    assert_eq!(refused.lines().count(), 1, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_guarded_jobs_at_the_same_time_lose_nothing_of_each_other() {
    let expected = Job::new();
    for _ in 0..2 {
        assert_ok(&expected.run(&[]).await);
    }
    let job = Job::new();
    let args = ["--guarded", "--max-unsaved", "20"];
    let (one, other) = tokio::join!(job.run(&args), async {
        let mut command = crate::support::example("etl");
        let server = Server::start(&job.database, Arc::new(|_: &str, _| Answer::Run)).await;
        command.args(["--endpoint", &server.url()]).args(args).stdin(Stdio::null());
        output_of(command).await
    });
    assert_ok(&one);
    assert_ok(&other);
    assert_eq!(job.table().await, expected.table().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_job_changed_is_merged_and_said() {
    let job = Job::new();
    job.goals("2001-02-03,A,B,A,Ada,1,FALSE,FALSE\n");
    assert_ok(&job.run(&["--goals", "goals.csv"]).await);
    let (scripted, faults) = Faults::around(&job.database);
    let client = job.database.client().clone();
    let theirs = move || {
        let add = client.update_item().table_name("scorers");
        let add = add.key("scorer", AttributeValue::S("Ada".into()));
        let add = add.update_expression("ADD goals :n");
        let add = add.expression_attribute_values(":n", AttributeValue::N("5".into()));
        async move { drop(add.send().await.unwrap()) }
    };
    faults.next("UpdateItem", memory_table::testing::Fault::none().foreign_write_before(theirs));
    let output = job.run_on(&scripted, &["--guarded", "--goals", "goals.csv"]).await;
    assert_ok(&output);
    let told = text(&output.stdout);
    assert!(told.contains("conflicts       1 (merged)\n"), "{told}");
    assert_eq!(job.scorer("Ada").await["goals"].to_string(), "7");
}

/// What cannot be read is read once, however many rows are refused for it.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_do_not_fit_are_read_once() {
    let job = Job::new();
    let teams = job.database.table::<Odd>();
    teams.create_if_missing().await.unwrap();
    teams.put(&Odd { team: "B".into(), rating: "best".into() }).await.unwrap();
    let row = |name: usize| format!("2001-02-03,A,B,A,s{name},1,FALSE,FALSE\n");
    job.goals(&(0..300).map(row).collect::<String>());
    let output = job.run(&["--goals", "goals.csv"]).await;
    assert_ok(&output);
    let json = job.json();
    assert_eq!((&json["rows"], &json["refused"]), (&300.into(), &300.into()));
    // The scorers, 100 a request, the team, and once more for the reason.
    assert!(json["read_requests"].as_u64().unwrap() <= 5, "{json}");
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "teams")]
struct Odd {
    #[record(partition_key)]
    team: String,
    rating: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_that_overflow_and_dates_that_are_none_are_refused() {
    let job = Job::new();
    let table = job.database.table::<Scorer>();
    table.create_if_missing().await.unwrap();
    let full: Attributes = serde_json::from_str(r#"{"goals":18446744073709551615}"#).unwrap();
    table.put(&Scorer { scorer: "Full".into(), rest: full }).await.unwrap();
    job.goals(
        "2001-02-03,A,B,A,Full,1,FALSE,FALSE\n\
         2001-02-30,A,B,A,Ada,1,FALSE,FALSE\n\
         2001-02-28,A,B,A,Ada,1,FALSE,FALSE\n",
    );
    assert_ok(&job.run(&["--goals", "goals.csv", "--refused", "refused.csv"]).await);
    let refused = std::fs::read_to_string(job.path("refused.csv")).unwrap();
    assert!(refused.contains("2,the sum of the goals"), "{refused}");
    assert!(refused.contains("is no date of the form year-month-day"), "{refused}");
    assert_eq!(job.scorer("Full").await["goals"].to_string(), "18446744073709551615");
    assert_eq!(job.scorer("Ada").await["last"], "2001-02-28");
}

/// A server that takes nothing more for want of permission: nobody waits for room that never comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_can_save_nothing_any_more_ends_at_once_and_says_where() {
    let job = Job::new();
    let (scripted, faults) = Faults::around(&job.database);
    faults.always("BatchWriteItem", memory_table::testing::Fault::access_denied());
    let output = job.run_on(&scripted, &["--max-unsaved", "10"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("AccessDenied") && !told.contains("there was no room"), "{told}");
    assert!(told.contains("but for scorers that are named as not saved"), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("not saved: ")).count(), 10, "{told}");
    assert_eq!((&job.json()["items_failed"], &job.json()["scorers"]), (&10.into(), &0.into()));
}

/// Ctrl-C, or the end of a container, while the input has nothing to read: what was read is saved.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_interrupted_saves_what_was_read() {
    for signal in ["-INT", "-TERM"] {
        is_interrupted_by(signal).await;
    }
}

#[cfg(unix)]
async fn is_interrupted_by(signal: &str) {
    use std::io::Write;
    let job = Job::new();
    let pipe = job.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let rule = move |operation: &str, _| {
        counted.fetch_add(usize::from(operation == "BatchGetItem"), Ordering::SeqCst);
        Answer::Run
    };
    let server = Server::start(&job.database, Arc::new(rule)).await;
    let mut command = crate::support::example("etl");
    command.current_dir(job.folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
    command.args(["--endpoint", &server.url(), "--json", "out.json", "--goals", "pipe"]);
    std::fs::write(job.path("out.json"), "of an earlier run").unwrap();
    let child = command.spawn().unwrap();
    let written = tokio::task::spawn_blocking(move || {
        let mut input = std::fs::File::options().write(true).open(pipe).unwrap();
        let row = |name: usize| format!("2001-02-03,A,B,A,s{name},1,FALSE,FALSE\n");
        let rows: String = (0..2_500).map(row).collect();
        input.write_all(format!("{HEADER}{rows}").as_bytes()).unwrap();
        input
    });
    let input = written.await.unwrap();
    // Two thousand rows are looked up; what is left waits for more.
    while loads.load(Ordering::SeqCst) < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(std::fs::read_to_string(job.path("out.json")).unwrap(), "", "no figures yet");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await;
    let output = output.unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let json = job.json();
    let rows = json["rows"].as_u64().unwrap();
    assert!((1..=2_500).contains(&rows), "{json}");
    let told = text(&output.stderr);
    assert!(told.contains(&format!("the rows before line {} are added", rows + 2)), "{told}");
    assert_eq!(job.table().await.len() as u64, rows);
}

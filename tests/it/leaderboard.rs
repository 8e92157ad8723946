//! The leaderboard example from outside: what it prints, writes and answers to good and bad
//! input. The files, flags, JSON keys and exit codes are a contract.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const HEADER: &str = "date,home_team,away_team,home_score,away_score\n";

/// A folder of its own for each test, with whatever the job reads and writes in it.
struct Job {
    folder: TempDir,
}

impl Job {
    fn new() -> Self {
        Job { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = crate::support::example("leaderboard");
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the example starts")
    }

    /// Runs on the folder's database `d.db`, expects success, and returns the JSON.
    fn succeed(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--db", "d.db", "--json", "out.json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
        json(&self.path("out.json"))
    }

    /// Runs on a file of matches, expects exit code 2 and no trace of a database, and returns
    /// the message.
    fn refuse_file(&self, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path("m.csv"), content).expect("the file of matches is written");
        self.refuse(&["--matches", "m.csv", "--db", "d.db", "--json", "out.json"])
    }

    fn refuse(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert!(!self.path("d.db").exists(), "a database was opened");
        stderr(&output)
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("standard error is UTF-8")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the JSON file is there")).expect("it is JSON")
}

/// Asserts every number of the JSON but the seconds, which must be a number.
#[track_caller]
fn assert_json(mut found: Value, expected: &Value) {
    let seconds = found.as_object_mut().and_then(|keys| keys.remove("seconds"));
    assert!(seconds.is_some_and(|seconds| seconds.as_f64().is_some_and(|s| s > 0.0)));
    assert_eq!(found, *expected);
}

#[test]
fn the_world_cup_is_written_once() {
    let job = Job::new();
    let first = serde_json::json!({
        "matches": 64, "skipped": 0, "teams": 32, "read_requests": 1, "write_requests": 2,
        "items_read": 0, "items_written": 32, "items_unchanged": 0, "items_failed": 0,
        "read_units": 32.0, "write_units": 32.0, "units_saved": 0.0,
    });
    assert_json(job.succeed(&[]), &first);
    let second = serde_json::json!({
        "matches": 64, "skipped": 0, "teams": 32, "read_requests": 1, "write_requests": 0,
        "items_read": 32, "items_written": 0, "items_unchanged": 32, "items_failed": 0,
        "read_units": 32.0, "write_units": 0.0, "units_saved": 32.0,
    });
    assert_json(job.succeed(&[]), &second);
}

#[test]
fn the_leaderboard_and_its_cost_are_printed() {
    let output = Job::new().run(&["--top", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let expected = "\
rank  team          rating  played  won  drawn  lost  goals for  goals against  last played
   1  France       1538.65       7    5      1     1         16              8  2022-12-18
   2  Argentina    1530.72       7    4      2     1         15              8  2022-12-18
   3  Netherlands  1528.64       5    3      2     0         10              4  2022-12-09

matches         64 (0 skipped)
teams           32
read requests   1 (0 items read)
write requests  2 (32 items written, 0 unchanged)
read units      32
write units     32 (0 saved by unchanged items)
seconds         ";
    let seconds = text.strip_prefix(expected).unwrap_or_else(|| panic!("{text}"));
    assert!(seconds.trim_end().parse::<f64>().is_ok(), "{text}");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_leaves_no_trace() {
    let job = Job::new();
    let arguments = [
        "--dry-run",
        "--write-capacity",
        "20",
        "--price",
        "625",
        "--db",
        "d.db",
        "--json",
        "out.json",
    ];
    let output = job.run(&arguments);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let expected = "
Dry run: nothing was written. A run without --dry-run would
put             32 items
delete          0 items
leave           0 items unchanged
send            3166 bytes in 2 requests
use             32 write units (0 saved by unchanged items)
take            1.60 s at the table's rate
cost            0.020000
";
    assert!(stdout(&output).ends_with(expected), "{}", stdout(&output));
    assert!(!job.path("d.db").exists(), "a database was made");
    let found = json(&job.path("out.json"));
    let planned = serde_json::json!({
        "puts": 32, "deletes": 0, "unchanged": 0, "parked": 0, "bytes": 3166, "requests": 2,
        "write_units": 32.0, "units_saved": 0.0, "seconds": 1.6, "cost": 0.02,
    });
    assert_eq!(found["planned"], planned);
    assert_eq!((&found["write_requests"], &found["items_failed"]), (&0.into(), &0.into()));
    // Where the teams are, nothing of them is changed.
    let rows = "d1,A,B,1,0\nd1,C,D,2,2\n";
    fs::write(job.path("m.csv"), format!("{HEADER}{rows}")).expect("written");
    job.succeed(&["--matches", "m.csv"]);
    fs::write(job.path("m.csv"), format!("{HEADER}{rows}d2,C,A,0,1\n")).expect("written");
    for _ in 0..2 {
        let found = job.succeed(&["--matches", "m.csv", "--dry-run"]);
        let planned = &found["planned"];
        assert_eq!((&planned["puts"], &planned["unchanged"]), (&2.into(), &2.into()));
        assert_eq!((&planned["seconds"], &planned["cost"]), (&Value::Null, &Value::Null));
        assert_eq!((&found["items_read"], &found["units_saved"]), (&4.into(), &2.0.into()));
    }
    let found = job.succeed(&["--matches", "m.csv"]);
    assert_eq!((&found["items_written"], &found.get("planned")), (&2.into(), &None));
}

#[test]
fn a_write_capacity_sets_the_pace_and_a_share_of_nothing_is_told() {
    let job = Job::new();
    let seconds = job.succeed(&["--write-capacity", "20"])["seconds"].as_f64().unwrap();
    assert!(seconds > 0.55, "32 units, of which 20 at once: {seconds}");
    let output = job.run(&["--share", "0.5", "--db", "d.db"]);
    assert_eq!(output.status.code(), Some(0));
    let note =
        "note: the service does not say what table `teams` can take, so --share does nothing\n";
    assert_eq!(stderr(&output), note);
}

#[test]
fn only_teams_that_changed_are_written() {
    let job = Job::new();
    let rows = "d1,A,B,1,0\nd1,C,D,2,2\n";
    fs::write(job.path("m.csv"), format!("{HEADER}{rows}")).expect("written");
    assert_eq!(job.succeed(&["--matches", "m.csv"])["items_written"], 4);
    fs::write(job.path("m.csv"), format!("{HEADER}{rows}d2,C,A,0,1\n")).expect("written");
    let json = job.succeed(&["--matches", "m.csv"]);
    assert_eq!((&json["items_written"], &json["items_unchanged"]), (&2.into(), &2.into()));
}

#[test]
fn teams_of_an_earlier_file_are_left_alone() {
    let job = Job::new();
    job.succeed(&[]);
    fs::write(job.path("m.csv"), format!("{HEADER}d,Brazil,Tuvalu,1,0\n")).expect("written");
    let json = job.succeed(&["--matches", "m.csv"]);
    assert_eq!((&json["teams"], &json["items_read"]), (&2.into(), &1.into()));
    assert_eq!(job.succeed(&[])["items_written"], 1, "only Brazil had changed");
}

#[test]
fn matches_without_a_score_are_skipped_and_counted() {
    let job = Job::new();
    let rows = "d,A,B,1,0\nd,A,C,NA,NA\nd,A,D,,\n";
    fs::write(job.path("m.csv"), format!("{HEADER}{rows}")).expect("written");
    let json = job.succeed(&["--matches", "m.csv"]);
    let counts = ["matches", "skipped", "teams", "items_written"].map(|key| json[key].as_u64());
    assert_eq!(counts, [Some(1), Some(2), Some(2), Some(2)]);
}

#[test]
fn files_as_spreadsheets_write_them_are_read() {
    let job = Job::new();
    let rows = "d,\"Bosnia, and Herzegovina\",\"Réunion \"\"R\"\"\",1,\"0\"\r\n\r\n";
    let text = format!("\u{feff}{}{rows}", HEADER.replace('\n', "\r\n"));
    fs::write(job.path("m.csv"), text).expect("written");
    let output = job.run(&["--matches", "m.csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("Bosnia, and Herzegovina  1510.00"), "{}", stdout(&output));
    assert!(stdout(&output).contains("Réunion \"R\"              1490.00"), "{}", stdout(&output));
}

#[test]
fn synthetic_matches_are_the_same_each_time() {
    let job = Job::new();
    let first = job.succeed(&["--synthetic", "1000"]);
    assert_eq!((&first["matches"], &first["teams"]), (&1000.into(), &50.into()));
    let second = job.succeed(&["--synthetic", "1000"]);
    assert_eq!((&second["items_written"], &second["items_unchanged"]), (&0.into(), &50.into()));
}

#[test]
fn each_table_has_teams_of_its_own() {
    let job = Job::new();
    job.succeed(&[]);
    assert_eq!(job.succeed(&["--table", "other.teams"])["items_written"], 32);
}

#[test]
fn top_zero_prints_the_summary_only() {
    let text = stdout(&Job::new().run(&["--top", "0"]));
    assert!(text.starts_with("matches         64 "), "{text}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let job = Job::new();
    let mut command = job.command(&["--top", "32"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the example ends");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn bad_files_are_refused_by_file_line_and_column() {
    let cases = [
        ("d,A,B,1,0\nd,A,B,1,x\n", 3, "away_score", "the score \"x\" is no whole number"),
        ("d,A,B,-1,0\n", 2, "home_score", "the score \"-1\" is no whole number"),
        ("d,A,B,1.5,0\n", 2, "home_score", "the score \"1.5\" is no whole number"),
        ("d,A,B,NA,x\n", 2, "away_score", "the score \"x\" is no whole number"),
        ("d,,B,1,0\n", 2, "home_team", "the team is empty"),
        ("d,A,,1,0\n", 2, "away_team", "the team is empty"),
        ("d,A,A,1,0\n", 2, "away_team", "\"A\" plays against itself"),
        ("d,A,B,1\n", 2, "away_score", "the line has 4 fields, the header 5"),
        ("d,A,B,1,0,7\n", 2, "6", "the line has 6 fields, the header 5"),
        ("d,A,\"B,1,0\nd,A,B,1,0\n", 2, "away_team", "a quote is opened and not closed"),
        ("", 2, "date", "there is no match below the header"),
    ];
    let job = Job::new();
    for (rows, line, column, problem) in cases {
        let message = job.refuse_file(format!("{HEADER}{rows}"));
        assert_eq!(message, format!("error: m.csv, line {line}, column {column}: {problem}\n"));
    }
    assert!(!job.path("out.json").exists());
}

#[test]
fn bad_headers_and_bytes_are_refused() {
    let job = Job::new();
    let message = job.refuse_file("date,home_team,away_team,home_score\nd,A,B,1\n");
    assert!(message.starts_with("error: m.csv, line 1, column away_score: "), "{message}");
    let message = job.refuse_file(HEADER.replace("date", "home_team"));
    assert!(message.starts_with("error: m.csv, line 1, column date: "), "{message}");
    let message = job.refuse_file([HEADER.as_bytes(), b"d,S\xe3o,B,1,0\n"].concat());
    assert!(message.starts_with("error: m.csv, line 2, column home_team: "), "{message}");
    let message = job.refuse_file("");
    assert!(message.starts_with("error: m.csv, line 1, column date: "), "{message}");
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let job = Job::new();
    let message = job.refuse(&["--matches", "none.csv", "--db", "d.db"]);
    assert!(message.starts_with("error: none.csv: the file cannot be read: "), "{message}");
    // Found before the job runs: at its end it would be too late.
    let message = job.refuse(&["--json", "no/folder/out.json", "--db", "d.db"]);
    assert!(message.starts_with("error: no/folder/out.json: the file cannot be "), "{message}");
}

#[test]
fn bad_options_are_refused() {
    let job = Job::new();
    let cases: [(&[&str], &str); 9] = [
        (&["--matches", "m.csv", "--synthetic", "10"], "cannot be used with"),
        (&["--endpoint", "http://localhost:1", "--db", "d.db"], "cannot be used with"),
        (
            &["--endpoint", "localhost:8000"],
            "is no URL of an endpoint; write it as http://localhost:8000",
        ),
        (&["--synthetic", "0"], "--synthetic"),
        (&["--patience", "-1"], "finite and not negative"),
        (&["--patience", "soon"], "not a number of seconds"),
        (&["--table", "my table"], "3 to 255 characters"),
        (&["--top", "many"], "--top"),
        (&["--tabel", "teams"], "--tabel"),
    ];
    for (arguments, expected) in cases {
        let message = job.refuse(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn bad_input_sends_no_request() {
    let job = Job::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    server.set_nonblocking(true).expect("a listener that does not wait");
    let url = format!("http://{}", server.local_addr().expect("an address"));
    fs::write(job.path("m.csv"), format!("{HEADER}d,A,B,x,0\n")).expect("written");
    job.refuse(&["--matches", "m.csv", "--endpoint", &url]);
    assert!(server.accept().is_err(), "the job connected");
}

#[test]
fn a_refused_endpoint_ends_with_1_and_writes_the_json() {
    let job = Job::new();
    // A port that was free a moment ago, so that nobody listens there.
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", server.local_addr().expect("an address"));
    drop(server);
    let output = job.run(&["--endpoint", &url, "--patience", "0.2", "--json", "out.json"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    let told = stderr(&output);
    assert_eq!(told.lines().filter(|line| line.starts_with("not saved: ")).count(), 32, "{told}");
    assert!(told.contains("\nerror: ") && told.contains(url.as_str()), "{told}");
    let none = serde_json::json!({
        "matches": 64, "skipped": 0, "teams": 32, "read_requests": 0, "write_requests": 0,
        "items_read": 0, "items_written": 0, "items_unchanged": 0, "items_failed": 32,
        "read_units": 0.0, "write_units": 0.0, "units_saved": 0.0,
    });
    assert_json(json(&job.path("out.json")), &none);
}

#[test]
fn help_explains_every_option_and_the_exit_codes() {
    let output = Job::new().run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let options = "--matches --synthetic --table --top --json --endpoint --db --patience";
    for word in options.split(' ').chain(["Exit codes"]) {
        assert!(stdout(&output).contains(word), "{word}");
    }
}

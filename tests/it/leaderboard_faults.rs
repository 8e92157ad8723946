//! The leaderboard against a server that fails: what it says, and that a second run repairs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use memory_table::Database;
use memory_table::aws_sdk_dynamodb;
use memory_table::testing::{Chaos, Faults};
use serde_json::Value;

use crate::server::{Answer, Rule, Server};

/// 6,000 matches of 300 teams: 12 write requests.
const MATCHES: &str = "6000";

type Item = HashMap<String, AttributeValue>;

async fn job(server: &Server, patience: &str, json: &std::path::Path) -> Output {
    job_with(server, &["--patience", patience], json).await
}

async fn job_with(server: &Server, args: &[&str], json: &std::path::Path) -> Output {
    let mut command = crate::support::example("leaderboard");
    command.args(["--synthetic", MATCHES, "--top", "0", "--endpoint", &server.url()]);
    command.args(args).arg("--json").arg(json).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().expect("the example starts"))
        .await
        .expect("the program ends")
}

/// The whole table, by the SDK alone.
async fn table(database: &Database) -> BTreeMap<String, Item> {
    let mut items = BTreeMap::new();
    let mut pages = database.client().scan().table_name("teams").into_paginator().send();
    while let Some(page) = pages.next().await {
        for item in page.expect("a page of the scan").items() {
            items.insert(item["team"].as_s().expect("a name").clone(), item.clone());
        }
    }
    items
}

fn unsaved(output: &Output) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let names = text.lines().filter_map(|line| line.strip_prefix("not saved: \""));
    names.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

/// The table as an undisturbed run leaves it.
async fn expected(folder: &std::path::Path) -> BTreeMap<String, Item> {
    let database = Database::embedded().expect("an embedded database");
    let server = Server::start(&database, Arc::new(|_: &str, _| Answer::Run)).await;
    let output = job(&server, "30", &folder.join("expected.json")).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.writes(), 12);
    table(&database).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_after_the_seventh_write_is_reported_exactly_and_repaired() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("out.json");
    let expected = expected(folder.path()).await;
    assert_eq!(expected.len(), 300);

    let database = Database::embedded().expect("an embedded database");
    let dies = |operation: &str, number: usize| match operation {
        "BatchWriteItem" if number > 7 => Answer::Drop,
        _ => Answer::Run,
    };
    let server = Server::start(&database, Arc::new(dies)).await;
    let output = job(&server, "0.3", &json).await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));

    let written: BTreeSet<String> = table(&database).await.into_keys().collect();
    let all: BTreeSet<String> = expected.keys().cloned().collect();
    assert_eq!(written.len(), 175);
    assert_eq!(unsaved(&output), &all - &written);
    let report: Value =
        serde_json::from_slice(&std::fs::read(&json).expect("the JSON")).expect("JSON");
    assert_eq!((&report["items_written"], &report["items_failed"]), (&175.into(), &125.into()));

    // Meanwhile nobody takes the figures of the first run for those of the second.
    let old = Arc::new(AtomicBool::new(false));
    let (path, found) = (json.clone(), Arc::clone(&old));
    let runs = move |_: &str, _| {
        let is_old = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        found.fetch_or(is_old, Ordering::SeqCst);
        Answer::Run
    };
    let batches = move |operation: &str, number: usize| match operation {
        "BatchGetItem" | "BatchWriteItem" => runs(operation, number),
        _ => Answer::Run,
    };
    let server = Server::start(&database, Arc::new(batches)).await;
    let output = job(&server, "30", &json).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!old.load(Ordering::SeqCst), "figures of the first run are still there");
    assert_eq!(table(&database).await, expected);
    let report: Value =
        serde_json::from_slice(&std::fs::read(&json).expect("the JSON")).expect("JSON");
    assert_eq!((&report["items_written"], &report["items_unchanged"]), (&125.into(), &175.into()));
    assert_eq!(server.writes(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_now_and_then_change_nothing_about_the_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::embedded().expect("an embedded database");
    let rule: Arc<Rule> =
        Arc::new(|operation: &str, number: usize| match (operation, number % 3) {
            ("BatchWriteItem", 1) => Answer::Drop,
            ("BatchWriteItem", 2) => Answer::RunAndDrop,
            _ => Answer::Run,
        });
    let server = Server::start(&database, rule).await;
    let output = job(&server, "60", &folder.path().join("out.json")).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(table(&database).await, expected(folder.path()).await);
}

/// A third of all items unprocessed, a fifth of the requests throttled, one in ten failed or reset,
/// half of those applied before.
fn bad(seed: u64) -> Chaos {
    let chaos = Chaos::seeded(seed).unprocessed(0.33).throttled(0.2);
    chaos.failed(0.05).applied_before_failure(0.5).reset(0.05).applied_before_reset(0.5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_server_is_waited_out_or_the_error_names_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("out.json");
    let expected = expected(folder.path()).await;
    let runs = [(1, None), (2, None), (3, Some("0.02")), (4, Some("0.02")), (5, Some("0"))];
    for (seed, patience) in runs {
        let database = Database::embedded().expect("an embedded database");
        let (scripted, faults) = Faults::around(&database);
        faults.chaos(bad(seed));
        let server = Server::start(&scripted, Arc::new(|_: &str, _| Answer::Run)).await;
        let patience = patience.map(|patience| ["--patience", patience]);
        let args = patience.as_ref().map_or(&[][..], |patience| &patience[..]);
        let output = job_with(&server, args, &json).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = table(&database).await;
        if patience.is_none() || output.status.success() {
            assert_eq!(output.status.code(), Some(0), "seed {seed}: {told}");
            assert_eq!(found, expected, "seed {seed}");
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "seed {seed}: {told}");
        let differs = expected.iter().filter(|(name, item)| found.get(*name) != Some(*item));
        let missing: BTreeSet<String> = differs.map(|(name, _)| name.clone()).collect();
        let named = unsaved(&output);
        assert!(missing.is_subset(&named), "seed {seed}: {missing:?} of {named:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_journal_the_next_run_saves_what_this_one_could_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, journal) = (folder.path().join("out.json"), folder.path().join("teams.journal"));
    let database = Database::embedded().expect("an embedded database");
    let dies = |operation: &str, number: usize| match operation {
        "BatchWriteItem" if number > 7 => Answer::Drop,
        _ => Answer::Run,
    };
    let server = Server::start(&database, Arc::new(dies)).await;
    let path = journal.to_str().expect("text");
    let output = job_with(&server, &["--patience", "0.3", "--journal", path], &json).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&format!("they are in the journal {path}")), "{text}");
    let named: BTreeSet<String> = memory_table::Journal::inspect(&journal)
        .expect("it can be read")
        .changes()
        .iter()
        .map(|change| serde_json::from_str::<Value>(change.key()).expect("JSON"))
        .map(|key| key["team"]["S"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(named, unsaved(&output));

    // The next run has other matches, and saves what was left all the same.
    let server = Server::start(&database, Arc::new(|_: &str, _| Answer::Run)).await;
    let mut command = crate::support::example("leaderboard");
    command.args(["--top", "0", "--endpoint", &server.url(), "--journal", path]);
    let ran = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let output = ran.await.expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let saved = table(&database).await;
    let expected = expected(folder.path()).await;
    for (name, item) in &expected {
        assert_eq!(saved.get(name), Some(item), "{name}");
    }
    assert_eq!(saved.len(), expected.len() + 32, "and the 32 teams of the World Cup");
    assert!(memory_table::Journal::inspect(&journal).expect("it can be read").changes().is_empty());
}

#[test]
fn a_journal_that_cannot_be_opened_ends_with_2_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "dear diary").expect("a file");
    let mut command = crate::support::example("leaderboard");
    command.current_dir(folder.path()).args(["--db", "d.db", "--journal", "notes.txt"]);
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("notes.txt") && text.contains("no journal"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "dear diary");
}

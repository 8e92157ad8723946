//! What the log says of accesses to the database, and of records.

use memory_table::{ErrorKind, MemoryTable, Tracked, flush_all};
use tracing::Level;

use crate::support::logs::Logs;
use crate::support::{
    Fault, Faults, Player, Stage, Team, at, embedded, player, players, quick_builder,
};

const DATABASE: &str = "memory_table::database";
const RECORDS: &str = "memory_table::records";

/// The log, read on from where it was read to.
struct Reading {
    logs: Logs,
    read: usize,
}

impl Reading {
    fn begin() -> Self {
        Self { logs: Logs::listen(), read: 0 }
    }

    /// The events of a target with this message since the last look.
    fn since(&mut self, target: &str, message: &str) -> Vec<String> {
        let lines = self.logs.of(Level::DEBUG);
        let new = lines[self.read..].to_vec();
        self.read = lines.len();
        let (target, message) = (format!("target={target} "), format!("message={message} "));
        new.into_iter().filter(|line| line.contains(&target) && line.contains(&message)).collect()
    }

    /// Exactly one request was answered since the last look, and its event has all of these.
    fn one(&mut self, parts: &[&str]) {
        let lines = self.since(DATABASE, "answered");
        assert_eq!(lines.len(), 1, "{parts:?}: {lines:?}");
        for part in parts {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
    }
}

#[tokio::test]
async fn each_access_is_one_event_with_its_table_key_requests_and_capacity() {
    let stage = Stage::<Player>::new().await;
    let mut log = Reading::begin();
    let table = format!("db.collection.name=\"{}\"", stage.truth.name().unwrap());
    let table = table.as_str();
    let ada = "key=(\"chess\", \"ada\")";
    stage.table.describe().await.unwrap();
    log.one(&[table, "\"DescribeTable\"", "requests=1 ", "capacity=0.0"]);
    stage.table.put(&player("ada", 1500.0)).await.unwrap();
    let put = ["db.system.name=\"aws.dynamodb\"", table, "db.operation.name=\"PutItem\"", ada];
    log.one(&[&put[..], &["requests=1 ", "capacity=1.0 "]].concat());
    stage.faults.next("GetItem", Fault::throttled());
    stage.table.get(at("ada")).await.unwrap();
    log.one(&[table, "\"GetItem\"", ada, "requests=2 ", "capacity=0.5 "]);
    stage.table.batch_get([at("ada"), at("bob")]).await.unwrap();
    log.one(&[table, "\"BatchGetItem\"", "db.operation.batch.size=2 "]);
    stage.table.query("chess").all().await.unwrap();
    log.one(&[table, "\"Query\"", "capacity=0.5 "]);
    stage.table.scan().all().await.unwrap();
    log.one(&[table, "\"Scan\"", "capacity=0.5 "]);
    let mut bob = Tracked::new(player("bob", 1.0));
    stage.table.save(&mut bob).await.unwrap();
    log.one(&[table, "\"PutItem\"", "guarded=true", "\"bob\")"]);
    stage.table.update(at("bob")).set(Player::FIELDS.rating, 2.0).await.unwrap();
    log.one(&[table, "\"UpdateItem\"", "guarded=false", "\"bob\")"]);
    stage.table.delete(at("bob")).await.unwrap();
    log.one(&[table, "\"DeleteItem\"", "\"bob\")"]);
    let many = players(3);
    assert_eq!(stage.table.batch_write().puts(many).await.unwrap().written, 3);
    log.one(&[table, "\"BatchWriteItem\"", "db.operation.batch.size=3 ", "capacity=3.0 "]);
}

#[tokio::test]
async fn a_table_that_is_made_and_a_count_that_is_raised_are_logged() {
    let database = crate::support::database();
    let mut log = Reading::begin();
    database.table::<Team>().create_if_missing().await.unwrap();
    let lines = log.since(DATABASE, "answered");
    let made = lines.iter().filter(|line| line.contains("db.operation.name=\"CreateTable\""));
    assert_eq!(made.count(), 1, "{lines:?}");
    database.table::<Team>().increment("red", Team::FIELDS.points, 1).await.unwrap();
    log.one(&["db.operation.name=\"TransactWriteItems\"", "key=\"red\" "]);
}

#[tokio::test]
async fn a_request_of_two_tables_is_an_event_of_each_with_its_own_capacity() {
    let stage = Stage::<Player>::new().await;
    stage.truth.database().table::<Team>().create_if_missing().await.unwrap();
    let teams = quick_builder(stage.table.database().table::<Team>()).build().unwrap();
    let memory: MemoryTable<Player> = stage.memory();
    for one in players(2) {
        memory.put(one).await.unwrap();
    }
    teams.put(Team { team: "red".into(), points: 1 }).await.unwrap();
    stage.faults.next("BatchWriteItem", Fault::throttled());
    let mut log = Reading::begin();
    assert_eq!(flush_all(&[&memory, &teams]).await.unwrap().written, 3);
    let lines = log.since(DATABASE, "answered");
    let lines: Vec<_> = lines.iter().filter(|line| line.contains("\"BatchWriteItem\"")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (name, units) in [(stage.truth.name().unwrap(), 2), (teams.table().name().unwrap(), 1)] {
        let name = format!("db.collection.name=\"{name}\"");
        let line = lines.iter().find(|line| line.contains(&name)).expect("an event of each");
        assert!(line.contains(&format!("capacity={units}.0 ")), "{line}");
        assert!(line.contains("requests=2 "), "{line}");
    }
    let names = log.logs.spans().into_iter().find(|span| span.contains("\"BatchWriteItem\""));
    let names = names.expect("a span");
    assert!(names.contains("aws.dynamodb.table_names=") && names.contains("teams"), "{names}");
    assert!(!names.contains("db.collection.name"), "it is of two: {names}");
}

#[tokio::test]
async fn what_is_sent_again_is_logged_with_why() {
    let stage = Stage::<Player>::new().await;
    let mut log = Reading::begin();
    stage.faults.next("PutItem", Fault::throttled());
    stage.table.put(&player("ada", 1.0)).await.unwrap();
    let failed = log.since(DATABASE, "failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    let table = format!("db.collection.name=\"{}\"", stage.truth.name().unwrap());
    let why = "error.type=\"ProvisionedThroughputExceededException\"";
    for part in [why, &table, "\"PutItem\"", "\"ada\")", "requests=1 "] {
        assert!(failed[0].contains(part), "{part}: {failed:?}");
    }
    stage.faults.next("BatchWriteItem", Fault::unprocessed());
    let memory = stage.memory();
    memory.put(player("bob", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let again = log.since(DATABASE, "sending again");
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0].contains("items=1 ") && again[0].contains("unprocessed"), "{again:?}");
}

#[tokio::test]
async fn requests_are_in_spans_with_the_names_of_open_telemetry() {
    let stage = Stage::<Player>::new().await;
    let log = Reading::begin();
    stage.faults.next("GetItem", Fault::throttled());
    stage.table.get(at("ada")).await.unwrap();
    let spans = log.logs.spans();
    let table = format!("db.collection.name=\"{}\"", stage.truth.name().unwrap());
    assert_eq!(spans.len(), 2, "one for each request: {spans:?}");
    for part in [
        "target=memory_table::database ",
        "otel.kind=\"client\"",
        "otel.name=\"GetItem\"",
        "db.system.name=\"aws.dynamodb\"",
        "db.operation.name=\"GetItem\"",
        &table,
    ] {
        assert!(spans.iter().all(|span| span.contains(part)), "{part}: {spans:?}");
    }
    assert!(
        spans[0].contains("error.type=\"ProvisionedThroughputExceededException\""),
        "{}",
        spans[0]
    );
    assert!(spans[0].contains("otel.status_code=\"ERROR\""), "{}", spans[0]);
    assert!(!spans[1].contains("error.type"), "{}", spans[1]);
}

#[tokio::test]
async fn what_becomes_of_records_is_logged() {
    let stage = Stage::<Player>::new().await;
    assert_eq!(stage.truth.batch_write().puts(players(3)).await.unwrap().written, 3);
    let mut log = Reading::begin();
    let memory: MemoryTable<Player> = stage.memory();
    memory.load_all().await.unwrap();
    let loaded = log.since(RECORDS, "loaded");
    assert_eq!(loaded.len(), 1, "{loaded:?}");
    let table = format!("table=\"{}\"", stage.truth.name().unwrap());
    for part in [&table, "records=3 ", "skipped=0 "] {
        assert!(loaded[0].contains(part), "{part}: {loaded:?}");
    }
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let saved = log.since(RECORDS, "saved");
    assert_eq!(saved.len(), 1, "{saved:?}");
    let table = format!("tables=\"{}\"", stage.truth.name().unwrap());
    for part in [&table, "written=1 ", "deleted=0 ", "unsaved=0 ", "requests=1 ", "capacity=1.0 "] {
        assert!(saved[0].contains(part), "{part}: {saved:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_is_logged_too() {
    let (database, faults) = Faults::around(&embedded());
    faults.always("DescribeTable", Fault::no_answer());
    let mut log = Reading::begin();
    assert_eq!(
        database.table::<Team>().get("red").await.unwrap_err().kind(),
        ErrorKind::Connection
    );
    let failed = log.since(DATABASE, "failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("\"DescribeTable\"") && failed[0].contains("error.type="));
}

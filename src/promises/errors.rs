//! One error of each kind as users meet it: its text and what lies beneath.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{READ, Stage, WRITE, player};
use crate::testing::Fault;
use crate::{Database, Error, ErrorKind, MemoryTable, Record, Table};

/// What each error says. Change it with the error, and read it as the one who meets it.
const TEXTS: &str = include_str!("errors.txt");

/// Every kind, in the order of the enum.
const KINDS: [ErrorKind; 21] = [
    ErrorKind::InvalidKey,
    ErrorKind::InvalidRecord,
    ErrorKind::InvalidCondition,
    ErrorKind::InvalidItem,
    ErrorKind::Configuration,
    ErrorKind::Credentials,
    ErrorKind::AccessDenied,
    ErrorKind::Connection,
    ErrorKind::TableNotFound,
    ErrorKind::TableMismatch,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Throttled,
    ErrorKind::Refused,
    ErrorKind::Service,
    ErrorKind::Timeout,
    ErrorKind::Unsaved,
    ErrorKind::Closed,
    ErrorKind::Reentrant,
    ErrorKind::Embedded,
    ErrorKind::Journal,
];

/// Players whose rating may be what DynamoDB has no form for.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "players")]
struct Rated {
    #[record(partition_key)]
    name: String,
    rating: f64,
}

/// Another key than the table has.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "players")]
struct ById {
    #[record(partition_key)]
    id: u32,
}

/// The rating as text, which is not what the type says.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "players")]
struct InWords {
    #[record(partition_key)]
    name: String,
    rating: String,
}

fn same<R: Record>(stage: &Stage) -> Table<R> {
    stage.truth.database().table::<R>()
}

async fn read_after(fault: Fault) -> Error {
    let stage = Stage::with([]).await;
    stage.faults.next(READ, fault);
    stage.impatient().get("ada").await.unwrap_err()
}

/// An error of this kind.
async fn error(kind: ErrorKind) -> Error {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    match kind {
        ErrorKind::InvalidKey => memory.get("").await.unwrap_err(),
        ErrorKind::InvalidRecord => {
            let record = Rated { name: "ada".into(), rating: f64::NAN };
            same::<Rated>(&stage).put(&record).await.unwrap_err()
        }
        ErrorKind::InvalidCondition => stage.table.scan().segment(4, 4).all().await.unwrap_err(),
        ErrorKind::InvalidItem => {
            let secret = InWords { name: "ada".into(), rating: "SECRET".into() };
            same::<InWords>(&stage).put(&secret).await.unwrap();
            memory.get("ada").await.unwrap_err()
        }
        ErrorKind::Configuration => stage.builder().requests_in_flight(0).build().unwrap_err(),
        ErrorKind::Credentials => read_after(Fault::expired_token()).await,
        ErrorKind::AccessDenied => read_after(Fault::access_denied()).await,
        ErrorKind::Connection => read_after(Fault::connection_reset()).await,
        ErrorKind::TableNotFound => {
            let table = Database::embedded().unwrap().table::<Rated>();
            table.get("ada").await.unwrap_err()
        }
        ErrorKind::TableMismatch => same::<ById>(&stage).get(7).await.unwrap_err(),
        ErrorKind::NotFound => memory.update_existing("ada", |_| ()).await.unwrap_err(),
        ErrorKind::Conflict => {
            stage.truth.put(&player("ada", 1)).await.unwrap();
            memory.put_guarded(player("ada", 2)).await.unwrap();
            memory.flush().await.unwrap_err().cause().clone()
        }
        ErrorKind::Throttled => read_after(Fault::throttled()).await,
        ErrorKind::Refused => read_after(Fault::invalid()).await,
        ErrorKind::Service => read_after(Fault::failed()).await,
        ErrorKind::Timeout => {
            let builder = stage.builder().patience(Duration::ZERO).max_unsaved_records(1);
            let memory = builder.build().unwrap();
            stage.faults.always(WRITE, Fault::access_denied());
            memory.put(player("ada", 1)).await.unwrap();
            memory.put(player("bob", 1)).await.unwrap_err()
        }
        ErrorKind::Unsaved => {
            memory.put(player("ada", 1)).await.unwrap();
            memory.reset().await.unwrap_err()
        }
        ErrorKind::Closed => {
            assert_eq!(memory.close().await.unwrap().submitted(), 0);
            memory.put(player("ada", 1)).await.unwrap_err()
        }
        ErrorKind::Reentrant => reentrant(&memory).await,
        ErrorKind::Embedded => {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "this is a text").unwrap();
            let error = Database::embedded_at(file.path()).unwrap_err();
            assert!(error.to_string().contains(&*file.path().to_string_lossy()), "{error}");
            error
        }
        ErrorKind::Journal => {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "this is a text").unwrap();
            stage.builder().journal(file.path()).build().unwrap_err()
        }
    }
}

/// The record changed from within its own update.
async fn reentrant(memory: &MemoryTable<super::Player>) -> Error {
    let inner = memory.clone();
    let mut error = None;
    let change = |_: &mut super::Player| {
        error = futures::executor::block_on(inner.put(player("ada", 2))).err();
    };
    memory.update("ada", change).await.unwrap();
    error.unwrap()
}

/// The embedded database numbers requests on and on.
fn without_numbers_of_requests(text: &str) -> String {
    let mut parts = text.split("EMBEDDED");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "EMBEDDED" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// The text, and each cause beneath on a line of its own.
fn told(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        write!(text, "\n  {source}").unwrap();
        next = source.source();
    }
    text
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_error_says_what_failed_where_why_and_what_to_do() {
    let mut texts = String::new();
    for kind in KINDS {
        let error = error(kind).await;
        assert_eq!(error.kind(), kind, "{error}");
        let mut text = told(&error);
        if matches!(kind, ErrorKind::Embedded | ErrorKind::Journal) {
            let path = text.split('`').find(|part| part.starts_with('/')).unwrap().to_owned();
            text = text.replace(&path, "PATH");
        }
        assert!(!text.contains("SECRET"), "contents of a record in {text}");
        writeln!(texts, "{kind:?}: {text}\n").unwrap();
    }
    let texts = without_numbers_of_requests(&texts);
    assert!(texts == TEXTS, "errors.txt has other texts than these:\n\n{texts}");
}

#[tokio::test(start_paused = true)]
async fn a_flush_error_says_how_much_is_unsaved_and_why() {
    let stage = Stage::with([]).await;
    let memory = stage.impatient();
    memory.put(player("ada", 1)).await.unwrap();
    memory.put(player("bob", 1)).await.unwrap();
    stage.faults.always(WRITE, Fault::throttled());
    let error = memory.flush().await.unwrap_err();
    assert_eq!(
        told(&error),
        "flush of table `players`: 2 of 2 records were not saved: \"ada\", \"bob\"; the first: \
         BatchWriteItem on table `players`, key \"ada\": the service throttled the request \
         (ProvisionedThroughputExceededException, request TEST), sent once; raise the capacity or \
         the patience; what failed can be sent again, nothing of it is lost\n  service error\n  \
         ProvisionedThroughputExceededException: as the test says\n  \
         ProvisionedThroughputExceededException: as the test says"
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_says_what_was_done_and_what_failed_in_the_background_before() {
    let stage = Stage::with([player("ada", 1)]).await;
    let builder = stage.builder().patience(Duration::ZERO).flush_interval(Duration::from_secs(10));
    let memory = builder.build().unwrap();
    stage.faults.next(WRITE, Fault::access_denied());
    memory.put(player("ada", 2)).await.unwrap();
    memory.delete("bob").await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let report = memory.flush().await.unwrap();
    assert_eq!(
        report.to_string(),
        "written 1, deleted 1, unchanged 0, parked 0, failed 0 in 1 request (0 retries), 0.00 s; a \
         background flush failed before: BatchWriteItem on table `players`, key \"ada\": these \
         credentials may not do this (AccessDeniedException, request TEST), sent once; allow the \
         action for this table in the IAM policy"
    );
}

#[tokio::test]
async fn a_scope_error_says_why_the_job_failed_and_what_is_handed_back() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    let job = async |memory: &MemoryTable<super::Player>| {
        memory.put(player("ada", 1)).await?;
        memory.get("").await.map(drop)
    };
    assert_eq!(
        told(&memory.scope(job).await.unwrap_err()),
        "table `players`: invalid partition key: it is empty, which DynamoDB does not allow for a \
         key; nothing was sent; 1 unsaved change was handed back, none was flushed"
    );
}

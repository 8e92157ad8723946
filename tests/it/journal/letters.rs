//! Dead letters: what could not be saved ends in a file, and is taken in from there.

use std::io::{self, Write};
use std::time::Duration;

use futures::FutureExt;
use memory_table::{
    Durability, ErrorKind, Field, Guard, Journal, MemoryTable, MemoryTableBuilder, Outcome, Record,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Journals, builder, keys, open};
use crate::support::{Fault, Stage, texts};

const ADD: &str = "TransactWriteItems";
const BATCH: &str = "BatchWriteItem";
const PUT: &str = "PutItem";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "totals")]
struct Total {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    sum: i64,
}

const SUM: Field<i64> = Field::named("sum");

fn total(name: &str, sum: i64) -> Total {
    Total { name: name.into(), sum }
}

fn impatient(stage: &Stage<Total>) -> MemoryTableBuilder<Total> {
    stage.builder().patience(Duration::ZERO)
}

async fn sum(stage: &Stage<Total>, name: &str) -> Option<i64> {
    stage.truth.get_consistent(name).await.unwrap().map(|total| total.sum)
}

fn lines(letter: &[u8]) -> Vec<Value> {
    letter
        .split_inclusive(|byte| *byte == b'\n')
        .map(|it| serde_json::from_slice(it).unwrap())
        .collect()
}

/// A writer whose disk is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.checked_sub(bytes.len());
        self.0 = room.ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_saved_is_in_the_letter_and_nowhere_else() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&total("bob", 2)).await.unwrap();
    let memory = open(&stage.table, &journals.first());
    memory.put(total("ada", 1)).await.unwrap();
    memory.delete("bob").await.unwrap();
    memory.increment("eve", SUM, 5).await.unwrap();
    stage.faults.always(BATCH, Fault::failed());
    let mut letter = Vec::new();
    let report = memory.close_to(&mut letter).await.unwrap();
    assert_eq!((report.written, report.failed.len()), (1, 2), "the increment is saved");
    let found = lines(&letter);
    assert_eq!(found[0], serde_json::json!({"Item": {"name": {"S": "ada"}, "sum": {"N": "1"}}}));
    assert_eq!(found[1], serde_json::json!({"Delete": {"Key": {"name": {"S": "bob"}}}}));
    assert_eq!(found.len(), 2);
    assert_eq!(memory.stats().unsaved, 0);
    assert!(keys(&journals.crash(&journals.first())).is_empty());
    assert_eq!(memory.put(total("dan", 1)).await.unwrap_err().kind(), ErrorKind::Closed);

    let later = Stage::<Total>::on(stage.truth.database().clone()).await;
    let memory = later.memory();
    assert_eq!(memory.import(&*letter).await.unwrap(), 2);
    assert_eq!(texts(&memory.unsaved()), [r#""ada""#, r#""bob""#]);
    assert_eq!(*memory.get("ada").await.unwrap().unwrap(), total("ada", 1));
    let report = memory.close().await.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1));
    assert_eq!((sum(&stage, "ada").await, sum(&stage, "bob").await), (Some(1), None));
}

#[tokio::test]
async fn a_table_that_saves_all_leaves_an_empty_letter() {
    let stage = Stage::new().await;
    let memory = stage.memory();
    memory.put(total("ada", 1)).await.unwrap();
    let mut letter = Vec::new();
    assert_eq!(memory.close_to(&mut letter).await.unwrap().written, 1);
    assert!(letter.is_empty());
    assert_eq!(stage.memory().import(&*letter).await.unwrap(), 0);
}

#[tokio::test]
async fn an_increment_goes_on_under_its_token() {
    let stage = Stage::new().await;
    stage.truth.put(&total("ada", 10)).await.unwrap();
    let memory = impatient(&stage).build().unwrap();
    memory.increment("ada", SUM, 5).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    let mut letter = Vec::new();
    let report = memory.close_to(&mut letter).await.unwrap();
    assert_eq!(report.failed[0].outcome, Outcome::OutcomeUnknown);
    assert_eq!((lines(&letter).len(), sum(&stage, "ada").await), (1, Some(15)));
    let memory = impatient(&stage).build().unwrap();
    assert_eq!(memory.import(&*letter).await.unwrap(), 1);
    memory.increment("ada", SUM, 1).await.unwrap();
    let _ = memory.close().await.unwrap();
    assert_eq!(sum(&stage, "ada").await, Some(16));
}

#[tokio::test]
async fn a_guarded_record_that_others_changed_meanwhile_is_a_conflict() {
    let stage = Stage::new().await;
    for name in ["ada", "bob"] {
        stage.truth.put(&total(name, 10)).await.unwrap();
    }
    let guarded = || impatient(&stage).guarded(Guard::Item).build().unwrap();
    let memory = guarded();
    for name in ["ada", "bob"] {
        memory.update(name, |it| it.sum += 1).await.unwrap();
    }
    stage.faults.always("UpdateItem", Fault::throttled());
    stage.faults.always(PUT, Fault::throttled());
    let mut letter = Vec::new();
    assert_eq!(memory.close_to(&mut letter).await.unwrap().failed.len(), 2);
    stage.truth.put(&total("ada", 50)).await.unwrap();
    stage.faults.always("UpdateItem", Fault::none());
    stage.faults.always(PUT, Fault::none());
    let memory = guarded();
    assert_eq!(memory.import(&*letter).await.unwrap(), 2);
    let error = memory.flush().await.unwrap_err();
    let failed = &error.report().failed[0];
    assert_eq!(
        (failed.key.to_string(), failed.error.kind()),
        (r#""ada""#.into(), ErrorKind::Conflict)
    );
    assert_eq!((sum(&stage, "ada").await, sum(&stage, "bob").await), (Some(50), Some(11)));
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_leaves_the_table_open_and_its_changes_unsaved() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = open(&stage.table, &journals.first());
    memory.put(total("ada", 1)).await.unwrap();
    memory.put(total("bob", 1)).await.unwrap();
    stage.faults.next(BATCH, Fault::failed());
    let error = memory.close_to(Full(60)).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::Unsaved);
    let source = std::error::Error::source(error.cause()).unwrap();
    let why = source.downcast_ref::<io::Error>().map(io::Error::kind);
    assert_eq!(why, Some(io::ErrorKind::StorageFull), "{source}");
    assert_eq!(error.report().failed.len(), 2);
    assert_eq!(memory.stats().unsaved, 2);
    assert_eq!(Journal::inspect(journals.crash(&journals.first())).unwrap().changes().len(), 2);
    memory.put(total("eve", 1)).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 3);
}

#[tokio::test]
async fn a_line_that_is_no_change_of_this_table_is_named_and_nothing_is_taken_in() {
    let stage = Stage::<Total>::new().await;
    let memory = stage.memory();
    let good = r#"{"Item":{"name":{"S":"ada"},"sum":{"N":"1"}}}"#;
    for bad in [
        "secret",
        "{}",
        "[]",
        r#"{"Item":{"nom":{"S":"secret"}}}"#,
        r#"{"Item":{"name":{"N":"7"}}}"#,
        r#"{"Item":{"name":{"S":"a"},"sum":{"S":"secret"}}}"#,
        r#"{"Item":{"name":{"S":"a"}},"Delete":{"Key":{"name":{"S":"a"}}}}"#,
        r#"{"Delete":{"Key":{}}}"#,
        r#"{"Item":{"name":{"S":"a"}},"Other":1}"#,
        r#"{"Unsaved":{"order":1,"mode":"plain","key":{"name":{"S":"a"}},"waiting":[{"name":"sum","sum":"x"}]}}"#,
        "\u{0}",
    ] {
        let letter = format!("{good}\n\n{bad}\n");
        let error = memory.import(letter.as_bytes()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidItem, "{bad}: {error}");
        let text = format!("{error} {error:?}");
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(!text.contains("secret"), "{text}");
    }
    let twice = format!("{good}\n{}\n{good}\n", good.replace("ada", "bob"));
    let error = memory.import(twice.as_bytes()).await.unwrap_err();
    assert_eq!((error.kind(), error.key().is_some()), (ErrorKind::InvalidItem, true), "{error}");
    assert!(error.to_string().contains("line 3: line 1 has a change of the same"), "{error}");
    assert_eq!(memory.stats().unsaved, 0);
    let half = r#"{"Item":{"name":{"S":"ada"},"su"#;
    assert!(memory.import(half.as_bytes()).await.is_err());
    assert_eq!(memory.import(good.as_bytes()).await.unwrap(), 1, "without an end of the line");
}

#[tokio::test]
async fn a_record_that_is_unsaved_already_is_not_imported() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory: MemoryTable<Total> = open(&stage.table, &journals.first());
    memory.get("ada").await.unwrap();
    memory.put(total("bob", 7)).await.unwrap();
    let item = |name: &str| format!("{{\"Item\":{{\"name\":{{\"S\":\"{name}\"}}}}}}\n");
    let letter = [item("ada"), item("bob")].concat();
    let error = memory.import(letter.as_bytes()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsaved);
    assert!(error.to_string().contains("bob"), "{error}");
    assert_eq!(memory.stats().unsaved, 1);
    let _ = memory.flush().await.unwrap();
    assert_eq!(memory.import(letter.as_bytes()).await.unwrap(), 2);
    let in_file = keys(&journals.crash(&journals.first()));
    assert_eq!(in_file.len(), 2, "what is imported is in the journal");
    let _ = memory.close().await.unwrap();
    assert_eq!((sum(&stage, "ada").await, sum(&stage, "bob").await), (Some(0), Some(0)));
    assert_eq!(memory.import(letter.as_bytes()).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn an_import_that_is_dropped_leaves_nothing_behind() {
    let (stage, journals) = (Stage::<Total>::new().await, Journals::new());
    let slow = Durability::Group(Duration::from_millis(100));
    let memory = builder(&stage.table, &journals.first()).durability(slow).build().unwrap();
    let letter = &b"{\"Item\":{\"name\":{\"S\":\"ada\"}}}\n"[..];
    assert!(memory.import(letter).now_or_never().is_none(), "it waits for the file");
    assert_eq!(memory.stats().unsaved, 0);
    memory.put(total("bob", 1)).await.unwrap();
    let in_file = keys(&journals.crash(&journals.first()));
    assert!(in_file.len() == 1 && in_file[0].contains("bob"), "{in_file:?}");
    assert_eq!(memory.import(letter).await.unwrap(), 1, "nobody holds the record's turn");
    assert_eq!(keys(&journals.crash(&journals.first())).len(), 2);
}

#[tokio::test]
async fn a_close_that_is_dropped_is_done_or_not() {
    let stage = Stage::new().await;
    let memory = stage.memory();
    memory.put(total("ada", 1)).await.unwrap();
    let held = stage.faults.hold_next_answer(BATCH);
    let mut letter = Vec::new();
    {
        let close = std::pin::pin!(memory.close_to(&mut letter));
        tokio::select! {
            _ = close => panic!("nothing is answered"),
            () = held.reached() => {}
        }
    }
    memory.put(total("bob", 1)).await.unwrap();
    held.open();
    assert_eq!(memory.close().await.unwrap().not_saved().count(), 0);
    assert!(letter.is_empty());
    assert_eq!((sum(&stage, "ada").await, sum(&stage, "bob").await), (Some(1), Some(1)));
}

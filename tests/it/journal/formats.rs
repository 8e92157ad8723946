//! Journals that earlier releases wrote, with a row of each kind: `tests/journals` has one of each format.
//!
//! A new format gets a file of its own, and the old ones stay as they are:
//! `cargo test --test it writes_a_journal_of_this_release -- --ignored`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_table::{
    Database, Field, Guard, Increment, Journal, MemoryTable, Number, Operation, Outcome, Record,
    Table,
};
use serde::{Deserialize, Serialize};

use super::{Journals, builder};
use crate::support::{Fault, embedded, faulty, quick_builder};

/// The journals that there are, by the release that wrote them.
const RELEASES: [&str; 1] = ["0.1.0"];

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "kinds")]
struct Kind {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    sum: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
}

const SUM: Field<i64> = Field::named("sum");

fn kind(name: &str, sum: i64) -> Kind {
    Kind { name: name.into(), sum, text: String::new() }
}

fn journal(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals").join(format!("{release}.journal"))
}

/// What is stored before each of the journals.
async fn stored(database: &Database) -> Table<Kind> {
    let table = database.table::<Kind>();
    table.create_if_missing().await.unwrap();
    for name in ["delete", "guarded", "fields", "sent-guarded", "waiting", "frozen"] {
        table.put(&kind(name, 10)).await.unwrap();
    }
    table
}

#[tokio::test]
#[ignore = "writes a file of the repository"]
async fn writes_a_journal_of_this_release() {
    let database = embedded();
    stored(&database).await;
    let (scripted, faults) = faulty(&database);
    let journals = Journals::new();
    let memory = builder(&scripted.table::<Kind>(), &journals.first()).build().unwrap();
    sent(&memory, &faults).await;
    memory.put(kind("put", 1)).await.unwrap();
    memory.delete("delete").await.unwrap();
    let guarded = (*memory.get("guarded").await.unwrap().unwrap()).clone();
    memory.put_guarded(Kind { sum: 11, ..guarded }).await.unwrap();
    let fields = (*memory.get("fields").await.unwrap().unwrap()).clone();
    memory.merge(Kind { text: "set".into(), ..fields }).await.unwrap();
    memory.increment("fields", SUM, 2).await.unwrap();
    memory.increment("waiting", SUM, 3).await.unwrap();
    drop(memory);
    std::fs::copy(journals.first(), journal(env!("CARGO_PKG_VERSION"))).unwrap();
}

/// What was sent and has no answer.
async fn sent(memory: &MemoryTable<Kind>, faults: &memory_table::testing::Faults) {
    let guarded = (*memory.get("sent-guarded").await.unwrap().unwrap()).clone();
    memory.put_guarded(Kind { sum: 11, ..guarded.clone() }).await.unwrap();
    memory.increment("frozen", SUM, 4).await.unwrap();
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems"] {
        faults.always(operation, Fault::failed().after_applying());
    }
    memory.flush().await.unwrap_err();
    faults.heal();
    memory.put_guarded(Kind { sum: 12, ..guarded }).await.unwrap();
}

#[tokio::test]
#[ignore = "writes files of the repository"]
async fn writes_a_journal_with_checkpoints_and_a_letter_of_this_release() {
    let database = embedded();
    let table = stored(&database).await;
    let journals = Journals::new();
    let memory = builder(&table, &journals.first()).checkpoints().build().unwrap();
    memory.put(kind("put", 1)).await.unwrap();
    memory.checkpoint(&("row", 7)).await.unwrap();
    memory.put(kind("put", 2)).await.unwrap();
    drop(memory);
    let release = format!("{}-checkpoints", env!("CARGO_PKG_VERSION"));
    std::fs::copy(journals.first(), journal(&release)).unwrap();

    let (scripted, faults) = faulty(&database);
    let memory = quick_builder(scripted.table::<Kind>()).patience(Duration::ZERO).build().unwrap();
    sent(&memory, &faults).await;
    memory.put(kind("put", 1)).await.unwrap();
    memory.delete("delete").await.unwrap();
    memory.increment("waiting", SUM, 3).await.unwrap();
    faults.always("BatchWriteItem", Fault::failed());
    faults.always("PutItem", Fault::failed());
    faults.always("UpdateItem", Fault::failed());
    faults.always("TransactWriteItems", Fault::failed());
    let mut letter = Vec::new();
    let _ = memory.close_to(&mut letter).await.unwrap();
    // Ten minutes later its tokens are too old, as the test of it expects.
    std::fs::write(journal(env!("CARGO_PKG_VERSION")).with_extension("letter"), letter).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_checkpoints_of_all_releases_are_read() {
    for release in RELEASES {
        let journals = Journals::new();
        std::fs::copy(journal(&format!("{release}-checkpoints")), journals.first()).unwrap();
        let found = Journal::inspect(journals.first()).unwrap();
        assert_eq!((found.cursor(), found.changes().len()), (Some(r#"["row",7]"#), 1));
        let table = stored(&embedded()).await;
        let memory = builder(&table, &journals.first()).checkpoints().build().unwrap();
        assert_eq!(memory.cursor::<(String, u32)>().unwrap(), Some(("row".to_owned(), 7)));
        assert_eq!(memory.close().await.unwrap().written, 1);
        assert_eq!(table.get("put").await.unwrap(), Some(kind("put", 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_dead_letters_of_all_releases_are_read() {
    for release in RELEASES {
        let letter = std::fs::read(journal(release).with_extension("letter")).unwrap();
        let table = stored(&embedded()).await;
        let memory = quick_builder(table.clone()).patience(Duration::ZERO).build().unwrap();
        assert_eq!(memory.import(&*letter).await.unwrap(), 5, "{release}");
        let report = memory.close().await.unwrap_err().into_report();
        // What was sent longer ago than its token lives.
        let mut left: Vec<_> = report.not_saved().map(|it| it.key.to_string()).collect();
        left.sort_unstable();
        assert_eq!(left, [r#""frozen""#, r#""waiting""#], "{release}");
        assert_eq!((report.written, report.deleted), (2, 1));
        assert_eq!(table.get("sent-guarded").await.unwrap().unwrap().sum, 12);
        assert_eq!(table.get("delete").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_journals_of_all_releases_are_read() {
    for release in RELEASES {
        let journals = Journals::new();
        std::fs::copy(journal(release), journals.first()).unwrap();
        let found = Journal::inspect(journals.first()).unwrap();
        assert_eq!((found.release(), found.table()), (release, "kinds"));
        let sum = |sum: i64| vec![("sum".to_owned(), Number::from(sum))];
        let found: Vec<_> = found
            .changes()
            .iter()
            .map(|it| {
                (it.key(), it.operation(), it.item(), it.increments().to_vec(), it.is_in_doubt())
            })
            .collect();
        let expected = [
            (
                r#"{"name":{"S":"sent-guarded"}}"#,
                Operation::Put,
                Some(r#"{"name":{"S":"sent-guarded"},"sum":{"N":"12"}}"#),
                vec![],
                true,
            ),
            (r#"{"name":{"S":"frozen"}}"#, Operation::Increment, None, sum(4), true),
            (
                r#"{"name":{"S":"put"}}"#,
                Operation::Put,
                Some(r#"{"name":{"S":"put"},"sum":{"N":"1"}}"#),
                vec![],
                false,
            ),
            (r#"{"name":{"S":"delete"}}"#, Operation::Delete, None, vec![], false),
            (
                r#"{"name":{"S":"guarded"}}"#,
                Operation::Put,
                Some(r#"{"name":{"S":"guarded"},"sum":{"N":"11"}}"#),
                vec![],
                false,
            ),
            (
                r#"{"name":{"S":"fields"}}"#,
                Operation::Put,
                Some(r#"{"name":{"S":"fields"},"sum":{"N":"12"},"text":{"S":"set"}}"#),
                sum(2),
                false,
            ),
            (r#"{"name":{"S":"waiting"}}"#, Operation::Increment, None, sum(3), false),
        ];
        assert_eq!(found, expected, "{release}");
        goes_on(&journals).await;
    }
}

/// Everything is saved but what was sent too long ago.
async fn goes_on(journals: &Journals) {
    let table = stored(&embedded()).await;
    // Its first attempt landed.
    table.put(&kind("sent-guarded", 11)).await.unwrap();
    // Somebody else's change, beside which the fields are set.
    table.put(&kind("fields", 20)).await.unwrap();
    let memory = builder(&table, &journals.first()).guarded(Guard::Item).build().unwrap();
    // Also where the journal is new.
    tokio::time::advance(Duration::from_secs(600)).await;
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.deleted, report.failed.len()), (5, 1, 1));
    let failed = &report.failed[0];
    assert_eq!((failed.outcome, failed.to_resolve), (Outcome::OutcomeUnknown, true));
    memory.resolve("frozen", Increment::NotApplied).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 1);
    let sums = [
        ("put", 1),
        ("guarded", 11),
        ("fields", 22),
        ("sent-guarded", 12),
        ("waiting", 13),
        ("frozen", 14),
    ];
    for (name, sum) in sums {
        assert_eq!(table.get(name).await.unwrap().unwrap().sum, sum, "{name}");
    }
    assert_eq!(table.get("fields").await.unwrap().unwrap().text, "set");
    assert_eq!(table.get("delete").await.unwrap(), None);
}

//! The file of a journal: whose it is, who has it open, and what becomes of a damaged one.

use std::time::Duration;

use memory_table::{Durability, ErrorKind, Journal, Record, Table};
use serde::{Deserialize, Serialize};

use super::{Journals, builder, keys, open};
use crate::support::{Player, Stage, at, named, player, players};

async fn stage() -> Stage<Player> {
    Stage::new().await
}

/// The message of the error with which a journal does not open.
fn refused<T: Record>(table: &Table<T>, journal: &std::path::Path) -> String {
    let error = builder(table, journal).build().expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert_eq!(error.table(), Some(table.name().unwrap()));
    error.to_string()
}

#[tokio::test]
async fn a_journal_is_open_once() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    let text = refused(&stage.table, &journals.first());
    assert!(text.contains("first.journal") && text.contains("open elsewhere"), "{text}");
    assert_eq!(Journal::inspect(journals.first()).unwrap_err().kind(), ErrorKind::Journal);
    memory.put(player("ada", 1.0)).await.unwrap();
    drop(memory);
    assert_eq!(open(&stage.table, &journals.first()).unsaved().len(), 1);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "players")]
struct OtherKeys {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    name: u64,
}

#[tokio::test]
async fn a_journal_of_another_table_or_with_other_keys_is_refused() {
    let stage = stage().await;
    let journals = Journals::new();
    drop(open(&stage.table, &journals.first()));
    let other = stage.truth.database().clone().with_prefix("other-").table::<Player>();
    let text = refused(&other, &journals.first());
    assert!(text.contains(&format!("that of table `{}`", stage.truth.name().unwrap())), "{text}");
    let text = refused(&stage.truth.database().table::<OtherKeys>(), &journals.first());
    assert!(text.contains("`name` (S)") && text.contains("`name` (N)"), "{text}");
}

#[tokio::test]
async fn what_is_no_journal_is_refused_and_stays_as_it_is() {
    let stage = stage().await;
    let journals = Journals::new();
    for (name, bytes) in [("notes.txt", &b"dear diary"[..]), ("zeros", &vec![0; 70_000])] {
        let path = journals.path(name);
        std::fs::write(&path, bytes).unwrap();
        let text = refused(&stage.table, &path);
        assert!(text.contains(name) && text.contains("salvage_journal"), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    let missing = journals.path("missing").join("a.journal");
    assert!(refused(&stage.table, &missing).contains("directory"));
    let replayed = Journal::replay(journals.path("none"), stage.table.clone()).await.unwrap_err();
    assert_eq!(replayed.cause().kind(), ErrorKind::Journal);
    let error = Journal::inspect(journals.path("none")).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    assert!(!journals.path("none").exists());
}

#[tokio::test]
async fn an_empty_file_is_no_journal_to_who_looks_and_becomes_one_for_who_opens_it() {
    let stage = stage().await;
    let journals = Journals::new();
    std::fs::write(journals.first(), b"").unwrap();
    let error = Journal::inspect(journals.first()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert_eq!(std::fs::metadata(journals.first()).unwrap().len(), 0, "who looks changes nothing");
    let memory = open(&stage.table, &journals.first());
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(keys(&journals.crash(&journals.first())).len(), 1);
}

#[tokio::test]
async fn a_damaged_journal_is_refused_and_salvaged_on_demand() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    for player in players(400) {
        memory.put(player).await.unwrap();
    }
    let whole = std::fs::read(journals.crash(&journals.first())).unwrap();
    drop(memory);
    let mut salvaged = Vec::new();
    // A record's text is changed, wherever it stands.
    let name = named(77);
    for (number, at) in places(&whole, name.as_bytes()).into_iter().enumerate() {
        let path = journals.path(&format!("damaged-{number}"));
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        std::fs::write(&path, &damaged).unwrap();
        let Err(error) = builder(&stage.table, &path).build() else { continue };
        assert_eq!(error.kind(), ErrorKind::Journal, "{error}");
        std::fs::write(&path, &damaged).unwrap();
        let memory = builder(&stage.table, &path).salvage_journal().build().unwrap();
        let kept = memory.unsaved().len();
        salvaged.push(kept);
        drop(memory);
        assert_eq!(keys(&path).len(), kept, "what was salvaged is whole");
        assert_eq!(std::fs::read(format!("{}.damaged-1", path.display())).unwrap(), damaged);
    }
    assert!(!salvaged.is_empty(), "no damage was noticed");
    let text = b"nothing of a store is left".repeat(5_000);
    let path = journals.path("gone");
    std::fs::write(&path, &text).unwrap();
    let memory = builder(&stage.table, &path).salvage_journal().build().unwrap();
    assert_eq!(memory.unsaved().len(), 0);
    memory.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(keys(&journals.crash(&path)).len(), 1);
}

#[tokio::test]
async fn a_row_that_is_not_ours_is_left_out_and_the_journal_is_whole_again() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    drop(memory);
    let database = redb::Database::open(journals.first()).unwrap();
    let rows: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("rows");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(rows).unwrap().insert(&b"key"[..], &b"no row"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(refused(&stage.table, &journals.first()).contains("is damaged"));
    let salvaging = builder(&stage.table, &journals.first()).salvage_journal();
    assert_eq!(salvaging.build().unwrap().unsaved().len(), 3);
    assert_eq!(open(&stage.table, &journals.first()).unsaved().len(), 3);
    let files = std::fs::read_dir(journals.path("")).unwrap().count();
    assert_eq!(files, 2, "the journal and the damaged one");
}

/// Where these bytes stand.
fn places(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| *window == wanted).map(|(at, _)| at).collect()
}

#[tokio::test]
async fn each_durability_has_its_changes_in_the_file() {
    let stage = stage().await;
    let journals = Journals::new();
    let group = Durability::Group(Duration::from_millis(20));
    for (number, durability) in [Durability::Os, Durability::Fsync, group].into_iter().enumerate() {
        let path = journals.path(&format!("durability-{number}"));
        let memory = builder(&stage.table, &path).durability(durability).build().unwrap();
        let puts = players(40).map(|player| memory.put(player));
        for put in futures::future::join_all(puts).await {
            put.unwrap();
        }
        assert_eq!(keys(&journals.crash(&path)).len(), 40, "{durability:?}");
        let _ = memory.flush().await.unwrap();
        assert_eq!(keys(&journals.crash(&path)).len(), 0, "{durability:?}");
    }
    let error = memory_table::MemoryTable::builder(stage.table.clone()).durability(group).build();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn inspecting_tells_what_is_in_a_journal() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("ada", 1.5)).await.unwrap();
    memory.delete(at("bob")).await.unwrap();
    drop(memory);
    let found = Journal::inspect(journals.first()).unwrap();
    assert_eq!(found.table(), stage.truth.name().unwrap());
    assert_eq!(found.release(), env!("CARGO_PKG_VERSION"));
    assert_eq!(found.file_bytes(), std::fs::metadata(journals.first()).unwrap().len());
    let [ada, bob] = found.changes() else { panic!("two changes") };
    let item = r#"{"game":{"S":"chess"},"name":{"S":"ada"},"rating":{"N":"1.5"}}"#;
    assert_eq!((ada.item(), ada.item_bytes()), (Some(item), 25));
    assert!(ada.increments().is_empty() && !ada.is_in_doubt());
    assert_eq!((bob.item(), bob.item_bytes()), (None, 0));
    assert!(!format!("{found:?}").contains("1.5"), "contents are not shown");
}

#[tokio::test]
async fn a_million_puts_of_a_thousand_keys_leave_a_small_file() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    let mut largest = 0;
    let length = || std::fs::metadata(journals.first()).unwrap().len();
    // As many as show a growth, in the time of a test; the million is for an optimised build.
    let rounds: usize = if cfg!(debug_assertions) { 20 } else { 1_000 };
    for round in 0..rounds {
        for number in 0..1_000 {
            memory
                .put(player(&named(number), f64::from(u32::try_from(round).unwrap())))
                .await
                .unwrap();
        }
        let unsaved = memory.stats().unsaved_bytes;
        largest = largest.max(length().saturating_sub(2 * unsaved));
        if round % 7 == 6 {
            let _ = memory.flush().await.unwrap();
        }
    }
    let _ = memory.flush().await.unwrap();
    assert!(largest <= 4 << 20 && length() <= 4 << 20, "{largest}, {}", length());
    drop(memory);
    assert!(length() <= 128 << 10, "nothing is in it, and it has {}", length());
}

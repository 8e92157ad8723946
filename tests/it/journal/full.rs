//! A disk that is full: a real process whose files cannot grow any more, by its limit of file sizes.

use std::path::Path;
use std::process::{Command, Stdio};

use memory_table::{Database, Durability, ErrorKind, MemoryTable, Record};
use serde::{Deserialize, Serialize};

use super::{Journals, builder};
use crate::support::{embedded, quick_builder};

/// What the child is told: the journal and what it is to do, tab-separated.
const CHILD: &str = "MEMORY_TABLE_TEST_FULL_CHILD";
/// What its files may have, in units of 1,024 bytes.
const LIMIT: &str = "3000";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "papers")]
struct Paper {
    #[record(partition_key)]
    number: u32,
    text: String,
}

fn paper(number: u32) -> Paper {
    Paper { number, text: "x".repeat(20_000) }
}

/// What the child does: it puts until that fails, sees that nothing is taken any more, and that what is unsaved
/// can still be saved.
#[test]
#[ignore = "run by the test that limits it"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (journal, mode) = told.split_once('\t').expect("what it is told");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let table = embedded().table::<Paper>();
        table.create_if_missing().await.expect("a table");
        let builder = quick_builder(table.clone()).journal(journal);
        let memory = match mode {
            "checkpoints" => builder.checkpoints(),
            "synced" => builder.durability(Durability::Fsync),
            _ => builder,
        };
        let memory = memory.build().expect("there is room yet");
        let done = fill(&memory, mode == "checkpoints").await;
        for changed in [memory.put(paper(0)).await, memory.delete(1).await] {
            assert_eq!(changed.unwrap_err().kind(), ErrorKind::Journal);
        }
        let flushed = memory.flush().await;
        let (stored, error) = (table.scan().count().await.expect("a count"), flushed.unwrap_err());
        assert_eq!(error.cause().kind(), ErrorKind::Journal, "{error}");
        println!("\ndone {done} stored {stored}");
    });
}

/// Returns how many papers are in the journal.
async fn fill(memory: &MemoryTable<Paper>, checkpoints: bool) -> u32 {
    let mut done = 0;
    for number in 1.. {
        let put = memory.put(paper(number)).await;
        let kept = match put {
            Ok(()) if checkpoints && number % 10 > 0 => continue,
            Ok(()) if checkpoints => memory.checkpoint(&number).await,
            put => put,
        };
        match kept {
            Ok(()) => done = number,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Journal, "{error}");
                assert!(error.to_string().contains("cannot be written"), "{error}");
                break;
            }
        }
    }
    done
}

/// Runs the child with little room; returns how many papers its journal is to have, and its table.
fn run(journal: &Path, mode: &str) -> (u32, u32) {
    let program = std::env::current_exe().unwrap();
    // A write beyond the limit is an error then, and does not end the process.
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT}; exec \"$0\" \"$@\"");
    let output = Command::new("bash")
        .args(["-c", &script, program.to_str().unwrap()])
        .args(["--ignored", "--exact", "--nocapture", "journal::full::child"])
        .env(CHILD, format!("{}\t{mode}", journal.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.starts_with("done ")).expect("what it says");
    let words: Vec<&str> = line.split(' ').collect();
    (words[1].parse().unwrap(), words[3].parse().unwrap())
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_ends_the_changes_and_loses_none() {
    for mode in ["unsynced", "synced", "checkpoints"] {
        let journals = Journals::new();
        let (done, stored) = run(&journals.first(), mode);
        assert!(done >= 10, "{mode}: {done}");
        // What came after a checkpoint that is not in the journal must not be saved.
        let saved = if mode == "checkpoints" { 0 } else { done };
        assert_eq!(stored, saved, "{mode}: what is in the journal can be saved without it");
        let table = Database::embedded().unwrap().table::<Paper>();
        table.create_if_missing().await.unwrap();
        let found = builder(&table, &journals.first());
        let found = if mode == "checkpoints" { found.checkpoints() } else { found };
        let found = found.build().unwrap();
        let unsaved = found.unsaved();
        assert_eq!(unsaved.len(), usize::try_from(done).unwrap(), "{mode}");
        assert_eq!(u32::try_from(found.flush().await.unwrap().written).unwrap(), done, "{mode}");
        for number in 1..=done {
            assert_eq!(table.get(number).await.unwrap(), Some(paper(number)), "{mode}");
        }
    }
}

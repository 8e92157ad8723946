//! What a crash leaves: the file of the journal as it is at that moment.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Player, SECOND, Stage, player, rating};
use crate::bugs::{Bug, with};
use crate::condition::Field;
use crate::journal::faults::Faults;
use crate::{Durability, ErrorKind, Journal, MemoryTable};

const ADD: &str = "TransactWriteItems";
const RATING: Field<u32> = Field::named("rating");

struct Journals(TempDir);

impl Journals {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    /// The file as a crash would leave it now.
    fn crash(&self) -> PathBuf {
        let left = self.0.path().join(format!("left-{}", fastrand::u64(..)));
        std::fs::copy(self.path(), &left).unwrap();
        left
    }
}

fn open(stage: &Stage, path: &Path) -> MemoryTable<Player> {
    stage.builder().patience(std::time::Duration::ZERO).journal(path).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_in_the_journal() {
    let (stage, journals) = (Stage::with([player("bob", 2)]).await, Journals::new());
    let memory = open(&stage, &journals.path());
    memory.put(player("ada", 1)).await.unwrap();
    memory.update("bob", |bob| bob.rating += 5).await.unwrap();
    memory.increment("eve", RATING, 3).await.unwrap();
    let again = open(&stage, &journals.crash());
    assert_eq!(again.unsaved(), memory.unsaved());
    assert_eq!((rating(&again, "ada").await, rating(&again, "bob").await), (Some(1), Some(7)));
    assert_eq!(again.close().await.unwrap().written, 3);
    assert_eq!((stage.stored("ada").await, stage.stored("eve").await), (Some(1), Some(3)));
}

#[tokio::test(start_paused = true)]
async fn replaying_does_nothing_twice() {
    let (stage, journals) = (Stage::with([player("ada", 10)]).await, Journals::new());
    let memory = open(&stage, &journals.path());
    memory.increment("ada", RATING, 5).await.unwrap();
    let held = stage.faults.hold_next_answer(ADD);
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    held.reached().await;
    assert_eq!(stage.stored("ada").await, Some(15), "it is done, and nobody knows");
    let left = journals.crash();
    held.open();
    assert_eq!(flush.await.unwrap().unwrap().written, 1);
    for _ in 0..3 {
        let copy = left.with_extension("copy");
        std::fs::copy(&left, &copy).unwrap();
        let report = Journal::replay(&copy, stage.table.clone()).await.unwrap();
        assert_eq!((report.written, stage.stored("ada").await), (1, Some(15)));
    }
}

/// A write of the journal fails, and those after it would not. Returns what the journal is left as, in which
/// what was saved must not be.
async fn fails_once() -> (Stage, PathBuf, Journals) {
    let (stage, journals) = (Stage::with([]).await, Journals::new());
    let faults = Faults::begin();
    let memory = open(&stage, &journals.path());
    memory.put(player("ada", 1)).await.unwrap();
    faults.fail_writes(true);
    let error = memory.put(player("bob", 2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert_eq!(rating(&memory, "bob").await, None, "nothing was changed");
    faults.fail_writes(false);
    let error = memory.put(player("eve", 3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal, "later changes fail too");
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.cause().kind(), error.report().written), (ErrorKind::Journal, 1));
    assert_eq!((stage.stored("ada").await, memory.unsaved().len()), (Some(1), 0));
    (stage, journals.crash(), journals)
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_write_nothing_is_taken_any_more() {
    let (stage, left, _journals) = fails_once().await;
    let again = open(&stage, &left);
    assert_eq!(again.unsaved().len(), 1, "what was in it is saved again");
    assert_eq!(again.flush().await.unwrap().written, 1);
}

#[test]
fn a_journal_that_goes_on_after_a_failed_write_is_caught() {
    let runs = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fails_once());
    };
    runs();
    let caught = std::panic::catch_unwind(|| with(Bug::GoesOnAfterFailedWrite, runs));
    assert!(caught.is_err());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_any_more() {
    for durability in [Durability::Fsync, Durability::Group(SECOND / 100)] {
        let (stage, journals) = (Stage::with([]).await, Journals::new());
        let faults = Faults::begin();
        let builder = stage.builder().journal(journals.path()).durability(durability);
        let memory = builder.build().unwrap();
        memory.put(player("ada", 1)).await.unwrap();
        faults.fail_syncs(true);
        let error = memory.put(player("bob", 2)).await.unwrap_err();
        assert_eq!((error.kind(), rating(&memory, "bob").await), (ErrorKind::Journal, None));
        faults.fail_syncs(false);
        let error = memory.increment("ada", RATING, 1).await.unwrap_err();
        assert_eq!((error.kind(), rating(&memory, "ada").await), (ErrorKind::Journal, Some(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_be_known_after_a_crash_is_not_sent_where_it_cannot_be() {
    let (stage, journals) = (Stage::with([player("ada", 10)]).await, Journals::new());
    let faults = Faults::begin();
    let memory = open(&stage, &journals.path());
    memory.increment("ada", RATING, 5).await.unwrap();
    faults.fail_writes(true);
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.cause().kind(), stage.faults.count(ADD)), (ErrorKind::Journal, 0));
    assert_eq!(memory.unsaved().len(), 1);
    faults.fail_writes(false);
    let again = open(&stage, &journals.crash());
    assert_eq!((again.flush().await.unwrap().written, stage.stored("ada").await), (1, Some(15)));
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_caller_went_away_is_in_the_journal_only_if_it_was_made() {
    let (stage, journals) = (Stage::with([]).await, Journals::new());
    let builder = stage.builder().journal(journals.path()).durability(Durability::Fsync);
    let memory = builder.build().unwrap();
    memory.put(player("ada", 1)).await.unwrap();
    {
        let put = memory.put(player("ada", 2));
        tokio::pin!(put);
        assert!(futures::poll!(put.as_mut()).is_pending(), "it waits for the disk");
    }
    assert_eq!(rating(&memory, "ada").await, Some(1));
    memory.put(player("bob", 1)).await.unwrap();
    let again = open(&stage, &journals.crash());
    assert_eq!(rating(&again, "ada").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_open_once() {
    let (stage, journals) = (Stage::with([]).await, Journals::new());
    let _memory = open(&stage, &journals.path());
    let error = stage.builder().journal(journals.path()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
}

#[test]
fn the_first_page_says_what_a_crash_loses_without_a_journal() {
    for page in [include_str!("../lib.rs"), include_str!("../../README.md")] {
        let page = if crate::breaks::broken(33) { "" } else { page };
        assert!(page.contains("# What a crash loses"));
    }
}

//! Checkpoints: a crash leaves what was unsaved at the last one, and flushes send no more than that.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use memory_table::{
    Durability, ErrorKind, Field, Guard, Journal, MemoryTable, MemoryTableBuilder, OnConflict,
    Outcome, Record,
};
use serde::{Deserialize, Serialize};

use super::{Journals, builder, keys};
use crate::support::{Fault, Stage};

const ADD: &str = "TransactWriteItems";
const BATCH: &str = "BatchWriteItem";
const PUT: &str = "PutItem";

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "scorers")]
struct Scorer {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    goals: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    team: String,
}

const GOALS: Field<u32> = Field::named("goals");

fn scorer(name: &str, goals: u32) -> Scorer {
    Scorer { name: name.into(), goals, team: String::new() }
}

fn checkpointed(stage: &Stage<Scorer>, journals: &Journals) -> MemoryTableBuilder<Scorer> {
    builder(&stage.table, &journals.first()).checkpoints()
}

/// Opened anew on what a crash leaves.
fn crashed(stage: &Stage<Scorer>, journals: &Journals) -> MemoryTable<Scorer> {
    let left = journals.crash(&journals.first());
    builder(&stage.table, &left).checkpoints().build().unwrap()
}

async fn goals(stage: &Stage<Scorer>, name: &str) -> Option<u32> {
    stage.truth.get_consistent(name).await.unwrap().map(|scorer| scorer.goals)
}

async fn seen(memory: &MemoryTable<Scorer>, name: &str) -> Option<u32> {
    memory.get(name).await.unwrap().map(|scorer| scorer.goals)
}

#[tokio::test]
async fn a_flush_sends_what_the_last_checkpoint_covers_and_no_more() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().submitted(), 0, "there was no checkpoint");
    assert_eq!(memory.plan().await.unsaved(), 0);
    memory.checkpoint(&1).await.unwrap();
    memory.update("ada", |ada| ada.goals += 1).await.unwrap();
    memory.put(scorer("bob", 5)).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.puts, plan.unsaved()), (1, 1));

    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 1));
    assert_eq!((goals(&stage, "ada").await, goals(&stage, "bob").await), (Some(1), None));
    assert_eq!(seen(&memory, "ada").await, Some(2), "readers see the newest");
    assert_eq!(memory.stats().unsaved, 2);
    assert_eq!(memory.flush().await.unwrap().submitted(), 0, "there is no more");

    memory.checkpoint(&2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!((goals(&stage, "ada").await, goals(&stage, "bob").await), (Some(2), Some(5)));
    assert_eq!(memory.stats().unsaved, 0);
}

#[tokio::test]
async fn a_crash_leaves_the_state_and_the_cursor_of_the_last_checkpoint() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("eve", 7)).await.unwrap();
    let memory = checkpointed(&stage, &journals).build().unwrap();
    assert_eq!(memory.cursor::<u64>().unwrap(), None);
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.increment("eve", GOALS, 2).await.unwrap();
    memory.put(scorer("bob", 1)).await.unwrap();
    memory.checkpoint(&(3, "bob")).await.unwrap();
    memory.update("ada", |ada| ada.goals = 9).await.unwrap();
    memory.increment("eve", GOALS, 20).await.unwrap();
    memory.delete("bob").await.unwrap();
    memory.put(scorer("dan", 1)).await.unwrap();

    let again = crashed(&stage, &journals);
    assert_eq!(again.cursor::<(u32, String)>().unwrap(), Some((3, "bob".to_owned())));
    assert_eq!((seen(&again, "ada").await, seen(&again, "eve").await), (Some(1), Some(9)));
    assert_eq!((seen(&again, "bob").await, seen(&again, "dan").await), (Some(1), None));
    assert_eq!(again.close().await.unwrap().written, 3);
    assert_eq!((goals(&stage, "eve").await, goals(&stage, "bob").await), (Some(9), Some(1)));
}

#[tokio::test]
async fn what_is_saved_between_checkpoints_is_not_done_again() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("ada", 10)).await.unwrap();
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.increment("ada", GOALS, 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((goals(&stage, "ada").await, seen(&memory, "ada").await), (Some(15), Some(17)));

    let again = crashed(&stage, &journals);
    assert_eq!(again.flush().await.unwrap().submitted(), 0);
    assert_eq!(seen(&again, "ada").await, Some(15));
    again.increment("ada", GOALS, 2).await.unwrap();
    again.checkpoint(&2).await.unwrap();
    assert_eq!(again.close().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(17));
}

#[tokio::test]
async fn an_increment_of_unknown_outcome_is_done_once_whatever_came_after_it() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("ada", 10)).await.unwrap();
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.increment("ada", GOALS, 2).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    let failed = memory.flush().await.unwrap_err().into_report();
    assert_eq!(failed.failed[0].outcome, Outcome::OutcomeUnknown);
    let again = crashed(&stage, &journals);
    assert_eq!(again.flush().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(15));
    memory.checkpoint(&2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(17));
}

#[tokio::test]
async fn a_close_fails_while_something_is_not_covered() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.put(scorer("bob", 1)).await.unwrap();
    let error = memory.close().await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::Unsaved);
    assert!(error.to_string().contains("checkpoint"), "{error}");
    let report = error.into_report();
    assert_eq!((report.written, report.failed.len()), (1, 1));
    assert!(report.failed[0].key.to_string().contains("bob"), "{:?}", report.failed);
    memory.checkpoint(&2).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 1, "it is open until then");
    assert_eq!(goals(&stage, "bob").await, Some(1));
}

#[tokio::test]
async fn a_record_that_others_changed_is_merged_once_it_is_covered() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("ada", 10)).await.unwrap();
    let sum = |base: Option<&Scorer>, mine: Option<&Scorer>, theirs: Option<&Scorer>| {
        let goals = |it: Option<&Scorer>| it.map_or(0, |it| it.goals);
        Some(scorer("ada", goals(theirs) + goals(mine) - goals(base)))
    };
    let guarded = checkpointed(&stage, &journals).guarded(Guard::Item);
    let memory = guarded.on_conflict(OnConflict::merge(sum)).build().unwrap();
    memory.update("ada", |ada| ada.goals += 1).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.update("ada", |ada| ada.goals += 1).await.unwrap();
    stage.truth.put(&scorer("ada", 100)).await.unwrap();
    let error = memory.flush().await.unwrap_err();
    assert_eq!(error.report().failed[0].error.kind(), ErrorKind::Conflict);
    assert!(error.report().failed[0].error.to_string().contains("checkpoint"), "{error}");
    assert_eq!(goals(&stage, "ada").await, Some(100));
    memory.checkpoint(&2).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, goals(&stage, "ada").await), (1, Some(102)));
}

#[tokio::test]
async fn a_record_that_is_refused_waits_for_the_checkpoint_that_mends_it() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.put(scorer("ada", 2)).await.unwrap();
    let is_first = |item: &serde_json::Value| item["goals"]["N"] == "1";
    stage.faults.always(BATCH, Fault::poison(is_first));
    for _ in 0..2 {
        let report = memory.flush().await.unwrap_err().into_report();
        assert_eq!((report.parked.len(), report.written), (1, 0));
    }
    let requests = stage.faults.count(BATCH);
    let _parked = memory.flush().await.unwrap_err();
    assert_eq!(stage.faults.count(BATCH), requests, "what is parked is not sent again");
    memory.checkpoint(&2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(2));
}

#[tokio::test]
async fn nothing_is_sent_of_a_checkpoint_that_is_not_in_the_journal() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals)
        .durability(Durability::Group(Duration::from_millis(200)))
        .build()
        .unwrap();
    for name in ["ada", "bob", "eve"] {
        memory.put(scorer(name, 1)).await.unwrap();
    }
    let cursor = 3;
    let checkpoint = memory.checkpoint(&cursor);
    tokio::pin!(checkpoint);
    assert!(futures::poll!(checkpoint.as_mut()).is_pending());
    stage.faults.nth(
        BATCH,
        1,
        Fault::none().foreign_write_before({
            let (path, journals) = (journals.first(), journals.path("seen"));
            move || {
                std::fs::copy(&path, &journals).unwrap();
                async {}
            }
        }),
    );
    assert_eq!(memory.flush().await.unwrap().written, 3);
    assert_eq!(keys(&journals.path("seen")).len(), 3, "it was there when they were sent");
    checkpoint.await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_is_dropped_is_made_or_is_not() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let interval = Duration::from_millis(20);
    let group = checkpointed(&stage, &journals).durability(Durability::Group(interval));
    let memory = group.build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    assert!(futures::poll!(std::pin::pin!(memory.checkpoint(&1))).is_pending());
    memory.put(scorer("ada", 2)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(1));
    assert_eq!(crashed(&stage, &journals).cursor().unwrap(), Some(1));
    drop(memory.checkpoint(&2));
    assert_eq!(memory.cursor().unwrap(), Some(1), "it had not begun");
    memory.checkpoint(&3).await.unwrap();
    assert_eq!(memory.close().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, Some(2));
}

#[tokio::test]
async fn a_flush_saves_what_was_covered_while_another_one_was_under_way() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.put(scorer("bob", 1)).await.unwrap();
    let held = stage.faults.hold_next(BATCH);
    let first = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    held.reached().await;
    memory.checkpoint(&2).await.unwrap();
    let mut second = std::pin::pin!(memory.flush());
    assert!(futures::poll!(second.as_mut()).is_pending());
    held.open();
    assert_eq!(first.await.unwrap().unwrap().written, 1);
    assert_eq!(second.await.unwrap().written, 1);
    assert_eq!(goals(&stage, "bob").await, Some(1));
}

#[tokio::test]
async fn what_is_discarded_is_out_of_the_journal_at_once() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.put(scorer("bob", 1)).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.put(scorer("ada", 2)).await.unwrap();
    assert!(memory.discard("ada").await.unwrap());
    assert_eq!(keys(&journals.crash(&journals.first())), [r#"{"name":{"S":"bob"}}"#]);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&stage, "ada").await, None);
}

#[tokio::test]
async fn a_journal_says_whether_it_has_checkpoints() {
    let (stage, journals) = (Stage::<Scorer>::new().await, Journals::new());
    let plain = || builder(&stage.table, &journals.first()).build();
    let memory = checkpointed(&stage, &journals).build().unwrap();
    memory.put(scorer("ada", 1)).await.unwrap();
    memory.checkpoint(&["row", "7"]).await.unwrap();
    assert_eq!(memory.cursor::<u32>().unwrap_err().kind(), ErrorKind::Journal);
    drop(memory);
    let found = Journal::inspect(journals.first()).unwrap();
    assert_eq!((found.cursor(), found.changes().len()), (Some(r#"["row","7"]"#), 1));
    let error = plain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert!(error.to_string().contains("checkpoints"), "{error}");

    let report = Journal::replay(journals.first(), stage.table.clone()).await.unwrap();
    assert_eq!((report.written, goals(&stage, "ada").await), (1, Some(1)));
    let again = checkpointed(&stage, &journals).build().unwrap();
    assert_eq!(again.cursor::<Vec<String>>().unwrap().unwrap(), ["row", "7"]);
    assert_eq!(again.stats().unsaved, 0);
    drop(again);

    std::fs::remove_file(journals.first()).unwrap();
    let memory = plain().unwrap();
    for error in [memory.checkpoint(&1).await.unwrap_err(), memory.cursor::<u8>().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("`checkpoints`"), "{error}");
    }
    drop(memory);
    assert!(checkpointed(&stage, &journals).build().is_err(), "it has no cursor");
    let alone = stage.builder().checkpoints().build();
    assert_eq!(alone.unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn an_attribute_is_taken_away_once_though_its_item_was_never_seen() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    let with = |goals, team: &str| Scorer { team: team.into(), ..scorer("ada", goals) };
    stage.truth.put(&with(10, "stored")).await.unwrap();
    let memory = checkpointed(&stage, &journals).field_wise().build().unwrap();
    memory.put(with(1, "put")).await.unwrap();
    memory.update("ada", |ada| ada.team.clear()).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.update("ada", |ada| ada.goals += 1).await.unwrap();
    stage.faults.next("UpdateItem", Fault::throttled());
    memory.flush().await.unwrap_err();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent("ada").await.unwrap(), Some(with(1, "")));
    stage.truth.put(&with(1, "others")).await.unwrap();
    memory.checkpoint(&2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent("ada").await.unwrap(), Some(with(2, "others")));
}

#[tokio::test]
async fn increments_of_a_record_that_was_deleted_since_go_on_their_own() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("ada", 10)).await.unwrap();
    let memory = checkpointed(&stage, &journals).field_wise().build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    memory.delete("ada").await.unwrap();
    memory.increment("ada", GOALS, 3).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((goals(&stage, "ada").await, seen(&memory, "ada").await), (Some(15), Some(3)));
    memory.checkpoint(&2).await.unwrap();
    let _ = memory.close().await.unwrap();
    assert_eq!(goals(&stage, "ada").await, Some(3));
}

#[tokio::test]
async fn what_is_as_it_was_before_a_lost_answer_is_written_all_the_same() {
    let (stage, journals) = (Stage::new().await, Journals::new());
    stage.truth.put(&scorer("ada", 10)).await.unwrap();
    let memory = checkpointed(&stage, &journals).build().unwrap();
    let set = |goals| memory.update("ada", move |ada| ada.goals = goals);
    set(11).await.unwrap();
    memory.checkpoint(&1).await.unwrap();
    let gate = memory_table::testing::Gate::new();
    stage.faults.next(BATCH, Fault::connection_reset().after_applying().held_at(&gate));
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    set(10).await.unwrap();
    memory.checkpoint(&2).await.unwrap();
    set(12).await.unwrap();
    gate.open();
    flush.await.unwrap().unwrap_err();
    assert_eq!(goals(&stage, "ada").await, Some(11));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((goals(&stage, "ada").await, seen(&memory, "ada").await), (Some(10), Some(12)));
}

/// What is done to a record.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u32),
    Update(u32),
    /// The attribute is taken away.
    Clear,
    Increment(u32),
    Delete,
    Rekey,
}

impl Step {
    fn random(random: &mut fastrand::Rng) -> Self {
        let number = random.u32(1..50);
        match random.u32(..14) {
            0..3 => Self::Put(number),
            3..5 => Self::Update(number),
            5 => Self::Clear,
            6..11 => Self::Increment(number),
            11..13 => Self::Delete,
            _ => Self::Rekey,
        }
    }

    async fn run(
        self,
        memory: &MemoryTable<Scorer>,
        mode: u64,
        name: &str,
        other: &str,
    ) -> Result<(), memory_table::Error> {
        let put = |goals| Scorer { team: "put".into(), ..scorer(name, goals) };
        match self {
            // A guarded record that was never loaded must not be stored.
            Self::Put(goals) if mode == 1 => {
                memory.update(name, |it| *it = put(goals)).await.map(drop)
            }
            Self::Put(goals) => memory.put(put(goals)).await,
            Self::Update(by) => memory.update(name, |it| it.goals += by).await.map(drop),
            Self::Clear => memory.update(name, |it| it.team.clear()).await.map(drop),
            Self::Increment(by) => memory.increment(name, GOALS, by).await,
            Self::Delete => memory.delete(name).await,
            Self::Rekey => memory.rekey(name, other, |it| it.name = other.into()).await.map(drop),
        }
    }

    fn apply(self, view: &mut BTreeMap<String, Scorer>, name: &str, other: &str) {
        let known = view.remove(name).unwrap_or_else(|| scorer(name, 0));
        let after = match self {
            Self::Put(goals) => Scorer { team: "put".into(), ..scorer(name, goals) },
            Self::Update(by) | Self::Increment(by) => Scorer { goals: known.goals + by, ..known },
            Self::Clear => Scorer { team: String::new(), ..known },
            Self::Delete => return,
            Self::Rekey => Scorer { name: other.into(), ..known },
        };
        view.insert(after.name.clone(), after);
    }
}

async fn stored(stage: &Stage<Scorer>) -> BTreeMap<String, Scorer> {
    let all = stage.truth.scan().consistent().all().await.unwrap();
    all.into_iter().map(|it| (it.name.clone(), it)).collect()
}

fn of_mode(builder: MemoryTableBuilder<Scorer>, mode: u64) -> MemoryTableBuilder<Scorer> {
    match mode {
        0 => builder,
        1 => builder.guarded(Guard::Item),
        _ => builder.field_wise(),
    }
}

const WRITES: [&str; 5] = [BATCH, PUT, ADD, "UpdateItem", "DeleteItem"];
const NAMES: [&str; 3] = ["ada", "bob", "eve"];

fn random_fault(random: &mut fastrand::Rng) -> Fault {
    let fault = match random.u32(..6) {
        0 => Fault::connection_reset().after_applying(),
        1 => Fault::connection_reset(),
        2 => Fault::failed(),
        3 => Fault::none(),
        _ => Fault::throttled(),
    };
    if random.bool() { fault.delayed(Duration::from_millis(20)) } else { fault }
}

/// A job on a table that fails now and then, and dies.
struct Course {
    seed: u64,
    random: fastrand::Rng,
    stage: Stage<Scorer>,
    journals: Journals,
    path: PathBuf,
    memory: MemoryTable<Scorer>,
    /// What readers see, and what the last checkpoint covers.
    view: BTreeMap<String, Scorer>,
    covered: BTreeMap<String, Scorer>,
    cursor: Option<u32>,
}

impl Course {
    async fn new(seed: u64) -> Self {
        let (stage, journals) = (Stage::embedded().await, Journals::new());
        let path = journals.first();
        let memory = Self::open(&stage, &path, seed);
        let (view, covered) = (BTreeMap::new(), BTreeMap::new());
        let random = fastrand::Rng::with_seed(seed);
        Self { seed, random, stage, journals, path, memory, view, covered, cursor: None }
    }

    fn open(stage: &Stage<Scorer>, path: &Path, seed: u64) -> MemoryTable<Scorer> {
        of_mode(builder(&stage.table, path), seed % 3).checkpoints().build().unwrap()
    }

    async fn change(&mut self) {
        let (name, other) = (self.random.usize(..3), self.random.usize(1..3));
        let (name, other) = (NAMES[name], NAMES[(name + other) % 3]);
        let step = Step::random(&mut self.random);
        let is_there = self.view.contains_key(name);
        match step.run(&self.memory, self.seed % 3, name, other).await {
            Ok(()) => step.apply(&mut self.view, name, other),
            Err(error) if error.kind() == ErrorKind::NotFound => assert!(!is_there),
            // An increment of it is in doubt.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsaved, "{error}"),
        }
    }

    async fn checkpoint(&mut self, number: u32) {
        self.memory.checkpoint(&number).await.unwrap();
        (self.covered, self.cursor) = (self.view.clone(), Some(number));
    }

    /// Flushes, and mostly changes more meanwhile.
    async fn flush(&mut self, number: u32) {
        for operation in WRITES {
            if self.random.u32(..3) == 0 {
                self.stage.faults.next(operation, random_fault(&mut self.random));
            }
        }
        let memory = self.memory.clone();
        let flush = tokio::spawn(async move { memory.flush().await });
        let covered = self.covered.clone();
        let mut is_covered_anew = false;
        for _ in 0..self.random.u32(..4) {
            // It gets as far as it can without an answer.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.random.u32(..4) == 0 {
                self.checkpoint(number).await;
                is_covered_anew = true;
            } else {
                self.change().await;
            }
        }
        if flush.await.unwrap().is_ok() && !is_covered_anew {
            assert_eq!(stored(&self.stage).await, covered);
        }
    }

    fn crash(&mut self) {
        self.path = self.journals.crash(&self.path);
        self.memory = Self::open(&self.stage, &self.path, self.seed);
        assert_eq!(self.memory.cursor().unwrap(), self.cursor);
        self.view = self.covered.clone();
    }

    async fn end(mut self) {
        self.checkpoint(0).await;
        // Faults are left.
        while let Err(error) = self.memory.close().await {
            let mut failed = error.report().failed.iter();
            assert!(!failed.all(|it| it.error.kind() == ErrorKind::Conflict), "{error}");
        }
        assert_eq!(stored(&self.stage).await, self.view);
        assert!(keys(&self.journals.crash(&self.path)).is_empty());
    }
}

/// Changes, checkpoints, flushes of which some fail, and crashes: whatever their order, the table has what the
/// last checkpoint covers once it is flushed.
async fn course(seed: u64) {
    let mut course = Course::new(seed).await;
    for number in 0..80 {
        match course.random.u32(..20) {
            0..11 => course.change().await,
            11..13 => course.checkpoint(number).await,
            13..18 => course.flush(number).await,
            _ => course.crash(),
        }
    }
    course.end().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_in_which_order_the_table_has_what_the_last_checkpoint_covers() {
    let number = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u64>().expect(name));
    let first = number("MEMORY_TABLE_TEST_SEED").unwrap_or(0);
    let courses = number("MEMORY_TABLE_TEST_COURSES").unwrap_or(60);
    for seed in first..first + courses {
        let course = AssertUnwindSafe(course(seed)).catch_unwind().await;
        assert!(course.is_ok(), "seed {seed}");
    }
}

//! Increments are done once, also across a crash.

use std::time::Duration;

use memory_table::{Durability, Field, Increment, Journal, Number, Operation, Outcome, Record};
use serde::{Deserialize, Serialize};

use super::{Journals, builder, open};
use crate::support::{Fault, Stage};

const ADD: &str = "TransactWriteItems";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "counters")]
struct Counter {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    goals: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    team: String,
}

const GOALS: Field<u32> = Field::named("goals");

fn counter(goals: u32) -> Counter {
    Counter { name: "ada".into(), goals, team: String::new() }
}

async fn stage() -> Stage<Counter> {
    let stage = Stage::new().await;
    stage.truth.put(&counter(10)).await.unwrap();
    stage
}

async fn goals(stage: &Stage<Counter>) -> u32 {
    stage.truth.get_consistent("ada").await.unwrap().unwrap().goals
}

#[tokio::test]
async fn what_was_never_sent_is_sent_after_the_crash() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.increment("ada", GOALS, 2).await.unwrap();
    memory.increment("ada", GOALS, 3).await.unwrap();
    let left = journals.crash(&journals.first());
    let found = Journal::inspect(&left).unwrap();
    let change = &found.changes()[0];
    assert_eq!(
        (change.operation(), change.item(), change.is_in_doubt()),
        (Operation::Increment, None, false)
    );
    assert_eq!(change.increments(), [("goals".to_owned(), Number::from(5))]);
    let again = open(&stage.table, &left);
    assert_eq!(again.get("ada").await.unwrap().unwrap().goals, 15);
    let _ = again.flush().await.unwrap();
    assert_eq!(goals(&stage).await, 15);
}

#[tokio::test]
async fn what_was_sent_goes_on_under_its_token() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.increment("ada", GOALS, 5).await.unwrap();
    let held = stage.faults.hold_next_answer(ADD);
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    held.reached().await;
    assert_eq!(goals(&stage).await, 15, "it is applied, and nobody knows");
    let sent = journals.crash(&journals.first());
    memory.increment("ada", GOALS, 1).await.unwrap();
    let more = journals.crash(&journals.first());
    held.open();
    let _ = flushing.await.unwrap().unwrap();
    memory.discard("ada").await.unwrap();

    let _ = open(&stage.table, &sent).flush().await.unwrap();
    assert_eq!(goals(&stage).await, 15, "applied once");
    let _ = open(&stage.table, &more).flush().await.unwrap();
    assert_eq!(goals(&stage).await, 16, "and what came behind it");
    let tokens: Vec<String> = stage
        .faults
        .requests(ADD)
        .iter()
        .map(|request| request.body["ClientRequestToken"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((tokens.len(), &tokens[0], &tokens[0]), (4, &tokens[1], &tokens[2]));
    assert_ne!(tokens[3], tokens[0]);
}

/// A change that waits for the journal knows nothing of what is taken to be sent meanwhile.
#[tokio::test]
async fn what_is_sent_while_a_change_waits_for_the_journal_is_in_it_too() {
    let stage = stage().await;
    let journals = Journals::new();
    let slow = Durability::Group(Duration::from_millis(100));
    let memory = builder(&stage.table, &journals.first()).durability(slow).build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    let more = memory.increment("ada", GOALS, 1);
    tokio::pin!(more);
    assert!(futures::poll!(more.as_mut()).is_pending());
    let held = stage.faults.hold_next_answer(ADD);
    let flushing = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    // Nothing is sent before the change is published: who sends waits for it.
    more.await.unwrap();
    held.reached().await;
    let sent = journals.crash(&journals.first());
    assert_eq!(goals(&stage).await, 15);
    held.open();
    let _ = flushing.await.unwrap().unwrap();
    memory.discard("ada").await.unwrap();

    let _ = open(&stage.table, &sent).flush().await.unwrap();
    assert_eq!(goals(&stage).await, 16, "each once");
}

#[tokio::test]
async fn what_was_sent_longer_ago_than_a_token_lives_waits_for_a_word() {
    let stage = Stage::<Counter>::embedded().await;
    stage.truth.put(&counter(10)).await.unwrap();
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.always(ADD, Fault::failed().after_applying());
    memory.flush().await.unwrap_err();
    let left = journals.crash(&journals.first());
    stage.faults.heal();
    tokio::time::pause();
    let again = open(&stage.table, &left);
    tokio::time::advance(Duration::from_secs(600)).await;
    let report = again.flush().await.unwrap_err().into_report();
    assert_eq!(
        (report.failed[0].outcome, report.failed[0].to_resolve),
        (Outcome::OutcomeUnknown, true)
    );
    again.resolve("ada", Increment::Applied).await.unwrap();
    let _ = again.flush().await.unwrap();
    assert_eq!(goals(&stage).await, 15);
}

#[tokio::test]
async fn field_by_field_they_stay_beside_the_other_changes() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = builder(&stage.table, &journals.first()).field_wise().build().unwrap();
    memory.update("ada", |counter| counter.team = "red".into()).await.unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    let left = journals.crash(&journals.first());
    stage.truth.put(&counter(20)).await.unwrap(); // somebody else
    let _ = Journal::replay(&left, stage.table.clone()).await.unwrap();
    let found = stage.truth.get("ada").await.unwrap().unwrap();
    assert_eq!((found.goals, &*found.team), (25, "red"));
}

#[tokio::test]
async fn of_a_record_that_was_never_loaded_they_are_added_to_what_is_stored() {
    let stage = stage().await;
    let journals = Journals::new();
    let memory = builder(&stage.table, &journals.first()).field_wise().build().unwrap();
    memory.merge(Counter { team: "red".into(), ..counter(0) }).await.unwrap();
    memory.increment("bob", GOALS, 2).await.unwrap();
    let left = journals.crash(&journals.first());
    let _ = Journal::replay(&left, stage.table.clone()).await.unwrap();
    assert_eq!(stage.truth.get("bob").await.unwrap().unwrap().goals, 2);
    assert_eq!(stage.truth.get("ada").await.unwrap().unwrap().team, "red");
}

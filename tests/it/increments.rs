//! Increments: sums that the service makes, each once, without reading first.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{
    ErrorKind, Field, Guard, Increment, MemoryTable, Number, OnConflict, Operation, Outcome,
    Record, ScopeError, Unsaved,
};
use serde::{Deserialize, Serialize};

use crate::support::{Fault, Gate, Stage};

const ADD: &str = "TransactWriteItems";
const UPDATE: &str = "UpdateItem";
const TOKEN_LIFE: Duration = Duration::from_secs(600);

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "scorers")]
struct Scorer {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    goals: u32,
    #[serde(default)]
    rating: f64,
    #[serde(default)]
    worth: Number,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    team: String,
}

fn scorer(name: &str, goals: u32, rating: f64) -> Scorer {
    Scorer { name: name.into(), goals, rating, worth: 0.into(), team: String::new() }
}

const GOALS: Field<u32> = Field::named("goals");
const WORTH: Field<Number> = Field::named("worth");

async fn stored(stage: &Stage<Scorer>, name: &str) -> Option<(u32, f64)> {
    let scorer = stage.truth.get_consistent(name).await.unwrap();
    scorer.map(|scorer| (scorer.goals, scorer.rating))
}

async fn goals(memory: &MemoryTable<Scorer>, name: &str) -> Option<u32> {
    memory.get(name).await.unwrap().map(|scorer| scorer.goals)
}

/// A stage with ada's 10 goals.
async fn stage() -> Stage<Scorer> {
    let stage = Stage::new().await;
    stage.truth.put(&scorer("ada", 10, 1.5)).await.unwrap();
    stage
}

/// The same for a paused clock.
async fn paused() -> Stage<Scorer> {
    let stage = Stage::embedded().await;
    stage.truth.put(&scorer("ada", 10, 1.5)).await.unwrap();
    stage
}

#[tokio::test]
async fn increments_are_summed_and_sent_as_one_without_reading() {
    let stage = stage().await;
    let memory = stage.memory();
    for _ in 0..5 {
        memory.increment("ada", Scorer::FIELDS.goals, 2).await.unwrap();
    }
    let worth: Number = "0.25".parse().unwrap();
    memory.increment("ada", Scorer::FIELDS.worth, &worth).await.unwrap();
    memory.increment("bob", GOALS, 1).await.unwrap();
    assert_eq!(memory.unsaved().len(), 2);
    stage.truth.put(&scorer("ada", 100, 1.5)).await.unwrap(); // somebody else
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, stage.faults.count(ADD)), (2, 2, 2));
    assert!(report.consumed_capacity >= 4.0, "twice the price: {}", report.consumed_capacity);
    assert_eq!((stage.reads(), stage.writes()), (0, 0));
    assert_eq!(stored(&stage, "ada").await, Some((110, 1.5)));
    assert_eq!(stage.truth.get("ada").await.unwrap().unwrap().worth, worth);
    assert_eq!(stored(&stage, "bob").await, Some((1, 0.0)), "what is absent counts as 0");
    assert_eq!(memory.unsaved(), []);
    assert_eq!(memory.stats().items_written, 2);
}

#[tokio::test]
async fn a_record_in_memory_shows_them_before_and_after_they_are_saved() {
    let stage = stage().await;
    let memory = stage.memory();
    assert_eq!(goals(&memory, "ada").await, Some(10));
    memory.increment("ada", GOALS, 5).await.unwrap();
    assert_eq!(goals(&memory, "ada").await, Some(15));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&memory, "ada").await, Some(15));
    assert_eq!(stage.reads(), 1);
    assert_eq!(stored(&stage, "ada").await, Some((15, 1.5)));
    // And what comes next starts from that.
    memory.update("ada", |ada| ada.goals += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "ada").await, Some((16, 1.5)));
}

#[tokio::test]
async fn a_record_that_is_read_after_them_shows_them() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.increment("new", GOALS, 1).await.unwrap();
    assert_eq!(goals(&memory, "ada").await, Some(15));
    assert_eq!(goals(&memory, "new").await, Some(1));
    assert_eq!(memory.prefetch(["ada", "new"]).await.unwrap().records, 2);
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!((goals(&memory, "ada").await, goals(&memory, "new").await), (Some(15), Some(1)));
    assert_eq!(stored(&stage, "ada").await, Some((15, 1.5)));
}

#[tokio::test]
async fn they_survive_a_load_of_everything() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.increment("new", GOALS, 1).await.unwrap();
    assert_eq!(memory.load_all().await.unwrap().records, 1);
    assert_eq!((goals(&memory, "ada").await, goals(&memory, "new").await), (Some(15), Some(1)));
    memory.increment("other", GOALS, 3).await.unwrap();
    assert_eq!(goals(&memory, "other").await, Some(3), "it is known to be absent");
    assert_eq!(memory.flush().await.unwrap().written, 3);
    assert_eq!(stored(&stage, "other").await, Some((3, 0.0)));
}

#[tokio::test]
async fn they_become_part_of_another_change_of_the_record() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.update("ada", |ada| ada.rating = 9.0).await.unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.put(scorer("bob", 3, 0.0)).await.unwrap();
    memory.increment("bob", GOALS, 1).await.unwrap();
    memory.increment("eve", GOALS, 1).await.unwrap();
    memory.update("eve", |eve| eve.goals *= 10).await.unwrap();
    memory.increment("max", GOALS, 1).await.unwrap();
    memory.delete("max").await.unwrap();
    memory.delete("zoe").await.unwrap();
    memory.increment("zoe", GOALS, 2).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, stage.faults.count(ADD)), (4, 1, 0));
    let expected = [("ada", 15), ("bob", 4), ("eve", 10), ("zoe", 2)];
    for (name, goals) in expected {
        assert_eq!(stored(&stage, name).await.map(|(goals, _)| goals), Some(goals), "{name}");
    }
    assert_eq!(stored(&stage, "max").await, None);
}

#[tokio::test]
async fn field_by_field_they_go_beside_the_other_attributes() {
    let stage = stage().await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.update("ada", |ada| ada.team = "Brazil".into()).await.unwrap();
    memory.increment("ada", GOALS, 1).await.unwrap();
    stage.truth.put(&scorer("ada", 100, 1.5)).await.unwrap(); // somebody else
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 2));
    let update = &stage.faults.requests(UPDATE)[0].body["ExpressionAttributeNames"];
    assert!(!update.to_string().contains("goals"), "{update}");
    let ada = stage.truth.get("ada").await.unwrap().unwrap();
    assert_eq!((ada.goals, &*ada.team), (106, "Brazil"));

    memory.increment("ada", GOALS, 1).await.unwrap();
    memory.update("ada", |ada| ada.goals = 50).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&memory, "ada").await, Some(50));
    assert_eq!(stored(&stage, "ada").await, Some((50, 1.5)), "what was set is set");
}

#[tokio::test]
async fn what_is_incremented_during_a_flush_goes_with_the_next() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.get("ada").await.unwrap();
    memory.increment("ada", GOALS, 1).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.increment("ada", GOALS, 10).await.unwrap();
        assert_eq!(goals(&memory, "ada").await, Some(21));
        gate.open();
    });
    assert_eq!((report.unwrap().written, memory.unsaved().len()), (1, 1));
    assert_eq!(stored(&stage, "ada").await, Some((11, 1.5)));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((stored(&stage, "ada").await, memory.unsaved().len()), (Some((21, 1.5)), 0));
}

#[tokio::test]
async fn a_reader_during_a_flush_waits_until_it_knows_what_it_reads() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.increment("ada", GOALS, 1).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (report, seen) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let mut reader = std::pin::pin!(goals(&memory, "ada"));
        assert!(futures::poll!(reader.as_mut()).is_pending());
        assert_eq!(stage.reads(), 0, "it would not know whether the read has it");
        gate.open();
        reader.await
    });
    assert_eq!((report.unwrap().written, seen), (1, Some(11)));
}

#[tokio::test]
async fn an_answer_that_is_lost_applies_nothing_twice() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    stage.faults.next(ADD, Fault::failed().after_applying());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.retries), (1, 3, 2));
    assert_eq!(stored(&stage, "ada").await, Some((15, 1.5)));
    let tokens: Vec<String> = stage
        .faults
        .requests(ADD)
        .iter()
        .map(|request| request.body["ClientRequestToken"].to_string())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[tokio::test]
async fn what_was_refused_for_now_goes_with_what_came_since() {
    let stage = stage().await;
    let memory = stage.impatient();
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.next(ADD, Fault::throttled());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].outcome, Outcome::NotWritten);
    assert_eq!(report.failed[0].operation, Operation::Increment);
    memory.increment("ada", GOALS, 1).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 1));
    assert_eq!(stored(&stage, "ada").await, Some((16, 1.5)));
}

/// Ada's five goals were sent; the answer is missing, and so is that to whether they are stored.
async fn in_doubt(stage: &Stage<Scorer>, applied: bool) -> MemoryTable<Scorer> {
    let memory = stage.impatient();
    memory.increment("ada", GOALS, 5).await.unwrap();
    let lost = Fault::connection_reset();
    stage.faults.next(ADD, if applied { lost.after_applying() } else { lost });
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].outcome, Outcome::OutcomeUnknown);
    memory
}

#[tokio::test(start_paused = true)]
async fn within_the_life_of_the_token_the_next_flush_goes_on_under_it() {
    for applied in [true, false] {
        let stage = paused().await;
        let memory = in_doubt(&stage, applied).await;
        memory.increment("ada", GOALS, 1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(500)).await;
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, report.requests), (1, 2), "one after the other");
        assert_eq!(stored(&stage, "ada").await, Some((16, 1.5)));
        assert_eq!(memory.unsaved(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn past_the_life_of_its_token_it_waits_until_somebody_says_what_happened() {
    for (applied, goals_then) in [(true, 15), (false, 10)] {
        let stage = paused().await;
        let memory = in_doubt(&stage, applied).await;
        tokio::time::sleep(TOKEN_LIFE).await;
        memory.increment("ada", GOALS, 1).await.unwrap();
        memory.increment("bob", GOALS, 1).await.unwrap();
        for _ in 0..2 {
            let report = memory.flush().await.unwrap_err().into_report();
            let failed = &report.failed[0];
            assert_eq!((failed.outcome, failed.attempts), (Outcome::OutcomeUnknown, 0));
            assert!(failed.to_resolve);
            assert_eq!(failed.error.kind(), ErrorKind::Timeout);
            assert!(failed.error.to_string().contains("`resolve`"), "{}", failed.error);
        }
        assert_eq!(stored(&stage, "ada").await, Some((goals_then, 1.5)), "nothing was sent again");
        assert_eq!(stored(&stage, "bob").await, Some((1, 0.0)), "it holds back nobody else");
        assert_eq!(memory.unsaved().len(), 1);
        assert_eq!(memory.take_unsaved().await, [], "it stays until it is resolved");

        let outcome = if applied { Increment::Applied } else { Increment::NotApplied };
        memory.resolve("ada", outcome).await.unwrap();
        assert_eq!(goals(&memory, "ada").await, Some(16));
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, memory.unsaved().len()), (1, 0));
        assert_eq!(stored(&stage, "ada").await, Some((16, 1.5)));
        let error = memory.resolve("ada", outcome).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn other_changes_of_the_record_are_held_back_too() {
    let stage = paused().await;
    let memory = stage.impatient();
    assert_eq!(goals(&memory, "ada").await, Some(10));
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.update("ada", |ada| ada.rating = 7.0).await.unwrap();
    tokio::time::sleep(TOKEN_LIFE).await;
    memory.flush().await.unwrap_err();
    assert_eq!(stored(&stage, "ada").await, Some((15, 1.5)));
    memory.resolve("ada", Increment::Applied).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "ada").await, Some((15, 7.0)));
}

#[tokio::test(start_paused = true)]
async fn an_increment_of_unknown_outcome_can_be_discarded() {
    let stage = paused().await;
    let memory = in_doubt(&stage, true).await;
    assert!(memory.discard("ada").await.unwrap());
    assert_eq!(memory.flush().await.unwrap().submitted(), 0);
    assert_eq!(goals(&memory, "ada").await, Some(15));
}

#[tokio::test]
async fn a_sum_of_nothing_is_not_sent_and_makes_no_item() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.increment("bob", GOALS, 3).await.unwrap();
    memory.increment("bob", GOALS, -3).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0));
    assert_eq!((stored(&stage, "bob").await, memory.unsaved().len()), (None, 0));
}

#[tokio::test]
async fn what_cannot_be_summed_is_refused_and_changes_nothing() {
    let stage = stage().await;
    let memory = stage.memory();
    memory.get("ada").await.unwrap();
    let kind = |result: Result<(), memory_table::Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.operation(), Some("increment"), "{error}");
        assert_eq!(error.key().map(ToString::to_string), Some("\"ada\"".into()));
        error.kind()
    };
    let invalid = ErrorKind::InvalidRecord;
    assert_eq!(kind(memory.increment("ada", GOALS, -11).await), invalid, "unsigned");
    assert_eq!(kind(memory.increment("ada", Field::<u32>::named("name"), 1).await), invalid);
    assert_eq!(kind(memory.increment("ada", Field::<u32>::named("team"), 1).await), invalid);
    assert_eq!(kind(memory.increment("ada", Field::<u32>::named("other"), 1).await), invalid);
    let tiny: Number = "0.0000000000000000000000000000000000000001".parse().unwrap();
    let large: Number = "1E60".parse().unwrap();
    memory.increment("bob", WORTH, large).await.unwrap();
    let error = memory.increment("bob", WORTH, tiny).await.unwrap_err();
    assert_eq!(error.kind(), invalid, "100 digits");
    assert!(memory.discard("bob").await.unwrap());
    let nested = memory_table::attribute("a.b").as_type::<u32>();
    assert_eq!(kind(memory.increment("ada", nested, 1).await), ErrorKind::InvalidCondition);
    assert_eq!((memory.unsaved().len(), goals(&memory, "ada").await), (0, Some(10)));
}

#[tokio::test]
async fn what_the_service_refuses_is_parked_until_it_is_changed() {
    let stage = stage().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("name", AttributeValue::S("bad".into()));
    put.item("goals", AttributeValue::S("many".into())).send().await.unwrap();
    let memory = stage.memory();
    memory.increment("bad", GOALS, 1).await.unwrap();
    memory.increment("ada", GOALS, 1).await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!((report.written, report.parked.len(), report.failed.len()), (1, 1, 0));
    assert_eq!(report.parked[0].operation, Operation::Increment);
    assert_eq!(memory.flush().await.unwrap_err().report().requests, 0);
    stage.truth.put(&scorer("bad", 1, 0.0)).await.unwrap();
    memory.increment("bad", GOALS, 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "bad").await, Some((3, 0.0)));
}

#[tokio::test]
async fn a_job_that_fails_gets_its_increments_back() {
    let stage = stage().await;
    let memory = stage.memory();
    let job = async |memory: &MemoryTable<Scorer>| {
        memory.increment("ada", GOALS, 5).await.map_err(|error| error.to_string())?;
        Err::<(), _>("no more".to_owned())
    };
    let Err(ScopeError::Job { unsaved, .. }) = memory.scope(job).await else { panic!() };
    let [Unsaved::Increment(key, sums)] = &unsaved[..] else { panic!("{unsaved:?}") };
    assert_eq!((key.to_string(), &sums[..]), ("\"ada\"".into(), &[("goals".into(), 5.into())][..]));
    assert_eq!(goals(&memory, "ada").await, Some(10));
}

#[tokio::test]
async fn a_guarded_change_after_an_increment_knows_what_is_stored() {
    let stage = stage().await;
    let builder = stage.builder().guarded(Guard::Item).on_conflict(OnConflict::Fail);
    let memory = builder.build().unwrap();
    memory.get("ada").await.unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("ada", |ada| ada.rating = 2.0).await.unwrap();
        gate.open();
    });
    assert_eq!(report.unwrap().written, 1);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert_eq!(stored(&stage, "ada").await, Some((15, 2.0)));
}

/// A record that counts its writes.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "drafts")]
struct Draft {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    views: u32,
    #[record(version)]
    #[serde(default)]
    version: u64,
}

#[tokio::test]
async fn an_increment_raises_the_version() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&Draft { id: 1, views: 1, version: 4 }).await.unwrap();
    let memory = stage.memory();
    memory.get(1).await.unwrap();
    memory.increment(1, Draft::FIELDS.views, 2).await.unwrap();
    memory.increment(1, Draft::FIELDS.views, 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let expected = Draft { id: 1, views: 5, version: 5 };
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(expected.clone()));
    assert_eq!(*memory.get(1).await.unwrap().unwrap(), expected);
    memory.update_existing(1, |draft| draft.views = 0).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().conflicts, []);
    let error = memory.increment(1, Draft::FIELDS.version, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_increment_the_same_counters_lose_nothing_under_lost_answers() {
    let stage = stage().await;
    let worker = |number: usize| {
        let truth = stage.truth.clone();
        tokio::spawn(async move {
            let (database, faults) = memory_table::testing::Faults::around(truth.database());
            let quickly = memory_table::RetryPolicy::new(Duration::ZERO, Duration::from_millis(2));
            let table = database.table::<Scorer>();
            let memory = MemoryTable::builder(table).retry(quickly).build().unwrap();
            for time in 0..25 {
                memory.increment("ada", GOALS, 1).await.unwrap();
                if time % 4 == number {
                    faults.next(ADD, Fault::connection_reset().after_applying());
                }
                assert_eq!(memory.flush().await.unwrap().written, 1);
            }
        })
    };
    let workers: Vec<_> = (0..4).map(worker).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(stored(&stage, "ada").await, Some((110, 1.5)));
}

/// Ada was not in memory, and nobody knows whether the request of her goals was done.
#[tokio::test(start_paused = true)]
async fn a_change_by_what_is_read_sends_increments_of_unknown_outcome_first() {
    for applied in [true, false] {
        let stage = paused().await;
        let memory = in_doubt(&stage, applied).await;
        assert!(goals(&memory, "ada").await >= Some(10), "who only reads gets one or the other");
        memory.update("ada", |ada| ada.rating = 7.0).await.unwrap();
        assert_eq!(goals(&memory, "ada").await, Some(15));
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stored(&stage, "ada").await, Some((15, 7.0)));
    }
    let stage = paused().await;
    let memory = in_doubt(&stage, true).await;
    tokio::time::sleep(TOKEN_LIFE).await;
    let error = memory.update("ada", |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsaved);
    assert!(error.to_string().contains("`resolve`"), "{error}");
}

/// The record in memory has them, so what is made of it does too.
#[tokio::test]
async fn what_was_not_applied_is_not_added_to_a_change_that_has_it() {
    for resolves in [false, true] {
        let stage = stage().await;
        let memory = stage.impatient();
        assert_eq!(goals(&memory, "ada").await, Some(10));
        memory.increment("ada", GOALS, 5).await.unwrap();
        stage.faults.next(ADD, Fault::connection_reset());
        assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
        memory.update("ada", |ada| ada.rating = 7.0).await.unwrap();
        if resolves {
            memory.resolve("ada", Increment::NotApplied).await.unwrap();
        }
        assert_eq!(goals(&memory, "ada").await, Some(15));
        assert_eq!(memory.flush().await.unwrap().written, 1);
        assert_eq!(stored(&stage, "ada").await, Some((15, 7.0)));
        assert_eq!(memory.flush().await.unwrap().submitted(), 0);
    }
}

#[tokio::test]
async fn a_change_during_a_flight_that_fails_has_the_increments_once() {
    let stage = stage().await;
    let memory = stage.memory();
    assert_eq!(goals(&memory, "ada").await, Some(10));
    memory.increment("ada", GOALS, 5).await.unwrap();
    memory.increment("bob", GOALS, 5).await.unwrap();
    let gate = Gate::new();
    for _ in 0..2 {
        stage.faults.next(ADD, Fault::throttled().held_at(&gate));
    }
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("ada", |ada| ada.rating = 7.0).await.unwrap();
        memory.delete("bob").await.unwrap();
        gate.open();
    });
    let report = report.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1));
    assert_eq!(stored(&stage, "ada").await, Some((15, 7.0)));
    assert_eq!(stored(&stage, "bob").await, None, "it was deleted");
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn after_a_load_of_everything_a_counter_that_was_raised_is_not_absent() {
    let stage = stage().await;
    for assumed in [false, true] {
        let builder = stage.builder();
        let builder = if assumed { builder.assume_absent() } else { builder };
        let memory = builder.build().unwrap();
        memory.increment("ada", GOALS, 1).await.unwrap();
        if !assumed {
            memory.load_all().await.unwrap();
        }
        assert_eq!(memory.flush().await.unwrap().written, 1);
        let expected = if assumed { 12 } else { 11 };
        assert_eq!(goals(&memory, "ada").await, Some(expected));
    }
    let memory = stage.builder().field_wise().build().unwrap();
    memory.put(Scorer { team: "Brazil".into(), ..scorer("ada", 3, 0.0) }).await.unwrap();
    memory.load_all().await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(goals(&memory, "ada").await, Some(3));
}

#[tokio::test]
async fn counters_that_are_never_read_take_no_memory_once_they_are_saved() {
    let stage = stage().await;
    let memory = stage.memory();
    for number in 0..50 {
        memory.increment(format!("p{number}"), GOALS, 1).await.unwrap();
    }
    assert_eq!(memory.flush().await.unwrap().written, 50);
    assert_eq!((memory.stats().cached, memory.records().len()), (0, 0));
}

#[tokio::test]
async fn field_by_field_a_change_during_a_flight_leaves_the_others_increments() {
    let stage = stage().await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.update("ada", |ada| ada.team = "Brazil".into()).await.unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update("ada", |ada| ada.rating = 9.0).await.unwrap();
        stage.truth.put(&scorer("ada", 100, 1.5)).await.unwrap();
        gate.open();
    });
    assert_eq!(report.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    let ada = stage.truth.get("ada").await.unwrap().unwrap();
    assert_eq!((ada.goals, ada.rating, &*ada.team), (105, 9.0, "Brazil"));
    assert_eq!(memory.unsaved(), []);
}

#[tokio::test]
async fn a_guarded_record_that_an_increment_made_can_be_changed() {
    let stage = stage().await;
    let memory = stage.builder().guarded(Guard::Item).build().unwrap();
    assert_eq!(goals(&memory, "new").await, None);
    memory.increment("new", GOALS, 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.update("new", |new| new.goals = 7).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.conflicts.len()), (1, 0));
    assert_eq!(stored(&stage, "new").await, Some((7, 0.0)));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_behind_a_resolved_increment_is_written() {
    let stage = paused().await;
    let memory = stage.impatient();
    assert_eq!(goals(&memory, "ada").await, Some(10));
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.update("ada", |ada| ada.goals = 10).await.unwrap();
    memory.resolve("ada", Increment::Applied).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "ada").await, Some((10, 1.5)));
}

/// The request comes late, and would add to what was put since.
#[tokio::test(start_paused = true)]
async fn what_is_put_behind_a_lost_increment_waits_for_it_to_land() {
    let stage = paused().await;
    let builder = stage.builder().patience(Duration::ZERO);
    let memory = builder.late_write_window(Duration::from_secs(5)).build().unwrap();
    memory.increment("ada", GOALS, 5).await.unwrap();
    stage.faults.next(ADD, Fault::connection_reset().applied_late(Duration::from_secs(3)));
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    assert!(memory.discard("ada").await.unwrap());
    memory.put(scorer("ada", 1, 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stored(&stage, "ada").await, Some((1, 1.0)));
}

#[tokio::test]
async fn a_refused_increment_does_not_hold_back_a_put_that_came_since() {
    let stage = stage().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("name", AttributeValue::S("bad".into()));
    put.item("goals", AttributeValue::S("many".into())).send().await.unwrap();
    let memory = stage.memory();
    memory.increment("bad", GOALS, 1).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.put(scorer("bad", 7, 0.0)).await.unwrap();
        gate.open();
    });
    // The refusal is that of the increment alone.
    assert_eq!(report.unwrap_err().report().parked.len(), 1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stored(&stage, "bad").await, Some((7, 0.0)));
}

#[tokio::test]
async fn a_version_is_raised_once_by_increments_that_are_sent_again() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&Draft { id: 1, views: 1, version: 4 }).await.unwrap();
    let memory = stage.memory();
    memory.increment(1, Draft::FIELDS.views, 2).await.unwrap();
    stage.faults.next(ADD, Fault::throttled());
    stage.faults.next(ADD, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(Draft { id: 1, views: 3, version: 5 }));
    memory.increment(2, Draft::FIELDS.views, 2).await.unwrap();
    memory.increment(2, Draft::FIELDS.views, -2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().unchanged, 1);
    assert_eq!(stage.truth.get(2).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_being_sent_again_is_not_resolved_before_its_answer() {
    let stage = stage().await;
    let memory = in_doubt(&stage, false).await;
    let gate = stage.faults.hold_next(ADD);
    let (report, resolved) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let mut resolve = std::pin::pin!(memory.resolve("ada", Increment::NotApplied));
        assert!(futures::poll!(resolve.as_mut()).is_pending());
        gate.open();
        resolve.await
    });
    assert_eq!(report.unwrap().written, 1);
    assert_eq!(resolved.unwrap_err().kind(), ErrorKind::NotFound, "it was applied");
    assert_eq!(memory.flush().await.unwrap().submitted(), 0);
    assert_eq!(stored(&stage, "ada").await, Some((15, 1.5)));
}

/// A counter and nothing else.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "counters")]
struct Counter {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    count: u32,
}

#[tokio::test]
async fn a_sum_of_nothing_leaves_an_absent_record_absent() {
    let stage = Stage::<Counter>::new().await;
    let memory = stage.memory();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.increment(1, Counter::FIELDS.count, 1).await.unwrap();
    memory.increment(1, Counter::FIELDS.count, -1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().unchanged, 1);
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(Counter { id: 1, count: 0 }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(Counter { id: 1, count: 0 }));
}

//! Field-wise writes: the attributes that changed, and no others.

mod amounts;
mod awaited;
mod converted;
mod forms;
mod made;
mod touched;
mod unset;

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Attributes, ErrorKind, MemoryTable, Number, Record, Resolution};
use serde::{Deserialize, Serialize};

use crate::support::{Fault, Gate, Stage};

const UPDATE: &str = "UpdateItem";
const ADD: &str = "TransactWriteItems";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "accounts")]
struct Account {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    email: String,
    #[serde(default)]
    logins: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn account(id: u32, email: &str, logins: u32) -> Account {
    Account { id, email: email.into(), logins, note: None }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A stage with a stored account, and a field-wise memory table that loaded it.
async fn loaded() -> (Stage<Account>, MemoryTable<Account>) {
    let stage = Stage::new().await;
    stage.truth.put(&account(1, "a@b", 3)).await.unwrap();
    let memory = stage.builder().field_wise().build().unwrap();
    memory.get(1).await.unwrap().expect("an account");
    (stage, memory)
}

/// Stores the account without what the type adds when it writes, and loads it anew.
async fn without_logins(stage: &Stage<Account>, memory: &MemoryTable<Account>) {
    store(stage, &[("email", text("a@b"))]).await;
    memory.reset().await.unwrap();
    memory.get(1).await.unwrap().unwrap();
}

/// Somebody else sets an attribute of item 1.
async fn set<T: Record>(stage: &Stage<T>, name: &str, value: AttributeValue) {
    let client = stage.truth.database().client();
    let update = client.update_item().table_name(stage.truth.name().unwrap());
    let update = update.key("id", number(1)).update_expression("SET #n = :v");
    let update = update.expression_attribute_names("#n", name);
    update.expression_attribute_values(":v", value).send().await.unwrap();
}

/// Somebody else stores item 1, of these attributes alone.
async fn store<T: Record>(stage: &Stage<T>, more: &[(&str, AttributeValue)]) {
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap()).item("id", number(1));
    let put = more.iter().fold(put, |put, (name, value)| put.item(*name, value.clone()));
    put.send().await.unwrap();
}

#[tokio::test]
async fn two_writers_of_different_attributes_both_win() {
    let (stage, memory) = loaded().await;
    memory.update(1, |account| account.logins = 4).await.unwrap();
    set(&stage, "email", text("c@d")).await;
    set(&stage, "owner", text("bob")).await;
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.conflicts.len()), (1, 1, 0));
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    let expected =
        [("id", number(1)), ("email", text("c@d")), ("logins", number(4)), ("owner", text("bob"))];
    assert_eq!(item, Attributes::from_iter(expected));
}

#[tokio::test]
async fn only_what_changed_is_sent_and_what_is_gone_is_removed() {
    let (stage, memory) = loaded().await;
    memory.update(1, |account| account.note = Some("new".into())).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.update(1, |account| account.note = None).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let updates = stage.faults.requests(UPDATE);
    let sent = |at: usize| updates[at].body["UpdateExpression"].as_str().unwrap();
    assert_eq!((sent(0), sent(1)), ("SET #n0=:v0", "REMOVE #n0"));
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 3)));

    memory.update(1, |account| account.logins = 9).await.unwrap();
    memory.update(1, |account| account.logins = 3).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0));
}

#[tokio::test]
async fn what_was_never_loaded_is_merged_into_what_is_stored() {
    let (stage, _) = loaded().await;
    set(&stage, "owner", text("bob")).await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.put(account(1, "x@y", 1)).await.unwrap();
    memory.put(account(2, "new", 1)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 2);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!((&item["owner"], &item["email"]), (&text("bob"), &text("x@y")));
    assert_eq!(stage.truth.get(2).await.unwrap(), Some(account(2, "new", 1)));
}

#[tokio::test]
async fn what_others_deleted_is_written_as_a_whole_and_never_half_of_it() {
    let (stage, memory) = loaded().await;
    memory.update(1, |account| account.logins = 4).await.unwrap();
    stage.truth.delete(1).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 2));
    assert_eq!(report.conflicts[0].resolution, Resolution::Overwritten);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 4)));
}

#[tokio::test]
async fn deletes_go_in_batches_and_a_put_after_one_replaces_the_item() {
    let (stage, memory) = loaded().await;
    set(&stage, "owner", text("bob")).await;
    memory.delete(1).await.unwrap();
    memory.put(account(1, "new", 0)).await.unwrap();
    memory.delete(7).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (1, 1, 1));
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert!(item.get("owner").is_none(), "the account is another one");
}

/// The first request may have changed what the second takes back.
#[tokio::test]
async fn what_a_lost_request_may_have_changed_is_sent_again() {
    let (stage, _) = loaded().await;
    let memory = stage.builder().field_wise().patience(std::time::Duration::ZERO).build().unwrap();
    memory.update(1, |account| account.logins = 4).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].attempts, 1);
    memory
        .update(1, |account| (account.logins, account.note) = (3, Some("n".into())))
        .await
        .unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let expected = Account { note: Some("n".into()), ..account(1, "a@b", 3) };
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(expected));
}

#[tokio::test]
async fn merge_writes_one_record_of_a_plain_table_field_by_field_until_it_is_saved() {
    let (stage, _) = loaded().await;
    let memory = stage.memory();
    let mut mine = (*memory.get(1).await.unwrap().unwrap()).clone();
    mine.logins = 4;
    memory.merge(mine).await.unwrap();
    memory.put(account(2, "plain", 1)).await.unwrap();
    set(&stage, "email", text("c@d")).await;
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!((stage.writes(), stage.faults.count(UPDATE)), (1, 1));
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "c@d", 4)));

    memory.update(1, |account| account.logins = 5).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.writes(), 2, "it is plain again");
}

/// A record that counts its writes.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "drafts")]
struct Draft {
    #[record(partition_key)]
    id: u32,
    text: String,
    #[record(version)]
    #[serde(default)]
    version: u64,
}

fn draft(id: u32, text: &str, version: u64) -> Draft {
    Draft { id, text: text.into(), version }
}

#[tokio::test]
async fn a_version_makes_a_record_guarded_and_counts_its_writes() {
    let stage = Stage::<Draft>::new().await;
    let memory = stage.memory();
    memory.put(draft(1, "a", 0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(memory.get(1).await.unwrap().unwrap().version, 1, "as it is stored");
    for (written, text) in ["b", "c"].into_iter().enumerate() {
        memory.update_existing(1, |draft| draft.text = text.into()).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        let expected = draft(1, text, written as u64 + 2);
        assert_eq!(stage.truth.get(1).await.unwrap(), Some(expected.clone()));
        assert_eq!(*memory.get(1).await.unwrap().unwrap(), expected);
    }
    let update = &stage.faults.requests(UPDATE)[0].body;
    assert_eq!(update["ConditionExpression"], "#n1=:v2");

    memory.update_existing(1, |draft| draft.version = 77).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0), "the version is not the user's");
}

#[tokio::test]
async fn a_version_that_others_raised_is_a_conflict() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&draft(1, "a", 5)).await.unwrap();
    let (ours, theirs) = (stage.memory(), MemoryTable::new(stage.truth.clone()));
    ours.update_existing(1, |draft| draft.text.push('1')).await.unwrap();
    theirs.update_existing(1, |draft| draft.text.push('2')).await.unwrap();
    assert_eq!(theirs.flush().await.unwrap().written, 1);
    let report = ours.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].error.kind(), ErrorKind::Conflict);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft(1, "a2", 6)));
    ours.discard(1).await.unwrap();
    ours.delete(1).await.unwrap();
    assert_eq!(ours.flush().await.unwrap().deleted, 1);
}

#[tokio::test]
async fn an_item_without_its_version_is_guarded_as_a_whole() {
    let stage = Stage::<Draft>::new().await;
    let client = stage.truth.database().client();
    let table = stage.truth.name().unwrap();
    let put = client.put_item().table_name(table).item("id", number(1));
    put.item("text", text("old")).send().await.unwrap();
    let memory = stage.memory();
    memory.update_existing(1, |draft| draft.text = "new".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft(1, "new", 1)));
    let condition = stage.faults.requests(UPDATE)[0].body["ConditionExpression"].to_string();
    assert!(condition.contains("#n0=:v") && condition.contains("attribute_not_exists(#n1)"));
}

/// A record that was read elsewhere says by its version what it comes from.
#[tokio::test]
async fn a_record_that_was_never_loaded_expects_its_own_version() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&draft(1, "a", 5)).await.unwrap();
    let memory = stage.memory();
    memory.put(draft(1, "b", 4)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap_err().report().conflicts.len(), 1);
    memory.put(draft(1, "b", 5)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft(1, "b", 6)));
}

#[tokio::test]
async fn a_versioned_record_is_never_written_unguarded() {
    let stage = Stage::<Draft>::new().await;
    let error = stage.memory().merge(draft(1, "a", 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let error = stage.builder().field_wise().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn what_was_written_in_part_unseen_is_read_before_it_is_changed() {
    let (stage, _) = loaded().await;
    set(&stage, "owner", text("bob")).await;
    set(&stage, "note", text("kept")).await;
    let memory = stage.memory();
    memory.merge(account(1, "x@y", 5)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let seen = memory.get(1).await.unwrap().unwrap();
    assert_eq!((seen.logins, seen.note.as_deref()), (5, Some("kept")));
    memory.update(1, |account| account.logins += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!((&item["owner"], &item["logins"]), (&text("bob"), &number(6)));
}

#[tokio::test]
async fn what_two_lost_requests_changed_is_named_once() {
    let (stage, _) = loaded().await;
    let memory = stage.builder().field_wise().patience(std::time::Duration::ZERO).build().unwrap();
    for note in ["x", "y"] {
        memory.update(1, |account| account.note = Some(note.into())).await.unwrap();
        stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
        assert_eq!(memory.flush().await.unwrap_err().report().parked.len(), 0);
    }
    memory.update(1, |account| account.note = None).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 3)));
}

#[tokio::test]
async fn a_put_behind_a_delete_during_a_flight_replaces_the_item() {
    let (stage, memory) = loaded().await;
    memory.update(1, |account| account.logins = 4).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        set(&stage, "owner", text("bob")).await;
        memory.delete(1).await.unwrap();
        memory.put(account(1, "a@b", 4)).await.unwrap();
        gate.open();
    });
    assert_eq!(report.unwrap().written, 1);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert!(item.get("owner").is_none(), "the account is another one");
}

#[tokio::test]
async fn a_merge_behind_a_lost_plain_write_takes_back_what_that_changed() {
    let (stage, _) = loaded().await;
    let memory = stage.impatient();
    memory.update(1, |account| account.logins = 4).await.unwrap();
    stage.faults.next("BatchWriteItem", Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.merge(account(1, "new", 3)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "new", 3)));
}

#[tokio::test]
async fn what_is_unchanged_but_for_its_version_keeps_the_one_that_is_stored() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&draft(1, "a", 5)).await.unwrap();
    let memory = stage.memory();
    memory.get(1).await.unwrap();
    memory.put(draft(1, "a", 0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().unchanged, 1);
    assert_eq!(memory.get(1).await.unwrap().unwrap().version, 5);
    memory.update_existing(1, |draft| draft.text = "b".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft(1, "b", 6)));
}

#[tokio::test]
async fn a_versioned_record_can_be_given_another_key() {
    let stage = Stage::<Draft>::new().await;
    stage.truth.put(&draft(1, "a", 5)).await.unwrap();
    let memory = stage.memory();
    memory.rekey(1, 2, |draft| draft.id = 2).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1));
    assert_eq!(stage.truth.get(2).await.unwrap().map(|draft| draft.text), Some("a".into()));
    memory.update_existing(2, |draft| draft.text = "b".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
}

/// What is added and then set is sent as it was set: the sum of both would for a moment be stored as
/// less than nothing, which nobody can read.
#[tokio::test]
async fn an_attribute_that_is_set_has_the_increments_from_before() {
    let (stage, memory) = loaded().await;
    for lost in [false, true] {
        memory.increment(1, Account::FIELDS.logins, 5).await.unwrap();
        memory.update(1, |account| account.logins = 2).await.unwrap();
        memory.increment(1, Account::FIELDS.logins, 1).await.unwrap();
        assert_eq!(memory.get(1).await.unwrap().unwrap().logins, 3);
        if lost {
            stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
            stage.faults.next(UPDATE, Fault::throttled());
        }
        memory.update(1, |account| account.email.push('x')).await.unwrap();
        let report = memory.flush().await.unwrap();
        assert_eq!((report.written, memory.unsaved().len()), (1, 0));
        assert_eq!(stage.faults.count(ADD), 0, "it is in the update");
        assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().logins, 3);
        set(&stage, "logins", number(3)).await;
    }
}

#[tokio::test]
async fn an_attribute_that_is_set_to_what_is_stored_is_not_added_to() {
    let (stage, memory) = loaded().await;
    memory.increment(1, Account::FIELDS.logins, 5).await.unwrap();
    memory.update(1, |account| account.logins = 3).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests), (1, 0));
    assert_eq!(memory.unsaved(), []);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().logins, 3);
    memory.increment(1, Account::FIELDS.logins, 5).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().logins, 8);
}

/// Others add to it meanwhile.
#[tokio::test]
async fn increments_of_an_attribute_that_is_not_set_are_added_beside_the_update() {
    for is_stored in [true, false] {
        let (stage, memory) = loaded().await;
        if !is_stored {
            without_logins(&stage, &memory).await;
        }
        memory.increment(1, Account::FIELDS.logins, 2).await.unwrap();
        memory.update(1, |account| account.email = "c@d".into()).await.unwrap();
        stage.truth.increment(1, Account::FIELDS.logins, 10).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
        let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
        let logins = if is_stored { 15 } else { 12 };
        assert_eq!((stored.logins, &*stored.email), (logins, "c@d"));
        assert_eq!(stage.faults.count(UPDATE), 1);
    }
}

/// The update waits in flight while more is added and set.
#[tokio::test]
async fn what_is_added_while_the_update_is_in_flight_is_added_behind_it() {
    let (stage, memory) = loaded().await;
    memory.increment(1, Account::FIELDS.logins, 5).await.unwrap();
    memory.update(1, |account| account.logins = 1).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.increment(1, Account::FIELDS.logins, 7).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().written, 1);
    assert_eq!(memory.get(1).await.unwrap().unwrap().logins, 8);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().logins, 8);
    assert_eq!(memory.get(1).await.unwrap().unwrap().logins, 8);
}

/// The first request lands after what was added since: what holds that is another value.
#[tokio::test(start_paused = true)]
async fn what_is_sent_with_an_increment_waits_for_a_lost_request_without_it() {
    let stage = Stage::embedded().await;
    stage.truth.put(&account(1, "a@b", 3)).await.unwrap();
    let window = Duration::from_secs(5);
    let memory = stage.builder().field_wise().late_write_window(window).build().unwrap();
    memory.update(1, |account| account.logins = 1).await.unwrap();
    let gate = Gate::new();
    let late = Fault::connection_reset().applied_late(Duration::from_secs(2)).held_at(&gate);
    stage.faults.next(UPDATE, late);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.increment(1, Account::FIELDS.logins, 7).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    let _rest = memory.flush().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().logins, 8);
    assert_eq!((memory.get(1).await.unwrap().unwrap().logins, memory.unsaved()), (8, vec![]));
}

/// Of a record that was never seen only what was merged is known, also when it is merged once more.
#[tokio::test]
async fn what_was_never_seen_stays_when_it_is_merged_again_in_flight() {
    let stage = Stage::<Account>::new().await;
    stage.truth.put(&account(1, "a@b", 3)).await.unwrap();
    set(&stage, "owner", text("bob")).await;
    let memory = stage.memory();
    memory.merge(account(1, "c@d", 4)).await.unwrap();
    let gate = stage.faults.hold_next(UPDATE);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.merge(account(1, "c@d", 4)).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    let _rest = memory.flush().await.unwrap();
    memory.update_existing(1, |account| account.logins = 9).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!((&item["owner"], &item["logins"]), (&text("bob"), &number(9)));
}

/// Amounts that may be absent, and of any number of digits.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "amounts")]
struct Amount {
    #[record(partition_key)]
    id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wins: Option<u32>,
    #[serde(default)]
    exact: Number,
}

#[tokio::test]
async fn an_increment_of_what_is_not_set_goes_on_its_own() {
    let stage = Stage::<Amount>::new().await;
    let exact = Number::from(1);
    let amount = |wins| Amount { id: 1, wins, exact: exact.clone() };
    stage.truth.put(&amount(Some(10))).await.unwrap();
    let memory = stage.builder().field_wise().build().unwrap();
    memory.increment(1, Amount::FIELDS.wins, 5).await.unwrap();
    memory.put(amount(None)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().unwrap().wins, Some(15));
}

#[tokio::test]
async fn an_attribute_that_is_set_far_from_what_was_added_is_stored() {
    let stage = Stage::<Amount>::new().await;
    let amount = |exact: &str| Amount { id: 1, wins: None, exact: exact.parse().unwrap() };
    stage.truth.put(&amount("0")).await.unwrap();
    let memory = stage.builder().field_wise().build().unwrap();
    memory.get(1).await.unwrap();
    let small: Number = "1E-30".parse().unwrap();
    memory.increment(1, Amount::FIELDS.exact, small).await.unwrap();
    memory.put(amount("1E20")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap(), Some(amount("1E20")));
}

/// The stored item lacks an attribute that the type writes: others may set it meanwhile.
#[tokio::test]
async fn what_the_type_adds_when_it_writes_is_no_change() {
    let (stage, memory) = loaded().await;
    store(&stage, &[("email", text("a@b"))]).await;
    memory.reset().await.unwrap();
    memory.update(1, |account| account.email = "c@d".into()).await.unwrap();
    set(&stage, "logins", number(7)).await;
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(1).await.unwrap(), Some(account(1, "c@d", 7)));
}

/// Once increments are applied, what is stored is known without a read.
#[tokio::test]
async fn a_record_is_known_as_a_whole_after_its_increments_and_an_update() {
    let (stage, memory) = loaded().await;
    memory.increment(1, Account::FIELDS.logins, 2).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update(1, |account| account.note = Some("new".into())).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    let _rest = memory.flush().await.unwrap();
    let reads = memory.stats().read_requests;
    let known = memory.get(1).await.unwrap().unwrap();
    assert_eq!((known.logins, known.note.as_deref()), (5, Some("new")));
    assert_eq!((memory.stats().read_requests, memory.unsaved()), (reads, vec![]));
    assert_eq!(stage.truth.get_consistent(1).await.unwrap().as_ref(), Some(&*known));
}

/// A request that is sent again may land twice, the second time over what others wrote in between.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_made_twice_takes_nothing_back() {
    let stage = Stage::<Account>::embedded().await;
    let memory = stage.builder().field_wise().build().unwrap();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(account(1, "a@b", 1)).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().applied_late(Duration::from_secs(3)));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests, report.conflicts.len()), (1, 2, 0));
    set(&stage, "logins", number(9)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 9)));
}

#[tokio::test]
async fn a_record_that_others_made_meanwhile_keeps_what_ours_does_not_have() {
    let stage = Stage::<Account>::new().await;
    let memory = stage.builder().field_wise().build().unwrap();
    assert_eq!(memory.get(1).await.unwrap(), None);
    memory.put(account(1, "a@b", 1)).await.unwrap();
    let note = Some("theirs".to_owned());
    stage.truth.put(&Account { note: note.clone(), ..account(1, "x@y", 1) }).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.requests), (1, 2));
    assert_eq!(report.conflicts[0].resolution, Resolution::Overwritten);
    let both = Account { note, ..account(1, "a@b", 1) };
    assert_eq!(stage.truth.get(1).await.unwrap().as_ref(), Some(&both));
    assert_eq!(memory.get(1).await.unwrap().as_deref(), Some(&both), "it is read anew");
}

#[tokio::test]
async fn increments_of_records_that_two_make_at_once_are_added() {
    let stage = Stage::<Account>::new().await;
    let one = stage.builder().field_wise().build().unwrap();
    let other = stage.builder().field_wise().build().unwrap();
    for (memory, logins) in [(&one, 1), (&other, 10)] {
        memory.increment(1, Account::FIELDS.logins, logins).await.unwrap();
        memory.update(1, |account| account.email = "a@b".into()).await.unwrap();
    }
    assert_eq!(one.flush().await.unwrap().written, 1);
    assert_eq!(other.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 11)));
}

/// The item as it was loaded has not what was added since.
#[tokio::test]
async fn what_an_increment_made_is_not_set_by_the_next_change() {
    let (stage, memory) = loaded().await;
    without_logins(&stage, &memory).await;
    memory.increment(1, Account::FIELDS.logins, 2).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.update(1, |account| account.email = "c@d".into()).await.unwrap();
    stage.truth.increment(1, Account::FIELDS.logins, 10).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "c@d", 12)));
}

/// What is known of an item that was merged unseen is only what was merged.
#[tokio::test]
async fn what_was_merged_unseen_stays_partly_known_when_its_success_is_met() {
    let stage = Stage::<Account>::new().await;
    stage.truth.put(&account(1, "a@b", 3)).await.unwrap();
    set(&stage, "owner", text("bob")).await;
    let memory = stage.impatient();
    memory.merge(account(1, "x@y", 4)).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.put_guarded(account(1, "x@y", 5)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.update(1, |account| account.logins = 6).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!((&item["owner"], &item["logins"]), (&text("bob"), &number(6)));
}

/// The item lacks what the type adds, and a change is taken back while its increments are in flight.
#[tokio::test]
async fn what_is_known_of_the_item_has_the_increments_that_landed_meanwhile() {
    let (stage, memory) = loaded().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    put.item("id", number(1)).item("logins", number(5)).send().await.unwrap();
    memory.reset().await.unwrap();
    memory.get(1).await.unwrap().unwrap();
    memory.increment(1, Account::FIELDS.logins, 2).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update_existing(1, |_| {}).await.unwrap();
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    memory.update_existing(1, |account| account.logins = 5).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let stored = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!(stored["logins"], number(5));
}

/// What was put as a whole has all that the type writes, and what of it goes is taken from the item.
#[tokio::test]
async fn what_was_put_in_place_of_a_deleted_record_is_known_as_a_whole() {
    let (stage, memory) = loaded().await;
    memory.delete(1).await.unwrap();
    memory.put(Account { note: Some("new".into()), ..account(1, "a@b", 3) }).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    memory.put(account(1, "a@b", 3)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(account(1, "a@b", 3)));
}

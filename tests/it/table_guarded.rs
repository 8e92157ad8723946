//! Guarded and field-wise writes and increments of tables without a cache.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, Guard, OnConflict, Record};
use serde::{Deserialize, Serialize};

use crate::support::{Draft, Fault, Stage};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "pages")]
struct Page {
    #[record(partition_key)]
    url: String,
    #[serde(default)]
    visits: u64,
    #[serde(default)]
    links: u64,
}

fn page(visits: u64, links: u64) -> Page {
    Page { url: "/".into(), visits, links }
}

async fn stage() -> Stage<Page> {
    let stage = Stage::new().await;
    stage.truth.put(&page(1, 10)).await.unwrap();
    stage
}

/// What both added.
fn added() -> OnConflict<Page> {
    OnConflict::merge(|base: Option<&Page>, mine, theirs: Option<&Page>| {
        let sum =
            |of: fn(&Page) -> u64| theirs.map_or(0, of) + mine.map_or(0, of) - base.map_or(0, of);
        Some(page(sum(|page| page.visits), sum(|page| page.links)))
    })
}

#[tokio::test]
async fn a_guarded_put_is_done_only_on_what_was_loaded() {
    let stage = stage().await;
    let stored = stage.table.put_guarded(Some(&page(1, 10)), &page(2, 10)).await.unwrap();
    assert_eq!(stored, Some(page(2, 10)));
    let error = stage.table.put_guarded(Some(&page(1, 10)), &page(3, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.key().is_some(), "{error}");
    let error = stage.table.put_guarded(None, &page(3, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "there is one");
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(2, 10)));

    let fields = stage.table.put_guarded(Some(&page(2, 99)), &page(4, 99)).guard(Guard::Fields);
    assert_eq!(fields.await.unwrap(), Some(page(4, 99)));
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(4, 10)), "links are not its own");
    let version = stage.table.put_guarded(None, &page(1, 1)).guard(Guard::Version).await;
    assert_eq!(version.unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_conflict_is_overwritten_or_merged_if_that_is_said() {
    let stage = stage().await;
    stage.truth.put(&page(100, 20)).await.unwrap();
    let merged = stage.table.put_guarded(Some(&page(1, 10)), &page(6, 10)).on_conflict(added());
    assert_eq!(merged.await.unwrap(), Some(page(105, 20)));
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(105, 20)));
    let over = stage.table.put_guarded(None, &page(0, 0)).on_conflict(OnConflict::Overwrite);
    assert_eq!(over.await.unwrap(), Some(page(0, 0)));
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(0, 0)));
    let deleted = stage.table.put_guarded(None, &page(1, 1));
    let deleted = deleted.on_conflict(OnConflict::merge(|_, _, _| None));
    assert_eq!(deleted.await.unwrap(), None);
    assert_eq!(stage.truth.get("/").await.unwrap(), None);
}

#[tokio::test]
async fn a_form_that_the_type_does_not_write_is_no_conflict() {
    let stage = Stage::<Page>::new().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("url", AttributeValue::S("/".into()));
    put.item("owner", AttributeValue::S("bob".into())).send().await.unwrap();
    let loaded = stage.table.get("/").await.unwrap().unwrap();
    let stored = stage.table.put_guarded(Some(&loaded), &page(1, 0)).await.unwrap();
    assert_eq!(stored, Some(page(1, 0)));
    let item = stage.truth.get_item("/").await.unwrap().unwrap();
    assert_eq!(
        (&item["owner"], &item["visits"]),
        (&AttributeValue::S("bob".into()), &AttributeValue::N("1".into()))
    );
}

#[tokio::test]
async fn its_own_success_whose_answer_was_lost_is_met() {
    let stage = stage().await;
    stage.faults.next("UpdateItem", Fault::connection_reset().after_applying());
    let stored = stage.table.put_guarded(Some(&page(1, 10)), &page(2, 10)).await.unwrap();
    assert_eq!((stored, stage.faults.count("UpdateItem")), (Some(page(2, 10)), 2));
    stage.faults.next("TransactWriteItems", Fault::connection_reset().after_applying());
    stage.table.increment("/", Page::FIELDS.visits, 5).await.unwrap();
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(7, 10)), "once");
}

#[tokio::test]
async fn a_merge_writes_what_changed_and_nothing_else() {
    let stage = stage().await;
    stage.truth.put(&page(50, 10)).await.unwrap();
    stage.table.merge(Some(&page(1, 10)), &page(1, 11)).await.unwrap();
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(50, 11)));
    stage.truth.delete("/").await.unwrap();
    stage.table.merge(Some(&page(1, 10)), &page(1, 11)).await.unwrap();
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(1, 11)), "as a whole");
    stage.table.merge(None, &page(3, 3)).await.unwrap();
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(3, 3)));
    stage.table.merge(Some(&page(3, 3)), &page(3, 3)).await.unwrap();
    assert_eq!(stage.faults.count("UpdateItem"), 4, "what did not change is not sent");
}

#[tokio::test]
async fn bases_of_other_keys_and_fields_that_are_no_counters_are_refused() {
    let stage = stage().await;
    let other = Page { url: "/other".into(), ..page(1, 1) };
    let error = stage.table.put_guarded(Some(&other), &page(1, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    let url = Page::FIELDS.url.as_type::<u32>();
    let error = stage.table.increment("/", url, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert_eq!(error.operation(), Some("increment"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_merge_or_increment_lose_nothing() {
    let stage = stage().await;
    let worker = |_| {
        let table = stage.truth.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let loaded = table.get_consistent("/").await.unwrap();
                let base = loaded.unwrap();
                let mine = Page { visits: base.visits + 1, ..base.clone() };
                table.put_guarded(Some(&base), &mine).on_conflict(added()).await.unwrap();
                table.increment("/", Page::FIELDS.links, 1).await.unwrap();
            }
        })
    };
    for worker in (0..4).map(worker).collect::<Vec<_>>() {
        tokio::time::timeout(Duration::from_secs(120), worker).await.unwrap().unwrap();
    }
    assert_eq!(stage.truth.get_consistent("/").await.unwrap(), Some(page(81, 90)));
}

#[tokio::test]
async fn a_version_is_its_own_base() {
    let stage = Stage::<Draft>::new().await;
    let draft = |text: &str, version| Draft { id: 1, text: text.into(), version };
    let stored = stage.table.put_guarded(None, &draft("a", 0)).await.unwrap().unwrap();
    assert_eq!(stored, draft("a", 1));
    let next = Draft { text: "b".into(), ..stored.clone() };
    assert_eq!(stage.table.put_guarded(None, &next).await.unwrap(), Some(draft("b", 2)));
    let error = stage.table.put_guarded(Some(&stored), &next).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = stage.table.merge(None, &next).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let same = stage.table.put_guarded(Some(&draft("b", 2)), &draft("b", 0)).await.unwrap();
    assert_eq!(same, Some(draft("b", 2)), "unchanged");
}

#[tokio::test]
async fn a_version_is_raised_once_however_often_it_is_sent() {
    let stage = Stage::<Draft>::new().await;
    let draft = |text: &str, version| Draft { id: 1, text: text.into(), version };
    stage.faults.next("PutItem", Fault::throttled());
    stage.faults.next("PutItem", Fault::connection_reset().after_applying());
    let stored = stage.table.put_guarded(None, &draft("a", 0)).await.unwrap();
    assert_eq!(stored, Some(draft("a", 1)));
    stage.faults.next("PutItem", Fault::failed());
    let stored = stage.table.put_guarded(None, &draft("b", 1)).await.unwrap();
    assert_eq!(stored, Some(draft("b", 2)));
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft("b", 2)));
}

#[tokio::test]
async fn to_add_nothing_sends_nothing() {
    let stage = stage().await;
    stage.table.increment("/new", Page::FIELDS.visits, 0).await.unwrap();
    assert_eq!(stage.faults.count("TransactWriteItems"), 0);
    assert_eq!(stage.truth.get("/new").await.unwrap(), None);
}

/// Its condition holds only what it changes, so others may have changed the rest behind it.
#[tokio::test]
async fn its_own_success_is_met_though_others_changed_something_else_since() {
    let stage = stage().await;
    let truth = stage.truth.clone();
    let lost = Fault::connection_reset().after_applying().foreign_write_after(move || {
        let truth = truth.clone();
        async move { truth.put(&page(2, 99)).await.unwrap() }
    });
    stage.faults.next("UpdateItem", lost);
    let write = stage.table.put_guarded(Some(&page(1, 10)), &page(2, 10)).guard(Guard::Fields);
    assert_eq!(write.on_conflict(added()).await.unwrap(), Some(page(2, 10)));
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(2, 99)), "nothing is added twice");
}

#[tokio::test]
async fn a_record_that_others_made_is_not_taken_for_ones_own() {
    let stage = Stage::<Draft>::new().await;
    let draft = |text: &str, version| Draft { id: 1, text: text.into(), version };
    let truth = stage.truth.clone();
    let lost = Fault::connection_reset().foreign_write_before(move || {
        let truth = truth.clone();
        async move { truth.put(&draft("theirs", 1)).await.unwrap() }
    });
    stage.faults.next("PutItem", lost);
    let error = stage.table.put_guarded(None, &draft("mine", 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft("theirs", 1)));
}

#[tokio::test]
async fn overwriting_attributes_leaves_what_others_changed_beside_them() {
    let stage = stage().await;
    stage.table.put(&page(50, 99)).await.unwrap();
    let write = stage.table.put_guarded(Some(&page(1, 10)), &page(2, 10)).guard(Guard::Fields);
    let mine = write.on_conflict(OnConflict::Overwrite).await.unwrap();
    assert_eq!(mine, Some(page(2, 10)), "as far as it was known");
    assert_eq!(stage.table.get("/").await.unwrap(), Some(page(2, 99)));
    let write = stage.table.put_guarded(Some(&page(7, 10)), &page(3, 10));
    write.on_conflict(OnConflict::Overwrite).await.unwrap();
    assert_eq!(stage.table.get("/").await.unwrap(), Some(page(3, 10)), "the whole record");
}

/// Who is told that it was throttled would add it again.
#[tokio::test]
async fn an_increment_that_may_be_done_says_so_whatever_ended_it() {
    let stage = stage().await;
    let increment = || stage.table.increment("/", Page::FIELDS.visits, 5);
    stage.faults.next("TransactWriteItems", Fault::access_denied());
    assert_eq!(increment().await.unwrap_err().kind(), ErrorKind::AccessDenied, "it is not");
    stage.faults.next("TransactWriteItems", Fault::connection_reset().after_applying());
    stage.faults.next("TransactWriteItems", Fault::access_denied());
    let error = increment().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("unknown") && text.contains("pages`"), "{text}");
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<memory_table::Error>();
    assert_eq!(cause.unwrap().kind(), ErrorKind::AccessDenied);
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(page(6, 10)));
}

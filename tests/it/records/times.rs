//! `#[record(created)]` and `#[record(updated)]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use memory_table::{Guard, Instant, MemoryTable, OnConflict, Record, Tracked};
use serde::{Deserialize, Serialize};

use crate::support::{Fault, Stage, database};

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "pages", before_store = "Self::tidy")]
struct Page {
    #[record(partition_key)]
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    visits: u32,
    #[record(created)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<u64>,
    #[record(updated)]
    #[serde(default)]
    changed: i64,
}

impl Page {
    #[expect(clippy::unnecessary_wraps, reason = "a hook may fail")]
    fn tidy(&mut self) -> Result<(), String> {
        self.title = self.title.trim().to_owned();
        Ok(())
    }
}

/// A clock of seconds since 1970.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

/// A stage whose database has that clock, which begins at 100.
async fn stage<T: Record>() -> (Stage<T>, Clock) {
    let clock = Clock(Arc::new(100.into()));
    let seconds = Arc::clone(&clock.0);
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed));
    (Stage::on(database().with_clock(now)).await, clock)
}

fn page(title: &str) -> Page {
    Page { url: "/".into(), title: title.into(), ..Page::default() }
}

/// When it was made and changed.
async fn times(stage: &Stage<Page>) -> (Option<u64>, i64) {
    let page = stage.truth.get_consistent("/").await.unwrap().expect("a page");
    (page.made, page.changed)
}

#[tokio::test]
async fn a_record_of_a_table_says_when_it_was_made_and_changed() {
    let (stage, clock) = stage::<Page>().await;
    let mut tracked = Tracked::new(page("one"));
    stage.table.save(&mut tracked).await.unwrap();
    assert_eq!((tracked.made, tracked.changed), (Some(100), 100));
    clock.set(200);
    stage.table.save(&mut tracked).await.unwrap();
    assert_eq!(times(&stage).await, (Some(100), 100), "nothing was changed");
    tracked.title = " two ".into();
    stage.table.save(&mut tracked).await.unwrap();
    assert_eq!(times(&stage).await, (Some(100), 200));
    clock.set(300);
    // It says when it was made, so a put keeps that.
    stage.table.put(&tracked.clone().into_inner()).await.unwrap();
    assert_eq!(times(&stage).await, (Some(100), 300));
    stage.table.put(&page("three")).await.unwrap();
    assert_eq!(times(&stage).await, (Some(300), 300), "a put replaces all");
    let base = stage.truth.get("/").await.unwrap().unwrap();
    clock.set(400);
    stage.table.put_guarded(Some(&base), &base).await.unwrap();
    stage.table.merge(Some(&base), &base).await.unwrap();
    assert_eq!(times(&stage).await, (Some(300), 300), "nothing was changed");
    stage.table.merge(Some(&base), &Page { visits: 1, ..page("three") }).await.unwrap();
    assert_eq!(times(&stage).await, (Some(300), 400));
    clock.set(500);
    let updated = stage.table.update("/").set(Page::FIELDS.title, "four").await.unwrap();
    assert_eq!((updated.made, updated.changed), (Some(300), 500));
    let given = stage.table.update("/").set(Page::FIELDS.changed, 7).await.unwrap();
    assert_eq!(given.changed, 7, "as it was said");
    stage.truth.delete("/").await.unwrap();
    assert_eq!(stage.table.batch_write().put(&page("five")).await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(500), 500));
}

#[tokio::test]
async fn a_record_in_memory_says_when_it_was_made_and_changed() {
    let (stage, clock) = stage::<Page>().await;
    let memory = stage.memory();
    memory.put(page("one")).await.unwrap();
    let made = memory.get("/").await.unwrap().unwrap();
    assert_eq!((made.made, made.changed), (Some(100), 100));
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 100));
    clock.set(200);
    // What is as it was costs nothing, whatever the clock says.
    memory.put(page(" one ")).await.unwrap();
    memory.update("/", |_| ()).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged), (0, 1));
    memory.update("/", |page| page.visits += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 200));
    clock.set(300);
    memory.put(page("two")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 300), "it is known when it was made");
    memory.delete("/").await.unwrap();
    clock.set(400);
    memory.update("/", |page| page.title = "new".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(400), 400), "another record");
    clock.set(500);
    memory.rekey("/", "/moved", |page| page.url = "/moved".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let moved = stage.truth.get("/moved").await.unwrap().unwrap();
    assert_eq!((moved.made, moved.changed), (Some(400), 500));
    let created = memory.get_or_create("/other").await.unwrap();
    assert_eq!((created.made, created.changed), (Some(500), 500));
}

/// Expired records are hidden by a clock of their own.
#[tokio::test]
async fn a_put_of_what_is_known_keeps_its_times_where_expired_records_are_hidden() {
    let (stage, clock) = stage::<Page>().await;
    let memory = stage.builder().hide_expired_by(|| 0).build().unwrap();
    memory.put(page("one")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    clock.set(200);
    memory.put(page("one")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().unchanged, 1);
    memory.put(page("two")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 200));
}

#[tokio::test]
async fn a_write_of_some_attributes_does_not_say_when_an_unseen_record_was_made() {
    let (stage, clock) = stage::<Page>().await;
    stage.truth.put(&page("one")).await.unwrap();
    clock.set(200);
    stage.table.merge(None, &page("two")).await.unwrap();
    assert_eq!(times(&stage).await, (Some(100), 200));
    let memory = stage.memory();
    clock.set(300);
    memory.merge(page("three")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 300));
    clock.set(400);
    let memory = stage.builder().field_wise().build().unwrap();
    memory.put(page("four")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (Some(100), 400));
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "counted")]
struct Counted {
    #[record(partition_key)]
    id: u32,
    text: String,
    #[record(version)]
    version: u32,
    #[record(created)]
    #[serde(default)]
    made: u64,
    #[record(updated)]
    changed: u64,
}

#[tokio::test]
async fn a_version_is_no_change_and_says_that_a_record_is_not_new() {
    let (stage, clock) = stage::<Counted>().await;
    let counted = |version| Counted { id: 1, text: "a".into(), version, made: 0, changed: 0 };
    let memory = stage.memory();
    memory.put(counted(0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    clock.set(200);
    memory.put(counted(0)).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged), (0, 1));
    let memory = stage.memory();
    memory.put(counted(1)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let stored = stage.truth.get(1).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.made, stored.changed), (2, 0, 200));
}

/// No date is invented for a record that has none.
#[tokio::test]
async fn a_stored_record_that_does_not_say_when_it_was_made_is_left_at_that() {
    let (stage, clock) = stage::<Page>().await;
    let item = super::item([("url", "/"), ("title", "old")]);
    super::store(&stage.truth, item).await;
    clock.set(200);
    let memory = stage.memory();
    memory.update("/", |page| page.visits += 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(times(&stage).await, (None, 200));
    let mut tracked = stage.table.get_tracked("/").await.unwrap().unwrap();
    tracked.visits += 1;
    stage.table.save(&mut tracked).await.unwrap();
    assert_eq!(times(&stage).await, (None, 200));
}

fn guarded_by_fields(stage: &Stage<Page>) -> MemoryTable<Page> {
    stage.builder().guarded(Guard::Fields).on_conflict(OnConflict::Fail).build().unwrap()
}

#[tokio::test]
async fn two_writers_of_different_attributes_do_not_conflict_by_the_time_of_their_changes() {
    let (stage, clock) = stage::<Page>().await;
    stage.truth.put(&page("one")).await.unwrap();
    let memory = guarded_by_fields(&stage);
    clock.set(150);
    memory.update("/", |page| page.visits = 5).await.unwrap();
    let mut tracked = stage.table.get_tracked("/").await.unwrap().unwrap();
    clock.set(200);
    stage.truth.update("/").set(Page::FIELDS.title, "theirs").await.unwrap();
    clock.set(300);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let expected = Page { visits: 5, made: Some(100), changed: 150, ..page("theirs") };
    assert_eq!(stage.truth.get("/").await.unwrap(), Some(expected), "as it was changed here");
    tracked.made = Some(1);
    stage.table.save(&mut tracked).guard(Guard::Fields).await.unwrap();
    assert_eq!(times(&stage).await, (Some(1), 300));
    tracked.title = "mine".into();
    stage.table.save(&mut tracked).await.unwrap();
}

/// Others changed the record between an answer that was lost and the attempt that meets it.
#[tokio::test]
async fn ones_own_success_is_met_though_others_changed_the_time_since() {
    let (stage, clock) = stage::<Page>().await;
    stage.truth.put(&page("one")).await.unwrap();
    let mut tracked = stage.table.get_tracked("/").await.unwrap().unwrap();
    tracked.visits = 5;
    let (truth, clock) = (stage.truth.clone(), clock);
    let lost = Fault::failed().after_applying().foreign_write_after(move || {
        let (truth, clock) = (truth.clone(), clock.clone());
        async move {
            clock.set(900);
            truth.update("/").set(Page::FIELDS.title, "theirs").await.unwrap();
        }
    });
    stage.faults.next("UpdateItem", lost);
    stage.table.save(&mut tracked).guard(Guard::Fields).await.unwrap();
    assert_eq!((&*tracked.title, tracked.visits, tracked.changed), ("theirs", 5, 900));
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "events")]
struct Event {
    #[record(partition_key)]
    id: u32,
    #[record(created)]
    #[serde(default, with = "memory_table::instant")]
    made: Option<jiff::Timestamp>,
    #[record(updated)]
    changed: Instant<chrono::DateTime<chrono::Utc>>,
}

#[tokio::test]
async fn instants_are_times_too() {
    let (stage, clock) = stage::<Event>().await;
    let unset = chrono::DateTime::UNIX_EPOCH;
    let event = Event { id: 1, made: None, changed: Instant(unset) };
    stage.table.put(&event).await.unwrap();
    clock.set(1_338_465_600);
    let updated = stage
        .table
        .update(1)
        .set_if_not_exists(Event::FIELDS.made, Instant(jiff::Timestamp::UNIX_EPOCH));
    let event = updated.await.unwrap();
    assert_eq!(event.made.map(jiff::Timestamp::as_second), Some(100));
    assert_eq!(event.changed.0.to_rfc3339(), "2012-05-31T12:00:00+00:00");
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    let text = item["changed"].as_s().map(String::as_str);
    assert_eq!(text, Ok("2012-05-31T12:00:00.000000+00:00"));
}

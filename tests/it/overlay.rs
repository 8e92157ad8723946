//! Queries and scans of a memory table: what is unsaved is seen in its place, once.

mod filtered;
mod resumed;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{
    BadItems, Cached, Cursor, ErrorKind, MemoryTable, Page, Query, Record, attribute,
};
use serde::{Deserialize, Serialize};

use crate::support::{Stage, embedded};

/// A visit of a customer, by the customer's age.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "visits", global_index(name = "by-shop", partition_key = shop, sort_key = spent))]
struct Visit {
    #[record(partition_key)]
    customer: String,
    #[record(sort_key)]
    age: i64,
    #[serde(default)]
    spent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn visit(customer: &str, age: i64, spent: i64) -> Visit {
    Visit { customer: customer.into(), age, spent, shop: None, note: None }
}

fn bought(customer: &str, age: i64, spent: i64, shop: &str) -> Visit {
    Visit { shop: Some(shop.into()), ..visit(customer, age, spent) }
}

type Visits = Query<Visit, <Visit as Record>::Key, Cached>;

fn ages(visits: &[Arc<Visit>]) -> Vec<i64> {
    visits.iter().map(|visit| visit.age).collect()
}

async fn found(query: Visits) -> Vec<i64> {
    ages(&query.all().await.unwrap())
}

/// Visits of ada of the even ages from 0 to 18 are stored, and one of bob.
async fn stage() -> (Stage<Visit>, MemoryTable<Visit>) {
    let stage = Stage::<Visit>::new().await;
    let all = (0..10).map(|n| visit("ada", 2 * n, n)).chain([visit("bob", 7, 0)]);
    assert_eq!(stage.truth.batch_write().puts(all).await.unwrap().written, 11);
    let memory = stage.memory();
    (stage, memory)
}

/// As [`stage`], with ada's ages 5, -1 and 99 put, 4 and 18 deleted, and 8 changed.
async fn changed() -> (Stage<Visit>, MemoryTable<Visit>) {
    let (stage, memory) = stage().await;
    for age in [5, -1, 99] {
        memory.put(visit("ada", age, 100)).await.unwrap();
    }
    memory.delete(("ada", 4)).await.unwrap();
    memory.delete(("ada", 18)).await.unwrap();
    memory.update_existing(("ada", 8), |visit| visit.spent = 50).await.unwrap();
    (stage, memory)
}

const SEEN: [i64; 11] = [-1, 0, 2, 5, 6, 8, 10, 12, 14, 16, 99];

#[tokio::test]
async fn a_query_sees_what_is_unsaved_in_its_place() {
    let (stage, memory) = changed().await;
    assert_eq!(found(memory.query("ada")).await, SEEN);
    let mut backwards = SEEN;
    backwards.reverse();
    assert_eq!(found(memory.query("ada").descending()).await, backwards);
    assert_eq!(found(memory.query("ada").sort_key().between(3, 9)).await, [5, 6, 8]);
    assert_eq!(found(memory.query("ada").sort_key().gt(16)).await, [99]);
    assert_eq!(found(memory.query("ada").sort_key().eq(4)).await, [0; 0]);
    assert_eq!(found(memory.query("bob")).await, [7]);
    assert_eq!(memory.query("ada").count().await.unwrap(), 11);
    assert_eq!(memory.query("ada").first().await.unwrap().unwrap().age, -1);
    let eight = memory.query("ada").sort_key().eq(8).first().await.unwrap().unwrap();
    assert_eq!(eight.spent, 50);
    assert!(Arc::ptr_eq(&eight, &memory.get(("ada", 8)).await.unwrap().unwrap()));
    // And the same once it is saved.
    assert_eq!(memory.flush().await.unwrap().written, 4);
    assert_eq!(found(memory.query("ada")).await, SEEN);
    assert_eq!(stage.truth.query("ada").count().await.unwrap(), 11);
}

#[tokio::test]
async fn filters_hold_for_what_is_returned() {
    let (_stage, memory) = changed().await;
    let rich = || Visit::FIELDS.spent.ge(50);
    assert_eq!(found(memory.query("ada").filter(rich())).await, [-1, 5, 8, 99]);
    assert_eq!(found(memory.query("ada").filter(!rich())).await, [0, 2, 6, 10, 12, 14, 16]);
    assert_eq!(memory.scan().filter(rich()).count().await.unwrap(), 4);
    let unknown = attribute("extra").exists();
    assert_eq!(memory.scan().filter(unknown).count().await.unwrap(), 0);
}

#[tokio::test]
async fn limits_pages_and_cursors_hold_at_every_size() {
    let (_stage, memory) = changed().await;
    for descending in [false, true] {
        let query = || {
            let query = memory.query("ada");
            if descending { query.descending() } else { query }
        };
        let all = found(query()).await;
        for limit in 1..=12 {
            let expected: Vec<i64> = all.iter().copied().take(limit).collect();
            assert_eq!(found(query().limit(limit as u64)).await, expected);
            for page_size in [1, 2, 3, 50] {
                let mut seen = Vec::new();
                let mut cursor: Option<Cursor> = None;
                loop {
                    let pages = query().limit(limit as u64).page_size(page_size);
                    let pages = match cursor.take() {
                        // As another process would go on.
                        Some(cursor) => pages.resume(cursor.to_string().parse().unwrap()),
                        None => pages,
                    };
                    let pages: Vec<Page<Arc<Visit>>> = pages.pages().try_collect().await.unwrap();
                    seen.extend(pages.iter().flat_map(|page| ages(&page.items)));
                    cursor = pages.into_iter().next_back().and_then(|page| page.cursor);
                    if cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, all, "limit {limit}, page size {page_size}");
            }
        }
    }
}

#[tokio::test]
async fn a_scan_has_each_record_once_and_what_is_new_at_the_end() {
    let (_stage, memory) = changed().await;
    let all = ages(&memory.scan().all().await.unwrap());
    assert_eq!(all.len(), 12);
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [-1, 0, 2, 5, 6, 7, 8, 10, 12, 14, 16, 99]);
    let mut new = all[9..].to_vec();
    new.sort_unstable();
    assert_eq!(new, [-1, 5, 99]);
    for page_size in [1, 3, 100] {
        let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
        loop {
            let scan = memory.scan().limit(2).page_size(page_size);
            let scan = match cursor.take() {
                Some(cursor) => scan.resume(cursor),
                None => scan,
            };
            let pages: Vec<Page<Arc<Visit>>> = scan.pages().try_collect().await.unwrap();
            seen.extend(pages.iter().flat_map(|page| ages(&page.items)));
            cursor = pages.into_iter().next_back().and_then(|page| page.cursor);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "page size {page_size}");
    }
}

#[tokio::test]
async fn the_segments_of_a_scan_have_each_record_once_together() {
    let (_stage, memory) = changed().await;
    let mut seen = Vec::new();
    for segment in 0..3 {
        seen.extend(ages(&memory.scan().segment(segment, 3).all().await.unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [-1, 0, 2, 5, 6, 7, 8, 10, 12, 14, 16, 99]);
    let parallel = memory.scan().segments(4).count().await.unwrap();
    assert_eq!(parallel, 12);
}

#[tokio::test]
async fn what_is_read_is_cached_and_what_is_cached_wins() {
    let (stage, memory) = stage().await;
    assert_eq!(memory.query("ada").count().await.unwrap(), 10);
    let reads = stage.reads();
    assert_eq!(memory.get(("ada", 2)).await.unwrap().unwrap().spent, 1);
    assert_eq!(stage.reads(), reads, "no request");
    stage.truth.put(&visit("ada", 2, 77)).await.unwrap();
    let two = memory.query("ada").sort_key().eq(2).first().await.unwrap().unwrap();
    assert_eq!(two.spent, 1, "a record is read once");
    stage.truth.delete(("ada", 0)).await.unwrap();
    assert_eq!(found(memory.query("ada").sort_key().lt(4)).await, [2], "others deleted it");
}

#[tokio::test]
async fn what_is_saved_while_a_query_runs_comes_once() {
    let (_stage, memory) = changed().await;
    let mut pages = memory.query("ada").page_size(3).pages();
    let mut seen = ages(&pages.try_next().await.unwrap().unwrap().items);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    while let Some(page) = pages.try_next().await.unwrap() {
        seen.extend(ages(&page.items));
    }
    assert_eq!(seen, SEEN);

    let (_stage, memory) = changed().await;
    let mut pages = memory.scan().page_size(3).pages();
    let mut seen = ages(&pages.try_next().await.unwrap().unwrap().items);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    while let Some(page) = pages.try_next().await.unwrap() {
        seen.extend(ages(&page.items));
    }
    seen.sort_unstable();
    assert_eq!(seen, [-1, 0, 2, 5, 6, 7, 8, 10, 12, 14, 16, 99]);
}

#[tokio::test]
async fn a_change_in_flight_is_seen_and_a_newer_one_before_it() {
    let (stage, memory) = stage().await;
    memory.put(visit("ada", 5, 1)).await.unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let (report, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let five = memory.query("ada").sort_key().eq(5).first().await.unwrap();
        assert_eq!(five.map(|five| five.spent), Some(1));
        memory.put(visit("ada", 5, 2)).await.unwrap();
        let five = memory.query("ada").sort_key().eq(5).first().await.unwrap();
        assert_eq!(five.map(|five| five.spent), Some(2));
        memory.delete(("ada", 5)).await.unwrap();
        assert_eq!(found(memory.query("ada").sort_key().eq(5)).await, [0; 0]);
        gate.open();
    });
    assert_eq!(report.unwrap().written, 1);
}

#[tokio::test]
async fn increments_are_seen_in_what_was_never_loaded() {
    let (_stage, memory) = stage().await;
    memory.increment(("ada", 2), Visit::FIELDS.spent, 10).await.unwrap();
    memory.increment(("ada", 3), Visit::FIELDS.spent, 10).await.unwrap();
    let spent: Vec<(i64, i64)> = memory
        .query("ada")
        .sort_key()
        .lt(6)
        .all()
        .await
        .unwrap()
        .iter()
        .map(|visit| (visit.age, visit.spent))
        .collect();
    assert_eq!(spent, [(0, 0), (2, 11), (3, 10), (4, 2)]);
    assert_eq!(memory.scan().count().await.unwrap(), 12);
}

async fn by_shop(memory: &MemoryTable<Visit>, shop: &str) -> Vec<(String, i64)> {
    let found = memory.index(Visit::INDEXES.by_shop).query(shop).all().await.unwrap();
    found.iter().map(|visit| (visit.customer.clone(), visit.spent)).collect()
}

#[tokio::test]
async fn an_index_is_seen_as_it_will_be() {
    let stage = Stage::<Visit>::new().await;
    for (customer, spent, shop) in
        [("ada", 10, "x"), ("bob", 20, "x"), ("eve", 30, "x"), ("max", 5, "y")]
    {
        stage.truth.put(&bought(customer, 1, spent, shop)).await.unwrap();
    }
    stage.truth.put(&visit("zoe", 1, 1)).await.unwrap();
    let memory = stage.memory();
    let named = |found: &[(&str, i64)]| -> Vec<(String, i64)> {
        found.iter().map(|(name, spent)| ((*name).to_owned(), *spent)).collect()
    };
    // Another place in the same partition, out of it, into it, new, deleted.
    memory.update_existing(("ada", 1), |visit| visit.spent = 25).await.unwrap();
    memory.update_existing(("bob", 1), |visit| visit.shop = Some("y".into())).await.unwrap();
    memory.update_existing(("zoe", 1), |visit| visit.shop = Some("x".into())).await.unwrap();
    memory.put(bought("new", 1, 26, "x")).await.unwrap();
    memory.delete(("max", 1)).await.unwrap();
    let (x, y) =
        (named(&[("zoe", 1), ("ada", 25), ("new", 26), ("eve", 30)]), named(&[("bob", 20)]));
    assert_eq!((by_shop(&memory, "x").await, by_shop(&memory, "y").await), (x.clone(), y.clone()));
    let all = memory.index(Visit::INDEXES.by_shop).scan().all().await.unwrap();
    assert_eq!(all.len(), 5);
    let index = memory.index(Visit::INDEXES.by_shop);
    let rich = Visit::FIELDS.age.eq(1) & attribute("extra").not_exists();
    assert_eq!(
        index.query("x").descending().filter(rich).limit(2).all().await.unwrap()[1].spent,
        26
    );
    let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
    loop {
        let query = index.query("x").limit(1);
        let query = match cursor.take() {
            Some(cursor) => query.resume(cursor),
            None => query,
        };
        let pages: Vec<Page<Arc<Visit>>> = query.pages().try_collect().await.unwrap();
        seen.extend(pages.iter().flat_map(|page| page.items.iter().map(|visit| visit.spent)));
        cursor = pages.into_iter().next_back().and_then(|page| page.cursor);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [1, 25, 26, 30]);
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    assert_eq!((by_shop(&memory, "x").await, by_shop(&memory, "y").await), (x, y));
}

#[tokio::test]
async fn items_that_do_not_fit_are_errors_skipped_or_reported() {
    let (stage, memory) = changed().await;
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("customer", AttributeValue::S("ada".into()));
    let put = put.item("age", AttributeValue::N("7".into()));
    put.item("note", AttributeValue::N("1".into())).send().await.unwrap();
    let error = memory.query("ada").all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert_eq!(found(memory.query("ada").bad_items(BadItems::Skip)).await, SEEN);
    let mut pages = memory.query("ada").bad_items(BadItems::Report).pages();
    assert_eq!(pages.try_next().await.unwrap().unwrap().bad.len(), 1);
    let error = memory.put(visit("ada", 7, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem, "no change replaces what nobody has seen");
}

/// Random changes, and after each what is seen must be what a map has.
#[tokio::test]
async fn what_is_seen_is_what_a_map_would_have() {
    let mut random = fastrand::Rng::with_seed(24);
    for round in 0..12 {
        let stage = Stage::<Visit>::on(embedded()).await;
        let mut model = BTreeMap::new();
        for age in 0..30 {
            if random.bool() {
                stage.truth.put(&visit("ada", age, age)).await.unwrap();
                model.insert(age, age);
            }
        }
        let memory = stage.memory();
        for step in 0..25 {
            let age = random.i64(0..30);
            match random.u8(0..6) {
                0 | 1 => {
                    memory.put(visit("ada", age, step)).await.unwrap();
                    model.insert(age, step);
                }
                2 => {
                    memory.delete(("ada", age)).await.unwrap();
                    model.remove(&age);
                }
                3 => {
                    memory.increment(("ada", age), Visit::FIELDS.spent, step).await.unwrap();
                    *model.entry(age).or_default() += step;
                }
                4 => drop(memory.get(("ada", age)).await.unwrap()),
                _ => assert_eq!(memory.flush().await.unwrap().failed.len(), 0),
            }
            let expected: Vec<(i64, i64)> =
                model.iter().map(|(age, spent)| (*age, *spent)).collect();
            let seen = |visits: Vec<Arc<Visit>>| -> Vec<(i64, i64)> {
                visits.iter().map(|visit| (visit.age, visit.spent)).collect()
            };
            let page_size = random.u32(1..9);
            let query = memory.query("ada").page_size(page_size);
            let context = format!("round {round}, step {step}, page size {page_size}");
            // An increment of 0 of what is absent makes nothing.
            let without_zero = |all: Vec<(i64, i64)>| -> Vec<(i64, i64)> {
                all.into_iter().filter(|(_, spent)| *spent != 0).collect()
            };
            let expected = without_zero(expected);
            assert_eq!(without_zero(seen(query.all().await.unwrap())), expected, "{context}");
            let mut scanned = seen(memory.scan().page_size(page_size).all().await.unwrap());
            scanned.sort_unstable();
            assert_eq!(without_zero(scanned), expected, "{context}");
            let limit = random.usize(1..9);
            let first = memory.query("ada").filter(Visit::FIELDS.spent.gt(3)).limit(limit as u64);
            let rich = expected.iter().filter(|(_, spent)| *spent > 3).take(limit);
            let rich: Vec<(i64, i64)> = rich.copied().collect();
            assert_eq!(seen(first.all().await.unwrap()), rich, "{context}");
        }
    }
}

/// All that the pages of a read have, each page read anew from the cursor of the one before; `between`
/// runs after each.
async fn paged<F, B>(read: impl Fn(Option<Cursor>) -> F, between: impl Fn(usize) -> B) -> Vec<i64>
where
    F: Future<Output = Page<Arc<Visit>>>,
    B: Future<Output = ()>,
{
    let (mut seen, mut cursor) = (Vec::new(), None);
    for number in 0..100 {
        let page = read(cursor.take()).await;
        seen.extend(ages(&page.items));
        cursor = page.cursor;
        if cursor.is_none() {
            return seen;
        }
        between(number).await;
    }
    panic!("it does not end: {seen:?}");
}

#[tokio::test]
async fn an_index_has_what_was_only_incremented() {
    let stage = Stage::<Visit>::new().await;
    stage.truth.put(&bought("ada", 1, 10, "x")).await.unwrap();
    stage.truth.put(&bought("bob", 1, 30, "x")).await.unwrap();
    let memory = stage.memory();
    memory.increment(("ada", 1), Visit::FIELDS.spent, 40).await.unwrap();
    let expected = [("bob".to_owned(), 30), ("ada".to_owned(), 50)];
    assert_eq!(by_shop(&memory, "x").await, expected);
    assert_eq!(memory.index(Visit::INDEXES.by_shop).scan().count().await.unwrap(), 2);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(by_shop(&memory, "x").await, expected);
    memory.reset().await.unwrap();
    assert_eq!(by_shop(&memory, "x").await, expected, "saved a moment ago, and forgotten");
}

#[tokio::test]
async fn a_load_during_the_flight_of_an_increment_is_not_kept() {
    let (stage, memory) = stage().await;
    memory.increment(("ada", 2), Visit::FIELDS.spent, 5).await.unwrap();
    let gate = stage.faults.hold_next("TransactWriteItems");
    let read = stage.faults.hold_next_answer("GetItem");
    let (report, loaded, ()) = tokio::join!(
        memory.flush(),
        async {
            tokio::task::yield_now().await;
            memory.prefetch([("ada", 2)]).await.unwrap().records
        },
        async {
            gate.reached().await;
            read.reached().await;
            gate.open();
            tokio::task::yield_now().await;
            read.open();
        }
    );
    assert_eq!((report.unwrap().written, loaded), (1, 1));
    assert_eq!(memory.get(("ada", 2)).await.unwrap().unwrap().spent, 6);
}

#[tokio::test]
async fn a_scan_by_segments_or_pages_applies_its_filter_to_what_is_changed() {
    let (_stage, memory) = changed().await;
    let rich = || Visit::FIELDS.spent.ge(50);
    let mut seen = Vec::new();
    for segment in 0..2 {
        let scan = memory.scan().filter(rich()).segment(segment, 2);
        seen.extend(ages(&scan.all().await.unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [-1, 5, 8, 99]);
    let read = async |cursor: Option<Cursor>| {
        let scan = memory.scan().filter(rich()).page_size(2).limit(1);
        let scan = match cursor {
            Some(cursor) => scan.resume(cursor),
            None => scan,
        };
        let pages: Vec<Page<Arc<Visit>>> = scan.pages().try_collect().await.unwrap();
        let items = pages.iter().flat_map(|page| page.items.clone()).collect();
        let mut last = pages.into_iter().next_back().unwrap();
        last.items = items;
        last
    };
    let mut seen = paged(read, async |_| ()).await;
    seen.sort_unstable();
    assert_eq!(seen, [-1, 5, 8, 99]);
}

#[tokio::test]
async fn a_job_that_pages_through_an_index_and_changes_what_it_gets_has_each_once() {
    let stage = Stage::<Visit>::new().await;
    for age in 0..9 {
        stage.truth.put(&bought("ada", age, age, "x")).await.unwrap();
    }
    for flushes in [false, true] {
        let memory = stage.memory();
        let read = async |cursor: Option<Cursor>| {
            let scan = memory.index(Visit::INDEXES.by_shop).scan().limit(2);
            let scan = match cursor {
                Some(cursor) => scan.resume(cursor),
                None => scan,
            };
            let pages: Vec<Page<Arc<Visit>>> = scan.pages().try_collect().await.unwrap();
            for visit in pages.iter().flat_map(|page| &page.items) {
                let key = (visit.customer.clone(), visit.age);
                memory
                    .update_existing(key, |visit| visit.note = Some("seen".into()))
                    .await
                    .unwrap();
            }
            let items: Vec<_> = pages.iter().flat_map(|page| page.items.clone()).collect();
            let mut last = pages.into_iter().next_back().unwrap();
            last.items = items;
            last
        };
        let between = async |_| {
            if flushes {
                assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
            }
        };
        let mut seen = paged(read, between).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_first_looks_at_no_more_than_it_needs() {
    let (stage, memory) = changed().await;
    assert_eq!(memory.query("ada").sort_key().gt(6).first().await.unwrap().unwrap().age, 8);
    let limit = &stage.faults.requests("Query")[0].body["Limit"];
    assert!(limit.as_u64().unwrap() <= 8, "{limit}");
    assert_eq!(memory.query("ada").limit(0).all().await.unwrap(), []);
    assert_eq!(memory.query("nobody").limit(0).count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_cursor_of_another_partition_is_refused_before_the_first_stored_record_too() {
    let (_stage, memory) = changed().await;
    let page = memory.query("ada").limit(1).pages().try_next().await.unwrap().unwrap();
    assert_eq!(ages(&page.items), [-1]);
    let error = memory.query("bob").resume(page.cursor.unwrap()).all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

/// A page of a site; the table has no sort key, and neither has its index.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "pages", global_index(name = "by-site", partition_key = site))]
struct Web {
    #[record(partition_key)]
    id: i64,
    site: String,
    #[record(ttl)]
    #[serde(default)]
    ends: Option<u32>,
}

fn web(id: i64, ends: Option<u32>) -> Web {
    Web { id, site: "s".into(), ends }
}

#[tokio::test]
async fn where_there_is_no_sort_key_what_is_new_comes_last_also_when_resumed() {
    let stage = Stage::<Web>::new().await;
    for id in 0..3 {
        stage.truth.put(&web(id, None)).await.unwrap();
    }
    let memory = stage.memory();
    for id in [7, 8] {
        memory.put(web(id, None)).await.unwrap();
    }
    memory.put(web(1, Some(1))).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
    loop {
        let query = memory.index(Web::INDEXES.by_site).query("s").limit(1);
        let query = match cursor.take() {
            Some(cursor) => query.resume(cursor),
            None => query,
        };
        let pages: Vec<Page<Arc<Web>>> = query.pages().try_collect().await.unwrap();
        seen.extend(pages.iter().flat_map(|page| page.items.iter().map(|web| web.id)));
        cursor = pages.into_iter().next_back().and_then(|page| page.cursor);
        if cursor.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 7, 8]);
    let last = memory.query(0).limit(1).pages().try_next().await.unwrap().unwrap();
    assert_eq!((last.items.len(), last.cursor), (1, None), "there can be no more");
    let one = memory.query(1).page_size(1).all().await.unwrap();
    assert_eq!(one[0].ends, Some(1));
    assert_eq!(memory.query(9).all().await.unwrap(), []);
}

#[tokio::test]
async fn expired_records_are_hidden_whether_they_are_in_memory_or_not() {
    let stage = Stage::<Web>::new().await;
    stage.truth.put(&web(1, Some(100))).await.unwrap();
    stage.truth.put(&web(2, None)).await.unwrap();
    let memory = stage.builder().hide_expired_by(|| 150).build().unwrap();
    for _ in 0..2 {
        assert_eq!(memory.scan().count().await.unwrap(), 1);
        assert_eq!(memory.query(1).count().await.unwrap(), 0);
        let index = memory.index(Web::INDEXES.by_site);
        assert_eq!(index.query("s").count().await.unwrap(), 1);
    }
}

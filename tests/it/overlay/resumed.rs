//! Reads that go on after something was changed or saved, and parts of a scan.

use memory_table::{FlushReport, Outcome};

use super::*;
use crate::support::Fault;

/// Pages of two each; `between` runs behind each.
async fn by_two(
    query: impl Fn() -> Visits,
    between: impl AsyncFn(usize, &Page<Arc<Visit>>),
) -> Vec<i64> {
    let read = async |cursor: Option<Cursor>| {
        let query = query().limit(2);
        let query = match cursor {
            Some(cursor) => query.resume(cursor.to_string().parse().unwrap()),
            None => query,
        };
        let mut pages: Vec<Page<Arc<Visit>>> = query.pages().try_collect().await.unwrap();
        let mut last = pages.pop().unwrap();
        let before = pages.into_iter().flat_map(|page| page.items);
        last.items = before.chain(std::mem::take(&mut last.items)).collect();
        last
    };
    let (mut seen, mut cursor) = (Vec::new(), None);
    for number in 0..100 {
        let page = read(cursor.take()).await;
        seen.extend(ages(&page.items));
        between(number, &page).await;
        cursor = page.cursor;
        if cursor.is_none() {
            return seen;
        }
    }
    panic!("it does not end: {seen:?}");
}

async fn saved(memory: &MemoryTable<Visit>) -> FlushReport {
    memory.flush().await.unwrap()
}

/// All that ties is one group: others are changed in it between the pages.
#[tokio::test]
async fn a_query_of_an_index_has_what_ties_once_whatever_is_changed_between_its_pages() {
    let stage = Stage::<Visit>::new().await;
    for age in 0..9 {
        stage.truth.put(&bought("ada", age, 5, "x")).await.unwrap();
    }
    for (flushes, descending) in [(false, false), (true, false), (false, true), (true, true)] {
        let memory = stage.memory();
        let query = || {
            let query = memory.index(Visit::INDEXES.by_shop).query("x");
            if descending { query.descending() } else { query }
        };
        memory.update_existing(("ada", 7), |visit| visit.note = None).await.unwrap();
        let between = async |number: usize, page: &Page<Arc<Visit>>| {
            for visit in &page.items {
                let key = (visit.customer.clone(), visit.age);
                memory.update_existing(key, |v| v.note = Some("seen".into())).await.unwrap();
            }
            // One that came or is to come.
            let note = |visit: &mut Visit| visit.note = Some(format!("{number}"));
            memory.update_existing(("ada", 4), note).await.unwrap();
            if flushes {
                assert_eq!(saved(&memory).await.failed.len(), 0);
            }
        };
        let mut seen = by_two(query, between).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>(), "{flushes} {descending}");
    }
}

#[tokio::test]
async fn a_query_of_an_index_without_sort_key_has_each_once_whatever_is_changed_between() {
    let stage = Stage::<Web>::new().await;
    for id in 0..9 {
        stage.truth.put(&web(id, None)).await.unwrap();
    }
    for flushes in [false, true] {
        let memory = stage.memory();
        let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
        for number in 0..20 {
            let query = memory.index(Web::INDEXES.by_site).query("s").limit(2);
            let query = match cursor.take() {
                Some(cursor) => query.resume(cursor),
                None => query,
            };
            let pages: Vec<Page<Arc<Web>>> = query.pages().try_collect().await.unwrap();
            seen.extend(pages.iter().flat_map(|page| page.items.iter().map(|web| web.id)));
            for id in seen.iter().copied().chain([4]) {
                memory.update_existing(id, |web| web.ends = Some(number)).await.unwrap();
            }
            if flushes {
                assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
            }
            cursor = pages.into_iter().next_back().and_then(|page| page.cursor);
            if cursor.is_none() {
                break;
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>(), "{flushes}");
    }
}

/// What was added before the place of the database is there when the read goes on.
#[tokio::test]
async fn what_was_returned_as_new_does_not_come_again_when_it_was_saved() {
    for flushed_after in 0..6 {
        for descending in [false, true] {
            let (_stage, memory) = stage().await;
            for age in [-3, -1, 1, 3, 5, 19] {
                memory.put(visit("ada", age, 0)).await.unwrap();
            }
            let query = || {
                let query = memory.query("ada").page_size(1);
                if descending { query.descending() } else { query }
            };
            let between = async |number: usize, _: &Page<Arc<Visit>>| {
                if number == flushed_after {
                    assert_eq!(saved(&memory).await.written, 6);
                }
            };
            let mut expected: Vec<i64> = (0..10).map(|n| 2 * n).collect();
            expected.extend([-3, -1, 1, 3, 5, 19]);
            expected.sort_unstable();
            if descending {
                expected.reverse();
            }
            assert_eq!(by_two(query, between).await, expected, "after {flushed_after}");
        }
    }
}

/// A put whose answer was lost may be stored, though its absence was read before.
#[tokio::test]
async fn a_put_in_doubt_comes_once_in_the_segments_and_pages_of_a_scan() {
    for applied in [true, false] {
        let stage = Stage::<Visit>::new().await;
        let memory = stage.impatient();
        for age in 0..8 {
            assert!(memory.get(("ada", age)).await.unwrap().is_none());
            memory.put(bought("ada", age, age, "x")).await.unwrap();
        }
        let lost = Fault::connection_reset();
        stage.faults.next("BatchWriteItem", if applied { lost.after_applying() } else { lost });
        let error = memory.flush().await.unwrap_err();
        assert_eq!(error.report().failed[0].outcome, Outcome::OutcomeUnknown);
        let (mut of_table, mut of_index) = (Vec::new(), Vec::new());
        for segment in 0..3 {
            of_table.extend(ages(&memory.scan().segment(segment, 3).all().await.unwrap()));
            let index = memory.index(Visit::INDEXES.by_shop).scan().segment(segment, 3);
            of_index.extend(ages(&index.all().await.unwrap()));
        }
        for mut seen in [of_table, of_index] {
            seen.sort_unstable();
            assert_eq!(seen, (0..8).collect::<Vec<_>>(), "applied: {applied}");
        }
    }
}

/// What is put unseen may be in the index already, or not.
#[tokio::test]
async fn what_is_put_unseen_comes_once_in_the_segments_of_an_index() {
    let stage = Stage::<Visit>::new().await;
    for age in 0..4 {
        stage.truth.put(&bought("ada", age, age, "x")).await.unwrap();
    }
    for age in 4..6 {
        stage.truth.put(&visit("ada", age, age)).await.unwrap();
    }
    let memory = stage.memory();
    for age in 0..8 {
        memory.put(bought("ada", age, age, "x")).await.unwrap();
    }
    let mut seen = Vec::new();
    for segment in 0..3 {
        let index = memory.index(Visit::INDEXES.by_shop).scan().segment(segment, 3);
        seen.extend(ages(&index.all().await.unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
}

/// Others took the item away that was loaded: what is unsaved here comes all the same.
#[tokio::test]
async fn what_others_deleted_and_is_changed_here_comes_in_its_place() {
    let stage = Stage::<Visit>::new().await;
    for age in 0..5 {
        stage.truth.put(&bought("ada", age, age / 2, "x")).await.unwrap();
    }
    let memory = stage.memory();
    memory.update_existing(("ada", 2), |visit| visit.note = Some("here".into())).await.unwrap();
    stage.truth.delete(("ada", 2)).await.unwrap();
    let index = memory.index(Visit::INDEXES.by_shop);
    assert_eq!(found(memory.query("ada")).await, [0, 1, 2, 3, 4]);
    let of_index = index.query("x").all().await.unwrap();
    let spent: Vec<i64> = of_index.iter().map(|visit| visit.spent).collect();
    assert_eq!((ages(&of_index).contains(&2), spent), (true, vec![0, 0, 1, 1, 2]));
    let none = async |_: usize, _: &Page<Arc<Visit>>| {};
    let mut paged = by_two(|| index.query("x"), none).await;
    paged.sort_unstable();
    assert_eq!(paged, [0, 1, 2, 3, 4]);
}

/// Others moved it within the index.
#[tokio::test]
async fn what_others_moved_comes_where_it_is_here() {
    let stage = Stage::<Visit>::new().await;
    for age in 0..5 {
        stage.truth.put(&bought("ada", age, 10 * age, "x")).await.unwrap();
    }
    let memory = stage.memory();
    memory.update_existing(("ada", 2), |visit| visit.note = Some("here".into())).await.unwrap();
    for elsewhere in [5, 35] {
        stage.truth.put(&bought("ada", 2, elsewhere, "x")).await.unwrap();
        let index = memory.index(Visit::INDEXES.by_shop);
        assert_eq!(ages(&index.query("x").all().await.unwrap()), [0, 1, 2, 3, 4]);
        let descending = index.query("x").descending();
        assert_eq!(ages(&descending.all().await.unwrap()), [4, 3, 2, 1, 0]);
    }
}

#[tokio::test]
async fn a_consistent_page_is_newer_than_what_this_table_wrote() {
    let (stage, _) = stage().await;
    let memory = stage.builder().eventually_consistent_loads().capacity_records(4);
    let memory = memory.build().unwrap();
    for age in 0..20 {
        memory.put(visit("ada", age, 1)).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
    }
    let loads = stage.faults.count("GetItem") + stage.faults.count("BatchGetItem");
    assert_eq!(found(memory.query("ada")).await, (0..20).collect::<Vec<_>>());
    assert_eq!(memory.scan().count().await.unwrap(), 21);
    let after = stage.faults.count("GetItem") + stage.faults.count("BatchGetItem");
    assert_eq!(after, loads, "nothing is read twice");
}

/// They are loaded to be looked at, and let go at once; the index does not have them yet.
#[tokio::test(start_paused = true)]
async fn what_was_saved_a_moment_ago_and_let_go_is_seen_in_an_index_that_lags_behind() {
    let stage = Stage::<Visit>::embedded().await;
    stage.faults.keep_history();
    let memory = stage.builder().capacity_records(4).build().unwrap();
    for age in 0..30 {
        memory.put(bought("ada", age, age, "x")).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
    }
    stage.faults.always("Query", Fault::stale_by(1));
    let loads = stage.faults.count("GetItem") + stage.faults.count("BatchGetItem");
    let found = memory.index(Visit::INDEXES.by_shop).query("x").all().await.unwrap();
    assert_eq!(ages(&found), (0..30).collect::<Vec<_>>());
    let after = stage.faults.count("GetItem") + stage.faults.count("BatchGetItem");
    assert!(after - loads <= 4, "{} loads, 100 keys each", after - loads);
}

/// Nothing ties: what was returned as new is known to the index and was saved a moment ago.
#[tokio::test]
async fn a_query_of_an_index_goes_on_behind_what_was_new_and_is_saved() {
    for changes_again in [false, true] {
        let stage = Stage::<Visit>::new().await;
        for spent in [10, 20, 30] {
            stage.truth.put(&bought("ada", spent, spent, "x")).await.unwrap();
        }
        let memory = stage.memory();
        memory.put(bought("ada", 15, 15, "x")).await.unwrap();
        memory.put(bought("ada", 25, 25, "x")).await.unwrap();
        let between = async |_: usize, _: &Page<Arc<Visit>>| {
            assert_eq!(saved(&memory).await.failed.len(), 0);
            if changes_again {
                let note = |visit: &mut Visit| visit.note = Some("again".into());
                memory.update_existing(("ada", 15), note).await.unwrap();
            }
        };
        let query = || memory.index(Visit::INDEXES.by_shop).query("x");
        assert_eq!(by_two(query, between).await, [10, 15, 20, 25, 30]);
    }
}

/// A page may have nothing but what was returned before.
#[tokio::test]
async fn a_page_of_what_has_come_keeps_the_place_of_what_was_new() {
    let stage = Stage::<Visit>::new().await;
    for age in [10, 60] {
        stage.truth.put(&visit("ada", age, 0)).await.unwrap();
    }
    let memory = stage.memory();
    for age in [20, 30, 40, 50] {
        memory.put(visit("ada", age, 0)).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
    for limit in [2, 2, 1, 2, 2, 2, 2] {
        let query = memory.query("ada").limit(limit);
        let query = match cursor.take() {
            Some(cursor) => query.resume(cursor),
            None => query,
        };
        let mut pages = query.pages();
        let page = pages.try_next().await.unwrap().unwrap();
        drop(pages);
        seen.extend(ages(&page.items));
        if seen.len() == 5 {
            assert_eq!(saved(&memory).await.failed.len(), 0);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen, cursor), (vec![10, 20, 30, 40, 50, 60], None));
}

#[tokio::test]
async fn an_increment_in_doubt_comes_once_in_the_segments_of_a_scan() {
    let stage = Stage::<Visit>::new().await;
    let memory = stage.impatient();
    for age in 0..8 {
        assert!(memory.get(("ada", age)).await.unwrap().is_none());
        memory.increment(("ada", age), Visit::FIELDS.spent, 1).await.unwrap();
    }
    stage.faults.always("TransactWriteItems", Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 8);
    let mut seen = Vec::new();
    for segment in 0..3 {
        seen.extend(ages(&memory.scan().segment(segment, 3).all().await.unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_query_during_the_flight_of_an_increment_has_it() {
    let (stage, memory) = stage().await;
    memory.increment(("ada", 2), Visit::FIELDS.spent, 10).await.unwrap();
    let gate = stage.faults.hold_next("TransactWriteItems");
    let (flushed, found) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        let query = memory.query("ada").sort_key().eq(2).all();
        let open = async {
            // The query has read by then, if it does not wait.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            gate.open();
        };
        tokio::join!(query, open).0.unwrap()
    });
    assert_eq!((flushed.unwrap().written, found[0].spent), (1, 11));
}

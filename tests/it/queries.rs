//! Queries and scans: what they find, in which order, in how many requests.

use futures::TryStreamExt;
use memory_table::{
    BadItems, Binary, Cursor, Error, ErrorKind, Projection, Query, Record, attribute,
};
use serde::{Deserialize, Serialize};

use super::support::{Fault, Player, Stage, Team, at, named, player, players, stage, texts};

/// A visit of a customer, by the customer's age.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "visits")]
struct Visit {
    #[record(partition_key)]
    customer: String,
    #[record(sort_key)]
    age: i64,
    tc: u8,
}

fn visit(customer: &str, age: i64) -> Visit {
    Visit { customer: customer.into(), age, tc: u8::try_from(age.rem_euclid(5)).unwrap() }
}

/// Visits of the ages -5 to 14, and one of somebody else.
async fn visits() -> Stage<Visit> {
    let stage = Stage::<Visit>::new().await;
    let all = (-5..15).map(|age| visit("ada", age)).chain([visit("bob", 2)]);
    assert_eq!(stage.truth.batch_write().puts(all).await.unwrap().written, 21);
    stage
}

fn ages(visits: &[Visit]) -> Vec<i64> {
    visits.iter().map(|visit| visit.age).collect()
}

async fn found(query: Query<Visit>) -> Vec<i64> {
    ages(&query.all().await.unwrap())
}

#[tokio::test]
async fn a_query_finds_a_partition_in_the_order_of_its_sort_keys() {
    let stage = visits().await;
    let query = || stage.table.query("ada");
    assert_eq!(found(query()).await, (-5..15).collect::<Vec<_>>(), "numbers by value");
    assert_eq!(found(query().sort_key().eq(2)).await, [2]);
    assert_eq!(found(query().sort_key().ge(12)).await, [12, 13, 14]);
    assert_eq!(found(query().sort_key().gt(12)).await, [13, 14]);
    assert_eq!(found(query().sort_key().le(-4)).await, [-5, -4]);
    assert_eq!(found(query().sort_key().lt(-4)).await, [-5]);
    assert_eq!(found(query().sort_key().between(1, 3)).await, [1, 2, 3]);
    assert_eq!(found(stage.table.query("bob")).await, [2]);
    assert_eq!(found(stage.table.query("nobody")).await, [0; 0]);
    let other = stage.table.query(String::from("bob")).sort_key().eq(2).first().await.unwrap();
    assert_eq!(other, Some(visit("bob", 2)));
}

#[tokio::test]
async fn text_and_bytes_are_found_by_their_beginning() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "blobs")]
    struct Blob {
        #[record(partition_key)]
        of: u8,
        #[record(sort_key)]
        hash: Binary,
    }

    let (stage, _) = stage(25).await;
    let names = stage.table.query("chess").sort_key().begins_with("p001").all().await.unwrap();
    assert_eq!(names.len(), 10);
    let blobs = Stage::<Blob>::new().await.table;
    for hash in [vec![1, 255, 3], vec![1, 254], vec![2]] {
        blobs.put(&Blob { of: 1, hash: hash.into() }).await.unwrap();
    }
    let prefix = Binary::from(vec![1, 255]);
    assert_eq!(blobs.query(1).sort_key().begins_with(&prefix).count().await.unwrap(), 1);
    let order = blobs.query(1).descending().first().await.unwrap().unwrap();
    assert_eq!(order.hash.as_slice(), [2], "bytes are unsigned");
}

#[tokio::test]
async fn a_limit_is_of_results_and_a_page_size_changes_none() {
    let stage = visits().await;
    let last = || stage.table.query("ada").descending().limit(3);
    assert_eq!(found(last()).await, [14, 13, 12]);
    assert_eq!(stage.faults.count("Query"), 1, "no more is read than is wanted");
    assert_eq!(found(last().page_size(2)).await, [14, 13, 12]);
    let requests = stage.faults.requests("Query");
    let limits: Vec<_> =
        requests[1..].iter().map(|request| request.body["Limit"].clone()).collect();
    assert_eq!(limits, [2, 1]);
    let fours = || stage.table.query("ada").filter(Visit::FIELDS.tc.eq(4));
    assert_eq!(found(fours()).await, [-1, 4, 9, 14]);
    assert_eq!(found(fours().limit(3)).await, [-1, 4, 9], "of what meets the filter");
    assert_eq!(found(fours().limit(3).page_size(1)).await, [-1, 4, 9]);
    let before = stage.faults.count("Query");
    assert_eq!(found(fours().limit(0)).await, [0; 0]);
    assert_eq!(stage.faults.count("Query"), before);
    let scan = stage.table.scan().limit(5).page_size(2).segments(2).all().await.unwrap();
    assert_eq!(scan.len(), 5);
}

#[tokio::test]
async fn a_count_is_of_all_pages_and_at_most_the_limit() {
    let stage = visits().await;
    let query = || stage.table.query("ada").page_size(3);
    assert_eq!(query().count().await.unwrap(), 20);
    let requests = stage.faults.requests("Query");
    assert_eq!(requests.len(), 7);
    assert!(requests.iter().all(|request| request.body["Select"] == "COUNT"));
    assert_eq!(stage.table.query("ada").limit(7).count().await.unwrap(), 7);
    let odd = || query().filter(Visit::FIELDS.tc.is_in([1, 3]));
    assert_eq!(odd().count().await.unwrap(), 8);
    assert_eq!(odd().limit(5).count().await.unwrap(), 5);
    assert_eq!(stage.table.scan().segments(3).count().await.unwrap(), 21);
    assert_eq!(stage.table.scan().filter(attribute("tc").lt(0)).count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_filter_is_applied_to_what_is_no_key() {
    let stage = visits().await;
    let three = stage.table.query("ada").filter(Visit::FIELDS.tc.eq(3));
    let some = three.clone().filter(attribute("nothing").not_exists()).sort_key().gt(0);
    assert_eq!(found(some).await, [3, 8, 13]);
    let refused = three.filter(Visit::FIELDS.age.gt(3)).all().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidCondition);
    assert!(refused.to_string().contains("names the key `age`"), "{refused}");
    let scan = stage.table.scan().filter(Visit::FIELDS.age.gt(12)).all().await.unwrap();
    assert_eq!(scan.len(), 2, "a scan may");
    assert_eq!(stage.faults.count("Query"), 1);
}

#[tokio::test]
async fn what_cannot_be_asked_is_an_error_without_a_request() {
    let stage = visits().await;
    let table = &stage.table;
    let (low, high) = (1, 0);
    let refusals = [
        (table.query("").all().await.unwrap_err(), ErrorKind::InvalidKey, "it is empty"),
        (
            table.query("ada").sort_key().between(low, high).all().await.unwrap_err(),
            ErrorKind::InvalidCondition,
            "lower bound",
        ),
        (
            table.query("ada").sort_key().gt(1).sort_key().lt(5).all().await.unwrap_err(),
            ErrorKind::InvalidCondition,
            "one condition on its sort key",
        ),
        (
            table.query("ada").page_size(0).all().await.unwrap_err(),
            ErrorKind::InvalidCondition,
            "`page_size` is 1 or more",
        ),
        (
            table.scan().segment(3, 3).all().await.unwrap_err(),
            ErrorKind::InvalidCondition,
            "no segment 3 of 3",
        ),
        (
            table.query("ada").filter(attribute("").exists()).count().await.unwrap_err(),
            ErrorKind::InvalidCondition,
            "is no path",
        ),
    ];
    for (error, kind, text) in refusals {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.table().is_some_and(|name| name.ends_with("visits")), "{error}");
    }
    let empty = Stage::<Player>::new().await;
    let prefix = empty.table.query("chess").sort_key().begins_with("").all().await.unwrap_err();
    assert_eq!(prefix.kind(), ErrorKind::InvalidKey);
    assert_eq!(empty.faults.count("Query"), 0);
    assert_eq!((stage.faults.count("Query"), stage.faults.count("Scan")), (0, 0));
}

#[tokio::test]
async fn the_same_query_can_be_sent_consistently() {
    let stage = visits().await;
    stage.table.query("ada").consistent().all().await.unwrap();
    stage.table.query("ada").all().await.unwrap();
    let requests = stage.faults.requests("Query");
    assert_eq!(requests[0].body["ConsistentRead"], true);
    assert_ne!(requests[1].body["ConsistentRead"], true);
}

#[tokio::test]
async fn pages_come_lazily_and_say_where_to_go_on() {
    let stage = visits().await;
    let query = || stage.table.query("ada").page_size(6).filter(Visit::FIELDS.tc.ne(0));
    let mut pages = query().pages();
    assert_eq!(stage.faults.count("Query"), 0);
    let first = pages.try_next().await.unwrap().unwrap();
    assert_eq!((ages(&first.items), first.scanned), (vec![-4, -3, -2, -1], 6));
    assert_eq!(stage.faults.count("Query"), 1);
    drop(pages);
    // Through text, as it would be kept in a file.
    let text = serde_json::to_string(&first.cursor.unwrap()).unwrap();
    let cursor: Cursor = serde_json::from_str(&text).unwrap();
    let rest = found(query().resume(cursor)).await;
    assert_eq!(rest, [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]);
    let last: Vec<_> = query().pages().try_collect().await.unwrap();
    assert!(last.last().unwrap().cursor.is_none());
    assert_eq!(last.iter().map(|page| page.scanned).sum::<u64>(), 20);
}

#[tokio::test]
async fn a_cursor_at_a_limit_goes_on_behind_the_last_result() {
    let stage = visits().await;
    let query = || stage.table.query("ada").descending().filter(Visit::FIELDS.tc.eq(2));
    // The limit falls into the middle of what the service returned.
    let page = query().limit(2).pages().try_next().await.unwrap().unwrap();
    assert_eq!(ages(&page.items), [12, 7]);
    let rest = query().resume(page.cursor.unwrap());
    assert_eq!(found(rest.clone()).await, [2, -3]);
    let scan = stage.table.scan().limit(8).pages().try_next().await.unwrap().unwrap();
    let others = stage.table.scan().resume(scan.cursor.unwrap()).all().await.unwrap();
    assert_eq!(others.len(), 13);
}

#[tokio::test]
async fn a_scan_in_segments_goes_on_where_each_came_to() {
    let stage = Stage::<Team>::new().await;
    let teams = (0..60).map(|number| Team { team: named(number), points: 1 });
    assert_eq!(stage.truth.batch_write().puts(teams).await.unwrap().written, 60);
    let scan = || stage.table.scan().consistent();
    for segment in 0..3 {
        // One segment at a time, so that they are segments on the embedded database too.
        let part = || scan().segment(segment, 3).page_size(5);
        let page = part().pages().try_next().await.unwrap().unwrap();
        let cursor = page.cursor.unwrap();
        let rest = part().resume(cursor.clone()).all().await.unwrap();
        let all = part().all().await.unwrap();
        assert_eq!(page.items.into_iter().chain(rest).collect::<Vec<_>>(), all);
        let other = scan().segment((segment + 1) % 3, 3).resume(cursor).all().await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Configuration);
    }
    let mut pages = scan().segments(3).page_size(5).pages();
    let mut seen = Vec::new();
    let mut cursor = None;
    for _ in 0..4 {
        let page = pages.try_next().await.unwrap().unwrap();
        seen.extend(page.items);
        cursor = page.cursor;
    }
    let rest = scan().segments(3).resume(cursor.unwrap()).all().await.unwrap();
    seen.extend(rest);
    let mut names: Vec<String> = seen.into_iter().map(|team| team.team).collect();
    names.sort();
    assert_eq!(names, (0..60).map(named).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused_without_a_request() {
    let stage = visits().await;
    let table = &stage.table;
    let page = table.query("ada").page_size(1).pages().try_next().await.unwrap().unwrap();
    let cursor = page.cursor.unwrap();
    let requests = stage.faults.count("Query");
    let resumed = |query: Query<Visit>| query.resume(cursor.clone());
    let refused: Vec<Error> = vec![
        resumed(table.query("bob")).all().await.unwrap_err(),
        resumed(table.query("ada").descending()).all().await.unwrap_err(),
        resumed(table.query("ada").sort_key().gt(0)).all().await.unwrap_err(),
        table.scan().resume(cursor.clone()).all().await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("the cursor is that of another"), "{error}");
    }
    assert_eq!("nonsense".parse::<Cursor>().unwrap_err().kind(), ErrorKind::Configuration);
    assert_eq!((stage.faults.count("Query"), stage.faults.count("Scan")), (requests, 0));
}

#[derive(Deserialize, Debug, PartialEq)]
struct Age {
    age: i64,
}

impl Projection for Age {
    type Of = Visit;
    const ATTRIBUTES: &'static [&'static str] = &["age"];
}

#[tokio::test]
async fn a_projection_reads_its_attributes_and_the_keys_only() {
    let stage = visits().await;
    let late = stage.table.query("ada").sort_key().ge(13).select::<Age>();
    assert_eq!(late.all().await.unwrap(), [Age { age: 13 }, Age { age: 14 }]);
    let scan = stage.table.scan().filter(Visit::FIELDS.tc.eq(2)).select::<Age>();
    assert_eq!(scan.all().await.unwrap().len(), 5, "a filter may name what is not read");
    let request = &stage.faults.requests("Query")[0].body;
    let names: Vec<&str> = request["ProjectionExpression"].as_str().unwrap().split(',').collect();
    let name =
        |place: &&str| request["ExpressionAttributeNames"][*place].as_str().unwrap().to_owned();
    let mut names: Vec<String> = names.iter().map(name).collect();
    names.sort();
    assert_eq!(names, ["age", "customer"]);
}

#[tokio::test]
async fn many_megabytes_are_read_to_their_end() {
    let stage = Stage::<Player>::new().await;
    let big = players(30).map(|player| Player { text: "x".repeat(100_000), ..player });
    assert_eq!(stage.truth.batch_write().puts(big).await.unwrap().written, 30);
    assert_eq!(stage.table.query("chess").all().await.unwrap().len(), 30);
    assert!(stage.faults.count("Query") >= 3, "a page has one megabyte at most");
    assert_eq!(stage.table.query("chess").count().await.unwrap(), 30);
}

#[tokio::test]
async fn what_a_query_found_can_be_changed_and_saved() {
    let (stage, memory) = stage(3).await;
    let mut found = stage.table.query("chess").first().await.unwrap().unwrap();
    found.rating = 77.0;
    memory.put(found).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(at("p0000")).await.unwrap().unwrap().rating, 77.0);
}

/// Five players and one whose item does not fit.
async fn with_a_bad_item() -> Stage<Player> {
    let (stage, _) = stage(5).await;
    super::memory_reads::store_bad(&stage, "p0002x").await;
    stage
}

#[tokio::test]
async fn an_item_that_does_not_fit_fails_a_query_or_is_skipped_or_reported() {
    let stage = with_a_bad_item().await;
    let query = || stage.table.query("chess").page_size(2);
    let error = query().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "p0002x")"#);
    let mut stream = query().stream();
    let (mut fine, mut bad) = (0, 0);
    while let Some(item) = stream.try_next().await.transpose() {
        if item.is_ok() { fine += 1 } else { bad += 1 }
    }
    assert_eq!((fine, bad), (5, 1), "a stream goes on behind it");
    let pages: Result<Vec<_>, Error> = query().pages().try_collect().await;
    assert_eq!(pages.unwrap_err().kind(), ErrorKind::InvalidItem);
    assert_eq!(query().bad_items(BadItems::Skip).all().await.unwrap().len(), 5);
    let skipped = query().bad_items(BadItems::Skip).pages().try_collect::<Vec<_>>().await.unwrap();
    assert!(skipped.iter().all(|page| page.bad.is_empty()));
    let pages: Vec<_> = query().bad_items(BadItems::Report).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 5);
    let bad: Vec<&Error> = pages.iter().flat_map(|page| &page.bad).collect();
    assert_eq!(texts(bad.iter().filter_map(|error| error.key())), [r#"("chess", "p0002x")"#]);
}

#[tokio::test]
async fn batch_get_says_which_keys_are_absent_and_which_do_not_fit() {
    let stage = with_a_bad_item().await;
    let keys = ["p0001", "no one", "p0001", "nobody"].map(at);
    let found = stage.table.batch_get(keys).consistent().await.unwrap();
    assert_eq!((found.len(), found.is_empty()), (1, false));
    assert_eq!(found.get(at("p0001")), Some(&player("p0001", 1.0)));
    assert_eq!(found.get(at("nobody")), None);
    let absent: Vec<String> = found.absent.iter().map(ToString::to_string).collect();
    assert_eq!(absent, [r#"("chess", "no one")"#, r#"("chess", "nobody")"#], "in their order");
    assert_eq!(
        stage.faults.requests("BatchGetItem")[0].body["RequestItems"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()["ConsistentRead"],
        true
    );

    let keys = || ["p0000", "p0002x", "nobody"].map(at);
    let error = stage.table.batch_get(keys()).await.unwrap_err();
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "p0002x")"#);
    let skipped = stage.table.batch_get(keys()).bad_items(BadItems::Skip).await.unwrap();
    assert_eq!((skipped.len(), skipped.absent.len(), skipped.bad.len()), (1, 1, 0));
    let reported = stage.table.batch_get(keys()).bad_items(BadItems::Report).await.unwrap();
    assert_eq!((reported.len(), reported.absent.len(), reported.bad.len()), (1, 1, 1));
    let empty = stage.table.batch_get(Vec::<(&str, &str)>::new()).await.unwrap();
    assert!(empty.is_empty() && empty.absent.is_empty());
}

#[tokio::test]
async fn the_first_is_the_first_that_fits_if_others_are_skipped() {
    let (stage, _) = stage(1).await;
    super::memory_reads::store_bad(&stage, "a").await;
    let query = || stage.table.query("chess");
    assert_eq!(query().first().await.unwrap_err().kind(), ErrorKind::InvalidItem);
    let first = query().bad_items(BadItems::Skip).first().await.unwrap().unwrap();
    assert_eq!(first.name, "p0000");
    assert!(query().limit(0).first().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_never_skipped() {
    let stage = Stage::<Player>::embedded().await;
    stage.truth.put(&player("ada", 1.0)).await.unwrap();
    stage.faults.always("Query", Fault::unreadable());
    let query = || stage.table.query("chess").bad_items(BadItems::Skip);
    let error = query().all().await.unwrap_err();
    assert!(error.attempts() > 1 && error.key().is_none(), "{error}");
    stage.faults.heal();
    assert_eq!(query().all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_cursor_of_a_segment_goes_on_in_that_segment_only() {
    let stage = Stage::<Team>::new().await;
    let teams = (0..60).map(|number| Team { team: named(number), points: 1 });
    assert_eq!(stage.truth.batch_write().puts(teams).await.unwrap().written, 60);
    let segment = || stage.table.scan().segment(1, 4).page_size(2);
    let page = segment().pages().try_next().await.unwrap().unwrap();
    let cursor = page.cursor.unwrap();
    for other in [stage.table.scan().segments(4), stage.table.scan().segment(2, 4)] {
        let error = other.resume(cursor.clone()).all().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    let rest = segment().resume(cursor).all().await.unwrap();
    assert_eq!(page.items.len() + rest.len(), segment().all().await.unwrap().len());
}

#[tokio::test]
async fn a_query_of_a_table_without_sort_key_ends_behind_its_only_item() {
    let stage = Stage::<Team>::new().await;
    stage.truth.put(&Team { team: "Brazil".into(), points: 3 }).await.unwrap();
    let all = stage.table.query("Brazil").page_size(1).all();
    let all = tokio::time::timeout(std::time::Duration::from_secs(20), all).await.unwrap();
    assert_eq!(all.unwrap().len(), 1);
    assert_eq!(stage.table.query("Chile").page_size(1).count().await.unwrap(), 0);
}

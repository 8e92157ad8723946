//! What a memory table loads at once: by keys, queries, scans and segments.

use memory_table::{BadItems, ErrorKind, MemoryTable};

use super::memory_reads::store_bad;
use super::support::{Fault, Player, Stage, Team, at, named, player, stage};

#[tokio::test]
async fn load_takes_in_what_a_query_finds() {
    let (stage, memory) = stage(20).await;
    stage.truth.put(&Player { game: "go".into(), ..player("eve", 1.0) }).await.unwrap();
    stage.faults.always("Query", Fault::short_page(4));
    let found = memory.load(stage.table.query("chess").sort_key().lt("p0010")).await.unwrap();
    assert_eq!((found.records, found.skipped, found.bad.len()), (10, 0, 0));
    assert_eq!(stage.faults.count("Query"), 3);
    assert!(stage.faults.requests("Query").iter().all(|r| r.body["ConsistentRead"] == true));
    assert_eq!(memory.get(at("p0009")).await.unwrap().unwrap().rating, 9.0);
    assert_eq!(stage.faults.count("GetItem"), 0);
    assert!(memory.get(at("p0010")).await.unwrap().is_some(), "what was not found is not absent");
    assert_eq!(stage.faults.count("GetItem"), 1);
    assert_eq!(memory.stats().read_requests, 4);
}

#[tokio::test]
async fn load_takes_in_what_a_scan_finds_up_to_its_limit() {
    let (stage, memory) = stage(20).await;
    let good = Player::FIELDS.rating.ge(15.0);
    let found = memory.load(stage.table.scan().filter(good)).await.unwrap();
    assert_eq!((found.records, memory.records().len()), (5, 5));
    let few = stage.memory();
    let found = few.load(stage.table.scan().limit(3).segments(2)).await.unwrap();
    assert_eq!((found.records, few.records().len()), (3, 3));
}

#[tokio::test]
async fn load_leaves_changes_alone() {
    let (stage, memory) = stage(3).await;
    memory.put(player("p0000", 99.0)).await.unwrap();
    memory.delete(at("p0001")).await.unwrap();
    assert_eq!(memory.load(stage.table.query("chess")).await.unwrap().records, 3);
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 99.0);
    assert!(memory.get(at("p0001")).await.unwrap().is_none());
    assert_eq!(memory.unsaved().len(), 2);
}

#[tokio::test]
async fn load_of_another_table_is_refused() {
    let (_stage, memory) = stage(1).await;
    let other = Stage::<Player>::new().await.table.database().with_prefix("other_");
    let error = memory.load(other.table::<Player>().query("chess")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("other_players"), "{error}");
}

#[tokio::test]
async fn segments_together_are_the_table() {
    let stage = Stage::<Team>::new().await;
    let teams = (0..60).map(|number| Team { team: named(number), points: 1 });
    assert_eq!(stage.truth.batch_write().puts(teams).await.unwrap().written, 60);
    let mut names = Vec::new();
    for segment in 0..4 {
        let memory = stage.memory();
        let found = memory.load_segment(segment, 4).await.unwrap();
        assert!((1..60).contains(&found.records), "segment {segment} has {}", found.records);
        names.extend(memory.records().iter().map(|team| team.team.clone()));
        assert!(memory.get("p0000").await.unwrap().is_some(), "others are not absent");
    }
    names.sort();
    assert_eq!(names, (0..60).map(named).collect::<Vec<_>>());
    let error = stage.memory().load_segment(4, 4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCondition);
}

/// A memory table over two players and an item that does not fit.
async fn with_a_bad_item(policy: BadItems) -> (Stage<Player>, MemoryTable<Player>) {
    let (stage, _) = stage(2).await;
    store_bad(&stage, "bad").await;
    let memory = stage.builder().bad_items(policy).build().unwrap();
    (stage, memory)
}

#[tokio::test]
async fn items_that_do_not_fit_are_skipped_or_reported_as_the_table_says() {
    for policy in [BadItems::Skip, BadItems::Report] {
        let (stage, memory) = with_a_bad_item(policy).await;
        let reports = [
            memory.load_all().await.unwrap(),
            stage
                .builder()
                .bad_items(policy)
                .build()
                .unwrap()
                .load(stage.table.scan())
                .await
                .unwrap(),
            memory.load_segment(0, 1).await.unwrap(),
            memory.prefetch(["p0000", "bad", "p0001", "nobody"].map(at)).await.unwrap(),
        ];
        for report in reports {
            assert_eq!((report.records, report.skipped), (2, 1));
            assert_eq!(report.bad.len(), usize::from(policy == BadItems::Report));
            let key = |error: &memory_table::Error| error.key().unwrap().to_string();
            assert!(report.bad.iter().all(|error| key(error) == r#"("chess", "bad")"#));
        }
        assert_eq!(memory.records().len(), 2);
    }
    let (stage, memory) = with_a_bad_item(BadItems::Fail).await;
    let skipping = stage.table.query("chess").bad_items(BadItems::Skip);
    assert_eq!(memory.load(skipping).await.unwrap().skipped, 1, "the query's own policy");
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_not_absent_and_never_overwritten() {
    let (stage, memory) = with_a_bad_item(BadItems::Skip).await;
    let error = |result: Result<(), memory_table::Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidItem, "{error}");
        assert_eq!(error.key().unwrap().to_string(), r#"("chess", "bad")"#);
        error.to_string()
    };
    memory.load_all().await.unwrap();
    error(memory.get(at("bad")).await.map(drop));
    error(memory.update(at("bad"), |player| player.rating = 1.0).await.map(drop));
    error(memory.get_or_create(at("bad")).await.map(drop));
    error(memory.get_or_default(at("bad")).await.map(drop));
    error(memory.take(at("bad")).await.map(drop));
    let text = error(memory.put(player("bad", 1.0)).await);
    assert!(text.contains("`discard` the key first to replace it"), "{text}");
    error(memory.delete(at("bad")).await);
    memory.update(at("p0000"), |player| player.rating = 5.0).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let bad = stage.truth.get(at("bad")).await.unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::InvalidItem, "it is as it was");

    assert!(!memory.discard(at("bad")).await.unwrap());
    memory.put(player("bad", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get(at("bad")).await.unwrap().unwrap().rating, 1.0);
}

#[tokio::test]
async fn a_put_is_refused_after_any_read_that_met_an_item_that_does_not_fit() {
    for way in ["get", "prefetch", "load"] {
        let (stage, memory) = with_a_bad_item(BadItems::Fail).await;
        let met = match way {
            "get" => memory.get(at("bad")).await.map(drop),
            "prefetch" => memory.prefetch(["bad", "p0000"].map(at)).await.map(drop),
            _ => memory.load(stage.table.query("chess")).await.map(drop),
        };
        assert_eq!(met.unwrap_err().kind(), ErrorKind::InvalidItem);
        let put = memory.put(player("bad", 1.0)).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::InvalidItem, "{way}");
        // Someone mends it.
        stage.truth.put(&player("bad", 7.0)).await.unwrap();
        assert_eq!(memory.get(at("bad")).await.unwrap().unwrap().rating, 7.0);
        memory.put(player("bad", 8.0)).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
    }
}

#[tokio::test]
async fn what_another_database_finds_is_not_loaded() {
    let (stage, memory) = stage(1).await;
    let (other, _) = super::support::stage(1).await;
    let error = memory.load(other.truth.query("chess")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(stage.reads(), 0);
}

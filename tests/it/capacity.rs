//! Memory tables that keep less in memory than the table has.

use std::collections::HashMap;
use std::time::Duration;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, MemoryTable, MemoryTableBuilder};

use super::support::{Fault, Player, Stage, at, named, player, players, stage};

async fn bounded(
    stored: u16,
    with: impl FnOnce(MemoryTableBuilder<Player>) -> MemoryTableBuilder<Player>,
) -> (Stage<Player>, MemoryTable<Player>) {
    let (stage, _) = stage(stored).await;
    let memory = with(stage.builder()).build().unwrap();
    (stage, memory)
}

#[tokio::test]
async fn no_more_is_kept_than_the_capacity_and_all_can_be_read() {
    let (stage, memory) = bounded(300, |b| b.capacity_records(40)).await;
    let names: Vec<String> = (0..300).map(named).collect();
    let report = memory.prefetch(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!(report.records, 300);
    let stats = memory.stats();
    assert!((1..=20).contains(&stats.cached), "{stats:?}");
    assert_eq!(stats.evicted + stats.cached, 300);
    assert_eq!(stage.faults.count("BatchGetItem"), 3);
    for (number, name) in names.iter().enumerate() {
        let found = memory.get(at(name)).await.unwrap().unwrap();
        assert_eq!(found.rating, f64::from(u16::try_from(number).unwrap()));
        assert!(memory.stats().cached <= 20);
    }
    assert!(memory.get(at("nobody")).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_asked_for_often_stays() {
    let (_stage, memory) = bounded(300, |b| b.capacity_records(40)).await;
    for round in 0..20 {
        memory.get(at("p0007")).await.unwrap().unwrap();
        memory.get(at(&named(100 + round))).await.unwrap().unwrap();
    }
    for number in 0..100 {
        memory.get(at("p0007")).await.unwrap().unwrap();
        memory.get(at(&named(200 + number))).await.unwrap().unwrap();
    }
    let before = memory.stats().misses;
    memory.get(at("p0007")).await.unwrap().unwrap();
    assert_eq!(memory.stats().misses, before);
    assert!(before <= 122, "{before} misses of 121 records");
}

#[tokio::test]
async fn bytes_are_bounded_with_what_a_record_costs_beside_its_item() {
    let (_stage, memory) = bounded(300, |b| b.capacity_bytes(30_000)).await;
    memory.load_all().await.unwrap();
    // An item of 26 or 27 bytes costs 282 or 283; half of the capacity is for unsaved records.
    let cached = memory.stats().cached;
    assert!((45..=53).contains(&cached), "{cached}");
}

#[tokio::test]
async fn what_is_unsaved_is_never_let_go() {
    let (stage, memory) = bounded(200, |b| b.capacity_records(40).flush_at_records(20)).await;
    for number in 0..15 {
        memory.update(at(&named(number)), |player| player.rating += 1000.0).await.unwrap();
    }
    memory.delete(at("p0199")).await.unwrap();
    memory.load_all().await.unwrap();
    for number in 20..190 {
        memory.get(at(&named(number))).await.unwrap().unwrap();
    }
    assert_eq!(memory.unsaved().len(), 16);
    for number in 0..15_u16 {
        let found = memory.get(at(&named(number.into()))).await.unwrap().unwrap();
        assert_eq!(found.rating, f64::from(number) + 1000.0);
    }
    assert!(memory.get(at("p0199")).await.unwrap().is_none());
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (15, 1));
    assert!(memory.stats().cached <= 20, "saved records are let go in their turn");
    assert_eq!(stage.truth.get(at("p0003")).await.unwrap().unwrap().rating, 1003.0);
}

#[tokio::test]
async fn memory_stays_within_the_capacity_while_everything_is_changed() {
    let (stage, memory) = bounded(300, |b| b.capacity_records(40)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..10 {
        let memory = memory.clone();
        tasks.spawn(async move {
            for number in (task..300).step_by(10) {
                let change = |player: &mut Player| player.rating += 1.0;
                memory.update(at(&named(number)), change).await.unwrap();
                let stats = memory.stats();
                // Ten tasks hold one record each while they change it.
                assert!(stats.cached <= 50 && stats.unsaved <= 20, "{stats:?}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    for (number, name) in (0..300_u16).map(|number| (number, named(number.into()))) {
        let found = stage.truth.get_consistent(at(&name)).await.unwrap().unwrap();
        assert_eq!(found.rating, f64::from(number) + 1.0);
    }
}

#[tokio::test]
async fn what_was_let_go_after_load_all_is_not_absent() {
    let (_stage, memory) = bounded(100, |b| b.capacity_records(20)).await;
    assert_eq!(memory.load_all().await.unwrap().records, 100);
    for number in 0..100 {
        assert!(memory.get(at(&named(number))).await.unwrap().is_some(), "{number}");
    }
    let made = memory.get_or_create(at("p0042")).await.unwrap();
    assert_eq!(made.rating, 42.0, "and is not made anew");
}

#[tokio::test]
async fn attributes_unknown_to_the_type_survive_being_let_go() {
    let (stage, memory) = bounded(100, |b| b.capacity_records(4)).await;
    let item = [
        ("game", AttributeValue::S("chess".into())),
        ("name", AttributeValue::S("p0001".into())),
        ("rating", AttributeValue::N("1".into())),
        ("extra", AttributeValue::S("kept".into())),
    ];
    let item: HashMap<String, AttributeValue> =
        item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap()).set_item(Some(item));
    put.send().await.unwrap();
    for _ in 0..5 {
        memory.update(at("p0001"), |player| player.rating += 1.0).await.unwrap();
        memory.load_all().await.unwrap();
        assert!(memory.flush().await.is_ok());
    }
    let key = [("game", "chess"), ("name", "p0001")]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.into())));
    let get = client.get_item().table_name(stage.truth.name().unwrap()).set_key(Some(key.into()));
    let found = get.consistent_read(true).send().await.unwrap().item.unwrap();
    assert_eq!(found["extra"], AttributeValue::S("kept".into()));
    assert_eq!(found["rating"], AttributeValue::N("6".into()));
}

#[tokio::test]
async fn a_scan_under_way_does_not_bring_back_what_was_changed_and_let_go() {
    let (stage, memory) = bounded(40, |b| b.capacity_records(6)).await;
    let gate = stage.faults.hold_next_answer("Scan");
    let scan = tokio::spawn({
        let memory = memory.clone();
        async move { memory.load_all().await }
    });
    gate.reached().await;
    // The page that is held has the old value.
    memory.put(player("p0001", 77.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    for number in 10..40 {
        for _ in 0..5 {
            memory.get(at(&named(number))).await.unwrap().unwrap();
        }
    }
    gate.open();
    assert_eq!(scan.await.unwrap().unwrap().records, 40);
    assert_eq!(memory.get(at("p0001")).await.unwrap().unwrap().rating, 77.0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_change_gets_room_from_a_flush_of_its_own() {
    let stage = Stage::<Player>::embedded().await;
    let memory = stage.builder().capacity_records(4).build().unwrap();
    stage.faults.always("BatchWriteItem", Fault::none().delayed(Duration::from_secs(1)));
    for player in players(50) {
        memory.put(player).await.unwrap();
    }
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    assert_eq!(stage.truth.scan().consistent().count().await.unwrap(), 50);
}

#[tokio::test]
async fn capacities_that_make_no_sense_are_refused() {
    let stage = Stage::<Player>::embedded().await;
    let refused = [
        stage.builder().capacity_records(1).build(),
        stage.builder().capacity_records(10).max_unsaved_records(10).build(),
        stage.builder().capacity_bytes(1_000).max_unsaved_bytes(2_000).build(),
        stage.builder().capacity_bytes(1_000).capacity_records(10).build(),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Configuration);
    }
    assert!(stage.builder().capacity_records(2).build().is_ok());
}

#[tokio::test]
async fn a_key_that_is_missed_often_becomes_one_that_stays() {
    let (_stage, memory) = bounded(300, |b| b.capacity_records(40)).await;
    for number in 0..60 {
        for _ in 0..3 {
            memory.get(at(&named(number))).await.unwrap().unwrap();
        }
    }
    // Asked for alone, again and again, between others.
    for round in 0..30 {
        memory.get(at("p0299")).await.unwrap().unwrap();
        memory.get(at(&named(100 + round))).await.unwrap().unwrap();
    }
    let before = memory.stats().misses;
    for _ in 0..5 {
        memory.get(at("p0299")).await.unwrap().unwrap();
    }
    assert_eq!(memory.stats().misses, before);
}

#[tokio::test]
async fn what_a_bounded_table_wrote_is_not_assumed_absent() {
    let (stage, memory) = bounded(0, |b| b.capacity_records(10).assume_absent()).await;
    for round in 1..=3_u8 {
        for number in 0..50 {
            memory.update(at(&named(number)), |player| player.rating += 1.0).await.unwrap();
        }
        assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
        let stored = stage.truth.get(at("p0000")).await.unwrap().unwrap();
        assert_eq!(stored.rating, f64::from(round));
    }
}

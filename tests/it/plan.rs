//! What a flush or a load would do, and that it then does that.

use std::time::Duration;

use memory_table::{
    ErrorKind, FlushPlan, FlushReport, Guard, MemoryTable, MemoryTableBuilder, Record,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{Fault, Player, Stage, at, named, player, players, stage};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "shops",
    global_index(name = "by-city", partition_key = city),
    global_index(name = "by-owner", partition_key = owner, keys_only),
    local_index(name = "by-size", sort_key = size, include(sold)),
)]
struct Shop {
    #[record(partition_key)]
    country: String,
    #[record(sort_key)]
    id: u32,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    size: u32,
    sold: u32,
    #[serde(default)]
    notes: String,
}

fn shop(id: u32, bytes: usize) -> Shop {
    let (country, city, notes) = ("LV".into(), "Riga".into(), "n".repeat(bytes));
    Shop { country, id, city, owner: None, size: id, sold: 1, notes }
}

/// Plans, flushes, and compares: what is planned is what is done.
async fn flushed<T: Record>(memory: &MemoryTable<T>) -> (FlushPlan, FlushReport) {
    let unsaved = memory.unsaved().len() as u64;
    let requests = memory.stats().write_requests;
    let plan = memory.plan().await;
    assert_eq!(plan, memory.plan().await, "planning changes nothing");
    assert_eq!((plan.unsaved(), memory.stats().write_requests), (unsaved, requests));
    let report = memory.flush().await.unwrap();
    assert_eq!(
        (plan.puts + plan.increments, plan.deletes, plan.unchanged, plan.parked),
        (report.written, report.deleted, report.unchanged, 0)
    );
    assert_eq!((plan.requests, plan.bytes), (report.requests, report.bytes));
    assert_eq!(plan.saved_capacity, report.saved_capacity);
    let charged = report.capacity_by_table.values().next().cloned().unwrap_or_default();
    assert_eq!((plan.capacity.total, &plan.capacity.indexes), (charged.total, &charged.indexes));
    (plan, report)
}

#[tokio::test]
async fn a_flush_does_what_was_planned() {
    let (_stage, memory) = stage(40).await;
    memory.load_all().await.unwrap();
    for player in players(40).take(10) {
        memory.update(at(&player.name), |it| it.rating += 1.0).await.unwrap();
    }
    for player in players(40).skip(10).take(5) {
        memory.delete(at(&player.name)).await.unwrap();
    }
    for player in players(40).skip(20) {
        memory.put(player).await.unwrap();
    }
    memory.put(player("new", 1.0)).await.unwrap();
    let (plan, _) = flushed(&memory).await;
    assert_eq!((plan.puts, plan.deletes, plan.unchanged, plan.increments), (11, 5, 20, 0));
    assert_eq!((plan.requests, plan.capacity.total, plan.saved_capacity), (1, 16.0, 20.0));
    assert_eq!(plan.cost(2.5), 16.0 * 2.5 / 1e6);
    assert_eq!(memory.consumption().saved, 20.0);
    assert_eq!(memory.plan().await, FlushPlan::default());
}

#[tokio::test]
async fn what_indexes_cost_is_planned_too() {
    let stage = Stage::<Shop>::new().await;
    let memory: MemoryTable<Shop> = stage.memory();
    for id in 0..4 {
        memory.put(shop(id, 2_000)).await.unwrap();
    }
    memory.put(Shop { owner: Some("ada".into()), ..shop(4, 100) }).await.unwrap();
    let (plan, _) = flushed(&memory).await;
    assert_eq!(plan.capacity.of_table(), 9.0);
    let indexes: Vec<_> = plan.capacity.indexes.iter().map(|(name, u)| (&**name, *u)).collect();
    assert_eq!(indexes, [("by-city", 9.0), ("by-owner", 1.0), ("by-size", 5.0)]);
}

/// What the documentation says of indexes: the embedded database charges each of them for each write.
#[tokio::test]
async fn an_index_costs_what_changes_in_it() {
    let stage = Stage::<Shop>::new().await;
    let memory: MemoryTable<Shop> = stage.memory();
    for id in 0..6 {
        memory.put(Shop { owner: Some("ada".into()), ..shop(id, 1_500) }).await.unwrap();
    }
    assert_eq!(memory.flush().await.unwrap().written, 6);
    // In `by-city` alone, of which it is a whole copy.
    memory.update_existing(("LV", 0), |it| it.notes = "other".into()).await.unwrap();
    let plan = memory.plan().await;
    let indexes = |plan: &FlushPlan| {
        plan.capacity
            .indexes
            .iter()
            .map(|(name, units)| format!("{name} {units}"))
            .collect::<Vec<_>>()
    };
    assert_eq!((plan.capacity.of_table(), indexes(&plan)), (2.0, vec!["by-city 2".to_owned()]));
    // Two writes where its place changes, one where it comes or goes.
    memory.update_existing(("LV", 0), |it| it.notes = "n".repeat(1_500)).await.unwrap();
    memory
        .update_existing(("LV", 1), |it| (it.owner, it.size) = (Some("bob".into()), 70))
        .await
        .unwrap();
    memory.update_existing(("LV", 2), |it| it.owner = None).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.puts, plan.unchanged, plan.capacity.of_table()), (2, 1, 4.0));
    assert_eq!(indexes(&plan), ["by-city 4", "by-owner 3", "by-size 2"]);
    // A delete takes it from all of them.
    memory.delete(("LV", 3)).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.deletes, plan.capacity.of_table()), (1, 6.0));
    assert_eq!(indexes(&plan), ["by-city 6", "by-owner 4", "by-size 3"]);
}

#[tokio::test]
async fn what_goes_alone_is_planned_as_it_goes() {
    for mode in
        [MemoryTableBuilder::field_wise, |b: MemoryTableBuilder<Player>| b.guarded(Guard::Item)]
    {
        let (stage, _) = stage(30).await;
        let memory = mode(stage.builder()).build().unwrap();
        memory.load_all().await.unwrap();
        for player in players(30).take(7) {
            memory.update(at(&player.name), |it| it.rating += 1.0).await.unwrap();
        }
        for player in players(30).skip(7).take(2) {
            memory.delete(at(&player.name)).await.unwrap();
        }
        memory.update(at("p0020"), |_| ()).await.unwrap();
        let (plan, _) = flushed(&memory).await;
        assert_eq!((plan.puts, plan.deletes, plan.unchanged), (7, 2, 1));
        assert!(plan.requests >= 8, "{plan:?}");
    }
}

#[tokio::test]
async fn increments_are_planned_in_a_request_each_at_twice_the_price() {
    let stage = Stage::<Shop>::new().await;
    let stored = stage.truth.batch_write().puts((0..4).map(|id| shop(id, 10))).await.unwrap();
    assert_eq!(stored.written, 4);
    let memory = stage.builder().field_wise().build().unwrap();
    memory.increment(("LV", 0), Shop::FIELDS.sold, 2).await.unwrap();
    memory.increment(("LV", 1), Shop::FIELDS.sold, 2).await.unwrap();
    memory.increment(("LV", 1), Shop::FIELDS.sold, -2).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.increments, plan.unchanged, plan.requests), (1, 1, 1));
    assert_eq!((plan.capacity.total, plan.saved_capacity), (2.0, 2.0));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged, report.bytes), (1, 1, plan.bytes));
    assert_eq!((report.requests, report.saved_capacity), (1, 2.0));
    // One behind a record that is written.
    memory.load_all().await.unwrap();
    memory.increment(("LV", 2), Shop::FIELDS.sold, 2).await.unwrap();
    memory.update_existing(("LV", 2), |it| it.notes = "new".into()).await.unwrap();
    let plan = memory.plan().await;
    let report = memory.flush().await.unwrap();
    assert_eq!((plan.puts, plan.increments, plan.requests), (1, 0, report.requests));
    assert_eq!((plan.requests, plan.bytes), (2, report.bytes));
}

#[tokio::test]
async fn increments_are_planned_by_what_they_are_added_to() {
    let stage = Stage::<Shop>::new().await;
    let stored = stage.truth.batch_write().puts((0..3).map(|id| shop(id, 10))).await.unwrap();
    assert_eq!(stored.written, 3);
    let memory = stage.builder().field_wise().build().unwrap();
    memory.load_all().await.unwrap();
    // Behind a record that grows: two units a kilobyte of what it is then.
    memory.increment(("LV", 0), Shop::FIELDS.sold, 2).await.unwrap();
    memory.update_existing(("LV", 0), |it| it.notes = "n".repeat(5_000)).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.puts, plan.requests, plan.capacity.of_table()), (1, 2, 5.0 + 10.0));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.requests, report.bytes), (2, plan.bytes));
    // Beside a change that is none.
    memory.increment(("LV", 1), Shop::FIELDS.sold, 2).await.unwrap();
    memory.update_existing(("LV", 1), |_| ()).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.increments, plan.unchanged, plan.requests), (1, 0, 1));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.unchanged, report.requests), (1, 0, 1));
    assert_eq!((report.bytes, report.saved_capacity), (plan.bytes, plan.saved_capacity));
    // A sum of nothing, of an item of five kilobytes.
    memory.refresh(("LV", 0)).await.unwrap();
    memory.increment(("LV", 0), Shop::FIELDS.sold, 2).await.unwrap();
    memory.increment(("LV", 0), Shop::FIELDS.sold, -2).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.unchanged, plan.requests, plan.saved_capacity), (1, 0, 10.0));
    let report = memory.flush().await.unwrap();
    assert_eq!((report.unchanged, report.requests, report.saved_capacity), (1, 0, 10.0));
}

#[tokio::test]
async fn what_is_not_sent_is_planned_as_parked() {
    let (stage, memory) = stage(0).await;
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    let is_poison = |item: &Value| item["name"]["S"] == "p0001";
    stage.faults.always("BatchWriteItem", Fault::poison(is_poison));
    assert_eq!(memory.flush().await.unwrap_err().report().parked.len(), 1);
    memory.put(player("p0005", 1.0)).await.unwrap();
    let plan = memory.plan().await;
    assert_eq!((plan.puts, plan.parked, plan.requests, plan.capacity.total), (1, 1, 1, 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_how_long_it_takes_at_the_present_rate() {
    let stage = Stage::<Player>::embedded().await;
    let memory = MemoryTable::new(stage.table.clone());
    for player in players(100) {
        memory.put(player).await.unwrap();
    }
    assert_eq!(memory.plan().await.time, None, "nothing is known of the table");
    let memory = MemoryTable::new(stage.table.clone().write_capacity(40));
    for player in players(100) {
        memory.put(player).await.unwrap();
    }
    assert_eq!(memory.plan().await.time, Some(Duration::from_millis(2_500)));
}

#[tokio::test]
async fn what_is_in_flight_is_planned_again() {
    let (stage, memory) = stage(0).await;
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    let gate = stage.faults.hold_next("BatchWriteItem");
    let flush = tokio::spawn({
        let memory = memory.clone();
        async move { memory.flush().await }
    });
    gate.reached().await;
    assert_eq!(memory.plan().await.puts, 3);
    gate.open();
    assert_eq!(flush.await.unwrap().unwrap().written, 3);
    assert_eq!(memory.plan().await.unsaved(), 0);
}

#[tokio::test]
async fn a_prefetch_does_what_was_planned() {
    let (stage, memory) = stage(250).await;
    let keys = |count| players(count).map(|player| ("chess", player.name)).collect::<Vec<_>>();
    memory.get(at("p0000")).await.unwrap();
    memory.delete(at("p0001")).await.unwrap();
    let plan = memory.plan_prefetch(keys(250)).await.unwrap();
    let twice = keys(250).into_iter().chain(keys(250));
    assert_eq!(plan, memory.plan_prefetch(twice).await.unwrap());
    assert_eq!((plan.cached, plan.to_read, plan.requests, plan.read_units), (2, 248, 3, 248.0));
    assert_eq!((plan.time, plan.cost(0.5)), (None, 248.0 * 0.5 / 1e6));
    // A key without an item costs a unit too.
    let more = memory.plan_prefetch(keys(400)).await.unwrap();
    assert_eq!((more.cached, more.to_read, more.requests, more.read_units), (2, 398, 4, 398.0));
    let (requests, units) = (memory.stats().read_requests, memory.consumption().reads.total);
    assert_eq!(memory.prefetch(keys(250)).await.unwrap().records, 249, "one is deleted");
    assert_eq!(memory.stats().read_requests - requests, plan.requests);
    assert_eq!(memory.consumption().reads.total - units, plan.read_units);
    assert_eq!(memory.plan_prefetch(keys(250)).await.unwrap().to_read, 0);
    // At half the price, and as large as those that are known.
    let large = |number: usize| Player { text: "x".repeat(9_000), ..player(&named(number), 0.0) };
    let written = stage.truth.batch_write().puts((500..504).map(large)).await.unwrap();
    assert_eq!(written.written, 4);
    let memory = stage.builder().eventually_consistent_loads().build().unwrap();
    memory.get(at("p0500")).await.unwrap();
    let keys = || (500..504).map(|number| ("chess", named(number)));
    let plan = memory.plan_prefetch(keys()).await.unwrap();
    assert_eq!((plan.cached, plan.to_read, plan.read_units), (1, 3, 4.5));
    let size = 9_000 + "gamenameratingtext".len() + "chessp0500".len() + 1;
    assert_eq!(plan.bytes, 3 * size as u64);
    let units = memory.consumption().reads.total;
    assert_eq!(memory.prefetch(keys()).await.unwrap().records, 4);
    assert_eq!(memory.consumption().reads.total - units, 4.5);
}

#[tokio::test(start_paused = true)]
async fn a_load_of_everything_is_planned_by_what_the_service_says() {
    let stage = Stage::<Player>::embedded().await;
    let large = |number: usize| Player { text: "x".repeat(9_000), ..player(&named(number), 0.0) };
    let written = stage.truth.batch_write().puts((0..300).map(large)).await.unwrap();
    assert_eq!(written.written, 300);
    let memory = stage.builder().read_capacity(100).build().unwrap();
    memory.get(at("p0000")).await.unwrap();
    let plan = memory.plan_load_all().await.unwrap();
    let bytes = 300 * (9_000 + "gamenameratingtext".len() + "chessp0500".len()) as u64 + 300;
    assert_eq!((plan.cached, plan.to_read), (1, 300));
    assert!(plan.bytes.abs_diff(bytes) <= 300, "{plan:?}");
    assert_eq!(
        (plan.requests, plan.read_units),
        (4, f64::from(u32::try_from(plan.bytes.div_ceil(4096)).unwrap()))
    );
    assert_eq!(plan.time, Some(Duration::from_secs_f64(plan.read_units / 100.0)));
    let units = memory.consumption().reads.total;
    assert_eq!(memory.load_all().await.unwrap().records, 300);
    let units = memory.consumption().reads.total - units;
    assert!((plan.read_units..plan.read_units + 4.0).contains(&units), "{units}: {plan:?}");
}

#[tokio::test]
async fn a_prefetch_is_planned_where_the_table_may_not_be_described() {
    let (stage, memory) = stage(0).await;
    stage.faults.always("DescribeTable", Fault::access_denied());
    let plan = memory.plan_prefetch([at("ada"), at("bob")]).await.unwrap();
    assert_eq!((plan.to_read, plan.bytes, plan.read_units), (2, 0, 2.0));
    assert_eq!(memory.plan_load_all().await.unwrap_err().kind(), ErrorKind::AccessDenied);
    let error = memory.plan_prefetch([("chess", "")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}

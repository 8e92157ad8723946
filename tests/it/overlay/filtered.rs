//! Filters of reads through a memory table: they hold for what is stored or, where that is unsaved, for
//! what is to be.

use std::sync::Arc;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{BadItems, Condition, MemoryTable, Record, attribute};
use serde::{Deserialize, Serialize};

use crate::support::Stage;

/// What lies on a shelf.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "goods", global_index(name = "by-maker", partition_key = maker, sort_key = place))]
struct Good {
    #[record(partition_key)]
    shelf: String,
    #[record(sort_key)]
    place: i64,
    maker: String,
    #[serde(default)]
    count: i64,
}

fn good(place: i64, count: i64) -> Good {
    Good { shelf: "a".into(), place, maker: "m".into(), count }
}

fn places(goods: &[Arc<Good>]) -> Vec<i64> {
    goods.iter().map(|good| good.place).collect()
}

/// Stores an item as another program would.
async fn store(stage: &Stage<Good>, place: i64, more: &[(&str, AttributeValue)]) {
    let client = stage.truth.database().client();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("shelf", AttributeValue::S("a".into()));
    let put = put.item("place", AttributeValue::N(place.to_string()));
    let put = put.item("maker", AttributeValue::S("m".into()));
    let put = more.iter().fold(put, |put, (name, value)| put.item(*name, value.clone()));
    put.send().await.unwrap();
}

/// What each way to read the table finds.
async fn found(memory: &MemoryTable<Good>, filter: impl Fn() -> Condition) -> [Vec<i64>; 4] {
    let index = memory.index(Good::INDEXES.by_maker);
    let mut scanned = places(&memory.scan().filter(filter()).all().await.unwrap());
    let mut of_index = places(&index.scan().filter(filter()).all().await.unwrap());
    scanned.sort_unstable();
    of_index.sort_unstable();
    [
        places(&memory.query("a").filter(filter()).all().await.unwrap()),
        scanned,
        places(&index.query("m").filter(filter()).all().await.unwrap()),
        of_index,
    ]
}

#[tokio::test]
async fn a_filter_leaves_out_what_does_not_fit_the_type() {
    let stage = Stage::<Good>::new().await;
    let foreign = [
        ("count", AttributeValue::S("many".into())),
        ("kind", AttributeValue::S("foreign".into())),
    ];
    store(&stage, 1, &foreign).await;
    stage.truth.put(&good(2, 2)).await.unwrap();
    let memory = stage.memory();
    let ours = || attribute("kind").not_exists();
    assert_eq!(found(&memory, ours).await, [[2]; 4]);
    memory.put(good(3, 3)).await.unwrap();
    assert_eq!(found(&memory, ours).await, [[2, 3]; 4], "with something unsaved");
    assert_eq!(memory.scan().filter(ours()).count().await.unwrap(), 2);
    let scan = memory.scan().filter(ours()).bad_items(BadItems::Skip).limit(2);
    assert_eq!(scan.all().await.unwrap().len(), 2);
    // Who asks for it hears of it.
    memory.scan().filter(!ours()).all().await.unwrap_err();
    memory.index(Good::INDEXES.by_maker).query("m").filter(!ours()).all().await.unwrap_err();
}

#[tokio::test]
async fn a_filter_holds_for_what_is_stored_and_not_for_what_the_type_adds() {
    let stage = Stage::<Good>::new().await;
    store(&stage, 1, &[]).await;
    store(&stage, 2, &[("count", AttributeValue::N("0".into()))]).await;
    let memory = stage.memory();
    let lacks = || Good::FIELDS.count.not_exists();
    for read in ["unknown", "known"] {
        assert_eq!(found(&memory, lacks).await, [[1]; 4], "{read}");
    }
    memory.put(good(3, 3)).await.unwrap();
    assert_eq!(found(&memory, lacks).await, [[1]; 4], "with something unsaved");
    assert_eq!(found(&memory, || Good::FIELDS.count.lt(1)).await, [[2]; 4]);
    // Once it is changed, it is to be stored with all that the type writes.
    memory.update_existing(("a", 1), |good| good.count = 7).await.unwrap();
    assert_eq!(found(&memory, lacks).await, [[0; 0]; 4]);
    assert_eq!(memory.flush().await.unwrap().written, 2);
    assert_eq!(found(&memory, lacks).await, [[0; 0]; 4]);
}

#[tokio::test]
async fn a_filter_on_what_the_type_does_not_know_holds_beyond_the_capacity() {
    let stage = Stage::<Good>::new().await;
    for place in 1..=6 {
        let extra = [("extra", AttributeValue::Bool(true))];
        store(&stage, place, if place % 2 == 0 { &extra } else { &[] }).await;
    }
    let memory = stage.builder().capacity_records(2).max_unsaved_records(1).build().unwrap();
    let has = || attribute("extra").exists();
    for unsaved in [false, true] {
        assert_eq!(found(&memory, has).await, [[2, 4, 6]; 4]);
        let without = found(&memory, || !has()).await;
        let expected: &[i64] = if unsaved { &[1, 3, 5, 9] } else { &[1, 3, 5] };
        assert_eq!(without, [expected; 4]);
        memory.put(good(9, 9)).await.unwrap();
    }
}

/// A count is added to an item that others gave something more.
#[tokio::test]
async fn a_filter_holds_for_an_item_with_increments() {
    let stage = Stage::<Good>::new().await;
    store(&stage, 1, &[("extra", AttributeValue::Bool(true))]).await;
    let memory = stage.memory();
    memory.increment(("a", 1), Good::FIELDS.count, 2).await.unwrap();
    let both = || attribute("extra").exists() & Good::FIELDS.count.eq(2);
    assert_eq!(found(&memory, both).await, [[1]; 4]);
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(found(&memory, both).await, [[1]; 4]);
}

/// What is saved field by field has not what the type adds, and is not read anew for that.
#[tokio::test]
async fn a_filter_holds_for_what_a_field_wise_save_left_out() {
    let stage = Stage::<Good>::new().await;
    store(&stage, 1, &[]).await;
    let memory = stage.builder().field_wise().build().unwrap();
    memory.get(("a", 1)).await.unwrap().unwrap();
    let lacks = || Good::FIELDS.count.not_exists();
    for maker in ["n", "m"] {
        memory.update_existing(("a", 1), |good| good.maker = maker.into()).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1);
    }
    assert_eq!(memory.stats().items_read, 1);
    assert_eq!(found(&memory, lacks).await, [[1]; 4]);
    assert_eq!(found(&memory, || !lacks()).await, [[0; 0]; 4]);
    memory.update_existing(("a", 1), |good| good.count = 3).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(found(&memory, lacks).await, [[0; 0]; 4]);
    assert_eq!(stage.truth.get(("a", 1)).await.unwrap(), Some(good(1, 3)));
}

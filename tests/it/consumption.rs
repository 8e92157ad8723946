//! What the service charges, by table and index.

use memory_table::{ConsumedCapacity, MemoryTable, Record, flush_all};
use serde::{Deserialize, Serialize};

use crate::support::{Stage, Team, quick_builder};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "stores",
    global_index(name = "by-city", partition_key = city),
    local_index(name = "by-size", sort_key = size, keys_only),
)]
struct Store {
    #[record(partition_key)]
    country: String,
    #[record(sort_key)]
    id: u32,
    city: String,
    size: u32,
    #[serde(default)]
    notes: String,
}

fn store(id: u32, bytes: usize) -> Store {
    let notes = "n".repeat(bytes);
    Store { country: "LV".into(), id, city: "Riga".into(), size: id, notes }
}

fn indexes(units: &ConsumedCapacity) -> Vec<(&str, f64)> {
    units.indexes.iter().map(|(name, units)| (name.as_str(), *units)).collect()
}

#[tokio::test]
async fn a_flush_says_what_its_tables_and_their_indexes_were_charged() {
    let stage = Stage::<Store>::new().await;
    let teams = stage.truth.database().table::<Team>();
    teams.create_if_missing().await.unwrap();
    let scripted = stage.table.database().table::<Team>();
    let (stores, teams): (MemoryTable<Store>, MemoryTable<Team>) =
        (stage.memory(), quick_builder(scripted).build().unwrap());
    for id in 0..3 {
        stores.put(store(id, 1500)).await.unwrap();
    }
    teams.put(Team { team: "red".into(), points: 1 }).await.unwrap();
    let report = flush_all(&[&stores, &teams]).await.unwrap();
    let name = stage.truth.name().unwrap();
    let units = &report.capacity_by_table[name];
    assert_eq!((units.total, units.of_table()), (15.0, 6.0));
    assert_eq!(indexes(units), [("by-city", 6.0), ("by-size", 3.0)]);
    let of_teams = &report.capacity_by_table[teams.table().name().unwrap()];
    assert_eq!((of_teams.total, indexes(of_teams)), (1.0, vec![]));
    assert_eq!((report.capacity_by_table.len(), report.consumed_capacity), (2, 16.0));
    assert_eq!(stores.consumption().writes, *units);
    assert_eq!(stores.consumption().reads, ConsumedCapacity::default());
}

#[tokio::test]
async fn reads_and_single_writes_are_counted_too() {
    let stage = Stage::<Store>::new().await;
    let spent = || stage.table.consumption();
    stage.table.put(&store(1, 100)).await.unwrap();
    assert_eq!((spent().writes.total, spent().reads.total), (3.0, 0.0));
    assert_eq!(indexes(&spent().writes), [("by-city", 1.0), ("by-size", 1.0)]);
    stage.table.get(("LV", 1)).await.unwrap();
    assert_eq!(spent().reads.total, 0.5);
    stage.table.get_consistent(("LV", 1)).await.unwrap();
    assert_eq!(spent().reads.total, 1.5);
    stage.table.batch_get([("LV", 1)]).await.unwrap();
    assert_eq!(spent().reads.total, 2.0);
    stage.table.index(Store::INDEXES.by_city).query("Riga").all().await.unwrap();
    assert_eq!((spent().reads.total, indexes(&spent().reads)), (2.5, vec![("by-city", 0.5)]));
    stage.table.scan().all().await.unwrap();
    assert_eq!(spent().reads.total, 3.0);
    stage.table.update(("LV", 1)).set(Store::FIELDS.size, 7).await.unwrap();
    assert!(spent().writes.total > 4.0);
    let before = spent().writes.total;
    stage.table.delete(("LV", 1)).await.unwrap();
    assert_eq!(spent().writes.total, before + 3.0);
    stage.truth.put(&store(2, 100)).await.unwrap();
    let memory: MemoryTable<Store> = stage.memory();
    assert_eq!(memory.consumption().writes.total, 0.0, "counted from its making on");
    memory.load_all().await.unwrap();
    assert!(memory.consumption().reads.total > 0.0);
}

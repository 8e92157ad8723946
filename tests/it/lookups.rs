//! What a record is looked up by, as users write it; that other things do not compile is tested in
//! `crates/compile-fail`.

use std::borrow::Cow;
use std::sync::Arc;

use memory_table::{Binary, Database, KeyAttribute, MemoryTable, Record, Table};
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
}

#[derive(KeyAttribute, Serialize, Deserialize, Clone)]
struct PlayerId(u64);

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "scores")]
struct Score {
    #[record(partition_key)]
    player: PlayerId,
    #[record(sort_key)]
    game: String,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "rounds")]
struct Round {
    #[record(partition_key)]
    number: u64,
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "files")]
struct File {
    #[record(partition_key)]
    hash: Binary,
    #[record(sort_key)]
    part: i32,
}

/// A table of one record.
async fn table_of<T: Record>(record: T) -> Table<T> {
    let table = Database::embedded().unwrap().table::<T>();
    table.create_if_missing().await.unwrap();
    table.put(&record).await.unwrap();
    table
}

#[tokio::test]
async fn a_text_key_is_found_by_every_kind_of_text() {
    let teams = table_of(Team { name: "ada".into() }).await;
    let (owned, borrowed): (String, &str) = ("ada".into(), "ada");
    assert!(teams.get("ada").await.unwrap().is_some());
    assert!(teams.get(&owned).await.unwrap().is_some());
    assert!(teams.get(&borrowed).await.unwrap().is_some());
    assert!(teams.get(owned.as_str()).await.unwrap().is_some());
    assert!(teams.get(Cow::Borrowed("ada")).await.unwrap().is_some());
    assert!(teams.get(Arc::<str>::from("ada")).await.unwrap().is_some());
    assert_eq!(teams.batch_get(["ada", "bob"]).await.unwrap().len(), 1);
    assert_eq!(teams.batch_get(&["ada".to_owned(), "bob".to_owned()]).await.unwrap().len(), 1);
    assert_eq!(teams.batch_get(["ada", "bob"].iter()).await.unwrap().len(), 1);
    assert!(teams.get(owned).await.unwrap().is_some());
}

#[tokio::test]
async fn a_composite_key_is_found_by_tuples_and_references_to_them() {
    let score = Score { player: PlayerId(7), game: "chess".into() };
    let scores = table_of(score.clone()).await;
    let (id, key) = (PlayerId(7), (PlayerId(7), "chess"));
    assert!(scores.get((PlayerId(7), "chess")).await.unwrap().is_some());
    assert!(scores.get((&id, "chess")).await.unwrap().is_some());
    assert!(scores.get((&score.player, &score.game)).await.unwrap().is_some());
    assert!(scores.get(&(PlayerId(7), String::from("chess"))).await.unwrap().is_some());
    assert!(scores.get(&key).await.unwrap().is_some());
    assert_eq!(scores.batch_get([&key]).await.unwrap().len(), 1);
    assert!(scores.get(key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_number_key_is_found_by_literals_and_references() {
    let rounds = table_of(Round { number: 7 }).await;
    let number = 7_u64;
    assert!(rounds.get(7).await.unwrap().is_some());
    assert!(rounds.get(&number).await.unwrap().is_some());
    assert!(rounds.get(u64::from(7_u32)).await.unwrap().is_some());
    assert_eq!(rounds.batch_get(1..=9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn bytes_and_negative_literals_are_keys_too() {
    let hash = Binary::from(vec![0xca, 0xfe]);
    let files = table_of(File { hash: hash.clone(), part: -1 }).await;
    assert!(files.get((&hash, -1)).await.unwrap().is_some());
    assert!(files.get((hash, -1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_memory_table_takes_the_same_keys() {
    let teams = MemoryTable::new(table_of(Team { name: "ada".into() }).await);
    let (owned, borrowed): (String, &str) = ("ada".into(), "ada");
    teams.prefetch([&owned]).await.unwrap();
    assert!(teams.get("ada").await.unwrap().is_some());
    assert!(teams.get(&owned).await.unwrap().is_some());
    assert!(teams.contains(&borrowed).await.unwrap());
    teams.update(&owned, |_| ()).await.unwrap();
    teams.update_existing(&owned, |_| ()).await.unwrap();
    assert_eq!(teams.get_or_default(owned.as_str()).await.unwrap().name, "ada");
    assert_eq!(teams.get_or_create(owned).await.unwrap().name, "ada");
    assert_eq!(teams.stats().read_requests, 1);
}

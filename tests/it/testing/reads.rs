//! Faults of reads: keys left unprocessed, short pages, answers that lag behind.

use std::collections::BTreeMap;

use memory_table::aws_sdk_dynamodb::error::ProvideErrorMetadata;
use memory_table::aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use memory_table::testing::Fault;

use super::{Item, Raw, item, key};
use crate::support::{at, named};

const NAMES: [&str; 4] = ["changed", "deleted", "new", "old"];

/// Names with their ratings.
type Found = BTreeMap<String, u32>;

fn found(items: impl IntoIterator<Item = Item>) -> Found {
    let read = |item: Item| {
        (item["name"].as_s().unwrap().clone(), item["rating"].as_n().unwrap().parse().unwrap())
    };
    items.into_iter().map(read).collect()
}

fn ratings<const N: usize>(ratings: [(&str, u32); N]) -> Found {
    ratings.into_iter().map(|(name, rating)| (name.to_owned(), rating)).collect()
}

impl Raw {
    async fn get(&self, consistent: bool) -> Found {
        let mut items = Vec::new();
        for name in NAMES {
            let call = self.client.get_item().table_name(&self.table).set_key(Some(key(name)));
            items.extend(call.consistent_read(consistent).send().await.unwrap().item);
        }
        found(items)
    }

    async fn batch_get(&self, consistent: bool) -> Found {
        let keys = Some(NAMES.map(key).into());
        let asked = KeysAndAttributes::builder().set_keys(keys).consistent_read(consistent);
        let call = self.client.batch_get_item().request_items(&self.table, asked.build().unwrap());
        found(call.send().await.unwrap().responses.unwrap().remove(&self.table).unwrap())
    }

    async fn scan(&self, consistent: bool) -> Found {
        let call = self.client.scan().table_name(&self.table).consistent_read(consistent);
        found(call.send().await.unwrap().items.unwrap())
    }

    async fn query(&self, consistent: bool) -> Found {
        let call = self.client.query().table_name(&self.table).consistent_read(consistent);
        let call = call.key_condition_expression("game = :game");
        let call = call.expression_attribute_values(":game", AttributeValue::S("chess".into()));
        let answer = call.send().await.unwrap();
        assert_eq!(usize::try_from(answer.count).unwrap(), answer.items().len());
        found(answer.items.unwrap())
    }
}

/// Everything is written once, and then one is changed, one deleted, one made.
async fn written() -> Raw {
    let raw = Raw::new().await;
    raw.stage.faults.keep_history();
    for name in ["changed", "deleted", "old"] {
        raw.put(name, 1).await.unwrap();
    }
    raw.stage.truth.delete(at("old")).await.unwrap();
    raw.stage.truth.put(&crate::support::player("old", 7.0)).await.unwrap();
    raw.put("changed", 2).await.unwrap();
    raw.put("new", 2).await.unwrap();
    let delete = raw.client.delete_item().table_name(&raw.table);
    delete.set_key(Some(key("deleted"))).send().await.unwrap();
    for operation in ["GetItem", "BatchGetItem", "Scan", "Query"] {
        raw.stage.faults.always(operation, Fault::stale());
    }
    raw
}

#[tokio::test]
async fn eventually_consistent_reads_lag_behind() {
    let raw = written().await;
    // What was written once only was not there before.
    let before = ratings([("changed", 1), ("deleted", 1)]);
    assert_eq!(raw.get(false).await, before);
    assert_eq!(raw.batch_get(false).await, before);
    // Pages cannot bring back what is deleted.
    let page = ratings([("changed", 1)]);
    assert_eq!(raw.scan(false).await, page);
    assert_eq!(raw.query(false).await, page);
}

#[tokio::test]
async fn consistent_reads_do_not_lag_behind() {
    let raw = written().await;
    let now = ratings([("changed", 2), ("new", 2), ("old", 7)]);
    assert_eq!(raw.get(true).await, now);
    assert_eq!(raw.batch_get(true).await, now);
    assert_eq!(raw.scan(true).await, now);
    assert_eq!(raw.query(true).await, now);
    raw.stage.faults.heal();
    assert_eq!(raw.get(false).await, now);
}

#[tokio::test]
async fn a_read_lags_behind_by_as_many_writes_as_said() {
    let raw = Raw::new().await;
    raw.stage.faults.always("GetItem", Fault::stale_by(2));
    for rating in 1..=3 {
        raw.put("old", rating).await.unwrap();
    }
    raw.next("PutItem", Fault::throttled());
    raw.put("old", 4).await.unwrap_err();
    // The service itself refuses this one.
    let again = raw.client.put_item().table_name(&raw.table).set_item(Some(item("old", 5)));
    let again = again.condition_expression("attribute_not_exists(game)").send().await;
    assert_eq!(again.unwrap_err().code(), Some("ConditionalCheckFailedException"));
    assert_eq!(raw.get(false).await, ratings([("old", 1)]), "what failed is no write");
    raw.stage.faults.always("GetItem", Fault::stale_by(1));
    assert_eq!(raw.get(false).await, ratings([("old", 2)]));
    raw.stage.faults.always("GetItem", Fault::stale_by(9));
    assert_eq!(raw.get(false).await, ratings([]));
}

#[tokio::test]
async fn writes_of_batches_are_remembered_but_not_what_was_left_unprocessed() {
    let raw = Raw::new().await;
    raw.stage.faults.keep_history();
    raw.batch(2).await;
    raw.next("BatchWriteItem", Fault::half_unprocessed());
    raw.batch(2).await;
    raw.stage.faults.always("Scan", Fault::stale());
    assert_eq!(raw.scan(false).await, ratings([("p0000", 1)]));
}

#[tokio::test]
async fn keys_are_left_unprocessed() {
    let raw = Raw::new().await;
    raw.batch(4).await;
    raw.next("BatchGetItem", Fault::half_unprocessed());
    let keys = Some((0..4).map(|number| key(&named(number))).collect());
    let asked = KeysAndAttributes::builder().set_keys(keys).consistent_read(true).build().unwrap();
    let call = raw.client.batch_get_item().request_items(&raw.table, asked);
    let answer = call.send().await.unwrap();
    let got = answer.responses.unwrap().remove(&raw.table).unwrap();
    assert_eq!(found(got), ratings([("p0000", 1), ("p0002", 1)]));
    let left = &answer.unprocessed_keys.unwrap()[&raw.table];
    assert_eq!(left.keys(), [key("p0001"), key("p0003")]);
    assert_eq!(left.consistent_read(), Some(true));
}

#[tokio::test]
async fn pages_of_scan_and_query_end_early() {
    let raw = Raw::new().await;
    raw.batch(10).await;
    raw.next("Scan", Fault::short_page(3));
    raw.next("Query", Fault::short_page(4));
    assert_eq!((raw.scan(true).await.len(), raw.query(true).await.len()), (3, 4));
    raw.next("Scan", Fault::short_page(3));
    let scan = raw.client.scan().table_name(&raw.table).limit(2).send().await.unwrap();
    assert_eq!(scan.count, 2, "a page is never longer than was asked for");
    assert!(scan.last_evaluated_key.is_some());
    assert_eq!((raw.scan(true).await.len(), raw.query(true).await.len()), (10, 10));
}

//! A simulated table with capacity: what it admits, and when.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::retry::RetryConfig;
use memory_table::aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use memory_table::testing::{Faults, TableCapacity};
use memory_table::{Database, ErrorKind, Record, Table};
use serde::{Deserialize, Serialize};
use tokio::time::advance;

use crate::support::{Stage, Team};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "stores", global_index(name = "by-city", partition_key = city))]
struct Store {
    #[record(partition_key)]
    country: String,
    #[record(sort_key)]
    id: u32,
    city: String,
}

fn store(country: &str, id: u32) -> Store {
    Store { country: country.into(), id, city: "Riga".into() }
}

/// A client that sends each request once, a table of teams with this capacity, and its name.
async fn teams(capacity: &TableCapacity) -> (Stage<Team>, Client, String) {
    let stage = Stage::<Team>::embedded().await;
    let name = stage.table.name().unwrap().to_owned();
    stage.faults.limit(&name, capacity);
    let config = stage.table.database().client().config().to_builder();
    let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
    (stage, client, name)
}

fn put(number: usize, bytes: usize) -> WriteRequest {
    // `team` and `points` are 10 bytes, the team 8 and the points 2 of them.
    let notes = "n".repeat(bytes.saturating_sub(25));
    let put = PutRequest::builder()
        .item("team", AttributeValue::S(format!("{number:08}")))
        .item("points", AttributeValue::N("1".into()))
        .item("notes", AttributeValue::S(notes));
    WriteRequest::builder().put_request(put.build().unwrap()).build()
}

/// How many of a batch are left; `None` if the request is throttled.
async fn batch(client: &Client, table: &str, puts: Vec<WriteRequest>) -> Option<usize> {
    let sent = client.batch_write_item().request_items(table, puts).send().await;
    match sent {
        Ok(output) => {
            Some(output.unprocessed_items.unwrap_or_default().values().map(Vec::len).sum())
        }
        Err(error) => {
            let error = error.into_service_error();
            assert!(error.is_provisioned_throughput_exceeded_exception(), "{error:?}");
            None
        }
    }
}

/// The rule itself: how many are admitted of items of a cost, by what is left, and what is left then.
fn admitted(items: usize, cost: f64, mut balance: f64) -> (usize, f64) {
    let mut admitted = 0;
    while admitted < items && balance > 0.0 {
        balance -= cost;
        admitted += 1;
    }
    (admitted, balance)
}

#[tokio::test(start_paused = true)]
async fn items_are_admitted_while_something_is_left_at_every_rate_and_size() {
    for rate in [1_u32, 10, 1000] {
        for bytes in [100_usize, 1024, 1500, 4096, 100_000, 400_000] {
            let capacity = TableCapacity::provisioned(1, rate.into()).burst(SECOND);
            let capacity = capacity.per_partition_key(3000, 40_000);
            let (_stage, client, table) = teams(&capacity).await;
            let cost = f64::from(u32::try_from(bytes.div_ceil(1024)).unwrap());
            let (mut balance, mut number, mut items) = (f64::from(rate), 0, 0_usize);
            for _ in 0..6 {
                let puts: Vec<_> = (number..number + 25).map(|number| put(number, bytes)).collect();
                number += 25;
                let (expected, left) = admitted(25, cost, balance);
                let met = batch(&client, &table, puts).await;
                let case = format!("{rate} units a second, {bytes} bytes");
                assert_eq!(met, (expected > 0).then_some(25 - expected), "{case}");
                items += expected;
                advance(SECOND).await;
                balance = (left + f64::from(rate)).min(f64::from(rate));
            }
            let met = capacity.met();
            assert_eq!((met.requests, met.items, met.admitted), (6, 150, items as u64));
            assert_eq!(met.write_units, cost * f64::from(u32::try_from(items).unwrap()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_is_kept_for_the_time_of_the_burst() {
    let capacity = TableCapacity::provisioned(1, 5).burst(SECOND * 4);
    let (_stage, client, table) = teams(&capacity).await;
    let puts = |from: usize| (from..from + 25).map(|number| put(number, 100)).collect::<Vec<_>>();
    assert_eq!(batch(&client, &table, puts(0)).await, Some(5), "twenty are there at first");
    assert_eq!(batch(&client, &table, puts(25)).await, None);
    advance(SECOND * 2).await;
    assert_eq!(batch(&client, &table, puts(50)).await, Some(15));
    advance(SECOND * 60).await;
    assert_eq!(batch(&client, &table, puts(75)).await, Some(5), "no more than the burst");
    assert_eq!(capacity.met().throttled, 1);
    capacity.set(1, 10);
    advance(SECOND).await;
    assert_eq!(batch(&client, &table, puts(100)).await, Some(15));
}

/// The table by a database that knows nothing of its pace, and takes the first failure for final.
fn unpaced(stage: &Stage<Store>) -> Table<Store> {
    let client = stage.table.database().client().clone();
    Database::from_client(client).with_patience(Duration::ZERO).table()
}

#[tokio::test(start_paused = true)]
async fn a_throttle_says_whether_it_is_of_the_table_an_index_or_a_key() {
    let reason = |capacity: TableCapacity| async move {
        let stage = Stage::<Store>::embedded().await;
        stage.faults.limit(stage.table.name().unwrap(), &capacity);
        let table = || unpaced(&stage);
        table().put(&store("LV", 1)).await.unwrap();
        let error = table().put(&store("LV", 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled);
        let other = table().put(&store("EE", 1)).await.is_ok();
        (error.throttling_reasons()[0].to_string(), other)
    };
    let of_table = reason(TableCapacity::provisioned(1, 1).burst(SECOND)).await;
    let expected = "TableWriteProvisionedThroughputExceeded of table `stores`";
    assert_eq!(of_table, (expected.to_owned(), false));
    let of_index = reason(TableCapacity::provisioned(1, 100).burst(SECOND).index("by-city", 1, 1));
    let expected = "IndexWriteProvisionedThroughputExceeded of index `by-city` of table `stores`";
    assert_eq!(of_index.await, (expected.to_owned(), false));
    let of_key = reason(TableCapacity::provisioned(1, 100).burst(SECOND).per_partition_key(1, 1));
    let expected = "TableWriteKeyRangeThroughputExceeded of table `stores`";
    assert_eq!(of_key.await, (expected.to_owned(), true), "other keys are written");
}

#[tokio::test(start_paused = true)]
async fn reads_have_a_capacity_of_their_own() {
    let capacity = TableCapacity::provisioned(2, 1000).burst(SECOND);
    let stage = Stage::<Store>::embedded().await;
    for id in 0..3 {
        stage.truth.put(&store("LV", id)).await.unwrap();
    }
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let table = || unpaced(&stage);
    table().get_consistent(("LV", 1)).await.unwrap();
    table().query("LV").all().await.unwrap();
    table().scan().all().await.unwrap();
    assert_eq!(capacity.met().read_units, 2.0);
    for error in [
        table().get(("LV", 1)).await.unwrap_err(),
        table().query("LV").all().await.unwrap_err(),
        table().batch_get([("LV", 1)]).await.unwrap_err(),
    ] {
        let reason = error.throttling_reasons()[0].reason.as_str();
        assert_eq!(reason, "TableReadProvisionedThroughputExceeded");
    }
    advance(SECOND).await;
    let found = table().batch_get([("LV", 1), ("LV", 2), ("LV", 3)]).await.unwrap();
    assert_eq!((found.len(), found.absent.len()), (2, 1));
    assert_eq!((capacity.met().throttled, capacity.met().write_units), (3, 0.0));
}

#[tokio::test(start_paused = true)]
async fn an_index_is_read_by_its_own_capacity_alone() {
    let capacity = TableCapacity::provisioned(1, 1).burst(SECOND).index("by-city", 1, 1);
    let stage = Stage::<Store>::embedded().await;
    stage.truth.put(&store("LV", 1)).await.unwrap();
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let of_index =
        || async { unpaced(&stage).index(Store::INDEXES.by_city).query("Riga").all().await };
    let of_table = || async { unpaced(&stage).get_consistent(("LV", 1)).await };
    for _ in 0..2 {
        assert!(of_index().await.is_ok(), "it costs a half");
    }
    assert!(of_table().await.is_ok());
    let reasons = [of_index().await.map(drop), of_table().await.map(drop)]
        .map(|read| read.unwrap_err().throttling_reasons()[0].reason.clone());
    let expected = ["Index", "Table"].map(|of| format!("{of}ReadProvisionedThroughputExceeded"));
    assert_eq!(reasons, expected);
}

#[tokio::test(start_paused = true)]
async fn several_databases_share_a_capacity() {
    let capacity = TableCapacity::provisioned(1, 10).burst(SECOND);
    let (stage, client, table) = teams(&capacity).await;
    let (other, faults) = Faults::around(stage.truth.database());
    faults.limit(&table, &capacity.clone());
    let puts = |from: usize| (from..from + 8).map(|number| put(number, 100)).collect::<Vec<_>>();
    assert_eq!(batch(&client, &table, puts(0)).await, Some(0));
    assert_eq!(batch(other.client(), &table, puts(8)).await, Some(6));
    assert_eq!(capacity.met().admitted, 10);
}

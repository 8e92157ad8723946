//! Batches with plain exponential backoff, as a good engineer writes them in an afternoon: 16 requests in
//! flight, what is unprocessed or throttled sent again after a random wait of up to 50 ms, doubled each time
//! up to 20 s.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::retry::RetryConfig;
use memory_table::aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::Reading;

const TABLE: &str = "readings";
const IN_FLIGHT: usize = 16;
const BASE: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(20);

/// Puts all of them.
pub async fn write(client: &Client, readings: impl Iterator<Item = Reading>) {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let client = Client::from_conf(config);
    let mut puts = readings.map(put).collect::<Vec<_>>().into_iter();
    let batches: Vec<Vec<WriteRequest>> =
        std::iter::from_fn(|| Some(puts.by_ref().take(25).collect()))
            .take_while(|batch: &Vec<_>| !batch.is_empty())
            .collect();
    let batches = Mutex::new(batches.into_iter());
    let next = || batches.lock().next();
    let worker = || async {
        while let Some(batch) = next() {
            write_batch(&client, batch).await;
        }
    };
    futures::future::join_all((0..IN_FLIGHT).map(|_| worker())).await;
}

async fn write_batch(client: &Client, mut left: Vec<WriteRequest>) {
    let mut wait = BASE;
    loop {
        let request = client.batch_write_item().request_items(TABLE, left.clone());
        if let Ok(answer) = request.send().await {
            let unprocessed = answer.unprocessed_items.unwrap_or_default();
            left = unprocessed.into_values().flatten().collect();
        }
        if left.is_empty() {
            return;
        }
        sleep(wait.mul_f64(fastrand::f64())).await;
        wait = (wait * 2).min(MOST);
    }
}

fn put(reading: Reading) -> WriteRequest {
    let put = PutRequest::builder()
        .item("sensor", AttributeValue::S(reading.sensor))
        .item("notes", AttributeValue::S(reading.notes))
        .build();
    WriteRequest::builder().put_request(put.expect("it has an item")).build()
}

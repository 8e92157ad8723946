//! Through the real SDK client: where the engine runs, and what it keeps.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{
    AsyncSleep, BehaviorVersion, Config, Credentials, Region, SharedAsyncSleep, Sleep,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};

use super::Engine;

mod every_operation;
mod every_refusal;
mod files;

fn config(engine: &Engine) -> aws_sdk_dynamodb::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .http_client(engine.http_client())
}

fn client(engine: &Engine) -> Client {
    Client::from_conf(config(engine).build())
}

/// The SDK's own timers need Tokio, unless they get another source of sleep.
fn client_without_tokio(engine: &Engine) -> Client {
    #[derive(Debug)]
    struct Never;
    impl AsyncSleep for Never {
        fn sleep(&self, _: Duration) -> Sleep {
            Sleep::new(std::future::pending())
        }
    }
    Client::from_conf(config(engine).sleep_impl(SharedAsyncSleep::new(Never)).build())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn key_attribute() -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name("k");
    attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
}

fn key_schema() -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name("k").key_type(KeyType::Hash).build().unwrap()
}

async fn create_table(client: &Client, name: &str) {
    let table = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    let table = table.attribute_definitions(key_attribute()).key_schema(key_schema());
    Box::pin(table.send()).await.unwrap();
}

async fn put(client: &Client, key: &str) {
    let put = client.put_item().table_name("table").item("k", text(key));
    Box::pin(put.send()).await.unwrap();
}

async fn count(client: &Client) -> i32 {
    Box::pin(client.scan().table_name("table").send()).await.unwrap().count
}

#[tokio::test]
async fn clones_share_one_database() {
    let engine = Engine::memory().unwrap();
    let (one, other) = (client(&engine), client(&engine.clone()));
    create_table(&one, "table").await;
    put(&other, "a").await;
    assert_eq!(count(&one).await, 1);
}

#[tokio::test]
async fn engines_in_memory_are_apart() {
    let (one, other) = (Engine::memory().unwrap(), Engine::memory().unwrap());
    create_table(&client(&one), "table").await;
    assert!(client(&other).list_tables().send().await.unwrap().table_names().is_empty());
}

#[tokio::test]
async fn response_has_a_request_id_of_its_own() {
    use aws_sdk_dynamodb::operation::RequestId;
    let client = client(&Engine::memory().unwrap());
    let one = client.list_tables().send().await.unwrap();
    let other = client.list_tables().send().await.unwrap();
    assert_eq!(one.request_id().map(str::len), Some(52));
    assert_ne!(one.request_id(), other.request_id());
}

#[tokio::test(start_paused = true)]
async fn memory_does_not_move_a_paused_clock() {
    let started = tokio::time::Instant::now();
    let client = client(&Engine::memory().unwrap());
    let work = async {
        create_table(&client, "table").await;
        for key in 0..50 {
            put(&client, &key.to_string()).await;
        }
        count(&client).await
    };
    // A timer that is due in one tick: it fires if the clock moves while a request is under way.
    let count = tokio::time::timeout(Duration::from_millis(1), work).await;
    assert_eq!(count, Ok(50));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn paused_clock_still_moves_by_itself_when_nothing_runs() {
    let client = client(&Engine::memory().unwrap());
    create_table(&client, "table").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    put(&client, "a").await;
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn callers_on_one_thread_take_turns() {
    let client = client(&Engine::memory().unwrap());
    create_table(&client, "table").await;
    let other = tokio::spawn(async { tokio::task::yield_now().await });
    for key in 0..5 {
        put(&client, &key.to_string()).await;
    }
    assert!(other.is_finished());
}

#[test]
fn memory_works_without_tokio() {
    let client = client_without_tokio(&Engine::memory().unwrap());
    futures::executor::block_on(async {
        create_table(&client, "table").await;
        put(&client, "a").await;
        assert_eq!(count(&client).await, 1);
    });
}

#[test]
fn disk_works_without_tokio() {
    let directory = tempfile::tempdir().unwrap();
    let client = client_without_tokio(&Engine::open(&directory.path().join("db")).unwrap());
    futures::executor::block_on(async {
        create_table(&client, "table").await;
        put(&client, "a").await;
        assert_eq!(count(&client).await, 1);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_lose_nothing() {
    let client = client(&Engine::memory().unwrap());
    create_table(&client, "table").await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for key in 0..20 {
                    put(&client, &format!("{task}/{key}")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(count(&client).await, 160);
}

//! What the database under test does by itself, asked with the SDK's client: the embedded one as
//! DynamoDB, so that a program tested on it holds in production.

use std::collections::HashMap;

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use memory_table::aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, PutRequest, WriteRequest,
};
use memory_table::{Database, Record, Table};
use serde::{Deserialize, Serialize};

use crate::support::{Player, Team, at, database, player};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "maps")]
struct Map {
    #[record(partition_key)]
    episode: u8,
    #[record(sort_key)]
    name: String,
}

/// A table that was made, with the client and the name for calls past it.
async fn made<T: Record>() -> (Table<T>, Client, String) {
    let table = database().table::<T>();
    table.create_if_missing().await.unwrap();
    let name = table.name().unwrap().to_owned();
    (table.clone(), table.database().client().clone(), name)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: &str) -> AttributeValue {
    AttributeValue::N(value.into())
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or_default()
}

/// A put of a team, or a delete.
fn write(team: &str, put: bool) -> WriteRequest {
    let key = HashMap::from([("team".to_owned(), text(team))]);
    let request = WriteRequest::builder();
    if put {
        request.put_request(PutRequest::builder().set_item(Some(key)).build().unwrap()).build()
    } else {
        request.delete_request(DeleteRequest::builder().set_key(Some(key)).build().unwrap()).build()
    }
}

#[tokio::test]
async fn conditions_fail_as_in_the_service() {
    let (_, client, name) = made::<Team>().await;
    let put = || {
        let put = client.put_item().table_name(&name).item("team", text("a"));
        put.condition_expression("attribute_not_exists(team)").send()
    };
    put().await.unwrap();
    let failed = put().await.unwrap_err();
    assert_eq!(code(&failed), "ConditionalCheckFailedException");
    let delete = client.delete_item().table_name(&name).key("team", text("b"));
    let failed = delete.condition_expression("attribute_exists(team)").send().await.unwrap_err();
    assert_eq!(code(&failed), "ConditionalCheckFailedException");
}

/// The names that a query of episode 1 finds, in order.
async fn names(client: &Client, table: &str, range: &str, reverse: bool, limit: i32) -> String {
    let query = client.query().table_name(table).consistent_read(true);
    let mut query = query.expression_attribute_values(":e", number("1")).limit(limit);
    let mut condition = "episode = :e".to_owned();
    if !range.is_empty() {
        query = query.expression_attribute_names("#n", "name");
        condition = format!("{condition} AND {range}");
    }
    for (placeholder, value) in [(":b", "b"), (":c", "c")] {
        if range.contains(placeholder) {
            query = query.expression_attribute_values(placeholder, text(value));
        }
    }
    let query = query.key_condition_expression(condition).scan_index_forward(!reverse);
    let found = query.send().await.unwrap().items.unwrap();
    found.iter().map(|item| item["name"].as_s().unwrap().as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn queries_are_ordered_by_the_sort_key() {
    let (maps, client, table) = made::<Map>().await;
    let names_of_maps = ["c", "bb", "a", "é", "B", "b", "ba"];
    let one = names_of_maps.map(|name| Map { episode: 1, name: name.into() });
    let other = Map { episode: 2, name: "b".into() };
    assert_eq!(maps.batch_write().puts(one).put(&other).await.unwrap().written, 8);
    for (range, reverse, limit, expected) in [
        ("", false, 100, "B a b ba bb c é"),
        ("", true, 100, "é c bb ba b a B"),
        ("", true, 2, "é c"),
        ("#n BETWEEN :b AND :c", false, 100, "b ba bb c"),
        ("begins_with(#n, :b)", true, 100, "bb ba b"),
        ("#n > :b", false, 2, "ba bb"),
    ] {
        assert_eq!(names(&client, &table, range, reverse, limit).await, expected, "{range}");
    }
}

#[tokio::test]
async fn what_is_read_is_a_copy() {
    let (players, ..) = made::<Player>().await;
    players.put(&player("ada", 1.0)).await.unwrap();
    let mut read = players.get_consistent(at("ada")).await.unwrap().unwrap();
    read.rating = 2.0;
    assert_eq!(players.get_consistent(at("ada")).await.unwrap().unwrap().rating, 1.0);
}

#[tokio::test]
async fn batches_delete_and_have_limits() {
    let (teams, client, table) = made::<Team>().await;
    let send =
        |writes: Vec<WriteRequest>| client.batch_write_item().request_items(&table, writes).send();
    let many = |count: usize, put| (0..count).map(move |n| write(&format!("t{n}"), put)).collect();
    send(many(25, true)).await.unwrap();
    send(many(24, false)).await.unwrap();
    let left = client.scan().table_name(&table).consistent_read(true).send().await.unwrap();
    assert_eq!(left.items.unwrap(), [HashMap::from([("team".to_owned(), text("t24"))])]);
    for refused in [many(26, true), vec![write("a", true), write("a", false)]] {
        assert_eq!(code(&send(refused).await.unwrap_err()), "ValidationException");
    }
    // Past the limits there is more than one request.
    let new = (0..26).map(|n| Team { team: format!("n{n}"), points: 1 });
    assert_eq!(teams.batch_write().puts(new).await.unwrap().requests, 2);
}

#[tokio::test]
async fn limits_are_those_of_the_service() {
    let (_, client, table) = made::<Player>().await;
    let put = |game: &str, name: &str, more: AttributeValue| {
        let put = client.put_item().table_name(&table).item("game", text(game));
        put.item("name", text(name)).item("more", more).send()
    };
    let long = |count: usize| "x".repeat(count);
    put(&long(2048), &long(1024), number(&"9".repeat(38))).await.unwrap();
    // The item's names and keys take 20 bytes.
    put("game", "name", text(&long(400 * 1024 - 20))).await.unwrap();
    for (game, name, more) in [
        (long(2049), long(1), number("1")),
        (long(1), long(1025), number("1")),
        (String::new(), long(1), number("1")),
        (long(1), String::new(), number("1")),
        (long(1), long(1), number(&"9".repeat(39))),
        ("game".into(), "name".into(), text(&long(400 * 1024 - 19))),
    ] {
        let refused = put(&game, &name, more).await.unwrap_err();
        assert_eq!(code(&refused), "ValidationException", "{} {}", game.len(), name.len());
    }
}

#[tokio::test]
async fn a_table_that_is_made_anew_is_empty() {
    let (teams, ..) = made::<Team>().await;
    teams.put(&Team { team: "a".into(), points: 1 }).await.unwrap();
    assert!(teams.delete_table().await.unwrap());
    teams.create_if_missing().await.unwrap();
    assert_eq!(teams.get_consistent("a").await.unwrap(), None);
}

#[tokio::test]
async fn an_embedded_database_is_one_of_its_own() {
    let one = Database::embedded().unwrap();
    one.table::<Team>().create_if_missing().await.unwrap();
    assert!(Database::embedded().unwrap().table::<Team>().describe().await.unwrap().is_none());
    assert!(one.is_embedded());
}

//! What a record's type does not know comes back too, and a type that changed reads what the old one wrote.

use std::collections::HashMap;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, Guard, Record};
use serde::{Deserialize, Serialize};

use super::{Journals, builder, keys, open};
use crate::support::{Stage, at, player, stage};

#[tokio::test]
async fn attributes_that_the_type_does_not_know_are_written_back() {
    for guarded in [false, true] {
        let (stage, _) = stage(1).await;
        let mut item = HashMap::new();
        for (name, text) in [("game", "chess"), ("name", "p0000"), ("club", "red")] {
            item.insert(name.to_owned(), AttributeValue::S(text.into()));
        }
        let client = stage.truth.database().client();
        let table = stage.truth.name().unwrap();
        client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
        let journals = Journals::new();
        let options = builder(&stage.table, &journals.first());
        let options = if guarded { options.guarded(Guard::Item) } else { options };
        let memory = options.build().unwrap();
        memory.update(at("p0000"), |player| player.rating = 3.0).await.unwrap();
        let again = open(&stage.table, &journals.crash(&journals.first()));
        again.update(at("p0000"), |player| player.rating += 1.0).await.unwrap();
        let _ = again.flush().await.unwrap();
        let stored = client
            .get_item()
            .table_name(table)
            .key("game", AttributeValue::S("chess".into()))
            .key("name", AttributeValue::S("p0000".into()))
            .send()
            .await
            .unwrap()
            .item
            .unwrap();
        assert_eq!(stored["club"], AttributeValue::S("red".into()));
        assert_eq!(stored["rating"], AttributeValue::N("4".into()));
    }
}

/// A later form of the players of the tests.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "players")]
struct Renamed {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    name: String,
    #[serde(alias = "rating")]
    elo: f64,
}

/// One that needs what was never written.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "players")]
struct Demanding {
    #[record(partition_key)]
    game: String,
    #[record(sort_key)]
    name: String,
    born: u32,
}

#[tokio::test]
async fn a_type_that_changed_reads_the_journal_as_it_reads_the_table() {
    let stage = Stage::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("ada", 7.5)).await.unwrap();
    let left = journals.crash(&journals.first());
    let renamed = stage.truth.database().table::<Renamed>();
    let again = open(&renamed, &left);
    assert_eq!(again.get(at("ada")).await.unwrap().unwrap().elo, 7.5);
    let _ = again.flush().await.unwrap();
    assert_eq!(renamed.get(at("ada")).await.unwrap().unwrap().elo, 7.5);
}

#[tokio::test]
async fn a_type_that_the_journal_does_not_fit_is_an_error_that_loses_nothing() {
    let stage = Stage::new().await;
    let journals = Journals::new();
    let memory = open(&stage.table, &journals.first());
    memory.put(player("ada", 7.5)).await.unwrap();
    let left = journals.crash(&journals.first());
    let demanding = stage.truth.database().table::<Demanding>();
    let error = builder(&demanding, &left).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    let text = error.to_string();
    assert!(text.contains("ada") && text.contains("Demanding") && !text.contains("7.5"), "{text}");
    assert_eq!(keys(&left).len(), 1);
    assert_eq!(open(&stage.table, &left).flush().await.unwrap().written, 1);
}

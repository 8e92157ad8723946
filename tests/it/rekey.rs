//! Records that get another key.

use std::time::Duration;

use memory_table::ErrorKind;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::timeout;

use super::support::{at, player, stage};

#[tokio::test]
async fn rekey_is_a_put_and_a_delete() {
    let (stage, memory) = stage(2).await;
    let renamed = memory.rekey(at("p0001"), at("new"), |player| {
        player.name = "new".into();
        player.rating = 7.0;
    });
    assert_eq!(*renamed.await.unwrap(), player("new", 7.0));
    assert!(memory.get(at("p0001")).await.unwrap().is_none());
    assert_eq!(memory.get(at("new")).await.unwrap().unwrap().rating, 7.0);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (1, 1, 1));
    assert!(stage.truth.get(at("p0001")).await.unwrap().is_none());
    assert_eq!(stage.truth.get(at("new")).await.unwrap(), Some(player("new", 7.0)));
}

#[tokio::test]
async fn attributes_that_the_type_does_not_know_go_with_the_record() {
    let (stage, memory) = stage(0).await;
    let mut item = stage.truth.get_item(at("ada")).await.unwrap().unwrap_or_default();
    item.insert("game".into(), AttributeValue::S("chess".into()));
    item.insert("name".into(), AttributeValue::S("ada".into()));
    item.insert("extra".into(), AttributeValue::N("5".into()));
    let client = stage.truth.database().client().clone();
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    put.set_item(Some(item.into())).send().await.unwrap();
    // A record is there already that is equal but for what the type does not know.
    stage.truth.put(&player("eve", 0.0)).await.unwrap();
    memory.prefetch([at("ada"), at("eve")]).await.unwrap();
    memory.rekey(at("ada"), at("eve"), |player| player.name = "eve".into()).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, report.deleted), (1, 1));
    let item = stage.truth.get_item(at("eve")).await.unwrap().unwrap();
    assert_eq!(item["extra"], AttributeValue::N("5".into()));
    assert_eq!(item["name"], AttributeValue::S("eve".into()));
    assert!(stage.truth.get_item(at("ada")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_rekey_that_is_refused_changes_nothing() {
    let (_stage, memory) = stage(1).await;
    let rename =
        |name: &'static str| move |player: &mut super::support::Player| player.name = name.into();
    let refused = [
        (memory.rekey(at("nobody"), at("new"), rename("new")).await, ErrorKind::NotFound),
        (memory.rekey(at("p0000"), at("new"), rename("other")).await, ErrorKind::InvalidRecord),
        (memory.rekey(at("p0000"), at("p0000"), |_| ()).await, ErrorKind::InvalidKey),
        (memory.rekey(at("p0000"), at(""), rename("")).await, ErrorKind::InvalidKey),
        (
            memory
                .rekey(at("p0000"), at("new"), |player| {
                    player.name = "new".into();
                    player.rating = f64::NAN;
                })
                .await,
            ErrorKind::InvalidRecord,
        ),
    ];
    for (refused, kind) in refused {
        assert_eq!(refused.unwrap_err().kind(), kind);
    }
    assert!(memory.unsaved().is_empty());
    assert_eq!(memory.get(at("p0000")).await.unwrap().unwrap().rating, 0.0);
}

#[tokio::test]
async fn records_that_change_places_at_once_wait_for_each_other() {
    let (_stage, memory) = stage(2).await;
    let to =
        |name: &'static str| move |player: &mut super::support::Player| player.name = name.into();
    for _ in 0..50 {
        let there = memory.rekey(at("p0000"), at("p0001"), to("p0001"));
        let back = memory.rekey(at("p0001"), at("p0000"), to("p0000"));
        let (there, back) = timeout(Duration::from_secs(60), async { tokio::join!(there, back) })
            .await
            .expect("neither waits for ever");
        assert!(there.is_ok() || back.is_ok());
        memory.reset_forced().await;
    }
}

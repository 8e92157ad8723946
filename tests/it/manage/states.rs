//! States of tables that local servers do not have: in the making, being changed, being deleted, not
//! yet to be seen.

use std::error::Error as _;
use std::time::Duration;

use memory_table::{ErrorKind, IndexSpec, KeyKind, KeySpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{BY_CITY, Store, index_names, index_units, units};
use crate::support::Team;
use crate::support::control::{Control, error};

/// What the service says of a table of teams.
fn teams(status: &str, id: &str) -> Value {
    json!({"Table": {
        "TableName": "teams", "TableStatus": status, "TableId": id,
        "KeySchema": [{"AttributeName": "team", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "team", "AttributeType": "S"}],
    }})
}

/// What it says of a table of stores of so many units, with these indexes of so many.
fn stores(status: &str, of_table: u64, indexes: &[(&str, &str, u64)]) -> Value {
    let throughput = |units: u64| json!({"ReadCapacityUnits": units, "WriteCapacityUnits": units});
    let index = |(name, status, units): &(&str, &str, u64)| {
        json!({
            "IndexName": name, "IndexStatus": status, "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
            "ProvisionedThroughput": throughput(*units),
        })
    };
    json!({"Table": {
        "TableName": "stores", "TableStatus": status,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "N"},
            {"AttributeName": "city", "AttributeType": "S"},
        ],
        "ProvisionedThroughput": throughput(of_table),
        "GlobalSecondaryIndexes": indexes.iter().map(index).collect::<Vec<_>>(),
    }})
}

fn not_found() -> (u16, Value) {
    (400, error("ResourceNotFoundException", "Requested resource not found"))
}

#[tokio::test(start_paused = true)]
async fn a_table_being_deleted_is_waited_for_and_made_anew() {
    // It has lost its keys already.
    let going = json!({"Table": {"TableName": "teams", "TableStatus": "DELETING"}});
    let (database, control) = Control::start(move |operation, number| match (operation, number) {
        ("DescribeTable", 1..=3) => (200, going.clone()),
        ("DescribeTable", 4) => not_found(),
        ("DescribeTable", 5..=7) => (200, teams("CREATING", "b")),
        ("DescribeTable", _) => (200, teams("ACTIVE", "b")),
        _ => (200, json!({})),
    });
    let table = database.table::<Team>();
    assert!(table.exists().await.unwrap());
    assert!(table.describe().await.unwrap().is_none(), "nothing is known of it any more");
    table.create_if_missing().await.unwrap();
    assert_eq!((control.sent("CreateTable").len(), control.sent("DescribeTable").len()), (1, 8));
}

#[tokio::test(start_paused = true)]
async fn data_of_a_table_being_deleted_is_not_asked_for() {
    let (database, control) = Control::start(|_, _| (200, teams("DELETING", "a")));
    let error = database.table::<Team>().get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    assert!(error.to_string().contains("is being deleted"), "{error}");
    assert_eq!(control.sent("GetItem").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_table_is_deleted_though_another_is_made_in_its_place() {
    let (database, _) = Control::start(|operation, number| match (operation, number) {
        ("DeleteTable", _) => {
            (200, json!({"TableDescription": {"TableStatus": "DELETING", "TableId": "a"}}))
        }
        ("DescribeTable", 1) => (200, teams("ACTIVE", "a")),
        ("DescribeTable", 2) => (200, json!({"Table": {"TableStatus": "DELETING"}})),
        _ => (200, teams("CREATING", "b")),
    });
    let began = Instant::now();
    assert!(database.table::<Team>().delete_table().await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn capacity_is_waited_for_until_it_is_there_and_can_be_seen() {
    let (database, control) = Control::start(|operation, number| match (operation, number) {
        ("DescribeTable", 1) => (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)])),
        // The answer of a moment ago.
        ("DescribeTable", 2) => (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)])),
        ("DescribeTable", 3) => (200, stores("ACTIVE", 9, &[("by-city", "ACTIVE", 5)])),
        ("DescribeTable", 4..=5) => (200, stores("UPDATING", 5, &[("by-city", "UPDATING", 5)])),
        ("DescribeTable", _) => (200, stores("ACTIVE", 9, &[("by-city", "ACTIVE", 8)])),
        _ => (200, json!({})),
    });
    let update = database.table::<Store>().update_table().provisioned(9, 9);
    let changed = update.index_units("by-city", 1, 1).index_units("by-city", 8, 8).await.unwrap();
    assert_eq!((changed.billing, index_units(&changed, "by-city")), (units(9, 9), Some((8, 8))));
    let sent = control.sent("UpdateTable");
    let throughput = |units: u64| json!({"ReadCapacityUnits": units, "WriteCapacityUnits": units});
    let update =
        json!({"Update": {"IndexName": "by-city", "ProvisionedThroughput": throughput(8)}});
    let expected = json!({
        "TableName": "stores", "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": throughput(9), "GlobalSecondaryIndexUpdates": [update],
    });
    assert_eq!(sent, [expected]);
}

#[tokio::test(start_paused = true)]
async fn capacity_that_others_change_again_is_not_waited_for_for_ever() {
    let (database, control) = Control::start(|operation, number| match (operation, number) {
        ("DescribeTable", 1) => (200, stores("ACTIVE", 5, &[])),
        ("DescribeTable", 2..=20) => (200, stores("ACTIVE", 7, &[])),
        ("DescribeTable", _) => (200, stores("ACTIVE", 7, &[("by-city", "ACTIVE", 7)])),
        _ => (200, json!({})),
    });
    let update = database.table::<Store>().update_table().provisioned(9, 9);
    let changed = update.create_index(BY_CITY).await.unwrap();
    assert_eq!((changed.billing, index_names(&changed)), (units(7, 7), vec!["by-city"]));
    let sent = control.sent("UpdateTable");
    assert_eq!(sent.len(), 2);
    assert!(sent[1]["GlobalSecondaryIndexUpdates"][0]["Create"].is_object(), "{}", sent[1]);
}

#[tokio::test(start_paused = true)]
async fn one_index_after_the_other_goes_and_comes_each_waited_for() {
    let none = [("by-town", "DELETING", 5)];
    let (database, control) = Control::start(move |operation, number| match (operation, number) {
        ("DescribeTable", 1) => (200, stores("ACTIVE", 5, &[("by-town", "ACTIVE", 5)])),
        ("DescribeTable", 2..=4) => (200, stores("UPDATING", 5, &none)),
        ("DescribeTable", 5) => (200, stores("ACTIVE", 5, &[])),
        ("DescribeTable", 6..=9) => (200, stores("ACTIVE", 5, &[("by-city", "CREATING", 5)])),
        ("DescribeTable", _) => (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)])),
        _ => (200, json!({})),
    });
    let update = database.table::<Store>().update_table().delete_index("by-town");
    let changed = update.create_index(BY_CITY).await.unwrap();
    assert_eq!(index_names(&changed), ["by-city"]);
    let sent = control.sent("UpdateTable");
    let update = |at: usize| &sent[at]["GlobalSecondaryIndexUpdates"][0];
    assert_eq!(update(0), &json!({"Delete": {"IndexName": "by-town"}}));
    let made = &update(1)["Create"];
    let inherited = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 5});
    assert_eq!(
        (&made["IndexName"], &made["ProvisionedThroughput"]),
        (&json!("by-city"), &inherited)
    );
    assert_eq!(sent.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_leaves_the_next_request_its_patience() {
    let (database, control) = Control::start(|operation, number| match (operation, number) {
        ("DescribeTable", 1) => (200, stores("ACTIVE", 5, &[])),
        // Ten minutes.
        ("DescribeTable", 2..=300) => (200, stores("ACTIVE", 5, &[("by-city", "CREATING", 5)])),
        ("DescribeTable", _) if number % 2 == 1 => {
            (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)]))
        }
        ("DescribeTable", _) => {
            (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5), ("by-town", "ACTIVE", 5)]))
        }
        // Done, and the answer is lost.
        ("UpdateTable", 1) => (500, error("InternalServerError", "lost")),
        ("UpdateTable", 2) => (400, error("ThrottlingException", "Rate exceeded")),
        _ => (200, json!({})),
    });
    let by_town = IndexSpec::global("by-town", KeySpec::new("city", KeyKind::String));
    let update = database.table::<Store>().update_table().create_index(BY_CITY);
    let update = update.create_index(by_town).timeout(Duration::from_secs(3600));
    assert_eq!(index_names(&update.await.unwrap()), ["by-city", "by-town"]);
    assert_eq!(control.sent("UpdateTable").len(), 2, "the other one was there by then");
}

#[tokio::test(start_paused = true)]
async fn what_another_process_did_meanwhile_is_no_error() {
    let with = || (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)]));
    let on = json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLING", "AttributeName": "closes"}});
    let (database, control) = Control::start(move |operation, number| match (operation, number) {
        // The second answer is that of a moment ago, as is that of the time to live.
        ("DescribeTable", 1..=2) => (200, stores("ACTIVE", 5, &[])),
        ("DescribeTable", _) => with(),
        ("UpdateTable", _) => (400, error("ValidationException", "Index already exists: by-city")),
        ("DescribeTimeToLive", 1..=2) => {
            (200, json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}))
        }
        ("DescribeTimeToLive", _) => (200, on.clone()),
        ("UpdateTimeToLive", _) => {
            (400, error("ValidationException", "TimeToLive is already enabled"))
        }
        _ => (500, json!({})),
    });
    let update = database.table::<Store>().update_table().create_index(BY_CITY);
    let changed = update.time_to_live("closes").await.unwrap();
    assert_eq!((index_names(&changed), changed.billing), (vec!["by-city"], units(5, 5)));
    assert_eq!((control.sent("UpdateTable").len(), control.sent("UpdateTimeToLive").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_and_not_done_is_an_error() {
    let (database, control) = Control::start(|operation, _| match operation {
        "DescribeTable" => (200, stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)])),
        "DescribeTimeToLive" => {
            (200, json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}))
        }
        "UpdateTable" => not_found(),
        _ => (400, error("ValidationException", "no")),
    });
    let table = database.table::<Store>();
    let refused = table.update_table().delete_index("by-city").await.unwrap_err();
    assert_eq!(refused.operation(), Some("UpdateTable"));
    assert_eq!(refused.code(), Some("ResourceNotFoundException"));
    let refused = table.update_table().time_to_live("closes").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.operation()),
        (ErrorKind::Refused, Some("UpdateTimeToLive"))
    );
    assert_eq!((control.sent("UpdateTable").len(), control.sent("UpdateTimeToLive").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_that_is_being_switched_off_is_said() {
    let (database, _) = Control::start(|operation, _| match operation {
        "DescribeTable" => (200, stores("ACTIVE", 5, &[])),
        _ => (200, json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLING"}})),
    });
    let table = database.table::<Store>();
    assert_eq!(table.time_to_live().await.unwrap(), None);
    table.update_table().no_time_to_live().await.unwrap();
    let error = table.update_table().time_to_live("closes").await.unwrap_err();
    assert!(error.to_string().contains("is being switched off"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_holds_while_requests_fail() {
    let (database, _) = Control::start(|_, _| (400, error("ThrottlingException", "Rate exceeded")));
    let table = database.with_patience(Duration::from_secs(3600)).table::<Team>();
    let limit = Duration::from_secs(20);
    let began = Instant::now();
    let created = table.create_if_missing().timeout(limit).await.unwrap_err();
    let changed = table.update_table().on_demand().timeout(limit).await.unwrap_err();
    assert!(began.elapsed() < 2 * limit + Duration::from_secs(5));
    let deleted = table.delete_table().await.unwrap_err();
    assert!(began.elapsed() < 2 * limit + Duration::from_secs(310));
    for error in [created, changed, deleted] {
        assert_eq!((error.kind(), error.table()), (ErrorKind::Throttled, Some("teams")));
        assert_eq!(error.code(), Some("ThrottlingException"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_why_the_last_request_failed() {
    let (database, _) = Control::start(|operation, _| match operation {
        "DescribeTable" => (200, stores("ACTIVE", 5, &[])),
        "DescribeTimeToLive" => {
            (200, json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}))
        }
        "UpdateTimeToLive" => (400, error("ValidationException", "no")),
        _ => (400, error("ResourceInUseException", "in use")),
    });
    let table = database.table::<Store>();
    let update = table.update_table().on_demand().timeout(Duration::from_secs(20));
    let late = update.await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(late.source().unwrap().to_string().contains("ResourceInUseException"), "{late}");
    let update = table.update_table().time_to_live("closes").timeout(Duration::ZERO);
    let refused = update.await.unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_index_of_several_attributes_is_not_one_of_a_single_one() {
    let mut several = stores("ACTIVE", 5, &[("by-city", "ACTIVE", 5)]);
    let keys = &mut several["Table"]["GlobalSecondaryIndexes"][0]["KeySchema"];
    let more = json!({"AttributeName": "id", "KeyType": "HASH"});
    keys.as_array_mut().unwrap().push(more);
    let (database, _) = Control::start(move |_, _| (200, several.clone()));
    let error = database.table::<Store>().get(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    assert!(error.to_string().contains("with partition key `city`, `id`"), "{error}");
    let found = database.table::<Store>().describe().await.unwrap().unwrap();
    assert_eq!(found.indexes[0].partition_key.0, "city`, `id");
}

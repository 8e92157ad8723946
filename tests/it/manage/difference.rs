//! Tables that are not as their record says.

use memory_table::{
    ErrorKind, IndexProjection, IndexSpec, KeyKind, KeySpec, MemoryTable, TableSpec,
};

use super::{BY_CITY, ID, Store, bare, store};
use crate::support::{database, faulty};

/// Calls that touch data.
const DATA: [&str; 7] =
    ["GetItem", "PutItem", "UpdateItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan"];

#[tokio::test]
async fn all_that_differs_is_listed_before_any_data_request() {
    let truth = database();
    let spec = TableSpec::new("stores")
        .partition_key(KeySpec::new("id", KeyKind::String))
        .index(IndexSpec::global("by-city", KeySpec::new("country", KeyKind::String)));
    truth.create_if_missing(spec).await.unwrap();
    let (database, faults) = faulty(&truth);
    let stores = database.table::<Store>();
    let memory = MemoryTable::new(stores.clone());
    let errors = [
        stores.get(1).await.unwrap_err(),
        stores.put(&store(1, "Riga")).await.unwrap_err(),
        stores.scan().all().await.unwrap_err(),
        memory.prefetch([1]).await.unwrap_err(),
        stores.create_if_missing().await.unwrap_err(),
        stores.ensure().await.unwrap_err(),
    ];
    for error in &errors[..5] {
        assert_eq!((error.kind(), error.table()), (ErrorKind::TableMismatch, stores.name().ok()));
        let text = error.to_string();
        for part in [
            "the table has partition key `id`, a string (S), and no sort key, the record has \
             partition key `id`, a number (N), and no sort key; ",
            "the table's index `by-city` is global with partition key `country`, a string (S), and \
             no sort key, that of the record global with partition key `city`, a string (S), and no \
             sort key; ",
            "the table has no index `by-rating`, the record has a global one with partition key \
             `country`, a string (S), and sort key `rating`, a number (N); ",
            "add it with `ensure()`",
            "no data was sent",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    let ensured = errors[5].to_string();
    assert!(ensured.contains("`by-city`") && !ensured.contains("`by-rating`"), "{ensured}");
    assert!(DATA.iter().all(|call| faults.count(call) == 0));
    assert_eq!(faults.count("UpdateTable") + faults.count("CreateTable"), 0);
}

#[tokio::test]
async fn an_index_that_was_added_meanwhile_is_seen() {
    let truth = database();
    bare(&truth).await;
    let (database, faults) = faulty(&truth);
    let stores = database.table::<Store>();
    assert_eq!(stores.get(1).await.unwrap_err().kind(), ErrorKind::TableMismatch);
    assert_eq!(faults.count("DescribeTable"), 1);
    truth.table::<Store>().ensure().await.unwrap();
    assert_eq!(stores.get(1).await.unwrap(), None);
    stores.put(&store(1, "Riga")).await.unwrap();
    assert_eq!(faults.count("DescribeTable"), 2);
}

#[tokio::test]
async fn what_no_table_can_be_given_later_is_a_difference() {
    let database = database();
    let keys =
        TableSpec::new("stores").partition_key(ID).sort_key(KeySpec::new("at", KeyKind::Number));
    let first = keys.clone().index(BY_CITY.projection(IndexProjection::KeysOnly));
    database.ensure(first).await.unwrap();
    let local = IndexSpec::local("by-rating", KeySpec::new("rating", KeyKind::Number));
    let other_type = IndexSpec::global("by-at", KeySpec::new("city", KeyKind::Number));
    for (index, part) in [
        (local, "a local index is made only with its table"),
        (other_type, "the table's keys have `city` as a string (S)"),
        (BY_CITY, "the table's index `by-city` has the keys only"),
        (BY_CITY.sort_key(ID), "the table's index `by-city` is global with"),
    ] {
        let error = database.ensure(keys.clone().index(index)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableMismatch);
        assert!(error.to_string().contains(part), "{error}");
    }
    let stores = database.table::<Store>();
    let error = stores.update_table().create_index(other_type).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    assert!(error.to_string().contains("`by-at`, the call has a global one"), "{error}");
    let by_town = IndexSpec::global("by-town", KeySpec::new("town", KeyKind::String));
    let error = stores.update_table().create_index(by_town.provisioned(1, 1)).await.unwrap_err();
    assert!(error.to_string().contains("on demand, so its index `by-town`"), "{error}");
    let instead = stores.update_table().delete_index("by-city").create_index(other_type);
    instead.await.unwrap();
    stores.update_table().delete_index("by-at").create_index(BY_CITY).await.unwrap();
    let error = stores.update_table().index_units("by-at", 1, 1).await.unwrap_err();
    assert!(error.to_string().contains("the table has no index `by-at`"), "{error}");
    let error = stores.update_table().index_units("by-city", 1, 1).await.unwrap_err();
    assert!(error.to_string().contains("the table is on demand"), "{error}");
}

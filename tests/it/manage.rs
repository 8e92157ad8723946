//! Making, changing and deleting tables.

mod difference;
mod states;
mod trouble;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{
    BillingMode, Database, ErrorKind, IndexSpec, KeyKind, KeySpec, Record, TableDescription,
    TableSpec,
};
use serde::{Deserialize, Serialize};

use super::support::{Team, database, faulty};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "stores",
    read_units = 3,
    write_units = 4,
    global_index(name = "by-city", partition_key = city, read_units = 1, write_units = 2),
    global_index(name = "by-rating", partition_key = country, sort_key = rating, keys_only),
)]
struct Store {
    #[record(partition_key)]
    id: u32,
    country: String,
    city: String,
    rating: f64,
    #[record(ttl)]
    closes: Option<i64>,
}

fn store(id: u32, city: &str) -> Store {
    Store { id, country: "LV".into(), city: city.into(), rating: 4.5, closes: None }
}

const ID: KeySpec = KeySpec::new("id", KeyKind::Number);
const BY_CITY: IndexSpec = IndexSpec::global("by-city", KeySpec::new("city", KeyKind::String));

/// A table of stores that nobody described, on demand and without indexes.
async fn bare(database: &Database) {
    database.create_if_missing(TableSpec::new("stores").partition_key(ID)).await.unwrap();
}

fn units(read_units: u64, write_units: u64) -> BillingMode {
    BillingMode::Provisioned { read_units, write_units }
}

/// Units of an index, as the service says them.
fn index_units(table: &TableDescription, name: &str) -> Option<(u64, u64)> {
    table.indexes.iter().find(|index| index.name == name).expect("it is there").units
}

fn index_names(table: &TableDescription) -> Vec<&str> {
    let mut names: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_record_says_its_units_and_its_time_to_live() {
    assert_eq!((Store::UNITS, Store::TIME_TO_LIVE), (Some((3, 4)), Some("closes")));
    assert_eq!((Team::UNITS, Team::TIME_TO_LIVE), (None, None));
}

#[tokio::test]
async fn a_table_is_made_with_the_units_of_its_record() {
    let stores = database().table::<Store>();
    stores.create_if_missing().await.unwrap();
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!(found.billing, units(3, 4));
    assert_eq!(index_units(&found, "by-city"), Some((1, 2)), "its own");
    assert_eq!(index_units(&found, "by-rating"), Some((3, 4)), "those of the table");
}

#[tokio::test]
async fn what_the_call_says_of_units_goes_before_the_record() {
    let stores = database().table::<Store>();
    stores.create_if_missing().index_units("by-rating", 7, 8).provisioned(5, 6).await.unwrap();
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!(found.billing, units(5, 6));
    assert_eq!(index_units(&found, "by-city"), Some((1, 2)));
    assert_eq!(index_units(&found, "by-rating"), Some((7, 8)));
    let others = database().table::<Store>();
    others.create_if_missing().on_demand().await.unwrap();
    let found = others.describe().await.unwrap().unwrap();
    assert_eq!(found.billing, BillingMode::OnDemand);
    assert_eq!(index_units(&found, "by-city"), None);
}

#[tokio::test]
async fn units_that_cannot_be_are_refused_without_a_request() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    let by_town = IndexSpec::global("by-town", KeySpec::new("city", KeyKind::Number));
    let text = |of_table: IndexSpec| TableSpec::new("stores").partition_key(ID).index(of_table);
    let errors = [
        (stores.create_if_missing().provisioned(0, 1).await.unwrap_err(), "0 read units"),
        (stores.create_if_missing().index_units("by-city", 1, 0).await.unwrap_err(), "`by-city`"),
        (stores.create_if_missing().index_units("by-town", 1, 1).await.unwrap_err(), "`by-town`"),
        (
            stores.create_if_missing().on_demand().index_units("by-city", 1, 1).await.unwrap_err(),
            "on demand",
        ),
        (
            database.create_if_missing(text(BY_CITY.provisioned(1, 1))).await.unwrap_err(),
            "on demand",
        ),
        (stores.update_table().provisioned(1, 0).await.unwrap_err(), "0 write units"),
        (stores.update_table().index_units("by-city", 0, 1).await.unwrap_err(), "`by-city`"),
        (
            stores.update_table().create_index(IndexSpec::local("by-a", ID)).await.unwrap_err(),
            "local",
        ),
        (
            stores.update_table().create_index(BY_CITY).delete_index("by-city").await.unwrap_err(),
            "to be deleted",
        ),
        (
            stores.update_table().index_units("by-a", 1, 1).delete_index("by-a").await.unwrap_err(),
            "to be deleted",
        ),
        (
            stores.update_table().create_index(BY_CITY).create_index(BY_CITY).await.unwrap_err(),
            "two indexes are named `by-city`",
        ),
        (
            stores.update_table().create_index(BY_CITY).create_index(by_town).await.unwrap_err(),
            "`city` is a string (S) and a number (N)",
        ),
    ];
    for (error, text) in errors {
        assert_eq!((error.kind(), error.table()), (ErrorKind::Configuration, stores.name().ok()));
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(faults.all_requests().len(), 0);
}

#[tokio::test]
async fn throughput_and_billing_are_changed_and_only_if_they_differ() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    stores.create_if_missing().await.unwrap();
    for (wanted, sent) in [(units(6, 5), 1), (units(6, 5), 1), (BillingMode::OnDemand, 2)] {
        let update = stores.update_table();
        let changed = match wanted {
            BillingMode::Provisioned { read_units, write_units } => {
                update.provisioned(read_units, write_units)
            }
            _ => update.on_demand(),
        };
        assert_eq!(changed.await.unwrap().billing, wanted);
        assert_eq!(stores.describe().await.unwrap().unwrap().billing, wanted);
        assert_eq!(faults.count("UpdateTable"), sent);
    }
    let back = stores.update_table().provisioned(2, 2).index_units("by-city", 9, 8).await.unwrap();
    assert_eq!((back.billing, faults.count("UpdateTable")), (units(2, 2), 3));
    if !database.is_embedded() {
        assert_eq!(index_units(&back, "by-city"), Some((9, 8)));
        assert_eq!(index_units(&back, "by-rating"), Some((2, 2)), "those of the table");
    }
}

/// The embedded database has units of indexes from the table's making on, and does not change them.
#[tokio::test]
async fn units_of_an_index_are_changed_where_the_server_does_so() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    stores.create_if_missing().await.unwrap();
    let changed = stores.update_table().index_units("by-city", 7, 8).await.unwrap();
    let expected = if database.is_embedded() { (1, 2) } else { (7, 8) };
    assert_eq!(index_units(&changed, "by-city"), Some(expected));
    assert_eq!(changed.billing, units(3, 4), "the table's own are left");
    assert_eq!(faults.count("UpdateTable"), 1);
    let by_country = IndexSpec::global("by-country", KeySpec::new("country", KeyKind::String));
    let update = stores.update_table().index_units("by-city", 5, 6).create_index(by_country);
    let changed = update.await.unwrap();
    assert_eq!(index_names(&changed), ["by-city", "by-country", "by-rating"]);
}

#[tokio::test]
async fn indexes_come_with_the_items_that_there_are_and_go() {
    let database = database();
    let stores = database.table_named::<Store>("stores");
    bare(&database).await;
    let put = database.client().put_item().table_name(stores.name().unwrap());
    let put = put.item("id", AttributeValue::N("1".into()));
    put.item("city", AttributeValue::S("Riga".into())).send().await.unwrap();
    let by_rating = IndexSpec::global("by-rating", KeySpec::new("country", KeyKind::String))
        .sort_key(KeySpec::new("rating", KeyKind::Number));
    let update = stores.update_table().create_index(BY_CITY).create_index(by_rating);
    let changed = update.await.unwrap();
    assert_eq!(index_names(&changed), ["by-city", "by-rating"]);
    let found = stores.index(Store::INDEXES.by_city).query("Riga").count().await.unwrap();
    assert_eq!(found, 1);
    let changed =
        stores.update_table().delete_index("by-rating").delete_index("by-town").await.unwrap();
    assert_eq!(index_names(&changed), ["by-city"], "one that is not there is gone already");
}

#[tokio::test]
async fn items_expire_by_the_attribute_that_is_set() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    assert_eq!(stores.time_to_live().await.unwrap_err().kind(), ErrorKind::TableNotFound);
    stores.create_if_missing().await.unwrap();
    assert_eq!(stores.time_to_live().await.unwrap(), None, "making a table does not set it");
    stores.update_table().time_to_live("closes").await.unwrap();
    stores.update_table().time_to_live("closes").await.unwrap();
    assert_eq!(stores.time_to_live().await.unwrap().as_deref(), Some("closes"));
    assert_eq!(faults.count("UpdateTimeToLive"), 1);
    let error = stores.update_table().time_to_live("ends").await.unwrap_err();
    assert_eq!((error.kind(), error.table()), (ErrorKind::TableMismatch, stores.name().ok()));
    assert!(error.to_string().contains("by `closes`, and are wanted to by `ends`"), "{error}");
    stores.update_table().no_time_to_live().await.unwrap();
    stores.update_table().no_time_to_live().await.unwrap();
    assert_eq!(stores.time_to_live().await.unwrap(), None);
    assert_eq!(faults.count("UpdateTimeToLive"), 2);
}

#[tokio::test]
async fn ensure_makes_a_table_as_its_record_says() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    for _ in 0..2 {
        stores.ensure().await.unwrap();
    }
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!((found.billing, index_names(&found)), (units(3, 4), vec!["by-city", "by-rating"]));
    assert_eq!(stores.time_to_live().await.unwrap().as_deref(), Some("closes"));
    let sent = ["CreateTable", "UpdateTable", "UpdateTimeToLive"].map(|call| faults.count(call));
    assert_eq!(sent, [1, 0, 1]);
}

#[tokio::test]
async fn ensure_adds_the_indexes_and_the_time_to_live_that_a_table_lacks() {
    let (database, faults) = faulty(&database());
    bare(&database).await;
    let stores = database.table::<Store>();
    assert_eq!(stores.create_if_missing().await.unwrap_err().kind(), ErrorKind::TableMismatch);
    stores.ensure().await.unwrap();
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!(index_names(&found), ["by-city", "by-rating"]);
    assert_eq!(found.billing, BillingMode::OnDemand, "how it is paid for is left");
    assert_eq!(stores.time_to_live().await.unwrap().as_deref(), Some("closes"));
    assert_eq!(faults.count("UpdateTable"), 2, "an index each");
    stores.put(&store(1, "Riga")).await.unwrap();
    assert_eq!(stores.index(Store::INDEXES.by_city).query("Riga").count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_table_without_a_record_is_ensured_too() {
    let database = database();
    let spec = TableSpec::new("stores").partition_key(ID).provisioned(2, 3);
    database.ensure(spec.clone()).await.unwrap();
    let more = spec.index(BY_CITY.provisioned(4, 5)).time_to_live("closes");
    database.ensure(more).await.unwrap();
    let stores = database.table::<Store>();
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!((found.billing, index_names(&found)), (units(2, 3), vec!["by-city"]));
    if !database.is_embedded() {
        assert_eq!(index_units(&found, "by-city"), Some((4, 5)));
    }
    assert_eq!(stores.time_to_live().await.unwrap().as_deref(), Some("closes"));
}

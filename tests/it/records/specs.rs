//! Tables described by hand, and real tables that are compared with what is wanted.

use memory_table::{
    BillingMode, ErrorKind, IndexProjection, IndexSpec, KeyKind, KeySpec, Record, TableSpec,
};
use serde::{Deserialize, Serialize};

use crate::support::{Fault, Faults, Player, database, embedded, player};

const CITY: KeySpec = KeySpec::new("city", KeyKind::String);

fn stores() -> TableSpec {
    TableSpec::new("stores")
        .partition_key(KeySpec::new("id", KeyKind::String))
        .sort_key(KeySpec::new("floor", KeyKind::Number))
}

#[tokio::test]
async fn a_table_is_created_without_a_record_type() {
    let database = database();
    let spec = TableSpec::new("players")
        .partition_key(KeySpec::new("game", KeyKind::String))
        .sort_key(KeySpec::new("name", KeyKind::String))
        .index(IndexSpec::local("by-rating", KeySpec::new("rating", KeyKind::Number)));
    database.create_if_missing(spec.clone()).await.unwrap();
    database.create_if_missing(spec).await.unwrap();
    let players = database.table::<Player>();
    players.put(&player("ada", 1.0)).await.unwrap();
    let found = players.describe().await.unwrap().unwrap();
    assert_eq!(found.indexes[0].name, "by-rating");
    assert_eq!(found.billing, BillingMode::OnDemand);
}

#[tokio::test]
async fn the_spec_of_a_record_is_what_its_table_is_created_by() {
    let database = database();
    database.create_if_missing(TableSpec::of::<Player>()).provisioned(1, 2).await.unwrap();
    let found = database.table::<Player>().describe().await.unwrap().unwrap();
    assert_eq!(found.billing, BillingMode::Provisioned { read_units: 1, write_units: 2 });
}

#[tokio::test]
async fn what_cannot_be_created_is_said_before_a_request() {
    let (database, faults) = Faults::around(&embedded());
    let key = KeySpec::new("id", KeyKind::String);
    let cases = [
        (TableSpec::new("").partition_key(key), "`` is no name of a table"),
        (TableSpec::new("my table").partition_key(key), "`my table` is no name of a table"),
        (TableSpec::new("stores"), "the table has no partition key"),
        (stores().sort_key(key), "`id` is the partition key and the sort key of the table"),
        (stores().index(IndexSpec::global("x", CITY)), "`x` is no name of an index"),
    ];
    for (spec, expected) in cases {
        let error = database.with_prefix("p_").create_if_missing(spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(&expected.replace("`my", "`p_my")), "{error}");
    }
    assert_eq!(faults.count("DescribeTable") + faults.count("CreateTable"), 0);
}

/// What creating a table of this spec says to one that exists.
async fn mismatch(real: &TableSpec, wanted: &TableSpec) -> Option<String> {
    let database = database();
    database.create_if_missing(real.clone()).await.unwrap();
    let (database, faults) = Faults::around(&database);
    let error = database.create_if_missing(wanted.clone()).await.err()?;
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    assert_eq!(faults.count("CreateTable"), 0);
    let text = error.to_string();
    let (_, text) = text.split_once("`: ").unwrap();
    Some(text.split_once("; ").unwrap().0.to_owned())
}

#[tokio::test]
async fn an_existing_table_has_the_keys_that_are_wanted() {
    let wanted = stores().sort_key(KeySpec::new("floor", KeyKind::String));
    assert_eq!(
        mismatch(&stores(), &wanted).await.unwrap(),
        "the table has partition key `id`, a string (S), and sort key `floor`, a number (N), the \
         `TableSpec` has partition key `id`, a string (S), and sort key `floor`, a string (S)"
    );
}

#[tokio::test]
async fn an_existing_table_has_the_indexes_that_are_wanted() {
    let by_city = IndexSpec::global("by-city", CITY);
    assert_eq!(
        mismatch(&stores(), &stores().index(by_city)).await.unwrap(),
        "the table has no index `by-city`, the `TableSpec` has a global one with partition key \
         `city`, a string (S), and no sort key"
    );
    let wanted = by_city.sort_key(KeySpec::new("floor", KeyKind::Number));
    assert_eq!(
        mismatch(&stores().index(by_city), &stores().index(wanted)).await.unwrap(),
        "the table's index `by-city` is global with partition key `city`, a string (S), and no \
         sort key, that of the `TableSpec` global with partition key `city`, a string (S), and \
         sort key `floor`, a number (N)"
    );
    let local = IndexSpec::local("by-city", CITY);
    let text = mismatch(&stores().index(by_city), &stores().index(local)).await.unwrap();
    assert!(text.contains("that of the `TableSpec` local with partition key `id`"), "{text}");
    assert_eq!(mismatch(&stores().index(by_city), &stores()).await, None, "more is no mismatch");
}

#[tokio::test]
async fn an_existing_index_has_the_attributes_that_are_wanted() {
    let with = |attributes| stores().index(IndexSpec::global("abc", CITY).projection(attributes));
    let all = with(IndexProjection::All);
    let keys = with(IndexProjection::KeysOnly);
    let some = with(IndexProjection::Include(&["tags", "owner"]));
    let tags = with(IndexProjection::Include(&["tags", "floor", "city"]));
    for (real, wanted) in [(&all, &keys), (&all, &some), (&some, &tags), (&some, &keys)] {
        assert_eq!(mismatch(real, wanted).await, None);
    }
    let lacking = |has: &str, lacks: &str| {
        format!("the table's index `abc` has {has}, that of the `TableSpec` has {lacks} too")
    };
    for (real, wanted, has, lacks) in [
        (&keys, &all, "the keys only", "all attributes"),
        (&some, &all, "the keys and `tags`, `owner`", "all attributes"),
        (&keys, &tags, "the keys only", "`tags`"),
        (&tags, &some, "the keys and `tags`, `floor`, `city`", "`owner`"),
    ] {
        // A table may order what an index includes by itself.
        let text = mismatch(real, wanted).await.unwrap();
        let (expected, sorted) = (lacking(has, lacks), |text: &str| {
            let mut words: Vec<String> =
                text.split(' ').map(|word| word.trim_end_matches(',').to_owned()).collect();
            words.sort();
            words
        });
        assert_eq!(sorted(&text), sorted(&expected), "{text}");
    }
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "stores", global_index(name = "by-city", partition_key = city))]
struct Store {
    #[record(partition_key)]
    id: String,
    #[record(sort_key)]
    floor: u8,
    city: String,
}

#[tokio::test]
async fn a_record_type_is_compared_with_the_real_table_when_it_is_created() {
    let database = database();
    database.create_if_missing(stores()).await.unwrap();
    let table = database.table::<Store>();
    let error = table.create_if_missing().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    let text = error.to_string();
    assert!(text.contains("has no index `by-city`, the record has a global one"), "{text}");
    table.ensure().await.unwrap();
    table.put(&Store { id: "a".into(), floor: 1, city: "Paris".into() }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn creation_is_retried_and_waits_for_the_table() {
    let (database, faults) = Faults::around(&embedded());
    faults.next("CreateTable", Fault::connection_reset());
    let spec = stores().index(IndexSpec::global("by-city", CITY));
    database.create_if_missing(spec).await.unwrap();
    assert_eq!(faults.count("CreateTable"), 2);
}

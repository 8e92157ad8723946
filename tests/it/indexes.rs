//! Queries and scans of indexes.

use futures::TryStreamExt;
use memory_table::{ErrorKind, IndexSpec, KeyKind, KeySpec, Projection, Record, TableSpec};
use serde::{Deserialize, Serialize};

use super::support::{Fault, Stage, database};

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "stores",
    global_index(name = "by-company", partition_key = company, sort_key = id),
    global_index(name = "by-country", partition_key = country, sort_key = rating, include(city)),
    global_index(name = "by-city", partition_key = city, keys_only),
    local_index(name = "by-opened", sort_key = opened),
)]
struct Store {
    #[record(partition_key)]
    country: String,
    #[record(sort_key)]
    id: u32,
    company: String,
    rating: f64,
    opened: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

fn store(id: u32, company: &str, rating: f64, city: Option<&str>) -> Store {
    Store {
        country: "LV".into(),
        id,
        company: company.into(),
        rating,
        opened: 2000 + u16::try_from(id % 7).unwrap(),
        city: city.map(str::to_owned),
        tags: vec!["a".into()],
    }
}

/// Twenty stores, of two companies in turn; every fifth has no city.
async fn stores() -> Stage<Store> {
    let stage = Stage::<Store>::on(database()).await;
    let all = (0..20).map(|id| {
        let company = if id % 2 == 0 { "YRC" } else { "JCI" };
        let city = ["Riga", "Liepaja", "Cesis"][id as usize % 3];
        store(id, company, f64::from(id) / 4.0 - 2.0, (id % 5 > 0).then_some(city))
    });
    assert_eq!(stage.truth.batch_write().puts(all).await.unwrap().written, 20);
    stage
}

fn ids(stores: &[Store]) -> Vec<u32> {
    stores.iter().map(|store| store.id).collect()
}

#[tokio::test]
async fn an_index_is_queried_by_its_own_keys() {
    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_company);
    let found = index.query("YRC").all().await.unwrap();
    assert_eq!(ids(&found), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    assert_eq!(found[3], store(6, "YRC", -0.5, Some("Riga")), "whole records");
    assert_eq!(index.query("YRC").count().await.unwrap(), 10);
    assert_eq!(index.query("nobody").count().await.unwrap(), 0);
    let some = index.query("JCI").sort_key().between(5, 9).descending();
    assert_eq!(ids(&some.all().await.unwrap()), [9, 7, 5]);
    assert_eq!(index.scan().all().await.unwrap().len(), 20);
    let request = &stage.faults.requests("Query")[0].body;
    assert_eq!(request["IndexName"], "by-company");
}

#[tokio::test]
async fn the_keys_of_the_table_are_filtered_where_the_index_has_others() {
    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_company);
    let latvian = index.query("YRC").filter(Store::FIELDS.country.eq("LV"));
    assert_eq!(latvian.clone().count().await.unwrap(), 10);
    let refused = latvian.filter(Store::FIELDS.company.eq("YRC")).count().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidCondition);
    assert!(refused.to_string().contains("names the key `company`"), "{refused}");
}

#[derive(Projection, Deserialize, Debug, PartialEq)]
#[projection(of = Store)]
struct Place {
    id: u32,
    rating: f64,
    city: Option<String>,
}

#[derive(Projection, Deserialize, Debug, PartialEq)]
#[projection(of = Store)]
struct Company {
    company: String,
}

#[tokio::test]
async fn fractions_are_sorted_by_value_and_what_an_index_has_is_selected() {
    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_country);
    let best = index.query("LV").sort_key().lt(-1.2).descending().limit(2).select::<Place>();
    let best = best.all().await.unwrap();
    assert_eq!(best.iter().map(|place| place.rating).collect::<Vec<_>>(), [-1.25, -1.5]);
    assert_eq!((best[0].id, best[1].city.as_deref()), (3, Some("Cesis")));
    let refused = index.query("LV").sort_key().ge(f64::NAN).select::<Place>().all().await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidKey);
    let refused = index.query("LV").select::<Company>().all().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidCondition);
    let text = "the index `by-country` does not have the attribute `company`";
    assert!(refused.to_string().contains(text), "{refused}");
}

#[tokio::test]
async fn an_index_of_an_optional_attribute_has_those_that_have_it() {
    #[derive(Projection, Deserialize)]
    #[projection(of = Store)]
    struct Id {
        id: u32,
    }

    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_city);
    assert_eq!(index.scan().select::<Id>().all().await.unwrap().len(), 16);
    let riga = index.query("Riga").select::<Id>().all().await.unwrap();
    assert!(riga.iter().all(|found| found.id % 3 == 0 && found.id % 5 > 0));
    assert_eq!(riga.len(), 5);
}

#[tokio::test]
async fn a_local_index_sorts_a_partition_otherwise_and_is_read_consistently() {
    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_opened);
    let early = index.query("LV").sort_key().le(2001).consistent().all().await.unwrap();
    assert_eq!(
        early.iter().map(|s| s.opened).collect::<Vec<_>>(),
        [2000, 2000, 2000, 2001, 2001, 2001]
    );
    assert_eq!(stage.faults.requests("Query")[0].body["ConsistentRead"], true);
    let global = stage.table.index(Store::INDEXES.by_company);
    let refused = global.query("YRC").consistent().all().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidCondition);
    assert!(refused.to_string().contains("a global index cannot be read consistently"));
    assert_eq!(stage.faults.count("Query"), 1);
}

#[tokio::test]
async fn pages_of_an_index_go_on_behind_any_result() {
    let stage = stores().await;
    let index = stage.table.index(Store::INDEXES.by_company);
    let query = || index.query("YRC").filter(Store::FIELDS.rating.ge(-1.0));
    let all = query().all().await.unwrap();
    for limit in 1..8 {
        let mut seen = Vec::new();
        let mut next = query().limit(limit);
        loop {
            let page = next.pages().try_next().await.unwrap().unwrap();
            seen.extend(page.items);
            let Some(cursor) = page.cursor else { break };
            next = query().limit(limit).resume(cursor);
        }
        assert_eq!(seen, all, "by {limit}");
    }
    let cursor = index.query("YRC").page_size(3).pages().try_next().await.unwrap().unwrap().cursor;
    let table = stage.table.query("LV").resume(cursor.unwrap()).all().await.unwrap_err();
    assert_eq!(table.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_memory_table_loads_what_an_index_finds_by_its_keys() {
    let stage = stores().await;
    let memory = stage.memory();
    stage.faults.always("Query", Fault::short_page(4));
    memory.put(Store { rating: 9.0, ..store(4, "YRC", 0.0, None) }).await.unwrap();
    let found =
        memory.load(stage.table.index(Store::INDEXES.by_company).query("YRC")).await.unwrap();
    assert_eq!((found.records, stage.faults.count("BatchGetItem")), (10, 1));
    let read = &stage.faults.requests("BatchGetItem")[0];
    assert_eq!(read.entries().len(), 9, "what is unsaved is not read");
    assert_eq!(memory.get(("LV", 4)).await.unwrap().unwrap().rating, 9.0);
    assert_eq!(memory.get(("LV", 6)).await.unwrap().unwrap().tags, ["a"], "whole records");
    let riga = stage.table.index(Store::INDEXES.by_city).query("Riga");
    assert_eq!(memory.load(riga).await.unwrap().records, 5);
    assert_eq!(stage.faults.count("GetItem"), 0);
}

#[tokio::test]
async fn an_index_that_the_table_does_not_have_is_an_error_that_names_it() {
    let database = database();
    let keys = TableSpec::new("stores")
        .partition_key(KeySpec::new("country", KeyKind::String))
        .sort_key(KeySpec::new("id", KeyKind::Number))
        .index(IndexSpec::global("by-town", KeySpec::new("town", KeyKind::String)));
    database.create_if_missing(keys).await.unwrap();
    let table = database.table::<Store>();
    let errors = [
        table.index(Store::INDEXES.by_company).query("YRC").all().await.unwrap_err(),
        table.put(&store(1, "YRC", 1.0, None)).await.unwrap_err(),
        table.create_if_missing().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::TableMismatch);
        for index in ["by-company", "by-country", "by-city", "by-opened"] {
            assert!(error.to_string().contains(&format!("no index `{index}`")), "{error}");
        }
    }
}

//! Indexes on the struct: what they are, how they are made, what their keys may hold.

use jiff::Timestamp;
use memory_table::{
    AllAttributes, BillingMode, Binary, CompositeKey, ErrorKind, Index, IndexProjection, IndexSpec,
    Instant, KeyAttribute, KeyKind, PartitionKey, ProjectedAttributes, Record, SomeAttributes,
    TableStatus,
};
use serde::{Deserialize, Serialize};

use crate::support::{Stage, database};

#[derive(KeyAttribute, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct CompanyId(u64);

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "stores",
    global_index(name = "by-company", partition_key = company_id, sort_key = store_id),
    global_index(name = "StoreCityIndex", partition_key = city, keys_only),
    global_index(name = "by-rating", partition_key = country, sort_key = rating, include(city, tags)),
    global_index(name = "2nd", partition_key = photo, handle = second),
    local_index(name = "by-opened", sort_key = opened),
)]
#[serde(rename_all = "camelCase")]
struct Store {
    #[record(partition_key)]
    store_id: String,
    #[record(sort_key)]
    floor: u8,
    company_id: CompanyId,
    #[serde(rename = "town", default, skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(default)]
    country: String,
    #[serde(default)]
    rating: f64,
    #[serde(default, with = "memory_table::instant", skip_serializing_if = "Option::is_none")]
    opened: Option<Timestamp>,
    #[serde(default)]
    photo: Binary,
    #[serde(default)]
    tags: Vec<String>,
}

fn store() -> Store {
    Store {
        store_id: "s1".into(),
        floor: 1,
        company_id: CompanyId(7),
        city: None,
        country: "FR".into(),
        rating: 4.5,
        opened: None,
        photo: vec![1].into(),
        tags: Vec::new(),
    }
}

#[test]
fn handles_have_the_types_of_the_keys_and_say_what_is_in_the_index() {
    let indexes = Store::INDEXES;
    let _: Index<Store, CompositeKey<CompanyId, String>, AllAttributes> = indexes.by_company;
    let _: Index<Store, PartitionKey<String>, SomeAttributes> = indexes.store_city_index;
    let _: Index<Store, CompositeKey<String, f64>, SomeAttributes> = indexes.by_rating;
    let _: Index<Store, PartitionKey<Binary>> = indexes.second;
    let _: Index<Store, CompositeKey<String, Instant<Timestamp>>> = indexes.by_opened;
    let names: Vec<_> = Store::INDEX_SPECS.iter().map(IndexSpec::name).collect();
    assert_eq!(names, ["by-company", "StoreCityIndex", "by-rating", "2nd", "by-opened"]);
    assert_eq!(indexes.by_rating.spec(), &Store::INDEX_SPECS[2]);
    let rating = indexes.by_rating.spec();
    assert_eq!(rating.partition_key().map(|key| key.name), Some("country"));
    assert_eq!(rating.sort_key_spec().map(|key| key.kind), Some(KeyKind::Number));
    assert_eq!(rating.attributes(), IndexProjection::Include(&["town", "tags"]));
    assert!(indexes.by_opened.spec().is_local() && !rating.is_local());
}

#[tokio::test]
async fn a_table_is_created_with_its_indexes() {
    let stores = database().table::<Store>();
    stores.create_if_missing().await.unwrap();
    let mut found = stores.describe().await.unwrap().unwrap().indexes;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let all: Vec<_> = found
        .iter()
        .map(|index| {
            let sort = index.sort_key.as_ref().map(|(name, kind)| (name.as_str(), *kind));
            let (name, kind) = &index.partition_key;
            (index.name.as_str(), index.is_local, (name.as_str(), *kind), sort)
        })
        .collect();
    let text = |name| (name, KeyKind::String);
    let expected = [
        ("2nd", false, ("photo", KeyKind::Binary), None),
        ("StoreCityIndex", false, text("town"), None),
        ("by-company", false, ("companyId", KeyKind::Number), Some(text("storeId"))),
        ("by-opened", true, text("storeId"), Some(text("opened"))),
        ("by-rating", false, text("country"), Some(("rating", KeyKind::Number))),
    ];
    assert_eq!(all, expected);
    let attributes: Vec<_> = found.iter().map(|index| &index.attributes).collect();
    let some = ProjectedAttributes::Include(vec!["town".into(), "tags".into()]);
    let [all, keys] = [ProjectedAttributes::All, ProjectedAttributes::KeysOnly];
    assert_eq!(attributes, [&all, &keys, &all, &all, &some]);
    for index in &found {
        assert_eq!((index.status, index.units), (TableStatus::Active, None), "{}", index.name);
    }
}

#[tokio::test]
async fn global_indexes_have_the_units_of_the_table() {
    let stores = database().table::<Store>();
    stores.create_if_missing().provisioned(5, 7).await.unwrap();
    let found = stores.describe().await.unwrap().unwrap();
    assert_eq!(found.billing, BillingMode::Provisioned { read_units: 5, write_units: 7 });
    for index in &found.indexes {
        let expected = if index.is_local { None } else { Some((5, 7)) };
        assert_eq!(index.units, expected, "{}", index.name);
    }
}

#[tokio::test]
async fn an_absent_key_of_an_index_is_fine() {
    let stage = Stage::<Store>::new().await;
    stage.table.put(&store()).await.unwrap();
    assert_eq!(stage.table.get_consistent(("s1", 1)).await.unwrap(), Some(store()));
}

#[tokio::test]
async fn what_cannot_be_a_key_of_an_index_is_refused_before_a_request() {
    let stage = Stage::<Store>::new().await;
    let memory = stage.memory();
    let long = |count: usize| "x".repeat(count);
    let cases = [
        (
            Store { city: Some(String::new()), ..store() },
            "attribute `town`: it is a key of index `StoreCityIndex`: it is empty",
        ),
        (
            Store { photo: Binary::default(), ..store() },
            "attribute `photo`: it is a key of index `2nd`: it is empty",
        ),
        (
            Store { country: long(2049), ..store() },
            "attribute `country`: it is a key of index `by-rating`: it has 2049 bytes, at most \
             2048 are allowed",
        ),
        (
            Store { store_id: long(1025), ..store() },
            "attribute `storeId`: it is a key of index `by-company`: it has 1025 bytes, at most \
             1024 are allowed",
        ),
    ];
    for (store, expected) in cases {
        for error in [
            stage.table.put(&store).await.unwrap_err(),
            memory.put(store.clone()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidRecord);
            assert!(error.to_string().contains(expected), "{error}\n{expected}");
            assert!(!error.to_string().contains("xxx\": "), "contents stay out of errors");
        }
    }
    assert_eq!(stage.faults.count("PutItem"), 0);
    assert!(memory.unsaved().is_empty());
    stage.table.put(&Store { country: long(2048), ..store() }).await.unwrap();
}

/// A record whose index key serde may write in several forms.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "kinds", global_index(name = "by-kind", partition_key = kind))]
struct Kinded {
    #[record(partition_key)]
    id: String,
    kind: Kind,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Kind {
    Text(String),
    Number(u8),
    Nothing,
}

impl memory_table::IndexAttribute for Kind {
    const KIND: KeyKind = KeyKind::String;
}

#[tokio::test]
async fn a_key_of_an_index_has_its_type() {
    let stage = Stage::<Kinded>::new().await;
    let put = |kind| Kinded { id: "a".into(), kind };
    stage.table.put(&put(Kind::Text("a".into()))).await.unwrap();
    let number = stage.table.put(&put(Kind::Number(7))).await.unwrap_err().to_string();
    let expected = "attribute `kind`: it is a key of index `by-kind`: it is stored in another form \
                    than as a string (S)";
    assert!(number.contains(expected), "{number}");
    let null = stage.table.put(&put(Kind::Nothing)).await.unwrap_err().to_string();
    let expected =
        "it is null, but a string (S) is needed; leave it out with `skip_serializing_if`";
    assert!(null.contains(expected), "{null}");
}

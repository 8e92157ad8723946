//! Our codec and serde_dynamo write the same items and read each other's.
//!
//! Random records are of the types that both have forms for. Where the two differ, and why:
//!
//! - 128-bit integers: serde_dynamo has no form for them and refuses them.
//! - `Number`: serde_dynamo sees its text and writes a string; a long number it would read as a
//!   rounded float.
//! - Sets: under our names serde_dynamo sees lists; it has names of its own for sets. It reads the sets
//!   that we write.
//! - `Attributes`: to serde_dynamo any other map, so the two above hold for what is within.
//! - NaN and infinities: serde_dynamo writes texts that no DynamoDB takes; ours refuses them.
//! - Numbers beyond DynamoDB's range: ours refuses them, serde_dynamo leaves that to the service.
//! - Integers with a fraction of zero or an exponent (`1.0`, `1E2`): only ours reads them.
//! - Numbers that a float would round: ours is an error, serde_dynamo rounds.
//! - The attributes that a type does not know are kept by ours only.

use std::collections::{BTreeMap, HashMap};

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Attributes, Binary, Instant, Record, Set, serde_dynamo};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use crate::support::{database, random};

type Item = HashMap<String, AttributeValue>;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "shared")]
#[serde(rename_all = "camelCase")]
struct Shared {
    #[record(partition_key)]
    user_id: String,
    #[record(sort_key)]
    number: i64,
    flag: bool,
    integers: (i8, i16, i32, i64, u8, u16, u32, u64),
    single: f32,
    double: f64,
    character: char,
    unit: (),
    marker: Marker,
    bytes: Binary,
    at: Instant<jiff::Timestamp>,
    maybe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<f32>,
    lists: Vec<Vec<Option<f64>>>,
    by_name: BTreeMap<String, u16>,
    by_number: BTreeMap<i32, Vec<String>>,
    external: Vec<External>,
    internal: Internal,
    adjacent: Vec<Adjacent>,
    untagged: Vec<Untagged>,
    #[serde(flatten)]
    flat: Flat,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Marker;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Points(f64);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Flat {
    points: Points,
    words: Vec<String>,
    nested: BTreeMap<String, Option<bool>>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum External {
    Unit,
    Newtype(Points),
    Tuple(u64, String),
    Struct { bytes: Binary, maybe: Option<u8> },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Newtype(Flat),
    Struct { double: f64, bytes: Binary, text: String },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Unit,
    Newtype(u64),
    Tuple(i64, f32),
    Struct { flat: Flat },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
    Map(BTreeMap<String, i64>),
}

type Scalars =
    (bool, f32, f64, char, Binary, Instant<jiff::Timestamp>, Option<String>, Option<f32>);
type Containers = (Vec<Vec<Option<f64>>>, BTreeMap<String, u16>, BTreeMap<i32, Vec<String>>);
type Enums = (Vec<External>, Internal, Vec<Adjacent>, Vec<Untagged>);

fn shared() -> impl Strategy<Value = Shared> {
    let key = (random::name(), random::integer(&[i64::MIN, i64::MAX, 0]));
    let integers = (
        any::<i8>(),
        any::<i16>(),
        any::<i32>(),
        random::integer(&[i64::MIN, i64::MAX, 0]),
        any::<u8>(),
        any::<u16>(),
        any::<u32>(),
        random::integer(&[u64::MAX, 1 << 63, 0]),
    );
    (key, integers, scalars(), containers(), enums(), flat()).prop_map(
        |(key, integers, scalars, containers, enums, flat)| {
            let (flag, single, double, character, bytes, at, maybe, absent) = scalars;
            let (lists, by_name, by_number) = containers;
            let (external, internal, adjacent, untagged) = enums;
            Shared {
                user_id: key.0,
                number: key.1,
                flag,
                integers,
                single,
                double,
                character,
                unit: (),
                marker: Marker,
                bytes,
                at,
                maybe,
                absent,
                lists,
                by_name,
                by_number,
                external,
                internal,
                adjacent,
                untagged,
                flat,
            }
        },
    )
}

fn scalars() -> impl Strategy<Value = Scalars> {
    (
        any::<bool>(),
        random::single(),
        random::float(),
        any::<char>(),
        random::bytes(),
        random::jiff_instant(),
        option::of(random::text()),
        option::of(random::single()),
    )
}

fn containers() -> impl Strategy<Value = Containers> {
    (
        vec(vec(option::of(random::float()), 0..3), 0..3),
        btree_map(random::name(), any::<u16>(), 0..3),
        btree_map(any::<i32>(), vec(random::text(), 0..3), 0..3),
    )
}

fn enums() -> impl Strategy<Value = Enums> {
    (vec(external(), 0..3), internal(), vec(adjacent(), 0..3), vec(untagged(), 0..3))
}

fn flat() -> impl Strategy<Value = Flat> {
    let nested = btree_map(random::name(), option::of(any::<bool>()), 0..3);
    (random::float(), vec(random::text(), 0..3), nested).prop_map(|(points, words, nested)| Flat {
        points: Points(points),
        words,
        nested,
    })
}

fn external() -> impl Strategy<Value = External> {
    prop_oneof![
        Just(External::Unit),
        random::float().prop_map(|points| External::Newtype(Points(points))),
        (any::<u64>(), random::text()).prop_map(|(number, text)| External::Tuple(number, text)),
        (random::bytes(), option::of(any::<u8>()))
            .prop_map(|(bytes, maybe)| External::Struct { bytes, maybe }),
    ]
}

fn internal() -> impl Strategy<Value = Internal> {
    prop_oneof![
        Just(Internal::Unit),
        flat().prop_map(Internal::Newtype),
        (random::float(), random::bytes(), random::text())
            .prop_map(|(double, bytes, text)| Internal::Struct { double, bytes, text }),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        Just(Adjacent::Unit),
        any::<u64>().prop_map(Adjacent::Newtype),
        (any::<i64>(), random::single()).prop_map(|(a, b)| Adjacent::Tuple(a, b)),
        flat().prop_map(|flat| Adjacent::Struct { flat }),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<bool>().prop_map(Untagged::Flag),
        random::float().prop_map(Untagged::Number),
        random::text().prop_map(Untagged::Text),
        vec(random::text(), 0..3).prop_map(Untagged::Texts),
        btree_map(random::name(), any::<i64>(), 0..3).prop_map(Untagged::Map),
    ]
}

fn theirs(record: &Shared) -> Item {
    serde_dynamo::to_item(record).expect("serde_dynamo writes the record")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_write_the_same_item_and_read_the_other_s(record in shared()) {
        let ours = Attributes::of_record(&record).expect("our codec writes the record");
        let theirs = Attributes::from(theirs(&record));
        prop_assert_eq!(&ours, &theirs);
        let read = theirs.to_record::<Shared>().map_err(|error| error.to_string());
        prop_assert_eq!(read.as_ref(), Ok(&record));
        let read = serde_dynamo::from_item::<_, Shared>(ours.into_inner());
        prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(record));
    }
}

#[tokio::test]
async fn on_the_server_each_reads_what_the_other_wrote() {
    let database = database();
    let table = database.table::<Shared>();
    table.create_if_missing().await.expect("created");
    let client = database.client();
    let name = table.name().expect("a name");
    let mut runner = TestRunner::default();
    for _ in 0..50 {
        let record = shared().new_tree(&mut runner).expect("a record").current();
        let key = (&record.user_id, record.number);

        table.put(&record).await.expect("put by ours");
        let get = client.get_item().table_name(name).consistent_read(true);
        let get = get.key("userId", AttributeValue::S(record.user_id.clone()));
        let get = get.key("number", AttributeValue::N(record.number.to_string()));
        let item = get.send().await.expect("got by theirs").item.expect("it is there");
        assert_eq!(serde_dynamo::from_item::<_, Shared>(item).expect("read by theirs"), record);
        assert_eq!(table.delete(key).await.expect("deleted"), Some(record.clone()));

        let put = client.put_item().table_name(name).set_item(Some(theirs(&record)));
        put.send().await.expect("put by theirs");
        assert_eq!(table.get_consistent(key).await.expect("got by ours"), Some(record));
    }
}

#[test]
fn serde_dynamo_reads_the_sets_that_ours_writes() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[record(table = "sets")]
    struct Sets {
        #[record(partition_key)]
        id: String,
        #[serde(default)]
        texts: Set<String>,
        #[serde(default)]
        numbers: Set<i64>,
        #[serde(default)]
        bytes: Set<Binary>,
    }
    let sets = Sets {
        id: "a".into(),
        texts: ["a".to_owned(), "b".to_owned()].into(),
        numbers: [1, -2].into(),
        bytes: [Binary::from(vec![0, 255])].into(),
    };
    let item = Attributes::of_record(&sets).unwrap();
    assert!(item["texts"].is_ss() && item["numbers"].is_ns() && item["bytes"].is_bs());
    assert_eq!(serde_dynamo::from_item::<_, Sets>(item.into_inner()).unwrap(), sets);
}

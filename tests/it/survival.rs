//! Random records of every type that the codec supports survive encode, store, load and decode.
//!
//! `MEMORY_TABLE_TEST_RECORDS` says how many. What cannot survive is not generated, and each has a
//! test of its own elsewhere: NaN and infinities, numbers beyond DynamoDB's 38 digits or range, and an
//! empty set as the value of a map's entry, since it is stored as no attribute.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use memory_table::{Attributes, Binary, Instant, Number, Record, Set, Table};
use proptest::collection::{btree_map, btree_set, hash_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};

use crate::support::{database, random};

const RECORDS: &str = "MEMORY_TABLE_TEST_RECORDS";
/// Without the variable: enough to see every edge, in a few seconds.
const DEFAULT_RECORDS: u32 = 2_000;
/// Records written and read by one pair of calls; the next ones replace them.
const BATCH: u32 = 100;
/// Batches under way at once, so that a long run uses the cores that there are.
const WORKERS: u32 = 4;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "survivors")]
struct Everything {
    #[record(partition_key)]
    id: u32,
    numbers: Numbers,
    texts: Texts,
    sets: Sets,
    nested: Nested,
    enums: Enums,
    #[serde(flatten)]
    rest: Attributes,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Numbers {
    small: (i8, i16, i32, i64),
    unsigned: (u8, u16, u32, u64),
    signed_128: i128,
    unsigned_128: u128,
    exact: Number,
    single: f32,
    double: f64,
    maybe: Option<Number>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Texts {
    flag: bool,
    text: String,
    character: char,
    bytes: Binary,
    unit: (),
    marker: Marker,
    wrapped: Wrapped,
    jiff: Instant<jiff::Timestamp>,
    #[serde(with = "memory_table::instant")]
    chrono: Option<chrono::DateTime<chrono::Utc>>,
    uuid: uuid::Uuid,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Marker;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Wrapped(String);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Sets {
    #[serde(default)]
    texts: Set<String>,
    #[serde(default)]
    numbers: Set<Number>,
    #[serde(default)]
    bytes: Set<Binary>,
    #[serde(default, with = "memory_table::set")]
    integers: HashSet<i128>,
    by_name: BTreeMap<String, Set<u16>>,
    lists: Vec<Set<String>>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Nested {
    lists: Vec<Vec<Option<String>>>,
    maps: BTreeMap<String, BTreeMap<i16, Vec<u8>>>,
    array: [bool; 3],
    set_as_list: BTreeSet<String>,
    attributes: Attributes,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Enums {
    external: External,
    internal: Internal,
    adjacent: Vec<Adjacent>,
    untagged: Option<Untagged>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum External {
    Unit,
    Newtype(Number),
    Tuple(u64, String),
    Struct { bytes: Binary, instant: Instant<jiff::Timestamp> },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Newtype(Attributes),
    Struct { exact: Number, texts: Vec<String>, sets: Vec<Set<Number>>, bytes: Binary },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Unit,
    Newtype(f64),
    Tuple(i64, Number),
    Struct { rest: Attributes },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Text(String),
    List(Vec<Number>),
    Map(Attributes),
}

fn everything() -> impl Strategy<Value = Everything> {
    let parts = (numbers(), texts(), sets(), nested(), enums(), random::attributes("rest "));
    parts.prop_map(|(numbers, texts, sets, nested, enums, rest)| Everything {
        id: 0,
        numbers,
        texts,
        sets,
        nested,
        enums,
        rest,
    })
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let small = (
        random::integer(&[i8::MIN, i8::MAX, 0]),
        random::integer(&[i16::MIN, i16::MAX, 0]),
        random::integer(&[i32::MIN, i32::MAX, 0]),
        random::integer(&[i64::MIN, i64::MAX, 0]),
    );
    let unsigned = (any::<u8>(), any::<u16>(), any::<u32>(), random::integer(&[u64::MAX, 0]));
    let floats = (random::single(), random::float());
    let exact = (random::number(), option::of(random::number()));
    (small, unsigned, random::i128s(), random::u128s(), floats, exact).prop_map(
        |(small, unsigned, signed_128, unsigned_128, (single, double), (exact, maybe))| Numbers {
            small,
            unsigned,
            signed_128,
            unsigned_128,
            exact,
            single,
            double,
            maybe,
        },
    )
}

fn texts() -> impl Strategy<Value = Texts> {
    let plain = (any::<bool>(), random::text(), any::<char>(), random::bytes(), random::text());
    let instants = (random::jiff_instant(), option::of(random::chrono_instant()));
    (plain, instants, any::<u128>()).prop_map(
        |((flag, text, character, bytes, wrapped), (jiff, chrono), uuid)| Texts {
            flag,
            text,
            character,
            bytes,
            unit: (),
            marker: Marker,
            wrapped: Wrapped(wrapped),
            jiff,
            chrono,
            uuid: uuid::Uuid::from_u128(uuid),
        },
    )
}

fn sets() -> impl Strategy<Value = Sets> {
    let some = || btree_set(random::text(), 1..3).prop_map(Set::from);
    let parts = (
        btree_set(random::text(), 0..3),
        btree_set(random::number(), 0..3),
        btree_set(random::bytes(), 0..3),
        hash_set(random::i128s(), 0..3),
        btree_map(random::name(), btree_set(any::<u16>(), 1..3).prop_map(Set::from), 0..3),
        vec(some(), 0..2),
    );
    parts.prop_map(|(texts, numbers, bytes, integers, by_name, lists)| Sets {
        texts: texts.into(),
        numbers: numbers.into(),
        bytes: bytes.into(),
        integers,
        by_name,
        lists,
    })
}

fn nested() -> impl Strategy<Value = Nested> {
    let parts = (
        vec(vec(option::of(random::text()), 0..3), 0..3),
        btree_map(random::name(), btree_map(any::<i16>(), vec(any::<u8>(), 0..3), 0..3), 0..3),
        any::<[bool; 3]>(),
        btree_set(random::text(), 0..3),
        random::attributes(""),
    );
    parts.prop_map(|(lists, maps, array, set_as_list, attributes)| Nested {
        lists,
        maps,
        array,
        set_as_list,
        attributes,
    })
}

fn enums() -> impl Strategy<Value = Enums> {
    (external(), internal(), vec(adjacent(), 0..2), option::of(untagged())).prop_map(
        |(external, internal, adjacent, untagged)| Enums { external, internal, adjacent, untagged },
    )
}

fn external() -> impl Strategy<Value = External> {
    prop_oneof![
        Just(External::Unit),
        random::number().prop_map(External::Newtype),
        (any::<u64>(), random::text()).prop_map(|(number, text)| External::Tuple(number, text)),
        (random::bytes(), random::jiff_instant())
            .prop_map(|(bytes, instant)| External::Struct { bytes, instant }),
    ]
}

fn internal() -> impl Strategy<Value = Internal> {
    let sets = vec(btree_set(random::number(), 1..3).prop_map(Set::from), 0..3);
    let texts = vec(random::text(), 0..3);
    prop_oneof![
        Just(Internal::Unit),
        random::attributes("in ").prop_map(Internal::Newtype),
        (random::number(), texts, sets, random::bytes()).prop_map(|(exact, texts, sets, bytes)| {
            Internal::Struct { exact, texts, sets, bytes }
        }),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        Just(Adjacent::Unit),
        random::float().prop_map(Adjacent::Newtype),
        (any::<i64>(), random::number()).prop_map(|(a, b)| Adjacent::Tuple(a, b)),
        random::attributes("").prop_map(|rest| Adjacent::Struct { rest }),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<bool>().prop_map(Untagged::Flag),
        random::text().prop_map(Untagged::Text),
        vec(random::number(), 0..3).prop_map(Untagged::List),
        random::attributes("").prop_map(Untagged::Map),
    ]
}

/// Writes the records, replacing those before them, and reads them back.
async fn survive(table: &Table<Everything>, records: &[Everything]) {
    let report = table.batch_write().puts(records.iter().cloned()).await.expect("all are stored");
    assert_eq!(report.written, records.len() as u64);
    let read = table.batch_get(records.iter().map(|record| record.id)).await;
    let read = read.expect("all are read");
    assert_eq!(read.len(), records.len());
    for read in read.records.values() {
        let put = records.iter().find(|record| record.id == read.id);
        assert_eq!(Some(read), put);
    }
}

/// Many batches, one after the other, under keys that no other worker has.
async fn survive_many(table: Table<Everything>, worker: u32, mut left: u32) {
    let mut runner = TestRunner::default();
    while left > 0 {
        let size = left.min(BATCH);
        let first = worker * BATCH;
        survive(&table, &records(&mut runner, first..first + size)).await;
        left -= size;
    }
}

fn records(runner: &mut TestRunner, ids: std::ops::Range<u32>) -> Vec<Everything> {
    let strategy = everything();
    let records = ids.map(|id| {
        let record = strategy.new_tree(runner).expect("a record").current();
        Everything { id, ..record }
    });
    records.collect()
}

#[test]
fn random_records_survive_encode_and_decode() {
    let config = Config { failure_persistence: None, ..Config::default() };
    let survived = TestRunner::new(config).run(&everything(), |record| {
        let item = Attributes::of_record(&record);
        let read = item.and_then(|item| item.to_record::<Everything>());
        prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(record));
        Ok(())
    });
    if let Err(error) = survived {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_records_survive_store_and_load() {
    let wanted = std::env::var(RECORDS).ok().filter(|text| !text.is_empty());
    let wanted = wanted.map_or(DEFAULT_RECORDS, |text| text.parse().expect("a number of records"));
    let table = database().table::<Everything>();
    table.create_if_missing().await.expect("created");
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let share = wanted / WORKERS + u32::from(worker < wanted % WORKERS);
        workers.spawn(survive_many(table.clone(), worker, share));
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("all records of the worker survived");
    }
}

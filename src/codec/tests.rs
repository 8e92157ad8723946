//! The codec from outside: what a record becomes, what becomes of an item, what survives.

use std::collections::{BTreeMap, HashMap};

use memory_table_derive::Record;
use serde::{Deserialize, Serialize};

use super::encode::form;
use super::places::Values;
use super::*;
use crate::Set;
use crate::key::Key;
use crate::record::Record;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[record(table = "things")]
struct Thing {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    rating: f64,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    nick: Option<String>,
    #[serde(default)]
    shape: Shape,
    #[serde(default)]
    inner: Inner,
    #[serde(default)]
    map: BTreeMap<u8, i64>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
struct Inner {
    #[serde(default)]
    a: i64,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
enum Shape {
    #[default]
    Point,
    Circle(f32),
    Line(i8, i8),
    Box {
        width: u64,
    },
}

fn key_of<T: Record>(record: &T) -> Key {
    Key::new(&record.key()).unwrap()
}

/// Encodes a record, and measures it, which is to say the same.
fn encode<T: Record>(record: &T, key: &Key) -> Result<EncodedItem, CodecError> {
    let item = super::encode(record, key);
    assert_eq!(measure(record, key), item.as_ref().map(|item| item.size).map_err(Clone::clone));
    item
}

fn json<T: Record>(record: &T) -> String {
    String::from_utf8(encode(record, &key_of(record)).unwrap().json).unwrap()
}

fn round_trip(thing: &Thing) {
    let item = encode(thing, &key_of(thing)).unwrap();
    let decoded = decode::<Thing>(&item.json).unwrap();
    assert_eq!(decoded.record, *thing);
    assert_eq!(decoded.key, key_of(thing));
    assert_eq!(decoded.kept, None);
    assert_eq!(tree::fields_size(&tree::parse_item(&item.json).unwrap()), item.size);
    let sdk = json_to_item(&item.json).unwrap();
    assert!(same_items(&item_to_json(&sdk).unwrap(), &item.json));
}

#[test]
fn a_record_becomes_dynamodb_json() {
    let thing = Thing {
        id: 7,
        name: "a\"b".into(),
        flag: true,
        rating: 1500.0,
        tags: vec!["x".into()],
        nick: None,
        shape: Shape::Circle(0.5),
        inner: Inner { a: -1 },
        map: BTreeMap::from([(3, 4)]),
    };
    assert_eq!(
        json(&thing),
        r#"{"id":{"N":"7"},"name":{"S":"a\"b"},"flag":{"BOOL":true},"rating":{"N":"1500"},"tags":{"L":[{"S":"x"}]},"nick":{"NULL":true},"shape":{"M":{"Circle":{"N":"0.5"}}},"inner":{"M":{"a":{"N":"-1"}}},"map":{"M":{"3":{"N":"4"}}}}"#
    );
}

#[test]
fn every_form_survives_and_its_size_is_exact() {
    let shapes = [
        Shape::Point,
        Shape::Circle(-1.5e-7),
        Shape::Line(-128, 127),
        Shape::Box { width: u64::MAX },
    ];
    for (id, shape) in (0..).zip(shapes) {
        round_trip(&Thing {
            id,
            name: "é\n\u{0}\u{1F980}".into(),
            flag: id % 2 == 0,
            rating: 0.1 + f64::from(id),
            tags: vec![String::new(), "b".into()],
            nick: (id > 1).then(|| "n".into()),
            shape,
            inner: Inner { a: i64::MIN },
            map: (0..4).map(|n| (n, i64::from(n) * -1_000_000_007)).collect(),
        });
    }
}

/// Its size, if it has the text of an item of these attributes.
fn size_if_same(thing: &Thing, fields: &tree::Fields<'_>) -> Option<usize> {
    let mut json = Vec::new();
    tree::write_fields(&mut json, fields);
    let (_, places) = tree::parse_item_with_places(&json).unwrap();
    encode::size_if_same(thing, Values { json: &json, places: &places }).unwrap()
}

#[test]
fn what_is_stored_as_it_would_be_is_told_by_its_text_in_any_order() {
    let thing = Thing {
        name: "a\"b, longer than any block of text that is looked at at once".into(),
        tags: vec!["x".into(), String::new()],
        shape: Shape::Box { width: 3 },
        map: BTreeMap::from([(3, 4), (4, 5)]),
        ..Thing::default()
    };
    let item = encode(&thing, &key_of(&thing)).unwrap();
    let fields = tree::parse_item(&item.json).unwrap();
    for at in 0..fields.len() {
        let mut others = fields.clone();
        others.rotate_left(at);
        assert_eq!(size_if_same(&thing, &others), Some(item.size));
        others[0].1 = tree::Node::S("another".into());
        assert_eq!(size_if_same(&thing, &others), None, "{others:?}");
        let (name, node) = others.remove(0);
        assert_eq!(size_if_same(&thing, &others), None, "{others:?}");
        others.push((format!("{name}s").into(), node));
        assert_eq!(size_if_same(&thing, &others), None, "{others:?}");
    }
    let more = [&fields[..], &[("more".into(), tree::Node::Null)]].concat();
    assert_eq!(size_if_same(&thing, &more), None);
    let number = |text: &'static str| {
        let mut fields = fields.clone();
        fields[3] = ("rating".into(), tree::Node::N(text.into()));
        size_if_same(&thing, &fields).is_some()
    };
    assert!(number("0") && !number("0.0"), "the same value as another text");
}

#[test]
fn floats_come_back_to_the_last_bit() {
    for rating in
        [0.1, 1.0 / 3.0, 1e-7, 1e21, 123_456_789.123_456_78, f64::MIN_POSITIVE.sqrt().cbrt()]
    {
        round_trip(&Thing { rating, ..Thing::default() });
    }
}

#[test]
fn what_dynamodb_has_no_form_for_is_refused_with_its_path() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "bad")]
    struct Bad {
        #[record(partition_key)]
        id: String,
        list: Vec<HashMap<String, f64>>,
    }
    let refuse = |value| {
        let bad = Bad { id: "a".into(), list: vec![HashMap::from([("x".into(), value)])] };
        encode(&bad, &key_of(&bad)).unwrap_err().to_string()
    };
    let text = "attribute `list[0].x`: NaN and infinities are no DynamoDB numbers";
    assert_eq!(refuse(f64::NAN), text);
    assert_eq!(refuse(f64::NEG_INFINITY), text);
    let range = "attribute `list[0].x`: the number is outside the range of DynamoDB's numbers, 1E-130 to 9.99E125";
    assert_eq!(refuse(1e126), range);
    assert_eq!(refuse(1e-131), range);
}

#[test]
fn an_item_of_more_than_400_kb_is_refused() {
    let thing = |length| Thing { name: "x".repeat(length), ..Thing::default() };
    let rest = encode(&thing(0), &key_of(&thing(0))).unwrap().size;
    assert_eq!(encode(&thing(MAX_ITEM - rest), &key_of(&thing(0))).unwrap().size, MAX_ITEM);
    assert_eq!(
        encode(&thing(MAX_ITEM - rest + 1), &key_of(&thing(0))).unwrap_err().to_string(),
        "the item has 409601 bytes, attribute names included; DynamoDB allows 409600"
    );
}

#[test]
fn a_key_that_serde_stores_in_another_form_is_refused() {
    #[derive(Serialize, Deserialize, Clone)]
    struct Upper(String);
    impl crate::KeyAttribute for Upper {
        const KIND: crate::KeyKind = crate::KeyKind::String;
        fn to_key(&self) -> crate::KeyValue<'_> {
            crate::KeyValue::String(self.0.to_uppercase().into())
        }
        fn from_key(value: crate::KeyValue<'_>) -> Result<Self, crate::KeyError> {
            String::from_key(value).map(Self)
        }
    }
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "uppers")]
    struct Record {
        #[record(partition_key)]
        id: Upper,
    }
    let stored = |text: &str| {
        let record = Record { id: Upper(text.into()) };
        encode(&record, &Key::new(&crate::Record::key(&record)).unwrap())
    };
    assert!(stored("A").is_ok());
    assert_eq!(
        stored("a").unwrap_err().to_string(),
        "attribute `id`: serde stores this key attribute in another form than the key has; make both the same"
    );
}

#[test]
fn errors_of_reading_name_the_path_and_never_the_value() {
    let fail = |json: &str| decode::<Thing>(json.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        fail(r#"{"name":{"S":"secret"}}"#),
        "the attribute `id` is absent; write `#[serde(default)]` on the field if it may be"
    );
    assert_eq!(
        fail(r#"{"id":{"N":"1"},"name":{"N":"42"}}"#),
        "attribute `name`: expected a string, found integer"
    );
    assert_eq!(
        fail(r#"{"id":{"N":"1"},"inner":{"M":{"a":{"N":"1.5"}}}}"#),
        "attribute `inner.a`: the number does not fit i64"
    );
    assert_eq!(
        fail(r#"{"id":{"N":"1"},"tags":{"L":[{"S":"ok"},{"BOOL":true}]}}"#),
        "attribute `tags[1]`: expected a string, found boolean"
    );
    assert_eq!(
        fail(r#"{"id":{"N":"1"},"shape":{"S":"secret"}}"#),
        "attribute `shape`: none of the variants Point, Circle, Line, Box"
    );
}

#[test]
fn numbers_are_read_by_value_into_integers() {
    let decoded = decode::<Thing>(br#"{"id":{"N":"7.0"},"map":{"M":{"1":{"N":"1E3"}}}}"#).unwrap();
    assert_eq!(decoded.record.id, 7);
    assert_eq!(decoded.record.map[&1], 1000);
}

/// Loads an item, changes the record, and gives the attributes that would be written.
fn rewritten<T: Record>(item: &str, change: impl FnOnce(&mut T)) -> serde_json::Value {
    let decoded = decode::<T>(item.as_bytes()).unwrap();
    let mut record = decoded.record;
    change(&mut record);
    let mut encoded = encode(&record, &decoded.key).unwrap();
    if let Some(kept) = decoded.kept {
        encoded = kept.restore(encoded).unwrap();
    }
    assert_eq!(tree::fields_size(&tree::parse_item(&encoded.json).unwrap()), encoded.size);
    serde_json::from_slice(&encoded.json).unwrap()
}

#[test]
fn of_two_texts_equally_near_to_a_float_either_is_read_and_stays() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "sums")]
    struct Buffered {
        #[record(partition_key)]
        id: String,
        #[serde(flatten)]
        amounts: HashMap<String, crate::Number>,
    }
    // Exactly between them: …415.625.
    for text in ["165710122749415.62", "165710122749415.63"] {
        let item = format!(r#"{{"id":{{"N":"1"}},"rating":{{"N":"{text}"}}}}"#);
        let decoded = decode::<Thing>(item.as_bytes()).unwrap();
        assert_eq!(decoded.record.rating, 165_710_122_749_415.63);
        let stored = rewritten::<Thing>(&item, |thing| thing.flag = true);
        assert_eq!(stored["rating"]["N"], text);
        let changed = rewritten::<Thing>(&item, |thing| thing.rating = 0.5);
        assert_eq!(changed["rating"]["N"], "0.5");
    }
    for text in ["100000000000000.12", "100000000000000.13", "100000000000000.62"] {
        let item = format!(r#"{{"id":{{"S":"a"}},"amount":{{"N":"{text}"}}}}"#);
        let read = decode::<Buffered>(item.as_bytes()).unwrap().record.amounts;
        assert_eq!(read["amount"].to_string(), text, "through serde's own buffer");
    }
    let more = br#"{"id":{"N":"1"},"rating":{"N":"165710122749415.6251"}}"#;
    assert!(decode::<Thing>(more).is_err(), "more than a float can say");
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "small")]
struct Small {
    #[record(partition_key)]
    id: String,
    #[serde(default)]
    list: Vec<String>,
    #[serde(default)]
    inner: Inner,
    #[serde(default, alias = "old_count")]
    count: u32,
}

#[test]
fn attributes_that_the_type_does_not_declare_are_written_back() {
    let item = r#"{"id":{"S":"a"},"unknown":{"NS":["1","2"]},"inner":{"M":{"a":{"N":"1"},"b":{"S":"x"}}}}"#;
    let written = rewritten::<Small>(item, |small| {
        small.inner.a = 2;
        small.count = 3;
    });
    assert_eq!(
        written,
        serde_json::json!({
            "id": {"S": "a"}, "list": {"L": []}, "count": {"N": "3"},
            "unknown": {"NS": ["1", "2"]},
            "inner": {"M": {"a": {"N": "2"}, "b": {"S": "x"}}},
        })
    );
}

#[test]
fn an_attribute_that_did_not_change_keeps_its_stored_form() {
    let item = r#"{"id":{"S":"a"},"list":{"SS":["x","y"]},"count":{"N":"1"}}"#;
    let written = rewritten::<Small>(item, |small| small.count = 2);
    assert_eq!(written["list"], serde_json::json!({"SS": ["x", "y"]}));
    let written = rewritten::<Small>(item, |small| small.list.push("z".into()));
    assert_eq!(written["list"], serde_json::json!({"L": [{"S": "x"}, {"S": "y"}, {"S": "z"}]}));
}

#[test]
fn an_alias_is_written_once_under_the_name_of_its_field() {
    let written =
        rewritten::<Small>(r#"{"id":{"S":"a"},"old_count":{"N":"5"}}"#, |small| small.count += 1);
    assert_eq!(written["count"], serde_json::json!({"N": "6"}));
    assert_eq!(written.get("old_count"), None);
}

#[test]
fn unknown_attributes_survive_flatten() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "flat")]
    struct Flat {
        #[record(partition_key)]
        id: String,
        #[serde(flatten)]
        inner: Inner,
    }
    let item = r#"{"id":{"S":"a"},"a":{"N":"1"},"other":{"BOOL":true}}"#;
    let written = rewritten::<Flat>(item, |flat| flat.inner.a = 9);
    assert_eq!(
        written,
        serde_json::json!({"id": {"S": "a"}, "a": {"N": "9"}, "other": {"BOOL": true}})
    );
}

#[test]
fn an_entry_removed_from_a_map_stays_removed() {
    let item = r#"{"id":{"N":"1"},"map":{"M":{"1":{"N":"1"},"2":{"N":"2"}}}}"#;
    let written = rewritten::<Thing>(item, |thing| {
        thing.map.remove(&1);
    });
    assert_eq!(written["map"], serde_json::json!({"M": {"2": {"N": "2"}}}));
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[record(table = "exact")]
struct Exact {
    #[record(partition_key)]
    id: u64,
    #[serde(default)]
    texts: crate::Set<String>,
    #[serde(default, with = "crate::set")]
    numbers: std::collections::HashSet<i128>,
    #[serde(default)]
    bytes: crate::Set<crate::Binary>,
    #[serde(default)]
    price: Option<crate::Number>,
    #[serde(default)]
    big: u128,
    #[serde(default)]
    small: i128,
    #[serde(default)]
    single: f32,
}

fn exact_round_trip(record: &Exact) {
    let item = encode(record, &key_of(record)).unwrap();
    assert_eq!(decode::<Exact>(&item.json).unwrap().record, *record);
    assert_eq!(tree::fields_size(&tree::parse_item(&item.json).unwrap()), item.size);
}

#[test]
fn sets_numbers_and_128_bit_integers_survive_exactly() {
    let record = Exact {
        id: u64::MAX,
        texts: ["b".to_owned(), String::new()].into(),
        numbers: [-1, i128::from(i64::MIN) * 1_000_000_007].into(),
        bytes: [crate::Binary::from(vec![0, 255])].into(),
        price: Some("-1234567890123456789012345678901234567.8".parse().unwrap()),
        big: 10_u128.pow(38) - 1,
        small: 1 - 10_i128.pow(38),
        single: 0.1,
    };
    exact_round_trip(&record);
    let stored: serde_json::Value = serde_json::from_str(&json(&record)).unwrap();
    assert_eq!(stored["texts"], serde_json::json!({"SS": ["", "b"]}));
    assert_eq!(stored["bytes"], serde_json::json!({"BS": ["AP8="]}));
    assert_eq!(
        stored["price"],
        serde_json::json!({"N": "-1234567890123456789012345678901234567.8"})
    );
    assert_eq!(stored["big"], serde_json::json!({"N": "9".repeat(38)}));
}

#[test]
fn an_empty_set_is_no_attribute_and_comes_back_empty() {
    let record = Exact::default();
    exact_round_trip(&record);
    assert_eq!(
        json(&record),
        r#"{"id":{"N":"0"},"price":{"NULL":true},"big":{"N":"0"},"small":{"N":"0"},"single":{"N":"0"}}"#
    );
}

#[test]
fn a_set_that_dynamodb_would_refuse_is_refused() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "sets")]
    struct Sets {
        #[record(partition_key)]
        id: String,
        #[serde(default, with = "crate::set")]
        floats: Vec<Number>,
        #[serde(default)]
        nested: Vec<crate::Set<String>>,
    }
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "sets")]
    struct Mixed {
        #[record(partition_key)]
        id: String,
        #[serde(default, with = "crate::set")]
        mixed: Vec<serde_json::Value>,
    }
    use crate::Number;
    let refuse = |floats: &[&str], nested: Vec<crate::Set<String>>| {
        let floats = floats.iter().map(|text| text.parse().unwrap()).collect();
        let sets = Sets { id: "a".into(), floats, nested };
        encode(&sets, &key_of(&sets)).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&["1", "2", "1.0"], vec![]),
        "attribute `floats`: an element of the set occurs twice"
    );
    assert_eq!(
        refuse(&[], vec![crate::Set::default()]),
        "attribute `nested[0]`: DynamoDB has no empty sets; only a field or a map's entry can be left out for one"
    );
    let mixed = Mixed { id: "a".into(), mixed: vec![1.into(), "x".into()] };
    assert_eq!(
        encode(&mixed, &key_of(&mixed)).unwrap_err().to_string(),
        "attribute `mixed[1]`: the elements of a set are all strings, all numbers or all bytes"
    );
}

#[test]
fn a_number_that_the_type_would_round_is_an_error() {
    let fail = |field: &str, text: &str| {
        let item = format!(r#"{{"id":{{"N":"1"}},"{field}":{{"N":"{text}"}}}}"#);
        match field {
            "rating" => decode::<Thing>(item.as_bytes()).map(|_| ()),
            _ => decode::<Exact>(item.as_bytes()).map(|_| ()),
        }
        .map_err(|error| error.to_string())
    };
    assert_eq!(fail("rating", "0.30000000000000004"), Ok(()));
    assert_eq!(fail("rating", "1E22"), Ok(()));
    assert_eq!(
        fail("rating", "0.3000000000000000444"),
        Err("attribute `rating`: the number has more digits than f64 holds; read it into a `memory_table::Number`".into())
    );
    assert!(fail("rating", "9007199254740993").is_err());
    assert!(fail("single", "0.30000000000000004").is_err());
    assert_eq!(
        fail("small", "170141183460469231731687303715884105728"),
        Err("attribute `small`: the number does not fit i128".into())
    );
}

#[test]
fn under_flatten_what_serde_cannot_carry_is_an_error_and_never_rounded() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug)]
    #[record(table = "flat")]
    struct Flat {
        #[record(partition_key)]
        id: String,
        #[serde(flatten)]
        rest: HashMap<String, serde_json::Value>,
    }
    let read = |text: &str| {
        let item = format!(r#"{{"id":{{"S":"a"}},"n":{{"N":"{text}"}}}}"#);
        decode::<Flat>(item.as_bytes()).map(|decoded| decoded.record.rest["n"].to_string())
    };
    assert_eq!(read("18446744073709551615").unwrap(), "18446744073709551615");
    assert_eq!(read("0.1").unwrap(), "0.1");
    for text in ["18446744073709551617", "0.12345678901234567890123", "-9223372036854775809"] {
        let error = read(text).unwrap_err().to_string();
        assert!(
            error.starts_with("attribute `n`: the number has more digits than f64 holds"),
            "{error}"
        );
    }
}

#[test]
fn items_of_sets_are_read_by_plain_collections_too() {
    let item = br#"{"id":{"N":"1"},"tags":{"SS":["x","y"]}}"#;
    assert_eq!(decode::<Thing>(item).unwrap().record.tags, ["x", "y"]);
    let item = br#"{"id":{"N":"1"},"texts":{"L":[{"S":"x"}]}}"#;
    assert_eq!(decode::<Exact>(item).unwrap().record.texts, ["x".to_owned()].into());
}

#[test]
fn an_empty_name_is_refused_with_its_path() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug)]
    #[record(table = "named")]
    struct Named {
        #[record(partition_key)]
        id: u8,
        within: HashMap<String, u8>,
    }
    let record = Named { id: 1, within: HashMap::from([(String::new(), 1)]) };
    let error = form(&record).unwrap_err().to_string();
    assert!(error.starts_with("attribute `within`: a key of a map is empty"), "{error}");
}

#[test]
fn an_empty_set_within_a_list_is_refused() {
    #[derive(Record, Serialize, Deserialize, Clone, Debug)]
    #[record(table = "sets")]
    struct Sets {
        #[record(partition_key)]
        id: u8,
        #[serde(default)]
        sets: Vec<Set<u8>>,
        #[serde(default)]
        named: HashMap<String, Set<u8>>,
    }
    let empty = || Set::<u8>::default();
    let listed = Sets { id: 1, sets: vec![empty()], named: HashMap::new() };
    let error = form(&listed).unwrap_err().to_string();
    assert!(error.starts_with("attribute `sets[0]`"), "{error}");
    let named = Sets { id: 1, sets: Vec::new(), named: HashMap::from([("a".into(), empty())]) };
    let json = String::from_utf8(form(&named).unwrap().json).unwrap();
    assert!(json.contains(r#""named":{"M":{}}"#), "{json}");
}

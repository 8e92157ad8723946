//! Attributes through our codec and through other formats.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue as Value;
use memory_table_derive::Record;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::types::{Number, Set};

/// The SDK's item of DynamoDB JSON, every text of a number as it stands there.
fn item(json: serde_json::Value) -> Attributes {
    codec::json_to_item(json.to_string().as_bytes()).unwrap().into()
}

/// One of everything, and what tells one thing from another that looks alike.
fn everything() -> serde_json::Value {
    let text = r#"{
        "s": {"S": "é\n\"\u0001"}, "empty": {"S": ""}, "digits": {"S": "1"},
        "true": {"BOOL": true}, "false": {"BOOL": false}, "null": {"NULL": true},
        "b": {"B": "AP8="}, "no_bytes": {"B": ""},
        "zero": {"N": "0"}, "one": {"N": "1"}, "minus_zero": {"N": "-0"},
        "i64": {"N": "-9223372036854775808"}, "u64": {"N": "18446744073709551615"},
        "beyond_u64": {"N": "18446744073709551616"}, "fraction": {"N": "0.1"},
        "long": {"N": "-1234567890123456789012345678901234567.8"},
        "huge": {"N": "1E125"}, "tiny": {"N": "-1E-130"}, "float": {"N": "1e100"},
        "exponent": {"N": "1E2"}, "zeros": {"N": "1.10"},
        "list": {"L": []}, "map": {"M": {}},
        "na\"me\n": {"NS": ["7"]}, "te\"xt\n": {"L": [{"N": "7"}]},
        "texts": {"SS": ["", "a", "b\n"]}, "text_list": {"L": [{"S": "a"}, {"S": "b\n"}]},
        "numbers": {"NS": ["0.1", "2", "-1234567890123456789012345678901234567.8"]},
        "number_list": {"L": [{"N": "0.1"}, {"N": "2"}]},
        "binaries": {"BS": ["", "AA=="]}, "binary_list": {"L": [{"B": "AA=="}]},
        "one_fraction": {"NS": ["0.1"]}, "one_text": {"SS": ["a"]},
        "nested": {"L": [
            {"NS": ["0.1"]}, {"L": [{"N": "0.1"}]}, {"SS": ["a"]}, {"L": [{"S": "a"}]},
            {"BS": ["AA=="]}, {"L": [{"L": []}, {"L": [{"NS": ["2", "1"]}]}]},
            {"M": {"n": {"NS": ["1", "2"]}, "l": {"L": [{"N": "1"}]},
                "x": {"N": "0.12345678901234567890123"}}}
        ]}
    }"#;
    serde_json::from_str(text).unwrap()
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "fields")]
struct Field {
    #[record(partition_key)]
    id: u8,
    extra: Attributes,
    #[serde(default)]
    maybe: Option<Attributes>,
    #[serde(default)]
    many: Vec<Attributes>,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "rests")]
struct Rest {
    #[record(partition_key)]
    id: u8,
    #[serde(flatten)]
    rest: Attributes,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    Struct { extra: Attributes },
    Newtype(Attributes),
    Rest(Inner),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Inner {
    known: u8,
    #[serde(flatten)]
    rest: Attributes,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Newtype(Attributes),
    Struct { extra: Attributes },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Adjacent(Adjacent),
    Any(Attributes),
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "enums")]
struct Enums {
    #[record(partition_key)]
    id: u8,
    tagged: Vec<Tagged>,
    adjacent: Vec<Adjacent>,
    untagged: Vec<Untagged>,
    #[serde(flatten)]
    flat: Tagged,
}

/// Encodes, decodes and compares a record; nothing of it is unknown to its type.
#[track_caller]
fn survives<T: Record + PartialEq + std::fmt::Debug>(record: &T) {
    let key = Key::new(&record.key()).unwrap();
    let item = codec::encode(record, &key).unwrap();
    let decoded = codec::decode::<T>(&item.json).unwrap();
    assert_eq!(decoded.record, *record);
    assert_eq!(decoded.kept, None);
}

#[test]
fn a_field_of_attributes_has_everything_as_it_was_stored() {
    let extra = item(everything());
    let field = item(json!({"id": {"N": "1"}, "extra": {"M": everything()}}));
    let read: Field = field.to_record().unwrap();
    for (name, value) in &extra {
        assert_eq!(read.extra[name], *value, "not only by value: {name}");
    }
    assert_eq!(read.extra.len(), extra.len());
    survives(&Field {
        id: 1,
        extra: extra.clone(),
        maybe: Some(extra.clone()),
        many: vec![extra, Attributes::default()],
    });
    let stored = Attributes::of_record(&read).unwrap();
    assert_eq!(stored["extra"].as_m().unwrap()["zeros"], Value::N("1.10".into()));
}

#[test]
fn flattened_attributes_are_the_rest_of_the_item() {
    let mut everything = everything();
    let rest = item(everything.clone());
    everything["id"] = json!({"N": "1"});
    let read: Rest = item(everything).to_record().unwrap();
    assert_eq!(read, Rest { id: 1, rest });
    survives(&read);
}

#[test]
fn attributes_within_enums_of_every_tagging_survive() {
    let all = item(everything());
    let tagged = || {
        vec![
            Tagged::Struct { extra: all.clone() },
            Tagged::Newtype(all.clone()),
            Tagged::Rest(Inner { known: 1, rest: all.clone() }),
        ]
    };
    let adjacent = || vec![Adjacent::Newtype(all.clone()), Adjacent::Struct { extra: all.clone() }];
    for flat in tagged() {
        let mut untagged: Vec<_> = adjacent().into_iter().map(Untagged::Adjacent).collect();
        untagged.extend([Untagged::Any(all.clone()), Untagged::Number(0.1)]);
        survives(&Enums { id: 1, tagged: tagged(), adjacent: adjacent(), untagged, flat });
    }
}

#[test]
fn attributes_are_equal_as_dynamodb_compares_them() {
    let of = |value| item(json!({"a": value}));
    assert_eq!(of(json!({"N": "1.10"})), of(json!({"N": "1.1"})));
    assert_eq!(of(json!({"NS": ["1", "2"]})), of(json!({"NS": ["2.0", "1"]})));
    assert_ne!(of(json!({"N": "1"})), of(json!({"S": "1"})));
    assert_ne!(of(json!({"SS": ["1"]})), of(json!({"L": [{"S": "1"}]})));
    assert_ne!(
        of(json!({"L": [{"N": "1"}, {"N": "2"}]})),
        of(json!({"L": [{"N": "2"}, {"N": "1"}]}))
    );
    assert_ne!(of(json!({"NULL": true})), Attributes::default());
}

#[test]
fn an_empty_set_is_no_attribute() {
    let rest = Attributes::from_iter([("set", Value::Ss(vec![]))]);
    let stored = Attributes::of_record(&Rest { id: 1, rest }).unwrap();
    assert_eq!(stored, item(json!({"id": {"N": "1"}})));
}

#[test]
fn values_that_dynamodb_would_refuse_are_refused_with_their_path() {
    let refuse = |value| {
        let rest = Attributes::from_iter([("x", Value::L(vec![value]))]);
        Attributes::of_record(&Rest { id: 1, rest }).unwrap_err()
    };
    let error = refuse(Value::N("9".repeat(39)));
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("attribute `x[0]`: the number is more than"), "{error}");
    let twice = refuse(Value::Ns(vec!["1".into(), "1.0".into()]));
    assert!(twice.to_string().contains("`x[0]`: an element of the set occurs twice"), "{twice}");
    assert!(refuse(Value::N("one".into())).to_string().contains("not a decimal number"));
}

/// The types that read sets today, by way of serde's buffer.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "plain")]
struct Plain {
    #[record(partition_key)]
    id: u8,
    #[serde(flatten)]
    inner: PlainInner,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(default)]
struct PlainInner {
    texts: Vec<String>,
    text_set: HashSet<String>,
    chars: BTreeSet<char>,
    numbers: Vec<f64>,
    integers: HashSet<i64>,
    binaries: Vec<crate::Binary>,
    lists: Vec<BTreeSet<String>>,
    #[serde(with = "crate::set")]
    with: BTreeSet<u8>,
    sets: Vec<Set<Number>>,
    exact: Option<Number>,
    json: serde_json::Value,
    map: BTreeMap<String, Vec<u16>>,
}

#[test]
fn plain_collections_read_sets_through_flatten_as_without_it() {
    let inner = json!({
        "texts": {"SS": ["a", "b"]}, "text_set": {"SS": ["a"]}, "chars": {"SS": ["x"]},
        "numbers": {"NS": ["0.1", "2"]}, "integers": {"NS": ["-3"]}, "binaries": {"BS": ["AA=="]},
        "lists": {"L": [{"SS": ["a"]}]}, "with": {"NS": ["7"]},
        "sets": {"L": [{"NS": ["1", "0.12345678901234567890123"]}]},
        "exact": {"N": "0.12345678901234567890123"},
        "json": {"M": {"set": {"NS": ["1", "2"]}, "texts": {"SS": ["a"]}, "list": {"L": [{"SS": ["b"]}]}}},
        "map": {"M": {"a": {"NS": ["1"]}}},
    });
    let mut flat = inner;
    flat["id"] = json!({"N": "1"});
    let read = item(flat).to_record::<Plain>().unwrap().inner;
    let long = |text: &str| text.parse::<Number>().unwrap();
    let expected = PlainInner {
        texts: vec!["a".into(), "b".into()],
        text_set: ["a".into()].into(),
        chars: ['x'].into(),
        numbers: vec![0.1, 2.0],
        integers: [-3].into(),
        binaries: vec![vec![0].into()],
        lists: vec![["a".into()].into()],
        with: [7].into(),
        sets: vec![[long("1"), long("0.12345678901234567890123")].into()],
        exact: Some(long("0.12345678901234567890123")),
        json: json!({"set": [1, 2], "texts": ["a"], "list": [["b"]]}),
        map: [("a".into(), vec![1])].into(),
    };
    assert_eq!(read, expected);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "refusing")]
struct Refusing<T: Clone + Send + Sync + 'static + Serialize + serde::de::DeserializeOwned> {
    #[record(partition_key)]
    id: u8,
    #[serde(flatten)]
    #[serde(bound = "")]
    rest: HashMap<String, T>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Wrapped<T>(T);

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Either {
    Number(f64),
    Text(String),
    Json(serde_json::Value),
}

const TOO_LONG: &str =
    "the number has more digits than f64 holds; read it into a `memory_table::Number`";

fn refused<T>(rest: serde_json::Value) -> String
where
    T: Clone + Send + Sync + 'static + Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut json = rest;
    json["id"] = json!({"N": "1"});
    item(json).to_record::<Refusing<T>>().unwrap_err().to_string()
}

#[test]
fn a_long_number_is_refused_by_ordinary_types_with_its_path() {
    let long = || json!({"n": {"N": "0.12345678901234567890123"}});
    for error in [
        refused::<f64>(long()),
        refused::<u64>(long()),
        refused::<String>(long()),
        refused::<Option<f32>>(long()),
        refused::<serde_json::Value>(long()),
        refused::<Wrapped<f64>>(long()),
        refused::<Wrapped<String>>(long()),
        refused::<Wrapped<Wrapped<String>>>(long()),
        refused::<Wrapped<HashMap<String, String>>>(long()),
        refused::<Wrapped<serde_json::Value>>(long()),
    ] {
        assert!(error.starts_with(&format!("attribute `n`: {TOO_LONG}")), "{error}");
    }
    let deep = json!({"m": {"M": {"l": {"L": [{"N": "1"}, {"N": "18446744073709551617"}]}}}});
    let error = refused::<serde_json::Value>(deep);
    assert!(error.starts_with(&format!("attribute `m.l[1]`: {TOO_LONG}")), "{error}");
}

#[test]
fn a_refusal_that_an_untagged_enum_hides_is_told_all_the_same() {
    let error = refused::<Either>(json!({"n": {"N": "0.12345678901234567890123"}}));
    assert_eq!(
        error,
        format!(
            "data did not match any variant of untagged enum Either; that may be due to attribute `n`: {TOO_LONG}"
        )
    );
}

#[test]
fn where_two_numbers_may_be_refused_both_are_named() {
    let error = refused::<f64>(json!({
        "a": {"N": "0.12345678901234567890123"}, "b": {"N": "18446744073709551617"},
    }));
    assert!(error.contains("attribute `a`: ") && error.contains("attribute `b`: "), "{error}");
}

#[test]
fn a_number_set_within_a_list_says_what_reads_it_through_a_buffer() {
    let error = refused::<Vec<Vec<f64>>>(json!({"sets": {"L": [{"NS": ["1"]}]}}));
    assert_eq!(
        error,
        "attribute `sets[0]`: a number set directly within a list is read there as a \
         `memory_table::Set` or `memory_table::Attributes` only"
    );
}

#[test]
fn an_error_of_something_else_is_not_blamed_on_a_long_number() {
    let stored = item(json!({"n": {"N": "0.12345678901234567890123"}}));
    assert_eq!(
        stored.to_record::<Rest>().unwrap_err().to_string(),
        "the attribute `id` is absent; write `#[serde(default)]` on the field if it may be"
    );
}

#[test]
fn other_formats_see_plain_values() {
    let attributes = item(json!({
        "s": {"S": "x"}, "n": {"N": "1.50"}, "i": {"N": "18446744073709551615"}, "l": {"L": [{"NULL": true}]},
        "long": {"N": "0.12345678901234567890123"}, "b": {"B": "AP8="}, "set": {"NS": ["1"]},
        "t": {"BOOL": true},
    }));
    assert_eq!(
        serde_json::to_value(&attributes).unwrap(),
        json!({
            "s": "x", "n": 1.5, "i": u64::MAX, "l": [null], "long": "0.12345678901234567890123",
            "b": [0, 255], "set": [1], "t": true,
        })
    );
}

#[test]
fn from_other_formats_lists_are_lists_and_never_sets() {
    let json = json!({"a\n": ["x"], "b": [1, 2], "c": {"d\t": [0.5]}, "e": null, "f": [["\n"]]});
    let list = |values: Vec<Value>| Value::L(values);
    let number = |text: &str| Value::N(text.into());
    let expected = Attributes::from_iter([
        ("a\n", list(vec![Value::S("x".into())])),
        ("b", list(vec![number("1"), number("2")])),
        ("c", Value::M([("d\t".into(), list(vec![number("0.5")]))].into())),
        ("e", Value::Null(true)),
        ("f", list(vec![list(vec![Value::S("\n".into())])])),
    ]);
    let inner: Inner = serde_json::from_str(r#"{"known":1,"a\n":["\u0078"]}"#).unwrap();
    assert_eq!(inner.rest["a\n"], expected["a\n"]);
    assert_eq!(serde_json::from_str::<Attributes>(&json.to_string()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Attributes>(json).unwrap(), expected);
}

//! Items that older programs stored.

use aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Attributes, ErrorKind, Record, Set, aws_sdk_dynamodb};
use serde::{Deserialize, Serialize};

use super::{item, store, stored};
use crate::support::Stage;

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "stores")]
struct Store {
    #[record(partition_key)]
    id: String,
    #[serde(default, deserialize_with = "memory_table::old::bool")]
    is_open: bool,
    #[serde(default, deserialize_with = "memory_table::old::bool")]
    is_new: Option<bool>,
    #[serde(default, deserialize_with = "memory_table::old::json")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "memory_table::old::json")]
    place: Option<Place>,
    #[serde(default)]
    count: u32,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
struct Place {
    street: String,
    #[serde(default)]
    floors: Set<u32>,
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.into())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn read(attributes: &[(&str, AttributeValue)]) -> Result<Store, memory_table::Error> {
    let given = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    given.chain([("id".to_owned(), text("a"))]).collect::<Attributes>().to_record()
}

#[test]
fn old_forms_are_read_beside_the_new_ones() {
    let list = || AttributeValue::L(vec![text("a"), text("b")]);
    let floors = AttributeValue::Ns(vec!["1".into(), "2".into()]);
    let native =
        AttributeValue::M([("street".into(), text("Main")), ("floors".into(), floors)].into());
    let main = |floors: Vec<u32>| {
        Some(Place { street: "Main".into(), floors: floors.into_iter().collect() })
    };
    for (is_open, is_new, tags, place, expected) in [
        (
            number("1"),
            number("0"),
            text(r#"["a","b"]"#),
            text(r#"{"street":"Main","floors":[2]}"#),
            (true, Some(false), main(vec![2])),
        ),
        (number("0"), number("1"), list(), native.clone(), (false, Some(true), main(vec![1, 2]))),
        (
            number("1.0"),
            AttributeValue::Null(true),
            list(),
            AttributeValue::Null(true),
            (true, None, None),
        ),
        (
            AttributeValue::Bool(true),
            AttributeValue::Bool(false),
            list(),
            text("null"),
            (true, Some(false), None),
        ),
    ] {
        let given = [("is_open", is_open), ("is_new", is_new), ("tags", tags), ("place", place)];
        let store = read(&given).unwrap();
        assert_eq!(store.tags, ["a", "b"]);
        assert_eq!((store.is_open, store.is_new, store.place), expected);
    }
    let nothing = read(&[]).unwrap();
    assert_eq!(nothing, Store { id: "a".into(), ..Store::default() });
}

#[test]
fn what_is_in_neither_form_is_an_error_that_does_not_show_it() {
    for (name, value) in [
        ("is_open", number("2")),
        ("is_open", number("-1")),
        ("is_open", number("0.5")),
        ("is_open", text("secret")),
        ("is_open", AttributeValue::Null(true)),
        ("is_new", text("secret")),
        ("tags", text("secret")),
        ("tags", text(r#"{"secret":1}"#)),
        ("tags", text(r#"["a", {"secret":1}]"#)),
        ("tags", number("7")),
        ("place", text(r#"{"street":["secret"]}"#)),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidItem, "{name}");
        let said = error.to_string();
        assert!(said.contains(name), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "states")]
struct State {
    #[record(partition_key)]
    id: u32,
    #[serde(default, deserialize_with = "memory_table::old::json")]
    kind: Option<Kind>,
    #[serde(default, deserialize_with = "memory_table::old::json")]
    level: Option<u32>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Kind {
    Open,
    Moved(String),
}

#[test]
fn what_is_written_of_such_a_field_can_be_read_again() {
    for (kind, level) in
        [(Some(Kind::Open), Some(7)), (Some(Kind::Moved("x".into())), None), (None, Some(0))]
    {
        let state = State { id: 1, kind, level };
        assert_eq!(Attributes::of_record(&state).unwrap().to_record::<State>().unwrap(), state);
    }
    let old = [("id", number("1")), ("kind", text(r#""Open""#)), ("level", text("12"))];
    let state: State = Attributes::from_iter(old).to_record().unwrap();
    assert_eq!(state, State { id: 1, kind: Some(Kind::Open), level: Some(12) });
}

#[tokio::test]
async fn an_old_form_stays_until_its_value_changes() {
    let stage = Stage::<Store>::new().await;
    let mut old = item([("id", "a"), ("tags", r#"["x"]"#)]);
    old.insert("is_open".into(), number("1"));
    store(&stage.truth, old).await;
    let memory = stage.memory();
    memory.update_existing("a", |store| store.count = 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stored(&stage.truth, "a").await.unwrap();
    assert_eq!((&item["is_open"], &item["tags"]), (&number("1"), &text(r#"["x"]"#)));
    memory.update_existing("a", |store| store.tags.push("y".into())).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stored(&stage.truth, "a").await.unwrap();
    assert_eq!(item["is_open"], number("1"));
    assert_eq!(item["tags"], AttributeValue::L(vec![text("x"), text("y")]));
}

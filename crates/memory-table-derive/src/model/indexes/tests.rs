use super::snake_case;
use crate::errors::{Pointed, pointed};
use crate::model::Model;

/// The errors of a record with these options above it; its table has a sort key.
fn with(options: &str) -> Vec<Pointed> {
    with_fields(options, "")
}

fn with_fields(options: &str, fields: &str) -> Vec<Pointed> {
    let source = format!(
        "#[record(table = \"t\", {options})] struct A {{ #[record(partition_key)] id: u8, \
         #[record(sort_key)] no: u8, #[serde(rename = \"town\")] city: String, \
         #[serde(default)] tags: Set<String>, {fields} }}"
    );
    pointed(Model::new(&syn::parse_str(&source).unwrap()))
}

fn one(place: &str, message: &str) -> Vec<Pointed> {
    vec![(place.to_owned(), message.to_owned())]
}

#[test]
fn names_of_indexes_make_names_of_handles() {
    for (name, handle) in [
        ("by-company", "by_company"),
        ("StoreCompanyIndex", "store_company_index"),
        ("by.city_name", "by_city_name"),
        ("byURLOfCity", "by_url_of_city"),
        ("GSI1", "gsi1"),
        ("gsi1PK", "gsi1_pk"),
    ] {
        assert_eq!(snake_case(name), handle);
    }
}

#[test]
fn possible_indexes_pass() {
    for options in [
        "global_index(name = \"by-city\", partition_key = city)",
        "global_index(name = \"by-city\", partition_key = city, sort_key = id, include(tags))",
        "local_index(name = \"by-city\", sort_key = city, keys_only)",
    ] {
        assert_eq!(with(options), [], "{options}");
    }
}

#[test]
fn an_index_has_a_name() {
    let advice = "write 3 to 255 of the characters `a-z`, `A-Z`, `0-9`, `_`, `.` and `-`";
    for (name, wrong) in [
        ("", "the index's name is empty"),
        ("ab", "the index's name has 2 characters"),
        ("by city", "the index's name contains ' '"),
    ] {
        let found = with(&format!("global_index(name = \"{name}\", partition_key = city)"));
        assert_eq!(found, one(&format!("\"{name}\""), &format!("{wrong}: {advice}")));
    }
    assert_eq!(
        with("global_index(partition_key = city)"),
        one("global_index", "the index has no name: write `name = \"..\"`, as the table calls it")
    );
    assert_eq!(
        with(
            "global_index(name = \"abc\", partition_key = city), \
             local_index(name = \"abc\", sort_key = city)"
        ),
        one("\"abc\"", "another index has this name: write the other's own, or remove one")
    );
}

#[test]
fn a_handle_has_a_name_of_its_own() {
    assert_eq!(
        with("global_index(name = \"2nd\", partition_key = city)"),
        one(
            "\"2nd\"",
            "`2nd` is no name for the handle of the index: write `handle = ..` with another"
        )
    );
    assert_eq!(with("global_index(name = \"2nd\", partition_key = city, handle = second)"), []);
    assert_eq!(
        with(
            "global_index(name = \"by-city\", partition_key = city), \
             global_index(name = \"ByCity\", partition_key = city)"
        ),
        one(
            "\"ByCity\"",
            "the handle of index `by-city` is called `by_city` too: write `handle = ..` with \
             another name in one of them"
        )
    );
}

#[test]
fn keys_of_an_index_are_fields() {
    let key = |field: &str| with(&format!("global_index(name = \"abc\", partition_key = {field})"));
    assert_eq!(key("ctiy"), one("ctiy", "no field `ctiy`: write `city`"));
    assert_eq!(
        key("town"),
        one("town", "no field `town`: write `city`, which is stored as `town`")
    );
    assert_eq!(
        key("latitude"),
        one("latitude", "no field `latitude`: write the name of a field of this struct")
    );
    assert_eq!(
        with("global_index(name = \"abc\")"),
        one("global_index", "a global index has a partition key: write `partition_key = field`")
    );
    assert_eq!(
        with("local_index(name = \"abc\")"),
        one("local_index", "a local index has a sort key: write `sort_key = field`")
    );
    assert_eq!(
        with("global_index(name = \"abc\", partition_key = city, sort_key = city)"),
        one("city", "`city` is the partition key already: write another field")
    );
    assert_eq!(
        with("local_index(name = \"abc\", sort_key = id)"),
        one("id", "`id` is the partition key of the table already: write another field")
    );
}

#[test]
fn a_key_of_an_index_is_one_stored_value() {
    for (field, why) in [
        ("#[serde(skip)] x: u8", "it is not stored; remove `skip`, or write another field"),
        ("#[serde(flatten)] x: B", "it is not one attribute; write a field that is not flattened"),
        (
            "#[serde(default)] x: Set<u8>",
            "it is a set; write a field that is text, a number or bytes",
        ),
        (
            "#[serde(with = \"m\")] x: u8",
            "what `with` stores is not known here; make the field a newtype that implements \
             `KeyAttribute` and the conversion",
        ),
        (
            "#[serde(deserialize_with = \"m\")] x: u8",
            "what `deserialize_with` stores is not known here; make the field a newtype that \
             implements `KeyAttribute` and the conversion",
        ),
    ] {
        let found = with_fields("global_index(name = \"abc\", partition_key = x)", field);
        assert_eq!(found, one("x", &format!("`x` cannot be a key of an index: {why}")));
    }
    let instant = "#[serde(with = \"memory_table::instant\")] x: Timestamp";
    assert_eq!(with_fields("global_index(name = \"abc\", partition_key = x)", instant), []);
}

#[test]
fn an_absent_key_is_stored_as_no_attribute() {
    let index = "global_index(name = \"abc\", partition_key = x), \
                 global_index(name = \"abd\", partition_key = x)";
    assert_eq!(
        with_fields(index, "x: Option<u8>"),
        one(
            "Option<u8>",
            "`x` is a key of an index, and `None` would be stored as null, which DynamoDB refuses \
             there: write `#[serde(default, skip_serializing_if = \"Option::is_none\")]` on it, \
             and items without it are not in the index"
        )
    );
    let skipped = "#[serde(skip_serializing_if = \"Option::is_none\")] x: Option<u8>";
    assert_eq!(with_fields(index, skipped), []);
}

#[test]
fn a_local_index_needs_a_sort_key_of_the_table() {
    let source = "#[record(table = \"t\", local_index(name = \"abc\", sort_key = b))] \
                  struct A { #[record(partition_key)] id: u8, b: u8 }";
    let found = pointed(Model::new(&syn::parse_str(source).unwrap()));
    let message = "a local index sorts the items of a partition anew, and this table has no sort \
                   key: write `#[record(sort_key)]` on a field, or `global_index`";
    assert_eq!(found, one("local_index", message));
}

#[test]
fn what_an_index_includes_is_no_key() {
    let include = |fields: &str| {
        with_fields(
            &format!("global_index(name = \"abc\", partition_key = city, include({fields}))"),
            "#[serde(skip)] cache: u8",
        )
    };
    for field in ["city", "id"] {
        let message = format!("`{field}` is a key, and keys are in the index anyway: remove it");
        assert_eq!(include(field), one(field, &message));
    }
    assert_eq!(include("cache"), one("cache", "`cache` is not one stored attribute: remove it"));
    assert_eq!(include("tag"), one("tag", "no field `tag`: write `tags`"));
    assert_eq!(include("tags, tags"), one("include", "a field is included twice: remove one"));
    assert_eq!(
        with("global_index(name = \"abc\", partition_key = city, keys_only, include(tags))"),
        one("include", "the index has keys only: remove `keys_only` or `include`")
    );
}

#[test]
fn indexes_are_counted() {
    let many = |count: usize, kind: &str, key: &str| {
        let indexes = (0..count).map(|n| format!("{kind}(name = \"i-{n}\", {key} = city)"));
        with(&indexes.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(many(5, "local_index", "sort_key"), []);
    assert_eq!(many(20, "global_index", "partition_key"), []);
    assert_eq!(
        many(6, "local_index", "sort_key"),
        one("local_index", "DynamoDB allows 5 local indexes a table: remove some")
    );
    assert_eq!(
        many(21, "global_index", "partition_key"),
        one("global_index", "DynamoDB allows 20 global indexes a table: remove some")
    );
}

use super::checks::CONVERSIONS;
use super::*;
use crate::errors::{Pointed, pointed};

fn parsed(source: &str) -> DeriveInput {
    syn::parse_str(source).unwrap()
}

/// The errors of a whole struct, with the places they point at.
fn errors_of(source: &str) -> Vec<Pointed> {
    pointed(Model::new(&parsed(source)))
}

/// The errors of a record with these attributes above it and these fields beside its key `id`.
fn in_record(attrs: &str, fields: &str) -> Vec<Pointed> {
    errors_of(&format!(
        "#[record(table = \"t\")] {attrs} struct A {{ #[record(partition_key)] id: u8, {fields} }}"
    ))
}

/// The errors of a record whose key is this field.
fn with_key(field: &str) -> Vec<Pointed> {
    errors_of(&format!("#[record(table = \"t\")] struct A {{ #[record(partition_key)] {field} }}"))
}

/// The fields that keep such a record from being made from its key.
fn undefaulted(attrs: &str, fields: &str) -> Vec<String> {
    let source = format!(
        "#[record(table = \"t\")] {attrs} struct A {{ #[record(partition_key)] id: u8, {fields} }}"
    );
    let input = parsed(&source);
    let model = Model::new(&input).unwrap();
    model.made.without_default.iter().map(|(field, _)| field.to_string()).collect()
}

fn one(place: &str, message: &str) -> Vec<Pointed> {
    vec![(place.to_owned(), message.to_owned())]
}

#[test]
fn a_record_is_a_struct_with_named_fields() {
    let cases = [
        (
            "enum A { B }",
            "not an enum: write a struct with the key as a field, and the enum as a field with \
             `#[serde(flatten)]`",
        ),
        ("union A { b: u8 }", "not a union: write a struct"),
        ("struct A(u8);", "its attributes need names: write `struct A { name: Type, .. }`"),
        ("struct A;", "it needs a field for its key: write `struct A { name: Type, .. }`"),
    ];
    for (source, advice) in cases {
        let message = format!("a record is a struct with named fields, {advice}");
        assert_eq!(errors_of(source), one("A", &message));
    }
}

#[test]
fn a_record_owns_its_data() {
    let found =
        errors_of("#[record(table = \"t\")] struct A<'a> { #[record(partition_key)] id: &'a str }");
    let message = "a record owns its data: remove `'a` and write `String` for a `&str`, `Vec<T>` \
                   for a `&[T]`";
    assert_eq!(found, one("'a", message));
}

#[test]
fn a_record_has_a_table_and_a_partition_key() {
    let found = errors_of("struct A { #[record(sort_key)] id: u8 }");
    let expected = [
        ("A".into(), "no table: write `#[record(table = \"..\")]` above the struct".into()),
        (
            "A".into(),
            "no partition key: write `#[record(partition_key)]` on the field that is the \
             partition key of the table"
                .into(),
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_misspelt_key_is_not_reported_as_missing_too() {
    let found = errors_of("#[record(table = \"t\")] struct A { #[record(hash_key)] id: u8 }");
    assert_eq!(found, one("hash_key", "no option `hash_key` here: write `partition_key`"));
}

#[test]
fn a_table_has_one_key_of_each_kind() {
    assert_eq!(
        in_record("", "#[record(partition_key)] b: u8"),
        one("partition_key", "a table has one partition key: write it on `id` or on `b`")
    );
    assert_eq!(
        in_record("", "#[record(sort_key)] b: u8, #[record(sort_key)] c: u8"),
        one("sort_key", "a table has one sort key: write it on `b` or on `c`")
    );
    assert_eq!(
        with_key("#[record(sort_key)] id: u8"),
        one(
            "sort_key",
            "`id` cannot be both keys: remove `sort_key`, or write it on another field"
        )
    );
}

#[test]
fn a_key_is_stored_with_every_item() {
    for option in ["skip", "skip_serializing", "skip_deserializing"] {
        let message = format!("a key is stored with every item: remove `{option}`");
        assert_eq!(with_key(&format!("#[serde({option})] id: u8")), one(option, &message));
    }
    let message = "a key is stored with every item: remove `skip_serializing_if`";
    let found = with_key("#[serde(skip_serializing_if = \"f\")] id: u8");
    assert_eq!(found, one("skip_serializing_if", message));
    let found = with_key("#[serde(flatten)] id: u8");
    assert_eq!(found, one("flatten", "a key is one attribute: remove `flatten`"));
}

#[test]
fn a_key_is_never_an_option() {
    for ty in ["Option<u8>", "std::option::Option<u8>", "(Option<u8>)"] {
        let message = "a key is never absent: write `id` without `Option`";
        assert_eq!(with_key(&format!("id: {ty}")), one(ty, message));
    }
}

#[test]
fn a_key_has_no_default() {
    let message = "a record is made of its key: remove `default` from `id`";
    assert_eq!(with_key("#[record(default)] id: u8"), one("default", message));
    assert_eq!(with_key("#[record(default = 7)] id: u8"), one("default", message));
}

#[test]
fn a_key_has_the_form_of_key_attribute() {
    for option in CONVERSIONS {
        let message = format!(
            "a key is looked up in the form that `KeyAttribute` gives it, which `{option}` does \
             not know of: make the field a newtype that implements `KeyAttribute` and the \
             conversion"
        );
        let field = format!("#[serde({option} = \"f\")] id: u8");
        assert_eq!(with_key(&field), one(option, &message));
        assert_eq!(in_record("", &field.replace("id", "b")), []);
    }
}

#[test]
fn a_key_name_has_255_bytes_at_most() {
    let name = |length| format!("#[serde(rename = \"{}\")] id: u8", "x".repeat(length));
    assert_eq!(with_key(&name(255)), []);
    assert_eq!(with_key(&name(256))[0].1, "the key's name has 256 bytes: DynamoDB allows 255");
}

#[test]
fn a_field_is_read_under_the_name_it_is_written() {
    let message = "what is stored could not be read back, because `b` is written as `x` and read \
                   as `y`: write `rename = \"x\"`, and `alias = \"y\"` if that name is to be read \
                   too";
    let found = in_record("", "#[serde(rename(serialize = \"x\", deserialize = \"y\"))] b: u8");
    assert_eq!(found, one("\"x\"", message));
    let found = in_record("", "#[serde(rename(deserialize = \"y\"))] b: u8");
    assert_eq!(found, one("rename", &message.replace("`x`", "`b`").replace("\"x\"", "\"b\"")));
    let same = "#[serde(rename(serialize = \"x\", deserialize = \"x\"))] b: u8";
    assert_eq!(in_record("", same), []);
    let own = "#[serde(rename(deserialize = \"b\"))] b: u8";
    assert_eq!(in_record("", own), []);
}

#[test]
fn a_case_rule_holds_for_both_ways() {
    let message = "what is stored could not be read back, because fields are written and read \
                   under different names: write `rename_all = \"..\"` for both";
    let only_one = "#[serde(rename_all(serialize = \"camelCase\"))]";
    assert_eq!(in_record(only_one, "two_words: u8"), one("rename_all", message));
    let differing = "#[serde(rename_all(serialize = \"camelCase\", deserialize = \"PascalCase\"))]";
    assert_eq!(in_record(differing, "two_words: u8"), one("rename_all", message));
    let same = "#[serde(rename_all(serialize = \"camelCase\", deserialize = \"camelCase\"))]";
    assert_eq!(in_record(same, "two_words: u8"), []);
    let nothing = "#[serde(rename_all(serialize = \"snake_case\"))]";
    assert_eq!(in_record(nothing, "two_words: u8"), []);
}

#[test]
fn an_attribute_belongs_to_one_field() {
    assert_eq!(
        in_record("", "#[serde(rename = \"id\")] b: u8"),
        one("\"id\"", "field `id` is stored as attribute `id` too: rename one of them")
    );
    assert_eq!(
        in_record("#[serde(rename_all = \"camelCase\")]", "a_b: u8, aB: u8"),
        one("aB", "field `a_b` is stored as attribute `aB` too: rename one of them")
    );
    assert_eq!(
        in_record("#[serde(tag = \"kind\")]", "kind: u8"),
        one("kind", "the tag of the struct is stored as attribute `kind` too: rename one of them")
    );
    assert_eq!(
        in_record("", "#[serde(alias = \"id\")] b: u8"),
        one("\"id\"", "attribute `id` belongs to field `id`: remove this alias")
    );
    assert_eq!(
        in_record("", "#[serde(alias = \"x\")] b: u8, #[serde(alias = \"x\")] c: u8"),
        one("\"x\"", "attribute `x` belongs to field `b`: remove this alias")
    );
    assert_eq!(
        in_record("", "#[serde(rename = \"\")] b: u8"),
        one("\"\"", "the attribute name of `b` is empty: rename it")
    );
}

#[test]
fn a_field_without_attribute_takes_no_name() {
    let fields = "#[serde(skip, rename = \"id\")] b: u8, #[serde(flatten, alias = \"id\")] c: u8";
    assert_eq!(in_record("", fields), []);
    assert_eq!(in_record("", "#[serde(alias = \"b\", alias = \"x\", alias = \"x\")] b: u8"), []);
}

#[test]
fn serde_writes_a_record_as_its_fields() {
    let transparent = "a record is stored as an item with attributes, a transparent struct as the \
                       value of its one field: remove `transparent`";
    assert_eq!(in_record("#[serde(transparent)]", ""), one("transparent", transparent));
    let remote = "serde's `remote` describes a type of another crate, which is not this record: \
                  remove `remote`, or implement `Record` by hand";
    assert_eq!(in_record("#[serde(remote = \"B\")]", ""), one("remote", remote));
    for option in ["from", "try_from", "into"] {
        let message = format!(
            "serde's `{option}` stores another type, whose attribute names are not known here: \
             convert single fields with `#[serde(with = \"..\")]`, or implement `Record` by hand"
        );
        assert_eq!(in_record(&format!("#[serde({option} = \"B\")]"), ""), one(option, &message));
    }
    assert_eq!(in_record("#[serde(tag = \"kind\", deny_unknown_fields)]", "b: u8"), []);
}

#[test]
fn a_field_is_written_and_read_or_neither() {
    let message = "attribute `b` would be read, but lost with the next write: write \
                   `#[serde(skip)]` if it is not to be stored";
    let found = in_record("", "#[serde(skip_serializing)] b: u8");
    assert_eq!(found, one("skip_serializing", message));
    let message = "attribute `b` would be written, but come back as the default: write \
                   `#[serde(skip)]` if it is not to be stored";
    let found = in_record("", "#[serde(skip_deserializing)] b: u8");
    assert_eq!(found, one("skip_deserializing", message));
    assert_eq!(in_record("", "#[serde(skip_serializing, skip_deserializing)] b: u8"), []);
    assert_eq!(in_record("", "#[serde(skip)] b: u8"), []);
}

#[test]
fn a_field_left_out_of_the_item_needs_a_default() {
    let message = "a record stored without `b` could not be read back: write `#[serde(default)]` \
                   beside `skip_serializing_if`";
    let found = in_record("", "#[serde(skip_serializing_if = \"f\")] b: u8");
    assert_eq!(found, one("skip_serializing_if", message));
    assert_eq!(in_record("", "#[serde(skip_serializing_if = \"f\")] b: Option<u8>"), []);
    assert_eq!(in_record("", "#[serde(default, skip_serializing_if = \"f\")] b: u8"), []);
    assert_eq!(in_record("#[serde(default)]", "#[serde(skip_serializing_if = \"f\")] b: u8"), []);
}

#[test]
fn every_default_that_serde_knows_counts() {
    let with_default = "#[serde(default)] a: u8, #[serde(default = \"f\")] b: u8, #[serde(skip)] \
                        c: u8, #[serde(flatten)] d: D, e: Option<u8>, f: std::option::Option<u8>, \
                        #[serde(with = \"f\", default)] g: Option<u8>, #[record(default = 1)] h: u8";
    assert!(undefaulted("", with_default).is_empty());
    let without = "a: u8, b: Vec<Option<u8>>, #[serde(with = \"f\")] c: Option<u8>, \
                   #[serde(deserialize_with = \"f\")] d: Option<u8>, \
                   #[serde(serialize_with = \"f\")] e: Option<u8>";
    assert_eq!(undefaulted("", without), ["a", "b", "c", "d"]);
    assert!(undefaulted("#[serde(default)]", without).is_empty());
    assert!(undefaulted("#[serde(default = \"f\")]", without).is_empty());
}

#[test]
fn all_errors_come_at_once() {
    let found = errors_of(
        "#[record(table = \"\", hash_key)] #[serde(transparent)] struct A<'a> { \
         #[record(partition_key)] #[serde(skip)] id: Option<&'a str>, \
         #[serde(skip_serializing)] b: u8 }",
    );
    let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
    let expected =
        ["\"\"", "hash_key", "'a", "transparent", "Option<&'a str>", "skip", "skip_serializing"];
    assert_eq!(places, expected);
}

#[test]
fn a_set_may_be_absent() {
    let message = "an empty set is stored as no attribute, so a record stored with an empty \
                   `teams` could not be read back: write `#[serde(default)]` on it";
    for (field, place) in [
        ("teams: memory_table::Set<String>", "memory_table::Set<String>"),
        ("#[serde(with = \"memory_table::set\")] teams: BTreeSet<u8>", "BTreeSet<u8>"),
        ("#[serde(with = \"memory_table::set\")] teams: Option<Set<u8>>", "Option<Set<u8>>"),
    ] {
        assert_eq!(in_record("", field), one(place, message), "{field}");
    }
    for field in [
        "#[serde(default)] teams: Set<u8>",
        "#[serde(default, with = \"memory_table::set\")] teams: BTreeSet<u8>",
        "#[serde(skip)] teams: Set<u8>",
        "#[serde(with = \"other\")] teams: Set<u8>",
        "teams: Option<Set<u8>>",
    ] {
        assert_eq!(in_record("", field), [], "{field}");
    }
    assert_eq!(in_record("#[serde(default)]", "teams: Set<u8>"), []);
}

use super::*;
use crate::errors::{Pointed, pointed};
use syn::DeriveInput;

/// The errors of a struct's own options, with the places they point at.
fn in_struct(options: &str) -> Vec<Pointed> {
    let source = format!("#[record({options})] struct A;");
    let input: DeriveInput = syn::parse_str(&source).unwrap();
    let mut errors = Errors::default();
    ContainerAttrs::parse(&input.attrs, &mut errors);
    pointed(errors.finish())
}

/// The errors of a field's options.
fn on_field(attrs: &str) -> Vec<Pointed> {
    let input: DeriveInput = syn::parse_str(&format!("{attrs} struct A;")).unwrap();
    let mut errors = Errors::default();
    FieldAttrs::parse(&input.attrs, &mut errors);
    pointed(errors.finish())
}

fn one(place: &str, message: &str) -> Vec<Pointed> {
    vec![(place.to_owned(), message.to_owned())]
}

#[test]
fn names_and_arns_of_tables_are_accepted() {
    let arn = format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{}", "x".repeat(255));
    for name in ["players", "a", "A.b-c_9", &"x".repeat(255), &arn] {
        assert_eq!(in_struct(&format!("table = \"{name}\"")), [], "{name}");
    }
}

#[test]
fn impossible_table_names_are_refused() {
    assert_eq!(
        in_struct("table = \"\""),
        one("\"\"", "the table's name is empty: write the name of a table")
    );
    assert_eq!(
        in_struct("table = \"my players\""),
        one(
            "\"my players\"",
            "the table's name contains ' ': write a name of the characters `a-z`, `A-Z`, `0-9`, \
             `_`, `.` and `-`, or an ARN that starts with `arn:`"
        )
    );
    let long = format!("\"{}\"", "x".repeat(256));
    assert_eq!(
        in_struct(&format!("table = {long}")),
        one(&long, "the table's name has 256 characters: DynamoDB allows 255")
    );
    let long = format!("\"arn:{}\"", "x".repeat(1024));
    assert_eq!(
        in_struct(&format!("table = {long}")),
        one(&long, "the table's name has 1028 characters: DynamoDB allows 1024")
    );
}

#[test]
fn values_are_in_quotes() {
    for options in ["table", "table = players", "table(\"players\")"] {
        let found = in_struct(options);
        assert_eq!(found[0].1, "write the table's name in quotes: `table = \"players\"`");
    }
    assert_eq!(
        in_struct("crate = my_table")[0].1,
        "write the crate's path in quotes: `crate = \"my_table\"`"
    );
    assert_eq!(
        in_struct("crate = \"1\"")[0],
        ("\"1\"".into(), "`1` is not a path: write `crate = \"my_table\"`".into())
    );
}

#[test]
fn an_option_given_twice_is_refused_at_its_second_place() {
    let twice = |option| format!("`{option}` is given twice: remove one");
    assert_eq!(in_struct("table = \"a\", table = \"b\""), one("table", &twice("table")));
    assert_eq!(in_struct("crate = \"a\", crate = \"b\""), one("crate", &twice("crate")));
    let source = "#[record(sort_key)] #[record(sort_key)]";
    assert_eq!(on_field(source), one("sort_key", &twice("sort_key")));
}

#[test]
fn an_unknown_option_suggests_the_known_one() {
    let cases = [
        ("hash_key", "no option `hash_key` here: write `partition_key`"),
        ("key", "no option `key` here: write `partition_key`"),
        ("pk = \"x\"", "no option `pk` here: write `partition_key`"),
        ("partiton_key", "no option `partiton_key` here: write `partition_key`"),
        ("range_key", "no option `range_key` here: write `sort_key`"),
        ("sortkey", "no option `sortkey` here: write `sort_key`"),
        (
            "rename = \"x\"",
            "no option `rename` here: write `#[serde(rename ..)]`, records follow serde",
        ),
        (
            "table = \"x\"",
            "no option `table` here: write `#[record(table = \"..\")]` above the struct",
        ),
        (
            "index(x, y = 1)",
            "no option `index` here: write `#[record(global_index(name = \"..\", partition_key = \
             field))]` above the struct",
        ),
        ("defalt = 1", "no option `defalt` here: write `default`"),
        (
            "validate = \"f\"",
            "no option `validate` here: write `#[record(validate)]` above the struct",
        ),
        (
            "counter",
            "no option `counter` here: known are `partition_key`, `sort_key`, `ttl`, `version`, `created`, `updated` and `default`",
        ),
    ];
    for (option, message) in cases {
        let name = option.split([' ', '(']).next().unwrap_or_default();
        assert_eq!(on_field(&format!("#[record({option})]")), one(name, message));
    }
    for (option, known) in
        [("updated_at", "updated"), ("created", "created"), ("vresion", "version")]
    {
        let message = format!(
            "no option `{option}` here: write `#[record({known})]` on the field that it is"
        );
        assert_eq!(in_struct(option), one(option, &message));
    }
    assert_eq!(
        in_struct("hash_key = \"id\", tabel = \"a\", counter"),
        [
            (
                "hash_key".into(),
                "no option `hash_key` here: write `#[record(partition_key)]` on the field that is \
                 the key"
                    .into()
            ),
            ("tabel".into(), "no option `tabel` here: write `table`".into()),
            (
                "counter".into(),
                "no option `counter` here: known are `table`, `global_index`, `local_index`, \
                 `read_units`, `write_units`, `before_store`, `after_load`, `validate` and `crate`"
                    .into()
            ),
        ]
    );
}

#[test]
fn key_options_take_no_value() {
    let message = "`partition_key` takes no value: write `#[record(partition_key)]`, and \
                   `#[serde(rename = \"..\")]` if the attribute has another name than the field";
    let expected = one("partition_key", message);
    assert_eq!(on_field("#[record(partition_key = \"id\")]"), expected);
    assert_eq!(on_field("#[record(partition_key(\"id\"))]"), expected);
}

#[test]
fn an_empty_attribute_asks_for_options() {
    assert_eq!(
        on_field("#[record]")[0].1,
        "expected attribute arguments in parentheses: #[record(...)]"
    );
}

#[test]
fn an_index_has_options_of_its_own() {
    let in_index = |option: &str| in_struct(&format!("global_index({option})"));
    let projection = "write `keys_only` or `include(field, ..)`, or nothing for all attributes";
    let cases = [
        ("hash_key = a", "no option `hash_key` here: write `partition_key`".to_owned()),
        ("range_key = a", "no option `range_key` here: write `sort_key`".to_owned()),
        ("index_name = \"a\"", "no option `index_name` here: write `name`".to_owned()),
        ("key_only", "no option `key_only` here: write `keys_only`".to_owned()),
        ("projection = \"ALL\"", format!("no option `projection` here: {projection}")),
        ("all", format!("no option `all` here: {projection}")),
    ];
    for (option, message) in cases {
        let place = option.split(' ').next().unwrap_or_default();
        assert_eq!(in_index(option), one(place, &message));
    }
    assert_eq!(
        in_struct("local_index(partition_key = a)"),
        one(
            "partition_key",
            "no option `partition_key` here: remove it, as a local index has the table's, or write \
             `global_index`"
        )
    );
    assert_eq!(
        in_struct("gsi(name = \"a\")"),
        one("gsi", "no option `gsi` here: write `global_index`")
    );
    assert_eq!(
        in_struct("global_index"),
        one("global_index", "write `global_index(name = \"..\", partition_key = field)`")
    );
}

#[test]
fn fields_of_an_index_are_names() {
    let in_index = |option: &str| in_struct(&format!("global_index({option})"))[0].1.clone();
    let quoted = "write the name without quotes: `partition_key = city`";
    assert_eq!(in_index("partition_key = \"city\""), quoted);
    let absent = "write a name without quotes: `partition_key = city`";
    assert_eq!(in_index("partition_key"), absent);
    assert_eq!(in_index("partition_key(city)"), absent);
    assert_eq!(in_index("include = city"), "write `include(field, other_field)`");
    assert_eq!(
        in_index("include()"),
        "it includes nothing: write `keys_only`, or the fields to include"
    );
    assert_eq!(in_index("keys_only = true"), "`keys_only` takes no value: write `keys_only`");
    assert_eq!(in_index("name = city"), "write the index's name in quotes: `name = \"by-city\"`");
    assert_eq!(in_struct("global_index(partition_key = r#type)"), []);
}

#[test]
fn hooks_are_paths_in_quotes() {
    assert_eq!(
        in_struct("before_store = check")[0].1,
        "write the function's path in quotes: `before_store = \"Self::check\"`"
    );
    assert_eq!(
        in_struct("after_load = \"|r| Ok(())\"")[0].1,
        "`|r| Ok(())` is not a path: write `after_load = \"Self::check\"`"
    );
}

#[test]
fn a_default_is_an_expression() {
    for option in ["default", "default = 1 + 2", "default = vec![1, 2]", "default = \"weak\""] {
        assert_eq!(on_field(&format!("#[record({option}, sort_key)]")), [], "{option}");
    }
    assert_eq!(
        on_field("#[record(default(1))]")[0].1,
        "write the value behind `=`: `default = 1500.0`"
    );
}

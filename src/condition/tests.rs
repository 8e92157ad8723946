use std::collections::BTreeSet;

use super::*;
use crate::codec::tree::Node;
use crate::{Binary, Number, Set};

/// An item with an attribute of every type.
const ITEM: &str = r#"{"s":{"S":"aé😀"},"n":{"N":"5"},"b":{"B":"AAEC"},"t":{"BOOL":true},"z":{"NULL":true},
    "l":{"L":[{"N":"1.0"},{"S":"q"}]},"m":{"M":{"k":{"S":"v"},"a.b":{"N":"1"}}},"ss":{"SS":["a","b"]},
    "ns":{"NS":["1","2.50"]},"bs":{"BS":["AA=="]},"other":{"N":"5.00"}}"#;

fn holds(condition: &Condition) -> bool {
    condition.evaluate(&parse_item(ITEM.as_bytes()).unwrap()).unwrap()
}

fn render(condition: &Condition) -> Result<Rendered, Error> {
    Rendered::new(None, Some(condition), &[])
}

fn rendered(condition: &Condition) -> (String, Vec<String>, String) {
    let rendered = render(condition).unwrap();
    (rendered.filter.unwrap(), rendered.names, String::from_utf8(rendered.values).unwrap())
}

fn refusal(condition: &Condition) -> String {
    let error = condition.check_keys(&["id"]).and_then(|()| render(condition)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCondition);
    error.to_string()
}

fn all_true<const N: usize>(conditions: [Condition; N]) {
    for (index, condition) in conditions.iter().enumerate() {
        assert!(holds(condition), "{index}: {:?}", render(condition));
        assert!(!holds(&condition.clone().not()), "{index}: {:?}", render(condition));
    }
}

#[test]
fn values_are_equal_by_value_within_one_type() {
    let a = attribute;
    all_true([
        a("n").eq(5),
        a("n").eq(5.0),
        a("n").eq("5.000".parse::<Number>().unwrap()),
        a("n").eq(a("other")),
        a("n").ne("5"),
        a("ns").eq(Set::from([Number::from(1), "2.5".parse().unwrap()])),
        a("ss").eq(Set::from(["b", "a"])),
        a("ss").ne(["a", "b"]),
        a("l").eq((1, "q")),
        a("m").eq(serde_json::json!({"a.b": 1, "k": "v"})),
        a("z").eq(()),
        a("t").eq(true),
        a("b").eq(Binary::from(vec![0, 1, 2])),
    ]);
}

#[test]
fn what_is_absent_is_different_from_everything() {
    let a = attribute;
    all_true([
        a("x").ne(1),
        a("x").ne(a("y")),
        a("n").ne(a("x")),
        !a("x").eq(a("y")),
        !a("x").lt(1),
        !a("x").is_in([1]),
        !a("x").contains(1),
        !a("x").between(0, 9),
        a("x").not_exists(),
        a("n.k").not_exists(),
        a("l[2]").not_exists(),
        a("l.k").not_exists(),
        a("m[0]").not_exists(),
        a("z").exists(),
        a("x").size().ne(1),
        a("n").size().ne(a("t").size()),
        !a("n").size().ge(0),
    ]);
}

#[test]
fn order_is_by_value_of_numbers_and_by_bytes_of_the_rest() {
    let a = attribute;
    all_true([
        a("n").lt(10),
        a("n").gt(-10),
        a("n").between(5, 5),
        !a("n").lt("9"),
        // By UTF-16 code units it would be less.
        a("s").gt("aé\u{ffff}"),
        a("s").lt("aé😁"),
        a("b").ge(Binary::from(vec![0, 1, 2])),
        a("b").lt(Binary::from(vec![0, 2])),
        !a("t").lt(a("n")),
        !a("l").le(a("ss")),
        !a("n").between(1, a("s")),
    ]);
}

#[test]
fn sizes_count_utf16_units_bytes_and_elements() {
    let a = attribute;
    all_true([
        a("s").size().eq(4),
        a("b").size().eq(3),
        a("l").size().eq(2),
        a("m").size().between(1, 2),
        a("ss").size().is_in([7, 2]),
        a("bs").size().lt(a("ns").size()),
    ]);
}

#[test]
fn containers_contain_elements_of_their_type() {
    let a = attribute;
    all_true([
        a("s").contains("é"),
        a("s").contains(""),
        a("s").begins_with("aé"),
        a("b").contains(Binary::from(vec![1])),
        a("b").begins_with(Binary::from(vec![0])),
        a("l").contains(1),
        a("l").contains("q"),
        a("ss").contains("a"),
        a("ns").contains(2.5),
        a("bs").contains(Binary::from(vec![0])),
        !a("s").contains(5),
        !a("ss").contains(Set::from(["a", "b"])),
        !a("m").contains("k"),
        !a("n").begins_with("5"),
        a("m").field("a.b").eq(1),
        a("l").index(1).eq("q"),
        a("m.k").attribute_type(AttributeType::String),
        !a("x").attribute_type(AttributeType::String),
    ]);
}

#[test]
fn names_and_values_are_placeholders_used_again() {
    let (expression, names, values) =
        rendered(&(attribute("size").eq("a").or(attribute("m.size[3]").ne("a"))));
    assert_eq!(expression, "#n0 = :v0 OR #n1.#n0[3] <> :v0");
    assert_eq!(names, ["size", "m"]);
    assert_eq!(values, r#"{":v0":{"S":"a"}}"#);
}

#[test]
fn parentheses_are_where_they_must_be() {
    let c = |name: &str| attribute(name).exists();
    let text = |condition: &Condition| {
        let text = rendered(condition).0;
        text.replace("attribute_exists(#n", "").replace("attribute_not_exists(#n", "-")
    };
    assert_eq!(text(&(c("a") & c("b") & (c("c") & c("d")))), "0) AND 1) AND 2) AND 3)");
    assert_eq!(text(&(c("a") & (c("b") | c("c")))), "0) AND (1) OR 2))");
    assert_eq!(text(&!(c("a") & c("b"))), "NOT (0) AND 1))");
    assert_eq!(text(&!!(!c("a") | c("b"))), "NOT 0) OR 1)");
}

#[test]
fn every_operator_has_its_expression() {
    let a = attribute("a");
    for (condition, expected) in [
        (a.between(1, 2), "#n0 BETWEEN :v0 AND :v1"),
        (a.is_in([1, 2, 1]), "#n0 IN (:v0,:v1,:v0)"),
        (a.begins_with("x"), "begins_with(#n0,:v0)"),
        (a.contains("x"), "contains(#n0,:v0)"),
        (a.attribute_type(AttributeType::NumberSet), "attribute_type(#n0,:v0)"),
        (a.size().ge(1), "size(#n0) >= :v0"),
        (a.le(attribute("b")), "#n0 <= #n1"),
        (a.not_exists(), "attribute_not_exists(#n0)"),
    ] {
        assert_eq!(rendered(&condition).0, expected);
    }
}

#[test]
fn values_without_a_form_stay_in_the_condition_as_its_error() {
    let nan = attribute("a").eq(1) & attribute("b").gt(f64::NAN) & attribute("c").lt([1]);
    assert_eq!(
        refusal(&nan),
        "DynamoDB refuses such a condition: a value that DynamoDB has no form for: NaN and \
         infinities are no DynamoDB numbers; nothing was sent"
    );
    assert!(refusal(&!attribute("a").eq(Set::<String>::default())).contains("empty set"));
}

#[test]
fn what_dynamodb_refuses_is_refused_before() {
    let a = || attribute("a");
    for (condition, why) in [
        (a().lt(true), "< takes strings, numbers and bytes, not BOOL"),
        (a().ge(()), ">= takes strings, numbers and bytes, not NULL"),
        (a().between([1], [2]), "BETWEEN takes strings, numbers and bytes, not L"),
        (a().between(1, "x"), "the bounds of BETWEEN are of one type, not N and S"),
        (a().between(2, 1), "the lower bound of BETWEEN is above the upper"),
        (a().size().between(2, 1), "the lower bound of BETWEEN is above the upper"),
        (a().begins_with(1), "begins_with takes strings and bytes, not N"),
        (a().begins_with(BTreeSet::from([1])), "begins_with takes strings and bytes, not L"),
        (a().eq(a()), "= compares `a` with itself"),
        (a().between(1, a()), "BETWEEN compares `a` with itself"),
        (a().is_in([attribute("b"), a()]), "IN compares `a` with itself"),
        (a().contains(a()), "contains compares `a` with itself"),
        (a().begins_with(a()), "begins_with compares `a` with itself"),
        (a().is_in([0; 0]), "IN takes 1 to 100 values, not 0"),
        (a().is_in(0..101), "IN takes 1 to 100 values, not 101"),
        (attribute("id.x").eq(1), "`id.x` looks inside a key, which is no list or map"),
        (attribute("a..b").exists(), "`a..b` is no path"),
        (a().field("").exists(), "the names of a path have 1 to 65,535 bytes"),
    ] {
        let refusal = refusal(&condition);
        assert!(refusal.contains(why), "{refusal}");
    }
    assert!(render(&attribute("a").size().eq(attribute("a").size())).is_ok());
    assert!(attribute("id").eq(1).check_keys(&["id"]).is_ok());
}

#[test]
fn limits_of_expressions_are_dynamodbs() {
    let comparisons = |count: i32| {
        let all = (0..count).map(|_| attribute("a").eq(1));
        all.reduce(Condition::and).unwrap()
    };
    assert!(render(&comparisons(150)).is_ok());
    assert!(refusal(&comparisons(151)).contains("more than 300 operators"));
    let sizes = (0..101).map(|_| attribute("a").size().eq(1)).reduce(Condition::or).unwrap();
    assert!(refusal(&sizes).contains("more than 300 operators"));
    let long = (0..140).map(|n| attribute(&format!("name_{n}")).is_in([n, n + 1000, n + 2000]));
    let long = refusal(&long.reduce(Condition::or).unwrap());
    assert!(long.contains("bytes; DynamoDB allows 4096"), "{long}");
    let huge = attribute("a").eq("x".repeat(3 * 1024 * 1024));
    assert!(refusal(&huge).contains("2 MB"));
}

#[test]
fn deep_conditions_are_refused_not_a_stack_overflow() {
    let mut condition = attribute("a").exists();
    for _ in 0..100_000 {
        condition = !(condition & attribute("b").exists()) | attribute("c").exists();
    }
    assert!(refusal(&condition).contains("more than 300 operators"));
}

#[test]
fn typed_fields_take_their_own_values() {
    let text = Field::<String>::named("s");
    let set = Field::<Set<String>>::named("ss");
    let bytes = Field::<Binary>::named("b");
    all_true([
        text.begins_with("a"),
        text.contains(String::from("é")),
        text.is_in(["x", "aé😀"]),
        text.as_type::<Any>().ne(1),
        set.contains("a"),
        set.eq(Set::from(["a".to_owned(), "b".to_owned()])),
        bytes.begins_with(&[0]),
        Field::<u8>::named("n").le(5),
        Field::<f64>::named("n").lt(Field::named("z")).not(),
        Field::<Vec<f64>>::named("l").index(0).eq(1.0),
    ]);
}

#[test]
fn an_owned_value_is_the_same() {
    let fields = parse_item(ITEM.as_bytes()).unwrap();
    for (_, node) in fields {
        assert!(node.clone().into_owned().same(&node));
    }
    assert!(Node::Null.into_owned().same(&Node::Null));
}

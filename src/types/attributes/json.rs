//! Attributes as plain JSON, for people and other programs.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::base64;
use serde_json::Value;

use super::Attributes;
use crate::types::Number;

impl Attributes {
    /// Without the attributes of these names.
    ///
    /// # Example
    ///
    /// ```
    /// # use memory_table::Attributes;
    /// # use memory_table::aws_sdk_dynamodb::types::AttributeValue::S;
    /// let item = Attributes::from_iter([("name", S("ada".into())), ("secret", S("x".into()))]);
    /// assert_eq!(item.without(["secret"]).to_json(), r#"{"name":"ada"}"#);
    /// ```
    #[must_use]
    pub fn without<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        for name in names {
            self.0.remove(name);
        }
        self
    }

    /// Plain JSON of the attributes, in the order of their names: numbers with all their digits, sets as
    /// sorted lists, bytes in base64, instants as the text that is stored.
    ///
    /// It does not say which lists were sets; DynamoDB's own JSON, which does, is that of the raw client.
    ///
    /// # Example
    ///
    /// ```
    /// # use memory_table::{Attributes, Record, Set};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] teams: Set<String>, rating: f64 }
    /// # let teams = ["Santos".to_owned(), "Brazil".to_owned()].into();
    /// let player = Player { name: "pele".into(), teams, rating: 99.5 };
    /// let json = Attributes::of_record(&player)?.to_json();
    /// assert_eq!(json, r#"{"name":"pele","rating":99.5,"teams":["Brazil","Santos"]}"#);
    /// # Ok::<(), memory_table::Error>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &self.0);
        out
    }
}

fn write_map(out: &mut String, map: &std::collections::HashMap<String, AttributeValue>) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (place, (name, value)) in entries.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => write_text(out, text),
        AttributeValue::N(number) => write_number(out, number),
        AttributeValue::B(bytes) => write_text(out, &base64::encode(bytes)),
        AttributeValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        AttributeValue::L(values) => write_list(out, values, write_value),
        AttributeValue::M(map) => write_map(out, map),
        AttributeValue::Ss(texts) => {
            let texts = sorted(texts);
            write_list(out, texts, |out, text| write_text(out, text));
        }
        AttributeValue::Ns(numbers) => {
            let mut numbers: Vec<(Option<Number>, &String)> =
                numbers.iter().map(|number| (number.parse().ok(), number)).collect();
            numbers.sort();
            write_list(out, numbers, |out, (_, number)| write_number(out, number));
        }
        AttributeValue::Bs(values) => {
            let values = sorted(values.iter().map(AsRef::as_ref));
            write_list(out, values, |out, bytes: &[u8]| write_text(out, &base64::encode(bytes)));
        }
        // NULL, and what the SDK has a name for since.
        _ => out.push_str("null"),
    }
}

fn sorted<X: Ord>(values: impl IntoIterator<Item = X>) -> Vec<X> {
    let mut values: Vec<X> = values.into_iter().collect();
    values.sort_unstable();
    values
}

fn write_list<X>(
    out: &mut String,
    values: impl IntoIterator<Item = X>,
    mut write: impl FnMut(&mut String, X),
) {
    out.push('[');
    for (place, value) in values.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(out, value);
    }
    out.push(']');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

/// The number as it is stored if that is how JSON writes one.
fn write_number(out: &mut String, text: &str) {
    if serde_json::from_str::<serde_json::Number>(text).is_ok() {
        out.push_str(text);
    } else if let Ok(number) = text.parse::<Number>() {
        out.push_str(&number.to_string());
    } else {
        write_text(out, text);
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue::{B, Bool, Bs, L, M, N, Ns, Null, S, Ss};

    use super::*;

    fn json(value: AttributeValue) -> String {
        let json = Attributes::from_iter([("a", value)]).to_json();
        json.strip_prefix(r#"{"a":"#).unwrap().strip_suffix('}').unwrap().to_owned()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_type_has_a_plain_form_also_within_others() {
        let (yes, null) = (Bool(true), Null(true));
        for (value, expected) in [
            (S("a \"b\"\n".into()), r#""a \"b\"\n""#),
            (S(String::new()), r#""""#),
            (B(Blob::new([0, 255])), r#""AP8=""#),
            (L(vec![yes, null, L(vec![]), M([].into())]), "[true,null,[],{}]"),
            (Ss(texts(&["b", "a"])), r#"["a","b"]"#),
            (Ns(texts(&["10", "9", "-1.5"])), "[-1.5,9,10]"),
            (Bs(vec![Blob::new([2]), Blob::new([1])]), r#"["AQ==","Ag=="]"#),
            (
                M([("z".to_owned(), Ss(texts(&["y", "x"]))), ("b".to_owned(), Bool(false))].into()),
                r#"{"b":false,"z":["x","y"]}"#,
            ),
        ] {
            assert_eq!(json(value), expected);
        }
    }

    #[test]
    fn what_is_left_out_is_not_exported_and_all_else_is() {
        let text = |text: &str| S(text.into());
        let item = Attributes::from_iter([("c", text("3")), ("a", text("1")), ("b", text("2"))]);
        assert_eq!(item.clone().without(["b", "none"]).to_json(), r#"{"a":"1","c":"3"}"#);
        assert_eq!(item.to_json(), r#"{"a":"1","b":"2","c":"3"}"#);
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        for (text, expected) in [
            (
                "0.12345678901234567890123456789012345678",
                "0.12345678901234567890123456789012345678",
            ),
            ("-12345678901234567890123456789012345678", "-12345678901234567890123456789012345678"),
            ("1E+100", "1E+100"),
            // Not as JSON writes them.
            ("007", "7"),
            ("+1", "1"),
            ("no number", r#""no number""#),
        ] {
            assert_eq!(json(N(text.into())), expected);
        }
    }
}

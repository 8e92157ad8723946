//! DynamoDB JSON to trees.

use aws_smithy_types::base64;

use super::super::places::{Place, Places};
use super::{Fields, MAX_DEPTH, Node};
use crate::json::{Malformed, Reader, whole};

/// Reads an item, the object of its attributes.
pub(crate) fn parse_item(json: &[u8]) -> Result<Fields<'_>, Malformed> {
    whole(json, |reader| fields(reader, 0, None))
}

/// Reads an item, and where in its JSON its attributes are.
pub(crate) fn parse_item_with_places(json: &[u8]) -> Result<(Fields<'_>, Places), Malformed> {
    let mut places = Places::new();
    let fields = whole(json, |reader| fields(reader, 0, Some(&mut places)))?;
    Ok((fields, places))
}

/// Reads one attribute value, `{"S":"…"}`.
pub(crate) fn parse_value(json: &[u8]) -> Result<Node<'_>, Malformed> {
    whole(json, |reader| node(reader, 1))
}

fn fields<'a>(
    reader: &mut Reader<'a>,
    depth: usize,
    mut places: Option<&mut Places>,
) -> Result<Fields<'a>, Malformed> {
    // Few maps within an item have as many.
    let mut fields = Fields::with_capacity(if depth == 0 { 8 } else { 0 });
    reader.each_field(|reader, name, name_at| {
        reader.peek();
        let begin = reader.at();
        fields.push((name, node(reader, depth)?));
        if let Some(places) = &mut places {
            places.push(Place::of(name_at, begin..reader.at()));
        }
        Ok(())
    })?;
    Ok(fields)
}

fn node<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<Node<'a>, Malformed> {
    // The service allows 32 levels; a hand-made item must not exhaust the stack.
    if depth > MAX_DEPTH + 1 {
        return Err(reader.malformed("nested deeper than DynamoDB's 32 levels"));
    }
    // As the service writes what most attributes are.
    let node = if reader.passes_exactly(br#"{"S":"#) {
        Node::S(reader.text()?)
    } else if reader.passes_exactly(br#"{"N":"#) {
        Node::N(reader.text()?)
    } else {
        tagged(reader, depth)?
    };
    reader.expect(b'}', "an attribute value of two types, or one without an end")?;
    Ok(node)
}

/// An attribute value but for its closing brace.
fn tagged<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<Node<'a>, Malformed> {
    reader.expect(b'{', "an attribute value is missing")?;
    if reader.peek() == Some(b'}') {
        return Err(reader.malformed("an attribute value without a type"));
    }
    let tag = reader.text()?;
    reader.expect(b':', "a colon is missing")?;
    Ok(match tag.as_bytes() {
        b"S" => Node::S(reader.text()?),
        b"N" => Node::N(reader.text()?),
        b"B" => Node::B(bytes(reader)?),
        b"BOOL" => Node::Bool(reader.bool()?),
        b"NULL" => reader.bool().map(|_| Node::Null)?,
        b"L" => Node::L(list(reader, |reader| node(reader, depth + 1))?),
        b"M" => Node::M(fields(reader, depth + 1, None)?),
        b"SS" => Node::Ss(list(reader, Reader::text)?),
        b"NS" => Node::Ns(list(reader, Reader::text)?),
        b"BS" => Node::Bs(list(reader, bytes)?),
        _ => return Err(reader.malformed("an attribute value of an unknown type")),
    })
}

fn list<'a, R>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<R, Malformed>,
) -> Result<Vec<R>, Malformed> {
    let mut values = Vec::new();
    reader.each_element(|reader| {
        values.push(read(reader)?);
        Ok(())
    })?;
    Ok(values)
}

fn bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let text = reader.text()?;
    base64::decode(&*text).map_err(|_| reader.malformed("no base64"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::write_fields;
    use super::*;

    fn written(fields: &Fields<'_>) -> Value {
        let mut out = Vec::new();
        write_fields(&mut out, fields);
        serde_json::from_slice(&out).unwrap()
    }

    /// DynamoDB JSON of an attribute value.
    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,40}", "[a-z\"\\\\\n\u{1}é𝄞/]{0,8}"];
        let leaf = prop_oneof![
            text.clone().prop_map(|text| serde_json::json!({ "S": text })),
            any::<i64>().prop_map(|number| serde_json::json!({ "N": number.to_string() })),
            any::<Vec<u8>>().prop_map(|bytes| serde_json::json!({ "B": base64::encode(bytes) })),
            any::<bool>().prop_map(|value| serde_json::json!({ "BOOL": value })),
            Just(serde_json::json!({ "NULL": true })),
            prop::collection::vec(text.clone(), 0..3)
                .prop_map(|texts| serde_json::json!({ "SS": texts })),
        ];
        leaf.prop_recursive(4, 16, 4, move |inner| {
            let map = prop::collection::btree_map(text.clone(), inner.clone(), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|values| serde_json::json!({ "L": values })),
                map.prop_map(|fields| serde_json::json!({ "M": fields })),
            ]
        })
    }

    fn item() -> impl Strategy<Value = Value> {
        let fields = prop::collection::btree_map(".{1,20}", value(), 0..10);
        fields.prop_map(|fields| serde_json::json!(fields))
    }

    proptest! {
        #[test]
        fn an_item_is_read_in_any_layout(item in item(), is_pretty in any::<bool>()) {
            let to_text = if is_pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
            let json = to_text(&item).unwrap();
            let (fields, places) = parse_item_with_places(&json).unwrap();
            prop_assert_eq!(written(&fields), item);
            prop_assert_eq!(places.len(), fields.len());
            for ((name, node), place) in fields.iter().zip(places) {
                let (quoted, value) = place.parts(&json);
                prop_assert_eq!(&serde_json::from_slice::<String>(quoted).unwrap(), name);
                prop_assert!(parse_value(value).unwrap().same(node));
            }
        }

        #[test]
        fn what_is_no_json_is_refused(
            item in item(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            is_cut in any::<bool>(),
        ) {
            let mut json = serde_json::to_vec(&item).unwrap();
            let at = at.index(json.len());
            json[at] = byte;
            if is_cut {
                json.truncate(at);
            }
            if let Ok(fields) = parse_item(&json) {
                let is_read = serde_json::from_slice::<Value>(&json);
                prop_assert_eq!(written(&fields), is_read.unwrap());
            }
        }
    }

    #[test]
    fn an_error_says_where_and_shows_nothing() {
        let error = parse_item(br#"{"secret": {"S": "hush" "N": 3}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "malformed JSON at byte 24: an attribute value of two types, or one without an end"
        );
        let error = parse_item(b"{\"a\xff\"").unwrap_err();
        assert_eq!(error.to_string(), "malformed JSON at byte 3: it is no UTF-8");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| {
            format!(r#"{{"a":{}{{"NULL":true}}{}}}"#, r#"{"L":["#.repeat(depth), "]}".repeat(depth))
        };
        assert!(parse_item(nested(MAX_DEPTH + 1).as_bytes()).is_ok());
        assert!(parse_item(nested(MAX_DEPTH + 2).as_bytes()).is_err());
        assert!(parse_item(nested(100_000).as_bytes()).is_err());
    }
}

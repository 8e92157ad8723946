//! Bodies of batches, put together from items and keys as they are.

use std::sync::Arc;

use crate::codec::tree::write_text;
use crate::store::{Action, TableRef, Wanted, Write};

/// Asks what is charged, the indexes apart.
const CHARGED: &[u8] = br#","ReturnConsumedCapacity":"INDEXES"}"#;
/// What an entry has beside its item.
const BESIDE: usize = 32;

/// Of a BatchWriteItem, and the names of its tables, each once; `None` if something is no part of a batch.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(in crate::database) fn batch_write(
    tables: &[TableRef],
    batch: &[Write],
) -> Option<(Vec<u8>, Vec<Arc<str>>)> {
    let bytes = |write: &Write| content(&write.action).map_or(0, |(_, json, _)| json.len());
    let mut body = Vec::with_capacity(batch.iter().map(|write| bytes(write) + BESIDE).sum());
    body.extend_from_slice(br#"{"RequestItems":{"#);
    // Two of the tables may be one.
    let mut names: Vec<Arc<str>> = Vec::new();
    let name = |write: &Write| tables.get(write.at.table).map(|table| &table.name);
    for name in batch.iter().filter_map(name) {
        if !names.contains(name) {
            names.push(Arc::clone(name));
        }
    }
    for (place, table) in names.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        write_text(&mut body, table);
        body.extend_from_slice(b":[");
        let writes = batch.iter().filter(|write| name(write) == Some(table));
        for (place, write) in writes.enumerate() {
            let (before, json, after) = content(&write.action)?;
            if place > 0 {
                body.push(b',');
            }
            body.extend_from_slice(before);
            body.extend_from_slice(json);
            body.extend_from_slice(after);
        }
        body.push(b']');
    }
    body.push(b'}');
    body.extend_from_slice(CHARGED);
    Some((body, names))
}

/// Of a BatchGetItem.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
pub(in crate::database) fn batch_get(
    table: &TableRef,
    keys: &[Wanted],
    consistent: bool,
) -> Vec<u8> {
    let bytes = keys.iter().map(|wanted| wanted.json.len() + 1).sum::<usize>();
    let mut body = Vec::with_capacity(bytes + 8 * BESIDE);
    body.extend_from_slice(br#"{"RequestItems":{"#);
    write_text(&mut body, &table.name);
    body.extend_from_slice(br#":{"Keys":["#);
    for (place, wanted) in keys.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&wanted.json);
    }
    body.extend_from_slice(br#"],"ConsistentRead":"#);
    body.extend_from_slice(if consistent { b"true" } else { b"false" });
    body.extend_from_slice(b"}}");
    body.extend_from_slice(CHARGED);
    body
}

/// An entry of a batch: what is before its item or key, and behind.
fn content(action: &Action) -> Option<(&'static [u8], &[u8], &'static [u8])> {
    match action {
        Action::Put(item) => Some((br#"{"PutRequest":{"Item":"#, &item.json, b"}}")),
        Action::Delete(key) => Some((br#"{"DeleteRequest":{"Key":"#, key, b"}}")),
        Action::Single(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::EncodedItem;
    use crate::key::{Key, KeyRef};
    use crate::store::TableKey;

    fn table(name: &str) -> TableRef {
        TableRef { name: name.into(), partition_key: "id", sort_key: None }
    }

    fn key(id: &str) -> Key {
        Key::new(&KeyRef::partition(&id.to_owned())).unwrap()
    }

    fn json(id: &str) -> Vec<u8> {
        format!(r#"{{"id":{{"S":"{id}"}}}}"#).into_bytes()
    }

    fn put(table: usize, id: &str) -> Write {
        let action = Action::Put(EncodedItem { json: json(id), size: 3 });
        Write { at: TableKey { table, key: key(id) }, action }
    }

    fn delete(table: usize, id: &str) -> Write {
        Write { at: TableKey { table, key: key(id) }, action: Action::Delete(json(id)) }
    }

    #[test]
    fn a_batch_has_each_table_once_with_its_puts_and_deletes_in_order() {
        let tables = ["players", "teams", "players", "unused"].map(table);
        let batch = [put(0, "a"), put(1, "b"), delete(2, "c"), delete(1, "d"), put(0, "e")];
        let (body, names) = batch_write(&tables, &batch).unwrap();
        assert_eq!(names, ["players".into(), "teams".into()]);
        let read: Value = serde_json::from_slice(&body).unwrap();
        let put = |id: &str| json!({ "PutRequest": { "Item": { "id": { "S": id } } } });
        let delete = |id: &str| json!({ "DeleteRequest": { "Key": { "id": { "S": id } } } });
        let expected = json!({
            "RequestItems": {
                "players": [put("a"), delete("c"), put("e")],
                "teams": [put("b"), delete("d")],
            },
            "ReturnConsumedCapacity": "INDEXES",
        });
        assert_eq!(read, expected);
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.matches("players").count(), 1, "{text}");
    }

    #[test]
    fn names_are_written_as_json() {
        let (body, _) = batch_write(&[table("a\"b\\c")], &[put(0, "a")]).unwrap();
        let read: Value = serde_json::from_slice(&body).unwrap();
        assert!(read["RequestItems"]["a\"b\\c"].is_array(), "{read}");
    }

    #[test]
    fn a_batch_of_keys_asks_for_each_of_them() {
        let wanted = |id: &str| Wanted { key: key(id), json: json(id) };
        for consistent in [true, false] {
            let body = batch_get(&table("players"), &["a", "b"].map(wanted), consistent);
            let expected = json!({
                "RequestItems": { "players": {
                    "Keys": [{ "id": { "S": "a" } }, { "id": { "S": "b" } }],
                    "ConsistentRead": consistent,
                } },
                "ReturnConsumedCapacity": "INDEXES",
            });
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        }
    }
}

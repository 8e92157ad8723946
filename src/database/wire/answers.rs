//! Answers, of which items are left as they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use crate::capacity::{Charged, ConsumedCapacity};

/// Of a BatchWriteItem.
#[derive(Debug)]
pub(in crate::database) struct Batch {
    /// Items of puts and keys of deletes that were not done, by the names of their tables.
    pub(in crate::database) unprocessed: Vec<(String, Vec<Bytes>)>,
    pub(in crate::database) charged: Charged,
}

/// Of a BatchGetItem.
#[derive(Debug)]
pub(in crate::database) struct Gotten {
    pub(in crate::database) items: Vec<Bytes>,
    /// Keys that were not read.
    pub(in crate::database) unprocessed: Vec<Bytes>,
    pub(in crate::database) charged: Charged,
}

/// Of a Query or a Scan.
#[derive(Debug)]
pub(in crate::database) struct Paged {
    pub(in crate::database) items: Vec<Bytes>,
    pub(in crate::database) count: u64,
    pub(in crate::database) scanned: u64,
    /// Where the next page begins; `None` at the end.
    pub(in crate::database) next: Option<Bytes>,
    pub(in crate::database) charged: Charged,
}

pub(in crate::database) fn batch_write(body: &[u8]) -> Result<Batch, serde_json::Error> {
    let body = Bytes::copy_from_slice(body);
    let read: BatchBody<'_> = serde_json::from_slice(&body)?;
    let of = |request: Request<'_>| {
        let put = request.put_request.map(|put| put.item);
        put.or_else(|| request.delete_request.map(|delete| delete.key)).map(|raw| part(&body, raw))
    };
    let unprocessed = read.unprocessed_items.unwrap_or_default().into_iter();
    let unprocessed = unprocessed.map(|(table, requests)| {
        // What is neither a put nor a delete was not sent, and is nobody's.
        let parts = requests.into_iter().map(|request| of(request).unwrap_or_default());
        (table, parts.collect())
    });
    Ok(Batch { unprocessed: unprocessed.collect(), charged: charged(read.consumed_capacity) })
}

pub(in crate::database) fn batch_get(body: &[u8]) -> Result<Gotten, serde_json::Error> {
    let body = Bytes::copy_from_slice(body);
    let read: GetBody<'_> = serde_json::from_slice(&body)?;
    let items = read.responses.unwrap_or_default().into_values().flatten();
    let keys = read.unprocessed_keys.unwrap_or_default().into_values();
    let keys = keys.flat_map(|keys| keys.keys);
    Ok(Gotten {
        items: items.map(|raw| part(&body, raw)).collect(),
        unprocessed: keys.map(|raw| part(&body, raw)).collect(),
        charged: charged(read.consumed_capacity),
    })
}

pub(in crate::database) fn page(body: &[u8]) -> Result<Paged, serde_json::Error> {
    let body = Bytes::copy_from_slice(body);
    let read: PageBody<'_> = serde_json::from_slice(&body)?;
    let next = read.last_evaluated_key.filter(|key| !is_empty(key.get()));
    Ok(Paged {
        items: read.items.unwrap_or_default().into_iter().map(|raw| part(&body, raw)).collect(),
        count: read.count.unwrap_or_default(),
        scanned: read.scanned_count.unwrap_or_default(),
        next: next.map(|raw| part(&body, raw)),
        charged: charged(read.consumed_capacity),
    })
}

/// A part of a body, which shares its memory.
fn part(body: &Bytes, raw: &RawValue) -> Bytes {
    body.slice_ref(raw.get().as_bytes())
}

/// Whether an object has nothing.
fn is_empty(json: &str) -> bool {
    json.chars().all(|char| matches!(char, '{' | '}') || char.is_ascii_whitespace())
}

fn charged(consumed: impl IntoIterator<Item = Vec<Consumed>>) -> Charged {
    let names = |units: Option<BTreeMap<String, Units>>| units.unwrap_or_default().into_iter();
    let of_table = |consumed: Consumed| {
        let local = names(consumed.local_secondary_indexes);
        let local: Vec<_> = local.map(|(name, units)| (name, units.capacity_units)).collect();
        let global = names(consumed.global_secondary_indexes);
        let global = global.map(|(name, units)| (name, units.capacity_units));
        let units = |(name, units): (String, Option<f64>)| (name, units.unwrap_or_default());
        let capacity = ConsumedCapacity {
            total: consumed.capacity_units.unwrap_or_default(),
            local: local.iter().map(|(name, _)| name.clone()).collect(),
            indexes: local.into_iter().chain(global).map(units).collect(),
        };
        (consumed.table_name.unwrap_or_default(), capacity)
    };
    Charged(consumed.into_iter().flatten().map(of_table).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchBody<'a> {
    #[serde(borrow)]
    unprocessed_items: Option<BTreeMap<String, Vec<Request<'a>>>>,
    consumed_capacity: Option<Vec<Consumed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    #[serde(borrow)]
    put_request: Option<Put<'a>>,
    #[serde(borrow)]
    delete_request: Option<Delete<'a>>,
}

#[derive(Deserialize)]
struct Put<'a> {
    #[serde(borrow, rename = "Item")]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct Delete<'a> {
    #[serde(borrow, rename = "Key")]
    key: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetBody<'a> {
    #[serde(borrow)]
    responses: Option<BTreeMap<String, Vec<&'a RawValue>>>,
    #[serde(borrow)]
    unprocessed_keys: Option<BTreeMap<String, Keys<'a>>>,
    consumed_capacity: Option<Vec<Consumed>>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, rename = "Keys")]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageBody<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    count: Option<u64>,
    scanned_count: Option<u64>,
    #[serde(borrow)]
    last_evaluated_key: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "one")]
    consumed_capacity: Option<Vec<Consumed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Consumed {
    table_name: Option<String>,
    capacity_units: Option<f64>,
    local_secondary_indexes: Option<BTreeMap<String, Units>>,
    global_secondary_indexes: Option<BTreeMap<String, Units>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Units {
    capacity_units: Option<f64>,
}

/// That of one table, where others say it of several.
fn one<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Consumed>>, D::Error> {
    Ok(Option::<Consumed>::deserialize(from)?.map(|consumed| vec![consumed]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(parts: &[Bytes]) -> Vec<&str> {
        parts.iter().map(|part| std::str::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn what_was_not_written_comes_with_its_table() {
        let body = br#"{ "UnprocessedItems": {
            "players": [{"PutRequest": {"Item": {"id": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"id":{"N":"1"}}}}, {}],
            "teams": []
        }, "Later": [1] }"#;
        let read = batch_write(body).unwrap();
        let [(players, parts), (teams, none)] = &read.unprocessed[..] else { panic!("{read:?}") };
        assert_eq!((&**players, &**teams, none.len()), ("players", "teams", 0));
        assert_eq!(texts(parts), [r#"{"id": {"S": "a"}}"#, r#"{"id":{"N":"1"}}"#, ""]);
    }

    #[test]
    fn nothing_is_missed_where_nothing_is_said() {
        for body in [&b"{}"[..], br#"{"UnprocessedItems": null, "ConsumedCapacity": null}"#] {
            let read = batch_write(body).unwrap();
            assert!(read.unprocessed.is_empty() && read.charged.0.is_empty(), "{read:?}");
        }
        let read = batch_get(br#"{"Responses": null, "UnprocessedKeys": null}"#).unwrap();
        assert!(read.items.is_empty() && read.unprocessed.is_empty(), "{read:?}");
        let read = page(br#"{"Count": 0, "ScannedCount": 7, "LastEvaluatedKey": { }}"#).unwrap();
        assert_eq!((read.items.len(), read.count, read.scanned, read.next), (0, 0, 7, None));
    }

    #[test]
    fn items_are_left_as_they_are() {
        let body = br#"{"Responses": {"players": [{"id":{"S":"\u00e4"}}, {"n":{"N":"1.50"}}]},
            "UnprocessedKeys": {"players": {"Keys": [{"id":{"S":"b"}}], "ConsistentRead": true}}}"#;
        let read = batch_get(body).unwrap();
        assert_eq!(texts(&read.items), [r#"{"id":{"S":"\u00e4"}}"#, r#"{"n":{"N":"1.50"}}"#]);
        assert_eq!(texts(&read.unprocessed), [r#"{"id":{"S":"b"}}"#]);
        let body = br#"{"Items": [{"id":{"S":"a"}}], "Count": 1, "ScannedCount": 2,
            "LastEvaluatedKey": {"id":{"S":"a"}}}"#;
        let read = page(body).unwrap();
        assert_eq!(
            (texts(&read.items), read.count, read.scanned),
            (vec![r#"{"id":{"S":"a"}}"#], 1, 2)
        );
        assert_eq!(read.next.unwrap(), r#"{"id":{"S":"a"}}"#);
    }

    #[test]
    fn what_is_charged_is_read_by_table_and_index() {
        let of_table = r#"{"TableName": "players", "CapacityUnits": 7.5,
            "Table": {"CapacityUnits": 4.0},
            "LocalSecondaryIndexes": {"by-size": {"CapacityUnits": 1.5}},
            "GlobalSecondaryIndexes": {"by-city": {"CapacityUnits": 2}}}"#;
        let indexes = BTreeMap::from([("by-size".to_owned(), 1.5), ("by-city".to_owned(), 2.0)]);
        let local = ["by-size".to_owned()].into();
        let expected = ConsumedCapacity { total: 7.5, indexes, local };
        let expected = vec![("players".to_owned(), expected)];
        let read = batch_write(format!(r#"{{"ConsumedCapacity": [{of_table}]}}"#).as_bytes());
        assert_eq!(read.unwrap().charged.0, expected);
        let read = page(format!(r#"{{"ConsumedCapacity": {of_table}}}"#).as_bytes());
        assert_eq!(read.unwrap().charged.0, expected);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in
            [&b""[..], b"<html></html>", b"[]", br#"{"UnprocessedItems": {"players": [{"Pu"#]
        {
            assert!(batch_write(body).is_err());
        }
        assert!(batch_get(br#"{"Responses": {"players": 3}}"#).is_err());
        assert!(page(br#"{"Items": [{"id": {"S": "a"}]"#).is_err());
        assert!(page(br#"{"Items": [], "Count": -1}"#).is_err());
    }
}

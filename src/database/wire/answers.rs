//! Answers, of which items are left as they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::capacity::{Charged, ConsumedCapacity};
use crate::json::{Malformed, Reader, whole};

/// Of a BatchWriteItem.
#[derive(Debug, Default)]
pub(in crate::database) struct Batch {
    /// Items of puts and keys of deletes that were not done, by the names of their tables.
    pub(in crate::database) unprocessed: Vec<(String, Vec<Bytes>)>,
    pub(in crate::database) charged: Charged,
}

/// Of a BatchGetItem.
#[derive(Debug, Default)]
pub(in crate::database) struct Gotten {
    pub(in crate::database) items: Vec<Bytes>,
    /// Keys that were not read.
    pub(in crate::database) unprocessed: Vec<Bytes>,
    pub(in crate::database) charged: Charged,
}

/// Of a Query or a Scan.
#[derive(Debug, Default)]
pub(in crate::database) struct Paged {
    pub(in crate::database) items: Vec<Bytes>,
    pub(in crate::database) count: u64,
    pub(in crate::database) scanned: u64,
    /// Where the next page begins; `None` at the end.
    pub(in crate::database) next: Option<Bytes>,
    pub(in crate::database) charged: Charged,
}

pub(in crate::database) fn batch_write(body: &[u8]) -> Result<Batch, Malformed> {
    let body = Bytes::copy_from_slice(body);
    let mut batch = Batch::default();
    each_field(&body, |reader, name| match name {
        "UnprocessedItems" => fields(reader, |reader, table| {
            let mut parts = Vec::new();
            elements(reader, |reader| {
                parts.push(content(reader, &body)?);
                Ok(())
            })?;
            batch.unprocessed.push((table.to_owned(), parts));
            Ok(())
        }),
        "ConsumedCapacity" => {
            batch.charged = charged(reader, &body)?;
            Ok(())
        }
        _ => reader.pass().map(drop),
    })?;
    Ok(batch)
}

/// The item of a put or the key of a delete; what is neither was not sent, and is nobody's.
fn content(reader: &mut Reader<'_>, body: &Bytes) -> Result<Bytes, Malformed> {
    let mut content = Bytes::new();
    fields(reader, |reader, name| match name {
        "PutRequest" | "DeleteRequest" => fields(reader, |reader, name| match name {
            "Item" | "Key" => {
                content = part(reader, body)?;
                Ok(())
            }
            _ => reader.pass().map(drop),
        }),
        _ => reader.pass().map(drop),
    })?;
    Ok(content)
}

pub(in crate::database) fn batch_get(body: &[u8]) -> Result<Gotten, Malformed> {
    let body = Bytes::copy_from_slice(body);
    let mut gotten = Gotten::default();
    each_field(&body, |reader, name| match name {
        "Responses" => fields(reader, |reader, _| parts(reader, &body, &mut gotten.items)),
        "UnprocessedKeys" => fields(reader, |reader, _| {
            fields(reader, |reader, name| match name {
                "Keys" => parts(reader, &body, &mut gotten.unprocessed),
                _ => reader.pass().map(drop),
            })
        }),
        "ConsumedCapacity" => {
            gotten.charged = charged(reader, &body)?;
            Ok(())
        }
        _ => reader.pass().map(drop),
    })?;
    Ok(gotten)
}

pub(in crate::database) fn page(body: &[u8]) -> Result<Paged, Malformed> {
    let body = Bytes::copy_from_slice(body);
    let mut page = Paged::default();
    each_field(&body, |reader, name| {
        match name {
            "Items" => parts(reader, &body, &mut page.items)?,
            "Count" => page.count = read(reader, &body)?,
            "ScannedCount" => page.scanned = read(reader, &body)?,
            "LastEvaluatedKey" if reader.passes_word("null") => {}
            "LastEvaluatedKey" => {
                page.next = Some(part(reader, &body)?).filter(|key| !is_empty(key));
            }
            "ConsumedCapacity" => page.charged = charged(reader, &body)?,
            _ => {
                reader.pass()?;
            }
        }
        Ok(())
    })?;
    Ok(page)
}

/// The fields of the whole answer.
fn each_field<'a>(
    body: &'a [u8],
    mut read: impl FnMut(&mut Reader<'a>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    whole(body, |reader| reader.each_field(|reader, name, _| read(reader, &name)))
}

/// An object as it is: a part of the body, which shares its memory.
fn part(reader: &mut Reader<'_>, body: &Bytes) -> Result<Bytes, Malformed> {
    if reader.peek() != Some(b'{') {
        return Err(reader.malformed("an object is missing"));
    }
    Ok(body.slice(reader.pass()?))
}

/// The fields of an object, or of nothing.
fn fields<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if reader.passes_word("null") {
        return Ok(());
    }
    reader.each_field(|reader, name, _| read(reader, &name))
}

/// The elements of a list, or of nothing.
fn elements<'a>(
    reader: &mut Reader<'a>,
    read: impl FnMut(&mut Reader<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if reader.passes_word("null") { Ok(()) } else { reader.each_element(read) }
}

/// The elements of a list, which are objects.
fn parts(reader: &mut Reader<'_>, body: &Bytes, parts: &mut Vec<Bytes>) -> Result<(), Malformed> {
    elements(reader, |reader| {
        parts.push(part(reader, body)?);
        Ok(())
    })
}

/// Whether an object has nothing.
fn is_empty(json: &[u8]) -> bool {
    matches!(json, [b'{', within @ .., b'}'] if within.trim_ascii().is_empty())
}

/// What is small, as serde reads it; its default if it is null.
fn read<'a, R: Deserialize<'a> + Default>(
    reader: &mut Reader<'_>,
    body: &'a [u8],
) -> Result<R, Malformed> {
    let json = body.get(reader.pass()?).unwrap_or_default();
    let value: Option<R> =
        serde_json::from_slice(json).map_err(|_| reader.malformed("another type is expected"))?;
    Ok(value.unwrap_or_default())
}

/// That of one table, or of several.
fn charged(reader: &mut Reader<'_>, body: &[u8]) -> Result<Charged, Malformed> {
    let consumed = if reader.peek() == Some(b'[') {
        read::<Vec<Consumed>>(reader, body)?
    } else {
        read::<Option<Consumed>>(reader, body)?.into_iter().collect()
    };
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
    Ok(Charged(consumed.into_iter().map(of_table).collect()))
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
        for body in [
            &b""[..],
            b"null",
            b"<html></html>",
            b"[]",
            b"3",
            br#"{"UnprocessedItems": {"players": [{"Pu"#,
            br#"{"UnprocessedItems": {"players": [{"PutRequest": {"Item": 3}}]}}"#,
            br#"{"UnprocessedItems": {"players": {}}}"#,
        ] {
            assert!(batch_write(body).is_err());
            assert!(batch_get(body).is_err() || body.len() > 9);
            assert!(page(body).is_err() || body.len() > 9);
        }
        for items in [r#"{"id": {"S": "a"]}"#, r#"{"id" {"S": "a"}}"#, "3", r#"{"id": @}"#, "[]"] {
            let body = format!(r#"{{"Items": [{items}]}}"#);
            assert!(page(body.as_bytes()).is_err(), "{body}");
        }
        for key in ["[]", "3", "{{}}", r#""a""#] {
            let body = format!(r#"{{"Items": [], "LastEvaluatedKey": {key}}}"#);
            assert!(page(body.as_bytes()).is_err(), "{body}");
        }
        assert!(batch_get(br#"{"Responses": {"players": 3}}"#).is_err());
        assert!(page(br#"{"Items": [{"id": {"S": "a"}]"#).is_err());
        assert!(page(br#"{"Items": [], "Count": -1}"#).is_err());
    }
}

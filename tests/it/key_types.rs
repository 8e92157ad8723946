//! Every type that can be a key, beside text and integers, as partition and as sort key.

use std::fmt::Debug;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Instant, KeyLookup, MemoryTable, Number, Record};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::database;

type Jiff = Instant<jiff::Timestamp>;
type Chrono = Instant<chrono::DateTime<chrono::Utc>>;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "events")]
struct Event {
    #[record(partition_key)]
    id: Uuid,
    #[record(sort_key)]
    at: Jiff,
    #[serde(default)]
    count: u32,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "days")]
struct Day {
    #[record(partition_key)]
    at: Jiff,
    #[record(sort_key)]
    id: Uuid,
    #[serde(default)]
    count: u32,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "prices")]
struct Price {
    #[record(partition_key)]
    price: Number,
    #[record(sort_key)]
    since: Chrono,
    #[serde(default)]
    count: u32,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "ledger")]
struct Entry {
    #[record(partition_key)]
    day: Chrono,
    #[record(sort_key)]
    amount: Number,
    #[serde(default)]
    count: u32,
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("a UUID")
}

fn number(text: &str) -> Number {
    text.parse().expect("a number")
}

fn jiff(text: &str) -> Jiff {
    Instant(text.parse().expect("an instant"))
}

fn chrono(text: &str) -> Chrono {
    Instant(text.parse().expect("an instant"))
}

/// A record is stored and found, changed and deleted by an equal key, in the table and in memory;
/// another key has none.
async fn is_found_by_equal_keys<T, K>(record: T, count: fn(&mut T) -> &mut u32, equal: K, other: K)
where
    T: Record + memory_table::FromKey + PartialEq + Debug,
    K: KeyLookup<T::Key> + Clone,
{
    let table = database().table::<T>();
    table.create_if_missing().await.expect("created");
    table.put(&record).await.expect("put");
    assert_eq!(table.get_consistent(equal.clone()).await.expect("read"), Some(record.clone()));
    assert_eq!(table.get_consistent(other.clone()).await.expect("read"), None);
    let both = table.batch_get([equal.clone(), other.clone()]).await.expect("read");
    assert_eq!(both.records.into_values().collect::<Vec<_>>(), std::slice::from_ref(&record));

    let memory = MemoryTable::new(table.clone());
    memory.update(equal.clone(), |record| *count(record) += 1).await.expect("changed");
    memory.update(other.clone(), |record| *count(record) += 10).await.expect("made");
    assert_eq!(memory.flush().await.expect("flushed").written, 2);
    let mut changed = record.clone();
    *count(&mut changed) += 1;
    assert_eq!(table.get_consistent(equal.clone()).await.expect("read"), Some(changed.clone()));
    let made = table.get_consistent(other.clone()).await.expect("read");
    assert_eq!(made.map(|mut made| *count(&mut made)), Some(10));

    memory.delete(other.clone()).await.expect("deleted");
    assert_eq!(memory.flush().await.expect("flushed").deleted, 1);
    assert_eq!(table.delete(equal.clone()).await.expect("deleted"), Some(changed));
    assert_eq!(table.batch_get([equal, other]).await.expect("read").len(), 0);
}

#[tokio::test]
async fn a_uuid_and_an_instant_are_keys() {
    let id = uuid("A1A2A3A4-B1B2-C1C2-D1D2-D3D4D5D6D7D8");
    let same = uuid("a1a2a3a4b1b2c1c2d1d2d3d4d5d6d7d8");
    let (at, same_at) = (jiff("2012-05-31T12:00:00Z"), jiff("2012-05-31T14:00:00+02:00"));
    let later = jiff("2012-05-31T12:00:00.000000001Z");
    let event = Event { id, at, count: 0 };
    is_found_by_equal_keys(event, |event| &mut event.count, (same, same_at), (same, later)).await;
    let day = Day { at, id, count: 0 };
    let other = (same_at, Uuid::nil());
    is_found_by_equal_keys(day, |day| &mut day.count, (same_at, same), other).await;
}

#[tokio::test]
async fn a_number_and_an_instant_are_keys() {
    let (since, same_since) =
        (chrono("2012-05-31T12:00:00.5Z"), chrono("2012-05-31T10:00:00.500000000-02:00"));
    let price = Price { price: number("1"), since, count: 0 };
    let (equal, other) = ((number("1.0"), same_since), (number("1.01"), same_since));
    is_found_by_equal_keys(price, |price| &mut price.count, equal, other).await;
    let long = "-1234567890123456789012345678901234567.8";
    let entry = Entry { day: since, amount: number(long), count: 0 };
    let equal = (same_since, number("-12345678901234567890123456789012345678E-1"));
    let other = (same_since, number("-1234567890123456789012345678901234567.7"));
    is_found_by_equal_keys(entry, |entry| &mut entry.count, equal, other).await;
}

#[tokio::test]
async fn a_number_key_that_others_wrote_in_another_form_is_found() {
    let database = database();
    let table = database.table::<Price>();
    table.create_if_missing().await.unwrap();
    let put = database.client().put_item().table_name(table.name().unwrap());
    let put = put.item("price", AttributeValue::N("1.50".into()));
    let put = put.item("since", AttributeValue::S("2012-05-31T12:00:00.000000+00:00".into()));
    put.item("count", AttributeValue::N("3".into())).send().await.unwrap();
    let (price, since) = (number("15E-1"), chrono("2012-05-31T12:00:00Z"));
    let memory = MemoryTable::new(table);
    let found = memory.get((&price, &since)).await.unwrap().unwrap();
    assert_eq!((&found.price, found.count), (&price, 3));
}

#[tokio::test]
async fn number_and_instant_sort_keys_come_in_their_order() {
    let table = database().table::<Entry>();
    table.create_if_missing().await.unwrap();
    let day = chrono("2012-05-31T00:00:00Z");
    let amounts = ["-10", "-9.5", "0", "2", "10", "1E2"];
    let entries = amounts.map(|amount| Entry { day, amount: number(amount), count: 0 });
    let report = table.batch_write().puts(entries.into_iter().rev()).await.unwrap();
    assert_eq!(report.written, 6);
    let query = table.database().client().query().table_name(table.name().unwrap());
    let query = query.key_condition_expression("#d = :d").expression_attribute_names("#d", "day");
    let value = AttributeValue::S("2012-05-31T00:00:00.000000+00:00".into());
    let found = query.expression_attribute_values(":d", value).send().await.unwrap();
    let found: Vec<_> =
        found.items().iter().map(|item| number(item["amount"].as_n().unwrap())).collect();
    assert_eq!(found, amounts.map(number));
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "moments")]
struct Moment {
    #[record(partition_key)]
    at: Instant<jiff::Timestamp>,
    #[serde(default)]
    count: u32,
}

/// DynamoDB knows an item by its key's text, so that one is another item.
#[tokio::test]
async fn an_item_whose_key_has_another_form_is_never_taken_for_the_one_of_the_stored_form() {
    let stage = super::support::Stage::<Moment>::new().await;
    let client = stage.truth.database().client();
    let text = "2020-01-01T01:00:00+01:00";
    let put = client.put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("at", AttributeValue::S(text.into()));
    put.item("count", AttributeValue::N("1".into())).send().await.unwrap();
    let at = Instant("2020-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap());
    assert_eq!(stage.truth.scan().consistent().all().await.unwrap(), [Moment { at, count: 1 }]);
    let memory = stage.memory();
    assert_eq!(memory.load_all().await.unwrap().records, 1);
    assert_eq!(memory.records().len(), 1);
    assert!(memory.get(at).await.unwrap().is_none());
    assert!(memory.take(at).await.unwrap().is_none());
    memory.delete(at).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().deleted, 0);
    memory.update(at, |moment| moment.count = 5).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.scan().consistent().count().await.unwrap(), 2);
    assert_eq!(stage.truth.get_consistent(at).await.unwrap().unwrap().count, 5);
}

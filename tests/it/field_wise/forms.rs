//! Items that lack what their type writes: nobody changed that.

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Guard, MemoryTable, MemoryTableBuilder, OnConflict, Record};
use serde::{Deserialize, Serialize};

use super::{ADD, UPDATE, number, set, store};
use crate::support::{Fault, Stage};

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
struct Inner {
    x: u32,
    #[serde(default)]
    y: u32,
}

/// Of each kind of default one.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "forms")]
struct Form {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    a: u32,
    #[serde(default)]
    n: u32,
    #[serde(default)]
    inner: Inner,
    #[serde(default, skip_serializing_if = "is_zero")]
    label: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

type Built = fn(MemoryTableBuilder<Form>) -> MemoryTableBuilder<Form>;

/// The two ways to write only what changed.
const BY_FIELDS: [(&str, Built); 2] = [
    ("field-wise", MemoryTableBuilder::field_wise),
    ("guarded by fields", |it| it.guarded(Guard::Fields).on_conflict(OnConflict::Fail)),
];

fn map(members: &[(&str, u32)]) -> AttributeValue {
    AttributeValue::M(members.iter().map(|(name, it)| ((*name).into(), number(*it))).collect())
}

/// A loaded item of these attributes alone.
async fn loaded(built: Built, more: &[(&str, AttributeValue)]) -> (Stage<Form>, MemoryTable<Form>) {
    let stage = Stage::<Form>::new().await;
    store(&stage, more).await;
    let memory = built(stage.builder().patience(std::time::Duration::ZERO)).build().unwrap();
    memory.get(1).await.unwrap().expect("a record");
    (stage, memory)
}

#[tokio::test]
async fn what_the_type_adds_within_a_map_is_no_change() {
    for (way, built) in BY_FIELDS {
        for foreign in [None, Some(("foreign", 9))] {
            let inner = |x| map(&[("x", x)].into_iter().chain(foreign).collect::<Vec<_>>());
            let (stage, memory) = loaded(built, &[("inner", inner(1))]).await;
            for (a, x) in [(2, 5), (3, 6)] {
                memory.update_existing(1, |it| it.a = a).await.unwrap();
                set(&stage, "inner", inner(x)).await;
                assert_eq!(memory.flush().await.unwrap().written, 1, "{way}");
                let item = stage.truth.get_item(1).await.unwrap().unwrap();
                assert_eq!((&item["a"], &item["inner"]), (&number(a), &inner(x)), "{way}");
            }
        }
    }
}

/// What a lost request may have set is taken back, and nothing else with it.
#[tokio::test]
async fn what_is_taken_back_takes_nothing_of_others_with_it() {
    let (stage, memory) = loaded(MemoryTableBuilder::field_wise, &[("a", number(1))]).await;
    memory.update_existing(1, |it| it.label = 1).await.unwrap();
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    memory.update_existing(1, |it| it.label = 0).await.unwrap();
    set(&stage, "n", number(7)).await;
    assert_eq!(memory.flush().await.unwrap().failed.len(), 0);
    let stored = stage.truth.get(1).await.unwrap().unwrap();
    assert_eq!((stored.label, stored.n, stored.a), (0, 7, 1));
}

/// Others made the item, and what was only added to is set meanwhile: while the first attempt, or the second, is
/// in flight.
#[tokio::test]
async fn what_is_set_to_the_default_is_set_though_it_was_only_added_to_before() {
    for held in [1, 2] {
        let stage = Stage::<Form>::new().await;
        let memory = stage.builder().field_wise().build().unwrap();
        assert_eq!(memory.get(1).await.unwrap(), None);
        let new = |n| Form { id: 1, a: 1, n, inner: Inner::default(), label: n };
        memory.put(new(0)).await.unwrap();
        memory.increment(1, Form::FIELDS.n, 5).await.unwrap();
        memory.increment(1, Form::FIELDS.label, 5).await.unwrap();
        stage.truth.put(&Form { a: 3, ..new(7) }).await.unwrap();
        if held == 2 {
            stage.faults.next(UPDATE, Fault::none());
        }
        let gate = stage.faults.hold_next(UPDATE);
        let (flushed, ()) = tokio::join!(memory.flush(), async {
            gate.reached().await;
            memory.update_existing(1, |it| (it.n, it.label) = (0, 0)).await.unwrap();
            gate.open();
        });
        assert_eq!(flushed.unwrap().failed.len(), 0, "held: {held}");
        assert_eq!(memory.flush().await.unwrap().failed.len(), 0, "held: {held}");
        let stored = stage.truth.get(1).await.unwrap().unwrap();
        assert_eq!((stored.a, stored.n, stored.label), (1, 0, 0), "held: {held}");
    }
}

/// An increment makes the item, and a record that is the same to the type is put while it is in flight.
#[tokio::test]
async fn what_turns_out_to_be_stored_is_known_as_it_is_stored() {
    for (way, built) in BY_FIELDS {
        let stage = Stage::<Form>::new().await;
        let memory = built(stage.builder()).build().unwrap();
        assert_eq!(memory.get(1).await.unwrap(), None);
        memory.increment(1, Form::FIELDS.n, 5).await.unwrap();
        let gate = stage.faults.hold_next(ADD);
        let (flushed, ()) = tokio::join!(memory.flush(), async {
            gate.reached().await;
            memory.update_existing(1, |_| {}).await.unwrap();
            gate.open();
        });
        assert_eq!(flushed.unwrap().failed.len(), 0, "{way}");
        assert_eq!(memory.flush().await.unwrap().failed.len(), 0, "{way}");
        memory.update_existing(1, |it| it.a = 1).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().conflicts.len(), 0, "{way}");
        let stored = stage.truth.get(1).await.unwrap().unwrap();
        assert_eq!((stored.a, stored.n), (1, 5), "{way}");
    }
}

/// Degrees, once of Fahrenheit.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "degrees", after_load = "Self::migrate")]
struct Degrees {
    #[record(partition_key)]
    id: u32,
    #[serde(default)]
    schema: u32,
    degrees: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Degrees {
    #[expect(clippy::unnecessary_wraps, reason = "the signature of hooks")]
    fn migrate(&mut self) -> Result<(), String> {
        if self.schema < 2 {
            (self.degrees, self.schema) = ((self.degrees - 32) * 5 / 9, 2);
        }
        Ok(())
    }
}

/// What `after_load` changes is stored with the next change, all of it.
#[tokio::test]
async fn a_migration_is_written_as_a_whole() {
    for guard in [None, Some(Guard::Fields)] {
        let stage = Stage::<Degrees>::new().await;
        let client = stage.truth.database().client();
        let put = client.put_item().table_name(stage.truth.name().unwrap()).item("id", number(1));
        put.item("schema", number(1)).item("degrees", number(50)).send().await.unwrap();
        let builder = stage.builder();
        let builder = match guard {
            None => builder.field_wise(),
            Some(guard) => builder.guarded(guard),
        };
        let memory = builder.build().unwrap();
        memory.update_existing(1, |it| it.note = Some("seen".into())).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1, "{guard:?}");
        let item = stage.truth.get_item(1).await.unwrap().unwrap();
        assert_eq!((&item["schema"], &item["degrees"]), (&number(2), &number(10)), "{guard:?}");
    }
}

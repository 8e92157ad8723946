//! Attributes that the type has in another form than the item, beside what it does not know.

use std::collections::BTreeSet;

use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Guard, MemoryTableBuilder, OnConflict, Record};
use serde::{Deserialize, Serialize};

use super::{ADD, number, set, store, text};
use crate::support::Stage;

const fn seven() -> u32 {
    7
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "squads")]
struct Squad {
    #[record(partition_key)]
    id: u32,
    #[serde(default, alias = "points")]
    wins: u32,
    #[serde(default = "seven")]
    luck: u32,
    #[serde(default)]
    tags: BTreeSet<String>,
}

type Built = fn(MemoryTableBuilder<Squad>) -> MemoryTableBuilder<Squad>;

const WAYS: [(&str, Built); 4] = [
    ("plain", |it| it),
    ("field-wise", MemoryTableBuilder::field_wise),
    ("guarded", |it| it.guarded(Guard::Item)),
    ("guarded by fields", |it| it.guarded(Guard::Fields).on_conflict(OnConflict::Overwrite)),
];

/// An item of these attributes alone.
async fn stored(more: &[(&str, AttributeValue)]) -> Stage<Squad> {
    let stage = Stage::<Squad>::new().await;
    store(&stage, more).await;
    stage
}

/// The service would add to an attribute that the item does not have.
#[tokio::test]
async fn what_the_type_has_by_another_name_or_a_default_is_changed_and_not_added_to() {
    for (way, built) in WAYS {
        let stage = stored(&[("points", number(40)), ("foreign", number(9))]).await;
        let memory = built(stage.builder()).build().unwrap();
        memory.get(1).await.unwrap().expect("a squad");
        for (wins, luck) in [(41, 9), (42, 11)] {
            memory.increment(1, Squad::FIELDS.wins, 1).await.unwrap();
            memory.increment(1, Squad::FIELDS.luck, 2).await.unwrap();
            let shown = memory.get(1).await.unwrap().unwrap();
            assert_eq!((shown.wins, shown.luck), (wins, luck), "{way}");
            assert_eq!(memory.flush().await.unwrap().written, 1, "{way}");
            let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
            assert_eq!((stored.wins, stored.luck), (wins, luck), "{way}");
        }
        let item = stage.truth.get_item(1).await.unwrap().unwrap();
        assert_eq!((item.get("points"), &item["foreign"]), (None, &number(9)), "{way}");
    }
}

/// A change waits behind an increment, and others change what it changes.
#[tokio::test]
async fn an_overwrite_behind_an_increment_writes_nothing_else() {
    let tags = || AttributeValue::Ss(vec!["x".into()]);
    let more = [("wins", number(1)), ("luck", number(1)), ("tags", tags()), ("foreign", text("f"))];
    let stage = stored(&more).await;
    let (_, built) = WAYS[3];
    let memory = built(stage.builder()).build().unwrap();
    memory.get(1).await.unwrap().expect("a squad");
    memory.increment(1, Squad::FIELDS.wins, 1).await.unwrap();
    let gate = stage.faults.hold_next(ADD);
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        memory.update_existing(1, |it| it.luck = 2).await.unwrap();
        set(&stage, "luck", number(50)).await;
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
    let report = memory.flush().await.unwrap();
    assert_eq!((report.conflicts.len(), report.failed.len()), (1, 0));
    let item = stage.truth.get_item(1).await.unwrap().unwrap();
    assert_eq!((&item["luck"], &item["wins"]), (&number(2), &number(2)));
    assert_eq!((&item["tags"], &item["foreign"]), (&tags(), &text("f")));
}

/// What is stored under the other name is as much as nothing is.
#[tokio::test]
async fn an_item_never_has_both_names_of_an_attribute() {
    for (way, built) in WAYS {
        let stage = stored(&[("points", number(0)), ("luck", number(1))]).await;
        let memory = built(stage.builder()).build().unwrap();
        memory.get(1).await.unwrap().expect("a squad");
        memory.increment(1, Squad::FIELDS.wins, 1).await.unwrap();
        assert_eq!(memory.flush().await.unwrap().written, 1, "{way}");
        let stored = stage.truth.get_consistent(1).await.unwrap().unwrap();
        assert_eq!(stored.wins, 1, "{way}");
    }
}

//! Records that are saved and deleted by what was loaded.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures::future::join;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, Guard, OnConflict, Record, Set, Table, Tracked};
use serde::{Deserialize, Serialize};

use crate::support::{Draft, Fault, Stage};

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "maps", before_store = "Map::check")]
struct Map {
    #[record(partition_key)]
    episode: u32,
    #[record(sort_key)]
    number: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cheats: Set<String>,
    #[serde(default)]
    notes: BTreeMap<String, BTreeMap<String, u32>>,
    #[serde(default)]
    label: String,
    #[serde(skip)]
    looked_at: u32,
}

impl Map {
    /// The label is made of the others.
    fn check(&mut self) -> Result<(), String> {
        if self.name == "forbidden" {
            return Err("no such name".to_owned());
        }
        self.label = format!("{}|{}", self.episode, self.name);
        Ok(())
    }
}

fn map(name: &str) -> Map {
    Map { episode: 1, number: 2, name: name.into(), ..Map::default() }
}

const KEY: (u32, u32) = (1, 2);

async fn stored(stage: &Stage<Map>) -> Map {
    stage.truth.get_consistent(KEY).await.unwrap().expect("a map")
}

fn writes<T: Record>(stage: &Stage<T>) -> usize {
    WRITES.map(|operation| stage.faults.count(operation)).iter().sum()
}

async fn loaded(table: &Table<Map>) -> Tracked<Map> {
    table.get_tracked(KEY).await.unwrap().expect("a map")
}

/// An item with what the type does not know, and without some of what it writes.
async fn put_item(stage: &Stage<Map>) {
    let number = |number: u32| AttributeValue::N(number.to_string());
    let put = stage.truth.database().client().put_item().table_name(stage.truth.name().unwrap());
    let put = put.item("episode", number(1)).item("number", number(2));
    let put = put.item("name", AttributeValue::S("hangar".into()));
    put.item("secret", AttributeValue::Bool(true)).send().await.unwrap();
}

#[tokio::test]
async fn a_new_record_is_saved_and_saved_again() {
    let stage = Stage::<Map>::new().await;
    let mut map = Tracked::new(map("hangar"));
    assert!(map.is_new() && map.stored().is_none());
    stage.table.save(&mut map).await.unwrap();
    assert!(!map.is_new());
    assert_eq!(map.label, "1|hangar", "as it was stored");
    for name in ["plant", "refinery"] {
        map.name = name.into();
        map.looked_at += 1;
        stage.table.save(&mut map).await.unwrap();
        assert_eq!(map.stored().map(|stored| &*stored.name), Some(name));
    }
    assert_eq!(map.looked_at, 2, "what is not stored stays in memory");
    assert_eq!(stored(&stage).await, Map { looked_at: 0, ..map.clone().into_inner() });
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(writes(&stage), 3, "nothing was changed");
}

#[tokio::test]
async fn a_loaded_record_is_saved_and_saved_again_and_only_if_it_was_changed() {
    let stage = Stage::<Map>::new().await;
    put_item(&stage).await;
    let mut map = loaded(&stage.table).await;
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(writes(&stage), 0);
    map.cheats.insert("idkfa".into());
    stage.table.save(&mut map).await.unwrap();
    map.notes.entry("start".into()).or_default().insert("x".into(), 7);
    stage.table.save(&mut map).await.unwrap();
    map.notes.get_mut("start").unwrap().insert("y".into(), 8);
    map.name.clear();
    map.cheats.clear();
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(writes(&stage), 3);
    assert_eq!(stored(&stage).await, *map);
    assert_eq!((map.notes["start"]["y"], &*map.name), (8, ""));
    let item = stage.truth.get_item(KEY).await.unwrap().unwrap();
    assert_eq!(item["secret"], AttributeValue::Bool(true), "what the type does not know stays");
    assert!(!item.contains_key("cheats"), "an empty set is absent");
}

#[tokio::test]
async fn a_new_record_does_not_replace_one_that_is_there() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    let mut new = Tracked::from(map("plant"));
    for _ in 0..2 {
        let error = stage.table.save(&mut new).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("there is an item of this key already"), "{error}");
        assert!(new.is_new() && new.label.is_empty(), "it is as it was");
    }
    assert_eq!(stored(&stage).await.name, "hangar");
    stage.table.save(&mut new).on_conflict(OnConflict::Overwrite).await.unwrap();
    assert_eq!(stored(&stage).await.name, "plant");
    new.name = "refinery".into();
    stage.table.save(&mut new).await.unwrap();
    assert_eq!(stored(&stage).await.name, "refinery");
}

#[tokio::test]
async fn a_save_that_meets_others_is_a_conflict_until_it_is_loaded_anew() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    // What was absent must be absent still, as well as what was there.
    let others = [
        map("plant"),
        Map { cheats: ["iddqd".to_owned()].into(), ..map("hangar") },
        Map { notes: BTreeMap::from([("start".into(), BTreeMap::new())]), ..map("hangar") },
    ];
    for theirs in others {
        stage.truth.put(&map("hangar")).await.unwrap();
        let mut mine = loaded(&stage.table).await;
        stage.truth.put(&theirs).await.unwrap();
        mine.name = "refinery".into();
        for _ in 0..2 {
            let error = stage.table.save(&mut mine).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{theirs:?}");
            assert!(error.to_string().contains("others changed the item"), "{error}");
            assert_eq!(mine.stored().unwrap().name, "hangar", "what was loaded stays");
            let error = stage.table.delete_guarded(&mut mine).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{theirs:?}");
            assert!(!mine.is_new());
        }
        let mut again = loaded(&stage.table).await;
        again.name = "refinery".into();
        stage.table.save(&mut again).await.unwrap();
        assert_eq!(stored(&stage).await.name, "refinery");
    }
    let mut mine = loaded(&stage.table).await;
    stage.truth.delete(KEY).await.unwrap();
    mine.name = "gone".into();
    let error = stage.table.save(&mut mine).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("others deleted the item"), "{error}");
}

#[tokio::test]
async fn others_may_change_what_the_guard_leaves_to_them_and_it_is_in_the_record_then() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    let (mut one, mut other) = (loaded(&stage.table).await, loaded(&stage.table).await);
    one.cheats.insert("idkfa".into());
    stage.table.save(&mut one).await.unwrap();
    other.notes.insert("start".into(), BTreeMap::new());
    stage.table.save(&mut other).guard(Guard::Fields).await.unwrap();
    assert!(other.cheats.contains("idkfa"));
    assert_eq!(stored(&stage).await, *other);
    // It is known now, so all of it may be guarded again.
    other.name = "plant".into();
    stage.table.save(&mut other).await.unwrap();
    one.notes.insert("end".into(), BTreeMap::new());
    let error = stage.table.save(&mut one).guard(Guard::Fields).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "both changed the notes");
}

/// Two spend of one purse.
#[tokio::test]
async fn a_guarded_save_loses_no_update_and_one_that_overwrites_does() {
    let stage = Stage::<Purse>::new().await;
    for (policy, left) in [(OnConflict::Fail, 50), (OnConflict::Overwrite, 100)] {
        stage.truth.put(&Purse { owner: 1, coins: 200 }).await.unwrap();
        let mut one = stage.table.get_tracked(1).await.unwrap().unwrap();
        let mut other = stage.table.get_tracked(1).await.unwrap().unwrap();
        one.coins -= 150;
        other.coins -= 100;
        stage.table.save(&mut one).on_conflict(policy.clone()).await.unwrap();
        let saved = stage.table.save(&mut other).on_conflict(policy).await;
        assert_eq!(saved.is_err(), left == 50);
        assert_eq!(stage.truth.get(1).await.unwrap().unwrap().coins, left);
    }
    let spent = |base: Option<&Purse>, mine: Option<&Purse>, theirs: Option<&Purse>| {
        let coins = |purse: Option<&Purse>| purse.map_or(0, |purse| purse.coins);
        Some(Purse { owner: 1, coins: coins(theirs) + coins(mine) - coins(base) })
    };
    stage.truth.put(&Purse { owner: 1, coins: 300 }).await.unwrap();
    let mut purse = stage.table.get_tracked(1).await.unwrap().unwrap();
    stage.truth.put(&Purse { owner: 1, coins: 290 }).await.unwrap();
    purse.coins -= 100;
    stage.table.save(&mut purse).on_conflict(OnConflict::merge(spent)).await.unwrap();
    assert_eq!(purse.coins, 190, "it is what was merged");
    purse.coins += 1;
    stage.table.save(&mut purse).await.unwrap();
    assert_eq!(stage.truth.get(1).await.unwrap().unwrap().coins, 191);
    let none = OnConflict::merge(|_: Option<&Purse>, _, _| None::<Purse>);
    stage.truth.put(&Purse { owner: 1, coins: 0 }).await.unwrap();
    purse.coins = 7;
    stage.table.save(&mut purse).on_conflict(none).await.unwrap();
    assert!(purse.is_new(), "the merge deleted it");
    assert_eq!(stage.truth.get(1).await.unwrap(), None);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "purses")]
struct Purse {
    #[record(partition_key)]
    owner: u32,
    coins: i64,
}

#[tokio::test]
async fn a_deleted_record_is_new_and_can_be_saved_again() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    let mut map = loaded(&stage.table).await;
    map.name = "changed".into();
    stage.table.delete_guarded(&mut map).await.unwrap();
    assert!(map.is_new());
    assert_eq!(stage.truth.get(KEY).await.unwrap(), None);
    let error = stage.table.delete_guarded(&mut map).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.key().is_some(), "{error}");
    assert_eq!(writes(&stage), 1, "nothing was sent for what is stored nowhere");
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(stored(&stage).await.name, "changed");
    let deleted = stage.table.delete(KEY).await.unwrap().expect("it was there");
    stage.table.save(&mut deleted.into()).await.unwrap();
    assert_eq!(stored(&stage).await.name, "changed");
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_sends_nothing() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    let mut map = loaded(&stage.table).await;
    map.name = "forbidden".into();
    let error = stage.table.save(&mut map).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    map.name = "moved".into();
    map.number = 3;
    for error in [
        stage.table.save(&mut map).await.unwrap_err(),
        stage.table.save(&mut map).on_conflict(OnConflict::Overwrite).await.unwrap_err(),
        stage.table.delete_guarded(&mut map).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert!(error.to_string().contains("another key"), "{error}");
    }
    map.number = 2;
    let version = stage.table.save(&mut map).guard(Guard::Version).await.unwrap_err();
    assert_eq!(version.kind(), ErrorKind::Configuration);
    let version = stage.table.delete_guarded(&mut map).guard(Guard::Version).await.unwrap_err();
    assert_eq!(version.kind(), ErrorKind::Configuration);
    assert_eq!(writes(&stage), 0);
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(stored(&stage).await.name, "moved");
}

#[tokio::test]
async fn a_failure_that_is_no_conflict_is_told_as_it_is() {
    let stage = Stage::<Map>::new().await;
    stage.truth.put(&map("hangar")).await.unwrap();
    let mut map = loaded(&stage.table).await;
    map.name = "plant".into();
    for (operation, fault) in [
        ("UpdateItem", Fault::table_not_found()),
        ("DeleteItem", Fault::table_not_found()),
        ("UpdateItem", Fault::access_denied()),
    ] {
        stage.faults.next(operation, fault);
        let error = match operation {
            "UpdateItem" => stage.table.save(&mut map).await.unwrap_err(),
            _ => stage.table.delete_guarded(&mut map).await.unwrap_err(),
        };
        assert_ne!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(map.stored().unwrap().name, "hangar");
    }
    stage.table.save(&mut map).await.unwrap();
    assert_eq!(stored(&stage).await.name, "plant");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_no_conflict() {
    for is_new in [true, false] {
        let stage = Stage::<Map>::new().await;
        let operation = if is_new { "PutItem" } else { "UpdateItem" };
        let mut map = Tracked::new(map("hangar"));
        if !is_new {
            stage.table.save(&mut map).await.unwrap();
            map.name = "plant".into();
        }
        stage.faults.next(operation, Fault::failed().after_applying());
        stage.table.save(&mut map).await.unwrap();
        map.name = "refinery".into();
        stage.table.save(&mut map).await.unwrap();
        assert_eq!(stored(&stage).await.name, "refinery");
        stage.faults.next("DeleteItem", Fault::failed().after_applying());
        stage.table.delete_guarded(&mut map).await.unwrap();
        assert_eq!(stage.truth.get(KEY).await.unwrap(), None);
    }
}

/// The item lacks what its type writes, which is not sent by fields and is sent otherwise.
#[tokio::test]
async fn an_answer_that_is_lost_is_no_conflict_for_an_item_of_an_older_form() {
    for guard in [Guard::Item, Guard::Fields] {
        let stage = Stage::<Map>::new().await;
        put_item(&stage).await;
        let mut map = loaded(&stage.table).await;
        map.name = "plant".into();
        stage.faults.next("UpdateItem", Fault::failed().after_applying());
        stage.table.save(&mut map).guard(guard).await.unwrap();
        assert_eq!(stage.faults.count("UpdateItem"), 2);
        let item = stage.truth.get_item(KEY).await.unwrap().unwrap();
        assert_eq!(item.contains_key("notes"), guard == Guard::Item, "{guard:?}");
        map.name = "refinery".into();
        stage.table.save(&mut map).await.unwrap();
    }
}

#[tokio::test]
async fn overwriting_by_fields_leaves_what_was_not_changed_here_and_knows_it_then() {
    let stage = Stage::<Map>::new().await;
    put_item(&stage).await;
    let mut map = loaded(&stage.table).await;
    map.name = "mine".into();
    let notes = BTreeMap::from([("start".to_owned(), BTreeMap::new())]);
    stage.truth.put(&Map { notes: notes.clone(), ..self::map("theirs") }).await.unwrap();
    let save = stage.table.save(&mut map).guard(Guard::Fields);
    save.on_conflict(OnConflict::Overwrite).await.unwrap();
    let both = stored(&stage).await;
    assert_eq!((&*both.name, &both.notes), ("mine", &notes));
    assert_eq!(map.notes, notes);
    // Others set just what was to be set, and more.
    map.name = "same".into();
    let cheats = Set::from(["idkfa".to_owned()]);
    stage.truth.put(&Map { cheats: cheats.clone(), ..self::map("same") }).await.unwrap();
    let save = stage.table.save(&mut map).guard(Guard::Fields);
    save.on_conflict(OnConflict::Overwrite).await.unwrap();
    assert_eq!(map.cheats, cheats);
    map.name = "next".into();
    stage.table.save(&mut map).await.unwrap();
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "shops",
    after_load = "Shop::slug",
    global_index(name = "by-company", partition_key = company)
)]
struct Shop {
    #[record(partition_key)]
    id: String,
    #[serde(default)]
    company: String,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    rating: u32,
}

impl Shop {
    #[expect(clippy::unnecessary_wraps, reason = "a hook may fail")]
    fn slug(&mut self) -> Result<(), String> {
        if self.slug.is_empty() {
            self.slug = self.id.to_lowercase();
        }
        Ok(())
    }
}

/// An item that is in no index, as it lacks its key; what would be written of it is refused.
async fn shop() -> (Stage<Shop>, Tracked<Shop>) {
    let stage = Stage::<Shop>::new().await;
    let put = stage.truth.database().client().put_item().table_name(stage.truth.name().unwrap());
    put.item("id", AttributeValue::S("A".into())).send().await.unwrap();
    let shop = stage.table.get_tracked("A").await.unwrap().unwrap();
    (stage, shop)
}

#[tokio::test]
async fn what_after_load_made_is_saved_with_the_next_change() {
    for guard in [Guard::Item, Guard::Fields] {
        let (stage, mut shop) = shop().await;
        shop.company = "C".into();
        stage.table.save(&mut shop).guard(guard).await.unwrap();
        let item = stage.truth.get_item("A").await.unwrap().unwrap();
        assert_eq!(item["slug"], AttributeValue::S("a".into()), "{guard:?}");
        stage.table.save(&mut shop).guard(guard).await.unwrap();
        assert_eq!(stage.faults.count("UpdateItem"), 1, "{guard:?}");
    }
}

#[tokio::test]
async fn what_can_be_loaded_can_be_mended_and_deleted() {
    let (stage, mut shop) = shop().await;
    stage.table.save(&mut shop).await.unwrap();
    shop.rating = 5;
    let error = stage.table.save(&mut shop).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord, "it lacks the key of the index");
    shop.company = "C".into();
    stage.table.save(&mut shop).await.unwrap();
    let (stage, mut shop) = self::shop().await;
    stage.table.delete_guarded(&mut shop).await.unwrap();
    assert_eq!(stage.truth.get("A").await.unwrap(), None);
}

#[tokio::test]
async fn versions_count_the_saves() {
    let stage = Stage::<Draft>::new().await;
    let mut draft = Tracked::new(Draft { id: 1, text: "a".into(), version: 40 });
    stage.table.save(&mut draft).await.unwrap();
    assert_eq!(draft.version, 1);
    let mut late = draft.clone();
    draft.text = "b".into();
    // Whatever the field says.
    draft.version = 17;
    stage.table.save(&mut draft).await.unwrap();
    assert_eq!(draft.version, 2);
    stage.table.save(&mut draft).await.unwrap();
    assert_eq!(draft.version, 2, "nothing was changed");
    late.text = "c".into();
    let error = stage.table.save(&mut late).await.unwrap_err();
    assert_eq!((error.kind(), late.version), (ErrorKind::Conflict, 1));
    let error = stage.table.delete_guarded(&mut late).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    stage.table.delete_guarded(&mut draft).await.unwrap();
    stage.table.save(&mut draft).await.unwrap();
    assert_eq!(stage.truth.get(1).await.unwrap(), Some(draft.into_inner()));
}

#[tokio::test]
async fn what_queries_and_scans_find_is_tracked_if_that_is_said() {
    let stage = Stage::<Map>::new().await;
    for number in 1..=3 {
        stage.truth.put(&Map { number, ..map("hangar") }).await.unwrap();
    }
    let mut found = stage.table.query(1).sort_key().ge(2).tracked().all().await.unwrap();
    found
        .extend(stage.table.scan().filter(Map::FIELDS.number.eq(1)).tracked().all().await.unwrap());
    assert_eq!(found.iter().map(|map| map.number).collect::<Vec<_>>(), [2, 3, 1]);
    stage.truth.put(&Map { number: 3, ..map("theirs") }).await.unwrap();
    for map in &mut found {
        map.name = "plant".into();
        let saved = stage.table.save(map).await;
        assert_eq!(saved.is_err(), map.number == 3);
    }
    let names = stage.truth.scan().all().await.unwrap().into_iter().map(|map| map.name);
    assert_eq!(names.filter(|name| name == "plant").count(), 2);
}

#[tokio::test]
async fn of_two_who_insert_one_record_at_once_one_wins() {
    let stage = Stage::<Map>::new().await;
    let (mut one, mut other) = (Tracked::new(map("one")), Tracked::new(map("other")));
    let (first, second) =
        join(stage.truth.save(&mut one).into_future(), stage.truth.save(&mut other).into_future())
            .await;
    assert_eq!(first.is_ok(), second.is_err());
    assert_eq!(stored(&stage).await.name, if first.is_ok() { "one" } else { "other" });
}

#[test]
fn a_tracked_record_and_its_writes_are_shown_without_what_is_stored() {
    let table = crate::support::embedded().table::<Map>();
    let mut map = Tracked::new(map("hangar"));
    assert!(format!("{map:?}").contains("is_new: true"), "{map:?}");
    let save = format!("{:?}", table.save(&mut map).guard(Guard::Fields));
    assert!(save.contains("Fields") && !save.contains("hangar"), "{save}");
    let delete = format!("{:?}", table.delete_guarded(&mut map));
    assert!(delete.contains("maps") && !delete.contains("hangar"), "{delete}");
}

//! `#[record(validate)]`: rules of fields.

use std::error::Error as _;

use futures::TryStreamExt;
use garde::{Report, Validate};
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{BadItems, Error, ErrorKind, OnConflict, Record, Tracked};
use serde::{Deserialize, Serialize};

use super::{item, store};
use crate::support::Stage;

#[derive(Record, Validate, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "pupils", before_store = "Self::tidy", validate)]
struct Pupil {
    #[record(partition_key)]
    #[garde(skip)]
    id: String,
    #[garde(length(chars, min = 3, max = 15))]
    name: String,
    #[serde(default)]
    #[garde(range(min = 0))]
    age: i32,
    #[serde(default)]
    #[garde(inner(range(min = 0, max = 100)))]
    scores: Vec<i32>,
    #[serde(default)]
    #[garde(inner(custom(a_word_or_a_number)))]
    notes: Vec<String>,
    #[serde(default)]
    #[garde(inner(pattern("^[a-z]+@[a-z]+$")))]
    mail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    home: Option<Home>,
}

#[derive(Validate, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Home {
    #[garde(required)]
    street: Option<String>,
    #[garde(length(equal = 5))]
    code: String,
}

impl Pupil {
    fn new(id: &str, name: &str) -> Self {
        let (scores, notes) = (Vec::new(), Vec::new());
        Self { id: id.into(), name: name.into(), age: 5, scores, notes, mail: None, home: None }
    }

    /// What goes too high is cut before the rules are looked at.
    #[expect(clippy::unnecessary_wraps, reason = "a hook may fail")]
    fn tidy(&mut self) -> Result<(), String> {
        self.name = self.name.trim().to_owned();
        self.age = self.age.min(120);
        Ok(())
    }
}

/// Each must be one or the other.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "rules are called so")]
fn a_word_or_a_number(text: &str, _: &()) -> garde::Result {
    let is_word = !text.is_empty() && text.chars().all(char::is_alphabetic);
    if is_word || text.parse::<i64>().is_ok() {
        return Ok(());
    }
    Err(garde::Error::new("neither a word nor a number"))
}

fn bad() -> Pupil {
    Pupil {
        age: -1,
        scores: vec![0, 101, 100, -3],
        notes: vec!["word".into(), "12".into(), "a b".into()],
        mail: Some("secret".into()),
        home: Some(Home { street: None, code: "1234".into() }),
        ..Pupil::new("bad", " ab ")
    }
}

const PATHS: [&str; 8] =
    ["name", "age", "scores[1]", "scores[3]", "notes[2]", "mail", "home.street", "home.code"];

/// All of the fields are said, and nothing of what is in them.
fn assert_all_fields(error: &Error) {
    let text = error.to_string();
    for path in PATHS {
        assert!(text.contains(&format!("`{path}`: ")), "{path}: {text}");
    }
    assert!(!text.contains("secret") && !text.contains("a b"), "{text}");
    assert!(text.contains("neither a word nor a number"), "{text}");
    let report = error.source().and_then(|source| source.downcast_ref::<Report>());
    assert_eq!(report.map(|report| report.iter().count()), Some(PATHS.len()));
}

#[tokio::test]
async fn what_is_invalid_is_stored_by_no_call_and_all_its_fields_are_said() {
    let stage = Stage::<Pupil>::new().await;
    let memory = stage.memory();
    memory.put(Pupil::new("bad", "Ada")).await.unwrap();
    let change = |pupil: &mut Pupil| *pupil = bad();
    for error in [
        stage.table.put(&bad()).await.unwrap_err(),
        stage.table.insert(&bad()).await.unwrap_err(),
        stage.table.save(&mut Tracked::new(bad())).await.unwrap_err(),
        stage.table.put_guarded(None, &bad()).await.unwrap_err(),
        stage.table.merge(None, &bad()).await.unwrap_err(),
        memory.put(bad()).await.unwrap_err(),
        memory.merge(bad()).await.unwrap_err(),
        memory.update_existing("bad", change).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert!(error.key().is_some(), "{error}");
        assert_all_fields(&error);
    }
    let batch = stage.table.batch_write().puts([bad(), Pupil::new("good", "Bob")]).await;
    let report = batch.unwrap_err().into_report();
    assert_eq!((report.written, report.failed.len() + report.parked.len()), (1, 1));
    assert_eq!(memory.get("bad").await.unwrap().unwrap().name, "Ada");
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let stored = stage.truth.get("bad").await.unwrap().unwrap();
    assert_eq!((&*stored.name, stored.age), ("Ada", 5));
}

#[tokio::test]
async fn what_is_valid_is_stored_as_the_hook_left_it() {
    let stage = Stage::<Pupil>::new().await;
    let home = Some(Home { street: Some("Main".into()), code: "12345".into() });
    let valid = Pupil {
        age: 900,
        scores: vec![0, 100],
        notes: vec!["word".into(), "-7".into()],
        mail: Some("ada@example".into()),
        home,
        ..Pupil::new("a", "  Ada ")
    };
    let expected = Pupil { age: 120, name: "Ada".into(), ..valid.clone() };
    stage.table.put(&valid).await.unwrap();
    assert_eq!(stage.truth.get("a").await.unwrap().as_ref(), Some(&expected));
    let memory = stage.memory();
    memory.put(Pupil { id: "b".into(), ..valid.clone() }).await.unwrap();
    let expected = Pupil { id: "b".into(), ..expected };
    assert_eq!(memory.get("b").await.unwrap().as_deref(), Some(&expected), "as it is stored");
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.truth.get("b").await.unwrap(), Some(expected));
}

#[tokio::test]
async fn a_merge_of_a_conflict_is_validated() {
    let stage = Stage::<Pupil>::new().await;
    stage.truth.put(&Pupil::new("a", "Ada")).await.unwrap();
    let both =
        OnConflict::merge(|_: Option<&Pupil>, mine, _| Some(Pupil { age: -5, ..mine?.clone() }));
    let error = stage.table.put_guarded(None, &Pupil::new("a", "Bob")).on_conflict(both).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("`age`: "), "{error}");
}

/// Stored past the rules.
async fn stage_with_bad() -> Stage<Pupil> {
    let stage = Stage::<Pupil>::new().await;
    stage.truth.put(&Pupil::new("good", "Ada")).await.unwrap();
    let number = |number: i32| AttributeValue::N(number.to_string());
    let mut bad = item([("id", "bad"), ("name", "ab")]);
    bad.insert("age".into(), number(-1));
    bad.insert("scores".into(), AttributeValue::L(vec![number(101)]));
    store(&stage.truth, bad).await;
    stage
}

#[tokio::test]
async fn a_stored_item_that_is_invalid_does_not_fit_its_type() {
    let stage = stage_with_bad().await;
    let memory = stage.memory();
    for error in [
        stage.table.get("bad").await.unwrap_err(),
        memory.get("bad").await.unwrap_err(),
        stage.table.scan().all().await.unwrap_err(),
        memory.load_all().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidItem);
        let said = error.to_string();
        for path in ["name", "age", "scores[0]"] {
            assert!(said.contains(&format!("`{path}`: ")), "{said}");
        }
    }
    // What is absent is no error where it has a default.
    store(&stage.truth, item([("id", "bad"), ("name", "Bob")])).await;
    let bob = Pupil { age: 0, ..Pupil::new("bad", "Bob") };
    assert_eq!(stage.table.get("bad").await.unwrap(), Some(bob));
}

#[tokio::test]
async fn invalid_items_of_a_scan_fail_it_are_skipped_or_reported() {
    let stage = stage_with_bad().await;
    let scan = || stage.table.scan();
    assert_eq!(scan().all().await.unwrap_err().kind(), ErrorKind::InvalidItem);
    let skipped = scan().bad_items(BadItems::Skip).all().await.unwrap();
    assert_eq!(skipped, [Pupil::new("good", "Ada")]);
    let pages: Vec<_> = scan().bad_items(BadItems::Report).pages().try_collect().await.unwrap();
    let bad: Vec<&Error> = pages.iter().flat_map(|page| &page.bad).collect();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].to_string().contains("`scores[0]`: "), "{}", bad[0]);
    assert_eq!(pages.iter().map(|page| page.items.len()).sum::<usize>(), 1);
}

//! `#[record(before_store)]` and `#[record(after_load)]`.

use std::error::Error as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, OnceLock};

use futures::executor::block_on;
use futures::{FutureExt, TryStreamExt};
use memory_table::{ErrorKind, MemoryTable, Record};
use serde::{Deserialize, Serialize};

use super::{item, store, stored};
use crate::support::{Stage, failed_keys};

/// A text is stored in small letters and shown with a capital. Some texts are refused.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "words", before_store = "Self::lower", after_load = "Self::raise")]
struct Word {
    #[record(partition_key)]
    id: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    count: u32,
}

impl Word {
    fn new(id: &str, text: &str) -> Self {
        Self { id: id.into(), text: text.into(), count: 0 }
    }

    fn lower(&mut self) -> Result<(), String> {
        match self.text.as_str() {
            "bad" => return Err("a bad word".to_owned()),
            "panic" => panic!("a hook panics"),
            "rename" => self.id.push('!'),
            _ => {}
        }
        self.text.make_ascii_lowercase();
        Ok(())
    }

    fn raise(&mut self) -> Result<(), std::fmt::Error> {
        match self.text.as_str() {
            "unreadable" => return Err(std::fmt::Error),
            "panicking" => panic!("a hook panics"),
            "renamed" => self.id.push('?'),
            _ => {}
        }
        if let Some(first) = self.text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Ok(())
    }
}

async fn text(stage: &Stage<Word>, id: &str) -> Option<String> {
    let item = stored(&stage.truth, id).await?;
    Some(item.get("text")?.as_s().unwrap().clone())
}

#[tokio::test]
async fn every_call_that_stores_runs_before_store() {
    let stage = Stage::<Word>::new().await;
    stage.table.put(&Word::new("put", "SUN")).await.unwrap();
    let batch = stage.table.batch_write().put(&Word::new("batch", "MOON"));
    let report = batch.puts([Word::new("puts", "STAR")]).await.unwrap();
    assert_eq!(report.written, 2);
    let memory = stage.memory();
    memory.put(Word::new("memory", "DAY")).await.unwrap();
    memory.update("update", |word| word.text = "NIGHT".into()).await.unwrap();
    memory.update_existing("put", |word| word.text.push_str("SET")).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 3);
    for (id, expected) in [
        ("put", "sunset"),
        ("batch", "moon"),
        ("puts", "star"),
        ("memory", "day"),
        ("update", "night"),
    ] {
        assert_eq!(text(&stage, id).await.unwrap(), expected, "{id}");
    }
}

#[tokio::test]
async fn memory_holds_what_is_stored() {
    let stage = Stage::<Word>::new().await;
    let memory = stage.memory();
    memory.put(Word::new("a", "SUN")).await.unwrap();
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "sun");
    let updated = memory.update("a", |word| word.text.push_str("SET")).await.unwrap();
    assert_eq!(updated.text, "sunset");
}

#[tokio::test]
async fn a_refusal_of_before_store_changes_nothing() {
    let stage = Stage::<Word>::new().await;
    let memory = stage.memory();
    memory.put(Word::new("a", "sun")).await.unwrap();
    for error in [
        stage.table.put(&Word::new("a", "bad")).await.unwrap_err(),
        memory.put(Word::new("a", "bad")).await.unwrap_err(),
        memory.update("a", |word| word.text = "bad".into()).await.unwrap_err(),
        memory.update_existing("a", |word| word.text = "bad".into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        let expected = format!(
            "table `{}`, key \"a\": its `before_store` refused the record; nothing changed",
            stage.truth.name().unwrap()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.source().unwrap().to_string(), "a bad word");
    }
    assert_eq!(stage.faults.count("PutItem"), 0);
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "sun");
}

#[tokio::test]
async fn a_batch_reports_a_refusal_and_writes_the_others() {
    let stage = Stage::<Word>::new().await;
    let words = [Word::new("a", "sun"), Word::new("b", "bad")];
    let failed = stage.table.batch_write().puts(words).await.unwrap_err();
    assert_eq!(failed_keys(&failed.report().parked), ["\"b\""]);
    assert_eq!(failed.report().parked[0].error.source().unwrap().to_string(), "a bad word");
    assert_eq!(text(&stage, "a").await.unwrap(), "sun");
}

#[tokio::test]
async fn before_store_cannot_change_the_key() {
    let stage = Stage::<Word>::new().await;
    let memory = stage.memory();
    for error in [
        stage.table.put(&Word::new("a", "rename")).await.unwrap_err(),
        memory.put(Word::new("a", "rename")).await.unwrap_err(),
        memory.update("a", |word| word.text = "rename".into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert_eq!(error.key().unwrap().to_string(), "\"a\"");
        let expected = "its `before_store` changed the record's key to \"a!\"";
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(memory.unsaved().is_empty());
}

#[tokio::test]
async fn a_panic_in_before_store_leaves_everything() {
    let stage = Stage::<Word>::new().await;
    let memory = stage.memory();
    memory.put(Word::new("a", "sun")).await.unwrap();
    let put = AssertUnwindSafe(memory.put(Word::new("a", "panic"))).catch_unwind();
    assert!(put.await.is_err());
    let update = memory.update("a", |word| word.text = "panic".into());
    assert!(AssertUnwindSafe(update).catch_unwind().await.is_err());
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "sun");
    // The record's turn is free again.
    memory.update("a", |word| word.text = "moon".into()).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(text(&stage, "a").await.unwrap(), "moon");
}

static CALLED_BACK: OnceLock<MemoryTable<Caller>> = OnceLock::new();
static KINDS: Mutex<Vec<ErrorKind>> = Mutex::new(Vec::new());

/// A record whose hook changes the same record.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "callers", before_store = "Self::call_back")]
struct Caller {
    #[record(partition_key)]
    id: String,
}

impl Caller {
    #[expect(clippy::unnecessary_wraps, reason = "the signature of hooks")]
    fn call_back(&mut self) -> Result<(), String> {
        let memory = CALLED_BACK.get().expect("the test sets it");
        let id = self.id.as_str();
        let errors = [
            block_on(memory.put(Self { id: id.into() })).unwrap_err(),
            block_on(memory.update(id, |_| ())).unwrap_err(),
            block_on(memory.delete(id)).unwrap_err(),
        ];
        KINDS.lock().unwrap().extend(errors.iter().map(memory_table::Error::kind));
        Ok(())
    }
}

#[tokio::test]
async fn a_hook_that_changes_the_same_record_gets_an_error() {
    let stage = Stage::<Caller>::new().await;
    let memory = CALLED_BACK.get_or_init(|| stage.memory());
    memory.put(Caller { id: "a".into() }).await.unwrap();
    memory.update("a", |_| ()).await.unwrap();
    memory.get_or_create("b").await.unwrap();
    assert_eq!(*KINDS.lock().unwrap(), [ErrorKind::Reentrant; 9]);
    assert_eq!(memory.flush().await.unwrap().written, 2);
}

#[tokio::test]
async fn every_call_that_loads_runs_after_load() {
    let stage = Stage::<Word>::new().await;
    store(&stage.truth, item([("id", "a"), ("text", "sun")])).await;
    let expected = Word::new("a", "Sun");
    assert_eq!(stage.table.get_consistent("a").await.unwrap(), Some(expected.clone()));
    let batch = stage.table.batch_get(["a"]).await.unwrap();
    assert!(batch.records.values().eq([&expected]));
    let scanned: Vec<Word> = stage.table.scan().consistent().stream().try_collect().await.unwrap();
    assert!(scanned.iter().eq([&expected]));
    assert_eq!(*stage.memory().get("a").await.unwrap().unwrap(), expected);
    let all = stage.memory();
    all.load_all().await.unwrap();
    assert_eq!(*all.get("a").await.unwrap().unwrap(), expected);
    assert_eq!(stage.table.delete("a").await.unwrap(), Some(expected));
}

#[tokio::test]
async fn what_after_load_changed_is_stored_with_the_next_change_only() {
    let stage = Stage::<Word>::new().await;
    // `before_store` would undo it.
    let raised = Stage::<Raised>::on(stage.truth.database().clone()).await;
    store(&raised.truth, item([("id", "a"), ("text", "sun"), ("other", "kept")])).await;
    let memory = raised.memory();
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "Sun");
    memory.update_existing("a", |_| {}).await.unwrap();
    let report = memory.flush().await.unwrap();
    assert_eq!((report.written, raised.writes()), (0, 0), "nobody changed it");
    memory.update_existing("a", |word| word.count = 1).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    let item = stored(&raised.truth, "a").await.unwrap();
    let texts = ["text", "other"].map(|name| item[name].as_s().unwrap().as_str());
    assert_eq!(texts, ["Sun", "kept"]);
}

/// As [`Word`], without `before_store`.
#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "raised", after_load = "raise")]
struct Raised {
    #[record(partition_key)]
    id: String,
    text: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    count: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of hooks")]
fn raise(word: &mut Raised) -> Result<(), std::convert::Infallible> {
    if let Some(first) = word.text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Ok(())
}

#[tokio::test]
async fn an_item_that_after_load_refuses_does_not_fit_its_type() {
    let stage = Stage::<Word>::new().await;
    for (id, text) in [("a", "unreadable"), ("b", "sun"), ("c", "panicking"), ("d", "renamed")] {
        store(&stage.truth, item([("id", id), ("text", text)])).await;
    }
    let error = stage.table.get_consistent("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert_eq!(error.key().unwrap().to_string(), "\"a\"");
    assert!(error.to_string().contains("its `after_load` refused it"), "{error}");
    assert!(error.source().unwrap().downcast_ref::<std::fmt::Error>().is_some());
    let panicked = stage.table.get_consistent("c").await.unwrap_err();
    assert_eq!(panicked.kind(), ErrorKind::InvalidItem);
    let renamed = stage.table.get_consistent("d").await.unwrap_err();
    assert_eq!(renamed.key().unwrap().to_string(), "\"d\"");
    let expected = "its `after_load` changed the key from \"d\" to \"d?\"";
    assert!(renamed.to_string().contains(expected), "{renamed}");
    let memory = stage.memory();
    assert!(memory.prefetch(["a", "b"]).await.is_err());
    assert_eq!(memory.get("b").await.unwrap().unwrap().text, "Sun", "the others are loaded");
}

#[tokio::test]
async fn what_was_just_put_is_not_loaded() {
    let stage = Stage::<Word>::new().await;
    let memory = stage.memory();
    memory.put(Word::new("a", "unreadable")).await.unwrap();
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "unreadable");
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(memory.get("a").await.unwrap().unwrap().text, "unreadable");
}

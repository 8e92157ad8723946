//! Inserts, and updates of attributes by expressions.

use std::future::IntoFuture;

use futures::future::join_all;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{ErrorKind, Field, Record, Set, attribute};
use serde::{Deserialize, Serialize};

use crate::support::{Draft, Fault, Stage};

const UPDATE: &str = "UpdateItem";

#[derive(Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[record(table = "posts")]
struct Post {
    #[record(partition_key)]
    forum: String,
    #[record(sort_key)]
    id: u32,
    #[serde(default)]
    title: String,
    #[serde(default)]
    thanks: i64,
    #[serde(default)]
    views: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    editor: Option<String>,
    #[serde(default)]
    tags: Set<String>,
    #[serde(default)]
    lines: Vec<String>,
}

fn post(title: &str) -> Post {
    Post { forum: "f".into(), id: 1, title: title.into(), ..Post::default() }
}

const KEY: (&str, u32) = ("f", 1);

async fn stage() -> Stage<Post> {
    let stage = Stage::new().await;
    stage.truth.put(&post("one")).await.unwrap();
    stage
}

async fn stored(stage: &Stage<Post>) -> Post {
    stage.truth.get_consistent(KEY).await.unwrap().expect("a post")
}

#[tokio::test]
async fn an_update_makes_all_its_changes_at_once_and_returns_the_record() {
    let stage = stage().await;
    let first = stage
        .table
        .update(KEY)
        .set(Post::FIELDS.title, "two")
        .set_if_not_exists(Post::FIELDS.editor, "ada")
        .add(Post::FIELDS.thanks, 5)
        .add(Post::FIELDS.views, 2)
        .add_to_set(Post::FIELDS.tags, ["a".to_owned(), "b".to_owned()])
        .append(Post::FIELDS.lines, ["x".to_owned()])
        .await
        .unwrap();
    let expected = Post {
        thanks: 5,
        views: 2,
        editor: Some("ada".into()),
        tags: ["a".to_owned(), "b".to_owned()].into(),
        lines: vec!["x".into()],
        ..post("two")
    };
    assert_eq!(first, expected);
    assert_eq!(stored(&stage).await, expected);
    let second = stage
        .table
        .update(KEY)
        .set(Post::FIELDS.title, Post::FIELDS.editor)
        .set_if_not_exists(Post::FIELDS.editor, "bob")
        .add(Post::FIELDS.thanks, -1)
        .delete_from_set(Post::FIELDS.tags, ["a".to_owned(), "z".to_owned()])
        .prepend(Post::FIELDS.lines, ["w".to_owned()])
        .await;
    // What is set and what is only set if it is absent is of one request, from what is stored.
    let expected = Post {
        title: "ada".into(),
        thanks: 4,
        tags: ["b".to_owned()].into(),
        lines: vec!["w".into(), "x".into()],
        ..expected
    };
    assert_eq!(second.unwrap(), expected);
    let third = stage
        .table
        .update(KEY)
        .remove(Post::FIELDS.editor)
        .remove(Post::FIELDS.lines.index(0))
        .await;
    assert_eq!(third.unwrap(), Post { editor: None, lines: vec!["x".into()], ..expected });
    assert_eq!(stage.faults.count(UPDATE), 3);
}

#[tokio::test]
async fn counters_begin_at_nothing_and_an_item_is_made_of_them() {
    let stage = Stage::<Post>::new().await;
    let made = stage
        .table
        .update(KEY)
        .add(Post::FIELDS.thanks, 1)
        .add(Post::FIELDS.views, 10)
        .await
        .unwrap();
    assert_eq!((made.thanks, made.views), (1, 10));
    let absent =
        stage.table.update(("f", 2)).add(Post::FIELDS.thanks, 1).existing().await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(absent.key().is_some(), "{absent}");
    assert_eq!(stage.truth.get(("f", 2)).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_raw_client_counts_is_seen() {
    let stage = stage().await;
    let number = |number: i32| AttributeValue::N(number.to_string());
    let update = stage.truth.database().client().update_item();
    let update = update.table_name(stage.truth.name().unwrap());
    let update = update.key("forum", AttributeValue::S("f".into())).key("id", number(1));
    let update = update.update_expression("ADD thanks :n");
    update.expression_attribute_values(":n", number(3)).send().await.unwrap();
    let raised = stage.table.update(KEY).add(Post::FIELDS.thanks, 1).await.unwrap();
    assert_eq!(raised.thanks, 4);
}

#[tokio::test]
async fn counters_that_are_raised_at_the_same_time_lose_nothing() {
    let stage = stage().await;
    let raises = (0..20).map(|_| stage.truth.update(KEY).add(Post::FIELDS.thanks, 1).into_future());
    let mut values: Vec<i64> =
        join_all(raises).await.into_iter().map(|raised| raised.unwrap().thanks).collect();
    values.sort_unstable();
    assert_eq!(values, (1..=20).collect::<Vec<i64>>());
}

#[tokio::test]
async fn an_update_is_made_only_where_its_conditions_hold() {
    let stage = stage().await;
    let update = || stage.table.update(KEY).set(Post::FIELDS.title, "two");
    for condition in
        [Post::FIELDS.title.eq("other"), Post::FIELDS.thanks.gt(0), Post::FIELDS.editor.exists()]
    {
        let error = update().condition(Post::FIELDS.title.eq("one")).condition(condition).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(stored(&stage).await.title, "one");
    let either = Post::FIELDS.thanks.gt(0).or(Post::FIELDS.thanks.eq(0));
    let both = update().existing().condition(either).condition(Post::FIELDS.title.eq("one")).await;
    assert_eq!(both.unwrap().title, "two");
    let absent = stage.table.update(("f", 9)).set(Post::FIELDS.title, "x");
    let error = absent.condition(Post::FIELDS.title.eq("one")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "nobody asked for an item");
}

#[tokio::test]
async fn what_dynamodb_refuses_is_an_error_without_a_request() {
    let stage = stage().await;
    let update = || stage.table.update(KEY);
    let refused = [
        (update(), ErrorKind::InvalidCondition, "an update of nothing"),
        (
            update().append(Post::FIELDS.lines, []),
            ErrorKind::InvalidCondition,
            "an update of nothing",
        ),
        (update().set(Post::FIELDS.forum, "g"), ErrorKind::InvalidRecord, "`forum`"),
        (update().add(Post::FIELDS.id, 1), ErrorKind::InvalidRecord, "`id`"),
        (
            update().set(Post::FIELDS.title, "x").remove(Post::FIELDS.title),
            ErrorKind::InvalidCondition,
            "overlap",
        ),
        (
            update().remove(Post::FIELDS.lines).set(Post::FIELDS.lines.index(1), "x"),
            ErrorKind::InvalidCondition,
            "overlap",
        ),
        (update().set(attribute("a..b"), 1), ErrorKind::InvalidCondition, "no path"),
        (update().set(attribute("a"), f64::NAN), ErrorKind::InvalidCondition, "no form"),
        (stage.table.update(("", 1)).add(Post::FIELDS.views, 1), ErrorKind::InvalidKey, "empty"),
        (
            update().add(Post::FIELDS.views, 1).condition(attribute("forum.x").exists()),
            ErrorKind::InvalidCondition,
            "inside a key",
        ),
    ];
    for (update, kind, text) in refused {
        let error = update.await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error} lacks {text}");
    }
    assert_eq!(stage.faults.count(UPDATE), 0);
}

/// What would be done twice is not sent again, and what comes to the same is.
#[tokio::test]
async fn an_update_whose_answer_is_lost_is_made_once() {
    for is_repeatable in [false, true] {
        let stage = stage().await;
        let update = stage.table.update(KEY);
        let update = if is_repeatable {
            update.set(Post::FIELDS.thanks, 1)
        } else {
            update.add(Post::FIELDS.thanks, 1)
        };
        stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
        let updated = update.await;
        assert_eq!(stored(&stage).await.thanks, 1);
        assert_eq!(stage.faults.count(UPDATE), 1 + usize::from(is_repeatable));
        match updated {
            Ok(post) => assert!(is_repeatable && post.thanks == 1),
            Err(error) => {
                assert!(!is_repeatable, "{error}");
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
                assert!(std::error::Error::source(&error).is_some(), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_update_that_is_throttled_is_made_later() {
    let stage = stage().await;
    stage.faults.next(UPDATE, Fault::throttled());
    let updated = stage.table.update(KEY).add(Post::FIELDS.thanks, 1).await.unwrap();
    assert_eq!((updated.thanks, stage.faults.count(UPDATE)), (1, 2));
}

/// Its condition does not hold any more by what it did itself, so it may be either.
#[tokio::test]
async fn a_condition_that_fails_after_a_lost_answer_says_that_nobody_knows() {
    let stage = stage().await;
    stage.faults.next(UPDATE, Fault::connection_reset().after_applying());
    let update = stage
        .table
        .update(KEY)
        .set(Post::FIELDS.title, "two")
        .condition(Post::FIELDS.title.eq("one"));
    let error = update.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(stored(&stage).await.title, "two");
}

#[tokio::test]
async fn an_item_that_does_not_fit_once_it_is_updated_is_an_error_that_says_so() {
    let stage = stage().await;
    let title = Field::<u32>::named("title");
    let error = stage.table.update(KEY).set(title, 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidItem);
    assert!(error.to_string().contains("the item was updated"), "{error}");
}

#[tokio::test]
async fn an_insert_is_made_only_where_there_is_none() {
    let stage = Stage::<Post>::new().await;
    assert_eq!(stage.table.insert(&post("one")).await.unwrap(), post("one"));
    let error = stage.table.insert(&post("two")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("already") && error.key().is_some(), "{error}");
    assert_eq!(stored(&stage).await, post("one"));
    stage.faults.next("PutItem", Fault::connection_reset().after_applying());
    let other = Post { id: 2, ..post("three") };
    assert_eq!(stage.table.insert(&other).await.unwrap(), other, "it met its own success");
}

#[tokio::test]
async fn versions_are_raised_by_updates_and_begin_with_an_insert() {
    let stage = Stage::<Draft>::new().await;
    let draft = Draft { id: 1, version: 7, text: "a".into() };
    let inserted = stage.table.insert(&draft).await.unwrap();
    assert_eq!(inserted.version, 1, "what is new has no version yet, whatever it says");
    let updated = stage.table.update(1).set(Draft::FIELDS.text, "b").await.unwrap();
    assert_eq!((updated.version, &*updated.text), (2, "b"));
    let late = stage
        .table
        .put_guarded(Some(&inserted), &Draft { text: "c".into(), ..draft.clone() })
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    let error = stage.table.update(1).add(Draft::FIELDS.version, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
}

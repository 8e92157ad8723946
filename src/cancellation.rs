//! Every asynchronous call dropped at each of its polls: what it was to change is changed or is not, and
//! nothing is stuck.
//!
//! A call is counted once to see how often it is polled until it ends, then run anew and dropped at the
//! first poll, at the second, and so on. After each, everything is saved, the database has what it has
//! without the call or with all of it, and each key can be read, changed and saved.

mod calls;
mod stage;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;

use calls::{CALLS, Call};
use stage::{Kind, Stage, Stored};

/// A future that is dropped when it was polled so often, if it has not ended by then.
struct Dropped<'f> {
    inner: Option<BoxFuture<'f, ()>>,
    most: usize,
    polls: usize,
}

impl Future for Dropped<'_> {
    /// How often it was polled, if it ended.
    type Output = Option<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        if self.polls == self.most {
            self.inner = None;
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        if inner.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(self.polls + 1));
        }
        self.polls += 1;
        if self.polls == self.most {
            self.inner = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

/// How often the call is polled, if it ended before it was polled so often, and what is stored afterwards.
fn run(kind: Kind, call: Option<&Call>, most: usize) -> (Option<usize>, Stored) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        fastrand::seed(7);
        let stage = Stage::new(kind).await;
        let ended = match call {
            None => None,
            Some(call) => Dropped { inner: Some((call.run)(&stage)), most, polls: 0 }.await,
        };
        (ended, stage.settled().await)
    })
}

/// The calls that are of several changes, of which some may be done and others not.
const OF_SEVERAL: &[&str] =
    &["put_all", "sink", "scope", "reset_forced", "take_unsaved", "Table::batch_write"];

/// Whether what is stored is what it is without the call, or with it.
fn is_done_or_undone(call: &Call, found: &Stored, without: &Stored, with: &Stored) -> bool {
    if !OF_SEVERAL.contains(&call.name) {
        return found == without || found == with;
    }
    let all: BTreeMap<_, _> = without.iter().chain(with).chain(found).collect();
    all.into_keys().all(|id| found.get(id) == without.get(id) || found.get(id) == with.get(id))
}

/// Returns how often the call was dropped.
fn is_done_or_not(kind: Kind, call: &Call) -> usize {
    let name = call.name;
    let (_, without) = run(kind, None, 0);
    let (polls, with) = run(kind, Some(call), usize::MAX);
    let polls = polls.expect("it ends");
    for most in 0..polls {
        let (ended, found) = run(kind, Some(call), most);
        assert_eq!(ended, None, "{name} ended sooner than before");
        assert!(
            is_done_or_undone(call, &found, &without, &with),
            "{name}, dropped at poll {most} of {polls}: {found:?} is neither {without:?} nor {with:?}"
        );
    }
    polls
}

fn all_are_done_or_not(kind: Kind) {
    let polls = CALLS.iter().map(|call| format!("{} {}", call.name, is_done_or_not(kind, call)));
    let polls: Vec<String> = polls.collect();
    println!(
        "{kind:?}, {} calls dropped at each of their polls: {}",
        CALLS.len(),
        polls.join(", ")
    );
}

#[test]
fn each_call_on_a_plain_memory_table_is_done_or_not() {
    all_are_done_or_not(Kind::Plain);
}

#[test]
fn each_call_on_a_field_wise_memory_table_is_done_or_not() {
    all_are_done_or_not(Kind::FieldWise);
}

#[test]
fn each_call_on_a_guarded_memory_table_is_done_or_not() {
    all_are_done_or_not(Kind::Guarded);
}

#[test]
fn each_call_during_a_flush_is_done_or_not() {
    all_are_done_or_not(Kind::Flushing);
}

#[test]
fn each_call_that_waits_for_room_is_done_or_not() {
    all_are_done_or_not(Kind::Full);
}

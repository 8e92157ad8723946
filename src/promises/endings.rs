//! How a memory table ends, and flushes that nobody asked for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::{SECOND, Stage, WRITE, player, players};
use crate::ErrorKind;
use crate::testing::Fault;

#[tokio::test(start_paused = true)]
async fn close_saves_everything_and_within_a_deadline_says_what_is_left() {
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    for player in players(30) {
        memory.put(player).await.unwrap();
    }
    let gate = stage.faults.hold_next(WRITE);
    let error = memory.close_within(3 * SECOND).await.unwrap_err();
    assert_eq!((error.cause().kind(), error.report().failed.len()), (ErrorKind::Timeout, 25));
    gate.open();
    memory.put(player("late", 1)).await.unwrap();
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    assert_eq!((stage.count().await, memory.unsaved().len()), (31, 0));
    assert_eq!(memory.put(player("later", 1)).await.unwrap_err().kind(), ErrorKind::Closed);
}

/// The error events of this thread, as text.
#[derive(Clone, Default)]
struct Errors(Arc<parking_lot::Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.target().starts_with("memory_table")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_table_dropped_with_unsaved_records_says_so_once() {
    let errors = Errors::default();
    let _listening = tracing::subscriber::set_default(errors.clone());
    let stage = Stage::with([]).await;
    let memory = stage.memory();
    for player in players(7) {
        memory.put(player).await.unwrap();
    }
    drop(memory.clone());
    assert_eq!(errors.0.lock().len(), 0, "there is another handle");
    drop(memory);
    let errors = errors.0.lock();
    assert_eq!(errors.len(), 1);
    for part in ["unsaved=7", "\"players\"", "p00", "p04"] {
        assert!(errors[0].contains(part), "{part} is missing: {}", errors[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_background_flush_that_fails_refuses_no_put_and_is_heard_of() {
    let stage = Stage::with([]).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&heard);
    let builder = stage.builder().patience(Duration::ZERO).flush_at_records(2);
    let builder = builder.on_background_error(move |_| {
        hook.fetch_add(1, Ordering::SeqCst);
    });
    let memory = builder.build().unwrap();
    stage.faults.always(WRITE, Fault::access_denied());
    for player in players(3) {
        memory.put(player).await.unwrap();
    }
    tokio::time::sleep(10 * SECOND).await;
    memory.put(player("late", 1)).await.unwrap();
    assert!(heard.load(Ordering::SeqCst) >= 2, "it goes on");
    stage.faults.heal();
    tokio::time::sleep(120 * SECOND).await;
    assert_eq!((stage.count().await, memory.unsaved().len()), (4, 0), "it never stops");
    let report = memory.close().await.unwrap();
    assert_eq!(report.background.len(), heard.load(Ordering::SeqCst));
    assert!(report.background.iter().all(|error| error.kind() == ErrorKind::AccessDenied));
}

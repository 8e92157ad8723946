//! The events that the crate logs, for tests of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// The events of this thread while it lives, each as its level and its target and fields as text.
pub struct Logs {
    listener: Arc<Listener>,
    _guard: DefaultGuard,
}

static ANOTHER: OnceLock<Dispatch> = OnceLock::new();

#[derive(Default)]
struct Listener {
    lines: Mutex<Vec<(Level, String)>>,
    /// By number, from 1.
    spans: Mutex<BTreeMap<u64, String>>,
}

impl Logs {
    /// Listens to this thread.
    pub fn listen() -> Self {
        // Where there is one only, an event that another thread meets first is off for good: that thread is asked
        // whether it listens, and it does not.
        ANOTHER.get_or_init(|| Dispatch::new(Listener::default()));
        let listener = Arc::default();
        let guard = tracing::subscriber::set_default(Arc::clone(&listener));
        Self { listener, _guard: guard }
    }

    /// The events of this crate of a level, so far.
    pub fn of(&self, level: Level) -> Vec<String> {
        let lines = self.listener.lines.lock().expect("nothing panics under the lock");
        lines.iter().filter(|(at, _)| *at == level).map(|(_, line)| line.clone()).collect()
    }

    /// The spans of this crate, so far, with what was recorded in them.
    pub fn spans(&self) -> Vec<String> {
        let spans = self.listener.spans.lock().expect("nothing panics under the lock");
        spans.values().cloned().collect()
    }
}

struct Line(String);

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self(format!("target={} ", metadata.target()))
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _written = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("memory_table")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::of(span.metadata());
        span.record(&mut line);
        let mut spans = self.spans.lock().expect("nothing panics under the lock");
        let number = spans.len() as u64 + 1;
        spans.insert(number, line.0);
        Id::from_u64(number)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        let mut spans = self.spans.lock().expect("nothing panics under the lock");
        spans.entry(span.into_u64()).or_default().push_str(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        let line = (*event.metadata().level(), line.0);
        self.lines.lock().expect("nothing panics under the lock").push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

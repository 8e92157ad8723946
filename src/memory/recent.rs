//! What was saved a moment ago: an index may not have it yet.

use std::collections::VecDeque;
use std::time::Duration;

use crate::key::Key;
use crate::rt::{Instant, Mutex};

/// How far an index may lag behind; mostly it is a fraction of a second.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>
const LAG: Duration = Duration::from_secs(5);

/// The keys of what was saved, latest last.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<(Instant, Key)>>);

impl Recent {
    pub(crate) fn note(&self, key: &Key) {
        let mut saved = self.0.lock();
        forget_old(&mut saved);
        saved.push_back((Instant::now(), key.clone()));
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut saved = self.0.lock();
        forget_old(&mut saved);
        saved.iter().map(|(_, key)| key.clone()).collect()
    }
}

fn forget_old(saved: &mut VecDeque<(Instant, Key)>) {
    while saved.front().is_some_and(|(at, _)| at.elapsed() > LAG) {
        saved.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;

    #[tokio::test(start_paused = true)]
    async fn what_was_saved_is_remembered_as_long_as_an_index_may_lag() {
        let recent = Recent::default();
        let key = |name: &str| Key::new(&KeyRef::partition(&name.to_owned())).unwrap();
        recent.note(&key("a"));
        tokio::time::advance(Duration::from_secs(3)).await;
        recent.note(&key("b"));
        assert_eq!(recent.keys(), [key("a"), key("b")]);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(recent.keys(), [key("b")]);
        recent.note(&key("c"));
        assert_eq!(recent.0.lock().len(), 2, "and then forgotten");
    }
}

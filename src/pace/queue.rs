//! Who waits for the pace of a table: one after the other, in the order in which they came.

use std::time::Duration;

use super::Side;
use crate::retry::Attempts;
use crate::rt::{Instant, Permit, timeout_at};

/// Who waits looks so often whether the service gives anything at all.
const LOOK: Duration = Duration::from_secs(1);

impl Side {
    /// The first place among those that wait, kept until what it returns is dropped; `None` if patience ended
    /// before, while the service gave nothing. Else that others go first takes nothing from the patience.
    pub(crate) async fn place(&self, attempts: &mut Attempts<'_>) -> Option<Permit<'_>> {
        if let Ok(place) = self.queue.try_acquire() {
            return Some(place);
        }
        let mut place = std::pin::pin!(self.queue.acquire());
        loop {
            let since = Instant::now();
            let ended = timeout_at(since + LOOK, place.as_mut()).await;
            if !self.gives_nothing() {
                attempts.held(since.elapsed());
            } else if ended.is_err() && attempts.is_over() {
                return None;
            }
            if let Ok(place) = ended {
                // The semaphore is never closed.
                return place.ok();
            }
        }
    }
}

//! Who waits for the pace of a table: one after the other, in the order in which they came.

use std::time::Duration;

use super::Wait;
use super::side::{Room, Side};
use crate::retry::Attempts;
use crate::rt::{Instant, Permit, Semaphore, sleep_until, timeout_at};

/// Who waits looks so often whether the service gives anything at all.
const LOOK: Duration = Duration::from_secs(1);

impl Side {
    /// Waits until there is room for something of so many entries, of which `send` sends what it can: that is done
    /// before anybody else is asked. What `send` refuses waits without its place. `None` if patience ended before.
    pub(crate) async fn in_turn<R>(
        &self,
        attempts: &mut Attempts<'_>,
        entries: usize,
        mut send: impl FnMut(Room) -> Result<R, Wait>,
    ) -> Option<R> {
        loop {
            match self.first_turn(attempts, entries, &mut send).await? {
                Ok(sent) => return Some(sent),
                Err(wait) => waited(attempts, wait).await?,
            }
        }
    }

    /// As [`in_turn`](Self::in_turn), up to the first time that `send` refuses.
    async fn first_turn<R>(
        &self,
        attempts: &mut Attempts<'_>,
        entries: usize,
        send: impl FnOnce(Room) -> Result<R, Wait>,
    ) -> Option<Result<R, Wait>> {
        let _place = self.place(&self.queue, &[], attempts).await?;
        loop {
            match self.room(entries) {
                Ok(room) => return Some(send(room)),
                Err(wait) => waited(attempts, wait).await?,
            }
        }
    }

    /// As [`in_turn`](Self::in_turn), for one entry of a partition key: if that is hot, after those who came before and
    /// wait for the same one.
    pub(crate) async fn one_in_turn<R>(
        &self,
        attempts: &mut Attempts<'_>,
        partition: &[u8],
        mut send: impl FnMut() -> R,
    ) -> Option<R> {
        let mut turn = |_| self.hot_turn(partition).map(|()| send());
        if !self.is_hot(partition)
            && let Ok(sent) = self.first_turn(attempts, 1, &mut turn).await?
        {
            return Some(sent);
        }
        let queue = self.hot_queue(partition);
        let _place = match &queue {
            Some(queue) => Some(self.place(queue, partition, attempts).await?),
            None => None,
        };
        self.in_turn(attempts, 1, turn).await
    }

    /// The first place among those that wait, kept until what it returns is dropped; `None` if patience ended
    /// before, while the service gave nothing. Else that others go first takes nothing from the patience.
    async fn place<'q>(
        &self,
        queue: &'q Semaphore,
        partition: &[u8],
        attempts: &mut Attempts<'_>,
    ) -> Option<Permit<'q>> {
        if let Ok(place) = queue.try_acquire() {
            return Some(place);
        }
        let mut place = std::pin::pin!(queue.acquire());
        loop {
            let since = Instant::now();
            let ended = timeout_at(since + LOOK, place.as_mut()).await;
            if !self.gives_nothing(partition) {
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

/// Waits until the pace may let it go; `None` if patience ends before. Where it is a matter of its turn alone, that
/// takes nothing from the patience.
async fn waited(attempts: &mut Attempts<'_>, wait: Wait) -> Option<()> {
    let since = Instant::now();
    if !wait.is_pause {
        sleep_until(wait.until).await;
        attempts.held(since.elapsed());
        return Some(());
    }
    sleep_until(wait.until.min(attempts.end())).await;
    (!attempts.is_over()).then_some(())
}

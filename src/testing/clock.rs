//! Time that passes when nobody waits.

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use crate::database::Database;
use crate::error::{Error, ErrorKind};

/// Tokio's clock, paused: whenever every task waits, it jumps to the next timer.
///
/// So an hour of retries takes a moment. It is Tokio's `tokio::time::pause` behind the checks that
/// keep it from misleading a test:
///
/// - Only the embedded database allows it. While an answer comes over a network every task waits
///   too, and the clock would jump to the attempt's timeout before the answer is there.
/// - The runtime must have one thread, as `#[tokio::test]` has.
///
/// Where a test says `#[tokio::test(start_paused = true)]` the clock is paused already, and this is
/// not needed.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use memory_table::Database;
/// use memory_table::testing::{Fault, Faults, PausedClock};
///
/// let stored = Database::embedded()?;
/// let clock = PausedClock::over(&stored)?;
/// let (database, faults) = Faults::around(&stored);
/// faults.next("ListTables", Fault::none().delayed(Duration::from_secs(3)));
/// database.client().list_tables().send().await?;
/// assert!(clock.elapsed() >= Duration::from_secs(3));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PausedClock {
    began: Instant,
}

impl PausedClock {
    /// Pauses the clock of the runtime, for tests on this database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the database is not embedded, or this is not within a Tokio
    /// runtime of one thread.
    ///
    /// # Panics
    ///
    /// If the clock is paused already.
    pub fn over(database: &Database) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Configuration, why));
        if !database.is_embedded() {
            return refused("the clock would jump past answers that are on their way")
                .map_err(|error| error.advise("pause it with the embedded database only"));
        }
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::CurrentThread) => {
                tokio::time::pause();
                Ok(Self { began: Instant::now() })
            }
            _ => refused("a clock can be paused within a Tokio runtime of one thread only"),
        }
    }

    /// Lets this much time pass at once; timers that are due fire.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the time has passed, and timers that are due fire later.
    pub async fn advance(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    /// How much time has passed since the clock was paused.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time passes by itself again.
    pub fn resume(self) {
        tokio::time::resume();
    }
}

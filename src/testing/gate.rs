//! A place where requests wait, so that tests need no sleeps to get in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// After this long nothing will come any more; a test fails then instead of hanging.
const NEVER: Duration = Duration::from_secs(120);

/// Holds requests or answers until the test lets them on.
///
/// Clones are the same gate. See [`Fault::held_at`](super::Fault::held_at),
/// [`Faults::hold_next`](super::Faults::hold_next).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use memory_table::Database;
/// use memory_table::testing::Faults;
///
/// let (database, faults) = Faults::around(&Database::embedded()?);
/// let gate = faults.hold_next("ListTables");
/// let (answer, ()) = tokio::join!(database.client().list_tables().send(), async {
///     gate.reached().await;
///     // Whatever must happen while the request is in flight.
///     gate.open();
/// });
/// assert!(answer?.table_names().is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    arrived: Semaphore,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Sides { arrived: Semaphore::new(0), open: Semaphore::new(0) }))
    }

    /// Waits until one more request has come to the gate.
    ///
    /// # Panics
    ///
    /// If none comes within 120 s, so that a test fails instead of hanging.
    pub async fn reached(&self) {
        let arrived = timeout(NEVER, self.0.arrived.acquire()).await;
        assert!(arrived.is_ok(), "no request came to the gate within {} s", NEVER.as_secs());
        // The semaphore is never closed.
        if let Ok(Ok(permit)) = arrived {
            permit.forget();
        }
    }

    /// Lets every request on, now and later.
    pub fn open(&self) {
        self.0.open.add_permits(1 << 16);
    }

    /// Comes to the gate and waits until it opens.
    pub(super) async fn pass(&self) {
        self.0.arrived.add_permits(1);
        if let Ok(permit) = self.0.open.acquire().await {
            permit.forget();
        }
    }
}

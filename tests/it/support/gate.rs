//! A place where requests wait, so that tests need no sleeps to get in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// After this long nothing will come any more; a test fails then instead of hanging.
const NEVER: Duration = Duration::from_secs(120);

/// Holds requests until the test lets them on.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Sides { arrived: Semaphore::new(0), open: Semaphore::new(0) }))
    }

    /// Waits until one more request has come to the gate.
    pub async fn reached(&self) {
        let arrived = timeout(NEVER, self.0.arrived.acquire()).await;
        arrived.expect("no request came to the gate").expect("it is never closed").forget();
    }

    /// Lets every request on, now and later.
    pub fn open(&self) {
        self.0.open.add_permits(1 << 16);
    }

    /// Comes to the gate and waits until it opens.
    pub(super) async fn pass(&self) {
        self.0.arrived.add_permits(1);
        self.0.open.acquire().await.expect("it is never closed").forget();
    }
}

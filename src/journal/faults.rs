//! Faults of a disk, on purpose: writes and syncs that fail from some time on.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What fails of the journals that were opened on this thread since it was set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Failing>);

#[derive(Debug, Default)]
struct Failing {
    writes: AtomicBool,
    syncs: AtomicBool,
}

thread_local! {
    static FAULTS: RefCell<Faults> = RefCell::default();
}

impl Faults {
    pub(super) fn of_this_thread() -> Self {
        FAULTS.with_borrow(Clone::clone)
    }

    /// Faults for the journals that this thread opens from now on, none of which are there yet.
    pub(crate) fn begin() -> Self {
        let faults = Self::default();
        FAULTS.set(faults.clone());
        faults
    }

    pub(crate) fn fail_writes(&self, fail: bool) {
        self.0.writes.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.0.syncs.store(fail, Ordering::SeqCst);
    }

    pub(super) fn write(&self) -> io::Result<()> {
        fails(&self.0.writes, io::ErrorKind::StorageFull)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        fails(&self.0.syncs, io::ErrorKind::Other)
    }
}

fn fails(fault: &AtomicBool, kind: io::ErrorKind) -> io::Result<()> {
    if fault.load(Ordering::SeqCst) { Err(kind.into()) } else { Ok(()) }
}

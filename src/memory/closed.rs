//! Whether a memory table takes changes: not while it is being closed, and never after.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many calls are closing the table, and [`DONE`] once one of them succeeded.
#[derive(Debug, Default)]
pub(crate) struct Closed(AtomicUsize);

const DONE: usize = 1 << (usize::BITS - 1);

impl Closed {
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn begin(&self) -> Closing<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Closing(self)
    }
}

/// A call that is closing the table; dropped, it opens the table again unless another one closed it.
#[derive(Debug)]
pub(crate) struct Closing<'t>(&'t Closed);

impl Closing<'_> {
    pub(crate) fn succeed(self) {
        self.0.0.fetch_or(DONE, Ordering::SeqCst);
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_close_opens_again_but_not_what_another_one_closed() {
        let closed = Closed::default();
        let first = closed.begin();
        assert!(closed.is_closed());
        drop(first);
        assert!(!closed.is_closed());

        let (first, second) = (closed.begin(), closed.begin());
        first.succeed();
        drop(second);
        assert!(closed.is_closed());
    }
}

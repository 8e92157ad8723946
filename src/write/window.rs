//! How many requests may be in flight: fewer while the service throttles the table.

use crate::error::ThrottlingReason;

/// Halved by each request that is throttled, one more for each that is done in full.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    now: usize,
}

impl Window {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, now: most }
    }

    /// Whether one more may be sent beside so many.
    pub(super) const fn is_open(&self, in_flight: usize) -> bool {
        in_flight < self.now
    }

    /// A request was throttled. Where a hot partition key is to blame, only its items wait.
    pub(super) fn throttled(&mut self, reasons: &[ThrottlingReason]) {
        let of_key = |reason: &ThrottlingReason| reason.is_key_range();
        if reasons.is_empty() || !reasons.iter().all(of_key) {
            self.now = (self.now / 2).max(1);
        }
    }

    /// A request was answered, and so many of its items were left.
    pub(super) fn answered(&mut self, items: usize, left: usize) {
        if left == 0 {
            self.now = (self.now + 1).min(self.most);
        } else if left * 2 >= items {
            self.throttled(&[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_by_halves_and_opens_by_one() {
        let mut window = Window::new(16);
        assert!(window.is_open(15) && !window.is_open(16));
        window.throttled(&[]);
        assert!(window.is_open(7) && !window.is_open(8));
        for _ in 0..10 {
            window.answered(25, 13);
        }
        assert!(window.is_open(0) && !window.is_open(1), "one is always sent");
        window.answered(25, 5);
        assert!(!window.is_open(1), "a few that are left change nothing");
        for _ in 0..100 {
            window.answered(25, 0);
        }
        assert!(window.is_open(15) && !window.is_open(16));
    }
}

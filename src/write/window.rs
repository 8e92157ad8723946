//! How many requests may be in flight: fewer while the service gives nothing.

/// Halved by each request that is throttled while nobody knows the table's rate, one more for each that
/// is done in full.
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

    /// A request was throttled.
    pub(super) fn closes(&mut self) {
        self.now = (self.now / 2).max(1);
    }

    /// A request was done in full.
    pub(super) fn opens(&mut self) {
        self.now = (self.now + 1).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_by_halves_and_opens_by_one() {
        let mut window = Window::new(16);
        assert!(window.is_open(15) && !window.is_open(16));
        window.closes();
        assert!(window.is_open(7) && !window.is_open(8));
        for _ in 0..10 {
            window.closes();
        }
        assert!(window.is_open(0) && !window.is_open(1), "one is always sent");
        for _ in 0..100 {
            window.opens();
        }
        assert!(window.is_open(15) && !window.is_open(16));
    }
}

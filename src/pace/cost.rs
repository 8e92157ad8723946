//! What things cost on average, of late.

/// Half of what was learned weighs no more after so much more of it.
const MEMORY: f64 = 200.0;

/// The mean of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    cost: f64,
    of: f64,
}

impl Mean {
    /// So much was the cost of so much.
    pub(super) fn learn(&mut self, cost: f64, of: f64) {
        if of > 0.0 {
            let kept = (-of / MEMORY).exp2();
            self.cost = self.cost * kept + cost;
            self.of = self.of * kept + of;
        }
    }

    /// The cost of one; `None` if nothing is known.
    pub(super) fn get(&self) -> Option<f64> {
        (self.of > 0.0).then(|| self.cost / self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_late_weighs_more() {
        let mut mean = Mean::default();
        assert_eq!(mean.get(), None);
        mean.learn(20.0, 10.0);
        assert_eq!(mean.get(), Some(2.0));
        for _ in 0..100 {
            mean.learn(50.0, 10.0);
        }
        assert!((mean.get().unwrap() - 5.0).abs() < 0.1, "{mean:?}");
        mean.learn(0.0, 0.0);
        assert!(mean.get().unwrap() > 4.9, "nothing is learned from nothing");
    }
}

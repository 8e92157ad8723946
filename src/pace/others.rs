//! Do others, who are not seen, use the same capacity?
//!
//! Who is alone meets the end of the capacity just when more was allowed than there is, has as much left as
//! that was more, and measures the same rate each time. If others use it too, much is left of one who
//! allowed little, little of one who allowed much, and each measures what it sends itself: every division
//! of the capacity would last. So a rate has to fall whenever something is left, and to grow with time in a
//! way that gives more to who has less; who has more meets the end more often, and all come to the same
//! share, as congestion control of networks does it: <https://doi.org/10.1016/0169-7552(89)90019-6>.

/// What is left is more than what was allowed if it is so many times that,
const MORE: f64 = 1.5;
/// and less if that is so many times what is left: others gave way then;
const LESS: f64 = 3.0;
/// and it differs by so many of the largest items.
const ITEMS: f64 = 2.0;
/// A rate that was measured is that of before if it differs by no more than this part of it.
const SAME: f64 = 0.03;
/// The time of a request may make it differ by this part at most; what is as long as a few of them measures
/// little.
const LATENCY: f64 = 0.15;
/// So often in a row it has to be that before others are thought to be gone; at first nothing is known of
/// them.
const TIMES: u32 = 4;
const AT_FIRST: u32 = 8;
/// Each second the rate grows by this part of it, for a rate of one request a second; for others by this
/// power of their requests a second. Who has more meets the end in proportion, which is more than that.
const GROWTH: f64 = 0.15;
const POWER: f64 = 0.6;
/// At most by so much of it.
const MOST: f64 = 1.7;

/// What is known of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    /// Units that were allowed beyond what was found, since something was left last.
    beyond: f64,
    /// Units a second before.
    before: f64,
    /// They are thought to be there so many times more that something is left.
    times: u32,
}

impl Others {
    pub(super) const fn new() -> Self {
        Self { beyond: 0.0, before: 0.0, times: AT_FIRST }
    }

    /// Whether others are thought to use the capacity too.
    pub(super) const fn are_there(&self) -> bool {
        self.times > 0
    }

    /// More was allowed than was found.
    pub(super) fn allowed(&mut self, beyond: f64) {
        self.beyond += beyond.max(0.0);
    }

    /// So much of a request was left, after so many units were consumed in so many seconds; that is not exact: there
    /// is the largest item, and the time of a request.
    pub(super) fn left(
        &mut self,
        left: f64,
        (units, seconds): (f64, f64),
        (largest, latency): (f64, f64),
    ) {
        let (rate, slack) = (units / seconds.max(1e-9), ITEMS * largest);
        let rounding = slack / units.max(1.0) + (latency / seconds.max(1e-9)).min(LATENCY);
        let is_as_before = (rate - self.before).abs() <= rate * (SAME + rounding);
        let is_more = left > MORE * self.beyond + slack;
        let is_less = self.beyond > LESS * left + slack;
        if self.are_there() {
            self.times = if is_as_before { self.times - 1 } else { self.times.max(TIMES) };
        } else if is_more || is_less {
            self.times = TIMES;
        }
        (self.before, self.beyond) = (rate, 0.0);
    }

    /// Nothing was sent for a while: what was allowed in that time says nothing.
    pub(super) const fn ignore(&mut self) {
        self.beyond = 0.0;
    }

    /// That was left for no reason.
    pub(super) const fn forget(&mut self) {
        (self.beyond, self.times) = (0.0, 0);
    }

    /// The part of a rate by which it has grown, so many seconds after something was left.
    pub(super) fn growth(&self, requests_a_second: f64, seconds: f64) -> f64 {
        if !self.are_there() {
            return 0.0;
        }
        (GROWTH * requests_a_second.powf(POWER) * seconds).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After it was left so much that was allowed so much more, where so many units were consumed in a
    /// second.
    fn after(lefts: &[(f64, f64, f64)]) -> Others {
        let mut others = Others { times: 0, ..Others::new() };
        for (beyond, left, units) in lefts {
            others.allowed(*beyond);
            others.left(*left, (*units, 1.0), (1.0, 0.0));
        }
        others
    }

    #[test]
    fn who_is_alone_has_left_what_was_more_than_there_is() {
        assert!(!after(&[(20.0, 20.0, 100.0), (30.0, 25.0, 90.0), (0.0, 2.0, 80.0)]).are_there());
    }

    #[test]
    fn others_are_there_if_much_more_or_less_is_left() {
        assert!(after(&[(1.0, 20.0, 100.0)]).are_there());
        assert!(after(&[(100.0, 20.0, 100.0)]).are_there());
        assert!(Others::new().are_there(), "who knows");
    }

    #[test]
    fn others_are_gone_once_the_same_rate_is_measured_again_and_again() {
        let sign = (1.0, 20.0, 100.0);
        let same = |times| vec![(1.0, 20.0, 100.0); times];
        assert!(after(&[&[sign][..], &same(3)].concat()).are_there());
        assert!(!after(&[&[sign][..], &same(4)].concat()).are_there());
        let differs = [(1.0, 20.0, 100.0), (1.0, 20.0, 80.0)].repeat(4);
        assert!(after(&[&[sign][..], &differs].concat()).are_there());
    }

    #[test]
    fn with_others_who_has_more_grows_faster_but_not_in_proportion() {
        let others = after(&[(1.0, 20.0, 100.0)]);
        let (small, large) = (others.growth(1.0, 2.0), others.growth(4.0, 2.0));
        assert!((small - 0.3).abs() < 1e-9, "{small}");
        assert!(large > small && large < 4.0 * small, "{large}");
        assert!((others.growth(1.0, 1e9) - MOST).abs() < 1e-9);
        let alone = Others { times: 0, ..others };
        assert!(alone.growth(1.0, 2.0) == 0.0);
    }
}

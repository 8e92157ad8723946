//! What becomes of a request, as a seed draws it.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::store::drawn;
use crate::store::{Class, Failure, Outcome};

/// How late an answer that was given up may still land; what the memory tables are told.
pub(super) const LATE_WRITE_WINDOW: Duration = Duration::from_secs(5);

/// What becomes of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    /// How long it takes to arrive, and its answer to come back.
    pub(super) before: Duration,
    pub(super) after: Duration,
    fault: Option<Fault>,
    /// The places of those that are left.
    pub(super) unprocessed: Vec<usize>,
    /// It lands this long after it has failed.
    pub(super) late: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    /// Not applied, and that is said.
    Refused,
    /// Not applied, which nobody knows.
    LostBefore,
    /// Applied, which nobody knows.
    LostAfter,
    FailedAfter,
    /// The first of several keys is left.
    Unprocessed,
    /// Not applied, and no request has a chance.
    Fatal,
}

impl Fault {
    /// Those after which a request is sent again.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Throttled,
        Self::Refused,
        Self::LostBefore,
        Self::LostAfter,
        Self::FailedAfter,
        Self::Unprocessed,
    ];
}

impl Fate {
    pub(super) fn failure_before(&self) -> Option<Failure> {
        match self.fault? {
            Fault::Throttled => Some(drawn(Class::Throttled, Outcome::NotWritten)),
            Fault::Refused => Some(drawn(Class::Transient, Outcome::NotWritten)),
            Fault::LostBefore => Some(drawn(Class::Transient, Outcome::OutcomeUnknown)),
            Fault::Fatal => Some(drawn(Class::Fatal, Outcome::NotWritten)),
            Fault::LostAfter | Fault::FailedAfter | Fault::Unprocessed => None,
        }
    }

    pub(super) fn failure_after(&self) -> Option<Failure> {
        let lost = matches!(self.fault, Some(Fault::LostAfter | Fault::FailedAfter));
        lost.then(|| drawn(Class::Transient, Outcome::OutcomeUnknown))
    }
}

/// Draws fates. How likely each is differs from seed to seed.
pub(super) struct Fates {
    random: fastrand::Rng,
    /// Of 1,000 requests so many fail, and of those that do not so many leave something.
    failing: u32,
    leaving: u32,
    slowest: Duration,
    /// Of 1,000 requests so many have no chance.
    fatal: u32,
    /// Keys whose capacity is one write in so long, and when each has some again.
    hot: Option<Duration>,
    capacity: HashMap<String, Duration>,
    /// While nothing is answered well.
    outage: Range<Duration>,
    healed: bool,
    /// Nothing is applied, which is said.
    pub(super) down: bool,
    /// What becomes of the next requests, whatever the seed says.
    pub(super) script: VecDeque<Fault>,
}

impl Fates {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let failing = if random.u8(..4) == 0 { 0 } else { random.u32(..600) };
        let leaving = if random.bool() { 0 } else { random.u32(..700) };
        let slowest = Duration::from_millis(random.u64(1..2_000));
        let begins = Duration::from_millis(random.u64(..30_000));
        let lasts = if random.bool() { random.u64(..40_000) } else { 0 };
        let fatal = if random.u8(..6) == 0 { random.u32(..50) } else { 0 };
        let hot = (random.u8(..4) == 0).then(|| Duration::from_millis(random.u64(1..5_000)));
        Self {
            random,
            failing,
            leaving,
            slowest,
            fatal,
            hot,
            capacity: HashMap::new(),
            outage: begins..begins + Duration::from_millis(lasts),
            healed: false,
            down: false,
            script: VecDeque::new(),
        }
    }

    pub(super) fn heal(&mut self) {
        self.healed = true;
    }

    /// What becomes of a request for so many keys, so long after the beginning.
    pub(super) fn draw(&mut self, keys: usize, elapsed: Duration) -> Fate {
        let mut fate = Fate { before: self.time(), after: self.time(), ..Fate::default() };
        if let Some(fault) = self.script.pop_front() {
            fate.fault = Some(fault);
            if fault == Fault::Unprocessed && keys > 1 {
                fate.unprocessed.push(0);
            }
            return fate;
        }
        if self.down {
            fate.fault = Some(Fault::Refused);
        }
        if self.healed || self.down {
            return fate;
        }
        if self.random.u32(..1_000) < self.fatal {
            fate.fault = Some(Fault::Fatal);
        } else if self.random.u32(..1_000) < self.failing || self.outage.contains(&elapsed) {
            let fault = match self.random.u8(..5) {
                0 => Fault::Throttled,
                1 => Fault::Refused,
                2 => Fault::LostBefore,
                3 => Fault::LostAfter,
                _ => Fault::FailedAfter,
            };
            fate.fault = Some(fault);
            if fault == Fault::LostBefore && self.random.u8(..4) > 0 {
                // It lands within the window of those who wait for it.
                let window = LATE_WRITE_WINDOW.as_micros() - 1;
                let late = self.random.u64(..u64::try_from(window).expect("a time"));
                fate.late = Some(Duration::from_micros(late));
            }
        } else if self.random.u32(..1_000) < self.leaving {
            fate.unprocessed = (0..keys).filter(|_| self.random.bool()).collect();
            if keys == 1 {
                fate.unprocessed.clear();
            }
        }
        fate
    }

    /// Leaves writes of keys that have no capacity; if all of them lack it the request is throttled.
    pub(super) fn limit(&mut self, fate: &mut Fate, keys: &[String], elapsed: Duration) {
        let Some(pause) = self.hot.filter(|_| !self.healed && fate.fault.is_none()) else { return };
        let is_hot = |key: &String| key.bytes().map(u32::from).sum::<u32>() % 3 == 0;
        let lacking = |place: &usize| {
            let again = self.capacity.get(&keys[*place]);
            is_hot(&keys[*place]) && again.is_some_and(|again| *again > elapsed)
        };
        let left: Vec<usize> = (0..keys.len()).filter(lacking).collect();
        if left.len() == keys.len() {
            fate.fault = Some(Fault::Throttled);
            return;
        }
        for (place, key) in keys.iter().enumerate() {
            if left.contains(&place) && !fate.unprocessed.contains(&place) {
                fate.unprocessed.push(place);
            } else if is_hot(key) {
                self.capacity.insert(key.clone(), elapsed + pause);
            }
        }
    }

    fn time(&mut self) -> Duration {
        self.slowest.mul_f64(self.random.f64())
    }
}

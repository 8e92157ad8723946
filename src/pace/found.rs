//! A rate that was found: guessed at first, measured from then on, and grown in between.

use super::others::Others;
use crate::rt::Instant;

/// The growth of a rate begins with this part of it,
const GROWTH: f64 = 0.004;
/// and doubles with so many requests that are done in full, and with so many seconds;
const ALONE: (f64, f64) = (10.0, 6.0);
/// faster where others use the capacity too,
const WITH_OTHERS: (f64, f64) = (3.0, 2.5);
/// and so many times as fast where what the caller gives was there, which is thought to come back.
const EAGER: f64 = 5.0;
/// Doubled so often, and where nothing was left for so many seconds, it is a rate of its own, from which growth begins
/// anew.
const DOUBLINGS: f64 = 14.0;
const LONG: f64 = 10.0;
/// A measurement is short if fewer of the largest items were consumed in it,
const SHORT: f64 = 150.0;
/// and a rate falls to this part of itself at most by a short one: it says little.
const FALL_AT_MOST: f64 = 0.5;
/// Where others use the capacity too, this part of a rate remains when something is left; of its mean, where
/// that is measured well.
const FALL: f64 = 0.7;
const FALL_OF_MEAN: f64 = 0.85;
/// A measurement that differs by more than this part stands alone; others are averaged.
const JUMP: f64 = 0.3;
/// It is worth that if so many of the largest items were consumed in it.
const WORTH: f64 = 10.0;
/// If what was allowed after a first guess grew to so many times what was measured, much was not used.
const MUCH_MORE: f64 = 4.0;
/// The first guess of a rate: what was consumed until then, in a tenth of a second at least; above this
/// many units, which cost little if that is too many, in a second at least.
const FIRST: f64 = 500.0;
/// The least rate that is found, in units a second.
const LEAST: f64 = 0.5;

/// A rate that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Units a second, from which it grows.
    pub(super) rate: f64,
    /// Units and seconds of the measurements before, the older ones weigh less.
    pub(super) measured: (f64, f64),
    /// Requests done in full since the service had nothing left.
    pub(super) clean: u32,
    /// Requests that were sent until then, whose answers say it again.
    pub(super) sent: u64,
    /// There was nothing to send for a while, so that the next time measures nothing.
    pub(super) was_idle: bool,
    /// It is the first guess, from this.
    pub(super) guess: Option<Guess>,
    pub(super) others: Others,
}

/// What was consumed of what there was at first, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub(super) consumed: f64,
    pub(super) since: Instant,
    /// The request of which something was left first.
    pub(super) left: u64,
}

/// What was consumed from one time that the service had nothing left to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) units: f64,
    pub(super) seconds: f64,
    /// Units of the largest item.
    pub(super) largest: f64,
    /// Units a second that were allowed at its end.
    pub(super) allowed: f64,
}

impl Measured {
    fn is_short(self) -> bool {
        self.units < SHORT * self.largest
    }
}

impl Guess {
    /// Units a second: mostly there is at least what there is in a second.
    pub(super) fn rate(self, now: Instant) -> f64 {
        let time = now.saturating_duration_since(self.since).as_secs_f64();
        let at_least = (self.consumed / time.max(0.1)).min(FIRST);
        at_least.max(self.consumed / time.max(1.0))
    }
}

impl Found {
    /// At about this rate, of which nothing is measured.
    pub(super) fn at(rate: f64) -> Self {
        Self {
            rate: rate.max(LEAST),
            measured: (0.0, 0.0),
            clean: 0,
            sent: 0,
            was_idle: false,
            guess: None,
            others: Others::new(),
        }
    }

    /// How often its growth has doubled after so many seconds.
    fn doublings(&self, seconds: f64, is_eager: bool) -> f64 {
        let (of_requests, of_seconds) = if self.others.are_there() { WITH_OTHERS } else { ALONE };
        let eager = if is_eager { EAGER } else { 1.0 };
        eager * (f64::from(self.clean) / of_requests + seconds / of_seconds)
    }

    /// Units a second that it has grown to after so many seconds, with requests of so many units.
    pub(super) fn grown(&self, seconds: f64, request: f64, is_eager: bool) -> f64 {
        let doublings = self.doublings(seconds, is_eager).min(DOUBLINGS);
        let of_others = self.others.growth(self.rate / request.max(1.0), seconds);
        self.rate * (1.0 + GROWTH * doublings.exp2() + of_others)
    }

    /// Whether it has grown to another rate altogether.
    pub(super) fn is_outgrown(&self, seconds: f64, is_eager: bool) -> bool {
        seconds >= LONG && self.doublings(seconds, is_eager) >= DOUBLINGS
    }

    /// Goes on from this rate, of which nothing is measured.
    pub(super) fn goes_on(&mut self, rate: f64) {
        (self.rate, self.measured) = (rate.max(LEAST), (0.0, 0.0));
    }

    /// After a measurement.
    pub(super) fn measured(self, it: Measured) -> Self {
        let Measured { units, seconds, largest, allowed } = it;
        let jumps = (units / seconds - self.rate).abs() > JUMP * self.rate;
        let measured = if jumps && units >= WORTH * largest {
            (units, seconds)
        } else {
            (self.measured.0 / 2.0 + units, self.measured.1 / 2.0 + seconds)
        };
        let least = if it.is_short() { allowed * FALL_AT_MOST } else { 0.0 };
        let mean = measured.0 / measured.1;
        let (rate, measured) = if self.guess.is_some() && mean * MUCH_MORE < allowed {
            // Most of what there was in that time was not used: it is more than that.
            ((mean * allowed).sqrt(), (0.0, 0.0))
        } else {
            (mean.max(least).min(allowed), measured)
        };
        Self { rate: rate.max(LEAST), measured, guess: None, ..self }
    }

    /// Falls, as others use the capacity too.
    pub(super) fn shares(&mut self, it: Measured) {
        let mean = self.rate.min(it.allowed);
        self.goes_on(if it.is_short() { it.allowed * FALL } else { mean * FALL_OF_MEAN });
    }
}

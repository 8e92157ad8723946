//! One limit: a token bucket as the service's own, whose rate is the caller's, or found.
//!
//! It gains `rate` units a second, an item may be sent while more than nothing is in it, and it may go
//! below zero. It is charged with estimates when a request is sent and with what the service says that
//! it consumed when the answer comes.
//!
//! Found, the rate is unlimited until the service first leaves something: then its bucket is known to be
//! empty, so is ours, and from one such moment to the next the service gave exactly what was consumed,
//! which measures its rate. Between them ours grows, slowly at first and ever faster, so that a capacity
//! that was raised, or left by others, is found; a request too many costs a few items that are sent
//! twice. So it is additive increase and multiplicative decrease whose decrease goes to what was
//! measured, as in TCP Westwood: <https://doi.org/10.1145/381677.381704>. What turns out not to have been
//! for want of capacity, since requests that were sent later are done, is taken back, as in the Eifel
//! algorithm: <https://www.rfc-editor.org/rfc/rfc3522>.

use std::collections::VecDeque;
use std::time::Duration;

use super::cost::Mean;
use super::others::Others;
use super::side::Pause;
use super::trend::Trend;
use crate::rt::Instant;

/// The growth of a rate begins with this part of it,
const GROWTH: f64 = 0.004;
/// and doubles with so many requests that are done in full, and with so many seconds;
const ALONE: (f64, f64) = (10.0, 6.0);
/// faster where others use the capacity too.
const WITH_OTHERS: (f64, f64) = (3.0, 2.5);
/// No more than doubled so often: a table that throttles nobody needs no exact rate.
const DOUBLINGS: f64 = 14.0;
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
/// If what was allowed after a first guess grew to so many times what was measured, much was not used.
const MUCH_MORE: f64 = 4.0;
/// It is worth that if so many of the largest items were consumed in it.
const WORTH: f64 = 10.0;
/// The first guess of a rate: what was consumed until then, in a tenth of a second at least; above this
/// many units, which cost little if that is too many, in a second at least.
const FIRST: f64 = 500.0;
/// Where a rate is known, what is given nothing so often in a row is a matter of its turn still.
const UNLUCKY: u32 = 4;
/// For how long what is left is not listened to once that was for nothing, at first and at most.
const DEAF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// What the caller gives was there for so many requests, and is thought to come back.
const EAGER: u32 = 10;
/// Who waits longer asks again meanwhile.
const LONGEST: Duration = Duration::from_secs(3_600);
/// If so much of what was sent later is done, what was left was not left for want of capacity.
const DONE: f64 = 0.9;
/// The least rate that is found, in units a second.
const LEAST: f64 = 0.5;
/// Who sent nothing for so long had nothing to send: that time measures nothing.
const IDLE: Duration = Duration::from_secs(1);
/// The part of a full bucket that is waited for at most.
const NEARLY_FULL: f64 = 0.95;

/// What a table, an index or a partition key can take.
#[derive(Debug)]
pub(super) struct Limit {
    /// Units a second that the caller allows.
    ceiling: Option<f64>,
    /// For how long what is not used is kept.
    burst: Duration,
    /// Requests that were done in full at that rate; fewer with each time that it was too high.
    at_ceiling: u32,
    /// What is left; it counts only where there is a rate. Invariant: as of `at`.
    balance: f64,
    at: Instant,
    /// What the service was found to admit; `None` until it first left something.
    found: Option<Found>,
    /// Consumed since the service was last known to have nothing left, or since the first request.
    consumed: f64,
    /// Since when.
    since: Option<Instant>,
    /// The largest cost of an item.
    largest: f64,
    /// Units of a request, and the seconds that it takes.
    request: Mean,
    latency: Mean,
    /// Requests in flight, in the order in which they were sent.
    flights: VecDeque<Flight>,
    sent: u64,
    last_sent: Instant,
    /// Somebody waits since the last request was sent.
    held: bool,
    /// The service gives nothing at all.
    barren: Option<Barren>,
    doubt: Option<Doubt>,
    trend: Trend,
    /// Until when what is left says nothing, and for how long the next time.
    deaf: (Instant, Duration),
}

/// A rate that was found.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Units a second.
    rate: f64,
    /// Units and seconds of the measurements before, the older ones weigh less.
    measured: (f64, f64),
    /// Requests done in full since the service had nothing left.
    clean: u32,
    /// Requests that were sent until then, whose answers say it again.
    sent: u64,
    /// There was nothing to send for a while, so that the next time measures nothing.
    was_idle: bool,
    /// It is the first guess, from this.
    guess: Option<Guess>,
    others: Others,
}

/// What was consumed of what there was at first, and since when.
#[derive(Clone, Copy, Debug)]
struct Guess {
    consumed: f64,
    since: Instant,
}

impl Guess {
    /// Units a second: mostly there is at least what there is in a second.
    fn rate(self, now: Instant) -> f64 {
        let time = seconds(self.since, now);
        let at_least = (self.consumed / time.max(0.1)).min(FIRST);
        at_least.max(self.consumed / time.max(1.0))
    }
}

impl Found {
    /// At about this rate, of which nothing is measured.
    fn at(rate: f64) -> Self {
        let rate = rate.max(LEAST);
        let others = Others::new();
        Self { rate, measured: (0.0, 0.0), clean: 0, sent: 0, was_idle: false, guess: None, others }
    }
}

/// The service gives nothing at all since so many requests.
#[derive(Clone, Copy, Debug)]
struct Barren {
    times: u32,
    /// Requests that were sent until then, whose answers say it again.
    sent: u64,
    until: Instant,
}

/// Was it for want of capacity that something was left? Then what was sent later is left too.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// The numbers of the requests that were in flight: after the first, up to the second.
    flights: (u64, u64),
    /// Units of them, of those that are answered, and what was admitted of these.
    units: f64,
    answered: f64,
    admitted: f64,
    /// What it was before.
    found: Option<Found>,
    since: Option<Instant>,
    consumed: f64,
    /// Taken from the balance.
    taken: f64,
}

/// A request in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flight {
    number: u64,
    units: f64,
    at: Instant,
}

/// It cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wait {
    pub(crate) until: Instant,
    /// The service gave nothing at all, so that it is no matter of its turn.
    pub(crate) is_pause: bool,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Units that it consumed.
    pub(super) consumed: f64,
    /// Whether the service left some of it for want of capacity.
    pub(super) left: bool,
    /// The cost of the largest item of it.
    pub(super) largest: f64,
}

impl Limit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ceiling: None,
            at_ceiling: 0,
            burst: super::BURST,
            balance: 0.0,
            at: now,
            found: None,
            consumed: 0.0,
            since: None,
            largest: 1.0,
            request: Mean::default(),
            latency: Mean::default(),
            flights: VecDeque::new(),
            sent: 0,
            last_sent: now,
            held: false,
            barren: None,
            doubt: None,
            trend: Trend::new(now),
            deaf: (now, DEAF.0),
        }
    }

    /// Of which is known that it is met, and about what it is.
    pub(super) fn met(rate: f64, now: Instant) -> Self {
        let mut limit = Self::new(now);
        limit.found = Some(Found::at(rate));
        limit.since = Some(now);
        limit.balance = -0.5;
        limit
    }

    /// The most that may be used, in units a second, and for how long what is not used is kept.
    pub(super) fn set(&mut self, ceiling: Option<f64>, burst: Duration, now: Instant) {
        self.advance(now);
        if self.rate(now).is_none() {
            // A second's worth: what was saved up before is not known.
            self.balance = ceiling.unwrap_or(0.0);
        }
        (self.ceiling, self.burst) = (ceiling, burst);
        self.advance(now);
    }

    /// Units a second now; `None` if there is no limit.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        let Some(found) = &self.found else { return self.ceiling };
        let seconds = self.since.map_or(0.0, |since| seconds(since, now));
        let eager = if self.at_ceiling >= EAGER { 2.0 } else { 1.0 };
        let (of_requests, of_seconds) = if found.others.are_there() { WITH_OTHERS } else { ALONE };
        let doublings = eager * (f64::from(found.clean) / of_requests + seconds / of_seconds);
        let requests_a_second = found.rate / self.request.get().unwrap_or(1.0).max(1.0);
        let growth = GROWTH * doublings.min(DOUBLINGS).exp2()
            + found.others.growth(requests_a_second, seconds);
        let rate = found.rate * (1.0 + growth);
        Some(self.ceiling.map_or(rate, |ceiling| rate.min(ceiling)))
    }

    /// What is used in fact, in units a second.
    pub(super) fn speed(&self, now: Instant) -> f64 {
        self.since.map_or(0.0, |since| self.consumed / seconds(since, now).max(1.0))
    }

    /// What is left, if it is more than this or the bucket is full; else when it will be.
    pub(super) fn room(&mut self, need: f64, now: Instant) -> Result<f64, Wait> {
        self.advance(now);
        if let Some(barren) = self.barren.filter(|barren| barren.until > now) {
            self.held = true;
            return Err(Wait { until: barren.until, is_pause: true });
        }
        let Some(rate) = self.rate(now) else { return Ok(f64::INFINITY) };
        let need = need.min(self.most(rate) * NEARLY_FULL).max(0.0);
        if self.balance > need {
            return Ok(self.balance);
        }
        self.held = true;
        // A little more, so that it is more then.
        let wait = Duration::try_from_secs_f64((need - self.balance) / rate + 1e-4);
        let until = now + wait.unwrap_or(LONGEST).min(LONGEST);
        Err(Wait { until, is_pause: self.barren.is_some() })
    }

    /// Whether the service gives nothing at all.
    pub(super) const fn is_barren(&self) -> bool {
        self.barren.is_some()
    }

    /// For how many seconds what is left would do, at the present rate.
    pub(super) fn reserve(&self, now: Instant) -> f64 {
        self.rate(now).map_or(f64::INFINITY, |rate| self.balance / rate)
    }

    /// A request of so many units, as far as is known, is sent.
    pub(super) fn sends(&mut self, units: f64, now: Instant) -> Flight {
        self.advance(now);
        self.since.get_or_insert(now);
        let is_idle = self.flights.is_empty() && !self.held && now - self.last_sent > IDLE;
        if let Some(found) = &mut self.found {
            found.was_idle |= is_idle;
        }
        (self.last_sent, self.held) = (now, false);
        self.balance -= units;
        self.sent += 1;
        let flight = Flight { number: self.sent, units, at: now };
        self.flights.push_back(flight);
        flight
    }

    /// It was answered. `pause`: how long to wait when nothing is given for the time of this number.
    pub(super) fn answered(
        &mut self,
        flight: Flight,
        answer: Answer,
        pause: Pause<'_>,
        now: Instant,
    ) {
        self.advance(now);
        self.land(flight);
        // What is left for no reason is no reason either to send it at once.
        if !answer.left || !self.is_deaf(now) {
            self.balance += flight.units - answer.consumed;
        }
        self.consumed += answer.consumed;
        self.guesses(flight, answer, now);
        self.request.learn(flight.units, 1.0);
        self.latency.learn(seconds(flight.at, now), 1.0);
        self.trend.answered(flight.units, answer.consumed);
        self.largest = self.largest.max(answer.largest);
        if answer.consumed > 0.0 {
            self.barren = None;
        }
        self.clear_doubt(flight, answer.consumed);
        if answer.left {
            self.left(flight, answer, pause, now);
        } else {
            if let Some(found) = &mut self.found {
                found.clean = found.clean.saturating_add(1);
            }
            if self.ceiling.is_some() && self.rate(now) >= self.ceiling {
                self.at_ceiling = (self.at_ceiling + 1).min(5 * EAGER);
            }
        }
    }

    /// It was not answered: what it consumed is not known. What was estimated stays taken, and measures
    /// nothing.
    pub(super) fn lost(&mut self, flight: Flight, now: Instant) {
        self.advance(now);
        self.land(flight);
    }

    /// Whether it may be forgotten: nothing is in flight, nobody waits.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.flights.is_empty() && now.saturating_duration_since(self.last_sent) > 10 * IDLE
    }

    fn most(&self, rate: f64) -> f64 {
        (rate * self.burst.as_secs_f64()).max(1.0)
    }

    fn advance(&mut self, now: Instant) {
        if let Some(rate) = self.rate(now) {
            let time = seconds(self.at, now);
            self.balance = (self.balance + rate * time).min(self.most(rate));
            if let Some(found) = &mut self.found {
                found.others.allowed((rate - found.rate) * time);
            }
        }
        self.at = self.at.max(now);
    }

    fn land(&mut self, flight: Flight) {
        self.flights.retain(|other| other.number != flight.number);
    }

    /// Units that were sent after a request and are not answered yet.
    fn later(&self, flight: Flight) -> f64 {
        let later = self.flights.iter().filter(|other| other.number > flight.number);
        later.fold(0.0, |sum, other| sum + other.units)
    }

    /// The service left something: it has nothing any more, and what is in flight will meet that.
    fn left(&mut self, flight: Flight, answer: Answer, pause: Pause<'_>, now: Instant) {
        if self.is_deaf(now) {
            if answer.consumed <= 0.0 {
                self.gives_nothing(flight, pause, now);
            }
            return self.measures_anew(now);
        }
        if self.rate(now).is_none() {
            self.balance = 0.0;
        }
        let (before, later) = (self.balance, self.later(flight));
        self.balance = before.min(-later - self.largest / 2.0);
        if self.consumed <= 0.0 {
            return self.gives_nothing(flight, pause, now);
        }
        if self.found.is_some_and(|found| flight.number <= found.sent) {
            return;
        }
        let Some(since) = self.since else { return };
        let found = match self.found {
            None => {
                let guess = Guess { consumed: self.consumed, since };
                let rate = self.ceiling.unwrap_or(guess.rate(now));
                Found { guess: Some(guess), ..Found::at(rate) }
            }
            Some(found) if found.was_idle || since >= now => found,
            Some(found) => self.measured(found, since, now),
        };
        self.doubt = Some(Doubt {
            flights: (flight.number, self.sent),
            units: later,
            answered: 0.0,
            admitted: 0.0,
            found: self.found,
            since: self.since,
            consumed: self.consumed,
            taken: before - self.balance,
        });
        let found = self.lowered(found, flight.units - answer.consumed, since, now);
        self.at_ceiling = self.at_ceiling.saturating_sub(1);
        self.found = Some(Found { sent: self.sent, was_idle: false, ..found });
        self.measures_anew(now);
    }

    /// From now on, as the service has nothing left.
    fn measures_anew(&mut self, now: Instant) {
        if let Some(found) = &mut self.found {
            found.clean = 0;
        }
        (self.since, self.consumed) = (Some(now), 0.0);
    }

    /// What was in flight when the rate was first guessed had its part of what there was until then: answers come
    /// in any order, and those that say that nothing is left are the fastest.
    fn guesses(&mut self, flight: Flight, answer: Answer, now: Instant) {
        let ceiling = self.ceiling;
        let Some(found) = self.found.as_mut().filter(|found| flight.number <= found.sent) else {
            return;
        };
        if let Some(guess) = &mut found.guess {
            guess.consumed += answer.consumed;
            found.rate = ceiling.unwrap_or_else(|| found.rate.max(guess.rate(now)));
            self.consumed -= answer.consumed;
            self.balance += answer.consumed;
        }
    }

    /// With what was consumed in this time, and before.
    fn measured(&self, found: Found, since: Instant, now: Instant) -> Found {
        let (time, before) = (seconds(since, now), self.rate(now).unwrap_or(found.rate));
        let jumps = (self.consumed / time - found.rate).abs() > JUMP * found.rate;
        let measured = if jumps && self.consumed >= WORTH * self.largest {
            (self.consumed, time)
        } else {
            let (units, seconds) = found.measured;
            (units / 2.0 + self.consumed, seconds / 2.0 + time)
        };
        let least = if self.is_short() { before * FALL_AT_MOST } else { 0.0 };
        let mean = measured.0 / measured.1;
        let (rate, measured) = if found.guess.is_some() && mean * MUCH_MORE < before {
            // Most of what there was in that time was not used: it is more than that.
            ((mean * before).sqrt(), (0.0, 0.0))
        } else {
            (mean.max(least).min(before), measured)
        };
        Found { rate: rate.max(LEAST), measured, guess: None, ..found }
    }

    /// Lower, if others use the capacity too. Goes back to the rate of before and listens to nothing for a
    /// while, if it was for nothing that the rate was lowered.
    fn lowered(&mut self, mut found: Found, left: f64, since: Instant, now: Instant) -> Found {
        if self.found.is_some() {
            let latency = self.latency.get().unwrap_or(0.0);
            let measured = (self.consumed, seconds(since, now));
            found.others.left(left, measured, (self.largest, latency));
            if found.others.are_there() {
                let own = self.rate(now).unwrap_or(found.rate);
                let mean = found.rate.min(own);
                let rate = if self.is_short() { own * FALL } else { mean * FALL_OF_MEAN };
                (found.rate, found.measured) = (rate.max(LEAST), (0.0, 0.0));
            }
        }
        if let Some(rate) = self.trend.lowered(found.rate, self.largest, now) {
            self.deaf = (now + self.deaf.1, (self.deaf.1 * 2).min(DEAF.1));
            self.doubt = None;
            found.others.forget();
            return Found { rate, measured: (0.0, 0.0), ..found };
        }
        found
    }

    /// Whether what is left says nothing now.
    fn is_deaf(&self, now: Instant) -> bool {
        self.deaf.0 > now
    }

    /// Whether little was consumed since something was left last.
    fn is_short(&self) -> bool {
        self.consumed < SHORT * self.largest
    }

    /// Nothing was given since the last time: that measures nothing, it is waited ever longer.
    fn gives_nothing(&mut self, flight: Flight, pause: Pause<'_>, now: Instant) {
        let times = match self.barren {
            Some(barren) if flight.number <= barren.sent => return,
            Some(barren) => barren.times.saturating_add(1),
            None => 0,
        };
        let unlucky = if self.found.is_some() { UNLUCKY } else { 0 };
        let pause = times.checked_sub(unlucky).map_or(Duration::ZERO, pause);
        let until = now + pause;
        self.barren = Some(Barren { times, sent: self.sent, until });
    }

    /// So much was admitted of a request that was in flight when something was left.
    fn clear_doubt(&mut self, flight: Flight, consumed: f64) {
        let Some(doubt) = &mut self.doubt else { return };
        if flight.number <= doubt.flights.0 || flight.number > doubt.flights.1 {
            return;
        }
        doubt.answered += flight.units;
        doubt.admitted += consumed;
        if doubt.answered * 2.0 <= doubt.units || doubt.answered <= flight.units {
            return;
        }
        let Doubt { answered, admitted, found, since, consumed, taken, .. } = *doubt;
        self.doubt = None;
        if admitted >= DONE * answered {
            // It was not for want of capacity.
            let guess = self.found.and_then(|found| found.guess);
            self.consumed += guess.map_or(consumed, |guess| guess.consumed);
            (self.found, self.since) = (found, since);
            self.balance += taken;
        }
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

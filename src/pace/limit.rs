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
use super::found::{Found, Guess, Measured};
use super::side::Pause;
use super::trend::Trend;
use crate::rt::Instant;

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
            trend: Trend::at(0.0, now),
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
        let rate = found.grown(self.time(now), self.request.get().unwrap_or(1.0), self.is_eager());
        Some(self.ceiling.map_or(rate, |ceiling| rate.min(ceiling)))
    }

    const fn is_eager(&self) -> bool {
        self.at_ceiling >= EAGER
    }

    /// What is used in fact, in units a second.
    pub(super) fn speed(&self, now: Instant) -> f64 {
        self.consumed / self.time(now).max(1.0)
    }

    /// Seconds since the service was last known to have nothing left, or since the first request.
    fn time(&self, now: Instant) -> f64 {
        self.since.map_or(0.0, |since| seconds(since, now))
    }

    /// What is left, if it is more than this or the bucket is full; else when it will be.
    pub(super) fn room(&mut self, need: f64, now: Instant) -> Result<f64, Wait> {
        self.wakes(now);
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
        self.wakes(now);
        self.advance(now);
        self.since.get_or_insert(now);
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
        if !answer.left && answer.consumed <= 0.0 {
            return self.cost_nothing(flight, now);
        }
        self.advance(now);
        self.land(flight);
        if !self.guesses(flight, answer, now) {
            self.consumed += answer.consumed;
            // What is left for no reason is no reason either to send it at once.
            if !answer.left || !self.is_deaf(now) {
                self.balance += flight.units - answer.consumed;
            }
        }
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
            self.done_in_full(now);
            if self.ceiling.is_some() && self.rate(now) >= self.ceiling {
                self.at_ceiling = (self.at_ceiling + 1).min(5 * EAGER);
            }
        }
    }

    /// Nothing was left of a request.
    fn done_in_full(&mut self, now: Instant) {
        let (time, rate, is_eager) = (self.time(now), self.rate(now), self.is_eager());
        let Some(found) = &mut self.found else { return };
        found.clean = found.clean.saturating_add(1);
        if let Some(rate) = rate.filter(|_| found.is_outgrown(time, is_eager)) {
            found.goes_on(rate);
            self.measures_anew(now);
        }
    }

    /// It was refused for what it is, or for want of something else: that says nothing, and costs nothing.
    pub(super) fn cost_nothing(&mut self, flight: Flight, now: Instant) {
        self.advance(now);
        self.land(flight);
        self.balance += flight.units;
    }

    /// It was not answered: what it consumed is not known. What was estimated stays taken, and measures
    /// nothing.
    pub(super) fn lost(&mut self, flight: Flight, now: Instant) {
        self.advance(now);
        self.land(flight);
    }

    /// Whether it may be forgotten: nothing is in flight, nor was for a while.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.flights.is_empty() && now.saturating_duration_since(self.last_sent) > 10 * IDLE
    }

    /// What is kept of what is not used.
    fn most(&self, rate: f64) -> f64 {
        let burst = if self.ceiling.is_some() { self.burst } else { super::BURST };
        (rate * burst.as_secs_f64()).max(1.0)
    }

    /// After a while without anything to send a rate is what it was: it has not grown by what was not tried, and what
    /// was saved up is not known.
    fn wakes(&mut self, now: Instant) {
        let is_idle = self.flights.is_empty() && !self.held && now - self.last_sent > IDLE;
        if let Some(found) = self.found.as_mut().filter(|found| is_idle && !found.was_idle) {
            found.was_idle = true;
            found.others.ignore();
            self.measures_anew(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        if let Some(rate) = self.rate(now) {
            let before = self.balance;
            self.balance = (before + rate * seconds(self.at, now)).min(self.most(rate));
            if let Some(found) = &mut self.found {
                // What the bucket has no room for is allowed to nobody.
                let gained = (self.balance - before).max(0.0);
                found.others.allowed(gained * (1.0 - found.rate / rate));
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
            None => self.guessed(flight, since, now),
            Some(found) if found.was_idle || since >= now => Found { guess: None, ..found },
            Some(found) => {
                let it = self.measure(since, now);
                self.lowered(found.measured(it), it, flight.units - answer.consumed, now)
            }
        };
        self.doubt = (!self.is_deaf(now)).then_some(Doubt {
            flights: (flight.number, self.sent),
            units: later,
            answered: 0.0,
            admitted: 0.0,
            found: self.found,
            since: self.since,
            consumed: self.consumed,
            taken: before - self.balance,
        });
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

    /// What there was at first is not known, unless the caller says it.
    fn guessed(&mut self, flight: Flight, since: Instant, now: Instant) -> Found {
        if let Some(ceiling) = self.ceiling {
            // What is only guessed is no rate from which another one is lower for nothing.
            self.trend = Trend::at(ceiling, now);
            return Found::at(ceiling);
        }
        let guess = Guess { consumed: self.consumed, since, left: flight.number };
        Found { guess: Some(guess), ..Found::at(guess.rate(now)) }
    }

    /// Whether a request was in flight when the rate was first guessed, and so counts in that: it had its part of
    /// what there was until then. Answers come in any order, and those that say that nothing is left are the fastest.
    fn guesses(&mut self, flight: Flight, answer: Answer, now: Instant) -> bool {
        let Some(found) = &mut self.found else { return false };
        let sent = found.sent;
        let Some(guess) = found.guess.as_mut().filter(|_| flight.number <= sent) else {
            return false;
        };
        guess.consumed += answer.consumed;
        found.rate = found.rate.max(guess.rate(now));
        if flight.number > guess.left {
            // It was taken from a bucket that was empty already.
            self.balance += flight.units;
        }
        true
    }

    /// What was consumed since the service had nothing left.
    fn measure(&self, since: Instant, now: Instant) -> Measured {
        Measured {
            units: self.consumed,
            seconds: seconds(since, now),
            largest: self.largest,
            allowed: self.rate(now).unwrap_or(f64::INFINITY),
        }
    }

    /// Lower, if others use the capacity too. Goes back to the rate of before and listens to nothing for a
    /// while, if it was for nothing that the rate was lowered.
    fn lowered(&mut self, mut found: Found, it: Measured, left: f64, now: Instant) -> Found {
        let latency = self.latency.get().unwrap_or(0.0);
        found.others.left(left, (it.units, it.seconds), (self.largest, latency));
        if found.others.are_there() {
            found.shares(it);
        }
        if let Some(rate) = self.trend.lowered(found.rate, self.largest, now) {
            self.deaf = (now + self.deaf.1, (self.deaf.1 * 2).min(DEAF.1));
            found.others.forget();
            found.goes_on(rate);
        }
        found
    }

    /// Whether what is left says nothing now.
    fn is_deaf(&self, now: Instant) -> bool {
        self.deaf.0 > now
    }

    /// Nothing was given since the last time: that measures nothing, it is waited ever longer.
    fn gives_nothing(&mut self, flight: Flight, pause: Pause<'_>, now: Instant) {
        let times = match self.barren {
            Some(barren) if flight.number <= barren.sent => return,
            Some(barren) => barren.times.saturating_add(1),
            None => 0,
        };
        // Nothing is left still: time in which nothing was given measures nothing, and a rate does not grow by it.
        self.measures_anew(now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One within this rate, of which three requests of fifty units each were sent now, the second of which has thirty
    /// left in the answer.
    fn left(ceiling: Option<f64>) -> (Limit, [Flight; 3], Instant) {
        let now = Instant::now();
        let mut limit = Limit::new(now);
        limit.set(ceiling, SECOND, now);
        let flights = [(); 3].map(|()| limit.sends(50.0, now));
        answered(&mut limit, flights[1], 20.0, true, now);
        (limit, flights, now)
    }

    fn answered(limit: &mut Limit, flight: Flight, consumed: f64, left: bool, now: Instant) {
        let answer = Answer { consumed, left, largest: 2.0 };
        limit.answered(flight, answer, &mut |_| SECOND, now);
    }

    #[test]
    fn what_was_in_flight_at_first_is_in_the_guess_and_no_debt() {
        let (mut limit, flights, now) = left(None);
        assert_eq!(limit.balance, -51.0, "the third is thought to meet nothing");
        answered(&mut limit, flights[0], 40.0, true, now);
        assert_eq!(limit.balance, -51.0, "the first is none of what came after");
        answered(&mut limit, flights[2], 50.0, false, now);
        assert_eq!(limit.balance, -1.0);
        assert_eq!((limit.consumed, limit.found.unwrap().rate), (0.0, 500.0));
        let next = limit.sends(50.0, now);
        answered(&mut limit, next, 50.0, false, now);
        assert_eq!((limit.consumed, limit.balance), (50.0, -51.0), "from then on all counts");
    }

    #[test]
    fn what_is_consumed_of_a_given_rate_is_charged() {
        let (mut limit, flights, now) = left(Some(400.0));
        assert_eq!(limit.balance, -51.0);
        answered(&mut limit, flights[2], 50.0, false, now);
        assert_eq!(limit.balance, -51.0, "fifty were consumed");
        answered(&mut limit, flights[0], 30.0, true, now);
        assert_eq!(limit.found.unwrap().rate, 400.0);
    }

    #[test]
    fn what_costs_nothing_is_given_back_and_says_nothing() {
        let (mut limit, _, now) = left(None);
        let (before, clean) = (limit.balance, limit.found.unwrap().clean);
        let next = limit.sends(50.0, now);
        assert_eq!(limit.balance, before - 50.0);
        answered(&mut limit, next, 0.0, false, now);
        assert_eq!((limit.balance, limit.found.unwrap().clean), (before, clean));
        let lost = limit.sends(50.0, now);
        limit.lost(lost, now);
        assert_eq!(limit.balance, before - 50.0, "what is not known stays taken");
    }
}

//! Is it any use that a rate was lowered?
//!
//! Where capacity is what lacks, a lower rate has less left undone and gets as much done. What gets less done
//! and has as much left as before was not left for want of capacity, or is taken by others who do not mind:
//! lower and lower would end with nothing.

use std::time::Duration;

use crate::rt::Instant;

/// Requests that say something,
const ENOUGH: u32 = 8;
/// and have so many of the largest items: of a few, one more or less done is much.
const WORTH: f64 = 40.0;
/// The part of a rate that is so much lower that it must show.
const LOWER: f64 = 0.5;
/// So much less done is less.
const LESS: f64 = 0.7;
/// So little left is little.
const LITTLE: f64 = 0.15;
/// Within this factor as much is left.
const AS_MUCH: f64 = 2.0;

/// What was done while the rate fell by half or more, and in the time before that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trend {
    /// Units a second at its beginning.
    rate: f64,
    began: Instant,
    requests: u32,
    sent: f64,
    done: f64,
    before: Option<Before>,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    rate: f64,
    /// Units a second.
    done: f64,
    /// The part that was left.
    left: f64,
}

impl Trend {
    /// From this rate on.
    pub(super) const fn at(rate: f64, now: Instant) -> Self {
        Self { rate, began: now, requests: 0, sent: 0.0, done: 0.0, before: None }
    }

    /// So many units of a request were done.
    pub(super) fn answered(&mut self, sent: f64, done: f64) {
        self.requests = self.requests.saturating_add(1);
        self.sent += sent;
        self.done += done;
    }

    /// The rate was lowered to this, where this is the largest item; what it is to be raised to if that was for
    /// nothing.
    pub(super) fn lowered(&mut self, rate: f64, largest: f64, now: Instant) -> Option<f64> {
        if rate > self.before.map_or(self.rate, |before| before.rate) {
            *self = Self::at(rate, now);
            return None;
        }
        let is_enough = self.requests >= ENOUGH && self.sent >= WORTH * largest;
        if rate > self.rate * LOWER || !is_enough {
            return None;
        }
        let time = now.saturating_duration_since(self.began).max(Duration::from_millis(1));
        let done = self.done / time.as_secs_f64();
        let left = 1.0 - (self.done / self.sent).min(1.0);
        let is_same = |before: &Before| {
            let as_much = before.left / AS_MUCH..before.left * AS_MUCH;
            done < before.done * LESS && left > LITTLE && as_much.contains(&left)
        };
        if let Some(before) = self.before.filter(is_same) {
            *self = Self::at(before.rate, now);
            return Some(before.rate);
        }
        let before = Some(Before { rate: self.rate, done, left });
        *self = Self { before, ..Self::at(rate, now) };
        None
    }
}

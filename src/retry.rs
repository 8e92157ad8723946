//! When to try again, and for how long.

use std::sync::Arc;
use std::time::Duration;

use crate::database::contact::{Contact, FIRST_LIMIT, FIRST_PATIENCE};
use crate::error::{Error, ErrorKind};
use crate::rt::{Instant, timeout_at};
use crate::store::{Class, Failure, Outcome};

/// How long to wait between attempts: capped exponential backoff with full jitter.
///
/// Before attempt *n* the wait is random between zero and `base_delay × 2ⁿ`, never above
/// `max_delay`. Full jitter spreads competing clients best, see
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>. For how long to go
/// on is patience, which is counted in time without progress and not in attempts.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use memory_table::RetryPolicy;
///
/// let policy = RetryPolicy::default().max_delay(Duration::from_secs(1));
/// assert_eq!(policy, RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    base_delay: Duration,
    max_delay: Duration,
}

impl Default for RetryPolicy {
    /// 50 ms and 5 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl RetryPolicy {
    /// A policy of the given delays.
    pub const fn new(base_delay: Duration, max_delay: Duration) -> Self {
        Self { base_delay, max_delay }
    }

    /// The longest wait before the first retry, doubled for each one after.
    ///
    /// Default: 50 ms, the order of a few requests, as most throttles pass within that.
    pub const fn base_delay(self, base_delay: Duration) -> Self {
        Self { base_delay, ..self }
    }

    /// The longest wait ever.
    ///
    /// Default: 5 s: a twelfth of the default patience, so that an outage is tried often enough.
    pub const fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// The wait before retry number `retry`, from 0.
    pub(crate) fn delay(&self, retry: u32, random: &mut fastrand::Rng) -> Duration {
        let factor = 1_u32.checked_shl(retry).unwrap_or(u32::MAX);
        let longest =
            self.base_delay.checked_mul(factor).map_or(self.max_delay, |d| d.min(self.max_delay));
        longest.mul_f64(random.f64())
    }
}

/// For how long and how often one call is tried.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    pub(crate) policy: RetryPolicy,
    /// How long without progress before a call gives up.
    pub(crate) patience: Duration,
    pub(crate) contact: Arc<Contact>,
}

/// One call's attempts: when they began, how often it was tried, when it last got on.
pub(crate) struct Attempts<'p> {
    patience: &'p Patience,
    random: fastrand::Rng,
    began: Instant,
    progress: Instant,
    pub(crate) sent: u64,
    retry: u32,
}

impl Patience {
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        let now = Instant::now();
        Attempts {
            patience: self,
            random: fastrand::Rng::new(),
            began: now,
            progress: now,
            sent: 0,
            retry: 0,
        }
    }
}

impl Attempts<'_> {
    /// Makes one attempt; before the first contact, for as long as a user should wait at most.
    pub(crate) async fn attempt<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.sent += 1;
        if self.patience.contact.has_answered() {
            return attempt.await;
        }
        timeout_at(self.began + FIRST_LIMIT, attempt)
            .await
            .unwrap_or_else(|_| Err(silent(self.patience.contact.endpoint())))
    }

    /// That time takes nothing from the patience.
    pub(crate) fn held(&mut self, time: Duration) {
        self.progress = (self.progress + time).min(Instant::now());
    }

    /// Whether patience has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.end() <= Instant::now()
    }

    /// When patience ends.
    pub(crate) fn end(&self) -> Instant {
        let far = Duration::from_secs(86_400 * 365);
        self.progress.checked_add(self.patience_now()).unwrap_or_else(|| self.progress + far)
    }

    /// How long to wait when nothing was given for the time of this number; until patience ends at most.
    pub(crate) fn delay(&mut self, times: u32) -> Duration {
        let left = self.patience_now().saturating_sub(self.progress.elapsed());
        self.patience.policy.delay(times, &mut self.random).min(left)
    }

    /// It is shorter before the first contact.
    fn patience_now(&self) -> Duration {
        let patience = self.patience.patience;
        let known = self.patience.contact.has_answered();
        if known { patience } else { patience.min(FIRST_PATIENCE) }
    }

    /// Some of what was asked for came: patience begins anew.
    pub(crate) fn progressed(&mut self) {
        self.progress = Instant::now();
        self.retry = 0;
    }

    /// Waits before the next attempt, or gives up with the failure's error.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        let left = self.patience_now().saturating_sub(self.progress.elapsed());
        let retries = matches!(failure.class, Class::Throttled | Class::Transient);
        if !retries || left.is_zero() {
            let sent = self.sent - u64::from(failure.error.is_unsent());
            return Err(failure.error.after_attempts(sent));
        }
        let delay = self.patience.policy.delay(self.retry, &mut self.random);
        self.retry = self.retry.saturating_add(1);
        // The last attempt is made when patience ends, not before.
        crate::rt::sleep(delay.min(left)).await;
        Ok(())
    }
}

fn silent(endpoint: Option<&str>) -> Failure {
    let limit = FIRST_LIMIT.as_secs();
    let error = if let Some(endpoint) = endpoint {
        let text = format!("the endpoint {endpoint} has not answered within {limit} s");
        Error::new(ErrorKind::Connection, text).advise(
            "check the endpoint (AWS_ENDPOINT_URL_DYNAMODB), the region (AWS_REGION), proxies and firewalls",
        )
    } else {
        // The endpoint is known as soon as a request is signed.
        let text = format!("no AWS credentials came within {limit} s");
        Error::new(ErrorKind::Credentials, text)
            .advise(
                "check where they come from (AWS_PROFILE; a login, process or role in the profile), \
                 or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
            .unsent()
    };
    // Nobody waits for a second silence of this length.
    Failure { class: Class::Fatal, outcome: Outcome::OutcomeUnknown, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_between_zero_and_the_doubled_base_under_the_cap() {
        let policy = RetryPolicy::default();
        let mut random = fastrand::Rng::with_seed(7);
        for retry in 0..200 {
            let longest = 50_u64.saturating_mul(2_u64.saturating_pow(retry)).min(5_000);
            for _ in 0..20 {
                assert!(policy.delay(retry, &mut random) <= Duration::from_millis(longest));
            }
        }
    }

    #[test]
    fn delays_are_spread_over_the_whole_range() {
        let mut random = fastrand::Rng::with_seed(7);
        let policy = RetryPolicy::default();
        let delays: Vec<_> = (0..1000).map(|_| policy.delay(20, &mut random).as_millis()).collect();
        assert!(delays.iter().any(|&ms| ms < 500) && delays.iter().any(|&ms| ms > 4_500));
    }
}

//! Faults by chance, the same for the same seed.

use std::time::Duration;

use super::fault::Fault;
use super::request::Request;

/// Faults by chance, reproducible by their seed.
///
/// What becomes of a request follows from the seed, its operation and its number among the requests
/// of that operation, so that the same requests in the same order meet the same faults, and
/// requests of one operation do not change what becomes of those of another.
///
/// A request is throttled, failed or reset, or none of them: these three add up. Probabilities are
/// from 0 to 1, and 0 by default. Only requests of items fail: what creates and describes tables
/// does not.
///
/// # Example
///
/// A server that leaves a third of all items unprocessed, throttles a fifth of the requests, and
/// answers with 500 or resets one in ten, half of them after it has applied them:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use memory_table::{MemoryTable, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// use memory_table::Database;
/// use memory_table::testing::{Chaos, Faults, PausedClock};
///
/// let stored = Database::embedded()?;
/// let _clock = PausedClock::over(&stored)?; // nobody waits for the retries
/// let (database, faults) = Faults::around(&stored);
/// database.table::<Player>().create_if_missing().await?;
/// faults.chaos(
///     Chaos::seeded(42)
///         .unprocessed(1.0 / 3.0)
///         .throttled(0.2)
///         .failed(0.05)
///         .reset(0.05)
///         .applied_before_failure(0.5)
///         .applied_before_reset(0.5),
/// );
/// let memory = MemoryTable::new(database.table::<Player>());
/// for number in 0..200 {
///     memory.put(Player { name: format!("player {number}") }).await?;
/// }
/// let report = memory.flush().await?;
/// assert_eq!(report.written, 200);
/// assert!(report.retries > 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Chaos {
    seed: u64,
    unprocessed: f64,
    throttled: f64,
    failed: f64,
    applied_before_failure: f64,
    reset: f64,
    applied_before_reset: f64,
    latency: Duration,
    stale: f64,
    short_pages: f64,
}

/// The operations of items.
const OF_ITEMS: [&str; 10] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];

/// The most items of a short page.
const SHORT_PAGE: u32 = 10;

impl Chaos {
    /// No faults yet, with a seed: print it when a test fails, and the run can be had again.
    pub const fn seeded(seed: u64) -> Self {
        Self {
            seed,
            unprocessed: 0.0,
            throttled: 0.0,
            failed: 0.0,
            applied_before_failure: 0.0,
            reset: 0.0,
            applied_before_reset: 0.0,
            latency: Duration::ZERO,
            stale: 0.0,
            short_pages: 0.0,
        }
    }

    /// How likely an entry of a batch is left unprocessed, each for itself.
    pub const fn unprocessed(self, probability: f64) -> Self {
        Self { unprocessed: probability, ..self }
    }

    /// How likely a request is answered with ProvisionedThroughputExceededException.
    pub const fn throttled(self, probability: f64) -> Self {
        Self { throttled: probability, ..self }
    }

    /// How likely a request is answered with InternalServerError, HTTP 500.
    pub const fn failed(self, probability: f64) -> Self {
        Self { failed: probability, ..self }
    }

    /// How likely a request that is answered with InternalServerError has been applied.
    pub const fn applied_before_failure(self, probability: f64) -> Self {
        Self { applied_before_failure: probability, ..self }
    }

    /// How likely the connection of a request breaks.
    pub const fn reset(self, probability: f64) -> Self {
        Self { reset: probability, ..self }
    }

    /// How likely a request whose connection breaks has been applied.
    pub const fn applied_before_reset(self, probability: f64) -> Self {
        Self { applied_before_reset: probability, ..self }
    }

    /// Each request takes up to this long to the service. Default: none.
    pub const fn latency(self, longest: Duration) -> Self {
        Self { latency: longest, ..self }
    }

    /// How likely an eventually consistent read answers with what was before the last write, see
    /// [`Fault::stale`].
    pub const fn stale(self, probability: f64) -> Self {
        Self { stale: probability, ..self }
    }

    /// How likely a page of a Scan or a Query ends after one to ten items.
    pub const fn short_pages(self, probability: f64) -> Self {
        Self { short_pages: probability, ..self }
    }

    pub(super) fn is_ever_stale(&self) -> bool {
        self.stale > 0.0
    }

    /// What becomes of a request.
    pub(super) fn fault(&self, request: &Request) -> Option<Fault> {
        let operation = request.operation.as_str();
        if !OF_ITEMS.contains(&operation) {
            return None;
        }
        let mut random = self.random(request);
        let latency = self.latency.mul_f64(random.f64());
        let fault = self.failure(&mut random).unwrap_or_else(|| match operation {
            "BatchWriteItem" | "BatchGetItem" => self.batch(request, &mut random),
            _ => self.answer(operation, &mut random),
        });
        Some(if latency.is_zero() { fault } else { fault.delayed(latency) })
    }

    fn random(&self, request: &Request) -> fastrand::Rng {
        // FNV-1a: the same in every version of everything.
        let number = request.number.to_string();
        let bytes = request.operation.bytes().chain(number.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = fastrand::Rng::with_seed(self.seed ^ hash);
        // The first numbers of near seeds are near each other.
        fastrand::Rng::with_seed(random.u64(..).rotate_left(32) ^ hash)
    }

    /// The request as a whole: throttled, failed, reset.
    fn failure(&self, random: &mut fastrand::Rng) -> Option<Fault> {
        let (roll, applied) = (random.f64(), random.f64());
        let fault = if roll < self.throttled {
            return Some(Fault::throttled());
        } else if roll < self.throttled + self.failed {
            (Fault::failed(), applied < self.applied_before_failure)
        } else if roll < self.throttled + self.failed + self.reset {
            (Fault::connection_reset(), applied < self.applied_before_reset)
        } else {
            return None;
        };
        Some(if fault.1 { fault.0.after_applying() } else { fault.0 })
    }

    fn batch(&self, request: &Request, random: &mut fastrand::Rng) -> Fault {
        let stale = random.f64() < self.stale;
        let left: Vec<bool> =
            request.entries().iter().map(|_| random.f64() < self.unprocessed).collect();
        if left.contains(&true) {
            return Fault::without(move |place, _| left.get(place) == Some(&true));
        }
        if stale && request.operation == "BatchGetItem" { Fault::stale() } else { Fault::none() }
    }

    fn answer(&self, operation: &str, random: &mut fastrand::Rng) -> Fault {
        let (stale, short) = (random.f64() < self.stale, random.f64() < self.short_pages);
        let items = random.u32(1..=SHORT_PAGE);
        match operation {
            "Scan" | "Query" if short => Fault::short_page(items),
            "Scan" | "Query" | "GetItem" if stale => Fault::stale(),
            _ => Fault::none(),
        }
    }
}

//! A store that keeps nothing and has a capacity.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::SECOND;
use crate::capacity::{Charged, write_units};
use crate::codec::EncodedItem;
use crate::error::{Error, ErrorKind};
use crate::store::{
    Action, Answered, Class, Done, Failure, Found, Outcome, Page, PageRequest, Single, Store,
    StoreFuture, TableRef, Wanted, Write, Written,
};
use crate::testing::capacity::Bucket;

/// A table that keeps a second's units, admits an item while it has more than none, returns the rest
/// unprocessed and throttles a request of which nothing is admitted.
#[derive(Clone)]
pub(super) struct Capped(Arc<Mutex<State>>);

struct State {
    rates: Vec<(Duration, f64)>,
    /// Of a request, on average.
    latency: Duration,
    /// So many of the next ones overtake all that were sent before them.
    overtakes: u32,
    began: Instant,
    balance: f64,
    at: Instant,
    /// Partition keys that take less.
    hot: HashMap<Vec<u8>, Bucket>,
    /// A request in so many is throttled, and an item in so many left, whatever there is.
    spurious: Option<(u32, u32)>,
    random: fastrand::Rng,
    met: Met,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(Vec<Request>);

/// A request: when it came, its items, the units that were admitted, and items of the hot key.
#[derive(Clone, Copy, Debug)]
struct Request {
    at: Duration,
    items: usize,
    units: f64,
    of_hot: usize,
}

/// Units of an item of so many bytes of notes.
pub(super) fn cost(notes: usize) -> f64 {
    write_units(notes + 500)
}

impl Met {
    pub(super) fn requests(&self) -> f64 {
        sum(self.0.iter().map(|_| 1.0))
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    pub(super) fn items(&self) -> f64 {
        sum(self.0.iter().map(|request| request.items as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    pub(super) fn items_of_hot(&self) -> f64 {
        sum(self.0.iter().map(|request| request.of_hot as f64))
    }

    /// Units that were admitted from then on.
    pub(super) fn units(&self, from: Duration) -> f64 {
        sum(self.0.iter().filter(|request| request.at >= from).map(|request| request.units))
    }

    /// When so many requests had come and so much time had passed.
    pub(super) fn after(&self, requests: usize, time: Duration) -> Duration {
        self.0.get(requests).map_or(Duration::MAX, |request| request.at.max(time))
    }

    /// When the last request came with something that is not of the hot key.
    pub(super) fn last_of_others(&self) -> Duration {
        let of_others = self.0.iter().filter(|request| request.items > request.of_hot);
        of_others.map(|request| request.at).max().unwrap_or_default()
    }
}

fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

impl Capped {
    pub(super) fn new(rates: Vec<(Duration, f64)>, latency: Duration) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            balance: rates[0].1,
            rates,
            latency,
            overtakes: 0,
            began: now,
            at: now,
            hot: HashMap::new(),
            spurious: None,
            random: fastrand::Rng::with_seed(7),
            met: Met::default(),
        })))
    }

    pub(super) fn shared(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    /// Its time begins now.
    pub(super) fn begin(&self) {
        let (mut state, now) = (self.0.lock(), Instant::now());
        (state.began, state.at) = (now, now);
    }

    /// There is nothing left at the beginning.
    pub(super) fn drain(&self) {
        self.0.lock().balance = 0.0;
    }

    /// The first requests come in the reverse order, and are answered in that in which they were sent.
    pub(super) fn overtake(&self, requests: u32) {
        self.0.lock().overtakes = requests;
    }

    /// Takes so many units a second of a partition key.
    pub(super) fn heat(&self, partition: &[u8], rate: u64) {
        self.0.lock().hot.insert(partition.to_vec(), Bucket::full(rate, SECOND));
    }

    /// Throttles one request in so many, and leaves one item in so many of the others.
    pub(super) fn spurious(&self, requests: u32, items: u32) {
        self.0.lock().spurious = Some((requests, items));
    }

    pub(super) fn met(&self) -> Met {
        self.0.lock().met.clone()
    }
}

impl State {
    fn refill(&mut self, now: Instant) {
        let (mut from, until) = (self.at - self.began, now - self.began);
        while from < until {
            let passed = |at: &&(Duration, f64)| at.0 <= from;
            let place = self.rates.iter().take_while(passed).count();
            let rate = self.rates[place - 1].1;
            let end = self.rates.get(place).map_or(until, |(next, _)| until.min(*next));
            self.balance = (self.balance + rate * end.saturating_sub(from).as_secs_f64()).min(rate);
            from = end;
        }
        self.at = now;
    }

    /// How long a request and its answer are on their ways: some overtake others.
    fn ways(&mut self) -> (Duration, Duration) {
        let mut way = || self.latency.mul_f64(self.random.f64());
        let ways = (way(), way());
        let Some(overtakes) = self.overtakes.checked_sub(1) else { return ways };
        self.overtakes = overtakes;
        let late = Duration::from_millis(2) * overtakes;
        (late, Duration::from_millis(64).saturating_sub(2 * late))
    }

    /// The places of what is left, and the units of what is not.
    fn admit(&mut self, batch: &[Write]) -> (Vec<usize>, f64) {
        let now = Instant::now();
        self.refill(now);
        let (mut left, mut units, mut of_hot) = (Vec::new(), 0.0, 0);
        let is_throttled = self.spurious.is_some_and(|(one_in, _)| self.random.u32(..one_in) == 0);
        for (place, write) in batch.iter().enumerate() {
            let Action::Put(item) = &write.action else { unreachable!("only puts are sent") };
            let cost = write_units(item.size);
            let mut hot = self.hot.get_mut(write.at.key.partition_bytes());
            of_hot += usize::from(hot.is_some());
            let is_open = hot.as_mut().is_none_or(|bucket| bucket.has_some(now, SECOND));
            let is_lucky = self.spurious.is_none_or(|(_, one_in)| self.random.u32(..one_in) != 0);
            if is_throttled || self.balance <= 0.0 || !is_open || !is_lucky {
                left.push(place);
                continue;
            }
            if let Some(bucket) = hot {
                bucket.balance -= cost;
            }
            self.balance -= cost;
            units += cost;
        }
        let at = now - self.began;
        self.met.0.push(Request { at, items: batch.len(), units, of_hot });
        (left, units)
    }
}

impl Store for Capped {
    fn batch_write<'a>(
        &'a self,
        tables: &'a [TableRef],
        batch: &'a [Write],
    ) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let (there, back) = self.0.lock().ways();
            sleep(there).await;
            let (left, units) = self.0.lock().admit(batch);
            // What is not written takes no time.
            sleep(if units > 0.0 { back } else { Duration::ZERO }).await;
            if left.len() == batch.len() {
                let error = Error::new(ErrorKind::Throttled, "nothing is left");
                return Err(Failure {
                    class: Class::Throttled,
                    outcome: Outcome::NotWritten,
                    error,
                });
            }
            let charged = Charged::one(&tables[0], units);
            Ok(Answered { value: Written { unprocessed: left }, charged })
        })
    }

    fn write_single<'a>(&'a self, _: &'a TableRef, _: &'a Single) -> StoreFuture<'a, Done> {
        unreachable!("a store that only batches are written to")
    }

    fn batch_get<'a>(
        &'a self,
        _: &'a TableRef,
        _: &'a [Wanted],
        _: bool,
    ) -> StoreFuture<'a, Found> {
        unreachable!("a store that nothing is read from")
    }

    fn get<'a>(
        &'a self,
        _: &'a TableRef,
        _: &'a Wanted,
        _: bool,
    ) -> StoreFuture<'a, Option<Vec<u8>>> {
        unreachable!("a store that nothing is read from")
    }

    fn put<'a>(&'a self, _: &'a TableRef, _: &'a EncodedItem) -> StoreFuture<'a, ()> {
        unreachable!("a store that only batches are written to")
    }

    fn delete<'a>(&'a self, _: &'a TableRef, _: &'a Wanted) -> StoreFuture<'a, Option<Vec<u8>>> {
        unreachable!("a store that only batches are written to")
    }

    fn page<'a>(&'a self, _: &'a TableRef, _: &'a PageRequest) -> StoreFuture<'a, Page> {
        unreachable!("a store that nothing is read from")
    }
}

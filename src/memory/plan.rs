//! What a flush would do, without doing it.

mod load;

use std::time::Duration;

pub use load::LoadPlan;

use super::delta::Frozen;
use super::outgoing::Sent;
use super::prepare::{Prepared, Same};
use super::slot::Known;
use super::{MemoryTable, Shared};
use crate::capacity::{ConsumedCapacity, written};
use crate::codec::key_json;
use crate::codec::tree::{Fields, parse_item};
use crate::key::Key;
use crate::record::Record;
use crate::rt::yield_now;
use crate::store::{MAX_BATCH_WRITE, MAX_REQUEST_BYTES};
use crate::sums::Sums;

/// What a flush would do now: see [`MemoryTable::plan`].
///
/// Every unsaved record is in exactly one of `puts`, `deletes`, `increments`, `unchanged` and `parked`.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct FlushPlan {
    /// Records to be written.
    pub puts: u64,
    /// Records to be deleted.
    pub deletes: u64,
    /// Records whose numbers are to be added to, and nothing else of them written.
    pub increments: u64,
    /// Records that cost no write: what is stored is what would be written.
    pub unchanged: u64,
    /// Records that are not sent: the service refused them before, they cannot be encoded, or they wait to be
    /// [resolved](MemoryTable::resolve).
    pub parked: u64,
    /// Bytes of the items to be sent, by DynamoDB's arithmetic.
    pub bytes: u64,
    /// Requests, where nothing has to be sent twice and the table's capacity leaves room for whole ones.
    pub requests: u64,
    /// Write units, by the table and its indexes as the record's type declares them: of what is not known to
    /// be stored, those of an item that is new.
    pub capacity: ConsumedCapacity,
    /// Write units that the unchanged records would cost the table.
    pub saved_capacity: f64,
    /// How long that takes at the present [rate](crate::Table::write_rate) of the table; `None` while there is
    /// none.
    pub time: Option<Duration>,
}

impl FlushPlan {
    /// Records that are unsaved: the sum of all kinds.
    #[must_use]
    pub const fn unsaved(&self) -> u64 {
        self.puts + self.deletes + self.increments + self.unchanged + self.parked
    }

    /// What the write units cost at this price for a million of them, in its currency, indexes included.
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    #[must_use]
    pub fn cost(&self, price_per_million: f64) -> f64 {
        self.capacity.total * price_per_million / 1e6
    }
}

/// After so many records others have their turn.
const AT_ONCE: usize = 256;

impl<T: Record> MemoryTable<T> {
    /// What a [`flush`](Self::flush) would do now, without doing it: records by what becomes of them, bytes,
    /// requests, units, time and, by [`cost`](FlushPlan::cost), money. No request is sent, nothing is changed.
    ///
    /// It is exact as far as the memory table knows what is stored. What others changed meanwhile, a conflict
    /// or a merge, shows in the flush only; what the service leaves unprocessed is sent again, for more
    /// requests and bytes and the same units.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let memory = MemoryTable::new(players);
    /// for number in 0..60 {
    ///     memory.put(Player { name: format!("player {number}") }).await?;
    /// }
    /// let plan = memory.plan().await;
    /// assert_eq!((plan.puts, plan.requests, plan.capacity.total), (60, 3, 60.0));
    /// assert_eq!(plan.cost(0.625), 60.0 * 0.625 / 1e6);
    ///
    /// let report = memory.flush().await?;
    /// assert_eq!((report.written, report.requests, report.consumed_capacity), (60, 3, 60.0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn plan(&self) -> FlushPlan {
        let mut planning = Planning::default();
        for keys in self.unsaved().chunks(AT_ONCE) {
            for key in keys {
                self.shared.plan_of(key, &mut planning);
            }
            yield_now().await;
        }
        let mut plan = planning.plan;
        plan.time = self.shared.write_time(&plan.capacity);
        plan
    }
}

/// A plan in the making, with the batch that is not full.
#[derive(Default)]
struct Planning {
    plan: FlushPlan,
    writes: usize,
    wire: usize,
}

impl Planning {
    /// Something is sent that goes alone.
    fn alone(&mut self, bytes: usize, charged: &ConsumedCapacity) {
        self.plan.requests += 1;
        self.sent(bytes, charged);
    }

    /// Something is sent in a batch.
    fn batched(&mut self, (bytes, wire): (usize, usize), charged: &ConsumedCapacity) {
        let is_full = self.writes == MAX_BATCH_WRITE || self.wire + wire > MAX_REQUEST_BYTES;
        if self.writes == 0 || is_full {
            self.plan.requests += 1;
            (self.writes, self.wire) = (0, 0);
        }
        (self.writes, self.wire) = (self.writes + 1, self.wire + wire);
        self.sent(bytes, charged);
    }

    fn sent(&mut self, bytes: usize, charged: &ConsumedCapacity) {
        self.plan.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.plan.capacity.add(charged);
    }
}

/// What there is to send of a record.
struct Unsent<T> {
    /// The record, or that there is to be none.
    record: Option<Sent<T>>,
    /// Increments that go before it.
    frozen: Option<Sums>,
    /// Increments that go alone, as there is nothing else.
    waiting: Option<Sums>,
    /// Nothing of it is sent.
    is_parked: bool,
}

impl<T: Record> Shared<T> {
    fn write_time(&self, units: &ConsumedCapacity) -> Option<Duration> {
        self.table.pace()?.writes.time(units)
    }

    fn plan_of(&self, key: &Key, planning: &mut Planning) {
        let Some(unsent) = self.unsent(key) else { return };
        if unsent.is_parked {
            planning.plan.parked += 1;
            return;
        }
        if let Some(frozen) = &unsent.frozen {
            self.plan_increments(key, frozen, planning);
        }
        let planned = match (&unsent.record, &unsent.waiting) {
            (Some(sent), _) => self.plan_record(key, sent, planning),
            (None, Some(waiting)) => self.plan_last(key, waiting, planning),
            (None, None) => Planned::Increments,
        };
        let plan = &mut planning.plan;
        match planned {
            Planned::Put => plan.puts += 1,
            Planned::Delete => plan.deletes += 1,
            Planned::Increments => plan.increments += 1,
            // A part of it is sent in any case.
            Planned::Unchanged(_) if unsent.frozen.is_some() => plan.increments += 1,
            Planned::Parked => plan.parked += 1,
            Planned::Unchanged(units) => {
                plan.unchanged += 1;
                plan.saved_capacity += units;
            }
        }
    }

    /// Increments that nothing comes behind.
    fn plan_last(&self, key: &Key, waiting: &Sums, planning: &mut Planning) -> Planned {
        if waiting.is_zero() {
            return Planned::Unchanged(self.increment_units(key));
        }
        self.plan_increments(key, waiting, planning);
        Planned::Increments
    }

    /// What would be taken of a slot to be sent; nothing is taken.
    fn unsent(&self, key: &Key) -> Option<Unsent<T>> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes())?;
        let unsaved = slot.unsaved.as_ref()?;
        let frozen = unsaved.deltas.as_ref().and_then(|deltas| deltas.frozen.as_ref());
        let covered = slot.covered()?;
        if covered.is_nothing() && frozen.is_none() {
            return None;
        }
        let is_parked = covered.parked.is_some() || frozen.is_some_and(Frozen::is_expired);
        let mut record = self.to_send(slot).filter(|_| covered.image.is_some());
        if let Some((sent, flight)) = record.as_mut().zip(unsaved.flight.as_ref()) {
            sent.touched.give_back(&flight.changes);
        }
        let waiting =
            covered.waiting.filter(|_| covered.image.is_none() && covered.waits()).cloned();
        let frozen = frozen.map(|frozen| frozen.sums.clone());
        Some(Unsent { record, frozen, waiting, is_parked })
    }

    fn plan_record(&self, key: &Key, sent: &Sent<T>, planning: &mut Planning) -> Planned {
        let prepared = match self.prepare(key, sent) {
            Err(_) => return Planned::Parked,
            Ok(Prepared::Unchanged(Same { units, absorbed, .. })) => {
                return match behind(sent, &absorbed) {
                    Some(left) => self.plan_last(key, &left, planning),
                    None => Planned::Unchanged(units),
                };
            }
            Ok(Prepared::Send(prepared)) => prepared,
        };
        let before = self.stored_item(key, &sent.base).ok().flatten();
        let after = prepared.target();
        let charged = written::<T>(parsed(before.as_deref()).as_ref(), parsed(after).as_ref());
        let size = prepared.action.size(key, T::PARTITION_KEY, T::SORT_KEY);
        if prepared.action.is_single() {
            planning.alone(size, &charged);
        } else {
            planning.batched((size, prepared.action.wire_bytes()), &charged);
        }
        if let Some(left) = behind(sent, &prepared.absorbed).filter(|left| !left.is_zero()) {
            Self::plan_increments_of(key, &left, after, planning);
        }
        match &sent.now {
            Known::Record(_) => Planned::Put,
            Known::Absent | Known::Unknown => Planned::Delete,
        }
    }

    /// Increments in a request of their own.
    fn plan_increments(&self, key: &Key, sums: &Sums, planning: &mut Planning) {
        let stored = self.item_before(key);
        Self::plan_increments_of(key, sums, stored.as_deref(), planning);
    }

    /// Increments of this item in a transaction, which costs the table twice what a write does.
    fn plan_increments_of(key: &Key, sums: &Sums, before: Option<&[u8]>, planning: &mut Planning) {
        let made = sums.added_to(before.unwrap_or(&key_json::<T>(key))).ok();
        let mut charged = written::<T>(parsed(before).as_ref(), parsed(made.as_deref()).as_ref());
        charged.total += charged.of_table();
        planning.alone(key.size(T::PARTITION_KEY, T::SORT_KEY) + sums.size(), &charged);
    }

    /// What increments of a key cost that are not sent.
    pub(super) fn increment_units(&self, key: &Key) -> f64 {
        let stored = self.item_before(key);
        let item = parsed(stored.as_deref());
        2.0 * written::<T>(item.as_ref(), item.as_ref()).of_table()
    }

    /// The item of a key as it is stored, as far as that is known.
    fn item_before(&self, key: &Key) -> Option<Vec<u8>> {
        let base = {
            let mut locked = self.slots.lock(key.as_bytes());
            locked.find(key.as_bytes())?.unsaved.as_ref()?.base.clone()
        };
        self.stored_item(key, &base).ok().flatten()
    }
}

/// What becomes of an unsaved record.
enum Planned {
    Put,
    Delete,
    Increments,
    /// It would cost so many units.
    Unchanged(f64),
    Parked,
}

/// Increments that are not in the record that is written, and go behind it.
fn behind<T>(sent: &Sent<T>, absorbed: &Sums) -> Option<Sums> {
    let left = sent.waiting.as_ref()?.minus(absorbed);
    (!left.is_empty()).then_some(left)
}

fn parsed(item: Option<&[u8]>) -> Option<Fields<'_>> {
    parse_item(item?).ok()
}

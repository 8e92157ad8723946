//! Loads: one request per key however many ask, and no result that overwrites a change.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use hashbrown::{HashMap, HashSet};

use super::Shared;
use super::expiry::{Held, Seen};
use super::slot::{Known, Slot};
use crate::breaks::broken;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::link::Link;
use crate::load;
use crate::record::Record;
use crate::rt::Notify;
use crate::store::MAX_BATCH_GET;

/// What a load found.
pub(super) struct Loaded<T> {
    /// The keys whose items could not be read.
    bad: Vec<(Key, Error)>,
    /// The keys that have no record.
    absent: HashSet<Key>,
    /// What was found, where that is asked for: it may be let go before anyone looks for it.
    found: HashMap<Key, Seen<T>>,
}

type Ending<T> = Result<Arc<Loaded<T>>, Error>;

pub(super) type Waiting<T> = Arc<Load<T>>;

/// A load under way, shared by the slots that it is for and by all that wait for it.
pub(crate) struct Load<T> {
    /// How it ended: `None` with its runtime, before it was done.
    ending: OnceLock<Option<Ending<T>>>,
    /// Wakes who waits in the order in which they came.
    ended: Notify,
}

impl<T> Load<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { ending: OnceLock::new(), ended: Notify::new() })
    }

    /// Only the first ending counts.
    fn end(&self, ending: Option<Ending<T>>) {
        if self.ending.set(ending).is_ok() {
            self.ended.notify_waiters();
        }
    }

    async fn until_ended(&self) -> Option<Ending<T>> {
        if let Some(ending) = self.ending.get() {
            return ending.clone();
        }
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        loop {
            if let Some(ending) = self.ending.get() {
                return ending.clone();
            }
            ended.as_mut().await;
        }
    }
}

/// Waits for a load; `None` if it ended with its runtime before it was done.
async fn ended<T>(waiting: Waiting<T>, key: &Key) -> Result<Option<Arc<Loaded<T>>>, Error> {
    // Without one the next who asks loads anew.
    let Some(loaded) = waiting.until_ended().await.transpose()? else {
        return Ok(None);
    };
    match loaded.bad.iter().find(|(at, _)| at == key) {
        Some((_, error)) => Err(error.clone()),
        None => Ok(Some(loaded)),
    }
}

/// What a slot says to someone who wants its record.
enum Look<T> {
    Known(Seen<T>),
    Loading(Arc<Load<T>>),
    /// The load made for it is the slot's from now on, and is to be run.
    Claimed(Arc<Load<T>>),
}

impl<T: Record> Shared<T> {
    /// The record of a key, loaded if it is not known.
    pub(crate) async fn fetch(self: &Arc<Self>, key: &Key) -> Result<Option<Arc<T>>, Error> {
        Ok(self.fetch_counting(key, true).await?.map(|held| held.record))
    }

    /// As [`fetch`](Self::fetch), for a call that has been counted before.
    pub(crate) async fn fetch_uncounted(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<Option<Arc<T>>, Error> {
        Ok(self.fetch_held(key).await?.map(|held| held.record))
    }

    /// The same, with what its item has beside the record.
    pub(super) async fn fetch_held(self: &Arc<Self>, key: &Key) -> Result<Option<Held<T>>, Error> {
        self.fetch_counting(key, false).await
    }

    async fn fetch_counting(
        self: &Arc<Self>,
        key: &Key,
        mut count: bool,
    ) -> Result<Option<Held<T>>, Error> {
        if self.is_assumed_absent(key) {
            self.slots.lock(key.as_bytes()).count_hit();
            return Ok(None);
        }
        if count {
            self.touch(key.as_bytes());
        }
        loop {
            // What is read meanwhile may have the increments or not.
            self.until_landed_unread(key).await;
            let look = self.look(key, Load::new);
            // A call is a hit, a miss or joined, whatever it finds when it looks again.
            if std::mem::take(&mut count) {
                self.count(key, &look);
            }
            let waiting = match look {
                Look::Known(seen) => return Ok(self.held(seen)),
                Look::Loading(load) => load,
                Look::Claimed(load) => {
                    let waiting = Arc::clone(&load);
                    let claim = self.claim(load, vec![key.clone()], true);
                    #[cfg(test)]
                    if broken(19) {
                        claim.finish().await;
                        let found = self.loaded(waiting, key).await?;
                        let found = found.and_then(|found| found.found.get(key).cloned());
                        return Ok(found.and_then(|found| self.held(found)));
                    }
                    spawn_load(claim)?;
                    waiting
                }
            };
            let loaded = self.loaded(waiting, key).await?;
            if let Some(found) = loaded.and_then(|loaded| self.let_go(&loaded, key)) {
                return Ok(self.held(found));
            }
        }
    }

    /// What a load found that is not known any more: it was let go again already.
    fn let_go(&self, loaded: &Loaded<T>, key: &Key) -> Option<Seen<T>> {
        let found = loaded.found.get(key)?;
        let is_gone = self.known(key).is_none() || broken(25);
        is_gone.then(|| found.clone())
    }

    /// The records of keys, 100 a request, also where the policy lets them go at once. Those of which
    /// there is none are left out.
    pub(super) async fn fetch_each(
        self: &Arc<Self>,
        keys: Vec<Key>,
    ) -> Result<HashMap<Key, Result<Held<T>, Error>>, Error> {
        for key in &keys {
            // What is read meanwhile may have the increments or not.
            self.until_landed_unread(key).await;
        }
        let mut loads = HashMap::new();
        for chunk in keys.chunks(MAX_BATCH_GET) {
            let waiting = self.claim_all(chunk.to_vec(), &mut 0, true)?;
            loads.extend(waiting.into_iter().map(|(waiting, key)| (key, waiting)));
        }
        let mut records = HashMap::with_capacity(keys.len());
        for key in keys {
            let loaded = match loads.remove(&key) {
                Some(waiting) => self.loaded(waiting, &key).await,
                None => Ok(None),
            };
            let found = match loaded {
                Ok(loaded) => match loaded.and_then(|loaded| self.let_go(&loaded, &key)) {
                    Some(found) => Ok(self.held(found)),
                    None => self.fetch_held(&key).await,
                },
                Err(error) => Err(error),
            };
            match found {
                Ok(Some(record)) => drop(records.insert(key, Ok(record))),
                Ok(None) => {}
                Err(error) if error.is_of_item() => drop(records.insert(key, Err(error))),
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// What is known of a key, if anything is.
    pub(crate) fn hit(&self, key: &[u8]) -> Option<Known<T>> {
        let (seen, is_told) = {
            let mut locked = self.slots.lock(key);
            let slot = locked.find(key).filter(|slot| !slot.now.is_unknown())?;
            let seen = Seen::of(slot);
            locked.count_hit();
            (seen, self.bound.is_some() && locked.is_told())
        };
        if is_told {
            self.tell(key);
        }
        Some(self.visible(seen))
    }

    /// The same, unseen: it counts as no read.
    pub(super) fn peek(&self, key: &[u8]) -> Option<Seen<T>> {
        let mut locked = self.slots.lock(key);
        locked.find(key).filter(|slot| !slot.now.is_unknown()).map(|slot| Seen::of(slot))
    }

    /// Starts loads of all keys that are neither known nor loading, and counts the records that are
    /// known. `keep`: what is found is kept for those who wait.
    pub(super) fn claim_all(
        self: &Arc<Self>,
        keys: Vec<Key>,
        records: &mut u64,
        keep: bool,
    ) -> Result<Vec<(Waiting<T>, Key)>, Error> {
        let mut waiting = Vec::new();
        let mut claims = Vec::new();
        let empty = || self.claim(Load::new(), Vec::new(), keep);
        let mut claim = empty();
        for key in keys {
            self.touch(key.as_bytes());
            let look = self.look(&key, || Arc::clone(&claim.load));
            self.count(&key, &look);
            match look {
                Look::Known(seen) => *records += u64::from(seen.is_record()),
                Look::Loading(load) => waiting.push((load, key)),
                Look::Claimed(load) => {
                    waiting.push((load, key.clone()));
                    claim.keys.push(key);
                }
            }
            if claim.keys.len() == MAX_BATCH_GET {
                claims.push(std::mem::replace(&mut claim, empty()));
            }
        }
        if !claim.keys.is_empty() {
            claims.push(claim);
        }
        // After all are claimed: one that cannot be spawned lets go of the others too.
        claims.into_iter().try_for_each(spawn_load)?;
        Ok(waiting)
    }

    /// Waits for a load. Its error does not matter if the record is known all the same.
    async fn loaded(
        &self,
        waiting: Waiting<T>,
        key: &Key,
    ) -> Result<Option<Arc<Loaded<T>>>, Error> {
        match ended(waiting, key).await {
            Err(error) if self.known(key).is_none() => Err(error.on_key(key)),
            Err(_) => Ok(None),
            Ok(loaded) => Ok(loaded),
        }
    }

    /// Waits for a load; whether there is a record, or `None` if the load ended with its runtime.
    pub(super) async fn exists(
        &self,
        waiting: Waiting<T>,
        key: &Key,
    ) -> Result<Option<bool>, Error> {
        let loaded = self.loaded(waiting, key).await?;
        let known = self.known(key);
        Ok(known.or_else(|| loaded.map(|loaded| !loaded.absent.contains(key))))
    }

    /// Whether there is a record of a key; `None` if nothing is known.
    pub(super) fn known(&self, key: &Key) -> Option<bool> {
        let mut locked = self.slots.lock(key.as_bytes());
        match locked.find(key.as_bytes()) {
            Some(slot) if !slot.now.is_unknown() => Some(matches!(slot.now, Known::Record(_))),
            slot => self.is_absent(key, slot.as_deref()).then_some(false),
        }
    }

    /// Whether a key of which nothing is known counts as absent: the whole table was loaded, and the
    /// key was not forgotten since.
    pub(super) fn is_absent(&self, key: &Key, slot: Option<&Slot<T>>) -> bool {
        let unheard_of =
            |slot: &Slot<T>| slot.forgotten == 0 && !slot.unreadable && slot.unsaved.is_none();
        self.scans.is_complete() && slot.is_none_or(unheard_of) && !self.may_be_behind(key)
    }

    /// Whether nothing was ever known of a key, nor is being loaded, and that is taken for absence.
    fn is_assumed_absent(&self, key: &Key) -> bool {
        if !self.options.assume_absent {
            return false;
        }
        let mut locked = self.slots.lock(key.as_bytes());
        self.is_assumed(locked.find(key.as_bytes()).as_deref())
    }

    /// The same of a slot, under its lock: who lets one go says so before it is gone.
    fn is_assumed(&self, slot: Option<&Slot<T>>) -> bool {
        let is_assumed = self.options.assume_absent && self.scans.is_assumed();
        is_assumed && slot.is_none_or(Slot::is_unheard_of)
    }

    /// Whether there is no record of a key, by what is known now.
    pub(super) fn counts_as_absent(&self, key: &Key, slot: &Slot<T>) -> bool {
        match slot.now {
            Known::Absent => true,
            // It has expired, and is hidden.
            Known::Record(_) => self.options.clock.0.is_some(),
            Known::Unknown => self.is_absent(key, Some(slot)) || self.is_assumed(Some(slot)),
        }
    }

    /// Loads a record anew, also if it is known.
    pub(crate) async fn fetch_again(self: &Arc<Self>, key: &Key) -> Result<Option<Arc<T>>, Error> {
        let load = Load::new();
        let waiting = Arc::clone(&load);
        self.slots.lock(key.as_bytes()).slot(key).load = Some(Arc::clone(&load));
        self.tally.miss();
        spawn_load(self.claim(load, vec![key.clone()], true))?;
        // Here the error matters though the record is known.
        ended(waiting, key).await.map_err(|error| error.on_key(key))?;
        self.fetch_uncounted(key).await
    }

    fn look(&self, key: &Key, load: impl FnOnce() -> Arc<Load<T>>) -> Look<T> {
        let mut locked = self.slots.lock(key.as_bytes());
        let slot = locked.find(key.as_bytes());
        if let Some(slot) = &slot {
            if !slot.now.is_unknown() {
                return Look::Known(Seen::of(slot));
            }
            if let Some(other) = slot.load.as_ref().filter(|_| !broken(17)) {
                return Look::Loading(Arc::clone(other));
            }
        }
        if self.is_absent(key, slot.as_deref()) {
            return Look::Known(Seen::saved(Known::Absent, None));
        }
        let load = load();
        locked.slot(key).load = Some(Arc::clone(&load));
        Look::Claimed(load)
    }

    fn count(&self, key: &Key, look: &Look<T>) {
        match look {
            Look::Known(_) => self.slots.lock(key.as_bytes()).count_hit(),
            Look::Loading(_) => self.tally.joined(),
            Look::Claimed(_) => self.tally.miss(),
        }
    }

    fn claim(self: &Arc<Self>, load: Arc<Load<T>>, keys: Vec<Key>, keep: bool) -> Claim<T> {
        Claim { shared: Arc::clone(self), load, keys, keep, is_done: false }
    }
}

/// An item came without a key that can be read, so all that were asked for may be there or not.
fn keyless(error: Error) -> Error {
    Error::new(ErrorKind::Service, "an item came without its key").caused_by(error)
}

/// Runs a load as a task of the table, so that a caller who goes away takes it from nobody.
fn spawn_load<T: Record>(claim: Claim<T>) -> Result<(), Error> {
    let runtime = super::runtime()?;
    let load = Arc::clone(&claim.load);
    let task = runtime.spawn(claim.finish());
    if task.is_finished() && load.ending.get().is_none_or(Option::is_none) {
        return Err(super::runtime_ended());
    }
    Ok(())
}

/// The keys of a load; dropped, whatever came of it, none of them stays loading.
struct Claim<T: Record> {
    shared: Arc<Shared<T>>,
    load: Arc<Load<T>>,
    keys: Vec<Key>,
    /// What is found is kept for those who wait.
    keep: bool,
    /// All of them were found or not, and none of them is loading any more.
    is_done: bool,
}

impl<T: Record> Claim<T> {
    /// Loads, and tells all who wait.
    async fn finish(mut self) {
        let ran = AssertUnwindSafe(self.run()).catch_unwind().await;
        let ending = ran.unwrap_or_else(|_| Err(self.shared.place(crate::error::panicked())));
        self.is_done = ending.as_ref().is_ok_and(|loaded| loaded.bad.is_empty());
        self.load.end(Some(ending));
    }

    async fn run(&self) -> Ending<T> {
        // The semaphore is never closed.
        let _permit = self.shared.reads.acquire().await;
        let link = self.shared.ready().await?;
        match &self.keys[..] {
            [key] => self.run_one(&link, key).await,
            keys => self.run_many(&link, keys).await,
        }
    }

    async fn run_one(&self, link: &Link, key: &Key) -> Ending<T> {
        let found = load::get(link, key, self.shared.reads_consistently(&self.keys)).await;
        let found = found.inspect_err(|error| {
            if error.kind() == ErrorKind::InvalidItem {
                self.shared.store_unreadable(&self.load, key);
            }
        })?;
        let absent = found.is_none().then(|| key.clone()).into_iter().collect();
        let found = self.shared.store(&self.load, key, found)?;
        let found = found.filter(|_| self.keep).map(|found| (key.clone(), found));
        let found = found.into_iter().collect();
        Ok(Arc::new(Loaded { bad: Vec::new(), absent, found }))
    }

    async fn run_many(&self, link: &Link, keys: &[Key]) -> Ending<T> {
        let mut absent: HashSet<Key> = keys.iter().cloned().collect();
        let (mut bad, mut found) = (Vec::new(), HashMap::new());
        let mut records = Vec::with_capacity(keys.len());
        let consistent = self.shared.reads_consistently(keys);
        let ended = load::chunk::<T>(link, keys, consistent, &mut records).await;
        for read in records {
            match read {
                Ok(decoded) => {
                    absent.remove(&decoded.key);
                    let key = decoded.key.clone();
                    match self.shared.store(&self.load, &key, Some(decoded)) {
                        Ok(Some(now)) if self.keep => drop(found.insert(key, now)),
                        Ok(_) => {}
                        Err(error) => bad.push((key, error)),
                    }
                }
                Err(error) => {
                    let key = error.key().cloned();
                    // An item whose key cannot be read could be any of them.
                    let Some(key) = key else { return Err(keyless(error)) };
                    absent.remove(&key);
                    self.shared.store_unreadable(&self.load, &key);
                    bad.push((key, error));
                }
            }
        }
        // What came before the error is cached; what did not is unknown, not absent.
        ended?;
        for key in &absent {
            if let Err(error) = self.shared.store(&self.load, key, None) {
                bad.push((key.clone(), error));
            }
        }
        Ok(Arc::new(Loaded { bad, absent, found }))
    }
}

impl<T: Record> Drop for Claim<T> {
    fn drop(&mut self) {
        let left = if self.is_done { &[] } else { &self.keys[..] };
        for key in left {
            {
                let mut locked = self.shared.slots.lock(key.as_bytes());
                let slot = locked.find(key.as_bytes());
                let is_ours = |load: &Arc<Load<T>>| Arc::ptr_eq(load, &self.load);
                let Some(slot) = slot.filter(|slot| slot.load.as_ref().is_some_and(is_ours)) else {
                    continue;
                };
                slot.load = None;
                locked.prune(key.as_bytes());
            }
            // What was known before is clean again.
            self.shared.register(key);
        }
        // If it was not done. Who waits finds no load any more, and begins one.
        self.load.end(None);
    }
}

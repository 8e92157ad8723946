//! Runs steps on a memory table and on the plain maps, and compares them after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::oracle::{Known, Oracle, Thing, Writing, key, thing};
use super::step::{At, Step, everywhere};
use crate::key::Key;
use crate::simulation::SimStore;
use crate::{Database, ErrorKind, Guard, MemoryTable, OnConflict, Table};

const TABLE: &str = "things";

/// What differs, if anything does.
pub(super) fn run(writing: Writing, steps: &[Step]) -> Result<(), String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut pair = Pair::new(writing);
        for (number, step) in steps.iter().chain(&[Step::Flush]).enumerate() {
            let compared = pair.step(step).await;
            compared.map_err(|text| format!("step {number}, {step:?}: {text}"))?;
        }
        pair.afterwards().await
    })
}

/// A memory table and what it is compared with.
pub(super) struct Pair {
    pub(super) store: SimStore,
    pub(super) memory: MemoryTable<Thing>,
    pub(super) oracle: Oracle,
    writing: Writing,
}

fn opened(writing: Writing, table: Table<Thing>) -> MemoryTable<Thing> {
    let builder = MemoryTable::builder(table).on_conflict(OnConflict::Overwrite);
    let builder = match writing {
        Writing::Plain => builder,
        Writing::FieldWise => builder.field_wise(),
        Writing::Guarded => builder.guarded(Guard::Item),
        Writing::GuardedFields => builder.guarded(Guard::Fields),
    };
    builder.build().expect("legal options")
}

pub(super) fn same<V: std::fmt::Debug + PartialEq>(
    what: &str,
    found: V,
    expected: V,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, expected {expected:?}"))
}

fn at(thing: &Thing) -> At {
    (thing.shelf, thing.place)
}

impl Pair {
    fn new(writing: Writing) -> Self {
        let store = SimStore::new(0);
        store.heal();
        let database = Database::simulated(Arc::new(store.clone()), &[TABLE]);
        let memory = opened(writing, database.table());
        Self { store, memory, oracle: Oracle::new(writing), writing }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        self.apply(step).await?;
        self.compare()
    }

    /// What holds after every step.
    fn compare(&self) -> Result<(), String> {
        let records = self.memory.records();
        let records: BTreeMap<At, Thing> =
            records.iter().map(|it| (at(it), (**it).clone())).collect();
        same("in memory", &records, &self.oracle.records())?;
        let unsaved: Vec<Key> = self.oracle.unsaved().into_iter().map(key).collect();
        same("unsaved", self.memory.unsaved(), unsaved)?;
        let stats = self.memory.stats();
        same("count of unsaved", stats.unsaved, self.oracle.unsaved().len() as u64)?;
        let items = self.store.items(TABLE);
        let decoded = items.iter().map(|json| crate::codec::decode::<Thing>(json));
        let stored = decoded.map(|decoded| decoded.expect("a thing").record);
        let stored: BTreeMap<At, Thing> = stored.map(|it| (at(&it), it)).collect();
        same("stored", &stored, &self.oracle.stored)?;
        same("violations", self.store.violations(), Vec::new())
    }

    async fn apply(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Get(at) => self.get(*at).await,
            Step::Contains(at) => {
                let found = self.memory.contains(*at).await.map_err(text)?;
                self.oracle.load(*at);
                same("contains", found, self.oracle.found(*at).is_some())
            }
            Step::Prefetch(many) => {
                self.memory.prefetch(many.iter().copied()).await.map_err(text)?;
                for at in many {
                    self.oracle.load(*at);
                }
                Ok(())
            }
            Step::LoadAll => {
                self.memory.load_all().await.map_err(text)?;
                self.oracle.load_all();
                self.see_what_was_read(false, |_| true)
            }
            Step::Refresh(at) => self.refresh(*at).await,
            Step::Query { .. } | Step::Scan { .. } => self.read(step).await,
            Step::Scope(at, count) => {
                self.oracle.put(*at, thing(*at, *count, 2));
                self.save(step).await
            }
            Step::Close(_) => {
                self.save(step).await?;
                let closed = self.memory.put(thing((0, 0), 0, 0)).await;
                same("put", closed.map_err(|error| error.kind()), Err(ErrorKind::Closed))?;
                self.memory = opened(self.writing, self.memory.table().clone());
                self.oracle.reset();
                Ok(())
            }
            Step::Flush | Step::FlushAll | Step::FlushKeys(_) | Step::Cancelled(_) => {
                self.save(step).await
            }
            Step::Reset => self.reset().await,
            Step::ResetForced => {
                self.memory.reset_forced().await;
                self.oracle.reset_forced();
                Ok(())
            }
            Step::TakeUnsaved => {
                let taken = self.memory.take_unsaved().await;
                same("taken", taken, self.oracle.take_unsaved())
            }
            Step::Doubt(at, applied) => self.doubt(*at, *applied).await,
            Step::Rekey(old, new, by) => self.rekey(*old, *new, *by).await,
            Step::Discard(at) => {
                let forgotten = self.memory.discard(*at).await.map_err(text)?;
                same("discarded", forgotten, self.oracle.is_unsaved(*at))?;
                self.oracle.forget(*at);
                Ok(())
            }
            Step::Evict(at) => {
                if self.oracle.may_go(*at) {
                    self.memory.let_go(at);
                    self.oracle.evict(*at);
                }
                Ok(())
            }
            Step::Foreign(at, item) => {
                self.foreign(*at, *item);
                Ok(())
            }
            Step::Fault(fault) => {
                self.store.script(*fault);
                Ok(())
            }
            change => self.change(change).await,
        }
    }

    async fn change(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Put(at, count, label) => {
                let new = thing(*at, *count, *label);
                self.memory.put(new.clone()).await.map_err(text)?;
                self.oracle.put(*at, new);
            }
            Step::PutGuarded(at, count, label) => {
                let new = thing(*at, *count, *label);
                self.memory.put_guarded(new.clone()).await.map_err(text)?;
                self.oracle.put_by(*at, new, Some(self.oracle.guard()));
            }
            Step::Merge(at, count, label) => {
                let new = thing(*at, *count, *label);
                self.memory.merge(new.clone()).await.map_err(text)?;
                self.oracle.put_by(*at, new, Some(Writing::FieldWise));
            }
            Step::PutAll(many, count) => {
                let records = many.iter().map(|at| thing(*at, *count, 1));
                let put = self.memory.put_all(futures::stream::iter(records)).await;
                same("put", put.map_err(text)?, many.len() as u64)?;
                for at in many {
                    self.oracle.put(*at, thing(*at, *count, 1));
                }
            }
            Step::GetOrCreate(at) => {
                let found = self.memory.get_or_create(*at).await.map_err(text)?;
                self.oracle.load(*at);
                if self.oracle.found(*at).is_none() {
                    self.oracle.put(*at, thing(*at, 0, 0));
                }
                same("made", Some(&*found), self.oracle.found(*at).as_ref())?;
            }
            Step::Update(at, label) => {
                self.memory.update(*at, |it| it.label = *label).await.map_err(text)?;
                self.oracle.load(*at);
                let now = self.oracle.found(*at).unwrap_or_else(|| thing(*at, 0, 0));
                self.oracle.put(*at, Thing { label: *label, ..now });
            }
            Step::Add(at, by) => {
                let changed = self.memory.update_existing(*at, |it| it.count += by).await;
                self.oracle.load(*at);
                match (self.oracle.found(*at), changed) {
                    (Some(now), Ok(_)) => {
                        self.oracle.put(*at, Thing { count: now.count + by, ..now });
                    }
                    (None, Err(error)) if error.kind() == ErrorKind::NotFound => {}
                    (found, changed) => return Err(format!("{changed:?} of {found:?}")),
                }
            }
            Step::Delete(at) => {
                self.memory.delete(*at).await.map_err(text)?;
                self.oracle.delete(*at);
            }
            Step::Take(at) => {
                let taken = self.memory.take(*at).await.map_err(text)?;
                self.oracle.load(*at);
                let found = self.oracle.found(*at);
                same("taken", taken.as_deref(), found.as_ref())?;
                if found.is_some() {
                    self.oracle.delete(*at);
                }
            }
            Step::Increment(at, by) => {
                let field = Thing::FIELDS.count;
                self.memory.increment(*at, field, *by).await.map_err(text)?;
                self.oracle.increment(*at, *by);
            }
            other => unreachable!("{other:?} is no change"),
        }
        Ok(())
    }

    /// What is known is read without a request.
    async fn get(&mut self, at: At) -> Result<(), String> {
        let requests = self.memory.stats().read_requests;
        let found = self.memory.get(at).await.map_err(text)?;
        if self.oracle.is_known(at) {
            same("requests", self.memory.stats().read_requests, requests)?;
        }
        self.oracle.load(at);
        same("found", found.as_deref(), self.oracle.found(at).as_ref())
    }

    async fn refresh(&mut self, at: At) -> Result<(), String> {
        match self.memory.refresh(at).await {
            Err(error) if self.oracle.is_unsaved(at) && error.kind() == ErrorKind::Unsaved => {
                Ok(())
            }
            Err(error) => Err(text(error)),
            Ok(_) if self.oracle.is_unsaved(at) => Err("an unsaved record is refreshed".into()),
            Ok(found) => {
                self.oracle.forget(at);
                self.oracle.see(at);
                same("refreshed", found.as_deref(), self.oracle.found(at).as_ref())
            }
        }
    }

    async fn rekey(&mut self, old: At, new: At, by: i64) -> Result<(), String> {
        let moves = |it: &mut Thing| {
            (it.shelf, it.place) = new;
            it.count += by;
        };
        let moved = self.memory.rekey(old, new, moves).await;
        if old == new {
            let refused = moved.map_err(|error| error.kind());
            return same("refused", refused.err(), Some(ErrorKind::InvalidKey));
        }
        self.oracle.load(old);
        match (self.oracle.found(old), moved) {
            (Some(found), Ok(moved)) => {
                let record = Thing { count: found.count + by, ..thing(new, 0, found.label) };
                same("moved", &*moved, &record)?;
                self.oracle.rekey(old, new, record);
                Ok(())
            }
            (None, Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            (found, moved) => Err(format!("{moved:?} of {found:?}")),
        }
    }

    async fn reset(&mut self) -> Result<(), String> {
        let is_saved = self.oracle.unsaved().is_empty();
        match self.memory.reset().await {
            Ok(()) if is_saved => self.oracle.reset(),
            Err(error) if !is_saved && error.kind() == ErrorKind::Unsaved => {}
            ended => return Err(format!("{ended:?}, saved: {is_saved}")),
        }
        Ok(())
    }

    /// What a query or scan finds; what it read in full is known then.
    async fn read(&mut self, step: &Step) -> Result<(), String> {
        let in_it = |at: &At| match step {
            Step::Query { shelf, .. } => at.0 == *shelf,
            _ => true,
        };
        let expected = everywhere().filter(in_it).filter_map(|at| self.oracle.listed(at));
        let mut expected: Vec<Thing> = expected.collect();
        let (found, is_whole) = match step {
            Step::Query { shelf, descending, limit, page } => {
                let query = self.memory.query(*shelf).page_size(*page);
                let query = if *descending { query.descending() } else { query };
                if *descending {
                    expected.reverse();
                }
                let most = limit.and_then(|limit| usize::try_from(limit).ok());
                expected.truncate(most.unwrap_or(usize::MAX));
                match limit {
                    Some(limit) => (query.limit(*limit).all().await, false),
                    None => (query.all().await, true),
                }
            }
            Step::Scan { page } => (self.memory.scan().page_size(*page).all().await, true),
            other => unreachable!("{other:?} is no read"),
        };
        let mut found: Vec<Thing> = found.map_err(text)?.iter().map(|it| (**it).clone()).collect();
        if matches!(step, Step::Scan { .. }) {
            found.sort_unstable_by_key(at);
        }
        same("read", found, expected)?;
        self.see_what_was_read(is_whole, in_it)
    }

    fn see_what_was_read(
        &mut self,
        is_whole: bool,
        in_it: impl Fn(&At) -> bool,
    ) -> Result<(), String> {
        let records = self.memory.records();
        for place in everywhere() {
            let is_in_memory = records.iter().any(|record| at(record) == place);
            if matches!(self.oracle.known(place), Known::Absent | Known::There(_)) {
                continue;
            }
            if is_in_memory {
                self.oracle.see(place);
            } else if is_whole && in_it(&place) && self.oracle.stored.contains_key(&place) {
                return Err(format!("{place:?} was read and is not known"));
            }
        }
        Ok(())
    }

    fn foreign(&mut self, at: At, item: Option<(i64, u8)>) {
        let new = item.map(|(count, label)| thing(at, count, label));
        let encoded = new.as_ref().map(|new| crate::codec::encode(new, &key(at)).expect("an item"));
        self.store.set_foreign(TABLE, &key(at), encoded.map(|item| item.json));
        match new {
            Some(new) => self.oracle.stored.insert(at, new),
            None => self.oracle.stored.remove(&at),
        };
    }

    /// A memory table that begins anew finds what is stored.
    async fn afterwards(&self) -> Result<(), String> {
        let memory = MemoryTable::new(self.memory.table().clone());
        for at in everywhere() {
            let found = memory.get(at).await.map_err(text)?;
            same("stored", found.as_deref(), self.oracle.stored.get(&at))?;
        }
        Ok(())
    }
}

pub(super) fn text(error: crate::Error) -> String {
    error.to_string()
}

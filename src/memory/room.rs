//! How much is unsaved, and how much may be.
//!
//! A change takes room before it is published and its slot gives it back when it is saved, so what
//! is unsaved never exceeds the hard marks. Without marks taking room costs nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rt::Semaphore;

/// A number of records and of bytes; what is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) records: Option<usize>,
    pub(crate) bytes: Option<usize>,
}

impl Mark {
    pub(crate) const fn is_set(&self) -> bool {
        self.records.is_some() || self.bytes.is_some()
    }
}

/// The unsaved changes of a memory table, and the room that is left.
#[derive(Debug)]
pub(crate) struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    free_records: Option<Semaphore>,
    free_bytes: Option<(Semaphore, usize)>,
    /// What a record takes of the room beside its bytes.
    beside: usize,
    waiting: AtomicUsize,
    /// What is to be given back before anything is free.
    owed_records: AtomicUsize,
    owed_bytes: AtomicUsize,
}

/// What a change needs: its record if it was saved before, and the bytes that it adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Need {
    /// Whether so much can ever be free at once.
    pub(crate) fn fits(self, most: Mark) -> bool {
        most.records.is_none_or(|most| self.records <= most)
            && most.bytes.is_none_or(|most| self.bytes <= most)
    }
}

/// Room that was taken and belongs to no slot yet; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Permit<'r> {
    room: &'r Room,
    taken: Need,
}

impl Room {
    /// Room for so much; each record takes `beside` bytes more than it has.
    pub(crate) fn new(most: Mark, beside: usize) -> Self {
        let semaphore = |count: usize| Semaphore::new(count.min(Semaphore::MAX_PERMITS));
        Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            free_records: most.records.map(semaphore),
            free_bytes: most.bytes.map(|bytes| (semaphore(bytes), bytes)),
            beside,
            waiting: AtomicUsize::new(0),
            owed_records: AtomicUsize::new(0),
            owed_bytes: AtomicUsize::new(0),
        }
    }

    /// The number of unsaved records.
    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::SeqCst)
    }

    /// The bytes of unsaved records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn has_reached(&self, mark: Mark) -> bool {
        mark.records.is_some_and(|most| self.records() >= most)
            || mark.bytes.is_some_and(|most| self.bytes_taken() >= most)
    }

    /// The bytes of unsaved records, with what each takes beside.
    fn bytes_taken(&self) -> usize {
        self.bytes().saturating_add(self.records().saturating_mul(self.beside))
    }

    /// Whether somebody waits for room.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(crate) const fn permit(&self) -> Permit<'_> {
        Permit { room: self, taken: Need { records: 0, bytes: 0 } }
    }

    /// The most that changes of these sizes need together.
    pub(crate) fn need_at_most(&self, sizes: &[usize]) -> Need {
        let bytes = sizes.iter().map(|&size| self.need(None, size).bytes);
        Need { records: sizes.len(), bytes: bytes.fold(0, usize::saturating_add) }
    }

    /// What a change needs, by the size of the unsaved change before it, if there was one.
    pub(crate) fn need(&self, before: Option<usize>, size: usize) -> Need {
        let held = before.map_or(0, |before| self.clamped(before));
        let bytes = self.clamped(size).saturating_sub(held);
        Need { records: usize::from(before.is_none()), bytes }
    }

    /// A record that is larger than all the room there is takes all of it.
    fn clamped(&self, bytes: usize) -> usize {
        let bytes = bytes.saturating_add(self.beside);
        self.free_bytes.as_ref().map_or(bytes, |(_, most)| bytes.min(*most))
    }

    /// A slot was unsaved before there was this room: it takes what is free, and owes the rest, which what is
    /// saved pays.
    #[cfg(feature = "journal")]
    pub(crate) fn owe(&self, size: usize) {
        self.took(None, size);
        let bytes = self.clamped(size);
        if let Some(records) = &self.free_records {
            let missing = take_up_to(records, 1);
            self.owed_records.fetch_add(missing, Ordering::SeqCst);
        }
        if let Some((free, _)) = &self.free_bytes {
            let missing = take_up_to(free, bytes);
            self.owed_bytes.fetch_add(missing, Ordering::SeqCst);
        }
    }

    /// A slot became unsaved, or its unsaved change another size.
    pub(crate) fn took(&self, before: Option<usize>, size: usize) {
        if before.is_none() {
            self.records.fetch_add(1, Ordering::SeqCst);
        }
        self.bytes.fetch_add(size, Ordering::SeqCst);
        if let Some(before) = before {
            self.bytes.fetch_sub(before, Ordering::SeqCst);
            let shrunk = self.clamped(before).saturating_sub(self.clamped(size));
            self.free(Need { records: 0, bytes: shrunk });
        }
    }

    /// A slot whose unsaved change had this size is saved, or forgotten.
    pub(crate) fn left(&self, size: usize) {
        self.records.fetch_sub(1, Ordering::SeqCst);
        self.bytes.fetch_sub(size, Ordering::SeqCst);
        self.free(Need { records: 1, bytes: self.clamped(size) });
    }

    fn free(&self, need: Need) {
        if let Some(records) = &self.free_records {
            records.add_permits(paid(&self.owed_records, need.records));
        }
        if let Some((bytes, _)) = &self.free_bytes {
            bytes.add_permits(paid(&self.owed_bytes, need.bytes));
        }
    }
}

/// What is left of so much once what is owed is paid.
fn paid(owed: &AtomicUsize, count: usize) -> usize {
    let pay = |owed: usize| (owed > 0).then(|| owed.saturating_sub(count));
    let before = owed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, pay).unwrap_or(0);
    count.saturating_sub(before)
}

/// Takes what is free of so much; returns the rest.
#[cfg(feature = "journal")]
fn take_up_to(free: &Semaphore, count: usize) -> usize {
    let mut missing = count;
    for part in (0..u32::BITS).rev().map(|bit| 1_u32 << bit) {
        let size = usize::try_from(part).unwrap_or(usize::MAX);
        while missing >= size
            && let Ok(permit) = free.try_acquire_many(part)
        {
            permit.forget();
            missing -= size;
        }
    }
    missing
}

impl Permit<'_> {
    /// Takes what is missing, if it is free.
    pub(crate) fn try_take(&mut self, need: Need) -> bool {
        let records = need.records.saturating_sub(self.taken.records);
        if let Some(free) = &self.room.free_records {
            match free.try_acquire_many(permits(records)) {
                Ok(permit) => permit.forget(),
                Err(_) => return false,
            }
        }
        self.taken.records += records;
        let bytes = need.bytes.saturating_sub(self.taken.bytes);
        if let Some((free, _)) = &self.room.free_bytes {
            match free.try_acquire_many(permits(bytes)) {
                Ok(permit) => permit.forget(),
                Err(_) => return false,
            }
        }
        self.taken.bytes += bytes;
        true
    }

    /// Takes all that is needed, as soon as it is free; who came first gets it first. What was taken
    /// before is given back: two that wait for each other's room would wait for ever.
    pub(crate) async fn take(&mut self, need: Need) {
        let _waiting = Waiting::on(self.room);
        self.give_back();
        // Records first for all. The semaphores are never closed.
        if let Some(free) = &self.room.free_records
            && let Ok(permit) = free.acquire_many(permits(need.records)).await
        {
            permit.forget();
        }
        self.taken.records = need.records;
        if let Some((free, _)) = &self.room.free_bytes
            && let Ok(permit) = free.acquire_many(permits(need.bytes)).await
        {
            permit.forget();
        }
        self.taken.bytes = need.bytes;
    }

    /// Gives back what belongs to no slot.
    pub(crate) fn give_back(&mut self) {
        self.room.free(std::mem::take(&mut self.taken));
    }

    /// It belongs to a slot from now on.
    pub(crate) const fn spend(&mut self, need: Need) {
        self.taken.records -= need.records;
        self.taken.bytes -= need.bytes;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn permits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Someone who waits for room.
struct Waiting<'r>(&'r Room);

impl<'r> Waiting<'r> {
    fn on(room: &'r Room) -> Self {
        room.waiting.fetch_add(1, Ordering::SeqCst);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Room {
        Room::new(Mark { records: Some(2), bytes: Some(100) }, 0)
    }

    fn publish(room: &Room, before: Option<usize>, size: usize) -> bool {
        let mut permit = room.permit();
        let need = room.need(before, size);
        if !permit.try_take(need) {
            return false;
        }
        permit.spend(need);
        room.took(before, size);
        true
    }

    #[test]
    fn room_is_taken_by_changes_and_given_back_when_they_are_saved() {
        let room = small();
        assert!(publish(&room, None, 60));
        assert!(!publish(&room, None, 41), "too many bytes");
        assert!(publish(&room, None, 40));
        assert!(!publish(&room, None, 0), "too many records");
        assert!(publish(&room, Some(60), 50), "a smaller change of an unsaved record");
        assert_eq!((room.records(), room.bytes()), (2, 90));
        assert!(!publish(&room, Some(40), 51));
        assert!(publish(&room, Some(40), 50));
        room.left(50);
        room.left(50);
        assert_eq!((room.records(), room.bytes()), (0, 0));
        assert!(publish(&room, None, 100), "all of it is free again");
    }

    #[test]
    fn what_is_larger_than_the_room_takes_all_of_it() {
        let room = small();
        assert!(publish(&room, None, 1_000));
        assert!(!publish(&room, None, 1));
        assert!(publish(&room, Some(1_000), 2_000));
        room.left(2_000);
        assert!(publish(&room, None, 100));
    }

    #[test]
    fn room_that_was_taken_in_part_is_given_back() {
        let room = small();
        assert!(publish(&room, None, 90));
        assert!(!publish(&room, None, 20));
        assert!(publish(&room, None, 10), "the record that was taken is free again");
    }

    #[test]
    fn what_a_record_takes_beside_its_bytes_counts() {
        let room = Room::new(Mark { records: None, bytes: Some(100) }, 40);
        assert!(publish(&room, None, 10));
        assert!(!publish(&room, None, 11));
        assert!(publish(&room, None, 10));
        assert_eq!(room.bytes(), 20);
        room.left(10);
        assert!(publish(&room, Some(10), 60));
    }

    #[tokio::test]
    async fn who_waits_gets_room_and_is_known_to_wait() {
        let room = small();
        assert!(publish(&room, None, 100));
        let mut permit = room.permit();
        {
            let take = permit.take(Need { records: 1, bytes: 50 });
            tokio::pin!(take);
            assert!(futures::poll!(take.as_mut()).is_pending());
            assert!(room.is_wanted());
            room.left(100);
            take.await;
        }
        assert!(!room.is_wanted());
        assert_eq!(permit.taken, Need { records: 1, bytes: 50 });
    }
}

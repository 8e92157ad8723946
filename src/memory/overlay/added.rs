//! What a memory table adds to what the database returns, and which of that comes elsewhere.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};

use super::candidates::Candidate;
use super::order::{Order, Position};
use crate::codec::item_key;
use crate::key::Key;
use crate::record::Record;
use crate::table::{AddedTo, Place, Places};

/// The records that are to be added, the next one first, and which ones of the database they stand for.
///
/// Invariant: what is returned of those that wait is the next ones that have not come, in their order.
pub(super) struct Added {
    waiting: VecDeque<Candidate>,
    /// Those that wait for the end of what is at their position.
    late: VecDeque<Candidate>,
    /// These come where they are here, not where the database has them.
    hidden: HashSet<Key>,
    /// These come where the database has them, in a query only if it is here, and are added only if it
    /// does not.
    expected: HashMap<Key, Option<Position>>,
    /// Those that came or were returned.
    done: HashSet<Key>,
    /// The database may have these where it was not asked.
    doubtful: HashSet<Key>,
    is_query: bool,
    /// The place of the last that was returned, if the database has not come behind it.
    last: Option<AddedTo>,
    /// The same of the read that goes on.
    resumed: Option<Rank>,
}

/// Where a record comes among those that are added.
struct Rank {
    position: Position,
    is_late: bool,
    key: Option<Key>,
}

impl Rank {
    fn key_bytes(&self) -> Option<&[u8]> {
        self.key.as_ref().map(Key::as_bytes)
    }
}

/// How a record comes that the database returned.
pub(super) enum Comes {
    /// At another place, or it has come before.
    Elsewhere,
    /// Here; it was unsaved when the read began.
    Unsaved,
    Here,
}

impl Added {
    /// Those of the records that are to come in a read that goes on at these places.
    pub(super) fn new<T: Record>(order: &Order<T>, places: &Places) -> Self {
        let last = places.added.clone().filter(|last| *last != AddedTo::Start);
        let resumed = last.as_ref().and_then(|last| {
            let place = last.key()?.as_bytes();
            Some(Rank {
                position: order.position(place),
                is_late: matches!(last, AddedTo::AfterLate(_)),
                key: item_key(place, T::PARTITION_KEY, T::SORT_KEY),
            })
        });
        Self {
            waiting: VecDeque::new(),
            late: VecDeque::new(),
            hidden: HashSet::new(),
            expected: HashMap::new(),
            done: HashSet::new(),
            doubtful: HashSet::new(),
            is_query: order.is_query(),
            last,
            resumed,
        }
    }

    /// The database may return this one in a form that is not the one here. `there`: it comes there, if
    /// the database has it at this position.
    pub(super) fn unsaved(&mut self, key: Key, there: Option<Position>) {
        if self.is_query && there.is_none() {
            self.hidden.insert(key);
        } else {
            self.expected.insert(key, there);
        }
    }

    /// These may have to be added.
    pub(super) fn wait<T: Record>(
        &mut self,
        mut candidates: Vec<Candidate>,
        order: &Order<T>,
        places: &Places,
    ) {
        candidates.sort_by(|one, other| {
            let by_position = order.compare(&one.position, &other.position);
            let by_kind = by_position.then(one.is_late.cmp(&other.is_late));
            by_kind.then_with(|| one.key.as_bytes().cmp(other.key.as_bytes()))
        });
        candidates.retain(|candidate| self.is_to_come(candidate, order, places));
        let doubtful = candidates.iter().filter(|candidate| {
            let is_tied = || self.against_place(candidate, order, places) == Some(Ordering::Equal);
            candidate.is_doubtful || (candidate.is_late && is_tied())
        });
        self.doubtful = doubtful.map(|candidate| candidate.key.clone()).collect();
        (self.late, self.waiting) = candidates.into_iter().partition(|candidate| candidate.is_late);
    }

    /// Where a candidate is, seen from where a query goes on.
    fn against_place<T: Record>(
        &self,
        candidate: &Candidate,
        order: &Order<T>,
        places: &Places,
    ) -> Option<Ordering> {
        match places.parts.first() {
            Some(Place::After(place)) if self.is_query => {
                Some(order.compare(&candidate.position, &order.position(place.as_bytes())))
            }
            _ => None,
        }
    }

    /// Whether a read that goes on at these places has not returned it before.
    fn is_to_come<T: Record>(
        &self,
        candidate: &Candidate,
        order: &Order<T>,
        places: &Places,
    ) -> bool {
        let behind_last = self.resumed.as_ref().is_none_or(|last| {
            if last.key.as_ref() == Some(&candidate.key) {
                return false;
            }
            let by_position = order.compare(&candidate.position, &last.position);
            let by_kind = by_position.then(candidate.is_late.cmp(&last.is_late));
            by_kind.then_with(|| Some(candidate.key.as_bytes()).cmp(&last.key_bytes())).is_gt()
        });
        let behind_read = match self.against_place(candidate, order, places) {
            // What ties with an item comes before it, unless it comes where the database has it.
            Some(Ordering::Equal) => candidate.is_late || order.sort.is_none(),
            Some(against) => against.is_gt(),
            None => {
                !self.is_query
                    || places.parts.first() != Some(&Place::End)
                    || places.added.is_some()
            }
        };
        behind_last && behind_read
    }

    /// How many the database may return that are not returned as they come.
    pub(super) fn count(&self) -> usize {
        self.hidden.len() + self.expected.len()
    }

    /// Whether the database may return some in a form that does not meet a filter which they meet here.
    pub(super) fn expects_any(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Whether the record that the database returned comes at another place.
    pub(super) fn hides(&self, key: &Key) -> bool {
        self.hidden.contains(key)
    }

    /// Whether an item was returned before, as one that was added, and was saved since.
    pub(super) fn is_passed<T: Record>(&self, order: &Order<T>, key: &Key, item: &[u8]) -> bool {
        let Some(last) = self.resumed.as_ref().filter(|_| self.is_query) else { return false };
        match order.compare(&order.position(item), &last.position) {
            Ordering::Less => true,
            Ordering::Equal if last.is_late => true,
            // Without a sort key what is added comes behind all that the database has.
            Ordering::Equal if order.sort.is_none() => Some(key.as_bytes()) <= last.key_bytes(),
            Ordering::Equal => Some(key.as_bytes()) == last.key_bytes(),
            Ordering::Greater => false,
        }
    }

    /// The database returned a record.
    pub(super) fn meet<T: Record>(&mut self, order: &Order<T>, key: &Key, item: &[u8]) -> Comes {
        if self.hidden.contains(key) {
            return Comes::Elsewhere;
        }
        let Some(there) = self.expected.get(key) else { return Comes::Here };
        let is_there = |there: &Position| order.compare(there, &order.position(item)).is_eq();
        if !there.as_ref().is_none_or(is_there) {
            return Comes::Elsewhere;
        }
        self.skip(key);
        Comes::Unsaved
    }

    /// A record has come, here or before.
    pub(super) fn skip(&mut self, key: &Key) {
        self.done.insert(key.clone());
        for queue in [&mut self.waiting, &mut self.late] {
            while queue.front().is_some_and(|first| self.done.contains(&first.key)) {
                queue.pop_front();
            }
        }
    }

    /// What comes before an item of the database.
    pub(super) fn up_to<T: Record>(&self, order: &Order<T>, item: &[u8]) -> Vec<Key> {
        if order.sort.is_none() || (self.waiting.is_empty() && self.late.is_empty()) {
            return Vec::new();
        }
        let end = order.position(item);
        let against = |candidate: &Candidate| order.compare(&candidate.position, &end);
        let waiting = self.waiting.iter().take_while(|candidate| against(candidate).is_le());
        let late = self.late.iter().take_while(|candidate| against(candidate).is_lt());
        self.merged(order, waiting, late)
    }

    /// What comes at the end of a part.
    pub(super) fn of_part<T: Record>(&self, order: &Order<T>) -> Vec<Key> {
        // A scan may have others.
        if self.is_query { self.rest(order) } else { Vec::new() }
    }

    /// What comes at the end of all parts.
    pub(super) fn rest<T: Record>(&self, order: &Order<T>) -> Vec<Key> {
        self.merged(order, self.waiting.iter(), self.late.iter())
    }

    /// Those that have not come, in their order.
    fn merged<'c, T: Record>(
        &self,
        order: &Order<T>,
        waiting: impl Iterator<Item = &'c Candidate>,
        late: impl Iterator<Item = &'c Candidate>,
    ) -> Vec<Key> {
        let waits = |candidate: &&Candidate| !self.done.contains(&candidate.key);
        let mut late = late.filter(waits).peekable();
        let mut keys = Vec::new();
        for candidate in waiting.filter(waits) {
            let before =
                |late: &&Candidate| order.compare(&late.position, &candidate.position).is_lt();
            while let Some(late) = late.next_if(before) {
                keys.push(late.key.clone());
            }
            keys.push(candidate.key.clone());
        }
        keys.extend(late.map(|late| late.key.clone()));
        keys
    }

    /// Those of some keys that the database may have all the same, where it was not asked.
    pub(super) fn doubtful(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter().filter(|key| self.doubtful.contains(*key)).cloned().collect()
    }

    /// The next one has been looked at, and does not come any more where the database has it.
    pub(super) fn returned(&mut self, key: &Key) {
        for (queue, to) in [
            (&self.waiting, AddedTo::After as fn(String) -> AddedTo),
            (&self.late, AddedTo::AfterLate),
        ] {
            let next = queue.iter().find(|candidate| !self.done.contains(&candidate.key));
            if let Some(next) = next.filter(|next| next.key == *key) {
                self.last = Some(to(next.place.clone()));
            }
        }
        self.skip(key);
        if self.is_query {
            self.hidden.insert(key.clone());
        }
    }

    /// The database came to an item, behind everything that was returned before it.
    pub(super) fn passed(&mut self) {
        if self.is_query {
            self.last = None;
        }
    }

    /// How far it came, for a cursor at these places.
    pub(super) fn place(&self, places: &Places) -> Option<AddedTo> {
        let ended = places.parts.iter().all(|part| *part == Place::End);
        let waits = |candidate: &Candidate| !self.done.contains(&candidate.key);
        match &self.last {
            _ if ended && !self.waiting.iter().chain(&self.late).any(waits) => None,
            Some(last) if ended || self.is_query => Some(last.clone()),
            None if ended => Some(AddedTo::Start),
            _ => None,
        }
    }
}

//! What a memory table adds to what the database returns, and in which order.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::marker::PhantomData;

use crate::breaks::broken;
use crate::codec::tree::{Node, field, parse_item};
use crate::codec::{item_key, key_json, key_of_item};
use crate::condition::Condition;
use crate::error::Error;
use crate::key::Key;
use crate::memory::Shared;
use crate::memory::slot::Known;
use crate::number::Decimal;
use crate::record::Record;
use crate::table::{Place, Places, Reader, cursor_keys};

/// The order in which a query or scan returns records.
pub(super) struct Order<T> {
    /// The attribute that a query sorts by; in a scan what is added comes last.
    sort: Option<&'static str>,
    is_query: bool,
    descending: bool,
    /// The attributes of a place.
    pub(super) keys: Vec<&'static str>,
    record: PhantomData<fn() -> T>,
}

/// Where a record is in a query: its sort key.
#[derive(Clone, Debug)]
enum Position {
    Text(String),
    Number(Decimal),
    Bytes(Vec<u8>),
    /// Behind everything that the database returns.
    End,
}

impl Position {
    fn of(node: Option<&Node<'_>>) -> Self {
        match node {
            Some(Node::S(text)) => Self::Text(text.clone().into_owned()),
            Some(Node::N(text)) => Decimal::parse(text).map_or(Self::End, Self::Number),
            Some(Node::B(bytes)) => Self::Bytes(bytes.clone()),
            _ => Self::End,
        }
    }

    /// Ascending; DynamoDB sorts text by its UTF-8 bytes, as Rust does.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            (Self::End, Self::End) => Ordering::Equal,
            (Self::End, _) => Ordering::Greater,
            // All of a query are of one type.
            _ => Ordering::Less,
        }
    }
}

impl<T: Record> Order<T> {
    pub(super) fn new(reader: &Reader<T>) -> Self {
        let is_query = reader.key.is_some();
        let sort = match reader.index {
            None => T::SORT_KEY,
            Some(index) => index.sort_key_spec().map(|key| key.name),
        };
        Self {
            sort: sort.filter(|_| is_query),
            is_query,
            descending: reader.descending,
            keys: cursor_keys::<T>(reader.index),
            record: PhantomData,
        }
    }

    fn position(&self, item: &[u8]) -> Position {
        let Some(sort) = self.sort else { return Position::End };
        parse_item(item).map_or(Position::End, |fields| Position::of(field(&fields, sort)))
    }

    fn compare(&self, one: &Position, other: &Position) -> Ordering {
        let ascending = one.compare(other);
        // What has no place comes last in both directions.
        let ends = matches!(one, Position::End) || matches!(other, Position::End);
        if self.descending && !ends { ascending.reverse() } else { ascending }
    }

    /// The attributes of an item by which a read can go on behind it.
    pub(super) fn place(&self, item: &[u8]) -> Result<String, Error> {
        let place = parse_item(item).ok().and_then(|fields| key_of_item(&fields, &self.keys));
        place.ok_or_else(super::no_key)
    }
}

/// The same hash of a key in every process.
fn stable_hash(key: &Key) -> u64 {
    // FNV-1a: short keys, and no need of resistance.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    key.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A record that is unsaved, or was until a moment ago.
struct Candidate {
    key: Key,
    position: Position,
    /// The attributes of its place.
    place: String,
    /// The database may have it, though it did not return it.
    is_doubtful: bool,
}

/// The records that are to be added, the next one first, and which ones of the database they stand for.
pub(super) struct Added {
    waiting: VecDeque<Candidate>,
    /// These come where they are here, not where the database has them.
    hidden: HashSet<Key>,
    /// These come where the database has them, and are added only if it does not.
    expected: HashSet<Key>,
    /// Those of them that came.
    came: HashSet<Key>,
    is_query: bool,
    /// The database may have returned others before, or somewhere else.
    is_part: bool,
    /// The place of the last that was returned.
    last: Option<String>,
}

/// What is known of a slot that is unsaved, or was a moment ago.
struct Unsaved<T> {
    key: Key,
    now: Known<T>,
    /// What the database has, as far as it is known.
    base: Known<T>,
    /// Nothing is unsaved any more.
    is_saved: bool,
}

impl Added {
    pub(super) fn of<T: Record>(
        shared: &Shared<T>,
        reader: &Reader<T>,
        order: &Order<T>,
        places: &Places,
    ) -> Self {
        let mut added = Self {
            waiting: VecDeque::new(),
            hidden: HashSet::new(),
            expected: HashSet::new(),
            came: HashSet::new(),
            is_query: order.is_query,
            is_part: reader.segment.is_some() || reader.start.is_some(),
            last: places.added.clone().filter(|place| !place.is_empty()),
        };
        let mut candidates = Vec::new();
        for unsaved in shared.unsaved_now(reader) {
            if matches!((&unsaved.now, reader.index), (Known::Unknown, Some(_))) {
                // Only the index says whether it is among them.
                continue;
            }
            candidates.extend(shared.candidate(&unsaved, reader, order, added.is_part));
            let at = if order.is_query { &mut added.hidden } else { &mut added.expected };
            at.insert(unsaved.key);
        }
        candidates.sort_by(|one: &Candidate, other| {
            let by_position = order.compare(&one.position, &other.position);
            by_position.then_with(|| one.key.as_bytes().cmp(other.key.as_bytes()))
        });
        candidates.retain(|candidate| added.is_to_come(candidate, order, places));
        added.waiting = candidates.into();
        added
    }

    /// Whether a read that goes on at these places has not returned it before.
    fn is_to_come<T: Record>(
        &self,
        candidate: &Candidate,
        order: &Order<T>,
        places: &Places,
    ) -> bool {
        let is_behind = |place: &str| {
            let position = order.position(place.as_bytes());
            let by_position = order.compare(&candidate.position, &position);
            let key = item_key(place.as_bytes(), T::PARTITION_KEY, T::SORT_KEY);
            let by_key = || {
                key.map_or(Ordering::Greater, |key| candidate.key.as_bytes().cmp(key.as_bytes()))
            };
            (by_position, by_position.then_with(by_key))
        };
        let behind_last = self.last.as_deref().is_none_or(|last| is_behind(last).1.is_gt());
        let behind_read = match places.parts.first() {
            Some(Place::After(place)) if order.sort.is_some() => is_behind(place).0.is_gt(),
            Some(Place::End) if order.is_query => places.added.is_some(),
            _ => true,
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

    /// The database returned a record; whether it was unsaved when the read began.
    pub(super) fn note(&mut self, key: &Key) -> bool {
        let is_expected = self.expected.contains(key);
        if is_expected {
            self.came.insert(key.clone());
        }
        is_expected
    }

    /// What comes up to an item of the database.
    pub(super) fn up_to<T: Record>(&self, order: &Order<T>, item: &[u8]) -> Vec<Key> {
        if self.waiting.is_empty() || order.sort.is_none() {
            return Vec::new();
        }
        let end = order.position(item);
        let comes = |candidate: &&Candidate| order.compare(&candidate.position, &end).is_le();
        self.waiting.iter().take_while(comes).map(|candidate| candidate.key.clone()).collect()
    }

    /// What comes at the end of a part.
    pub(super) fn of_part(&self) -> Vec<Key> {
        // A scan may have others.
        if self.is_query { self.rest() } else { Vec::new() }
    }

    /// What comes at the end of all parts.
    pub(super) fn rest(&self) -> Vec<Key> {
        let waiting = self.waiting.iter().filter(|candidate| !self.came.contains(&candidate.key));
        waiting.map(|candidate| candidate.key.clone()).collect()
    }

    /// Those of the rest that the database may have all the same, where it was not asked.
    pub(super) fn doubtful(&self) -> Vec<Key> {
        let is_doubtful = |candidate: &&Candidate| {
            !self.is_query
                && self.is_part
                && candidate.is_doubtful
                && !self.came.contains(&candidate.key)
        };
        self.waiting.iter().filter(is_doubtful).map(|candidate| candidate.key.clone()).collect()
    }

    /// These are not to be added.
    pub(super) fn drop_all(&mut self, keys: &HashSet<Key>) {
        self.waiting.retain(|candidate| !keys.contains(&candidate.key));
    }

    /// The next one has been looked at.
    pub(super) fn returned(&mut self, key: &Key) {
        while let Some(candidate) = self.waiting.pop_front() {
            let is_it = candidate.key == *key;
            if is_it || !self.came.contains(&candidate.key) {
                self.last = Some(candidate.place);
            }
            if is_it {
                return;
            }
        }
    }

    /// The database came to an item, behind everything that was returned before it.
    pub(super) fn passed(&mut self) {
        if self.is_query {
            self.last = None;
        }
    }

    /// How far it came, for a cursor at these places.
    pub(super) fn place(&self, places: &Places) -> Option<String> {
        let ended = places.parts.iter().all(|part| *part == Place::End);
        match &self.last {
            _ if ended && self.rest().is_empty() => None,
            Some(last) if ended || self.is_query => Some(last.clone()),
            None if ended => Some(String::new()),
            _ => None,
        }
    }
}

impl<T: Record> Shared<T> {
    /// The keys of what is unsaved, and of what was saved a moment ago if that counts too.
    pub(super) fn keys_to_look_at(&self, reader: &Reader<T>) -> Vec<Key> {
        if broken(24) {
            return Vec::new();
        }
        let mut keys = self.slots.unsaved_within(reader.prefix.as_deref().unwrap_or_default());
        if reader.index.is_some() {
            keys.extend(self.recent.keys());
            keys = crate::load::distinct(keys);
        }
        keys
    }

    fn unsaved_now(&self, reader: &Reader<T>) -> Vec<Unsaved<T>> {
        let unsaved = |key: Key| {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes())?;
            let now = slot.now.clone();
            let (base, is_saved) = match &slot.unsaved {
                None => (now.clone(), true),
                Some(unsaved) if unsaved.base.item.is_some() => (Known::Unknown, false),
                Some(unsaved) => (unsaved.base.known.clone(), false),
            };
            Some(Unsaved { key, now, base, is_saved })
        };
        self.keys_to_look_at(reader).into_iter().filter_map(unsaved).collect()
    }

    /// A record as one that may have to be added, if it is among what is asked for.
    fn candidate(
        &self,
        unsaved: &Unsaved<T>,
        reader: &Reader<T>,
        order: &Order<T>,
        is_part: bool,
    ) -> Option<Candidate> {
        let Unsaved { key, now, base, is_saved } = unsaved;
        if matches!(now, Known::Absent) {
            return None;
        }
        if let Some(segment) = reader.segment
            && stable_hash(key) % u64::from(reader.segments.max(1)) != u64::from(segment)
        {
            return None;
        }
        let in_index = |known: &Known<T>| {
            let record = known.record()?;
            let item = self.encoded_form(&record, key).ok()?.json;
            let fields = parse_item(&item).ok()?;
            order.keys.iter().all(|name| field(&fields, name).is_some()).then_some(item)
        };
        let item = match reader.index {
            None => key_json::<T>(key),
            // What an index has is in the record; what it had before came from it, or will.
            Some(_) if !order.is_query && is_part && (*is_saved || in_index(base).is_some()) => {
                return None;
            }
            Some(_) => in_index(now)?,
        };
        let fields = parse_item(&item).ok()?;
        let is_asked = |condition: &Condition| condition.evaluate(&fields).unwrap_or(false);
        reader.key.as_ref().is_none_or(is_asked).then(|| Candidate {
            key: key.clone(),
            position: order.position(&item),
            place: order.place(&item).unwrap_or_default(),
            is_doubtful: reader.index.is_none() && !matches!(base, Known::Absent),
        })
    }
}

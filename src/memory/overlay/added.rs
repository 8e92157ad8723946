//! What a memory table adds to what the database returns, and in which order.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::marker::PhantomData;

use crate::breaks::broken;
use crate::codec::tree::{Node, field, parse_item};
use crate::codec::{item_key, key_of_item};
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
    keys: Vec<&'static str>,
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
}

/// The records that are to be added, the next one first, and which ones of the database they stand for.
pub(super) struct Added {
    waiting: VecDeque<Candidate>,
    /// These come where they are here, not where the database has them.
    hidden: super::Keys,
    /// These come where the database has them, and are added only if it does not.
    expected: super::Keys,
    is_query: bool,
    /// The place of the last that was returned.
    last: Option<String>,
}

/// What is known of a slot that is unsaved.
struct Unsaved<T> {
    key: Key,
    now: Known<T>,
    /// The database is known to have a record of the key.
    is_stored: bool,
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
            is_query: order.is_query,
            last: places.added.clone().filter(|place| !place.is_empty()),
        };
        let is_new_to = |unsaved: &Unsaved<T>| {
            let alone = reader.segment.is_some() || reader.start.is_some();
            order.is_query || reader.index.is_some() || !(alone && unsaved.is_stored)
        };
        let mut candidates = Vec::new();
        for unsaved in shared.unsaved_now(reader.index.is_some()) {
            let is_new = is_new_to(&unsaved);
            let comes_stored = !order.is_query && reader.index.is_none() && unsaved.is_stored;
            let candidate = match unsaved.now {
                Known::Absent => None,
                _ => shared.candidate(&unsaved, reader, order),
            };
            if comes_stored {
                added.expected.insert(unsaved.key);
            } else {
                added.hidden.insert(unsaved.key);
            }
            candidates.extend(candidate.filter(|_| is_new));
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
            Some(Place::After(place)) if order.is_query => is_behind(place).0.is_gt(),
            Some(Place::End) if order.is_query => places.added.is_some(),
            _ => true,
        };
        behind_last && behind_read
    }

    /// How many the database may return that are not returned as they come.
    pub(super) fn count(&self) -> usize {
        self.hidden.len() + self.expected.len()
    }

    /// Whether the record that the database returned comes at another place.
    pub(super) fn takes(&mut self, key: &Key) -> bool {
        if self.expected.contains(key) {
            // Here it is.
            self.waiting.retain(|candidate| candidate.key != *key);
        }
        self.hidden.contains(key)
    }

    /// What comes before an item of the database.
    pub(super) fn before<T: Record>(&self, order: &Order<T>, item: &[u8]) -> Vec<Key> {
        self.up_to(order, item)
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
        self.waiting.iter().map(|candidate| candidate.key.clone()).collect()
    }

    /// The next one has been looked at.
    pub(super) fn returned(&mut self, key: &Key) {
        if self.waiting.front().is_some_and(|candidate| candidate.key == *key) {
            self.last = self.waiting.pop_front().map(|candidate| candidate.place);
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
            _ if ended && self.waiting.is_empty() => None,
            Some(last) if ended || self.is_query => Some(last.clone()),
            None if ended => Some(String::new()),
            _ => None,
        }
    }
}

impl<T: Record> Shared<T> {
    /// What is unsaved, and what was saved a moment ago if that counts too.
    fn unsaved_now(&self, recent: bool) -> Vec<Unsaved<T>> {
        let mut keys = self.slots.unsaved_keys(if broken(24) { 0 } else { u64::MAX });
        if recent {
            keys.extend(self.recent.keys());
            keys = crate::load::distinct(keys);
        }
        let unsaved = |key: Key| {
            let mut locked = self.slots.lock(key.as_bytes());
            let slot = locked.find(key.as_bytes())?;
            let now = slot.now.clone();
            let is_stored = match &slot.unsaved {
                None => matches!(now, Known::Record(_)),
                Some(unsaved) => matches!(unsaved.base.known, Known::Record(_)),
            };
            Some(Unsaved { key: slot.key.clone(), now, is_stored })
        };
        keys.into_iter().filter_map(unsaved).collect()
    }

    /// A record as one that may have to be added, if it is among what is asked for.
    fn candidate(
        &self,
        unsaved: &Unsaved<T>,
        reader: &Reader<T>,
        order: &Order<T>,
    ) -> Option<Candidate> {
        let Unsaved { key, now, .. } = unsaved;
        if let Some(segment) = reader.segment
            && stable_hash(key) % u64::from(reader.segments.max(1)) != u64::from(segment)
        {
            return None;
        }
        let item = match (now, reader.index) {
            // What an index has is in the record.
            (Known::Record(record), Some(_)) => self.encoded_form(record, key).ok()?.json,
            (_, Some(_)) => return None,
            (_, None) => super::key_item::<T>(key),
        };
        let fields = Self::key_fields(&item)?;
        let is_asked = |condition: &Condition| condition.evaluate(&fields).unwrap_or(false);
        let has_keys = order.keys.iter().all(|name| field(&fields, name).is_some());
        let is_it = has_keys && reader.key.as_ref().is_none_or(is_asked);
        is_it.then(|| {
            let place = order.place(&item).unwrap_or_default();
            Candidate { key: key.clone(), position: order.position(&item), place }
        })
    }
}

//! What a query or scan returns, and in which order.

use std::cmp::Ordering;
use std::marker::PhantomData;

use crate::codec::key_of_item;
use crate::codec::tree::{Node, field, parse_item};
use crate::condition::Condition;
use crate::error::Error;
use crate::number::Decimal;
use crate::record::Record;
use crate::table::{Reader, cursor_keys};

/// What a query or scan returns, and in which order.
pub(super) struct Order<T> {
    /// The attribute that a query sorts by; in a scan what is added comes last.
    pub(super) sort: Option<&'static str>,
    /// What a query asks for.
    pub(super) key: Option<Condition>,
    descending: bool,
    /// The attributes of a place.
    pub(super) keys: Vec<&'static str>,
    record: PhantomData<fn() -> T>,
}

/// Where a record is in a query: its sort key.
#[derive(Clone, Debug)]
pub(super) enum Position {
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
            key: reader.key.clone(),
            descending: reader.descending,
            keys: cursor_keys::<T>(reader.index),
            record: PhantomData,
        }
    }

    pub(super) const fn is_query(&self) -> bool {
        self.key.is_some()
    }

    /// Where a stored item is among what is returned; `None` if it is not.
    pub(super) fn has(&self, item: &[u8]) -> Option<Position> {
        let fields = parse_item(item).ok()?;
        let has_keys = self.keys.iter().all(|name| field(&fields, name).is_some());
        let is_asked = |condition: &Condition| condition.evaluate(&fields).unwrap_or(false);
        let is_there = has_keys && self.key.as_ref().is_none_or(is_asked);
        is_there.then(|| self.position(item))
    }

    pub(super) fn position(&self, item: &[u8]) -> Position {
        let Some(sort) = self.sort else { return Position::End };
        parse_item(item).map_or(Position::End, |fields| Position::of(field(&fields, sort)))
    }

    pub(super) fn compare(&self, one: &Position, other: &Position) -> Ordering {
        let ascending = one.compare(other);
        // What has no place comes last in both directions.
        let ends = matches!(one, Position::End) || matches!(other, Position::End);
        if self.descending && !ends { ascending.reverse() } else { ascending }
    }

    /// The attributes of an item by which a read can go on behind it.
    pub(super) fn place(&self, item: &[u8]) -> Result<String, Error> {
        let place = parse_item(item).ok().and_then(|fields| key_of_item(&fields, &self.keys));
        place.ok_or_else(super::reading::no_key)
    }
}

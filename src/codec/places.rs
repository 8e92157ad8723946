//! Where the attributes of an item are within its JSON.

use std::ops::Range;

use smallvec::SmallVec;

use super::CodecError;
use super::tree::{Node, parse_value, write_text};
use crate::json::has_escapes;

/// The attributes of an item within its JSON.
pub(crate) type Places = SmallVec<[Place; 16]>;

/// Where an attribute is: its name, with its quotation marks, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

impl Place {
    pub(crate) fn of(name: Range<usize>, value: Range<usize>) -> Self {
        // Nothing that long is an item: it is found nowhere.
        let at = |at| u32::try_from(at).unwrap_or(u32::MAX);
        let of = |range: Range<usize>| (at(range.start), at(range.end));
        Self { name: of(name), value: of(value) }
    }

    /// The name and the value.
    pub(crate) fn parts(self, json: &[u8]) -> (&[u8], &[u8]) {
        let at = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let part = |(start, end)| json.get(at(start)..at(end)).unwrap_or_default();
        (part(self.name), part(self.value))
    }
}

/// The attributes of an item, as they stand in its JSON.
#[derive(Clone, Copy)]
pub(super) struct Values<'v> {
    pub(super) json: &'v [u8],
    pub(super) places: &'v Places,
}

impl<'v> Values<'v> {
    fn each(self) -> impl Iterator<Item = (&'v [u8], &'v [u8])> {
        self.places.iter().map(move |place| place.parts(self.json))
    }

    /// The value of a name.
    pub(super) fn get(self, name: &str) -> Option<&'v [u8]> {
        self.find(name).map(|(_, value)| value)
    }

    /// The place among all of the attribute of a name, and its value.
    pub(super) fn find(self, name: &str) -> Option<(usize, &'v [u8])> {
        let is_plain = !has_escapes(name.as_bytes());
        let is_named = |quoted: &[u8]| match quoted {
            [b'"', plain @ .., b'"'] if is_plain => plain == name.as_bytes(),
            _ => {
                let mut text = Vec::with_capacity(2 * name.len());
                write_text(&mut text, name);
                text == quoted
            }
        };
        let mut named = self.each().enumerate().filter(|(_, (name, _))| is_named(name));
        named.next().map(|(place, (_, value))| (place, value))
    }

    /// The same as a tree.
    pub(super) fn node(self, name: &str) -> Result<Option<Node<'v>>, CodecError> {
        let node = self.get(name).map(parse_value).transpose();
        node.map_err(|error| CodecError::new(error.to_string()))
    }

    pub(super) fn count(self) -> usize {
        self.places.len()
    }
}

//! Where what is written of an item goes: into its JSON, nowhere, or beside what is stored.

use std::ops::Range;

use smallvec::SmallVec;

use crate::codec::places::{Place, Places, Values};
use crate::codec::tree::write_text;
use crate::json::has_escapes;

/// Most items have no more bytes of JSON.
const MOSTLY: usize = 512;
/// Nor most keys.
const MOSTLY_KEYS: usize = 128;

/// What becomes of an item that is written.
pub(super) enum Out<'e> {
    Json(Vec<u8>),
    /// Only its size is wanted, and what is looked at afterwards: that is written.
    Size {
        json: Vec<u8>,
        looked_at: &'e [&'static str],
        is_on: bool,
    },
    Same(Same<'e>),
}

/// An item is compared with one that is stored, by its text.
pub(super) struct Same<'e> {
    stored: Values<'e>,
    /// What is stored of the attribute that is being written, from here on.
    rest: &'e [u8],
    /// Which of the attributes were written.
    written: SmallVec<[bool; 32]>,
    /// Something else was written.
    is_other: bool,
}

/// An attribute that is being written.
pub(super) struct Begun {
    /// The length of all before it.
    before: usize,
    was_first: bool,
    name: Range<usize>,
    /// There is no such attribute in what is stored.
    is_missing: bool,
}

impl<'e> Out<'e> {
    pub(super) fn json() -> Self {
        Self::Json(Vec::with_capacity(MOSTLY))
    }

    /// Of a value that is mostly small.
    pub(super) const fn small_json() -> Self {
        Self::Json(Vec::new())
    }

    pub(super) fn size(looked_at: &'e [&'static str]) -> Self {
        Self::Size { json: Vec::with_capacity(MOSTLY_KEYS), looked_at, is_on: false }
    }

    pub(super) fn same(stored: Values<'e>) -> Self {
        let written = SmallVec::from_elem(false, stored.count());
        Self::Same(Same { stored, rest: &[], written, is_other: false })
    }

    /// What was written.
    pub(super) fn into_json(self) -> Vec<u8> {
        match self {
            Self::Json(json) | Self::Size { json, .. } => json,
            Self::Same(_) => Vec::new(),
        }
    }

    /// Whether all that is stored was written, and nothing else.
    pub(super) fn is_same(&self) -> bool {
        match self {
            Self::Same(same) => !same.is_other && same.written.iter().all(|written| *written),
            Self::Json(_) | Self::Size { .. } => false,
        }
    }

    /// What is written now is to be kept.
    const fn kept(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Json(json) | Self::Size { json, is_on: true, .. } => Some(json),
            Self::Size { .. } | Self::Same(_) => None,
        }
    }

    /// Text that is JSON.
    pub(super) fn raw(&mut self, json: &[u8]) {
        if let Self::Same(same) = self {
            same.compare(json);
        } else if let Some(kept) = self.kept() {
            kept.extend_from_slice(json);
        }
    }

    /// A string.
    pub(super) fn text(&mut self, text: &str) {
        if let Self::Same(same) = self {
            same.compare_text(text);
        } else if let Some(kept) = self.kept() {
            write_text(kept, text);
        }
    }

    /// What `write` makes is JSON.
    pub(super) fn made(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Self::Same(same) = self {
            let mut json = Vec::new();
            write(&mut json);
            same.compare(&json);
        } else if let Some(kept) = self.kept() {
            write(kept);
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(json) | Self::Size { json, .. } => json.len(),
            Self::Same(_) => 0,
        }
    }

    /// Takes back what was written since.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Json(json) | Self::Size { json, .. } => json.truncate(len),
            // What was compared is not compared again.
            Self::Same(same) => same.is_other = true,
        }
    }

    /// What is around the attributes of the item.
    pub(super) fn brace(&mut self, brace: u8) {
        if let Self::Json(json) = self {
            json.push(brace);
        }
    }

    /// An attribute of the item begins.
    pub(super) fn begin(&mut self, name: &str, first: &mut bool) -> Begun {
        let (before, was_first) = (self.len(), *first);
        let mut is_missing = false;
        match self {
            Self::Json(_) => {}
            Self::Size { looked_at, is_on, .. } => *is_on = looked_at.contains(&name),
            Self::Same(same) => {
                is_missing = !same.begin(name);
                return Begun { before, was_first, name: 0..0, is_missing };
            }
        }
        if !std::mem::take(first) {
            self.raw(b",");
        }
        let begin = self.len();
        self.text(name);
        let end = self.len();
        self.raw(b":");
        Begun { before, was_first, name: begin..end, is_missing }
    }

    /// It ended; or is to be left out, as if it had never begun.
    pub(super) fn end(
        &mut self,
        begun: Begun,
        left_out: bool,
        first: &mut bool,
        places: &mut Places,
    ) {
        if left_out {
            *first = begun.was_first;
        }
        match self {
            Self::Same(same) => same.end(&begun, left_out),
            Self::Json(json) | Self::Size { json, .. } if left_out => json.truncate(begun.before),
            Self::Size { is_on: false, .. } => {}
            Self::Json(json) | Self::Size { json, .. } => {
                let value = begun.name.end + 1..json.len();
                places.push(Place::of(begun.name, value));
            }
        }
    }
}

impl Same<'_> {
    fn compare(&mut self, json: &[u8]) {
        match self.rest.strip_prefix(json) {
            Some(rest) => self.rest = rest,
            None => self.is_other = true,
        }
    }

    fn compare_text(&mut self, text: &str) {
        let plain =
            self.rest.strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(text.as_bytes()));
        match plain.and_then(|rest| rest.strip_prefix(b"\"")) {
            // Text with something to escape is not stored as it is.
            Some(rest) => self.rest = rest,
            None if has_escapes(text.as_bytes()) => {
                let mut json = Vec::with_capacity(2 * text.len());
                write_text(&mut json, text);
                self.compare(&json);
            }
            None => self.is_other = true,
        }
    }

    /// Whether there is an attribute of this name.
    fn begin(&mut self, name: &str) -> bool {
        let Some((place, value)) = self.stored.find(name) else { return false };
        self.rest = value;
        // Of two of one name nobody knows which is meant.
        self.is_other |=
            self.written.get_mut(place).is_none_or(|written| std::mem::replace(written, true));
        true
    }

    fn end(&mut self, begun: &Begun, left_out: bool) {
        if begun.is_missing && left_out {
            return;
        }
        self.is_other |= begun.is_missing || left_out || !self.rest.is_empty();
    }
}

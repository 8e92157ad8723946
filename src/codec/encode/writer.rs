//! The bytes of an item in the making.

use super::out::Out;
use crate::codec::CodecError;
use crate::codec::places::Places;
use crate::codec::tree::{MAX_DEPTH, Node, number_size};
use crate::number::Measure;

/// The JSON so far, the size it counts, and how deep it is nested.
pub(super) struct Writer<'e> {
    pub(super) out: Out<'e>,
    pub(super) size: usize,
    /// Where the attributes of the item are.
    pub(super) places: Places,
    depth: usize,
    /// The value just written is to be no attribute at all.
    left_out: bool,
}

impl<'e> Writer<'e> {
    pub(super) fn new(out: Out<'e>) -> Self {
        Self { out, size: 0, places: Places::new(), depth: 0, left_out: false }
    }

    pub(super) fn tag(&mut self, tag: &str) {
        self.out.raw(b"{\"");
        self.out.raw(tag.as_bytes());
        self.out.raw(b"\":");
    }

    pub(super) fn text(&mut self, tag: &str, text: &str) {
        self.tag(tag);
        self.out.text(text);
        self.out.raw(b"}");
    }

    pub(super) fn number(&mut self, text: &str) {
        self.size += number_size(text);
        self.text("N", text);
    }

    /// Integers of up to 64 bits always fit DynamoDB's 38 digits.
    pub(super) fn integer(&mut self, value: impl itoa::Integer) {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(value);
        self.number(text);
    }

    pub(super) fn checked_number(&mut self, text: &str) -> Result<(), CodecError> {
        let number = Measure::of(text)
            .and_then(Measure::storable)
            .map_err(|bad| CodecError::new(format!("the number is {bad}")))?;
        self.size += number.size();
        self.text("N", text);
        Ok(())
    }

    pub(super) fn node(&mut self, node: &Node<'_>) {
        self.size += node.size();
        self.out.made(|out| node.write_json(out));
    }

    /// Nothing is written: DynamoDB has no empty sets.
    pub(super) fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Whether the value just written is to be left out.
    pub(super) fn take_left_out(&mut self) -> bool {
        std::mem::take(&mut self.left_out)
    }

    /// An error if the value just written is to be left out where something must be.
    pub(super) fn check_written(&mut self) -> Result<(), CodecError> {
        if self.take_left_out() {
            return Err(CodecError::new(
                "DynamoDB has no empty sets; only a field or a map's entry can be left out for one",
            ));
        }
        Ok(())
    }

    pub(super) fn null(&mut self) {
        self.size += 1;
        self.out.raw(br#"{"NULL":true}"#);
    }

    pub(super) fn enter(&mut self, tag: &str, open: u8) -> Result<(), CodecError> {
        self.depth += 1;
        // The value within counts as a level too.
        if self.depth >= MAX_DEPTH {
            return Err(CodecError::new("nested deeper than DynamoDB's 32 levels"));
        }
        self.size += 3;
        self.tag(tag);
        self.out.raw(&[open]);
        Ok(())
    }

    pub(super) fn leave(&mut self, close: u8) {
        self.depth -= 1;
        self.out.raw(&[close, b'}']);
    }

    /// Opens the one-entry map of an enum variant with content.
    pub(super) fn enter_variant(&mut self, variant: &str) -> Result<(), CodecError> {
        self.enter("M", b'{')?;
        self.out.text(variant);
        self.out.raw(b":");
        self.size += variant.len() + 1;
        Ok(())
    }

    pub(super) fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.raw(b",");
        }
    }
}

//! A reader of JSON that is told what comes next.
//!
//! Items are all that a job reads, and the SDK's way of reading them is most of what it costs; here text without
//! escapes is borrowed, and what is not asked for is passed.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

/// Why bytes are not what was asked for, and where. It shows nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    why: &'static str,
    at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON at byte {}: {}", self.at, self.why)
    }
}

impl std::error::Error for Malformed {}

/// Reads a value that stands alone.
pub(crate) fn whole<'a, R>(
    json: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<R, Malformed>,
) -> Result<R, Malformed> {
    let json = std::str::from_utf8(json)
        .map_err(|error| Malformed { why: "it is no UTF-8", at: error.valid_up_to() })?;
    let mut reader = Reader { json, at: 0 };
    let value = read(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.malformed("something follows the value")),
    }
}

/// Whether a byte of text cannot stand in a string as it is.
pub(crate) const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether there is such a byte: with no way out before the end, many bytes are looked at at once.
pub(crate) fn has_escapes(block: &[u8]) -> bool {
    block.iter().fold(false, |some, byte| some | is_escaped(*byte))
}

/// How many bytes of text stand in a string as they are, from the first on.
fn plain_length(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let word = escapes_within(u64::from_le_bytes(*word));
        if word != 0 {
            return length + word.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = text.get(length..).unwrap_or_default();
    length + rest.iter().take_while(|byte| !is_escaped(**byte)).count()
}

/// Eight bytes at once: the lowest bit that is set is the highest of the first that [`is_escaped`].
///
/// See "Determine if a word has a byte less than n", <https://graphics.stanford.edu/~seander/bithacks.html>: a
/// borrow can only mark bytes after one that is marked rightly.
const fn escapes_within(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let low = word.wrapping_sub(ONES * 0x20) & !word;
    (low | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))) & HIGH
}

/// What is read, and how far.
pub(crate) struct Reader<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn malformed(&self, why: &'static str) -> Malformed {
        Malformed { why, at: self.at }
    }

    /// How far it is read.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Passes this byte, if it is the next.
    fn passes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes this text, if it is the next, as it is.
    pub(crate) fn passes_exactly(&mut self, text: &[u8]) -> bool {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        let is_next = rest.starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    pub(crate) fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), Malformed> {
        if self.passes(byte) { Ok(()) } else { Err(self.malformed(why)) }
    }

    /// The fields of an object, each by its name and where that is, with its quotation marks.
    pub(crate) fn each_field(
        &mut self,
        mut read: impl FnMut(&mut Self, Cow<'a, str>, Range<usize>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{', "an object is missing")?;
        self.each(b'}', |reader| {
            reader.peek();
            let begin = reader.at;
            let name = reader.text()?;
            let place = begin..reader.at;
            reader.expect(b':', "a colon is missing")?;
            read(reader, name, place)
        })
    }

    /// The elements of a list.
    pub(crate) fn each_element(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'[', "a list is missing")?;
        self.each(b']', read)
    }

    fn each(
        &mut self,
        close: u8,
        mut read: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.passes(close) {
            return Ok(());
        }
        loop {
            read(self)?;
            if self.passes(close) {
                return Ok(());
            }
            self.expect(b',', "a comma is missing")?;
        }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        if self.passes_word("true") {
            return Ok(true);
        }
        if self.passes_word("false") {
            return Ok(false);
        }
        Err(self.malformed("neither true nor false"))
    }

    pub(crate) fn passes_word(&mut self, word: &str) -> bool {
        self.peek();
        self.passes_exactly(word.as_bytes())
    }

    /// A string, borrowed unless something of it is escaped.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.expect(b'"', "a string is missing")?;
        let begin = self.at;
        self.pass_plain();
        let plain = self.at;
        self.pass_text()?;
        let text = self.json.get(begin..self.at - 1).unwrap_or_default();
        if plain + 1 == self.at {
            return Ok(Cow::Borrowed(text));
        }
        let quoted = self.json.get(begin - 1..self.at).unwrap_or_default();
        let text = serde_json::from_str(quoted).map_err(|_| self.malformed("an unknown escape"))?;
        Ok(Cow::Owned(text))
    }

    /// Passes the rest of a string.
    fn pass_text(&mut self) -> Result<(), Malformed> {
        self.pass_plain();
        while self.is_at(b'\\') {
            let escaped = self.json.as_bytes().get(self.at + 1);
            if !escaped.is_some_and(|byte| br#""\/bfnrtu"#.contains(byte)) {
                return Err(self.malformed("an unknown escape"));
            }
            self.at += 2;
            self.pass_plain();
        }
        if !self.is_at(b'"') {
            return Err(self.malformed("a string without an end, or with a control character"));
        }
        self.at += 1;
        Ok(())
    }

    fn is_at(&self, byte: u8) -> bool {
        self.json.as_bytes().get(self.at) == Some(&byte)
    }

    /// Passes what stands in a string as it is; of long text many bytes at once.
    fn pass_plain(&mut self) {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        // Most names and values are short.
        if let Some(word) = rest.first_chunk::<8>() {
            let escapes = escapes_within(u64::from_le_bytes(*word));
            if escapes != 0 {
                self.at += escapes.trailing_zeros() as usize / 8;
                return;
            }
        }
        let (blocks, _) = rest.as_chunks::<16>();
        let plain = 16 * blocks.iter().take_while(|block| !has_escapes(*block)).count();
        let rest = rest.get(plain..).unwrap_or_default();
        self.at += plain + plain_length(rest);
    }

    /// Passes a value, whatever it is; where it is.
    pub(crate) fn pass(&mut self) -> Result<Range<usize>, Malformed> {
        self.peek();
        let begin = self.at;
        // What is open: an object, or a list.
        let mut open: SmallVec<[bool; 64]> = SmallVec::new();
        loop {
            let is_short = self.passes_short();
            let is_object = !is_short && self.passes(b'{');
            let is_new = is_object || !is_short && self.passes(b'[');
            if is_new {
                open.push(is_object);
            } else if !is_short {
                self.pass_leaf()?;
            }
            if self.closes(&mut open, is_new)? {
                return Ok(begin..self.at);
            }
        }
    }

    /// Passes an attribute value, if it is the next, as the service writes what most attributes are.
    fn passes_short(&mut self) -> bool {
        let begin = self.at;
        let is_begun = self.passes_exactly(br#"{"S":""#) || self.passes_exactly(br#"{"N":""#);
        if !is_begun {
            return false;
        }
        let is_whole = self.pass_text().is_ok() && self.passes_exactly(b"}");
        if !is_whole {
            self.at = begin;
        }
        is_whole
    }

    /// Passes what comes after a value, or after a bracket that was opened, up to the next value; whether all is
    /// closed.
    fn closes(&mut self, open: &mut SmallVec<[bool; 64]>, is_new: bool) -> Result<bool, Malformed> {
        let mut is_new = is_new;
        while let Some(is_object) = open.last().copied() {
            if self.passes(if is_object { b'}' } else { b']' }) {
                open.pop();
                is_new = false;
                continue;
            }
            if !is_new {
                self.expect(b',', "a comma is missing")?;
            }
            if is_object {
                self.expect(b'"', "a name is missing")?;
                self.pass_text()?;
                self.expect(b':', "a colon is missing")?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Passes a string, a number, `true`, `false` or `null`.
    fn pass_leaf(&mut self) -> Result<(), Malformed> {
        if self.passes(b'"') {
            return self.pass_text();
        }
        if ["true", "false", "null"].into_iter().any(|word| self.passes_word(word)) {
            return Ok(());
        }
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        let is_within =
            |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        let length = rest.iter().take_while(is_within).count();
        if length == 0 {
            return Err(self.malformed("a value is missing"));
        }
        self.at += length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(json: &str) -> Option<&str> {
        let at = whole(json.as_bytes(), Reader::pass).ok()?;
        json.get(at)
    }

    #[test]
    fn a_value_is_passed_whatever_it_is() {
        for json in [
            "null",
            "-1.5e+3",
            "true",
            r#""a\"]}\\""#,
            "{}",
            "[]",
            r#"{"a": [1, {"b]": "}"}], "c": null}"#,
            r#"{"S":"a"}"#,
            r#"[{"N":"1"},{"S":"a\"]}"},{"S":"a","b":1}]"#,
        ] {
            assert_eq!(passed(json), Some(json));
            assert_eq!(passed(&format!(" \n{json} ")), Some(json), "{json}");
        }
        for json in [
            "",
            " ",
            "{",
            "[1, 2",
            r#""a"#,
            "]",
            ",",
            "{} {}",
            r#"{"a": "b}"#,
            "1 2",
            "{]",
            "[}",
            "[1 2]",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a" 1}"#,
            r#"{"a": 1,}"#,
            "{1: 2}",
            r#"{"a"}"#,
            "@",
            "nul",
            r#""\x""#,
            "{[]}",
            r#"["a": 1]"#,
            r#"{"S":"a"#,
            r#"{"S":"a""#,
            r#"{"S":"a"}}"#,
        ] {
            assert_eq!(passed(json), None, "{json}");
        }
    }

    #[test]
    fn text_ends_at_its_first_byte_that_is_escaped() {
        for length in 0..40 {
            for end in ["\"", "\\", "\u{1f}", "\0", "\n"] {
                // Bytes beside the borders of what is escaped, and some of more than seven bits.
                let plain: String = " !#[]\u{7f}é𝄞".chars().cycle().take(length).collect();
                for rest in ["", "\"", "\\\"\0 after"] {
                    let text = format!("{plain}{end}{rest}");
                    assert_eq!(plain_length(text.as_bytes()), plain.len(), "{text:?}");
                }
                assert_eq!(plain_length(plain.as_bytes()), plain.len());
            }
        }
    }

    #[test]
    fn text_is_borrowed_unless_it_is_escaped() {
        let read = |json: &'static str| whole(json.as_bytes(), Reader::text);
        assert!(matches!(read(r#""plain é𝄞, longer than a block""#), Ok(Cow::Borrowed(_))));
        let read = read(r#""a\u00e9\"\\\n of more than a block""#).unwrap();
        assert!(matches!(&read, Cow::Owned(text) if text == "aé\"\\\n of more than a block"));
    }
}

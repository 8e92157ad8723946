//! Line numbers of a stream: the CSV reader's own lag behind where lines end in `\r\n` or are empty.

use std::collections::VecDeque;
use std::io::{self, Read};

/// A reader that knows on which line a byte stands, as long as it is asked for in order.
pub struct Lines<R> {
    inner: R,
    /// Bytes handed out.
    read: u64,
    /// The last of them is a `\r`.
    after_return: bool,
    /// The line breaks behind the last byte asked for: where, and whether a line ends there. A `\r`
    /// before a `\n` ends none.
    breaks: VecDeque<(u64, bool)>,
    /// Lines that ended before.
    passed: u64,
}

impl<R: Read> Lines<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, read: 0, after_return: false, breaks: VecDeque::new(), passed: 0 }
    }

    /// The line, from 1, of the row that the CSV reader began at this byte, perhaps with empty lines
    /// before it.
    pub fn line_of(&mut self, start: u64) -> u64 {
        let mut start = start;
        while let Some((at, ends)) = self.breaks.front().copied().filter(|(at, _)| *at <= start) {
            start += u64::from(at == start);
            self.passed += u64::from(ends);
            self.breaks.pop_front();
        }
        self.passed + 1
    }

    fn note(&mut self, byte: u8) {
        if byte == b'\n'
            && self.after_return
            && let Some((_, ends)) = self.breaks.back_mut()
        {
            *ends = false;
        }
        if matches!(byte, b'\n' | b'\r') {
            self.breaks.push_back((self.read, true));
        }
        self.after_return = byte == b'\r';
        self.read += 1;
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in buffer.get(..count).unwrap_or_default() {
            self.note(*byte);
        }
        Ok(count)
    }
}

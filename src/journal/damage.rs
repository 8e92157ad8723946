//! What is wrong with a journal that was read.

use std::fmt;

/// Why a journal, or a row of it, cannot be read. Contents are not shown.
#[derive(Debug)]
pub(crate) struct Damaged(String);

impl Damaged {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

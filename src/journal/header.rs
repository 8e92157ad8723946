//! Whose changes a journal has: what is asked of it before a row is read.

use serde::{Deserialize, Serialize};

use crate::key::KeyKind;
use crate::record::Record;
use crate::spec::{KeySpec, partition_key_of, sort_key_of};

/// The format of the rows. A release reads all those up to its own.
pub(super) const FORMAT: u32 = 1;

/// The first row of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(super) format: u32,
    /// The release that made it.
    pub(super) by: String,
    pub(super) table: String,
    pub(super) partition_key: Attribute,
    pub(super) sort_key: Option<Attribute>,
    /// Its rows are what was unsaved at a checkpoint.
    #[serde(default, skip_serializing_if = "is_no")]
    pub(super) checkpoints: bool,
}

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// `S`, `N` or `B`.
    pub(super) kind: String,
}

impl Header {
    pub(crate) fn of<T: Record>(table: &str, checkpoints: bool) -> Self {
        Self {
            format: FORMAT,
            by: env!("CARGO_PKG_VERSION").to_owned(),
            table: table.to_owned(),
            partition_key: attribute(partition_key_of::<T>()),
            sort_key: sort_key_of::<T>().map(attribute),
            checkpoints,
        }
    }

    /// That of no table.
    #[cfg(feature = "internal-bench")]
    pub(super) fn bare() -> Self {
        let partition_key = Attribute { name: "key".to_owned(), kind: "S".to_owned() };
        let by = env!("CARGO_PKG_VERSION").to_owned();
        let table = "bare".to_owned();
        Self { format: FORMAT, by, table, partition_key, sort_key: None, checkpoints: false }
    }

    /// Why a journal with this header cannot be that of another one.
    pub(super) fn differs_from(&self, expected: &Self) -> Option<String> {
        if self.table != expected.table {
            return Some(format!("it is that of table `{}`", self.table));
        }
        let of = |header: &Self| (header.partition_key.clone(), header.sort_key.clone());
        if of(self) != of(expected) {
            let (its, others) = (self.keys(), expected.keys());
            return Some(format!("its table has the keys {its}, and not {others}"));
        }
        match (self.checkpoints, expected.checkpoints) {
            (true, false) => {
                Some("it was made with `checkpoints`, by which it is to be read".to_owned())
            }
            (false, true) => {
                Some("it was made without `checkpoints`, and has no cursor".to_owned())
            }
            _ => None,
        }
    }

    fn keys(&self) -> String {
        let shown = |key: &Attribute| format!("`{}` ({})", key.name, key.kind);
        match &self.sort_key {
            None => shown(&self.partition_key),
            Some(sort) => format!("{} and {}", shown(&self.partition_key), shown(sort)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

fn attribute(key: KeySpec) -> Attribute {
    let kind = match key.kind {
        KeyKind::String => "S",
        KeyKind::Number => "N",
        KeyKind::Binary => "B",
    };
    Attribute { name: key.name.to_owned(), kind: kind.to_owned() }
}

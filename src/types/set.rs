//! Sets: DynamoDB's `SS`, `NS` and `BS`.
//!
//! Serde knows lists only, so a `HashSet` or `BTreeSet` is stored as a list (`L`). To store a set,
//! use the type [`Set`], or this module on a field:
//!
//! ```
//! use std::collections::BTreeSet;
//! use memory_table::Record;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Record, Serialize, Deserialize, Clone)]
//! #[record(table = "scorers")]
//! struct Scorer {
//!     #[record(partition_key)]
//!     name: String,
//!     #[serde(default, with = "memory_table::set")]
//!     teams: BTreeSet<String>,
//! }
//! ```
//!
//! DynamoDB has no empty set: an empty one is stored as no attribute at all, and comes back as the
//! default; within a map its entry is left out, key and all, and within a list it is an error.
//! Elements are strings, numbers or bytes ([`Binary`](crate::Binary)), all of one kind.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SET;

/// A set of strings, numbers or bytes, stored as `SS`, `NS` or `BS`; a `BTreeSet` otherwise.
///
/// An empty set is stored as no attribute, so a field of this type needs `#[serde(default)]`.
///
/// # Example
///
/// ```
/// use memory_table::Set;
///
/// let mut teams: Set<String> = ["Brazil".to_owned()].into();
/// teams.insert("Santos".to_owned());
/// assert_eq!(teams.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<T>(BTreeSet<T>);

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T> Set<T> {
    /// The set itself.
    #[must_use]
    pub fn into_inner(self) -> BTreeSet<T> {
        self.0
    }
}

impl<T> std::ops::Deref for Set<T> {
    type Target = BTreeSet<T>;

    fn deref(&self) -> &BTreeSet<T> {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Set<T> {
    fn deref_mut(&mut self) -> &mut BTreeSet<T> {
        &mut self.0
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for Set<T> {
    fn from(elements: [T; N]) -> Self {
        Self(elements.into())
    }
}

impl<T> From<BTreeSet<T>> for Set<T> {
    fn from(elements: BTreeSet<T>) -> Self {
        Self(elements)
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = std::collections::btree_set::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'s, T> IntoIterator for &'s Set<T> {
    type Item = &'s T;
    type IntoIter = std::collections::btree_set::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Serialize> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de, T: Deserialize<'de> + Ord> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// Serializes any collection as a set; for `#[serde(with = "memory_table::set")]`.
///
/// # Errors
///
/// Those of the serializer; the codec refuses elements that are not all strings, all numbers or all
/// bytes, and elements that occur twice.
pub fn serialize<C: Serialize, S: Serializer>(
    collection: &C,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(SET, collection)
}

/// Deserializes a set into any collection; for `#[serde(with = "memory_table::set")]`.
///
/// # Errors
///
/// Those of the deserializer.
pub fn deserialize<'de, C, T, D>(deserializer: D) -> Result<C, D::Error>
where
    C: FromIterator<T> + IntoIterator<Item = T>,
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer
        .deserialize_newtype_struct(SET, Elements(PhantomData))
        .map(|elements: Vec<T>| elements.into_iter().collect())
}

struct Elements<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Vec<T>, D::Error> {
        inner.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}

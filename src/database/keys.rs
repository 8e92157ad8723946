//! A real table's keys and indexes, compared with what is wanted of it.

use std::fmt;
use std::sync::Arc;

use super::description::{IndexDescription, ProjectedAttributes, TableDescription};
use crate::error::{Error, ErrorKind};
use crate::key::KeyKind;
use crate::record::Record;
use crate::spec::{IndexProjection, IndexSpec, KeySpec, TableSpec, partition_key_of, sort_key_of};

/// Who wants a table to be so, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanting {
    Record,
    Spec,
    Call,
}

impl fmt::Display for Wanting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "the record",
            Self::Spec => "the `TableSpec`",
            Self::Call => "the call",
        })
    }
}

/// The keys and indexes of a real table.
#[derive(Debug)]
pub(crate) struct TableKeys {
    partition: (String, KeyKind),
    sort: Option<(String, KeyKind)>,
    indexes: Vec<IndexDescription>,
}

/// Both keys of a table or an index, to be compared and shown.
#[derive(PartialEq)]
struct Pair<'a> {
    partition: (&'a str, KeyKind),
    sort: Option<(&'a str, KeyKind)>,
}

impl<'a> Pair<'a> {
    fn real(partition: &'a (String, KeyKind), sort: Option<&'a (String, KeyKind)>) -> Self {
        let borrowed = |(name, kind): &'a (String, KeyKind)| (name.as_str(), *kind);
        Self { partition: borrowed(partition), sort: sort.map(borrowed) }
    }

    fn wanted(partition: KeySpec, sort: Option<KeySpec>) -> Self {
        let pair = |key: KeySpec| (key.name, key.kind);
        Self { partition: pair(partition), sort: sort.map(pair) }
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.partition).chain(self.sort).map(|(name, _)| name)
    }
}

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = self.partition;
        write!(f, "partition key `{name}`, a {kind}, and ")?;
        match self.sort {
            Some((name, kind)) => write!(f, "sort key `{name}`, a {kind}"),
            None => f.write_str("no sort key"),
        }
    }
}

impl TableKeys {
    pub(crate) fn of(table: &TableDescription) -> Self {
        Self {
            partition: table.partition_key.clone(),
            sort: table.sort_key.clone(),
            indexes: table.indexes.clone(),
        }
    }

    /// An error that says both sides, if a record type does not fit the real table.
    pub(crate) fn check_record<T: Record>(&self, name: &Arc<str>) -> Result<(), Mismatch> {
        let wanting = Wanting::Record;
        let wanted = Pair::wanted(partition_key_of::<T>(), sort_key_of::<T>());
        let keys = self.keys_differ(wanting, &wanted);
        let indexes = T::INDEX_SPECS.iter().filter_map(|index| self.index_differs(wanting, index));
        Difference::check(name, keys.into_iter().chain(indexes))
    }

    /// An error that says both sides, if a table is not as it is wanted; it may have more indexes, and
    /// fewer if what it lacks can be and will be added.
    pub(crate) fn check_spec(
        &self,
        name: &Arc<str>,
        wanting: Wanting,
        spec: &TableSpec,
        adds: bool,
    ) -> Result<(), Error> {
        let wanted = spec.partition_key.map(|partition| Pair::wanted(partition, spec.sort_key));
        let keys = wanted.and_then(|wanted| self.keys_differ(wanting, &wanted));
        let indexes = spec.indexes.iter().filter_map(|index| self.index_differs(wanting, index));
        let differ = keys.into_iter().chain(indexes);
        Ok(Difference::check(name, differ.filter(|found| !(adds && found.can_be_added)))?)
    }

    /// As they are without some indexes.
    pub(crate) fn forget(&mut self, indexes: &[String]) {
        self.indexes.retain(|index| !indexes.contains(&index.name));
    }

    /// An error that says both sides, if these indexes are not there and cannot be added.
    pub(crate) fn check_added(&self, name: &Arc<str>, indexes: &[IndexSpec]) -> Result<(), Error> {
        let differ = indexes.iter().filter_map(|index| self.index_differs(Wanting::Call, index));
        Ok(Difference::check(name, differ.filter(|found| !found.can_be_added))?)
    }

    /// An error that says both sides, if the real table lacks an index or has another of its name.
    pub(crate) fn check_index(
        &self,
        name: &Arc<str>,
        wanting: Wanting,
        index: &IndexSpec,
    ) -> Result<(), Mismatch> {
        Difference::check(name, self.index_differs(wanting, index).into_iter())
    }

    fn keys_differ(&self, wanting: Wanting, wanted: &Pair<'_>) -> Option<Difference> {
        let real = self.keys();
        if real == *wanted {
            return None;
        }
        let advice = match wanting {
            Wanting::Record => {
                "change `#[record(partition_key)]`, `#[record(sort_key)]`, their types or the name of the table"
            }
            Wanting::Spec | Wanting::Call => "change the keys or the name of the table",
        };
        let text = format!("the table has {real}, {wanting} has {wanted}");
        Some(Difference { text, advice, is_lasting: true, can_be_added: false })
    }

    fn index_differs(&self, wanting: Wanting, index: &IndexSpec) -> Option<Difference> {
        let differs = |text, advice| {
            Some(Difference { text, advice, is_lasting: false, can_be_added: false })
        };
        let (called, wanted) = (index.name(), self.index_keys(index));
        let kind = if index.is_local() { "local" } else { "global" };
        let Some(real) = self.indexes.iter().find(|real| real.name == called) else {
            let text = format!(
                "the table has no index `{called}`, {wanting} has a {kind} one with {wanted}"
            );
            return Some(self.lacks(index, text));
        };
        let keys = Pair::real(&real.partition_key, real.sort_key.as_ref());
        if real.is_local != index.is_local() || keys != wanted {
            let real_kind = if real.is_local { "local" } else { "global" };
            let text = format!(
                "the table's index `{called}` is {real_kind} with {keys}, that of {wanting} {kind} \
                 with {wanted}"
            );
            return differs(text, "change its keys, or name the one that is meant");
        }
        let lacking = self.lacking(real, index)?;
        let has = &real.attributes;
        let text =
            format!("the table's index `{called}` has {has}, that of {wanting} has {lacking} too");
        differs(text, "write `keys_only` or `include` as the table has it")
    }

    /// What to do about an index that is not there.
    fn lacks(&self, index: &IndexSpec, text: String) -> Difference {
        let keys = index.partition_key().into_iter().chain(index.sort_key_spec());
        let real = |name: &str| self.key_attributes().find(|(real, _)| real == name);
        let mut other = keys.filter_map(|key| {
            real(key.name).filter(|(_, kind)| *kind != key.kind).map(|(_, kind)| (key.name, *kind))
        });
        if let Some((attribute, kind)) = other.next() {
            let text = format!("{text}, and the table's keys have `{attribute}` as a {kind}");
            let advice = "an attribute has one type in all keys of a table: change the index's";
            return Difference { text, advice, is_lasting: false, can_be_added: false };
        }
        let advice = if index.is_local() {
            "a local index is made only with its table: make the table anew, or remove it"
        } else {
            "add it with `ensure()`, or name the one that is meant"
        };
        Difference { text, advice, is_lasting: false, can_be_added: !index.is_local() }
    }

    /// The attributes of all keys, those of indexes included; some of them several times.
    fn key_attributes(&self) -> impl Iterator<Item = &(String, KeyKind)> {
        let table = std::iter::once(&self.partition).chain(&self.sort);
        let of_index = self.indexes.iter();
        let of_index =
            of_index.flat_map(|of| std::iter::once(&of.partition_key).chain(&of.sort_key));
        table.chain(of_index)
    }

    fn keys(&self) -> Pair<'_> {
        Pair::real(&self.partition, self.sort.as_ref())
    }

    /// A local index has the table's partition key.
    fn index_keys(&self, index: &IndexSpec) -> Pair<'_> {
        let mut wanted = Pair::real(&self.partition, None);
        if let Some(partition) = index.partition_key() {
            wanted.partition = (partition.name, partition.kind);
        }
        wanted.sort = index.sort_key_spec().map(|sort| (sort.name, sort.kind));
        wanted
    }

    /// What the real index does not have of what is wanted.
    fn lacking(&self, real: &IndexDescription, wanted: &IndexSpec) -> Option<String> {
        let included: &[String] = match &real.attributes {
            ProjectedAttributes::All => return None,
            ProjectedAttributes::KeysOnly => &[],
            ProjectedAttributes::Include(names) => names,
        };
        let names = match wanted.attributes() {
            IndexProjection::All => return Some("all attributes".to_owned()),
            IndexProjection::KeysOnly => return None,
            IndexProjection::Include(names) => names,
        };
        // The keys of the table and of the index are always in it.
        let keys = Pair::real(&real.partition_key, real.sort_key.as_ref());
        let has: Vec<&str> = self.keys().names().chain(keys.names()).collect();
        let is_there = |name: &str| has.contains(&name) || included.iter().any(|has| has == name);
        let missing = names.iter().filter(|name| !is_there(name));
        let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }
}

/// How a real table is not as it is wanted.
struct Difference {
    text: String,
    advice: &'static str,
    /// It stays so while there is the table; indexes come and go.
    is_lasting: bool,
    /// It is an index that can be added.
    can_be_added: bool,
}

/// All that differs, as an error.
pub(crate) struct Mismatch {
    error: Error,
    /// Keys differ, which stays so while there is the table.
    pub(crate) is_lasting: bool,
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        mismatch.error
    }
}

impl Difference {
    /// One error of all.
    fn check(name: &Arc<str>, all: impl Iterator<Item = Self>) -> Result<(), Mismatch> {
        let (mut texts, mut advice, mut is_lasting) = (Vec::new(), Vec::new(), false);
        for difference in all {
            texts.push(difference.text);
            if !advice.contains(&difference.advice) {
                advice.push(difference.advice);
            }
            is_lasting |= difference.is_lasting;
        }
        if texts.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::TableMismatch, texts.join("; ")).on_table(name);
        let error = error.advise(format!("{}; no data was sent", advice.join("; ")));
        Err(Mismatch { error, is_lasting })
    }
}

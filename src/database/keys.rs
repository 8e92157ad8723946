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
}

impl fmt::Display for Wanting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "the record",
            Self::Spec => "the `TableSpec`",
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
    pub(crate) fn check_record<T: Record>(&self, name: &Arc<str>) -> Result<(), Error> {
        let wanted = Pair::wanted(partition_key_of::<T>(), sort_key_of::<T>());
        self.check_keys(name, Wanting::Record, &wanted)
    }

    /// An error that says both sides, if a table is not as it is wanted; it may have more indexes.
    pub(crate) fn check_spec(
        &self,
        name: &Arc<str>,
        wanting: Wanting,
        spec: &TableSpec,
    ) -> Result<(), Error> {
        if let Some(partition) = spec.partition_key {
            self.check_keys(name, wanting, &Pair::wanted(partition, spec.sort_key))?;
        }
        spec.indexes.iter().try_for_each(|index| self.check_index(name, wanting, index))
    }

    fn check_keys(
        &self,
        name: &Arc<str>,
        wanting: Wanting,
        wanted: &Pair<'_>,
    ) -> Result<(), Error> {
        let real = self.keys();
        if real == *wanted {
            return Ok(());
        }
        let advice = match wanting {
            Wanting::Record => {
                "change `#[record(partition_key)]`, `#[record(sort_key)]`, their types or the name of the table"
            }
            Wanting::Spec => "change the keys or the name of the table",
        };
        let text = format!("the table has {real}, {wanting} has {wanted}");
        Err(mismatch(name, text, advice))
    }

    /// An error that says both sides, if the real table lacks an index or has another of its name.
    pub(crate) fn check_index(
        &self,
        name: &Arc<str>,
        wanting: Wanting,
        index: &IndexSpec,
    ) -> Result<(), Error> {
        let (called, wanted) = (index.name(), self.index_keys(index));
        let kind = if index.is_local() { "local" } else { "global" };
        let Some(real) = self.indexes.iter().find(|real| real.name == called) else {
            let text = format!(
                "the table has no index `{called}`, {wanting} has a {kind} one with {wanted}"
            );
            return Err(mismatch(name, text, "add it to the table, or name the one that is meant"));
        };
        let keys = Pair::real(&real.partition_key, real.sort_key.as_ref());
        if real.is_local != index.is_local() || keys != wanted {
            let real_kind = if real.is_local { "local" } else { "global" };
            let text = format!(
                "the table's index `{called}` is {real_kind} with {keys}, that of {wanting} {kind} \
                 with {wanted}"
            );
            return Err(mismatch(name, text, "change its keys, or name the one that is meant"));
        }
        if let Some(lacking) = self.lacking(real, index) {
            let has = &real.attributes;
            let text = format!(
                "the table's index `{called}` has {has}, that of {wanting} has {lacking} too"
            );
            return Err(mismatch(name, text, "write `keys_only` or `include` as the table has it"));
        }
        Ok(())
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

fn mismatch(name: &Arc<str>, text: String, advice: &str) -> Error {
    Error::new(ErrorKind::TableMismatch, text)
        .on_table(name)
        .advise(format!("{advice}; no data was sent"))
}

//! What DynamoDB would refuse of a table, said before a request.

use std::collections::{HashMap, HashSet};

use super::{IndexSpec, KeySpec, TableSpec, Units};
use crate::database::BillingMode;
use crate::error::{Error, ErrorKind};
use crate::key::KeyKind;

/// The most global indexes of a table, unless the account's quota was raised.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-secondary-indexes>
const MAX_GLOBAL: usize = 20;
/// The most local indexes of a table.
const MAX_LOCAL: usize = 5;
/// The longest name of a key attribute, in bytes.
const MAX_KEY_NAME: usize = 255;

impl TableSpec {
    /// Refuses what cannot be created, whatever the table's name.
    pub(crate) fn check(&self) -> Result<KeySpec, Error> {
        let Some(partition) = self.partition_key else {
            let advice = "add it with `TableSpec::partition_key`";
            return Err(impossible("the table has no partition key").advise(advice));
        };
        check_pair("the table", partition, self.sort_key)?;
        if let Some(units) = self.billing.units() {
            check_units("the table", units)?;
        }
        self.check_indexes(partition)?;
        check_kinds(self.key_attributes(partition))?;
        Ok(partition)
    }

    fn check_indexes(&self, partition: KeySpec) -> Result<(), Error> {
        check_differ(&self.indexes)?;
        for index in &self.indexes {
            let name = index.name();
            check_name(name)?;
            if index.is_local() && self.sort_key.is_none() {
                let text = format!("the index `{name}` is local, and the table has no sort key");
                return Err(impossible(text).advise("add a sort key, or make the index global"));
            }
            let partition = index.partition_key().unwrap_or(partition);
            check_pair(&format!("index `{name}`"), partition, index.sort_key_spec())?;
            self.check_index_units(index)?;
        }
        let local = self.indexes.iter().filter(|index| index.is_local()).count();
        check_count("local", local, MAX_LOCAL)?;
        check_count("global", self.indexes.len() - local, MAX_GLOBAL)
    }

    fn check_index_units(&self, index: &IndexSpec) -> Result<(), Error> {
        let (name, Some(units)) = (index.name(), index.units()) else { return Ok(()) };
        check_units(&format!("index `{name}`"), units)?;
        if index.is_local() {
            let text = format!("the index `{name}` is local: it has the table's units");
            return Err(impossible(text).advise("give it none"));
        }
        if self.billing == BillingMode::OnDemand {
            return Err(units_on_demand(name));
        }
        Ok(())
    }

    /// The attributes of all keys, those of indexes included; some of them several times.
    pub(crate) fn key_attributes(&self, partition: KeySpec) -> impl Iterator<Item = KeySpec> {
        let table = std::iter::once(partition).chain(self.sort_key);
        table.chain(self.indexes.iter().flat_map(IndexSpec::key_attributes))
    }
}

/// Refuses indexes that no table can be given later.
pub(crate) fn check_indexes(indexes: &[IndexSpec]) -> Result<(), Error> {
    check_differ(indexes)?;
    check_kinds(indexes.iter().flat_map(IndexSpec::key_attributes))?;
    indexes.iter().try_for_each(check_index)
}

fn check_differ(indexes: &[IndexSpec]) -> Result<(), Error> {
    let mut names = HashSet::new();
    match indexes.iter().find(|index| !names.insert(index.name())) {
        Some(index) => Err(impossible(format!("two indexes are named `{}`", index.name()))),
        None => Ok(()),
    }
}

/// An attribute has one type, in whichever keys it is.
fn check_kinds(keys: impl Iterator<Item = KeySpec>) -> Result<(), Error> {
    let mut kinds: HashMap<&str, KeyKind> = HashMap::new();
    for key in keys {
        let first = *kinds.entry(key.name).or_insert(key.kind);
        if first != key.kind {
            let (name, kind) = (key.name, key.kind);
            let text = format!("the key attribute `{name}` is a {first} and a {kind}");
            return Err(impossible(text).advise("give it one type in all keys"));
        }
    }
    Ok(())
}

fn check_index(index: &IndexSpec) -> Result<(), Error> {
    let name = index.name();
    check_name(name)?;
    let Some(partition) = index.partition_key() else {
        let text = format!("the index `{name}` is local, and is made only with its table");
        return Err(impossible(text).advise("make it global, or the table anew"));
    };
    let whose = format!("index `{name}`");
    check_pair(&whose, partition, index.sort_key_spec())?;
    index.units().map_or(Ok(()), |units| check_units(&whose, units))
}

/// The error of an index with units where its table has none.
pub(crate) fn units_on_demand(index: &str) -> Error {
    let text = format!("the table is on demand, so its index `{index}` has no units");
    impossible(text).advise("give the table units with `provisioned`")
}

/// Refuses no capacity at all.
pub(crate) fn check_units(whose: &str, (read_units, write_units): Units) -> Result<(), Error> {
    if read_units > 0 && write_units > 0 {
        return Ok(());
    }
    let text =
        format!("{whose} has {read_units} read units and {write_units} write units a second");
    Err(impossible(text).advise("give it 1 of each at least, or the table none, on demand"))
}

fn check_pair(whose: &str, partition: KeySpec, sort: Option<KeySpec>) -> Result<(), Error> {
    for key in std::iter::once(partition).chain(sort) {
        let (name, length) = (key.name, key.name.len());
        if length == 0 || length > MAX_KEY_NAME {
            let text = format!("the name of a key attribute of {whose} has {length} bytes");
            return Err(impossible(text).advise(format!("1 to {MAX_KEY_NAME} are allowed")));
        }
        if key == partition && sort.is_some_and(|sort| sort.name == name) {
            let text = format!("`{name}` is the partition key and the sort key of {whose}");
            return Err(impossible(text).advise("use two attributes, or one key"));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (3..=255).contains(&name.len()) && name.chars().all(legal) {
        return Ok(());
    }
    let advice = "names have 3 to 255 of the characters a-z, A-Z, 0-9, `_`, `-` and `.`";
    Err(impossible(format!("`{name}` is no name of an index")).advise(advice))
}

fn check_count(kind: &str, count: usize, limit: usize) -> Result<(), Error> {
    if count <= limit {
        return Ok(());
    }
    Err(impossible(format!("the table has {count} {kind} indexes, DynamoDB allows {limit}")))
}

fn impossible(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, text).during("CreateTable")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: KeyKind = KeyKind::String;

    fn key(name: &'static str) -> KeySpec {
        KeySpec::new(name, TEXT)
    }

    /// A table with the keys `a` and `b`.
    fn spec() -> TableSpec {
        TableSpec::new("table").partition_key(key("a")).sort_key(key("b"))
    }

    fn refusal(spec: TableSpec) -> String {
        let error = spec.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string().strip_prefix("CreateTable: ").unwrap().to_owned()
    }

    #[test]
    fn possible_tables_pass() {
        let full = spec()
            .index(IndexSpec::local("by-c", key("c")))
            .index(IndexSpec::global("by-b", key("b")).sort_key(key("a")));
        assert_eq!(full.check().unwrap(), key("a"));
        assert!(TableSpec::new("table").partition_key(key("a")).check().is_ok());
    }

    #[test]
    fn keys_are_there_and_differ() {
        assert_eq!(
            refusal(TableSpec::new("table")),
            "the table has no partition key; add it with `TableSpec::partition_key`"
        );
        assert_eq!(
            refusal(spec().sort_key(key("a"))),
            "`a` is the partition key and the sort key of the table; use two attributes, or one key"
        );
        assert_eq!(
            refusal(spec().index(IndexSpec::local("by-a", key("a")))),
            "`a` is the partition key and the sort key of index `by-a`; use two attributes, or one key"
        );
        assert_eq!(
            refusal(spec().partition_key(key(""))),
            "the name of a key attribute of the table has 0 bytes; 1 to 255 are allowed"
        );
    }

    #[test]
    fn an_attribute_has_one_type() {
        let number = IndexSpec::global("by-b", KeySpec::new("b", KeyKind::Number));
        assert_eq!(
            refusal(spec().index(number)),
            "the key attribute `b` is a string (S) and a number (N); give it one type in all keys"
        );
    }

    #[test]
    fn indexes_have_names_of_their_own() {
        let by_c = IndexSpec::global("by-c", key("c"));
        assert_eq!(refusal(spec().index(by_c).index(by_c)), "two indexes are named `by-c`");
        for name in ["", "ab", "by c", "by/c"] {
            let expected = format!(
                "`{name}` is no name of an index; names have 3 to 255 of the characters a-z, A-Z, \
                 0-9, `_`, `-` and `.`"
            );
            assert_eq!(refusal(spec().index(IndexSpec::global(name, key("c")))), expected);
        }
    }

    #[test]
    fn a_local_index_needs_a_sort_key_of_the_table() {
        let table = TableSpec::new("table").partition_key(key("a"));
        assert_eq!(
            refusal(table.index(IndexSpec::local("by-c", key("c")))),
            "the index `by-c` is local, and the table has no sort key; add a sort key, or make the \
             index global"
        );
    }

    #[test]
    fn indexes_are_counted() {
        const NAMES: [&str; 21] = [
            "i00", "i01", "i02", "i03", "i04", "i05", "i06", "i07", "i08", "i09", "i10", "i11",
            "i12", "i13", "i14", "i15", "i16", "i17", "i18", "i19", "i20",
        ];
        let with = |count: usize, index: fn(&'static str, KeySpec) -> IndexSpec| {
            NAMES.iter().take(count).fold(spec(), |spec, name| spec.index(index(name, key("c"))))
        };
        let (local, global) = (IndexSpec::local, IndexSpec::global);
        assert!(with(5, local).check().is_ok());
        assert!(with(20, global).check().is_ok());
        assert_eq!(refusal(with(6, local)), "the table has 6 local indexes, DynamoDB allows 5");
        assert_eq!(
            refusal(with(21, global)),
            "the table has 21 global indexes, DynamoDB allows 20"
        );
    }
}

//! What the indexes of a table are charged for a write, as DynamoDB documents it.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes>

use super::{ConsumedCapacity, write_units};
use crate::codec::tree::{Fields, Node, field, fields_size};
use crate::record::Record;
use crate::spec::{IndexProjection, IndexSpec};

/// What a write is charged that makes one item of another, as far as both are there: the table, and each index
/// that has a part in it.
pub(crate) fn written<T: Record>(
    before: Option<&Fields<'_>>,
    after: Option<&Fields<'_>>,
) -> ConsumedCapacity {
    let size = |item: Option<&Fields<'_>>| item.map_or(0, |item| fields_size(item));
    let mut charged = ConsumedCapacity {
        total: write_units(size(before).max(size(after))),
        ..ConsumedCapacity::default()
    };
    for index in T::INDEX_SPECS {
        let units = of_index::<T>(index, before, after);
        if units > 0.0 {
            charged.total += units;
            charged.indexes.insert(index.name().to_owned(), units);
            if index.is_local() {
                charged.local.insert(index.name().to_owned());
            }
        }
    }
    charged
}

fn of_index<T: Record>(
    index: &IndexSpec,
    before: Option<&Fields<'_>>,
    after: Option<&Fields<'_>>,
) -> f64 {
    let before = before.and_then(|item| Entry::of::<T>(index, item));
    let after = after.and_then(|item| Entry::of::<T>(index, item));
    match (before, after) {
        (None, None) => 0.0,
        (Some(entry), None) | (None, Some(entry)) => write_units(entry.size()),
        // It is taken away at one place, and put at another.
        (Some(one), Some(other)) if !one.is_at(&other) => {
            write_units(one.size()) + write_units(other.size())
        }
        (Some(one), Some(other)) if one.is_same(&other) => 0.0,
        (Some(one), Some(other)) => write_units(one.size().max(other.size())),
    }
}

/// What an index has of an item.
struct Entry<'i> {
    /// The values of the index's keys.
    keys: Vec<&'i Node<'i>>,
    fields: Vec<(&'i str, &'i Node<'i>)>,
}

impl<'i> Entry<'i> {
    /// `None` if the item has not all attributes of the index's keys.
    fn of<T: Record>(index: &IndexSpec, item: &'i Fields<'i>) -> Option<Self> {
        let keys = index.key_attributes().map(|key| field(item, key.name));
        let keys = keys.collect::<Option<Vec<_>>>()?;
        let is_key = |name: &str| {
            let mut of_index = index.key_attributes();
            name == T::PARTITION_KEY
                || T::SORT_KEY == Some(name)
                || of_index.any(|key| key.name == name)
        };
        let is_in = |name: &str| match index.attributes() {
            IndexProjection::All => true,
            IndexProjection::KeysOnly => is_key(name),
            IndexProjection::Include(names) => is_key(name) || names.contains(&name),
        };
        let fields = item.iter().map(|(name, node)| (&**name, node));
        Some(Self { keys, fields: fields.filter(|(name, _)| is_in(name)).collect() })
    }

    fn size(&self) -> usize {
        self.fields.iter().map(|(name, node)| name.len() + node.size()).sum()
    }

    /// Whether both have the same keys.
    fn is_at(&self, other: &Self) -> bool {
        self.keys.iter().zip(&other.keys).all(|(one, other)| one.same(other))
    }

    fn is_same(&self, other: &Self) -> bool {
        let of_other = |name: &str| other.fields.iter().find(|(of, _)| *of == name);
        let is_same = |(name, node): &(&str, &Node<'_>)| {
            of_other(name).is_some_and(|(_, other)| node.same(other))
        };
        self.fields.len() == other.fields.len() && self.fields.iter().all(is_same)
    }
}

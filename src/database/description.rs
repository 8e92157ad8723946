//! What DescribeTable says.

use std::fmt;

use aws_sdk_dynamodb::types::{
    self, AttributeDefinition, IndexStatus, KeySchemaElement, KeyType, Projection, ProjectionType,
    ProvisionedThroughputDescription as Throughput, ScalarAttributeType,
};

use crate::key::KeyKind;
use crate::pace::{Capacity, Described};
use crate::spec::Units;

/// Units of reads and writes, as far as they are set.
type Most = (Option<u64>, Option<u64>);

/// A key attribute: its name and type.
type KeyOf = (String, KeyKind);

/// Whether a table can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableStatus {
    /// It can be used.
    Active,
    /// It is being created.
    Creating,
    /// It is being changed, and can be used.
    Updating,
    /// It is being deleted.
    Deleting,
    /// Something else, such as archived or without its encryption key; see the raw client.
    Other,
}

/// How a table is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BillingMode {
    /// By request.
    OnDemand,
    /// By units of capacity a second, set beforehand.
    Provisioned {
        /// Reads of 4 KB a second.
        read_units: u64,
        /// Writes of 1 KB a second.
        write_units: u64,
    },
}

impl BillingMode {
    /// By these units, reads and writes, or by request.
    pub(crate) fn of(units: Option<Units>) -> Self {
        units.map_or(Self::OnDemand, |(read_units, write_units)| Self::Provisioned {
            read_units,
            write_units,
        })
    }

    /// Units of reads and writes; `None` on demand.
    pub(crate) const fn units(self) -> Option<Units> {
        match self {
            Self::OnDemand => None,
            Self::Provisioned { read_units, write_units } => Some((read_units, write_units)),
        }
    }
}

/// What DescribeTable says, as far as this crate uses it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableDescription {
    /// The name, prefix included.
    pub name: String,
    /// Whether it can be used.
    pub status: TableStatus,
    /// How it is paid for.
    pub billing: BillingMode,
    /// The partition key's attribute and type.
    pub partition_key: (String, KeyKind),
    /// The sort key's attribute and type, if there is one.
    pub sort_key: Option<(String, KeyKind)>,
    /// The indexes, in no order.
    pub indexes: Vec<IndexDescription>,
    /// How many items it has; the service counts about every six hours.
    pub item_count: u64,
    /// How many bytes it has; the service counts about every six hours.
    pub size_bytes: u64,
    /// Its ARN, if the service said it.
    pub arn: Option<String>,
    /// What tells it from a table of the same name that was deleted, if the service said it.
    pub id: Option<String>,
    /// The most units of reads and writes a second that it admits on demand, as far as they are set.
    pub(crate) most: Most,
}

/// What DescribeTable says of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexDescription {
    /// The name.
    pub name: String,
    /// Whether it has the table's partition key and capacity.
    pub is_local: bool,
    /// Whether it can be used; a local one can with its table.
    pub status: TableStatus,
    /// The partition key's attribute and type.
    pub partition_key: (String, KeyKind),
    /// The sort key's attribute and type, if there is one.
    pub sort_key: Option<(String, KeyKind)>,
    /// The attributes that it has besides the keys, its own and the table's.
    pub attributes: ProjectedAttributes,
    /// Units of capacity a second, reads and writes; `None` on demand and for a local index.
    pub units: Option<(u64, u64)>,
    /// The most units of reads and writes a second that it admits on demand, as far as they are set.
    pub(crate) most: Most,
}

/// The attributes that a real index has besides the keys, its own and the table's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectedAttributes {
    /// All of them.
    All,
    /// None.
    KeysOnly,
    /// These.
    Include(Vec<String>),
}

impl fmt::Display for ProjectedAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all attributes"),
            Self::KeysOnly => f.write_str("the keys only"),
            Self::Include(names) => write!(f, "the keys and `{}`", names.join("`, `")),
        }
    }
}

impl TableDescription {
    pub(crate) fn of(table: &types::TableDescription) -> Option<Self> {
        let definitions = table.attribute_definitions();
        // One being deleted may have lost the types of its keys.
        let has_types = |index: &&types::GlobalSecondaryIndexDescription| {
            index.index_status() != Some(&IndexStatus::Deleting)
                || IndexDescription::global(index, definitions).is_some()
        };
        let global = table.global_secondary_indexes().iter().filter(has_types);
        let local = table.local_secondary_indexes().iter();
        let indexes = global
            .map(|index| IndexDescription::global(index, definitions))
            .chain(local.map(|index| IndexDescription::local(index, definitions)));
        Some(Self {
            name: table.table_name()?.to_owned(),
            status: match table.table_status() {
                Some(types::TableStatus::Active) => TableStatus::Active,
                Some(types::TableStatus::Creating) => TableStatus::Creating,
                Some(types::TableStatus::Updating) => TableStatus::Updating,
                Some(types::TableStatus::Deleting) => TableStatus::Deleting,
                _ => TableStatus::Other,
            },
            billing: billing(table),
            partition_key: key(table.key_schema(), &KeyType::Hash, definitions)?,
            sort_key: key(table.key_schema(), &KeyType::Range, definitions),
            indexes: indexes.collect::<Option<_>>()?,
            item_count: count(table.item_count()),
            size_bytes: count(table.table_size_bytes()),
            arn: table.table_arn().map(str::to_owned),
            id: table.table_id().map(str::to_owned),
            most: most(table.on_demand_throughput()),
        })
    }

    /// What it can take, as far as that is said.
    pub(crate) fn capacity(&self) -> Described {
        let (reads, writes) = limits(self.billing.units(), self.most);
        let mut described = Described {
            reads: Capacity { table: reads, ..Capacity::default() },
            writes: Capacity { table: writes, ..Capacity::default() },
        };
        for index in &self.indexes {
            let (reads, writes) = limits(index.units, index.most);
            described.reads.indexes.extend(reads.map(|units| (index.name.clone(), units)));
            described.writes.indexes.extend(writes.map(|units| (index.name.clone(), units)));
        }
        described
    }

    /// Whether the table and its indexes can be used.
    pub(crate) fn is_usable(&self) -> bool {
        let usable = |status| matches!(status, TableStatus::Active | TableStatus::Updating);
        usable(self.status) && self.indexes.iter().all(|index| usable(index.status))
    }
}

impl IndexDescription {
    fn global(
        index: &types::GlobalSecondaryIndexDescription,
        definitions: &[AttributeDefinition],
    ) -> Option<Self> {
        let units = units(index.provisioned_throughput());
        Some(Self {
            name: index.index_name()?.to_owned(),
            is_local: false,
            status: match index.index_status() {
                Some(IndexStatus::Active) => TableStatus::Active,
                Some(IndexStatus::Creating) => TableStatus::Creating,
                Some(IndexStatus::Updating) => TableStatus::Updating,
                Some(IndexStatus::Deleting) => TableStatus::Deleting,
                _ => TableStatus::Other,
            },
            partition_key: key(index.key_schema(), &KeyType::Hash, definitions)?,
            sort_key: key(index.key_schema(), &KeyType::Range, definitions),
            attributes: attributes(index.projection())?,
            units: (units != (0, 0)).then_some(units),
            most: most(index.on_demand_throughput()),
        })
    }

    fn local(
        index: &types::LocalSecondaryIndexDescription,
        definitions: &[AttributeDefinition],
    ) -> Option<Self> {
        Some(Self {
            name: index.index_name()?.to_owned(),
            is_local: true,
            status: TableStatus::Active,
            partition_key: key(index.key_schema(), &KeyType::Hash, definitions)?,
            sort_key: key(index.key_schema(), &KeyType::Range, definitions),
            attributes: attributes(index.projection())?,
            units: None,
            most: (None, None),
        })
    }
}

fn key(
    schema: &[KeySchemaElement],
    key_type: &KeyType,
    definitions: &[AttributeDefinition],
) -> Option<KeyOf> {
    let mut elements = schema.iter().filter(|element| element.key_type() == key_type);
    let name = elements.next()?.attribute_name();
    let definition = definitions.iter().find(|other| other.attribute_name() == name)?;
    // A key of several attributes, which global indexes can have, is like none of one.
    let more = elements.map(KeySchemaElement::attribute_name);
    let name = std::iter::once(name).chain(more).collect::<Vec<_>>().join("`, `");
    let kind = match definition.attribute_type() {
        ScalarAttributeType::S => KeyKind::String,
        ScalarAttributeType::N => KeyKind::Number,
        ScalarAttributeType::B => KeyKind::Binary,
        _ => return None,
    };
    Some((name, kind))
}

/// Reads and writes a second as provisioned, or else the most on demand.
fn limits(provisioned: Option<Units>, most: Most) -> (Option<f64>, Option<f64>) {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 units a second")]
    let units = |units: u64| units as f64;
    let (reads, writes) = provisioned.map_or(most, |(reads, writes)| (Some(reads), Some(writes)));
    (reads.map(units), writes.map(units))
}

/// -1 stands for no maximum.
fn most(most: Option<&types::OnDemandThroughput>) -> Most {
    let count = |units: Option<i64>| units.and_then(|units| u64::try_from(units).ok());
    let of = |most: &types::OnDemandThroughput| {
        (count(most.max_read_request_units()), count(most.max_write_request_units()))
    };
    most.map(of).unwrap_or_default()
}

fn attributes(projection: Option<&Projection>) -> Option<ProjectedAttributes> {
    let projection = projection?;
    Some(match projection.projection_type()? {
        ProjectionType::All => ProjectedAttributes::All,
        ProjectionType::KeysOnly => ProjectedAttributes::KeysOnly,
        ProjectionType::Include => {
            ProjectedAttributes::Include(projection.non_key_attributes().to_vec())
        }
        _ => return None,
    })
}

/// Units are zero on demand; `BillingModeSummary` is absent for tables that never were on demand.
fn billing(table: &types::TableDescription) -> BillingMode {
    let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    let (read_units, write_units) = units(table.provisioned_throughput());
    if mode == Some(&types::BillingMode::PayPerRequest) || (read_units, write_units) == (0, 0) {
        BillingMode::OnDemand
    } else {
        BillingMode::Provisioned { read_units, write_units }
    }
}

/// Units of reads and writes; zero where none are said.
fn units(throughput: Option<&Throughput>) -> (u64, u64) {
    let read = throughput.and_then(Throughput::read_capacity_units);
    let write = throughput.and_then(Throughput::write_capacity_units);
    (count(read), count(write))
}

fn count(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(status: IndexStatus) -> types::GlobalSecondaryIndexDescription {
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly);
        types::GlobalSecondaryIndexDescription::builder()
            .index_name("by-id")
            .key_schema(key.build().unwrap())
            .projection(keys_only.build())
            .index_status(status)
            .build()
    }

    fn table(status: types::TableStatus, index_status: IndexStatus) -> TableDescription {
        TableDescription::of(&raw(status, index_status)).unwrap()
    }

    fn raw(status: types::TableStatus, index_status: IndexStatus) -> types::TableDescription {
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let definition = AttributeDefinition::builder().attribute_name("id");
        let definition = definition.attribute_type(ScalarAttributeType::N).build().unwrap();
        let table = types::TableDescription::builder().table_name("stores").table_status(status);
        let table = table.key_schema(key.build().unwrap()).attribute_definitions(definition);
        table.global_secondary_indexes(index(index_status)).build()
    }

    #[test]
    fn a_table_can_be_used_once_its_indexes_can() {
        use types::TableStatus::{Active, Creating};
        assert!(table(Active, IndexStatus::Active).is_usable());
        assert!(table(Active, IndexStatus::Updating).is_usable());
        assert!(!table(Active, IndexStatus::Creating).is_usable());
        assert!(!table(Creating, IndexStatus::Active).is_usable());
    }

    #[test]
    fn an_index_that_is_being_deleted_may_lack_its_keys() {
        let gone = types::GlobalSecondaryIndexDescription::builder().index_name("by-city");
        let key = KeySchemaElement::builder().attribute_name("city").key_type(KeyType::Hash);
        let gone = gone.key_schema(key.build().unwrap());
        let described = |status| {
            let index = gone.clone().index_status(status).build();
            let mut whole = raw(types::TableStatus::Updating, IndexStatus::Active);
            whole.global_secondary_indexes.get_or_insert_default().push(index);
            TableDescription::of(&whole).map(|table| table.indexes.len())
        };
        assert_eq!(described(IndexStatus::Deleting), Some(1));
        assert_eq!(described(IndexStatus::Active), None, "the service says nothing like that");
    }

    #[test]
    fn an_index_is_described_with_its_keys() {
        let found = table(types::TableStatus::Active, IndexStatus::Creating).indexes;
        let expected = IndexDescription {
            name: "by-id".into(),
            is_local: false,
            status: TableStatus::Creating,
            partition_key: ("id".into(), KeyKind::Number),
            sort_key: None,
            attributes: ProjectedAttributes::KeysOnly,
            units: None,
            most: (None, None),
        };
        assert_eq!(found, [expected]);
    }
}

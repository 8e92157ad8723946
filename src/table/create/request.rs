//! What is sent to create a table.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    LocalSecondaryIndex, Projection, ProjectionType, ProvisionedThroughput, ScalarAttributeType,
};

use crate::error::{Error, ErrorKind};
use crate::key::KeyKind;
use crate::spec::{IndexProjection, IndexSpec, KeySpec, TableSpec};

/// The call that creates the table, with units of capacity or on demand.
pub(super) fn of(
    call: CreateTableFluentBuilder,
    name: &Arc<str>,
    spec: &TableSpec,
    units: Option<(u64, u64)>,
) -> Result<CreateTableFluentBuilder, Error> {
    let partition = spec.check()?;
    filled(call.table_name(&**name), spec, partition, units).map_err(|error| {
        Error::new(ErrorKind::Configuration, "the table cannot be created so")
            .on_table(name)
            .caused_by(error)
    })
}

fn filled(
    mut call: CreateTableFluentBuilder,
    spec: &TableSpec,
    partition: KeySpec,
    units: Option<(u64, u64)>,
) -> Result<CreateTableFluentBuilder, BuildError> {
    let mut defined = HashSet::new();
    for key in spec.key_attributes(partition).filter(|key| defined.insert(key.name)) {
        let definition = AttributeDefinition::builder().attribute_name(key.name);
        call = call.attribute_definitions(definition.attribute_type(scalar(key.kind)).build()?);
    }
    let throughput = units.map(throughput).transpose()?;
    let mode = if units.is_some() { BillingMode::Provisioned } else { BillingMode::PayPerRequest };
    call = call
        .billing_mode(mode)
        .set_provisioned_throughput(throughput.clone())
        .set_key_schema(Some(schema(partition, spec.sort_key)?));
    for index in &spec.indexes {
        call = match index.partition_key() {
            Some(partition) => {
                call.global_secondary_indexes(global(index, partition, throughput.clone())?)
            }
            None => call.local_secondary_indexes(local(index, partition)?),
        };
    }
    Ok(call)
}

fn global(
    index: &IndexSpec,
    partition: KeySpec,
    throughput: Option<ProvisionedThroughput>,
) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(index.name())
        .set_key_schema(Some(schema(partition, index.sort_key_spec())?))
        .projection(projection(index.attributes()))
        .set_provisioned_throughput(throughput)
        .build()
}

/// A local index has the partition key and the capacity of its table.
fn local(index: &IndexSpec, partition: KeySpec) -> Result<LocalSecondaryIndex, BuildError> {
    LocalSecondaryIndex::builder()
        .index_name(index.name())
        .set_key_schema(Some(schema(partition, index.sort_key_spec())?))
        .projection(projection(index.attributes()))
        .build()
}

fn schema(partition: KeySpec, sort: Option<KeySpec>) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |(key, key_type): (KeySpec, KeyType)| {
        KeySchemaElement::builder().attribute_name(key.name).key_type(key_type).build()
    };
    let sort = sort.map(|sort| (sort, KeyType::Range));
    std::iter::once((partition, KeyType::Hash)).chain(sort).map(element).collect()
}

fn projection(attributes: IndexProjection) -> Projection {
    let (kind, names) = match attributes {
        IndexProjection::All => (ProjectionType::All, None),
        // DynamoDB refuses an empty list.
        IndexProjection::KeysOnly | IndexProjection::Include([]) => {
            (ProjectionType::KeysOnly, None)
        }
        IndexProjection::Include(names) => (ProjectionType::Include, Some(names)),
    };
    let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    Projection::builder().projection_type(kind).set_non_key_attributes(names).build()
}

fn throughput((read, write): (u64, u64)) -> Result<ProvisionedThroughput, BuildError> {
    let units = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
    ProvisionedThroughput::builder()
        .read_capacity_units(units(read))
        .write_capacity_units(units(write))
        .build()
}

fn scalar(kind: KeyKind) -> ScalarAttributeType {
    match kind {
        KeyKind::String => ScalarAttributeType::S,
        KeyKind::Number => ScalarAttributeType::N,
        KeyKind::Binary => ScalarAttributeType::B,
    }
}

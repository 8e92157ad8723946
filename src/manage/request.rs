//! What is sent to create and to change a table.

use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction,
    DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndex, GlobalSecondaryIndexUpdate,
    KeySchemaElement, KeyType, LocalSecondaryIndex, Projection, ProjectionType,
    ProvisionedThroughput, ScalarAttributeType, UpdateGlobalSecondaryIndexAction,
};

use super::steps::Step;
use crate::database;
use crate::error::{Error, ErrorKind};
use crate::key::KeyKind;
use crate::spec::{IndexProjection, IndexSpec, KeySpec, TableSpec, Units};

/// The call that creates the table.
pub(super) fn create(
    call: CreateTableFluentBuilder,
    name: &Arc<str>,
    spec: &TableSpec,
) -> Result<CreateTableFluentBuilder, Error> {
    let partition = spec.check()?;
    filled(call.table_name(&**name), spec, partition)
        .map_err(|error| unbuildable(name, "the table cannot be created so", error))
}

/// The call that takes one step of changing the table.
pub(super) fn update(
    call: UpdateTableFluentBuilder,
    name: &Arc<str>,
    step: &Step,
) -> Result<UpdateTableFluentBuilder, Error> {
    stepping(call.table_name(&**name), step)
        .map_err(|error| unbuildable(name, "the table cannot be changed so", error))
}

fn unbuildable(name: &Arc<str>, text: &'static str, error: BuildError) -> Error {
    Error::new(ErrorKind::Configuration, text).on_table(name).caused_by(error)
}

fn filled(
    mut call: CreateTableFluentBuilder,
    spec: &TableSpec,
    partition: KeySpec,
) -> Result<CreateTableFluentBuilder, BuildError> {
    let keys = spec.key_attributes(partition);
    let units = spec.billing.units();
    call = call
        .set_attribute_definitions(Some(definitions(keys)?))
        .billing_mode(mode(spec.billing))
        .set_provisioned_throughput(units.map(throughput).transpose()?)
        .set_key_schema(Some(schema(iter::once(partition).chain(spec.sort_key))?));
    for index in &spec.indexes {
        call = if index.is_local() {
            call.local_secondary_indexes(local(index, partition)?)
        } else {
            let units = units.map(|of_table| index.units().unwrap_or(of_table));
            call.global_secondary_indexes(global(index, units)?)
        };
    }
    Ok(call)
}

fn stepping(
    call: UpdateTableFluentBuilder,
    step: &Step,
) -> Result<UpdateTableFluentBuilder, BuildError> {
    let update = GlobalSecondaryIndexUpdate::builder();
    Ok(match step {
        Step::Delete(index) => {
            let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(index).build()?;
            call.global_secondary_index_updates(update.delete(delete).build())
        }
        Step::Capacity { billing, indexes } => {
            let mut call = call.set_billing_mode(billing.map(mode));
            let units =
                billing.and_then(database::BillingMode::units).map(throughput).transpose()?;
            call = call.set_provisioned_throughput(units);
            for (index, units) in indexes {
                let action = UpdateGlobalSecondaryIndexAction::builder().index_name(index);
                let action = action.provisioned_throughput(throughput(*units)?).build()?;
                let update = update.clone().update(action).build();
                call = call.global_secondary_index_updates(update);
            }
            call
        }
        Step::Create { index, units } => {
            let create = CreateGlobalSecondaryIndexAction::builder()
                .index_name(index.name())
                .set_key_schema(Some(schema(index.key_attributes())?))
                .projection(projection(index.attributes()))
                .set_provisioned_throughput(units.map(throughput).transpose()?);
            call.set_attribute_definitions(Some(definitions(index.key_attributes())?))
                .global_secondary_index_updates(update.create(create.build()?).build())
        }
    })
}

/// Each attribute once.
fn definitions(
    keys: impl Iterator<Item = KeySpec>,
) -> Result<Vec<AttributeDefinition>, BuildError> {
    let mut defined = HashSet::new();
    keys.filter(|key| defined.insert(key.name))
        .map(|key| {
            let definition = AttributeDefinition::builder().attribute_name(key.name);
            definition.attribute_type(scalar(key.kind)).build()
        })
        .collect()
}

const fn mode(billing: database::BillingMode) -> BillingMode {
    match billing {
        database::BillingMode::OnDemand => BillingMode::PayPerRequest,
        database::BillingMode::Provisioned { .. } => BillingMode::Provisioned,
    }
}

fn global(index: &IndexSpec, units: Option<Units>) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(index.name())
        .set_key_schema(Some(schema(index.key_attributes())?))
        .projection(projection(index.attributes()))
        .set_provisioned_throughput(units.map(throughput).transpose()?)
        .build()
}

/// A local index has the partition key and the capacity of its table.
fn local(index: &IndexSpec, partition: KeySpec) -> Result<LocalSecondaryIndex, BuildError> {
    LocalSecondaryIndex::builder()
        .index_name(index.name())
        .set_key_schema(Some(schema(iter::once(partition).chain(index.sort_key_spec()))?))
        .projection(projection(index.attributes()))
        .build()
}

/// The partition key, and the sort key if there is one.
fn schema(keys: impl IntoIterator<Item = KeySpec>) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |(key, key_type): (KeySpec, KeyType)| {
        KeySchemaElement::builder().attribute_name(key.name).key_type(key_type).build()
    };
    keys.into_iter().zip([KeyType::Hash, KeyType::Range]).map(element).collect()
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

fn throughput((read, write): Units) -> Result<ProvisionedThroughput, BuildError> {
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

//! What the service knows of a table, asked once.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{self, KeyType, ScalarAttributeType};
use tokio::sync::OnceCell;

use super::Database;
use crate::error::{Error, ErrorKind};
use crate::key::{KeyKind, KeyShape};
use crate::record::Record;
use crate::retry::Patience;

/// The key attributes of a real table: name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableKeys {
    partition: (String, KeyKind),
    sort: Option<(String, KeyKind)>,
}

/// `None` inside: asking was denied, so nothing is known and nothing is compared.
pub(crate) type SchemaCell = OnceCell<Option<TableKeys>>;

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
    /// How many items it has; the service counts about every six hours.
    pub item_count: u64,
    /// How many bytes it has; the service counts about every six hours.
    pub size_bytes: u64,
    /// Its ARN, if the service said it.
    pub arn: Option<String>,
}

impl TableDescription {
    pub(crate) fn of(table: &types::TableDescription) -> Option<Self> {
        let kind = |name: &str| {
            let definition =
                table.attribute_definitions().iter().find(|d| d.attribute_name() == name)?;
            Some(match definition.attribute_type() {
                ScalarAttributeType::S => KeyKind::String,
                ScalarAttributeType::N => KeyKind::Number,
                ScalarAttributeType::B => KeyKind::Binary,
                _ => return None,
            })
        };
        let key = |key_type: &KeyType| {
            let element =
                table.key_schema().iter().find(|element| element.key_type() == key_type)?;
            let name = element.attribute_name();
            Some((name.to_owned(), kind(name)?))
        };
        let count =
            |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
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
            partition_key: key(&KeyType::Hash)?,
            sort_key: key(&KeyType::Range),
            item_count: count(table.item_count()),
            size_bytes: count(table.table_size_bytes()),
            arn: table.table_arn().map(str::to_owned),
        })
    }

    pub(crate) fn keys(&self) -> TableKeys {
        TableKeys { partition: self.partition_key.clone(), sort: self.sort_key.clone() }
    }
}

/// Units are zero on demand; `BillingModeSummary` is absent for tables that never were on demand.
fn billing(table: &types::TableDescription) -> BillingMode {
    let units = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
    let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    let throughput = table.provisioned_throughput();
    let read_units =
        units(throughput.and_then(
            aws_sdk_dynamodb::types::ProvisionedThroughputDescription::read_capacity_units,
        ));
    let write_units =
        units(throughput.and_then(
            aws_sdk_dynamodb::types::ProvisionedThroughputDescription::write_capacity_units,
        ));
    if mode == Some(&types::BillingMode::PayPerRequest) || (read_units, write_units) == (0, 0) {
        BillingMode::OnDemand
    } else {
        BillingMode::Provisioned { read_units, write_units }
    }
}

impl TableKeys {
    pub(crate) fn of<T: Record>() -> Self {
        let sort = T::SORT_KEY.zip(<T::Key as KeyShape>::SORT);
        Self {
            partition: (T::PARTITION_KEY.to_owned(), <T::Key as KeyShape>::PARTITION),
            sort: sort.map(|(name, kind)| (name.to_owned(), kind)),
        }
    }

    fn text(&self) -> String {
        let (name, kind) = &self.partition;
        let sort = self.sort.as_ref().map_or_else(
            || "no sort key".to_owned(),
            |(name, kind)| format!("sort key `{name}`, a {kind}"),
        );
        format!("partition key `{name}`, a {kind}, and {sort}")
    }

    /// An error that says both sides, if a record type does not fit the real table.
    pub(crate) fn check<T: Record>(&self, name: &Arc<str>) -> Result<(), Error> {
        let record = Self::of::<T>();
        if *self == record {
            return Ok(());
        }
        let text = format!("the table has {}, the record has {}", self.text(), record.text());
        Err(Error::new(ErrorKind::TableMismatch, text).on_table(name).advise(
            "change `#[record(partition_key)]`, `#[record(sort_key)]`, their types or the name of the table; no data was sent",
        ))
    }
}

impl Database {
    /// Describes a table; `None` if it does not exist.
    pub(crate) async fn describe(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<Option<TableDescription>, Error> {
        match self.describe_existing(name, patience).await {
            Ok(description) => Ok(Some(description)),
            Err(error) if error.kind() == ErrorKind::TableNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn describe_existing(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<TableDescription, Error> {
        let mut attempts = patience.attempts();
        loop {
            // The SDK's futures are 20 KB; boxed, ours stay small.
            let call = Box::pin(self.single().describe_table().table_name(&**name).send());
            let answer = attempts.attempt(async { self.contact().heard(call.await) }).await;
            let failed = match answer {
                Ok(output) => {
                    let description = output.table().and_then(TableDescription::of);
                    return description.ok_or_else(|| {
                        Error::new(
                            ErrorKind::Service,
                            "the service's description of the table is incomplete",
                        )
                        .during("DescribeTable")
                        .on_table(name)
                    });
                }
                Err(failed) => failed,
            };
            let outcome = attempts.wait(failed).await;
            outcome.map_err(|error| error.during("DescribeTable").on_table(name))?;
        }
    }

    /// Compares a record type with the real table, asking the service once for each table.
    pub(crate) async fn check_schema<T: Record>(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<(), Error> {
        let cell = self.schema(name);
        let keys = cell.get_or_try_init(|| self.ask_keys(name, patience)).await?;
        keys.as_ref().map_or(Ok(()), |keys| keys.check::<T>(name))
    }

    async fn ask_keys(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<Option<TableKeys>, Error> {
        match self.describe_existing(name, patience).await {
            Ok(description) => Ok(Some(description.keys())),
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                tracing::warn!(
                    table = %name,
                    "DescribeTable is denied, so the table's keys are not compared with the record's"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

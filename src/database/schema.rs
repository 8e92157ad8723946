//! What the service knows of a table, asked once.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{self, TableStatus};
use futures::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use parking_lot::Mutex;

use super::Database;
use super::description::TableDescription;
use super::keys::{Mismatch, TableKeys, Wanting};
use crate::error::{Error, ErrorKind};
use crate::logging::{Access, DATABASE};
use crate::record::Record;
use crate::retry::Patience;
use crate::spec::IndexSpec;

const DESCRIBE: &str = "DescribeTable";

/// `None`: asking was denied, so nothing is known and nothing is compared.
type Asked = Result<Option<Arc<TableKeys>>, Error>;

/// What is known of a table's keys, and whether the service was asked only now.
struct Known {
    keys: Option<Arc<TableKeys>>,
    is_new: bool,
}

/// What is known of a table's keys. All that wait for one question get its answer, also an error:
/// were each to ask anew, the last would wait for the patience of all.
#[derive(Default)]
pub(crate) struct SchemaCell(Mutex<Asking>);

#[derive(Default)]
enum Asking {
    #[default]
    Unknown,
    /// Those who wait keep it alive: left by all of them, half-way perhaps and on a runtime that has
    /// ended, it is not gone on with.
    Under(WeakShared<BoxFuture<'static, Asked>>),
    Known(Option<Arc<TableKeys>>),
}

impl Asking {
    /// Whether this question is the one under way.
    fn is(&self, question: &Shared<BoxFuture<'static, Asked>>) -> bool {
        let Self::Under(current) = self else { return false };
        current.upgrade().is_some_and(|current| current.ptr_eq(question))
    }
}

impl SchemaCell {
    /// Takes in what is known from elsewhere.
    pub(crate) fn set(&self, keys: TableKeys) {
        *self.0.lock() = Asking::Known(Some(Arc::new(keys)));
    }

    /// Takes the table for what the record says, unasked.
    #[cfg(test)]
    pub(crate) fn trust(&self) {
        *self.0.lock() = Asking::Known(None);
    }

    /// Forgets what is known, if it is still this.
    fn outdated(&self, known: &Arc<TableKeys>) {
        let mut asking = self.0.lock();
        if matches!(&*asking, Asking::Known(Some(current)) if Arc::ptr_eq(current, known)) {
            *asking = Asking::Unknown;
        }
    }

    async fn get(&self, ask: impl FnOnce() -> BoxFuture<'static, Asked>) -> Result<Known, Error> {
        let question = {
            let mut asking = self.0.lock();
            let under = match &*asking {
                Asking::Known(keys) => return Ok(Known { keys: keys.clone(), is_new: false }),
                Asking::Under(question) => question.upgrade(),
                Asking::Unknown => None,
            };
            under.unwrap_or_else(|| {
                let question = ask().shared();
                *asking = question.downgrade().map_or(Asking::Unknown, Asking::Under);
                question
            })
        };
        let answer = question.clone().await;
        let mut asking = self.0.lock();
        if asking.is(&question) {
            *asking = answer.clone().map_or(Asking::Unknown, Asking::Known);
        }
        Ok(Known { keys: answer?, is_new: true })
    }
}

/// Whether a table is there.
pub(crate) enum Look {
    /// As the service says it.
    Gone(Error),
    /// It is being deleted, and may have lost its keys by then.
    Going {
        description: Option<TableDescription>,
    },
    There(TableDescription),
}

impl Database {
    /// Describes a table; `None` if it does not exist, or is so far deleted that it has no keys.
    pub(crate) async fn describe(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<Option<TableDescription>, Error> {
        Ok(match self.look(name, patience).await? {
            Look::There(description) => Some(description),
            Look::Going { description, .. } => description,
            Look::Gone(_) => None,
        })
    }

    /// Looks whether a table is there.
    pub(crate) async fn look(&self, name: &Arc<str>, patience: &Patience) -> Result<Look, Error> {
        let call = || self.single().describe_table().table_name(&**name).send();
        let output = match self.ask(Access::on(DESCRIBE, name), patience, call).await {
            Err(error) if error.kind() == ErrorKind::TableNotFound => return Ok(Look::Gone(error)),
            output => output?,
        };
        let (table, description) = (output.table(), output.table().and_then(TableDescription::of));
        if table.and_then(types::TableDescription::table_status) == Some(&TableStatus::Deleting) {
            return Ok(Look::Going { description });
        }
        if let Some(description) = &description {
            self.pace(name).described(name, description.capacity());
        }
        description.map(Look::There).ok_or_else(|| {
            let text = "the service's description of the table is incomplete";
            Error::new(ErrorKind::Service, text).during(DESCRIBE).on_table(name)
        })
    }

    /// Compares a record type with the real table, asking the service once for each table.
    pub(crate) async fn check_schema<T: Record>(
        &self,
        name: &Arc<str>,
        patience: &Patience,
    ) -> Result<(), Error> {
        self.compare(name, patience, |keys| keys.check_record::<T>(name)).await
    }

    /// Compares an index of a record type with the real table's.
    pub(crate) async fn check_index(
        &self,
        name: &Arc<str>,
        index: &IndexSpec,
        patience: &Patience,
    ) -> Result<(), Error> {
        self.compare(name, patience, |keys| keys.check_index(name, Wanting::Record, index)).await
    }

    /// Indexes come and go while a table is used, so what does not fit is asked for anew.
    async fn compare(
        &self,
        name: &Arc<str>,
        patience: &Patience,
        check: impl Fn(&TableKeys) -> Result<(), Mismatch>,
    ) -> Result<(), Error> {
        let Known { keys: Some(keys), is_new } = self.known_keys(name, patience).await? else {
            return Ok(());
        };
        match check(&keys) {
            Err(mismatch) if !is_new && !mismatch.is_lasting => {}
            ended => return Ok(ended?),
        }
        self.schema(name).outdated(&keys);
        match self.known_keys(name, patience).await?.keys {
            Some(keys) => Ok(check(&keys)?),
            None => Ok(()),
        }
    }

    async fn known_keys(&self, name: &Arc<str>, patience: &Patience) -> Result<Known, Error> {
        let cell = self.schema(name);
        let (database, name, patience) = (self.clone(), Arc::clone(name), patience.clone());
        let ask = || async move { database.ask_keys(&name, &patience).await }.boxed();
        cell.get(ask).await
    }

    async fn ask_keys(&self, name: &Arc<str>, patience: &Patience) -> Asked {
        match self.look(name, patience).await {
            Ok(Look::There(description)) => Ok(Some(Arc::new(TableKeys::of(&description)))),
            Ok(Look::Gone(error)) => Err(error),
            Ok(Look::Going { .. }) => {
                let error = Error::new(ErrorKind::TableNotFound, "the table is being deleted");
                let advice = "call `create_if_missing`, which waits for that and makes it anew";
                Err(error.during(DESCRIBE).on_table(name).advise(advice))
            }
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                self.pace(name).not_described(name);
                tracing::warn!(
                    target: DATABASE,
                    table = %name,
                    "DescribeTable is denied, so the table's keys are not compared with the record's"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;
    use crate::key::KeyKind;
    use crate::spec::{KeySpec, TableSpec};

    const ID: KeySpec = KeySpec::new("id", KeyKind::String);
    const BY_CITY: IndexSpec = IndexSpec::global("by-city", KeySpec::new("city", KeyKind::String));

    async fn checked(database: &Database, index: IndexSpec) -> Result<(), Error> {
        let patience = database.default_patience();
        database.check_index(&Arc::from("stores"), &index, &patience).await
    }

    #[tokio::test]
    async fn an_index_is_compared_with_the_real_tables() {
        let database = Database::embedded().unwrap();
        let stores = TableSpec::new("stores").partition_key(ID).index(BY_CITY);
        database.create_if_missing(stores).await.unwrap();
        assert!(checked(&database, BY_CITY).await.is_ok());
        for wrong in [
            IndexSpec::global("by-town", KeySpec::new("city", KeyKind::String)),
            IndexSpec::global("by-city", KeySpec::new("city", KeyKind::Number)),
            BY_CITY.sort_key(ID),
        ] {
            let error = checked(&database, wrong).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TableMismatch);
            assert!(error.to_string().contains(wrong.name()), "{error}");
        }
    }

    #[tokio::test]
    async fn an_index_that_came_later_is_found() {
        let database = Database::embedded().unwrap();
        let stores = TableSpec::new("stores").partition_key(ID);
        database.create_if_missing(stores.clone()).await.unwrap();
        assert!(checked(&database, BY_CITY).await.is_err());
        let other = database.client();
        other.delete_table().table_name("stores").send().await.unwrap();
        let anew = Database::from_client(other.clone());
        anew.create_if_missing(stores.index(BY_CITY)).await.unwrap();
        assert!(checked(&database, BY_CITY).await.is_ok());
    }
}

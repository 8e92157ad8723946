//! Which tables there are.

use super::Database;
use crate::error::Error;
use crate::logging::Access;

impl Database {
    /// The names of all tables that begin with the database's prefix, prefix included, in the order in
    /// which the service lists them. 100 names a request.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListTables.html>
    ///
    /// # Errors
    ///
    /// Why the service could not be asked.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// use memory_table::{Database, Record};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Record, Serialize, Deserialize, Clone)]
    /// #[record(table = "teams")]
    /// struct Team {
    ///     #[record(partition_key)]
    ///     name: String,
    /// }
    ///
    /// let production = Database::embedded()?;
    /// let staging = production.with_prefix("staging_");
    /// for database in [&production, &staging] {
    ///     database.table::<Team>().create_if_missing().await?;
    /// }
    /// assert_eq!(staging.list_tables().await?, ["staging_teams"]);
    /// assert_eq!(production.list_tables().await?, ["staging_teams", "teams"]);
    /// # Ok(()) }
    /// ```
    pub async fn list_tables(&self) -> Result<Vec<String>, Error> {
        let patience = self.default_patience();
        let (mut names, mut start) = (Vec::new(), None);
        loop {
            let call =
                || self.single().list_tables().set_exclusive_start_table_name(start.clone()).send();
            let page = self.ask(Access::first("ListTables"), &patience, call).await?;
            let found = page.table_names.unwrap_or_default();
            names.extend(found.into_iter().filter(|name| name.starts_with(self.prefix())));
            start = page.last_evaluated_table_name;
            if start.is_none() {
                return Ok(names);
            }
        }
    }
}

//! Which tables there are.

use super::Database;
use crate::error::Error;

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
        let mut names = Vec::new();
        let mut start = None;
        loop {
            let (page, next) = self.page_of_tables(start).await?;
            names.extend(page.into_iter().filter(|name| name.starts_with(self.prefix())));
            start = next;
            if start.is_none() {
                return Ok(names);
            }
        }
    }

    /// The names behind this one, and the last of them if there are more.
    async fn page_of_tables(
        &self,
        start: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let patience = self.default_patience();
        let mut attempts = patience.attempts();
        loop {
            let call = self.single().list_tables().set_exclusive_start_table_name(start.clone());
            let sent = async { self.contact().heard(Box::pin(call.send()).await) };
            match attempts.attempt(sent).await {
                Ok(output) => {
                    let next = output.last_evaluated_table_name().map(str::to_owned);
                    return Ok((output.table_names.unwrap_or_default(), next));
                }
                Err(failed) => {
                    let waited = attempts.wait(failed).await;
                    waited.map_err(|error| error.during("ListTables"))?;
                }
            }
        }
    }
}

//! New records.

use super::Table;
use super::writing::Writing;
use crate::error::{Error, ErrorKind};
use crate::guard::{Guard, Mode, OnConflict};
use crate::record::{Before, Record};

impl<T: Record> Table<T> {
    /// Writes a record on the condition that there is none of its key yet, and returns it as it is stored:
    /// as its `before_store` made it, and with `#[record(version)]` of version 1.
    ///
    /// If the answer is lost, it is sent again, and what it meets counts as its own if that is what was
    /// sent.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, ErrorKind, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, rating: i32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let ada = |rating| Player { name: "ada".into(), rating };
    /// players.insert(&ada(1500)).await?;
    /// let again = players.insert(&ada(0)).await;
    /// assert_eq!(again.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
    /// assert_eq!(players.get("ada").await?, Some(ada(1500)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if there is an item of this key; else as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not.
    pub async fn insert(&self, record: &T) -> Result<T, Error> {
        let key = self.key_of(record)?;
        let mode = Mode::Guarded(Guard::Item);
        let writing = Writing::new(self, record.clone(), Before::Nothing, mode, OnConflict::Fail)?
            .of_nothing();
        let written = writing.write().await;
        let written = written.map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                let text = "there is an item of this key already";
                let error = Error::new(ErrorKind::Conflict, text).during("insert").on_key(&key);
                self.place(error).advise("`put` replaces it")
            }
            _ => error,
        })?;
        // Only a merge deletes.
        Ok(written.record.unwrap_or_else(|| record.clone()))
    }
}

//! Numbers added to attributes by the service itself.

use super::Table;
use super::sending::{Sending, Sent};
use crate::condition::{Field, Numeric, Summand};
use crate::error::{Error, ErrorKind};
use crate::key::KeyLookup;
use crate::record::Record;
use crate::sums::{Tokens, single, summand};

impl<T: Record> Table<T> {
    /// Adds a number to an attribute without reading the record; what is absent counts as 0. The service
    /// does it once, however often it is sent: in a transaction of its own under a token, which costs two
    /// write units for each KB.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, #[serde(default)] wins: u32 }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// players.increment("ada", Player::FIELDS.wins, 2).await?;
    /// players.increment("ada", Player::FIELDS.wins, -1).await?;
    /// assert_eq!(players.get("ada").await?.map(|ada| ada.wins), Some(1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], [`ErrorKind::InvalidRecord`] and [`ErrorKind::InvalidCondition`] without
    /// a request, or why it could not be done; after a timeout it may have been done all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the number may be added or not, and nobody can tell which: do not call it again then.
    pub async fn increment<K, V>(
        &self,
        key: K,
        field: Field<V>,
        by: impl Summand,
    ) -> Result<(), Error>
    where
        K: KeyLookup<T::Key>,
        V: Numeric,
    {
        let key = self.checked_key(&key)?;
        let placed = |error: Error| self.place(error.during("increment").on_key(&key));
        let sums = summand::<T, V>(&field, &by).map_err(placed)?;
        if sums.is_zero() {
            // The service would make an item of it.
            return Ok(());
        }
        let single = single::<T>(&key, &sums, &Tokens::default().next()).map_err(placed)?;
        let link = self.ready().await?;
        let mut sending = Sending::new(&link, &key);
        loop {
            let sent = sending.send(&single).await;
            match sent.map_err(|error| sending.unsure(error, "increment").on_key(&key))? {
                Sent::Written(_) => return Ok(()),
                // It has no condition.
                Sent::Conflict(_) | Sent::Again => {}
            }
            if sending.is_in_doubt && sending.began.is_too_old_for_a_token() {
                let text = "its token has expired";
                let expired = placed(Error::new(ErrorKind::Timeout, text));
                return Err(sending.unsure(expired, "increment").on_key(&key));
            }
        }
    }
}

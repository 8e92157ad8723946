//! Why the service throttled a request, as it says it.

use std::fmt;

/// One of the reasons that the service gives for a throttle.
///
/// `Display` is the reason with the table or index, for people:
/// ``TableWriteKeyRangeThroughputExceeded of table `players` ``.
///
/// See [`Error::throttling_reasons`](crate::Error::throttling_reasons).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// # use memory_table::{Database, Record};
/// # use memory_table::testing::{Fault, Faults};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone, Debug)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] name: String }
/// # let (database, faults) = Faults::around(&Database::embedded()?);
/// # let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/players";
/// # let fault = Fault::throttled().because("TableReadKeyRangeThroughputExceeded", arn);
/// # let players = database.with_patience(std::time::Duration::ZERO).table::<Player>();
/// # players.create_if_missing().await?;
/// # faults.always("GetItem", fault);
/// // Too much for one partition key, whatever the table has.
/// let error = players.get("ada").await.unwrap_err();
/// let reason = &error.throttling_reasons()[0];
/// assert_eq!(reason.reason, "TableReadKeyRangeThroughputExceeded");
/// assert!(reason.is_key_range() && !reason.is_account_limit());
/// assert_eq!(reason.to_string(), "TableReadKeyRangeThroughputExceeded of table `players`");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ThrottlingReason {
    /// What is throttled, reads or writes, and which limit was met, in one word such as
    /// `TableWriteProvisionedThroughputExceeded` or `IndexReadKeyRangeThroughputExceeded`.
    pub reason: String,
    /// The ARN of the table or index, if the service said it.
    pub resource: Option<String>,
}

impl ThrottlingReason {
    /// Whether it is the limit of a partition that was met, by a hot partition key; the rest of the table
    /// is not throttled.
    #[must_use]
    pub fn is_key_range(&self) -> bool {
        self.reason.ends_with("KeyRangeThroughputExceeded")
    }

    /// The table that it is of, and the index, as far as the service said it:
    /// `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`, and `/index/NAME` behind it.
    pub(crate) fn place(&self) -> Option<(&str, Option<&str>)> {
        let mut parts = self.resource.as_deref()?.split('/').skip(1);
        let table = parts.next()?;
        let index = parts.next().filter(|part| *part == "index").and_then(|_| parts.next());
        Some((table, index))
    }

    /// Whether it may be of this table, which has no more than its name.
    pub(crate) fn is_of(&self, table: &str) -> bool {
        self.place().is_none_or(|(of, _)| of == table)
    }

    /// Whether it is the quota of the account that was met, which no setting of the table raises.
    #[must_use]
    pub fn is_account_limit(&self) -> bool {
        self.reason.ends_with("AccountLimitExceeded")
    }
}

/// What to do, where all reasons ask for the same.
pub(crate) fn advice(reasons: &[ThrottlingReason]) -> Option<&'static str> {
    let all = |is: fn(&ThrottlingReason) -> bool| !reasons.is_empty() && reasons.iter().all(is);
    if all(ThrottlingReason::is_account_limit) {
        Some("ask AWS for a higher quota, or for less at once; no setting of the table raises it")
    } else if all(ThrottlingReason::is_key_range) {
        Some(
            "spread the items over more partition keys, or raise the patience; a partition has 1,000 write units and \
              3,000 read units a second, whatever the table has",
        )
    } else {
        None
    }
}

impl fmt::Display for ThrottlingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match (self.place(), &self.resource) {
            (Some((table, Some(index))), _) => {
                write!(f, " of index `{index}` of table `{table}`")?;
            }
            (Some((table, None)), _) => write!(f, " of table `{table}`")?,
            (None, Some(resource)) => write!(f, " of `{resource}`")?,
            (None, None) => {}
        }
        if self.is_account_limit() { f.write_str(", the account's limit") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_its_table_or_index() {
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/players";
        let text = |reason: &str, resource: Option<&str>| {
            let resource = resource.map(str::to_owned);
            ThrottlingReason { reason: reason.to_owned(), resource }.to_string()
        };
        assert_eq!(text("R", Some(arn)), "R of table `players`");
        assert_eq!(
            text("R", Some(&format!("{arn}/index/by_rating"))),
            "R of index `by_rating` of table `players`"
        );
        assert_eq!(text("R", Some("somewhere")), "R of `somewhere`");
        assert_eq!(
            text("TableReadAccountLimitExceeded", None),
            "TableReadAccountLimitExceeded, the account's limit"
        );
    }
}

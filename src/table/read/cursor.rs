//! Where a read stopped, to go on from there.

use std::fmt;
use std::str::FromStr;

use aws_smithy_types::base64;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Where a query or scan stopped: [`resume`](crate::Query::resume) goes on behind it, in another
/// process too.
///
/// As text (`to_string`, `parse`, or serde) it can be stored. It holds the key of the last item, so
/// it is as confidential as the table's keys are. It goes on in the same table or index, in the same
/// direction, and for a scan in as many segments.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
/// use futures::TryStreamExt;
/// use memory_table::Cursor;
/// # use memory_table::{Database, Record};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "players")]
/// # struct Player { #[record(partition_key)] game: String, #[record(sort_key)] name: String }
/// # let players = Database::embedded()?.table::<Player>();
/// # players.create_if_missing().await?;
/// for name in ["ada", "bob", "eve"] {
///     players.put(&Player { game: "chess".into(), name: name.into() }).await?;
/// }
/// let first = players.query("chess").limit(2).pages().try_next().await?.expect("a page");
/// let text = first.cursor.expect("there are more").to_string();
///
/// let rest = players.query("chess").resume(text.parse::<Cursor>()?).all().await?;
/// assert_eq!(rest[0].name, "eve");
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(pub(crate) Places);

/// How far each part of a read came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Places {
    #[serde(rename = "t")]
    pub(super) table: String,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<String>,
    #[serde(rename = "q")]
    pub(super) query: bool,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) descending: bool,
    /// The only segment that is read.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(super) segment: Option<u32>,
    /// One for a query, one for each segment of a scan.
    #[serde(rename = "p")]
    pub(crate) parts: Vec<Place>,
    /// How far a memory table came with what it adds.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) added: Option<AddedTo>,
}

/// How far a memory table came with what it adds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum AddedTo {
    /// All of it is still to come.
    #[serde(rename = "s")]
    Start,
    /// The last that was returned has this key, which is DynamoDB JSON.
    #[serde(rename = "a")]
    After(String),
    /// The same, and it came behind all of the database that is in its place.
    #[serde(rename = "l")]
    AfterLate(String),
}

impl AddedTo {
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Start => None,
            Self::After(key) | Self::AfterLate(key) => Some(key),
        }
    }
}

/// How far a part of a read came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    #[serde(rename = "s")]
    Start,
    /// Behind the item of this key, which is DynamoDB JSON.
    #[serde(rename = "a")]
    After(String),
    #[serde(rename = "e")]
    End,
}

impl Places {
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let more = self.parts.iter().any(|place| *place != Place::End) || self.added.is_some();
        more.then(|| Cursor(self.clone()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&base64::encode(json))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let json = base64::decode(text).ok();
        let places = json.and_then(|json| serde_json::from_slice(&json).ok());
        places.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "the text is no cursor of this crate")
                .advise("give the text of a `Cursor` unchanged; nothing was sent")
        })
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

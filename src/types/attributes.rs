//! Attributes as DynamoDB has them: what a type does not declare, without loss.

mod json;
mod read;
mod write;

use std::collections::{HashMap, hash_map};
use std::ops::{Deref, DerefMut};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;

/// Attributes of any names and types, exact: numbers of 38 digits, bytes, all three kinds of sets.
///
/// A `HashMap` of the SDK's attribute values otherwise. As a field it is a map; with
/// `#[serde(flatten)]` it has the attributes that the type does not declare, to be seen and changed
/// (without such a field they are kept unseen). Also within tagged enums.
///
/// Two are equal if DynamoDB says so: numbers by value, so `1.10` is `1.1`, sets in any order.
/// Under `flatten` a number may come in another form of equal value. An empty set is stored as no
/// attribute. Formats other than this crate's codec see numbers as numbers, or as text where they
/// would be rounded, and sets as lists.
///
/// # Example
///
/// ```
/// use memory_table::aws_sdk_dynamodb::types::AttributeValue;
/// use memory_table::{Attributes, Record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     #[serde(flatten)]
///     rest: Attributes,
/// }
///
/// let item = Attributes::from_iter([
///     ("name", AttributeValue::S("ada".into())),
///     ("price", AttributeValue::N("0.12345678901234567890123456789".into())),
///     ("teams", AttributeValue::Ss(vec!["Brazil".into()])),
/// ]);
/// let player: Player = item.to_record()?;
/// assert_eq!(player.rest["teams"], AttributeValue::Ss(vec!["Brazil".into()]));
/// assert_eq!(Attributes::of_record(&player)?, item);
/// # Ok::<(), memory_table::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attributes(HashMap<String, AttributeValue>);

impl Attributes {
    /// The item of a record, as a put would store it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] and [`ErrorKind::InvalidRecord`] for what a put would refuse.
    ///
    /// # Example
    ///
    /// ```
    /// # use memory_table::{Attributes, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "teams")]
    /// # struct Team { #[record(partition_key)] name: String, points: u32 }
    /// let item = Attributes::of_record(&Team { name: "Brazil".into(), points: 3 })?;
    /// assert_eq!(item["points"].as_n().map(String::as_str), Ok("3"));
    /// # Ok::<(), memory_table::Error>(())
    /// ```
    pub fn of_record<T: Record>(record: &T) -> Result<Self, Error> {
        let key = Key::new(&record.key())?;
        let refused = |error: codec::CodecError| {
            Error::new(ErrorKind::InvalidRecord, error.to_string()).on_key(&key)
        };
        let item = codec::encode(record, &key).map_err(refused)?;
        codec::json_to_item(&item.json).map(Self).map_err(refused)
    }

    /// The record of an item, as a get would read it.
    ///
    /// Attributes that the type does not know are not in the record; a get would keep them beside
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidItem`] if the item does not fit the type, with the attribute's path.
    ///
    /// # Example
    ///
    /// ```
    /// # use memory_table::{Attributes, Record};
    /// # use memory_table::aws_sdk_dynamodb::types::AttributeValue;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "teams")]
    /// # struct Team { #[record(partition_key)] name: String, #[serde(default)] points: u32 }
    /// let item = Attributes::from_iter([("name", AttributeValue::S("Brazil".into()))]);
    /// assert_eq!(item.to_record::<Team>()?.points, 0);
    /// # Ok::<(), memory_table::Error>(())
    /// ```
    pub fn to_record<T: Record>(&self) -> Result<T, Error> {
        let misfit =
            |error: codec::CodecError| Error::new(ErrorKind::InvalidItem, error.to_string());
        let json = codec::item_to_json(&self.0).map_err(misfit)?;
        codec::decode(&json).map(|decoded| decoded.record).map_err(|why| {
            let error = Error::new(ErrorKind::InvalidItem, why.to_string());
            match why.into_source() {
                Some(source) => error.caused_by(source),
                None => error,
            }
        })
    }

    /// The map itself.
    #[must_use]
    pub fn into_inner(self) -> HashMap<String, AttributeValue> {
        self.0
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        // A type of value that the codec does not know yet can be compared by the SDK only.
        codec::same_sdk_items(&self.0, &other.0).unwrap_or_else(|| self.0 == other.0)
    }
}

impl Deref for Attributes {
    type Target = HashMap<String, AttributeValue>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Attributes {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<HashMap<String, AttributeValue>> for Attributes {
    fn from(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }
}

#[expect(clippy::implicit_hasher, reason = "the SDK's items have the default one")]
impl From<Attributes> for HashMap<String, AttributeValue> {
    fn from(attributes: Attributes) -> Self {
        attributes.0
    }
}

impl<N: Into<String>> FromIterator<(N, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, AttributeValue)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl IntoIterator for Attributes {
    type Item = (String, AttributeValue);
    type IntoIter = hash_map::IntoIter<String, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a String, &'a AttributeValue);
    type IntoIter = hash_map::Iter<'a, String, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;

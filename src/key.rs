//! Primary keys: which types can be one, how they are compared, how they are looked up.
//!
//! The identity of a record is its typed primary key, never a joined string: `("a#b", "c")` and
//! `("a", "b#c")` are two records, number `1` and text `"1"` too, and number keys are equal by
//! value (`1`, `1.0`).

mod attribute;
mod lookup;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

pub use attribute::{Binary, KeyAttribute, KeyError};
pub use lookup::{
    AttributeLookup, CompositeKey, KeyLookup, KeyShape, PartitionKey, QueryShape, SortShape,
};

use crate::number::Decimal;

/// The longest partition key in bytes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub(crate) const MAX_PARTITION: usize = 2048;
/// The longest sort key in bytes.
pub(crate) const MAX_SORT: usize = 1024;

/// The DynamoDB type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `S`: text, ordered by its UTF-8 bytes.
    String,
    /// `N`: a decimal number of up to 38 digits.
    Number,
    /// `B`: bytes, ordered as unsigned.
    Binary,
}

impl KeyKind {
    /// DynamoDB's letter for the type: `S`, `N` or `B`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::String => "S",
            Self::Number => "N",
            Self::Binary => "B",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string (S)",
            Self::Number => "number (N)",
            Self::Binary => "binary (B)",
        })
    }
}

/// The value of one key attribute, borrowed where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyValue<'a> {
    /// A string.
    String(Cow<'a, str>),
    /// A number as decimal text; equal numbers need not be equal text here, they are made so when
    /// a [`Key`] is built.
    Number(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

impl KeyValue<'_> {
    /// The DynamoDB type of the value.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::String(_) => KeyKind::String,
            Self::Number(_) => KeyKind::Number,
            Self::Binary(_) => KeyKind::Binary,
        }
    }
}

impl KeyValue<'_> {
    /// The value of a partition key as it is compared, if DynamoDB allows it.
    pub(crate) fn partition_key(&self) -> Result<KeyValue<'static>, KeyError> {
        self.canonical("partition key", MAX_PARTITION)
    }

    /// The value of a sort key as it is compared, if DynamoDB allows it.
    pub(crate) fn sort_key(&self) -> Result<KeyValue<'static>, KeyError> {
        self.canonical("sort key", MAX_SORT)
    }

    /// Its bytes by DynamoDB's arithmetic.
    fn size(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Number(text) => Decimal::parse(text).map_or(text.len(), |number| number.size()),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn canonical(&self, part: &'static str, max: usize) -> Result<KeyValue<'static>, KeyError> {
        let mut bytes = KeyBytes::new();
        let kind = push_value(&mut bytes, self, part, max)?;
        Ok(match value_of(kind, &bytes) {
            KeyValue::String(text) => KeyValue::String(Cow::Owned(text.into_owned())),
            KeyValue::Number(text) => KeyValue::Number(Cow::Owned(text.into_owned())),
            KeyValue::Binary(bytes) => KeyValue::Binary(Cow::Owned(bytes.into_owned())),
        })
    }
}

impl fmt::Display for KeyValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{text:?}"),
            Self::Number(text) => f.write_str(text),
            Self::Binary(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A primary key by reference: what a record's key fields hold, or what is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRef<'a> {
    partition: KeyValue<'a>,
    sort: Option<KeyValue<'a>>,
}

impl<'a> KeyRef<'a> {
    /// The key of a record that has a partition key only.
    pub fn partition<P: KeyAttribute>(partition: &'a P) -> Self {
        Self { partition: partition.to_key(), sort: None }
    }

    /// The key of a record that has a partition key and a sort key.
    pub fn composite<P: KeyAttribute, S: KeyAttribute>(partition: &'a P, sort: &'a S) -> Self {
        Self { partition: partition.to_key(), sort: Some(sort.to_key()) }
    }

    pub(crate) const fn new(partition: KeyValue<'a>, sort: Option<KeyValue<'a>>) -> Self {
        Self { partition, sort }
    }
}

/// Bytes of a key being looked up; most keys fit without an allocation.
pub(crate) type KeyBytes = SmallVec<[u8; 96]>;

/// An owned primary key: the identity of an item in its table. Cheap to clone.
///
/// # Example
///
/// ```
/// use memory_table::{Key, KeyRef};
///
/// let game = String::from("chess");
/// let name = String::from("ada");
/// let key = Key::new(&KeyRef::composite(&game, &name))?;
/// assert_eq!(key.to_string(), r#"("chess", "ada")"#);
/// assert_eq!(Key::new(&KeyRef::partition(&7_u64))?, Key::new(&KeyRef::partition(&7_i8))?);
/// # Ok::<(), memory_table::KeyError>(())
/// ```
// Layout: kind letter, length of the partition key (two bytes, little endian), its bytes; then, if
// there is a sort key, its kind letter and bytes. Numbers are canonical text. So equal keys are
// equal bytes, and a lookup hashes and compares one slice.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// Makes the identity of a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] where DynamoDB would refuse the key: an empty string or no bytes, a partition
    /// key over 2,048 or a sort key over 1,024 bytes, a number of more than 38 digits.
    pub fn new(key: &KeyRef<'_>) -> Result<Self, KeyError> {
        Self::bytes_of(key).map(|bytes| Self::from_bytes(&bytes))
    }

    /// The value of the partition key.
    #[must_use]
    pub fn partition(&self) -> KeyValue<'_> {
        self.split().0
    }

    /// The value of the sort key, if the table has one.
    #[must_use]
    pub fn sort(&self) -> Option<KeyValue<'_>> {
        self.split().1
    }

    /// The key in the types of a record, as it can be looked up again.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is not a key of `T`'s table.
    pub fn to_typed<T: crate::Record>(&self) -> Result<<T::Key as KeyShape>::Owned, KeyError> {
        let (partition, sort) = self.split();
        <T::Key as KeyShape>::from_key(KeyRef { partition, sort })
    }

    /// The key of an item, given how to look its attributes up; `None` if they are no key.
    pub(crate) fn of_item<'a>(
        partition: &str,
        sort: Option<&str>,
        value: impl Fn(&str) -> Option<KeyValue<'a>>,
    ) -> Option<Self> {
        let sort = match sort {
            Some(name) => Some(value(name)?),
            None => None,
        };
        Self::new(&KeyRef::new(value(partition)?, sort)).ok()
    }

    pub(crate) fn bytes_of(key: &KeyRef<'_>) -> Result<KeyBytes, KeyError> {
        let mut bytes = KeyBytes::new();
        bytes.extend_from_slice(&[0, 0, 0]);
        let kind = push_value(&mut bytes, &key.partition, "partition key", MAX_PARTITION)?;
        let length = u16::try_from(bytes.len() - 3).unwrap_or(u16::MAX).to_le_bytes();
        bytes[..3].copy_from_slice(&[kind, length[0], length[1]]);
        if let Some(sort) = &key.sort {
            let at = bytes.len();
            bytes.push(0);
            bytes[at] = push_value(&mut bytes, sort, "sort key", MAX_SORT)?;
        }
        Ok(bytes)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the key's attributes of these names, by DynamoDB's arithmetic.
    pub(crate) fn size(&self, partition_key: &str, sort_key: Option<&str>) -> usize {
        let (partition, sort) = self.split();
        let sort = sort.map_or(0, |sort| sort_key.map_or(0, str::len) + sort.size());
        partition_key.len() + partition.size() + sort
    }

    /// What tells the partition key from others.
    pub(crate) fn partition_bytes(&self) -> &[u8] {
        // The layout is ours alone, so the fallbacks are never taken.
        let [_, low, high, rest @ ..] = &*self.0 else { return &[] };
        let end = 3 + usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        &self.0[..end]
    }

    fn split(&self) -> (KeyValue<'_>, Option<KeyValue<'_>>) {
        let (partition, sort) = self.0.split_at(self.partition_bytes().len());
        let [kind, _, _, partition @ ..] = partition else {
            return (KeyValue::Binary(Cow::Borrowed(&[])), None);
        };
        let sort = sort.split_first().map(|(kind, bytes)| value_of(*kind, bytes));
        (value_of(*kind, partition), sort)
    }
}

fn push_value(
    bytes: &mut KeyBytes,
    value: &KeyValue<'_>,
    part: &'static str,
    max: usize,
) -> Result<u8, KeyError> {
    let (kind, content): (u8, Cow<'_, [u8]>) = match value {
        KeyValue::String(text) => (b'S', Cow::Borrowed(text.as_bytes())),
        KeyValue::Binary(content) => (b'B', Cow::Borrowed(content)),
        KeyValue::Number(text) => {
            let number = Decimal::parse(text)
                .and_then(Decimal::storable)
                .map_err(|bad| KeyError::new(part, format!("the number is {bad}")))?;
            (b'N', Cow::Owned(number.to_string().into_bytes()))
        }
    };
    if content.is_empty() {
        return Err(KeyError::new(part, "it is empty, which DynamoDB does not allow for a key"));
    }
    if content.len() > max {
        let length = content.len();
        return Err(KeyError::new(
            part,
            format!("it has {length} bytes, at most {max} are allowed"),
        ));
    }
    bytes.extend_from_slice(&content);
    Ok(kind)
}

fn value_of(kind: u8, bytes: &[u8]) -> KeyValue<'_> {
    let text = || String::from_utf8_lossy(bytes);
    match kind {
        b'S' => KeyValue::String(text()),
        b'N' => KeyValue::Number(text()),
        _ => KeyValue::Binary(Cow::Borrowed(bytes)),
    }
}

/// A key is looked up by its bytes, which hash as it does.
impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Key {
    /// `"ada"`, `("chess", "ada")`, `(7, 0x0aff)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.split() {
            (partition, None) => write!(f, "{partition}"),
            (partition, Some(sort)) => write!(f, "({partition}, {sort})"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> KeyValue<'_> {
        KeyValue::String(Cow::Borrowed(value))
    }

    fn number(value: &str) -> KeyValue<'_> {
        KeyValue::Number(Cow::Borrowed(value))
    }

    fn key(partition: KeyValue<'_>, sort: Option<KeyValue<'_>>) -> Key {
        Key::new(&KeyRef::new(partition, sort)).unwrap()
    }

    #[test]
    fn joined_parts_do_not_collide() {
        assert_ne!(key(text("a#b"), Some(text("c"))), key(text("a"), Some(text("b#c"))));
        assert_ne!(key(text("ab"), Some(text("c"))), key(text("a"), Some(text("bc"))));
        assert_ne!(key(text("a"), None), key(text("a"), Some(text("a"))));
    }

    #[test]
    fn number_and_text_of_the_same_digits_are_two_keys() {
        assert_ne!(key(number("1"), None), key(text("1"), None));
    }

    #[test]
    fn number_keys_are_equal_by_value() {
        assert_eq!(key(number("1"), None), key(number("1.0"), None));
        assert_eq!(key(number("1E2"), None).to_string(), "100");
    }

    #[test]
    fn parts_come_back_as_they_were() {
        let both = key(number("-1.5"), Some(KeyValue::Binary(Cow::Borrowed(&[0, 255]))));
        assert_eq!(both.partition(), number("-1.5"));
        assert_eq!(both.sort(), Some(KeyValue::Binary(Cow::Borrowed(&[0, 255]))));
        assert_eq!(both.to_string(), "(-1.5, 0x00ff)");
        assert_eq!(key(text("a"), None).sort(), None);
    }

    #[test]
    fn sizes_are_those_of_the_attributes() {
        let both = key(text("ada"), Some(number("1234")));
        assert_eq!(both.size("name", Some("at")), 4 + 3 + 2 + 3);
        assert_eq!(key(KeyValue::Binary(Cow::Borrowed(&[1, 2])), None).size("id", None), 4);
    }

    #[test]
    fn keys_that_dynamodb_refuses_are_errors() {
        let long = "x".repeat(2049);
        let digits = "9".repeat(39);
        let refuse = |partition: KeyValue<'_>, sort: Option<KeyValue<'_>>| {
            Key::new(&KeyRef::new(partition, sort)).unwrap_err().to_string()
        };
        assert_eq!(
            refuse(text(""), None),
            "invalid partition key: it is empty, which DynamoDB does not allow for a key"
        );
        assert_eq!(
            refuse(text("a"), Some(text(&long[..1025]))),
            "invalid sort key: it has 1025 bytes, at most 1024 are allowed"
        );
        assert_eq!(
            refuse(text(&long), None),
            "invalid partition key: it has 2049 bytes, at most 2048 are allowed"
        );
        assert_eq!(
            refuse(number(&digits), None),
            "invalid partition key: the number is more than the 38 significant digits that DynamoDB keeps"
        );
        assert!(Key::new(&KeyRef::new(text(&long[..2048]), Some(text(&long[..1024])))).is_ok());
    }
}

//! Keys as arguments: by value, by reference, and in tuples.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{KeyAttribute, KeyError, KeyKind, KeyRef, KeyValue};
use crate::types::{Instant, InstantType};

/// The types of the keys that a query asks for, of a table or an index.
pub trait QueryShape {
    /// The type of the partition key attribute.
    type Partition;
}

/// A shape with a sort key.
#[diagnostic::on_unimplemented(
    message = "there is no sort key in a `{Self}`",
    label = "what is queried has a partition key only"
)]
pub trait SortShape: QueryShape {
    /// The type of the sort key attribute.
    type Sort;
}

impl<P> QueryShape for PartitionKey<P> {
    type Partition = P;
}

impl<P, S> QueryShape for CompositeKey<P, S> {
    type Partition = P;
}

impl<P, S> SortShape for CompositeKey<P, S> {
    type Sort = S;
}

/// The shape of a table's primary key: a partition key alone, or with a sort key.
pub trait KeyShape: QueryShape + Send + Sync + 'static {
    /// The key in the record's own types: `P`, or `(P, S)`.
    type Owned: KeyLookup<Self> + Clone + Send + Sync + 'static
    where
        Self: Sized;
    /// The type of the partition key attribute.
    const PARTITION: KeyKind;
    /// The type of the sort key attribute, if there is one.
    const SORT: Option<KeyKind>;

    /// The key in the record's own types.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the key has another shape or type.
    fn from_key(key: KeyRef<'_>) -> Result<Self::Owned, KeyError>
    where
        Self: Sized;
}

/// The shape of a primary key that is a partition key alone.
#[derive(Debug)]
pub struct PartitionKey<P>(PhantomData<fn() -> P>);

/// The shape of a primary key of a partition key and a sort key.
#[derive(Debug)]
pub struct CompositeKey<P, S>(PhantomData<fn() -> (P, S)>);

impl<P: KeyAttribute> KeyShape for PartitionKey<P> {
    type Owned = P;
    const PARTITION: KeyKind = P::KIND;
    const SORT: Option<KeyKind> = None;

    fn from_key(key: KeyRef<'_>) -> Result<P, KeyError> {
        match key.sort {
            None => P::from_key(key.partition),
            Some(_) => Err(KeyError::new("key", "the record has no sort key")),
        }
    }
}

impl<P: KeyAttribute, S: KeyAttribute> KeyShape for CompositeKey<P, S> {
    type Owned = (P, S);
    const PARTITION: KeyKind = P::KIND;
    const SORT: Option<KeyKind> = Some(S::KIND);

    fn from_key(key: KeyRef<'_>) -> Result<(P, S), KeyError> {
        let sort = key.sort.ok_or_else(|| KeyError::new("key", "the record has a sort key too"))?;
        Ok((P::from_key(key.partition)?, S::from_key(sort)?))
    }
}

/// What a key of shape `K` can be looked up by.
///
/// For a record with a partition key only: that key, by value or reference. With a sort key: the
/// tuple of both. A string key is looked up by `&str`, without building a `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the key of this table, which is a `{K}`",
    label = "not the key of this table",
    note = "a `PartitionKey<P>` is looked up by a `P` or `&P`, a `CompositeKey<P, S>` by the tuple of both",
    note = "in place of a `String`, `&str` will do"
)]
pub trait KeyLookup<K> {
    /// The key by reference.
    fn key(&self) -> KeyRef<'_>;
}

/// What a key attribute of type `A` can be looked up by: `A`, `&A`, and `&str` for strings.
#[diagnostic::on_unimplemented(
    message = "a key attribute of type `{A}` cannot be looked up by `{Self}`",
    label = "expected `{A}` or a reference to it",
    note = "in place of a `String`, `&str` will do"
)]
pub trait AttributeLookup<A> {
    /// The value as it is stored.
    fn value(&self) -> KeyValue<'_>;
}

impl<A: KeyAttribute> AttributeLookup<A> for A {
    fn value(&self) -> KeyValue<'_> {
        self.to_key()
    }
}

impl<A: KeyAttribute> AttributeLookup<A> for &A {
    fn value(&self) -> KeyValue<'_> {
        self.to_key()
    }
}

#[diagnostic::do_not_recommend]
impl<T: InstantType> AttributeLookup<Instant<T>> for T {
    fn value(&self) -> KeyValue<'_> {
        KeyValue::String(Cow::Owned(self.to_text()))
    }
}

/// Floats are keys of indexes only.
macro_rules! float_lookups {
    ($($type:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl AttributeLookup<$type> for $type {
            fn value(&self) -> KeyValue<'_> {
                KeyValue::Number(Cow::Owned(format!("{self:?}")))
            }
        }
    )*};
}

float_lookups!(f32, f64);

macro_rules! text_lookups {
    ($($by:ty => $($key:ty),*;)*) => {$($(
        // An error is not to list the twenty types that do for text.
        #[diagnostic::do_not_recommend]
        impl AttributeLookup<$key> for $by {
            fn value(&self) -> KeyValue<'_> {
                KeyValue::String(Cow::Borrowed(self))
            }
        }
    )*)*};
}

text_lookups! {
    &str => String, Box<str>, Arc<str>;
    &&str => String, Box<str>, Arc<str>;
    Cow<'_, str> => String, Box<str>, Arc<str>;
    &Cow<'_, str> => String, Box<str>, Arc<str>;
    String => Box<str>, Arc<str>;
    &String => Box<str>, Arc<str>;
    Box<str> => String;
    Arc<str> => String;
    &Arc<str> => String;
}

// An error is to be about the key that was given, not about these ways to give one.
#[diagnostic::do_not_recommend]
impl<A, L: AttributeLookup<A>> KeyLookup<PartitionKey<A>> for L {
    fn key(&self) -> KeyRef<'_> {
        KeyRef::new(self.value(), None)
    }
}

#[diagnostic::do_not_recommend]
impl<A, B, P, S> KeyLookup<CompositeKey<A, B>> for (P, S)
where
    P: AttributeLookup<A>,
    S: AttributeLookup<B>,
{
    fn key(&self) -> KeyRef<'_> {
        KeyRef::new(self.0.value(), Some(self.1.value()))
    }
}

#[diagnostic::do_not_recommend]
impl<A, B, P, S> KeyLookup<CompositeKey<A, B>> for &(P, S)
where
    P: AttributeLookup<A>,
    S: AttributeLookup<B>,
{
    fn key(&self) -> KeyRef<'_> {
        KeyRef::new(self.0.value(), Some(self.1.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn key<K>(lookup: impl KeyLookup<K>) -> Key {
        Key::new(&lookup.key()).unwrap()
    }

    #[test]
    fn a_string_key_is_looked_up_by_every_kind_of_text() {
        type K = PartitionKey<String>;
        let owned = String::from("ada");
        let expected = key::<K>("ada");
        assert_eq!(key::<K>(&owned), expected);
        assert_eq!(key::<K>(&"ada"), expected);
        assert_eq!(key::<K>(Cow::Borrowed("ada")), expected);
        assert_eq!(key::<K>(Arc::<str>::from("ada")), expected);
        assert_eq!(key::<K>(owned), expected);
    }

    #[test]
    fn an_integer_literal_takes_the_type_of_the_key() {
        assert_eq!(key::<PartitionKey<u64>>(7), key::<PartitionKey<u64>>(&7_u64));
    }

    #[test]
    fn a_composite_key_is_looked_up_by_tuples() {
        type K = CompositeKey<String, u32>;
        let owned = (String::from("chess"), 7_u32);
        assert_eq!(key::<K>(("chess", 7)), key::<K>(&owned));
        assert_eq!(key::<K>((&owned.0, &owned.1)), key::<K>(owned));
    }
}

//! Handles of attributes, from which conditions are made.

use std::fmt;
use std::marker::PhantomData;

use super::Condition;
use super::expression::{Comparison, Expression, Side};
use super::path::{Path, Step};
use super::types::{Any, Container, List, Operand, Ordered, Prefixed, Sizeable};
use crate::error::{Error, ErrorKind};

/// The handle of an attribute whose values are of type `V`, as in `Player::FIELDS.rating`.
///
/// `#[derive(Record)]` makes one for each field; [`attribute`] makes untyped ones. Where an
/// attribute is absent or of another type than what it is compared with, every comparison is false
/// except [`ne`](Self::ne), which is true.
///
/// # Example
///
/// ```
/// use memory_table::Record;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     name: String,
///     rating: f64,
///     best: f64,
///     teams: Vec<String>,
/// }
///
/// let fields = Player::FIELDS;
/// let player = Player {
///     name: "ada".into(),
///     rating: 1500.0,
///     best: 1600.0,
///     teams: vec!["Analytical".into()],
/// };
/// assert!(fields.rating.between(1000.0, 2000.0).matches(&player)?);
/// assert!(fields.rating.lt(&fields.best).matches(&player)?);
/// assert!(fields.name.begins_with("a").matches(&player)?);
/// assert!(fields.teams.index(0).eq("Analytical").matches(&player)?);
/// # Ok::<(), memory_table::Error>(())
/// ```
///
/// What the type rules out does not compile:
///
/// ```compile_fail,E0277
/// # use memory_table::Field;
/// Field::<String>::named("name").gt(1500.0);
/// ```
///
/// ```compile_fail,E0277
/// # use memory_table::Field;
/// Field::<f64>::named("rating").begins_with("15");
/// ```
///
/// ```compile_fail,E0277
/// # use memory_table::Field;
/// Field::<bool>::named("active").lt(true);
/// ```
pub struct Field<V> {
    pub(super) path: Path,
    value: PhantomData<fn() -> V>,
}

/// The untyped handle of an attribute or of what is inside it, `a.b[2]`.
///
/// It compares with anything that serde writes; what DynamoDB refuses is an error before a request.
/// A name that has dots or brackets itself is given to [`Field::named`] and [`Field::field`].
///
/// # Example
///
/// ```
/// use memory_table::attribute;
/// # use memory_table::Record;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Clone)] struct Address { city: String }
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "people")]
/// # struct Person { #[record(partition_key)] name: String, addresses: Vec<Address> }
/// let person = Person {
///     name: "ada".into(),
///     addresses: vec![Address { city: "London".into() }],
/// };
/// assert!(attribute("addresses[0].city").eq("London").matches(&person)?);
/// assert!(attribute("addresses[1]").not_exists().matches(&person)?);
/// # Ok::<(), memory_table::Error>(())
/// ```
pub fn attribute(path: &str) -> Field<Any> {
    Field { path: Path::parse(path), value: PhantomData }
}

impl<V> Clone for Field<V> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), value: PhantomData }
    }
}

impl<V> fmt::Debug for Field<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.path)
    }
}

impl<V> Field<V> {
    /// The handle of an attribute of an item, its name taken as it is.
    pub const fn named(name: &'static str) -> Self {
        Self { path: Path::named(name), value: PhantomData }
    }

    /// Whether this is the attribute of that name; for the derives.
    #[doc(hidden)]
    pub const fn is_named(&self, name: &str) -> bool {
        self.path.is_named(name)
    }

    /// The name of the attribute; an error for what is inside one.
    pub(crate) fn top_level(&self) -> Result<&str, Error> {
        self.path.check()?;
        if self.path.steps().is_empty() {
            return Ok(self.path.root());
        }
        let text =
            format!("`{}` is inside an attribute, and only a whole one can be added to", self.path);
        Err(Error::new(ErrorKind::InvalidCondition, text).advise("nothing was sent"))
    }

    /// The handle of an entry of the map that this attribute is, the name taken as it is.
    pub fn field(&self, name: &str) -> Field<Any> {
        Field { path: self.path.then(Step::Name(name.to_owned())), value: PhantomData }
    }

    /// The handle of an element of the list that this attribute is, the first being 0.
    pub fn index(&self, index: usize) -> Field<V::Element>
    where
        V: List,
    {
        Field { path: self.path.then(Step::Index(index)), value: PhantomData }
    }

    /// The same attribute taken for another type, such as [`Any`].
    pub fn as_type<W>(&self) -> Field<W> {
        Field { path: self.path.clone(), value: PhantomData }
    }

    /// The attribute is there, with the same type and value: numbers by value, sets free of order.
    pub fn eq(&self, value: impl Operand<V>) -> Condition {
        self.compare(Comparison::Eq, value)
    }

    /// Not [`eq`](Self::eq): also true where the attribute is absent or of another type.
    pub fn ne(&self, value: impl Operand<V>) -> Condition {
        self.compare(Comparison::Ne, value)
    }

    /// Less: numbers by value, strings and bytes by their bytes.
    pub fn lt(&self, value: impl Operand<V>) -> Condition
    where
        V: Ordered,
    {
        self.compare(Comparison::Lt, value)
    }

    /// Less or equal.
    pub fn le(&self, value: impl Operand<V>) -> Condition
    where
        V: Ordered,
    {
        self.compare(Comparison::Le, value)
    }

    /// Greater: numbers by value, strings and bytes by their bytes.
    pub fn gt(&self, value: impl Operand<V>) -> Condition
    where
        V: Ordered,
    {
        self.compare(Comparison::Gt, value)
    }

    /// Greater or equal.
    pub fn ge(&self, value: impl Operand<V>) -> Condition
    where
        V: Ordered,
    {
        self.compare(Comparison::Ge, value)
    }

    /// At least `low` and at most `high`. DynamoDB refuses a `low` above `high`.
    pub fn between(&self, low: impl Operand<V>, high: impl Operand<V>) -> Condition
    where
        V: Ordered,
    {
        Condition::of(Expression::between(Side::path(self), low.side(), high.side()))
    }

    /// Equal to one of 1 to 100 values.
    pub fn is_in<O: Operand<V>>(&self, values: impl IntoIterator<Item = O>) -> Condition {
        let values = values.into_iter().map(Operand::side).collect();
        Condition::of(Expression::is_in(Side::path(self), values))
    }

    /// The string or the bytes begin with these.
    pub fn begins_with(&self, prefix: impl Operand<V::Prefix>) -> Condition
    where
        V: Prefixed,
    {
        Condition::of(Expression::begins_with(Side::path(self), prefix.side()))
    }

    /// The string has this part, or the list or set this element.
    pub fn contains(&self, element: impl Operand<V::Element>) -> Condition
    where
        V: Container,
    {
        Condition::of(Expression::contains(Side::path(self), element.side()))
    }

    /// The attribute is there, even if it is null.
    ///
    /// Serde writes an `Option` that is `None` as null, unless the field says
    /// `skip_serializing_if`.
    pub fn exists(&self) -> Condition {
        Condition::of(Expression::exists(&self.path, true))
    }

    /// The attribute is absent.
    pub fn not_exists(&self) -> Condition {
        Condition::of(Expression::exists(&self.path, false))
    }

    /// The attribute is there and stored as this type.
    pub fn attribute_type(&self, expected: AttributeType) -> Condition {
        Condition::of(Expression::of_type(&self.path, expected))
    }

    /// The size of the attribute, to be compared with numbers.
    ///
    /// Of a string its UTF-16 code units, of bytes their number, of a set, list or map its elements.
    pub fn size(&self) -> Size
    where
        V: Sizeable,
    {
        Size { path: self.path.clone() }
    }

    fn compare(&self, comparison: Comparison, value: impl Operand<V>) -> Condition {
        Condition::of(Expression::compare(comparison, Side::path(self), value.side()))
    }
}

/// The size of an attribute, by [`Field::size`].
///
/// What has no size (absent attributes, numbers, booleans, null) is as absent: every comparison is
/// false except [`ne`](Self::ne), which is true.
///
/// # Example
///
/// ```
/// use memory_table::attribute;
/// # use memory_table::Record;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Record, Serialize, Deserialize, Clone)]
/// # #[record(table = "people")]
/// # struct Person { #[record(partition_key)] name: String }
/// let person = Person { name: "ada".into() };
/// assert!(Person::FIELDS.name.size().eq(3).matches(&person)?);
/// assert!(!attribute("absent").size().lt(3).matches(&person)?);
/// # Ok::<(), memory_table::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Size {
    pub(super) path: Path,
}

impl Size {
    /// Equal.
    pub fn eq(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Eq, size)
    }

    /// Not equal, or there is no size.
    pub fn ne(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Ne, size)
    }

    /// Less.
    pub fn lt(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Lt, size)
    }

    /// Less or equal.
    pub fn le(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Le, size)
    }

    /// Greater.
    pub fn gt(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Gt, size)
    }

    /// Greater or equal.
    pub fn ge(&self, size: impl Operand<usize>) -> Condition {
        self.compare(Comparison::Ge, size)
    }

    /// At least `low` and at most `high`. DynamoDB refuses a `low` above `high`.
    pub fn between(&self, low: impl Operand<usize>, high: impl Operand<usize>) -> Condition {
        Condition::of(Expression::between(Side::size(self), low.side(), high.side()))
    }

    /// Equal to one of 1 to 100 numbers.
    pub fn is_in<O: Operand<usize>>(&self, sizes: impl IntoIterator<Item = O>) -> Condition {
        let sizes = sizes.into_iter().map(Operand::side).collect();
        Condition::of(Expression::is_in(Side::size(self), sizes))
    }

    fn compare(&self, comparison: Comparison, size: impl Operand<usize>) -> Condition {
        Condition::of(Expression::compare(comparison, Side::size(self), size.side()))
    }
}

/// A type of DynamoDB's, for [`Field::attribute_type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeType {
    /// `S`.
    String,
    /// `N`.
    Number,
    /// `B`.
    Binary,
    /// `BOOL`.
    Boolean,
    /// `NULL`.
    Null,
    /// `L`.
    List,
    /// `M`.
    Map,
    /// `SS`.
    StringSet,
    /// `NS`.
    NumberSet,
    /// `BS`.
    BinarySet,
}

impl AttributeType {
    /// The name that DynamoDB gives the type.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::String => "S",
            Self::Number => "N",
            Self::Binary => "B",
            Self::Boolean => "BOOL",
            Self::Null => "NULL",
            Self::List => "L",
            Self::Map => "M",
            Self::StringSet => "SS",
            Self::NumberSet => "NS",
            Self::BinarySet => "BS",
        }
    }
}

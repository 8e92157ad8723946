//! Texts of numbers as integers and floats, without rounding.

use std::str::FromStr;

use crate::number::{Decimal, Float, Shortest};

/// What serde's own data model can say of a number.
pub(crate) enum Carried {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Carried {
    /// The number, if one of the three is exactly it.
    pub(crate) fn of(text: &str) -> Option<Self> {
        if let Some(value) = integer(text) {
            return Some(Self::Signed(value));
        }
        if let Some(value) = integer(text) {
            return Some(Self::Unsigned(value));
        }
        float(text).map(Self::Float)
    }
}

/// The integer, in whatever form the text has it.
pub(super) fn integer<N: FromStr>(text: &str) -> Option<N> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    Decimal::parse(text).ok()?.integer_text()?.parse().ok()
}

/// A float, if it is the number: the shortest text that we write of it says the same value.
fn float<F: Float>(text: &str) -> Option<F> {
    let value = parsed(text)?;
    says(Shortest::new().of(value), text).then_some(value)
}

/// The same for one who wants no other number: of two texts that are equally short and near either may be it, as
/// languages write one or the other.
pub(super) fn nearest_float<F: Float>(text: &str) -> Option<F> {
    let value = parsed(text)?;
    let mut shortest = Shortest::new();
    (says(shortest.of(value), text) || says(shortest.even(value), text)).then_some(value)
}

fn parsed<F: Float>(text: &str) -> Option<F> {
    text.parse().ok().filter(|value: &F| (*value).into().is_finite())
}

/// Whether two texts are the same number; mostly they are the same text.
fn says(shortest: &str, text: &str) -> bool {
    shortest == text
        || matches!((Decimal::parse(shortest), Decimal::parse(text)), (Ok(a), Ok(b)) if a == b)
}

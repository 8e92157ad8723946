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

/// A float, if it is the number: its shortest text must say the same value. Of two that are equally short and near
/// either may: languages write one or the other.
pub(super) fn float<F: Float>(text: &str) -> Option<F> {
    let value: F = text.parse().ok().filter(|value: &F| (*value).into().is_finite())?;
    let mut shortest = Shortest::new();
    // The text that the codec itself writes is the shortest already.
    if shortest.of(value) == text {
        return Some(value);
    }
    let number = Decimal::parse(text).ok()?;
    let is_it = |shortest: &str| Decimal::parse(shortest).is_ok_and(|it| it == number);
    (is_it(shortest.of(value)) || is_it(shortest.even(value))).then_some(value)
}

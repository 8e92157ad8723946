//! Texts of numbers as integers and floats, without rounding.

use std::fmt::Debug;
use std::str::FromStr;

use crate::number::{Decimal, Shortest};

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

/// A float, if it is the number: its shortest text must say the same value.
pub(super) fn float<F: FromStr + Debug>(text: &str) -> Option<F> {
    let value: F = text.parse().ok()?;
    let shortest = Shortest::of(&value);
    let shortest = shortest.text();
    // The text that the codec itself writes is the shortest already.
    let exact = shortest == text
        || matches!((Decimal::parse(shortest), Decimal::parse(text)), (Ok(a), Ok(b)) if a == b);
    exact.then_some(value)
}

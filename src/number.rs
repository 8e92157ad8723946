//! DynamoDB numbers: decimal text compared by value.
//!
//! DynamoDB keeps a number as up to 38 significant digits with an exponent, and sends it as text.
//! `1`, `1.0` and `1E0` are one number, so a key `N` is compared in the canonical form made here.
//! Rules: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

/// The digits that DynamoDB keeps of a number.
pub(crate) const MAX_DIGITS: usize = 38;
/// The largest position of the decimal point: 9.99…E125 has 126 digits before it.
const MAX_POINT: i32 = 126;
/// The smallest position of the decimal point: 1E-130 is 0.1 × 10^-129.
const MIN_POINT: i32 = -129;
/// Longer numbers are written with an exponent; plain text up to here is easier to read.
const MAX_PLAIN: usize = 40;

/// A decimal number in canonical form: `0.d₁d₂… × 10^point`.
///
/// Invariants: no leading and no trailing zero digits; zero has no digits, is not negative and has
/// `point` 0. So equal values are equal structs.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Decimal {
    negative: bool,
    digits: SmallVec<[u8; MAX_DIGITS + 2]>,
    point: i32,
}

/// What of a number its size and its range depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Measure {
    negative: bool,
    /// Significant digits; none of zero.
    digits: usize,
    /// The position of the point before them, as of a [`Decimal`].
    point: i64,
}

/// Why a text is not a DynamoDB number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadNumber {
    /// The text is no decimal number at all.
    NotANumber,
    /// More than 38 significant digits.
    TooManyDigits,
    /// Outside 1E-130 to 9.99E125.
    OutOfRange,
}

impl fmt::Display for BadNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a decimal number",
            Self::TooManyDigits => "more than the 38 significant digits that DynamoDB keeps",
            Self::OutOfRange => "outside the range of DynamoDB's numbers, 1E-130 to 9.99E125",
        })
    }
}

impl Measure {
    /// Of decimal text, as [`Decimal::parse`] reads it.
    pub(crate) fn of(text: &str) -> Result<Self, BadNumber> {
        let (negative, rest) = split_sign(text);
        let (mantissa, exponent) = split_exponent(rest)?;
        // Digits until the point and in all, and the places of the first and the last that is not zero.
        let (mut whole, mut count, mut ends) = (None, 0_usize, None);
        for byte in mantissa.bytes() {
            match byte {
                b'0'..=b'9' => {
                    if byte != b'0' {
                        ends = Some((ends.map_or(count, |(first, _)| first), count));
                    }
                    count += 1;
                }
                b'.' if whole.is_none() => whole = Some(count),
                _ => return Err(BadNumber::NotANumber),
            }
        }
        if count == 0 {
            return Err(BadNumber::NotANumber);
        }
        let Some((first, last)) = ends else {
            return Ok(Self { negative: false, digits: 0, point: 0 });
        };
        let place = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
        let point = (place(whole.unwrap_or(count)) - place(first)).saturating_add(exponent);
        i32::try_from(point).map_err(|_| BadNumber::OutOfRange)?;
        Ok(Self { negative, digits: last - first + 1, point })
    }

    /// The same, if DynamoDB can store the number without rounding.
    pub(crate) fn storable(self) -> Result<Self, BadNumber> {
        if self.digits > MAX_DIGITS {
            Err(BadNumber::TooManyDigits)
        } else if self.digits > 0 && !(MIN_POINT.into()..=MAX_POINT.into()).contains(&self.point) {
            Err(BadNumber::OutOfRange)
        } else {
            Ok(self)
        }
    }

    /// The bytes that the number counts in an item's size, by DynamoDB's own arithmetic: one, a
    /// byte for two significant digits on either side of the point, and one for a minus sign.
    pub(crate) fn size(self) -> usize {
        let before = usize::try_from(self.point.max(0)).unwrap_or(usize::MAX).min(self.digits);
        let after = self.digits - before;
        1 + usize::from(self.negative) + before.div_ceil(2) + after.div_ceil(2)
    }
}

impl Decimal {
    /// Reads decimal text as JSON and DynamoDB write it: sign, digits, fraction, exponent.
    pub(crate) fn parse(text: &str) -> Result<Self, BadNumber> {
        let (negative, rest) = split_sign(text);
        let (mantissa, exponent) = split_exponent(rest)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|b| b.is_ascii_digit()) {
            return Err(BadNumber::NotANumber);
        }
        let leading = all().take_while(|&b| b == b'0').count();
        let mut digits: SmallVec<[u8; MAX_DIGITS + 2]> = all().skip(leading).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Ok(Self { negative: false, digits, point: 0 });
        }
        let shift = i64::try_from(whole.len()).unwrap_or(i64::MAX)
            - i64::try_from(leading).unwrap_or(i64::MAX);
        let point =
            i32::try_from(shift.saturating_add(exponent)).map_err(|_| BadNumber::OutOfRange)?;
        Ok(Self { negative, digits, point })
    }

    /// The same value, if DynamoDB can store it without rounding.
    pub(crate) fn storable(self) -> Result<Self, BadNumber> {
        self.measure().storable().map(|_| self)
    }

    /// As [`Measure::size`].
    pub(crate) fn size(&self) -> usize {
        self.measure().size()
    }

    fn measure(&self) -> Measure {
        let Self { negative, ref digits, point } = *self;
        Measure { negative, digits: digits.len(), point: point.into() }
    }

    /// The whole number as text without point or exponent, if it is one.
    pub(crate) fn integer_text(&self) -> Option<String> {
        let point = usize::try_from(self.point).ok()?;
        // 128-bit integers have at most 39 digits; longer ones fit no integer type.
        if point < self.digits.len() || point > MAX_PLAIN {
            return None;
        }
        Some(self.to_string())
    }

    /// The sum, exact, however many digits it has.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let low = self.low().min(other.low());
        let high = self.point.max(other.point);
        let (left, right) = (self.column(high, low), other.column(high, low));
        if self.negative == other.negative {
            return Self::canonical(self.negative, &added(&left, &right), high.saturating_add(1));
        }
        // Of equal length, so the larger magnitude is the one that compares greater as text.
        let (negative, difference) = if left >= right {
            (self.negative, subtracted(&left, &right))
        } else {
            (other.negative, subtracted(&right, &left))
        };
        Self::canonical(negative, &difference, high)
    }

    /// The same magnitude with the other sign.
    pub(crate) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// Where its last digit stands: 0 for units, negative behind the point.
    fn low(&self) -> i32 {
        self.point.saturating_sub(i32::try_from(self.digits.len()).unwrap_or(i32::MAX))
    }

    /// The digits from one place to another, with zeros where it has none.
    fn column(&self, high: i32, low: i32) -> Vec<u8> {
        let zeros = |count: i32| std::iter::repeat_n(0, usize::try_from(count).unwrap_or(0));
        let digits = self.digits.iter().map(|digit| digit - b'0');
        zeros(high - self.point).chain(digits).chain(zeros(self.low() - low)).collect()
    }

    /// A number of these digits, the first of them right behind the point of `0.d₁d₂… × 10^point`.
    fn canonical(negative: bool, digits: &[u8], point: i32) -> Self {
        let Some(first) = digits.iter().position(|&digit| digit != 0) else {
            return Self::default();
        };
        let end = digits.iter().rposition(|&digit| digit != 0).unwrap_or(first);
        let significant = digits.get(first..=end).unwrap_or_default();
        let digits = significant.iter().map(|digit| digit + b'0').collect();
        let point = point.saturating_sub(i32::try_from(first).unwrap_or(i32::MAX));
        Self { negative, digits, point }
    }

    fn magnitude_cmp(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without trailing zeros the digits after the point compare like text.
            (false, false) => {
                self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude_cmp(other),
            (true, true) => other.magnitude_cmp(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Plain text (`100`, `0.05`), or `digits E exponent` where that would be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let digits = std::str::from_utf8(&self.digits).unwrap_or_default();
        let len = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let plain = usize::try_from(self.point.abs()).unwrap_or(usize::MAX);
        if plain.saturating_add(digits.len()) > 2 * MAX_PLAIN || plain > MAX_PLAIN {
            return write!(f, "{digits}E{}", self.point.saturating_sub(len));
        }
        if self.point <= 0 {
            write!(f, "0.{}{digits}", "0".repeat(plain))
        } else if self.point >= len {
            write!(f, "{digits}{}", "0".repeat(plain - digits.len()))
        } else {
            let (whole, fraction) = digits.split_at(plain);
            write!(f, "{whole}.{fraction}")
        }
    }
}

/// `f32` or `f64`.
pub(crate) trait Float: fmt::Debug + Copy + Into<f64> + FromStr + zmij::Float {
    /// Up to here every whole number is one of them.
    const WHOLE: f64;
}

impl Float for f32 {
    const WHOLE: f64 = 16_777_216.0;
}

impl Float for f64 {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
}

/// The shortest text of a float that reads back as the same one, as Rust itself writes it: with an exponent where it
/// is long, and of two texts that are equally near the larger.
pub(crate) struct Shortest {
    quick: zmij::Buffer,
    slow: String,
}

impl Shortest {
    pub(crate) fn new() -> Self {
        Self { quick: zmij::Buffer::new(), slow: String::new() }
    }

    /// Of a float that is finite; without the `.0` of a whole number: DynamoDB stores `1` for `1.0`.
    pub(crate) fn of(&mut self, value: impl Float) -> &str {
        let Self { quick, slow } = self;
        let quick = without_fraction(quick.format_finite(value));
        if is_written_by_all(value, quick) {
            return quick;
        }
        *slow = format!("{value:?}");
        without_fraction(slow)
    }

    /// The same where two texts are equally near: the one with an even last digit, as other languages write it.
    pub(crate) fn even(&mut self, value: impl Float) -> &str {
        without_fraction(self.quick.format_finite(value))
    }
}

/// Whether this shortest text of a float is the only one: no other is equally near, and it needs no exponent.
fn is_written_by_all<F: Float>(value: F, text: &str) -> bool {
    let value: f64 = value.into();
    if !(1e-4..F::WHOLE).contains(&value.abs()) {
        return value == 0.0;
    }
    // It is normal, and has bits behind the point or none.
    let (exponent, mantissa) = ((value.to_bits() >> 52) & 0x7ff, value.to_bits() | 1 << 52);
    let behind = i64::try_from(exponent).map_or(0, |exponent| 1_075 - exponent)
        - i64::from(mantissa.trailing_zeros());
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // All digits of the float are as many behind the point, and end with a 5: text that lacks but that is halfway.
    usize::try_from(behind) != Ok(decimals + 1)
}

fn without_fraction(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}

/// The sum of two columns of equal length, with one more digit in front.
fn added(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum: Vec<u8> = Vec::with_capacity(left.len() + 1);
    for (left, right) in left.iter().zip(right).rev() {
        let digit = left + right + carry;
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.push(carry);
    sum.reverse();
    sum
}

/// The difference of two columns of equal length, the first of which is not the smaller.
fn subtracted(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = Vec::with_capacity(left.len());
    for (left, right) in left.iter().zip(right).rev() {
        let digit = 10 + left - right - borrow;
        difference.push(digit % 10);
        borrow = u8::from(digit < 10);
    }
    difference.reverse();
    difference
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn split_exponent(text: &str) -> Result<(&str, i64), BadNumber> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Ok((text, 0));
    };
    let (negative, digits) = split_sign(exponent);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadNumber::NotANumber);
    }
    // Saturating: such an exponent is out of range all the same.
    let value = digits.parse::<i32>().map_or(i64::from(i32::MAX) * 4, i64::from);
    Ok((mantissa, if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "any float is one to write")]
    fn floats_are_written_as_rust_writes_them() {
        let mut random = fastrand::Rng::with_seed(1);
        let known =
            [0.0, -0.0, 1.0, -1.5, 1e22, 5e-324, f64::MAX, 1e-4, 9.9e-5, 9_007_199_254_740_993.0];
        let values = std::iter::repeat_with(|| match random.u8(..4) {
            0 => f64::from_bits(random.u64(..)),
            1 => random.f64() * 10_f64.powi(random.i32(-5..18)),
            // Many of these are halfway between two texts.
            2 => {
                (random.u64(..) >> random.u32(11..64)) as f64 / (1_u64 << random.u32(0..52)) as f64
            }
            _ => (random.u64(..) >> random.u32(0..64)) as f64,
        });
        let mut ties = 0;
        for value in known.into_iter().chain(values.take(50_000)).filter(|value| value.is_finite())
        {
            let written = format!("{value:?}");
            let written = without_fraction(&written);
            assert_eq!(Shortest::new().of(value), written);
            let even = Shortest::new().even(value).to_owned();
            assert_eq!(even.parse(), Ok(value));
            ties += usize::from(Measure::of(&even) == Measure::of(written) && even != written);
        }
        assert!(ties > 100, "{ties} halfway");
        for bits in 0..50_000 {
            let value = f32::from_bits(bits * 85_000);
            if value.is_finite() {
                assert_eq!(Shortest::new().of(value), without_fraction(&format!("{value:?}")));
            }
        }
    }

    #[test]
    fn equal_values_have_one_canonical_form() {
        for group in [
            &["1", "1.0", "01", "1E0", "0.1e1", "+1", "10E-1"][..],
            &["0", "-0", "0.000", "0E5", "-0.0e-3"],
            &["-12.5", "-1.25E1", "-12.50", "-0125e-1"],
            &["100", "1E2", "1e+2"],
        ] {
            for text in group {
                assert_eq!(decimal(text), decimal(group[0]), "{text}");
                assert_eq!(decimal(text).to_string(), decimal(group[0]).to_string());
            }
        }
    }

    #[test]
    fn a_number_is_measured_as_it_is_read() {
        for text in [
            "1",
            "1.0",
            "01",
            "1E0",
            "0.1e1",
            "+1",
            "10E-1",
            "0",
            "-0",
            "0.000",
            "0E5",
            "-12.50",
            "00120.0340",
            "1E125",
            "1E-130",
            "1E126",
            "9E-131",
            ".5",
            "5.",
            "",
            "-",
            ".",
            "1e",
            "e5",
            "1.2.3",
            "1 ",
            "-.0",
            "1234567890123456789012345678901234567890",
            "100000000000000000000000000000000000000000",
            "1E99999999999999999999",
        ] {
            let read = Decimal::parse(text).and_then(Decimal::storable);
            let measured = Measure::of(text).and_then(Measure::storable);
            assert_eq!(measured, read.map(|number| number.measure()), "{text:?}");
        }
    }

    #[test]
    fn text_is_plain_where_short_and_reads_back() {
        for (text, shown) in [
            ("100", "100"),
            ("0.05", "0.05"),
            ("1234.5", "1234.5"),
            ("-7", "-7"),
            ("1E125", "1E125"),
            ("1E-130", "1E-130"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(decimal(text).to_string(), shown);
            assert_eq!(decimal(shown), decimal(text));
        }
    }

    #[test]
    fn order_is_numeric_not_textual() {
        let sorted = ["-1E10", "-10", "-9", "-0.5", "0", "1E-3", "0.5", "9", "10", "1E10"];
        for pair in sorted.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e", "e5", "abc", "1.2.3", "NaN", "inf", "0x10", "1 ", "１"] {
            assert_eq!(Decimal::parse(text), Err(BadNumber::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn limits_are_dynamodbs() {
        let digits38 = "9".repeat(38);
        assert!(decimal(&digits38).storable().is_ok());
        assert_eq!(decimal(&"9".repeat(39)).storable(), Err(BadNumber::TooManyDigits));
        assert!(decimal("9.99E125").storable().is_ok());
        assert_eq!(decimal("1E126").storable(), Err(BadNumber::OutOfRange));
        assert!(decimal("1E-130").storable().is_ok());
        assert_eq!(decimal("9E-131").storable(), Err(BadNumber::OutOfRange));
        assert_eq!(
            Decimal::parse("1E99999999999999999999").and_then(Decimal::storable),
            Err(BadNumber::OutOfRange)
        );
    }

    #[test]
    fn sizes_are_those_measured_on_the_service() {
        for (text, size) in [
            ("0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("100", 2),
            ("1010", 3),
            ("1.5", 3),
            ("1.234", 4),
            ("3.14159", 5),
            ("100.5", 4),
            ("0.15", 2),
            ("-42", 3),
            ("-0.15", 3),
            ("1E125", 2),
            ("-1E125", 3),
            ("12345678901234567890123456789012345678", 20),
        ] {
            assert_eq!(decimal(text).size(), size, "{text}");
        }
    }

    #[test]
    fn integers_are_told_from_fractions() {
        assert_eq!(decimal("1E3").integer_text().as_deref(), Some("1000"));
        assert_eq!(decimal("-5.0").integer_text().as_deref(), Some("-5"));
        assert_eq!(decimal("0").integer_text().as_deref(), Some("0"));
        assert_eq!(decimal("5.5").integer_text(), None);
        assert_eq!(decimal("1E99").integer_text(), None);
    }

    #[test]
    fn sums_are_exact() {
        for (left, right, sum) in [
            ("0", "0", "0"),
            ("1", "-1", "0"),
            ("0.1", "0.2", "0.3"),
            ("999", "1", "1000"),
            ("1000", "-0.001", "999.999"),
            ("-5", "3.5", "-1.5"),
            ("3.5", "-5", "-1.5"),
            ("-2", "-8", "-10"),
            ("1E20", "1", "100000000000000000001"),
            ("1E-130", "-1E-130", "0"),
            ("1513.4837264519837", "1486.5162735480163", "3000"),
        ] {
            assert_eq!(decimal(left).plus(&decimal(right)), decimal(sum), "{left} + {right}");
            assert_eq!(decimal(right).plus(&decimal(left)), decimal(sum), "{right} + {left}");
        }
        let long = decimal("1E125").plus(&decimal("1E-130"));
        assert_eq!(long.clone().storable(), Err(BadNumber::TooManyDigits));
        assert_eq!(long.plus(&decimal("1E125").negated()), decimal("1E-130"));
        let most = decimal("9E125");
        assert_eq!(most.plus(&most).storable(), Err(BadNumber::OutOfRange));
    }

    #[test]
    fn sums_agree_with_those_of_integers() {
        let values = [0_i64, 1, -1, 9, 10, -10, 99, 12_345, -99_999, 1_000_000, 7_777_777, -42];
        for left in values {
            for right in values {
                let sum = decimal(&left.to_string()).plus(&decimal(&right.to_string()));
                assert_eq!(sum, decimal(&(left + right).to_string()), "{left} + {right}");
            }
        }
    }
}

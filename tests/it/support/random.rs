//! Strategies of random values that DynamoDB can store, with the edges of their types.

use std::collections::HashMap;
use std::fmt::Debug;

use memory_table::aws_sdk_dynamodb::primitives::Blob;
use memory_table::aws_sdk_dynamodb::types::AttributeValue;
use memory_table::{Attributes, Binary, Instant, Number};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

/// Text: empty, of one character, with what JSON escapes, and of any characters.
pub fn text() -> impl Strategy<Value = String> + Clone {
    const EDGES: [&str; 8] =
        ["", "a", "\"\\\n\u{0}", "1", "true", "é\u{301}", "\u{ffff}", "\u{1F980}"];
    prop_oneof![
        2 => prop::sample::select(&EDGES[..]).prop_map(str::to_owned),
        3 => vec(any::<char>(), 0..6).prop_map(|chars| chars.into_iter().collect()),
    ]
}

/// The name of an attribute, or a key of a map; DynamoDB has no empty ones.
pub fn name() -> impl Strategy<Value = String> + Clone {
    text().prop_map(|text| if text.is_empty() { "name".to_owned() } else { text })
}

/// Floats that DynamoDB stores: 0, and 1E-130 to 9.99E125 with either sign.
pub fn float() -> impl Strategy<Value = f64> + Clone {
    const EDGES: [f64; 10] = [
        0.0,
        -0.0,
        0.1,
        1.0 / 3.0,
        1e-130,
        -9.999_999_999_999e125,
        f64::EPSILON,
        9_007_199_254_740_993.0,
        1.234_567_890_123_456_7e19,
        1e22,
    ];
    prop_oneof![
        prop::sample::select(&EDGES[..]),
        -1e6..1e6,
        // Sign, exponent and fraction: no filter, as proptest gives up after some thousand rejections.
        (any::<bool>(), 1023 - 431..1023 + 418_u64, 0..1_u64 << 52).prop_map(
            |(negative, exponent, fraction)| {
                f64::from_bits(u64::from(negative) << 63 | exponent << 52 | fraction)
            }
        ),
    ]
}

/// Floats of 32 bits, which DynamoDB all stores but for NaN and the infinities.
pub fn single() -> impl Strategy<Value = f32> + Clone {
    use prop::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![
        prop::sample::select(&[f32::MIN, f32::MAX, f32::MIN_POSITIVE, 0.1, 16_777_216.0][..]),
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO,
    ]
}

/// An integer type with its edges.
pub fn integer<T>(edges: &'static [T]) -> impl Strategy<Value = T> + Clone
where
    T: Arbitrary + Copy + Debug + 'static,
    T::Strategy: Clone,
{
    prop_oneof![prop::sample::select(edges), any::<T>()]
}

/// Integers of 128 bits that have at most 38 digits.
pub fn i128s() -> impl Strategy<Value = i128> + Clone {
    const MAX: i128 = 10_i128.pow(38) - 1;
    prop_oneof![prop::sample::select(&[MAX, -MAX, 0, -1, -(1 << 63) - 1, 1 << 64][..]), -MAX..=MAX,]
}

/// Unsigned ones; some have 39 digits, of which the last are zeros.
pub fn u128s() -> impl Strategy<Value = u128> + Clone {
    const POWER: u128 = 10_u128.pow(38);
    prop_oneof![prop::sample::select(&[POWER - 1, 3 * POWER, 0][..]), 0..POWER]
}

/// The text of a number of 1 to 38 digits, as it may come from anywhere.
pub fn number_text() -> impl Strategy<Value = String> + Clone {
    const EDGES: [&str; 9] = [
        "0",
        "-0",
        "1",
        "1.10",
        "0.1",
        "1E-130",
        "-9.9999999999999999999999999999999999999E125",
        "1E2",
        "-5.0",
    ];
    let digits = (0..10_u128.pow(38), 0..38_u32).prop_map(|(all, cut)| all / 10_u128.pow(cut));
    let text = (any::<bool>(), digits, option::of(-100..80_i32)).prop_map(
        |(negative, digits, exponent)| {
            let sign = if negative { "-" } else { "" };
            let exponent = exponent.map_or(String::new(), |exponent| format!("E{exponent}"));
            format!("{sign}{digits}{exponent}")
        },
    );
    prop_oneof![prop::sample::select(&EDGES[..]).prop_map(str::to_owned), text]
}

pub fn number() -> impl Strategy<Value = Number> + Clone {
    number_text().prop_map(|text| text.parse().expect("a number that DynamoDB stores"))
}

pub fn bytes() -> impl Strategy<Value = Binary> + Clone {
    vec(any::<u8>(), 0..6).prop_map(Binary::from)
}

/// The seconds of the years 0 to 9999, which the texts of instants have.
const SECONDS: std::ops::Range<i64> = -62_167_219_200..253_402_207_200;

pub fn jiff_instant() -> impl Strategy<Value = Instant<jiff::Timestamp>> + Clone {
    (SECONDS, nanoseconds()).prop_map(|(seconds, nanoseconds)| {
        let nanoseconds = i32::try_from(nanoseconds).expect("less than a second");
        Instant(jiff::Timestamp::new(seconds, nanoseconds).expect("within the range"))
    })
}

pub fn chrono_instant() -> impl Strategy<Value = chrono::DateTime<chrono::Utc>> + Clone {
    (SECONDS, nanoseconds()).prop_map(|(seconds, nanoseconds)| {
        chrono::DateTime::from_timestamp(seconds, nanoseconds).expect("within the range")
    })
}

fn nanoseconds() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![Just(0), (0..1_000_000_u32).prop_map(|micros| micros * 1_000), 0..1_000_000_000_u32]
}

/// An attribute value of any type, up to three levels deep.
fn attribute_value() -> impl Strategy<Value = AttributeValue> + Clone {
    let texts = || btree_set(text(), 1..3).prop_map(|texts| texts.into_iter().collect());
    // By value, since `1` and `1.0` are one element.
    let numbers = btree_set(number(), 1..3)
        .prop_map(|numbers| numbers.iter().map(Number::to_string).collect());
    let blob = |bytes: Binary| Blob::new(bytes.into_vec());
    let leaf = prop_oneof![
        text().prop_map(AttributeValue::S),
        number_text().prop_map(AttributeValue::N),
        bytes().prop_map(move |bytes| AttributeValue::B(blob(bytes))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        texts().prop_map(AttributeValue::Ss),
        numbers.prop_map(AttributeValue::Ns),
        btree_set(bytes(), 1..3)
            .prop_map(move |set| AttributeValue::Bs(set.into_iter().map(blob).collect())),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            btree_map(name(), inner, 0..3)
                .prop_map(|map| AttributeValue::M(HashMap::from_iter(map))),
        ]
    })
}

/// Attributes whose names begin as given, so that they are not those of fields.
pub fn attributes(prefix: &'static str) -> impl Strategy<Value = Attributes> + Clone {
    btree_map(name(), attribute_value(), 0..3).prop_map(move |map| {
        map.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
    })
}

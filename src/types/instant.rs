//! Instants: one sortable text in UTC, whatever the time crate.
//!
//! An instant is stored as `2012-05-31T12:00:00.000000+00:00`: microseconds, or nanoseconds where
//! they are not zero. Texts of instants sort as the instants do; those of years before 0 or after 9999
//! would not, so a record with one cannot be stored. What is read may have another
//! offset or form (`2012-05-31T14:00:00+02:00`, `2012-05-31 12:00:00Z`); without an offset it is an
//! error, as nobody knows which instant it is.
//!
//! DynamoDB compares keys as text: an item whose *key* has another form is found by queries and scans,
//! and not by its instant. A record read from it and put is a second item, under the stored form; delete
//! the first by the raw client.
//!
//! For the types of `jiff` and `chrono`, behind the features of those names. On a field:
//!
//! ```
//! # #[cfg(feature = "jiff")] {
//! use memory_table::Record;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Record, Serialize, Deserialize, Clone)]
//! #[record(table = "events")]
//! struct Event {
//!     #[record(partition_key)]
//!     name: String,
//!     #[record(sort_key)]
//!     at: memory_table::Instant<jiff::Timestamp>, // a key, or inside lists and maps
//!     #[serde(with = "memory_table::instant")]
//!     seen: Option<jiff::Timestamp>,
//! }
//! # }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::{KeyAttribute, KeyError, KeyKind, KeyValue};

/// A type of instants that has a text of its own: `jiff::Timestamp` and `chrono::DateTime<Utc>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of instants",
    label = "expected `jiff::Timestamp` or `chrono::DateTime<chrono::Utc>`",
    note = "turn on the feature `jiff` or `chrono` of `memory-table`"
)]
pub trait InstantType: Clone + Send + Sync + 'static {
    /// The stored form.
    fn to_text(&self) -> String;

    /// Reads a text with any offset.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The instant of a clock's time; the nearest that the type has.
    fn of_system_time(time: SystemTime) -> Self;
}

#[cfg(feature = "jiff")]
impl InstantType for jiff::Timestamp {
    fn to_text(&self) -> String {
        let digits = if self.subsec_nanosecond() % 1000 == 0 { 6 } else { 9 };
        let zoned = self.to_zoned(jiff::tz::TimeZone::UTC);
        zoned.strftime(&format!("%Y-%m-%dT%H:%M:%S.%{digits}f+00:00")).to_string()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: jiff::Error| error.to_string())
    }

    fn of_system_time(time: SystemTime) -> Self {
        let is_past = time < SystemTime::UNIX_EPOCH;
        Self::try_from(time).unwrap_or(if is_past { Self::MIN } else { Self::MAX })
    }
}

#[cfg(feature = "chrono")]
impl InstantType for chrono::DateTime<chrono::Utc> {
    fn to_text(&self) -> String {
        let form = if self.timestamp_subsec_nanos().is_multiple_of(1000) {
            chrono::SecondsFormat::Micros
        } else {
            chrono::SecondsFormat::Nanos
        };
        self.to_rfc3339_opts(form, false)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|instant| instant.with_timezone(&chrono::Utc))
            .map_err(|error| error.to_string())
    }

    fn of_system_time(time: SystemTime) -> Self {
        let span = |span| chrono::TimeDelta::from_std(span).ok();
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => span(after)
                .and_then(|after| Self::UNIX_EPOCH.checked_add_signed(after))
                .unwrap_or(Self::MAX_UTC),
            Err(before) => span(before.duration())
                .and_then(|before| Self::UNIX_EPOCH.checked_sub_signed(before))
                .unwrap_or(Self::MIN_UTC),
        }
    }
}

/// An instant in its stored form, for keys and for what is inside lists and maps.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "jiff")] {
/// use memory_table::{Instant, Key, KeyRef};
///
/// let noon: jiff::Timestamp = "2012-05-31T14:00:00+02:00".parse().unwrap();
/// let key = Key::new(&KeyRef::partition(&Instant(noon))).unwrap();
/// assert_eq!(key.to_string(), r#""2012-05-31T12:00:00.000000+00:00""#);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant<T>(pub T);

impl<T> From<T> for Instant<T> {
    fn from(instant: T) -> Self {
        Self(instant)
    }
}

impl<T: InstantType> Serialize for Instant<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        sortable(&self.0)
            .map_err(serde::ser::Error::custom)
            .and_then(|text| serializer.serialize_str(&text))
    }
}

/// The stored form of an instant, if it has one that sorts as it does: with a year of four digits.
fn sortable<T: InstantType>(instant: &T) -> Result<String, &'static str> {
    let text = instant.to_text();
    let year = text.split_once('-').map(|(year, _)| year);
    if year.is_some_and(|year| year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit()))
    {
        Ok(text)
    } else {
        Err("an instant before the year 0 or after 9999 has no sortable form")
    }
}

impl<'de, T: InstantType> Deserialize<'de> for Instant<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<T: InstantType> serde::de::Visitor<'_> for Visitor<T> {
            type Value = Instant<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of an instant")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Instant<T>, E> {
                // The library's own words may show the text, which is content of the record.
                T::from_text(text).map(Instant).map_err(|_| {
                    E::custom("not the text of an instant with an offset, such as 2012-05-31T12:00:00+00:00")
                })
            }
        }
        deserializer.deserialize_str(Visitor(std::marker::PhantomData))
    }
}

#[diagnostic::do_not_recommend]
impl<T: InstantType> KeyAttribute for Instant<T> {
    const KIND: KeyKind = KeyKind::String;

    fn to_key(&self) -> KeyValue<'_> {
        KeyValue::String(Cow::Owned(self.0.to_text()))
    }

    fn from_key(value: KeyValue<'_>) -> Result<Self, KeyError> {
        match &value {
            KeyValue::String(text) => T::from_text(text).map(Self).map_err(|_| {
                KeyError::new("key attribute", "not the text of an instant with an offset")
            }),
            other => Err(KeyError::mismatch(Self::KIND, other)),
        }
    }
}

/// An instant, or an optional one, as a field: what [`serialize`] and [`deserialize`] take.
pub trait InstantField: Sized {
    /// The form that passes through serde.
    type Form: Serialize + for<'de> Deserialize<'de>;

    /// To the stored form.
    fn to_form(&self) -> Self::Form;

    /// From the stored form.
    fn from_form(form: Self::Form) -> Self;
}

impl<T: InstantType> InstantField for T {
    type Form = Instant<T>;

    fn to_form(&self) -> Instant<T> {
        Instant(self.clone())
    }

    fn from_form(form: Instant<T>) -> Self {
        form.0
    }
}

impl<T: InstantType> InstantField for Option<T> {
    type Form = Option<Instant<T>>;

    fn to_form(&self) -> Option<Instant<T>> {
        self.clone().map(Instant)
    }

    fn from_form(form: Option<Instant<T>>) -> Self {
        form.map(|instant| instant.0)
    }
}

/// Serializes an instant; for `#[serde(with = "memory_table::instant")]`.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: InstantField, S: Serializer>(
    instant: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    instant.to_form().serialize(serializer)
}

/// Deserializes an instant; for `#[serde(with = "memory_table::instant")]`.
///
/// # Errors
///
/// Text that is no instant, or has no offset.
pub fn deserialize<'de, T: InstantField, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Form::deserialize(deserializer).map(T::from_form)
}

#[cfg(all(test, feature = "jiff", feature = "chrono"))]
mod tests {
    use super::*;

    type Utc = chrono::DateTime<chrono::Utc>;

    #[test]
    fn both_crates_write_one_form_and_read_other_offsets() {
        for text in [
            "2012-05-31T12:00:00.000000+00:00",
            "2012-05-31T14:00:00+02:00",
            "2012-05-31T12:00:00Z",
            "2012-05-31 12:00:00Z",
        ] {
            let jiff = jiff::Timestamp::from_text(text).unwrap();
            assert_eq!(jiff.to_text(), "2012-05-31T12:00:00.000000+00:00", "{text}");
            assert_eq!(Utc::from_text(text).unwrap().to_text(), jiff.to_text(), "{text}");
        }
    }

    #[test]
    fn texts_sort_as_the_instants_do_to_the_nanosecond() {
        let instants =
            [0_i64, 1, 999, 1_000, 1_001, 123_456_000, 123_456_001, 999_999_999, 1_000_000_000];
        let texts: Vec<_> = instants
            .iter()
            .map(|&nanos| {
                let jiff = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
                assert_eq!(chrono::DateTime::from_timestamp_nanos(nanos).to_text(), jiff.to_text());
                assert_eq!(jiff::Timestamp::from_text(&jiff.to_text()).unwrap(), jiff);
                jiff.to_text()
            })
            .collect();
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn years_that_would_not_sort_are_refused() {
        for (seconds, fits) in [
            (-62_167_219_200_i64, true), // the year 0
            (-62_167_219_201, false),
            (253_402_207_199, true), // the year 9999
            (253_402_300_800, false),
        ] {
            if let Some(chrono) = chrono::DateTime::<chrono::Utc>::from_timestamp(seconds, 0) {
                assert_eq!(serde_json::to_string(&Instant(chrono)).is_ok(), fits, "{seconds}");
            }
            if let Ok(jiff) = jiff::Timestamp::from_second(seconds) {
                assert_eq!(serde_json::to_string(&Instant(jiff)).is_ok(), fits, "{seconds}");
            }
        }
    }

    #[test]
    fn a_text_without_offset_is_an_error_that_does_not_show_it() {
        assert!(jiff::Timestamp::from_text("2012-05-31T12:00:00").is_err());
        assert!(Utc::from_text("2012-05-31T12:00:00").is_err());
        let error = serde_json::from_str::<Instant<jiff::Timestamp>>(r#""secret""#).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn an_instant_is_a_key() {
        let noon: jiff::Timestamp = "2012-05-31T12:00:00Z".parse().unwrap();
        assert_eq!(Instant::from_key(Instant(noon).to_key()).unwrap(), Instant(noon));
        assert!(Instant::<jiff::Timestamp>::from_key(KeyValue::Number("1".into())).is_err());
    }
}

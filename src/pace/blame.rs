//! What was it that had no capacity left: the table, an index, or hot partition keys?

use std::borrow::Cow;

use super::Part;
use crate::error::ThrottlingReason;

/// This part of a request, or less, is few.
const FEW: usize = 10;

/// What had no capacity left.
#[derive(Debug, PartialEq)]
pub(super) enum Blame<'a> {
    Nothing,
    /// The table, or an index: the answer does not say which.
    Any,
    Table,
    Index(Cow<'a, str>),
    Keys(Vec<&'a [u8]>),
}

impl Blame<'_> {
    pub(super) fn is_index(&self, name: &str) -> bool {
        matches!(self, Self::Index(index) if index == name)
    }
}

/// What is known of a partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    Nothing,
    /// Something of it was left the last time that it was sent.
    WasLeft,
    Hot,
}

/// Judges an answer, whose entries are in the order in which they were sent. A request that was refused
/// as a whole says its reasons; of a batch that was done in part the service does not.
///
/// Keys of which something is left twice while others are done are hot. What is left at the end of a
/// request, or is much of it, is the table; a few entries among others say nothing yet.
pub(super) fn blame<'a>(
    parts: &[Part<'a>],
    reasons: &'a [ThrottlingReason],
    known: impl Fn(&[u8]) -> Known,
) -> Blame<'a> {
    let left: Vec<&Part<'a>> = parts.iter().filter(|part| part.left).collect();
    if left.is_empty() {
        return Blame::Nothing;
    }
    if let Some(blame) = said(parts, reasons) {
        return blame;
    }
    let keys = distinct(left.iter().copied());
    let least = keys.iter().map(|key| known(key)).min().unwrap_or(Known::Nothing);
    let are_last = parts[parts.len() - left.len()..].iter().all(|part| part.left);
    let are_most = keys.len() * 2 > distinct(parts).len();
    if least == Known::Hot || least == Known::WasLeft && !are_last && !are_most {
        Blame::Keys(keys)
    } else if !are_last && left.len() * FEW <= parts.len() {
        Blame::Nothing
    } else {
        Blame::Any
    }
}

fn said<'a>(parts: &[Part<'a>], reasons: &'a [ThrottlingReason]) -> Option<Blame<'a>> {
    // A partition of an index has other keys than the table's.
    let of_others = |reason: &&ThrottlingReason| !reason.is_key_range() || index(reason).is_some();
    let Some(reason) = reasons.iter().find(of_others) else {
        return (!reasons.is_empty()).then(|| Blame::Keys(distinct(parts)));
    };
    Some(index(reason).map_or(Blame::Table, |index| Blame::Index(index.into())))
}

fn index(reason: &ThrottlingReason) -> Option<&str> {
    reason.place().and_then(|(_, index)| index)
}

fn distinct<'a: 'p, 'p>(parts: impl IntoIterator<Item = &'p Part<'a>>) -> Vec<&'a [u8]> {
    let mut keys: Vec<&[u8]> = parts.into_iter().map(|part| part.partition).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries by partition key; those of which something was left have capital letters.
    fn parts(entries: &[u8]) -> Vec<(Vec<u8>, bool)> {
        entries
            .iter()
            .map(|key| (vec![key.to_ascii_lowercase()], key.is_ascii_uppercase()))
            .collect()
    }

    fn judged(entries: &str, reasons: &[(&str, &str)], known: &str) -> String {
        let parts = parts(entries.as_bytes());
        let parts: Vec<Part<'_>> = parts
            .iter()
            .map(|(partition, left)| Part { partition, units: 1.0, left: *left })
            .collect();
        let reason = |(reason, resource): &(&str, &str)| ThrottlingReason {
            reason: (*reason).to_owned(),
            resource: Some((*resource).to_owned()),
        };
        let reasons: Vec<_> = reasons.iter().map(reason).collect();
        let known = |key: &[u8]| {
            let found = known.bytes().find(|other| other.eq_ignore_ascii_case(&key[0]));
            found.map_or(Known::Nothing, |key| {
                if key.is_ascii_uppercase() { Known::Hot } else { Known::WasLeft }
            })
        };
        match blame(&parts, &reasons, known) {
            Blame::Nothing => "nothing".into(),
            Blame::Any => "any".into(),
            Blame::Table => "table".into(),
            Blame::Index(index) => index.into_owned(),
            Blame::Keys(keys) => String::from_utf8(keys.concat()).unwrap(),
        }
    }

    #[test]
    fn what_the_service_says_is_believed() {
        let table = "arn:aws:dynamodb:us-east-1:123456789012:table/stores";
        let index = "arn:aws:dynamodb:us-east-1:123456789012:table/stores/index/by-city";
        let of_index_keys = ("IndexWriteKeyRangeThroughputExceeded", index);
        assert_eq!(judged("AB", &[of_index_keys], ""), "by-city", "they are no keys of the table");
        let of_table = ("TableWriteProvisionedThroughputExceeded", table);
        let of_index = ("IndexWriteProvisionedThroughputExceeded", index);
        let of_key = ("TableWriteKeyRangeThroughputExceeded", table);
        assert_eq!(judged("ABBA", &[of_table], ""), "table");
        assert_eq!(judged("ABBA", &[of_index], ""), "by-city");
        assert_eq!(judged("ABBA", &[of_key], ""), "ab");
        assert_eq!(judged("ABBA", &[of_key, of_table], "AB"), "table");
    }

    #[test]
    fn what_is_left_at_the_end_or_is_much_is_the_table() {
        assert_eq!(judged("abcd", &[], ""), "nothing");
        assert_eq!(judged("abCD", &[], ""), "any", "the end");
        assert_eq!(judged("abCD", &[], "cd"), "any", "the end, twice");
        assert_eq!(judged("aBcd", &[], ""), "any", "much");
        assert_eq!(judged("ABCd", &[], "abc"), "any", "most keys, twice");
        assert_eq!(judged("ABCD", &[], ""), "any", "all");
        assert_eq!(judged("abcdefghiJ", &[], ""), "any", "one, and the last");
    }

    #[test]
    fn a_few_among_others_say_nothing_at_first_and_that_they_are_hot_then() {
        assert_eq!(judged("abcdeFghij", &[], ""), "nothing");
        assert_eq!(judged("abcdeFghij", &[], "f"), "f");
        assert_eq!(judged("abFFeFghiF", &[], "f"), "f", "also much of one key");
        assert_eq!(judged("abcdFFghij", &[], ""), "any");
        assert_eq!(judged("abcdFGhijk", &[], "f"), "any", "one of them for the first time");
    }

    #[test]
    fn what_is_left_of_hot_keys_is_left_for_that() {
        assert_eq!(judged("abcD", &[], "D"), "d");
        assert_eq!(judged("DDDD", &[], "D"), "d");
        assert_eq!(judged("abCD", &[], "D"), "any");
    }
}

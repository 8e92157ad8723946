//! What to write in place of a word that is no option.

use super::units::UnitsAttrs;

/// What people coming from other libraries write, and what it is called here.
const OTHER_WORDS: [(&str, &str); 44] = [
    ("hash_key", "partition_key"),
    ("hash", "partition_key"),
    ("partition", "partition_key"),
    ("primary_key", "partition_key"),
    ("key", "partition_key"),
    ("pk", "partition_key"),
    ("id", "partition_key"),
    ("range_key", "sort_key"),
    ("range", "sort_key"),
    ("sort", "sort_key"),
    ("sk", "sort_key"),
    ("table_name", "table"),
    ("name", "table"),
    ("index_name", "name"),
    ("krate", "crate"),
    ("index", "global_index"),
    ("indexes", "global_index"),
    ("gsi", "global_index"),
    ("global_secondary_index", "global_index"),
    ("secondary_index", "global_index"),
    ("lsi", "local_index"),
    ("local_secondary_index", "local_index"),
    ("default_value", "default"),
    ("initial", "default"),
    ("before_save", "before_store"),
    ("before_put", "before_store"),
    ("pre_put", "before_store"),
    ("validated", "validate"),
    ("garde", "validate"),
    ("post_load", "after_load"),
    ("after_read", "after_load"),
    ("created_at", "created"),
    ("updated_at", "updated"),
    ("modified", "updated"),
    ("modified_at", "updated"),
    ("fields", "include"),
    ("read_capacity", "read_units"),
    ("read_capacity_units", "read_units"),
    ("read_throughput", "read_units"),
    ("rcu", "read_units"),
    ("write_capacity", "write_units"),
    ("write_capacity_units", "write_units"),
    ("write_throughput", "write_units"),
    ("wcu", "write_units"),
];

/// Options that serde has, so that records need none of their own.
const SERDE_OPTIONS: [&str; 7] =
    ["rename", "rename_all", "alias", "default", "skip", "flatten", "with"];

/// What an index has is said by options without a value.
const PROJECTIONS: [&str; 6] =
    ["projection", "project", "projection_type", "all", "attributes", "non_key_attributes"];

/// Where an option stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Struct,
    Field,
    Newtype,
    GlobalIndex,
    LocalIndex,
    Projection,
}

impl Place {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &[
                "table",
                "global_index",
                "local_index",
                "read_units",
                "write_units",
                "before_store",
                "after_load",
                "validate",
                "crate",
            ],
            Self::Field => {
                &["partition_key", "sort_key", "ttl", "version", "created", "updated", "default"]
            }
            Self::Newtype => &["crate"],
            Self::GlobalIndex => &[
                "name",
                "partition_key",
                "sort_key",
                "keys_only",
                "include",
                "handle",
                "read_units",
                "write_units",
            ],
            Self::LocalIndex => &["name", "sort_key", "keys_only", "include", "handle"],
            Self::Projection => &["of", "crate"],
        }
    }

    fn is_index(self) -> bool {
        matches!(self, Self::GlobalIndex | Self::LocalIndex)
    }
}

/// What to write in place of an unknown option.
pub(super) fn advice(place: Place, option: &str) -> String {
    if place == Place::LocalIndex && option == "partition_key" {
        return "remove it, as a local index has the table's, or write `global_index`".to_owned();
    }
    if place == Place::LocalIndex && UnitsAttrs::has(option) {
        return "remove it, as a local index has the table's units, or write `global_index`"
            .to_owned();
    }
    if place.is_index() && PROJECTIONS.contains(&option) {
        return "write `keys_only` or `include(field, ..)`, or nothing for all attributes"
            .to_owned();
    }
    let other = OTHER_WORDS.iter().find(|(other, _)| *other == option).map(|(_, known)| *known);
    let everywhere = || [Place::Struct, Place::Field].into_iter().flat_map(Place::options).copied();
    let exact = everywhere().find(|known| *known == option);
    let near = || nearest(option, place.options().iter().copied());
    let known = other.or(exact).or_else(near);
    if let Some(known) = known.filter(|known| place.options().contains(known)) {
        return format!("write `{known}`");
    }
    if SERDE_OPTIONS.contains(&option) {
        return format!("write `#[serde({option} ..)]`, records follow serde");
    }
    let elsewhere = known.or_else(|| nearest(option, everywhere()));
    match elsewhere.and_then(|known| right_place(place, known)) {
        Some(advice) => advice,
        None => format!("known are {}", listed(place.options())),
    }
}

/// Where an option belongs that is none here.
fn right_place(place: Place, known: &str) -> Option<String> {
    let advice = match (place, known) {
        (Place::Struct, "partition_key" | "sort_key") => {
            format!("write `#[record({known})]` on the field that is the key")
        }
        (Place::Field, "global_index") => {
            "write `#[record(global_index(name = \"..\", partition_key = field))]` above the struct"
                .to_owned()
        }
        (Place::Field, "local_index") => {
            "write `#[record(local_index(name = \"..\", sort_key = field))]` above the struct"
                .to_owned()
        }
        (Place::Field, "table" | "crate" | "before_store" | "after_load") => {
            format!("write `#[record({known} = \"..\")]` above the struct")
        }
        (Place::Field, "read_units" | "write_units") => {
            format!("write `#[record({known} = 5)]` above the struct")
        }
        (Place::Field, "validate") => "write `#[record(validate)]` above the struct".to_owned(),
        (Place::Struct, "ttl" | "version" | "created" | "updated") => {
            format!("write `#[record({known})]` on the field that it is")
        }
        _ => return None,
    };
    Some(advice)
}

/// Words for a sentence: `a`, `b` and `c`.
fn listed(words: &[&str]) -> String {
    let quoted = |words: &[&str]| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and `{last}`", quoted(rest)),
        _ => quoted(words),
    }
}

/// The word that was probably meant: one with at most two of five letters wrong.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    known
        .map(|known| (edits(word, known), known))
        .filter(|(edits, known)| edits * 5 <= known.len() * 2)
        .min()
        .map(|(_, known)| known)
}

/// How many letters to insert, remove, replace or swap with the next to make one word the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // Row i, column j: from the first i letters to the first j.
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    let at = |rows: &[Vec<usize>], i: usize, j: usize| {
        rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(usize::MAX / 2)
    };
    for i in 1..=from.len() {
        rows.push(vec![i]);
        for j in 1..=to.len() {
            let (a, b) = (from.get(i - 1), to.get(j - 1));
            let replaced = at(&rows, i - 1, j - 1) + usize::from(a != b);
            let mut least = replaced.min(at(&rows, i - 1, j) + 1).min(at(&rows, i, j - 1) + 1);
            if i > 1 && j > 1 && a == to.get(j - 2) && from.get(i - 2) == b {
                least = least.min(at(&rows, i - 2, j - 2) + 1);
            }
            rows[i].push(least);
        }
    }
    at(&rows, from.len(), to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_are_near() {
        for (word, distance) in [("city", 0), ("ctiy", 1), ("cit", 1), ("cities", 3), ("", 4)] {
            assert_eq!(edits(word, "city"), distance, "{word}");
        }
        assert_eq!(nearest("ctiy", ["country", "city"].into_iter()), Some("city"));
        assert_eq!(nearest("x", ["country", "city"].into_iter()), None);
    }
}

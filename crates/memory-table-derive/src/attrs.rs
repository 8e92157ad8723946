//! Reads `#[record(..)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseBuffer;
use syn::spanned::Spanned;
use syn::{Attribute, LitStr, Path, Token, parse_quote};

use crate::errors::Errors;
use crate::serde_attrs::skip_to_comma;

/// The longest name that DynamoDB gives a table.
const MAX_TABLE_NAME: usize = 255;
/// The longest ARN that DynamoDB takes in place of a name.
const MAX_TABLE_ARN: usize = 1024;

/// What people coming from other libraries write, and what it is called here.
const OTHER_WORDS: [(&str, &str); 14] = [
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
    ("krate", "crate"),
];

/// Options that serde has, so that records need none of their own.
const SERDE_OPTIONS: [&str; 7] =
    ["rename", "rename_all", "alias", "default", "skip", "flatten", "with"];

/// Where an option stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Struct,
    Field,
    Newtype,
}

impl Place {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &["table", "crate"],
            Self::Field => &["partition_key", "sort_key"],
            Self::Newtype => &["crate"],
        }
    }
}

/// The options above a struct.
#[derive(Default)]
pub(crate) struct ContainerAttrs {
    /// The table's name or ARN.
    pub(crate) table: Option<LitStr>,
    krate: Option<Path>,
}

/// The options of a field: where each of them stands.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    /// The field is the partition key.
    pub(crate) partition_key: Option<Span>,
    /// The field is the sort key.
    pub(crate) sort_key: Option<Span>,
}

impl ContainerAttrs {
    /// Reads the options above a record.
    pub(crate) fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        Self::parse_in(Place::Struct, attrs, errors)
    }

    /// Reads the options above a newtype, which is in no table.
    pub(crate) fn parse_newtype(attrs: &[Attribute], errors: &mut Errors) -> Self {
        Self::parse_in(Place::Newtype, attrs, errors)
    }

    /// Where the generated code finds `memory_table`.
    pub(crate) fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(|| parse_quote!(::memory_table))
    }

    fn parse_in(place: Place, attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for_each_option(attrs, errors, |option, meta, errors| match option {
            "table" if place == Place::Struct => {
                let table = text(meta, "the table's name in quotes: `table = \"players\"`")?;
                check_table_name(&table, errors);
                set_once(&mut found.table, table, meta, errors);
                Ok(())
            }
            "crate" => {
                let krate = text(meta, "the crate's path in quotes: `crate = \"my_table\"`")?;
                set_once(&mut found.krate, path(&krate)?, meta, errors);
                Ok(())
            }
            _ => unknown(place, meta, errors),
        });
        found
    }
}

impl FieldAttrs {
    /// Reads the options of a field.
    pub(crate) fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for_each_option(attrs, errors, |option, meta, errors| {
            let role = match option {
                "partition_key" => &mut found.partition_key,
                "sort_key" => &mut found.sort_key,
                _ => return unknown(Place::Field, meta, errors),
            };
            reject_value(option, meta, errors)?;
            set_once(role, meta.path.span(), meta, errors);
            Ok(())
        });
        found
    }
}

/// Calls `read` for each option in each `#[record(..)]`.
fn for_each_option(
    attrs: &[Attribute],
    errors: &mut Errors,
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("record")) {
        let parsed = attr.parse_nested_meta(|meta| read(&path_text(&meta.path), &meta, errors));
        if let Err(error) = parsed {
            errors.combine(error);
        }
    }
}

fn path_text(path: &Path) -> String {
    let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    segments.join("::")
}

/// The text behind `=`.
fn text(meta: &ParseNestedMeta<'_>, expected: &str) -> syn::Result<LitStr> {
    let parsed = meta.value().and_then(ParseBuffer::parse::<LitStr>);
    parsed.map_err(|_| meta.error(format!("write {expected}")))
}

/// The path in a text.
fn path(text: &LitStr) -> syn::Result<Path> {
    text.parse_with(Path::parse_mod_style).map_err(|_| {
        let path = text.value();
        let message = format!("`{path}` is not a path: write `crate = \"my_table\"`");
        syn::Error::new(text.span(), message)
    })
}

fn set_once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>, errors: &mut Errors) {
    if slot.replace(value).is_some() {
        let option = path_text(&meta.path);
        errors.push(meta.path.span(), format!("`{option}` is given twice: remove one"));
    }
}

/// The key options take no value: a name belongs to serde, which writes the attribute.
fn reject_value(option: &str, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
    if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        errors.push(
            meta.path.span(),
            format!(
                "`{option}` takes no value: write `#[record({option})]`, and `#[serde(rename = \
                 \"..\")]` if the attribute has another name than the field"
            ),
        );
    }
    skip_to_comma(meta.input)
}

/// Reports an unknown option and goes on behind it.
fn unknown(place: Place, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
    let option = path_text(&meta.path);
    let advice = advice(place, &option);
    errors.push(meta.path.span(), format!("no option `{option}` here: {advice}"));
    skip_to_comma(meta.input)
}

/// What to write in place of an unknown option.
fn advice(place: Place, option: &str) -> String {
    if SERDE_OPTIONS.contains(&option) {
        return format!("write `#[serde({option} ..)]`, records follow serde");
    }
    let other = OTHER_WORDS.iter().find(|(other, _)| *other == option);
    let known = other.map(|(_, known)| *known).or_else(|| nearest(option));
    match known {
        Some(known) if place.options().contains(&known) => format!("write `{known}`"),
        Some(key @ ("partition_key" | "sort_key")) if place == Place::Struct => {
            format!("write `#[record({key})]` on the field that is the key")
        }
        Some(known @ ("table" | "crate")) if place == Place::Field => {
            format!("write `#[record({known} = \"..\")]` above the struct")
        }
        _ => {
            let options: Vec<_> =
                place.options().iter().map(|known| format!("`{known}`")).collect();
            format!("known are {}", options.join(" and "))
        }
    }
}

/// The known option that was probably meant: one with at most two of five letters wrong.
fn nearest(option: &str) -> Option<&'static str> {
    ["table", "crate", "partition_key", "sort_key"]
        .into_iter()
        .map(|known| (edits(option, known), known))
        .filter(|(edits, known)| edits * 5 <= known.len() * 2)
        .min()
        .map(|(_, known)| known)
}

/// How many letters to insert, remove or replace to make one word the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (b, above) in to.chars().zip(row.windows(2)) {
            if let [diagonal, up] = above {
                left = (diagonal + usize::from(a != b)).min(up + 1).min(left + 1);
                next.push(left);
            }
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// DynamoDB wants three characters at least, but a prefix may still make a short name longer.
fn check_table_name(table: &LitStr, errors: &mut Errors) {
    let name = table.value();
    let is_arn = name.starts_with("arn:");
    let limit = if is_arn { MAX_TABLE_ARN } else { MAX_TABLE_NAME };
    let allowed = |ch: char| ch.is_ascii_alphanumeric() || "_.-".contains(ch);
    if name.is_empty() {
        errors.push(table.span(), "the table's name is empty: write the name of a table");
    } else if name.len() > limit {
        let length = name.len();
        errors.push(
            table.span(),
            format!("the table's name has {length} characters: DynamoDB allows {limit}"),
        );
    } else if let Some(ch) = name.chars().find(|ch| !is_arn && !allowed(*ch)) {
        errors.push(
            table.span(),
            format!(
                "the table's name contains {ch:?}: write a name of the characters `a-z`, `A-Z`, \
                 `0-9`, `_`, `.` and `-`, or an ARN that starts with `arn:`"
            ),
        );
    }
}

#[cfg(test)]
mod tests;

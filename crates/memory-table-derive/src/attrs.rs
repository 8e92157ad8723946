//! Reads `#[record(..)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseBuffer;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Path, Token, Type, parse_quote, token};

pub(crate) use index::IndexAttrs;
pub(crate) use units::UnitsAttrs;
pub(crate) use words::nearest;

use crate::errors::Errors;
use crate::serde_attrs::skip_to_comma;
use words::{Place, advice};

mod index;
mod units;
mod words;

/// The longest name that DynamoDB gives a table.
const MAX_TABLE_NAME: usize = 255;
/// The longest ARN that DynamoDB takes in place of a name.
const MAX_TABLE_ARN: usize = 1024;

/// The options above a struct.
#[derive(Default)]
pub(crate) struct ContainerAttrs {
    /// The table's name or ARN.
    pub(crate) table: Option<LitStr>,
    /// The table's indexes, in the order written.
    pub(crate) indexes: Vec<IndexAttrs>,
    /// The capacity that the table is made with.
    pub(crate) units: UnitsAttrs,
    /// The function that checks a record before it is stored.
    pub(crate) before_store: Option<Path>,
    /// The function that checks a record after it was loaded.
    pub(crate) after_load: Option<Path>,
    /// Each record is validated by `garde`.
    pub(crate) validate: Option<Span>,
    krate: Option<Path>,
}

/// The options of a field: where each of them stands.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    /// The field is the partition key.
    pub(crate) partition_key: Option<Span>,
    /// The field is the sort key.
    pub(crate) sort_key: Option<Span>,
    /// The field says when the record expires.
    pub(crate) ttl: Option<Span>,
    /// The field counts the writes.
    pub(crate) version: Option<Span>,
    /// The field says when the record was made.
    pub(crate) created: Option<Span>,
    /// The field says when the record was changed last.
    pub(crate) updated: Option<Span>,
    /// The value in a record that is made.
    pub(crate) default: Option<MadeValue>,
}

/// What `#[record(default)]` says.
pub(crate) struct MadeValue {
    /// Where the option stands.
    pub(crate) span: Span,
    /// The expression; without one the type's own default.
    pub(crate) value: Option<Expr>,
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
        for_each_option("record", attrs, errors, |option, meta, errors| match option {
            "crate" => {
                let krate = text(meta, "the crate's path in quotes: `crate = \"my_table\"`")?;
                set_once(&mut found.krate, path(&krate, "crate = \"my_table\"")?, meta, errors);
                Ok(())
            }
            _ if place == Place::Struct => found.parse_option(option, meta, errors),
            _ => unknown(place, meta, errors),
        });
        found
    }

    /// Reads an option that only records have.
    fn parse_option(
        &mut self,
        option: &str,
        meta: &ParseNestedMeta<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        match option {
            "table" => {
                let table = text(meta, "the table's name in quotes: `table = \"players\"`")?;
                check_table_name(&table, errors);
                set_once(&mut self.table, table, meta, errors);
            }
            _ if UnitsAttrs::has(option) => self.units.parse_option(meta, errors)?,
            "global_index" | "local_index" => self.indexes.push(IndexAttrs::parse(meta, errors)?),
            "before_store" | "after_load" => {
                let example = format!("{option} = \"Self::check\"");
                let function = text(meta, &format!("the function's path in quotes: `{example}`"))?;
                let function = path(&function, &example)?;
                let slot = match option {
                    "before_store" => &mut self.before_store,
                    _ => &mut self.after_load,
                };
                set_once(slot, function, meta, errors);
            }
            "validate" => {
                reject_value(option, meta, errors)?;
                set_once(&mut self.validate, meta.path.span(), meta, errors);
            }
            _ => return unknown(Place::Struct, meta, errors),
        }
        Ok(())
    }
}

/// The options above a projection.
#[derive(Default)]
pub(crate) struct ProjectionAttrs {
    /// The record that it is a part of.
    pub(crate) of: Option<Type>,
    krate: Option<Path>,
}

impl ProjectionAttrs {
    /// Reads `#[projection(..)]`.
    pub(crate) fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for_each_option("projection", attrs, errors, |option, meta, errors| match option {
            "of" => {
                let parsed = meta.value().and_then(ParseBuffer::parse::<Type>);
                let of =
                    parsed.map_err(|_| meta.error("write the record's type: `of = Player`"))?;
                set_once(&mut found.of, of, meta, errors);
                Ok(())
            }
            "crate" => {
                let krate = text(meta, "the crate's path in quotes: `crate = \"my_table\"`")?;
                set_once(&mut found.krate, path(&krate, "crate = \"my_table\"")?, meta, errors);
                Ok(())
            }
            _ => unknown(Place::Projection, meta, errors),
        });
        found
    }

    /// Where the generated code finds `memory_table`.
    pub(crate) fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(|| parse_quote!(::memory_table))
    }
}

impl FieldAttrs {
    /// Reads the options of a field.
    pub(crate) fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        for_each_option("record", attrs, errors, |option, meta, errors| {
            let role = match option {
                "default" => {
                    let value = MadeValue { span: meta.path.span(), value: expression(meta)? };
                    set_once(&mut found.default, value, meta, errors);
                    return Ok(());
                }
                "partition_key" => &mut found.partition_key,
                "sort_key" => &mut found.sort_key,
                "ttl" => &mut found.ttl,
                "version" => &mut found.version,
                "created" => &mut found.created,
                "updated" => &mut found.updated,
                _ => return unknown(Place::Field, meta, errors),
            };
            reject_value(option, meta, errors)?;
            set_once(role, meta.path.span(), meta, errors);
            Ok(())
        });
        found
    }
}

/// Calls `read` for each option in each attribute of that name.
fn for_each_option(
    name: &str,
    attrs: &[Attribute],
    errors: &mut Errors,
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
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
fn path(text: &LitStr, example: &str) -> syn::Result<Path> {
    text.parse_with(Path::parse_mod_style).map_err(|_| {
        let path = text.value();
        syn::Error::new(text.span(), format!("`{path}` is not a path: write `{example}`"))
    })
}

/// The expression behind `=`, if there is one.
fn expression(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<Expr>> {
    if meta.input.peek(Token![=]) {
        return meta.value()?.parse().map(Some);
    }
    if meta.input.peek(token::Paren) {
        return Err(meta.error("write the value behind `=`: `default = 1500.0`"));
    }
    Ok(None)
}

fn set_once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>, errors: &mut Errors) {
    if slot.replace(value).is_some() {
        let option = path_text(&meta.path);
        errors.push(meta.path.span(), format!("`{option}` is given twice: remove one"));
    }
}

/// The key options take no value: a name belongs to serde, which writes the attribute; nor does the
/// option that has its rules elsewhere.
fn reject_value(option: &str, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
    if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        let advice = match option {
            "validate" => "`#[garde(..)]` on the fields that have rules",
            _ => "`#[serde(rename = \"..\")]` if the attribute has another name than the field",
        };
        let message =
            format!("`{option}` takes no value: write `#[record({option})]`, and {advice}");
        errors.push(meta.path.span(), message);
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

//! Derive macros of [`memory-table`](https://docs.rs/memory-table), which re-exports them beside
//! the traits of the same names. Depend on `memory-table`, not on this crate.
//!
//! In reading order: `serde_attrs` and `rename` find out how serde names a field, `attrs` reads
//! `#[record(..)]`, `model` checks a struct against both, `record`, `fields` and
//! `key_attribute` write the code.

mod errors;
mod rename;
mod serde_attrs;

mod attrs;
mod model;

mod fields;
mod from_key;
mod indexes;
mod key_attribute;
mod projection;
mod record;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `memory_table::Record` for a struct: which table it lives in, which of its fields
/// are the primary key, and which attribute each field is stored as.
///
/// Attributes are named as serde names them: `#[serde(rename)]`, `#[serde(rename_all)]` and
/// `#[serde(alias)]` apply.
///
/// ```text
/// use memory_table::Record;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Record, Serialize, Deserialize, Clone)]
/// #[record(table = "players")]
/// struct Player {
///     #[record(partition_key)]
///     game: String,
///     #[record(sort_key)]
///     name: String,
///     #[serde(default)]
///     rating: f64,
/// }
/// ```
///
/// # Options
///
/// - `#[record(table = "players")]` on the struct: the table's name or ARN. Required.
/// - `#[record(crate = "path")]` on the struct: where to find `memory_table` if the dependency
///   has another name. Default: `::memory_table`.
/// - `#[record(partition_key)]` on a field: the partition key. Required, once.
/// - `#[record(sort_key)]` on a field: the sort key, if the table has one.
///
/// # Handles of the fields
///
/// `Player::FIELDS` has a handle for each field under its name, as visible as the field:
/// `Player::FIELDS.rating.gt(1500.0)` is a condition on the attribute that the field is stored as.
/// An `Option<X>` is compared with an `X`; skipped and flattened fields have no handle; a field
/// that a `with` of yours converts is compared with anything. The type of `FIELDS` is the name of
/// the record with `Fields` behind it.
///
/// # Records made from their key alone
///
/// `memory_table::FromKey`, which `update` and `get_or_default` need, is implemented too if
/// serde has a default for every field outside the key: `#[serde(default)]` on the field or on
/// the struct, `#[serde(skip)]`, `#[serde(flatten)]`, or an `Option`. Otherwise a call that needs
/// it does not compile, and the error names the fields that have none.
///
/// # Errors
///
/// What cannot work does not compile, for example a key that serde would skip, a field that is
/// written under one name and read under another, two fields stored as one attribute, or a set
/// without `#[serde(default)]`, since an empty set is stored as no attribute.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(record::expand(&input))
}

/// Implements `memory_table::Projection` for a struct: some fields of a record, to read only what is
/// needed.
///
/// ```text
/// use memory_table::Projection;
/// use serde::Deserialize;
///
/// #[derive(Projection, Deserialize)]
/// #[projection(of = Player)]
/// struct Rating {
///     name: String,
///     rating: f64,
/// }
/// ```
///
/// A query or a scan reads it in place of the record. It cannot be put, since what it lacks would
/// be lost.
///
/// Fields have the names and types of the record's, and the same attribute names by serde; an
/// `Option` may be added or left out. Skipped fields are not read, aliases neither. With
/// `#[serde(flatten)]` all attributes are read, since it is not known which are needed.
///
/// # Options
///
/// - `#[projection(of = Player)]`: the record. Required.
/// - `#[projection(crate = "path")]`: where to find `memory_table` if the dependency has another
///   name. Default: `::memory_table`.
///
/// # Errors
///
/// A field that the record does not have, or has with another type or attribute name, does not
/// compile.
#[proc_macro_derive(Projection, attributes(projection))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(projection::expand(&input))
}

/// Implements `memory_table::KeyAttribute` for a newtype, which is then stored in a key as the
/// type that it wraps.
///
/// ```text
/// use memory_table::KeyAttribute;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(KeyAttribute, Serialize, Deserialize, Clone)]
/// struct TeamName(String);
///
/// #[derive(KeyAttribute, Serialize, Deserialize, Clone)]
/// #[serde(transparent)]
/// struct Season {
///     year: u16,
/// }
/// ```
///
/// # Options
///
/// - `#[record(crate = "path")]`: where to find `memory_table` if the dependency has another
///   name. Default: `::memory_table`.
///
/// # Errors
///
/// Other shapes do not compile: an enum or a struct of several fields says itself which text,
/// number or bytes it is stored as, by an `impl KeyAttribute` written by hand.
#[proc_macro_derive(KeyAttribute, attributes(record))]
pub fn derive_key_attribute(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(key_attribute::expand(&input))
}

/// The expansion, or its errors as `compile_error!` calls.
fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

//! Derive macros of [`memory-table`](https://docs.rs/memory-table), which re-exports them beside
//! the traits of the same names. Depend on `memory-table`, not on this crate.
//!
//! In reading order: `serde_attrs` and `rename` find out how serde names a field, `attrs` reads
//! `#[record(..)]`, `model` checks a struct against both, `record`, `fields`, `indexes`, `from_key`,
//! `projection` and `key_attribute` write the code.

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
/// On the struct:
///
/// - `#[record(table = "players")]`: the table's name or ARN. Required.
/// - `#[record(global_index(..), local_index(..))]`: the table's indexes, see below. Default: none.
/// - `#[record(read_units = 5, write_units = 10)]`: the capacity that the table is made with, in units
///   a second: reads of 4 KB and writes of 1 KB. A `global_index(..)` can have its own in the same
///   words; by default it has those of the table. Default: none, the table is on demand.
/// - `#[record(before_store = "path", after_load = "path")]`: functions that are called with each
///   record, see below. Default: none.
/// - `#[record(validate)]`: each record is validated by the rules of `garde` on its fields, see below.
///   Default: no.
/// - `#[record(crate = "path")]`: where to find `memory_table` if the dependency has another name.
///   Default: `::memory_table`.
///
/// On a field:
///
/// - `#[record(partition_key)]`: the partition key. Required, once.
/// - `#[record(sort_key)]`: the sort key, if the table has one.
/// - `#[record(default = 1500.0)]`: the value in a record that is made, see below.
/// - `#[record(ttl)]`: when the record expires, in seconds since 1970: an integer of 32 or 64 bits,
///   or an `Option` of one. `Table::ensure` sets the table's time to live to it, and `hide_expired`
///   of a memory table goes by it. At most once.
/// - `#[record(version)]`: the count of writes that makes writes of this record guarded: each raises it
///   by one, on the condition that it is as it was loaded. An integer of 32 or 64 bits; 0 in a record
///   that was never stored. With `#[serde(default)]` items without it can be read. At most once.
/// - `#[record(created)]`, `#[record(updated)]`: when the record was made, and changed last, see below.
///   Each at most once.
///
/// # Handles of the fields
///
/// `Player::FIELDS` has a handle for each field under its name, as visible as the field:
/// `Player::FIELDS.rating.gt(1500.0)` is a condition on the attribute that the field is stored as.
/// An `Option<X>` is compared with an `X`; skipped and flattened fields have no handle; a field
/// that a `with` of yours converts is compared with anything. The type of `FIELDS` is the name of
/// the record with `Fields` behind it.
///
/// # Indexes
///
/// ```text
/// #[record(
///     table = "stores",
///     global_index(name = "by-company", partition_key = company_id, sort_key = store_id),
///     global_index(name = "by-city", partition_key = city, keys_only),
///     global_index(name = "by-rating", partition_key = country, sort_key = rating, include(city)),
///     local_index(name = "by-opened", sort_key = opened),
/// )]
/// ```
///
/// Keys and what is included are fields of the struct. `keys_only` and `include(..)` say what the
/// index has besides the keys; without either it has all attributes. A local index has the table's
/// partition key and needs a table with a sort key.
///
/// `Store::INDEXES` has a handle for each, named as the index in snake case (`by_company`), or as
/// `handle = name` says. A record without the attribute that is an index's key is stored and not in
/// that index, so an `Option` that is one says `skip_serializing_if`.
///
/// # Records made from their key alone
///
/// `memory_table::FromKey`, which `update` and `get_or_default` need, is implemented too if every
/// field outside the key has a value to begin with. That is the first of
///
/// - `#[record(default = ..)]`, any expression, evaluated for each record; text in quotes becomes
///   the field's type; `#[record(default)]` is `Default::default()`,
/// - serde's: `#[serde(default)]` on the field or on the struct, `#[serde(skip)]`,
///   `#[serde(flatten)]`, or `None` of an `Option`.
///
/// Otherwise a call that needs it does not compile, and the error names the fields that have none.
/// When an item is loaded, serde's defaults alone are for what is absent.
///
/// # Hooks
///
/// Both are paths to an `fn(&mut Self) -> Result<(), E>`, `E` being any error or a `String`.
///
/// - `before_store` checks or changes each record before a put, an update or a batch takes it; what
///   it leaves is stored and cached. Its error is the call's, and nothing changed.
/// - `after_load` checks or changes each record that was read. What it changes is stored with the
///   next change of the record; after its error the item does not fit the type.
///
/// Neither may change the key.
///
/// # Times
///
/// Fields of seconds since 1970 (an integer of 32 or 64 bits), of a `memory_table::Instant`, or of what
/// `memory_table::instant` stores; an `Option` of these too. Behind `before_store`
///
/// - `created` becomes the present time in a record that takes the place of none that is known, and stays
///   as it is if it is set: not 0, nor the first second of 1970, nor `None`. So a put of a record that
///   does not say it, over an item that was not read, counts as its making; a write of some attributes,
///   and a record with a version, do not, nor does an item that an update by expressions or an increment
///   makes: it has no such date.
/// - `updated` becomes the present time, whatever it was, in a record that differs from the one that it
///   takes the place of, or takes the place of none that is known: of a memory table when the change is
///   made, not when it is flushed, so a later flush may set an earlier time than another writer did. An
///   update by expressions sets it unless it says another; increments do not.
///
/// The clock is the database's, see `Database::with_clock`. What others did to `updated` is no conflict
/// under `Guard::Fields`.
///
/// # Validation
///
/// With the feature `garde` of `memory-table`, and `#[derive(garde::Validate)]` on the record,
/// `#[record(validate)]` checks it where the hooks run, behind them: what is not valid is not stored, and
/// a stored item that is not does not fit the type. The error has every invalid field with its path. The
/// service knows no rules: updates by expressions and increments can make an item invalid.
///
/// # Errors
///
/// What cannot work does not compile, for example a key that serde would skip, a field that is
/// written under one name and read under another, two fields stored as one attribute, a set without
/// `#[serde(default)]`, since an empty set is stored as no attribute, or an index whose key is no
/// field.
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

//! What is wrong with a record, each with what to write in its place.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{DeriveInput, GenericParam, Generics};

use super::{Field, is_option, no_partition_key, no_table};
use crate::attrs::ContainerAttrs;
use crate::errors::Errors;
use crate::fields::Form;
use crate::serde_attrs::{SerdeAttrs, StoredName};

/// The longest attribute name that DynamoDB takes for a key.
pub(super) const MAX_KEY_NAME: usize = 255;

/// What makes a field's stored form serde's business, and not that of `KeyAttribute`.
pub(super) const CONVERSIONS: [&str; 3] = ["with", "serialize_with", "deserialize_with"];
/// What may leave a field out of the item.
const OMISSIONS: [&str; 4] =
    ["skip", "skip_serializing", "skip_deserializing", "skip_serializing_if"];

/// A record stays in memory after the call that loaded it, so there is nothing it could borrow.
pub(super) fn lifetimes(generics: &Generics, errors: &mut Errors) {
    for param in &generics.params {
        if let GenericParam::Lifetime(param) = param {
            let lifetime = &param.lifetime;
            errors.push(
                lifetime.span(),
                format!(
                    "a record owns its data: remove `{lifetime}` and write `String` for a `&str`, \
                     `Vec<T>` for a `&[T]`"
                ),
            );
        }
    }
}

/// Asks for what every record has. Not after other errors, since a misspelt option is absent too.
pub(super) fn present(
    input: &DeriveInput,
    container: &ContainerAttrs,
    fields: &[Field<'_>],
    errors: &mut Errors,
) {
    if !errors.is_empty() {
        return;
    }
    if container.table.is_none() {
        errors.combine(no_table(input));
    }
    if fields.iter().all(|field| field.record.partition_key.is_none()) {
        errors.combine(no_partition_key(input));
    }
}

/// Rejects what makes serde write the struct as something else than its fields.
pub(super) fn container(serde: &SerdeAttrs, errors: &mut Errors) {
    if let Some(span) = serde.span_of("transparent") {
        errors.push(
            span,
            "a record is stored as an item with attributes, a transparent struct as the value of \
             its one field: remove `transparent`",
        );
    }
    if let Some(span) = serde.span_of("remote") {
        errors.push(
            span,
            "serde's `remote` describes a type of another crate, which is not this record: remove \
             `remote`, or implement `Record` by hand",
        );
    }
    for option in ["from", "try_from", "into"] {
        if let Some(span) = serde.span_of(option) {
            errors.push(
                span,
                format!(
                    "serde's `{option}` stores another type, whose attribute names are not known \
                     here: convert single fields with `#[serde(with = \"..\")]`, or implement \
                     `Record` by hand"
                ),
            );
        }
    }
    let rules = serde.rules();
    if rules.serialize != rules.deserialize {
        let span = serde.renames("rename_all").span.unwrap_or_else(Span::call_site);
        let message = "what is stored could not be read back, because fields are written and read \
                       under different names: write `rename_all = \"..\"` for both";
        errors.push(span, message);
    }
}

/// Rejects attributes that two fields would share.
pub(super) fn names(container: &SerdeAttrs, fields: &[Field<'_>], errors: &mut Errors) {
    let mut owners: HashMap<String, String> = HashMap::new();
    if let Some(tag) = container.value("tag") {
        owners.insert(tag.value(), "the tag of the struct".to_owned());
    }
    for field in fields.iter().filter(|field| field.has_name()) {
        let name = &field.name.serialize;
        let owner = format!("field `{}`", field.ident);
        if let Some(first) = owners.insert(name.clone(), owner) {
            errors.push(
                field.name.span,
                format!("{first} is stored as attribute `{name}` too: rename one of them"),
            );
        }
    }
    for field in fields.iter().filter(|field| field.has_name()) {
        for alias in &field.name.aliases {
            let (name, owner) = (alias.value(), format!("field `{}`", field.ident));
            let first = owners.entry(name).or_insert_with(|| owner.clone());
            if *first != owner {
                let name = alias.value();
                let message = format!("attribute `{name}` belongs to {first}: remove this alias");
                errors.push(alias.span(), message);
            }
        }
    }
}

pub(super) fn field(field: &Field<'_>, container: &SerdeAttrs, errors: &mut Errors) {
    check_ttl(field, errors);
    check_version(field, errors);
    check_times(field, errors);
    check_directions(field, container, errors);
    if field.is_key() {
        check_key(field, errors);
    } else {
        check_skips(field, container, errors);
        check_set(field, container, errors);
    }
}

/// A field's attribute must have one name for both ways.
fn check_directions(field: &Field<'_>, container: &SerdeAttrs, errors: &mut Errors) {
    let StoredName { serialize, deserialize, span, .. } = &field.name;
    let rules = container.rules();
    // Where only the rules differ, the struct is to blame.
    let by_rules = rules.serialize != rules.deserialize && !field.serde.has("rename");
    if field.has_name() && serialize != deserialize && !by_rules {
        errors.push(
            *span,
            format!(
                "what is stored could not be read back, because `{}` is written as `{serialize}` \
                 and read as `{deserialize}`: write `rename = \"{serialize}\"`, and `alias = \
                 \"{deserialize}\"` if that name is to be read too",
                field.ident
            ),
        );
    }
    if field.has_name() && serialize.is_empty() {
        let message = format!("the attribute name of `{}` is empty: rename it", field.ident);
        errors.push(*span, message);
    }
}

/// A key is always there, under its own name and in the form that `KeyAttribute` gives it.
fn check_key(field: &Field<'_>, errors: &mut Errors) {
    let Field { ident, serde, .. } = field;
    if let Some(default) = &field.record.default {
        let message = format!("a record is made of its key: remove `default` from `{ident}`");
        errors.push(default.span, message);
    }
    if let (Some(_), Some(span)) = (field.record.partition_key, field.record.sort_key) {
        let message = format!(
            "`{ident}` cannot be both keys: remove `sort_key`, or write it on another field"
        );
        errors.push(span, message);
    }
    if is_option(field.ty) {
        let message = format!("a key is never absent: write `{ident}` without `Option`");
        errors.push(field.ty.span(), message);
    }
    for option in OMISSIONS {
        if let Some(span) = serde.span_of(option) {
            let message = format!("a key is stored with every item: remove `{option}`");
            errors.push(span, message);
        }
    }
    if let Some(span) = serde.span_of("flatten") {
        errors.push(span, "a key is one attribute: remove `flatten`");
    }
    for option in CONVERSIONS {
        if let Some(span) = serde.span_of(option) {
            errors.push(span, not_the_key_form(option));
        }
    }
    let length = field.name.serialize.len();
    if length > MAX_KEY_NAME {
        let message = format!("the key's name has {length} bytes: DynamoDB allows {MAX_KEY_NAME}");
        errors.push(field.name.span, message);
    }
}

/// Why a key cannot have a conversion of serde's.
fn not_the_key_form(option: &str) -> String {
    format!(
        "a key is looked up in the form that `KeyAttribute` gives it, which `{option}` does not \
         know of: make the field a newtype that implements `KeyAttribute` and the conversion"
    )
}

/// Whether serde writes the field, which is no key, as an attribute in the form of its type.
fn is_own_attribute(field: &Field<'_>) -> bool {
    !field.is_key() && field.has_name() && !field.is_skipped() && field.form() == Form::Own
}

/// What counts the writes is an attribute of its own, and nothing else.
fn check_version(field: &Field<'_>, errors: &mut Errors) {
    let Some(span) = field.record.version else { return };
    let is_left_out = field.serde.has("skip_serializing") || field.serde.has("skip_serializing_if");
    if !is_own_attribute(field) || is_left_out || field.record.ttl.is_some() {
        let message = format!(
            "`{}` is no attribute that counts: write `#[record(version)]` on a field that serde \
             always writes as an integer",
            field.ident
        );
        errors.push(span, message);
    }
}

/// What says when a record expires is an attribute of its own.
fn check_ttl(field: &Field<'_>, errors: &mut Errors) {
    let Some(span) = field.record.ttl else { return };
    if !is_own_attribute(field) {
        let message = format!(
            "`{}` is no attribute of seconds: write `#[record(ttl)]` on a field that serde writes as \
             an integer",
            field.ident
        );
        errors.push(span, message);
    }
}

/// What says when a record was made or changed is an attribute of its own.
fn check_times(field: &Field<'_>, errors: &mut Errors) {
    let (created, updated) = (field.record.created, field.record.updated);
    let roles = [("created", created), ("updated", updated)];
    let is_time = is_own_attribute(field) || (field.has_name() && field.form() == Form::Instant);
    let has_role = field.is_key() || field.record.ttl.is_some() || field.record.version.is_some();
    let is_both = created.is_some() && updated.is_some();
    for (option, span) in roles.into_iter().filter_map(|(option, span)| Some((option, span?))) {
        if !is_time || has_role || is_both {
            let message = format!(
                "`{}` is no attribute of a time alone: write `#[record({option})]` on a field of its \
                 own that serde writes as seconds or by `memory_table::instant`",
                field.ident
            );
            errors.push(span, message);
        }
    }
}

/// A field outside the key is both written and read, or neither.
fn check_skips(field: &Field<'_>, container: &SerdeAttrs, errors: &mut Errors) {
    let Field { ident, serde, .. } = field;
    if field.is_skipped() {
        return;
    }
    if let Some(span) = serde.span_of("skip_serializing") {
        let message = format!(
            "attribute `{}` would be read, but lost with the next write: write `#[serde(skip)]` if \
             it is not to be stored",
            field.name.deserialize
        );
        errors.push(span, message);
    }
    if let Some(span) = serde.span_of("skip_deserializing") {
        let message = format!(
            "attribute `{}` would be written, but come back as the default: write `#[serde(skip)]` \
             if it is not to be stored",
            field.name.serialize
        );
        errors.push(span, message);
    }
    if let Some(span) = serde.span_of("skip_serializing_if")
        && !field.has_default()
        && !container.has("default")
    {
        let message = format!(
            "a record stored without `{ident}` could not be read back: write `#[serde(default)]` \
             beside `skip_serializing_if`"
        );
        errors.push(span, message);
    }
}

/// DynamoDB has no empty set, so a set's attribute may be absent.
fn check_set(field: &Field<'_>, container: &SerdeAttrs, errors: &mut Errors) {
    if field.is_set() && !field.has_default() && !container.has("default") {
        let message = format!(
            "an empty set is stored as no attribute, so a record stored with an empty `{}` could \
             not be read back: write `#[serde(default)]` on it",
            field.ident
        );
        errors.push(field.ty.span(), message);
    }
}

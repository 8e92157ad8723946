//! The indexes of a record's table, checked.

use std::collections::HashSet;

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, LitStr};

use super::checks::{CONVERSIONS, MAX_KEY_NAME};
use super::{Field, is_option};
use crate::attrs::{ContainerAttrs, IndexAttrs, nearest};
use crate::errors::Errors;
use crate::fields::{Form, Handle};

/// The most global indexes of a table.
const MAX_GLOBAL: usize = 20;
/// The most local indexes of a table.
const MAX_LOCAL: usize = 5;

/// An index that can be expanded.
pub(crate) struct Index<'a> {
    /// The name.
    pub(crate) name: LitStr,
    /// The name of its handle.
    pub(crate) handle: Ident,
    /// Whether it is local.
    pub(crate) is_local: bool,
    /// The partition key; the table's if it is local.
    pub(crate) partition: Handle<'a>,
    /// The sort key, if there is one.
    pub(crate) sort: Option<Handle<'a>>,
    /// What it has besides the keys.
    pub(crate) attributes: Attributes,
    /// Units of capacity: reads and writes.
    pub(crate) units: Option<(u64, u64)>,
}

/// What an index has besides the keys.
pub(crate) enum Attributes {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// What is wrong is among the errors already.
struct Reported;

/// All that an index is looked up in.
struct Reader<'r, 'a> {
    fields: &'r [Field<'a>],
    handles: &'r [Handle<'a>],
    errors: &'r mut Errors,
    /// Whether all options were understood: a misspelt one is absent too.
    is_complete: bool,
    /// Fields that were found wanting already.
    blamed: HashSet<&'a Ident>,
}

/// Reads and checks the indexes of a record.
pub(super) fn read<'a>(
    container: &ContainerAttrs,
    fields: &[Field<'a>],
    handles: &[Handle<'a>],
    errors: &mut Errors,
) -> Vec<Index<'a>> {
    let is_complete = errors.is_empty();
    let mut reader = Reader { fields, handles, errors, is_complete, blamed: HashSet::new() };
    reader.check_counts(&container.indexes);
    let read = |index| reader.index(index);
    let indexes: Vec<_> = container.indexes.iter().filter_map(read).collect();
    check_names(&container.indexes, &indexes, errors);
    if is_complete {
        check_units(container, errors);
    }
    indexes
}

/// On demand no index has units.
fn check_units(container: &ContainerAttrs, errors: &mut Errors) {
    if container.units.span.is_some() {
        return;
    }
    for span in container.indexes.iter().filter_map(|index| index.units.span) {
        let text = "the table has no units, so its indexes have none: write `read_units = .., \
                    write_units = ..` beside `table` too";
        errors.push(span, text);
    }
}

impl<'r, 'a> Reader<'r, 'a> {
    fn check_counts(&mut self, indexes: &[IndexAttrs]) {
        for (is_local, kind, limit) in [(true, "local", MAX_LOCAL), (false, "global", MAX_GLOBAL)] {
            let mut of_kind = indexes.iter().filter(|index| index.is_local == is_local);
            if let Some(first_over) = of_kind.nth(limit) {
                let text = format!("DynamoDB allows {limit} {kind} indexes a table: remove some");
                self.errors.push(first_over.span, text);
            }
        }
    }

    fn index(&mut self, attrs: &IndexAttrs) -> Option<Index<'a>> {
        let name = self.name(attrs);
        let partition = self.partition(attrs);
        let sort = self.sort(attrs);
        let attributes = self.attributes(attrs);
        let units = attrs.units.both(self.errors);
        let (name, partition, sort) = (name?, partition?, sort.ok()?);
        let same = sort.as_ref().filter(|sort| sort.member == partition.member);
        if let (Some(sort), Some(field)) = (same, &attrs.sort_key) {
            let whose = if attrs.is_local { " of the table" } else { "" };
            let text = format!(
                "`{}` is the partition key{whose} already: write another field",
                sort.member
            );
            self.errors.push(field.span(), text);
        }
        let handle = self.handle(attrs, &name)?;
        let is_local = attrs.is_local;
        Some(Index { name, handle, is_local, partition, sort, attributes: attributes?, units })
    }

    fn absent(&mut self, attrs: &IndexAttrs, text: &str) {
        if self.is_complete {
            self.errors.push(attrs.span, text);
        }
    }

    fn name(&mut self, attrs: &IndexAttrs) -> Option<LitStr> {
        let Some(name) = &attrs.name else {
            let text = "the index has no name: write `name = \"..\"`, as the table calls it";
            self.absent(attrs, text);
            return None;
        };
        let text = name.value();
        let allowed = |ch: char| ch.is_ascii_alphanumeric() || "_.-".contains(ch);
        let wrong = if text.is_empty() {
            "the index's name is empty".to_owned()
        } else if let Some(ch) = text.chars().find(|ch| !allowed(*ch)) {
            format!("the index's name contains {ch:?}")
        } else if !(3..=255).contains(&text.len()) {
            format!("the index's name has {} characters", text.len())
        } else {
            return Some(name.clone());
        };
        self.errors.push(
            name.span(),
            format!(
                "{wrong}: write 3 to 255 of the characters `a-z`, `A-Z`, `0-9`, `_`, `.` and `-`"
            ),
        );
        None
    }

    fn partition(&mut self, attrs: &IndexAttrs) -> Option<Handle<'a>> {
        if attrs.is_local {
            let of_table = self.fields.iter().find(|field| field.record.partition_key.is_some())?;
            return self.handle_of(of_table);
        }
        let Some(field) = &attrs.partition_key else {
            let text = "a global index has a partition key: write `partition_key = field`";
            self.absent(attrs, text);
            return None;
        };
        self.key(field)
    }

    fn sort(&mut self, attrs: &IndexAttrs) -> Result<Option<Handle<'a>>, Reported> {
        if attrs.is_local && self.fields.iter().all(|field| field.record.sort_key.is_none()) {
            let text = "a local index sorts the items of a partition anew, and this table has no \
                        sort key: write `#[record(sort_key)]` on a field, or `global_index`";
            self.errors.push(attrs.span, text);
            return Err(Reported);
        }
        match &attrs.sort_key {
            Some(field) => self.key(field).map(Some).ok_or(Reported),
            None if attrs.is_local => {
                let text = "a local index has a sort key: write `sort_key = field`";
                self.absent(attrs, text);
                Err(Reported)
            }
            None => Ok(None),
        }
    }

    fn attributes(&mut self, attrs: &IndexAttrs) -> Option<Attributes> {
        let Some(include) = &attrs.include else {
            let keys_only = attrs.keys_only.is_some();
            return Some(if keys_only { Attributes::KeysOnly } else { Attributes::All });
        };
        if attrs.keys_only.is_some() {
            let text = "the index has keys only: remove `keys_only` or `include`";
            self.errors.push(include.span, text);
        }
        let mut names = Vec::new();
        for ident in &include.fields {
            names.push(self.included(ident, attrs)?);
        }
        let distinct: HashSet<_> = names.iter().collect();
        if distinct.len() < names.len() {
            self.errors.push(include.span, "a field is included twice: remove one");
        }
        Some(Attributes::Include(names))
    }

    fn included(&mut self, ident: &Ident, attrs: &IndexAttrs) -> Option<String> {
        let field = self.field(ident)?;
        let of_index = [&attrs.partition_key, &attrs.sort_key];
        if field.is_key() || of_index.into_iter().flatten().any(|key| key == ident) {
            let text = format!("`{ident}` is a key, and keys are in the index anyway: remove it");
            self.errors.push(ident.span(), text);
        } else if field.is_skipped() || !field.has_name() {
            let text = format!("`{ident}` is not one stored attribute: remove it");
            self.errors.push(ident.span(), text);
        }
        Some(field.name.serialize.clone())
    }

    fn field(&mut self, ident: &Ident) -> Option<&'r Field<'a>> {
        let name = ident.unraw();
        if let Some(field) = self.fields.iter().find(|field| field.ident.unraw() == name) {
            return Some(field);
        }
        let text = name.to_string();
        let stored = self.fields.iter().find(|field| field.name.serialize == text);
        let names: Vec<String> =
            self.fields.iter().map(|field| field.ident.unraw().to_string()).collect();
        let near = nearest(&text, names.iter().map(String::as_str));
        let advice = match (stored, near) {
            (Some(field), _) => format!("write `{}`, which is stored as `{text}`", field.ident),
            (None, Some(near)) => format!("write `{near}`"),
            (None, None) => "write the name of a field of this struct".to_owned(),
        };
        self.errors.push(ident.span(), format!("no field `{text}`: {advice}"));
        None
    }

    /// The handle of a field that is a key of the index.
    fn key(&mut self, ident: &Ident) -> Option<Handle<'a>> {
        let field = self.field(ident)?;
        if let Some(why) = why_no_key(field) {
            self.errors.push(ident.span(), format!("`{ident}` cannot be a key of an index: {why}"));
            return None;
        }
        let absent_if_none = field.serde.has("skip_serializing_if");
        if is_option(field.ty) && !absent_if_none && self.blamed.insert(field.ident) {
            let text = format!(
                "`{ident}` is a key of an index, and `None` would be stored as null, which \
                 DynamoDB refuses there: write `#[serde(default, skip_serializing_if = \
                 \"Option::is_none\")]` on it, and items without it are not in the index"
            );
            self.errors.push(field.ty.span(), text);
        }
        self.handle_of(field)
    }

    fn handle_of(&self, field: &Field<'a>) -> Option<Handle<'a>> {
        self.handles.iter().find(|handle| handle.member == field.ident).cloned()
    }

    fn handle(&mut self, attrs: &IndexAttrs, name: &LitStr) -> Option<Ident> {
        if let Some(handle) = &attrs.handle {
            return Some(handle.clone());
        }
        let text = snake_case(&name.value());
        let mut ident = syn::parse_str::<Ident>(&text).ok();
        if let Some(ident) = &mut ident {
            ident.set_span(name.span());
        } else {
            let text = format!(
                "`{text}` is no name for the handle of the index: write `handle = ..` with another"
            );
            self.errors.push(name.span(), text);
        }
        ident
    }
}

/// Why a field cannot be a key of an index, and what to do.
fn why_no_key(field: &Field<'_>) -> Option<String> {
    if field.is_skipped() {
        return Some("it is not stored; remove `skip`, or write another field".to_owned());
    }
    if field.serde.has("flatten") {
        return Some("it is not one attribute; write a field that is not flattened".to_owned());
    }
    if field.is_set() {
        return Some("it is a set; write a field that is text, a number or bytes".to_owned());
    }
    if field.form() == Form::Unknown || field.serde.has("deserialize_with") {
        let option = CONVERSIONS.into_iter().find(|option| field.serde.has(option))?;
        return Some(format!(
            "what `{option}` stores is not known here; make the field a newtype that implements \
             `KeyAttribute` and the conversion"
        ));
    }
    let length = field.name.serialize.len();
    (length > MAX_KEY_NAME)
        .then(|| format!("its attribute's name has {length} bytes; DynamoDB allows {MAX_KEY_NAME}"))
}

/// Rejects names and handles that two indexes share.
fn check_names(attrs: &[IndexAttrs], indexes: &[Index<'_>], errors: &mut Errors) {
    let mut names = HashSet::new();
    for name in attrs.iter().filter_map(|index| index.name.as_ref()) {
        if !names.insert(name.value()) {
            let text = "another index has this name: write the other's own, or remove one";
            errors.push(name.span(), text);
            return;
        }
    }
    let mut handles: Vec<(&Ident, String)> = Vec::new();
    for index in indexes {
        let (handle, name) = (&index.handle, index.name.value());
        if let Some((_, other)) = handles.iter().find(|(known, _)| *known == handle) {
            let text = format!(
                "the handle of index `{other}` is called `{handle}` too: write `handle = ..` with \
                 another name in one of them"
            );
            errors.push(handle.span(), text);
        }
        handles.push((handle, name));
    }
}

/// The name as a field of Rust's is written: `by-city` and `ByCity` are `by_city`.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, &ch) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        // A word begins at a capital behind a small letter, and at the last of several capitals
        // before a small letter.
        let begins = ch.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            snake.push('_');
        }
        snake.push(if ch.is_ascii_alphanumeric() { ch.to_ascii_lowercase() } else { '_' });
    }
    snake
}

#[cfg(test)]
mod tests;

//! What a record says about itself, checked: its table, its keys, its attributes.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{
    Data, DataStruct, DeriveInput, Fields, FieldsNamed, Generics, Ident, LitStr, Path, Type,
    Visibility,
};

use crate::attrs::{ContainerAttrs, FieldAttrs};
use crate::errors::Errors;
use crate::fields::{Form, Handle, last_segment};
use crate::serde_attrs::{SerdeAttrs, StoredName};

mod checks;
mod defaults;
mod indexes;
mod part;

pub(crate) use defaults::{Made, MadeField, Value};
pub(crate) use indexes::{Attributes, Index};
pub(crate) use part::Part;

/// A record that can be expanded.
pub(crate) struct Model<'a> {
    /// The struct.
    pub(crate) ident: &'a Ident,
    /// Who sees it.
    pub(crate) vis: &'a Visibility,
    /// Its type parameters.
    pub(crate) generics: &'a Generics,
    /// Where `memory_table` is.
    pub(crate) krate: Path,
    /// The table's name.
    pub(crate) table: LitStr,
    /// The partition key.
    pub(crate) partition: Key<'a>,
    /// The sort key, if the table has one.
    pub(crate) sort: Option<Key<'a>>,
    /// The attribute that says when a record expires, if there is one.
    pub(crate) ttl: Option<Key<'a>>,
    /// The attribute that counts the writes, if there is one.
    pub(crate) version: Option<Key<'a>>,
    /// The field that says when the record was made.
    pub(crate) created: Option<Key<'a>>,
    /// The field that says when the record was changed last.
    pub(crate) updated: Option<Key<'a>>,
    /// The fields that are attributes of their own.
    pub(crate) handles: Vec<Handle<'a>>,
    /// Attribute names that serde reads besides those that it writes.
    pub(crate) aliases: Vec<String>,
    /// The table's indexes.
    pub(crate) indexes: Vec<Index<'a>>,
    /// Units of capacity that the table is made with: reads and writes.
    pub(crate) units: Option<(u64, u64)>,
    /// What a record is made of where there is none.
    pub(crate) made: Made<'a>,
    /// The function that checks a record before it is stored.
    pub(crate) before_store: Option<Path>,
    /// The function that checks a record after it was loaded.
    pub(crate) after_load: Option<Path>,
    /// Where it says that each record is validated.
    pub(crate) validate: Option<Span>,
}

/// A field that is part of the primary key.
pub(crate) struct Key<'a> {
    /// The field.
    pub(crate) member: &'a Ident,
    /// Its type.
    pub(crate) ty: &'a Type,
    /// The attribute that it is stored as.
    pub(crate) name: String,
}

/// A field with all that is said about it.
struct Field<'a> {
    ident: &'a Ident,
    vis: &'a Visibility,
    ty: &'a Type,
    record: FieldAttrs,
    serde: SerdeAttrs,
    name: StoredName,
}

impl<'a> Model<'a> {
    /// Reads and checks a struct; the error holds all that is wrong with it.
    pub(crate) fn new(input: &'a DeriveInput) -> syn::Result<Self> {
        let named = named_fields(input)?;
        let mut errors = Errors::default();
        let container = ContainerAttrs::parse(&input.attrs, &mut errors);
        let serde = SerdeAttrs::parse(&input.attrs);
        let fields = read_fields(named, &serde, &mut errors);
        checks::present(input, &container, &fields, &mut errors);
        checks::lifetimes(&input.generics, &mut errors);
        checks::container(&serde, &mut errors);
        checks::names(&serde, &fields, &mut errors);
        for field in &fields {
            checks::field(field, &serde, &mut errors);
        }
        let handles = handles(&fields);
        let indexes = indexes::read(&container, &fields, &handles, &mut errors);
        let units = container.units.both(&mut errors);
        let partition = the_key(&fields, "partition key", |attrs| attrs.partition_key, &mut errors);
        let sort = the_key(&fields, "sort key", |attrs| attrs.sort_key, &mut errors);
        let ttl = the_key(&fields, "ttl", |attrs| attrs.ttl, &mut errors);
        let version = the_key(&fields, "version", |attrs| attrs.version, &mut errors);
        let created = the_key(&fields, "time of its making", |attrs| attrs.created, &mut errors);
        let updated = the_key(&fields, "time of its change", |attrs| attrs.updated, &mut errors);
        errors.finish()?;
        Ok(Self {
            ident: &input.ident,
            vis: &input.vis,
            generics: &input.generics,
            krate: container.krate(),
            table: container.table.ok_or_else(|| no_table(input))?,
            partition: partition.ok_or_else(|| no_partition_key(input))?,
            sort,
            ttl,
            version,
            created,
            updated,
            handles,
            aliases: aliases(&fields),
            indexes,
            units,
            made: Made::of(&fields, &serde),
            before_store: container.before_store,
            after_load: container.after_load,
            validate: container.validate,
        })
    }
}

impl<'a> Field<'a> {
    fn key(&self) -> Key<'a> {
        Key { member: self.ident, ty: self.ty, name: self.name.serialize.clone() }
    }

    fn is_key(&self) -> bool {
        self.record.partition_key.is_some() || self.record.sort_key.is_some()
    }

    /// Whether serde writes the field as an attribute of its own.
    fn has_name(&self) -> bool {
        !self.serde.has("skip") && !self.serde.has("flatten")
    }

    /// Whether serde neither writes nor reads the field.
    fn is_skipped(&self) -> bool {
        let both = ["skip_serializing", "skip_deserializing"];
        self.serde.has("skip") || both.into_iter().all(|option| self.serde.has(option))
    }

    /// What serde writes of the field.
    fn form(&self) -> Form {
        if self.serde.has("serialize_with") {
            return Form::Unknown;
        }
        let module = self.serde.value("with").map(LitStr::value);
        match module.as_deref().map(|path| path.rsplit("::").next().unwrap_or(path)) {
            None => Form::Own,
            Some("set") => Form::Set,
            Some("instant") => Form::Instant,
            Some(_) => Form::Unknown,
        }
    }

    /// Whether an empty value of the field is stored as no attribute.
    fn is_set(&self) -> bool {
        match self.form() {
            Form::Own => last_segment(self.ty).is_some_and(|last| last.ident == "Set"),
            form => form == Form::Set,
        }
    }

    /// Whether serde can do without the field's attribute.
    fn has_default(&self) -> bool {
        let by_attribute = ["default", "skip", "skip_deserializing", "flatten"];
        // serde takes an absent `Option` for `None`, but calls a conversion only if it is there.
        let is_converted = self.serde.has("with") || self.serde.has("deserialize_with");
        by_attribute.into_iter().any(|option| self.serde.has(option))
            || (is_option(self.ty) && !is_converted)
    }
}

/// The fields of a struct that has names for them.
fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    let name = input.ident.unraw();
    let advice = match &input.data {
        Data::Struct(DataStruct { fields: Fields::Named(named), .. }) => return Ok(named),
        Data::Struct(DataStruct { fields: Fields::Unnamed(_), .. }) => {
            format!("its attributes need names: write `struct {name} {{ name: Type, .. }}`")
        }
        Data::Struct(DataStruct { fields: Fields::Unit, .. }) => {
            format!("it needs a field for its key: write `struct {name} {{ name: Type, .. }}`")
        }
        Data::Enum(_) => {
            "not an enum: write a struct with the key as a field, and the enum as a field with \
             `#[serde(flatten)]`"
                .to_owned()
        }
        Data::Union(_) => "not a union: write a struct".to_owned(),
    };
    let message = format!("a record is a struct with named fields, {advice}");
    Err(syn::Error::new(input.ident.span(), message))
}

fn read_fields<'a>(
    named: &'a FieldsNamed,
    container: &SerdeAttrs,
    errors: &mut Errors,
) -> Vec<Field<'a>> {
    let rules = container.rules();
    let mut fields = Vec::with_capacity(named.named.len());
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let serde = SerdeAttrs::parse(&field.attrs);
        let name = serde.stored_name(ident, rules);
        let record = FieldAttrs::parse(&field.attrs, errors);
        fields.push(Field { ident, vis: &field.vis, ty: &field.ty, record, serde, name });
    }
    fields
}

fn no_table(input: &DeriveInput) -> syn::Error {
    let message = "no table: write `#[record(table = \"..\")]` above the struct";
    syn::Error::new(input.ident.span(), message)
}

fn no_partition_key(input: &DeriveInput) -> syn::Error {
    let message = "no partition key: write `#[record(partition_key)]` on the field that is the \
                   partition key of the table";
    syn::Error::new(input.ident.span(), message)
}

/// The field with that role, of which a record has one at most.
fn the_key<'a>(
    fields: &[Field<'a>],
    role: &str,
    place: impl Fn(&FieldAttrs) -> Option<Span>,
    errors: &mut Errors,
) -> Option<Key<'a>> {
    let mut keys = fields.iter().filter_map(|field| place(&field.record).map(|span| (field, span)));
    let (first, _) = keys.next()?;
    for (other, span) in keys {
        let (first, other) = (first.ident, other.ident);
        errors.push(span, format!("a table has one {role}: write it on `{first}` or on `{other}`"));
    }
    Some(first.key())
}

fn handles<'a>(fields: &[Field<'a>]) -> Vec<Handle<'a>> {
    let attributes = fields.iter().filter(|field| field.has_name() && !field.is_skipped());
    let handle = |field: &Field<'a>| Handle {
        member: field.ident,
        visibility: field.vis,
        name: field.name.serialize.clone(),
        ty: field.ty,
        form: field.form(),
    };
    attributes.map(handle).collect()
}

/// All names that serde reads besides those that it writes, each once.
fn aliases(fields: &[Field<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields.iter().filter(|field| field.has_name()) {
        for alias in field.name.aliases.iter().map(LitStr::value) {
            if alias != field.name.serialize && !found.contains(&alias) {
                found.push(alias);
            }
        }
    }
    found
}

/// Whether a type is an `Option`, as far as its name tells; serde looks no further either.
fn is_option(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == "Option")
}

#[cfg(test)]
mod tests;

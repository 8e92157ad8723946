//! A projection: some fields of a record, checked.

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataStruct, DeriveInput, Fields, FieldsNamed, GenericParam};

use super::{Field, read_fields};
use crate::errors::Errors;
use crate::fields::{Form, Handle};
use crate::serde_attrs::SerdeAttrs;

/// What makes serde read the struct from something else than its fields.
const OTHER_FORMS: [&str; 4] = ["transparent", "remote", "from", "try_from"];

/// A projection that can be expanded.
pub(crate) struct Part<'a> {
    /// The fields that are attributes of their own, by the names that serde reads.
    pub(crate) handles: Vec<Handle<'a>>,
    /// Which attributes a flattened field has is not known here.
    is_flattened: bool,
}

impl<'a> Part<'a> {
    /// Reads and checks a struct.
    pub(crate) fn new(input: &'a DeriveInput, errors: &mut Errors) -> syn::Result<Self> {
        let named = named_fields(input)?;
        let container = SerdeAttrs::parse(&input.attrs);
        check_generics(input, errors);
        check_container(&container, errors);
        let fields = read_fields(named, &container, errors);
        let read: Vec<_> = fields.iter().filter(|field| is_read(field)).collect();
        let is_flattened = read.iter().any(|field| field.serde.has("flatten"));
        let handles = read.iter().filter(|field| field.has_name()).map(|field| handle(field));
        let part = Self { handles: handles.collect(), is_flattened };
        if part.handles.is_empty() && !is_flattened {
            let text = "a projection reads attributes: write fields of the record in it";
            errors.push(input.ident.span(), text);
        }
        Ok(part)
    }

    /// The attributes to read; of an empty list all.
    pub(crate) fn names(&self) -> Vec<&str> {
        if self.is_flattened {
            return Vec::new();
        }
        self.handles.iter().map(|handle| handle.name.as_str()).collect()
    }
}

fn is_read(field: &Field<'_>) -> bool {
    !field.serde.has("skip") && !field.serde.has("skip_deserializing")
}

fn handle<'a>(field: &Field<'a>) -> Handle<'a> {
    let converted = field.serde.has("deserialize_with");
    Handle {
        member: field.ident,
        visibility: field.vis,
        name: field.name.deserialize.clone(),
        ty: field.ty,
        form: if converted { Form::Unknown } else { field.form() },
    }
}

fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    if let Data::Struct(DataStruct { fields: Fields::Named(named), .. }) = &input.data {
        return Ok(named);
    }
    let name = input.ident.unraw();
    let text = format!(
        "a projection is a struct with fields of the record: write `struct {name} {{ field: Type, \
         .. }}`"
    );
    Err(syn::Error::new(input.ident.span(), text))
}

fn check_generics(input: &DeriveInput, errors: &mut Errors) {
    for param in &input.generics.params {
        let advice = match param {
            GenericParam::Lifetime(_) => "owns its data: write `String` for a `&str`",
            _ => "has the types of the record's fields: write them out",
        };
        errors.push(param.span(), format!("a projection {advice}"));
    }
}

fn check_container(serde: &SerdeAttrs, errors: &mut Errors) {
    for option in OTHER_FORMS {
        if let Some(span) = serde.span_of(option) {
            let text = format!(
                "serde's `{option}` reads something else than the fields of the struct: remove it, \
                 or implement `Projection` by hand"
            );
            errors.push(span, text);
        }
    }
}

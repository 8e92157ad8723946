//! What each field is in a record that is made where there is none.

use syn::{Expr, ExprPath, Ident, LitStr, Type};

use super::{Field, is_option};
use crate::serde_attrs::SerdeAttrs;

/// What a record is made of, given its key.
pub(crate) struct Made<'a> {
    /// The fields outside the key that have a value of their own.
    pub(crate) fields: Vec<MadeField<'a>>,
    /// What all other fields are taken from.
    pub(crate) rest: Option<Value<'a>>,
    /// Fields outside the key that nothing says the value of.
    pub(crate) without_default: Vec<(&'a Ident, &'a Type)>,
}

/// A field of a record that is made.
pub(crate) struct MadeField<'a> {
    pub(crate) member: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) value: Value<'a>,
}

/// A value in a record that is made.
pub(crate) enum Value<'a> {
    /// What `#[record(default = ..)]` says.
    Expression(Expr),
    /// What the function of `#[serde(default = "..")]` returns.
    Call(ExprPath),
    /// The default of the type.
    Default,
    /// `None`.
    None,
    /// What serde makes of no attributes, as it is flattened; by this function of serde's.
    Nothing(Option<ExprPath>),
    /// The same for an `Option` of this: `None` if there is no such value.
    NothingOrNone(&'a Type),
}

impl<'a> Made<'a> {
    pub(super) fn of(fields: &[Field<'a>], container: &SerdeAttrs) -> Self {
        let mut made = Self { fields: Vec::new(), rest: None, without_default: Vec::new() };
        let mut needs_rest = false;
        for field in fields.iter().filter(|field| !field.is_key()) {
            let (member, ty) = (field.ident, field.ty);
            match own_value(field, container) {
                Some(value) => made.fields.push(MadeField { member, ty, value }),
                None if container.has("default") => needs_rest = true,
                None => made.without_default.push((member, ty)),
            }
        }
        made.rest = needs_rest.then(|| of_serde(container));
        made
    }
}

/// What a field says of itself, else what serde would take for an absent attribute. `None`: what the
/// struct's own default has, which serde puts before the field's type.
fn own_value<'a>(field: &Field<'a>, container: &SerdeAttrs) -> Option<Value<'a>> {
    let serde = &field.serde;
    if let Some(default) = &field.record.default {
        let value = default.value.clone();
        return Some(value.map_or(Value::Default, Value::Expression));
    }
    if serde.has("flatten") {
        return Some(flattened(field));
    }
    if serde.has("default") {
        return Some(of_serde(serde));
    }
    if container.has("default") {
        return None;
    }
    if serde.has("skip") || serde.has("skip_deserializing") {
        return Some(Value::Default);
    }
    if field.record.version.is_some() {
        // A record that was never stored.
        return Some(Value::Default);
    }
    field.has_default().then_some(Value::None)
}

fn of_serde<'a>(serde: &SerdeAttrs) -> Value<'a> {
    serde.value("default").and_then(path).map_or(Value::Default, Value::Call)
}

fn flattened<'a>(field: &Field<'a>) -> Value<'a> {
    let with = field.serde.value("with").and_then(path).map(|mut module| {
        module.path.segments.push(syn::parse_quote!(deserialize));
        module
    });
    let own = field.serde.value("deserialize_with").and_then(path);
    match crate::fields::inside(field.ty, "Option") {
        Some(inner) if is_option(field.ty) && own.is_none() && with.is_none() => {
            Value::NothingOrNone(inner)
        }
        _ => Value::Nothing(own.or(with)),
    }
}

/// The path in a text; what is none is serde's to report.
fn path(text: &LitStr) -> Option<ExprPath> {
    text.parse().ok()
}

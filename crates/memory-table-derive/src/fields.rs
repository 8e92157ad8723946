//! Writes the typed handles of a record's fields.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{GenericArgument, Ident, Path, PathArguments, PathSegment, Type, Visibility};

use crate::model::Model;

/// A field that has a handle.
#[derive(Clone)]
pub(crate) struct Handle<'a> {
    /// The field.
    pub(crate) member: &'a Ident,
    /// Who sees it.
    pub(crate) visibility: &'a Visibility,
    /// The attribute that it is stored as.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: &'a Type,
    /// How serde converts it.
    pub(crate) form: Form,
}

/// What serde writes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// What its type says.
    Own,
    /// A set, by `memory_table::set`.
    Set,
    /// An instant, by `memory_table::instant`.
    Instant,
    /// Whatever a conversion of the user's says.
    Unknown,
}

/// The struct of the handles, and the constant of the record that holds them.
pub(crate) fn expand(model: &Model<'_>) -> TokenStream {
    let Model { ident, vis, krate, .. } = model;
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    let generics = model.generics;
    let handles = format_ident!("{}Fields", ident.unraw(), span = ident.span());
    let docs = format!("The handles of the fields of [`{}`], for conditions.", ident.unraw());
    let fields = model.handles.iter().map(|handle| field(handle, krate));
    let values = model.handles.iter().map(|handle| {
        let (member, name) = (member(handle.member), &handle.name);
        quote!(#member: #krate::Field::named(#name))
    });
    // A type parameter that no handle has would not compile otherwise.
    let is_generic = !generics.params.is_empty();
    let marker = is_generic
        .then(|| quote!(__record: ::core::marker::PhantomData<fn() -> #ident #ty_generics>,));
    let mark = is_generic.then(|| quote!(__record: ::core::marker::PhantomData,));
    quote! {
        #[doc = #docs]
        #[derive(Clone, Debug)]
        #[allow(deprecated)]
        #vis struct #handles #generics #where_clause {
            #(#fields,)*
            #marker
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #ident #ty_generics #where_clause {
            /// The handles of the fields, for conditions.
            #vis const FIELDS: #handles #ty_generics = #handles { #(#values,)* #mark };
        }
    }
}

fn field(handle: &Handle<'_>, krate: &Path) -> TokenStream {
    let (visibility, member) = (handle.visibility, member(handle.member));
    let docs = format!("Attribute `{}`.", handle.name);
    let ty = value_type(handle, krate);
    quote! {
        #[doc = #docs]
        #visibility #member: #krate::Field<#ty>
    }
}

/// The field's name at its place, but as one that the macro wrote: a handle that is never used is
/// no dead code of the user's.
pub(crate) fn member(ident: &Ident) -> Ident {
    let mut member = ident.clone();
    member.set_span(member.span().resolved_at(Span::call_site()));
    member
}

/// The type that the attribute's values have where there are any.
pub(crate) fn value_type(handle: &Handle<'_>, krate: &Path) -> TokenStream {
    let ty = inside(handle.ty, "Option").unwrap_or(handle.ty);
    let converted = match handle.form {
        Form::Own => Some(quote!(#ty)),
        Form::Instant => Some(quote!(#krate::Instant<#ty>)),
        Form::Set => first_argument(ty).map(|element| quote!(#krate::Set<#element>)),
        Form::Unknown => None,
    };
    converted.unwrap_or_else(|| quote!(#krate::condition::Any))
}

/// The last segment of a type's path, if it is one.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        // What a `macro_rules!` macro passes on comes in an invisible group.
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// What is in a type of that name.
pub(crate) fn inside<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    last_segment(ty).filter(|last| last.ident == name)?;
    first_argument(ty)
}

fn first_argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(ty)?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::{DeriveInput, parse_quote};

    use crate::model::Model;

    fn expanded(input: &DeriveInput) -> String {
        super::expand(&Model::new(input).unwrap()).to_string()
    }

    /// The types of the handles of a record with these fields.
    fn types(fields: &str) -> Vec<String> {
        let source = format!(
            "#[record(table = \"t\")] struct A {{ #[record(partition_key)] id: u8, {fields} }}"
        );
        let input = syn::parse_str(&source).unwrap();
        let model = Model::new(&input).unwrap();
        let handles = model.handles.iter().skip(1);
        handles.map(|handle| super::value_type(handle, &model.krate).to_string()).collect()
    }

    #[test]
    fn a_record_has_handles_under_the_stored_names() {
        let input = parse_quote! {
            #[record(table = "players", crate = "mt")]
            #[serde(rename_all = "camelCase")]
            pub(crate) struct Player {
                #[record(partition_key)]
                pub the_game: String,
                #[serde(rename = "n")]
                r#in: u64,
                #[serde(skip)]
                cache: u8,
                #[serde(flatten)]
                rest: Rest,
            }
        };
        let expected = quote! {
            #[doc = "The handles of the fields of [`Player`], for conditions."]
            #[derive(Clone, Debug)]
            #[allow(deprecated)]
            pub(crate) struct PlayerFields {
                #[doc = "Attribute `theGame`."]
                pub the_game: mt::Field<String>,
                #[doc = "Attribute `n`."]
                r#in: mt::Field<u64>,
            }
            #[automatically_derived]
            #[allow(deprecated)]
            impl Player {
                /// The handles of the fields, for conditions.
                pub(crate) const FIELDS: PlayerFields = PlayerFields {
                    the_game: mt::Field::named("theGame"),
                    r#in: mt::Field::named("n"),
                };
            }
        };
        assert_eq!(expanded(&input), expected.to_string());
    }

    #[test]
    fn handles_of_a_generic_record_have_its_parameters() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Team<T: Clone> where T: Send { #[record(partition_key)] id: T }
        };
        let expanded = expanded(&input).replace(' ', "");
        for part in [
            "structTeamFields<T:Clone>whereT:Send{",
            "__record:::core::marker::PhantomData<fn()->Team<T>>,",
            "impl<T:Clone>Team<T>whereT:Send{",
        ] {
            assert!(expanded.contains(part), "{part}\n{expanded}");
        }
    }

    #[test]
    fn a_handle_has_the_type_of_what_is_stored() {
        let cases = [
            ("a: Option<String>", "String"),
            ("a: std::option::Option<Vec<u8>>", "Vec < u8 >"),
            (
                "#[serde(default, with = \"memory_table::set\")] a: BTreeSet<String>",
                ":: memory_table :: Set < String >",
            ),
            (
                "#[serde(default, with = \"memory_table::set\")] a: Texts",
                ":: memory_table :: condition :: Any",
            ),
            (
                "#[serde(with = \"memory_table::instant\")] a: Option<Timestamp>",
                ":: memory_table :: Instant < Timestamp >",
            ),
            ("#[serde(with = \"other::form\")] a: u8", ":: memory_table :: condition :: Any"),
            ("#[serde(serialize_with = \"f\")] a: u8", ":: memory_table :: condition :: Any"),
            ("#[serde(default)] a: memory_table::Set<u8>", "memory_table :: Set < u8 >"),
        ];
        for (field, expected) in cases {
            assert_eq!(types(field), [expected], "{field}");
        }
    }
}

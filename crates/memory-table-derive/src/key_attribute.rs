//! Writes the code of `#[derive(KeyAttribute)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{
    Data, DataStruct, DeriveInput, Field, Fields, GenericParam, Generics, Index, Member, Path,
};

use crate::attrs::ContainerAttrs;
use crate::errors::Errors;
use crate::serde_attrs::SerdeAttrs;

/// What makes serde store the wrapped value in another form, or not at all.
const FIELD_OPTIONS: [&str; 8] = [
    "with",
    "serialize_with",
    "deserialize_with",
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "skip_serializing_if",
    "flatten",
];

/// Expands the derive on `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let krate = ContainerAttrs::parse_newtype(&input.attrs, &mut errors).krate();
    let serde = SerdeAttrs::parse(&input.attrs);
    check_lifetimes(&input.generics, &mut errors);
    check_conversions(&serde, &mut errors);
    let (member, field) = match wrapped(input, &serde) {
        Ok(found) => found,
        Err(error) => return Err(errors.and(error)),
    };
    check_field(field, &mut errors);
    errors.finish()?;
    Ok(key_attribute_impl(input, &krate, &member, field))
}

fn key_attribute_impl(
    input: &DeriveInput,
    krate: &Path,
    member: &Member,
    field: &Field,
) -> TokenStream {
    let (ident, ty) = (&input.ident, &field.ty);
    let generics = bounded(&input.generics, krate, field);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        // An error about another type is not to list this one.
        #[diagnostic::do_not_recommend]
        impl #impl_generics #krate::KeyAttribute for #ident #ty_generics #where_clause {
            const KIND: #krate::KeyKind = <#ty as #krate::KeyAttribute>::KIND;
            fn to_key(&self) -> #krate::KeyValue<'_> {
                <#ty as #krate::KeyAttribute>::to_key(&self.#member)
            }
            fn from_key(
                value: #krate::KeyValue<'_>,
            ) -> ::core::result::Result<Self, #krate::KeyError> {
                ::core::result::Result::map(
                    <#ty as #krate::KeyAttribute>::from_key(value),
                    |inner| Self { #member: inner },
                )
            }
        }
    }
}

/// With type parameters it depends on them whether the wrapped type can be a key.
fn bounded(generics: &Generics, krate: &Path, field: &Field) -> Generics {
    let mut generics = generics.clone();
    if generics.type_params().next().is_some() {
        let ty = &field.ty;
        let bound = syn::parse_quote!(#ty: #krate::KeyAttribute);
        generics.make_where_clause().predicates.push(bound);
    }
    generics
}

/// The one field of a newtype.
fn wrapped<'a>(input: &'a DeriveInput, serde: &SerdeAttrs) -> syn::Result<(Member, &'a Field)> {
    let name = input.ident.unraw();
    let fields = match &input.data {
        Data::Struct(DataStruct { fields, .. }) => fields,
        Data::Enum(_) => return Err(by_hand(input, "an enum")),
        Data::Union(_) => return Err(by_hand(input, "a union")),
    };
    let mut all = fields.iter();
    let (Some(field), None) = (all.next(), all.next()) else {
        return Err(by_hand(input, "a struct without exactly one field"));
    };
    let member = match &field.ident {
        Some(ident) => Member::Named(ident.clone()),
        None => Member::Unnamed(Index::from(0)),
    };
    if matches!(fields, Fields::Named(_)) && !serde.has("transparent") {
        let message = format!(
            "serde stores a struct with named fields as a map, which cannot be a key: write \
             `#[serde(transparent)]` above it, or `struct {name}(..)`"
        );
        return Err(syn::Error::new(input.ident.span(), message));
    }
    Ok((member, field))
}

/// Only a newtype has an obvious form as a key.
fn by_hand(input: &DeriveInput, shape: &str) -> syn::Error {
    let name = input.ident.unraw();
    let message = format!(
        "the text, number or bytes that stand for {shape} in a key are not known here: write \
         `impl KeyAttribute for {name}` by hand, or derive it on a newtype such as \
         `struct {name}(String)`"
    );
    syn::Error::new(input.ident.span(), message)
}

/// A key outlives the item that it was read from.
fn check_lifetimes(generics: &Generics, errors: &mut Errors) {
    for param in &generics.params {
        if let GenericParam::Lifetime(param) = param {
            let lifetime = &param.lifetime;
            let message =
                format!("a key owns its data: remove `{lifetime}` and write `String` for a `&str`");
            errors.push(lifetime.span(), message);
        }
    }
}

/// A conversion above the type may check or change the value, which this derive would pass by.
fn check_conversions(serde: &SerdeAttrs, errors: &mut Errors) {
    for option in ["from", "try_from", "into", "remote"] {
        if let Some(span) = serde.span_of(option) {
            let message = format!(
                "a derived key would pass by what `{option}` checks or converts: implement \
                 `KeyAttribute` by hand"
            );
            errors.push(span, message);
        }
    }
}

/// The field must be stored by serde as its type says.
fn check_field(field: &Field, errors: &mut Errors) {
    let serde = SerdeAttrs::parse(&field.attrs);
    for option in FIELD_OPTIONS {
        if let Some(span) = serde.span_of(option) {
            let message = format!(
                "a derived key is stored as the wrapped value: remove `{option}`, or implement \
                 `KeyAttribute` by hand"
            );
            errors.push(span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::pointed;
    use syn::parse_quote;

    fn errors_of(source: &str) -> Vec<(String, String)> {
        pointed(expand(&syn::parse_str(source).unwrap()))
    }

    fn one(place: &str, message: &str) -> Vec<(String, String)> {
        vec![(place.to_owned(), message.to_owned())]
    }

    #[test]
    fn a_newtype_is_stored_as_what_it_wraps() {
        let expanded = expand(&parse_quote!(
            struct TeamName(String);
        ))
        .unwrap();
        let expected = quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            #[diagnostic::do_not_recommend]
            impl ::memory_table::KeyAttribute for TeamName {
                const KIND: ::memory_table::KeyKind =
                    <String as ::memory_table::KeyAttribute>::KIND;
                fn to_key(&self) -> ::memory_table::KeyValue<'_> {
                    <String as ::memory_table::KeyAttribute>::to_key(&self.0)
                }
                fn from_key(
                    value: ::memory_table::KeyValue<'_>,
                ) -> ::core::result::Result<Self, ::memory_table::KeyError> {
                    ::core::result::Result::map(
                        <String as ::memory_table::KeyAttribute>::from_key(value),
                        |inner| Self { 0: inner },
                    )
                }
            }
        };
        assert_eq!(expanded.to_string(), expected.to_string());
    }

    #[test]
    fn a_generic_newtype_is_a_key_if_what_it_wraps_is_one() {
        let input = parse_quote! {
            #[serde(transparent)]
            #[record(crate = "mt")]
            struct Id<T> where T: Copy { inner: T }
        };
        let expanded = expand(&input).unwrap().to_string();
        let header = quote!(impl<T> mt::KeyAttribute for Id<T> where T: Copy, T: mt::KeyAttribute);
        assert!(expanded.contains(&header.to_string()), "{expanded}");
        assert!(expanded.contains(&quote!(&self.inner).to_string()), "{expanded}");
    }

    #[test]
    fn only_newtypes_have_an_obvious_form() {
        let message = |shape: &str| {
            format!(
                "the text, number or bytes that stand for {shape} in a key are not known here: \
                 write `impl KeyAttribute for A` by hand, or derive it on a newtype such as \
                 `struct A(String)`"
            )
        };
        assert_eq!(errors_of("enum A { B, C }"), one("A", &message("an enum")));
        assert_eq!(errors_of("union A { b: u8 }"), one("A", &message("a union")));
        for other in ["struct A;", "struct A();", "struct A(u8, u8);", "struct A { a: u8, b: u8 }"]
        {
            assert_eq!(errors_of(other), one("A", &message("a struct without exactly one field")));
        }
    }

    #[test]
    fn a_named_field_is_stored_as_a_map_unless_transparent() {
        let message = "serde stores a struct with named fields as a map, which cannot be a key: \
                       write `#[serde(transparent)]` above it, or `struct A(..)`";
        assert_eq!(errors_of("struct A { b: u8 }"), one("A", message));
    }

    #[test]
    fn conversions_of_serde_need_an_impl_by_hand() {
        let message = "a derived key would pass by what `try_from` checks or converts: implement \
                       `KeyAttribute` by hand";
        let source = "#[serde(try_from = \"String\")] struct A(String);";
        assert_eq!(errors_of(source), one("try_from", message));
        let message = "a derived key is stored as the wrapped value: remove `with`, or implement \
                       `KeyAttribute` by hand";
        assert_eq!(errors_of("struct A(#[serde(with = \"b\")] u8);"), one("with", message));
    }

    #[test]
    fn all_errors_come_at_once() {
        let found = errors_of("#[record(table = \"t\")] struct A<'a>(&'a str, u8);");
        let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["table", "'a", "A"]);
        assert_eq!(found[0].1, "no option `table` here: known are `crate`");
        assert_eq!(found[1].1, "a key owns its data: remove `'a` and write `String` for a `&str`");
    }
}

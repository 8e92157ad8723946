//! Writes the code of `#[derive(Projection)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Type};

use crate::attrs::ProjectionAttrs;
use crate::errors::Errors;
use crate::fields::{Form, Handle, value_type};
use crate::model::Part;

/// Expands the derive on `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let attrs = ProjectionAttrs::parse(&input.attrs, &mut errors);
    if attrs.of.is_none() && errors.is_empty() {
        let text = "no record: write `#[projection(of = ..)]` with the record's type above it";
        errors.push(input.ident.span(), text);
    }
    let part = match Part::new(input, &mut errors) {
        Ok(part) => part,
        Err(error) => return Err(errors.and(error)),
    };
    errors.finish()?;
    let krate = attrs.krate();
    let Some(of) = attrs.of else { return Ok(TokenStream::new()) };
    let names = part.names();
    let checks = part.handles.iter().map(|handle| check(handle, &of, &krate));
    let ident = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #krate::Projection for #ident {
            type Of = #of;
            const ATTRIBUTES: &'static [&'static str] = &[#(#names),*];
        }
        #(#checks)*
    })
}

/// Fails to compile unless the record has such a field, with values of this type and stored under
/// this name; rustc points at the field.
fn check(handle: &Handle<'_>, of: &Type, krate: &syn::Path) -> TokenStream {
    let (field, name) = (handle.member, &handle.name);
    // Of a struct that a `macro_rules!` macro wrote, names at plain spans would not be one name.
    let [place, of_type] =
        [field.span(), handle.ty.span()].map(|span| Span::call_site().located_at(span));
    let value = match handle.form {
        Form::Unknown => quote!(_),
        Form::Own | Form::Set | Form::Instant => value_type(handle, krate),
    };
    let record = quote!(#of).to_string().replace(' ', "");
    let message = format!(
        "`{}` is read from attribute `{name}`, but `{record}` stores it under another name: write \
         the same `#[serde(rename)]` or `#[serde(rename_all)]` as there",
        field.unraw()
    );
    let typed = quote_spanned! {of_type=>
        let field: &#krate::Field<#value> = field;
    };
    quote_spanned! {place=>
        #[allow(deprecated)]
        const _: fn() = || {
            let fields = <#of>::FIELDS;
            let field = &fields.#field;
            #typed
            let _ = field;
        };
        #[allow(deprecated)]
        const _: () = {
            let fields = <#of>::FIELDS;
            let is_named = fields.#field.is_named(#name);
            // What has a destructor cannot be dropped here.
            ::core::mem::forget(fields);
            ::core::assert!(is_named, #message);
        };
    }
}

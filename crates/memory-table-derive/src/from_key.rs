//! Writes how a record is made of its key.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, Path, Type, parse_quote, parse_quote_spanned};

use crate::fields::inside;
use crate::model::{Key, MadeField, Model, Value};
use crate::record::at;

/// Implements `FromKey`, or lets each call that needs it fail with the names of the fields that
/// stand in the way.
pub(crate) fn expand(model: &Model<'_>) -> TokenStream {
    if let Some((field, ty)) = model.made.without_default.first() {
        return impossible_from_key_impl(model, field, ty);
    }
    let Model { ident, krate, .. } = model;
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    // A name that the user's expressions do not see.
    let key = Ident::new("key", Span::mixed_site());
    let keys = keys(model, &key);
    let fields = model.made.fields.iter().map(|field| made_field(field, krate));
    let rest = model.made.rest.as_ref().map(|rest| {
        let rest = value(rest, &parse_quote!(Self), krate);
        quote!(..#rest)
    });
    let body = quote! {
        ::core::result::Result::Ok(Self { #keys #(#fields,)* #rest })
    };
    let function = function(model, &quote!(#key), &body);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::FromKey for #ident #ty_generics #where_clause {
            #function
        }
    }
}

/// `FromKey::from_key`.
fn function(model: &Model<'_>, key: &TokenStream, body: &TokenStream) -> TokenStream {
    let (krate, partition) = (&model.krate, model.partition.ty);
    let key_type = match &model.sort {
        Some(Key { ty: sort, .. }) => quote!((#partition, #sort)),
        None => quote!(#partition),
    };
    quote! {
        fn from_key(#key: #key_type) -> ::core::result::Result<Self, #krate::BoxError> {
            #body
        }
    }
}

fn keys(model: &Model<'_>, key: &Ident) -> TokenStream {
    let partition = model.partition.member;
    match &model.sort {
        Some(Key { member: sort, .. }) => quote!(#partition: #key.0, #sort: #key.1,),
        None => quote!(#partition: #key,),
    }
}

fn made_field(field: &MadeField<'_>, krate: &Path) -> TokenStream {
    let (member, value) = (field.member, value(&field.value, field.ty, krate));
    quote!(#member: #value)
}

/// An expression, at a place of the user's where it has one.
fn value(value: &Value<'_>, ty: &Type, krate: &Path) -> TokenStream {
    match value {
        Value::Expression(expression) => converted(expression, ty, krate),
        Value::Call(function) => quote!(#function()),
        Value::Default => {
            quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default())
        }
        Value::None => quote!(::core::option::Option::None),
        Value::Nothing(None) => {
            quote_spanned!(ty.span()=> #krate::derived::from_nothing::<#ty>()?)
        }
        Value::Nothing(Some(read)) => quote!(#read(#krate::derived::nothing())?),
        Value::NothingOrNone(inner) => quote_spanned! {ty.span()=>
            ::core::result::Result::ok(#krate::derived::from_nothing::<#inner>())
        },
    }
}

/// Text in quotes becomes the field's type; everything else has it already.
fn converted(expression: &Expr, ty: &Type, krate: &Path) -> TokenStream {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expression else {
        return quote!(#expression);
    };
    // All of it at the place of the text, as rustc points there if the field is of another type.
    let krate = at(text.span(), krate);
    let value = quote_spanned!(text.span()=> #krate::derived::text(#text));
    match inside(ty, "Option") {
        Some(_) => quote!(::core::option::Option::Some(#value)),
        None => value,
    }
}

/// Implements `FromKey` under a bound that nothing meets, and that explains itself.
///
/// rustc accepts the bound here because of its `for<'field>`: without, it would be an error in the
/// definition. And it shows the explanation of the bound, not that of `FromKey`, because the
/// bounded type is another than the record.
fn impossible_from_key_impl(model: &Model<'_>, field: &Ident, ty: &Type) -> TokenStream {
    let Model { ident, .. } = model;
    let explanation = explanation(model);
    // The spans are those that rustc will point at, and not marked as generated. It would else
    // advise to implement `FromKey` by hand.
    let marker = quote_spanned!(field.span()=> trait EveryFieldHasADefault {});
    let mut generics = model.generics.clone();
    generics
        .make_where_clause()
        .predicates
        .push(parse_quote_spanned!(field.span()=> for<'field> &'field #ty: EveryFieldHasADefault));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = model.generics.split_for_impl();
    let krate = at(ident.span(), &model.krate);
    let function = function(model, &quote!(_), &quote!(::core::unreachable!()));
    let from_key = quote_spanned!(ident.span()=>
        impl #impl_generics #krate::FromKey for #ident #ty_generics #where_clause {
            #function
        }
    );
    quote! {
        const _: () = {
            #explanation
            // Reported as unused otherwise, where the record itself is.
            #[allow(dead_code)]
            #marker
            #[allow(deprecated)]
            #from_key
        };
    }
}

/// What rustc says of the bound that nothing meets.
fn explanation(model: &Model<'_>) -> TokenStream {
    let record = model.ident.unraw();
    let fields: Vec<&Ident> = model.made.without_default.iter().map(|(field, _)| *field).collect();
    let names = listed(&fields);
    let message = match fields[..] {
        [_] => {
            format!("`{record}` cannot be made from its key alone: field {names} has no default")
        }
        _ => {
            format!("`{record}` cannot be made from its key alone: fields {names} have no default")
        }
    };
    let label = format!("makes a new `{record}` if the table has none");
    let note = format!(
        "write `#[record(default = ..)]` or `#[serde(default)]` on {names}, or use `get` or `update_existing`"
    );
    quote! {
        #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
    }
}

/// Names of fields for a sentence: `a`, `b` and `c`.
fn listed(names: &[&Ident]) -> String {
    let quoted = |name: &&Ident| format!("`{}`", name.unraw());
    match names.split_last() {
        Some((last, [])) => quoted(last),
        Some((last, rest)) => {
            let rest: Vec<_> = rest.iter().map(quoted).collect();
            format!("{} and {}", rest.join(", "), quoted(last))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::DeriveInput;

    fn expanded(input: &DeriveInput) -> String {
        expand(&Model::new(input).unwrap()).to_string()
    }

    /// The body of the record that is made, with these attributes above it and these fields.
    fn made(attrs: &str, fields: &str) -> String {
        let source = format!(
            "#[record(table = \"t\", crate = \"mt\")] {attrs} struct A {{ #[record(partition_key)] \
             id: u8, {fields} }}"
        );
        let expanded = expanded(&syn::parse_str(&source).unwrap());
        let (_, body) = expanded.split_once("Self { id : key ,").unwrap();
        body.split_once("})").unwrap().0.trim().trim_end_matches(" ,").to_owned()
    }

    #[test]
    fn a_record_is_made_of_its_keys_and_defaults() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Player {
                #[record(partition_key)]
                game: String,
                rating: Option<f64>,
                #[record(sort_key)]
                name: String,
            }
        };
        let expected = quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl ::memory_table::FromKey for Player {
                fn from_key(
                    key: (String, String)
                ) -> ::core::result::Result<Self, ::memory_table::BoxError> {
                    ::core::result::Result::Ok(Self {
                        game: key.0,
                        name: key.1,
                        rating: ::core::option::Option::None,
                    })
                }
            }
        };
        assert_eq!(expanded(&input), expected.to_string());
    }

    #[test]
    fn each_field_has_the_default_that_says_most() {
        let cases = [
            ("#[record(default = 1 + 2)] a: u8", "a : 1 + 2"),
            ("#[record(default = f(x))] #[serde(default)] a: u8", "a : f (x)"),
            ("#[record(default)] #[serde(default = \"f\")] a: u8", "a : < u8 as D >"),
            ("#[record(default = \"x\")] a: String", "a : mt :: derived :: text (\"x\")"),
            (
                "#[record(default = \"x\")] a: Option<String>",
                "a : :: core :: option :: Option :: Some (mt :: derived :: text (\"x\"))",
            ),
            ("#[record(default = None)] a: Option<u8>", "a : None"),
            ("#[serde(default = \"m::f\")] a: Option<u8>", "a : m :: f ()"),
            ("#[serde(skip)] a: u8", "a : < u8 as D >"),
            ("#[serde(skip, default = \"f\")] a: u8", "a : f ()"),
            ("#[serde(flatten)] a: B", "a : mt :: derived :: from_nothing :: < B > () ?"),
            (
                "#[serde(flatten, with = \"m\")] a: B",
                "a : m :: deserialize (mt :: derived :: nothing ()) ?",
            ),
            (
                "#[serde(flatten)] a: Option<B>",
                "a : :: core :: result :: Result :: ok (mt :: derived :: from_nothing :: < B > ())",
            ),
        ];
        for (field, expected) in cases {
            let found =
                made("", field).replace(":: core :: default :: Default > :: default ()", "D >");
            assert_eq!(found, expected, "{field}");
        }
    }

    #[test]
    fn the_default_of_the_struct_is_for_fields_without_their_own() {
        let fields = "#[record(default = 1)] a: u8, b: u8, #[serde(default)] c: u8, d: Option<u8>";
        let found = made("#[serde(default)]", fields);
        let expected = "a : 1 , c : < u8 as :: core :: default :: Default > :: default () , .. < \
                        Self as :: core :: default :: Default > :: default ()";
        assert_eq!(found, expected);
        let found = made("#[serde(default = \"f\")]", "b: u8");
        assert_eq!(found, ".. f ()");
        let found = made("#[serde(default)]", "#[record(default = 1)] a: u8");
        assert_eq!(found, "a : 1", "nothing is left for it");
    }

    #[test]
    fn a_record_with_undefaulted_fields_names_them_where_they_are_missed() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Team<T> where T: Send {
                #[record(partition_key)]
                id: String,
                wins: u32,
                nick: Option<String>,
                r#type: T,
                losses: u32,
            }
        };
        let expected = quote! {
            const _: () = {
                #[diagnostic::on_unimplemented(
                    message = "`Team` cannot be made from its key alone: fields `wins`, `type` and \
                               `losses` have no default",
                    label = "makes a new `Team` if the table has none",
                    note = "write `#[record(default = ..)]` or `#[serde(default)]` on `wins`, `type` \
                            and `losses`, or use `get` or `update_existing`"
                )]
                #[allow(dead_code)]
                trait EveryFieldHasADefault {}
                #[allow(deprecated)]
                impl<T> ::memory_table::FromKey for Team<T>
                where
                    T: Send,
                    for<'field> &'field u32: EveryFieldHasADefault
                {
                    fn from_key(
                        _: String
                    ) -> ::core::result::Result<Self, ::memory_table::BoxError> {
                        ::core::unreachable!()
                    }
                }
            };
        };
        // Compared as text literals, because a literal's escapes are kept as written.
        let expected = expected.to_string().replace("\\\n", "");
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = expanded(&input).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(found.ends_with(&expected), "{found}\n{expected}");
    }
}

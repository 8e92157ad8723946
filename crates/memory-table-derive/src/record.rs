//! Writes the code of `#[derive(Record)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, Path, Type, parse_quote_spanned};

use crate::model::{Key, Model};

/// Expands the derive on `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let model = Model::new(input)?;
    let record = record_impl(&model);
    let handles = crate::fields::expand(&model);
    let from_key = from_key_impl(&model);
    Ok(quote! {
        #record
        #handles
        #from_key
    })
}

fn record_impl(model: &Model<'_>) -> TokenStream {
    let Model { ident, krate, table, partition, sort, aliases, .. } = model;
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    let partition_name = &partition.name;
    let sort_name = sort_name(sort.as_ref());
    let key_type = key_type(model);
    let key_ref = key_ref(model);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::Record for #ident #ty_generics #where_clause {
            type Key = #key_type;
            const TABLE: &'static str = #table;
            const PARTITION_KEY: &'static str = #partition_name;
            const SORT_KEY: ::core::option::Option<&'static str> = #sort_name;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            fn key(&self) -> #krate::KeyRef<'_> {
                #key_ref
            }
        }
    }
}

fn sort_name(sort: Option<&Key<'_>>) -> TokenStream {
    if let Some(Key { name, .. }) = sort {
        quote!(::core::option::Option::Some(#name))
    } else {
        quote!(::core::option::Option::None)
    }
}

/// The key's type, at the place of the fields, as rustc points there if one cannot be a key.
fn key_type(model: &Model<'_>) -> TokenStream {
    let partition = model.partition.ty;
    let start = partition.span();
    let krate = at(start, &model.krate);
    match model.sort.as_ref().map(|key| key.ty) {
        Some(sort) => {
            let path = quote_spanned!(start=> #krate::CompositeKey);
            let end = quote_spanned!(sort.span()=> >);
            quote!(#path<#partition, #sort #end)
        }
        None => {
            quote_spanned!(start=> #krate::PartitionKey<#partition>)
        }
    }
}

fn key_ref(model: &Model<'_>) -> TokenStream {
    let krate = &model.krate;
    let partition = borrowed(&model.partition);
    if let Some(sort) = model.sort.as_ref().map(borrowed) {
        quote!(#krate::KeyRef::composite(#partition, #sort))
    } else {
        quote!(#krate::KeyRef::partition(#partition))
    }
}

/// The field, at the place of its type.
fn borrowed(key: &Key<'_>) -> TokenStream {
    // The plain span of a type that a `macro_rules!` macro got would mean another `self`.
    let place = Span::call_site().located_at(key.ty.span());
    let mut member = key.member.clone();
    member.set_span(place);
    quote_spanned!(place=> &self.#member)
}

/// Implements `FromKey`, or lets each call that needs it fail with the names of the fields that
/// stand in the way.
fn from_key_impl(model: &Model<'_>) -> TokenStream {
    if let Some((field, ty)) = model.without_default.first() {
        return impossible_from_key_impl(model, field, ty);
    }
    let Model { ident, krate, .. } = model;
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::FromKey for #ident #ty_generics #where_clause {}
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
    let from_key = quote_spanned!(ident.span()=>
        impl #impl_generics #krate::FromKey for #ident #ty_generics #where_clause {}
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
    let fields: Vec<&Ident> = model.without_default.iter().map(|(field, _)| *field).collect();
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
    let note = format!("write `#[serde(default)]` on {names}, or use `get` or `update_existing`");
    quote! {
        #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
    }
}

/// A path with another place.
fn at(place: Span, path: &Path) -> TokenStream {
    let moved = |mut token: TokenTree| {
        token.set_span(place);
        token
    };
    path.to_token_stream().into_iter().map(moved).collect()
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
    use syn::parse_quote;

    /// The code without the handles of the fields.
    fn expanded(input: &DeriveInput) -> String {
        let model = Model::new(input).unwrap();
        let (record, from_key) = (record_impl(&model), from_key_impl(&model));
        quote!(#record #from_key).to_string()
    }

    #[test]
    fn a_record_says_its_table_its_keys_and_its_names() {
        let input = parse_quote! {
            #[record(table = "players")]
            #[serde(rename_all = "camelCase")]
            struct Player {
                #[record(partition_key)]
                the_game: String,
                #[record(sort_key)]
                #[serde(rename = "n")]
                r#in: u64,
                #[serde(default, alias = "elo", alias = "points")]
                rating: f64,
            }
        };
        let expected = quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl ::memory_table::Record for Player {
                type Key = ::memory_table::CompositeKey<String, u64>;
                const TABLE: &'static str = "players";
                const PARTITION_KEY: &'static str = "theGame";
                const SORT_KEY: ::core::option::Option<&'static str> =
                    ::core::option::Option::Some("n");
                const ALIASES: &'static [&'static str] = &["elo", "points"];
                fn key(&self) -> ::memory_table::KeyRef<'_> {
                    ::memory_table::KeyRef::composite(&self.the_game, &self.r#in)
                }
            }
            #[automatically_derived]
            #[allow(deprecated)]
            impl ::memory_table::FromKey for Player {}
        };
        assert_eq!(expanded(&input), expected.to_string());
    }

    #[test]
    fn a_record_without_sort_key_has_a_partition_key_only() {
        let input = parse_quote! {
            #[record(table = "t", crate = "a::mt")]
            struct Team<T: Clone> where T: Send { #[record(partition_key)] id: T }
        };
        let expected = quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl<T: Clone> a::mt::Record for Team<T> where T: Send {
                type Key = a::mt::PartitionKey<T>;
                const TABLE: &'static str = "t";
                const PARTITION_KEY: &'static str = "id";
                const SORT_KEY: ::core::option::Option<&'static str> =
                    ::core::option::Option::None;
                const ALIASES: &'static [&'static str] = &[];
                fn key(&self) -> a::mt::KeyRef<'_> {
                    a::mt::KeyRef::partition(&self.id)
                }
            }
            #[automatically_derived]
            #[allow(deprecated)]
            impl<T: Clone> a::mt::FromKey for Team<T> where T: Send {}
        };
        assert_eq!(expanded(&input), expected.to_string());
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
                    note = "write `#[serde(default)]` on `wins`, `type` and `losses`, or use \
                            `get` or `update_existing`"
                )]
                #[allow(dead_code)]
                trait EveryFieldHasADefault {}
                #[allow(deprecated)]
                impl<T> ::memory_table::FromKey for Team<T>
                where
                    T: Send,
                    for<'field> &'field u32: EveryFieldHasADefault
                {}
            };
        };
        // Compared as text literals, because a literal's escapes are kept as written.
        let expected = expected.to_string().replace("\\\n", "");
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = expanded(&input).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(found.ends_with(&expected), "{found}\n{expected}");
    }
}

//! Writes the indexes of a record's table and their typed handles.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Path};

use crate::fields::{Handle, member, value_type};
use crate::model::{Attributes, Index, Model};
use crate::record::at;

/// The constant of the `Record` implementation that lists the indexes.
pub(crate) fn specs(model: &Model<'_>) -> Option<TokenStream> {
    let krate = &model.krate;
    let specs = model.indexes.iter().map(|index| spec(index, krate));
    (!model.indexes.is_empty())
        .then(|| quote!(const INDEX_SPECS: &'static [#krate::IndexSpec] = &[#(#specs),*];))
}

fn spec(index: &Index<'_>, krate: &Path) -> TokenStream {
    let name = &index.name;
    let sort = index.sort.as_ref().map(|sort| key_spec(sort, krate));
    let keys = if index.is_local {
        quote!(#krate::IndexSpec::local(#name, #sort))
    } else {
        let partition = key_spec(&index.partition, krate);
        let sort = sort.map(|sort| quote!(.sort_key(#sort)));
        quote!(#krate::IndexSpec::global(#name, #partition) #sort)
    };
    let projection = match &index.attributes {
        Attributes::All => None,
        Attributes::KeysOnly => Some(quote!(#krate::IndexProjection::KeysOnly)),
        Attributes::Include(names) => {
            Some(quote!(#krate::IndexProjection::Include(&[#(#names),*])))
        }
    };
    let projection = projection.map(|attributes| quote!(.projection(#attributes)));
    let units = index.units.map(|(read, write)| quote!(.provisioned(#read, #write)));
    quote!(#keys #projection #units)
}

/// The key, at the place of the field's type, as rustc points there if it cannot be one.
fn key_spec(key: &Handle<'_>, krate: &Path) -> TokenStream {
    let (name, ty, place) = (&key.name, value_type(key, krate), key.ty.span());
    let krate = at(place, krate);
    quote_spanned!(place=> #krate::KeySpec::of::<#ty>(#name))
}

/// The struct of the handles, and the constant of the record that holds them.
pub(crate) fn handles(model: &Model<'_>) -> Option<TokenStream> {
    if model.indexes.is_empty() {
        return None;
    }
    let Model { ident, vis, krate, .. } = model;
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    let generics = model.generics;
    let handles = format_ident!("{}Indexes", ident.unraw(), span = ident.span());
    let docs = format!("The handles of the indexes of [`{}`], for queries.", ident.unraw());
    let record = quote!(#ident #ty_generics);
    let fields = model.indexes.iter().map(|index| field(index, &record, model));
    let values = model.indexes.iter().enumerate().map(|(at, index)| {
        let handle = handle_name(index);
        quote! {
            #handle: #krate::Index::of(&<Self as #krate::Record>::INDEX_SPECS[#at])
        }
    });
    Some(quote! {
        #[doc = #docs]
        #[derive(Clone, Copy, Debug)]
        // A key's type may be less visible than the record.
        #[allow(deprecated, private_interfaces)]
        #vis struct #handles #generics #where_clause {
            #(#fields,)*
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #ident #ty_generics #where_clause {
            /// The handles of the indexes, for queries.
            #vis const INDEXES: #handles #ty_generics = #handles { #(#values,)* };
        }
    })
}

fn field(index: &Index<'_>, record: &TokenStream, model: &Model<'_>) -> TokenStream {
    let Model { vis, krate, .. } = model;
    let (handle, name) = (handle_name(index), index.name.value());
    let docs = format!("Index `{name}`.");
    let partition = value_type(&index.partition, krate);
    let key = match &index.sort {
        Some(sort) => {
            let sort = value_type(sort, krate);
            quote!(#krate::CompositeKey<#partition, #sort>)
        }
        None => quote!(#krate::PartitionKey<#partition>),
    };
    let some = match index.attributes {
        Attributes::All => None,
        Attributes::KeysOnly | Attributes::Include(_) => Some(quote!(, #krate::SomeAttributes)),
    };
    quote! {
        #[doc = #docs]
        #vis #handle: #krate::Index<#record, #key #some>
    }
}

fn handle_name(index: &Index<'_>) -> Ident {
    member(&index.handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn indexes_are_listed_and_have_handles_of_their_keys_types() {
        let input = parse_quote! {
            #[record(
                table = "stores",
                crate = "mt",
                read_units = 3,
                write_units = 4,
                global_index(
                    name = "by-city",
                    partition_key = city,
                    sort_key = opened,
                    keys_only,
                    read_units = 1,
                    write_units = 2,
                ),
                local_index(name = "ByRating", sort_key = rating, include(city), handle = best),
            )]
            pub struct Store {
                #[record(partition_key)]
                id: u64,
                #[record(sort_key)]
                no: u8,
                #[serde(rename = "town", skip_serializing_if = "Option::is_none")]
                city: Option<String>,
                #[serde(with = "mt::instant")]
                opened: Timestamp,
                rating: f64,
            }
        };
        let model = Model::new(&input).unwrap();
        let expected = quote! {
            const INDEX_SPECS: &'static [mt::IndexSpec] = &[
                mt::IndexSpec::global("by-city", mt::KeySpec::of::<String>("town"))
                    .sort_key(mt::KeySpec::of::<mt::Instant<Timestamp> >("opened"))
                    .projection(mt::IndexProjection::KeysOnly)
                    .provisioned(1u64, 2u64),
                mt::IndexSpec::local("ByRating", mt::KeySpec::of::<f64>("rating"))
                    .projection(mt::IndexProjection::Include(&["town"]))
            ];
        };
        let plain = |tokens: String| tokens.replace(' ', "");
        assert_eq!(plain(specs(&model).unwrap().to_string()), plain(expected.to_string()));
        let expected = quote! {
            #[doc = "The handles of the indexes of [`Store`], for queries."]
            #[derive(Clone, Copy, Debug)]
            #[allow(deprecated, private_interfaces)]
            pub struct StoreIndexes {
                #[doc = "Index `by-city`."]
                pub by_city: mt::Index<
                    Store,
                    mt::CompositeKey<String, mt::Instant<Timestamp> >,
                    mt::SomeAttributes
                >,
                #[doc = "Index `ByRating`."]
                pub best: mt::Index<Store, mt::CompositeKey<u64, f64>, mt::SomeAttributes>,
            }
            #[automatically_derived]
            #[allow(deprecated)]
            impl Store {
                /// The handles of the indexes, for queries.
                pub const INDEXES: StoreIndexes = StoreIndexes {
                    by_city: mt::Index::of(&<Self as mt::Record>::INDEX_SPECS[0usize]),
                    best: mt::Index::of(&<Self as mt::Record>::INDEX_SPECS[1usize]),
                };
            }
        };
        assert_eq!(plain(handles(&model).unwrap().to_string()), plain(expected.to_string()));
    }

    #[test]
    fn a_record_without_indexes_has_none() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Team { #[record(partition_key)] id: u8 }
        };
        let model = Model::new(&input).unwrap();
        assert!(specs(&model).is_none() && handles(&model).is_none());
    }
}

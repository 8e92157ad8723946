//! Writes the code of `#[derive(Record)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, Path};

use crate::model::{Key, Model};

/// Expands the derive on `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let model = Model::new(input)?;
    let record = record_impl(&model);
    let handles = crate::fields::expand(&model);
    let indexes = crate::indexes::handles(&model);
    let from_key = crate::from_key::expand(&model);
    Ok(quote! {
        #record
        #handles
        #indexes
        #from_key
    })
}

fn record_impl(model: &Model<'_>) -> TokenStream {
    let Model { ident, krate, table, partition, sort, aliases, handles, .. } = model;
    let attributes = handles.iter().map(|handle| &handle.name);
    let (impl_generics, ty_generics, where_clause) = model.generics.split_for_impl();
    let partition_name = &partition.name;
    let sort_name = sort_name(sort.as_ref());
    let key_type = key_type(model);
    let key_ref = key_ref(model);
    let specs = crate::indexes::specs(model);
    let units = model.units.map(|(read, write)| {
        quote! {
            const UNITS: ::core::option::Option<(u64, u64)> =
                ::core::option::Option::Some((#read, #write));
        }
    });
    let hooks = hooks(model);
    let expires_at = expires_at(model);
    let version = version(model);
    let times = times(model);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::Record for #ident #ty_generics #where_clause {
            type Key = #key_type;
            const TABLE: &'static str = #table;
            const PARTITION_KEY: &'static str = #partition_name;
            const SORT_KEY: ::core::option::Option<&'static str> = #sort_name;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            const ATTRIBUTES: &'static [&'static str] = &[#(#attributes),*];
            #specs
            #units
            #hooks
            #expires_at
            #version
            #times
            fn key(&self) -> #krate::KeyRef<'_> {
                #key_ref
            }
        }
    }
}

/// When the record expires, if a field says so.
fn expires_at(model: &Model<'_>) -> Option<TokenStream> {
    let Key { member, ty, name } = model.ttl.as_ref()?;
    let krate = &model.krate;
    let seconds = quote_spanned!(ty.span()=> #krate::derived::seconds);
    Some(quote! {
        const TIME_TO_LIVE: ::core::option::Option<&'static str> =
            ::core::option::Option::Some(#name);
        fn expires_at(&self) -> ::core::option::Option<i64> {
            #seconds(&self.#member)
        }
    })
}

/// The attribute that counts the writes, if there is one.
fn version(model: &Model<'_>) -> Option<TokenStream> {
    let key = model.version.as_ref()?;
    let (krate, member) = placed(model, key);
    let (name, place) = (&key.name, member.span());
    let get = quote_spanned!(place=> #krate::derived::version(&self.#member));
    let set = quote_spanned!(place=> #krate::derived::set_version(&mut self.#member, version));
    Some(quote! {
        const VERSION: ::core::option::Option<&'static str> = ::core::option::Option::Some(#name);
        fn version(&self) -> u64 {
            #get
        }
        fn set_version(&mut self, version: u64) {
            #set
        }
    })
}

/// When the record was made and changed, if fields say so.
fn times(model: &Model<'_>) -> Option<TokenStream> {
    let (created, updated) = (model.created.as_ref(), model.updated.as_ref());
    created.or(updated)?;
    let made = created.map(|key| {
        let (krate, member) = placed(model, key);
        let is_unset = quote!(#krate::derived::is_unset(&self.#member));
        (
            quote!(if #is_unset { self.#member = ::core::clone::Clone::clone(&before.#member); }),
            quote!(if is_new && #is_unset { self.#member = #krate::derived::moment(now); }),
        )
    });
    let changed = updated.map(|key| {
        let (krate, member) = placed(model, key);
        (
            quote!(self.#member = ::core::clone::Clone::clone(&before.#member);),
            quote!(self.#member = #krate::derived::moment(now);),
        )
    });
    let (keep, set): (Vec<_>, Vec<_>) = made.into_iter().chain(changed).unzip();
    let updated = updated.map(|key| updated_now(model, key));
    Some(quote! {
        const HAS_TIMES: bool = true;
        fn keep_times(&mut self, before: &Self) {
            #(#keep)*
        }
        #[allow(unused_variables)]
        fn set_times(&mut self, now: ::std::time::SystemTime, is_new: bool) {
            #(#set)*
        }
        #updated
    })
}

/// What an update by expressions sets.
fn updated_now(model: &Model<'_>, key: &Key<'_>) -> Option<TokenStream> {
    let (krate, name) = (&model.krate, &key.name);
    let handle = model.handles.iter().find(|handle| handle.name == *name)?;
    let ty = crate::fields::value_type(handle, krate);
    Some(quote! {
        const UPDATED: ::core::option::Option<&'static str> = ::core::option::Option::Some(#name);
        fn updated_at(
            now: ::std::time::SystemTime,
        ) -> ::core::option::Option<#krate::derived::Stamp> {
            ::core::option::Option::Some(#krate::derived::stamp::<#ty>(now))
        }
    })
}

/// The crate and the field as rustc is to point at the field's type if that is not for its role.
fn placed(model: &Model<'_>, key: &Key<'_>) -> (TokenStream, Ident) {
    let place = Span::call_site().located_at(key.ty.span());
    let mut member = key.member.clone();
    member.set_span(place);
    (at(place, &model.krate), member)
}

/// The methods that call the functions of `before_store` and `after_load`, and the rules of the fields.
fn hooks(model: &Model<'_>) -> TokenStream {
    let before = before_store(model);
    let after = after_load(model);
    let has_times = model.created.is_some() || model.updated.is_some();
    let has_hooks = before.is_some() || after.is_some() || has_times;
    quote! {
        const HAS_HOOKS: bool = #has_hooks;
        #before
        #after
    }
}

fn before_store(model: &Model<'_>) -> Option<TokenStream> {
    let krate = &model.krate;
    let stored = if let Some(path) = &model.before_store {
        let function = hook(path);
        let validate = validate(model, &quote!(&record));
        quote! {
            #function
            let mut record = ::core::clone::Clone::clone(self);
            ::core::result::Result::map_err(hook(&mut record), #krate::BoxError::from)?;
            #validate
            ::core::result::Result::Ok(::core::option::Option::Some(record))
        }
    } else {
        let validate = validate(model, &quote!(self))?;
        quote! {
            #validate
            ::core::result::Result::Ok(::core::option::Option::None)
        }
    };
    Some(quote! {
        fn before_store(
            &self,
        ) -> ::core::result::Result<::core::option::Option<Self>, #krate::BoxError> {
            #stored
        }
    })
}

fn after_load(model: &Model<'_>) -> Option<TokenStream> {
    let krate = &model.krate;
    let changed = model.after_load.as_ref().map(|path| {
        let function = hook(path);
        quote! {
            #function
            ::core::result::Result::map_err(hook(self), #krate::BoxError::from)?;
        }
    });
    let validate = validate(model, &quote!(self));
    (changed.is_some() || validate.is_some()).then(|| {
        quote! {
            fn after_load(&mut self) -> ::core::result::Result<(), #krate::BoxError> {
                #changed
                #validate
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// Checks the rules of the fields, if the record says that it has some.
fn validate(model: &Model<'_>, record: &TokenStream) -> Option<TokenStream> {
    let span = model.validate?;
    // As rustc points there if it has none.
    let place = Span::call_site().located_at(span);
    let krate = at(place, &model.krate);
    let validate = quote_spanned!(place=> #krate::derived::validate);
    Some(quote!(#validate(#record)?;))
}

/// The function under one name, at the place of its path, as rustc points there if it is another.
fn hook(path: &Path) -> TokenStream {
    quote_spanned! {Span::call_site().located_at(path.span())=>
        let hook: fn(&mut Self) -> ::core::result::Result<(), _> = #path;
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

/// A path with another place.
pub(crate) fn at(place: Span, path: &Path) -> TokenStream {
    let moved = |mut token: TokenTree| {
        token.set_span(place);
        token
    };
    path.to_token_stream().into_iter().map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    /// The code without handles.
    fn expanded(input: &DeriveInput) -> String {
        record_impl(&Model::new(input).unwrap()).to_string()
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
                const ATTRIBUTES: &'static [&'static str] = &["theGame", "n", "rating"];
                const HAS_HOOKS: bool = false;
                fn key(&self) -> ::memory_table::KeyRef<'_> {
                    ::memory_table::KeyRef::composite(&self.the_game, &self.r#in)
                }
            }
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
                const ATTRIBUTES: &'static [&'static str] = &["id"];
                const HAS_HOOKS: bool = false;
                fn key(&self) -> a::mt::KeyRef<'_> {
                    a::mt::KeyRef::partition(&self.id)
                }
            }
        };
        assert_eq!(expanded(&input), expected.to_string());
    }

    #[test]
    fn a_version_is_read_and_set_by_its_field() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Team {
                #[record(partition_key)]
                id: u8,
                #[record(version)]
                #[serde(rename = "v")]
                writes: u32,
            }
        };
        let expanded = expanded(&input).replace(' ', "");
        for part in [
            "constVERSION:::core::option::Option<&'staticstr>=::core::option::Option::Some(\"v\");",
            "::memory_table::derived::version(&self.writes)",
            "::memory_table::derived::set_version(&mutself.writes,version)",
        ] {
            assert!(expanded.contains(part), "{part}\n{expanded}");
        }
    }

    #[test]
    fn times_are_kept_and_set_by_their_fields() {
        let input = parse_quote! {
            #[record(table = "t")]
            struct Team {
                #[record(partition_key)]
                id: u8,
                #[record(created)]
                made: Option<u64>,
                #[record(updated)]
                #[serde(rename = "c", with = "memory_table::instant")]
                changed: jiff::Timestamp,
            }
        };
        let expanded = expanded(&input).replace(' ', "");
        for part in [
            "constHAS_HOOKS:bool=true;",
            "constHAS_TIMES:bool=true;",
            "constUPDATED:::core::option::Option<&'staticstr>=::core::option::Option::Some(\"c\");",
            "if::memory_table::derived::is_unset(&self.made){self.made=::core::clone::Clone::clone(&before.made);}",
            "self.changed=::core::clone::Clone::clone(&before.changed);",
            "ifis_new&&::memory_table::derived::is_unset(&self.made){self.made=::memory_table::derived::moment(now);}",
            "self.changed=::memory_table::derived::moment(now);",
            "::memory_table::derived::stamp::<::memory_table::Instant<jiff::Timestamp>>(now)",
        ] {
            assert!(expanded.contains(part), "{part}\n{expanded}");
        }
    }

    #[test]
    fn hooks_call_the_functions_that_are_named() {
        let input = parse_quote! {
            #[record(table = "t", before_store = "Self::check", after_load = "fixes::fix")]
            struct Team { #[record(partition_key)] id: u8 }
        };
        let expanded = expanded(&input).replace(' ', "");
        for part in [
            "constHAS_HOOKS:bool=true;",
            "lethook:fn(&mutSelf)->::core::result::Result<(),_>=Self::check;",
            "lethook:fn(&mutSelf)->::core::result::Result<(),_>=fixes::fix;",
        ] {
            assert!(expanded.contains(part), "{part}\n{expanded}");
        }
        assert!(!expanded.contains("validate"), "{expanded}");
    }

    #[test]
    fn a_record_is_validated_behind_its_hook() {
        let input = parse_quote! {
            #[record(table = "t", before_store = "Self::check", validate)]
            struct Team { #[record(partition_key)] id: u8 }
        };
        let expanded = expanded(&input).replace(' ', "");
        for part in [
            "constHAS_HOOKS:bool=true;",
            "::memory_table::derived::validate(&record)?;::core::result::Result::Ok(::core::option::Option::Some(record))",
            "::memory_table::derived::validate(self)?;::core::result::Result::Ok(())",
        ] {
            assert!(expanded.contains(part), "{part}\n{expanded}");
        }
    }
}

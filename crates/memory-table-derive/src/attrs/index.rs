//! Reads `global_index(..)` and `local_index(..)`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Ident, LitStr, Token, token};

use super::units::UnitsAttrs;
use super::words::Place;
use super::{path_text, set_once, text, unknown};
use crate::errors::Errors;
use crate::serde_attrs::skip_to_comma;

/// An index as it is written; fields by their names in the struct.
pub(crate) struct IndexAttrs {
    /// Where `global_index` or `local_index` stands.
    pub(crate) span: Span,
    /// Whether the index is local.
    pub(crate) is_local: bool,
    /// The index's name.
    pub(crate) name: Option<LitStr>,
    /// The field that is the partition key.
    pub(crate) partition_key: Option<Ident>,
    /// The field that is the sort key.
    pub(crate) sort_key: Option<Ident>,
    /// The index has no attributes but keys.
    pub(crate) keys_only: Option<Span>,
    /// Fields that the index has besides the keys.
    pub(crate) include: Option<Fields>,
    /// The name of the handle.
    pub(crate) handle: Option<Ident>,
    /// The capacity of a global index.
    pub(crate) units: UnitsAttrs,
}

/// The fields of `include(..)`, and where it stands.
pub(crate) struct Fields {
    pub(crate) span: Span,
    pub(crate) fields: Vec<Ident>,
}

impl IndexAttrs {
    /// Reads an index behind its `global_index` or `local_index`.
    pub(super) fn parse(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let is_local = meta.path.is_ident("local_index");
        let mut found = Self {
            span: meta.path.span(),
            is_local,
            name: None,
            partition_key: None,
            sort_key: None,
            keys_only: None,
            include: None,
            handle: None,
            units: UnitsAttrs::default(),
        };
        if !meta.input.peek(token::Paren) {
            let key = if is_local { "sort_key" } else { "partition_key" };
            let option = path_text(&meta.path);
            let advice = format!("write `{option}(name = \"..\", {key} = field)`");
            return Err(syn::Error::new(meta.path.span(), advice));
        }
        meta.parse_nested_meta(|inner| found.parse_option(&inner, errors))?;
        Ok(found)
    }

    fn parse_option(&mut self, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
        let option = path_text(&meta.path);
        let slot = match option.as_str() {
            "name" => {
                let name = text(meta, "the index's name in quotes: `name = \"by-city\"`")?;
                set_once(&mut self.name, name, meta, errors);
                return Ok(());
            }
            "keys_only" => {
                set_once(&mut self.keys_only, meta.path.span(), meta, errors);
                return no_value(meta, errors);
            }
            "include" => {
                set_once(&mut self.include, Fields::parse(meta)?, meta, errors);
                return Ok(());
            }
            units if UnitsAttrs::has(units) && !self.is_local => {
                return self.units.parse_option(meta, errors);
            }
            "partition_key" if !self.is_local => &mut self.partition_key,
            "sort_key" => &mut self.sort_key,
            "handle" => &mut self.handle,
            _ if self.is_local => return unknown(Place::LocalIndex, meta, errors),
            _ => return unknown(Place::GlobalIndex, meta, errors),
        };
        let example = if option == "handle" { "by_city" } else { "city" };
        let ident = ident(meta, &option, example, errors)?;
        set_once(slot, ident, meta, errors);
        Ok(())
    }
}

impl Fields {
    fn parse(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        let wrong = || syn::Error::new(meta.path.span(), "write `include(field, other_field)`");
        if !meta.input.peek(token::Paren) {
            return Err(wrong());
        }
        let content;
        syn::parenthesized!(content in meta.input);
        let fields = content.parse_terminated(name, Token![,]).map_err(|error| {
            let mut all = wrong();
            all.extend(error);
            all
        })?;
        if fields.is_empty() {
            return Err(syn::Error::new(
                meta.path.span(),
                "it includes nothing: write `keys_only`, or the fields to include",
            ));
        }
        Ok(Self { span: meta.path.span(), fields: fields.into_iter().collect() })
    }
}

fn no_value(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
    if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        errors.push(meta.path.span(), "`keys_only` takes no value: write `keys_only`");
    }
    skip_to_comma(meta.input)
}

/// A field's name, which may be a keyword with `r#`.
fn name(input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let field = text.value();
        let message = format!("write the field's name without quotes: `{field}`");
        return Err(syn::Error::new(text.span(), message));
    }
    if input.peek(Ident::peek_any) { input.call(Ident::parse_any) } else { Ident::parse(input) }
}

/// The name behind `=`.
fn ident(
    meta: &ParseNestedMeta<'_>,
    option: &str,
    example: &str,
    errors: &mut Errors,
) -> syn::Result<Ident> {
    let wrong = || meta.error(format!("write a name without quotes: `{option} = {example}`"));
    let input = meta.value().map_err(|_| wrong())?;
    if !input.peek(LitStr) {
        return name(input).map_err(|_| wrong());
    }
    let text: LitStr = input.parse()?;
    let message = format!("write the name without quotes: `{option} = {}`", text.value());
    errors.push(text.span(), message);
    text.parse().map_err(|_| wrong())
}

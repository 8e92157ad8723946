//! Reads `#[serde(..)]` as far as records need it.
//!
//! serde parses the same attributes in its own derives and reports what is wrong with them, so
//! nothing here is an error: what cannot be read is passed over.

use proc_macro2::{Span, TokenTree};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprGroup, ExprLit, Ident, Lit, LitStr, Token, token};

use crate::rename::Rule;

/// All serde options of a struct or a field, in the order written.
#[derive(Default)]
pub(crate) struct SerdeAttrs(Vec<SerdeOption>);

/// One option: `skip`, `rename = "a"` or `rename(serialize = "a", deserialize = "b")`.
struct SerdeOption {
    name: String,
    span: Span,
    /// The text behind `=`.
    value: Option<LitStr>,
    /// The names and texts in parentheses.
    nested: Vec<(String, LitStr)>,
}

/// A `rename` or `rename_all`, which may differ between writing and reading.
#[derive(Default)]
pub(crate) struct Renames {
    /// What serde writes.
    pub(crate) serialize: Option<LitStr>,
    /// What serde reads, the preferred one first.
    pub(crate) deserialize: Vec<LitStr>,
    /// Where the option stands.
    pub(crate) span: Option<Span>,
}

/// How serde names a field.
pub(crate) struct StoredName {
    /// The attribute that serde writes.
    pub(crate) serialize: String,
    /// The attribute that serde reads.
    pub(crate) deserialize: String,
    /// Other attributes that serde reads, if the first is absent.
    pub(crate) aliases: Vec<LitStr>,
    /// The place to blame for the name.
    pub(crate) span: Span,
}

/// The case rules of a struct.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// For writing.
    pub(crate) serialize: Rule,
    /// For reading.
    pub(crate) deserialize: Rule,
}

impl SerdeAttrs {
    /// Reads all `#[serde(..)]` among the attributes.
    pub(crate) fn parse(attrs: &[Attribute]) -> Self {
        let mut options = Vec::new();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            // An error is serde's to report; what was read before it still counts.
            let _ = attr.parse_nested_meta(|meta| {
                options.push(SerdeOption::parse(&meta)?);
                Ok(())
            });
        }
        Self(options)
    }

    /// Where the option stands, if it is there.
    pub(crate) fn span_of(&self, name: &str) -> Option<Span> {
        self.all(name).map(|option| option.span).next()
    }

    /// Whether the option is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.span_of(name).is_some()
    }

    /// The text given to the option.
    pub(crate) fn value(&self, name: &str) -> Option<&LitStr> {
        self.all(name).find_map(|option| option.value.as_ref())
    }

    /// Both directions of `rename` or `rename_all`.
    pub(crate) fn renames(&self, name: &str) -> Renames {
        let mut found = Renames::default();
        for option in self.all(name) {
            found.span.get_or_insert(option.span);
            let both = option.value.iter().cloned();
            found.serialize = found.serialize.or_else(|| both.clone().next());
            found.deserialize.extend(both);
            for (direction, text) in &option.nested {
                match direction.as_str() {
                    "serialize" => found.serialize = Some(text.clone()),
                    "deserialize" => found.deserialize.push(text.clone()),
                    _ => {}
                }
            }
        }
        found
    }

    /// The case rules of a struct.
    pub(crate) fn rules(&self) -> Rules {
        let found = self.renames("rename_all");
        let rule =
            |text: Option<&LitStr>| text.map_or(Rule::AsWritten, |text| Rule::named(&text.value()));
        Rules {
            serialize: rule(found.serialize.as_ref()),
            deserialize: rule(found.deserialize.first()),
        }
    }

    /// How serde names a field of a struct with these rules.
    pub(crate) fn stored_name(&self, field: &Ident, rules: Rules) -> StoredName {
        let found = self.renames("rename");
        let own = field.unraw().to_string();
        let span = match &found.serialize {
            Some(text) => text.span(),
            None => found.span.unwrap_or_else(|| field.span()),
        };
        let mut read = found.deserialize.into_iter();
        StoredName {
            serialize: found
                .serialize
                .map_or_else(|| rules.serialize.apply(&own), |text| text.value()),
            deserialize: read
                .next()
                .map_or_else(|| rules.deserialize.apply(&own), |text| text.value()),
            // serde takes further names to read as aliases.
            aliases: read.chain(self.aliases()).collect(),
            span,
        }
    }

    fn aliases(&self) -> impl Iterator<Item = LitStr> {
        self.all("alias").filter_map(|option| option.value.clone())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &SerdeOption> {
        self.0.iter().filter(move |option| option.name == name)
    }
}

impl SerdeOption {
    fn parse(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        let mut option =
            Self { name: path_text(meta), span: meta.path.span(), value: None, nested: Vec::new() };
        if meta.input.peek(Token![=]) {
            option.value = text_value(meta)?;
        } else if meta.input.peek(token::Paren) {
            meta.parse_nested_meta(|inner| {
                let text = text_value(&inner)?;
                option.nested.extend(text.map(|text| (path_text(&inner), text)));
                Ok(())
            })?;
        }
        Ok(option)
    }
}

/// The option's name; empty for a path of several segments, which serde does not have.
fn path_text(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(Ident::to_string).unwrap_or_default()
}

/// The text behind `=`, if there is one; all tokens up to the next comma are consumed.
fn text_value(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<LitStr>> {
    let mut text = None;
    if meta.input.peek(Token![=]) {
        let ahead = meta.value()?.fork();
        text = ahead.parse::<Expr>().ok().and_then(text_literal);
    }
    skip_to_comma(meta.input)?;
    Ok(text)
}

/// A string literal, also one that a `macro_rules!` macro passed on in an invisible group.
fn text_literal(expr: Expr) -> Option<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        Expr::Group(ExprGroup { expr, .. }) => text_literal(*expr),
        _ => None,
    }
}

/// Consumes the rest of one option.
pub(crate) fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn field_name(attrs: &[Attribute], field: &str) -> (String, String, Vec<String>) {
        let rules = Rules { serialize: Rule::Camel, deserialize: Rule::Pascal };
        let field: Ident = syn::parse_str(field).unwrap();
        let name = SerdeAttrs::parse(attrs).stored_name(&field, rules);
        let aliases = name.aliases.iter().map(LitStr::value).collect();
        (name.serialize, name.deserialize, aliases)
    }

    #[test]
    fn a_field_follows_the_rules_of_its_struct() {
        assert_eq!(field_name(&[], "last_seen"), ("lastSeen".into(), "LastSeen".into(), vec![]));
        assert_eq!(field_name(&[], "r#type"), ("type".into(), "Type".into(), vec![]));
    }

    #[test]
    fn a_rename_wins_over_the_rules() {
        let attrs = [parse_quote!(#[serde(rename = "seen", alias = "at", alias = "when")])];
        let expected = ("seen".into(), "seen".into(), vec!["at".into(), "when".into()]);
        assert_eq!(field_name(&attrs, "last_seen"), expected);
    }

    #[test]
    fn a_rename_of_one_direction_leaves_the_other_to_the_rules() {
        let attrs = [parse_quote!(#[serde(rename(serialize = "seen"))])];
        assert_eq!(field_name(&attrs, "last_seen"), ("seen".into(), "LastSeen".into(), vec![]));
    }

    #[test]
    fn further_names_to_read_are_aliases() {
        let attrs = [parse_quote!(#[serde(rename(deserialize = "a", deserialize = "b"))])];
        assert_eq!(field_name(&attrs, "x"), ("x".into(), "a".into(), vec!["b".into()]));
    }

    #[test]
    fn options_that_records_do_not_need_are_passed_over() {
        let attrs = [
            parse_quote!(#[serde(crate = "a::b", bound(serialize = "T: X", deserialize = "T: Y"))]),
            parse_quote!(#[serde(borrow = "'a + 'b", future(a(b), c = [1, 2]), other = 1 + 2, x::y)]),
            parse_quote!(#[serde(getter = Self::x, default)]),
        ];
        let found = SerdeAttrs::parse(&attrs);
        for option in ["crate", "bound", "borrow", "future", "other", "getter", "default"] {
            assert!(found.has(option), "{option}");
        }
    }

    #[test]
    fn what_serde_will_reject_keeps_what_was_read_before() {
        let found =
            SerdeAttrs::parse(&[parse_quote!(#[serde(default, ???)]), parse_quote!(#[serde])]);
        assert!(found.has("default"));
    }
}

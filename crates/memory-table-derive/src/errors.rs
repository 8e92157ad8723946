//! Collects compile errors, so that one compilation shows them all.

use std::fmt::Display;

use proc_macro2::Span;

/// The compile errors found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds an error at `span`.
    pub(crate) fn push(&mut self, span: Span, message: impl Display) {
        self.combine(syn::Error::new(span, message));
    }

    /// Adds an error made elsewhere.
    pub(crate) fn combine(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// Whether nothing was found yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All errors and a last one.
    pub(crate) fn and(mut self, last: syn::Error) -> syn::Error {
        self.combine(last.clone());
        self.0.unwrap_or(last)
    }

    /// All errors as one, if there are any.
    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// A compile error with the source text it points at.
#[cfg(test)]
pub(crate) type Pointed = (String, String);

/// What each error says, with the source text it points at, in order of appearance.
#[cfg(test)]
pub(crate) fn pointed<T>(result: syn::Result<T>) -> Vec<Pointed> {
    let texts = |error: syn::Error| {
        let place = error.span().source_text().unwrap_or_default();
        (place, error.to_string())
    };
    result.err().map(|error| error.into_iter().map(texts).collect()).unwrap_or_default()
}

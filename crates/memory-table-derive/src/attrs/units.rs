//! Reads `read_units` and `write_units`.

use proc_macro2::Span;
use syn::LitInt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseBuffer;
use syn::spanned::Spanned;

use super::{path_text, set_once};
use crate::errors::Errors;
use crate::serde_attrs::skip_to_comma;

/// Capacity as it is written, for a table or an index.
#[derive(Default)]
pub(crate) struct UnitsAttrs {
    read: Option<u64>,
    write: Option<u64>,
    /// Where the first of both stands.
    pub(crate) span: Option<Span>,
}

impl UnitsAttrs {
    /// Whether it is one of these options.
    pub(super) fn has(option: &str) -> bool {
        matches!(option, "read_units" | "write_units")
    }

    /// Reads one of them; what is no number of units is an error, and counts as one.
    pub(super) fn parse_option(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let span = meta.path.span();
        self.span.get_or_insert(span);
        let option = path_text(&meta.path);
        let units = meta.value().and_then(ParseBuffer::parse::<LitInt>);
        let units = units.and_then(|units| units.base10_parse::<u64>()).ok();
        let units = units.filter(|units| *units > 0 && i64::try_from(*units).is_ok());
        if units.is_none() {
            let text = format!("write the units a second, 1 at least: `{option} = 5`");
            errors.push(span, text);
            skip_to_comma(meta.input)?;
        }
        let slot = if option == "read_units" { &mut self.read } else { &mut self.write };
        set_once(slot, units.unwrap_or(1), meta, errors);
        Ok(())
    }

    /// Reads and writes, if they are given; one without the other is an error.
    pub(crate) fn both(&self, errors: &mut Errors) -> Option<(u64, u64)> {
        let lacking = match (self.read, self.write) {
            (Some(read), Some(write)) => return Some((read, write)),
            (None, None) => return None,
            (None, _) => "read_units",
            (_, None) => "write_units",
        };
        let text = format!("the other units are not given: write `{lacking} = ..` too");
        errors.push(self.span.unwrap_or_else(Span::call_site), text);
        None
    }
}

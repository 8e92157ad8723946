//! What is said of a record whose fields break their rules.

use crate::error::BoxError;

/// Every invalid field with its path and the rule that it breaks, if that is why a record was refused.
#[cfg(feature = "garde")]
pub(crate) fn invalid_fields(source: &BoxError) -> Option<String> {
    use std::fmt::Write as _;

    let report = source.downcast_ref::<garde::Report>()?;
    let mut text = String::from("it is invalid");
    let mut gap = ": ";
    for (path, error) in report.iter() {
        let path = path.to_string();
        let path = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        // A `String` takes all that is written.
        let _ = write!(text, "{gap}{path}{error}");
        gap = ", ";
    }
    Some(text)
}

#[cfg(not(feature = "garde"))]
pub(crate) const fn invalid_fields(_source: &BoxError) -> Option<String> {
    None
}

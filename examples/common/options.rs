//! Values of options, checked before anything is sent.

use std::time::Duration;

use memory_table::Database;

/// Checks a table name by DynamoDB's rules, so that a typing error costs no request.
pub fn table_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_name = (3..=255).contains(&text.len()) && text.chars().all(allowed);
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("a table name has 3 to 255 characters of a-z, A-Z, 0-9, '_', '.' and '-'".to_owned())
    }
}

/// Checks an endpoint as the database does.
pub fn endpoint(text: &str) -> Result<String, String> {
    let checked = Database::local(text).map(|_| text.to_owned());
    checked.map_err(|error| error.to_string())
}

/// Reads a time span in seconds; negative, infinite and NaN are no time spans.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "a time span is finite and not negative".to_owned())
}

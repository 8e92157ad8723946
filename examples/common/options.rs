//! Values of options, checked before anything is sent.

use std::time::Duration;

use clap::Args;
use memory_table::{Database, Record, Table};

/// How fast a table is written.
#[derive(Args, Debug)]
pub struct Pace {
    /// Write no more than so many units a second [default: as fast as the table takes it]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub write_capacity: Option<f64>,

    /// Read and write no more than this part of the table's capacity, such as 0.5
    #[arg(long, value_name = "F", value_parser = share, conflicts_with = "write_capacity",
        allow_negative_numbers = true)]
    pub share: Option<f64>,
}

impl Pace {
    /// The table, written no faster.
    pub fn of<T: Record>(&self, mut table: Table<T>) -> Table<T> {
        if let Some(units) = self.write_capacity {
            table = table.write_capacity(units);
        }
        if let Some(share) = self.share {
            table = table.share(share);
        }
        table
    }

    /// Says so if the share is one of nothing, once the table was described.
    pub fn check<T: Record>(&self, table: &Table<T>, name: &str) {
        if self.share.is_some() && table.write_rate().or(table.read_rate()).is_none() {
            eprintln!(
                "note: the service does not say what table `{name}` can take, so --share does nothing"
            );
        }
    }
}

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

/// Reads a rate or a price: a number that is more than 0.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("not a number that is more than 0".to_owned()),
    }
}

/// Reads a part of a whole: more than 0 and at most 1.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("not a number that is more than 0 and at most 1".to_owned()),
    }
}

/// Reads a time span in seconds; negative, infinite and NaN are no time spans.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "a time span is finite and not negative".to_owned())
}

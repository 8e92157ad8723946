//! How far a job has come: kept in its journal, so that a run that was interrupted goes on.

use std::path::PathBuf;

use csv::ByteRecord;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::goals::{Goals, Row};

/// What is said of a checkpoint: nothing, once a run has ended well.
#[derive(Serialize, Deserialize, Debug, Default, Clone, PartialEq)]
pub struct Progress {
    /// Rows that were added or refused.
    pub rows: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Bytes of the file of refused rows.
    pub refused_bytes: u64,
    /// The line behind the last row.
    pub next_line: u64,
    /// The last row: another input does not have it there.
    last: Vec<String>,
}

impl Progress {
    /// A row was added, or refused.
    pub fn take(&mut self, row: &Row, is_refused: bool) {
        self.rows += 1;
        self.refused += u64::from(is_refused);
        self.next_line = row.line + 1;
        self.last = texts(&row.fields);
    }

    /// Passes over the rows that were done.
    pub fn skip(&self, goals: &mut Goals, journal: &std::path::Path) -> Result<(), Failure> {
        let mut last = None;
        for _ in 0..self.rows {
            last = goals.next().map_err(Failure::Input)?;
            if last.is_none() {
                break;
            }
        }
        match last {
            Some(row) if texts(&row.fields) == self.last => Ok(()),
            None if self.rows == 0 => Ok(()),
            _ => {
                let (file, journal) = (goals.file().to_owned(), PathBuf::from(journal));
                Err(Failure::OtherInput { file, journal, rows: self.rows })
            }
        }
    }
}

fn texts(fields: &ByteRecord) -> Vec<String> {
    fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

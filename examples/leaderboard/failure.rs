//! How the job can end early: what it prints then, and its exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, io};

use memory_table::{FlushError, FlushReport, Key, Outcome};

use crate::common::{Chain, INTERRUPTED};
use crate::elo::Team;
use crate::matches::BadInput;
use crate::options::Options;

/// Why the job ended early.
#[derive(Debug)]
pub enum Failure {
    /// The matches cannot be read or are wrong; nothing was sent.
    Input(BadInput),
    /// The file for `--json` cannot be created; nothing was sent.
    Json { path: PathBuf, cause: io::Error },
    /// The database cannot be opened, or the teams cannot be loaded; none of these was written.
    Database { error: memory_table::Error, teams: Vec<String> },
    /// The journal cannot be opened; nothing was sent.
    Journal(memory_table::Error),
    /// Some teams could not be saved; the error names them. They are in the journal, if there is one.
    NotSaved { error: FlushError, journal: Option<PathBuf> },
    /// Ctrl-C or SIGTERM during the flush, while these teams were unsaved.
    Interrupted { unsaved: Vec<Key>, journal: Option<PathBuf> },
    /// The result could not be printed.
    Output(io::Error),
    /// What it cost could not be written to the file for `--json`.
    JsonUnwritten { path: PathBuf, cause: io::Error },
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Input(_) | Failure::Json { .. } | Failure::Journal(_) => 2,
            Failure::Database { .. } | Failure::NotSaved { .. } => 1,
            Failure::Output(_) | Failure::JsonUnwritten { .. } => 1,
            Failure::Interrupted { .. } => INTERRUPTED,
        })
    }

    /// The report of a flush that came to its end, well or not.
    pub fn report_of(result: &Result<FlushReport, Failure>) -> Option<&FlushReport> {
        match result {
            Ok(report) => Some(report),
            Err(Failure::NotSaved { error, .. }) => Some(error.report()),
            Err(_) => None,
        }
    }
}

impl Failure {
    /// Before anything was written.
    pub fn before_writing(error: memory_table::Error, teams: &[Team]) -> Self {
        Failure::Database { error, teams: teams.iter().map(|team| team.team.clone()).collect() }
    }

    /// The file for `--json` could be created, but not written.
    pub fn json(options: &Options, cause: io::Error) -> Self {
        Failure::JsonUnwritten { path: options.json.clone().unwrap_or_default(), cause }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(error) => writeln!(f, "error: {}", Chain(error)),
            Failure::Json { path, cause } => {
                writeln!(f, "error: {}: the file cannot be created: {cause}", path.display())
            }
            Failure::Database { error, teams } => {
                for team in teams {
                    writeln!(f, "not saved: {team:?}: nothing was written")?;
                }
                writeln!(f, "error: {}\nno team was saved", Chain(error))
            }
            Failure::Journal(error) => writeln!(f, "error: {}", Chain(error)),
            Failure::NotSaved { error, journal } => {
                write_unsaved(f, error.report())?;
                writeln!(f, "error: {}\nrun the job again to save the rest", Chain(error))?;
                write_kept(f, journal.as_deref())
            }
            Failure::Interrupted { unsaved, journal } => {
                for key in unsaved {
                    writeln!(f, "not saved: {key}: interrupted")?;
                }
                writeln!(f, "interrupted: {} teams may be unsaved; run again", unsaved.len())?;
                write_kept(f, journal.as_deref())
            }
            Failure::Output(error) => {
                writeln!(f, "error: the result cannot be printed: {error}")
            }
            Failure::JsonUnwritten { path, cause } => {
                writeln!(f, "error: {}: the file cannot be written: {cause}", path.display())
            }
        }
    }
}

/// Says where the teams are that were not saved.
fn write_kept(f: &mut fmt::Formatter<'_>, journal: Option<&Path>) -> fmt::Result {
    match journal {
        Some(journal) => {
            writeln!(
                f,
                "they are in the journal {}, from which the next run goes on",
                journal.display()
            )
        }
        None => Ok(()),
    }
}

/// Names every team that was not saved, one a line.
fn write_unsaved(f: &mut fmt::Formatter<'_>, report: &FlushReport) -> fmt::Result {
    for failed in report.not_saved() {
        let (key, attempts) = (&failed.key, failed.attempts);
        write!(f, "not saved: {key} (attempts: {attempts}): {}", Chain(&failed.error))?;
        if failed.outcome == Outcome::OutcomeUnknown {
            write!(f, "; it may be in the table all the same")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

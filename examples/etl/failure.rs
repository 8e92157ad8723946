//! How the job can end early: what it prints then, and its exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, io};

use memory_table::{Error, FlushError, Outcome};

use crate::common::{Chain, INTERRUPTED};
use crate::goals::BadInput;

/// What went wrong.
#[derive(Debug)]
pub enum Failure {
    /// The file of goals cannot be opened or has the wrong header; nothing was sent.
    Input(BadInput),
    /// A file to be written cannot be created; nothing was sent.
    File { path: PathBuf, cause: io::Error },
    /// The database cannot be opened; nothing was added.
    Database(Error),
    /// The database named by the options cannot be opened; nothing was sent.
    Options(Error),
    /// The journal cannot be opened; nothing was sent.
    Journal(Error),
    /// The journal is of a run over other input; nothing was sent.
    OtherInput { file: String, journal: PathBuf, rows: u64 },
    /// What was added since the last checkpoint is not in the journal, and not saved.
    NotCovered(Error),
    /// The database failed while the row of this line was to be added.
    Stopped { line: u64, error: Error },
    /// The file of goals cannot be read on.
    Unreadable(BadInput),
    /// The file of refused rows cannot be written while the row of this line was to be added to it.
    NotRefused { line: u64, path: PathBuf, cause: io::Error },
    /// Ctrl-C or SIGTERM before the row of this line.
    Interrupted { line: u64 },
    /// Some scorers could not be saved; the error names them.
    NotSaved(FlushError),
    /// A file could be created, but not written.
    Unwritten { path: PathBuf, cause: io::Error },
    /// The summary could not be printed.
    Output(io::Error),
}

impl Failure {
    pub fn unwritten(path: &Path, cause: io::Error) -> Self {
        Failure::Unwritten { path: path.to_owned(), cause }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Input(_) | Failure::File { .. } | Failure::Options(_) => 2,
            Failure::Journal(_) | Failure::OtherInput { .. } => 2,
            Failure::Interrupted { .. } => INTERRUPTED,
            _ => 1,
        })
    }
}

/// A failure of a job with or without this journal, as it is printed.
pub struct Told<'t>(pub &'t Failure, pub Option<&'t Path>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(failure, journal) = self;
        let read_before = |line: u64| read_before(line, *journal);
        match failure {
            Failure::Input(error) => writeln!(f, "error: {}", Chain(error)),
            Failure::File { path, cause } => {
                writeln!(f, "error: {}: the file cannot be created: {cause}", path.display())
            }
            Failure::Database(error) => {
                writeln!(f, "error: {}\nnothing was added", Chain(error))
            }
            Failure::Journal(error) => writeln!(f, "error: {}", Chain(error)),
            Failure::OtherInput { file, journal, rows } => {
                let journal = journal.display();
                writeln!(
                    f,
                    "error: {file}: its row {rows} is not the one up to which the run came whose journal is \
                     {journal}\nend that run first, with its own input, or give another --journal"
                )
            }
            Failure::NotCovered(error) => {
                writeln!(
                    f,
                    "error: {}\nthe next run goes on from the last checkpoint",
                    Chain(error)
                )
            }
            Failure::Stopped { line, error } => {
                writeln!(f, "error: line {line}: {}\n{}", Chain(error), read_before(*line))
            }
            Failure::Options(error) => writeln!(f, "error: {}", Chain(error)),
            Failure::Unreadable(error) => {
                let before = taken("the rows before it", *journal);
                writeln!(f, "error: {}\n{before}", Chain(error))
            }
            Failure::NotRefused { line, path, cause } => {
                let (path, before) = (path.display(), read_before(*line));
                writeln!(f, "error: {path}: the file cannot be written: {cause}\n{before}")
            }
            Failure::Interrupted { line } => writeln!(f, "interrupted: {}", read_before(*line)),
            Failure::NotSaved(error) => write_unsaved(f, error, *journal),
            Failure::Unwritten { path, cause } => {
                writeln!(f, "error: {}: the file cannot be written: {cause}", path.display())
            }
            Failure::Output(error) => {
                writeln!(f, "error: the summary cannot be printed: {error}")
            }
        }
    }
}

/// What became of rows, whether or not all of it could be saved.
fn taken(rows: &str, journal: Option<&Path>) -> String {
    match journal {
        None => format!(
            "{rows} are added, but for scorers that are named as not saved, and count twice if they are added \
             again"
        ),
        Some(journal) => format!(
            "{rows} are added; what is not saved is in the journal {}, from which the next run goes on",
            journal.display()
        ),
    }
}

fn read_before(line: u64, journal: Option<&Path>) -> String {
    taken(&format!("the rows before line {line}"), journal)
}

/// Names every scorer that was not saved, one a line.
fn write_unsaved(
    f: &mut fmt::Formatter<'_>,
    error: &FlushError,
    journal: Option<&Path>,
) -> fmt::Result {
    for failed in error.report().not_saved() {
        let (key, attempts) = (&failed.key, failed.attempts);
        write!(f, "not saved: {key} (attempts: {attempts}): {}", Chain(&failed.error))?;
        if failed.outcome == Outcome::OutcomeUnknown {
            write!(f, "; it may be in the table all the same")?;
        }
        writeln!(f)?;
    }
    writeln!(f, "error: {}\nall other scorers have what was added", Chain(error))?;
    match journal {
        Some(journal) => {
            let journal = journal.display();
            writeln!(
                f,
                "what is not saved is in the journal {journal}, from which the next run goes on"
            )
        }
        None => Ok(()),
    }
}

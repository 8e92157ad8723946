//! What the examples share: options that mean the same, where the data is, and how errors read.

pub mod options;

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::{fmt, future, io};

use memory_table::Database;

/// The database that `--endpoint` or `--db` names, else the embedded one in memory.
pub fn connect(
    endpoint: Option<&str>,
    path: Option<&Path>,
) -> Result<Database, memory_table::Error> {
    match (endpoint, path) {
        (Some(url), _) => Database::local(url),
        (None, Some(path)) => Database::embedded_at(path),
        (None, None) => Database::embedded(),
    }
}

/// Creates a file to be written, unless it would overwrite one that the job reads or writes.
pub fn create<'p>(
    path: &Path,
    others: impl IntoIterator<Item = Option<&'p Path>>,
) -> io::Result<File> {
    let same = |other: &Path| match (path.canonicalize(), other.canonicalize()) {
        (Ok(path), Ok(other)) => path == other,
        _ => path == other,
    };
    if others.into_iter().flatten().any(same) {
        return Err(io::Error::other("the job reads or writes this file already"));
    }
    File::create(path)
}

/// Ends when Ctrl-C is pressed.
pub async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // The signal cannot be listened for: then it ends the program as it always does.
        future::pending::<()>().await;
    }
}

/// An error with everything that led to it, on one line.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

//! Opening a database file, with errors that say what is wrong with the path.

use std::fs;
use std::io::Read;
use std::path::{self, Path, PathBuf};

use dynoxide::Database;

use super::BoxError;

/// What a SQLite file starts with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Opens or creates the file. SQLite reports most faults of a path as "unable to open database
/// file", or only at the first write, so they are looked for first.
pub(super) fn database(path: &Path) -> Result<Database, BoxError> {
    // Absolute, because SQLite takes an empty path and `:memory:` for databases without a file.
    let absolute = path::absolute(path).map_err(|error| refuse(path, &error.to_string()))?;
    check(&absolute).map_err(|fault| refuse(path, &fault))?;
    let Some(text) = absolute.to_str() else {
        return Err(refuse(path, "the path is not valid UTF-8"));
    };
    Database::new(text).map_err(|error| refuse(path, &explain(&error.to_string())))
}

fn refuse(path: &Path, fault: &str) -> BoxError {
    format!("cannot open the embedded database {}: {fault}", path.display()).into()
}

fn check(path: &Path) -> Result<(), String> {
    let directory = path.parent().unwrap_or(path);
    if path.is_dir() {
        return Err("it is a directory, not a file".to_owned());
    }
    if !directory.exists() {
        return Err(format!("the directory {} does not exist", directory.display()));
    }
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()));
    }
    if path.exists() {
        check_file(path)?;
    }
    check_writable(path, directory)
}

/// Refuses what is not a SQLite file. An empty file is a new database.
fn check_file(path: &Path) -> Result<(), String> {
    let mut start = Vec::with_capacity(MAGIC.len());
    fs::File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    if start.is_empty() || start == MAGIC {
        return Ok(());
    }
    Err("the file is not a SQLite database (or it is encrypted)".to_owned())
}

/// The permission bits only; what a file system refuses beyond them shows when SQLite opens the
/// file.
fn check_writable(path: &Path, directory: &Path) -> Result<(), String> {
    let read_only = |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().readonly());
    let places: [PathBuf; 2] = [path.to_owned(), directory.to_owned()];
    match places.iter().find(|place| read_only(place)) {
        Some(place) => Err(format!("{} is read-only", place.display())),
        None => Ok(()),
    }
}

/// SQLite's words in ours, in one line.
fn explain(error: &str) -> String {
    let error = error.lines().next().unwrap_or_default();
    let known = [
        ("readonly", "the file or its directory is read-only"),
        ("unable to open", "the file cannot be created or opened for writing"),
        ("database is locked", "another process holds it locked"),
        ("not a valid SQLite database", "the file is not a SQLite database (or it is encrypted)"),
    ];
    match known.iter().find(|(text, _)| error.contains(text)) {
        Some((_, ours)) => format!("{ours} ({error})"),
        None => error.to_owned(),
    }
}

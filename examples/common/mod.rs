//! What the examples share: options that mean the same, where the data is, and how errors read.

pub mod options;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use futures::FutureExt;
use memory_table::Database;
use tokio::sync::watch;

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
    // A file that is not there yet is told by its folder; hard links are one file.
    let same = |other: &Path| {
        let linked = same_file::is_same_file(path, other).unwrap_or_default();
        linked || whole(path) == whole(other)
    };
    if others.into_iter().flatten().any(same) {
        return Err(io::Error::other("the job reads or writes this file already"));
    }
    File::create(path)
}

/// The one path of a file, whether it exists or not.
fn whole(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return path.to_owned(),
    };
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

/// Whether Ctrl-C was pressed. The first asks the job to end, the second ends the program.
#[derive(Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on; until then Ctrl-C ends the program as it always does.
    pub fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        let mut first = Box::pin(tokio::signal::ctrl_c());
        // Polled once, it is listened for.
        let early = first.as_mut().now_or_never();
        tokio::spawn(async move {
            let pressed = match early {
                Some(pressed) => pressed,
                None => first.await,
            };
            if pressed.is_err() {
                // It cannot be listened for.
                return std::future::pending::<()>().await;
            }
            let _nobody_asks = sender.send(true);
            let second = tokio::signal::ctrl_c().await;
            if second.is_ok() {
                std::process::exit(INTERRUPTED.into());
            }
            // The sender stays, as who waits would be told otherwise.
            std::future::pending::<()>().await;
        });
        Self(receiver)
    }

    /// Ends when Ctrl-C was pressed.
    pub async fn pressed(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What a shell reports for a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

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

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

/// Opens a file to be written, unless it would overwrite one that the job reads or writes. What it has
/// stays until [`clear`].
pub fn create<'p>(
    path: &Path,
    others: impl IntoIterator<Item = Option<&'p Path>>,
) -> io::Result<File> {
    if others.into_iter().flatten().any(|other| is_same(path, other)) {
        return Err(io::Error::other("the job reads or writes this file already"));
    }
    File::options().write(true).create(true).truncate(false).open(path)
}

/// Drops what a file had before.
pub fn clear(file: &File) -> io::Result<()> {
    // A pipe or a device has no length.
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

/// The files of an embedded database: its own, and those that SQLite keeps beside it.
pub fn database_files(path: Option<&Path>) -> Vec<PathBuf> {
    let beside = |path: &Path| {
        ["", "-wal", "-shm", "-journal"].map(|suffix| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        })
    };
    path.map(beside).into_iter().flatten().collect()
}

/// Whether both are one file, be it that it is not there yet, or has two names. What is no file, such
/// as a device or a pipe, may be used twice.
fn is_same(path: &Path, other: &Path) -> bool {
    match (std::fs::metadata(path), std::fs::metadata(other)) {
        (Ok(one), _) | (_, Ok(one)) if !one.is_file() => false,
        // Opened to be compared, but only what is a file.
        (Ok(_), Ok(_)) => same_file::is_same_file(path, other).unwrap_or(true),
        _ => whole(path) == whole(other),
    }
}

/// The folder of a file.
pub fn folder(path: &Path) -> Option<&Path> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// The one path of a file, whether it exists or not.
fn whole(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // Links to what is not there yet; more of them than this are a circle.
    for _ in 0..40 {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map_or(target.clone(), |folder| folder.join(&target));
    }
    let Some(folder) = folder(&path) else { return path };
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or(path)
}

/// Whether Ctrl-C was pressed, or the program told to end by SIGTERM, as those who run containers and
/// services do. The first asks the job to end, the second ends the program.
#[derive(Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on; until then Ctrl-C ends the program as it always does.
    pub fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        let mut first = Box::pin(told_to_end());
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
            if told_to_end().await.is_ok() {
                std::process::exit(INTERRUPTED.into());
            }
            // The sender stays, as who waits would be told otherwise.
            std::future::pending::<()>().await;
        });
        Self(receiver)
    }

    /// Ends when Ctrl-C was pressed, or SIGTERM sent.
    pub async fn pressed(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Ends with Ctrl-C or SIGTERM.
async fn told_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = term.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
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

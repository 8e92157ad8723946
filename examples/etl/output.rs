//! What the job leaves beside the table: the rows that it refused, and what it cost.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use serde::Serialize;

use crate::common;
use crate::failure::Failure;
use crate::options::Options;
use crate::progress::Progress;

/// What the job did and what it cost, printed and written by `--json` under these names.
#[derive(Serialize, Debug, Default, Clone, PartialEq)]
pub struct Summary {
    /// Rows that were read, refused ones too.
    pub rows: u64,
    /// Rows that could not be added.
    pub refused: u64,
    /// Rows of those that a run before this one had done, whose journal this one goes on with.
    pub rows_before: u64,
    /// Scorers to whom something was added.
    pub scorers: u64,
    /// HTTP attempts that read items, retries included.
    pub read_requests: u64,
    /// HTTP attempts that wrote items, retries included.
    pub write_requests: u64,
    /// Items that the database returned.
    pub items_read: u64,
    /// Items that the database confirmed as written, each time it did.
    pub items_written: u64,
    /// Scorers whose totals are not known to be saved.
    pub items_failed: u64,
    /// How long the job took, from the start of the program.
    pub seconds: f64,
    /// Units that the service charged for reading.
    pub read_units: f64,
    /// Units that the service charged for writing.
    pub write_units: f64,
    /// How often another job had changed a scorer, and its totals were merged. Only printed.
    #[serde(skip)]
    pub merged: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rows            {} ({} refused)", self.rows, self.refused)?;
        if self.rows_before > 0 {
            writeln!(f, "rows before     {} (done by a run before)", self.rows_before)?;
        }
        writeln!(f, "scorers         {}", self.scorers)?;
        writeln!(f, "read requests   {} ({} items read)", self.read_requests, self.items_read)?;
        let Summary { write_requests, items_written, .. } = self;
        writeln!(f, "write requests  {write_requests} ({items_written} items written)")?;
        writeln!(f, "read units      {}", self.read_units)?;
        writeln!(f, "write units     {}", self.write_units)?;
        if self.merged > 0 {
            writeln!(f, "conflicts       {} (merged)", self.merged)?;
        }
        writeln!(f, "seconds         {:.2}", self.seconds)
    }
}

/// Where it all goes.
pub struct Output {
    pub summary: Summary,
    refused: Option<(PathBuf, csv::Writer<File>)>,
    json: Option<(PathBuf, File)>,
}

impl Output {
    /// Opens the files, so that none is missing after hours of work.
    pub fn open(options: &Options) -> Result<Self, Failure> {
        let database = common::database_files(options.db.as_deref());
        let create = |path: &Path, other: Option<&Path>| {
            let inputs = [options.goals.as_deref(), options.journal.as_deref()];
            let others = inputs.into_iter().chain([other]);
            let others = others.chain(database.iter().map(|file| Some(file.as_path())));
            common::create(path, others)
                .map_err(|cause| Failure::File { path: path.to_owned(), cause })
        };
        let refused = options.refused.as_ref().map(|path| {
            let rows = csv::WriterBuilder::new().flexible(true).from_writer(create(path, None)?);
            Ok((path.clone(), rows))
        });
        let json = options
            .json
            .as_ref()
            .map(|path| Ok((path.clone(), create(path, options.refused.as_deref())?)));
        Ok(Self {
            summary: Summary::default(),
            refused: refused.transpose()?,
            json: json.transpose()?,
        })
    }

    /// The job begins: the figures are not needed any more, nor the rows that were refused after it was as far
    /// as it is now.
    pub fn begin(&mut self, header: &ByteRecord, before: &Progress) -> Result<(), Failure> {
        (self.summary.rows, self.summary.refused) = (before.rows, before.refused);
        self.summary.rows_before = before.rows;
        if let Some((path, file)) = &self.json {
            common::clear(file).map_err(|cause| Failure::unwritten(path, cause))?;
        }
        let Some((path, rows)) = &mut self.refused else { return Ok(()) };
        let has_those = before.refused_bytes > 0 && length(rows.get_ref()) >= before.refused_bytes;
        if has_those {
            let mut file = rows.get_ref();
            let cut = file.set_len(before.refused_bytes);
            let at_the_end = cut.and_then(|()| file.seek(SeekFrom::End(0)));
            return at_the_end.map(drop).map_err(|cause| Failure::unwritten(path, cause));
        }
        let cleared = common::clear(rows.get_ref());
        let written = cleared.and_then(|()| {
            rows.write_record(row(b"line", b"reason", header))?;
            rows.flush()
        });
        written.map_err(|cause| Failure::unwritten(path, cause))
    }

    /// Sets a row aside.
    pub fn refuse(&mut self, line: u64, reason: &str, fields: &ByteRecord) -> Result<(), Failure> {
        self.summary.refused += 1;
        let Some((path, rows)) = &mut self.refused else {
            return Ok(());
        };
        let text = line.to_string();
        // Each at once: a row that is set aside is in the file when the next one is added.
        let written = rows.write_record(row(text.as_bytes(), reason.as_bytes(), fields));
        let written = written.map_err(io::Error::from).and_then(|()| rows.flush());
        let Err(cause) = written else { return Ok(()) };
        let path = path.clone();
        self.refused = None;
        Err(Failure::NotRefused { line, path, cause })
    }

    /// Bytes of the file of refused rows.
    pub fn refused_bytes(&self) -> u64 {
        self.refused.as_ref().map_or(0, |(_, rows)| length(rows.get_ref()))
    }

    /// Ends the files, and prints the summary if the job went well.
    pub fn finish(self, went_well: bool) -> Vec<Failure> {
        let mut failures = Vec::new();
        if let Some((path, mut rows)) = self.refused {
            failures.extend(rows.flush().err().map(|cause| Failure::unwritten(&path, cause)));
        }
        if let Some((path, mut file)) = self.json {
            let text = serde_json::to_string(&self.summary).map_err(io::Error::from);
            let cleared = common::clear(&file).and(text);
            let written = cleared.and_then(|text| writeln!(file, "{text}"));
            failures.extend(written.err().map(|cause| Failure::unwritten(&path, cause)));
        }
        if went_well {
            failures.extend(print(&self.summary.to_string()).err().map(Failure::Output));
        }
        failures
    }
}

/// Bytes of a file; a pipe or a device has none.
fn length(file: &File) -> u64 {
    file.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |it| it.len())
}

fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// A row of the file of refused rows.
fn row<'r>(
    line: &'r [u8],
    reason: &'r [u8],
    fields: &'r ByteRecord,
) -> impl Iterator<Item = &'r [u8]> {
    [line, reason].into_iter().chain(fields)
}

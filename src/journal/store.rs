//! The rows of a journal on disk: in a redb database, whole transactions at a time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError,
};

use super::Durability;
use super::damage::Damaged;
use super::disk::Disk;
use super::header::{FORMAT, Header};
use crate::error::{BoxError, Error, ErrorKind};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const HEADER: &str = "header";
const CURSOR: &str = "cursor";

/// Pages that are kept in memory. A journal is written far more than read.
const CACHE: usize = 32 * 1024 * 1024;
/// What a file may have that nothing is in before it is made smaller.
const SLACK: u64 = 2 * 1024 * 1024;

/// Why a journal was not opened.
#[derive(Debug)]
pub(super) struct Unopened {
    pub(super) error: Error,
    /// What is there cannot be what was written.
    pub(super) is_damaged: bool,
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Self {
        Self { error, is_damaged: false }
    }
}

/// A row as it is stored: the key's bytes, and the rest.
pub(super) type Stored = (Vec<u8>, Vec<u8>);

/// What is in a journal.
#[derive(Default)]
pub(super) struct Content {
    pub(super) rows: Vec<Stored>,
    /// What the job said of the last checkpoint, as JSON.
    pub(super) cursor: Option<Vec<u8>>,
}

/// A journal that was opened, and what was in it.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) content: Content,
}

/// An open journal, which no other process can open.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    path: Arc<Path>,
    /// Bytes of the rows.
    live: u64,
    /// Bytes that were written since the file was last made smaller.
    written: u64,
}

impl Store {
    /// Opens the journal of a table, or makes it.
    pub(super) fn open(
        path: &Arc<Path>,
        durability: Durability,
        expected: &Header,
    ) -> Result<Opened, Unopened> {
        let is_synced = durability != Durability::Os;
        if !path.exists() {
            make(path, is_synced, expected)?;
        }
        let database = database(path, existing(path)?, is_synced, true)?;
        match header(path, &database)? {
            Some(found) => check(path, &found, expected)?,
            // An empty file, or one that somebody began to make a journal of.
            None if has_nothing(path, &database)? => write_header(path, &database, expected)?,
            None => return Err(damaged(path, Damaged::new("it has no header"))),
        }
        if is_synced {
            // Whoever made it may have died before that, or was not to survive the machine's death.
            sync_directory(path).map_err(|why| unopened(path, why))?;
        }
        let content = content(path, &database)?;
        let live = content.rows.iter().map(|(key, row)| bytes(key.len() + row.len())).sum();
        let store = Self { database, path: Arc::clone(path), live, written: 0 };
        Ok(Opened { store, content })
    }

    /// As [`open`](Self::open), of a journal that is damaged: what is readable goes into a new one, and the
    /// damaged one stays beside it under the name that is returned. Until the new one is whole the damaged one
    /// has its name.
    pub(super) fn salvage(
        path: &Arc<Path>,
        durability: Durability,
        expected: &Header,
        is_row: impl Fn(&[u8]) -> bool,
    ) -> Result<(Opened, PathBuf), Unopened> {
        let mut content = readable(path, expected)?;
        content.rows.retain(|(_, row)| is_row(row));
        let new: Arc<Path> = beside(path).into();
        let copied = copy(&new, expected, &content).and_then(|()| put_aside(path, &new));
        let aside = copied.inspect_err(|_| drop(std::fs::remove_file(&new)))?;
        Ok((Self::open(path, durability, expected)?, aside))
    }

    /// Writes rows, and removes those that are `None`, and a cursor if there is a new one: all, or on an error
    /// perhaps none.
    pub(super) fn write<'r>(
        &mut self,
        rows: impl Iterator<Item = (&'r [u8], Option<Vec<u8>>)>,
        cursor: Option<&[u8]>,
    ) -> Result<(), Error> {
        let write = || -> Result<(u64, u64, u64), redb::Error> {
            let (mut came, mut went, mut all) = (0, 0, 0);
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for (key, row) in rows {
                    all += bytes(key.len() + row.as_ref().map_or(0, Vec::len));
                    let old = match &row {
                        Some(row) => table.insert(key, row.as_slice())?,
                        None => table.remove(key)?,
                    };
                    let old = old.map(|old| old.value().len());
                    went += old.map_or(0, |old| bytes(key.len() + old));
                    came += row.map_or(0, |row| bytes(key.len() + row.len()));
                }
            }
            if let Some(cursor) = cursor {
                transaction.open_table(META)?.insert(CURSOR, cursor)?;
                all += bytes(cursor.len());
            }
            transaction.commit()?;
            Ok((came, went, all))
        };
        // redb panics where a file was changed beneath it.
        let written = catch_unwind(AssertUnwindSafe(write));
        let (came, went, all) = match written {
            Ok(written) => written.map_err(|why| unwritten(&self.path, why))?,
            Err(_) => return Err(unwritten(&self.path, Damaged::new("the store panicked"))),
        };
        self.live = (self.live + came).saturating_sub(went);
        self.written += all;
        Ok(())
    }

    /// Whether the file has so much more than what is in it that making it smaller is worth the time.
    pub(super) fn is_wasteful(&self) -> bool {
        let Ok(length) = std::fs::metadata(&*self.path).map(|data| data.len()) else {
            return false;
        };
        let is_empty = self.live == 0 && length > SLACK / 8;
        let is_large = length > 2 * self.live + SLACK;
        // What was written pays for it.
        is_empty || (is_large && self.written >= length)
    }

    /// Makes the file smaller, where nothing is in it.
    pub(super) fn compact(&mut self) -> Result<(), Error> {
        self.written = 0;
        match catch_unwind(AssertUnwindSafe(|| self.database.compact())) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(unwritten(&self.path, why)),
            Err(_) => Err(unwritten(&self.path, Damaged::new("the store panicked"))),
        }
    }
}

/// What is in a journal, whosever it is.
pub(super) fn read(path: &Arc<Path>) -> Result<(Header, Content), Unopened> {
    let file = existing(path)?;
    // Opening an empty file would make a database of it.
    if file.metadata().is_ok_and(|data| data.len() == 0) {
        return Err(damaged(path, Damaged::new("it is empty")));
    }
    let database = database(path, file, true, true)?;
    let no_header = || damaged(path, Damaged::new("it has no header"));
    let header = header(path, &database)?.ok_or_else(no_header)?;
    check_format(path, &header)?;
    Ok((header, content(path, &database)?))
}

/// The file of a journal that is there.
fn existing(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map_err(|why| unopened(path, why))
}

/// Makes an empty journal, which is there whole or not at all, whatever happens meanwhile. Where another one made
/// it first, that is it.
fn make(path: &Path, is_synced: bool, header: &Header) -> Result<(), Unopened> {
    let aside = beside(path);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&aside);
    let file = file.map_err(|why| unopened(path, why))?;
    let made = database(&aside, file, is_synced, false)
        .and_then(|database| Ok(write_header(path, &database, header)?))
        .and_then(|()| match std::fs::hard_link(&aside, path) {
            // Not every file system has links.
            Err(why) if why.kind() != std::io::ErrorKind::AlreadyExists => {
                std::fs::rename(&aside, path).map_err(|_| unopened(path, why).into())
            }
            _ => Ok(()),
        });
    // It has two names now, or is of no use.
    let _renamed = std::fs::remove_file(&aside);
    made
}

fn database(
    path: &Path,
    file: File,
    is_synced: bool,
    is_checked: bool,
) -> Result<Database, Unopened> {
    let open = || {
        let disk = Disk::new(file, is_synced)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(is_checked);
        builder.create_with_backend(disk)
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
            let text = format!("the journal `{}` is open elsewhere", path.display());
            Err(Error::new(ErrorKind::Journal, text)
                .advise("one memory table of one process has a journal; give each its own path")
                .caused_by(DatabaseError::DatabaseAlreadyOpen)
                .into())
        }
        Ok(Err(DatabaseError::Storage(StorageError::Io(why))))
            if why.kind() != std::io::ErrorKind::InvalidData =>
        {
            Err(unopened(path, why).into())
        }
        Ok(Err(why)) => Err(damaged(path, why)),
        Err(_) => Err(damaged(path, Damaged::new("the store panicked as it opened it"))),
    }
}

fn header(path: &Path, database: &Database) -> Result<Option<Header>, Unopened> {
    let Some(header) = guarded(path, || meta(database, HEADER))? else { return Ok(None) };
    serde_json::from_slice(&header).map(Some).map_err(|why| damaged(path, why))
}

/// Whether nothing was ever written to it.
fn has_nothing(path: &Path, database: &Database) -> Result<bool, Unopened> {
    guarded(path, || Ok(database.begin_read()?.list_tables()?.next().is_none()))
}

/// What is beside the rows under a name.
fn meta(database: &Database, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(table?.get(name)?.map(|value| value.value().to_vec())),
    }
}

fn write_header(path: &Path, database: &Database, header: &Header) -> Result<(), Error> {
    let json = serde_json::to_vec(header).map_err(|why| unwritten(path, why))?;
    let write = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert(HEADER, json.as_slice())?;
        transaction.open_table(ROWS)?;
        Ok(transaction.commit()?)
    };
    write().map_err(|why| unwritten(path, why))
}

fn check(path: &Path, found: &Header, expected: &Header) -> Result<(), Error> {
    check_format(path, found)?;
    let Some(why) = found.differs_from(expected) else { return Ok(()) };
    let text = format!("the journal `{}` is not this table's: {why}", path.display());
    Err(Error::new(ErrorKind::Journal, text)
        .advise("give each table a journal of its own, and open one with the record that made it"))
}

fn check_format(path: &Path, found: &Header) -> Result<(), Error> {
    if found.format <= FORMAT {
        return Ok(());
    }
    let (path, by) = (path.display(), &found.by);
    let text = format!("the journal `{path}` was written by memory-table {by}, which is newer");
    Err(Error::new(ErrorKind::Journal, text).advise("open it with that release or a newer one"))
}

fn content(path: &Path, database: &Database) -> Result<Content, Unopened> {
    let read = || -> Result<Content, redb::Error> {
        let transaction = database.begin_read()?;
        let table = transaction.open_table(ROWS)?;
        let mut rows = Vec::new();
        for row in table.iter()? {
            let (key, row) = row?;
            rows.push((key.value().to_vec(), row.value().to_vec()));
        }
        Ok(Content { rows, cursor: meta(database, CURSOR)? })
    };
    guarded(path, read)
}

/// What can be read of a damaged journal.
fn readable(path: &Arc<Path>, expected: &Header) -> Result<Content, Unopened> {
    let file = existing(path)?;
    let database = match database(path, file, false, false) {
        Ok(database) => database,
        Err(why) if why.is_damaged => return Ok(Content::default()),
        Err(why) => return Err(why),
    };
    if let Ok(Some(found)) = header(path, &database) {
        check(path, &found, expected)?;
    }
    let mut rows = BTreeMap::new();
    // Up to the first that is not readable, from either end. redb panics where it did not expect damage.
    for from_end in [false, true] {
        let read = || read_rows(&database, from_end, |key, row| drop(rows.insert(key, row)));
        let _ended = catch_unwind(AssertUnwindSafe(read));
    }
    let rows = rows.into_iter().collect();
    let cursor = guarded(path, || meta(&database, CURSOR)).ok().flatten();
    Ok(Content { rows, cursor })
}

/// Reads the rows in the order of their keys, or the other way round, up to the first that cannot be read.
fn read_rows(
    database: &Database,
    from_end: bool,
    mut found: impl FnMut(Vec<u8>, Vec<u8>),
) -> Result<(), redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let mut rows = table.iter()?;
    while let Some(row) = if from_end { rows.next_back() } else { rows.next() } {
        let (key, row) = row?;
        found(key.value().to_vec(), row.value().to_vec());
    }
    Ok(())
}

/// Makes a journal with this in it, synced.
fn copy(path: &Arc<Path>, header: &Header, content: &Content) -> Result<(), Unopened> {
    let Opened { mut store, .. } = Store::open(path, Durability::Fsync, header)?;
    let rows = content.rows.iter().map(|(key, row)| (&**key, Some(row.clone())));
    Ok(store.write(rows, content.cursor.as_deref())?)
}

/// Gives a journal's name to a new file, and another one to the old file.
fn put_aside(path: &Path, new: &Path) -> Result<PathBuf, Unopened> {
    let aside = aside(path);
    let put = || {
        // Not every file system has links.
        std::fs::hard_link(path, &aside).or_else(|_| std::fs::copy(path, &aside).map(drop))?;
        std::fs::rename(new, path)?;
        sync_directory(path)
    };
    put().map_err(|why| unopened(path, why))?;
    Ok(aside)
}

/// A name for what is to become a journal.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{:016x}", fastrand::u64(..)));
    name.into()
}

/// A name beside a journal that no file has.
fn aside(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    (1..u32::MAX).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(0))
}

/// Reads what may be damaged; redb panics where a file was changed.
fn guarded<R>(path: &Path, read: impl FnOnce() -> Result<R, redb::Error>) -> Result<R, Unopened> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(redb::Error::Io(why))) => Err(unopened(path, why).into()),
        Ok(Err(why)) => Err(damaged(path, why)),
        Err(_) => Err(damaged(path, Damaged::new("the store panicked as it read it"))),
    }
}

/// A new file is there after the machine died only if its directory was written.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    // Other systems have no such thing.
    if cfg!(unix) { File::open(directory.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn unopened(path: &Path, why: impl Into<BoxError>) -> Error {
    let text = format!("the journal `{}` cannot be opened", path.display());
    Error::new(ErrorKind::Journal, text)
        .advise("give a path in a directory that exists and may be written")
        .caused_by(why)
}

fn unwritten(path: &Path, why: impl Into<BoxError>) -> Error {
    let text = format!("the journal `{}` cannot be written", path.display());
    Error::new(ErrorKind::Journal, text)
        .advise(
            "no change is taken any more; `flush` what is unsaved, free space or mend the disk, and begin \
             anew with a new memory table",
        )
        .caused_by(why)
}

pub(super) fn damaged(path: &Path, why: impl Into<BoxError>) -> Unopened {
    let text = format!("`{}` is no journal, or is damaged", path.display());
    let error = Error::new(ErrorKind::Journal, text)
        .advise(
            "restore the file, or open it with `salvage_journal`, which keeps what is readable and puts the \
             damaged file aside",
        )
        .caused_by(why);
    Unopened { error, is_damaged: true }
}

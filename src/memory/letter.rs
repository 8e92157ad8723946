//! Dead letters: how a job ends that cannot wait until everything is saved.

use std::collections::HashMap;
use std::io::{BufRead, Write};

use serde_json::value::RawValue;

use super::journal::{Restored, State};
use super::{MemoryTable, Shared};
use crate::codec::{item_key, key_json};
use crate::error::{Error, ErrorKind};
use crate::journal::{Line, raw};
use crate::key::Key;
use crate::record::Record;
use crate::write::{FlushError, FlushReport};

impl<T: Record> MemoryTable<T> {
    /// As [`close`](Self::close), for jobs that must end: what could not be saved is written to a dead letter,
    /// out of the table, and out of its journal. The report lists it as failed or parked.
    ///
    /// A change is a line of JSON: that of a put is `{"Item":{...}}` with the item as DynamoDB's JSON, as in the
    /// service's own exports, and that of a delete is `{"Delete":{"Key":{...}}}`. What is guarded, written field
    /// by field or only incremented has `"Unsaved"` too: what was known to be stored, and under which token it
    /// may have been sent. [`import`](Self::import) reads them back. The letter has the records: keep it as you
    /// keep those. Writing it blocks; it is for what is little.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use memory_table::testing::{Fault, Faults};
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] name: String, wins: u32 }
    /// # let (database, faults) = Faults::around(&Database::embedded()?);
    /// # let players = database.table::<Player>();
    /// # players.create_if_missing().await?;
    /// let memory = MemoryTable::builder(players.clone()).patience(Duration::ZERO).build()?;
    /// memory.put(Player { name: "ada".into(), wins: 7 }).await?;
    /// faults.next("BatchWriteItem", Fault::connection_refused());
    /// let mut letter = Vec::new();
    /// let report = memory.close_to(&mut letter).await?;
    /// assert_eq!((report.written, report.failed.len()), (0, 1));
    /// assert_eq!(letter, b"{\"Item\":{\"name\":{\"S\":\"ada\"},\"wins\":{\"N\":\"7\"}}}\n");
    ///
    /// let later = MemoryTable::new(players.clone());
    /// assert_eq!(later.import(&*letter).await?, 1);
    /// later.close().await?;
    /// assert_eq!(players.get("ada").await?.map(|ada| ada.wins), Some(7));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If the letter cannot be written, with its error as the source of the [cause](FlushError::cause), of kind
    /// [`ErrorKind::Unsaved`]: the table is open again, and what is not saved is unsaved. If then the journal
    /// cannot be written, of kind [`ErrorKind::Journal`]: the letter and the journal both have it. Where there
    /// are checkpoints, as for [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the flush goes on, and the table is open again; or it is closed, and the letter is whole.
    pub async fn close_to<W: Write>(&self, mut writer: W) -> Result<FlushReport, FlushError> {
        let shared = &self.shared;
        let closing = shared.closed.begin();
        // Locks each shard once: a change that saw the table open is published now.
        let _published = shared.slots.unsaved_keys(0);
        let report = match self.flush().await {
            Ok(report) => report,
            Err(error) => error.into_report(),
        };
        shared.check_covered(&report)?;
        let written = shared.between_flushes(|| shared.write_letter(&mut writer)).await;
        let unwritten =
            |why: Error| FlushError::new(vec![shared.table.shown_name()], report.clone(), why);
        written.map_err(unwritten)?;
        closing.succeed();
        shared.slots.recorder.until_now().await.map_err(|why| unwritten(shared.place(why)))?;
        Ok(report)
    }

    /// Takes in the changes of a dead letter, which [`close_to`](Self::close_to) wrote: they are unsaved, as they
    /// were, and go with the next flush. Returns how many there were. All are taken in, or none.
    ///
    /// A line with an `Item` alone, as in exports of the service, is one that replaces whatever is stored. With
    /// a journal they are in it when this returns, where there are checkpoints too. Reading blocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidItem`] for a line that is no change of this table's records, which it names;
    /// [`ErrorKind::Unsaved`] for a change of a record that is unsaved here; else as for [`put`](Self::put).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the changes are taken in or they are not.
    pub async fn import<R: BufRead>(&self, reader: R) -> Result<usize, Error> {
        let shared = &self.shared;
        let place = |error: Error| shared.place(error.during("import"));
        shared.check_open()?;
        let changes = read_letter::<T>(reader).map_err(place)?;
        let keys: Vec<Key> = changes.iter().map(|change| change.key().clone()).collect();
        let turns = self.turns_of(&keys).await;
        for key in &keys {
            if !turns.contains_key(key) {
                return Err(place(super::turn::reentrant(key)));
            }
            shared.check_import(key).map_err(place)?;
        }
        let count = changes.len();
        shared.take_in(changes).await.map_err(place)?;
        drop(turns);
        shared.after_change();
        Ok(count)
    }
}

impl<T: Record> Shared<T> {
    /// Writes what is unsaved, and forgets it. Nothing is in flight.
    fn write_letter(&self, writer: &mut impl Write) -> Result<(), Error> {
        let keys = self.slots.unsaved_keys(u64::MAX);
        for key in &keys {
            let state = {
                let mut locked = self.slots.lock(key.as_bytes());
                locked.find(key.as_bytes()).and_then(|slot| State::of(slot, self.options.mode))
            };
            let Some(state) = state else { continue };
            let unwritten = |why| self.place(unwritten().caused_by_any(Some(why))).on_key(key);
            let mut line = state.row().and_then(|row| Ok(serde_json::to_vec(&Line::of(row))?));
            if let Ok(line) = &mut line {
                line.push(b'\n');
            }
            let line = line.map_err(unwritten)?;
            writer.write_all(&line).map_err(|why| unwritten(why.into()))?;
        }
        writer.flush().map_err(|why| self.place(unwritten().caused_by(why)))?;
        for key in &keys {
            let _forgotten = self.forget(key);
        }
        Ok(())
    }

    fn check_import(&self, key: &Key) -> Result<(), Error> {
        let mut locked = self.slots.lock(key.as_bytes());
        self.check_change(&mut locked, key)?;
        let is_unsaved = locked.find(key.as_bytes()).is_some_and(|slot| slot.unsaved.is_some());
        if is_unsaved {
            let error = Error::new(ErrorKind::Unsaved, "the record has an unsaved change already");
            return Err(error.on_key(key).advise("`flush` or `discard` it, then import"));
        }
        Ok(())
    }
}

fn unwritten() -> Error {
    Error::new(ErrorKind::Unsaved, "the dead letter cannot be written")
        .advise("nothing is lost: the table is open again, and what is not saved is unsaved")
}

/// The changes of a letter, all of which fit.
fn read_letter<T: Record>(mut reader: impl BufRead) -> Result<Vec<Restored<T>>, Error> {
    let (mut changes, mut text) = (Vec::<Restored<T>>::new(), Vec::new());
    let mut lines = HashMap::new();
    for number in 1_u64.. {
        text.clear();
        let of_line = |kind, text: &str| Error::new(kind, format!("line {number}: {text}"));
        let unread = |why| of_line(ErrorKind::InvalidItem, "it cannot be read").caused_by(why);
        if reader.read_until(b'\n', &mut text).map_err(unread)? == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let misfit = || {
            let text = "it is no change of a record of this table";
            of_line(ErrorKind::InvalidItem, text)
                .advise("nothing was taken in; import what `close_to` wrote for this table")
        };
        let change = change_of(&text).ok_or_else(misfit)?;
        let change = change.map_err(|why| misfit().caused_by(why))?;
        if let Some(before) = lines.insert(change.key().clone(), number) {
            let text = format!("line {before} has a change of the same record");
            return Err(of_line(ErrorKind::InvalidItem, &text).on_key(change.key()).advise(
                "nothing was taken in; import letters one after the other, with a `flush` between",
            ));
        }
        changes.push(change);
    }
    Ok(changes)
}

/// What a line says, read into its type.
fn change_of<T: Record>(line: &[u8]) -> Option<Result<Restored<T>, Error>> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let attributes = line.key()?.get().as_bytes();
    let key = item_key(attributes, T::PARTITION_KEY, T::SORT_KEY)?;
    let own: Box<RawValue> = raw(key_json::<T>(&key)).ok()?;
    Some(Restored::of(&key, line.into_row(own)?))
}

//! Records that come as a stream, put one after the other as there is room for them.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::{BoxFuture, FutureExt};
use futures::{Sink, Stream, StreamExt};

use super::MemoryTable;
use crate::error::Error;
use crate::record::Record;
use crate::write::{FlushError, FlushReport};

impl<T: Record> MemoryTable<T> {
    /// Puts every record of a stream, each as [`put`](Self::put) does, and returns how many there were.
    ///
    /// With a limit of what may be [unsaved](crate::MemoryTableBuilder::max_unsaved_records) the stream
    /// is read only as fast as flushes in the background make room, however long it is. Afterwards what
    /// is not saved yet is unsaved: [`flush`](Self::flush).
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "readings")]
    /// # struct Reading { #[record(partition_key)] sensor: u32, value: f64 }
    /// # let readings = Database::embedded()?.table::<Reading>();
    /// # readings.create_if_missing().await?;
    /// let memory = MemoryTable::builder(readings.clone()).max_unsaved_records(100).build()?;
    /// let measured = futures::stream::iter((0..1_000).map(|sensor| Reading { sensor, value: 0.5 }));
    /// assert_eq!(memory.put_all(measured).await?, 1_000);
    /// memory.close().await?;
    /// assert_eq!(readings.scan().consistent().count().await?, 1_000);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put), of the first record that is refused, whose key it names. Those before
    /// it are put, and the stream is read no further; [`sink`](Self::sink) goes on after an error.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the records that were taken from the stream are put, but perhaps for the last.
    pub async fn put_all(&self, records: impl Stream<Item = T>) -> Result<u64, Error> {
        let mut records = std::pin::pin!(records);
        let mut count = 0;
        while let Some(record) = records.next().await {
            self.put(record).await?;
            count += 1;
        }
        Ok(count)
    }

    /// A [`Sink`] of records, for streams that are `forward`ed: each is [put](Self::put) as there is
    /// room for it, and closing the sink flushes the table.
    ///
    /// Flushing the sink only means that all its records are in memory, unsaved: a stream that pauses
    /// flushes its sink, and requests for a few records each would cost more than they save. A `forward`
    /// that ends with an error does not close it: what came before is unsaved until
    /// [`flush`](Self::flush).
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{StreamExt, stream};
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "readings")]
    /// # struct Reading { #[record(partition_key)] sensor: u32, value: f64 }
    /// # let readings = Database::embedded()?.table::<Reading>();
    /// # readings.create_if_missing().await?;
    /// let memory = MemoryTable::new(readings.clone());
    /// let measured = stream::iter((0..100).map(|sensor| Reading { sensor, value: 0.5 }));
    /// measured.map(Ok).forward(memory.sink()).await?;
    /// assert_eq!(readings.scan().consistent().count().await?, 100);
    /// # Ok(()) }
    /// ```
    #[must_use = "sinks do nothing unless something is sent to them"]
    pub fn sink(&self) -> PutSink<T> {
        PutSink { memory: self.clone(), putting: None, closing: None, report: None }
    }
}

/// Puts what it is sent, see [`MemoryTable::sink`].
///
/// After an error it can be used on: the record that was refused is not put, all others are.
///
/// # Cancel safety
///
/// Dropped, what was sent is put, but perhaps for the last record; nothing is flushed.
pub struct PutSink<T: Record> {
    memory: MemoryTable<T>,
    /// The record that was sent last, while it waits for room.
    putting: Option<BoxFuture<'static, Result<(), Error>>>,
    /// The flush at the end.
    closing: Option<BoxFuture<'static, Result<FlushReport, FlushError>>>,
    report: Option<FlushReport>,
}

impl<T: Record> PutSink<T> {
    /// The report of the flush with which the sink was closed.
    pub const fn report(&self) -> Option<&FlushReport> {
        self.report.as_ref()
    }

    fn poll_put(&mut self, context: &mut Context<'_>) -> Poll<Result<(), FeedError>> {
        if let Some(putting) = &mut self.putting {
            let put = ready!(putting.poll_unpin(context));
            self.putting = None;
            put.map_err(FeedError::Put)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Record> fmt::Debug for PutSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutSink").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<T: Record> Sink<T> for PutSink<T> {
    type Error = FeedError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FeedError>> {
        self.poll_put(context)
    }

    fn start_send(mut self: Pin<&mut Self>, record: T) -> Result<(), FeedError> {
        let memory = self.memory.clone();
        self.putting = Some(async move { memory.put(record).await }.boxed());
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FeedError>> {
        self.poll_put(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FeedError>> {
        ready!(self.poll_put(context))?;
        let memory = self.memory.clone();
        let closing =
            self.closing.get_or_insert_with(|| async move { memory.flush().await }.boxed());
        let flushed = ready!(closing.poll_unpin(context));
        self.closing = None;
        self.report = Some(flushed.map_err(FeedError::Flush)?);
        Poll::Ready(Ok(()))
    }
}

/// Why a [sink](MemoryTable::sink) failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FeedError {
    /// A record was not put; the error names its key.
    Put(Error),
    /// The flush at the end did not save everything; what it did not save is unsaved in the table.
    Flush(FlushError),
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(error) => error.fmt(f),
            Self::Flush(error) => error.fmt(f),
        }
    }
}

impl StdError for FeedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Put(error) => error.source(),
            Self::Flush(error) => error.source(),
        }
    }
}

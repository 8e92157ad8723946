//! Queries and scans that see unsaved changes.
//!
//! Before the first request it is noted what is unsaved. What the database returns is replaced by what
//! the slots have, and what it cannot return is added: in a query in its place by the sort key, in a
//! scan at the end. So each record comes once, whatever is flushed meanwhile. (Only an index may have a
//! record at two places while its keys there change.)

mod added;
mod candidates;
mod order;
mod reading;
mod seen;

use std::sync::Arc;

use futures::stream::{self, StreamExt};

use super::{MemoryTable, Shared};
use crate::index::Index;
use crate::key::{AttributeLookup, QueryShape};
use crate::record::Record;
use crate::table::{Cached, Overlay, Query, RawPages, Reader, Scan};
use reading::Seeing;

impl<T: Record> MemoryTable<T> {
    /// The records of a partition, in the order of their sort keys, unsaved changes included: what is put
    /// comes in its place, what is deleted does not, and what is changed comes as it is here. A filter
    /// holds for what is stored, as on the table, and for the item that is to be where that is unsaved.
    ///
    /// It is a query of the table with the same options and ends, which returns records as
    /// [`get`](Self::get) does: those that are in memory as they are there, and what it reads is cached.
    /// A change made while it runs may be seen or not, and of a [`rekey`](Self::rekey) each half. Reads are
    /// consistent unless [loads are not](crate::MemoryTableBuilder::eventually_consistent_loads).
    /// [`count`](crate::Query::count) reads whole records, as all other ends do.
    ///
    /// Dropped, it has read what it has read, which stays in the cache; nothing is changed.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_table::Error> {
    /// # use memory_table::{Database, MemoryTable, Record};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Record, Serialize, Deserialize, Clone)]
    /// # #[record(table = "players")]
    /// # struct Player { #[record(partition_key)] game: String, #[record(sort_key)] name: String }
    /// # let players = Database::embedded()?.table::<Player>();
    /// # players.create_if_missing().await?;
    /// # let player = |name: &str| Player { game: "chess".into(), name: name.into() };
    /// for name in ["ada", "eve"] {
    ///     players.put(&player(name)).await?;
    /// }
    /// let memory = MemoryTable::new(players);
    /// memory.put(player("bob")).await?;
    /// memory.delete(("chess", "eve")).await?;
    /// let found = memory.query("chess").all().await?;
    /// assert_eq!(found.iter().map(|player| &*player.name).collect::<Vec<_>>(), ["ada", "bob"]);
    /// # Ok(()) }
    /// ```
    pub fn query(
        &self,
        partition: impl AttributeLookup<<T::Key as QueryShape>::Partition>,
    ) -> Query<T, T::Key, Cached> {
        self.shared.own_table().query(partition).seen_by(self.overlay())
    }

    /// All records, in no order, unsaved changes included: those that the database does not return come
    /// last. As [`query`](Self::query) otherwise.
    ///
    /// While anything is unsaved the service does not apply the filter, since what it leaves out may meet
    /// it here: all items are sent, and cached up to the [capacity](crate::MemoryTableBuilder::capacity_records).
    /// Where that is too much, [`flush`](Self::flush) before, or scan the [table](Self::table).
    ///
    /// With [`segment`](crate::Scan::segment) what is new here comes with one of the segments. A scan that
    /// is read segment by segment, or [resumed](crate::Scan::resume), has each record once as long as
    /// nothing is saved in between: what is flushed then may lie in a part that was read before.
    pub fn scan(&self) -> Scan<T, Cached> {
        self.shared.own_table().scan().seen_by(self.overlay())
    }

    /// An index of the table, whose queries and scans see unsaved changes:
    /// `memory.index(Store::INDEXES.by_company).query("acme")`.
    ///
    /// The index says which records there are, and they are looked up by their keys unless they are in
    /// memory, 100 a request: an index lags behind, and need not have all attributes. What this table
    /// saved in the last seconds is seen too, though the index may not have it yet; a query holds it, also
    /// beyond the capacity of the memory table. (In a read that is resumed or by segments that cannot be told
    /// from what has come, so there only the index says.) Each query and each page that is resumed looks at
    /// all that is unsaved or was saved in the last 5 s, and loads what of that is not in memory.
    ///
    /// The index moves an item when its attribute that is the index's key is changed. Who changes that of
    /// records while a query of them runs may get one at its old place and again at its new one, or
    /// between others, as with any query of an index: read all first.
    ///
    /// Where several have the same sort key, or the index has none, a query that is
    /// [resumed](crate::Query::resume) has each record once as long as none that is new there is saved in
    /// between.
    pub fn index<K, A>(&self, index: Index<T, K, A>) -> CachedIndex<T, K, A> {
        CachedIndex { memory: self.clone(), index }
    }

    fn overlay(&self) -> Arc<dyn Overlay<T>> {
        Arc::clone(&self.shared) as Arc<dyn Overlay<T>>
    }
}

/// An index of a memory table, for reading: [`MemoryTable::index`].
pub struct CachedIndex<T: Record, K, A> {
    memory: MemoryTable<T>,
    index: Index<T, K, A>,
}

impl<T: Record, K, A> std::fmt::Debug for CachedIndex<T, K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (memory, index) = (&self.memory, &self.index);
        f.debug_struct("CachedIndex").field("memory", memory).field("index", index).finish()
    }
}

impl<T: Record, K: QueryShape, A> CachedIndex<T, K, A> {
    /// The records of a partition of the index, in the order of its sort keys, unsaved changes included.
    pub fn query(&self, partition: impl AttributeLookup<K::Partition>) -> Query<T, K, Cached> {
        let table = self.memory.shared.own_table();
        let query = Query::<T, K>::new(table, Some(self.index.spec()), &partition);
        query.seen_by(self.memory.overlay())
    }

    /// All records that the index has, unsaved changes included.
    pub fn scan(&self) -> Scan<T, Cached> {
        let table = self.memory.shared.own_table();
        let scan = Scan::<T>::new(table, Some(self.index.spec()));
        scan.seen_by(self.memory.overlay())
    }
}

impl<T: Record> Shared<T> {
    /// Whether a query or scan of the table is to be consistent: always if loads are, else as soon as
    /// this table has written something.
    fn reads_like_loads(&self) -> bool {
        self.options.consistent || self.wrote.is_any()
    }
}

impl<T: Record> Overlay<T> for Shared<T> {
    fn pages(self: Arc<Self>, reader: Reader<T>) -> RawPages<Arc<T>> {
        let next = async |state: Option<Begun<T>>| {
            let walk = match state? {
                Begun::Not(shared, reader) => shared.see(*reader).await,
                Begun::Walking(walk) => Ok(*walk),
            };
            let mut walk = match walk {
                Ok(walk) => walk,
                Err(error) => return Some((Err(error), None)),
            };
            match walk.next().await? {
                Ok(page) => Some((Ok(page), Some(Begun::Walking(Box::new(walk))))),
                Err(error) => Some((Err(error), None)),
            }
        };
        stream::unfold(Some(Begun::Not(self, Box::new(reader))), next).boxed()
    }
}

/// Whether a read has begun: what is unsaved is looked at when it is first polled.
enum Begun<T: Record> {
    Not(Arc<Shared<T>>, Box<Reader<T>>),
    Walking(Box<Seeing<T>>),
}

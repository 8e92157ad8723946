//! The tables that are flushed together, each with where its writes come from.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Changes, Met, Settled, Take};
use crate::error::Error;
use crate::link::Link;
use crate::store::{Outcome, TableKey, short_name};

/// A table that is flushed, of the database that the others are of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'e> {
    pub(crate) link: &'e Link,
    pub(crate) changes: &'e dyn Changes,
}

/// Whether two of these names are those of one table.
pub(super) fn has_twins<'n>(names: impl IntoIterator<Item = &'n str>) -> bool {
    let mut seen = HashSet::new();
    !names.into_iter().all(|name| seen.insert(short_name(name)))
}

/// Where the writes of keys come from. The keys have the places of these tables, and no others.
#[derive(Clone)]
pub(super) struct Sources<'e> {
    tables: Vec<(Arc<str>, &'e dyn Changes)>,
    /// Two of them are the same table of the database, so that they may have the same keys.
    has_twins: bool,
}

impl<'e> Sources<'e> {
    pub(super) fn new(tables: impl IntoIterator<Item = (Arc<str>, &'e dyn Changes)>) -> Self {
        let tables: Vec<_> = tables.into_iter().collect();
        let has_twins = has_twins(tables.iter().map(|(name, _)| &**name));
        Self { tables, has_twins }
    }

    pub(super) fn name(&self, at: &TableKey) -> &Arc<str> {
        &self.tables[at.table].0
    }

    fn of(&self, at: &TableKey) -> &'e dyn Changes {
        self.tables[at.table].1
    }

    /// The keys of which each is another item, and those that must wait for them.
    pub(super) fn each_item_once(&self, keys: Vec<TableKey>) -> (Vec<TableKey>, Vec<TableKey>) {
        if !self.has_twins {
            return (keys, Vec::new());
        }
        let mut items = HashSet::new();
        let item = |at: &TableKey| (short_name(self.name(at)).to_owned(), at.key.clone());
        keys.into_iter().partition(|at| items.insert(item(at)))
    }

    pub(super) fn goes_alone(&self, at: &TableKey) -> bool {
        self.of(at).goes_alone(&at.key)
    }

    pub(super) fn take(&self, at: &TableKey) -> Take {
        self.of(at).take(&at.key)
    }

    pub(super) fn outcome(&self, at: &TableKey) -> Outcome {
        self.of(at).outcome(&at.key)
    }

    pub(super) fn settle(&self, at: &TableKey, settled: Settled) -> bool {
        self.of(at).settle(&at.key, settled)
    }

    pub(super) fn recorded<'k>(
        &self,
        at: &'k TableKey,
        alone: bool,
    ) -> Option<BoxFuture<'k, Result<(), Error>>>
    where
        'e: 'k,
    {
        self.of(at).recorded(&at.key, alone)
    }

    pub(super) fn conflict(&self, at: &TableKey, theirs: Option<Vec<u8>>) -> Met {
        self.of(at).conflict(&at.key, theirs)
    }
}

//! How far the tables of a flush have come.

use super::report::Report;
use super::sources::Source;
use crate::progress::{Meter, Work};

/// One for each table whose owner wants to be told.
#[derive(Debug)]
pub(super) struct Meters(Vec<Option<Meter>>);

impl Meters {
    /// So many keys of each are to be saved.
    pub(super) fn begin(sources: &[Source<'_>], keys: &[usize]) -> Self {
        let meter = |(source, keys): (&Source<'_>, &usize)| {
            let (listener, total) = (source.link.listener.as_ref()?, u64::try_from(*keys).ok());
            Some(Meter::begin(listener, Work::Saving, &source.link.table.name, total))
        };
        Self(sources.iter().zip(keys).map(meter).collect())
    }

    /// It is told where it is time.
    pub(super) fn show(&mut self, report: &Report) {
        for (table, meter) in self.0.iter_mut().enumerate() {
            if let Some(meter) = meter {
                meter.at(|| report.come_to(table));
            }
        }
    }

    pub(super) fn end(self, report: &Report) {
        for (table, meter) in self.0.into_iter().enumerate() {
            if let Some(meter) = meter {
                meter.end(report.come_to(table));
            }
        }
    }
}

//! How far long work has come, told while it goes on.

#[cfg(feature = "progress")]
mod bar;
mod meter;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "progress")]
pub(crate) use bar::bar;
pub(crate) use meter::{Done, Meter};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Work {
    /// Records are saved: by a flush, in the background too, or by a batch of writes.
    Saving,
    /// Records are loaded into a memory table.
    Loading,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Saving => "saving",
            Self::Loading => "loading",
        }
    }
}

/// How far a flush or a load has come: see [`Table::on_progress`](crate::Table::on_progress).
///
/// `Display` is a line for people:
/// `saving players: 1200 of 5000, 380 units/s, 3 retries, 10 s left`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub work: Work,
    /// The name of the table.
    pub table: Arc<str>,
    /// Items that are done, whatever became of them.
    pub done: u64,
    /// Items in all; of the load of a whole table as the service counts them, about every six hours; `None` if
    /// nobody knows.
    pub total: Option<u64>,
    /// Units of capacity that the service charged so far, indexes included: of writes for what is saved, of reads
    /// for what is loaded.
    pub units: f64,
    /// The same by second, in the last seconds.
    pub units_per_second: f64,
    /// Requests that were sent again.
    pub retries: u64,
    /// How long it has taken.
    pub elapsed: Duration,
    /// How long it will take if it goes on as until now; `None` as long as nobody knows.
    pub time_left: Option<Duration>,
    /// It has ended, well or not: nothing more comes of it.
    pub is_over: bool,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.work.name(), self.table, self.done)?;
        if let Some(total) = self.total {
            write!(f, " of {total}")?;
        }
        write!(f, ", {:.0} units/s", self.units_per_second)?;
        match self.retries {
            0 => {}
            1 => f.write_str(", 1 retry")?,
            many => write!(f, ", {many} retries")?,
        }
        match self.time_left {
            Some(left) if !self.is_over => write!(f, ", {:.0} s left", left.as_secs_f64()),
            _ => Ok(()),
        }
    }
}

/// Who is told.
#[derive(Clone)]
pub(crate) struct Listener(Arc<dyn Fn(&Progress) + Send + Sync>);

impl Listener {
    pub(crate) fn new(listen: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

//! Is it the items or the table? What a refusal means before anything was written.
//!
//! A batch that the service refuses is halved until the bad item is alone. But where the table or
//! the request itself is wrong, every part is refused, and to park every record for it would keep
//! all of them from ever being sent again. So the first refusal of a table's puts one batch on trial
//! while everything else waits: with the first item that is written the items are to blame; if all
//! parts are refused alike, the table is, and the flush stops with nothing parked.

use crate::store::{Failure, TableKey, Write};

/// Items that were refused alone; they stay in flight until the trial ends.
pub(super) type Refused = Vec<(Write, Failure)>;

#[derive(Debug, Default)]
pub(super) enum Trial {
    /// Nothing was refused and nothing written yet.
    #[default]
    Open,
    /// A batch is being halved; nothing was written yet.
    On {
        refused: Refused,
        /// Other batches that were refused meanwhile.
        waiting: Vec<Vec<TableKey>>,
    },
    /// Something was written: what is refused is refused on its own account.
    Passed,
}

impl Trial {
    pub(super) const fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }

    pub(super) const fn has_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    /// Whether all that is known is that one item was refused: the next one says more.
    pub(super) fn has_one_alone(&self) -> bool {
        matches!(self, Self::On { refused, waiting } if refused.len() == 1 && waiting.is_empty())
    }

    /// Begins, or notes an item that was refused alone.
    pub(super) fn refuse(&mut self, alone: Option<(Write, Failure)>) {
        if let Self::Open = self {
            *self = Self::On { refused: Vec::new(), waiting: Vec::new() };
        }
        if let Self::On { refused, .. } = self {
            refused.extend(alone);
        }
    }

    /// Notes a batch that is not on trial and has to wait for its end.
    pub(super) fn wait(&mut self, keys: Vec<TableKey>) {
        if let Self::On { waiting, .. } = self {
            waiting.push(keys);
        }
    }

    /// Something was written: what was refused alone is to be parked, what waited to be halved.
    pub(super) fn pass(&mut self) -> (Refused, Vec<Vec<TableKey>>) {
        match std::mem::replace(self, Self::Passed) {
            Self::On { refused, waiting } => (refused, waiting),
            Self::Open | Self::Passed => Default::default(),
        }
    }

    /// All parts were sent: if they were refused alike, the refused items and the keys that waited.
    pub(super) fn condemn(&mut self) -> Option<(Refused, Vec<TableKey>)> {
        let Self::On { refused, waiting } = self else {
            return None;
        };
        if refused.len() == 1 && waiting.is_empty() {
            // It can be compared with nothing: what is refused is its own account.
            return None;
        }
        let mut codes = refused.iter().map(|(_, failure)| failure.error.code());
        let first = codes.next()?;
        if !codes.all(|code| code == first) {
            return None;
        }
        let waiting = std::mem::take(waiting).into_iter().flatten().collect();
        Some((std::mem::take(refused), waiting))
    }
}

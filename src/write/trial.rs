//! Is it the items or the table? What a refusal means before anything was written.
//!
//! A batch that the service refuses is halved until the bad item is alone. But where the table or
//! the request itself is wrong, every part is refused, and to park every record for it would keep
//! all of them from ever being sent again. So the first refusal of a table's puts one batch on trial
//! while everything else of the table waits: with the first item that is written the items are to blame. If
//! all parts are refused alike, as many items as a batch has, and as many more from all over the rest, or
//! all there are, the table is, and the flush stops with nothing parked.

use std::collections::VecDeque;

use crate::store::{Failure, MAX_BATCH_WRITE, TableKey, Write};

/// So many items that are refused alone, and none that is not, and then so many of those that lie
/// elsewhere, are the table's fault: as many as a batch has. With fewer, bad ones that happen to be the first
/// would keep all others from being sent.
const ENOUGH: usize = MAX_BATCH_WRITE;

/// What a trial was about.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Items that were refused alone; they stay in flight until the trial ends.
    pub(super) refused: Vec<(Write, Failure)>,
    /// Batches that were refused while another one was on trial.
    pub(super) waiting: Vec<Vec<TableKey>>,
    /// What is not to be sent before the end.
    pub(super) aside: VecDeque<TableKey>,
    /// So many items from all over the rest were tried.
    samples: usize,
}

#[derive(Debug, Default)]
pub(super) enum Trial {
    /// Nothing was refused and nothing written yet.
    #[default]
    Open,
    /// A batch is being halved; nothing was written yet.
    On(Ended),
    /// Something was written: what is refused is refused on its own account.
    Passed,
}

impl Ended {
    /// One of what was not tried, each time from somewhere else.
    fn sample(&mut self) -> Option<TableKey> {
        if self.samples == ENOUGH {
            return None;
        }
        self.samples += 1;
        // Multiples of the golden ratio lie far from each other, however many there are.
        let spread = |len: usize| self.samples * 159 % 256 * len / 256;
        let waiting = spread(self.waiting.len());
        let of_waiting = |batches: &mut Vec<Vec<TableKey>>| {
            let key = batches.get_mut(waiting)?.pop();
            batches.retain(|batch| !batch.is_empty());
            key
        };
        let aside = spread(self.aside.len());
        if self.samples % 2 == 1 {
            self.aside.remove(aside).or_else(|| of_waiting(&mut self.waiting))
        } else {
            of_waiting(&mut self.waiting).or_else(|| self.aside.remove(aside))
        }
    }
}

impl Trial {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(super) const fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    pub(super) const fn has_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    /// Begins; `aside` waits for the end.
    pub(super) fn begin(&mut self, aside: Vec<TableKey>) {
        *self = Self::On(Ended { aside: aside.into(), ..Ended::default() });
    }

    /// Notes an item that was refused alone.
    pub(super) fn refuse(&mut self, alone: (Write, Failure)) {
        if let Self::On(trial) = self {
            trial.refused.push(alone);
        }
    }

    /// Notes a batch that is not on trial and has to wait for its end.
    pub(super) fn wait(&mut self, keys: Vec<TableKey>) {
        if let Self::On(trial) = self {
            trial.waiting.push(keys);
        }
    }

    /// What to send as well: the next one says more. Where only few were refused it is taken from both
    /// ends, since what was refused before goes first; then from all over.
    pub(super) fn another(&mut self) -> Option<Vec<TableKey>> {
        let Self::On(trial) = self else { return None };
        match trial.refused.len() {
            0 => None,
            few @ 1..ENOUGH => {
                let from_the_end = few % 2 == 1;
                let aside = &mut trial.aside;
                let mut next = || if from_the_end { aside.pop_back() } else { aside.pop_front() };
                trial.waiting.pop().or_else(|| Some(vec![next()?]))
            }
            _ => trial.sample().map(|key| vec![key]),
        }
    }

    /// Something was written: what was refused alone is to be parked, what waited to be halved.
    pub(super) fn pass(&mut self) -> Ended {
        match std::mem::replace(self, Self::Passed) {
            Self::On(trial) => trial,
            Self::Open | Self::Passed => Ended::default(),
        }
    }

    /// Whether all parts were sent and refused alike. One alone can be compared with nothing: what is
    /// refused is its own account.
    pub(super) fn is_condemned(&self) -> bool {
        let Self::On(Ended { refused, .. }) = self else { return false };
        let mut codes = refused.iter().map(|(_, failure)| failure.error.code());
        let first = codes.next();
        refused.len() > 1 && codes.all(|code| Some(code) == first)
    }
}

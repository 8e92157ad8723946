//! A request in flight, and how it was answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Part;
use super::hot::HotFlights;
use super::limit::{Flight, Limit};
use super::side::{Pause, Side};
use crate::capacity::ConsumedCapacity;
use crate::error::ThrottlingReason;
use crate::rt::Instant;
use crate::store::Class;

/// A request in flight. Dropped, it is taken for lost.
pub(crate) struct Ticket {
    pub(super) side: Arc<Side>,
    /// `None` once it is answered.
    pub(super) flights: Option<Flights>,
}

/// The request among those of each limit that it is within.
pub(super) struct Flights {
    pub(super) table: Flight,
    pub(super) indexes: Vec<(String, Flight)>,
    pub(super) hot: HotFlights,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// What the answer to a request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'a> {
    /// As they were sent, each with whether it was left.
    pub(crate) parts: &'a [Part<'a>],
    /// What the service charged, if it says so.
    pub(crate) charged: Option<&'a ConsumedCapacity>,
    /// Why all was left.
    pub(crate) reasons: &'a [ThrottlingReason],
    /// It is a page, whose cost says nothing of what an item costs.
    pub(crate) is_page: bool,
}

impl Ticket {
    /// The request was answered. `pause`: how long to wait when nothing is given for the time of this
    /// number.
    pub(crate) fn answered(mut self, answer: Answered<'_>, pause: Pause<'_>) {
        if let Some(flights) = self.flights.take() {
            self.side.is_silent.store(false, Ordering::Relaxed);
            let state = &mut *self.side.state.lock();
            state.answered(flights, answer, pause, Instant::now());
            self.side.knows_hot.fetch_or(!state.hot.is_empty(), Ordering::Relaxed);
        }
    }

    /// The request failed, of which these are the parts. What is refused costs nothing; what has no answer may have
    /// cost what was thought.
    pub(crate) fn failed(mut self, answer: Answered<'_>, class: Class, pause: Pause<'_>) {
        match class {
            Class::Throttled => {
                let mut parts = answer.parts.to_vec();
                for part in &mut parts {
                    part.left = true;
                }
                self.answered(Answered { parts: &parts, charged: None, ..answer }, pause);
            }
            Class::Refused | Class::Fatal => {
                self.side.is_silent.store(false, Ordering::Relaxed);
                self.ended(Limit::cost_nothing);
            }
            Class::Transient => self.side.is_silent.store(true, Ordering::Relaxed),
        }
    }

    /// It says nothing of what there is.
    fn ended(&mut self, end: fn(&mut Limit, Flight, Instant)) {
        let Some(flights) = self.flights.take() else { return };
        let (state, now) = (&mut *self.side.state.lock(), Instant::now());
        end(&mut state.table, flights.table, now);
        for (name, flight) in flights.indexes {
            if let Some(index) = state.indexes.get_mut(&name) {
                end(&mut index.limit, flight, now);
            }
        }
        state.hot.ended(flights.hot, end, now);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.ended(Limit::lost);
    }
}

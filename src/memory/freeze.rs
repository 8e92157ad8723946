//! Increments on their way: frozen under a token, and sent.

use super::Shared;
use super::delta::Frozen;
use super::outgoing::Part;
use super::unsaved::Unsaved;
use crate::breaks::broken;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::record::Record;
use crate::store::{Action, Operation, Outcome};
use crate::sums::{Began, single};
use crate::write::{Settled, Take};

impl<T: Record> Shared<T> {
    /// The increments that go now, under their token.
    pub(super) fn freeze(&self, key: &Key, unsaved: &mut Unsaved<T>) -> Part<T> {
        if let Some(frozen) = unsaved.deltas.as_mut().and_then(|deltas| deltas.frozen.as_mut()) {
            if frozen.is_expired() && !broken(26) {
                return Part::Nothing(Take::Stuck(Operation::Increment, self.expired(key)));
            }
            frozen.flying = true;
            if broken(26) {
                frozen.token = self.tokens.next();
            }
            return Part::Increments(frozen.clone());
        }
        let (sums, since) = unsaved.take_waiting();
        let (token, sent) = (self.tokens.next(), Began::now());
        let frozen = Frozen { sums, since, token, sent, flying: true, doubt: false };
        unsaved.deltas.get_or_insert_default().frozen = Some(frozen.clone());
        Part::Increments(frozen)
    }

    pub(super) fn send_increments(&self, key: &Key, frozen: Frozen) -> Take {
        let Frozen { sums, token, .. } = frozen;
        // Whatever lands after them is without them.
        if let Some(until) = self.fences.hold_all(key, token.seq()) {
            self.settle(key, Settled::Pending(Outcome::NotWritten));
            return Take::Held(Operation::Increment, until);
        }
        if sums.is_zero() {
            // Nothing is to be changed, nor made: the service would make an item of it.
            let units = self.increment_units(key);
            self.settle(key, Settled::Written);
            self.note_unchanged(units);
            return Take::Unchanged(units);
        }
        match single::<T>(key, &sums, &token) {
            Ok(single) => {
                self.note_write(key);
                Take::Write(Action::Single(Box::new(single)))
            }
            Err(error) => {
                let error = self.place(error).on_key(key);
                self.settle(key, Settled::Refused(error.clone()));
                Take::Parked(Operation::Increment, error)
            }
        }
    }

    fn expired(&self, key: &Key) -> Error {
        let text = "an increment was sent whose outcome is unknown, and its token has expired";
        self.place(Error::new(ErrorKind::Timeout, text)).on_key(key).advise(
            "look whether the item has it, then `resolve` it as `Applied` or `NotApplied`; until then \
             nothing of the record is sent",
        )
    }
}

//! A single write that is sent until it is answered or patience ends.

use crate::error::{Error, ErrorKind};
use crate::guard::conflict;
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::logging::Access;
use crate::retry::Attempts;
use crate::store::{Answered, Class, Done, Failure, Outcome, Single};
use crate::sums::Began;

/// The attempts of a write.
pub(super) struct Sending<'l> {
    link: &'l Link,
    key: &'l Key,
    attempts: Attempts<'l>,
    pub(super) began: Began,
    /// An answer is missing.
    pub(super) is_in_doubt: bool,
    /// Sent a second time it would be done a second time.
    is_once: bool,
}

pub(super) enum Sent {
    /// With the item that was asked for.
    Written(Option<Vec<u8>>),
    /// What is stored instead of what was expected.
    Conflict(Option<Vec<u8>>),
    /// It failed, and is to be sent again.
    Again,
}

impl<'l> Sending<'l> {
    pub(super) fn new(link: &'l Link, key: &'l Key) -> Self {
        let attempts = link.patience.attempts();
        Self { link, key, attempts, began: Began::now(), is_in_doubt: false, is_once: false }
    }

    /// Not sent again once it may be done.
    pub(super) fn once(self) -> Self {
        Self { is_once: true, ..self }
    }

    pub(super) async fn send(&mut self, single: &Single) -> Result<Sent, Error> {
        let link = self.link;
        let one = link.one_write(self.key, single.units());
        let turn = one.turn(&mut self.attempts).await;
        Counters::add(&link.counters.write_requests, 1);
        let access = self.access(single);
        let sent = self.attempts.attempt(link.store.write_single(&link.table, single));
        match access.sent(sent).await {
            Ok(Answered { value: Done::Written { item }, charged }) => {
                let charged = charged.of(&link.table);
                one.answered(turn, charged.as_ref());
                link.counters.spent.written(charged.as_ref());
                Counters::add(&link.counters.items_written, 1);
                Ok(Sent::Written(item))
            }
            Ok(Answered { value: Done::Conflict { theirs }, charged }) => {
                let charged = charged.of(&link.table);
                one.answered(turn, charged.as_ref());
                link.counters.spent.written(charged.as_ref());
                Ok(Sent::Conflict(theirs))
            }
            Err(failure) => {
                one.failed(turn, &failure, &mut self.attempts);
                self.is_in_doubt |= failure.outcome == Outcome::OutcomeUnknown;
                if self.is_once && self.is_in_doubt {
                    let error = failure.error.after_attempts(self.attempts.sent);
                    return Err(link.place(error, single.form.name()));
                }
                let waited = self.attempts.wait(failure).await;
                waited.map_err(|error| link.place(error, single.form.name()))?;
                Ok(Sent::Again)
            }
        }
    }

    fn access(&self, single: &Single) -> Access<'l> {
        let requests = self.attempts.sent + 1;
        Access { requests, ..Access::single(single, self.key, &self.link.table) }
    }

    /// The error that ended it, where an answer is missing: it may be done.
    pub(super) fn unsure(&self, error: Error, operation: &'static str) -> Error {
        if !self.is_in_doubt {
            return error;
        }
        let text = "an answer is missing, so its outcome is unknown";
        let unsure = Error::new(ErrorKind::Timeout, text).advise("look whether the item has it");
        self.link.place(unsure.caused_by(error), operation)
    }

    /// Gives others time whom the write met again.
    pub(super) async fn give_way(&mut self) -> Result<(), Error> {
        let failure =
            Failure { class: Class::Transient, outcome: Outcome::NotWritten, error: conflict() };
        self.attempts.wait(failure).await
    }
}

//! A single write that is sent until it is answered or patience ends.

use crate::error::{Error, ErrorKind};
use crate::guard::conflict;
use crate::key::Key;
use crate::link::{Counters, Link};
use crate::logging::Access;
use crate::retry::Attempts;
use crate::store::{Class, Done, Failure, Outcome, Single};
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
        let access = Access::single(single, self.key, &link.table);
        let counters = (&link.counters.write_requests, None);
        let write = || link.store.write_single(&link.table, single);
        match link.attempt(&one, &mut self.attempts, counters, access, write).await {
            Ok((done, charged)) => {
                link.counters.spent.written(charged.as_ref());
                Ok(match done {
                    Done::Written { item } => {
                        Counters::add(&link.counters.items_written, 1);
                        Sent::Written(item)
                    }
                    Done::Conflict { theirs } => Sent::Conflict(theirs),
                })
            }
            Err(failure) => {
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

//! In place of `journal` where that feature is off: nothing is noted.

use std::marker::PhantomData;
use std::path::Path;

use super::shards::{Both, Locked, Shards};
use super::slot::{Change, Slot};
use crate::error::Error;
use crate::key::Key;
use crate::record::Record;

/// Where changes are noted: nowhere.
pub(crate) struct Recorder<T>(PhantomData<fn(T)>);

#[expect(
    clippy::unused_self,
    clippy::unused_async,
    clippy::unnecessary_wraps,
    reason = "they are those of journals"
)]
impl<T: Record> Recorder<T> {
    pub(super) const fn off() -> Self {
        Self(PhantomData)
    }

    pub(super) const fn is_on(&self) -> bool {
        false
    }

    pub(super) const fn foresees(&self) -> bool {
        false
    }

    pub(super) const fn has_checkpoints(&self) -> bool {
        false
    }

    pub(super) const fn is_behind_checkpoint(&self) -> bool {
        false
    }

    pub(super) const fn path(&self) -> Option<&Path> {
        None
    }

    pub(super) const fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    pub(super) async fn until(&self, _noted: u64) -> Result<(), Error> {
        Ok(())
    }

    pub(super) async fn until_now(&self) -> Result<(), Error> {
        Ok(())
    }

    pub(super) const fn relieve(&self) {}

    pub(super) const fn hasten(&self) {}

    pub(super) const fn forget(&self, _slot: &mut Slot<T>) {}
}

#[expect(clippy::unused_self, reason = "it is that of journals")]
impl<T: Record> Both<'_, T> {
    pub(super) fn foresee(
        &self,
        _changes: [(&Key, &Change<T>); 2],
        _complete: bool,
    ) -> Option<u64> {
        None
    }
}

#[expect(clippy::unused_self, reason = "they are those of journals")]
impl<T: Record> Locked<'_, T> {
    pub(super) fn foresee(&self, _key: &Key, _make: impl FnOnce(&mut Slot<T>, u64)) -> Option<u64> {
        None
    }

    pub(super) const fn foresee_change(
        &self,
        _key: &Key,
        _change: &Change<T>,
        _complete: bool,
    ) -> Option<u64> {
        None
    }

    pub(super) const fn note(&self, _key: &Key) {}

    pub(super) const fn note_taken(&self, _key: &Key) {}

    pub(super) const fn note_change(&self, _key: &Key) {}

    pub(super) const fn note_unchanged(&self, _key: &Key) {}
}

#[expect(clippy::unused_self, clippy::unused_async, reason = "as those of journals")]
impl<T: Record> Shards<T> {
    pub(super) const fn is_stale(&self, _key: &Key) -> bool {
        false
    }

    pub(super) async fn until_written(&self, _key: &Key) -> Result<(), Error> {
        Ok(())
    }
}

//! What holds for every report.

use std::collections::HashSet;
use std::time::Duration;

use super::store::SimStore;
use crate::{ErrorKind, FlushError, FlushReport};

/// Nothing is given up before nothing was written for as long as patience says, since it was first sent.
pub(super) fn see_patience(store: &SimStore, patience: Duration, report: &FlushReport) {
    for failed in &report.failed {
        let waited = failed.error.kind() == ErrorKind::Throttled;
        let is_impatient = waited || failed.error.kind() == ErrorKind::Service;
        if is_impatient && let Some(since) = store.given_up(&failed.table, &failed.key, waited) {
            // The time that an answer takes is measured by the one side and not by the other.
            if since + Duration::from_millis(1) < patience {
                store.violated(format!("given up after {since:?} of {patience:?}: {failed}"));
            }
        }
    }
}

/// What a flush did, however it ended.
pub(super) fn report_of(ended: Result<FlushReport, FlushError>) -> FlushReport {
    ended.unwrap_or_else(FlushError::into_report)
}

/// A report is exact as far as it says itself.
pub(super) fn check(store: &SimStore, report: &FlushReport) {
    let mut keys = HashSet::new();
    for failed in report.not_saved() {
        if !keys.insert(failed.key.clone()) {
            store.violated(format!("{} is reported twice", failed.key));
        }
    }
    if report.written + report.deleted > 0 && report.requests == 0 {
        store.violated(format!("written without a request: {report}"));
    }
}

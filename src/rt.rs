//! What the engines take from their surroundings: locks, signals, time and tasks.
//!
//! They are parking_lot's and Tokio's. With the private feature `interleavings` this crate's own unit tests
//! have Shuttle's instead, whose scheduler decides at each lock and each wait who goes on.

#[cfg(not(all(test, feature = "interleavings")))]
mod real;
#[cfg(all(test, feature = "interleavings"))]
mod shuttled;

#[cfg(not(all(test, feature = "interleavings")))]
pub(crate) use real::*;
#[cfg(all(test, feature = "interleavings"))]
pub(crate) use shuttled::*;

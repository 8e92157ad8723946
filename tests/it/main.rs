//! The integration tests: one binary, a module per theme.
//!
//! They run on the embedded database, or on the DynamoDB server whose URL is in
//! `MEMORY_TABLE_TEST_ENDPOINT`.

// What is compared went through the database, which keeps numbers exactly.
#![allow(clippy::float_cmp)]

mod flush;
mod flush_faults;
mod leaderboard;
mod memory_reads;
mod memory_writes;
mod patience;
mod support;
mod table;

//! The integration tests: one binary, a module per theme.
//!
//! They run on the embedded database, or on the DynamoDB server whose URL is in
//! `MEMORY_TABLE_TEST_ENDPOINT`.

#[cfg(feature = "dynamodb-local")]
mod dynamodb_local;
mod conditions;
mod embedded;
mod first_contact;
mod flush;
mod flush_faults;
mod leaderboard;
mod leaderboard_faults;
mod lookups;
mod memory_reads;
mod memory_writes;
mod patience;
mod records;
mod server;
mod support;
mod table;

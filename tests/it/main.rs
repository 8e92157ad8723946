//! The integration tests: one binary, a module per theme.
//!
//! They run on the embedded database, or on the DynamoDB server whose URL is in
//! `MEMORY_TABLE_TEST_ENDPOINT`.

#[cfg(feature = "dynamodb-local")]
mod dynamodb_local;
mod background;
mod capacity;
mod codes;
mod codec_agreement;
mod conditions;
mod consumption;
mod embedded;
mod endings;
mod etl;
mod etl_journal;
mod expiry;
mod feed;
mod field_wise;
mod first_contact;
mod flush;
mod flush_faults;
mod guarded;
mod increments;
mod indexes;
mod journal;
mod key_types;
mod leaderboard;
mod leaderboard_faults;
mod logging;
mod lookups;
mod manage;
mod memory_loads;
mod memory_reads;
mod memory_writes;
mod overlay;
mod pace;
mod patience;
mod plan;
mod progress;
mod queries;
mod rekey;
mod retries;
mod records;
mod server;
mod stack;
mod support;
mod survival;
mod table;
mod table_guarded;
mod table_updates;
mod testing;
mod together;
mod tracked;
mod types;

//! The integration tests: one binary, a module per theme.

#[cfg(feature = "dynamodb-local")]
mod dynamodb_local;
mod leaderboard;
mod support;

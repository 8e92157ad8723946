//! The integration tests: one binary, a module per theme.

mod leaderboard;
mod leaderboard_faults;
mod server;
mod support;

//! The integration tests: one binary, a module per theme.

mod first_contact;
mod leaderboard;
mod lookups;
mod support;

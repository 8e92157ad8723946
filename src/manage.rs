//! Making, changing and deleting tables.
//!
//! All of it goes by what DescribeTable says: look, send the one request that comes next, look again
//! after a pause, until the table is as it is wanted. Dropped half-way, or met by another process that
//! does the same, it goes on from what it finds.

mod create;
mod delete;
mod poll;
mod request;
mod steps;
mod time_to_live;
mod update;

pub use create::CreateIfMissing;
pub(crate) use delete::delete;
pub(crate) use poll::DEFAULT_TIMEOUT;
pub(crate) use time_to_live::time_to_live;
pub use update::UpdateTable;

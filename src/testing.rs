//! Tests with a service and a network that do as the test says. Feature `test-util`.
//!
//! DynamoDB Local and the embedded database never throttle, leave nothing unprocessed and lose no
//! answer, so what a program does then runs in production first. [`Faults::around`] puts these
//! faults between a [`Database`](crate::Database) and its service, whichever that is: embedded,
//! DynamoDB Local, AWS, a client of your own. Put the crate with this feature among the
//! `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! memory-table = { version = "0.1", features = ["embedded", "test-util"] }
//! ```
//!
//! # A script
//!
//! The third BatchWriteItem leaves half of its items unprocessed:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use memory_table::{MemoryTable, Record};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Record, Serialize, Deserialize, Clone)]
//! # #[record(table = "players")]
//! # struct Player { #[record(partition_key)] name: String }
//! use memory_table::Database;
//! use memory_table::testing::{Fault, Faults};
//!
//! let (database, faults) = Faults::around(&Database::embedded()?);
//! database.table::<Player>().create_if_missing().await?;
//! faults.nth("BatchWriteItem", 3, Fault::half_unprocessed());
//!
//! let memory = MemoryTable::new(database.table::<Player>());
//! for number in 0..100 {
//!     memory.put(Player { name: format!("player {number}") }).await?;
//! }
//! let report = memory.flush().await?;
//! assert_eq!((report.written, report.unprocessed), (100, 12));
//! assert_eq!(faults.count("BatchWriteItem"), 5);
//! # Ok(()) }
//! ```
//!
//! [`Fault`] has the rest: throttles with their reasons, failures before and after the request is
//! applied, lost, late and broken answers, refusals, poison items, foreign writers, stale reads,
//! short pages.
//!
//! # Chance
//!
//! [`Chaos`] draws the faults, and the same seed draws the same:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use memory_table::{MemoryTable, Record};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Record, Serialize, Deserialize, Clone)]
//! # #[record(table = "players")]
//! # struct Player { #[record(partition_key)] name: String }
//! use memory_table::Database;
//! use memory_table::testing::{Chaos, Faults, PausedClock};
//!
//! let stored = Database::embedded()?;
//! let _clock = PausedClock::over(&stored)?; // nobody waits for the retries
//! let (database, faults) = Faults::around(&stored);
//! database.table::<Player>().create_if_missing().await?;
//! faults.chaos(Chaos::seeded(42).unprocessed(0.33).throttled(0.2).reset(0.1));
//!
//! let memory = MemoryTable::new(database.table::<Player>());
//! for number in 0..100 {
//!     memory.put(Player { name: format!("player {number}") }).await?;
//! }
//! assert_eq!(memory.flush().await?.written, 100);
//! assert!(faults.count("BatchWriteItem") > 4);
//! # Ok(()) }
//! ```
//!
//! # Time
//!
//! With the embedded database the clock can be paused, so that a minute of retries takes a moment:
//! [`PausedClock`], or `#[tokio::test(start_paused = true)]`.
//!
//! # Tables of one's own
//!
//! Tests that share a server take a [`UniquePrefix`] each, and clean up after themselves.

pub(crate) mod capacity;
mod chaos;
mod clock;
mod error;
mod fault;
mod faults;
mod gate;
mod history;
mod prefix;
mod raw;
mod request;
mod rules;
mod schemas;
mod wire;

pub use capacity::{CapacityMet, TableCapacity};
pub use chaos::Chaos;
pub use clock::PausedClock;
pub use fault::Fault;
pub use faults::Faults;
pub use gate::Gate;
pub use prefix::UniquePrefix;
pub use request::Request;

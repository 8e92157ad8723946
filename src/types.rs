//! Types that serde has no form for, or none that sorts: sets, exact numbers, instants, whole items.

mod attributes;
pub mod instant;
mod number;
pub mod old;
pub mod set;

pub use attributes::Attributes;
pub use instant::{Instant, InstantType};
pub use number::Number;
pub use set::Set;

/// The name under which a set passes through serde; the codec knows it, other formats see a list.
pub(crate) const SET: &str = "$memory_table::Set";
/// The name under which a number's text passes through serde; other formats see a string.
pub(crate) const NUMBER: &str = "$memory_table::Number";
/// The name under which attributes ask our codec for all values as they are stored.
pub(crate) const ATTRIBUTES: &str = "$memory_table::Attributes";

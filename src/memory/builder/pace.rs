//! How fast the table beneath may be written and read.

use std::time::Duration;

use super::MemoryTableBuilder;
use crate::record::Record;
#[cfg(doc)]
use crate::table::Table;

impl<T: Record> MemoryTableBuilder<T> {
    /// [`Table::write_capacity`] of the table beneath, for all that use it through its database.
    pub fn write_capacity(self, units_a_second: impl Into<f64>) -> Self {
        self.with_table(|table| table.write_capacity(units_a_second))
    }

    /// [`Table::read_capacity`] of the table beneath, for all that use it through its database.
    pub fn read_capacity(self, units_a_second: impl Into<f64>) -> Self {
        self.with_table(|table| table.read_capacity(units_a_second))
    }

    /// [`Table::share`] of the table beneath, for all that use it through its database.
    pub fn share(self, share: f64) -> Self {
        self.with_table(|table| table.share(share))
    }

    /// [`Table::burst`] of the table beneath, for all that use it through its database.
    pub fn burst(self, burst: Duration) -> Self {
        self.with_table(|table| table.burst(burst))
    }
}

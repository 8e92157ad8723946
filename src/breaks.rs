//! Promises that a run of the unit tests breaks on purpose, one at a time, to prove that a test of
//! each notices. `tests/PROMISES.md` has their numbers, `tests/promises/run` runs them all.

/// Whether the promise of this number is broken; never outside of this crate's own unit tests.
#[cfg(not(test))]
pub(crate) const fn broken(_promise: u32) -> bool {
    false
}

/// Whether this run breaks the promise of this number.
#[cfg(test)]
pub(crate) fn broken(promise: u32) -> bool {
    static BROKEN: std::sync::LazyLock<Option<u32>> = std::sync::LazyLock::new(|| {
        let number = std::env::var("MEMORY_TABLE_BREAK").ok()?;
        Some(number.parse().expect("MEMORY_TABLE_BREAK is the number of a promise"))
    });
    *BROKEN == Some(promise) || crate::bugs::is_built_in_as(promise)
}

//! The write engine without its requests.

use criterion::{Criterion, Throughput};
use memory_table::bench::Writes;

use crate::PLAYERS;
use crate::players::players;

/// The most writes of a request.
const FULL: usize = 25;

/// The benches of this file.
pub(crate) fn define(c: &mut Criterion) {
    plan(c);
}

/// Measures how long it takes to plan the requests of writes whose items are encoded already.
fn plan(c: &mut Criterion) {
    let writes = Writes::of(&players(PLAYERS)).expect("players can be stored");
    let mut group = c.benchmark_group("write/plan");
    group.throughput(Throughput::Elements(PLAYERS as u64)).bench_function("1000_puts", |b| {
        b.iter(|| assert_eq!(writes.plan(), [FULL; PLAYERS / FULL]));
    });
}

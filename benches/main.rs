//! The benches: how much of a job's time is this crate's own. One binary, a file per area.
//!
//! ```text
//! cargo bench                        # all of them
//! cargo bench -- codec               # those whose id contains `codec`
//! cargo bench -- --test              # each once, to see that they still work
//! ```
//!
//! Ids are `area/operation/variant`. Requests go to a [`connector`] that answers at once, in this
//! process, so neither a network nor a database is measured, but the SDK around a request is.

mod codec;
mod connector;
mod journal;
mod memory;
mod players;
mod write;

use criterion::Criterion;

/// How many records a bench works on.
const PLAYERS: usize = 1_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    codec::define(&mut criterion);
    write::define(&mut criterion);
    memory::define(&mut criterion);
    journal::define(&mut criterion);
    criterion.final_summary();
}

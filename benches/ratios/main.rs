//! What ours costs, over what the usual way costs: `ratio NAME VALUE`, the median of pairs that are run in turn in one
//! process. Less is better, but for `hit_two_threads`.
//!
//! ```text
//! cargo bench --bench ratios                # all of them: some minutes, half of them for `build`
//! cargo bench --bench ratios -- hit flush   # those whose names begin so
//! cargo bench --bench ratios -- --quick     # three pairs of each, and no `build`: a minute, and less sure
//! cargo bench --bench ratios -- --test      # each once with few records, to see that they still work
//! ```
//!
//! | | ours | over |
//! |---|---|---|
//! | `hit` | `get` of a record that is there, of 200,000 in random order | `moka::future::Cache::get` of the same |
//! | `hit_bounded` | the same with a capacity | the same with a capacity |
//! | `hit_two_threads` | gain of a second thread on other keys | that of two threads with a `HashMap` each |
//! | `update` | `update` of a record that waits to be saved | moka's get, a clone, a change, and moka's insert |
//! | `update_saved` | the same of one that is saved: what is stored is kept beside it | the same |
//! | `flush_cpu` | CPU time of a flush of new records, answered at once | that of a loop over the SDK, 16 requests in flight |
//! | `put_and_flush_cpu` | the same with the puts before it | the same |
//! | `prefetch_cpu` | CPU time of a prefetch, 100 keys a request | that of a loop over the SDK, decoded by serde_dynamo |
//! | `flush_wall` | time of a flush on the embedded database | that of the loop |
//! | `memory` | heap of a clean record | that of a `HashMap<Key, Arc<T>>` of the same |
//! | `memory_unsaved` | heap of a changed record, with what it was made from | the same |
//! | `scale_put` | a put among 1,000,000 over one among 10,000 | the same of `HashMap::insert` |
//! | `build` | `cargo build` of a program with this crate | that of one with the SDK and aws-config alone |
//!
//! Records have 8 attributes and 250 bytes. The heap is measured by a program of its own, whose allocator counts.

mod build;
#[path = "../connector.rs"]
mod connector;
mod hits;
mod pairs;
mod plain;
#[path = "../players.rs"]
mod players;
mod requests;
mod scale;

use std::process::Command;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Pairs of runs.
    pub(crate) pairs: usize,
    /// Of all numbers of records, one in so many.
    pub(crate) one_in: usize,
}

impl Extent {
    pub(crate) const fn of(self, records: usize) -> usize {
        records / self.one_in
    }
}

/// A ratio: its name, and how it is measured.
type Ratio = (&'static str, fn(Extent) -> f64);

/// What the bench `heap` prints.
const HEAP: [&str; 2] = ["memory", "memory_unsaved"];

/// Takes minutes, however few records there are.
const BUILD: &str = "build";

const RATIOS: [Ratio; 11] = [
    ("hit", hits::hit),
    ("hit_bounded", hits::hit_bounded),
    ("hit_two_threads", hits::hit_two_threads),
    ("update", hits::update),
    ("update_saved", hits::update_saved),
    ("flush_cpu", requests::flush_cpu),
    ("put_and_flush_cpu", requests::put_and_flush_cpu),
    ("prefetch_cpu", requests::prefetch_cpu),
    ("flush_wall", requests::flush_wall),
    ("scale_put", scale::scale_put),
    (BUILD, build::build),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let says = |option: &str| arguments.iter().any(|argument| argument == option);
    let (is_test, is_quick) = (says("--test"), says("--quick"));
    let names: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let extent = match (is_test, is_quick) {
        (true, _) => Extent { pairs: 1, one_in: 100 },
        (_, true) => Extent { pairs: 3, one_in: 1 },
        _ => Extent { pairs: 11, one_in: 1 },
    };
    let is_asked =
        |name: &str| names.is_empty() || names.iter().any(|asked| name.starts_with(*asked));
    for (name, measure) in RATIOS {
        if is_asked(name) && !((is_test || is_quick) && name == BUILD) {
            println!("ratio {name} {:.3}", measure(extent));
        }
    }
    if !is_test && HEAP.into_iter().any(is_asked) {
        heap();
    }
}

/// Runs the bench of the heap, which prints its ratios.
fn heap() {
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(["bench", "--quiet", "--bench", "heap"]);
    let ended = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(ended.success(), "the bench of the heap");
}

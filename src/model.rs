//! Random operations of a memory table against a plain map: after each of them the two say the same.
//!
//! Nothing happens at the same time here, so that the map is simple; that is what the simulation is for.
//! A case that fails is shrunk to the least operations that still fail.

mod oracle;
mod run;
mod saves;
mod step;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use oracle::Writing;
use run::run;
use step::Step;

/// How many cases a run of all tests has, of each way to write a quarter; `MEMORY_TABLE_CASES` says
/// otherwise.
const CASES: u32 = 200;

fn cases() -> u32 {
    let Ok(text) = std::env::var("MEMORY_TABLE_CASES") else { return CASES };
    text.parse().expect("MEMORY_TABLE_CASES is a number")
}

fn keeps_to_the_map(writing: Writing) {
    let cases = cases().div_ceil(4);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let steps = vec(step::any(), 1..=200);
    let counted = std::cell::Cell::new(0_usize);
    let ended = runner.run(&steps, |steps| {
        counted.set(counted.get() + steps.len());
        run(writing, &steps).map_err(TestCaseError::fail)
    });
    println!("{writing:?}: {cases} cases, {} steps", counted.get());
    if let Err(error) = ended {
        panic!("{writing:?}: {error}");
    }
}

#[test]
fn a_plain_memory_table_is_a_map() {
    keeps_to_the_map(Writing::Plain);
}

#[test]
fn a_field_wise_memory_table_is_a_map() {
    keeps_to_the_map(Writing::FieldWise);
}

#[test]
fn a_guarded_memory_table_is_a_map() {
    keeps_to_the_map(Writing::Guarded);
}

#[test]
fn a_memory_table_guarded_by_fields_is_a_map() {
    keeps_to_the_map(Writing::GuardedFields);
}

/// What a change sets to just what increments had made of it is set, whatever others store.
#[test]
fn a_count_that_was_set_to_its_sum_is_set() {
    let at = (0, 3);
    let count = |count| Step::Put(at, count, 0);
    let others = Step::Foreign(at, Some((1, 0)));
    let steps = [Step::Get(at), others, Step::Increment(at, 1), count(2), count(1)];
    run(Writing::FieldWise, &steps).unwrap();
}

//! Tasks that meet at the worst moments: scenarios whose every lock and wait is a place where Shuttle's
//! scheduler may let another task go on.
//!
//! `MEMORY_TABLE_SCHEDULES` says how many schedules each scenario has, of which one half is random and the other
//! has few changes at the worst places (<https://doi.org/10.1145/1736020.1736040>). A failing one is printed
//! and can be run again by `shuttle::replay`.

mod scenarios;
mod stage;

use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use stage::Stage;

use crate::simulation::SimStore;

/// The schedules of a run of all tests; CI has more.
const SCHEDULES: usize = 100;

/// Changes of the running task that the second half of the schedules has.
const CHANGES: usize = 4;

fn schedules() -> usize {
    let Ok(text) = std::env::var("MEMORY_TABLE_SCHEDULES") else { return SCHEDULES };
    text.parse().expect("MEMORY_TABLE_SCHEDULES is a number")
}

fn run<F: Future<Output = ()>>(
    scheduler: impl Scheduler + 'static,
    scenario: impl Fn(Stage) -> F + Send + Sync + 'static,
) -> usize {
    let mut config = shuttle::Config::new();
    // A load that is decoded on the way is deep in debug builds.
    config.stack_size = 1 << 20;
    config.max_steps = shuttle::MaxSteps::FailAfter(200_000);
    Runner::new(scheduler, config).run(move || {
        crate::rt::with_clock(|| {
            fastrand::seed(7);
            let stage = Stage::new();
            let store = stage.store.clone();
            shuttle::future::block_on(scenario(stage));
            assert!(store.violations().is_empty(), "{}", store.trace().join("\n"));
        });
    })
}

fn all<F: Future<Output = ()>>(
    name: &str,
    scenario: impl Fn(Stage) -> F + Clone + Send + Sync + 'static,
) {
    // The SDK's client is made once, outside of what is scheduled.
    let _made = Stage::database(&SimStore::new(1));
    let half = schedules().div_ceil(2);
    let random = run(RandomScheduler::new_from_seed(7, half), scenario.clone());
    let worst = run(PctScheduler::new_from_seed(7, CHANGES, half), scenario);
    println!("scenario {name}: {} schedules", random + worst);
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                all(stringify!($name), scenarios::$name);
            }
        )*
    };
}

scenarios! {
    a_change_while_it_is_in_flight,
    a_load_against_a_put,
    two_flushes_at_once,
    a_close_against_puts,
    an_eviction_against_a_change,
    a_cancelled_waiter,
    updates_of_what_is_not_loaded,
    increments_during_flushes,
    a_lost_answer_against_a_newer_value,
    a_reset_against_a_load_and_a_change,
    no_room_for_two,
    flushes_of_two_tables,
    a_flush_whose_task_ends,
    what_is_taken_out_against_a_put,
}

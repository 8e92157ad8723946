//! Each published bug, built in, is found by the simulation.

use super::job;
use crate::bugs::{Bug, with};

/// How many seeds a bug may survive.
const SEEDS: u64 = 1_000;

fn is_caught(bug: Bug) {
    let found = (0..SEEDS).find_map(|seed| {
        let violations = with(bug, || job::run(seed).violations);
        violations.into_iter().next().map(|violation| (seed, violation))
    });
    let Some((seed, violation)) = found else {
        panic!("{bug:?} is not caught within {SEEDS} seeds");
    };
    println!("bug {bug:?} caught by seed {seed}: {violation}");
}

macro_rules! caught {
    ($($name:ident: $bug:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                is_caught(Bug::$bug);
            }
        )*
    };
}

caught! {
    hazelcast_15060_an_entry_is_removed_though_there_is_a_newer_one: NewerIsRemoved,
    hazelcast_18670_a_change_is_seen_before_it_has_its_number: SeenBeforeNumbered,
    hazelcast_1592_parallel_flushes_store_the_older_value: ParallelFlushes,
    hazelcast_7762_one_bad_item_blocks_all: PoisonBlocksAll,
    hazelcast_8918_after_some_failures_nothing_is_tried: RetryStops,
    ignite_what_has_no_room_is_dropped: DroppedOnOverflow,
    an_overlay_shows_what_is_in_flight_instead_of_what_is_newer: InFlightBeatsNewer,
    what_was_in_a_batch_is_removed_whatever_became_of_it: RemovedWithTheBatch,
    redisson_2210_a_delete_is_sent_before_a_put: DeleteBeforePut,
    a_retry_is_put_back_over_a_newer_value: RetryReplacesNewer,
    the_patience_of_one_entry_counts_for_its_batch: PatienceOfTheBatch,
    boto3_2088_an_entry_is_removed_before_the_call: RemovedBeforeTheCall,
    a_stale_copy_is_sent_for_what_was_left_unprocessed: StaleCopySent,
    a_load_overwrites_a_put: LoadOverwritesPut,
}

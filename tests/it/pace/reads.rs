//! How fast a table is read that has a pace, and written one record at a time.

use std::cell::Cell;
use std::future::{Future, IntoFuture, poll_fn};
use std::time::Duration;

use futures::future::join_all;
use memory_table::testing::{Fault, TableCapacity};
use memory_table::{MemoryTable, Record, Table};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{SECOND, a_quarter_of};
use crate::support::{Player, Stage, at, named, player, players};

const READ: &str = "BatchGetItem";

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(
    table = "stores",
    global_index(name = "by-city", partition_key = city),
    local_index(name = "by-size", sort_key = size),
)]
struct Store {
    #[record(partition_key)]
    country: String,
    #[record(sort_key)]
    id: u32,
    city: String,
    size: u32,
}

/// A table of so many players that gives so many units of reads a second, and keeps a second's.
async fn capped(stored: u16, reads: u64) -> (Stage<Player>, TableCapacity) {
    let stage = Stage::<Player>::embedded().await;
    assert_eq!(
        stage.truth.batch_write().puts(players(stored)).await.unwrap().written,
        u64::from(stored)
    );
    let capacity = TableCapacity::provisioned(reads, 1_000).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    (stage, capacity)
}

fn keys(count: usize) -> impl Iterator<Item = (&'static str, String)> {
    (0..count).map(|number| ("chess", named(number)))
}

async fn prefetched(table: Table<Player>, count: usize) -> (MemoryTable<Player>, f64) {
    let (memory, began) = (MemoryTable::new(table), Instant::now());
    let report = memory.prefetch(keys(count)).await.unwrap();
    assert_eq!(report.records, count as u64);
    (memory, began.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_prefetch_takes_all_that_there_is_and_asks_for_nothing_twice() {
    let (stage, capacity) = capped(400, 40).await;
    let (memory, seconds) = prefetched(stage.table.clone().read_capacity(40), 400).await;
    // A second's worth at once.
    assert!((9.0..9.0 / 0.97).contains(&seconds), "{seconds}");
    let met = capacity.met();
    assert_eq!((met.items, met.throttled, met.read_units), (400, 0, 400.0));
    assert!(met.requests <= 20, "{met:?}");
    assert_eq!(memory.consumption().reads.total, 400.0);
}

#[tokio::test(start_paused = true)]
async fn a_table_is_read_as_fast_as_it_gives_where_no_rate_is_set() {
    let (stage, capacity) = capped(3_000, 100).await;
    let (memory, seconds) = prefetched(stage.table.clone(), 3_000).await;
    // Of 29 s at the best.
    assert!((28.9..33.0).contains(&seconds), "{seconds}");
    // All that was in flight when it was first met.
    assert!(capacity.met().items < 3_000 + 1_500, "{:?}", capacity.met());
    let rate = memory.table().read_rate().unwrap();
    assert!((80.0..200.0).contains(&rate), "{rate}");
    assert_eq!(memory.table().write_rate(), None, "of writes nothing was learned");
}

#[tokio::test(start_paused = true)]
async fn single_reads_and_loads_share_the_pace() {
    let (stage, capacity) = capped(100, 20).await;
    let table = stage.table.clone().read_capacity(20);
    let began = Instant::now();
    let singly = async {
        for (game, name) in keys(60) {
            assert!(table.get_consistent((game, &name)).await.unwrap().is_some());
        }
    };
    let ((), (_, _)) = tokio::join!(singly, prefetched(table.clone(), 100));
    assert!((6.9..7.4).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!((capacity.met().read_units, capacity.met().throttled), (160.0, 0));
    // Of half the price, twice as many.
    let began = Instant::now();
    for (game, name) in keys(60) {
        assert!(table.get((game, &name)).await.unwrap().is_some());
    }
    assert!((1.4..1.6).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pages_are_paid_for_when_they_came() {
    let stage = Stage::<Player>::embedded().await;
    let large = |number| Player { text: "x".repeat(4_000), ..player(&named(number), 0.0) };
    let stored = stage.truth.batch_write().puts((0..200).map(large)).await.unwrap();
    assert_eq!(stored.written, 200);
    let table = stage.table.clone().read_capacity(20);
    let began = Instant::now();
    let all = table.scan().page_size(20).all().await.unwrap();
    assert_eq!(all.len(), 200);
    let units = table.consumption().reads.total;
    assert!((95.0..110.0).contains(&units), "eventually consistent: {units}");
    // A second's worth is there, and the last page is not waited for.
    let seconds = began.elapsed().as_secs_f64();
    let least = (units - units / 10.0) / 20.0 - 1.0;
    assert!((least..least + 1.0).contains(&seconds), "{seconds} for {units}");
}

#[tokio::test(start_paused = true)]
async fn a_global_index_is_read_at_a_pace_of_its_own_and_a_local_one_at_the_tables() {
    let stage = Stage::<Store>::embedded().await;
    let store = |id| Store { country: "LV".into(), id, city: "Riga".into(), size: id };
    assert_eq!(stage.truth.batch_write().puts((0..10).map(store)).await.unwrap().written, 10);
    let table = stage.table.clone().read_capacity(1);
    let began = Instant::now();
    for _ in 0..20 {
        let found = table.index(Store::INDEXES.by_city).query("Riga").all().await.unwrap();
        assert_eq!(found.len(), 10);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..11 {
        let found = table.index(Store::INDEXES.by_size).query("LV").all().await.unwrap();
        assert_eq!(found.len(), 10);
    }
    assert!((4.0..4.6).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_share_is_one_of_reads_too() {
    let table = a_quarter_of(40, 20).await;
    let began = Instant::now();
    let found =
        table.batch_get((0..60).map(|number| number.to_string())).consistent().await.unwrap();
    assert_eq!(
        (found.absent.len(), table.read_rate(), table.write_rate()),
        (60, Some(10.0), Some(5.0))
    );
    assert!((4.8..5.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

/// Only the items of a hot partition key wait.
#[tokio::test(start_paused = true)]
async fn a_hot_partition_key_slows_the_reads_of_its_own_items_only() {
    let stage = Stage::<Player>::embedded().await;
    let of = |game: &str| Player { game: game.into(), ..player("ada", 1.0) };
    assert_eq!(stage.truth.batch_write().puts(["hot", "cold"].map(of)).await.unwrap().written, 2);
    let capacity =
        TableCapacity::provisioned(10_000, 10_000).per_partition_key(10, 1_000).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let all = async |game: &'static str, count: u32| {
        let began = Instant::now();
        for _ in 0..count {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(stage.table.get_consistent((game, "ada")).await.unwrap().is_some());
        }
        began.elapsed().as_secs_f64()
    };
    let cold = async {
        let mut seconds = 0.0;
        for _ in 0..20 {
            seconds += all("cold", 8).await;
            tokio::time::sleep(SECOND).await;
        }
        seconds
    };
    let (hot, cold) = tokio::join!(all("hot", 200), cold);
    assert!((18.5..24.0).contains(&hot), "{hot}");
    assert!(cold < 1.0, "{cold}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_hot_partition_key_is_woken_for_its_own_turn() {
    polled_a_few_times_each(None).await;
    // They wait for the table before the key is known to be hot.
    polled_a_few_times_each(Some(60.0)).await;
}

async fn polled_a_few_times_each(rate: Option<f64>) {
    let stage = Stage::<Player>::embedded().await;
    let table = match rate {
        Some(rate) => stage.table.clone().read_capacity(rate),
        None => stage.table.clone(),
    };
    let capacity =
        TableCapacity::provisioned(10_000, 10_000).per_partition_key(20, 1_000).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let polls = &Cell::new(0_u32);
    let get = |number| {
        let read = table.get_consistent(("chess", named(number)));
        let mut read = Box::pin(read.into_future());
        poll_fn(move |context| {
            polls.set(polls.get() + 1);
            read.as_mut().poll(context)
        })
    };
    let read = join_all((0..400).map(get)).await;
    assert!(read.into_iter().all(|read| matches!(read, Ok(None))));
    // Each second all of them look whether the service gives anything.
    let met = capacity.met();
    assert!(met.requests < 2 * 400, "{met:?}");
    assert!(polls.get() < 400 * 40, "{} polls", polls.get());
}

#[tokio::test(start_paused = true)]
async fn single_writes_keep_the_pace_of_the_table() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().write_capacity(10);
    let began = Instant::now();
    for player in players(20) {
        table.put(&player).await.unwrap();
    }
    for number in 0..10 {
        let name = named(number);
        table.update(at(&name)).set(Player::FIELDS.rating, 7.0).await.unwrap();
        table.delete(at(&name)).await.unwrap();
    }
    assert!((2.85..3.1).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_reads_ends_with_patience_at_a_pace_too() {
    let (stage, _) = capped(100, 40).await;
    let memory = MemoryTable::new(stage.table.clone().read_capacity(40));
    stage.faults.always(READ, Fault::throttled());
    let began = Instant::now();
    let error = memory.prefetch(keys(100)).await.unwrap_err();
    assert!((60.0..66.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert!(error.attempts() < 60, "{error}");
    stage.faults.heal();
    assert_eq!(memory.prefetch(keys(100)).await.unwrap().records, 100);
}

/// An answer has 16 MB at most: what it has no room for is asked for at once.
#[tokio::test(start_paused = true)]
async fn what_an_answer_has_no_room_for_is_not_taken_for_a_throttle() {
    let stage = Stage::<Player>::embedded().await;
    let large = |number| Player { text: "x".repeat(390_000), ..player(&named(number), 0.0) };
    for number in 0..60 {
        stage.truth.put(&large(number)).await.unwrap();
    }
    let (memory, seconds) = prefetched(stage.table.clone(), 60).await;
    assert_eq!((seconds, memory.table().read_rate()), (0.0, None));
    assert_eq!(memory.stats().read_requests, 2);
}

/// Those who come later wait behind it, however little they need.
#[tokio::test(start_paused = true)]
async fn a_load_that_needs_much_has_its_turn_among_reads_that_need_little() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().read_capacity(40);
    let small = || async {
        loop {
            assert_eq!(table.get_consistent(at("nobody")).await.unwrap(), None);
        }
    };
    let memory = MemoryTable::new(table.clone());
    let large = async {
        tokio::time::sleep(SECOND * 3).await;
        let began = Instant::now();
        assert_eq!(memory.prefetch(keys(80)).await.unwrap().records, 0);
        began.elapsed()
    };
    let elapsed = tokio::select! {
        _ = futures::future::join_all((0..20).map(|_| small())) => unreachable!("they go on"),
        elapsed = large => elapsed,
    };
    assert!(elapsed < SECOND * 6, "{elapsed:?}");
}

/// Also of those who never had their turn.
#[tokio::test(start_paused = true)]
async fn an_outage_ends_with_patience_for_all_who_wait_for_their_turn() {
    let faults: [fn() -> Fault; 2] = [Fault::throttled, Fault::connection_reset];
    for fault in faults {
        let stage = Stage::<Player>::embedded().await;
        let table = stage.table.clone().read_capacity(10).write_capacity(10);
        assert_eq!(table.get(at("ada")).await.unwrap(), None);
        stage.faults.always("GetItem", fault());
        stage.faults.always("PutItem", fault());
        let began = Instant::now();
        let reads = (0..500).map(|number| {
            let (table, name) = (&table, named(number));
            async move { table.get(at(&name)).await.map(drop).unwrap_err() }
        });
        let writes = (0..500).map(|number| {
            let table = &table;
            async move { table.put(&player(&named(number), 1.0)).await.unwrap_err() }
        });
        let (reads, writes) =
            tokio::join!(futures::future::join_all(reads), futures::future::join_all(writes));
        assert_eq!((reads.len(), writes.len()), (500, 500));
        let seconds = began.elapsed().as_secs_f64();
        assert!((60.0..75.0).contains(&seconds), "{seconds}: {}", reads[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_index_ends_with_patience_for_all_who_write() {
    let stage = Stage::<Store>::embedded().await;
    let capacity = TableCapacity::provisioned(1_000, 1_000).index("by-city", 1, 0);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let began = Instant::now();
    let writes = (0..300).map(|id| {
        let store = Store { country: "LV".into(), id, city: "Riga".into(), size: id };
        let table = &stage.table;
        async move { table.put(&store).await.unwrap_err() }
    });
    let errors = futures::future::join_all(writes).await;
    let seconds = began.elapsed().as_secs_f64();
    assert!((60.0..75.0).contains(&seconds), "{seconds}");
    assert!(errors[0].to_string().contains("of index `by-city`"), "{}", errors[0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_global_index_gives_is_found() {
    let stage = Stage::<Store>::embedded().await;
    let store = |id| Store { country: "LV".into(), id, city: "Riga".into(), size: id };
    assert_eq!(stage.truth.batch_write().puts((0..10).map(store)).await.unwrap().written, 10);
    let capacity =
        TableCapacity::provisioned(1_000, 1_000).index("by-city", 10, 1_000).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let began = Instant::now();
    let reads = (0..4).map(|_| async {
        for _ in 0..100 {
            let index = stage.table.index(Store::INDEXES.by_city);
            assert_eq!(index.query("Riga").all().await.unwrap().len(), 10);
        }
    });
    futures::future::join_all(reads).await;
    // Half a unit each: at the best 19 s.
    let seconds = began.elapsed().as_secs_f64();
    assert!((18.5..24.0).contains(&seconds), "{seconds}");
    // All that came before it was first met, and little since.
    assert!(capacity.met().requests < 480, "{:?}", capacity.met());
    assert_eq!(stage.table.read_rate(), None, "of the table nothing was learned");
}

/// They would have the room again and again before it is enough for many.
#[tokio::test(start_paused = true)]
async fn a_flush_has_its_turn_among_single_writes() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().write_capacity(40);
    let singly = |number| {
        let (table, name) = (&table, format!("again {number}"));
        async move {
            loop {
                table.put(&player(&name, 1.0)).await.unwrap();
            }
        }
    };
    let memory = MemoryTable::new(table.clone());
    let flush = async {
        tokio::time::sleep(SECOND * 3).await;
        for player in players(400) {
            memory.put(player).await.unwrap();
        }
        memory.flush().await.unwrap()
    };
    let report = tokio::select! {
        _ = futures::future::join_all((0..20).map(singly)) => unreachable!("they go on"),
        report = flush => report,
    };
    assert_eq!(report.written, 400);
    // Half of what there is.
    assert!((15.0..25.0).contains(&report.elapsed.as_secs_f64()), "{report}");
    let singles = stage.faults.count("PutItem");
    assert!((400..700).contains(&singles), "{singles}");
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_away_is_not_waited_for() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.clone().read_capacity(10);
    let many = table.batch_get(keys(100)).consistent().into_future();
    let dropped = tokio::time::timeout(SECOND / 2, many).await;
    assert!(dropped.is_err(), "there is room for ten of them in the first second");
    tokio::time::sleep(SECOND * 3 / 4).await;
    let began = Instant::now();
    assert_eq!(table.get(at("ada")).await.unwrap(), None);
    assert!(began.elapsed() < SECOND * 2, "{:?}", began.elapsed());
}

//! The scenarios: each begins tasks that meet, waits for them, and says what must have come of it.

use super::stage::{Counter, Stage, counter, task};
use crate::simulation::Fault;
use crate::{Error, ErrorKind, MemoryTable, Unsaved, flush_all, rt};

fn raised(memory: &MemoryTable<Counter>, id: u32) -> impl Future<Output = ()> + use<> {
    let memory = memory.clone();
    async move {
        memory.update(id, |counter| counter.n += 1).await.expect("an update");
    }
}

fn flushed(memory: &MemoryTable<Counter>) -> impl Future<Output = u64> + use<> {
    let memory = memory.clone();
    async move { memory.flush().await.expect("a flush").written }
}

fn got(memory: &MemoryTable<Counter>, id: u32) -> impl Future<Output = Option<i64>> + use<> {
    let memory = memory.clone();
    async move { memory.get(id).await.expect("a read").map(|counter| counter.n) }
}

fn put(
    memory: &MemoryTable<Counter>,
    id: u32,
    n: i64,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let memory = memory.clone();
    async move { memory.put(counter(id, n)).await }
}

pub(super) async fn a_change_while_it_is_in_flight(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    let flush = task(flushed(&memory));
    let put = task(put(&memory, 1, 2));
    put.await.expect("a task").expect("a put");
    flush.await.expect("a task");
    assert_eq!(got(&memory, 1).await, Some(2), "no older one is seen");
    stage.ends(&memory, &[(1, 2)]).await;
}

pub(super) async fn a_load_against_a_put(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    let load = task(got(&memory, 1));
    memory.put(counter(1, 2)).await.expect("a put");
    assert_eq!(got(&memory, 1).await, Some(2), "no load replaces it");
    let loaded = load.await.expect("a task");
    assert!(matches!(loaded, Some(1 | 2)), "{loaded:?}");
    stage.ends(&memory, &[(1, 2)]).await;
}

pub(super) async fn two_flushes_at_once(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    memory.put(counter(2, 1)).await.expect("a put");
    let flushes = [task(flushed(&memory)), task(flushed(&memory))];
    raised(&memory, 1).await;
    let mut written = 0;
    for flush in flushes {
        written += flush.await.expect("a task");
    }
    assert!(written >= 2, "{written}");
    assert!(stage.counters("counters").contains(&(2, 1)), "saved before they end");
    stage.ends(&memory, &[(1, 2), (2, 1)]).await;
}

pub(super) async fn a_close_against_puts(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    let put = task(put(&memory, 1, 2));
    let closed = memory.close().await.expect("a close");
    assert_eq!(closed.not_saved().count(), 0);
    let put = put.await.expect("a task").map_err(|error| error.kind());
    assert_eq!(memory.unsaved(), [], "closed with something unsaved");
    let expected = match put {
        Ok(()) => 2,
        Err(ErrorKind::Closed) => 1,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(stage.counters("counters"), [(1, expected)]);
    let again = memory.put(counter(1, 3)).await.map_err(|error| error.kind());
    assert_eq!(again, Err(ErrorKind::Closed));
}

pub(super) async fn an_eviction_against_a_change(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    memory.get(1).await.expect("a read");
    let evictions = task({
        let memory = memory.clone();
        async move {
            for _ in 0..3 {
                memory.let_go(&1);
                shuttle::future::yield_now().await;
            }
        }
    });
    let flush = task({
        let memory = memory.clone();
        async move { memory.flush().await.map(drop) }
    });
    raised(&memory, 1).await;
    raised(&memory, 1).await;
    evictions.await.expect("a task");
    flush.await.expect("a task").expect("a flush");
    stage.ends(&memory, &[(1, 3)]).await;
}

pub(super) async fn a_cancelled_waiter(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    let first = task(raised(&memory, 1));
    let cancelled = task(raised(&memory, 1));
    let last = task(raised(&memory, 1));
    shuttle::future::yield_now().await;
    cancelled.abort();
    let was_done = cancelled.await.is_ok();
    first.await.expect("a task");
    last.await.expect("a task");
    let n = got(&memory, 1).await;
    // It may be done and not be heard of.
    assert!(n == Some(4) || (n == Some(3) && !was_done), "{n:?}, done: {was_done}");
    stage.ends(&memory, &[(1, n.expect("a counter"))]).await;
}

pub(super) async fn updates_of_what_is_not_loaded(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    let updates = [1, 1, 1].map(|id| task(raised(&memory, id)));
    let reader = task(got(&memory, 1));
    for update in updates {
        update.await.expect("a task");
    }
    reader.await.expect("a task");
    assert_eq!(memory.stats().read_requests, 1, "one read for all");
    stage.ends(&memory, &[(1, 4)]).await;
}

pub(super) async fn increments_during_flushes(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    stage.store.script(Fault::LostAfter);
    let added = task({
        let memory = memory.clone();
        async move {
            for _ in 0..3 {
                memory.increment(1, Counter::FIELDS.n, 1).await.expect("an increment");
            }
        }
    });
    let flush = task(flushed(&memory));
    let reader = task(got(&memory, 1));
    added.await.expect("a task");
    flush.await.expect("a task");
    reader.await.expect("a task");
    stage.ends(&memory, &[(1, 4)]).await;
}

pub(super) async fn a_lost_answer_against_a_newer_value(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    memory.put(counter(2, 1)).await.expect("a put");
    stage.store.script(Fault::LostAfter);
    stage.store.script(Fault::Unprocessed);
    let flush = task(flushed(&memory));
    let newer = task({
        let memory = memory.clone();
        async move {
            memory.delete(1).await.expect("a delete");
            memory.put(counter(1, 2)).await
        }
    });
    newer.await.expect("a task").expect("a put");
    flush.await.expect("a task");
    stage.ends(&memory, &[(1, 2), (2, 1)]).await;
}

pub(super) async fn a_reset_against_a_load_and_a_change(stage: Stage) {
    stage.stored(1, 1);
    let memory = stage.memory.clone();
    let load = task(got(&memory, 1));
    let update = task(raised(&memory, 1));
    match memory.reset().await.map_err(|error| error.kind()) {
        Ok(()) | Err(ErrorKind::Unsaved) => {}
        Err(other) => panic!("{other:?}"),
    }
    let loaded = load.await.expect("a task");
    assert!(matches!(loaded, Some(1 | 2)), "{loaded:?}");
    update.await.expect("a task");
    stage.ends(&memory, &[(1, 2)]).await;
}

pub(super) async fn no_room_for_two(stage: Stage) {
    let memory = stage.with(|builder| builder.max_unsaved_records(1));
    let puts = [1, 2].map(|id| task(put(&memory, id, 1)));
    memory.put(counter(3, 1)).await.expect("a put");
    for put in puts {
        put.await.expect("a task").expect("a put, once there is room");
    }
    stage.ends(&memory, &[(1, 1), (2, 1), (3, 1)]).await;
}

pub(super) async fn flushes_of_two_tables(stage: Stage) {
    let (memory, other) = (stage.memory.clone(), stage.other());
    memory.put(counter(1, 1)).await.expect("a put");
    other.put(counter(2, 1)).await.expect("a put");
    let both = task({
        let (memory, other) = (memory.clone(), other.clone());
        async move { flush_all(&[&memory, &other]).await.map(drop) }
    });
    let turned = task({
        let (memory, other) = (memory.clone(), other.clone());
        async move { flush_all(&[&other, &memory]).await.map(drop) }
    });
    let alone = task(flushed(&memory));
    raised(&memory, 1).await;
    both.await.expect("a task").expect("a flush");
    turned.await.expect("a task").expect("a flush");
    alone.await.expect("a task");
    assert_eq!((other.unsaved(), stage.counters("others")), (Vec::new(), vec![(2, 1)]));
    stage.ends(&memory, &[(1, 2)]).await;
}

pub(super) async fn a_flush_whose_task_ends(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    memory.put(counter(2, 1)).await.expect("a put");
    rt::watch();
    let flush = task(flushed(&memory));
    let put = task(put(&memory, 1, 2));
    shuttle::future::yield_now().await;
    rt::end_all();
    put.await.expect("a task").expect("a put");
    flush.await.expect("a task");
    stage.ends(&memory, &[(1, 2), (2, 1)]).await;
}

pub(super) async fn what_is_taken_out_against_a_put(stage: Stage) {
    let memory = stage.memory.clone();
    memory.put(counter(1, 1)).await.expect("a put");
    let put = task(put(&memory, 2, 1));
    let flush = task(flushed(&memory));
    let taken = memory.take_unsaved().await;
    put.await.expect("a task").expect("a put");
    flush.await.expect("a task");
    assert_eq!(memory.flush().await.expect("a flush").not_saved().count(), 0);
    let mut all = stage.counters("counters");
    for change in taken {
        let Unsaved::Put(counter) = change else { panic!("{change:?}") };
        all.push((counter.id, counter.n));
    }
    all.sort_unstable();
    assert_eq!(all, [(1, 1), (2, 1)], "each is saved or handed back, and none is both");
    assert_eq!(memory.unsaved(), []);
}

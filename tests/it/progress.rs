//! What is told of flushes and loads while they go on.

use std::sync::Arc;
use std::time::Duration;

use memory_table::testing::{Fault, TableCapacity};
use memory_table::{MemoryTable, Progress, Record, Table, Work, flush_all};
use parking_lot::Mutex;

use crate::support::{Player, Stage, Team, at, changed, named, players, quick_builder};

const SECOND: Duration = Duration::from_secs(1);

/// What was told, in the order in which it was.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Progress>>>);

impl Told {
    fn of<T: Record>(&self, table: Table<T>) -> Table<T> {
        let told = self.clone();
        table.on_progress(move |progress| told.0.lock().push(progress.clone()))
    }

    fn take(&self) -> Vec<Progress> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Asserts what holds of everything that is told of one piece of work; returns its end.
#[track_caller]
fn one_whole(told: &[Progress]) -> &Progress {
    let (first, last) = (told.first().expect("something is told"), told.last().unwrap());
    assert_eq!((first.done, first.units, first.elapsed), (0, 0.0, Duration::ZERO));
    assert!(last.is_over && told[..told.len() - 1].iter().all(|it| !it.is_over));
    for (one, next) in told.iter().zip(&told[1..]) {
        assert!(one.done <= next.done && one.units <= next.units && one.elapsed <= next.elapsed);
        assert!(next.is_over || next.elapsed >= one.elapsed + Duration::from_millis(100));
        assert_eq!((one.work, &one.table), (next.work, &next.table));
    }
    last
}

#[tokio::test(start_paused = true)]
async fn a_flush_tells_how_far_it_has_come_and_how_long_it_will_take() {
    let stage = Stage::<Player>::embedded().await;
    let told = Told::default();
    let memory = changed(told.of(stage.table.clone().write_capacity(40)), 400).await;
    assert_eq!(told.take(), []);
    let report = memory.flush().await.unwrap();
    let told = told.take();
    let last = one_whole(&told);
    assert_eq!((last.work, &*last.table), (Work::Saving, stage.table.name().unwrap()));
    assert_eq!((last.done, last.total, last.units), (400, Some(400), report.consumed_capacity));
    assert_eq!((last.retries, last.time_left), (0, Some(Duration::ZERO)));
    assert!(told.len() > 10, "{}", told.len());
    let middle = told.iter().find(|it| it.done >= 200).unwrap();
    assert!((35.0..60.0).contains(&middle.units_per_second), "{middle:?}");
    let left = middle.time_left.unwrap();
    assert!((3.0..5.5).contains(&left.as_secs_f64()), "{middle:?}");
    let line = middle.to_string();
    assert!(line.starts_with(&format!("saving players: {} of 400, ", middle.done)), "{line}");
    assert!(line.ends_with(" s left") && line.contains(" units/s, "), "{line}");
    assert!(!last.to_string().contains("left"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_and_what_is_not_saved_is_told() {
    let stage = Stage::<Player>::embedded().await;
    let told = Told::default();
    let memory = changed(told.of(stage.table.clone()), 100).await;
    stage.faults.next("BatchWriteItem", Fault::throttled());
    let report = memory.flush().await.unwrap();
    let ended = told.take();
    assert_eq!((one_whole(&ended).done, one_whole(&ended).retries), (100, report.retries));
    assert!(report.retries > 0 && one_whole(&ended).to_string().contains("retr"));
    stage.faults.always("BatchWriteItem", Fault::access_denied());
    let memory = changed(memory.table().clone(), 30).await;
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 30);
    let ended = told.take();
    assert_eq!((one_whole(&ended).done, one_whole(&ended).total), (30, Some(30)));
}

#[tokio::test(start_paused = true)]
async fn loads_tell_how_far_they_have_come() {
    let stage = Stage::<Player>::embedded().await;
    assert_eq!(stage.truth.batch_write().puts(players(3_000)).await.unwrap().written, 3_000);
    let capacity = TableCapacity::provisioned(500, 1_000).burst(SECOND);
    stage.faults.limit(stage.table.name().unwrap(), &capacity);
    let told = Told::default();
    let listen = told.clone();
    let builder = quick_builder(stage.table.clone());
    let memory = builder.on_progress(move |it| listen.0.lock().push(it.clone())).build().unwrap();
    let keys = (0..3_000).map(|number| ("chess", named(number)));
    assert_eq!(memory.prefetch(keys).await.unwrap().records, 3_000);
    let ended = told.take();
    let last = one_whole(&ended);
    assert_eq!((last.work, last.done, last.total), (Work::Loading, 3_000, Some(3_000)));
    assert_eq!(last.units, memory.consumption().reads.total);
    assert!(last.retries > 0 && ended.len() > 3, "{last:?}, {} times", ended.len());
    memory.reset().await.unwrap();
    let before = memory.consumption().reads.total;
    assert_eq!(memory.load_all().await.unwrap().records, 3_000);
    let ended = told.take();
    let last = one_whole(&ended);
    assert_eq!((last.done, last.total), (3_000, Some(3_000)));
    assert_eq!(last.units, memory.consumption().reads.total - before);
    memory.load(memory.table().query("chess")).await.unwrap();
    let ended = told.take();
    assert_eq!((one_whole(&ended).done, one_whole(&ended).total), (3_000, None));
    assert_eq!(one_whole(&ended).time_left, None);
    // Nothing is to be loaded, and that is told too.
    assert_eq!(memory.prefetch([at("p0000")]).await.unwrap().records, 1);
    let ended = told.take();
    assert_eq!((one_whole(&ended).done, one_whole(&ended).total), (1, Some(1)));
}

#[tokio::test]
async fn each_table_of_a_flush_of_several_is_told_of_its_own() {
    let stage = Stage::<Player>::new().await;
    let teams = stage.table.database().table::<Team>();
    teams.create_if_missing().await.unwrap();
    let (of_players, of_teams) = (Told::default(), Told::default());
    let players = changed(of_players.of(stage.table.clone()), 60).await;
    let teams = MemoryTable::new(of_teams.of(teams));
    teams.put(Team { team: "red".into(), points: 1 }).await.unwrap();
    let half = Fault::unprocessed_if(|item| item["game"].is_object());
    stage.faults.next("BatchWriteItem", half);
    let report = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((report.written, report.retries > 0), (61, true));
    let (of_players, of_teams) = (of_players.take(), of_teams.take());
    assert_eq!((one_whole(&of_players).done, one_whole(&of_players).units), (60, 60.0));
    assert_eq!((one_whole(&of_teams).done, one_whole(&of_teams).units), (1, 1.0));
    assert_eq!((one_whole(&of_players).retries > 0, one_whole(&of_teams).retries), (true, 0));
}

#[tokio::test]
async fn batches_of_a_table_tell_too_and_a_listener_that_panics_is_left_alone() {
    let stage = Stage::<Player>::new().await;
    let told = Told::default();
    let table = told.of(stage.table.clone());
    assert_eq!(table.batch_write().puts(players(30)).await.unwrap().written, 30);
    assert_eq!(one_whole(&told.take()).total, Some(30));
    let times = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&times);
    let table = stage.table.clone().on_progress(move |_| {
        *counted.lock() += 1;
        panic!("it is the test's panic");
    });
    assert_eq!(changed(table, 40).await.flush().await.unwrap().written, 40);
    assert_eq!(*times.lock(), 1);
}

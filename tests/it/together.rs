//! Several memory tables flushed as one: shared requests, one report, and none that waits for the other.

use std::time::Duration;

use memory_table::testing::Request;
use memory_table::{
    Database, ErrorKind, FlushReport, MemoryTable, MemoryTableBuilder, Outcome, Record, Resolution,
    RetryPolicy, flush_all,
};
use serde::{Deserialize, Serialize};

use crate::support::{
    Fault, Faults, Gate, Player, Team, at, database, embedded, failed_keys, faulty, named, player,
    players, quick_builder,
};

const WRITE: &str = "BatchWriteItem";

/// Two tables on one database.
struct Two {
    truth: Database,
    scripted: Database,
    faults: Faults,
}

impl Two {
    async fn new() -> Self {
        Self::on(database()).await
    }

    async fn on(truth: Database) -> Self {
        let (scripted, faults) = faulty(&truth);
        scripted.table::<Player>().create_if_missing().await.unwrap();
        scripted.table::<Team>().create_if_missing().await.unwrap();
        Self { truth, scripted, faults }
    }

    /// The same tables, as they are to one who has asked nothing yet.
    fn unasked(self) -> Self {
        let (scripted, faults) = faulty(&self.truth);
        Self { scripted, faults, ..self }
    }

    fn builder<T: Record>(&self) -> MemoryTableBuilder<T> {
        quick_builder(self.scripted.table())
    }

    fn memory<T: Record>(&self) -> MemoryTable<T> {
        self.builder().build().unwrap()
    }

    fn writes(&self) -> usize {
        self.faults.count(WRITE)
    }

    /// How many players and teams are stored.
    async fn stored(&self) -> (u64, u64) {
        let players = self.truth.table::<Player>().scan().consistent().count().await.unwrap();
        (players, self.truth.table::<Team>().scan().consistent().count().await.unwrap())
    }
}

fn team(number: usize) -> Team {
    Team { team: named(number), points: 1 }
}

/// This many new records in each.
async fn change(players_of: &MemoryTable<Player>, teams_of: &MemoryTable<Team>, count: u16) {
    for player in players(count) {
        players_of.put(player).await.unwrap();
    }
    for number in 0..count {
        teams_of.put(team(number.into())).await.unwrap();
    }
}

async fn changed(count: u16) -> (Two, MemoryTable<Player>, MemoryTable<Team>) {
    let two = Two::new().await;
    let (players, teams) = (two.memory(), two.memory());
    change(&players, &teams, count).await;
    (two, players, teams)
}

/// The tables of a request, without their prefix.
fn tables(request: &Request) -> Vec<&str> {
    let short = |name: &'static str| move |full: &&str| full.ends_with(name);
    let tables = request.tables();
    let known = ["players", "teams"];
    known.into_iter().filter(|name| tables.iter().any(short(name))).collect()
}

/// How much of what is spent and of what the report says of it.
fn spent(report: &FlushReport) -> (u64, u64, u64) {
    (report.written, report.requests, report.retries)
}

#[tokio::test]
async fn a_few_changes_of_several_tables_take_one_request() {
    let (two, players, teams) = changed(2).await;
    let report = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((spent(&report), two.writes()), ((4, 1, 0), 1));
    assert_eq!(tables(&two.faults.requests(WRITE)[0]), ["players", "teams"]);
    assert_eq!((players.unsaved(), teams.unsaved()), (vec![], vec![]));
    assert_eq!(two.stored().await, (2, 2));
    assert!(report.consumed_capacity >= 4.0 && report.bytes > 0 && report.elapsed > Duration::ZERO);
    for stats in [players.stats(), teams.stats()] {
        assert_eq!((stats.write_requests, stats.items_written), (1, 2), "each counts the request");
    }
    let nothing = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((nothing.submitted(), nothing.requests), (0, 0));
    assert_eq!(flush_all(&[]).await.unwrap().submitted(), 0);
}

#[tokio::test]
async fn requests_are_filled_across_tables() {
    let (two, players, teams) = changed(40).await;
    assert_eq!(spent(&flush_all(&[&teams, &players]).await.unwrap()), (80, 4, 0));
    assert_eq!(two.stored().await, (40, 40));
}

#[tokio::test]
async fn deletes_and_unchanged_records_are_counted_as_in_a_flush() {
    let (two, players, teams) = changed(3).await;
    assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 6);
    players.delete(at("p0000")).await.unwrap();
    players.put(player("p0001", 1.0)).await.unwrap();
    teams.delete("p0000").await.unwrap();
    teams.put(Team { points: 7, ..team(1) }).await.unwrap();
    let report = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((report.written, report.deleted, report.unchanged, report.requests), (1, 2, 1, 1));
    assert_eq!(two.stored().await, (2, 2));
}

#[tokio::test]
async fn what_is_left_unprocessed_of_a_shared_request_is_sent_again() {
    let (two, players, teams) = changed(3).await;
    two.faults.next(WRITE, Fault::unprocessed_if(|item| item.get("points").is_some()));
    let report = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((spent(&report), report.unprocessed), ((6, 2, 1), 3));
    let sent = two.faults.requests(WRITE);
    assert_eq!((tables(&sent[0]), tables(&sent[1])), (vec!["players", "teams"], vec!["teams"]));
    assert_eq!(two.stored().await, (3, 3));
}

#[tokio::test]
async fn failures_of_a_shared_request_that_pass_are_retried() {
    let lost = Fault::connection_reset().after_applying();
    for fault in [Fault::throttled(), Fault::failed(), Fault::connection_refused(), lost] {
        let (two, players, teams) = changed(3).await;
        two.faults.next(WRITE, fault);
        let report = flush_all(&[&players, &teams]).await.unwrap();
        assert_eq!(report.written, 6);
        assert!((1..=2).contains(&report.retries), "each table has its own delay");
        assert_eq!(two.stored().await, (3, 3));
    }
}

/// A request that names a table that is not there is refused as a whole.
#[tokio::test]
async fn a_table_that_is_gone_stops_nothing_of_the_others() {
    let (two, players, teams) = changed(3).await;
    // Both are known to be there, and one is deleted behind the back.
    teams.get("nobody").await.unwrap();
    players.get(at("nobody")).await.unwrap();
    two.truth.table::<Team>().delete_table().await.unwrap();
    let error = flush_all(&[&teams, &players]).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::TableNotFound);
    let report = error.report();
    assert_eq!((report.written, report.failed.len(), report.parked.len()), (3, 3, 0));
    assert_eq!(failed_keys(&report.failed), [r#""p0000""#, r#""p0001""#, r#""p0002""#]);
    let name = two.truth.table::<Team>().name().unwrap().to_owned();
    assert!(report.failed.iter().all(|failed| *failed.table == *name && failed.attempts > 0));
    let text = error.to_string();
    let full = two.truth.table::<Player>().name().unwrap().to_owned();
    assert!(text.starts_with(&format!("flush of tables `{name}`, `{full}`: 3 of 6")), "{text}");
    assert!(text.contains(&format!(r#""p0000" of `{name}`"#)), "{text}");
    assert_eq!((players.unsaved().len(), teams.unsaved().len()), (0, 3));
    two.scripted.table::<Team>().create_if_missing().await.unwrap();
    assert_eq!(flush_all(&[&teams, &players]).await.unwrap().written, 3);
    assert_eq!(two.stored().await, (3, 3));
}

#[tokio::test]
async fn access_denied_to_one_table_stops_nothing_of_the_others() {
    let (two, players, teams) = changed(30).await;
    two.faults
        .script(WRITE, |request| tables(request).contains(&"players").then(Fault::access_denied));
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::AccessDenied);
    assert_eq!((error.report().written, error.report().failed.len()), (30, 30));
    assert_eq!((players.unsaved().len(), teams.unsaved().len()), (30, 0));
    two.faults.heal();
    assert_eq!(players.flush().await.unwrap().written, 30);
}

#[tokio::test]
async fn a_table_that_does_not_fit_its_type_fails_before_anything_of_it_is_sent() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "teams")]
    struct Squad {
        #[record(partition_key)]
        squad: String,
    }
    let two = Two::new().await;
    let (players, squads) = (two.memory::<Player>(), two.memory::<Squad>());
    players.put(player("ada", 1.0)).await.unwrap();
    squads.put(Squad { squad: "red".into() }).await.unwrap();
    let error = flush_all(&[&squads, &players]).await.unwrap_err();
    assert_eq!(error.cause().kind(), ErrorKind::TableMismatch);
    assert_eq!(
        (error.report().written, failed_keys(&error.report().failed)),
        (1, vec![r#""red""#.into()])
    );
    assert_eq!((error.report().failed[0].attempts, squads.unsaved().len()), (0, 1));
}

#[tokio::test]
async fn a_bad_item_is_found_across_tables_and_the_others_are_written() {
    for number in [0, 7, 11] {
        let (two, players, teams) = changed(12).await;
        let bad = named(number);
        let poison = Fault::poison(move |item| {
            item.get("points").is_some() && item["team"]["S"] == bad.as_str()
        });
        two.faults.always(WRITE, poison);
        let error = flush_all(&[&players, &teams]).await.unwrap_err();
        let report = error.report();
        assert_eq!((report.written, report.failed.len()), (23, 0), "{error}");
        assert_eq!(failed_keys(&report.parked), [format!("{:?}", named(number))]);
        assert!(report.parked[0].table.ends_with("teams"));
        assert!(report.requests <= 13, "{} requests", report.requests);
        assert_eq!((players.unsaved().len(), teams.unsaved().len()), (0, 1));
    }
}

/// With several bad ones of one table, and nothing good, the table may be to blame; that the others
/// are written says nothing about it.
#[tokio::test]
async fn where_all_of_one_table_is_refused_none_of_it_is_parked() {
    let (two, players, teams) = changed(4).await;
    two.faults.always(WRITE, Fault::poison(|item| item.get("points").is_some()));
    for first in 0..2 {
        let error = flush_all(&[&players, &teams]).await.unwrap_err();
        let report = error.report();
        assert_eq!(report.written, if first == 0 { 4 } else { 0 });
        assert_eq!((report.parked.len(), report.failed.len()), (0, 4), "{error}");
    }
    two.faults.heal();
    assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 4);
}

#[tokio::test]
async fn everything_that_is_refused_in_all_tables_is_failed_and_nothing_parked() {
    let (two, players, teams) = changed(3).await;
    two.faults.always(WRITE, Fault::invalid());
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert_eq!((error.report().parked.len(), error.report().failed.len()), (0, 6));
    two.faults.heal();
    assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 6);
}

/// The clock stands still where nothing waits, so what is retried is retried in no time.
#[tokio::test(start_paused = true)]
async fn each_table_has_its_own_patience() {
    let two = Two::on(embedded()).await;
    let players = two.builder().patience(Duration::ZERO).build().unwrap();
    let teams = two.memory::<Team>();
    change(&players, &teams, 2).await;
    two.faults.next(WRITE, Fault::throttled());
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert_eq!((error.report().written, error.report().failed.len()), (2, 2));
    assert!(error.report().failed.iter().all(|failed| failed.table.ends_with("players")));
    assert_eq!(error.cause().kind(), ErrorKind::Throttled);
    assert_eq!(two.stored().await, (0, 2));
}

/// What is written of one table does not keep the other waiting for longer than its patience.
#[tokio::test(start_paused = true)]
async fn what_is_written_of_one_table_is_no_progress_of_another() {
    let two = Two::on(embedded()).await;
    let (players, teams) = (two.memory::<Player>(), two.memory::<Team>());
    change(&players, &teams, 1).await;
    let begun = tokio::time::Instant::now();
    two.faults.script(WRITE, move |request| match tables(request)[..] {
        ["players"] => Some(Fault::throttled()),
        _ => Some(Fault::unprocessed_if(move |item| {
            item.get("points").is_none() || begun.elapsed() < Duration::from_secs(50)
        })),
    });
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert_eq!((error.report().written, error.report().failed.len()), (1, 1));
    assert!(begun.elapsed() < Duration::from_secs(62), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_fewest_requests_in_flight_hold_for_all() {
    let two = Two::new().await;
    let players = two.builder().requests_in_flight(2).build().unwrap();
    let teams = two.builder().requests_in_flight(8).build().unwrap();
    change(&players, &teams, 60).await;
    let gates: Vec<Gate> = (0..3).map(|_| two.faults.hold_next(WRITE)).collect();
    let flush = async { flush_all(&[&players, &teams]).await.unwrap().written };
    let opened = async {
        gates[0].reached().await;
        gates[1].reached().await;
        tokio::task::yield_now().await;
        assert_eq!(two.writes(), 2);
        gates.iter().for_each(Gate::open);
    };
    assert_eq!(tokio::join!(flush, opened).0, 120);
}

#[tokio::test]
async fn two_flushes_of_the_same_tables_in_any_order_do_not_wait_for_each_other() {
    let (two, players, teams) = changed(20).await;
    let mut flushes = Vec::new();
    for turn in 0..10 {
        let (players, teams) = (players.clone(), teams.clone());
        flushes.push(tokio::spawn(async move {
            players.put(player(&format!("new{turn}"), 1.0)).await.unwrap();
            match turn % 4 {
                0 => flush_all(&[&players, &teams]).await.map(drop),
                1 => flush_all(&[&teams, &players]).await.map(drop),
                2 => teams.flush().await.map(drop),
                _ => players.flush_keys([at(&format!("new{turn}"))]).await.map(drop),
            }
        }));
    }
    for flush in flushes {
        flush.await.unwrap().unwrap();
    }
    assert_eq!(flush_all(&[&teams, &players]).await.unwrap().failed.len(), 0);
    assert_eq!(two.stored().await, (30, 20));
}

#[tokio::test]
async fn a_flush_under_way_is_waited_for_and_one_that_is_asked_for_meanwhile_follows() {
    let (two, players, teams) = changed(2).await;
    let (own, shared) = (two.faults.hold_next(WRITE), two.faults.hold_next(WRITE));
    let flush = tokio::spawn({
        let players = players.clone();
        async move { players.flush().await.unwrap() }
    });
    own.reached().await;
    players.put(player("p0000", 9.0)).await.unwrap();
    let together = tokio::spawn({
        let (players, teams) = (players.clone(), teams.clone());
        async move { flush_all(&[&players, &teams]).await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert_eq!(two.writes(), 1, "a key is in one request at a time");
    own.open();
    shared.reached().await;
    players.put(player("p0001", 9.0)).await.unwrap();
    let after = tokio::spawn({
        let players = players.clone();
        async move { players.flush().await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert_eq!(two.writes(), 2);
    shared.open();
    assert_eq!(flush.await.unwrap().written, 2);
    assert_eq!(together.await.unwrap().written, 3);
    assert_eq!(after.await.unwrap().written, 1);
    assert_eq!(two.truth.table::<Player>().get(at("p0001")).await.unwrap().unwrap().rating, 9.0);
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_nothing() {
    let (two, players, teams) = changed(2).await;
    let gate = two.faults.hold_next(WRITE);
    let mut flush = Box::pin(async { flush_all(&[&players, &teams]).await.map(drop) });
    tokio::select! {
        biased;
        _ = &mut flush => panic!("the write is held"),
        () = gate.reached() => {}
    }
    drop(flush);
    gate.open();
    assert_eq!(flush_all(&[&teams, &players]).await.unwrap().submitted(), 0, "it was waited for");
    assert_eq!(two.stored().await, (2, 2));
}

#[test]
fn a_runtime_that_is_shut_down_ends_it_and_nothing_is_lost() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let (two, players, teams) = runtime().block_on(changed(2));
    let first = runtime();
    let waiting = first.block_on(async {
        let gate = two.faults.hold_next(WRITE);
        let held = (players.clone(), teams.clone());
        tokio::spawn(async move { flush_all(&[&held.0, &held.1]).await.map(drop) });
        gate.reached().await;
        players.put(player("late", 1.0)).await.unwrap();
        teams.clone()
    });
    let second = runtime();
    let waits = second.spawn(async move { waiting.flush().await.unwrap().written });
    drop(first);
    assert_eq!(second.block_on(waits).unwrap(), 2, "who waited for it goes on");
    second.block_on(async {
        assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 3);
        assert_eq!(two.stored().await, (3, 2));
    });
}

/// A single-table design: records of two types in one table, told apart by their keys. By mistake
/// both have the same key.
#[tokio::test]
async fn two_memory_tables_of_one_table_never_send_an_item_twice_at_once() {
    let two = Two::new().await;
    let (one, other) = (two.memory::<Player>(), two.memory::<Player>());
    for player in players(20) {
        one.put(player).await.unwrap();
    }
    other.put(player("p0019", 7.0)).await.unwrap();
    other.put(player("other", 7.0)).await.unwrap();
    let report = flush_all(&[&one, &other]).await.unwrap();
    assert_eq!((report.written, report.requests), (22, 2));
    assert_eq!(two.stored().await, (21, 0));
    let last = two.truth.table::<Player>().get(at("p0019")).await.unwrap();
    assert_eq!(last.unwrap().rating, 7.0, "the one that was named last");
}

#[tokio::test]
async fn a_table_that_is_named_twice_is_flushed_once() {
    let (two, players, teams) = changed(2).await;
    let clone = players.clone();
    assert_eq!(spent(&flush_all(&[&players, &teams, &clone, &players]).await.unwrap()), (4, 1, 0));
    assert_eq!(two.writes(), 1);
}

#[tokio::test]
async fn tables_of_different_databases_have_requests_of_their_own_and_one_report() {
    let (here, players, _) = changed(2).await;
    let (there, _, teams) = changed(3).await;
    let report = flush_all(&[&players, &teams]).await.unwrap();
    assert_eq!((spent(&report), here.writes(), there.writes()), ((5, 2, 0), 1, 1));
    assert_eq!((here.stored().await, there.stored().await), ((2, 0), (0, 3)));
}

/// A flush of the one is under way and takes long.
#[tokio::test]
async fn a_database_does_not_wait_for_a_flush_of_another() {
    let (here, players, _) = changed(2).await;
    let (there, _, teams) = changed(3).await;
    for (busy, free, is_players) in [(&here, &there, true), (&there, &here, false)] {
        let points = if is_players { 8 } else { 9 };
        players.put(player("p0000", f64::from(points))).await.unwrap();
        teams.put(Team { points, ..team(0) }).await.unwrap();
        let gate = busy.faults.hold_next(WRITE);
        let own = tokio::spawn({
            let (players, teams) = (players.clone(), teams.clone());
            async move { if is_players { players.flush().await } else { teams.flush().await } }
        });
        gate.reached().await;
        let written = free.writes();
        let together = tokio::spawn({
            let (players, teams) = (players.clone(), teams.clone());
            async move { flush_all(&[&players, &teams]).await }
        });
        while free.writes() == written {
            tokio::task::yield_now().await;
        }
        gate.open();
        assert_eq!(own.await.unwrap().unwrap().failed.len(), 0);
        assert_eq!(together.await.unwrap().unwrap().failed.len(), 0);
    }
}

#[tokio::test]
async fn tables_with_different_prefixes_share_requests() {
    let two = Two::new().await;
    let other =
        two.scripted.with_prefix(&format!("{}other_", two.scripted.prefix())).table::<Player>();
    other.create_if_missing().await.unwrap();
    let (players, others) = (two.memory::<Player>(), MemoryTable::new(other.clone()));
    players.put(player("ada", 1.0)).await.unwrap();
    others.put(player("ada", 2.0)).await.unwrap();
    assert_eq!(spent(&flush_all(&[&players, &others]).await.unwrap()), (2, 1, 0));
    assert_eq!(other.get(at("ada")).await.unwrap().unwrap().rating, 2.0);
}

/// What cannot go with others goes beside them, in the same flush.
#[tokio::test]
async fn increments_and_conflicts_of_several_tables_are_in_one_report() {
    #[derive(Record, Serialize, Deserialize, Clone)]
    #[record(table = "teams")]
    struct Versioned {
        #[record(partition_key)]
        team: String,
        points: u32,
        #[record(version)]
        version: u64,
    }
    let two = Two::new().await;
    let record = |team: &str, points| Versioned { team: team.into(), points, version: 0 };
    two.truth.table::<Versioned>().put(&record("red", 1)).await.unwrap();
    let players = two.builder::<Player>().field_wise().build().unwrap();
    let teams = two.memory::<Versioned>();
    teams.put(record("red", 2)).await.unwrap();
    teams.increment("blue", Versioned::FIELDS.points, 3).await.unwrap();
    players.put(player("ada", 1.0)).await.unwrap();
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.failed.len(), report.conflicts.len()), (2, 1, 1));
    let blue = two.truth.table::<Versioned>().get("blue").await.unwrap().unwrap();
    assert_eq!((blue.points, two.writes()), (3, 0), "each went alone");
    let conflict = &report.conflicts[0];
    assert!(conflict.table.ends_with("teams"), "{}", conflict.table);
    assert_eq!(
        (conflict.key.to_string(), conflict.resolution),
        (r#""red""#.into(), Resolution::Failed)
    );
    assert_eq!(error.cause().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn what_failed_in_the_background_of_any_of_them_is_in_the_report() {
    let two = Two::new().await;
    let (failed, mut has_failed) = tokio::sync::mpsc::unbounded_channel();
    let players = two.builder::<Player>().flush_at_records(1).on_background_error(move |error| {
        failed.send(error.cause().kind()).unwrap();
    });
    let (players, teams) = (players.build().unwrap(), two.memory::<Team>());
    two.faults.next(WRITE, Fault::access_denied());
    players.put(player("ada", 1.0)).await.unwrap();
    assert_eq!(has_failed.recv().await, Some(ErrorKind::AccessDenied));
    let report = flush_all(&[&teams, &players]).await.unwrap();
    assert_eq!(report.background.len(), 1);
    assert_eq!(report.background[0].kind(), ErrorKind::AccessDenied);
    assert!(flush_all(&[&teams, &players]).await.unwrap().background.is_empty(), "told once");
}

/// A panic in an interceptor of the user's is an error of what was in its requests.
#[tokio::test]
async fn a_panic_within_a_shared_request_is_an_error_of_all_tables() {
    let (two, players, teams) = changed(1).await;
    two.faults.script(WRITE, |_| panic!("on purpose"));
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert!(error.to_string().contains("a request panicked"), "{error}");
    assert_eq!((error.report().failed.len(), error.report().submitted()), (2, 2));
    assert!(error.report().failed.iter().all(|failed| failed.outcome == Outcome::OutcomeUnknown));
    two.faults.heal();
    assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 2);
}

#[tokio::test]
async fn a_panic_before_the_first_request_of_a_table_is_an_error_of_that_table() {
    let two = Two::new().await.unasked();
    let (players, teams) = (two.memory::<Player>(), two.memory::<Team>());
    players.get(at("nobody")).await.unwrap();
    change(&players, &teams, 1).await;
    two.faults.script("DescribeTable", |_| panic!("on purpose"));
    let error = flush_all(&[&players, &teams]).await.unwrap_err();
    assert!(error.to_string().contains("a request panicked"), "{error}");
    assert_eq!((error.report().written, error.report().failed.len()), (1, 1));
    two.faults.heal();
    assert_eq!(flush_all(&[&players, &teams]).await.unwrap().written, 1);
}

#[tokio::test]
async fn a_table_with_nothing_unsaved_is_not_asked_for() {
    let two = Two::new().await.unasked();
    let (players, teams) = (two.memory::<Player>(), two.memory::<Team>());
    players.put(player("ada", 1.0)).await.unwrap();
    two.faults.script("DescribeTable", |request| {
        request.body["TableName"].as_str().unwrap().ends_with("teams").then(Fault::access_denied)
    });
    assert_eq!(flush_all(&[&teams, &players]).await.unwrap().written, 1);
}

/// The last team is refused alone while a request is under way that is refused for a player: what is
/// wrong there says nothing about the other teams in it.
#[tokio::test(start_paused = true)]
async fn a_request_that_another_table_is_to_blame_for_is_no_evidence() {
    let two = Two::on(embedded()).await;
    let (memory, teams) = (two.memory::<Player>(), two.memory::<Team>());
    for player in players(20) {
        memory.put(player).await.unwrap();
    }
    for number in 0..6 {
        teams.put(team(number)).await.unwrap();
    }
    two.faults.script(WRITE, |request| {
        let has = |name: &str, value: String| {
            request.entries().iter().any(|(_, item)| item[name]["S"] == value.as_str())
        };
        match (has("name", named(1)), has("team", named(5)), has("team", named(0))) {
            (true, _, true) => Some(Fault::invalid().delayed(Duration::from_secs(1))),
            (true, ..) | (_, true, _) => Some(Fault::invalid()),
            _ => None,
        }
    });
    let error = flush_all(&[&memory, &teams]).await.unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.failed.len()), (24, 0), "{error}");
    assert_eq!(failed_keys(&report.parked), [r#""p0005""#, r#"("chess", "p0001")"#]);
}

/// The 26th is refused alone, then the 25 before it for a bad one among them.
#[tokio::test(start_paused = true)]
async fn a_batch_that_waited_for_a_trial_is_tried_before_the_table_is_to_blame() {
    let two = Two::on(embedded()).await;
    let memory = two.memory::<Player>();
    for player in players(26) {
        memory.put(player).await.unwrap();
    }
    two.faults.script(WRITE, |request| {
        let has = |number| {
            request.entries().iter().any(|(_, item)| item["name"]["S"] == named(number).as_str())
        };
        match (has(3), has(25)) {
            (true, false) => Some(Fault::invalid().delayed(Duration::from_secs(1))),
            (_, true) => Some(Fault::invalid()),
            _ => None,
        }
    });
    let error = memory.flush().await.unwrap_err();
    assert_eq!((error.report().written, error.report().failed.len()), (24, 0), "{error}");
    assert_eq!(failed_keys(&error.report().parked).len(), 2);
}

/// Players were refused and the search for the bad one is throttled; teams go on meanwhile.
#[tokio::test(start_paused = true)]
async fn a_trial_of_one_table_holds_up_no_other() {
    let two = Two::on(embedded()).await;
    let slowly = RetryPolicy::new(Duration::from_millis(200), Duration::from_secs(1));
    let players = two.builder().retry(slowly).build().unwrap();
    let teams = two.builder().retry(slowly).patience(Duration::from_secs(5)).build().unwrap();
    change(&players, &teams, 40).await;
    let begun = tokio::time::Instant::now();
    two.faults.script(WRITE, move |request| {
        let has_players = tables(request).contains(&"players");
        let is_late = begun.elapsed() > Duration::from_secs(30);
        match (has_players, request.entries().len() >= 15) {
            (true, true) => Some(Fault::invalid()),
            (true, false) if !is_late => Some(Fault::throttled()),
            (false, _) if begun.elapsed() < Duration::from_secs(2) => Some(Fault::throttled()),
            _ => None,
        }
    });
    let flush = tokio::spawn({
        let (players, teams) = (players.clone(), teams.clone());
        async move { flush_all(&[&players, &teams]).await }
    });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!((players.unsaved().len(), teams.unsaved().len()), (40, 0));
    assert_eq!(flush.await.unwrap().unwrap().written, 80);
}

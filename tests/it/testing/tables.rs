//! Tables of a test's own, deleted tables, clocks, databases of all kinds.

use std::time::Duration;

use memory_table::aws_sdk_dynamodb::error::ProvideErrorMetadata;
use memory_table::testing::{Fault, Faults, PausedClock, UniquePrefix};
use memory_table::{Database, ErrorKind};
use tracing::Level;

use super::Raw;
use crate::support::logs::Logs;
use crate::support::{Player, Team, at, database, embedded, player};

#[tokio::test]
async fn clean_up_leaves_no_tables_and_touches_no_others() {
    let shared = database();
    let (first, second) = (UniquePrefix::on(&shared), UniquePrefix::on(&shared));
    for test in [&first, &second] {
        assert!(test.database().prefix().starts_with(shared.prefix()));
        test.database().table::<Player>().create_if_missing().await.unwrap();
        test.database().table::<Team>().create_if_missing().await.unwrap();
    }
    let mut deleted = first.clean_up().await.unwrap();
    deleted.sort();
    let prefix = first.database().prefix();
    assert_eq!(deleted, [format!("{prefix}players"), format!("{prefix}teams")]);
    assert!(first.database().table::<Player>().describe().await.unwrap().is_none());
    assert!(second.database().table::<Player>().describe().await.unwrap().is_some());
    assert_eq!(first.clean_up().await.unwrap(), [] as [String; 0]);
    assert_eq!(second.clean_up().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_clean_up_that_is_refused_says_so_and_can_be_repeated() {
    let (database, faults) = Faults::around(&embedded());
    let test = UniquePrefix::on(&database);
    test.database().table::<Player>().create_if_missing().await.unwrap();
    faults.next("DeleteTable", Fault::access_denied());
    let error = test.clean_up().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::AccessDenied, Some("DeleteTable")));
    faults.next("ListTables", Fault::access_denied());
    assert_eq!(test.clean_up().await.unwrap_err().operation(), Some("ListTables"));
    assert_eq!(test.clean_up().await.unwrap().len(), 1);
}

#[test]
fn a_prefix_that_is_dropped_without_clean_up_warns() {
    let logs = Logs::listen();
    let warned = || logs.of(Level::WARN).len();
    let kept = UniquePrefix::on(&embedded()).keep();
    assert_eq!((kept.prefix().is_empty(), warned()), (false, 0));
    let test = UniquePrefix::on(&embedded());
    let prefix = test.database().prefix().to_owned();
    drop(test);
    assert_eq!(warned(), 1);
    assert!(logs.of(Level::WARN)[0].contains(&prefix));
}

#[tokio::test]
async fn a_deleted_table_is_really_gone() {
    let raw = Raw::new().await;
    raw.next("PutItem", Fault::table_not_found());
    let error = raw.put("a", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
    assert!(raw.stage.truth.describe().await.unwrap().is_some());
    raw.next("PutItem", Fault::table_deleted());
    let error = raw.put("a", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
    assert!(raw.stage.truth.describe().await.unwrap().is_none());
}

#[tokio::test]
async fn faults_keep_what_the_database_was_told() {
    let stored = embedded().with_prefix("mine_");
    let (database, _faults) = Faults::around(&stored);
    assert_eq!((database.prefix(), database.is_embedded()), ("mine_", true));
    database.table::<Player>().create_if_missing().await.unwrap();
    database.table::<Player>().put(&player("a", 1.0)).await.unwrap();
    assert!(stored.table::<Player>().get(at("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn faults_stand_in_front_of_faults() {
    let (inner, inner_faults) = Faults::around(&embedded());
    let (outer, outer_faults) = Faults::around(&inner);
    inner_faults.next("ListTables", Fault::failed());
    outer_faults.next("ListTables", Fault::throttled());
    outer.client().list_tables().send().await.unwrap();
    assert_eq!((outer_faults.count("ListTables"), inner_faults.count("ListTables")), (3, 2));
}

/// Nothing is configured but an endpoint, so the SDK would make the HTTP client itself.
#[tokio::test]
async fn a_database_without_an_http_client_of_its_own_has_faults_too() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (database, faults) = Faults::around(&Database::local(format!("http://{unused}")).unwrap());
    let database = database.with_patience(Duration::ZERO);
    let error = database.table::<Player>().get(at("a")).await.unwrap_err();
    assert!(error.to_string().contains("refused the connection"), "{error}");
    faults.always("DescribeTable", Fault::access_denied());
    faults.always("GetItem", Fault::invalid());
    let error = database.table::<Player>().get(at("a")).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test]
async fn a_paused_clock_jumps_and_goes_on() {
    let clock = PausedClock::over(&embedded()).unwrap();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    clock.advance(Duration::from_secs(60)).await;
    let elapsed = clock.elapsed();
    assert!((3_660..3_661).contains(&elapsed.as_secs()), "{elapsed:?}");
    clock.resume();
    let began = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_not_paused_where_that_would_mislead() {
    let on_network = Database::local("http://localhost:8000").unwrap();
    for database in [on_network, embedded()] {
        let error = PausedClock::over(&database).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

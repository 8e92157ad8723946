//! Tables while the service is busy, refuses, or loses its answers.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory_table::{ErrorKind, TableSpec};
use tokio::time::Instant;

use super::{BY_CITY, ID, Store, bare, index_names, units};
use crate::support::{Fault, database, embedded, faulty};

/// What the service says while as many tables as may be are made at once.
fn limit() -> Fault {
    Fault::error(400, "LimitExceededException")
        .message("Subscriber limit exceeded: Only 10 tables can be created simultaneously")
}

#[tokio::test(start_paused = true)]
async fn thirty_tables_are_made_under_a_limit_of_ten_at_once() {
    let (database, faults) = faulty(&embedded());
    let began: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let most = Arc::new(Mutex::new(0));
    let (begins, met) = (Arc::clone(&began), Arc::clone(&most));
    // A table is in the making for ten seconds.
    faults.script("CreateTable", move |_| {
        let mut begins = begins.lock().unwrap();
        begins.retain(|begun| begun.elapsed() < Duration::from_secs(10));
        if begins.len() >= 10 {
            return Some(limit());
        }
        begins.push(Instant::now());
        let mut most = met.lock().unwrap();
        *most = begins.len().max(*most);
        None
    });
    let made = (0..30).map(|number| {
        let spec = TableSpec::new(format!("table-{number}")).partition_key(ID);
        database.create_if_missing(spec).into_future()
    });
    futures::future::try_join_all(made).await.unwrap();
    assert_eq!(database.list_tables().await.unwrap().len(), 30);
    assert_eq!(*most.lock().unwrap(), 10);
    assert!(faults.count("CreateTable") > 30, "some were refused first");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_does_not_end_is_a_timeout_that_says_why() {
    let (database, faults) = faulty(&embedded());
    faults.always("CreateTable", limit());
    let began = Instant::now();
    let stores = database.table::<Store>();
    let error = stores.create_if_missing().timeout(Duration::from_secs(90)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("CreateTable")));
    assert_eq!(began.elapsed().as_secs(), 90);
    let source = error.source().expect("why it was not made").to_string();
    assert!(source.contains("LimitExceededException"), "{source}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_day_is_not_waited_for() {
    let (database, faults) = faulty(&embedded());
    let stores = database.table::<Store>();
    stores.create_if_missing().await.unwrap();
    let began = Instant::now();
    let text = "Subscriber limit exceeded: Provisioned throughput decreases are limited within a \
        given UTC day. Only 4 decreases may be done";
    faults.next("UpdateTable", Fault::error(400, "LimitExceededException").message(text));
    let error = stores.update_table().provisioned(1, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Service, Some("UpdateTable")));
    assert!(error.to_string().contains("as the service allows in a day"), "{error}");
    assert_eq!((began.elapsed(), faults.count("UpdateTable")), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_changed_by_others_is_waited_for() {
    let (database, faults) = faulty(&embedded());
    let stores = database.table::<Store>();
    stores.create_if_missing().await.unwrap();
    let busy = || Fault::error(400, "ResourceInUseException");
    faults.next("UpdateTable", busy());
    faults.next("UpdateTable", limit());
    faults.next("UpdateTimeToLive", busy());
    let update = stores.update_table().provisioned(8, 9).time_to_live("closes");
    assert_eq!(update.await.unwrap().billing, units(8, 9));
    assert_eq!((faults.count("UpdateTable"), faults.count("UpdateTimeToLive")), (3, 2));
    faults.always("UpdateTable", busy());
    let update = stores.update_table().on_demand().timeout(Duration::from_secs(20));
    let error = update.await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("UpdateTable")));
    assert!(error.source().unwrap().to_string().contains("ResourceInUseException"));
    faults.heal();
    faults.next("DeleteTable", busy());
    faults.next("DeleteTable", limit());
    assert!(stores.delete_table().await.unwrap());
    assert_eq!(faults.count("DeleteTable"), 3);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_done_once() {
    let (database, faults) = faulty(&database());
    bare(&database).await;
    let stores = database.table::<Store>();
    for _ in 0..2 {
        faults.next("UpdateTable", Fault::failed().after_applying());
    }
    faults.next("UpdateTimeToLive", Fault::failed().after_applying());
    let update = stores.update_table().provisioned(5, 5).create_index(BY_CITY);
    let changed = update.time_to_live("closes").await.unwrap();
    assert_eq!((changed.billing, index_names(&changed)), (units(5, 5), vec!["by-city"]));
    assert_eq!(stores.time_to_live().await.unwrap().as_deref(), Some("closes"));
    assert_eq!((faults.count("UpdateTable"), faults.count("UpdateTimeToLive")), (2, 1));
}

#[tokio::test]
async fn what_the_service_refuses_is_said() {
    let (database, faults) = faulty(&database());
    let stores = database.table::<Store>();
    let error = stores.update_table().on_demand().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::TableNotFound, Some("UpdateTable")));
    assert_eq!(error.code(), Some("ResourceNotFoundException"), "as the service says it");
    faults.next("DeleteTable", Fault::access_denied());
    let error = stores.delete_table().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::AccessDenied, Some("DeleteTable")));
    stores.create_if_missing().await.unwrap();
    for call in ["UpdateTable", "UpdateTimeToLive", "DescribeTimeToLive"] {
        faults.next(call, Fault::access_denied());
        let update = stores.update_table().provisioned(9, 9).time_to_live("closes");
        let error = update.await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::AccessDenied, Some(call)));
        assert_eq!(error.table(), stores.name().ok());
    }
}

//! Which layer retries what: this crate its own calls, the SDK the calls of its own clients, and
//! neither those of the other.

use std::time::{Duration, Instant};

use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::retry::RetryConfig;
use memory_table::testing::{Fault, Faults};
use memory_table::{Database, ErrorKind, MemoryTable, Outcome, RetryPolicy};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Player, Stage, at, embedded, faulty, player, players};

const WRITE: &str = "BatchWriteItem";

/// The SDK's clients of a process share a budget of retries for each region, which throttles use up.
#[tokio::test(start_paused = true)]
async fn a_throttled_flush_leaves_other_clients_their_retries() {
    let stage = Stage::<Player>::embedded().await;
    let (other, other_faults) = Faults::around(&embedded());
    let often = RetryPolicy::default().max_delay(Duration::from_millis(500));
    let memory = MemoryTable::builder(stage.table.clone()).retry(often).build().unwrap();
    for record in players(337) {
        memory.put(record).await.unwrap();
    }
    stage.faults.always(WRITE, Fault::throttled());
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        for call in 1..=5 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert!(stage.writes() > 0, "the flush is under way");
            other_faults.next("ListTables", Fault::failed());
            other.client().list_tables().send().await.expect("the SDK tries again");
            assert_eq!(other_faults.count("ListTables"), 2 * call);
        }
    });
    let report = flushed.unwrap_err().into_report();
    assert!(report.requests > 100 && report.elapsed >= Duration::from_secs(60), "{report}");
}

#[tokio::test(start_paused = true)]
async fn attempts_of_the_sdk_and_of_this_crate_do_not_multiply() {
    let (stored, faults) = faulty(&embedded());
    let five = RetryConfig::standard().with_max_attempts(5);
    let config = stored.client().config().to_builder().retry_config(five);
    let database = Database::from_client(Client::from_conf(config.build()));
    database.table::<Player>().create_if_missing().await.unwrap();

    faults.always("GetItem", Fault::throttled());
    let once = database.with_patience(Duration::ZERO).table::<Player>();
    let error = once.get(at("a")).await.unwrap_err();
    assert_eq!((error.attempts(), faults.count("GetItem")), (1, 1));

    let error = database.table::<Player>().get(at("a")).await.unwrap_err();
    let attempts = usize::try_from(error.attempts()).unwrap();
    assert_eq!(faults.count("GetItem"), 1 + attempts);

    faults.always(WRITE, Fault::failed());
    let memory = MemoryTable::new(database.table::<Player>());
    memory.put(player("a", 1.0)).await.unwrap();
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(u64::try_from(faults.count(WRITE)).unwrap(), report.requests);
    assert_eq!(report.failed[0].attempts, report.requests);

    // The client that was given keeps its own.
    faults.always("ListTables", Fault::failed());
    assert!(database.client().list_tables().send().await.is_err());
    assert_eq!(faults.count("ListTables"), 5);
}

/// A server that takes connections and never answers; it ends with the listener.
async fn hung() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    (format!("http://{address}"), listener)
}

/// Takes connections and keeps them, for ever.
async fn keep_all(listener: &TcpListener, kept: &mut Vec<TcpStream>) {
    loop {
        kept.push(listener.accept().await.expect("a connection").0);
    }
}

#[tokio::test]
async fn the_attempt_timeout_ends_a_request_on_a_hung_socket() {
    let (url, listener) = hung().await;
    let timeout = Duration::from_millis(300);
    let database = Database::builder().region("us-east-1").credentials("local", "local");
    let database = database.endpoint_url(&url).attempt_timeout(timeout).build().await.unwrap();
    let table = database.with_patience(Duration::ZERO).table::<Player>();
    let memory = MemoryTable::new(table.clone());
    memory.put(player("a", 1.0)).await.unwrap();
    let (began, mut kept) = (Instant::now(), Vec::new());
    let answers = async { (table.get(at("a")).await, memory.flush().await) };
    let (got, flushed) = tokio::select! {
        answers = answers => answers,
        () = keep_all(&listener, &mut kept) => unreachable!("it takes connections for ever"),
    };
    let (error, took) = (got.unwrap_err(), began.elapsed());
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connection, 1));
    let expected = format!("the answer of the endpoint {url} did not arrive in time");
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(flushed.unwrap_err().cause().kind(), ErrorKind::Connection);
    assert_eq!(memory.unsaved().len(), 1);
    assert!(!kept.is_empty(), "the requests came to the server");
    assert!((2 * timeout..Duration::from_secs(5)).contains(&took), "{took:?}");
}

/// A socket that hangs in the middle of a flush: what was sent may have been written.
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_never_came_is_of_unknown_outcome() {
    let stage = Stage::<Player>::embedded().await;
    let table = stage.table.database().with_patience(Duration::ZERO).table::<Player>();
    let memory = MemoryTable::new(table);
    memory.put(player("a", 1.0)).await.unwrap();
    stage.faults.next(WRITE, Fault::no_answer().after_applying());
    let report = memory.flush().await.unwrap_err().into_report();
    assert_eq!(report.failed[0].outcome, Outcome::OutcomeUnknown);
    assert!(report.elapsed >= Duration::from_secs(15), "{report}");
    assert!(stage.truth.get_consistent(at("a")).await.unwrap().is_some());
}

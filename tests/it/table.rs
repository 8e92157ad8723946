//! Typed tables without a cache: making them, single calls, batches, scans, names and keys.

use std::time::Duration;

use futures::TryStreamExt;
use memory_table::{
    BillingMode, Database, ErrorKind, Key, KeyKind, KeyRef, MemoryTable, Record, TableStatus,
};
use serde::{Deserialize, Serialize};
use tracing::Level;

use crate::support::logs::Logs;
use crate::support::{
    Fault, Faults, Player, Stage, Team, at, database, embedded, failed_keys, faulty, named, player,
    players,
};

/// The same table through a database that knows nothing of it yet.
fn anew<T: Record>(stage: &Stage<T>) -> (memory_table::Table<T>, Faults) {
    let (database, faults) = faulty(stage.truth.database());
    (database.table::<T>(), faults)
}

#[tokio::test]
async fn a_table_is_created_once_and_described() {
    let database = database();
    let players = database.table::<Player>();
    assert!(players.describe().await.unwrap().is_none());
    players.create_if_missing().await.unwrap();
    players.put(&player("a", 1.0)).await.unwrap();
    players.create_if_missing().await.unwrap();
    assert!(players.get_consistent(at("a")).await.unwrap().is_some(), "it is left as it is");
    let found = players.describe().await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.status), (players.name().unwrap(), TableStatus::Active));
    assert_eq!(found.billing, BillingMode::OnDemand);
    assert_eq!(found.partition_key, ("game".to_owned(), KeyKind::String));
    assert_eq!(found.sort_key, Some(("name".to_owned(), KeyKind::String)));
}

#[tokio::test]
async fn a_table_of_provisioned_units_has_them() {
    let teams = database().table::<Team>();
    teams.create_if_missing().provisioned(5, 7).await.unwrap();
    let found = teams.describe().await.unwrap().unwrap();
    assert_eq!(found.billing, BillingMode::Provisioned { read_units: 5, write_units: 7 });
    assert_eq!(found.sort_key, None);
}

#[tokio::test]
async fn creating_by_many_at_once_creates_one() {
    let teams = database().table::<Team>();
    let created =
        futures::future::join_all((0..5).map(|_| teams.create_if_missing().into_future()));
    assert!(created.await.into_iter().all(|one| one.is_ok()));
}

#[tokio::test]
async fn deleting_says_whether_there_was_a_table() {
    let teams = database().table::<Team>();
    assert!(!teams.delete_table().await.unwrap());
    assert!(!teams.exists().await.unwrap());
    teams.create_if_missing().await.unwrap();
    assert!(teams.exists().await.unwrap());
    assert!(teams.delete_table().await.unwrap());
    assert!(!teams.exists().await.unwrap());
    assert!(teams.describe().await.unwrap().is_none());
    assert!(!teams.delete_table().await.unwrap());
    teams.create_if_missing().await.unwrap();
    assert!(teams.get("a").await.unwrap().is_none(), "a new one is used like any other");
}

/// As many as two pages have, and some of another prefix.
#[tokio::test]
async fn the_tables_of_a_prefix_are_listed_to_the_last_page() {
    let (database, faults) = faulty(&embedded());
    assert_eq!(database.list_tables().await.unwrap(), Vec::<String>::new());
    let staging = database.with_prefix("staging_");
    let name = |number: usize| format!("table_{number:03}");
    for number in 0..120 {
        database.table_named::<Team>(&name(number)).create_if_missing().await.unwrap();
    }
    staging.table::<Team>().create_if_missing().await.unwrap();
    let before = faults.count("ListTables");
    faults.next("ListTables", Fault::throttled());
    let mut all: Vec<String> = (0..120).map(name).collect();
    assert_eq!(database.with_prefix("table_").list_tables().await.unwrap(), all);
    assert_eq!(faults.count("ListTables") - before, 3, "two pages, one of them asked for again");
    assert_eq!(staging.list_tables().await.unwrap(), ["staging_teams"]);
    all.insert(0, "staging_teams".to_owned());
    assert_eq!(database.list_tables().await.unwrap(), all);
    faults.next("ListTables", Fault::access_denied());
    let error = database.list_tables().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.to_string().contains("ListTables"), "{error}");
}

#[tokio::test]
async fn a_table_that_is_there_is_listed() {
    let teams = database().table::<Team>();
    teams.create_if_missing().await.unwrap();
    let listed = teams.database().list_tables().await.unwrap();
    assert_eq!(listed, [teams.name().unwrap()]);
}

#[tokio::test]
async fn single_calls_do_as_they_say() {
    let stage = Stage::<Player>::new().await;
    let ada = player("ada", 1500.0);
    assert_eq!(stage.table.get(at("ada")).await.unwrap(), None);
    stage.table.put(&ada).await.unwrap();
    assert_eq!(stage.table.get_consistent(at("ada")).await.unwrap(), Some(ada.clone()));
    assert_eq!(stage.table.delete(at("ada")).await.unwrap(), Some(ada));
    assert_eq!(stage.table.delete(at("ada")).await.unwrap(), None);
    assert_eq!(stage.faults.count("DeleteItem"), 2);
    let gets = stage.faults.requests("GetItem");
    assert_eq!(gets[0].body["ConsistentRead"], false);
    assert_eq!(gets[1].body["ConsistentRead"], true);
}

#[tokio::test]
async fn single_calls_refuse_what_cannot_be_without_a_request() {
    let stage = Stage::<Player>::new().await;
    let nan = stage.table.put(&player("a", f64::NAN)).await.unwrap_err();
    assert_eq!(nan.kind(), ErrorKind::InvalidRecord);
    assert_eq!(stage.table.get(("", "a")).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(stage.table.delete(("a", "")).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    let batch = stage.table.batch_get([at("fine"), at("")]).await;
    assert_eq!(batch.unwrap_err().kind(), ErrorKind::InvalidKey);
    for operation in ["PutItem", "GetItem", "DeleteItem", "BatchGetItem"] {
        assert_eq!(stage.faults.count(operation), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn single_calls_are_retried() {
    let stage = Stage::<Player>::embedded().await;
    for operation in ["PutItem", "GetItem", "DeleteItem"] {
        stage.faults.next(operation, Fault::throttled());
        stage.faults.next(operation, Fault::failed());
        stage.faults.next(operation, Fault::connection_reset());
    }
    stage.table.put(&player("a", 1.0)).await.unwrap();
    assert!(stage.table.get(at("a")).await.unwrap().is_some());
    assert!(stage.table.delete(at("a")).await.unwrap().is_some());
    for operation in ["PutItem", "GetItem", "DeleteItem"] {
        assert_eq!(stage.faults.count(operation), 4);
    }
    stage.faults.always("PutItem", Fault::invalid());
    let error = stage.table.put(&player("a", 1.0)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Refused, 1));
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "a")"#);
}

#[tokio::test]
async fn batch_get_asks_for_a_hundred_keys_a_request() {
    let stage = Stage::<Player>::new().await;
    let report = stage.truth.batch_write().puts(players(240)).await.unwrap();
    assert_eq!(report.written, 240);
    let names: Vec<String> = (0..250).chain(0..250).map(named).collect();
    let found = stage.table.batch_get(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!((found.len(), stage.faults.count("BatchGetItem")), (240, 3));
    let key = Key::new(&KeyRef::composite(&"chess".to_owned(), &named(7))).unwrap();
    assert_eq!(found.records[&key].rating, 7.0);
    assert!(stage.table.batch_get(Vec::<(&str, &str)>::new()).await.unwrap().is_empty());
    assert_eq!(stage.faults.count("BatchGetItem"), 3);
}

#[tokio::test(start_paused = true)]
async fn batch_get_asks_again_for_unprocessed_keys() {
    let stage = Stage::<Player>::embedded().await;
    let report = stage.truth.batch_write().puts(players(100)).await.unwrap();
    assert_eq!(report.written, 100);
    let later = |key: &serde_json::Value| key["name"]["S"].as_str().unwrap() >= "p0040";
    stage.faults.next("BatchGetItem", Fault::unprocessed_if(later));
    stage.faults.next("BatchGetItem", Fault::unprocessed());
    stage.faults.next("BatchGetItem", Fault::throttled());
    let names: Vec<String> = (0..100).map(named).collect();
    let found = stage.table.batch_get(names.iter().map(|name| at(name))).await.unwrap();
    assert_eq!((found.len(), stage.faults.count("BatchGetItem")), (100, 4));
}

#[tokio::test]
async fn batch_write_puts_and_deletes_and_the_last_of_a_key_holds() {
    let stage = Stage::<Player>::new().await;
    let report = stage.truth.batch_write().puts(players(20)).await.unwrap();
    assert_eq!(report.written, 20);
    let names: Vec<String> = (0..10).map(named).collect();
    let batch = stage.table.batch_write().puts(players(30)).put(&player("new", 1.0));
    let batch = batch.deletes(names.iter().map(|name| at(name))).delete(at("new"));
    let report = batch.put(&player("p0003", 33.0)).await.unwrap();
    assert_eq!((report.written, report.deleted, report.requests), (21, 10, 2));
    assert_eq!(stage.truth.get_consistent(at("p0003")).await.unwrap().unwrap().rating, 33.0);
    assert!(stage.truth.get_consistent(at("p0004")).await.unwrap().is_none());
}

#[tokio::test]
async fn batch_write_reports_what_cannot_be_stored_and_writes_the_others() {
    let stage = Stage::<Player>::new().await;
    let batch = stage.table.batch_write().put(&player("a", 1.0)).put(&player("b", f64::NAN));
    let error = batch.await.unwrap_err();
    assert_eq!(error.report().written, 1);
    assert_eq!(failed_keys(&error.report().parked), [r#"("chess", "b")"#]);
    let error = stage.table.batch_write().put(&player("c", 1.0)).delete(at("")).await.unwrap_err();
    assert_eq!((error.cause().kind(), error.report().written), (ErrorKind::InvalidKey, 1));
}

#[tokio::test(start_paused = true)]
async fn batch_write_retries_and_gives_up_like_a_flush() {
    let stage = Stage::<Player>::embedded().await;
    stage.faults.next("BatchWriteItem", Fault::unprocessed());
    stage.faults.next("BatchWriteItem", Fault::connection_reset().after_applying());
    let report = stage.table.batch_write().puts(players(3)).await.unwrap();
    assert_eq!((report.written, report.requests, report.unprocessed), (3, 3, 3));
    stage.faults.always("BatchWriteItem", Fault::throttled());
    let error = stage.table.batch_write().puts(players(3)).await.unwrap_err();
    assert_eq!(error.report().failed.len(), 3);
    assert!(error.report().elapsed >= Duration::from_secs(60));
}

#[tokio::test]
async fn a_scan_gives_each_record_once_in_any_number_of_parts() {
    let stage = Stage::<Player>::new().await;
    let report = stage.truth.batch_write().puts(players(60)).await.unwrap();
    assert_eq!(report.written, 60);
    stage.faults.always("Scan", Fault::short_page(7));
    for segments in [1, 2, 5] {
        let scan = stage.table.scan().consistent().segments(segments);
        let all: Vec<Player> = scan.stream().try_collect().await.unwrap();
        let mut names: Vec<String> = all.into_iter().map(|player| player.name).collect();
        names.sort();
        assert_eq!(names, (0..60).map(named).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_scan_reads_no_further_than_it_is_polled() {
    let stage = Stage::<Player>::new().await;
    let report = stage.truth.batch_write().puts(players(30)).await.unwrap();
    assert_eq!(report.written, 30);
    stage.faults.always("Scan", Fault::short_page(10));
    let mut stream = stage.table.scan().stream();
    assert_eq!(stage.faults.count("Scan"), 0);
    for _ in 0..10 {
        assert!(stream.try_next().await.unwrap().is_some());
    }
    assert_eq!(stage.faults.count("Scan"), 1);
    assert!(stream.try_next().await.unwrap().is_some());
    assert_eq!(stage.faults.count("Scan"), 2);
}

#[tokio::test]
async fn a_scan_ends_after_the_error_of_a_request() {
    let stage = Stage::<Player>::new().await;
    let report = stage.truth.batch_write().puts(players(30)).await.unwrap();
    assert_eq!(report.written, 30);
    stage.faults.next("Scan", Fault::short_page(10));
    stage.faults.next("Scan", Fault::access_denied());
    let mut stream = stage.table.scan().stream();
    for _ in 0..10 {
        assert!(stream.try_next().await.unwrap().is_some());
    }
    assert_eq!(stream.try_next().await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert!(stream.try_next().await.unwrap().is_none());
}

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "players")]
struct OtherKeys {
    #[record(partition_key)]
    id: u64,
}

#[tokio::test]
async fn a_table_with_other_keys_is_said_before_anything_is_sent() {
    let stage = Stage::<Player>::new().await;
    let (database, faults) = faulty(stage.truth.database());
    let wrong = database.table::<OtherKeys>();
    let expected = "the table has partition key `game`, a string (S), and sort key `name`, a \
        string (S), the record has partition key `id`, a number (N), and no sort key; change \
        `#[record(partition_key)]`, `#[record(sort_key)]`, their types or the name of the table; \
        no data was sent";
    let errors = [
        wrong.get(7).await.unwrap_err(),
        wrong.put(&OtherKeys { id: 7 }).await.unwrap_err(),
        wrong.delete(7).await.unwrap_err(),
        wrong.batch_get([7]).await.unwrap_err(),
        wrong.batch_write().delete(7).await.unwrap_err().cause().clone(),
        wrong.scan().stream().try_next().await.unwrap_err(),
        MemoryTable::new(wrong.clone()).get(7).await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!((error.kind(), error.table()), (ErrorKind::TableMismatch, wrong.name().ok()));
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let data = ["GetItem", "PutItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Scan"];
    assert!(data.iter().all(|operation| faults.count(operation) == 0));
    assert_eq!(faults.count("DescribeTable"), 1);
    let error = wrong.create_if_missing().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
}

#[tokio::test]
async fn a_table_is_described_once_for_a_database() {
    let stage = Stage::<Player>::new().await;
    let (table, faults) = anew(&stage);
    let calls = (0..10).map(|number| {
        let table = table.database().table::<Player>();
        async move { table.get(at(&named(number))).await }
    });
    futures::future::try_join_all(calls).await.unwrap();
    let memory = MemoryTable::new(table.clone());
    memory.put(player("a", 1.0)).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(faults.count("DescribeTable"), 1);
    let stats = memory.stats();
    assert_eq!((stats.read_requests, stats.write_requests), (10 - 10, 1), "it is not counted");
}

#[tokio::test]
async fn where_describing_is_denied_the_comparison_is_skipped_with_a_warning() {
    let stage = Stage::<Player>::new().await;
    let (table, faults) = anew(&stage);
    faults.always("DescribeTable", Fault::access_denied());
    let logs = Logs::listen();
    table.put(&player("a", 1.0)).await.unwrap();
    assert!(table.get_consistent(at("a")).await.unwrap().is_some());
    assert_eq!(faults.count("DescribeTable"), 1);
    let warnings = logs.of(Level::WARN);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(table.name().unwrap()), "{}", warnings[0]);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_an_error_that_says_how_to_make_it() {
    let missing = database().table::<Team>();
    let errors = [
        missing.get("a").await.unwrap_err(),
        missing.put(&Team { team: "a".into(), points: 1 }).await.unwrap_err(),
        MemoryTable::new(missing.clone()).load_all().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.table()), (ErrorKind::TableNotFound, missing.name().ok()));
        assert!(error.to_string().contains("create_if_missing"), "{error}");
    }
    missing.create_if_missing().await.unwrap();
    assert!(missing.get("a").await.unwrap().is_none(), "the error is not remembered");
}

#[tokio::test]
async fn prefixes_live_side_by_side() {
    let database = database();
    let base = database.prefix().to_owned();
    let mut tables = Vec::new();
    for (number, prefix) in ["staging_", "test_"].into_iter().enumerate() {
        let teams = database.with_prefix(&format!("{base}{prefix}")).table::<Team>();
        assert_eq!(teams.name().unwrap(), format!("{base}{prefix}teams"));
        teams.create_if_missing().await.unwrap();
        let points = u32::try_from(number).unwrap();
        teams.put(&Team { team: "a".into(), points }).await.unwrap();
        tables.push(teams);
    }
    for (number, teams) in tables.iter().enumerate() {
        let points = teams.get_consistent("a").await.unwrap().unwrap().points;
        assert_eq!(points as usize, number);
    }
    assert!(database.table::<Team>().describe().await.unwrap().is_none());
}

#[tokio::test]
async fn the_client_knows_no_prefix() {
    let database = database();
    let prefix = format!("{}staging_", database.prefix());
    let teams = database.with_prefix(&prefix).table::<Team>();
    teams.create_if_missing().await.unwrap();
    let client = teams.database().client();
    let full = format!("{prefix}teams");
    assert!(client.describe_table().table_name(full).send().await.is_ok());
    assert!(client.describe_table().table_name("teams").send().await.is_err());
    assert_eq!(embedded().table::<Team>().name().unwrap(), "teams", "no prefix, no change");
}

#[tokio::test]
async fn a_database_that_cannot_be_made_changes_no_other() {
    let (database, faults) = Faults::around(&embedded());
    let staging = database.with_prefix("staging_");
    let teams = staging.table::<Team>();
    teams.create_if_missing().await.unwrap();
    assert!(Database::local("no url").is_err());
    let nowhere = Database::local("http://127.0.0.1:9").unwrap().with_prefix("other_");
    assert!(nowhere.table::<Team>().describe().await.is_err());
    assert_eq!((staging.prefix(), nowhere.prefix()), ("staging_", "other_"));
    assert!(!nowhere.is_embedded());
    teams.put(&Team { team: "a".into(), points: 1 }).await.unwrap();
    let put = &faults.requests("PutItem")[0];
    assert_eq!(put.body["TableName"], "staging_teams");
}

#[tokio::test]
async fn a_database_has_its_region_from_the_first_request_on() {
    let region = |name: &str| {
        let builder = Database::builder().region(name).credentials("key", "secret");
        builder.endpoint_url("http://127.0.0.1:9").build()
    };
    let (one, two) = (region("eu-west-1").await.unwrap(), region("us-west-2").await.unwrap());
    // Clones and tables share the client; nothing changes it.
    for (database, expected) in [(&one, "eu-west-1"), (&two, "us-west-2")] {
        for clone in [database.clone(), database.with_prefix("p_")] {
            let table = clone.table::<Team>();
            let region = table.database().client().config().region().unwrap().to_string();
            assert_eq!(region, expected);
        }
    }
}

#[tokio::test]
async fn names_that_are_none_are_refused_without_a_request() {
    let (database, faults) = faulty(&embedded());
    let long = "x".repeat(256);
    for name in ["", "ab", "my table", "tëams", "a/b", &long] {
        let table = database.table_named::<Team>(name);
        let error = table.get("a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        assert_eq!(table.create_if_missing().await.unwrap_err().kind(), ErrorKind::Configuration);
        assert_eq!(table.delete_table().await.unwrap_err().kind(), ErrorKind::Configuration);
    }
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/teams";
    assert_eq!(database.table_named::<Team>(arn).name().unwrap(), arn);
    let prefixed = database.with_prefix("staging_").table_named::<Team>(arn);
    let error = prefixed.get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("staging_"), "{error}");
    assert_eq!(faults.count("DescribeTable") + faults.count("CreateTable"), 0);
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "numbered")]
struct Numbered {
    #[record(partition_key)]
    id: i64,
    #[serde(default)]
    text: String,
}

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "texted")]
struct Texted {
    #[record(partition_key)]
    id: String,
}

#[tokio::test]
async fn number_keys_are_numbers() {
    let stage = Stage::<Numbered>::new().await;
    let memory = stage.memory();
    for id in [1, -1, 10, i64::MAX, i64::MIN, 0] {
        memory.put(Numbered { id, text: id.to_string() }).await.unwrap();
    }
    assert_eq!(memory.flush().await.unwrap().written, 6);
    let anew = stage.memory();
    anew.prefetch([1, -1, 10, i64::MAX, i64::MIN, 0, 7]).await.unwrap();
    for id in [1, -1, 10, i64::MAX, i64::MIN, 0] {
        assert_eq!(anew.get(id).await.unwrap().unwrap().text, id.to_string());
    }
    assert!(anew.get(7).await.unwrap().is_none());
    assert_eq!(stage.reads(), 1);
}

#[tokio::test]
async fn the_number_1_and_the_text_1_are_two_keys() {
    let database = database();
    let (numbers, texts) = (database.table::<Numbered>(), database.table::<Texted>());
    numbers.create_if_missing().await.unwrap();
    texts.create_if_missing().await.unwrap();
    texts.put(&Texted { id: "1".into() }).await.unwrap();
    texts.put(&Texted { id: "01".into() }).await.unwrap();
    let found = texts.batch_get(["1", "01", "1.0"]).await.unwrap();
    assert_eq!(found.len(), 2, "texts are not numbers");
    assert!(numbers.get_consistent(1).await.unwrap().is_none());
    let number = Key::new(&KeyRef::partition(&1_i64)).unwrap();
    let text = Key::new(&KeyRef::partition(&"1".to_owned())).unwrap();
    assert_ne!(number, text);
}

#[tokio::test]
async fn several_databases_live_side_by_side() {
    let (one, two): (Database, Database) = (embedded(), embedded());
    for (database, points) in [(&one, 1), (&two, 2)] {
        let teams = database.table::<Team>();
        teams.create_if_missing().await.unwrap();
        teams.put(&Team { team: "a".into(), points }).await.unwrap();
    }
    assert_eq!(one.table::<Team>().get("a").await.unwrap().unwrap().points, 1);
    assert_eq!(two.table::<Team>().get("a").await.unwrap().unwrap().points, 2);
}

#[tokio::test]
async fn of_several_writes_of_one_key_the_last_holds_also_if_it_cannot_be_stored() {
    let stage = Stage::<Player>::new().await;
    let too_large = Player { text: "x".repeat(500_000), ..player("a", 2.0) };
    let batch = stage.table.batch_write().put(&player("a", 1.0)).put(&too_large);
    let report = batch.put(&player("b", 1.0)).await.unwrap_err().into_report();
    assert_eq!((report.written, report.parked.len(), report.submitted()), (1, 1, 2));
    assert_eq!(stage.truth.get_consistent(at("a")).await.unwrap(), None);

    let batch = stage.table.batch_write().put(&too_large).put(&player("a", 3.0));
    assert_eq!(batch.await.unwrap().written, 1);
    assert_eq!(stage.truth.get_consistent(at("a")).await.unwrap(), Some(player("a", 3.0)));
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_was_one_and_a_throttled_one_of_nothing_was_none() {
    let stage = Stage::<Team>::new().await;
    stage.faults.next("DeleteTable", Fault::connection_reset().after_applying());
    assert!(stage.table.delete_table().await.unwrap());
    stage.faults.next("DeleteTable", Fault::throttled());
    assert!(!stage.table.delete_table().await.unwrap());
    assert_eq!(stage.faults.count("DeleteTable"), 4);
}

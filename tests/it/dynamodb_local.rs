//! What makes sense on Amazon's DynamoDB Local only. `tests/dynamodb_local/run` starts one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use memory_table::{Database, MemoryTable, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "dynamodb_local.players")]
struct Player {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    rating: f64,
}

/// The server's URL. A run without a server must not be green.
fn endpoint() -> String {
    std::env::var("MEMORY_TABLE_TEST_ENDPOINT").expect(
        "MEMORY_TABLE_TEST_ENDPOINT is not set; run the tests by `tests/dynamodb_local/run`",
    )
}

#[test]
fn the_server_is_dynamodb_local() {
    let endpoint = endpoint();
    let address = endpoint.strip_prefix("http://").expect("a URL without TLS");
    let mut server = TcpStream::connect(address).expect("the server listens");
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    server.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    server.read_to_string(&mut answer).expect("the server answers");
    // The embedded database has no headers of a server, AWS says `Server`.
    assert!(answer.contains("\r\nServer: Jetty("), "{answer}");
    assert!(answer.contains("\r\nx-amzn-RequestId: "), "{answer}");
}

#[tokio::test]
async fn changes_are_in_the_server_after_the_flush() {
    let players = Database::local(endpoint()).expect("a URL").table::<Player>();
    players.create_if_missing().await.expect("the table is there");
    let memory = MemoryTable::new(players);
    memory.update("ada", |player| player.rating = 12.5).await.expect("an update");
    assert_eq!(memory.flush().await.expect("saved").written, 1);

    // Another client, so that nothing but the server can know.
    let other = Database::local(endpoint()).expect("a URL").table::<Player>();
    let found = other.get_consistent("ada").await.expect("an answer");
    assert_eq!(found, Some(Player { name: "ada".into(), rating: 12.5 }));
    assert!(other.delete_table().await.expect("deleted"));
}

#[test]
fn the_leaderboard_costs_what_it_costs_embedded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let json = folder.path().join("out.json");
    let run = || -> Value {
        let mut job = crate::support::example("leaderboard");
        job.args(["--endpoint", &endpoint(), "--table", "dynamodb_local.teams", "--json"]);
        let output = job.arg(&json).stdin(Stdio::null()).output().expect("the example starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read(&json).expect("the JSON file is there");
        serde_json::from_slice(&text).expect("it is JSON")
    };
    let first = run();
    assert_eq!((&first["read_requests"], &first["write_requests"]), (&1.into(), &2.into()));
    assert_eq!((&first["items_read"], &first["items_written"]), (&0.into(), &32.into()));
    let second = run();
    assert_eq!((&second["items_read"], &second["write_requests"]), (&32.into(), &0.into()));
}

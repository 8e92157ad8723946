//! An embedded database behind a socket, for programs that take an endpoint.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use memory_table::Database;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request, once it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Runs it and answers.
    Run,
    /// Closes the connection without running it.
    Drop,
    /// Runs it and closes the connection without an answer.
    RunAndDrop,
}

/// Decides by operation and its number, from 1, among the requests of that operation.
pub type Rule = dyn Fn(&str, usize) -> Answer + Send + Sync;

/// A server; it ends with the runtime.
pub struct Server {
    address: SocketAddr,
    writes: Arc<AtomicUsize>,
}

impl Server {
    /// Serves a database on a free port of the loopback.
    pub async fn start(database: &Database, rule: Arc<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the port's address");
        let writes = Arc::new(AtomicUsize::new(0));
        let connector = connector(database);
        let counter = Arc::clone(&writes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serve =
                    serve(stream, connector.clone(), Arc::clone(&rule), Arc::clone(&counter));
                tokio::spawn(serve);
            }
        });
        Self { address, writes }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many BatchWriteItem requests were read.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

fn connector(database: &Database) -> SharedHttpConnector {
    let client = database.client().config().http_client().expect("the embedded HTTP client");
    let components = RuntimeComponentsBuilder::for_tests().build().expect("no components are used");
    client.http_connector(&HttpConnectorSettings::default(), &components)
}

/// Answers the requests of one connection until it closes or the rule says so.
async fn serve(
    stream: TcpStream,
    connector: SharedHttpConnector,
    rule: Arc<Rule>,
    writes: Arc<AtomicUsize>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (operation, request) = read(&mut stream).await?;
        let number = match &*operation {
            "BatchWriteItem" => writes.fetch_add(1, Ordering::SeqCst) + 1,
            _ => 0,
        };
        let answer = rule(&operation, number);
        if answer == Answer::Drop {
            return None;
        }
        let response = connector.call(request).await.ok()?;
        if answer == Answer::RunAndDrop {
            return None;
        }
        let body = response.body().bytes()?.to_vec();
        let head = format!(
            "HTTP/1.1 {} OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            response.status().as_u16(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&body).await.ok()?;
        stream.flush().await.ok()?;
    }
}

/// Reads a request: its operation, and the request as the SDK would hand it over.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, HttpRequest)> {
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match &*name.to_ascii_lowercase() {
            "x-amz-target" => target = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let mut request = HttpRequest::new(body.into());
    request.set_method("POST").ok()?;
    request.set_uri("http://embedded.invalid/").ok()?;
    request.headers_mut().insert("x-amz-target", target);
    request.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Some((operation, request))
}

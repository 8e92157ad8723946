//! What the environment says, or does not say; each test has a process and an environment of its
//! own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use memory_table::{Database, ErrorKind};

use super::process::alone;
use super::{Instant, LIMIT, SdkError, first_error, of_sdk};

const NO_REGION: &str = "no AWS region is set; set AWS_REGION, a region in the profile, or \
     `Database::builder().region(…)`; for a local server use `Database::local(url)`, without a \
     server `Database::embedded()`";

const NO_CREDENTIALS: &str = "DescribeTable on table `teams`: no AWS credentials were found; set \
     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or \
     `Database::builder().credentials(…)`; for a local server use `Database::local(url)`";

/// A listener that is never asked to accept: whoever connects waits for an answer for ever.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn assert_no_region() {
    let started = Instant::now();
    let error = Database::from_env().await.unwrap_err();
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    assert_eq!(error.to_string(), NO_REGION);
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

async fn assert_no_credentials() {
    let error = first_error(&Database::from_env().await.unwrap()).await;
    assert_eq!(error.to_string(), NO_CREDENTIALS);
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(matches!(of_sdk(&error), SdkError::DispatchFailure(_)));
}

#[test]
fn no_region() {
    alone!(no_region, &[("AWS_EC2_METADATA_DISABLED", "true")], assert_no_region());
}

#[test]
fn no_region_where_the_instance_metadata_is_silent() {
    let (_listener, url) = silent_server();
    alone!(
        no_region_where_the_instance_metadata_is_silent,
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)],
        assert_no_region()
    );
}

#[test]
fn no_credentials() {
    alone!(
        no_credentials,
        &[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "eu-central-1")],
        assert_no_credentials()
    );
}

#[test]
fn no_credentials_where_the_instance_metadata_is_silent() {
    let (_listener, url) = silent_server();
    alone!(
        no_credentials_where_the_instance_metadata_is_silent,
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url), ("AWS_REGION", "eu-central-1")],
        assert_no_credentials()
    );
}

#[test]
fn no_credentials_in_a_profile_that_does_not_exist() {
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_PROFILE", "nobody"),
    ];
    alone!(no_credentials_in_a_profile_that_does_not_exist, &variables, assert_no_credentials());
}

/// Answers one request as DynamoDB would to an unknown access key, and returns its head.
fn refusing_server() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            reader.read_line(&mut head).unwrap();
            let line = head[start..].to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
        let body = r#"{"__type":"x#UnrecognizedClientException","message":"no"}"#;
        write!(
            stream,
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        head
    });
    (url, server)
}

#[test]
fn the_endpoint_and_the_credentials_of_the_environment() {
    let (url, server) = refusing_server();
    let variables = [
        ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ACCESS_KEY_ID", "AKIDOFTHEENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let test = async {
        let error = first_error(&Database::from_env().await.unwrap()).await;
        assert_eq!(error.code(), Some("UnrecognizedClientException"), "{error}");
    };
    if alone!(the_endpoint_and_the_credentials_of_the_environment, &variables, test) {
        let head = server.join().unwrap();
        assert!(head.contains("Credential=AKIDOFTHEENVIRONMENT/"), "{head}");
        assert!(head.contains("/eu-west-3/dynamodb/aws4_request"), "{head}");
    }
}

/// `local` looks at four variables and at nothing else.
#[test]
fn a_local_server_gets_the_credentials_of_the_environment() {
    let (url, server) = refusing_server();
    let variables = [
        ("TEST_URL", url.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ACCESS_KEY_ID", "AKIDOFTHEENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let test = async {
        let url = std::env::var("TEST_URL").unwrap();
        let error = first_error(&Database::local(url).unwrap()).await;
        assert_eq!(error.code(), Some("UnrecognizedClientException"), "{error}");
    };
    if alone!(a_local_server_gets_the_credentials_of_the_environment, &variables, test) {
        let head = server.join().unwrap();
        assert!(head.contains("Credential=AKIDOFTHEENVIRONMENT/"), "{head}");
        assert!(head.contains("/eu-west-3/dynamodb/aws4_request"), "{head}");
    }
}

#[test]
fn a_local_server_gets_fixed_credentials_where_none_are_set() {
    let (url, server) = refusing_server();
    let variables = [("TEST_URL", url.as_str()), ("AWS_ACCESS_KEY_ID", "AKIDWITHOUTSECRET")];
    let test = async {
        let url = std::env::var("TEST_URL").unwrap();
        let error = first_error(&Database::local(url).unwrap()).await;
        assert_eq!(error.code(), Some("UnrecognizedClientException"), "{error}");
    };
    if alone!(a_local_server_gets_fixed_credentials_where_none_are_set, &variables, test) {
        let head = server.join().unwrap();
        assert!(head.contains("Credential=local/"), "{head}");
        assert!(head.contains("/us-east-1/dynamodb/aws4_request"), "{head}");
    }
}

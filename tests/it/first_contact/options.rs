//! The options of a database, seen in the requests that it sends; each test has a process and an
//! environment of its own, as what is not set comes from there.

use std::time::Duration;

use aws_smithy_runtime_api::client::result::ConnectorError;
use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::Credentials;
use memory_table::aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use memory_table::{Database, DatabaseBuilder};
use tokio::time::Instant;

use super::process::alone;
use super::script::{Answer, Script, Sent, described, refusal};
use super::{Team, first_error};

/// No region, no credentials, and nobody to ask for them.
const NOTHING: &[(&str, &str)] = &[("AWS_EC2_METADATA_DISABLED", "true")];

/// A script that refuses everything, and a database of it with all that has to be set.
fn scripted() -> (Script, DatabaseBuilder) {
    let script = Script::new(|_, _| refusal("UnrecognizedClientException", "no"));
    let builder = Database::builder().http_client(script.http_client());
    (script, builder.region("eu-central-1").credentials("AKIDOFTHEBUILDER", "secret"))
}

/// The first request of a database.
async fn first_request(script: &Script, builder: DatabaseBuilder) -> Sent {
    first_error(&builder.build().await.unwrap()).await;
    script.sent().remove(0)
}

#[test]
fn region() {
    alone!(region, &[("AWS_REGION", "us-west-2")], async {
        let (script, builder) = scripted();
        let sent = first_request(&script, builder.region("eu-north-1")).await;
        assert_eq!(sent.uri, "https://dynamodb.eu-north-1.amazonaws.com/");
        assert!(sent.authorization.contains("/eu-north-1/dynamodb/"), "{}", sent.authorization);
    });
}

#[test]
fn credentials() {
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKIDOFTHEENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    alone!(credentials, &variables, async {
        let (script, builder) = scripted();
        let sent = first_request(&script, builder).await;
        assert!(sent.authorization.contains("=AKIDOFTHEBUILDER/"), "{}", sent.authorization);
        assert_eq!(sent.token, None);
    });
}

#[test]
fn credentials_provider() {
    alone!(credentials_provider, NOTHING, async {
        let (script, builder) = scripted();
        let token = Some("token".to_owned());
        let provider = Credentials::new("AKIDOFTHEPROVIDER", "secret", token, None, "test");
        let sent = first_request(&script, builder.credentials_provider(provider)).await;
        assert!(sent.authorization.contains("=AKIDOFTHEPROVIDER/"), "{}", sent.authorization);
        assert_eq!(sent.token.as_deref(), Some("token"));
    });
}

#[test]
fn profile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let content = "[default]\nregion = us-west-2\n\n[profile batch]\nregion = eu-west-3\n\
                   aws_access_key_id = AKIDOFTHEPROFILE\naws_secret_access_key = secret\n";
    std::fs::write(&file, content).unwrap();
    let variables = [
        ("AWS_CONFIG_FILE", file.to_str().unwrap()),
        ("AWS_PROFILE", "default"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    alone!(profile, &variables, async {
        let script = Script::new(|_, _| refusal("UnrecognizedClientException", "no"));
        let builder = Database::builder().http_client(script.http_client());
        let sent = first_request(&script, builder.profile("batch")).await;
        assert_eq!(sent.uri, "https://dynamodb.eu-west-3.amazonaws.com/");
        assert!(sent.authorization.contains("=AKIDOFTHEPROFILE/"), "{}", sent.authorization);
    });
}

#[test]
fn endpoint_url() {
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", "http://environment.test")];
    alone!(endpoint_url, &variables, async {
        let (script, builder) = scripted();
        let sent = first_request(&script, builder.clone()).await;
        assert_eq!(sent.uri, "http://environment.test/");
        let (script, builder) = scripted();
        let sent = first_request(&script, builder.endpoint_url("http://builder.test:8000")).await;
        assert_eq!(sent.uri, "http://builder.test:8000/");
        let error =
            Database::builder().endpoint_url("builder.test:8000").build().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`builder.test:8000` is no URL of an endpoint; write it as http://localhost:8000"
        );
    });
}

#[test]
fn prefix() {
    alone!(prefix, NOTHING, async {
        let (script, builder) = scripted();
        let database = builder.prefix("staging_").build().await.unwrap();
        assert_eq!(database.prefix(), "staging_");
        let error = first_error(&database).await;
        assert_eq!(error.table(), Some("staging_teams"));
        assert_eq!(script.sent()[0].body["TableName"], "staging_teams");
        first_error(&database.with_prefix("test_")).await;
        assert_eq!(script.sent()[1].body["TableName"], "test_teams");
    });
}

#[test]
fn connect_timeout() {
    alone!(connect_timeout, NOTHING, async {
        let (script, builder) = scripted();
        let sent = first_request(&script, builder).await;
        assert_eq!(sent.connect_timeout, Some(Duration::from_millis(3100)));
        let (script, builder) = scripted();
        let builder = builder.connect_timeout(Duration::from_millis(123));
        let sent = first_request(&script, builder).await;
        assert_eq!(sent.connect_timeout, Some(Duration::from_millis(123)));
    });
}

/// How long an attempt takes that is not answered, after a first answer.
async fn attempt_of(script: &Script, database: Database) -> Duration {
    tokio::time::pause();
    // One attempt at the beginning of the patience, one at its end.
    let patience = Duration::from_millis(1);
    let started = Instant::now();
    let error = database.with_patience(patience).table::<Team>().get("ada").await.unwrap_err();
    let attempts = u32::try_from(script.sent().len()).unwrap() - 1;
    assert_eq!(error.attempts(), u64::from(attempts));
    let elapsed = started.elapsed();
    tokio::time::resume();
    elapsed / attempts
}

fn unanswered() -> Script {
    Script::new(|nth, _| if nth == 0 { described() } else { Answer::Silence })
}

#[test]
fn attempt_timeout() {
    alone!(attempt_timeout, NOTHING, async {
        let script = unanswered();
        let (_, builder) = scripted();
        let database = builder.http_client(script.http_client()).build().await.unwrap();
        assert_eq!(attempt_of(&script, database).await.as_secs(), 15);
        let script = unanswered();
        let (_, builder) = scripted();
        let builder = builder.attempt_timeout(Duration::from_secs(2));
        let database = builder.http_client(script.http_client()).build().await.unwrap();
        assert_eq!(attempt_of(&script, database).await.as_secs(), 2);
    });
}

#[tokio::test]
async fn a_client_of_the_user_keeps_its_timeouts() {
    let script = unanswered();
    assert_eq!(attempt_of(&script, script.database()).await.as_secs(), 15);
    assert_eq!(script.sent()[0].connect_timeout, Some(Duration::from_millis(3100)));

    let script = unanswered();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(123))
        .operation_attempt_timeout(Duration::from_secs(2));
    let config = script.config().timeout_config(timeouts.build());
    let database = Database::from_client(Client::from_conf(config.build()));
    assert_eq!(attempt_of(&script, database).await.as_secs(), 2);
    assert_eq!(script.sent()[0].connect_timeout, Some(Duration::from_millis(123)));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_user_keeps_its_credentials_and_endpoint() {
    let script = Script::new(|_, _| Answer::Broken(ConnectorError::user("no".into())));
    let error = first_error(&script.database()).await;
    assert_eq!(
        error.to_string(),
        "DescribeTable on table `teams`: the endpoint http://dynamodb.test is no address to \
         connect to; check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, \
         `Database::local(url)`) and the network"
    );
    let sent = script.sent().remove(0);
    assert_eq!(sent.uri, "http://dynamodb.test/");
    assert!(sent.authorization.contains("=AKIDEXAMPLE/"), "{}", sent.authorization);
    assert_eq!(sent.token.as_deref(), Some("the-session-token"));
}

/// Options are printed without what must stay secret.
#[test]
fn no_option_prints_a_secret() {
    let builder = Database::builder().credentials("AKIDOFTHEBUILDER", "the-secret-key");
    let text = format!("{builder:?} {builder:#?}");
    assert!(!text.contains("the-secret-key"), "{text}");
}

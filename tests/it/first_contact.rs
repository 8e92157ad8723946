//! The first error that most users meet: it comes within 10 s and says what was tried and what to
//! set. After the first answer, patience holds.

mod environment;
mod options;
mod process;
mod script;

use std::error::Error as StdError;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::config::http::HttpResponse;
use memory_table::aws_sdk_dynamodb::config::retry::RetryConfig;
use memory_table::aws_sdk_dynamodb::error::SdkError;
use memory_table::aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use memory_table::aws_sdk_dynamodb::operation::get_item::GetItemError;
use memory_table::{Database, Error, ErrorKind, MemoryTable, Outcome, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use script::{Answer, Script, described, refusal, refused};

/// No error of a first contact may take longer.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Record, Serialize, Deserialize, Clone, Debug)]
#[record(table = "teams")]
struct Team {
    #[record(partition_key)]
    name: String,
    #[serde(default)]
    motto: String,
}

/// The error of a first `get`, which must come in time.
async fn first_error(database: &Database) -> Error {
    let started = Instant::now();
    let error = database.table::<Team>().get("ada").await.expect_err("nobody answers with a table");
    assert!(started.elapsed() < LIMIT, "{:?}: {error}", started.elapsed());
    error
}

/// The SDK's own error beneath ours.
fn of_sdk(error: &Error) -> &SdkError<DescribeTableError, HttpResponse> {
    let source = error.source().expect("the SDK's error is the source");
    source.downcast_ref().expect("it is the SDK's error of DescribeTable")
}

/// The message with the number of attempts, which is random, as `N`.
fn message(error: &Error) -> String {
    match error.attempts() {
        0 | 1 => error.to_string(),
        n => error.to_string().replace(&format!("sent {n} times"), "sent N times"),
    }
}

/// The messages of all the errors beneath.
fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}{cause}\n");
        next = cause.source();
    }
    text
}

/// Answers every request alike, and returns the error.
async fn error_of(answer: fn() -> Answer) -> Error {
    first_error(&Script::new(move |_, _| answer()).database()).await
}

#[tokio::test]
async fn an_endpoint_that_refuses_the_connection() {
    // Bound but not listening: no other program can take the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = first_error(&Database::local(&url).unwrap()).await;
    assert_eq!(
        message(&error),
        format!(
            "DescribeTable on table `teams`: the endpoint {url} refused the connection, sent N \
             times; start the server, or check host and port of the endpoint \
             (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.attempts() > 1, "a server that is just starting is waited for");
    assert!(matches!(of_sdk(&error), SdkError::DispatchFailure(_)));
}

#[derive(Clone, Debug)]
struct NoHosts;

impl ResolveDns for NoHosts {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
        let unknown = std::io::Error::other("Name or service not known");
        DnsFuture::ready(Err(ResolveDnsError::new(unknown)))
    }
}

/// The SDK's real HTTP client, on a network without names.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_unknown() {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let config = script::configuration().http_client(http.build_with_resolver(NoHosts));
    let error = first_error(&Database::from_client(Client::from_conf(config.build()))).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the host of the endpoint http://dynamodb.test is unknown, \
         sent N times; check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`), the \
         region (AWS_REGION) and the network"
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(causes(&error).contains("Name or service not known"), "{}", causes(&error));
}

#[tokio::test]
async fn an_endpoint_that_accepts_and_never_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error = first_error(&Database::local(&url).unwrap()).await;
    assert_eq!(
        message(&error),
        format!(
            "DescribeTable on table `teams`: the endpoint {url} has not answered within 9 s, sent \
             once; check the endpoint (AWS_ENDPOINT_URL_DYNAMODB), the region (AWS_REGION), \
             proxies and firewalls"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_connected_to_in_time() {
    let timed_out =
        || Answer::Broken(ConnectorError::timeout("HTTP connect timeout occurred".into()));
    let error = error_of(timed_out).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the endpoint http://dynamodb.test did not answer in time, \
         sent N times; check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`) and \
         the network"
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(matches!(of_sdk(&error), SdkError::DispatchFailure(_)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks() {
    let reset = || {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Answer::Broken(ConnectorError::io(reset.into()))
    };
    let error = error_of(reset).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the connection to the endpoint http://dynamodb.test \
         broke, sent N times; check the endpoint (AWS_ENDPOINT_URL_DYNAMODB, \
         `Database::local(url)`) and the network"
    );
    assert!(matches!(of_sdk(&error), SdkError::DispatchFailure(_)));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_something_that_is_no_dynamodb() {
    let error = error_of(|| Answer::Foreign(200, "<html>It works!</html>")).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the answer of the endpoint http://dynamodb.test could not \
         be read (HTTP 200), sent N times; check that the endpoint is a DynamoDB \
         (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)"
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(matches!(of_sdk(&error), SdkError::ServiceError(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_something_that_is_no_dynamodb() {
    let error = error_of(|| Answer::Foreign(404, "<html>Not Found</html>")).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the endpoint http://dynamodb.test refused the request, \
         and not as DynamoDB does (HTTP 404), sent once; check that the endpoint is a DynamoDB \
         (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)"
    );
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(matches!(of_sdk(&error), SdkError::ServiceError(_)));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_server_is_down() {
    let error = error_of(|| Answer::Foreign(502, "<html>Bad Gateway</html>")).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the endpoint http://dynamodb.test failed (HTTP 502), sent \
         N times; check that the endpoint is a DynamoDB (AWS_ENDPOINT_URL_DYNAMODB, \
         `Database::local(url)`)"
    );
    assert!(matches!(of_sdk(&error), SdkError::ServiceError(_)));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_access_key() {
    let words = "The security token included in the request is invalid.";
    let script = Script::new(move |_, _| refusal("UnrecognizedClientException", words));
    let error = first_error(&script.database()).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the service does not know this access key \
         (UnrecognizedClientException, request REQUEST1), sent once; check AWS_ACCESS_KEY_ID and \
         AWS_SESSION_TOKEN, or the profile in AWS_PROFILE"
    );
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(causes(&error).contains(words), "{}", causes(&error));
    assert_eq!(script.sent().len(), 1, "a refused key is not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret() {
    let answer = || {
        let words =
            "The request signature we calculated does not match the signature you provided.";
        refusal("InvalidSignatureException", words)
    };
    let error = error_of(answer).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the service refused the signature \
         (InvalidSignatureException, request REQUEST1), sent once; check AWS_SECRET_ACCESS_KEY and \
         the clock of this machine"
    );
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(matches!(of_sdk(&error), SdkError::ServiceError(_)));
}

#[tokio::test(start_paused = true)]
async fn an_expired_token() {
    let words = "The security token included in the request is expired";
    let script = Script::new(move |_, _| refusal("ExpiredTokenException", words));
    let error = first_error(&script.database()).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the credentials have expired (ExpiredTokenException, \
         request REQUEST1), sent once; renew them and run again"
    );
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(causes(&error).contains(words), "{}", causes(&error));
}

#[derive(Debug)]
struct Unanswered;

impl ProvideCredentials for Unanswered {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_come() {
    let script = Script::new(|_, _| described());
    let config = script.config().credentials_provider(Unanswered);
    let error = first_error(&Database::from_client(Client::from_conf(config.build()))).await;
    assert_eq!(
        error.to_string(),
        "DescribeTable on table `teams`: no AWS credentials came within 9 s; check where they come \
         from (AWS_PROFILE; a login, process or role in the profile), or set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY"
    );
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(script.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_exist() {
    let words = "Requested resource not found: Table: teams not found";
    let script = Script::new(move |_, _| refusal("ResourceNotFoundException", words));
    let error = first_error(&script.database()).await;
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the table does not exist here \
         (ResourceNotFoundException, request REQUEST1), sent once; create it with \
         `create_if_missing`, or check name, prefix, region and endpoint"
    );
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::TableNotFound, Some("ResourceNotFoundException"))
    );
    assert!(causes(&error).contains(words), "{}", causes(&error));
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing() {
    let words = "User: arn:aws:iam::123:user/job is not authorized to perform: dynamodb:GetItem";
    let script = Script::new(move |_, _| refusal("AccessDeniedException", words));
    let warnings = warnings::Warnings::default();
    let guard = tracing::subscriber::set_default(warnings.clone());
    let error = first_error(&script.database()).await;
    drop(guard);
    assert_eq!(
        warnings.taken(),
        ["DescribeTable is denied, so the table's keys are not compared with the record's \
          table=teams"]
    );
    assert_eq!(script.operations(), ["DescribeTable", "GetItem"]);
    assert_eq!(
        message(&error),
        "GetItem on table `teams`, key \"ada\": these credentials may not do this \
         (AccessDeniedException, request REQUEST1), sent once; allow the action for this table in \
         the IAM policy"
    );
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    let source = error.source().unwrap().downcast_ref::<SdkError<GetItemError, HttpResponse>>();
    assert!(matches!(source, Some(SdkError::ServiceError(_))));
    assert!(causes(&error).contains(words), "{}", causes(&error));
}

#[test]
fn a_url_that_is_none() {
    for url in ["localhost:8000", "http://", "http://localhost:port", "http://local host", ""] {
        let error = Database::local(url).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{url}` is no URL of an endpoint; write it as http://localhost:8000")
        );
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    for url in ["http://localhost", "http://localhost:8000/", "https://[::1]:8000", "http://[::1]"]
    {
        assert!(Database::local(url).is_ok(), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_memory_table_says_the_same() {
    let script = Script::new(|_, _| refused());
    let teams = MemoryTable::new(script.database().table::<Team>());
    let started = Instant::now();
    let error = teams.get("ada").await.unwrap_err();
    assert!(started.elapsed() < LIMIT);
    let expected = "DescribeTable on table `teams`, key \"ada\": the endpoint \
                    http://dynamodb.test refused the connection, sent N times; start the server, or \
                    check host and port of the endpoint (AWS_ENDPOINT_URL_DYNAMODB, \
                    `Database::local(url)`)";
    assert_eq!(message(&error), expected);
    teams.put(Team { name: "ada".into(), motto: String::new() }).await.unwrap();
    let started = Instant::now();
    let error = teams.flush().await.unwrap_err();
    assert!(started.elapsed() < LIMIT, "{error}");
    assert!(error.to_string().contains("refused the connection"), "{error}");
    assert_eq!(teams.stats().unsaved, 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_for_the_first_answer_get_its_error_together() {
    let script = Script::new(|_, _| refused());
    let teams = MemoryTable::new(script.database().table::<Team>());
    let started = Instant::now();
    let keys = (0..2_000).map(|number| format!("team {number}"));
    let error = teams.prefetch(keys).await.unwrap_err();
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    assert!(error.to_string().contains("refused the connection"), "{error}");
    assert_eq!(teams.stats().read_requests, 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_first_answer_patience_holds() {
    let script = Script::new(|nth, _| if nth == 0 { described() } else { refused() });
    let started = Instant::now();
    let error = script.database().table::<Team>().get("ada").await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(error.attempts(), script.sent().len() as u64 - 1);
    assert!(error.attempts() > 12, "the longest wait is 5 s: {error}");
    assert_eq!(
        message(&error),
        "GetItem on table `teams`, key \"ada\": the endpoint http://dynamodb.test refused the \
         connection, sent N times; start the server, or check host and port of the endpoint \
         (AWS_ENDPOINT_URL_DYNAMODB, `Database::local(url)`)"
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_first_answer_a_silence_is_waited_for() {
    let script = Script::new(|nth, _| if nth == 0 { described() } else { Answer::Silence });
    let patience = Duration::from_secs(40);
    let database = script.database().with_patience(patience);
    let started = Instant::now();
    let error = database.table::<Team>().get("ada").await.unwrap_err();
    // The attempt that begins within the patience may take 15 s.
    assert!((patience..patience + Duration::from_secs(16)).contains(&started.elapsed()));
    assert_eq!(
        message(&error),
        "GetItem on table `teams`, key \"ada\": the answer of the endpoint http://dynamodb.test \
         did not arrive in time, sent N times; check the network, or raise `attempt_timeout` of \
         the database's builder"
    );
    assert!(causes(&error).contains("operation attempt timeout"), "{}", causes(&error));
}

/// Half an answer says nothing of what was written.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_may_have_been_a_success() {
    let half = Answer::Foreign;
    let script =
        Script::new(move |nth, _| if nth == 0 { described() } else { half(200, "{\"Unproc") });
    let database = script.database().with_patience(Duration::from_secs(5));
    let teams = MemoryTable::new(database.table::<Team>());
    teams.put(Team { name: "ada".into(), motto: String::new() }).await.unwrap();
    let error = teams.flush().await.unwrap_err();
    let failed = &error.report().failed[0];
    assert_eq!(failed.outcome, Outcome::OutcomeUnknown);
    assert!(failed.attempts > 1, "{failed}");
    assert_eq!(failed.error.kind(), ErrorKind::Connection);
    assert!(error.report().parked.is_empty(), "the record is not to blame");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_an_answer() {
    let script = Script::new(|nth, _| match nth {
        0 => refusal("ThrottlingException", "Rate exceeded"),
        _ => refused(),
    });
    let database = script.database().with_patience(Duration::from_secs(30));
    let started = Instant::now();
    database.table::<Team>().get("ada").await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 30);
}

/// The SDK's retries of the user's client do not multiply ours.
#[tokio::test(start_paused = true)]
async fn attempts_are_requests() {
    let script = Script::new(|_, _| {
        let kind = "com.amazonaws.dynamodb.v20120810#InternalServerError";
        Answer::Reply(500, json!({ "__type": kind, "message": "Internal server error" }))
    });
    let retries = RetryConfig::standard().with_max_attempts(10);
    let config = script.config().retry_config(retries);
    let database = Database::from_client(Client::from_conf(config.build()));
    let error = first_error(&database.with_patience(Duration::from_secs(3))).await;
    assert_eq!(error.attempts(), script.sent().len() as u64);
    assert_eq!(
        message(&error),
        "DescribeTable on table `teams`: the service failed (InternalServerError, request \
         REQUEST1), sent N times; run again later, the request was sound"
    );
    let before = script.sent().len();
    database.client().list_tables().send().await.unwrap_err();
    assert_eq!(script.sent().len() - before, 10, "the raw client keeps the SDK's retries");
}

/// Neither what a user reads nor what a log keeps has a secret or a record in it.
#[tokio::test(start_paused = true)]
async fn errors_hold_no_secrets_and_no_records() {
    let answers: [fn() -> Answer; 5] = [
        refused,
        || Answer::Silence,
        || Answer::Foreign(200, "<html>It works!</html>"),
        || refusal("ValidationException", "One or more parameter values were invalid"),
        || refusal("InvalidSignatureException", "The request signature does not match"),
    ];
    for answer in answers {
        let script = Script::new(move |nth, _| if nth == 0 { described() } else { answer() });
        let database = script.database().with_patience(Duration::from_secs(1));
        let team = Team { name: "ada".into(), motto: "the secret diary".into() };
        let teams = MemoryTable::new(database.table::<Team>());
        let error = teams.table().put(&team).await.unwrap_err();
        let put = script.sent().pop().unwrap();
        assert_eq!(put.body["Item"]["motto"]["S"], "the secret diary");
        let mut texts = format!("{error} {error:?} {error:#?} {}", causes(&error));
        teams.put(team).await.unwrap();
        let failed = teams.flush().await.unwrap_err();
        texts = format!("{texts} {failed} {failed:?} {database:?} {teams:?}");
        let signature = put.authorization.rsplit('=').next().unwrap();
        for secret in ["the-secret-key", "the-session-token", "secret diary", "AKID", signature] {
            assert!(!texts.contains(secret), "{secret} is in {texts}");
        }
    }
}

/// Keeps what is logged as a warning or an error.
mod warnings {
    use std::fmt::{Debug, Write as _};
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    #[derive(Clone, Default)]
    pub struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Warnings {
        pub fn taken(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    #[derive(Default)]
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let written = match field.name() {
                "message" => write!(self.0, "{value:?}"),
                name => write!(self.0, " {name}={value:?}"),
            };
            written.expect("text can be written to");
        }
    }

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN && metadata.target().starts_with("memory_table")
        }

        fn event(&self, event: &Event<'_>) {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_waited_for_is_asked_anew() {
    let database = crate::support::embedded();
    database.table::<Team>().create_if_missing().await.unwrap();
    let (anew, faults) = crate::support::faulty(&database);
    let table = anew.table::<Team>();
    faults.always("DescribeTable", crate::support::Fault::no_answer());
    let given_up = tokio::time::timeout(Duration::from_secs(2), table.get("ada"));
    assert!(given_up.await.is_err());
    faults.heal();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(table.get("ada").await.unwrap().is_none());
}

#[test]
fn a_runtime_that_ends_in_the_first_contact_leaves_the_table_usable() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = crate::support::embedded();
    runtime().block_on(async {
        database.table::<Team>().create_if_missing().await.unwrap();
    });
    let (anew, faults) = crate::support::faulty(&database);
    let memory = MemoryTable::new(anew.table::<Team>());
    faults.always("DescribeTable", crate::support::Fault::failed());
    let first = runtime();
    first.block_on(async {
        memory.put(Team { name: "ada".into(), motto: String::new() }).await.unwrap();
        let flush = memory.clone();
        tokio::spawn(async move { flush.flush().await });
        // In the pause before its second attempt.
        while faults.count("DescribeTable") == 0 {
            tokio::task::yield_now().await;
        }
    });
    drop(first);
    faults.heal();
    let written = runtime().block_on(async { memory.flush().await.unwrap().written });
    assert_eq!(written, 1);
}

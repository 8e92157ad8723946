//! Options of a database.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{
    Builder, Credentials, ProvideCredentials, Region, SharedCredentialsProvider, SharedHttpClient,
};

use super::{DEFAULT_ATTEMPT_TIMEOUT, Database};
use crate::error::{Error, ErrorKind};

/// The SDK's defaults change with its versions; ours change with ours only.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Options of a [`Database`]; what is not set comes from the AWS environment and profile.
///
/// # Example
///
/// ```no_run
/// # async fn connect() -> Result<(), memory_table::Error> {
/// use std::time::Duration;
/// use memory_table::Database;
///
/// let database = Database::builder()
///     .region("eu-central-1")
///     .prefix("staging_")
///     .attempt_timeout(Duration::from_secs(5))
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct DatabaseBuilder {
    region: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
    prefix: String,
    credentials: Option<SharedCredentialsProvider>,
    http_client: Option<SharedHttpClient>,
    connect_timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
}

impl DatabaseBuilder {
    /// The AWS region, such as `eu-central-1`.
    ///
    /// Default: AWS_REGION, then the profile's.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The profile of the AWS configuration files.
    ///
    /// Default: AWS_PROFILE, then `default`.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// The URL of the DynamoDB endpoint.
    ///
    /// Default: AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, the profile's, then the region's.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// A fixed access key and its secret.
    ///
    /// Default: the AWS chain (environment, profile, SSO, container, instance).
    pub fn credentials(
        self,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
    ) -> Self {
        self.credentials_provider(Credentials::new(
            access_key_id,
            secret_access_key,
            None,
            None,
            "builder",
        ))
    }

    /// A provider of credentials of your own.
    ///
    /// Default: the AWS chain.
    pub fn credentials_provider(mut self, provider: impl ProvideCredentials + 'static) -> Self {
        self.credentials = Some(SharedCredentialsProvider::new(provider));
        self
    }

    /// A prefix for the names of all tables, such as `staging_`.
    ///
    /// Default: none.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long connecting may take.
    ///
    /// Default: the SDK's, 3.1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long one attempt of a request may take; the request itself is tried again.
    ///
    /// Default: 15 s; the SDK's own default is to wait for ever, so a hung socket hangs the job.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// An HTTP client of your own, for proxies, TLS settings or tests.
    ///
    /// Default: the SDK's, with rustls.
    pub fn http_client(mut self, client: SharedHttpClient) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Makes the database. Credentials are looked up by the first request, not here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if no region is set anywhere, or the endpoint is no URL.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed; it can be dropped and called again.
    pub async fn build(self) -> Result<Database, Error> {
        let endpoint = self.endpoint.as_deref().map(checked_url).transpose()?;
        let mut loader = aws_config::defaults(behavior());
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(profile) = self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = endpoint {
            loader = loader.endpoint_url(url);
        }
        if let Some(credentials) = self.credentials {
            loader = loader.credentials_provider(credentials);
        }
        if let Some(client) = self.http_client {
            loader = loader.http_client(client);
        }
        if let Some(timeout) = self.connect_timeout {
            let timeouts = aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder();
            loader = loader.timeout_config(timeouts.connect_timeout(timeout).build());
        }
        let shared = loader.load().await;
        if shared.region().is_none() {
            return Err(Error::new(ErrorKind::Configuration, super::failure::NO_REGION)
                .advise(super::failure::NO_REGION_ADVICE));
        }
        let client = Client::new(&shared);
        let timeout = self.attempt_timeout.unwrap_or(DEFAULT_ATTEMPT_TIMEOUT);
        Ok(Database::assemble(client, false, Some(timeout)).with_prefix(&self.prefix))
    }
}

/// The configuration of servers that ask for no real credentials.
pub(super) fn local_config(url: &str) -> Builder {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (access, secret, token) = match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        (Some(access), Some(secret)) => (access, secret, set("AWS_SESSION_TOKEN")),
        _ => ("local".to_owned(), "local".to_owned(), None),
    };
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(behavior())
        .region(Region::new(region.unwrap_or_else(|| "us-east-1".to_owned())))
        .credentials_provider(Credentials::new(access, secret, token, None, "local"))
        .endpoint_url(url)
}

pub(super) fn checked_url(url: &str) -> Result<&str, Error> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let port_is_number = |host: &str| match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    };
    match host {
        Some(host)
            if !host.is_empty() && !url.contains(char::is_whitespace) && port_is_number(host) =>
        {
            Ok(url)
        }
        _ => Err(Error::new(ErrorKind::Configuration, format!("`{url}` is no URL of an endpoint"))
            .advise("write it as http://localhost:8000")),
    }
}

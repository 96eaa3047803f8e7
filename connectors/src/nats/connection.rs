//! Connecting to NATS, and refusing servers that would silently do less than we ask.
//!
//! nats-server before 2.11 ignores fences, message times-to-live and atomic batches without a
//! word, so a server must report its JetStream API level before anything is read or written.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Request, RequestErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The JetStream API level a server must report: 1 came with nats-server 2.11.
pub(crate) const API_LEVEL_MIN: usize = 1;

/// Where a server tells about JetStream.
const ACCOUNT_INFO_SUBJECT: &str = "$JS.API.INFO";
/// How long to wait for a server to answer the first time.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long one JetStream request may take; a leader change takes 4–8 s, retries cover it.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Acknowledgements that may be outstanding on one connection.
pub(crate) const ACKS_IN_FLIGHT_MAX: usize = 1_024;

/// Where NATS is, and who we are to it.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsConnection {
    /// Servers, `nats://host:4222` or `tls://host:4222`; the first that answers is taken.
    #[serde(default = "default_servers")]
    pub servers: Vec<String>,
    /// A `.creds` file (JWT and NKey seed).
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// A file that holds a token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A PEM file with the certificates of authorities to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for NatsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NatsConnection { servers, credentials_file, token_file, ca_file } = self;
        let servers: Vec<String> = servers.iter().map(|url| without_secret(url)).collect();
        f.debug_struct("NatsConnection")
            .field("servers", &servers)
            .field("credentials_file", credentials_file)
            .field("token_file", token_file)
            .field("ca_file", ca_file)
            .finish()
    }
}

/// A URL without the user and password that may stand in it.
fn without_secret(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        None => url.to_owned(),
        Some((_, host)) if scheme.is_empty() => format!("***@{host}"),
        Some((_, host)) => format!("{scheme}://***@{host}"),
    }
}

fn default_servers() -> Vec<String> {
    vec!["nats://127.0.0.1:4222".to_owned()]
}

impl Default for NatsConnection {
    fn default() -> NatsConnection {
        NatsConnection { servers: default_servers(), credentials_file: None, token_file: None, ca_file: None }
    }
}

/// Why NATS cannot be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The server does not let us in.
    #[error("NATS at {servers} refuses the credentials: {reason}; correct `credentials_file` or `token_file`")]
    Refused {
        /// Where.
        servers: String,
        /// What it said.
        reason: String,
    },
    /// No server answered.
    #[error("no NATS server answers at {servers}: {reason}; start one with `nats-server -js`, or correct `servers`")]
    Connect {
        /// Where we looked.
        servers: String,
        /// What the last one said.
        reason: String,
    },
    /// A file with a secret does not read.
    #[error("cannot read `{path}`: {reason}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The server is too old, or has no JetStream.
    #[error(
        "NATS server {version} reports JetStream API level {level}, at least {API_LEVEL_MIN} is needed: it would silently ignore what keeps incidents exactly once; use nats-server 2.11 or newer"
    )]
    TooOld {
        /// The server's version.
        version: String,
        /// The level it reports.
        level: usize,
    },
    /// JetStream is off.
    #[error("NATS server {version} has no JetStream for this account: {reason}; start it with `-js`")]
    NoJetStream {
        /// The server's version.
        version: String,
        /// What the server said.
        reason: String,
    },
    /// A stream or bucket has settings we cannot work with.
    #[error("{what} `{name}` has {setting} `{have}`, should be `{want}`: {remedy}")]
    Setting {
        /// Stream or bucket.
        what: &'static str,
        /// Its name.
        name: String,
        /// Which setting.
        setting: &'static str,
        /// What it is.
        have: String,
        /// What it should be.
        want: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Another process has taken over.
    #[error(
        "another process has published to `{stream}` as the sink `{sink}` since {since}: this one is fenced and \
         publishes nothing more. End one of the two and start the other again; or give each sink a `name` of its own, \
         when both are to publish"
    )]
    Fenced {
        /// Where.
        stream: &'static str,
        /// The sink's name.
        sink: String,
        /// When the other began.
        since: String,
    },
    /// The stream has a message that we have not published.
    #[error("the incident stream has messages of another writer: it is read again")]
    Overtaken,
    /// A request failed; it may work later.
    #[error("NATS cannot {operation}: {reason}")]
    Request {
        /// What was tried.
        operation: &'static str,
        /// What the server said.
        reason: String,
    },
}

impl NatsError {
    /// A [`NatsError::Request`].
    pub(crate) fn request(operation: &'static str, error: impl std::fmt::Display) -> NatsError {
        NatsError::Request { operation, reason: error.to_string() }
    }

    /// True when trying again may work without anybody changing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, NatsError::Request { .. } | NatsError::Connect { .. } | NatsError::Overtaken)
    }
}

impl NatsConnection {
    /// The files it names.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        let files = [&mut self.credentials_file, &mut self.token_file, &mut self.ca_file];
        files.into_iter().flatten().collect()
    }

    /// Connects and checks the server. Afterwards the client reconnects by itself.
    ///
    /// # Errors
    /// [`NatsError::Connect`], [`NatsError::Refused`], [`NatsError::Secret`], [`NatsError::TooOld`],
    /// [`NatsError::NoJetStream`].
    pub async fn connect(&self) -> Result<Context, NatsError> {
        let options = self.options().await?;
        let connect = options.connect(self.servers.as_slice());
        let refused = |reason: String| NatsError::Connect { servers: self.shown(), reason: self.cleaned(&reason) };
        let client = tokio::time::timeout(CONNECT_MAX, connect)
            .await
            .map_err(|_| refused(format!("nothing within {} s", CONNECT_MAX.as_secs())))?
            .map_err(|error| match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    NatsError::Refused { servers: self.shown(), reason: self.cleaned(&error.to_string()) }
                }
                _ => refused(error.to_string()),
            })?;
        check_server(&client).await?;
        let context = jetstream::ContextBuilder::new()
            .timeout(REQUEST_MAX)
            .ack_timeout(REQUEST_MAX)
            .max_ack_inflight(ACKS_IN_FLIGHT_MAX)
            .build(client);
        Ok(context)
    }

    /// Connects and says what is there.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) async fn server(&self) -> Result<String, NatsError> {
        let context = self.connect().await?;
        Ok(format!("nats-server {} at {}", context.client().server_info().version, self.shown()))
    }

    /// The servers as they may be shown.
    pub(crate) fn shown(&self) -> String {
        self.servers.iter().map(|url| without_secret(url)).collect::<Vec<_>>().join(", ")
    }

    /// What somebody else says of a server, who may repeat its URL.
    fn cleaned(&self, text: &str) -> String {
        self.servers.iter().fold(text.to_owned(), |text, url| text.replace(url.as_str(), &without_secret(url)))
    }

    async fn options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = ConnectOptions::new().name("bellwether").connection_timeout(CONNECT_MAX).event_callback(
            |event| async move {
                tracing::info!(%event, "NATS connection");
            },
        );
        if let Some(path) = &self.credentials_file {
            let secret = |e: std::io::Error| secret_error(path, &e);
            options = options.credentials_file(path).await.map_err(secret)?;
        }
        if let Some(path) = &self.token_file {
            let secret = |e: std::io::Error| secret_error(path, &e);
            let token = tokio::fs::read_to_string(path).await.map_err(secret)?;
            options = options.token(token.trim().to_owned());
        }
        if let Some(path) = &self.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        Ok(options)
    }
}

fn secret_error(path: &std::path::Path, error: &std::io::Error) -> NatsError {
    NatsError::Secret { path: path.to_owned(), reason: error.to_string() }
}

/// The part of the account's answer that is needed. Old servers leave out what the client's
/// own type wants.
#[derive(Deserialize)]
struct AccountInfo {
    #[serde(default)]
    api: Option<ApiInfo>,
    #[serde(default)]
    error: Option<ApiProblem>,
}

#[derive(Deserialize)]
struct ApiInfo {
    #[serde(default)]
    level: usize,
}

#[derive(Deserialize)]
struct ApiProblem {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// JetStream's own code for a cluster that has no leader yet.
const NO_LEADER_YET: u64 = 10_008;

async fn check_server(client: &Client) -> Result<(), NatsError> {
    let version = client.server_info().version;
    let missing = |reason: String| NatsError::NoJetStream { version: version.clone(), reason };
    let request = Request::new().timeout(Some(CONNECT_MAX));
    let answer = client.send_request(ACCOUNT_INFO_SUBJECT, request).await.map_err(|e| match e.kind() {
        // A server without JetStream has nobody who would answer; a busy one answers late.
        RequestErrorKind::NoResponders => missing(e.to_string()),
        _ => NatsError::request("ask for JetStream", e),
    })?;
    let account: AccountInfo = serde_json::from_slice(&answer.payload).map_err(|e| missing(e.to_string()))?;
    if let Some(problem) = account.error {
        if problem.err_code == NO_LEADER_YET {
            return Err(NatsError::request("use JetStream yet", problem.description));
        }
        return Err(missing(problem.description));
    }
    let level = account.api.map_or(0, |api| api.level);
    if level < API_LEVEL_MIN {
        return Err(NatsError::TooOld { version, level });
    }
    tracing::info!(version, level, "connected to NATS");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_in_a_url_is_never_shown() {
        let secret = |port: u16| format!("nats://bell:S3cret@127.0.0.1:{port}");
        // Nobody listens on port 1; the last is no URL at all.
        for url in [secret(1), "bell:S3cret@127.0.0.1:1".to_owned(), "nats://bell:S3cret@[::".to_owned()] {
            let connection = NatsConnection { servers: vec![url.clone()], ..NatsConnection::default() };
            let error = connection.connect().await.expect_err("nobody answers");
            for shown in [format!("{connection:?}"), error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("S3cret") && shown.contains("***@"), "{url}: {shown}");
            }
        }
        assert_eq!(without_secret("nats://127.0.0.1:4222"), "nats://127.0.0.1:4222");
    }
}

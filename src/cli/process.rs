//! The process that runs with a configuration: how to reach it, and as whom.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bellwether_connectors::server::auth::AuthConfig;
use bellwether_connectors::server::http::client::{Client, ClientError, Identity, Lines, Method, Trust};
use bellwether_connectors::wires::WireList as _;
use clap::Args;

use crate::config::Config;
use crate::exit::UsageError;

/// Who asks, when the configuration does not say.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Reach {
    /// File with the token to show; the configuration's own when left out
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Client certificate, where the process asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Authority that vouches for an https:// address
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process(Client);

impl Process {
    /// A page and its status.
    pub(super) async fn get(&self, path: &str) -> Result<(u16, String), ClientError> {
        self.0.ask(Method::GET, path).await
    }

    /// An answer to what is said, if anything is.
    pub(super) async fn say(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<(u16, String), ClientError> {
        match json {
            Some(json) => self.0.say(method, path, json).await,
            None => self.0.ask(method, path).await,
        }
    }

    /// A page that goes on.
    pub(super) async fn open(&self, path: &str) -> Result<(u16, Lines), ClientError> {
        self.0.open(path).await
    }
}

impl Reach {
    fn identity(&self) -> Option<Identity<'_>> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }

    fn token(&self, auth: Option<&AuthConfig>) -> Result<Option<String>> {
        let own = || {
            let auth = auth?;
            let operator = auth.operators.iter().find_map(|operator| operator.bearer_file.clone());
            operator.or_else(|| auth.credentials.iter().find_map(|credential| credential.bearer_file.clone()))
        };
        match self.token_file.clone().or_else(own) {
            None => Ok(None),
            Some(path) => {
                let text = std::fs::read_to_string(&path);
                let text = text.with_context(|| format!("cannot read the token in `{}`", path.display()))?;
                Ok(Some(text.trim().to_owned()))
            }
        }
    }
}

/// The process that listens where `config` says.
///
/// # Errors
/// When the configuration has no HTTP listener, or a secret or certificate cannot be read.
pub(super) fn process_of(config: &Config, reach: &Reach) -> Result<Process> {
    let Some(http) = config.wires.http() else {
        let message = "the configuration has no HTTP listener: name `wires.http`".to_owned();
        return Err(UsageError(message).into());
    };
    let client = Client::new(http.listen).with_bearer(reach.token(Some(&config.wires.auth))?);
    let client = match &http.tls {
        None => client,
        Some(tls) => {
            let trust = Trust::Pinned(&tls.certificate_file);
            client.with_tls(&http.listen.to_string(), trust, reach.identity())?
        }
    };
    Ok(Process(client))
}

/// The process at an address such as `http://127.0.0.1:9099`.
///
/// # Errors
/// When the address does not read or resolve, or a secret or certificate cannot be read.
pub(super) fn process_at(url: &str, reach: &Reach) -> Result<Process> {
    let usage = |message: String| anyhow::Error::from(UsageError(message));
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.trim_end_matches('/');
    let resolved = host.to_socket_addrs().ok().and_then(|mut found| found.next());
    let Some(address): Option<SocketAddr> = resolved else {
        return Err(usage(format!("`{url}` is no address: write http://host:port")));
    };
    let client = Client::new(address).with_bearer(reach.token(None)?);
    match (scheme, reach.ca.as_deref()) {
        ("http", _) => Ok(Process(client)),
        ("https", Some(ca)) => Ok(Process(client.with_tls(host, Trust::Authority(ca), reach.identity())?)),
        ("https", None) => Err(usage("https:// needs --ca, a file with the authority's certificate".to_owned())),
        (other, _) => Err(usage(format!("`{other}://` is not spoken: use http:// or https://"))),
    }
}

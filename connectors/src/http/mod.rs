//! One HTTP server for every wire spoken over HTTP.
//!
//! ```yaml
//! http:
//!   listen: 127.0.0.1:9099
//!   tls: { certificate_file: tls.crt, key_file: tls.key }
//! ```
//!
//! For each request, in this order: route, credential (401 before the body is read), declared
//! size (413), a free place (503), the body within its time, a re-send known from before, the
//! wire's decoder, the journal, and only then the answer. Beside the wires it answers
//! `/metrics`, `/-/healthy` and `/livez`, `/-/ready` and `/readyz`.

mod connection;
mod exposition;
pub(crate) mod retry_window;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{Request as HttpRequest, Response, StatusCode};
use bellwether_engine::time::EventTime;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use connection::serve;
pub use exposition::{WireReport, exposition};
use retry_window::{RetryWindow, Seen, request_key};

use crate::auth::Auth;
use crate::limits::Limits;
use crate::source::{AcceptError, Intake, Source, SourceError, Stop};
use crate::tls::{TlsConfig, acceptor};
use crate::wire::{Access, HttpWire, Reply, Request, WireCounters};

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; anything but loopback needs credentials.
    pub listen: SocketAddr,
    /// Serve HTTPS.
    pub tls: Option<TlsConfig>,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 9099)), tls: None }
    }
}

struct Mounted {
    id: String,
    wire: Arc<dyn HttpWire>,
    counters: Arc<WireCounters>,
}

struct Mount {
    segments: Vec<Option<String>>,
    access: Access,
    wire: usize,
}

/// Two wires cannot answer one path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("path `{path}` is claimed by `{first}` and by `{second}`; give one of them another path")]
pub struct RouteConflict {
    path: String,
    first: String,
    second: String,
}

/// The wires of one listener, with what they share.
pub struct HttpWires {
    auth: Arc<Auth>,
    limits: Limits,
    wires: Vec<Mounted>,
    mounts: Vec<Mount>,
    places: Semaphore,
    retries: RetryWindow,
    others: OnceLock<Vec<OtherWire>>,
    more: OnceLock<MoreMetrics>,
}

/// A listener that does not speak HTTP, by source name.
type OtherWire = (&'static str, Arc<WireCounters>);

/// Further families in Prometheus' text format.
type MoreMetrics = Box<dyn Fn() -> String + Send + Sync>;

impl HttpWires {
    /// Mounts `wires`, each under its component id.
    ///
    /// # Errors
    /// [`RouteConflict`] when two of them claim one path.
    pub fn new(
        auth: Arc<Auth>,
        limits: Limits,
        wires: Vec<(String, Arc<dyn HttpWire>)>,
    ) -> Result<HttpWires, RouteConflict> {
        let mut mounts: Vec<Mount> = Vec::new();
        for (index, (id, wire)) in wires.iter().enumerate() {
            for route in wire.routes() {
                let segments = segments_of(&route.path);
                if let Some(other) = mounts.iter().find(|mount| mount.segments == segments) {
                    return Err(RouteConflict {
                        path: route.path,
                        first: wires[other.wire].0.clone(),
                        second: id.clone(),
                    });
                }
                mounts.push(Mount { segments, access: route.access, wire: index });
            }
        }
        let wires = wires.into_iter().map(|(id, wire)| Mounted { id, wire, counters: Arc::default() }).collect();
        Ok(HttpWires {
            places: Semaphore::new(limits.requests_in_flight_max),
            auth,
            limits,
            wires,
            mounts,
            retries: RetryWindow::default(),
            others: OnceLock::new(),
            more: OnceLock::new(),
        })
    }

    /// Shows the totals of listeners that do not speak HTTP at `/metrics`, too. Only the first
    /// call counts.
    pub fn show_others(&self, others: Vec<(&'static str, Arc<WireCounters>)>) {
        let _ = self.others.set(others);
    }

    /// Puts what `more` says, in Prometheus' text format, at the end of `/metrics`. Only the
    /// first call counts.
    pub fn show_more(&self, more: impl Fn() -> String + Send + Sync + 'static) {
        let _ = self.more.set(Box::new(more));
    }

    /// What every wire has received so far.
    pub fn reports(&self) -> Vec<WireReport> {
        self.wires
            .iter()
            .map(|mounted| WireReport {
                id: mounted.id.clone(),
                kind: mounted.wire.kind(),
                totals: mounted.counters.read(),
            })
            .collect()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers one request, as hyper hands it over.
    pub async fn respond(&self, intake: &Intake, request: HttpRequest<Incoming>) -> Response<Full<Bytes>> {
        let head_only = request.method() == axum::http::Method::HEAD;
        let mut reply = self.reply_to(intake, request).await;
        if head_only {
            reply.body = Bytes::new();
        }
        response(reply)
    }

    async fn reply_to<B>(&self, intake: &Intake, request: HttpRequest<B>) -> Reply
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(reply) = self.own_page(intake, request.uri().path()) {
            return reply;
        }
        let Some(mount) = self.mount_of(request.uri().path()) else {
            return Reply::text(404, "no wire is configured for this path\n");
        };
        let mounted = &self.wires[mount.wire];
        let tenant = match mount.access {
            Access::Own => "",
            Access::Credential => match self.auth.tenant_of(request.headers()) {
                Some(tenant) => tenant,
                None => {
                    mounted.counters.refuse("unauthorized", 1);
                    return Reply::text(401, "a credential is needed\n")
                        .with("www-authenticate", "Bearer realm=\"bellwether\", Basic realm=\"bellwether\"");
                }
            },
        };
        let (head, body) = request.into_parts();
        let mut parsed = Request {
            tenant,
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &[],
            received: now(),
        };
        let Ok(_place) = self.places.try_acquire() else {
            mounted.counters.refuse("busy", 1);
            return mounted.wire.overloaded(&parsed, "too many requests at once");
        };
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(reply) => {
                let reason = if reply.status == 413 { "too_large" } else { "body_not_read" };
                mounted.counters.refuse(reason, 1);
                return reply;
            }
        };
        mounted.counters.request(body.len());
        parsed.body = &body;
        self.hand_over(intake, mounted, &parsed).await
    }

    /// The body, within its size and time.
    async fn read<B>(&self, body: B) -> Result<Bytes, Reply>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes_max = self.limits.body_bytes_max;
        let too_large =
            || Reply::text(413, format!("the body is larger than `limits.body_bytes_max` ({bytes_max} bytes)\n"));
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(too_large());
        }
        let within = Duration::from_secs(self.limits.body_timeout_secs);
        let read = Limited::new(body, bytes_max).collect();
        match tokio::time::timeout(within, read).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Reply::text(400, "the body could not be read\n")),
            Err(_) => Err(Reply::text(408, "the body took too long\n")),
        }
    }

    /// Decodes, stores and answers.
    async fn hand_over(&self, intake: &Intake, mounted: &Mounted, request: &Request<'_>) -> Reply {
        let guarded = mounted.wire.resend_is_duplicate(request) && !request.body.is_empty();
        if !guarded {
            return self.store(intake, mounted, request).await;
        }
        let key = request_key(request.tenant, request.path, request.body);
        match self.retries.begin(key, request.received) {
            Seen::New => {}
            Seen::InFlight => {
                return mounted.wire.overloaded(request, "the same request is being stored");
            }
            Seen::Answered(reply) => {
                mounted.counters.duplicate(1);
                return reply;
            }
        }
        // The sender may hang up while the journal writes: then the key must not stay noted.
        let mut pending = Pending { window: &self.retries, key: Some(key) };
        let reply = self.store(intake, mounted, request).await;
        pending.key = None;
        self.retries.end(key, &reply);
        reply
    }

    async fn store(&self, intake: &Intake, mounted: &Mounted, request: &Request<'_>) -> Reply {
        let outcome = mounted.wire.serve(request);
        for (reason, count) in outcome.refused.iter() {
            mounted.counters.refuse(reason, count);
        }
        if outcome.inputs.is_empty() {
            mounted.counters.accept(outcome.accepted);
            return outcome.reply;
        }
        let stored = intake.accept_now(&outcome.inputs).await;
        match stored {
            Ok(_) => {
                mounted.counters.accept(outcome.accepted);
                outcome.reply
            }
            Err(error) => {
                mounted.wire.undo(&outcome.inputs);
                mounted.counters.refuse("journal", outcome.accepted);
                match error {
                    AcceptError::TooLarge { reason } => Reply::text(413, format!("{reason}\n")),
                    error => mounted.wire.overloaded(request, &error.to_string()),
                }
            }
        }
    }

    fn own_page(&self, intake: &Intake, path: &str) -> Option<Reply> {
        Some(match path {
            "/-/healthy" | "/livez" => Reply::text(200, "Bellwether is healthy.\n"),
            "/-/ready" | "/readyz" if intake.is_accepting() => Reply::text(200, "Bellwether is ready.\n"),
            "/-/ready" | "/readyz" => Reply::overloaded("the journal takes no entries at the moment"),
            "/metrics" => Reply {
                status: 200,
                headers: vec![("content-type", "text/plain; version=0.0.4; charset=utf-8".to_owned())],
                body: Bytes::from(self.metrics()),
            },
            _ => return None,
        })
    }

    fn metrics(&self) -> String {
        let others = self.others.get().into_iter().flatten().map(|(name, counters)| WireReport {
            id: (*name).to_owned(),
            kind: name,
            totals: counters.read(),
        });
        let reports: Vec<WireReport> = self.reports().into_iter().chain(others).collect();
        let mut text = exposition(&reports);
        if let Some(more) = self.more.get() {
            text.push_str(&more());
        }
        text
    }

    /// The first mount whose path fits; a literal part wins over a variable one.
    fn mount_of(&self, path: &str) -> Option<&Mount> {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let fits = |mount: &&Mount| {
            mount.segments.len() == parts.len()
                && mount
                    .segments
                    .iter()
                    .zip(&parts)
                    .all(|(segment, part)| segment.as_ref().is_none_or(|literal| literal == part))
        };
        let variables = |mount: &&Mount| mount.segments.iter().filter(|s| s.is_none()).count();
        self.mounts.iter().filter(fits).min_by_key(variables)
    }
}

/// The listener as a source: binds, serves, and ends when told to stop.
pub struct HttpSource {
    name: String,
    config: HttpConfig,
    wires: Arc<HttpWires>,
}

impl HttpSource {
    /// A listener called `name` for `wires`.
    pub fn new(name: impl Into<String>, config: HttpConfig, wires: Arc<HttpWires>) -> HttpSource {
        HttpSource { name: name.into(), config, wires }
    }
}

impl Source for HttpSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let address = self.config.listen;
            let wrong = |reason: String| SourceError::config(&self.name, reason);
            self.wires.auth.check_listener(address).map_err(|error| wrong(error.to_string()))?;
            let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
            let tls = self.config.tls.as_ref().map(|tls| acceptor(tls, &protocols));
            let tls = tls.transpose().map_err(|error| wrong(error.to_string()))?;
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .map_err(|error| wrong(format!("cannot listen on `{address}`: {error}")))?;
            serve(self.wires, intake, listener, tls, async move { stop.stopped().await }).await;
            Ok(())
        })
    }
}

/// Forgets a request that is neither stored nor answered when it is dropped.
struct Pending<'a> {
    window: &'a RetryWindow,
    key: Option<u128>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.window.abandon(key);
        }
    }
}

fn segments_of(path: &str) -> Vec<Option<String>> {
    path.trim_end_matches('/').split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect()
}

/// The wall clock; connectors are the only place that may look at it.
pub(crate) fn now() -> EventTime {
    crate::source::arrival_time()
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    let nosniff = axum::http::HeaderValue::from_static("nosniff");
    response.headers_mut().insert("x-content-type-options", nosniff);
    response
}

#[cfg(test)]
mod tests;

//! One HTTP server for every wire spoken over HTTP.
//!
//! ```yaml
//! http:
//!   listen: 127.0.0.1:9099
//!   tls: { certificate_file: tls.crt, key_file: tls.key }
//! ```
//!
//! For each request, in this order: path, credential (401 before the body is read), method (405
//! with `Allow`), memory of the process and rate of the tenant (503), declared size (413), room for the body (503), the body within its time, a place (503,
//! [`crate::server::doors`]), a re-send known from before, the route's decoder, the journal, and only then
//! the answer. Beside the wires it answers
//! `/metrics`, `/-/healthy`, `/-/ready`, `/-/tap` and `/-/reload` ([`Admin`]).
//!
//! Wires and limits can be replaced while it serves ([`HttpRouter::replace`]): a request is
//! answered by those in force when its headers have come.

mod admin;
mod body;
pub mod client;
mod connection;
mod exposition;
mod guest;
mod refused;
mod routes;
mod strangers;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::signal::TenantName;
use bellwether_engine::time::EventTime;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Request as HttpRequest, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::{Admin, ReloadRefused, Reloaded};
use body::{NotRead, read};
use connection::Sender;
pub use connection::serve;
pub use exposition::{RefusedRows, WireReport, exposition};
pub use guest::{Guest, Served, Visit};
use refused::let_run_out;
pub use routes::RouteError;
use routes::{Mounted, Routes};

use crate::intake::{AcceptError, Intake, Source, SourceError, Stop, bytes_of};
use crate::journal::PendingAppend;
use crate::journal::receipts::{Claim, Claims, request_key};
use crate::limits::Limits;
use crate::memory::{Memory, Work};
use crate::server::auth::{Auth, Grant, Right, Shown};
use crate::server::counters::WireCounters;
use crate::server::doors::{Doors, Holder, NO_MEMORY, TOO_FAST};
use crate::server::outcome::Outcome;
use crate::server::refusals::Refused;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::server::tls::{LiveTls, TlsConfig, TlsError};
use crate::server::wire::{Access, Answer, HttpWire, Take, Unsigned};

/// The component id of the listener itself, in counters of connections.
const HTTP_ID: &str = "http";

/// ALPN of HTTP listeners.
const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// How long a request waits for another that holds the same, as long as the journal may take to
/// say that it is busy; and how often it looks.
const BUSY_FOR: Duration = Duration::from_secs(2);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What is sent back: a whole answer, or a tap's lines.
pub(crate) type HttpBody = UnsyncBoxBody<Bytes, Infallible>;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; anything but loopback needs credentials.
    pub listen: SocketAddr,
    /// Serve HTTPS.
    pub tls: Option<TlsConfig>,
}

impl HttpConfig {
    /// The files it names.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.tls.iter_mut().flat_map(TlsConfig::paths).collect()
    }
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 9099)), tls: None }
    }
}

/// The wires of one listener, with what they share.
pub struct HttpRouter {
    auth: Arc<Auth>,
    routes: RwLock<Arc<Routes>>,
    doors: Doors,
    /// Connections refused or closed, by reason.
    listener: Arc<WireCounters>,
    others: OnceLock<Vec<OtherWire>>,
    more: OnceLock<MoreMetrics>,
    unready: OnceLock<Unready>,
    admin: OnceLock<Arc<dyn Admin>>,
    guest: OnceLock<Arc<dyn Guest>>,
}

/// A wire under its name: its key in the configuration, and its component in `/metrics`.
pub type NamedWire = (&'static str, HttpWire);

/// What is answered when all places are taken.
const TOO_MANY: &str = "too many requests at once";

/// What is answered when a sender's share of the room for bodies is taken.
const NO_ROOM: &str = "too much is being received of this sender at once";

/// A listener that does not speak HTTP, by source name.
type OtherWire = (&'static str, Arc<WireCounters>);

/// Further families in Prometheus' text format.
type MoreMetrics = Box<dyn Fn() -> String + Send + Sync>;

/// Reasons why the process is not ready.
type Unready = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl HttpRouter {
    /// Mounts `wires`, each under its name.
    ///
    /// # Errors
    /// [`RouteError`] when two of them claim one path.
    pub fn new(auth: Arc<Auth>, limits: Limits, wires: Vec<NamedWire>) -> Result<HttpRouter, RouteError> {
        Ok(HttpRouter {
            auth,
            doors: Doors::new(&limits),
            routes: RwLock::new(Arc::new(Routes::new(limits, wires, None)?)),
            listener: Arc::default(),
            others: OnceLock::new(),
            more: OnceLock::new(),
            unready: OnceLock::new(),
            admin: OnceLock::new(),
            guest: OnceLock::new(),
        })
    }

    /// Puts other limits and wires in force; a wire of an id that was there before goes on
    /// counting where it was. On an error nothing changes.
    ///
    /// # Errors
    /// [`RouteError`] when two of them claim one path.
    pub fn replace(&self, limits: Limits, wires: Vec<NamedWire>) -> Result<(), RouteError> {
        let fresh = Arc::new(Routes::new(limits, wires, Some(&self.routes()))?);
        self.doors.resize(&fresh.limits);
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Bodies take their part of `memory` at most.
    fn stay_within(&self, memory: &Memory) {
        self.doors.within(&self.limits(), memory);
    }

    fn routes(&self) -> Arc<Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The running wire called `id`.
    pub fn wire(&self, id: &str) -> Option<HttpWire> {
        self.routes().wires.iter().find(|mounted| mounted.id == id).map(|mounted| mounted.wire.clone())
    }

    /// Lets `admin` answer for the process. Only the first call counts.
    pub fn administered_by(&self, admin: Arc<dyn Admin>) {
        let _ = self.admin.set(admin);
    }

    /// Shows the totals of listeners that do not speak HTTP at `/metrics`, too. Only the first
    /// call counts.
    pub(crate) fn show_others(&self, others: Vec<(&'static str, Arc<WireCounters>)>) {
        let _ = self.others.set(others);
    }

    /// Puts what `more` says, in Prometheus' text format, at the end of `/metrics`. Only the
    /// first call counts.
    pub fn show_more(&self, more: impl Fn() -> String + Send + Sync + 'static) {
        let _ = self.more.set(Box::new(more));
    }

    /// Lets `reasons`, each in words, make the process not ready as long as there are any. Only the first
    /// call counts.
    pub fn ready_unless(&self, reasons: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        let _ = self.unready.set(Box::new(reasons));
    }

    /// What every wire has received so far.
    pub fn reports(&self) -> Vec<WireReport> {
        let routes = self.routes();
        routes
            .wires
            .iter()
            .map(|mounted| WireReport { id: mounted.id.to_owned(), kind: mounted.id, totals: mounted.counters.read() })
            .collect()
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.routes().limits.clone()
    }

    /// Answers one request, as hyper hands it over.
    pub async fn respond(&self, intake: &Intake, mut request: HttpRequest<Incoming>) -> Response<HttpBody> {
        let head_only = request.method() == http::Method::HEAD;
        let sender = request.extensions_mut().remove::<Sender>().unwrap_or_default();
        let mut response = self.answer(intake, request, sender).await;
        if head_only {
            *response.body_mut() = Full::new(Bytes::new()).boxed_unsync();
        }
        response
    }

    async fn answer<B>(&self, intake: &Intake, request: HttpRequest<B>, sender: Sender) -> Response<HttpBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if Auth::is_ambiguous(&head.headers) {
            self.listener.refuse("two_credentials", 1);
            let_run_out(body);
            return response(Reply::text(400, "more than one `Authorization` header: send one\n"));
        }
        let shown = Shown { headers: &head.headers, certificate: sender.certificate.as_deref() };
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        if let Some(page) = self.own_page(intake, &head.method, path, query, shown, &sender).await {
            if page.status() == StatusCode::UNAUTHORIZED {
                let refused = Refused { sender: sender.address, component: HTTP_ID, reason: "unauthorized" };
                self.auth.refused(refused).wait().await;
            }
            return page;
        }
        if let Some(guest) = self.guest_at(path) {
            return self.receive(&**guest, intake, (&head, body), shown, &sender).await;
        }
        response(self.reply_to(intake, &head, body, shown, &sender).await)
    }

    async fn reply_to<B>(&self, intake: &Intake, head: &Parts, body: B, shown: Shown<'_>, sender: &Sender) -> Reply
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (routes, from) = (self.routes(), sender.address);
        let (path, headers) = (head.uri.path(), &head.headers);
        let Some((mounted, place)) = routes.find(path) else {
            return Reply::text(404, "no wire is configured for this path\n");
        };
        let handler = &mounted.wire.handler;
        let with_credential = match headers.contains_key(AUTHORIZATION) {
            true => None,
            false => handler.credential_of(head.uri.query().unwrap_or_default()).map(|(user, password)| {
                let mut headers = headers.clone();
                headers.extend(basic(&user, &password).map(|value| (AUTHORIZATION, value)));
                headers
            }),
        };
        let shown = Shown { headers: with_credential.as_ref().unwrap_or(shown.headers), ..shown };
        let route = place.route(&head.method);
        let (access, right) = route.map_or_else(|| place.guard(), |route| (route.access(), route.right()));
        let grant = match access {
            Access::Own => None,
            Access::Credential => match self.let_in(right, head, shown) {
                Ok(grant) => {
                    sender.introduced();
                    Some(grant)
                }
                Err((refusal, reason)) => {
                    let_run_out(body);
                    return self.refuse(mounted, reason, head, from, refusal).await;
                }
            },
        };
        let Some(route) = route else {
            mounted.counters.refuse("method", 1);
            let_run_out(body);
            return handler.not_allowed().with("allow", place.allow());
        };
        let (method, query, received) = (&head.method, head.uri.query().unwrap_or_default(), now());
        let lane = handler.lane();
        let (class, memory) = (handler.class(path), intake.memory());
        let busy = |tenant: Option<&TenantName>, body: &[u8], (reason, why): (&'static str, &str)| {
            mounted.counters.refuse(reason, 1);
            let asked = |tenant| Request { tenant, method, path, query, headers, body, received, claims: None };
            tenant.map_or_else(|| Reply::overloaded(why), |tenant| handler.overloaded(&asked(tenant), why))
        };
        let holder = grant.as_ref().map_or(Holder::UNKNOWN, Grant::holder);
        let tenant = grant.map(|grant| grant.tenant);
        let takes = matches!(route.answer, Answer::Take(_));
        if takes && memory.refuses(class) {
            let_run_out(body);
            return busy(tenant.as_ref(), &[], ("memory", NO_MEMORY));
        }
        if let Some(tenant) = tenant.as_ref().filter(|tenant| !self.doors.rates.admit(tenant)) {
            let_run_out(body);
            return busy(Some(tenant), &[], ("tenant_rate", TOO_FAST));
        }
        let body = match read(body, &routes.limits, || self.doors.room.hold(&holder, lane)).await {
            Ok(held) => held,
            Err(NotRead::NoRoom) => return busy(tenant.as_ref(), &[], ("busy", NO_ROOM)),
            Err(NotRead::Refused(reply, reason)) => {
                mounted.counters.refuse(reason, 1);
                return reply;
            }
        };
        let (body, _held) = body;
        mounted.counters.request(body.len());
        let tenant = tenant.or_else(|| handler.tenant_of(&Unsigned { path, headers, body: &body }));
        let Some(tenant) = &tenant else {
            let refusal = Reply::text(401, "the signature or token is not known\n");
            return self.refuse(mounted, "unauthorized", head, from, refusal).await;
        };
        sender.introduced();
        if access == Access::Own && !self.doors.rates.admit(tenant) {
            return busy(Some(tenant), &body, ("tenant_rate", TOO_FAST));
        }
        let holder = Holder { tenant: Some(tenant.clone()), ..holder };
        let Some(_place) = self.doors.places.take(&holder, lane).await else {
            return busy(Some(tenant), &body, ("busy", TOO_MANY));
        };
        self.doors.rates.charge(tenant, body.len());
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(mut work) = memory.work(class, routes.limits.work_bytes(&body, encoding)).await else {
            return busy(Some(tenant), &body, ("memory", NO_MEMORY));
        };
        let request = Request { tenant, method, path, query, headers, body: &body, received, claims: None };
        match &route.answer {
            Answer::Look(look) => look(&request),
            Answer::Take(take) => self.hand_over(&intake.of(mounted.id), mounted, take, &request, &mut work).await,
        }
    }

    /// Who the sender may do this for; otherwise the answer and the reason counted.
    fn let_in(&self, right: Right, head: &Parts, shown: Shown<'_>) -> Result<Grant, (Reply, &'static str)> {
        let unknown = || (admin::unauthorized("a credential is needed"), "unauthorized");
        let grant = self.auth.grant(shown).ok_or_else(unknown)?;
        if head.method.is_safe() || grant.may.include(right) {
            Ok(grant)
        } else {
            Err((Reply::text(403, format!("{}\n", right.refusal())), "forbidden"))
        }
    }

    /// Decodes, stores and answers. What somebody else is storing is waited for.
    async fn hand_over(
        &self,
        intake: &Intake,
        mounted: &Mounted,
        take: &Take,
        request: &Request<'_>,
        work: &mut Work,
    ) -> Reply {
        let handler = &mounted.wire.handler;
        let guarded = handler.resend_is_duplicate(request) && !request.body.is_empty();
        let key = guarded.then(|| request_key(request.tenant, request.path, request.body));
        let mut patience = BUSY_FOR;
        let mut coming = intake.coming(request.tenant);
        loop {
            let claims = intake.claims(request.tenant);
            match key.map(|key| claims.take(key)) {
                Some(Claim::Taken) => {
                    mounted.counters.duplicate(1);
                    return handler.answer_again(request).unwrap_or_else(|| {
                        let outcome = take(request);
                        handler.undo(outcome.inputs());
                        outcome.into_reply()
                    });
                }
                Some(Claim::Busy) => {}
                Some(Claim::Ours) | None => {
                    let outcome = take(&Request { claims: Some(&claims), ..request.clone() });
                    if !claims.is_blocked() {
                        work.shrink(request.body.len() + bytes_of(outcome.inputs()));
                        return store(intake, mounted, request, outcome, claims, coming).await;
                    }
                    handler.undo(outcome.inputs());
                }
            }
            drop(claims);
            // Nothing waits for what waits for others.
            drop(std::mem::take(&mut coming));
            if patience.is_zero() {
                mounted.counters.refuse("busy", 1);
                return handler.overloaded(request, "the same is being stored for another request");
            }
            tokio::time::sleep(BUSY_PAUSE).await;
            patience = patience.saturating_sub(BUSY_PAUSE);
        }
    }
}

/// Makes what was decoded durable, and gives the answer.
async fn store(
    intake: &Intake,
    mounted: &Mounted,
    request: &Request<'_>,
    outcome: Outcome,
    claims: Claims,
    coming: PendingAppend,
) -> Reply {
    for (reason, count) in outcome.refused.iter() {
        mounted.counters.refuse(reason, count);
    }
    if outcome.inputs().is_empty() {
        mounted.counters.accept(outcome.accepted());
        return outcome.into_reply();
    }
    // Who is told of a failure may send the same again, and the rest of it is wanted then.
    let claims = if (200..300).contains(&outcome.reply().status) { claims } else { intake.claims(request.tenant) };
    match intake.accept_now(outcome.inputs(), claims, coming).await {
        Ok(_) => {
            mounted.counters.accept(outcome.accepted());
            outcome.into_reply()
        }
        Err(error) => {
            mounted.wire.handler.undo(outcome.inputs());
            mounted.counters.refuse("journal", outcome.accepted());
            match error {
                AcceptError::TooLarge { reason } => Reply::text(413, format!("{reason}\n")),
                error => mounted.wire.handler.overloaded(request, error.told()),
            }
        }
    }
}

/// The listener as a source: binds, serves, and ends when told to stop.
pub struct HttpSource {
    name: String,
    listen: SocketAddr,
    tls: Option<Arc<LiveTls>>,
    wires: Arc<HttpRouter>,
}

impl HttpSource {
    /// A listener called `name` for `wires`.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate or key cannot be used.
    pub fn new(name: impl Into<String>, config: HttpConfig, wires: Arc<HttpRouter>) -> Result<HttpSource, TlsError> {
        let tls = config.tls.map(|tls| LiveTls::new(tls, HTTP_PROTOCOLS)).transpose()?.map(Arc::new);
        Ok(HttpSource { name: name.into(), listen: config.listen, tls, wires })
    }

    /// Its TLS, to be reloaded.
    pub fn tls(&self) -> Option<Arc<LiveTls>> {
        self.tls.clone()
    }
}

impl Source for HttpSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let address = self.listen;
            let wrong = |reason: String| SourceError::config(&self.name, reason);
            self.wires.auth.check_listener(address).map_err(|error| wrong(error.to_string()))?;
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .map_err(|error| wrong(format!("cannot listen on `{address}`: {error}")))?;
            serve(self.wires, intake, listener, self.tls, async move { stop.stopped().await }).await;
            Ok(())
        })
    }
}

/// The wall clock; connectors are the only place that may look at it.
pub(crate) fn now() -> EventTime {
    crate::intake::arrival_time()
}

fn response(reply: Reply) -> Response<HttpBody> {
    let mut response = Response::new(Full::new(reply.body).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    let nosniff = http::HeaderValue::from_static("nosniff");
    response.headers_mut().insert("x-content-type-options", nosniff);
    response
}

/// The header of basic credentials.
fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;

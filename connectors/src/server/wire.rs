//! A wire spoken over HTTP: its routes, each with the function that answers it.
//!
//! ```ignore
//! fn routes(&self) -> Vec<Route<Smoke>> {
//!     vec![Route::post("/smoke", Smoke::puff), Route::get("/smoke", Smoke::last)]
//! }
//! ```
//!
//! A wire is a function without I/O: bytes and headers in, journal entries and a reply out.
//! The server around it ([`crate::server::http`]) finds the route by path and method, reads the
//! socket, appends the entries to the journal and only then sends the reply. So each wire is tested
//! with plain byte strings, and "acknowledged means durable" is kept in one place. Wires of packets
//! are in [`crate::server::packets`], those of streams in [`crate::server::streams`].

use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::TenantName;
use http::{HeaderMap, Method};

use crate::memory::Class;
use crate::server::auth::Right;
use crate::server::doors::Lane;
use crate::server::outcome::Outcome;
use crate::server::reply::Reply;
use crate::server::request::Request;

/// Who may use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever shows a bearer token, basic credentials or a client certificate.
    Credential,
    /// The wire checks a signature over the body itself and names the tenant ([`HttpHandler::tenant_of`]).
    Own,
}

/// What makes an `R` of a request to wire `W`.
type Handle<W, R> = Box<dyn Fn(&W, &Request<'_>) -> R + Send + Sync>;

/// How a request to a route of wire `W` is answered.
enum Handler<W> {
    Look(Handle<W, Reply>),
    Take(Handle<W, Outcome>),
}

/// A path of wire `W` with the methods that it takes there, who may, and what answers. Several
/// routes may share a path, each with methods of its own.
pub struct Route<W> {
    head: Head,
    handler: Handler<W>,
}

/// What is known of a route before its request is decoded.
#[derive(Clone, Debug)]
struct Head {
    path: String,
    methods: &'static [Method],
    access: Access,
    right: Right,
}

impl<W: HttpHandler> Route<W> {
    /// Where something is looked at, by GET or HEAD. The handler gives a mere reply, for nothing
    /// that it answers is stored; whoever may send or act may look.
    pub fn get(path: impl Into<String>, look: impl Fn(&W, &Request<'_>) -> Reply + Send + Sync + 'static) -> Route<W> {
        Route::new(path.into(), &[Method::GET, Method::HEAD], Handler::Look(Box::new(look)))
    }

    /// Where signals are posted. `path` has `{name}` for a variable part.
    pub fn post<R: Into<Outcome>>(
        path: impl Into<String>,
        take: impl Fn(&W, &Request<'_>) -> R + Send + Sync + 'static,
    ) -> Route<W> {
        Route::taking(path.into(), &[Method::POST], take)
    }

    /// Where signals are posted, and by some senders put.
    pub fn post_or_put<R: Into<Outcome>>(
        path: impl Into<String>,
        take: impl Fn(&W, &Request<'_>) -> R + Send + Sync + 'static,
    ) -> Route<W> {
        Route::taking(path.into(), &[Method::POST, Method::PUT], take)
    }

    /// Where something is ended.
    pub fn delete<R: Into<Outcome>>(
        path: impl Into<String>,
        take: impl Fn(&W, &Request<'_>) -> R + Send + Sync + 'static,
    ) -> Route<W> {
        Route::taking(path.into(), &[Method::DELETE], take)
    }

    fn taking<R: Into<Outcome>>(
        path: String,
        methods: &'static [Method],
        take: impl Fn(&W, &Request<'_>) -> R + Send + Sync + 'static,
    ) -> Route<W> {
        Route::new(path, methods, Handler::Take(Box::new(move |wire, request| take(wire, request).into())))
    }

    fn new(path: String, methods: &'static [Method], handler: Handler<W>) -> Route<W> {
        Route { head: Head { path, methods, access: Access::Credential, right: Right::Send }, handler }
    }

    /// The same for those who may act on incidents and silences, not for those who may only send.
    #[must_use]
    pub fn acting(mut self) -> Route<W> {
        self.head.right = Right::Act;
        self
    }

    /// The same where the wire itself checks who sends.
    #[must_use]
    pub fn own(mut self) -> Route<W> {
        self.head.access = Access::Own;
        self
    }

    /// The route as it answers for `wire`.
    fn bound(self, wire: Arc<W>) -> BoundRoute {
        let answer = match self.handler {
            Handler::Look(look) => Answer::Look(Box::new(move |request| look(&wire, request))),
            Handler::Take(take) => Answer::Take(Box::new(move |request| take(&wire, request))),
        };
        BoundRoute { head: self.head, answer }
    }
}

#[cfg(test)]
impl<W> Route<W> {
    pub(crate) fn path(&self) -> &str {
        &self.head.path
    }

    pub(crate) fn methods(&self) -> &'static [Method] {
        self.head.methods
    }

    pub(crate) fn look(&self, wire: &W, request: &Request<'_>) -> Option<Reply> {
        match &self.handler {
            Handler::Look(look) => Some(look(wire, request)),
            Handler::Take(_) => None,
        }
    }

    pub(crate) fn take(&self, wire: &W, request: &Request<'_>) -> Option<Outcome> {
        match &self.handler {
            Handler::Look(_) => None,
            Handler::Take(take) => Some(take(wire, request)),
        }
    }
}

/// What looks at something for a request.
pub(crate) type Look = Box<dyn Fn(&Request<'_>) -> Reply + Send + Sync>;

/// What decodes a request.
pub(crate) type Take = Box<dyn Fn(&Request<'_>) -> Outcome + Send + Sync>;

/// How a request is answered, whatever the wire's type.
pub(crate) enum Answer {
    /// Nothing is stored.
    Look(Look),
    /// What is decoded is stored before the reply.
    Take(Take),
}

/// A route with its wire.
pub(crate) struct BoundRoute {
    head: Head,
    /// What answers. Must not block on anything but the processor.
    pub(crate) answer: Answer,
}

impl BoundRoute {
    /// The path, `{name}` for a variable part.
    pub(crate) fn path(&self) -> &str {
        &self.head.path
    }

    /// What it is used by.
    pub(crate) fn methods(&self) -> &'static [Method] {
        self.head.methods
    }

    /// Who may.
    pub(crate) fn access(&self) -> Access {
        self.head.access
    }

    /// What the sender must be allowed to do, unless the request is a mere look.
    pub(crate) fn right(&self) -> Right {
        self.head.right
    }
}

/// A wire with its routes, whatever its type: what a router mounts, and keeps over a reload.
#[derive(Clone)]
pub struct HttpWire {
    pub(crate) handler: Arc<dyn HttpHandler>,
    pub(crate) routes: Vec<Arc<BoundRoute>>,
}

impl HttpWire {
    /// `wire`, at the paths that it names now.
    pub fn new<W: HttpHandler>(wire: Arc<W>) -> HttpWire {
        let routes = wire.routes().into_iter().map(|route| Arc::new(route.bound(wire.clone()))).collect();
        HttpWire { handler: wire, routes }
    }
}

/// A request that no credential stands beside: what a wire may check a signature of.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// The path, without the query.
    pub path: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body as it came over the wire.
    pub body: &'a [u8],
}

/// A wire spoken over HTTP.
pub trait HttpHandler: Send + Sync + 'static {
    /// What it answers, and how.
    fn routes(&self) -> Vec<Route<Self>>
    where
        Self: Sized;

    /// What its requests bring, as far as others wait for it: alerts get through a flood of anything else.
    fn lane(&self) -> Lane {
        Lane::Bulk
    }

    /// What a request to `path` brings, by who is turned away first when memory is short.
    fn class(&self, path: &str) -> Class {
        let _ = path;
        match self.lane() {
            Lane::Alerts => Class::Alerts,
            Lane::Bulk => Class::Metrics,
        }
    }

    /// The tenant that a request to a route with [`Access::Own`] speaks for, by what the wire
    /// checks itself: a signature over the body, a token of its own.
    fn tenant_of(&self, request: &Unsigned<'_>) -> Option<TenantName> {
        let _ = request;
        None
    }

    /// User and password that stand in the query, for a protocol whose senders write them there. They
    /// count where no `Authorization` header is.
    fn credential_of(&self, query: &str) -> Option<(String, String)> {
        let _ = query;
        None
    }

    /// True when a byte-identical body of one tenant can only be a re-send, because its events
    /// carry their own times: the server then answers it without a second journal entry.
    fn resend_is_duplicate(&self, request: &Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// What to answer to such a re-send; `None` for what decoding it again says, of which nothing
    /// is stored.
    fn answer_again(&self, request: &Request<'_>) -> Option<Reply> {
        let _ = request;
        None
    }

    /// What to answer when the journal or a limit refuses the entries for now.
    fn overloaded(&self, request: &Request<'_>, reason: &str) -> Reply {
        let _ = request;
        Reply::overloaded(reason)
    }

    /// What to answer to a method that no route of the path takes. The server adds which ones do.
    fn not_allowed(&self) -> Reply {
        Reply::empty(405)
    }

    /// The entries of `outcome` were not stored: forget what was noted about them.
    fn undo(&self, inputs: &[Input]) {
        let _ = inputs;
    }
}

//! A wire spoken over HTTP: its routes, and the function that answers a request.
//!
//! A wire is a function without I/O: bytes and headers in, journal entries and a reply out.
//! The server around it ([`crate::server::http`]) reads the socket, appends the entries to the
//! journal and only then sends the reply. So each wire is tested with plain byte strings, and
//! "acknowledged means durable" is kept in one place. Wires of packets are in
//! [`crate::server::packets`], those of streams in [`crate::server::streams`].

use bellwether_engine::input::Input;
use bellwether_engine::signal::TenantName;
use http::HeaderMap;

use crate::server::auth::Right;
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

/// One path a wire answers, and the right it takes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path, `{name}` for a variable part.
    pub path: String,
    /// Who may.
    pub access: Access,
    /// What the sender must be allowed to do, unless the request is a mere look.
    pub right: Right,
}

impl Route {
    /// Where authenticated senders send signals.
    pub fn new(path: impl Into<String>) -> Route {
        Route { path: path.into(), access: Access::Credential, right: Right::Send }
    }

    /// Where authenticated senders act on incidents and silences.
    pub fn acting(path: impl Into<String>) -> Route {
        Route { right: Right::Act, ..Route::new(path) }
    }

    /// Where the wire itself checks who sends.
    pub fn own(path: impl Into<String>) -> Route {
        Route { access: Access::Own, ..Route::new(path) }
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
    /// The paths it answers.
    fn routes(&self) -> Vec<Route>;

    /// The tenant that a request to a route with [`Access::Own`] speaks for, by what the wire
    /// checks itself: a signature over the body, a token of its own.
    fn tenant_of(&self, request: &Unsigned<'_>) -> Option<TenantName> {
        let _ = request;
        None
    }

    /// Decodes one request. Must not block on anything but the processor.
    fn serve(&self, request: &Request<'_>) -> Outcome;

    /// True when a byte-identical body of one tenant can only be a re-send, because its events
    /// carry their own times: the server then answers it without a second journal entry.
    fn resend_is_duplicate(&self, request: &Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// What to answer to such a re-send: by default what decoding it again says, of which nothing
    /// is stored.
    fn answer_again(&self, request: &Request<'_>) -> Reply {
        let outcome = self.serve(request);
        self.undo(outcome.inputs());
        outcome.reply
    }

    /// What to answer when the journal or a limit refuses the entries for now.
    fn overloaded(&self, request: &Request<'_>, reason: &str) -> Reply {
        let _ = request;
        Reply::overloaded(reason)
    }

    /// The entries of `outcome` were not stored: forget what was noted about them.
    fn undo(&self, inputs: &[Input]) {
        let _ = inputs;
    }
}
